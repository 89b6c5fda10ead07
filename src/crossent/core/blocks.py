"""Fixed blocks of rows: how work is cut, run over threads, and summed in block order.

The cut depends on the shape alone, so sums have the same bits for any number of threads. Arrays that native code reads
as they are take one native call a thread, which draws blocks itself; others are copied block by block (strided,
big-endian, half-precision), so no copy of a whole input is ever made.
"""

import itertools
import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from crossent.core.pool import run_shares
from crossent.core.types import NDArray

__all__ = ["NO_BAD_ROW", "BadRow", "Rows", "Sums", "block_rows_for", "run_blocks", "run_direct"]

NO_BAD_ROW = np.iinfo(np.int64).max
_BLOCK_ELEMENTS = 1 << 17
_BLOCKS_A_CALL = 64  # between looks at Python's signals


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


def block_rows_for(rows: int, width: int) -> int:
    """Rows in a block, from the shape alone; a multiple of 64 for short rows, so that tiles stay whole."""
    count = max(1, _BLOCK_ELEMENTS // max(1, width))
    return count // 64 * 64 if count > 64 else count


def _merge(sums: NDArray) -> Sums:
    """The blocks' sums, rounded once; infinite ones stay infinite."""
    if len(sums) == 1:
        value, mass, rows = sums[0].tolist()
    else:
        value, mass, rows = (math.fsum(column) for column in sums.T.tolist())
    return Sums(value, mass, int(rows))


def run_direct(call: Callable[[int, int, NDArray, NDArray], None], rows: int, width: int) -> Sums:
    """Runs call(block_rows, last, state, sums), which draws blocks natively, over the threads."""
    if rows == 0:
        return Sums(0.0, 0.0, 0)
    block_rows = block_rows_for(rows, width)
    blocks = -(-rows // block_rows)
    state = np.array([0, NO_BAD_ROW])
    sums = np.zeros((blocks, 3))

    def work() -> None:
        while state[0] < blocks and state[1] == NO_BAD_ROW:
            call(block_rows, int(state[0]) + _BLOCKS_A_CALL, state, sums)

    def stop() -> None:
        state[0] = blocks

    if blocks == 1:
        call(block_rows, 1, state, sums)
    else:
        run_shares(work, stop, blocks)
    if state[1] != NO_BAD_ROW:
        raise BadRow(*divmod(int(state[1]), 8))
    return _merge(sums)


def run_blocks(call: Callable[[int, int, NDArray], None], rows: int, width: int) -> Sums:
    """Runs call(first, end, sums [1, 3]) for each block over the threads; it raises BadRow with a row of the whole."""
    if rows == 0:
        return Sums(0.0, 0.0, 0)
    block_rows = block_rows_for(rows, width)
    blocks = -(-rows // block_rows)
    sums = np.zeros((blocks, 3))
    numbers = itertools.count()
    bad: list[BadRow] = []
    lock = threading.Lock()
    stopped = threading.Event()

    def work() -> None:
        for block in numbers:
            if block >= blocks or bad or stopped.is_set():
                return
            try:
                call(block * block_rows, min(rows, (block + 1) * block_rows), sums[block : block + 1])
            except BadRow as found:
                with lock:
                    bad.append(found)

    run_shares(work, stopped.set, blocks)
    if bad:
        raise min(bad, key=lambda found: found.row)
    return _merge(sums)


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
