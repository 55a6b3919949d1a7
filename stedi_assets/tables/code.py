"""Versions of code, which change with what it does and not with how it is explained."""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

PACKAGE = __name__.rpartition(".")[0]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def version(*modules: ModuleType | str, besides: Iterable[str] = ()) -> str:
    """A digest of modules and of those of `tables` that they import, however indirectly.

    Neither comments, docstrings nor the layout of the code count, nor the version of Python.

    Args:
        modules: The modules, or their names.
        besides: What else decides, such as options.

    Returns:
        Twelve hexadecimal digits.
    """
    names = {each if isinstance(each, str) else each.__name__ for each in modules}
    waiting = set(names)
    while waiting:
        found = _imported(waiting.pop()) - names
        names |= found
        waiting |= found
    parts = [*(_code(name) for name in sorted(names)), *besides]
    return digest(*parts)


def digest(*parts: str) -> str:
    """Twelve hexadecimal digits of the SHA-256 of texts."""
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:12]


def normalized(source: str) -> str:
    """The code of a module without comments and docstrings, in one layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(_FormattedAsTuples().visit(tree))


class _FormattedAsTuples(ast.NodeTransformer):
    """Formatted strings as tuples of their parts: Pythons differ in how they quote within one."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        # Python 3.12 ends a format with an empty text.
        parts = [self.visit(part) for part in node.values if ast.unparse(part) != "''"]
        return ast.Tuple(elts=parts, ctx=ast.Load())

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        spec = [self.visit(node.format_spec)] if node.format_spec else []
        parts = [self.visit(node.value), ast.Constant(node.conversion), *spec]
        return ast.Tuple(elts=parts, ctx=ast.Load())


@functools.cache
def _code(name: str) -> str:
    return normalized(_path(name).read_text(encoding="utf-8"))


@functools.cache
def _imported(name: str) -> frozenset[str]:
    """The modules of `tables` that a module imports."""
    return frozenset(each for each in _imports(name) if _is_declaring(each))


def _imports(name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(_path(name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_declaring(name: str) -> bool:
    return name.startswith(f"{PACKAGE}.") and name in sys.modules


def _path(name: str) -> Path:
    file = sys.modules[name].__file__
    assert file is not None
    return Path(file)
