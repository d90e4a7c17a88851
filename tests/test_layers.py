"""What import-linter cannot see: that what decides does nothing else, and that every module says what it is for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent
MODULES = sorted((HERE / "reconciler").rglob("*.py"))
PURE = [path for path in MODULES if path.relative_to(HERE).parts[1] in ("core", "language")]

DOING = {
    *("aiohttp", "anyio", "asyncio", "concurrent", "http", "io", "logging", "os", "pathlib", "random", "secrets"),
    *("select", "shutil", "socket", "sqlite3", "sqlalchemy", "ssl", "structlog", "subprocess", "tempfile"),
    *("threading", "time"),
}
"""Modules of the world outside: files, network, clock, dice, log."""


def name(path: Path) -> str:
    return str(path.relative_to(HERE))


def imported(tree: ast.Module) -> set[str]:
    """The modules that a module imports, by their first name."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", PURE, ids=name)
def test_what_decides_does_nothing_else(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert imported(tree) & DOING == set()
    doing = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, doing)] == []
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called & {"open", "print", "input", "eval", "exec"} == set()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_the_first_line_of_a_module_is_a_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, "says nothing of what it is for"
    assert docstring.splitlines()[0].endswith((".", ":"))
