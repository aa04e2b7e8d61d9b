"""What goes wrong while a table is read, as our errors: the one place where damage is told from wrong use.

A file that can't be read is a fault of the surroundings (`Unavailable`, exit code 3). What can't be asked of a readable
table is the user's to mend (`CantAsk`, `BadInput`).
"""

import re
from collections.abc import Generator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from assay.errors import BadInput, Unavailable
from assay.tables.bounds import MAX_DEPTH
from assay.tables.table import CantAsk

#: What DuckDB raises when the question, not the table, is at fault.
_ASKED_WRONG = (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError, duckdb.ParserException)
#: What pyarrow raises for a file that can't be read; a name of a column may be no text.
BROKEN = (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError)
WRITE_AGAIN = "Write it again: it is damaged or only half written."
#: How pyarrow and DuckDB say that a schema is nested deeper than they look.
_TOO_DEEP = ("too deeply nested", "is nested more than")


@contextmanager
def reading(name: str, *, in_memory: bool = False) -> Generator[None]:
    """Turn what DuckDB and pyarrow say into `CantAsk` when the question is wrong, and into `read_error` else."""
    try:
        yield
    except duckdb.InvalidInputException as error:
        raise CantAsk(_said(error)) if in_memory else read_error(name, error) from None
    except _ASKED_WRONG as error:
        raise CantAsk(_said(error)) from None
    except OverflowError:
        raise CantAsk("a time or a number is outside of what Python holds, like the years 1 to 9999") from None
    except (duckdb.Error, *BROKEN) as error:
        raise read_error(name, error) from None


def read_error(name: str, error: Exception) -> Unavailable | BadInput:
    """The error of a table that can't be read: it is damaged, too large for the memory, or nested too deep."""
    said = first_line(error)
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError):
        do = "Name fewer files, set TMPDIR to a larger disk, or look at it on a machine with more memory."
        return Unavailable(f"{name} needs more memory than there is", said, do=do)
    if any(words in said for words in _TOO_DEEP):
        return BadInput(f"{name} can't be read", said, do=f"Flatten what is nested more than {MAX_DEPTH} deep.")
    return Unavailable(f"{name} can't be read", said, do=WRITE_AGAIN)


def first_line(error: Exception) -> str:
    """What an error of a library says first."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _said(error: duckdb.Error) -> str:
    """What the engine says, in one line: without the name of the error and the picture of the query."""
    said = re.split(r"LINE \d+:", str(error))[0].replace("Candidate bindings:", "there are")
    return " ".join(said.partition("Error: ")[2].split()) or type(error).__name__
