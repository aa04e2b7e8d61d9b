"""Reads all that a project declares."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from assay.dbt.declared import Declared, Fault, Left, Skipped, Tree, Unreadable
from assay.dbt.entries import Subject, read_entry, worked_out
from assay.dbt.macros import Macros, read_macros
from assay.dbt.nodes import Node, Nodes, read_nodes
from assay.dbt.project import Project
from assay.dbt.sources import Sources
from assay.dbt.yaml_files import mapping, mappings, named, read_yaml

_FOLDERS = {
    "model-paths": "models",
    "seed-paths": "seeds",
    "snapshot-paths": "snapshots",
    "analysis-paths": "analyses",
    "macro-paths": "macros",
}
_NODES = ("models", "seeds", "snapshots")


def read_declared(project: Project) -> Declared:
    """The sources and tests of a project, what of them can't be worked out, and what is not read.

    Raises `BadInput`, with file and line, for a malformed file.
    """
    macros = read_macros(project)
    reading = _Reading(project, macros, read_nodes(project, macros), Sources(project), Declared())
    files = [(file, root, read_yaml(file)) for file, root in _files(project)]
    reading.patch(files)
    # Tests may refer to the sources of any file.
    tables = [(pair, file, root) for file, root, tree in files for pair in reading.tables(tree, file, root)]
    for (source, table), file, root in tables:
        reading.source_tests(source, table, file, root)
    for file, root, tree in files:
        reading.node_tests(tree, file, root)
        reading.leave_unit_tests(tree, file)
    reading.leave_singular_tests()
    reading.leave_packages()
    return reading.declared


class _Reading:
    """One reading of a project: gathers what is declared."""

    def __init__(self, project: Project, macros: Macros, nodes: Nodes, sources: Sources, declared: Declared) -> None:
        self.project, self.macros, self.nodes, self.sources, self.declared = project, macros, nodes, sources, declared
        self.renderer = project.renderer.knowing(ref=nodes.ref, source=sources.source)

    def patch(self, files: list[tuple[Path, Path, Tree]]) -> None:
        """Note what the files say of models, seeds and snapshots; those that only YAML declares become known."""
        for file, root, tree in files:
            for kind in _NODES:
                for each in mappings(tree.get(kind), f"{self.project.shown(file)}: {kind}"):
                    name = named(each, f"{self.project.shown(file)}: {kind}")
                    self.nodes.patches[name] = each
                    if kind == "snapshots" and "relation" in each:
                        fqn = [self.project.name, *file.relative_to(root).parent.parts, name]
                        self.nodes.known[name] = Node(kind, name, fqn, "", file)

    def tables(self, tree: Tree, file: Path, root: Path) -> Iterator[tuple[Tree, Tree]]:
        """The tables of a file's sources, each with its source."""
        return self.sources.read(tree, file, root, self.declared)

    def source_tests(self, source: Tree, table: Tree, file: Path, root: Path) -> None:
        """The tests below a table of a source."""
        names = str(source["name"]), str(table["name"])
        call = f"source('{names[0]}', '{names[1]}')"
        relation = partial(self.sources.source, *names)
        quotes = [mapping(each.get("quoting"), str(file)).get("column") for each in (table, source)]
        quoted = next((each for each in quotes if each is not None), None)
        subject = Subject(".".join(names), call, relation, file, "_".join(names), is_source=True)
        self._tests(table, subject, root, quoted=bool(quoted))

    def node_tests(self, tree: Tree, file: Path, root: Path) -> None:
        """The tests below the models, seeds and snapshots of a file."""
        for kind in _NODES:
            for each in mappings(tree.get(kind), f"{self.project.shown(file)}: {kind}"):
                name = str(each["name"])
                relation = partial(self.nodes.ref, name)
                if each.get("versions"):
                    relation = partial(self.nodes.ref, name, version=True)
                subject = Subject(name, f"ref('{name}')", relation, file, name)
                self._tests(each, subject, root, quoted=bool(each.get("quote_columns")))

    def _tests(self, tree: Tree, subject: Subject, root: Path, *, quoted: bool) -> None:
        where = f"{self.project.shown(subject.file)}: {subject.name}"
        for column in mappings(tree.get("columns"), f"{where}: columns"):
            name = named(column, f"{where}: columns")
            own = column.get("quote")
            sql = f'"{name}"' if (quoted if own is None else own) else name
            for raw in _entries(column):
                self._test(raw, subject, sql, root)
        for raw in _entries(tree):
            self._test(raw, subject, None, root)

    def _test(self, raw: Any, subject: Subject, column: str | None, root: Path) -> None:
        name, unique_id = _called(raw), ""
        shown = self.project.shown(subject.file)
        try:
            entry = read_entry(raw, subject, column, self.project.name, self.project.renderer)
            name, unique_id = entry.name, entry.unique_id
            if redefined := self.macros.redefines(entry.test):
                raise Skipped(f"its SQL is defined in {self.project.shown(redefined)}")
            fqn = [self.project.name, *subject.file.relative_to(root).parent.parts, entry.name]
            outer = {**self.project.levels("tests", fqn), **self.project.levels("data_tests", fqn)}
            self.declared.tests.append(worked_out(entry, subject, outer, self.renderer))
        except Skipped as reason:
            self.declared.left.append(Left(f"test {name}", shown, str(reason)))
        except Unreadable as error:
            self.declared.faults.append(Fault("test", unique_id, name, subject.name, str(error), subject.file))

    def leave_unit_tests(self, tree: Tree, file: Path) -> None:
        """List the unit tests: they test SQL, not data."""
        for each in mappings(tree.get("unit_tests"), f"{self.project.shown(file)}: unit_tests"):
            left = Left(f"unit test {each.get('name')}", self.project.shown(file), "it tests SQL, not data")
            self.declared.left.append(left)

    def leave_singular_tests(self) -> None:
        """List the tests that are SQL files of their own."""
        for folder in self.project.paths("test-paths", "tests"):
            for path in sorted(folder.rglob("*.sql")):
                if path.relative_to(folder).parts[0] != "generic":
                    self.declared.left.append(
                        Left(f"test {path.stem}", self.project.shown(path), "it is SQL of its own")
                    )

    def leave_packages(self) -> None:
        """List the installed packages, whose sources and tests dbt would take in."""
        place = self.project.folder / str(self.project.tree.get("packages-install-path", "dbt_packages"))
        for path in sorted(place.glob("*/dbt_project.yml")):
            self.declared.left.append(
                Left(f"package {path.parent.name}", self.project.shown(path), "packages are not read")
            )


def _files(project: Project) -> Iterator[tuple[Path, Path]]:
    """Every YAML file with the folder that it was found below, each once."""
    seen: set[Path] = set()
    for key, default in _FOLDERS.items():
        for root in project.paths(key, default):
            for file in sorted(path for ending in ("yml", "yaml") for path in root.rglob(f"*.{ending}")):
                if file not in seen:
                    seen.add(file)
                    yield file, root


def _entries(tree: Tree) -> list[Any]:
    found: list[Any] = []
    for key in ("tests", "data_tests"):
        value: Any = tree.get(key)
        found += value if isinstance(value, list) else [] if value is None else [value]
    return found


def _called(raw: Any) -> str:
    return raw if isinstance(raw, str) else str(next(iter(raw), "")) if isinstance(raw, dict) else repr(raw)
