"""The states that a power cut may leave of what was recorded."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crash.disk import ROOT, Change, Cut, Data, Names, Recording, Said, Sync

#: A disk writes one of these whole or not at all.
SECTORS = (512, 4096)
#: So many pending changes are dropped, and kept, one by one; of more a sample is.
ONE_BY_ONE = 6


@dataclass(frozen=True)
class Torn:
    """How a write persisted: only the sectors of `size` bytes that a generator with this seed draws."""

    size: int
    seed: int
    share: float


@dataclass(frozen=True)
class State:
    """The power went after `prefix` operations; which of the changes that were pending then did persist."""

    prefix: int
    kept: frozenset[int]
    torn: tuple[tuple[int, Torn], ...] = ()


@dataclass(frozen=True)
class Tree:
    """Folders and files by their path."""

    folders: frozenset[str]
    files: dict[str, bytes] = field(hash=False)

    def digest(self) -> bytes:
        """The same for the same tree."""
        seen = hashlib.blake2b(digest_size=16)
        for name in sorted(self.folders):
            seen.update(f"{len(name)}/{name}".encode())
        for name in sorted(self.files):
            seen.update(f"{len(name)}:{name}:{len(self.files[name])}:".encode())
            seen.update(self.files[name])
        return seen.digest()

    def write(self, to: Path) -> None:
        """Put it on a real disk."""
        for name in sorted(self.folders):
            (to / name).mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (to / name).write_bytes(data)


def pending(recording: Recording, prefix: int) -> list[int]:
    """The changes among the first operations of which nobody can say whether they are durable."""
    open_: dict[int, list[int]] = {}
    durable, doubtful = set[int](), set[int]()
    for number, operation in enumerate(recording.operations[:prefix]):
        match operation:
            case Sync(node, upto, worked):
                brought = [one for one in open_.get(node, []) if one < upto]
                (durable if worked else doubtful).update(one for one in brought if one not in doubtful)
                open_[node] = [one for one in open_.get(node, []) if one >= upto]
            case Said():
                pass
            case _:
                for node in operation.nodes:
                    open_.setdefault(node, []).append(number)
    left = {one for numbers in open_.values() for one in numbers} | doubtful
    return sorted(left - durable)


def possible(recording: Recording, waiting: Sequence[int], wanted: set[int]) -> frozenset[int]:
    """Those of the wanted changes that can have persisted: no change of a folder's names without those before it."""
    kept = set[int]()
    stopped = set[int]()
    for number in waiting:
        operation = recording.operations[number]
        if isinstance(operation, Names) and (number not in wanted or operation.nodes & stopped):
            stopped |= operation.nodes
        elif number in wanted:
            kept.add(number)
    return frozenset(kept)


def states(recording: Recording, prefix: int, samples: int) -> Iterator[State]:
    """States after so many operations: nothing that is pending, all of it, all but one, one alone, and samples."""
    waiting = pending(recording, prefix)
    yield State(prefix, frozenset(waiting))
    if not waiting:
        return
    yield State(prefix, frozenset())
    draw = random.Random(prefix)
    for one in draw.sample(waiting, min(ONE_BY_ONE, len(waiting))):
        yield State(prefix, possible(recording, waiting, set(waiting) - {one}))
        yield State(prefix, possible(recording, waiting, _with_names(recording, waiting, one)))
    for _ in range(samples):
        yield _sample(recording, prefix, waiting, draw)


def _with_names(recording: Recording, waiting: Sequence[int], one: int) -> set[int]:
    """A change, and the names without which nobody would see it."""
    names = {n for n in waiting if n <= one and isinstance(recording.operations[n], Names)}
    return {one} | names


def _sample(recording: Recording, prefix: int, waiting: Sequence[int], draw: random.Random) -> State:
    share = draw.choice((0.2, 0.5, 0.8, 0.95))
    cuts: dict[int, int] = {}
    wanted = set[int]()
    for number in waiting:
        operation = recording.operations[number]
        if isinstance(operation, Names):
            cut = max(cuts.setdefault(node, _cut(recording, waiting, node, draw)) for node in operation.nodes)
            if number <= cut:
                wanted.add(number)
        elif draw.random() < share:
            wanted.add(number)
    kept = possible(recording, waiting, wanted)
    torn = tuple(
        (number, Torn(draw.choice(SECTORS), draw.getrandbits(32), draw.choice((0.0, 0.5, 0.9))))
        for number in sorted(kept)
        if isinstance(recording.operations[number], Data) and draw.random() < 0.3
    )
    return State(prefix, kept, torn)


def _cut(recording: Recording, waiting: Sequence[int], folder: int, draw: random.Random) -> int:
    """Up to which change the names of a folder persisted."""
    own = [n for n in waiting if isinstance(recording.operations[n], Names) and folder in recording.operations[n].nodes]
    return draw.choice([-1, *own])


def build(recording: Recording, state: State) -> Tree:
    """What stands on the disk in a state."""
    waiting = set(pending(recording, state.prefix))
    torn = dict(state.torn)
    names: dict[int, dict[str, int]] = {}
    content: dict[int, bytearray] = {}
    for number, operation in enumerate(recording.operations[: state.prefix]):
        if isinstance(operation, Sync | Said) or (number in waiting and number not in state.kept):
            continue
        _apply(operation, names, content, torn.get(number))
    folders, files = set[str](), dict[str, bytes]()
    todo = [(ROOT, "")]
    while todo:
        folder, path = todo.pop()
        for name, node in names.get(folder, {}).items():
            if node in recording.folders:
                folders.add(f"{path}{name}")
                todo.append((node, f"{path}{name}/"))
            else:
                files[f"{path}{name}"] = bytes(content.get(node, b""))
    return Tree(frozenset(folders), files)


def _apply(
    operation: Change, names: dict[int, dict[str, int]], content: dict[int, bytearray], torn: Torn | None
) -> None:
    match operation:
        case Names(changes):
            for folder, name, node in changes:
                if node is None:
                    names.setdefault(folder, {}).pop(name, None)
                else:
                    names.setdefault(folder, {})[name] = node
        case Cut(node, size):
            file = content.setdefault(node, bytearray())
            del file[size:]
            file.extend(bytes(size - len(file)))
        case Data(node, offset, data):
            file = content.setdefault(node, bytearray())
            file.extend(bytes(max(0, offset + len(data) - len(file))))
            for start, end in _persisted(offset, offset + len(data), torn):
                file[start:end] = data[start - offset : end - offset]


def _persisted(start: int, end: int, torn: Torn | None) -> Iterator[tuple[int, int]]:
    """The ranges of a write that persisted. One of which none did has made the file longer all the same."""
    if torn is None:
        yield start, end
        return
    draw = random.Random(torn.seed)
    at = start
    while at < end:
        following = min(end, at - at % torn.size + torn.size)
        if draw.random() < torn.share:
            yield at, following
        at = following
