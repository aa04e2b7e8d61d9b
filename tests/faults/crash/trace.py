"""Records the system calls by which a process and its children change a folder."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendfile", "copy_file_range")
NAMES = ("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "link", "linkat")
OTHERS = ("open", "openat", "creat", "fsync", "fdatasync", "sync_file_range", "ftruncate", "truncate", "lseek")
REFUSED = ("symlink", "symlinkat", "fallocate", "msync", "mmap", "openat2", "io_uring_enter")
PROCESSES = ("clone", "clone3", "fork", "vfork")
#: Longer than any write of the programs.
LONGEST = 64 << 20

_LINE = re.compile(r"(\d+) +(.*)")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_PLACE = re.compile(r"(?:(\d+)|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")
_FIRST = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2})*)>")
_UNFINISHED = " <unfinished ...>"


class NotModelled(Exception):
    """The trace holds what the model of the disk does not know: better no answer than a wrong one."""


@dataclass(frozen=True)
class Call:
    """One system call that ended."""

    pid: int
    name: str
    #: Its arguments as strace wrote them.
    arguments: str
    result: int
    #: How many calls had ended when it began.
    began: int

    @property
    def texts(self) -> list[bytes]:
        """The strings and buffers among the arguments."""
        found: list[bytes] = []
        for text, cut in _TEXT.findall(self.arguments):
            if cut:
                raise NotModelled(f"strace cut an argument of {self.name} off")
            found.append(_decoded(text))
        return found

    @property
    def paths(self) -> list[str]:
        """The strings among the arguments as absolute paths, each relative to the folder before it."""
        found: list[str] = []
        folder = "/"
        for place in re.finditer(rf"{_PLACE.pattern}|{_TEXT.pattern}", self.arguments):
            if place.group(2) is not None:
                folder = os.fsdecode(_decoded(place.group(2)))
            else:
                found.append(os.path.normpath(Path(folder, os.fsdecode(_decoded(place.group(3))))))
        return found

    @property
    def places(self) -> list[str]:
        """The paths of all its descriptors and strings."""
        named = [os.fsdecode(_decoded(place)) for _, place in _PLACE.findall(self.arguments)]
        return [*named, *self.paths]

    @property
    def descriptor(self) -> tuple[int, str] | None:
        """The descriptor that is the first argument, and its path; None when there is none."""
        return _descriptor(_FIRST.match(self.arguments))

    def number(self, place: int) -> int:
        """A numeric argument, counted from the end when negative."""
        return int(self.arguments.split(", ")[place], 0)


def _descriptor(found: re.Match[str] | None) -> tuple[int, str] | None:
    return (int(found.group(1)), os.fsdecode(_decoded(found.group(2)))) if found else None


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def can_record() -> bool:
    """Whether strace is installed and may trace here."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    return tried.returncode == 0


def record(command: Sequence[str], to: Path, *, environment: dict[str, str], inject: str = "") -> int:
    """Run a command under strace; its exit code. `inject` makes a call fail: "fsync:error=EIO:when=2"."""
    calls = ",".join((*WRITES, *NAMES, *OTHERS, *REFUSED, *PROCESSES))
    tracer = ["strace", "-f", "-qq", "-y", "-xx", "-s", str(LONGEST), "-e", f"trace={calls}", "-e", "signal=none"]
    tracer += ["-e", f"inject={inject}"] if inject else ["--seccomp-bpf"]
    done = subprocess.run([*tracer, "-o", str(to), *command], env=environment, check=False, timeout=300)
    return done.returncode


def calls(trace: Path) -> Iterator[Call]:
    """The calls of a trace, in the order in which they ended."""
    begun: dict[int, tuple[str, int]] = {}
    ended = 0
    with trace.open() as lines:
        for line in lines:
            found = _LINE.match(line.rstrip("\n"))
            if found is None:
                raise NotModelled(f"not a line of strace: {line[:200]}")
            pid, text = int(found.group(1)), found.group(2)
            if text.endswith(_UNFINISHED):
                begun[pid] = (text.removesuffix(_UNFINISHED), ended)
                continue
            start = ended
            if resumed := _RESUMED.match(text):
                before, start = begun.pop(pid)
                text = before + resumed.group(2)
            if call := _CALL.match(text):
                name, arguments, result = call.groups()
                if result != "?":  # of a process that died in it: whether it did anything is not known
                    yield Call(pid, name, arguments, int(result), start)
                    ended += 1
