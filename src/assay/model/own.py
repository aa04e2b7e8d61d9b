"""Estimators of any kind: the user's functions write them as bytes, read them back and predict."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from assay.errors import AssayError, BadInput


@dataclass(frozen=True)
class Estimator:
    """How what `fit` gives is kept and asked, for `Model(estimator=...)`; the functions travel in the bundle.

    Write them in the project's file, and write a format that runs no code when it is read: numbers as JSON or `np.savez`, a
    library's own file. A pickle is refused.
    """

    _: KW_ONLY
    #: From what `fit` gives to bytes.
    save: Callable[[Any], bytes]
    #: From these bytes to what predicts; called once in each process.
    load: Callable[[bytes], Any]
    #: From what predicts, and features in the form that `fit` gets, to numbers of shape (n,) or (n, m), to chosen classes,
    #: or to a dict of arrays by field; probabilities of shape (n, k) are in the order of the contract there.
    predict: Callable[[Any, Any], Any]

    def to_bytes(self, fitted: Any) -> bytes:
        """The bytes to keep. Raises `BadInput` when `save` fails, and when it gives something else, or a pickle."""
        try:
            data = self.save(fitted)
        except AssayError:
            raise
        except Exception as error:
            raise BadInput(f"save() of the estimator fails: {type(error).__name__}: {error}") from error
        if not isinstance(data, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise BadInput(f"save() of the estimator gave a {type(data).__name__}", do="Return bytes.")
        if _is_pickle(data):
            raise BadInput(
                "save() of the estimator gave a pickle, which can run any code when it is loaded",
                do="Write its numbers: with json, np.savez, or in the format of its library.",
            )
        return data

    def from_bytes(self, data: bytes) -> Callable[[Any], Any]:
        """The function from features to predictions. Raises `BadInput` when `load` fails."""
        try:
            opened = self.load(data)
        except AssayError:
            raise
        except Exception as error:
            raise BadInput(
                f"load() of the estimator fails: {type(error).__name__}: {error}",
                do="Let it read what save() wrote, with nothing but the bytes and the code of the project.",
            ) from error
        return lambda given: self.predict(opened, given)


def _is_pickle(data: bytes) -> bool:
    """Whether bytes begin and end as every pickle of protocol 2 and later does, or are an archive of torch, which holds one."""
    if data.startswith(b"PK") and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    return data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and data[-1:] == b"."
