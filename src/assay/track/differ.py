"""What differs between runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from assay.errors import BadInput, NotFound
from assay.store import Store
from assay.store.among import among
from assay.store.schema import runs
from assay.track.find import RunRow, get_runs


@dataclass(frozen=True)
class Difference:
    """Something in which runs differ."""

    what: str
    #: In the order of the runs; None: not there.
    values: list[Any]


def differences(store: Store, run_ids: list[str]) -> list[Difference]:
    """What differs between two runs or more. Raises `NotFound` for an unknown one, `BadInput` for fewer than two."""
    if len(set(run_ids)) < 2:
        raise BadInput("name at least two different runs", do="List them: assay runs")
    found = get_runs(store, run_ids)
    facts = [_facts(run) for run in found]
    for one, packages in zip(facts, _packages(store, run_ids), strict=True):
        one.update(packages)
    names = dict.fromkeys(name for one in facts for name in one)
    rows = [Difference(name, [one.get(name) for one in facts]) for name in names]
    return [row for row in rows if any(value != row.values[0] for value in row.values)]


def _facts(run: RunRow) -> dict[str, Any]:
    took = (run.ended_at - run.started_at).total_seconds() if run.ended_at else None
    facts: dict[str, Any] = {"status": run.status, "experiment": run.experiment, "code": run.code_version}
    facts |= {"data": (run.data_identity or {}).get("sha256", "")[:12] or None, "seconds": took}
    for kind, values in (("params", run.params), ("metrics", run.metrics), ("tags", run.tags)):
        facts |= {f"{kind}.{name}": value for name, value in values.items() if not name.startswith("system/")}
    return facts


def _packages(store: Store, run_ids: list[str]) -> list[Mapping[str, str]]:
    with store.database.read() as connection:
        asked = select(runs.c.id, runs.c.environment).where(among(runs.c.id, run_ids))
        digests = {row.id: row.environment for row in connection.execute(asked)}
    return [_installed(store, digests.get(run_id)) for run_id in run_ids]


def _installed(store: Store, digest: str | None) -> dict[str, str]:
    if not digest:
        return {}
    try:
        facts = json.loads(store.artifacts.get(digest))
    except (NotFound, ValueError):
        return {}
    return {f"package {name}": version for name, version in facts.get("packages", {}).items()}
