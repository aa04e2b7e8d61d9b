"""What `pip install assay` brings."""

import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """The distributions that a distribution needs, itself included, with its extras and on this machine."""
    found = {canonicalize_name(name)}
    for line in distribution(name).requires or []:
        one = Requirement(line)
        wanted = [{"extra": extra} for extra in extras] or [{"extra": ""}]
        if one.marker is None or any(one.marker.evaluate(extra) for extra in wanted):
            found |= needed(one.name, frozenset(one.extras)) - found
    return found


def test_the_core_has_at_most_25_distributions() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    direct = [Requirement(line) for line in project["dependencies"]]
    core = {"assay"}.union(*(needed(one.name, frozenset(one.extras)) for one in direct))
    assert {"starlette", "uvicorn", "duckdb", "pyarrow"} <= core
    assert len(core) <= 25, sorted(core)
