"""What clients and files send is shown by every command, and never acts on the terminal nor floods it."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from assay import start_run, store
from assay.cli.command import safe_json
from assay.cli.terminal import Terminal
from assay.errors import printable, shown
from assay.logs.setup import TerminalHandler
from assay.store import Home

sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))
from running import copy_project, environment

from assay.contract.decode import to_json
from assay.serve.answer import answer, open_served
from assay.track import champion

EVIL = (
    "\x1b[31mRED\x1b]0;owned\x07 \x9b2J \u202egnp.exe\u2066 [bold]x[/] [link=http://evil.example]y[/link] [/]\r\n\x00"
)
FLOOD = EVIL + "A" * 1_000_000
ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
#: More than any command says of a few rows.
MOST_BYTES = 60_000


def harmless(text: str) -> None:
    found = ACTS.search(text)
    assert not found, text[max(0, found.start() - 80) : found.end() + 20]
    assert len(text) < MOST_BYTES


@given(st.text())
def test_nothing_that_acts_is_left_in_a_text(text: str) -> None:
    assert not ACTS.search(printable(text))
    assert not ACTS.search(shown(text))
    assert len(shown(text)) <= 60 * 10
    assert "\n" not in shown(text)
    assert json.loads(safe_json(json.dumps(text, ensure_ascii=False))) == text
    assert not ACTS.search(safe_json(json.dumps(text, ensure_ascii=False)))


@pytest.mark.parametrize("colours", [True, False])
def test_the_console_of_all_commands_escapes_whatever_it_is_given(colours: bool) -> None:
    table = Table("column", EVIL)
    table.add_row(FLOOD, Text(FLOOD))
    for one in (EVIL, FLOOD, Text(FLOOD), Text.assemble((EVIL, "bold")), table):
        file = StringIO()
        terminal = Terminal(file=file, width=100, markup=False, highlight=False, force_terminal=colours)
        terminal.print(one)
        text = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()) if colours else file.getvalue()
        assert "owned" in text
        assert "\x1b]8" not in file.getvalue()
        harmless(text)


def test_a_log_line_for_a_person_is_harmless() -> None:
    import logging

    harmless(
        TerminalHandler("INFO").format(
            logging.makeLogRecord({"msg": "refused: %s", "args": (FLOOD,), "levelno": 30, "levelname": "WARNING"})
        )
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project to which clients, files and other tools gave hostile texts."""
    folder = tmp_path_factory.mktemp("hostile")
    home = copy_project(tmp_path_factory.getbasetemp(), folder)
    rows = [
        {
            "trip": EVIL if i else FLOOD,
            "start": datetime(2013, 1, 20, i, tzinfo=UTC),
            "zone": "north",
            "miles": float(i),
        }
        | {"seats": 3, "year": None, "night": False}
        for i in range(3)
    ]
    with store.use(Home(home)) as opened:
        served = open_served(opened, champion(opened, "long-trip"), rotate_s=600)
        for i, row in enumerate(rows):
            answer(served, to_json(row), f"r{i}")
        served.log.close()
        with start_run(EVIL[:200], system_metrics=False) as run:
            name = EVIL.replace("\x00", "")
            run.log_params({"plain": FLOOD, name: EVIL})
            run.set_tags({"note": EVIL, name: FLOOD[:3000]})
            run.log_metric("loss", 1.0)
            run.log_artifact("a.txt", b"a")
        (folder / "runs.txt").write_text(run.id)
        opened.database.dispose()
    kinds = pa.schema([("trip", pa.string()), ("start", pa.timestamp("us", "UTC")), ("zone", pa.string())])
    kinds = pa.schema(
        [*kinds, ("miles", pa.float64()), ("seats", pa.int64()), ("year", pa.int64()), ("night", pa.bool_())]
    )
    (folder / "data").mkdir()
    wrong = [row | {"zone": FLOOD if i else EVIL, "miles": 20.0 + i} for i, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(wrong, kinds), folder / "data" / "rows.parquet")
    pq.write_table(pa.Table.from_pylist(wrong * 50, kinds), folder / "data" / "many.parquet")
    return home


def said(home: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "assay", *arguments, "--home", str(home)]
    done = subprocess.run(command, capture_output=True, cwd=home.parent, env=environment(), timeout=120, check=False)
    return (done.stdout + done.stderr).decode(errors="surrogateescape")


COMMANDS = [
    ["skew", "long-trip", "--since", "30d", "--against", "data/rows.parquet"],
    ["check", "data/rows.parquet", "--contract", "taxi:Trip"],
    ["quality", "data/many.parquet"],
    ["drift", "long-trip"],
    ["drain"],
    ["runs"],
    ["runs", f"params.x = '{EVIL[:20]}"[:40].replace("\x00", "")],
    ["run-show", "RUN"],
    ["run-show", "\x1b[31mnone"],
    ["compare", "RUN", "TRAINED"],
    ["experiments", "list"],
    ["experiments", "rename", "\x1b[31mnone", "b"],
    ["models"],
    ["models", "\x1b[31mnone"],
    ["ledger"],
    ["rollback", "\x1b]0;x\x07"],
    ["doctor"],
    ["gc", "--dry-run"],
    ["sql", "SELECT * FROM served.long_trip"],
    ["sql", "SELECT * FROM params"],
    ["sql", "SELECT '\x1b[31m' FROM nothing"],
    ["schema", "arrow", "taxi:\x1b[31mTrip"],
    ["check", "data/\x1b[31m.parquet"],
    ["serve", "\x1b[31mnone"],
]


@pytest.mark.parametrize(
    "arguments", COMMANDS, ids=lambda given: " ".join(given)[:40].encode("unicode_escape").decode()
)
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["people", "json"])
def test_a_command_shows_hostile_texts_and_does_not_obey_them(
    home: Path, arguments: list[str], form: tuple[str, ...]
) -> None:
    run = (home.parent / "runs.txt").read_text()
    with store.use(Home(home)) as opened:
        trained = str(champion(opened, "long-trip").run_id)
        opened.database.dispose()
    text = said(home, *({"RUN": run, "TRAINED": trained}.get(one, one) for one in arguments), *form)
    assert text
    assert not ACTS.search(text), repr(text[max(0, ACTS.search(text).start() - 100) :][:200])  # pyright: ignore
    if not form:
        assert len(text) < MOST_BYTES
    assert "Traceback" not in text
    assert "fault of Assay" not in text
