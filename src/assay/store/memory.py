"""How much memory and disk a piece of work may still take: of the machine, of its container, of its process."""

import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: What is said where the system says nothing.
UNKNOWN = 1 << 62


def free_bytes(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """How much memory this process may still take, where the system says so; what the disk cache holds counts as free."""
    return max(min([*_of_process(proc), *_of_machine(proc), *_of_container(proc, cgroups)], default=UNKNOWN), 0)


def spill_bytes() -> int:
    """How much of the disk of temporary files a piece of work may take: half of what is free."""
    return shutil.disk_usage(tempfile.gettempdir()).free // 2


def _of_process(proc: Path) -> Iterator[int]:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        pages = _read(proc / "self" / "statm").split()
        yield limit - (int(pages[0]) * resource.getpagesize() if pages else 0)


def _of_machine(proc: Path) -> Iterator[int]:
    sizes = dict(line.split(":", 1) for line in _read(proc / "meminfo").splitlines() if ":" in line)
    if "MemAvailable" in sizes:
        yield int(sizes["MemAvailable"].split()[0]) << 10


def _of_container(proc: Path, cgroups: Path) -> Iterator[int]:
    """Of version 2 and 1, what each group above this process leaves. A container may see its own group as the root."""
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _left(cgroups, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            yield from _left(
                cgroups / "memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
            )


def _left(root: Path, path: str, limit: str, used: str, cached: str) -> Iterator[int]:
    own = root / path.strip("/")
    for group in (own, *own.parents):
        most, now = _read(group / limit).strip(), _read(group / used).strip()
        if most.isdecimal() and now.isdecimal():
            stat = dict(line.split() for line in _read(group / "memory.stat").splitlines() if line.count(" ") == 1)
            yield int(most) - int(now) + int(stat.get(cached, 0))
        if group == root:
            return


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
