"""Which tests and sources `--select` and `--exclude` mean, as dbt's node selection has it.

A test is meant when it matches itself, or when a model or source that it is about does (dbt's `eager`). The methods `fqn`,
`tag`, `source`, `path`, `file`, `package`, `test_name` and `test_type` are known; a space or another option joins, a comma
intersects. Methods that need the graph, like `+orders`, are refused.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from assay.dbt.declared import Declared, Marks
from assay.errors import BadInput, near_miss

_Matches = Callable[[Marks], bool]


def selected(declared: Declared, select: Iterable[str] = (), exclude: Iterable[str] = ()) -> Declared:
    """What of `declared` is meant; all when nothing is selected and nothing excluded. Raises `BadInput`."""
    wanted, unwanted = _specs(select), _specs(exclude)

    def meant(marks: Marks | None) -> bool:
        if marks is None:
            return not wanted
        return (not wanted or _matches(wanted, marks, declared)) and not _matches(unwanted, marks, declared)

    if not wanted and not unwanted:
        return declared
    return replace(
        declared,
        sources=[each for each in declared.sources if meant(each.marks)],
        tests=[each for each in declared.tests if meant(each.marks)],
        faults=[each for each in declared.faults if meant(each.marks)],
        left=[each for each in declared.left if meant(each.marks)],
    )


def _specs(words: Iterable[str]) -> list[list[_Matches]]:
    """One of these has to match: all its parts."""
    return [[_matcher(each) for each in spec.split(",")] for word in words for spec in word.split()]


def _matches(specs: list[list[_Matches]], marks: Marks, declared: Declared) -> bool:
    """Whether a test or source is meant, by itself or by what it is about: each part of an intersection alone."""
    every = [marks, *(declared.nodes[each] for each in marks.parents if each in declared.nodes)]
    return any(all(any(map(part, every)) for part in spec) for spec in specs)


def _matcher(word: str) -> _Matches:
    if "+" in word or word.startswith("@"):
        raise BadInput(f"--select {word}: + and @ need the graph of the project", do="Name the models themselves.")
    method, found, value = word.partition(":")
    if not found:
        method, value = _default(word), word
    known = {
        "fqn": _by_name,
        "tag": lambda value: lambda marks: any(fnmatchcase(tag, value) for tag in marks.tags),
        "source": _by_source,
        "path": _by_path,
        "file": lambda value: lambda marks: value in (PurePosixPath(marks.path).name, PurePosixPath(marks.path).stem),
        "package": lambda value: lambda marks: fnmatchcase(marks.package, value),
        "test_name": lambda value: lambda marks: bool(marks.test_name) and fnmatchcase(marks.test_name, value),
        "test_type": _by_type,
    }
    if method not in known:
        hint = near_miss(method, known)
        raise BadInput(
            f"--select {word}: {method!r} is not a method of selection", f"known are {', '.join(known)}", do=hint
        )
    return known[method](value)


def _default(word: str) -> str:
    if "/" in word:
        return "path"
    return "file" if word.endswith((".sql", ".py", ".csv", ".yml", ".yaml")) else "fqn"


def _by_name(value: str) -> _Matches:
    wanted = value.split(".")

    def matches(marks: Marks) -> bool:
        last = marks.fqn[-2:]
        if any(fnmatchcase(name, value) for name in last[-1:]) or value in ("_".join(last), ".".join(last)):
            return True
        flat = [part for step in marks.fqn for part in step.split(".")]
        return _below(flat, wanted) or _below(flat[1:], wanted)

    return matches


def _below(flat: list[str], wanted: list[str]) -> bool:
    """Whether `wanted`, in which a part may hold wildcards, is how `flat` begins."""
    if len(flat) < len(wanted):
        return False
    for i, part in enumerate(wanted):
        if any(sign in part for sign in "*?["):
            return fnmatchcase(".".join(flat[i:]), ".".join(wanted[i:]))
        if flat[i] != part:
            return False
    return True


def _by_source(value: str) -> _Matches:
    wanted = value.split(".")

    def matches(marks: Marks) -> bool:
        if not marks.unique_id.startswith("source."):
            return False
        _, package, *names = marks.unique_id.split(".")
        full = [package, *names] if len(wanted) > len(names) else names
        return all(fnmatchcase(name, part) for name, part in zip(full, wanted, strict=False))

    return matches


def _by_path(value: str) -> _Matches:
    wanted = PurePosixPath(value)

    def matches(marks: Marks) -> bool:
        path = PurePosixPath(marks.path)
        return (
            fnmatchcase(str(path), str(wanted))
            or wanted in path.parents
            or any(fnmatchcase(str(each), str(wanted)) for each in path.parents)
        )

    return matches


def _by_type(value: str) -> _Matches:
    types = ("generic", "singular") if value == "data" else (value,)
    return lambda marks: marks.test_type in types
