"""Slices: every row once, in an order that the shape decides, and so the same bits for any number of threads."""

import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import crossent as ce
from crossent.core.matrix import DenseMatrix, SparseMatrix, run_slices
from crossent.core.matrix.slices import aligned_doubles, blocks_of, slices_for, step_rows
from crossent.core.matrix.step import step_loss


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 1000, 10**6, 10**9])
@pytest.mark.parametrize("columns", [1, 50, 784, 10**6])
def test_slices_and_blocks_hold_every_row_once(rows, columns):
    for outputs in (1, 10, 1000):
        slices = slices_for(rows, columns, outputs)
        assert (slices[0][0], slices[-1][1]) == (0, rows)
        assert all(one[1] == other[0] for one, other in pairwise(slices))
        assert all(first < end for first, end in slices)
        assert len(slices) <= 32
        assert len(slices) <= 4 or 8 * len(slices) * columns * outputs <= 1 << 28
    first, end = slices[-1]
    blocks = blocks_of(first, min(end, first + 10**5), 8 * columns)
    assert (blocks[0][0], blocks[-1][1]) == (first, min(end, first + 10**5))
    assert all(one[1] == other[0] and one[1] - one[0] >= 64 for one, other in pairwise(blocks))
    assert 1 <= step_rows(rows, 8 * columns) <= min(rows, 4096)


def test_aligned_memory():
    for size in range(40):
        memory = aligned_doubles(size)
        assert memory.shape == (size,)
        assert size == 0 or memory.ctypes.data % 64 == 0


class TestRunSlices:
    @pytest.mark.parametrize("threads", [1, 3])
    def test_results_come_in_the_order_of_the_slices(self, threads, set_threads):
        set_threads(threads)
        slices = [(i, i + 1) for i in range(100)]
        assert run_slices(lambda first, end: (first, end), slices) == slices
        assert run_slices(lambda first, end: 1, []) == []

    @pytest.mark.parametrize("threads", [1, 3])
    def test_an_error_ends_the_work_and_comes_out(self, threads, set_threads):
        set_threads(threads)
        seen, lock = [], threading.Lock()

        def call(first: int, end: int) -> None:
            with lock:
                seen.append(first)
            if first == 3:
                raise LookupError("slice 3")

        with pytest.raises(LookupError, match="slice 3"):
            run_slices(call, [(i, i + 1) for i in range(10_000)])
        assert len(seen) < 10_000
        assert run_slices(lambda first, end: first, [(0, 1)]) == [0]


def bits_of(matrix: Any, rows: int) -> list[bytes]:
    """All sums over rows."""
    random = np.random.default_rng(1)
    coef, intercept, weight = random.normal(size=(3, matrix.columns)) / 10, np.zeros(3), random.uniform(size=rows)
    loss = ce.CrossEntropy(reduction="sum")
    targets = random.integers(0, 3, rows)
    weight[0] = 0

    class Rows:
        native = step_loss(loss._job(targets, np.broadcast_to(0.0, (rows, 3)), None, None, weight))

        def __call__(self, first: int, end: int, z: Any) -> float:
            part = loss.value_and_grad(targets[first:end], logits=z, sample_weight=weight[first:end], out=z)
            return float(part.value)

    found = [*matrix.fused(coef, intercept, Rows()), *matrix.moments(weight)]
    found += [matrix.gram(weight), matrix.gram_diagonal(weight)]
    return [np.asarray(part).tobytes() for part in found]


@pytest.mark.parametrize("kind", ["narrow", "wide", "far first row", "sparse"])
def test_the_same_bits_for_any_number_of_threads(kind, set_threads):
    random, rows = np.random.default_rng(0), 12_000
    if kind == "sparse":
        csr = sparse.random_array((rows, 300), density=0.25, random_state=random, format="csr")
        matrix: Any = SparseMatrix(csr.data, csr.indices, csr.indptr, 300)
    else:
        x = random.normal(size=(rows, 300 if kind == "wide" else 100))
        x[0] *= 1e9 if kind == "far first row" else 1
        matrix = DenseMatrix(x, x.mean(axis=0))
    assert len(matrix.slices(3)) > 3
    set_threads(1)
    expected = bits_of(matrix, rows)
    for threads in (2, 3, 8):
        set_threads(threads)
        assert bits_of(matrix, rows) == expected


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.filterwarnings("error")
def test_a_part_overflows_in_silence(threads):
    """NumPy's errstate of the calling thread does not hold in the others."""
    meet = threading.Barrier(threads, timeout=60)

    def part(first: int, end: int) -> Any:
        meet.wait()  # every thread has a part
        return np.full(2, 1e308).sum() + np.log(np.zeros(1)) - np.array([np.inf])

    before = ce.get_num_threads()
    try:
        ce.set_num_threads(threads)
        assert np.isnan(run_slices(part, [(k, k + 1) for k in range(threads)])).all()
    finally:
        ce.set_num_threads(before)
