"""The house's table: which room may import which, and which third-party name each file may import.

`violations` reads sources, not modules, so that a room is judged before it can run; tests/house holds every
file of src/crossent against it, and tests/house/test_checkers_bite.py shows that it bites.
"""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import NamedTuple

__all__ = ["Import", "imports_of", "violations"]

# room: what it may import besides NumPy and the standard library. Rooms not built yet stand here too.
_FLOOR = {"errors", "wording", "core"}
_BASIC = _FLOOR | {"settings", "activations", "measures"}
_LOSSES = {"losses", "family", "shorthands", "targets", "linear", "shards"}
_FRONT_ENDS = {"torch", "jax", "keras", "boosting"}
_BELOW_VERBS = _BASIC | _LOSSES | {"stats", "rows"}
_VERBS = {"learn", "scoring"}
_BELOW_REPORT = _BELOW_VERBS | _VERBS | {"plots", "explain", "scale"}

ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "wording": set(),
    "core": _FLOOR,
    "settings": _FLOOR,
    "activations": _FLOOR,
    "measures": _FLOOR,
    **dict.fromkeys(_LOSSES, _BASIC | _LOSSES),
    "stats": _FLOOR | {"stats"},
    "rows": {"errors", "wording", "core.types", "core.text", "rows"},
    **{room: _BASIC | _LOSSES | {room} for room in _FRONT_ENDS},
    "learn": _BELOW_VERBS | {"learn"},
    "scoring": _BELOW_VERBS | {"scoring"},
    "plots": _BELOW_VERBS | _VERBS | {"plots"},
    "explain": _BELOW_VERBS | _VERBS | {"explain"},
    "scale": _BELOW_VERBS | _VERBS | {"scale"},
    "report": _BELOW_REPORT | {"report"},
    "explore": _BELOW_REPORT | {"explore"},
    "bench": _BELOW_REPORT | {"torch", "bench"},
    "demo": _BELOW_REPORT | {"report"},
    "cli": _BELOW_REPORT | {"report", "explore", "demo", "bench", "cli"},
    "__main__": {"cli"},
}
PUBLIC = (
    _BASIC | _LOSSES | {"learn", "scoring", "plots", "explain", "scale", "report"}
)  # what crossent/__init__.py may import

# The first pattern that fits a file (below src/crossent) decides; NumPy is allowed everywhere but in
# errors.py and wording.py.
THIRD_PARTY: list[tuple[str, set[str]]] = [
    ("errors.py", set()),
    ("wording.py", set()),
    ("torch/*", {"numpy", "torch", "ml_dtypes"}),
    ("core/interchange.py", {"numpy", "ml_dtypes"}),  # loaded for numbers that NumPy has no type for
    ("jax/*", {"numpy", "jax"}),
    ("keras/*", {"numpy", "keras"}),
    ("rows/*", {"numpy", "pyarrow", "duckdb"}),
    ("learn/store.py", {"numpy", "safetensors"}),
    ("learn/conventions.py", {"numpy", "sklearn"}),  # answers scikit-learn's own questions, so it is loaded then
    ("learn/callbacks.py", {"numpy", "sklearn"}),  # speaks with its callbacks, so it is loaded then
    ("plots/*", {"numpy", "matplotlib"}),
    ("report/*", {"numpy", "matplotlib", "jinja2", "markupsafe"}),
    ("cli/*", {"numpy", "click", "rich"}),
    ("demo.py", {"numpy", "sklearn"}),
    # Workers of `crossent bench`: each alone in a process, which ends with its library missing where it is.
    ("bench/peers/crossent_peer.py", {"numpy", "ml_dtypes"}),
    ("bench/peers/torch_peer.py", {"numpy", "torch"}),
    ("bench/peers/crossent_torch_peer.py", {"numpy"}),
    ("bench/peers/jax_peer.py", {"numpy", "jax"}),
    ("bench/peers/tensorflow_peer.py", {"numpy", "tensorflow"}),
    ("bench/peers/scipy_peer.py", {"numpy", "scipy"}),
    ("bench/peers/sklearn_peer.py", {"numpy", "sklearn"}),
    ("bench/peers/problems.py", {"numpy", "scipy"}),
    ("bench/peers/sklearn_fit_peer.py", {"numpy", "scipy", "sklearn"}),
    ("bench/peers/sklearnex_fit_peer.py", {"numpy", "sklearnex"}),
    ("scale/dask.py", {"numpy", "dask"}),
    ("*", {"numpy"}),
]


class Import(NamedTuple):
    """An imported module by its absolute name, its line, and the function around it ("" at the top)."""

    module: str
    line: int
    function: str


def imports_of(path: str, source: str) -> Iterator[Import]:
    """Every import of a file, also inside functions; `path` is relative to src/crossent."""
    parts = ["crossent", *path.removesuffix(".py").split("/")]
    package = parts[:-1]

    def visit(node: ast.AST, function: str) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, function)
            elif isinstance(child, ast.ImportFrom):
                base = package[: len(package) - child.level + 1] if child.level else []
                module = ".".join([*base, *([child.module] if child.module else [])])
                for alias in child.names:
                    yield Import(f"{module}.{alias.name}", child.lineno, function)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from visit(child, child.name)
            else:
                yield from visit(child, function)

    yield from visit(ast.parse(source), "")


def violations(files: dict[str, str]) -> list[str]:
    """What breaks the table in these files {path below src/crossent: source}; empty if nothing does."""
    found = []
    for path, source in sorted(files.items()):
        room = "__init__" if path == "__init__.py" else path.split("/")[0].removesuffix(".py")
        if room not in ROOMS and room != "__init__":
            found.append(f"{path}: {room} is not a room of the house; tests/layers.py lists them")
            continue
        for use in imports_of(path, source):
            trouble = _trouble(path, room, use)
            if trouble:
                found.append(f"{path}:{use.line}: {trouble}")
    return found


def _trouble(path: str, room: str, use: Import) -> str:
    top, _, rest = use.module.partition(".")
    if top != "crossent":
        allowed = next(names for pattern, names in THIRD_PARTY if fnmatch(path, pattern))
        if top in sys.stdlib_module_names or top in allowed:
            return ""
        return f"imports {top}; this file may import {', '.join(sorted(allowed)) or 'the standard library only'}"
    if rest == "__version__" and room != "__init__":
        return ""
    if rest.partition(".")[0] == "_native":
        return "" if room in ("core", "settings") else "imports the native module; only core and settings do"
    if rest.startswith("report") and use.function in ("_repr_html_", "__str__"):
        return ""  # the one named exception of the design: a result shows itself
    allowed = PUBLIC if room == "__init__" else ROOMS[room]
    if any(rest == name or rest.startswith(f"{name}.") for name in allowed):
        return ""
    return f"imports crossent.{rest}; {room} may import {', '.join(sorted(allowed)) or 'nothing of crossent'}"
