"""What the YAML of a model says of one of its versions."""

from typing import Any

from assay.dbt.declared import Tree
from assay.dbt.yaml_files import listed, mappings


def of_version(tree: Tree, version: Tree) -> Tree:
    """The columns and tests of a version: those of the model, as far as it includes them, and its own.

    The rules are those of `UnparsedModelUpdate` of dbt-core's `contracts/graph/unparsed.py`.
    """
    where = f"{tree.get('name')}: version {version.get('v')}: columns"
    columns = mappings(version.get("columns"), where)
    rule = next((each for each in columns if "include" in each or "exclude" in each), {})
    kept = [each for each in mappings(tree.get("columns"), where) if _included(str(each.get("name")), rule)]
    own = [each for each in columns if each is not rule]
    tests = {key: version[key] for key in ("tests", "data_tests") if version.get(key) is not None}
    outer = {key: tree[key] for key in ("tests", "data_tests") if key in tree}
    return {"columns": [*kept, *own], **(tests or outer)}


def _included(name: str, rule: Tree) -> bool:
    include: Any = rule.get("include", "*")
    every = include in ("*", "all")
    return (every or name in listed(include)) and name not in listed(rule.get("exclude"))
