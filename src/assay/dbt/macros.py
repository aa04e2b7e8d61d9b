"""What a project defines itself in SQL: its own tests, and its own rules for names."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.dbt.declared import Unreadable
from assay.dbt.project import Project

_DEFINED = re.compile(r"{%-?\s*(macro|test|data_test)\s+(\w+)\s*\(")
_OWN_TEST = re.compile(r"^(?:\w+?__)?test_(\w+)$")
#: If a project redefines one of these, the SQL of every test may be another.
_OF_ALL_TESTS = ("get_where_subquery", "get_test_sql", "get_limit_subquery_sql", "get_limit_sql")


@dataclass(frozen=True)
class Macros:
    """Name of a macro or test to the file that defines it."""

    project: Project
    macros: dict[str, Path]
    tests: dict[str, Path]

    def redefines(self, test: str) -> Path | None:
        """The file by which the SQL of that generic test is not dbt's own, or None."""
        if test in self.tests:
            return self.tests[test]
        return next((path for name, path in self.macros.items() if _ending(name, _OF_ALL_TESTS)), None)

    def named(self, rule: str, default: str, custom: Any, node: dict[str, Any]) -> str:
        """What `rule`, like generate_schema_name, gives for a node; `default` when the project leaves it alone.

        Raises `Unreadable` when the project's own macro needs what is not known here.
        """
        own = next((name for name in self.macros if _ending(name, (rule,))), None)
        if own is None:
            return default
        path = self.macros[own]
        renderer = self.project.renderer.knowing(custom=custom, node=node)
        try:
            text = path.read_text(encoding="utf-8") + f"\0{{{{ {own}(custom, node) }}}}"
            return renderer.text(text).rpartition("\0")[2].strip()
        except Unreadable:
            raise Unreadable(f"the macro {own} of {self.project.shown(path)} can't be run here") from None


def read_macros(project: Project) -> Macros:
    """The names that the project's SQL files define, installed packages left aside."""
    macros: dict[str, Path] = {}
    tests: dict[str, Path] = {}
    for folder in [*project.paths("macro-paths", "macros"), *project.paths("test-paths", "tests")]:
        for path in sorted(folder.rglob("*.sql")):
            for word, name in _DEFINED.findall(path.read_text(encoding="utf-8", errors="replace")):
                own = _OWN_TEST.match(name)
                if word != "macro" or own:
                    tests[own[1] if own else name] = path
                else:
                    macros[name] = path
    return Macros(project, macros, tests)


def _ending(name: str, rules: tuple[str, ...]) -> bool:
    return any(name == rule or name.endswith(f"__{rule}") for rule in rules)
