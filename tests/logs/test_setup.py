"""Log records: whole JSON lines in one file a process, with what they belong to, whatever happens."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

HEAD = """
import logging, os, sys, threading
from pathlib import Path
from assay import context
from assay.logs import setup
from assay.store import Home
path = setup(Home(Path(sys.argv[1])), "test")
log = logging.getLogger("mine")
"""


def run(home: Path, code: str, end: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HEAD + code, str(home)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    assert done.returncode == end, done.stderr
    return done


def lines(home: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted((home / "logs").glob("*.jsonl")):
        text = path.read_bytes()
        assert text.endswith(b"\n")
        found += [json.loads(line) for line in text.splitlines()]
    return found


def test_a_record_is_one_line_of_json_with_the_names_of_ecs(tmp_path: Path) -> None:
    run(tmp_path, 'log.info("moved %s\\nto %d", "a", 7, extra={"rows": 3})')
    (line,) = lines(tmp_path)
    assert datetime.fromisoformat(line.pop("@timestamp")).utcoffset() is not None
    assert isinstance(line.pop("process.pid"), int)
    assert line == {
        "log.level": "INFO",
        "message": "moved a\nto 7",
        "log.logger": "mine",
        "service.name": "test",
        "rows": 3,
    }


def test_what_the_work_belongs_to_is_on_each_record(tmp_path: Path) -> None:
    code = """
log.info("before")
with context.within(context.run_id, "r1"), context.within(context.model_version, "m/2"):
    with context.within(context.request_id, "q3"):
        log.info("inside")
log.info("after")
"""
    run(tmp_path, code)
    names = ("run_id", "model_version", "request_id")
    assert [[line.get(name) for name in names] for line in lines(tmp_path)] == [
        [None] * 3,
        ["r1", "m/2", "q3"],
        [None] * 3,
    ]


def test_an_exception_is_in_fields_of_its_own(tmp_path: Path) -> None:
    code = """
try:
    {}["x"]
except KeyError:
    log.exception("failed")
log.warning("no exception", exc_info=True)
"""
    run(tmp_path, code)
    first, second = lines(tmp_path)
    assert (first["message"], first["error.type"], first["error.message"]) == ("failed", "KeyError", "'x'")
    assert '{}["x"]' in first["error.stack_trace"] or "KeyError" in first["error.stack_trace"]
    assert "error.type" not in second


ODD = """
class Shy:
    def __repr__(self):
        raise RuntimeError("no")
itself = []
itself.append(itself)
log.info("object", extra={"value": object, "other": 1})
log.info("large", extra={"value": 2**70})
log.info("nan", extra={"value": float("nan")})
log.info("surrogate \\udc80", extra={"value": "\\udc80"})
log.info("keys", extra={"value": {(1, 2): 3}})
log.info("itself", extra={"value": itself})
log.info("bytes", extra={"value": b"ab"})
log.info("%d rows of %s", "three")
log.info("shy", extra={"value": Shy()})
log.info("after")
"""


def test_odd_values_are_written_as_text_and_never_raised(tmp_path: Path) -> None:
    done = run(tmp_path, ODD)
    found = {line["message"]: line for line in lines(tmp_path)}
    assert list(found) == [
        "object",
        "large",
        "nan",
        "surrogate \\udc80",
        "keys",
        "itself",
        "bytes",
        "%d rows of %s ('three',)",
        "after",
    ]
    assert (found["object"]["value"], found["object"]["other"]) == ("<class 'object'>", 1)
    assert found["large"]["value"] == 2**70
    assert found["nan"]["value"] is None
    assert all(datetime.fromisoformat(line["@timestamp"]) for line in found.values())
    assert found["after"]["assay.lines_dropped"] == 1  # the shy one
    assert "RuntimeError: no" in done.stderr


SAID = 'log.debug("d"); log.info("i"); log.warning("w"); log.error("e")'


@pytest.mark.parametrize(("level", "said"), [("INFO", "iwe"), ("debug", "dwie"), ("ERROR", "e")])
def test_the_level_can_be_set_from_outside(tmp_path: Path, level: str, said: str) -> None:
    done = run(tmp_path, SAID, ASSAY_LOG_LEVEL=level)
    assert {line["message"] for line in lines(tmp_path)} == set(said)
    assert [line[9:] for line in done.stderr.splitlines()] == ["warning: w", "error: e"]


def test_a_level_that_is_none_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "", end=1, ASSAY_LOG_LEVEL="loud")
    assert "BadInput: 'LOUD' is not a log level\nUse DEBUG, INFO, WARNING or ERROR." in done.stderr
    done = run(tmp_path, 'setup(Home(Path(sys.argv[1])), "test", terminal="loud")', end=1)
    assert "BadInput: 'LOUD' is not a log level" in done.stderr


def test_setting_it_up_twice_writes_each_line_once(tmp_path: Path) -> None:
    code = 'setup(Home(Path(sys.argv[1])), "test"); log.warning("once")'
    done = run(tmp_path, code)
    assert len(lines(tmp_path)) == 1
    assert done.stderr.count("once") == 1


def test_what_ends_a_process_or_a_thread_is_logged(tmp_path: Path) -> None:
    code = """
