"""What the user's functions ask for by the annotations of their parameters."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

from assay.errors import BadInput


def annotation(model: str, function: Callable[..., Any], called: str, parameter: inspect.Parameter) -> Any:
    """The annotation of a parameter; None where there is none, or one that says nothing.

    Raises `BadInput` for one that can't be read, naming the model and what the function is called.
    """
    found = parameter.annotation
    if isinstance(found, str):
        try:
            found = eval(found, getattr(inspect.unwrap(function), "__globals__", {}))  # noqa: S307 - the user's own source
        except (NameError, SyntaxError, AttributeError, TypeError) as error:
            raise BadInput(
                f"{model}: the annotation {found!r} of {called}() can't be read: {error}",
                do="Import its name at the top of the file, not under TYPE_CHECKING.",
            ) from None
    return None if found in (inspect.Parameter.empty, Any, object) else found


def named(annotation: Any) -> tuple[str, str]:
    """The package and the name of a type.

    >>> named(Annotated[dict[str, int], "of counts"])
    ('builtins', 'dict')
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        return named(get_args(annotation)[0])
    kind: Any = origin or annotation
    return str(getattr(kind, "__module__", "")).partition(".")[0], str(getattr(kind, "__name__", ""))


def shown(annotation: Any) -> str:
    """A type as a message has it."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
