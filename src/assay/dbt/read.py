"""Reads all that a project declares."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from assay.dbt.declared import (
    Declared,
    Left,
    LeftUnread,
    Marks,
    Relation,
    Test,
    Tree,
    Unreadable,
    Unresolved,
)
from assay.dbt.entries import DeclaredTest, Subject, judged, read_entry, worked_out
from assay.dbt.macros import Macros, read_macros
from assay.dbt.manifest import Entry, read_manifest
from assay.dbt.nodes import Node, Nodes, read_nodes
from assay.dbt.project import Project
from assay.dbt.sources import Sources
from assay.dbt.versions import of_version
from assay.dbt.yaml_files import listed, mapping, mappings, named, read_yaml

_FOLDERS = {
    "model-paths": "models",
    "seed-paths": "seeds",
    "snapshot-paths": "snapshots",
    "analysis-paths": "analyses",
    "macro-paths": "macros",
}
_NODES = ("models", "seeds", "snapshots")


def read_declared(project: Project, *, marked: bool = False) -> Declared:
    """The sources and tests of a project, what of them can't be worked out, and what is not read.

    `marked`: also by what models can be selected. Raises `BadInput`, with file and line, for a malformed file.
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
    reading.singular_tests()
    reading.other_tests()
    if marked:
        reading.mark()
    return reading.declared


