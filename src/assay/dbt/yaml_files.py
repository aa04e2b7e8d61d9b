"""Reads YAML files as dbt does; what is wrong with one is told with file and line."""

from pathlib import Path
from typing import Any, cast

import yaml

from assay.dbt.declared import Tree
from assay.errors import BadInput, NotFound


def read_yaml(path: Path) -> Tree:
    """The mapping in a YAML file, empty for an empty file.

    Raises `NotFound` when it is absent and `BadInput`, with the line, when it is no YAML or no mapping.
    """
    try:
        found: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist", do="Name the folder of a dbt project.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise BadInput(f"{where}: not YAML", error.problem or str(error), do="Correct the file.") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path} can't be read", str(error).splitlines()[0], do="Correct the file.") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadInput(f"{path}: a mapping is expected", f"it is a {type(found).__name__}", do="Correct the file.")
    return cast("Tree", found)


def mapping(value: Any, where: str) -> Tree:
    """`value` as a mapping, empty when absent; raises `BadInput`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{where}: a mapping is expected", f"it is {value!r}", do="Correct the file.")
    return cast("Tree", value)


def mappings(value: Any, where: str) -> list[Tree]:
    """`value` as a list of mappings, empty when absent; raises `BadInput`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadInput(f"{where}: a list is expected", f"it is {value!r}", do="Correct the file.")
    return [mapping(each, where) for each in cast("list[Any]", value)]


def named(tree: Tree, where: str) -> str:
    """The `name` of an entry; raises `BadInput` when it has none."""
    name = tree.get("name")
    if not isinstance(name, str) or not name:
        raise BadInput(f"{where}: an entry has no name", f"it is {tree!r}"[:200], do="Give it a name.")
    return name


def listed(value: Any) -> list[Any]:
    """`value` as a list: itself if it is one, empty when absent, else the one that it is."""
    if isinstance(value, list | tuple):
        return list(cast("list[Any]", value))
    return [] if value is None else [value]
