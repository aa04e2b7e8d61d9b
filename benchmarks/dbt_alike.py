"""Whether Assay answers every test of dbt projects as dbt does: the same tests, the same status, the same count.

Takes folders of projects that are built (`dbt build`), each with a profiles.yml; fetches nothing. Runs the real `dbt test` in each and
then Assay on what dbt left, and prints a table. Unit tests test SQL, not data, and are counted apart.

    python benchmarks/dbt_alike.py PROJECT... [--dbt .venv/dbt/bin/dbt]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LIMIT_S = 600


def main() -> int:
    """Compare each project; 1 when any answer differs."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("projects", nargs="+", type=Path)
    options.add_argument("--dbt", type=Path, default=ROOT / ".venv" / "dbt" / "bin" / "dbt")
    given = options.parse_args()
    print("| project | dbt ran | of them read | alike | differ | of dbt's SQL | dbt s | Assay s |")
    print("|---|---|---|---|---|---|---|---|")
    return max(compare(folder.absolute(), given.dbt.absolute()) for folder in given.projects)


def compare(folder: Path, dbt: Path) -> int:
    """Print a line for one project, and below it what differs."""
    from assay.dbt import check_project

    os.environ["DBT_PROFILES_DIR"] = str(folder)
    begun = time.perf_counter()
    done = subprocess.run([dbt, "test"], cwd=folder, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    took = time.perf_counter() - begun
    if done.returncode not in (0, 1):
        sys.exit(f"{folder}: dbt test ended with {done.returncode}:\n{done.stdout[-2000:]}")
    theirs: dict[str, Any] = {
        each["unique_id"]: each for each in json.loads((folder / "target/run_results.json").read_text())["results"]
    }
    begun = time.perf_counter()
    report = check_project(folder)
    ours = {each.unique_id: each for each in report.of("test")}
    took_ours = time.perf_counter() - begun
    unit = {key for key in theirs if key.startswith("unit_test.")}
    tests = {key: each for key, each in theirs.items() if key not in unit}
    differ = [key for key, each in tests.items() if key in ours and not alike(ours[key], each)]
    read = [key for key in tests if key in ours]
    name = f"{folder.parent.name}/{folder.name}"
    print(
        f"| {name} | {len(tests)} and {len(unit)} unit | {len(read)} | {len(read) - len(differ)} | {len(differ)} |"
        f" {report.tests_compiled} | {took:.1f} | {took_ours:.2f} |"
    )
    for key in differ:
        print(
            f"  {key}: dbt {tests[key]['status']} {tests[key]['failures']}, Assay {ours[key].dbt_status} {ours[key].failures}: {ours[key].message}"
        )
    for key in sorted(set(tests) - set(ours)):
        print(f"  not read: {key}: dbt {tests[key]['status']}")
    for key in sorted(set(ours) - set(tests)):
        print(f"  only Assay: {key}: {ours[key].dbt_status}")
    print("  dbt's words:", dict(Counter(each["status"] for each in tests.values())))
    return int(bool(differ) or len(read) < len(tests) or bool(set(ours) - set(tests)))


def alike(ours: Any, theirs: dict[str, Any]) -> bool:
    """Whether the status is the same and, where the test was asked, the count."""
    return ours.dbt_status == theirs["status"] and (
        theirs["status"] == "error" or ours.failures == (theirs["failures"] or 0) or theirs["status"] == "pass"
    )


if __name__ == "__main__":
    sys.exit(main())
