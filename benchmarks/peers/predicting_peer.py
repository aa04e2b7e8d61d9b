"""One row and many by a library alone, or through MLflow's pyfunc; prints microseconds of one row and seconds of all.

The same estimator is fitted here from the same arrays: nothing but the way to ask it differs.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CALLS, TURNS = 100, 5


def fitted(library, x, y):
    """The estimator, and what asks it for the probability of the second class."""
    if library == "lightgbm":
        import lightgbm

        made = lightgbm.train(
            {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1}, lightgbm.Dataset(x, y), 100
        )
        return made, lambda rows: made.predict(rows, num_threads=1)
    if library == "xgboost":
        import xgboost

        made = xgboost.train({"objective": "binary:logistic", "nthread": 1, "seed": 1}, xgboost.DMatrix(x, y), 100)
        return made, made.inplace_predict
    from sklearn.linear_model import LogisticRegression

    made = LogisticRegression(max_iter=500).fit(x, y)
    if library == "sklearn":
        return made, lambda rows: made.predict_proba(rows)[:, 1]
    import onnxruntime
    from onnx_linear import linear

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        linear(made).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return made, lambda rows: session.run(["p"], {"x": rows.astype(np.float32)})[0]


def through_mlflow(library, estimator):
    """MLflow's pyfunc of an estimator, as its documents save and load it."""
    import importlib

    import mlflow

    folder = Path(tempfile.mkdtemp()) / "model"
    flavour = importlib.import_module(f"mlflow.{library}")
    asked = {"pyfunc_predict_fn": "predict_proba"} if library == "sklearn" else {}
    flavour.save_model(estimator, str(folder), **asked)
    return mlflow.pyfunc.load_model(str(folder))


def main():
    way, library, arrays = sys.argv[1:]
    held = np.load(arrays)
    x, y, many = held["x"], held["y"], held["many"]
    estimator, ask = fitted(library, x, y)
    if way == "mlflow":
        import pandas as pd

        model = through_mlflow(library, estimator)
        names = [f"x{i}" for i in range(x.shape[1])]
        row = dict(zip(names, x[0].tolist(), strict=True))
        one = lambda: model.predict(pd.DataFrame([row]))  # noqa: E731
        frame = pd.DataFrame(many, columns=names)
        all_rows = lambda: model.predict(frame)  # noqa: E731
    else:
        one, all_rows = (lambda: ask(x[:1])), (lambda: ask(many))
    one(), all_rows()
    alone = min(seconds(one) for _ in range(CALLS * TURNS))
    print(alone * 1e6, min(seconds(all_rows) for _ in range(TURNS)))


def seconds(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
