"""Where the models, seeds and snapshots of a project lie in the warehouse."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.dbt.declared import Relation, Skipped, Tree, Unreadable
from assay.dbt.macros import Macros
from assay.dbt.project import Project
from assay.errors import near_miss

_WANTED = frozenset(
    ("enabled", "schema", "alias", "database", "materialized", "target_schema", "target_database", "dataset", "project")
)
_SNAPSHOT = re.compile(r"{%-?\s*snapshot\s+(\w+)\s*-?%}(.*?){%-?\s*endsnapshot\s*-?%}", re.DOTALL)
_PATHS = {"models": "model-paths", "seeds": "seed-paths", "snapshots": "snapshot-paths"}


@dataclass(frozen=True)
class Node:
    """A model, seed or snapshot: what it is called and what is written about it."""

    kind: str
    name: str
    #: Project, folders, name: the way down in dbt_project.yml.
    fqn: list[str]
    #: Its SQL; empty for a seed and for a snapshot in YAML.
    text: str
    file: Path


@dataclass
class Nodes:
    """The nodes of a project, found by name."""

    project: Project
    macros: Macros
    known: dict[str, Node]
    #: Name to what the YAML files say of it.
    patches: dict[str, Tree] = field(default_factory=dict[str, Tree])

    def ref(self, *names: str, **version: Any) -> Relation:
        """The `ref` of dbt.

        Raises `Skipped` for what dbt would not test either, `Unreadable` for what can't be worked out.
        """
        *package, name = names
        if package and package[0] != self.project.name:
            raise Skipped(f"it refers to the package {package[0]}")
        if any(version.values()):
            raise Skipped("it refers to a version of a model")
        if name not in self.known:
            hint = near_miss(name, self.known)
            raise Skipped(f"the project has no model {name!r}" + (f", {hint}" if hint else ""))
        return self._relation(self.known[name])

    def _relation(self, node: Node) -> Relation:
        settings = self._settings(node)
        if settings.get("enabled", True) is not True:
            raise Skipped(f"the model {node.name!r} is disabled")
        if settings.get("materialized") == "ephemeral":
            raise Skipped(f"the model {node.name!r} is ephemeral: it is no table")
        profile, macros = self.project.profile, self.macros
        about = {"name": node.name, "fqn": node.fqn, "resource_type": node.kind[:-1], "config": settings}
        schema, alias, database = settings.get("schema"), settings.get("alias"), settings.get("database")
        where = f"{profile.schema}_{str(schema).strip()}" if schema is not None else profile.schema
        return self.project.relation(
            str(settings.get("target_database"))
            if settings.get("target_database")
            else macros.named("generate_database_name", str(database or profile.database), database, about),
            str(settings.get("target_schema"))
            if settings.get("target_schema")
            else macros.named("generate_schema_name", where, schema, about),
            macros.named("generate_alias_name", str(alias or node.name).strip(), alias, about),
            self._quoting(settings),
        )

    def _settings(self, node: Node) -> Tree:
        """What is set for a node: by dbt_project.yml, then its YAML, then its own file; the last wins."""
        renderer = self.project.renderer
        patch: Any = self.patches.get(node.name, {}).get("config") or {}
        own = renderer.knowing(this=node.name, ref=_nothing, source=_nothing)
        if node.file.suffix == ".py" and "config(" in node.text:
            raise Unreadable(f"the settings of the Python model {node.name!r} are not read")
        inline = own.calls(node.text, "config", _WANTED) if "config" in node.text else {}
        return {**self.project.levels(node.kind, node.fqn), **renderer.tree(patch), **inline}

    @staticmethod
    def _quoting(settings: Tree) -> Tree | None:
        quoting: Any = settings.get("quoting")
        return quoting if isinstance(quoting, dict) else None


def _nothing(*_: Any, **__: Any) -> str:
    return ""


def read_nodes(project: Project, macros: Macros) -> Nodes:
    """The nodes that have files of their own; those in YAML are added as the YAML is read."""
    known: dict[str, Node] = {}
    for kind, key in _PATHS.items():
        for root in project.paths(key, kind):
            for path in sorted(root.rglob("*")):
                for node in _nodes_of(project, kind, root, path):
                    known[node.name] = node
    return Nodes(project, macros, known)


def _nodes_of(project: Project, kind: str, root: Path, path: Path) -> list[Node]:
    fqn = [project.name, *path.relative_to(root).parent.parts]
    if kind == "seeds":
        return [Node(kind, path.stem, [*fqn, path.stem], "", path)] if path.suffix == ".csv" else []
    if path.suffix not in (".sql", ".py") or (kind == "snapshots" and path.suffix == ".py"):
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    blocks = _SNAPSHOT.findall(text)
    if blocks:
        return [Node("snapshots", name, [*fqn, path.stem, name], inner, path) for name, inner in blocks]
    return [Node(kind, path.stem, [*fqn, path.stem], text, path)] if kind == "models" else []
