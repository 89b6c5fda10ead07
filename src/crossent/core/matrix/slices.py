"""How rows are cut for sums over them: into slices that the shape alone decides, each summed by one thread.

So a sum has the same bits for any number of threads. A slice is walked in blocks that stay in a core's cache from the
first product (logits) to the last (gradient).
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TypeVar

import numpy as np

from crossent.core.pool import run_tasks
from crossent.core.types import NDArray

__all__ = ["aligned_doubles", "blocks_of", "run_slices", "slices_for", "step_rows"]

_SLICES = 32  # enough for as many threads
_SUM_BYTES = 1 << 28  # of all slices' sums together
_BLOCK_BYTES = 1 << 22  # of a block that Python's calls come back to: in the cache that cores share
_STEP_BYTES = 1 << 18  # of one that native code keeps in a core's own
_LEAST = 1 << 18  # features of a slice: with fewer, one thread is through before a second has begun
_Result = TypeVar("_Result")


def slices_for(rows: int, columns: int, outputs: int = 1) -> list[tuple[int, int]]:
    """First and end row of each slice, for sums of [outputs, columns] numbers."""
    most = max(4, _SUM_BYTES // max(1, 8 * columns * outputs))
    least_rows = max(64, _LEAST // max(1, columns))
    count = max(1, min(_SLICES, most, rows // least_rows))
    edges = [rows * i // count for i in range(count + 1)]
    return [(first, end) for first, end in pairwise(edges) if first < end]


def blocks_of(first: int, end: int, row_bytes: int) -> list[tuple[int, int]]:
    """The blocks of a slice, in whole groups of 64 rows."""
    step = max(64, _BLOCK_BYTES // max(1, row_bytes) // 64 * 64)
    return [(start, min(start + step, end)) for start in range(first, end, step)]


def step_rows(rows: int, row_bytes: int) -> int:
    """Rows of a block of the fused native step."""
    return max(1, min(rows, 4096, max(64, _STEP_BYTES // max(1, row_bytes) // 64 * 64)))


def aligned_doubles(size: int) -> NDArray:
    """Memory for `size` numbers that begins a cache line, so that no vector of it lies on two."""
    raw = np.empty(size + 8)
    skip = -(raw.ctypes.data // 8) % 8
    return raw[skip : skip + size]


def run_slices(call: Callable[[int, int], _Result], slices: list[tuple[int, int]]) -> list[_Result]:
    """call(first, end) for each slice, over the threads; the results in the order of the slices.

    A call answers overflow with infinity, in silence: the caller's np.errstate would not reach the threads.
    """

    def quiet(first: int, end: int) -> _Result:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return call(first, end)

    return run_tasks(*(partial(quiet, first, end) for first, end in slices))
