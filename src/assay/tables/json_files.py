"""JSON lines: a row in each line, or one array of rows in a file that ends in .json."""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from assay.errors import BadInput, Unavailable, shown
from assay.tables.column_names import refuse_alike

#: DuckDB reads no longer rows.
LONGEST_LINE = 16_777_216


def how(files: Sequence[Path]) -> str:
    """The form of the files as an argument of DuckDB's `read_json`."""
    lines = not any(file.name.lower().endswith(".json") for file in files)
    return f"format = '{'newline_delimited' if lines else 'auto'}', records = true, sample_size = -1, maximum_object_size = {LONGEST_LINE}"


def refuse_other(file: Path) -> None:
    """Raise `BadInput` for a file whose first line is no object, which DuckDB would take for a table of one column."""
    for _, line in _lines(file):
        begins = (b"{", b"[") if file.name.lower().endswith(".json") else b"{"
        if not line.lstrip(b"\xef\xbb\xbf \t").startswith(begins):
            raise _not_an_object(file, 1, line)
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # DuckDB says what is wrong with it
            refuse_alike(str(file), msgspec.json.decode(line, type=dict[str, msgspec.Raw]))
        return


def fault(file: Path) -> BadInput | Unavailable | None:
    """What is wrong with a file's first line that is no row; None when every line is one."""
    if file.name.lower().endswith(".json"):
        return None
    for number, line in _lines(file):
        if len(line) > LONGEST_LINE:
            what = f"line {number:,} is longer than {LONGEST_LINE:,} bytes"
            return BadInput(f"{file} can't be read as JSON lines", what, do="Put a line feed after each row.")
        try:
            msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        except msgspec.ValidationError:
            return _not_an_object(file, number, line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            what = f"line {number:,}: {error}"
            return Unavailable(
                f"{file} can't be read as JSON lines", what, do="Write the file again, or mend that line."
            )
    return None


def _not_an_object(file: Path, number: int, line: bytes) -> BadInput:
    what = f"line {number:,} is {shown(line[:80].decode(errors='replace').strip())}"
    return BadInput(f"{file} holds no rows", what, do='Write an object in each line, like {"x": 1}.')


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, cut where they are too long, and their numbers."""
    with gzip.open(file, "rb") if file.name.lower().endswith(".gz") else file.open("rb") as opened:
        for number, line in enumerate(iter(lambda: opened.readline(LONGEST_LINE + 1), b""), 1):
            if line.strip():
                yield number, line
