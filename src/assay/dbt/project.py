"""Finds and reads dbt_project.yml and profiles.yml."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from assay.dbt.declared import Relation, Tree, Unreadable
from assay.dbt.jinja import Renderer, env_var, var_of
from assay.dbt.yaml_files import listed, mapping, read_yaml
from assay.errors import BadInput, NotFound, near_miss
from assay.settings import setting

#: Of the old quoting defaults of dbt: DuckDB and PostgreSQL quote all three.
_PARTS = ("database", "schema", "identifier")
_TYPES = ("duckdb", "postgres")


@dataclass(frozen=True)
class DbtTarget:
    """Where the warehouse of a target is."""

    name: str
    target: str
    type: str
    #: The output's entries, rendered, with `database` and `schema` always set.
    values: Tree

    @property
    def database(self) -> str:
        """The database that relations lie in unless they say otherwise."""
        return str(self.values["database"])

    @property
    def schema(self) -> str:
        """The schema that models are built in."""
        return str(self.values["schema"])


@dataclass(frozen=True)
class Project:
    """A dbt project and the target that it is looked at with."""

    folder: Path
    name: str
    tree: Tree
    profile: DbtTarget
    #: The target that the profile names itself, and the vars that were given beside those of dbt_project.yml.
    default_target: str = ""
    given: Tree = field(default_factory=dict[str, Any])

    @property
    def asked_otherwise(self) -> bool:
        """Whether another target than the profile's own, or vars, were asked for."""
        return self.profile.target != self.default_target or bool(self.given)

    @property
    def packages(self) -> Path:
        """Where dbt installs packages."""
        return self.folder / str(self.tree.get("packages-install-path", "dbt_packages"))

    @cached_property
    def renderer(self) -> Renderer:
        """Knows the vars, the environment and the target."""
        target = {**self.profile.values, "name": self.profile.target, "target_name": self.profile.target}
        target |= {"profile_name": self.profile.name, "type": self.profile.type}
        target = {key: value for key, value in target.items() if key not in ("password", "pass")}
        return Renderer(
            {
                "var": var_of(mapping(self.tree.get("vars"), "dbt_project.yml: vars"), self.name, self.given),
                "env_var": env_var,
                "target": target,
                "project_name": self.name,
            }
        )

    def paths(self, key: str, default: str) -> list[Path]:
        """The folders of `model-paths` and the like, that exist."""
        try:
            listed: Any = self.renderer.tree(self.tree.get(key, [default]))
        except Unreadable as error:
            raise BadInput(f"dbt_project.yml: {key}: {error}", do="Correct it.") from None
        found = [self.folder / str(each) for each in (listed if isinstance(listed, list) else [listed])]
        return [path for path in found if path.is_dir()]

    def levels(self, kind: str, fqn: list[str]) -> Tree:
        """What dbt_project.yml sets for a node of `kind` (models, seeds, tests, ...), outermost first.

        `fqn` is the way down: project, folders, name. The tags of all levels add up. Raises `Unreadable`.
        """
        level: Any = self.tree.get(kind) or {}
        found: Tree = {}
        for step in [None, *fqn]:
            level = level if step is None else level.get(step)
            if not isinstance(level, dict):
                break
            inner: Tree = level
            for key, value in inner.items():
                if str(key).startswith("+") or not isinstance(value, dict):
                    name = str(key).removeprefix("+").strip()
                    said = self.renderer.tree(value)
                    found[name] = [*listed(found.get(name)), *listed(said)] if name == "tags" else said
        return found

    def relation(self, database: str, schema: str, identifier: str, quoting: Tree | None = None) -> Relation:
        """A relation, quoted as the project or the source (`quoting`) wants it."""
        own = mapping(self.tree.get("quoting"), "dbt_project.yml: quoting") | (quoting or {})
        parts = zip(_PARTS, (database, schema, identifier), strict=True)
        sql = ".".join(f'"{part}"' if own.get(name, True) else part for name, part in parts if part)
        return Relation(database, schema, identifier, sql)

    def shown(self, path: Path) -> str:
        """A path as seen from the project."""
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else str(path)


