"""The user's code that travels with a model, so that serving runs the very code that was trained with."""

import importlib
import sys
import sysconfig
import threading
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from assay.errors import BadInput, Corrupt
from assay.store.artifacts import write_whole

if TYPE_CHECKING:
    from assay.model.model import Model

_importing = threading.RLock()
_INSTALLED = {"site-packages", "dist-packages"}
_NOT_THE_PROJECTS = (Path(__file__).resolve().parents[1], Path(sysconfig.get_path("stdlib")).resolve())


def where_declared(model: "Model") -> tuple[str, str]:
    """The module and the name under which a model stands. Raises `BadInput` when it has none that can be imported."""
    module = sys.modules.get(getattr(model.features, "__module__", ""))
    if module is None or not Path(getattr(module, "__file__", None) or "").is_file():
        raise BadInput(
            f"{model.name}: features() is not in a file",
            do="Put the model into a .py file beside your data and import it.",
        )
    for name, value in list(vars(module).items()):
        if value is model:
            return _import_name(module), name
    raise BadInput(
        f"{model.name} is not a name of {module.__name__}",
        do="Write `model = assay.Model(...)` at the top level of the module that defines its features.",
    )


def collect(model: "Model") -> dict[str, bytes]:
    """The source of the model's module and of every loaded module of the same project, by path relative to it."""
    module = sys.modules[model.features.__module__]
    source = Path(str(module.__file__)).resolve()
    own = _import_name(module)
    root = source.parents[own.count(".") + (source.name == "__init__.py")]
    # Of an installed project its own package travels, not all that is installed beside it.
    project = root / own.split(".")[0] if _INSTALLED.intersection(root.parts) else root
    files = {_in_project(file, project) for file in map(_file, sys.modules.copy().values()) if file.endswith(".py")}
    found = {source, *(path for path in files if path and path.is_file())}
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(found)}


def _file(module: object) -> str:
    return str(getattr(module, "__file__", None) or "")


def _import_name(module: ModuleType) -> str:
    """Under which name a module is imported, also when it is the one that was started."""
    if module.__name__ != "__main__":
        return module.__name__
    return module.__spec__.name if module.__spec__ else Path(_file(module)).stem


@lru_cache(maxsize=10_000)  # a replay asks the same of a thousand modules each week
def _in_project(file: str, project: Path) -> Path | None:
    """Where the file really lies, or None when it is not of the project."""
    path = Path(file).resolve()
    if not path.is_relative_to(project) or any(path.is_relative_to(folder) for folder in _NOT_THE_PROJECTS):
        return None
    parts = path.relative_to(project).parts
    hidden = any(part.startswith(".") for part in parts)
    return None if hidden or _INSTALLED.intersection(parts) else path


def load(files: Mapping[str, bytes], folder: Path, module: str) -> ModuleType:
    """Import `module` from `files`, unpacked into `folder`, beside whatever else goes by the same names.

    Raises `BadInput` when the code does not run, `Corrupt` when a file would leave the folder.
    """
    unpack(files, folder)
    with imported(files, folder, module) as found:
        return found


def modules_of(files: Iterable[str]) -> frozenset[str]:
    """The names of the modules that lie in files, named relative to their project.

    >>> sorted(modules_of(["taxi.py", "shared/__init__.py", "shared/scale.py"]))
    ['shared', 'shared.scale', 'taxi']
    """
    return frozenset(name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files)


@contextmanager
def imported(files: Mapping[str, bytes], folder: Path, module: str) -> Generator[ModuleType]:
    """As `load` of unpacked files; within the block the other modules of `files` can be imported too, by libraries too."""
    with _importing, _alone(files, folder):
        try:
            found = importlib.import_module(module)
        except Exception as error:
            raise BadInput(
                f"the code of the model does not run: {type(error).__name__}: {error}", do=f"Check {folder}."
            ) from error
        yield found


def unpack(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files into a folder. Raises `Corrupt` when one would leave it, `Unavailable` when it can't be written."""
    for name in files:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise Corrupt(f"the bundle names a file outside of itself: {name}", do="Do not use it.")
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:  # someone may have written into the folder
            write_whole(path, content)


@contextmanager
def hidden(files: Iterable[str]) -> Generator[None]:
    """As in a server: modules of these files, named relative to their project, can't be imported, nor the loaded ones."""
    names = list(files)
    tops = {name.split("/")[0].removesuffix(".py") for name in names}
    with _importing:
        path = sys.path[:]
        away = {name: module for name, module in sys.modules.copy().items() if name.split(".")[0] in tops}
        for name in away:
            del sys.modules[name]
        sys.path[:] = [
            folder
            for folder in path
            if _INSTALLED.intersection(Path(folder).parts) or not any((Path(folder) / name).is_file() for name in names)
        ]
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path[:] = path
            sys.modules.update(away)


@contextmanager
def _alone(files: Mapping[str, bytes], folder: Path) -> Generator[None]:
    names = {name.split("/")[0].removesuffix(".py") for name in files}

    def taken() -> dict[str, ModuleType]:
        return {name: module for name, module in sys.modules.copy().items() if name.split(".")[0] in names}

    before = taken()
    for name in before:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in taken():
            del sys.modules[name]
        sys.modules.update(before)
