"""What the machine does during a run."""

import threading
import time
from shutil import rmtree

import pytest

import assay
from assay.store import Store
from assay.track import get_run
from assay.track.points import history
from assay.track.system import watch

NAMES = {
    "system/cpu_utilization_percentage",
    "system/system_memory_usage_megabytes",
    "system/system_memory_usage_percentage",
    "system/disk_usage_percentage",
    "system/disk_usage_megabytes",
    "system/disk_available_megabytes",
    "system/network_receive_megabytes",
    "system/network_transmit_megabytes",
}


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "assay-system"]


def test_a_run_is_measured_until_it_ends(opened: Store) -> None:
    with assay.start_run(system_metrics=False) as run:
        run.closing.append(watch(run, 0.05))
        while len(history(opened, run.id, "system/cpu_utilization_percentage")) < 3:
            run.flush()
            time.sleep(0.05)
    assert threads() == []
    found = get_run(opened, run.id).metrics
    assert found.keys() >= NAMES
    assert 0 <= found["system/system_memory_usage_percentage"] <= 100
    points = history(opened, run.id, "system/disk_usage_megabytes")
    assert [point.step for point in points] == list(range(len(points)))


def test_it_runs_by_default_and_not_when_it_is_not_wanted(opened: Store) -> None:
    with assay.start_run():
        assert threads() == ["assay-system"]
    with assay.start_run(system_metrics=False):
        assert threads() == []


def test_a_look_costs_nearly_nothing(opened: Store) -> None:
    def looks() -> int:
        run.flush()
        return len(history(opened, run.id, "system/cpu_utilization_percentage"))

    with assay.start_run(system_metrics=False) as run:
        stop = watch(run, 0.01)
        (thread,) = [one for one in threading.enumerate() if one.name == "assay-system"]
        assert thread.ident
        clock = time.pthread_getcpuclockid(thread.ident)  # its own CPU: others may keep the machine busy
        while not (before := looks()):  # past the imports
            time.sleep(0.01)
        used = time.clock_gettime(clock)
        while (after := looks()) < before + 20:
            time.sleep(0.01)
        used = time.clock_gettime(clock) - used
        stop()
    assert used / (after - before) < 0.01  # seconds a look: of one core, at a look each ten seconds, under 0.1 %


def test_a_machine_that_can_not_be_measured_fails_no_run(opened: Store, caplog: pytest.LogCaptureFixture) -> None:
    opened.home.project.joinpath("gone").mkdir()
    with assay.start_run(system_metrics=False) as run:
        run.store = Store(type(opened.home)(opened.home.project / "gone" / ".assay"))
        rmtree(opened.home.project / "gone")  # whose disk is asked for
        run.closing.append(watch(run, 0.01))
        while threads():
            time.sleep(0.01)
        assay.log_metric("a", 1)
    assert "have stopped" in caplog.text
    assert get_run(opened, run.id).metrics["a"] == 1
