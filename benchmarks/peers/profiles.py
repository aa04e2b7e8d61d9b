"""A profile by whylogs, or drift between two halves by Evidently, of one Parquet file; prints seconds and peak MiB."""

import sys

import pandas as pd
from timed import report


def evidently(file):
    from evidently import Report
    from evidently.presets import DataDriftPreset

    frame = pd.read_parquet(file)
    before, after = frame.iloc[: len(frame) // 2], frame.iloc[len(frame) // 2 :]
    return lambda: Report([DataDriftPreset()]).run(after, before).dict()


def whylogs(file):
    import whylogs as why

    frame = pd.read_parquet(file)
    return lambda: why.log(frame).profile()


if __name__ == "__main__":
    report({"evidently": evidently, "whylogs": whylogs}[sys.argv[1]](sys.argv[2]))
