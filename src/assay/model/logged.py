"""Models of the user's own training loops, kept with a run in their native formats."""

from typing import Any, overload

from sqlalchemy import select

from assay.errors import BadInput, NotFound, near_miss
from assay.model.estimator import Format, Predictor, Saved, load, save
from assay.model.loaded import LoadedModel, load_version
from assay.model.probe import remember, vouch
from assay.store import current
from assay.store.schema import run_artifacts
from assay.track import active_run, get_run
from assay.track.outbox import outbox

#: What the file of a model ends in.
ENDINGS: dict[Format, str] = {
    "lightgbm": ".lgb.txt",
    "skops": ".skops",
    "xgboost": ".ubj",
    "catboost": ".cbm",
    "onnx": ".onnx",
    "nested": ".skops.tar",
    "own": ".bin",
    "pickle": ".pkl",
}


def log_model(name: str, estimator: Any, *, allow_pickle: bool = False) -> str:
    """Keep a fitted model with the active run, as `name` and the ending of its format; returns that artifact's name.

    LightGBM as text, XGBoost as UBJ, CatBoost as CBM, scikit-learn as skops, ONNX as it is. Raises `BadInput` when no run is active, and
    for anything else unless `allow_pickle`: who loads it must say so too.
    """
    run = active_run()
    try:
        saved = save(estimator, allow_pickle=allow_pickle)
    except BadInput as error:
        what = error.what.replace("fit() gave a ", f"the model {name!r} is a ")
        raise BadInput(what, *error.values, do=_advice(allow_pickle=allow_pickle)) from None
    remember(run.store.home.path, saved)
    called = name + ENDINGS[saved.format]
    run.log_artifact(called, saved.data)
    return called


def _advice(*, allow_pickle: bool) -> str:
    fitting = "Give a fitted LightGBM, XGBoost, CatBoost, scikit-learn or ONNX model"
    return f"{fitting}." if allow_pickle else f"{fitting}, or pass allow_pickle=True."


@overload
def load_model(run_id: str, name: str, *, allow_pickle: bool = False) -> Predictor: ...
@overload
def load_model(run_id: str) -> LoadedModel: ...
def load_model(run_id: str, name: str | None = None, *, allow_pickle: bool = False) -> Predictor | LoadedModel:
    """A published model by `MODEL`, `MODEL@ALIAS` or `MODEL/VERSION`, or the model that a run kept under `name`.

    That of a run is a function from a matrix of shape (n, k) to predictions of shape (n,).

    Classifiers give the probability of the class that sorts last. Raises `NotFound` for a run or a model that is not
    there, `BadInput` for a pickle unless `allow_pickle`: loading one can run any code. A file that this home did not save
    itself is first tried in a process of its own; `BadInput` also for one that is refused there.
    """
    store = current()
    if name is None:
        return load_version(store, run_id)
    outbox(store).flush()
    get_run(store, run_id)
    with store.database.read() as connection:
        asked = select(run_artifacts.c.name, run_artifacts.c.digest).filter_by(run_id=run_id)
        kept = {row.name: row.digest for row in connection.execute(asked)}
    for form, ending in ENDINGS.items():
        if digest := kept.get(name if name.endswith(ending) else name + ending):
            saved = Saved(form, store.artifacts.get(digest))
            vouch(store.home.path, saved)
            return load(saved, allow_pickle=allow_pickle)
    models = sorted(one.removesuffix(ending) for one in kept for ending in ENDINGS.values() if one.endswith(ending))
    hint = near_miss(name, models) or (f"it kept: {', '.join(models)}" if models else "it kept none")
    raise NotFound(f"run {run_id} has no model {name!r}", hint)