def read_project(folder: Path, target: str | None = None, given: Tree | None = None) -> Project:
    """The project in `folder`, with `target` or its profile's default; the vars `given` win over the project's own.

    Raises `NotFound` for what is absent, and `BadInput` for what is malformed.
    """
    folder = folder.absolute()
    file = folder / "dbt_project.yml"
    if not file.is_file():
        below = sorted(path.parent.name for path in folder.glob("*/dbt_project.yml")) if folder.is_dir() else []
        hint = f"Did you mean {folder / below[0]}?" if below else "Name the folder that holds dbt_project.yml."
        raise NotFound(f"{folder} is not a dbt project: it has no dbt_project.yml", do=hint)
    tree = read_yaml(file)
    name = tree.get("name")
    if not isinstance(name, str):
        raise BadInput(f"{file}: the project has no name", do="Write name: my_project.")
    given = given or {}
    bare = Renderer({"env_var": env_var, "var": var_of({}, name, given)})
    profile, default = _profile(folder, bare, tree.get("profile"), target)
    return Project(folder, name, tree, profile, default, given)


def _profile(folder: Path, renderer: Renderer, wanted: Any, target: str | None) -> tuple[DbtTarget, str]:
    """The target, and the one that the profile names itself."""
    file = _profiles_file(folder)
    profiles = read_yaml(file)
    try:
        name = str(renderer.value(wanted or "default"))
        if name not in profiles:
            raise NotFound(
                f"{file} has no profile {name!r}",
                f"it has {', '.join(key for key in profiles if key != 'config')}",
                do=near_miss(name, profiles) or "Write it into profiles.yml.",
            )
        profile = mapping(profiles[name], f"{file}: {name}")
        outputs = mapping(profile.get("outputs"), f"{file}: {name}.outputs")
        default = str(renderer.value(profile.get("target", "default")))
        chosen = target or default
        if chosen not in outputs:
            raise NotFound(
                f"the profile {name!r} has no target {chosen!r}",
                f"it has {', '.join(outputs)}",
                do=near_miss(chosen, outputs) or "Name one with --target.",
            )
        values: Tree = renderer.tree(mapping(outputs[chosen], f"{file}: {name}.outputs.{chosen}"))
    except Unreadable as error:
        raise BadInput(f"{file}: {error}", do="Set it, or give it a default.") from None
    return DbtTarget(name, chosen, str(values.get("type")), _complete(values, file, chosen)), default


def _profiles_file(folder: Path) -> Path:
    named = setting("DBT_PROFILES_DIR")
    places = [Path(named)] if named else [folder, Path.home() / ".dbt"]
    for place in places:
        if (place / "profiles.yml").is_file():
            return place / "profiles.yml"
    raise NotFound(
        "there is no profiles.yml",
        f"looked in {', '.join(map(str, places))}",
        do="Write one, or name its folder in DBT_PROFILES_DIR.",
    )


def _complete(values: Tree, file: Path, target: str) -> Tree:
    kind = values.get("type")
    if kind not in _TYPES:
        raise BadInput(f"{file}: target {target!r} is of type {kind!r}", do=f"Assay reads {' and '.join(_TYPES)}.")
    if kind == "postgres":
        database = values.get("dbname") or values.get("database")
        if not database or not values.get("schema"):
            raise BadInput(f"{file}: target {target!r} has no dbname or no schema", do="Write both.")
        return {**values, "database": database, "dbname": database}
    path = str(values.get("path", ":memory:"))
    return {"schema": "main", **values, "path": path, "database": values.get("database") or database_of(path)}


def database_of(path: str) -> str:
    """What DuckDB calls the database in a file.

    >>> database_of("data/shop.v2.duckdb")
    'shop'
    """
    return "memory" if path == ":memory:" else Path(path).name.lstrip(".").split(".")[0]
