"""What `pip install assay` brings."""

import ast
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
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


def test_the_type_check_needs_only_what_make_test_installs() -> None:
    """An import of a larger part, like Spark, has a stub in `typings` or is made by name: lint runs without `make parts`."""
    root = Path(__file__).parents[1]
    locked = {canonicalize_name(line.split("==")[0]) for line in _lines(root / "requirements/test.txt") if "==" in line}
    known = packages_distributions()
    unknown: list[str] = []
    for file in (root / "src").rglob("*.py"):
        for module in _imported(ast.parse(file.read_text())):
            top = module.split(".")[0]
            installed = {canonicalize_name(one) for one in known.get(top, [])} & locked
            stub = root / "typings" / module.replace(".", "/")
            stubbed = stub.with_suffix(".pyi").exists() or (stub / "__init__.pyi").exists()
            if not (top == "assay" or top in sys.stdlib_module_names or installed or stubbed):
                unknown.append(f"{file.relative_to(root)}: {module}")
    assert unknown == []


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line[:1].isalnum()]


def _imported(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found
