"""The twenty checks of one file by one library; prints the median seconds and the peak MiB."""

import importlib
import sys

from timed import report

if __name__ == "__main__":
    name, file, *times = sys.argv[1:]
    report(importlib.import_module(f"libraries.{name}").prepare(file), *map(int, times))
