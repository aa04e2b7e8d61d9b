"""Reads one entry under `data_tests:` (once `tests:`): name, arguments and settings, as dbt's TestBuilder does."""

import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any, cast, get_args

from assay.dbt.declared import Kind, LeftUnread, Marks, Relation, Settings, Test, Tree, Unreadable
from assay.dbt.jinja import Renderer
from assay.dbt.yaml_files import mapping
from assay.errors import BadInput

_NAME = re.compile(r"(?:(?P<package>[a-zA-Z_]\w*)\.)?(?P<name>[a-zA-Z_]\w*)")
#: What may stand beside the arguments instead of under `config`.
_SETTINGS = (
    "severity",
    "tags",
    "enabled",
    "where",
    "limit",
    "warn_if",
    "error_if",
    "fail_calc",
    "store_failures",
    "store_failures_as",
    "meta",
    "database",
    "schema",
    "alias",
)
_ARGUMENTS: dict[str, frozenset[str]] = {
    "not_null": frozenset(),
    "unique": frozenset(),
    "accepted_values": frozenset(("values", "quote")),
    "relationships": frozenset(("to", "field")),
}
_NEEDED = {"accepted_values": ("values",), "relationships": ("to", "field")}


@dataclass(frozen=True)
class Subject:
    """What a test stands under."""

    #: source.table, or the name of a model.
    name: str
    #: The call that gives its relation, as dbt writes it into a test.
    call: str
    #: Raises `Skipped` or `Unreadable`.
    relation: Callable[[], Relation]
    file: Path
    #: How dbt names it in the name of a test: with its source.
    stem: str
    #: dbt's, of the model or source.
    unique_id: str
    is_source: bool = False


@dataclass(frozen=True)
class DeclaredTest:
    """One test as it is written, not yet worked out."""

    package: str | None
    test: str
    name: str
    unique_id: str
    arguments: Tree
    settings: Tree


def read_entry(raw: Any, subject: Subject, column: str | None, project: str, renderer: Renderer) -> DeclaredTest:
    """Part an entry into arguments and settings, and name it as dbt does.

    Raises `Unreadable` for what dbt refuses, too.
    """
    written, arguments = _parted(raw)
    if column is not None:
        arguments["column_name"] = column
    if isinstance(under := arguments.pop("arguments", {}), dict):
        arguments |= cast("Tree", under)
    if "model" in arguments:
        raise Unreadable(f"{written}: a test has no argument 'model'")
    arguments["model"] = f"{{{{ get_where_subquery({subject.call}) }}}}"
    match = _NAME.match(written)
    if match is None:
        raise Unreadable(f"{written!r} is not the name of a test")
    settings = _settings(arguments, renderer)
    arguments.pop("description", None)
    given = arguments.pop("name", None)
    name = str(given) if given is not None else _made_name(match, subject, arguments)
    kwargs = {"namespace": match["package"], "name": match["name"], "kwargs": arguments}
    digest = md5((name + repr(_hashable(kwargs))).encode(), usedforsecurity=False).hexdigest()[-10:]
    return DeclaredTest(match["package"], match["name"], name, f"test.{project}.{name}.{digest}", arguments, settings)


def worked_out(entry: DeclaredTest, subject: Subject, settings: Tree, marks: Marks, renderer: Renderer) -> Test:
    """The test that an entry declares, if its SQL is made here; `settings` are those of all levels.

    Raises `LeftUnread` for one that is not one of the four, or about something dbt would leave out too, and
    `Unreadable` for what can't be worked out.
    """
    if entry.package not in (None, "dbt"):
        raise LeftUnread(f"{entry.package}.{entry.test} is a test of a package")
    if entry.test not in get_args(Kind):
        raise LeftUnread(f"{entry.test} is a test of the project's own")
    kind = cast("Kind", entry.test)
    relation = subject.relation()
    column, known = _arguments(entry, kind, renderer)
    return Test(
        unique_id=entry.unique_id,
        name=entry.name,
        kind=kind,
        subject=subject.name,
        relation=relation,
        column=column,
        file=subject.file,
        marks=marks,
        settings=judged(settings),
        values=_values(known),
        to=str(known.get("to", "")),
        to_field=str(known.get("field", "")),
    )


