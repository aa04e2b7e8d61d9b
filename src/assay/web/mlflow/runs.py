"""Runs: made, changed, found."""

import json
import secrets
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert, select, update

from assay.store import Store
from assay.store.database import upsert
from assay.store.schema import runs, tags
from assay.times import now
from assay.track import find
from assay.web.mlflow import shape
from assay.web.mlflow.ask import Ask, check_key, check_length
from assay.web.mlflow.errors import invalid, missing
from assay.web.mlflow.experiments import active_root, experiment_number, experiment_numbers
from assay.web.mlflow.inputs import inputs_and_outputs
from assay.web.mlflow.known import active_run, no_run

LONGEST_TAG = 8000
LONGEST_NAME = 1000
MODELS = "mlflow.log-model.history"
_FIRST = "amber brave calm clever eager gentle golden happy keen lively lucky merry noble polite proud quick quiet rapid silver wise"
_SECOND = "ant bear bee crane crow deer dove eel finch fox hare hawk heron ibis lark lynx mole newt otter owl panda quail raven seal shrew swan toad trout wolf wren"


def create(store: Store, ask: Ask) -> dict[str, Any]:
    """Begin one."""
    number = experiment_number(ask.text_or_none("experiment_id") or "0")
    tagged = {key: value[:LONGEST_TAG] for key, value in ask.keyed("tags", 10_000_000).items()}
    given, tag = ask.text_or_none("run_name"), tagged.get(shape.RUN_NAME)
    if given and tag and given != tag:
        raise invalid(f"Both 'run_name' and the tag {shape.RUN_NAME} are given, but differ: {given!r} and {tag!r}.")
    name = check_length("run_name", given or tag or _random_name(), LONGEST_NAME)
    started = shape.moment(ask.number("start_time", 0))
    user = ask.text_or_none("user_id") or tagged.get("mlflow.user")
    tagged[shape.RUN_NAME] = name
    run_id = uuid4().hex
    with store.database.begin() as connection:
        root = active_root(connection, number)
        uri = f"{root}/{run_id}/artifacts" if root else None
        parent = _parent(connection, tagged.get(shape.PARENT))
        row = {"id": run_id, "experiment_id": number, "name": name, "kind": "tracked", "status": "running"}
        row |= {"started_at": started, "user": user, "artifact_uri": uri, "parent_id": parent}
        row["written_at"] = now()  # the start is the client's word
        connection.execute(_INSERT, row)
        connection.execute(_TAGS, [{"run_id": run_id, "name": key, "value": value} for key, value in tagged.items()])
    info = {"run_id": run_id, "run_uuid": run_id, "run_name": name, "experiment_id": str(number), "user_id": user or ""}
    info |= {"status": "RUNNING", "start_time": shape.milliseconds(started), "lifecycle_stage": "active"}
    info["artifact_uri"] = uri or f"{find.ARTIFACTS}{number}/{run_id}/artifacts"
    return {"run": {"info": info, "data": {"tags": shape.pairs(tagged)}, "inputs": {}, "outputs": {}}}


_INSERT, _TAGS = insert(runs), insert(tags)


def _random_name() -> str:
    return f"{secrets.choice(_FIRST.split())}-{secrets.choice(_SECOND.split())}-{secrets.randbelow(1000)}"


def _parent(connection: Connection, run_id: str | None) -> str | None:
    return connection.execute(select(runs.c.id).where(runs.c.id == run_id)).scalar() if run_id else None


def get(store: Store, ask: Ask) -> dict[str, Any]:
    """One, deleted or not."""
    run_id = ask.text("run_id", "run_uuid")
    with store.database.read() as connection:
        found = find.load(connection, [run_id])
        if not found:
            raise no_run(run_id)
        return {"run": shape.run(found[0], *inputs_and_outputs(connection, [run_id])[run_id])}


def change(store: Store, ask: Ask) -> dict[str, Any]:
    """Change status, end and name."""
    run_id = ask.text("run_id", "run_uuid")
    values: dict[str, Any] = {}
    if status := ask.text_or_none("status"):
        values["status"] = status.lower()
    if (ended := ask.number_or_none("end_time")) is not None:
        values["ended_at"] = shape.moment(ended)
    if name := ask.text_or_none("run_name"):
        values["name"] = check_length("run_name", name, LONGEST_NAME)
    with store.database.begin() as connection:
        active_run(connection, run_id)
        if values:
            connection.execute(update(runs).where(runs.c.id == run_id).values(values))
        if name:
            upsert(connection, tags, [{"run_id": run_id, "name": shape.RUN_NAME, "value": name}])
        return {"run_info": shape.run_info(find.load(connection, [run_id])[0])}


