"""Pipelines: functions that call steps, with a schedule."""

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from assay import context
from assay.errors import AssayError, BadInput, NotFound, near_miss
from assay.pipelines.past import ALONE, is_past, run_name
from assay.pipelines.schedule import check_schedule
from assay.times import instant, zone


@dataclass(frozen=True)
class Pipeline:
    """A pipeline; calling it is an ordinary call, `assay run` keeps a journal of it."""

    function: Callable[..., Any]
    schedule: str | None
    tz: str

    @property
    def name(self) -> str:
        """What it is called by."""
        return self.function.__name__

    @property
    def reference(self) -> str:
        """Where it is found again: `module:name`."""
        return f"{self.function.__module__}:{self.name}"

    def __call__(self, asof: str | datetime | date | None = None, **parameters: Any) -> Any:
        """Run it for a moment, the present when omitted, without a journal.

        A call for the past is a what-if of its own: it judges, and production stays as it is.
        """
        at = instant(asof if asof is not None else "now", tz=zone(self.tz))
        if asof is None or context.scope.get() is not None or not is_past(self.schedule, self.tz, at):
            return self.call(at, parameters)
        name = f"{run_name(self.name, at, ALONE)}#{uuid4().hex[:12]}"
        with context.working_in(context.WhatIf(name, name)):
            return self.call(at, parameters)

    def call(self, asof: datetime, parameters: dict[str, Any]) -> Any:
        """Call the function; raises `BadInput` for parameters that it does not take."""
        return self.function(**self.arguments(asof, parameters))

    def arguments(self, asof: datetime, parameters: dict[str, Any]) -> dict[str, Any]:
        """What the function is called with; raises `BadInput` for parameters that it does not take, or that it lacks."""
        signature = inspect.signature(self.function)
        known = signature.parameters
        for name in parameters:
            if name not in known or name == "asof":
                hint = near_miss(name, [other for other in known if other != "asof"])
                raise BadInput(f"{self.name} takes no parameter {name!r}", *([hint] if hint else []))
        given = {"asof": asof} if "asof" in known else {}
        try:
            signature.bind(**given, **parameters)
        except TypeError as error:
            raise BadInput(f"{self.name} can't be called: {error}", do="Give it: --set NAME=VALUE") from None
        return given | parameters


def pipeline(*, schedule: str | None = None, tz: str = "UTC") -> Callable[[Callable[..., Any]], Pipeline]:
    """Make a function a pipeline. It may take `asof`, the moment it runs for, and parameters of its own.

    `schedule` is a cron line, read on the wall clock of `tz`. Raises `BadInput` for one that can't be read.
    """
    zone(tz)
    if schedule is not None:
        check_schedule(schedule)
    return lambda function: Pipeline(function, schedule, tz)


def find_pipeline(reference: str, project: Path) -> Pipeline:
    """The pipeline `module:name` or `file.py:name` of a project.

    Raises `NotFound` with the near miss, or `BadInput` when the module does not run.
    """
    module_name, _, name = reference.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        module_name = _dotted(module_name, project)
    if not name:
        raise BadInput(f"{reference!r} does not name a pipeline", do="Write MODULE:PIPELINE, like flights:weekly.")
    module = import_module(module_name, project)
    found = getattr(module, name, None)
    if found is None:  # a run remembers the function, which may go by another name in its module
        found = next((one for one in vars(module).values() if isinstance(one, Pipeline) and one.name == name), None)
    if not isinstance(found, Pipeline):
        known = [key for key, value in vars(module).items() if isinstance(value, Pipeline)]
        raise NotFound(
            f"{module_name} has no pipeline {name!r}", f"it has {', '.join(known) or 'none'}", do=near_miss(name, known)
        )
    return found


def _dotted(file: str, project: Path) -> str:
    """`folder/file.py` as `folder.file`; raises `NotFound` for a file outside of the project."""
    path = (project / file).resolve()
    if not path.is_relative_to(project.resolve()):
        raise NotFound(
            f"{file} is not in the project {project}", do="Change to the folder of the project, or pass --home."
        )
    return ".".join(path.relative_to(project.resolve()).with_suffix("").parts)


def _where_else(name: str) -> str:
    if any(Path(found).exists() for found in (name, f"{name}.py")):
        return "It is in this folder, but .assay is in a higher one: mkdir .assay makes this folder the project."
    return "Change to the folder of your project, or pass its state folder with --home."


def import_module(name: str, project: Path) -> Any:
    """A module of the project. Raises `NotFound` when there is none, `BadInput` when it does not run."""
    if str(project) not in sys.path:
        sys.path.insert(0, str(project))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".", maxsplit=1)[0] and error.name != name:
            raise BadInput(f"{name} needs a module that is not installed: {error.name}") from None
        known = [path.stem for path in project.glob("*.py")]
        hint = near_miss(name, known) or _where_else(name.split(".", maxsplit=1)[0])
        raise NotFound(f"there is no module {name!r} in {project}", do=hint) from None
    except AssayError:
        raise
    except Exception as error:
        raise BadInput(f"{name} does not run: {type(error).__name__}: {error}") from error
