"""The tables of the sources that a YAML file declares."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.dbt.declared import Declared, Left, LeftUnread, Marks, Relation, Source, Tree, Unreadable, Unresolved
from assay.dbt.project import Project
from assay.dbt.thresholds import freshness_of, merge
from assay.dbt.yaml_files import listed, mapping, mappings, named
from assay.errors import near_miss

#: Rendered by whoever reads them.
LATER = frozenset(("description", "tests", "data_tests", "loaded_at_query"))


@dataclass(frozen=True)
class SourceTable:
    """A table of a source with what is written of both."""

    source: Tree
    table: Tree
    relation: Relation


@dataclass
class Sources:
    """The tables of all sources, by (source, table)."""

    project: Project
    known: dict[tuple[str, str], SourceTable] = field(default_factory=dict[tuple[str, str], SourceTable])
    #: Why a table that is declared can't be asked.
    lost: dict[tuple[str, str], Exception] = field(default_factory=dict[tuple[str, str], Exception])

    def source(self, source: str, table: str) -> Relation:
        """The `source` of dbt.

        Raises `LeftUnread` for one that is unknown or disabled: dbt would not test it either; `Unreadable` when its
        place can't be worked out.
        """
        if (source, table) not in self.known:
            if (source, table) in self.lost:
                raise self.lost[source, table]
            hint = near_miss(f"{source}.{table}", [".".join(key) for key in self.known])
            raise LeftUnread(f"the project has no source {source}.{table}" + (f", {hint}" if hint else ""), runs=False)
        return self.known[source, table].relation

    def read(self, tree: Tree, file: Path, root: Path, declared: Declared) -> Iterator[tuple[Tree, Tree]]:
        """Read the sources of one file below `root`; gives each table with its source, for their tests."""
        shown = self.project.shown(file)
        for raw in mappings(tree.get("sources"), f"{shown}: sources"):
            name = named(raw, f"{shown}: sources")
            if "overrides" in raw:
                declared.left.append(Left(f"source {name}", shown, "it overrides a source of a package"))
                continue
            for raw_table in mappings(raw.get("tables"), f"{shown}: source {name}: tables"):
                yield self._table(raw, raw_table, file, root, declared)

    def _table(self, outer: Tree, inner: Tree, file: Path, root: Path, declared: Declared) -> tuple[Tree, Tree]:
        """Read one table; gives the two mappings, rendered if they can be, for the tests below them."""
        shown = self.project.shown(file)
        key = named(outer, shown), named(inner, f"{shown}: source {outer['name']}")
        name, unique_id = ".".join(key), f"source.{self.project.name}.{'.'.join(key)}"
        try:
            outer = {part: value for part, value in outer.items() if part != "tables"}
            outer = self.project.renderer.tree(outer, but=LATER)
            inner = self.project.renderer.tree(inner, but=LATER)
            levels = self.project.levels("sources", [self.project.name, *file.relative_to(root).parent.parts, *key])
            settings = {**levels, **_config(outer, shown), **_config(inner, shown)}
            if settings.get("enabled", True) is not True:
                self.lost[key] = LeftUnread(f"the source {name} is disabled", runs=False)
                declared.left.append(Left(f"source {name}", shown, "it is disabled"))
                return outer, inner
            made = SourceTable(outer, inner, self._relation(outer, inner, shown))
            self.known[key] = made
            fqn = (self.project.name, *file.relative_to(root).parent.parts, *key)
            said = (levels, outer, _config(outer, shown), inner, _config(inner, shown))
            tags = frozenset(str(tag) for level in said for tag in listed(level.get("tags")))
            marks = Marks(unique_id, fqn, tags, shown)
            declared.nodes[unique_id] = marks
            declared.sources.append(self._source(made, marks, levels, file))
        except Unreadable as error:
            marks = Marks(unique_id, (self.project.name, *key), path=shown)
            declared.faults.append(Unresolved("freshness", unique_id, name, name, str(error), file, marks))
            self.lost[key] = Unreadable(str(error))
        return outer, inner

    def _source(self, made: SourceTable, marks: Marks, levels: Tree, file: Path) -> Source:
        outer, inner = made.source, made.table
        shown = self.project.shown(file)
        each = (outer, _config(outer, shown), inner, _config(inner, shown))
        field_, query = _loaded_at(*each)
        thresholds = merge([freshness_of(level) for level in each], levels.get("freshness", {}))
        if query is not None:
            known = self.project.renderer.knowing(this=made.relation, source=self.source)
            query = known.text(query)
        names = str(outer["name"]), str(inner["name"])
        return Source(marks.unique_id, *names, made.relation, thresholds, field_, query, file, marks)

    def _relation(self, outer: Tree, inner: Tree, shown: str) -> Relation:
        database = str(outer.get("database") or self.project.profile.database)
        schema = str(outer.get("schema") or outer["name"])
        identifier = str(inner.get("identifier") or inner["name"])
        own = mapping(outer.get("quoting"), shown) | mapping(inner.get("quoting"), shown)
        quoting = {key: value for key, value in own.items() if value is not None}
        found = self.project.relation(database, schema, identifier, quoting)
        if self.project.profile.type != "duckdb":
            return found
        meta: Tree = {}
        for level in (outer, _config(outer, shown), inner, _config(inner, shown)):
            meta |= mapping(level.get("meta"), shown)
        extra = {**_config(outer, shown), **_config(inner, shown), **meta}
        if "plugin" in extra:
            raise Unreadable("the source is read by a plugin of dbt-duckdb")
        place = extra.get("external_location")
        if place is None:
            return found
        known = {"name": inner["name"], "identifier": identifier, "schema": schema, "database": database, **meta}
        try:
            sql = str(place).format_map(known)
        except (KeyError, ValueError, IndexError) as error:
            raise Unreadable(f"external_location: {place!r} can't be filled in: {error}") from None
        return Relation(database, schema, identifier, sql if "(" in sql or sql.startswith("'") else f"'{sql}'")


def _config(tree: Tree, where: str) -> Tree:
    return mapping(tree.get("config"), f"{where}: config")


def _loaded_at(source: Tree, source_config: Tree, table: Tree, table_config: Tree) -> tuple[str | None, str | None]:
    """The field and the query by which a table's age is known.

    `loaded_at_field: null` on a table takes away what the source says of both.
    """
    field_key, query_key = "loaded_at_field", "loaded_at_query"
    present = field_key in table or bool(table_config.get(field_key))
    own_query = table.get(query_key) or table_config.get(query_key)
    outer_field = source.get(field_key) or source_config.get(field_key)
    outer_query = source.get(query_key) or source_config.get(query_key)
    if (present and own_query) or (outer_field and outer_query):
        raise Unreadable("loaded_at_field and loaded_at_query are set on the same level")
    found: Any = (table.get(field_key) or table_config.get(field_key)) if present else outer_field
    query: Any = own_query or (None if present else outer_query)
    return (None if found is None else str(found)), (None if query is None else str(query))
