"""What holds for every file of the project: short, functions short, its first line says why it exists."""

import ast
from collections.abc import Iterator

__all__ = ["long_functions", "troubles"]

FILE_LINES, FUNCTION_LINES = 400, 40


def long_functions(source: str) -> Iterator[str]:
    """Functions whose body, without its docstring, has more than 40 lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines > FUNCTION_LINES:
                yield f"{node.name} has {lines} lines"


def troubles(name: str, source: str) -> list[str]:
    """What is wrong with a file of this name."""
    found = []
    lines = source.splitlines()
    if len(lines) > FILE_LINES:
        found.append(f"{len(lines)} lines")
    if name.endswith(".py"):
        if not (source.startswith(('"""', 'r"""')) and ast.get_docstring(ast.parse(source))):
            found.append("its first line does not say why it exists")
        found += long_functions(source)
    elif not lines or not lines[0].startswith(("//", "/*")):
        found.append("its first line does not say why it exists")
    return found
