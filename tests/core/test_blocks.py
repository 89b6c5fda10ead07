"""How rows are cut into blocks and blocks are drawn: from the shape alone, never too much at once, none left out."""

import threading
import time
from typing import Any

import numpy as np
import pytest

import crossent as ce
from crossent.core.blocks import NO_BAD_ROW, BadRow, block_rows_for, run_blocks, run_direct

BLOCK, CALL, INNER = 1 << 17, 1 << 23, 1 << 22
SHAPES = [(1, 1), (10, 3), (1 << 17, 1), (50_000, 3), (10**9, 7), (500, 1000), (8192, 262144), (3, 10**9), (10**7, 131)]


@pytest.mark.parametrize(("rows", "width"), SHAPES)
def test_blocks_hold_about_as_many_elements(rows: int, width: int) -> None:
    count = block_rows_for(rows, width)
    assert count == 1 or count * width <= BLOCK
    assert count >= rows or (count + 64) * width > BLOCK
    assert count >= rows or count <= 64 or count % 64 == 0


@pytest.mark.parametrize(("K", "least"), [(3, 64), (2048, 64), (4096, 64), (65_536, 64), (262_144, 16), (10**8, 2)])
def test_rows_on_an_inner_axis_stay_side_by_side(K: int, least: int) -> None:
    """A cache line holds 16 float32 of one class: a block of one row would read 16 times as much."""
    count = block_rows_for(10**6, K, 1000)
    assert count >= least
    assert count * K <= max(INNER, 2 * K)
    assert block_rows_for(10**6, K, 1) <= count


@pytest.mark.parametrize("K", [2, 10, 100, 2048, 5000, 300_000, 5_000_000])
def test_no_block_of_one_row_on_an_inner_axis(K: int) -> None:
    """Native code would take it for a row of the last axis. Any number of rows ends in two or more."""
    usual = block_rows_for(10**9, K, 2)
    lasts = {rows % block_rows_for(rows, K, 2) for rows in range(2, 200)} | {
        (blocks * usual + more) % block_rows_for(blocks * usual + more, K, 2)
        for blocks in range(1, 200)
        for more in (0, 1, 2)
    }
    assert 1 not in lasts
    assert usual > 1


class Native:
    """Stands for a kernel: draws blocks as draw_block of native/block.hpp does, and notes how much a call took."""

    def __init__(self, bad: int | None = None) -> None:
        self.bad, self.calls, self.rows = bad, list[int](), list[tuple[int, int]]()
        self.lock = threading.Lock()

    def __call__(self, rows: int, block_rows: int, last: int, state: Any, sums: Any) -> Any:
        if state is None:
            return 1.0, 2.0, rows, NO_BAD_ROW if self.bad is None else self.bad * 8 + 1
        drawn = 0
        while True:
            with self.lock:
                block = int(state[0])
                if block >= min(last, len(sums)) or state[1] != NO_BAD_ROW:
                    self.calls.append(drawn * block_rows)
                    return None
                state[0] += 1
            drawn += 1
            first, end = block * block_rows, min(rows, (block + 1) * block_rows)
            self.rows.append((first, end))
            sums[block] = 1.0, 2.0, end - first
            if self.bad is not None and first <= self.bad < end:
                with self.lock:
                    state[1] = min(int(state[1]), self.bad * 8 + 1)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("rows", "width"), [(10, 3), (3_000_000, 7), (2000, 262144), (30, 10**8), (40_000, 1000)])
def test_one_native_call_takes_a_bounded_share(rows: int, width: int, threads: int, set_threads: Any) -> None:
    """Python looks at its signals in between: 2^23 elements take less than 0.3 s on every instruction set."""
    set_threads(threads)
    native = Native()
    sums = run_direct(native, (rows,), rows, width)
    assert sums.rows == rows
    assert all(taken * width <= max(CALL, width) for taken in native.calls)
    if native.rows:
        assert [first for first, _ in sorted(native.rows)] == [0, *(end for _, end in sorted(native.rows)[:-1])]


@pytest.mark.parametrize("bad", [0, 77, 1_999_999])
@pytest.mark.parametrize("rows", [100, 2_000_000])
def test_a_bad_row_ends_the_run(rows: int, bad: int) -> None:
    if bad < rows:
        with pytest.raises(BadRow) as found:
            run_direct(Native(bad), (rows,), rows, 3)
        assert (found.value.row, found.value.code) == (bad, 1)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_lowest_bad_row_of_blocks_in_any_order(threads: int, set_threads: Any) -> None:
    """Later blocks are quicker than earlier ones, and all hold bad rows."""
    set_threads(threads)
    rng = np.random.default_rng(threads)
    for _ in range(60):
        lowest = int(rng.integers(0, 40)) * BLOCK

        def call(first: int, end: int, sums: Any, lowest: int = lowest) -> None:
            if end > lowest:
                if first <= lowest:
                    time.sleep(0.002)
                raise BadRow(max(first, lowest), 1)

        with pytest.raises(BadRow) as found:
            run_blocks(call, 60 * BLOCK, 1)
        assert found.value.row == lowest


@pytest.mark.parametrize("kind", ["direct", "staged", "probs", "binary", "binary probs"])
@pytest.mark.parametrize("threads", [1, 4])
def test_the_lowest_bad_row_is_reported(kind: str, threads: int, set_threads: Any) -> None:
    """Every later row is bad too."""
    set_threads(threads)
    N, K = 300_000, 3
    for lowest in (0, 43_690, 43_691, 131_071, 299_999):
        z = np.full((N, K), 0.25, np.float16 if kind == "staged" else np.float32)
        z[lowest:, 1] = np.nan if "probs" not in kind else 2.0
        y = np.zeros((N, K) if "binary" in kind else N, np.float32 if "binary" in kind else int)
        name = "probs" if "probs" in kind else "logits"
        loss = ce.binary_cross_entropy if "binary" in kind else ce.cross_entropy
        if kind == "probs":
            y[:] = 1
        with pytest.raises((ce.NonFiniteError, ce.ProbabilityError), match=rf"{name}\[{lowest}, 1\]"):
            loss(y, **{name: z})
