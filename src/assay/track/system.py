"""What the machine does while a run goes on: metrics under the names that MLflow gives them."""

import logging
import threading
from collections.abc import Callable, Generator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from assay.track.runs import Run

log = logging.getLogger(__name__)
EVERY_S = 10.0
_MEGA = 1_000_000
#: How long the end of a run waits for a measurement that is being made.
WAIT_S = 1.0


def watch(run: Run, every_s: float = EVERY_S) -> Callable[[], None]:
    """Measure in the background until what is returned is called. A machine that can't be measured fails no run."""
    over = threading.Event()
    thread = threading.Thread(target=_keep, args=(run, every_s, over), name="assay-system", daemon=True)
    thread.start()

    def stop() -> None:
        over.set()
        if thread is not threading.current_thread():
            thread.join(WAIT_S)

    return stop


def _keep(run: Run, every_s: float, over: threading.Event) -> None:
    machine, cards = _machine(run.store.home.project), _cards()  # nothing is imported before the first look
    try:
        for step in count():
            if over.wait(every_s):
                return
            measured = next(machine) | next(cards)
            run.log_metrics({f"system/{name}": value for name, value in measured.items()}, step=step)
    except Exception:
        log.warning("system metrics of run %s have stopped", run.id, exc_info=True)


def _machine(project: Path) -> Generator[dict[str, float]]:
    """Shares in percent, amounts in megabytes; the disk is the project's, the network counts from the first look."""
    try:
        import psutil
    except ModuleNotFoundError:
        log.info("the machine is not measured without psutil: pip install 'assay[system]'")
        while True:
            yield {}
    begun = psutil.net_io_counters()
    busy = psutil.cpu_percent(0.1)
    while True:
        memory, disk, network = psutil.virtual_memory(), psutil.disk_usage(str(project)), psutil.net_io_counters()
        yield {
            "cpu_utilization_percentage": busy,
            "system_memory_usage_megabytes": memory.used / _MEGA,
            "system_memory_usage_percentage": memory.used / memory.total * 100,
            "disk_usage_percentage": disk.percent,
            "disk_usage_megabytes": disk.used / _MEGA,
            "disk_available_megabytes": disk.free / _MEGA,
            "network_receive_megabytes": (network.bytes_recv - begun.bytes_recv) / _MEGA,
            "network_transmit_megabytes": (network.bytes_sent - begun.bytes_sent) / _MEGA,
        }
        busy = psutil.cpu_percent()  # since the last look


def _cards() -> Generator[dict[str, float]]:
    """Each graphics card of NVIDIA, where nvidia-ml-py is installed and finds one."""
    cards: list[Any] = []
    nvml: Any = None
    try:
        nvml = import_module("pynvml")
        nvml.nvmlInit()
        cards += [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
    except ModuleNotFoundError:
        pass
    except nvml.NVMLError as error:
        log.debug("no graphics card is measured: %s", error)
    while True:
        found: dict[str, float] = {}
        for number, card in enumerate(cards):
            memory = nvml.nvmlDeviceGetMemoryInfo(card)
            found[f"gpu_{number}_memory_usage_percentage"] = memory.used / memory.total * 100
            found[f"gpu_{number}_memory_usage_megabytes"] = memory.used / _MEGA
            found[f"gpu_{number}_utilization_percentage"] = nvml.nvmlDeviceGetUtilizationRates(card).gpu
            found[f"gpu_{number}_power_usage_watts"] = nvml.nvmlDeviceGetPowerUsage(card) / 1000
        yield found
