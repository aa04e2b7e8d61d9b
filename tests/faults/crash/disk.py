"""A model of a file system that keeps every promise of POSIX, and none besides.

* A file's data and size are durable once an `fsync` that began after the write has ended well.
* The name of a file, or of a folder, is durable once the folder that holds it was synced, and not before: syncing the
  file itself is not enough, whatever ext4 does.
* What was not synced may be there or not, whole or torn at a sector, each write by itself.
* A rename is there whole or not at all. Changes of one folder are kept in their order.
* After an `fsync` that failed, what it should have brought is lost or kept, and no later one makes it durable.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash.trace import REFUSED, Call, NotModelled

ROOT = 0
#: SQLite maps these into memory, and builds them anew after a crash.
UNSEEN = ("-shm",)


@dataclass(frozen=True)
class Names:
    """Names of folders that changed at once: folder, name, and what it names now, if anything."""

    changes: tuple[tuple[int, str, int | None], ...]

    @property
    def nodes(self) -> frozenset[int]:
        """The folders that changed."""
        return frozenset(folder for folder, _, _ in self.changes)


@dataclass(frozen=True)
class Data:
    """Bytes of a file that were written."""

    node: int
    offset: int
    data: bytes

    @property
    def nodes(self) -> frozenset[int]:
        """The file."""
        return frozenset((self.node,))


@dataclass(frozen=True)
class Cut:
    """A file that was cut off, or made longer with zeros."""

    node: int
    size: int

    @property
    def nodes(self) -> frozenset[int]:
        """The file."""
        return frozenset((self.node,))


@dataclass(frozen=True)
class Sync:
    """An fsync of a file or folder that ended; it brought what stood before the operation `upto`."""

    node: int
    upto: int
    worked: bool


@dataclass(frozen=True)
class Said:
    """What the program said outside of its home: an acknowledgement."""

    kind: str
    value: Any


Change = Names | Data | Cut
Operation = Change | Sync | Said


@dataclass
class Recording:
    """What a program did to its folder, from a durable beginning."""

    operations: list[Operation] = field(default_factory=list[Operation])
    #: Folders by their number.
    folders: set[int] = field(default_factory=lambda: {ROOT})
    #: Of the operations, how many made the beginning.
    beginning: int = 0


class Recorder:
    """Turns the calls of a trace into operations on what is below `root`."""

    def __init__(self, root: Path, marker: Path) -> None:
        """Begin with what stands in `root` now, as durable."""
        self._root, self._marker = str(root), str(marker)
        self.recording = Recording()
        self._names: dict[int, dict[str, int]] = {ROOT: {}}
        self._sizes: dict[int, int] = {}
        self._files: dict[tuple[int, int], tuple[int, bool]] = {}
        self._positions: dict[tuple[int, int], int] = {}
        self._process: dict[int, int] = {}
        self._nodes = ROOT
        self._began: list[int] = []
        self._unsaid = b""
        self._start_with(root)

    def _start_with(self, root: Path) -> None:
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root).as_posix()
            if path.is_dir():
                self._make(str(path), folder=True)
            elif not relative.endswith(UNSEEN):
                self._do(Data(self._make(str(path)), 0, path.read_bytes()))
        done = len(self.recording.operations)
        nodes = [*self.recording.folders, *self._sizes]
        self.recording.operations += [Sync(node, done, worked=True) for node in nodes]
        self.recording.beginning = len(self.recording.operations)

    def take(self, calls: Iterable[Call]) -> None:
        """Add the calls of one trace."""
        self._began.clear()
        for call in calls:
            self._began.append(len(self.recording.operations))
            self._take(call)

    def _take(self, call: Call) -> None:
        handle = getattr(self, f"_{call.name}", None)
        if handle and (call.result >= 0 or call.name in ("fsync", "fdatasync")):
            handle(call)
        elif call.name in REFUSED and call.result >= 0:
            self._refuse(call)

    def _refuse(self, call: Call) -> None:
        if call.name == "mmap" and not ("PROT_WRITE" in call.arguments and "MAP_SHARED" in call.arguments):
            return
        for path in call.places:
            if self._inside(path) and not path.endswith(UNSEEN):
                raise NotModelled(f"{call.name} of {path}")

    # --- processes

    def _clone(self, call: Call) -> None:
        parent = self._process.get(call.pid, call.pid)
        self._process[call.result] = parent if "CLONE_THREAD" in call.arguments else call.result
        if "CLONE_THREAD" not in call.arguments:
            for (process, file), known in list(self._files.items()):
                if process == parent:
                    self._files[call.result, file] = known

    _clone3 = _fork = _vfork = _clone

    def _key(self, call: Call, file: int) -> tuple[int, int]:
        return (self._process.get(call.pid, call.pid), file)

    # --- names

    def _inside(self, path: str) -> bool:
        return path == self._root or path.startswith(f"{self._root}/")

    def _find(self, path: str) -> int | None:
        node: int | None = ROOT
        for name in Path(path).relative_to(self._root).parts:
            node = self._names.get(node, {}).get(name) if node is not None else None
        return node

    def _parent(self, path: str) -> tuple[int, str]:
        at = Path(path)
        folder = self._find(str(at.parent))
        if folder is None:
            raise NotModelled(f"nobody made {at.parent}")
        return folder, at.name

    def _make(self, path: str, *, folder: bool = False) -> int:
        self._nodes += 1
        node = self._nodes
        if folder:
            self._names[node] = {}
            self.recording.folders.add(node)
        else:
            self._sizes[node] = 0
        self._do(Names(((*self._parent(path), node),)))
        return node

    def _do(self, operation: Change) -> None:
        self.recording.operations.append(operation)
        match operation:
            case Names(changes):
                for folder, name, node in changes:
                    if node is None:
                        self._names[folder].pop(name, None)
                    else:
                        self._names[folder][name] = node
            case Data(node, offset, data):
                self._sizes[node] = max(self._sizes[node], offset + len(data))
            case Cut(node, size):
                self._sizes[node] = size

    def _openat(self, call: Call) -> None:
        path = call.paths[-1]
        if not self._inside(path) or path.endswith(UNSEEN):
            return
        node = self._find(path)
        if node is None:
            if "O_CREAT" not in call.arguments:
                raise NotModelled(f"nobody made {path}")
            node = self._make(path)
        elif "O_TRUNC" in call.arguments:
            self._do(Cut(node, 0))
        key = self._key(call, call.result)
        self._files[key] = (node, "O_APPEND" in call.arguments)
        self._positions[key] = 0

    _open = _openat

    def _creat(self, call: Call) -> None:
        self._refuse(call)

    def _mkdir(self, call: Call) -> None:
        if self._inside(call.paths[-1]):
            self._make(call.paths[-1], folder=True)

    _mkdirat = _mkdir

    def _rename(self, call: Call) -> None:
        old, new = call.paths
        if self._inside(old) != self._inside(new):
            raise NotModelled(f"{old} was moved to {new}")
        if self._inside(old):
            self._do(Names(((*self._parent(old), None), (*self._parent(new), self._find(old)))))

    _renameat = _renameat2 = _rename

    def _unlink(self, call: Call) -> None:
        path = call.paths[-1]
        if self._inside(path) and not path.endswith(UNSEEN):
            self._do(Names(((*self._parent(path), None),)))

    _unlinkat = _rmdir = _unlink

    def _link(self, call: Call) -> None:
        if self._inside(call.paths[-1]):
            raise NotModelled(f"link of {call.paths}")

    _linkat = _link

    # --- data

    def _of(self, call: Call) -> tuple[tuple[int, int], int, bool] | None:
        """The descriptor of a call, its file and whether it appends; None for one that is not of the folder."""
        if call.descriptor is None:
            return None
        file, path = call.descriptor
        if not self._inside(path) or path.endswith(UNSEEN):
            return None
        key = self._key(call, file)
        if key not in self._files:
            raise NotModelled(f"nobody opened {path} for {call.name}")
        return (key, *self._files[key])

    def _write(self, call: Call) -> None:
        if call.descriptor and call.descriptor[1] == self._marker:
            self._say(call.texts[0])
            return
        if (found := self._of(call)) is None:
            return
        key, node, appends = found
        data = b"".join(call.texts)[: call.result]
        offset = self._sizes[node] if appends else self._positions.get(key, 0)
        self._do(Data(node, offset, data))
        self._positions[key] = offset + len(data)

    _writev = _write

    def _pwrite64(self, call: Call) -> None:
        if (found := self._of(call)) is not None:
            self._do(Data(found[1], call.number(-1), b"".join(call.texts)[: call.result]))

    _pwritev = _pwrite64

    def _sendfile(self, call: Call) -> None:
        self._refuse(call)

    _copy_file_range = _pwritev2 = _sendfile

    def _lseek(self, call: Call) -> None:
        if (found := self._of(call)) is not None:
            self._positions[found[0]] = call.result

    def _ftruncate(self, call: Call) -> None:
        if (found := self._of(call)) is not None:
            self._do(Cut(found[1], call.number(-1)))

    def _truncate(self, call: Call) -> None:
        node = self._find(call.paths[0]) if self._inside(call.paths[0]) else None
        if node is not None:
            self._do(Cut(node, call.number(-1)))

    def _fsync(self, call: Call) -> None:
        if (found := self._of(call)) is not None:
            upto = self._began[call.began] if call.began < len(self._began) else len(self.recording.operations)
            self.recording.operations.append(Sync(found[1], upto, worked=call.result == 0))

    _fdatasync = _fsync

    def _say(self, text: bytes) -> None:
        *lines, self._unsaid = (self._unsaid + text).split(b"\n")
        for line in lines:
            kind, value = json.loads(line)
            self.recording.operations.append(Said(kind, value))
