"""What a version is made of: the run or logged model of its source, and where its files are.

Another version is named as `models:/NAME/VERSION`, whatever alias or stage the client named: it follows the renaming of
its model, and its deletion, so that no version ever loses its files or leads back to itself.
"""

from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import Connection, and_, func, select, update

from assay.store.schema import model_versions
from assay.track.find import load as load_runs
from assay.track.whole import whole_number
from assay.web.mlflow import shape
from assay.web.mlflow.errors import MlflowError, invalid, missing
from assay.web.mlflow.logged import model_root, source_run
from assay.web.mlflow.registry_rows import STAGES, check_name, check_there, row_by_alias, source_of, version_row
from assay.web.mlflow.sources import OF_MODELS, OF_RUNS, PROXIED

#: Versions of versions; more than that were never registered one by one.
_DEEPEST = 100
_V = model_versions.c


class ResolvedSource(NamedTuple):
    """A source, and what made it."""

    source: str
    run_id: str | None
    model_id: str | None


def models_of(source: str) -> list[str]:
    """The model whose version a source names, if it names one.

    >>> models_of("models:/m/1"), models_of("models:/m@champion"), models_of("models:/m-0123"), models_of("s3://b/m/1")
    (['m'], ['m'], [], [])
    """
    parts = urlsplit(source)
    name, slash, _ = parts.path[1:].partition("/")
    name, at, _ = (name, "", "") if slash else name.rpartition("@")
    return [name] if parts.scheme.lower() == OF_MODELS and (slash or at) else []


def lineage(connection: Connection, source: str, run_id: str | None, model_id: str | None) -> ResolvedSource:
    """The source of a new version as it is kept, with its run and its logged model.

    Raises an error of MLflow's when those that the client names are not the ones that hold the source.
    """
    parts = urlsplit(source)
    scheme, path = parts.scheme.lower(), parts.path[1:]
    if models_of(source):
        row = named_version(connection, path)
        if run_id not in (None, row.run_id or "") or model_id not in (None, row.logged_model_id or ""):
            raise _foreign(source, "run_id and the model_id")
        return ResolvedSource(f"{OF_MODELS}:/{row.model}/{row.version}", row.run_id, row.logged_model_id)
    if scheme == OF_MODELS and model_id != path:
        raise _foreign(source, "model_id")
    if model_id:
        made_by = source_run(connection, model_id)
        within = scheme != PROXIED or _is_within(source, model_root(connection, model_id))
        if scheme == OF_RUNS or not within:
            raise _foreign(source, "model_id")
        return ResolvedSource(source, run_id or made_by or None, model_id)
    if scheme == OF_RUNS and path.partition("/")[0] != run_id:  # the run may be one of another server
        raise _foreign(source, "run_id")
    if scheme == PROXIED:
        found = load_runs(connection, [run_id]) if run_id else []
        if not found or not _is_within(source, shape.run_root(found[0])):
            raise _foreign(source, "run_id")
    return ResolvedSource(source, run_id or None, None)


def _is_within(source: str, root: str) -> bool:
    return f"{source}/".startswith(f"{root}/")


def _foreign(source: str, which: str) -> MlflowError:
    return invalid(f"Invalid model version source: '{source}'. The {which} must identify what contains the source.")


def named_version(connection: Connection, path: str) -> Any:
    """The version that the path of a URI names: NAME/VERSION, NAME/STAGE, NAME/latest or NAME@ALIAS."""
    name, slash, which = path.partition("/")
    name, _, alias = (name, "", "") if slash else path.rpartition("@")
    check_there(connection, name)
    if not slash:
        return row_by_alias(connection, name, alias)
    stage = next((one for one in STAGES if one.lower() == which.lower()), None)
    if stage is None and which.lower() != "latest":
        return version_row(connection, name, which)
    of = select(func.max(_V.version)).where(_V.model == check_name(name))
    newest = connection.execute(of if stage is None else of.where(_V.stage == stage)).scalar()
    if newest is None:
        raise missing(f"No versions of model with name '{name}' and stage '{which}' found")
    return version_row(connection, name, str(newest))


def files_uri(connection: Connection, row: Any) -> str:
    """Where the files of a version are, as a client opens them."""
    for _ in range(_DEEPEST):
        source = source_of(row)
        scheme, _, path = source.partition(":")
        path = path.strip("/")
        if scheme.lower() not in (OF_MODELS, OF_RUNS):
            return source
        if row.logged_model_id:
            return model_root(connection, row.logged_model_id)
        if scheme.lower() == OF_RUNS:
            run_id, _, below = path.partition("/")
            found = load_runs(connection, [run_id])
            return f"{shape.run_root(found[0])}/{below}" if found else source
        row = named_version(connection, path)
    raise invalid(f"The source of {row.model} leads through more than {_DEEPEST} versions.")


def keep_files_of_others(connection: Connection, name: str, version: int | None = None) -> None:
    """Before a version or a whole model is deleted: versions made of it name its source in its place."""
    prefix = f"{OF_MODELS}:/{name}/"
    made_of = _V.source == f"{prefix}{version}"
    if version is None:
        made_of = and_(_V.source.startswith(prefix, autoescape=True), _V.model != name)
    for _ in range(_DEEPEST):  # a version of the same model may be next
        changed = 0
        for source in connection.execute(select(_V.source).where(made_of).distinct()).scalars().all():
            number = whole_number(source.removeprefix(prefix), 0, 2**31 - 1)
            row = connection.execute(select(model_versions).filter_by(model=name, version=number)).first()
            if row is not None:
                others = update(model_versions).where(_V.source == source, made_of)
                changed += connection.execute(others.values(source=source_of(row))).rowcount
        if not changed:
            return


def rename_sources(connection: Connection, name: str, new: str) -> None:
    """Let versions that were made of those of a model name them by its new name."""
    old = f"{OF_MODELS}:/{name}/"
    others = update(model_versions).where(_V.source.startswith(old, autoescape=True))
    connection.execute(others.values(source=f"{OF_MODELS}:/{new}/" + func.substr(_V.source, len(old) + 1)))
