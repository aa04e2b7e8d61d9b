"""What dbt itself left in `target/`: the SQL of each test, as it compiled it.

It answers the tests whose SQL is not made here: singular ones, those of packages and of the project's own, and those on ephemeral
models. SQL is used only while it is the project's: the adapter, target and vars are those of dbt's last run, and the files
that it was compiled from are unchanged.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from assay.dbt.declared import LeftUnread, Marks, Relation, Tree, Unreadable
from assay.dbt.project import Project
from assay.settings import setting

#: dbt's own of the largest public projects are below 100 MB.
MOST_BYTES = 1 << 30
_AGAIN = "run dbt compile"
_CONFIG = re.compile(r"\bconfig\s*\((.*?)\)\s*-?}}", re.DOTALL)
_KEY = re.compile(r"\b(\w+)\s*=")
_T = TypeVar("_T")


class _DependsOn(msgspec.Struct):
    macros: list[str] = []
    nodes: list[str] = []


class _Generic(msgspec.Struct):
    name: str
    namespace: str | None = None
    kwargs: Tree = {}


class Entry(msgspec.Struct):
    """A node or source of a manifest."""

    unique_id: str
    name: str
    resource_type: str
    package_name: str
    original_file_path: str
    path: str = ""
    fqn: list[str] = []
    tags: list[str] = []
    database: str | None = None
    schema: str | None = None
    alias: str | None = None
    identifier: str | None = None
    relation_name: str | None = None
    config: Tree = {}
    raw_code: str = ""
    compiled_code: str | None = None
    column_name: str | None = None
    attached_node: str | None = None
    test_metadata: _Generic | None = None
    depends_on: _DependsOn = msgspec.field(default_factory=_DependsOn)

    @property
    def marks(self) -> Marks:
        """By what `--select` finds it."""
        generic = self.test_metadata
        return Marks(
            self.unique_id,
            tuple(self.fqn),
            frozenset(self.tags),
            self.original_file_path,
            "" if self.resource_type != "test" else "generic" if generic else "singular",
            generic.name if generic else "",
            frozenset(self.depends_on.nodes),
        )


class _Macro(msgspec.Struct):
    package_name: str
    original_file_path: str
    macro_sql: str
    depends_on: _DependsOn = msgspec.field(default_factory=_DependsOn)


class _Metadata(msgspec.Struct):
    generated_at: datetime
    adapter_type: str | None = None
    invocation_id: str | None = None


class _Written(msgspec.Struct):
    metadata: _Metadata
    nodes: dict[str, Entry] = {}
    sources: dict[str, Entry] = {}
    macros: dict[str, _Macro] = {}


class _Result(msgspec.Struct):
    unique_id: str
    status: str
    message: str | None = None


class _Results(msgspec.Struct):
    metadata: Tree
    args: Tree = {}
    results: list[_Result] = []


@dataclass(frozen=True)
class Manifest:
    """The manifest of a project, or why it is of no use."""

    project: Project
    folder: Path
    #: Why no SQL of it can be used; empty when it can.
    why_not: str = ""
    generated_at: datetime | None = None
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    macros: dict[str, _Macro] = field(default_factory=dict[str, _Macro])
    #: What dbt said of the tests that it could not ask.
    refused: dict[str, str] = field(default_factory=dict[str, str])

    def tests(self) -> Iterator[Entry]:
        """The tests that dbt would run."""
        return (each for each in self.entries.values() if each.resource_type == "test" and not self.why_not)

    def test(self, unique_id: str) -> tuple[Entry, str]:
        """A test and its SQL.

        Raises `LeftUnread` when dbt left none, or of other files than those of now, `Unreadable` when dbt failed to.
        """
        if self.why_not:
            raise LeftUnread(self.why_not)
        entry = self.entries.get(unique_id)
        if entry is None or entry.resource_type != "test":
            raise LeftUnread(f"dbt has not compiled it: {_AGAIN}")
        sql = self._sql(entry)
        if changed := next(self._changed(entry), None):
            raise LeftUnread(f"{changed} has changed since dbt compiled it: {_AGAIN}")
        return entry, sql

    def settings(self, entry: Entry) -> Tree:
        """How a test is judged by the `config` in its own SQL or in that of its macro."""
        texts = [macro.macro_sql for macro in self._macros(entry)]
        said = set(_KEY.findall(" ".join(_CONFIG.findall(" ".join(texts)))))
        if entry.test_metadata is None:
            said = set(entry.config)
        return {key: value for key, value in entry.config.items() if key in said and value is not None}

    def relation(self, unique_id: str | None) -> Relation | None:
        """The table of a model or source; None for what is no table or not known."""
        entry = self.entries.get(unique_id or "")
        if entry is None or not entry.relation_name:
            return None
        name = entry.identifier or entry.alias or entry.name
        return Relation(entry.database or "", entry.schema or "", name, entry.relation_name)

    def older_than(self, entry: Entry) -> bool:
        """Whether the file that declares it was written after the manifest."""
        path = self._file(entry.package_name, entry.original_file_path)
        return not path.is_file() or self.generated_at is None or _written(path) > self.generated_at

    def _macros(self, entry: Entry) -> list[_Macro]:
        """The macros that a node calls, directly or not, without dbt's own."""
        found: dict[str, _Macro] = {}
        names = list(entry.depends_on.macros)
        while names:
            name = names.pop()
            macro = self.macros.get(name)
            if macro is not None and macro.package_name != "dbt" and name not in found:
                found[name] = macro
                names += macro.depends_on.macros
        return list(found.values())

    def _sql(self, entry: Entry) -> str:
        if entry.compiled_code:
            return entry.compiled_code
        declared = entry.original_file_path
        inner = f"{declared}/{entry.path}" if entry.test_metadata else declared
        path = self.folder / "compiled" / entry.package_name / inner
        source = self._file(entry.package_name, declared)
        if not path.is_file():
            if entry.unique_id in self.refused:
                raise Unreadable(f"dbt could not compile it: {self.refused[entry.unique_id]}")
            raise LeftUnread(f"dbt has not compiled it: {_AGAIN}")
        if source.is_file() and _written(source) > _written(path):
            raise LeftUnread(f"{self.project.shown(source)} has changed since dbt compiled it: {_AGAIN}")
        return path.read_text(encoding="utf-8", errors="replace")

    def _changed(self, entry: Entry) -> Iterator[str]:
        """The files that no longer hold what the SQL of a test was made of; those of ephemeral models among them."""
        if entry.test_metadata is None:
            yield from self._differs(entry.package_name, entry.original_file_path, entry.raw_code)
        for macro in self._macros(entry):
            yield from self._differs(macro.package_name, macro.original_file_path, macro.macro_sql)
        for name in entry.depends_on.nodes:
            node = self.entries.get(name)
            if node is not None and node.resource_type in ("model", "snapshot"):
                yield from self._differs(node.package_name, node.original_file_path, node.raw_code)
                if node.config.get("materialized") == "ephemeral":
                    yield from self._changed(node)

    def _differs(self, package: str, path: str, text: str) -> Iterator[str]:
        file = self._file(package, path)
        if not file.is_file():
            if package == self.project.name:
                yield path
        elif text.strip() not in file.read_text(encoding="utf-8", errors="replace"):
            yield self.project.shown(file)

    def _file(self, package: str, path: str) -> Path:
        if package == self.project.name:
            return self.project.folder / path
        return self.project.packages / package / path


