"""Sends rows of a table to a server, as a client would; with a fault, as a client that errs."""

import http.client
import re
import ssl
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from os import fspath
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np

from assay.contract import fields
from assay.contract.decode import to_json
from assay.errors import BadInput, Unavailable, first_few, near_miss
from assay.model import open_bundle
from assay.settings import setting
from assay.store import Store
from assay.tables import read
from assay.times import duration, instant
from assay.track import champion

#: How long one row may take.
TIMEOUT_S = 30
_CHANGE = r"(?P<sign>[*+=-])(?P<value>[^:]+)(:(?P<share>\d+(\.\d+)?)%)?"


class Sent(msgspec.Struct):
    """What came of it."""

    sent: int
    answered: int = 0
    #: Rows that the fault changed.
    changed: int = 0
    seconds: float = 0.0
    #: The server's words for each row it refused.
    refused: list[str] = []


class Fault(msgspec.Struct, frozen=True):
    """A change of one column in a share of the rows."""

    column: str
    sign: str
    value: str
    share: float

    def apply(self, row: dict[str, Any]) -> bool:
        """Change the row; False when there is nothing to change. Raises `BadInput` for a value it does not fit."""
        try:
            return self._apply(row)
        except (TypeError, ValueError, OverflowError):
            raise BadInput(
                f"{self.column}{self.sign}{self.value} does not fit {self.column}={row[self.column]!r}",
                do="Write COLUMN*FACTOR or COLUMN+OFFSET of a number, COLUMN+5h of a time, COLUMN=VALUE of anything.",
            ) from None

    def _apply(self, row: dict[str, Any]) -> bool:
        old = row[self.column]
        if self.sign == "=":
            row[self.column] = _plain(self.value)
        elif old is None:
            return False
        elif isinstance(old, datetime):
            row[self.column] = old + duration(self.value) * (-1 if self.sign == "-" else 1)
        else:
            factor = float(self.value)
            row[self.column] = old * factor if self.sign == "*" else old + factor * (-1 if self.sign == "-" else 1)
        return row[self.column] != old


def parse_fault(text: str, known: list[str]) -> Fault:
    """`distance*1.609344:5%`, `scheduled+5h:5%`, `carrier=DL:5%`; all rows without a share. Raises `BadInput`."""
    for column in sorted(known, key=len, reverse=True):  # the name of a column may have signs in it
        if text.startswith(column) and (found := re.fullmatch(_CHANGE, text[len(column) :])):
            return Fault(column, found["sign"], found["value"], float(found["share"] or 100) / 100)
    other = re.fullmatch(rf"(?P<column>[^*+=-]+?){_CHANGE}", text)
    if other is None:
        raise BadInput(
            f"{text!r} is not a fault", do="Write COLUMN*FACTOR:SHARE%, COLUMN+OFFSET:SHARE% or COLUMN=VALUE:SHARE%."
        )
    raise BadInput(f"there is no column {other['column']!r}", near_miss(other["column"], known))


def send_day(
    store: Store,
    model: str,
    url: str,
    day: str,
    *,
    table: str | None = None,
    fault: str | None = None,
    seed: int = 1,
    cafile: Path | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Sent:
    """Send each row of a day in a request of its own, in order, over one connection.

    The token is that of `ASSAY_TOKEN`; `cafile` has the certificates by which a server with TLS is known, besides those
    of the machine. Raises `Unavailable` when no server answers at `url`, `BadInput` for a day without rows and for a
    token that is none or may not predict.
    """
    server = _Server(url, cafile)
    declared = open_bundle(store, champion(store, model).bundle).model
    source = table or declared.table
    if source is None:
        raise BadInput(f"{model} names no table", do="Give one: --table data/flights")
    until = instant(day) + timedelta(days=1)
    names = [field.name for field in fields(declared.takes)]
    rows = read(source, declared.takes, until=until, last="1d").select(names).to_pylist()
    if not rows:
        raise BadInput(f"{fspath(source)} has no rows on {day}", do="Choose another day.")
    changed = _with_fault(rows, parse_fault(fault, names), seed) if fault else 0
    sent = Sent(len(rows), changed=changed)
    _send(sent, rows, server, progress)
    return sent


class _Server:
    """Where the rows go."""

    def __init__(self, url: str, cafile: Path | None) -> None:
        """Raises `BadInput` for an address, a token or a file that can't be used."""
        self.url = url
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise BadInput(f"{url!r} is not the URL of a server", do="Write it like http://127.0.0.1:8401.")
        self.path = f"{parts.path.rstrip('/')}/predict"
        self.headers = {"content-type": "application/json"} | _authorization()
        if parts.scheme == "https":
            trusted = _trusted(cafile)
            self.connection = http.client.HTTPSConnection(host, port or 443, timeout=TIMEOUT_S, context=trusted)
        else:
            self.connection = http.client.HTTPConnection(host, port or 80, timeout=TIMEOUT_S)


def _authorization() -> dict[str, str]:
    token = setting("ASSAY_TOKEN")
    if token and not re.fullmatch("[!-~]+", token):
        raise BadInput("ASSAY_TOKEN is not a token", do="Copy it as `assay tokens add` printed it, without spaces.")
    return {"authorization": f"Bearer {token}"} if token else {}


def _trusted(cafile: Path | None) -> ssl.SSLContext:
    trusted = ssl.create_default_context()
    try:
        if cafile:
            trusted.load_verify_locations(cafile)
    except OSError as error:  # also of the library, for a file that holds no certificate
        raise BadInput(f"{cafile} can't be used: {error.strerror or error}", do="Name a file of PEM.") from None
    return trusted


def _with_fault(rows: list[dict[str, Any]], fault: Fault, seed: int) -> int:
    count = max(1, round(len(rows) * fault.share))
    chosen = np.random.default_rng(seed).permutation(len(rows))[:count]
    return sum(fault.apply(rows[position]) for position in chosen)


def _send(sent: Sent, rows: list[dict[str, Any]], server: _Server, progress: Callable[[int, int], None]) -> None:
    connection, started = server.connection, time.monotonic()
    try:
        for done, row in enumerate(rows, start=1):
            connection.request("POST", server.path, to_json(row), server.headers)
            answered = connection.getresponse()
            body = answered.read()
            if answered.status == http.client.OK:
                sent.answered += 1
            elif answered.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
                raise BadInput(
                    f"{server.url} refuses to predict: {_words(body)}",
                    do="Set ASSAY_TOKEN to a token of scope predict: assay tokens add NAME --scope predict",
                )
            else:
                sent.refused.append(_words(body))
            if done % 50 == 0 or done == len(rows):
                progress(done, len(rows))
    except ssl.SSLCertVerificationError as error:
        raise Unavailable(
            f"the certificate of {server.url} is not trusted: {error.verify_message}",
            do="Give the certificate of who issued it: --cafile FILE",
        ) from None
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(
            f"no answer from {server.url}: {error}",
            f"{sent.answered:,} of {len(rows):,} rows were answered",
            do="Start the server: assay serve MODEL",
        ) from None
    finally:
        connection.close()
    sent.seconds = time.monotonic() - started


def _words(body: bytes) -> str:
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body[:200].decode(errors="replace")
    faults = [f"{fault['path']} is {fault['value']}, expected {fault['rule']}" for fault in said.get("faults", ())]
    return "; ".join(first_few(faults, len(faults))) or said.get("error", "")


def _plain(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
