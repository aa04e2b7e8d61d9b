"""Every block of the README and of the pages runs: Python as it stands, `assay` commands in a project."""

import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text()) if found == kind]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page: Path, flights_copy: Path) -> None:
    # A file and a process of its own, as its reader would have it.
    (flights_copy / "page.py").write_text("\n".join(blocks(page, "python")))
    done = subprocess.run([sys.executable, "page.py"], cwd=flights_copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "bash")], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page: Path, flights_copy: Path) -> None:
    port, servers = free_port(), []
    serve_a_row(flights_copy)
    lines = [line for text in blocks(page, "bash") for line in text.replace("8401", str(port)).splitlines()]
    try:
        for line in lines:
            if line.startswith("cd "):
                continue
            command = [sys.executable, "-m", "assay", *shlex.split(line.removesuffix("&"))[1:]]
            assert line.startswith("assay "), line
            if line.endswith("&"):
                servers.append(subprocess.Popen(command, cwd=flights_copy))
                wait_for(port)
                continue
            done = subprocess.run(command, cwd=flights_copy, capture_output=True, text=True, check=False)
            assert done.returncode in (0, 1), f"{line}\n{done.stderr}"
    finally:
        for server in servers:
            server.terminate()
            server.wait()


@pytest.mark.parametrize("page", [*PAGES, ROOT / "BENCHMARKS.md"], ids=lambda page: page.stem)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_command_has_an_example_in_its_help_and_stands_in_a_page() -> None:
    from assay.cli import COMMANDS, cli

    written = "\n".join(page.read_text() for page in PAGES)
    for name in COMMANDS:
        command = cli.get_command(None, name)  # pyright: ignore[reportArgumentType]
        assert command
        texts = [command.help or "", *(sub.help or "" for sub in getattr(command, "commands", {}).values())]
        assert any("Example" in text for text in texts), name
        assert f"assay {name}" in written, name


def test_the_links_of_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def serve_a_row(project: Path) -> None:
    """So that there is something to compare."""
    from assay import store
    from assay.contract.decode import to_json
    from assay.serve.answer import answer, open_served
    from assay.tables import read
    from assay.track import champion

    with store.use(store.find_home(project / ".assay")) as opened:
        served = open_served(opened, champion(opened, "flight-delay"), rotate_s=60)
        takes = served.bundle.model.takes
        row = (
            read("data/flights", takes, until="2013-10-02", last="1d").drop_columns(["late"]).slice(0, 1).to_pylist()[0]
        )
        answer(served, to_json(row), "r1")
        served.log.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(port)
