"""How a budget of bytes is spent: rows of a chunk, classes of a block, rows staged together."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from crossent.errors import OptionError

__all__ = ["Needs", "Plan", "checked_limit", "default_limit", "make_plan"]

_DEFAULT_MOST = 512_000_000
_DEFAULT_LEAST = 4_000_000  # below that nothing is gained: a matrix product by few rows is slow, the buffer is small
_SCRATCH = 4 << 20  # with D = 1024 blocks of 256 to 1024 classes are equally fast, of 4096 a tenth slower
_STAGED = 8 << 20
_STEP = 16  # rows that a kernel of the matrix product takes at once


class Plan(NamedTuple):
    """rows: of a chunk; classes: of a block, 0 where nothing goes by blocks; staged: rows staged together, 0: none."""

    rows: int
    classes: int
    staged: int


@dataclass(frozen=True)
class Needs:
    """Bytes beyond the results: of each row of a chunk, of each class of a block, of each staged row, of all calls.

    summed: whether chunks after the first need a block of classes; blocks: whether all do.
    """

    row: int
    block: int
    staged: int
    fixed: int
    summed: bool
    blocks: bool


def checked_limit(value: Any) -> int | None:
    """memory_limit as a whole number of bytes; None: the default."""
    if value is None:
        return None
    good = not isinstance(value, (bool, np.bool_)) and isinstance(value, (int, float, np.integer, np.floating))
    if not good or not 0 < value < 2**63 or int(value) != value:
        raise OptionError(
            f"memory_limit is {value!r}; a whole number of bytes > 0 is allowed, for instance 256_000_000."
        )
    return int(value)


def default_limit(rows: int, classes: int, itemsize: int) -> int:
    """A quarter of what the logits would take, at least 4 MB and at most 512 MB."""
    return min(max(rows * classes * itemsize // 4, _DEFAULT_LEAST), _DEFAULT_MOST)


def make_plan(limit: int | None, default: int, rows: int, classes: int, needs: Needs) -> Plan:
    """One chunk if it fits, else the largest chunks of rows that a limit allows, all of about one size.

    Raises: OptionError if not even one row fits; the default limit always lets one row through.
    """
    always = needs.fixed + needs.staged * min(1, rows) + needs.block * needs.blocks
    whole = always + needs.row * rows
    least = min(whole, needs.fixed + needs.staged + needs.row + needs.block * (needs.blocks or needs.summed))
    if limit is None:
        limit = max(default, least)
    if limit < least:
        raise OptionError(
            f"memory_limit is {limit} bytes, but one row takes {least} ({classes} logits and what goes with them). "
            f"Pass memory_limit={least} or more; some hundred rows' worth is fast."
        )
    if whole <= limit:
        staged = _share(min(_STAGED, limit - whole + needs.staged), needs.staged, rows)
        spare = limit - whole - (staged - 1) * needs.staged
        block = _share(min(_SCRATCH, spare + needs.block), max(1, needs.block), classes) if needs.blocks else 0
        return Plan(max(1, rows), block, staged)
    block = _share(min(_SCRATCH, limit // 8), max(1, needs.block), classes) if needs.blocks or needs.summed else 0
    staged = _share(min(_STAGED, limit // 4), needs.staged, rows)
    if limit - needs.fixed - block * needs.block - staged * needs.staged < needs.row * min(_STEP, rows):
        block, staged = min(block, 1), min(staged, 1)  # so tight that every byte is for rows
    most = min(rows, (limit - needs.fixed - block * needs.block - staged * needs.staged) // needs.row)
    chunks = -(-rows // most)
    even = -(-rows // chunks)
    return Plan(min(most, -(-even // _STEP) * _STEP), block, staged)


def _share(budget: int, each: int, most: int) -> int:
    """How many of them a budget pays for, at least 1; none of what costs nothing."""
    return max(1, min(most, budget // each)) if each else 0
