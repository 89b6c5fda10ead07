"""Two sets of predictions, with names, as compare takes them: arrays, tables, or patterns of columns."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from crossent.errors import UnsupportedError

__all__ = ["EXAMPLE", "Two"]

EXAMPLE = "[a, b] or {'old': a, 'new': b}"


class Two(NamedTuple):
    """Two of something, with their names."""

    names: tuple[str, str]
    members: tuple[Any, Any]

    @classmethod
    def of(cls, given: Any, what: str) -> "Two":
        """From a mapping of two names, or a list or tuple of two.

        Raises: UnsupportedError for anything else.

        >>> Two.of({"old": 1, "new": 2}, "probs").names
        ('old', 'new')
        """
        if isinstance(given, Mapping):
            names, members = [str(name) for name in given], list(given.values())
        elif isinstance(given, list | tuple):
            names, members = ["A", "B"], list(given)
        else:
            shape = getattr(given, "shape", None)
            found = type(given).__name__ + ("" if shape is None else f" of shape {tuple(shape)}")
            raise UnsupportedError(f"{what} is one {found}; compare takes two sets: {what}={EXAMPLE}. score takes one.")
        if len(members) != 2:
            raise UnsupportedError(f"{what} has {len(members)} sets; compare takes two: {what}={EXAMPLE}.")
        return cls((names[0], names[1]), (members[0], members[1]))
