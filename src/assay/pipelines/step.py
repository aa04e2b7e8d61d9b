"""Steps: functions whose result is kept when they run inside a pipeline."""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec, TypeVar, overload

from assay.pipelines.journal import Journal

P = ParamSpec("P")
T = TypeVar("T")
#: The journal of the run at hand; None outside of a run, and inside of a step.
active: ContextVar[Journal | None] = ContextVar("journal", default=None)


@overload
def step(function: Callable[P, T], /) -> Callable[P, T]: ...
@overload
def step(*, name: str) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
def step(function: Callable[P, T] | None = None, /, *, name: str | None = None) -> object:
    """Make a function a step.

    Inside a pipeline's run its result is kept in the journal, and a resumed run takes it from there. Called anywhere
    else, or by another step, it is an ordinary call. Results may be numbers, texts, bytes, times, lists, tuples, dicts,
    Arrow tables and msgspec structs; the run gets what the journal gives back, a copy.
    """
    if function is None:
        return functools.partial(_as_step, name=name)
    return _as_step(function, name=name)


def _as_step(function: Callable[P, T], *, name: str | None) -> Callable[P, T]:
    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        journal = active.get()
        if journal is None:
            return function(*args, **kwargs)

        def work() -> T:
            token = active.set(None)
            try:
                return function(*args, **kwargs)
            finally:
                active.reset(token)

        return journal.perform(name or function.__name__, work)

    return called
