"""The claim of docs/split.md: what a random split says of the flights model, and what time tells.

Run it in the folder that `assay demo flights` made: python benchmarks/random_split.py flights
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

TREES, LEAVES = 200, 63
WEEKS, LAST = 39, "2013-12-30T06:00-05:00"


def main(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    import flights  # pyright: ignore[reportMissingImports]

    from assay import store
    from assay.model.labels import with_labels
    from assay.tables import read
    from assay.times import instant

    with store.use(store.find_home(folder / ".assay")):
        whole, truth = with_labels(flights.model, read("data/flights", flights.Departure))
        label = truth.labels["late"]
        chosen = np.random.default_rng(1).random(len(whole)) < 0.8
        by_chance = auc(flights, whole, label, chosen, ~chosen)
        print(f"random split of the year           AUC {by_chance:.3f}", flush=True)
        times = whole.column("scheduled").cast(pa.timestamp("us")).to_numpy()
        last = np.datetime64(instant(LAST).replace(tzinfo=None), "us")
        weeks = [last - np.timedelta64(7 * back, "D") for back in range(1, WEEKS + 1)]
        found = [
            auc(flights, whole, label, times < week, (times >= week) & (times < week + np.timedelta64(7, "D")))
            for week in weeks
        ]
        print(
            f"all the past, then the next week   AUC {np.mean(found):.3f}, mean of {WEEKS} weeks ({min(found):.3f} to {max(found):.3f})"
        )


def auc(flights, whole: pa.Table, label: np.ndarray, past: np.ndarray, ahead: np.ndarray) -> float:
    from assay.contract.formats.arrow import columns
    from assay.metrics import score
    from assay.model.features import compute, encode, learn_categories

    learn, judge = (
        compute(flights.model, columns(whole.filter(pa.array(part)), flights.Departure), {}) for part in (past, ahead)
    )
    codes = {
        name: {value: float(i) for i, value in enumerate(values)} for name, values in learn_categories(learn).items()
    }
    booster = flights.fit(encode(learn, list(learn), codes), label[past], leaves=LEAVES, trees=TREES, rate=0.05)
    return score("auc", label[ahead], booster.predict(encode(judge, list(learn), codes).values))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