def _arguments(entry: DeclaredTest, kind: Kind, renderer: Renderer) -> tuple[str, Tree]:
    """The column, which dbt leaves as it is written, and the other arguments, rendered."""
    given = {key: value for key, value in entry.arguments.items() if key != "model"}
    column = given.pop("column_name", None)
    if column is None:
        raise Unreadable(f"{kind} has no column_name")
    if unknown := sorted(set(given) - _ARGUMENTS[kind]):
        raise Unreadable(f"{kind} takes no argument {', '.join(unknown)}")
    if lacking := [name for name in _NEEDED.get(kind, ()) if name not in given]:
        raise Unreadable(f"{kind} has no {' and no '.join(lacking)}")
    return str(column), {key: _rendered(value, renderer) for key, value in given.items()}


def _parted(raw: Any) -> tuple[str, Tree]:
    if isinstance(raw, str):
        return raw, {}
    if isinstance(raw, dict):
        tree = deepcopy(cast("Tree", raw))
        if "test_name" in tree:
            return str(tree.pop("test_name")), tree
        if len(tree) == 1:
            ((name, arguments),) = tree.items()
            if isinstance(arguments, dict):
                return str(name), cast("Tree", arguments)
    raise Unreadable(f"{raw!r} is not a test: write its name, or one name with a mapping of arguments")


def _settings(arguments: Tree, renderer: Renderer) -> Tree:
    """Take the settings out of the arguments, whichever way they are written, and render them."""
    beside = "config" in arguments
    try:
        config = dict(mapping(arguments.pop("config", None), "config"))
    except BadInput as error:
        raise Unreadable(error.what) from None
    found: Tree = {}
    for key in _SETTINGS:
        value = arguments.pop(key, None)
        if value and key in config:
            raise Unreadable(f"{key} is set beside config and in it")
        # dbt takes what is false or 0 beside a config for unset.
        found[key] = config.pop(key, None) if beside and not value else value
    found |= config
    return {key: shown for key, value in found.items() if (shown := renderer.value(value)) is not None}


def judged(settings: Tree) -> Settings:
    """How a test is counted and judged. Raises `Unreadable`."""
    severity = str(settings.get("severity", "error")).lower()
    if severity not in ("warn", "error"):
        raise Unreadable(f"severity: {severity!r} is neither warn nor error")
    limit = settings.get("limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
        raise Unreadable(f"limit: {limit!r} is not a whole number")
    return Settings(
        severity,
        str(settings.get("where", "")),
        str(settings.get("warn_if", "!= 0")),
        str(settings.get("error_if", "!= 0")),
        str(settings.get("fail_calc", "count(*)")),
        limit,
    )


def _values(known: Tree) -> tuple[str, ...]:
    values: Any = known.get("values", ())
    if not isinstance(values, list | tuple | str):
        raise Unreadable(f"values: {values!r} is not a list")
    quote = bool(known.get("quote", True))
    return tuple(f"'{value}'" if quote else str(value) for value in cast("list[Any]", values))


def _rendered(value: Any, renderer: Renderer) -> Any:
    if isinstance(value, list):
        return [_rendered(each, renderer) for each in cast("list[Any]", value)]
    return renderer.argument(value)


def _made_name(match: re.Match[str], subject: Subject, arguments: Tree) -> str:
    """The name that dbt makes of test, subject and arguments; this is also the alias unless it is too long."""
    kind = f"source_{match['name']}" if subject.is_source else match["name"]
    kind = f"{match['package']}_{kind}" if match["package"] else kind
    parts: list[Any] = []
    for key in sorted(arguments):
        value: Any = arguments[key]
        if key != "model":
            inner: Any = list(value.values()) if isinstance(value, dict) else value
            parts += inner if isinstance(inner, list | tuple) else [inner]
    words = (re.sub("[^0-9a-zA-Z_]+", "_", str(part)) for part in parts)
    return f"{kind}_{subject.stem}_" + "__".join(words)


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        tree: Tree = value
        return {key: _hashable(tree[key]) for key in sorted(tree)}
    if isinstance(value, list):
        return [_hashable(each) for each in cast("list[Any]", value)]
    return str(value)
