"""What the work at hand belongs to: run, model version, request, which every log record carries; and the what-if."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

#: Run id, as in the tracking store.
run_id: ContextVar[str | None] = ContextVar("run_id", default=None)
#: The model version that answers, like "flight-delay/12".
model_version: ContextVar[str | None] = ContextVar("model_version", default=None)
#: The id of the request being answered.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


@dataclass(frozen=True)
class WhatIf:
    """A look at the past that must not move production: it has verdicts, and a chain of incumbents, of its own."""

    #: Runs of one replay share it.
    name: str
    #: The run of a pipeline that is one of its ticks.
    run_id: str


#: What may move production, once that was decided.
PRODUCTION = WhatIf("", "")
#: Where the work at hand judges and publishes; None while nobody has decided, which is production too.
scope: ContextVar[WhatIf | None] = ContextVar("scope", default=None)


#: The what-ifs that this process works in, the newest last: a thread of the user's own has no context of theirs.
_at_work: list[WhatIf] = []


@contextmanager
def working_in(decided: WhatIf) -> Generator[None]:
    """Decide for the length of a block where work judges and publishes, in threads that are started in it too."""
    with within(scope, decided):
        if decided.name:
            _at_work.append(decided)
        try:
            yield
        finally:
            if decided.name:
                _at_work.remove(decided)


def what_if() -> WhatIf | None:
    """The what-if that the work at hand belongs to; None when it belongs to production.

    A thread in which nobody decided belongs to the what-if that its process works in, so that it never moves production.
    """
    found = scope.get()
    if found is None:
        found = next(reversed(_at_work), None)
    return found if found and found.name else None


@contextmanager
def within(variable: ContextVar[T | None], value: T) -> Generator[None]:
    """Set one of the variables for the length of a block."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def current() -> dict[str, str]:
    """The variables that are set, by name."""
    variables = (run_id, model_version, request_id)
    return {variable.name: value for variable in variables if (value := variable.get()) is not None}
