"""CSV files: their dialect by the header line, and the line at fault where one does not fit."""

import codecs
import csv
import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from assay.contract.formats.sql import literal
from assay.errors import BadInput, Unavailable
from assay.tables import files
from assay.tables.column_names import refuse_alike

SEPARATORS = ",;\t|"
#: What stands for a missing value; R writes NA.
MISSING = ("", "NA")
#: What else may stand for one where all other values of a column are numbers.
MARKERS = ("?", "-", "--", ".", "#N/A", "N/A", "n/a", "na", "NULL", "null", "None", "none", "nil", "missing", "unknown")
#: DuckDB reads no longer ones.
LONGEST_LINE = 2_097_152
ENCODINGS = ("utf-8", "utf-16", "latin-1")
_BOMS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Csv:
    """CSV files that are read otherwise than by their header line; goes wherever a path goes."""

    path: str
    #: One character, like ";"; None for that of the header line.
    delimiter: str | None = None
    #: What stands for a missing value in every column; None for the usual, and for what is guessed column by column.
    missing: tuple[str, ...] | None = None
    encoding: str = "utf-8"

    def __fspath__(self) -> str:
        return self.path


def csv_source(
    path: str | Path, *, delimiter: str | None = None, missing: Iterable[str] | None = None, encoding: str = "utf-8"
) -> Csv:
    """CSV files whose delimiter, marks of missing values or encoding are said, not guessed.

    `missing` is the whole list, the empty text included where it means missing. Raises `BadInput` for a delimiter that
    is not one character and an encoding that can't be read.
    """
    if delimiter is not None and len(delimiter) != 1:
        raise BadInput(f"{delimiter!r} is not a delimiter", do='Give one character, like ";".')
    if encoding.lower() not in ENCODINGS:
        raise BadInput(f"CSV in {encoding} can't be read", do=f"Give {', '.join(ENCODINGS)}, or write it as UTF-8.")
    if isinstance(missing, str):
        raise BadInput(f"missing={missing!r} is one text", do=f"Give a list, like [{missing!r}].")
    return Csv(str(path), delimiter, None if missing is None else tuple(missing), encoding.lower())


def with_missing(target: str, marks: Sequence[str]) -> str | Csv:
    """The CSV files that `target` names, with more marks of missing values; without marks as it is.

    Raises `BadInput` for marks where there is no CSV.
    """
    if not marks:
        return target
    if "://" in target or files.database_file(target) or files.find(target)[0] != "csv":
        raise BadInput(f"{target} is not CSV, and only in CSV a text stands for a missing value", do="Leave it out.")
    return csv_source(target, missing=dict.fromkeys([*MISSING, *marks]))


@dataclass(frozen=True)
class Header:
    """The first line of a CSV file."""

    delimiter: str
    names: tuple[str, ...]


def header(file: Path, source: Csv) -> Header:
    """The dialect and the columns of a file. Raises `BadInput` for another encoding and for names that occur twice."""
    with _opened(file) as opened:
        start = opened.read(4)
    for mark, encoding in _BOMS:
        if start.startswith(mark) and source.encoding != encoding:
            raise _other_encoding(file, f"it begins as {encoding.upper()} does", encoding)
    with _opened(file) as opened:
        lines = _decoded(opened, file, source.encoding)
        first = next(lines, "").removeprefix("\ufeff")
        delimiter = source.delimiter or delimiter_of(first)
        names = next(csv.reader(_after(first, lines), delimiter=delimiter), [])
    refuse_alike(str(file), names)
    return Header(delimiter, tuple(names))


def delimiter_of(line: str) -> str:
    r"""The separator that occurs most in a line outside of quotes.

    >>> delimiter_of('a;"b,c,d";e'), delimiter_of("a\tb")
    (';', '\t')
    """
    outside = Counter(sign for part in line.split('"')[::2] for sign in part if sign in SEPARATORS)
    return max(SEPARATORS, key=lambda sign: (outside[sign], -SEPARATORS.index(sign)))


def same_dialect(files: Sequence[Path], source: Csv) -> Header:
    """The dialect that all files have. Raises `BadInput` where one has another."""
    found = [(file, header(file, source)) for file in files]
    first, known = found[0]
    for file, other in found:
        if other.delimiter != known.delimiter:
            what = f"{file} is separated by {other.delimiter!r}, {first} by {known.delimiter!r}"
            raise BadInput(what, do="Write all files in one way, or read them one by one.")
    return known


def options(known: Header, source: Csv, *, strict: bool = True) -> str:
    """The dialect as arguments of DuckDB's `read_csv`."""
    missing = ", ".join(map(literal, MISSING if source.missing is None else source.missing))
    return (
        f"header = true, skip = 0, sample_size = -1, delim = {literal(known.delimiter)}, quote = '\"', escape = '\"', "
        f"comment = '', null_padding = false, strict_mode = {str(strict).lower()}, nullstr = [{missing}], "
        f"encoding = {literal(source.encoding)}"
    )


def fault(file: Path, source: Csv) -> Unavailable | BadInput | None:
    """What is wrong with a file's first line that does not fit its header; None when every line does."""
    known, before = header(file, source), 0
    expected = len(known.names)
    try:
        with _opened(file) as opened:
            rows = csv.reader(_decoded(opened, file, source.encoding), delimiter=known.delimiter, strict=True)
            for row in rows:
                line, before = before + 1, rows.line_num
                fits = len(row) == expected or (len(row) == expected + 1 and not row[-1])
                if row and not fits:
                    return _ragged(file, line, len(row), expected)
    except BadInput as error:
        return error
    except csv.Error as error:
        what = f"line {before + 1:,}: {error}"
        return Unavailable(f"{file} can't be read as CSV", what, do="Mend that line, or write the file again.")
    except (OSError, EOFError) as error:
        return Unavailable(f"{file} can't be read", str(error), do="Write it again: it is damaged.")
    return None


def _ragged(file: Path, line: int, values: int, expected: int) -> Unavailable:
    what = f"line {line:,} has {values} value{'s' if values != 1 else ''}, {expected} expected as in its header"
    return Unavailable(f"{file} can't be read as CSV", what, do="Write the file again, or mend that line.")


def _other_encoding(file: Path, why: str, encoding: str) -> BadInput:
    do = f'Write it as UTF-8, or give assay.csv({str(file)!r}, encoding="{encoding}").'
    return BadInput(f"{file} is not UTF-8", why, do=do)


def _opened(file: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(file, "rb") if file.name.lower().endswith(".gz") else file.open("rb"))


def _decoded(opened: BinaryIO, file: Path, encoding: str) -> Iterator[str]:
    """The lines of a file. Raises `BadInput` with the line and the byte that is not of this encoding."""
    if encoding == "utf-16":
        yield from codecs.getreader(encoding)(opened)
        return
    for number, line in enumerate(iter(lambda: opened.readline(LONGEST_LINE + 1), b""), 1):
        if len(line) > LONGEST_LINE:
            what = f"line {number:,} is longer than {LONGEST_LINE:,} bytes"
            raise BadInput(f"{file} can't be read as CSV", what, do="Put a line feed after each row.")
        try:
            yield line.decode(encoding)
        except UnicodeDecodeError as error:
            why = f"line {number:,} holds the byte 0x{line[error.start]:02x}"
            raise _other_encoding(file, why, "latin-1") from None


def _after(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