def fall():
    raise ValueError("in a thread")
for target in (fall, sys.exit):
    thread = threading.Thread(target=target, name="worker")
    thread.start()
    thread.join()
import warnings
warnings.warn("old")
raise ValueError("at the end")
"""
    done = run(tmp_path, code, end=1)
    said = [(line["log.level"], line["message"].splitlines()[0], line.get("error.type")) for line in lines(tmp_path)]
    assert said[0] == ("CRITICAL", "uncaught in thread worker: in a thread", "ValueError")
    assert said[1][0] == "WARNING"
    assert said[1][1].endswith("UserWarning: old")
    assert said[2:] == [("CRITICAL", "uncaught ValueError: at the end", "ValueError")]
    assert "Traceback" in done.stderr


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log.info("first")
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))
for number in range(100):
    log.info("line %d %s", number, "x" * (number % 7) * 10)
handler = next(h for h in logging.getLogger().handlers if type(h).__name__ == "JsonLines")
dropped = handler.dropped
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.info("last")
print(dropped)
"""


def test_a_full_disk_is_counted_never_raised_and_leaves_whole_lines(tmp_path: Path) -> None:
    done = run(tmp_path, FULL)
    found = lines(tmp_path)
    dropped = int(done.stdout)
    assert dropped > 50
    assert len(found) == 1 + 100 - dropped + 1
    assert (found[-1]["message"], found[-1]["assay.lines_dropped"]) == ("last", dropped)


def test_a_folder_that_can_not_be_made_is_no_error_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    run(tmp_path, 'log.info("lost"); print("went on")')
    assert (tmp_path / "logs").read_text() == "a file"


MANY = """
for number in range(5_000):
    log.info("line %d", number)
print(os.getpid())
"""


def test_four_processes_at_once_lose_no_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HEAD + MANY, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    pids = [int(process.communicate(timeout=60)[0]) for process in processes]
    files = list((tmp_path / "logs").glob("*.jsonl"))
    assert sorted(int(path.stem.split("-")[-1]) for path in files) == sorted(pids)
    found = Counter((line["process.pid"], line["message"]) for line in lines(tmp_path))
    assert found == Counter({(pid, f"line {number}"): 1 for pid in pids for number in range(5_000)})


def test_the_child_of_a_fork_has_a_file_of_its_own(tmp_path: Path) -> None:
    code = """
log.info("parent")
child = os.fork()
if child == 0:
    log.info("child")
    os._exit(0)
os.waitpid(child, 0)
log.info("parent again")
"""
    run(tmp_path, code)
    assert len(list((tmp_path / "logs").glob("*.jsonl"))) == 2
    by_pid = Counter(line["process.pid"] for line in lines(tmp_path))
    assert sorted(by_pid.values()) == [1, 2]


def test_a_killed_process_loses_nothing_that_it_logged(tmp_path: Path) -> None:
    code = """
for number in range(2_000):
    log.info("line %d", number)
os.kill(os.getpid(), 9)
"""
    run(tmp_path, code, end=-signal.SIGKILL)
    assert [line["message"] for line in lines(tmp_path)] == [f"line {number}" for number in range(2_000)]
