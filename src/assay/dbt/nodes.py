"""Where the models, seeds and snapshots of a project lie in the warehouse."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assay.dbt.declared import LeftUnread, Marks, Relation, Tree, Unreadable
from assay.dbt.macros import Macros
from assay.dbt.project import Project
from assay.dbt.yaml_files import listed, mappings
from assay.errors import near_miss

_WANTED = frozenset(
    (
        "enabled",
        "schema",
        "alias",
        "database",
        "materialized",
        "tags",
        "target_schema",
        "target_database",
        "dataset",
        "project",
    )
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
    #: Of a model that has versions.
    version: str = ""

    @property
    def called(self) -> str:
        """Its name in the warehouse, unless it has an alias."""
        return f"{self.name}_v{self.version.replace('.', '_')}" if self.version else self.name


@dataclass
class Nodes:
    """The nodes of a project, found by name."""

    project: Project
    macros: Macros
    known: dict[str, Node]
    #: Name to what the YAML files say of it.
    patches: dict[str, Tree] = field(default_factory=dict[str, Tree])
    #: Of a model with versions, by name: each version's node, and which is the latest.
    versions: dict[str, dict[str, Node]] = field(default_factory=dict[str, dict[str, Node]])
    latest: dict[str, str] = field(default_factory=dict[str, str])

    def ref(self, *names: str, **version: Any) -> Relation:
        """The `ref` of dbt.

        Raises `LeftUnread` for what dbt would not test either, `Unreadable` for what can't be worked out.
        """
        return self.relation(self.node(*names, **version))

    def node(self, *names: str, **version: Any) -> Node:
        """The model, seed or snapshot that a `ref` means. Raises `LeftUnread`."""
        *package, name = names
        if package and package[0] != self.project.name:
            raise LeftUnread(f"it refers to the package {package[0]}")
        if name in self.versions:
            wanted = str(next((value for value in version.values() if value is not None), self.latest[name]))
            if wanted not in self.versions[name]:
                raise LeftUnread(f"the model {name!r} has no version {wanted}", runs=False)
            return self.versions[name][wanted]
        if name not in self.known:
            hint = near_miss(name, self.known)
            raise LeftUnread(f"the project has no model {name!r}" + (f", {hint}" if hint else ""), runs=False)
        return self.known[name]

    def unique_id(self, node: Node) -> str:
        """As dbt calls it."""
        version = f".v{node.version}" if node.version else ""
        return f"{node.kind[:-1]}.{self.project.name}.{node.name}{version}"

    def marks(self, node: Node) -> Marks:
        """By what `--select` finds it; tags that can't be worked out are left out."""
        try:
            settings = self._settings(node)
        except Unreadable:
            settings = {}
        tags = frozenset(map(str, listed(settings.get("tags"))))
        return Marks(self.unique_id(node), tuple(node.fqn), tags, self.project.shown(node.file))

    def all(self) -> dict[str, Node]:
        """Every node by id, versions one by one."""
        parted = {node.file for versions in self.versions.values() for node in versions.values()}
        versions = [node for each in self.versions.values() for node in each.values()]
        return {
            self.unique_id(node): node
            for node in [*(node for node in self.known.values() if node.file not in parted), *versions]
        }

    def patch(self, name: str, tree: Tree) -> None:
        """Note what a YAML file says of a node, its versions too."""
        self.patches[name] = tree
        versions = [each for each in mappings(tree.get("versions"), f"{name}: versions") if "v" in each]
        if not versions:
            return
        newest = str(tree.get("latest_version") or max((each["v"] for each in versions), key=_order))
        found: dict[str, Node] = {}
        for each in versions:
            version = str(each["v"])
            file = str(each.get("defined_in") or f"{name}_v{version}")
            node = self.known.get(file) or (self.known.get(name) if version == newest else None)
            if node is not None:
                found[version] = replace(node, name=name, version=version, fqn=[*node.fqn[:-1], name, f"v{version}"])
        self.versions[name], self.latest[name] = found, newest

    def relation(self, node: Node) -> Relation:
        """Where it lies. Raises as `ref`."""
        settings = self._settings(node)
        if settings.get("enabled", True) is not True:
            raise LeftUnread(f"the model {node.name!r} is disabled", runs=False)
        if settings.get("materialized") == "ephemeral":
            raise LeftUnread(f"the model {node.name!r} is ephemeral: it is no table")
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
            macros.named("generate_alias_name", str(alias or node.called).strip(), alias, about),
            self._quoting(settings),
        )

    def _settings(self, node: Node) -> Tree:
        """What is set for a node: by dbt_project.yml, then its YAML, then its own file; the last wins."""
        said = self.patches.get(node.name, {})
        patch: Tree = dict(said.get("config") or {})
        for each in said.get("versions") or ():
            if node.version and str(each.get("v")) == node.version:
                patch |= each.get("config") or {}
        if node.file.suffix == ".py" and "config(" in node.text:
            raise Unreadable(f"the settings of the Python model {node.name!r} are not read")
        inline = self.macros.templates.settings(node.text, _WANTED)
        levels = [
            self.project.levels(node.kind, node.fqn),
            {"tags": said.get("tags")},
            self.project.renderer.tree(patch),
            inline,
        ]
        tags = [tag for level in levels for tag in listed(level.get("tags"))]
        return {key: value for level in levels for key, value in level.items()} | {"tags": tags}

    @staticmethod
    def _quoting(settings: Tree) -> Tree | None:
        quoting: Any = settings.get("quoting")
        return quoting if isinstance(quoting, dict) else None


def _order(version: Any) -> tuple[int, float, str]:
    try:
        return (1, float(version), "")
    except (TypeError, ValueError):
        return (0, 0.0, str(version))


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
