"""Fixed blocks of rows: how work is cut, run over threads, and summed in block order.

The cut depends on the shape alone, so sums have the same bits for any number of threads. Arrays that native code reads
as they are take one native call a thread, which draws blocks itself; others are copied block by block (strided,
big-endian, half-precision), so no copy of a whole input is ever made.
"""

import math
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from crossent.core.pool import run_shares
from crossent.core.types import NDArray

__all__ = [
    "NO_BAD_ROW",
    "BadRow",
    "Rows",
    "Sums",
    "block_rows_for",
    "flat",
    "merged",
    "part",
    "plain",
    "run_blocks",
    "run_direct",
    "run_one",
]

NO_BAD_ROW = np.iinfo(np.int64).max
_BLOCK_ELEMENTS = 1 << 17
_CALL_ELEMENTS = 1 << 23  # between looks at Python's signals: less than a third of a second on the slowest kernels
_INNER_ROWS, _INNER_ELEMENTS = 64, 1 << 22  # with classes on an inner axis, rows side by side share cache lines


class BadRow(Exception):
    """The lowest row with a bad value, and what is wrong with it (RowError of native/kernels.hpp)."""

    def __init__(self, row: int, code: int) -> None:
        super().__init__(row, code)
        self.row = row
        self.code = code


class Sums(NamedTuple):
    """Over the rows kept: weighted loss, weighted target mass, their number."""

    value: float
    mass: float
    rows: int


def block_rows_for(rows: int, width: int, inner: int = 1, least: int = 1) -> int:
    """Rows in a block (`least` or more), from the shape alone; a multiple of 64 for short rows: tiles stay whole.

    With classes on an inner axis no block has one row: copied, it would look like a row of the last axis, whose kernel
    rounds differently.
    """
    if rows * width <= _BLOCK_ELEMENTS:
        return max(1, rows)
    count = max(least, _BLOCK_ELEMENTS // width)
    if inner > 1 and count < _INNER_ROWS:
        count = max(count, min(_INNER_ROWS, _INNER_ELEMENTS // width), 2)
    step = 64 if count > 64 else 1
    count = count // step * step
    while inner > 1 and rows > count and rows % count == 1:
        count += step
    return count


def merged(parts: Iterable[Iterable[float]]) -> Sums:
    """The sums of one part or more, rounded once; infinite ones stay infinite."""
    value, mass, rows = (math.fsum(column) for column in zip(*parts, strict=True))
    return Sums(value, mass, int(rows))


def run_direct(
    native: Callable[..., Any], arguments: tuple[Any, ...], rows: int, width: int, inner: int = 1, least: int = 1
) -> Sums:
    """Runs native(*arguments, block_rows, last, state, sums), which draws blocks itself, over the threads."""
    if rows * width <= _BLOCK_ELEMENTS:
        return run_one(native, arguments, rows)
    block_rows = block_rows_for(rows, width, inner, least)
    blocks = -(-rows // block_rows)
    blocks_a_call = max(1, _CALL_ELEMENTS // (block_rows * width))
    state = np.array([0, NO_BAD_ROW])
    sums = np.zeros((blocks, 3))

    def work() -> None:
        while state[0] < blocks and state[1] == NO_BAD_ROW:
            native(*arguments, block_rows, int(state[0]) + blocks_a_call, state, sums)

    def stop() -> None:
        state[0] = blocks

    run_shares(work, stop, blocks)
    if state[1] != NO_BAD_ROW:
        raise BadRow(*divmod(int(state[1]), 8))
    return merged(sums.tolist())


def run_one(native: Callable[..., Any], arguments: tuple[Any, ...], rows: int, first: int = 0) -> Sums:
    """Runs native(*arguments, block_rows, last, None, None): one block, rows first .. first + rows of the whole."""
    if rows == 0:
        return Sums(0.0, 0.0, 0)
    value, mass, kept, bad = native(*arguments, rows, 1, None, None)
    if bad != NO_BAD_ROW:
        row, code = divmod(bad, 8)
        raise BadRow(first + row, code)
    return Sums(value, mass, kept)


def run_blocks(
    call: Callable[[int, int, NDArray], None], rows: int, width: int, inner: int = 1, least: int = 1
) -> Sums:
    """Runs call(first, end, sums [1, 3]) for each block over the threads; it raises BadRow with a row of the whole."""
    if rows == 0:
        return Sums(0.0, 0.0, 0)
    block_rows = block_rows_for(rows, width, inner, least)
    blocks = -(-rows // block_rows)
    sums = np.zeros((blocks, 3))
    numbers = iter(range(blocks))
    bad: list[BadRow] = []
    lock = threading.Lock()
    stopped = threading.Event()

    def draw() -> int | None:
        """The next block, unless a bad row was found; all below it were drawn before and will be looked at."""
        with lock:
            return None if bad or stopped.is_set() else next(numbers, None)

    def work() -> None:
        while (block := draw()) is not None:
            try:
                call(block * block_rows, min(rows, (block + 1) * block_rows), sums[block : block + 1])
            except BadRow as found:
                with lock:
                    bad.append(found)

    run_shares(work, stopped.set, blocks)
    if bad:
        raise min(bad, key=lambda found: found.row)
    return merged(sums.tolist())


def plain(dtype: np.dtype[Any], *arrays: NDArray | None) -> bool:
    """Whether native code can read (or write) the arrays where they lie."""
    for array in arrays:
        if array is not None:
            flags = array.flags
            if array.dtype != dtype or not flags.c_contiguous or not flags.aligned:
                return False
    return True


def part(array: NDArray | None, first: int, end: int) -> NDArray | None:
    """Rows first .. end of an array that may not be there."""
    return None if array is None else array[first:end]


def flat(array: NDArray | None) -> NDArray | None:
    """One row after another, of an array that may not be there."""
    return None if array is None else array.reshape(-1)


class Rows:
    """Rows of an array with classes on `axis`, in C order of the other axes: read and written block by block."""

    def __init__(self, array: NDArray, axis: int | None) -> None:
        self.view = array[..., None] if axis is None else np.moveaxis(array, axis, -1)
        self.lead = self.view.shape[:-1]

    def _index(self, first: int, end: int) -> Any:
        if len(self.lead) == 1:
            return slice(first, end)
        if not self.lead:
            return None
        return np.unravel_index(np.arange(first, end), self.lead)

    def read(self, first: int, end: int, dtype: np.dtype[Any], *, classes_first: bool = False) -> NDArray:
        """Rows first .. end as a contiguous [n, K] (or [K, n]) array of dtype."""
        block = self.view[self._index(first, end)]
        return np.require(block.T if classes_first else block, dtype, ["C", "A"])

    def write(self, first: int, end: int, block: NDArray, *, classes_first: bool = False) -> None:
        """Stores an [n, K] (or [K, n]) block into rows first .. end, rounding to the array's dtype."""
        index = self._index(first, end)
        rows = block.T if classes_first else block
        with np.errstate(over="ignore", under="ignore"):
            if index is None:
                self.view[...] = rows[0]
            else:
                self.view[index] = rows

    def gather(self, first: int, end: int, columns: NDArray) -> NDArray:
        """One element of each of the rows first .. end: element columns[i] of the i-th."""
        if len(self.lead) == 1:
            found = self.view[first:end][np.arange(end - first), columns]
        else:
            index = np.unravel_index(np.arange(first, end), self.lead) if self.lead else ()
            found = self.view[(*index, columns)]
        return np.asarray(found)
