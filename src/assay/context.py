"""What the work at hand belongs to: run, model version, request; every log record carries it."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

#: Run id, as in the tracking store.
run_id: ContextVar[str | None] = ContextVar("run_id", default=None)
#: The model version that answers, like "flight-delay/12".
model_version: ContextVar[str | None] = ContextVar("model_version", default=None)
#: The id of the request being answered.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


@contextmanager
def within(variable: ContextVar[str | None], value: str) -> Generator[None]:
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