def delete(store: Store, ask: Ask) -> dict[str, Any]:
    """Delete one; it can be restored."""
    return _set_deleted(store, ask.text("run_id", "run_uuid"), now())


def restore(store: Store, ask: Ask) -> dict[str, Any]:
    """Take a deletion back."""
    return _set_deleted(store, ask.text("run_id", "run_uuid"), None)


def _set_deleted(store: Store, run_id: str, at: Any) -> dict[str, Any]:
    with store.database.begin() as connection:
        if not connection.execute(update(runs).where(runs.c.id == run_id).values(deleted_at=at)).rowcount:
            raise no_run(run_id)
    return {}


def search(store: Store, ask: Ask) -> dict[str, Any]:
    """A page of those a filter finds."""
    limit = ask.limit(1000, 50_000)
    view = ask.text_or_none("run_view_type") or "ACTIVE_ONLY"
    found = find.search(
        store,
        ask.text_or_none("filter") or "",
        order_by=ask.texts("order_by"),
        experiment_ids=experiment_numbers(ask.texts("experiment_ids")),
        deleted={"ACTIVE_ONLY": False, "DELETED_ONLY": True, "ALL": None}[view],
        limit=limit,
        token=ask.text_or_none("page_token"),
        texts=True,
    )
    with store.database.read() as connection:
        linked = inputs_and_outputs(connection, [row.id for row in found.runs])
    shown = [shape.run(row, *linked[row.id]) for row in found.runs]
    return shape.without_none(runs=shown, next_page_token=found.token)


def set_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Keep a tag; that of the name renames the run."""
    run_id = ask.text("run_id", "run_uuid")
    key = check_key(ask.text("key"))
    value = check_length("value", ask.text_or_none("value") or "", LONGEST_TAG, cut=True)
    with store.database.begin() as connection:
        active_run(connection, run_id)
        put_tags(connection, run_id, {key: value})
    return {}


def put_tags(connection: Connection, run_id: str, values: dict[str, str]) -> None:
    """Keep tags; that of the name renames the run."""
    if values:
        upsert(connection, tags, [{"run_id": run_id, "name": key, "value": value} for key, value in values.items()])
    if shape.RUN_NAME in values:
        connection.execute(update(runs).where(runs.c.id == run_id).values(name=values[shape.RUN_NAME]))


def delete_tag(store: Store, ask: Ask) -> dict[str, Any]:
    """Remove a tag."""
    run_id, key = ask.text("run_id", "run_uuid"), ask.text("key")
    with store.database.begin() as connection:
        active_run(connection, run_id)
        if not connection.execute(tags.delete().where(tags.c.run_id == run_id, tags.c.name == key)).rowcount:
            raise missing(f"No tag with name: {key} in run with id {run_id}")
    return {}


def log_model(store: Store, ask: Ask) -> dict[str, Any]:
    """Note that a run logged a model: clients before MLflow 3 keep that in a tag."""
    run_id = ask.text("run_id", "run_uuid")
    try:
        model = json.loads(ask.text("model_json"))
    except (ValueError, RecursionError):
        raise invalid("Malformed model info: it is not valid JSON.") from None
    absent = {"artifact_path", "flavors", "utc_time_created", "run_id"} - set(model if isinstance(model, dict) else ())
    if absent:
        raise invalid(f"Model json is missing mandatory fields: {', '.join(sorted(absent))}")
    with store.database.begin() as connection:
        active_run(connection, run_id)
        t = tags.c
        before = connection.execute(select(t.value).where(t.run_id == run_id, t.name == MODELS)).scalar()
        every = [*json.loads(before or "[]"), _without_flavor_config(model)]
        put_tags(connection, run_id, {MODELS: json.dumps(every)})
    return {}


def _without_flavor_config(model: dict[str, Any]) -> dict[str, Any]:
    given = model["flavors"]
    if not isinstance(given, dict) or not all(isinstance(flavor, dict) for flavor in given.values()):
        raise invalid("Malformed model info: 'flavors' must be an object of objects.")
    flavors = {name: {k: v for k, v in flavor.items() if k != "config"} for name, flavor in given.items()}
    return model | {"flavors": flavors}