class _Reading:
    """One reading of a project: gathers what is declared."""

    def __init__(self, project: Project, macros: Macros, nodes: Nodes, sources: Sources, declared: Declared) -> None:
        self.project, self.macros, self.nodes, self.sources, self.declared = project, macros, nodes, sources, declared
        self.manifest = read_manifest(project)

    def patch(self, files: list[tuple[Path, Path, Tree]]) -> None:
        """Note what the files say of models, seeds and snapshots; those that only YAML declares become known."""
        for file, root, tree in files:
            for kind in _NODES:
                for each in mappings(tree.get(kind), f"{self.project.shown(file)}: {kind}"):
                    name = named(each, f"{self.project.shown(file)}: {kind}")
                    self.nodes.patch(name, each)
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
        unique_id = f"source.{self.project.name}.{'.'.join(names)}"
        subject = Subject(".".join(names), call, relation, file, "_".join(names), unique_id, is_source=True)
        self._tests(table, subject, root, quoted=bool(quoted))

    def node_tests(self, tree: Tree, file: Path, root: Path) -> None:
        """The tests below the models, seeds and snapshots of a file."""
        for kind in _NODES:
            for each in mappings(tree.get(kind), f"{self.project.shown(file)}: {kind}"):
                quoted = bool(each.get("quote_columns"))
                for subject, tree_of_it in self._subjects(kind, each, file):
                    self._tests(tree_of_it, subject, root, quoted=quoted)

    def _subjects(self, kind: str, tree: Tree, file: Path) -> Iterator[tuple[Subject, Tree]]:
        """A model, seed or snapshot with what is said of it, or each of its versions."""
        name = str(tree["name"])
        unique_id = f"{kind[:-1]}.{self.project.name}.{name}"
        if name not in self.nodes.versions:
            yield Subject(name, f"ref('{name}')", partial(self.nodes.ref, name), file, name, unique_id), tree
            return
        for each in mappings(tree.get("versions"), f"{self.project.shown(file)}: {name}: versions"):
            version = str(each.get("v"))
            relation = partial(self.nodes.ref, name, version=version)
            call = f"ref('{name}', version='{version}')"
            called = f"{name}_v{version}"
            yield Subject(called, call, relation, file, called, f"{unique_id}.v{version}"), of_version(tree, each)

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
        name, marks = _called(raw), Marks("", parents=frozenset([subject.unique_id]))
        try:
            entry = read_entry(raw, subject, column, self.project.name, self.project.renderer)
            name = entry.name
            fqn = [self.project.name, *subject.file.relative_to(root).parent.parts, entry.name]
            levels = {**self.project.levels("tests", fqn), **self.project.levels("data_tests", fqn)}
            settings = levels | entry.settings
            marks = Marks(
                entry.unique_id,
                tuple(fqn),
                frozenset(map(str, [*listed(levels.get("tags")), *listed(entry.settings.get("tags"))])),
                self.project.shown(subject.file),
                "generic",
                entry.test,
                marks.parents,
            )
            if settings.get("enabled", True) is not True:
                raise LeftUnread("it is disabled", runs=False)
            self._add(lambda: self._worked_out(entry, subject, settings, marks), entry.unique_id, settings, subject)
        except LeftUnread as reason:
            self._leave(f"test {name}", self.project.shown(subject.file), reason, marks)
        except Unreadable as error:
            fault = Unresolved("test", marks.unique_id, name, subject.name, str(error), subject.file, marks)
            self.declared.faults.append(fault)

    def _worked_out(self, entry: DeclaredTest, subject: Subject, settings: Tree, marks: Marks) -> Test:
        """A test of those whose SQL is made here, with all that it refers to among its parents."""
        if redefined := self.macros.redefines(entry.test):
            raise LeftUnread(f"its SQL is defined in {self.project.shown(redefined)}")
        parents = set(marks.parents)

        def ref(*names: str, **version: Any) -> Relation:
            parents.add(self.nodes.unique_id(self.nodes.node(*names, **version)))
            return self.nodes.ref(*names, **version)

        def source(*names: str) -> Relation:
            parents.add(f"source.{self.project.name}.{'.'.join(names)}")
            return self.sources.source(*names)

        renderer = self.project.renderer.knowing(ref=ref, source=source)
        test = worked_out(entry, subject, settings, marks, renderer)
        return replace(test, marks=replace(marks, parents=frozenset(parents)))

    def _add(self, own: Callable[[], Test], unique_id: str, settings: Tree, subject: Subject) -> None:
        """Add a test: as it is read here, else as dbt compiled it."""
        try:
            self.declared.tests.append(own())
        except (LeftUnread, Unreadable) as reason:
            if isinstance(reason, LeftUnread) and not reason.runs:
                raise
            try:
                self._compiled(unique_id, settings, subject)
            except LeftUnread as why_not:
                if isinstance(reason, Unreadable):
                    raise Unreadable(f"{reason}; {why_not}") from None
                raise LeftUnread(str(reason), hint=str(why_not)) from None

    def _compiled(self, unique_id: str, settings: Tree | None = None, subject: Subject | None = None) -> None:
        """Add a test as dbt compiled it; `settings` and `subject` are those read here. Raises `LeftUnread`."""
        entry, sql = self.manifest.test(unique_id)
        self._same_place(entry)
        compiled_with = str(entry.config.get("where") or "")
        if settings is not None and str(settings.get("where") or "") != compiled_with:
            raise LeftUnread("its where has changed since dbt compiled it: run dbt compile")
        generic = entry.test_metadata
        kind = ".".join(filter(None, (generic.namespace, generic.name))) if generic else "singular"
        test = Test(
            unique_id=unique_id,
            name=entry.name,
            kind=kind,
            subject=subject.name if subject else self._subject_of(entry),
            relation=self.manifest.relation(entry.attached_node or next(iter(entry.depends_on.nodes), None)),
            column=entry.column_name or "",
            file=subject.file if subject else self.project.folder / entry.original_file_path,
            marks=entry.marks,
            settings=judged(self.manifest.settings(entry) | (settings or {})),
            compiled=sql,
        )
        self.declared.tests.append(test)
        self.declared.compiled_at = self.manifest.generated_at

    def _subject_of(self, entry: Entry) -> str:
        about = self.manifest.entries.get(entry.attached_node or "")
        return about.name if about and entry.test_metadata else entry.name

    def _same_place(self, entry: Entry) -> None:
        """Raise `LeftUnread` when a table that the SQL names lies elsewhere by what is declared now."""
        nodes = self.nodes.all()
        for parent in entry.depends_on.nodes:
            there = self.manifest.relation(parent)
            if there is None or parent not in nodes:
                continue
            try:
                here = self.nodes.relation(nodes[parent])
            except (LeftUnread, Unreadable):
                continue  # what is declared says nothing, so that dbt's word stands
            if here.sql != there.sql:
                raise LeftUnread(f"dbt compiled it for {there}, declared is {here}: run dbt compile")

    def _leave(self, what: str, shown: str, reason: LeftUnread, marks: Marks) -> None:
        self.declared.left.append(Left(what, shown, str(reason), marks if reason.runs else None, reason.hint))

    def leave_unit_tests(self, tree: Tree, file: Path) -> None:
        """List the unit tests: they test SQL, not data."""
        shown = self.project.shown(file)
        for each in mappings(tree.get("unit_tests"), f"{shown}: unit_tests"):
            name = str(each.get("name"))
            parent = f"model.{self.project.name}.{each.get('model')}"
            marks = Marks(name, (self.project.name, name), path=shown, test_type="unit", parents=frozenset([parent]))
            self._leave(f"unit test {name}", shown, LeftUnread("it tests SQL, not data"), marks)

    def singular_tests(self) -> None:
        """The tests that are SQL files of their own, by the SQL that dbt compiled."""
        for folder in self.project.paths("test-paths", "tests"):
            for path in sorted(folder.rglob("*.sql")):
                inner = path.relative_to(folder).parts
                if inner[0] == "generic":
                    continue
                unique_id = f"test.{self.project.name}.{path.stem}"
                shown = self.project.shown(path)
                fqn = (self.project.name, *inner[:-1], path.stem)
                try:
                    self._compiled(unique_id)
                except LeftUnread as why_not:
                    marks = Marks(unique_id, fqn, path=shown, test_type="singular")
                    reason = LeftUnread("it is SQL of its own", hint=str(why_not))
                    self._leave(f"test {path.stem}", shown, reason, marks)
                except Unreadable as error:
                    marks = Marks(unique_id, fqn, path=shown, test_type="singular")
                    self.declared.faults.append(
                        Unresolved("test", unique_id, path.stem, path.stem, str(error), path, marks)
                    )

    def other_tests(self) -> None:
        """The tests that only dbt's manifest knows, those of installed packages among them."""
        known = {test.unique_id for test in self.declared.tests}
        known |= {each.marks.unique_id for each in [*self.declared.left, *self.declared.faults] if each.marks}
        for entry in self.manifest.tests():
            own = entry.package_name == self.project.name
            if entry.unique_id in known or (own and self.manifest.older_than(entry)):
                continue
            try:
                self._compiled(entry.unique_id)
            except LeftUnread as reason:
                self._leave(f"test {entry.name}", entry.original_file_path, reason, entry.marks)
            except Unreadable as error:
                file = self.project.folder / entry.original_file_path
                subject = self._subject_of(entry)
                self.declared.faults.append(
                    Unresolved("test", entry.unique_id, entry.name, subject, str(error), file, entry.marks)
                )
        if self.manifest.why_not:
            for path in sorted(self.project.packages.glob("*/dbt_project.yml")):
                shown = self.project.shown(path)
                self.declared.left.append(
                    Left(f"package {path.parent.name}", shown, "packages are not read", hint=self.manifest.why_not)
                )

    def mark(self) -> None:
        """Note by what the models, seeds, snapshots and sources can be selected."""
        for entry in self.manifest.entries.values():
            if entry.resource_type != "test":
                self.declared.nodes[entry.unique_id] = entry.marks
        for unique_id, node in self.nodes.all().items():
            self.declared.nodes[unique_id] = self.nodes.marks(node)


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
