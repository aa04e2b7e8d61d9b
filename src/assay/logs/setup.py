"""Sets up standard logging: one JSON line a record in this process's own file, human lines on stderr.

A line is one `write` to a file that only this process has, so nothing that was logged is lost when it is killed and
nothing is shared that a rotation could lose.
"""

import logging
import os
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from assay import context
from assay.errors import AssayError, BadInput, printable
from assay.settings import setting
from assay.store import Home
from assay.store.durable import make_folder, open_writable

_encode = msgspec.json.Encoder(enc_hook=repr).encode
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
#: Characters of a message that a person is shown; the file has all.
LONGEST_SHOWN = 2_000
_COLOURS = {"WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}


def setup(home: Home, service: str, *, level: str = "INFO", terminal: str = "WARNING") -> Path:
    """Configure logging for this process; returns its file, `.assay/logs/<service>-<start>-<pid>.jsonl`.

    `ASSAY_LOG_LEVEL` takes precedence over `level`, which is for the file; `terminal` is the level for stderr.
    A home that can't be written gets no file. Calling it again replaces what it set up before. Raises `BadInput` for an unknown level.
    """
    level, terminal = (setting("ASSAY_LOG_LEVEL") or level).upper(), terminal.upper()
    for given in (level, terminal):
        if given not in logging.getLevelNamesMapping():
            raise BadInput(f"{given!r} is not a log level", do="Use DEBUG, INFO, WARNING or ERROR.")
    path = _path(home.logs, service)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, (JsonLines, TerminalHandler))]:
        root.removeHandler(handler)
        handler.close()
    handlers: list[logging.Handler] = [TerminalHandler(terminal)]
    handlers[0].setLevel(terminal)
    if not home.is_read_only:
        handlers.append(JsonLines(path, service))
        handlers[1].setLevel(level)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(min(handler.level for handler in handlers))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_thread
    return path


def _path(folder: Path, service: str) -> Path:
    return folder / f"{service}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.jsonl"


class JsonLines(logging.Handler):
    """Appends each record as one JSON line with the field names of the Elastic Common Schema.

    The child of a fork goes on in a file of its own, beside that of its parent.
    """

    def __init__(self, path: Path, service: str) -> None:
        super().__init__()
        self.path = path
        #: Lines that could not be written: the disk was full. Later lines carry the count as `assay.lines_dropped`.
        self.dropped = 0
        self._service = service
        self._pid = os.getpid()
        self._file: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; neither a full disk, which is counted, nor an odd record is raised into the caller."""
        try:
            if os.getpid() != self._pid:
                self._begin_in_child()
            self._write(self._line(record))
        except OSError:
            self.dropped += 1
        except Exception:  # noqa: BLE001 - said on stderr, as the handlers of the standard library do
            self.dropped += 1
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        super().close()

    def _begin_in_child(self) -> None:
        self.path, self._pid, self.dropped = _path(self.path.parent, self._service), os.getpid(), 0
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: bytes) -> None:
        if self._file is None:
            make_folder(self.path.parent)
            self._file = open_writable(self.path, os.O_WRONLY | os.O_APPEND)
        written = os.write(self._file, line)
        if written != len(line):  # the disk took only a part: take it off again, so that the next line is whole
            self.dropped += 1
            os.ftruncate(self._file, os.lseek(self._file, -written, os.SEEK_CUR))

    def _line(self, record: logging.LogRecord) -> bytes:
        facts = self.fields(record)
        try:
            return _encode(facts) + b"\n"
        except (TypeError, ValueError, OverflowError, RecursionError):
            return _encode({_text(name): _simple(value) for name, value in facts.items()}) + b"\n"

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """The fields of one line."""
        facts: dict[str, Any] = {
            "@timestamp": datetime.fromtimestamp(record.created, UTC),
            "log.level": record.levelname,
            "message": _message(record),
            "log.logger": record.name,
            "service.name": self._service,
            "process.pid": self._pid,
            **context.current(),
        }
        facts |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if self.dropped:
            facts["assay.lines_dropped"] = self.dropped
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, trace = record.exc_info
            facts["error.type"] = kind.__name__
            facts["error.message"] = str(error)
            facts["error.stack_trace"] = "".join(traceback.format_exception(kind, error, trace))
        return facts


def _message(record: logging.LogRecord) -> str:
    """The message; with its arguments beside it when they do not fit."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"


def _simple(value: object) -> object:
    """A value that JSON surely takes."""
    return value if isinstance(value, (bool, int, float, datetime, type(None))) else _text(value)


def _text(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text.encode(errors="backslashreplace").decode()


class TerminalHandler(logging.StreamHandler[Any]):
    """Shows records to a person, on stderr."""

    def __init__(self, level: str) -> None:
        super().__init__(sys.stderr)
        self.setLevel(level)

    def format(self, record: logging.LogRecord) -> str:
        """Time, level when it matters, message; colours only on a terminal."""
        at = datetime.fromtimestamp(record.created).astimezone()
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        colour = _COLOURS.get(record.levelname) if self.stream.isatty() else None
        text = f"{at:%H:%M:%S} {level}{printable(_message(record)[:LONGEST_SHOWN])}"
        return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, (KeyboardInterrupt, AssayError)):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("assay").critical("uncaught %s: %s", kind.__name__, error, exc_info=(kind, error, trace))
    sys.__excepthook__(kind, error, trace)


def _log_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        trace = (args.exc_type, args.exc_value, args.exc_traceback)
        name = args.thread.name if args.thread else "?"
        logging.getLogger("assay").critical("uncaught in thread %s: %s", name, args.exc_value, exc_info=trace)
