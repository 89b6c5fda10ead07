"""Results as plain dictionaries: stable names, and beside every number that is None why it is."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from crossent.stats import Estimate

__all__ = ["plain"]


def plain(schema: str, result: Any, derived: Mapping[str, Any], reasons: Mapping[str, str | None]) -> dict[str, Any]:
    """A result as dictionaries, lists and numbers; infinities stay floats.

    Args:
        schema: name and version of the form.
        result: the dataclass.
        derived: what follows from its fields, by name.
        reasons: why a field or what is derived is None, if it is; `name` gives the key `name_why`.
    Returns: the dictionary.

    >>> none = Estimate(None, None, None, None, 0.95, 0, 0.0, why="no rows")
    >>> plain("x/1", none, {"twice": None}, {"twice": "no rows to count twice"})["twice_why"]
    'no rows to count twice'
    """
    made = {"schema": schema, **asdict(result)}
    made |= {name: asdict(x) if isinstance(x, Estimate) else x for name, x in derived.items()}
    return made | {f"{name}_why": why for name, why in reasons.items() if made[name] is None}
