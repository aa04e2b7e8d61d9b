"""The settings that a file of SQL makes itself by `config(...)`, as dbt takes them when it parses a project.

Branches, loops and `set` are run as far as the last call of `config`, with `execute` and `is_incremental()` false, as dbt
has them while parsing. The rest of the file is not run. A branch or a value that needs something unknown here raises
`Unreadable`: it is never guessed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from assay.dbt.declared import Tree, Unreadable
from assay.dbt.jinja import guarded, native, with_filters
from assay.dbt.yaml_files import listed

_WORD = re.compile(r"\w+")
_CALLED = re.compile(r"\b(\w+)\s*\(")
#: Statements that may change what a later `config` sees.
_STATEFUL = (nodes.Assign, nodes.AssignBlock, nodes.Macro, nodes.ExprStmt, nodes.Import, nodes.FromImport)
#: Where a statement keeps the statements below it.
_BODIES = ("body", "elif_", "else_")


class Unknown(StrictUndefined):
    """Something that is not known here: it may be passed on, and whoever looks into it learns its name."""

    def __getattr__(self, name: str) -> Any:
        if name in ("unsafe_callable", "alters_data"):
            return False  # what the sandbox asks of all that is called
        if name.startswith("__") or name == "jinja_pass_arg":
            raise AttributeError(name)
        return Unknown(name=f"{self._undefined_name}.{name}")

    @property
    def path(self) -> str:
        """How the template wrote it."""
        return str(self._undefined_name)

    def __getitem__(self, key: object) -> Any:
        return Unknown(name=f"{self._undefined_name}[{key!r}]")

    def __call__(self, *_: object, **__: object) -> Any:
        """What the call gives is not known either."""
        return Unknown(name=f"{self._undefined_name}(...)")


_ENVIRONMENT = native(Unknown)
_TEXT = with_filters(ImmutableSandboxedEnvironment(undefined=Unknown, extensions=["jinja2.ext.do"]))


class _ReturnedError(Exception):
    """The `return` of dbt's macros."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def _return(value: Any) -> None:
    raise _ReturnedError(value)


class _Config:
    """The `config` of dbt while it parses: calls are kept, questions have no answer yet."""

    def __init__(self) -> None:
        self.found: Tree = {}

    def __call__(self, *trees: Any, **settings: Any) -> str:
        for tree in (*trees, settings):
            tags = [*listed(self.found.get("tags")), *listed(tree.get("tags"))]
            self.found |= tree
            if tags:
                self.found["tags"] = tags
        return ""

    def get(self, *_: Any, **__: Any) -> str:
        """What dbt answers at this time."""
        return ""

    require = get


@dataclass(frozen=True)
class Templates:
    """The project's SQL files and its own macros, as far as they can be run here."""

    project: str
    #: Of the database, like duckdb: by it the macros that `adapter.dispatch` finds are named.
    kind: str
    #: What a template may use: var, env_var, target.
    names: Tree
    #: Name of a macro to its text.
    macros: Mapping[str, str]

    def settings(self, text: str, wanted: frozenset[str]) -> Tree:
        """What `text` sets by `config`, of the keys `wanted`: the last call wins, `tags` add up.

        Raises `Unreadable` when a branch before it, or a value, needs something that is not known here.
        """
        able = self._able()
        if able.isdisjoint(_WORD.findall(text)):
            return {}
        config = _Config()
        guarded(lambda: self._run(text, able, wanted, config), "config(...)")
        found = {key: value for key, value in config.found.items() if key in wanted}
        for key, value in found.items():
            unknown = next((each for each in listed(value) if isinstance(each, Unknown)), None)
            if unknown is not None:
                raise Unreadable(f"config({key}=...) needs {unknown.path}, which is not known here")
        return found

    def call(self, macro: str, *values: Any) -> Any:
        """What a macro of the project gives. Raises `Unreadable`."""
        return guarded(lambda: self._known(_Config())[macro](*values), macro)

    def _run(self, text: str, able: frozenset[str], wanted: frozenset[str], config: _Config) -> None:
        tree = _ENVIRONMENT.parse(text)
        last = max((i for i, node in enumerate(tree.body) if _calls(node, able)), default=-1)
        tree.body = _needed(tree.body[: last + 1], able)
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "config":
                call.kwargs = [each for each in call.kwargs if each.key in wanted]
        _ENVIRONMENT.from_string(tree).render(self._known(config))

    def _able(self) -> frozenset[str]:
        """`config`, and the macros that call it, directly or by another macro."""
        able = {"config"}
        words = {name: set(_CALLED.findall(text)) for name, text in self.macros.items()}
        while more := {name for name, called in words.items() if called & able} - able:
            able |= more
        return frozenset(able)

    def _known(self, config: _Config) -> Tree:
        known: Tree = {"execute": False, "is_incremental": lambda: False, **self.names, "return": _return}
        own = {name: _macro(name, text, known) for name, text in self.macros.items()}
        dispatch = partial(_dispatch, own, self.kind)
        return _filled(known, {**own, self.project: own, "adapter": {"dispatch": dispatch}, "config": config})


def _filled(known: Tree, more: Tree) -> Tree:
    """`known` itself, which the macros look names up in, with `more`."""
    known.update(more)
    return known


def _dispatch(macros: Tree, kind: str, name: str, namespace: object = None) -> Any:
    """The project's own macro for this kind of database, else its default."""
    del namespace
    found = (macros.get(f"{prefix}__{name}") for prefix in (kind, "default"))
    return next((macro for macro in found if macro is not None), Unknown(name=name))


def _macro(name: str, source: str, known: Tree) -> Callable[..., Any]:
    def call(*values: Any, **named: Any) -> Any:
        try:
            return str(getattr(_TEXT.from_string(source, globals=known).module, name)(*values, **named))
        except _ReturnedError as returned:
            return returned.value

    return call


def _calls(node: nodes.Node, able: frozenset[str]) -> bool:
    """Whether anything in `node` calls one of the names `able`, alone or as `project.name`."""
    calls = [*node.find_all(nodes.Call), *([node] if isinstance(node, nodes.Call) else [])]
    return any(_name_of(call.node) in able for call in calls)


def _name_of(node: nodes.Node) -> str:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.name if isinstance(node, nodes.Name) else ""


def _needed(body: list[nodes.Node], able: frozenset[str]) -> list[nodes.Node]:
    """The statements that call one of `able` or may change what it sees; of what is printed, only the calls."""
    kept: list[nodes.Node] = []
    for node in body:
        if isinstance(node, nodes.Output):
            node.nodes = [each for each in node.nodes if _calls(each, able)]
            kept += [node] if node.nodes else []
        elif isinstance(node, _STATEFUL):
            kept.append(node)
        elif _calls(node, able) or next(node.find_all(_STATEFUL), None) is not None:
            for field, inner in node.iter_fields(only=_BODIES):
                setattr(
                    node,
                    field,
                    [*map(partial(_pruned, able=able), inner)] if field == "elif_" else _needed(inner, able),
                )
            kept.append(node)
    return kept


def _pruned(node: nodes.If, able: frozenset[str]) -> nodes.If:
    node.body = _needed(node.body, able)
    return node
