"""The memory that is really free: of the machine, of the container, of the process."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from assay.store.duck import connect
from assay.store.memory import UNKNOWN, free_bytes

MIB = 1 << 20


def tree(root: Path, **files: str) -> tuple[Path, Path]:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root / "proc", root / "cgroup"


def machine(free: int = 4_000 * MIB) -> str:
    return f"MemTotal: 9 kB\nMemAvailable:   {free >> 10} kB\n"


def test_of_a_machine_it_is_what_is_available(tmp_path: Path) -> None:
    assert free_bytes(*tree(tmp_path, proc__meminfo=machine())) == 4_000 * MIB
    assert free_bytes(*tree(tmp_path / "other")) == UNKNOWN


def test_a_container_of_version_2_leaves_what_its_groups_leave(tmp_path: Path) -> None:
    groups = {
        "proc__meminfo": machine(),
        "proc__self__cgroup": "0::/pod/job\n",
        "cgroup__pod__memory.max": f"{900 * MIB}\n",
        "cgroup__pod__memory.current": f"{700 * MIB}\n",
        "cgroup__pod__memory.stat": f"anon 7\ninactive_file {100 * MIB}\n",
        "cgroup__pod__job__memory.max": "max\n",
        "cgroup__pod__job__memory.current": f"{600 * MIB}\n",
    }
    assert free_bytes(*tree(tmp_path, **groups)) == 300 * MIB


def test_a_container_may_see_its_own_group_as_the_root(tmp_path: Path) -> None:
    groups = {"cgroup__memory.max": str(500 * MIB), "cgroup__memory.current": str(600 * MIB)}
    told = tree(tmp_path, proc__self__cgroup="0::/not/seen/here\n", proc__meminfo=machine(), **groups)
    assert free_bytes(*told) == 0


def test_a_container_of_version_1(tmp_path: Path) -> None:
    groups = {
        "proc__self__cgroup": "5:cpu,cpuacct:/a\n4:memory:/docker/x\n0::/\n",
        "cgroup__memory__docker__x__memory.limit_in_bytes": str(400 * MIB),
        "cgroup__memory__docker__x__memory.usage_in_bytes": str(150 * MIB),
        "cgroup__memory__docker__x__memory.stat": f"cache 1\ntotal_inactive_file {50 * MIB}\n",
        "cgroup__memory__memory.limit_in_bytes": "9223372036854771712",
        "cgroup__memory__memory.usage_in_bytes": "1",
    }
    assert free_bytes(*tree(tmp_path, **groups)) == 300 * MIB


def test_a_process_has_what_its_own_limit_leaves() -> None:
    code = f"""
import resource
from pathlib import Path
from assay.store.memory import free_bytes
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {200 * MIB},) * 2)
print(free_bytes() >> 20)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 150 < int(done.stdout) <= 200


def test_what_duckdb_has_no_memory_for_goes_to_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with connect() as connection:
        assert not list(tmp_path.iterdir())
        connection.execute("SET memory_limit = '100MiB'")
        connection.execute("CREATE TEMP TABLE numbers AS SELECT range AS a, range * 2 AS b FROM range(12_000_000)")
        (folder,) = tmp_path.iterdir()
        assert sum(file.stat().st_size for file in folder.iterdir()) > 50 * MIB
        assert connection.execute("SELECT sum(b - 2 * a) FROM numbers").fetchall() == [(0,)]
    assert not list(tmp_path.iterdir())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1 << 30
