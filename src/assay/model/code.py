"""The user's code that travels with a model, so that serving runs the very code that was trained with."""

import importlib
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from assay.errors import BadInput
from assay.store.artifacts import write_whole

if TYPE_CHECKING:
    from assay.model.model import Model

_importing = threading.RLock()


def where_declared(model: "Model") -> tuple[str, str]:
    """The module and the name under which a model stands. Raises `BadInput` when it has none that can be imported."""
    module = sys.modules.get(model.features.__module__)
    source = getattr(module, "__file__", None)
    if module is None or source is None:
        raise BadInput(
            f"{model.name}: features() is not in a file",
            do="Put the model into a .py file beside your data and import it.",
        )
    for name, value in vars(module).items():
        if value is model:
            return (Path(source).stem if module.__name__ == "__main__" else module.__name__), name
    raise BadInput(
        f"{model.name} is not a name of {module.__name__}",
        do="Write `model = assay.Model(...)` at the top level of the module that defines its features.",
    )


def collect(model: "Model") -> dict[str, bytes]:
    """The source of the model's module and of every loaded module of the same project, by path relative to it."""
    module = sys.modules[model.features.__module__]
    depth = 0 if module.__name__ == "__main__" else module.__name__.count(".")
    source = Path(str(module.__file__)).resolve()
    root = source.parents[depth + (source.name == "__init__.py")]
    found = {source}
    for name, other in list(sys.modules.items()):
        file = getattr(other, "__file__", None)
        if name != "__main__" and file and file.endswith(".py") and _is_of_project(Path(file).resolve(), root):
            found.add(Path(file).resolve())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(found)}


def _is_of_project(path: Path, root: Path) -> bool:
    installed = {"site-packages", "dist-packages"}
    if not path.is_relative_to(root) or path.is_relative_to(Path(__file__).resolve().parents[1]):
        return False
    parts = path.relative_to(root).parts
    hidden = any(part.startswith(".") for part in parts)
    return not hidden and not installed.intersection(path.parts) and not path.is_relative_to(sys.base_prefix)


def load(files: Mapping[str, bytes], folder: Path, module: str) -> ModuleType:
    """Import `module` from `files`, unpacked into `folder`, beside whatever else goes by the same names.

    Raises `BadInput` when the code does not run.
    """
    for name, content in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise BadInput(f"the bundle names a file outside of itself: {name}")
        if not path.exists():
            write_whole(path, content)
    with _importing, _alone(files, folder):
        try:
            return importlib.import_module(module)
        except Exception as error:
            raise BadInput(
                f"the code of the model does not run: {type(error).__name__}: {error}", do=f"Look at {folder}."
            ) from error


@contextmanager
def _alone(files: Mapping[str, bytes], folder: Path) -> Generator[None]:
    names = {name.split("/")[0].removesuffix(".py") for name in files}

    def taken() -> dict[str, ModuleType]:
        return {name: module for name, module in list(sys.modules.items()) if name.split(".")[0] in names}

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
