"""The page of configuration says what the code does."""

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).parents[2] / "src" / "assay"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("configuration", Path(__file__).with_name("configuration.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_code() -> None:
    made = generator()
    assert made.PAGE.read_text() == made.written(made.PAGE.read_text()), "run: make docs"


def test_no_variable_is_read_that_the_table_does_not_have() -> None:
    """`os.environ` is read by name in `settings.py` only; dbt's `env_var` and the copies for child processes have no names."""
    named = [
        f"{path.relative_to(SOURCE)}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        if path.name != "settings.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if _reads_by_name(node)
    ]
    assert named == []


def _reads_by_name(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return _is_environ(node.value) and isinstance(node.slice, ast.Constant) and isinstance(node.ctx, ast.Load)
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return False
    function = node.func
    if not isinstance(function, ast.Attribute):
        return False
    return function.attr == "getenv" or (function.attr == "get" and _is_environ(function.value))


def _is_environ(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "environ"
