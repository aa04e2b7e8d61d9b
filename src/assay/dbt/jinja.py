"""Renders the Jinja in a project's YAML: vars, environment, target, refs and sources, in a sandbox."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from jinja2 import Environment, StrictUndefined, TemplateError, Undefined
from jinja2.nativetypes import NativeCodeGenerator, NativeTemplate
from jinja2.sandbox import ImmutableSandboxedEnvironment

from assay.dbt.declared import LeftUnread, Tree, Unreadable

_MARKS = re.compile(r"{[{%#]")
#: dbt renders a test's argument that looks like a call even without braces.
_CALL = re.compile(r"^\s*(env_var|ref|var|source|doc)\s*\(.+\)\s*$")
_UNSET = object()
_T = TypeVar("_T")


def _concat(parts: Iterable[Any]) -> Any:
    """One value stays what it is, several become a text."""
    found = list(parts)
    return found[0] if len(found) == 1 else "".join(str(part) for part in found)


class _Native(ImmutableSandboxedEnvironment):
    code_generator_class = NativeCodeGenerator
    concat = staticmethod(_concat)  # pyright: ignore[reportAssignmentType]


class _NativeTemplate(NativeTemplate):
    environment_class = _Native


_Native.template_class = _NativeTemplate


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) else float(value) if "." in str(value) else int(value)


def _truth(value: Any) -> bool:
    return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]


def with_filters(made: Environment) -> Environment:
    """An environment that knows the filters of dbt."""
    made.filters.update(as_text=str, as_bool=_truth, as_number=_number, as_native=lambda value: value)  # pyright: ignore[reportUnknownLambdaType]
    return made


def native(undefined: type[Undefined]) -> Environment:
    """A sandbox in which one expression keeps its type; `undefined` stands for names that are not known."""
    return with_filters(_Native(undefined=undefined, extensions=["jinja2.ext.do"]))


_ENVIRONMENT = native(StrictUndefined)


class Renderer:
    """Renders texts with some names known."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        #: What a template may use.
        self.names = dict(names)

    def knowing(self, **names: Any) -> "Renderer":
        """Another renderer that knows more names."""
        return Renderer({**self.names, **names})

    def value(self, text: Any) -> Any:
        """What `text` gives: a text without Jinja stays itself, one expression keeps its type.

        Raises `Unreadable`, naming the text, for whatever can't be worked out.
        """
        if not isinstance(text, str) or not _MARKS.search(text):
            return text
        return self._rendered(text, text)

    def argument(self, text: Any) -> Any:
        """As `value`, for the arguments of tests, where `ref('x')` needs no braces."""
        if isinstance(text, str) and _CALL.match(text):
            return self._rendered(f"{{{{ {text} }}}}", text)
        return self.value(text)

    def text(self, text: Any) -> str:
        """As `value`, as a text."""
        return str(self.value(text))

    def tree(self, value: Any, *, but: frozenset[str] = frozenset()) -> Any:
        """Every text in lists and mappings rendered, except below the keys `but`."""
        if isinstance(value, dict):
            found: Tree = value
            return {key: each if key in but else self.tree(each, but=but) for key, each in found.items()}
        if isinstance(value, list):
            texts: list[Any] = value
            return [self.tree(each, but=but) for each in texts]
        return self.value(value)

    def _rendered(self, text: str, shown: str) -> Any:
        return guarded(lambda: _ENVIRONMENT.from_string(text).render(self.names), shown)


def guarded(work: Callable[[], _T], shown: str) -> _T:
    """What `work` gives; whatever a template raises becomes `Unreadable`, naming what is `shown`."""
    try:
        return work()
    except (Unreadable, LeftUnread):
        raise
    except TemplateError as error:
        raise Unreadable(f"{shown.strip()} can't be rendered: {error.message or error}") from None
    except Exception as error:  # noqa: BLE001  # a template may raise anything
        raise Unreadable(f"{shown.strip()} can't be rendered: {type(error).__name__}: {error}") from None


def var_of(variables: Mapping[str, Any], project: str, given: Mapping[str, Any] | None = None) -> Callable[..., Any]:
    """The `var` of dbt: what was `given` on the command line wins, then the vars of the project's own name."""
    own: Any = variables.get(project)
    known: Tree = {**variables, **(own if isinstance(own, dict) else {}), **(given or {})}

    def var(name: str, default: Any = _UNSET) -> Any:
        if name in known:
            return known[name]
        if default is _UNSET:
            raise Unreadable(f"the var {name!r} is set nowhere in dbt_project.yml and has no default")
        return default

    return var


def env_var(name: str, default: str | None = None) -> str:
    """The `env_var` of dbt: a variable of the environment; `Unreadable` when it is unset and has no default."""
    found = os.environ.get(name, default)
    if found is None:
        raise Unreadable(f"the environment has no variable {name!r}")
    return found
