"""What a package shows to its users, and whether each name is listed, documented and meant."""

import inspect
from collections.abc import Iterable
from types import ModuleType
from typing import Any

__all__ = ["documentation_troubles", "leaks", "list_troubles"]


def list_troubles(package: ModuleType, expected: Iterable[str]) -> list[str]:
    """Differences between `__all__`, what is there, and the written list."""
    listed, expected = list(package.__all__), set(expected)
    found = [f"{name} is in __all__ but not in the written list" for name in sorted(set(listed) - expected)]
    found += [f"{name} is in the written list but not in __all__" for name in sorted(expected - set(listed))]
    found += [f"{name} is in __all__ but cannot be had" for name in listed if not hasattr(package, name)]
    found += [f"{name} stands in __all__ twice" for name in sorted({n for n in listed if listed.count(n) > 1})]
    return found


def leaks(package: ModuleType) -> list[str]:
    """Names without an underscore that are neither listed nor modules of the package."""

    def inside(value: Any) -> bool:
        return isinstance(value, ModuleType) and value.__name__.startswith(f"{package.__name__}.")

    shown = {name: value for name, value in vars(package).items() if not name.startswith("_")}
    return sorted(name for name, value in shown.items() if name not in package.__all__ and not inside(value))


def documentation_troubles(package: ModuleType) -> list[str]:
    """Public names without docstring or example (exceptions and result tuples need no example)."""
    found = []
    for name in package.__all__:
        value = getattr(package, name)
        if name.startswith("__") or isinstance(value, ModuleType):
            continue
        text = value.__dict__.get("__doc__") if inspect.isclass(value) else getattr(value, "__doc__", None)
        if not text:
            found.append(f"{name} has no docstring")
        elif ">>>" not in text and not _needs_no_example(value):
            found.append(f"{name} has no example in its docstring")
    return found


def _needs_no_example(value: Any) -> bool:
    return inspect.isclass(value) and (issubclass(value, BaseException | tuple))
