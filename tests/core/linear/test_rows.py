"""Rows of arrays in any layout, copied or seen; and which matrices BLAS reads where they lie."""

from typing import Any

import numpy as np
import pytest

from crossent.core.linear.rows import Part, RowSource, in_place

BASE = np.arange(2 * 3 * 4 * 5, dtype=np.float64).reshape(2, 3, 4, 5)
ARRAYS = {
    "C": BASE,
    "transposed": np.ascontiguousarray(BASE.transpose(2, 1, 0, 3)).transpose(2, 1, 0, 3),
    "Fortran": np.asfortranarray(BASE),
    "two axes": BASE.reshape(24, 5),
    "two axes, strided": np.repeat(BASE.reshape(24, 5), 2, axis=0)[::2],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_rows_are_those_of_the_flat_array(name: str) -> None:
    source, want = RowSource(ARRAYS[name]), BASE.reshape(24, 5)
    for part in (Part(3, 11), Part(0, 24), Part(0, 4, np.array([2, 3, 9, 23]))):
        np.testing.assert_array_equal(source.copy(part, np.zeros((len(part), 5))), want[part.selection])
    assert source.flat == (name not in ("transposed", "Fortran"))
    if source.flat:
        np.testing.assert_array_equal(source.seen(Part(5, 7)), want[5:7])
        assert np.shares_memory(source.seen(Part(5, 7)), ARRAYS[name])
    np.testing.assert_array_equal(source.one(17), want[17])


def test_long_copies_go_in_pieces() -> None:
    wide = np.random.default_rng(0).random((50, 30_000))
    got = RowSource(wide).copy(Part(10, 45), np.empty((35, 30_000), np.float32))
    np.testing.assert_array_equal(got, wide[10:45].astype(np.float32))


def test_parts_of_parts() -> None:
    part = Part(4, 9, np.array([5, 6, 8, 10, 11]))
    some = part.sub(1, 3)
    assert (len(part), len(some), some.row(1), part.row(4), Part(4, 9).sub(1, 3).row(1)) == (5, 2, 8, 11, 6)
    np.testing.assert_array_equal(some.take(np.arange(12.0) * 10), [60.0, 80.0])
    assert part.take(None) is None


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.ones((6, 4)), True),
        (np.ones((6, 4))[1:4], True),
        (np.ones((6, 8))[:, :4], True),
        (np.ones((6, 4)).T, True),
        (np.asfortranarray(np.ones((6, 4)))[2:5], True),
        (np.ones((6, 4))[::2], True),
        (np.ones((1, 4)), True),
        (np.ones((0, 4)), True),
        (np.ones((6, 8))[:, ::2], False),
        (np.ones((6, 4))[::-1], False),
        (np.broadcast_to(np.ones(4), (6, 4)), False),
        (np.ones((6, 4), np.float32), False),
        (np.ones((6, 4), ">f8"), False),
        (np.zeros(6 * 32 + 1, np.uint8)[1:].view(np.float64).reshape(6, 4), False),
    ],
)
def test_what_blas_reads_in_place(matrix: Any, expected: bool) -> None:
    assert in_place(matrix, np.dtype(np.float64)) is expected