def read_manifest(project: Project) -> Manifest:
    """What dbt left in the target folder of a project."""
    folder = project.folder / str(setting("DBT_TARGET_PATH") or project.tree.get("target-path") or "target")
    file = folder / "manifest.json"
    if not file.is_file():
        return Manifest(project, folder, f"{project.shown(file)} does not exist: {_AGAIN}")
    written = _read(file, _Written)
    if isinstance(written, str):
        return Manifest(project, folder, f"{project.shown(file)} can't be read: {written}")
    made_at = written.metadata.generated_at
    made_at = made_at if made_at.tzinfo else made_at.replace(tzinfo=UTC)
    results = _read(folder / "run_results.json", _Results)
    if isinstance(results, str) or results.metadata.get("invocation_id") != written.metadata.invocation_id:
        results = None
    refused = {one.unique_id: _line(one.message) for one in results.results if one.status == "error"} if results else {}
    why_not = _unlike(project, written, results)
    return Manifest(project, folder, why_not, made_at, {**written.nodes, **written.sources}, written.macros, refused)


def _line(message: str | None) -> str:
    return " ".join((message or "").split())


def _unlike(project: Project, written: _Written, results: _Results | None) -> str:
    """Why the SQL is of another target or of other vars than those asked for; empty when it is not."""
    profile, again = project.profile, f"dbt compiled for another target or with other vars: {_AGAIN} with these"
    if written.metadata.adapter_type != profile.type:
        return again
    databases = {each.database for each in written.nodes.values() if each.resource_type == "test"}
    if databases and profile.database not in databases:
        return again
    if results is None:
        # Of this manifest nothing is known but what it says itself.
        return again if project.asked_otherwise else ""
    args: dict[str, Any] = results.args
    same = (args.get("target") or project.default_target) == profile.target and (
        args.get("vars") or {}
    ) == project.given
    return "" if same else again


def _read(path: Path, kind: type[_T]) -> _T | str:
    """What a file of dbt holds, or why it can't be read."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return f"it has more than {MOST_BYTES >> 20} MiB"
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        return str(error)


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
