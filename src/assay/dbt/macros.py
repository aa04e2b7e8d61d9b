"""What a project defines itself in SQL: its own tests, and its own rules for names."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.dbt.declared import Unreadable
from assay.dbt.inline import Templates
from assay.dbt.project import Project

_DEFINED = re.compile(r"{%-?\s*(macro|test|data_test)\s+(\w+)\s*\(")
_OWN_TEST = re.compile(r"^(?:\w+?__)?test_(\w+)$")
#: If a project redefines one of these, the SQL of every test may be another.
_OF_ALL_TESTS = ("get_where_subquery", "get_test_sql", "get_limit_subquery_sql", "get_limit_sql")


_BLOCK = re.compile(r"{%-?\s*macro\s+(\w+)\s*\(.*?{%-?\s*endmacro\s*-?%}", re.DOTALL)
_COMMENT = re.compile(r"{#.*?#}", re.DOTALL)


@dataclass(frozen=True)
class Macros:
    """What the project's SQL files define."""

    project: Project
    #: Name of a macro or test to the file that defines it.
    macros: dict[str, Path]
    tests: dict[str, Path]
    #: What of them can be run here.
    templates: Templates

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
        try:
            return str(self.templates.call(own, custom, node)).strip()
        except Unreadable as error:
            place = self.project.shown(self.macros[own])
            raise Unreadable(f"the macro {own} of {place} can't be run here: {error}") from None


def read_macros(project: Project) -> Macros:
    """The names that the project's SQL files define, installed packages left aside."""
    macros: dict[str, Path] = {}
    tests: dict[str, Path] = {}
    texts: dict[str, str] = {}
    for folder in [*project.paths("macro-paths", "macros"), *project.paths("test-paths", "tests")]:
        for path in sorted(folder.rglob("*.sql")):
            text = _COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))
            texts |= {found[1]: found[0] for found in _BLOCK.finditer(text)}
            for word, name in _DEFINED.findall(text):
                own = _OWN_TEST.match(name)
                if word != "macro" or own:
                    tests[own[1] if own else name] = path
                else:
                    macros[name] = path
    return Macros(project, macros, tests, Templates(project.name, project.profile.type, project.renderer.names, texts))


def _ending(name: str, rules: tuple[str, ...]) -> bool:
    return any(name == rule or name.endswith(f"__{rule}") for rule in rules)
