"""Sparse features: products as of the dense matrix, in long double; arrays that are no such matrix are refused."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from crossent.core.matrix import DenseMatrix, SparseMatrix
from crossent.errors import DataError, ShapeError
from matrix_oracle import Answer, assert_within, gram, logits, products

OUTPUTS = (1, 2, 3, 5, 7, 8, 9, 12, 16, 20, 24, 33)
SHAPES = [(1, 1), (1, 300), (65, 1), (130, 25), (1000, 7), (64, 100)]


def matrix_of(csr: Any) -> SparseMatrix:
    return SparseMatrix(csr.data, csr.indices, csr.indptr, csr.shape[1])


def table(N: int, D: int, dtype: Any = np.float64, density: float = 0.2) -> Any:
    """Rows with few values; the first rows, the last one and some columns are empty."""
    random = np.random.default_rng(N + D)
    csr = sparse.random_array((N, D), density=density, random_state=random, dtype=np.float64).toarray()
    csr[: N // 10] = 0
    csr[N // 2 :, D // 2 :: 3] = 0
    return sparse.csr_array(csr.astype(dtype))


def answers(matrix: Any, coef: Any, intercept: Any, slopes: Any) -> tuple[Any, Any]:
    return matrix.logits(coef, intercept), matrix.products(slopes)


def check(matrix: Any, dense: Any, K: int = 3) -> None:
    """Logits and sums of slopes against those of dense rows."""
    random = np.random.default_rng(K)
    coef, intercept = random.normal(size=(K, dense.shape[1])), random.normal(size=K)
    slopes = random.normal(size=(len(dense), K))
    found = answers(matrix, coef, intercept, slopes)
    assert_within(found[0], logits(dense, None, coef, intercept))
    assert_within(found[1], products(dense, None, slopes))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("N", "D"), SHAPES)
def test_products_with_any_number_of_outputs(N, D, dtype, isa):
    csr = table(N, D, dtype)
    for K in OUTPUTS:
        check(matrix_of(csr), csr.toarray(), K)


@pytest.mark.parametrize(("N", "D"), [*SHAPES, (2100, 30)])
def test_gram_matrix_and_its_diagonal(N, D, isa):
    csr, random = table(N, D), np.random.default_rng(0)
    weight, scale = random.uniform(0, 2, N), random.uniform(0.1, 10, D)
    for s in (None, scale):
        answer = gram(csr.toarray(), None, weight, s)
        assert_within(matrix_of(csr).gram(weight, s), answer)
        assert_within(matrix_of(csr).gram_diagonal(weight, s), Answer(np.diag(answer.exact), np.diag(answer.bound)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("N", "D"), SHAPES)
def test_moments_are_those_of_the_dense_matrix(N, D, weighted):
    csr = table(N, D)
    weight = np.random.default_rng(0).uniform(0.5, 2, N) if weighted else None
    found, expected = matrix_of(csr).moments(weight), DenseMatrix(csr.toarray()).moments(weight)
    assert np.allclose(found.mean, expected.mean, rtol=1e-13, atol=1e-15)
    assert np.allclose(found.spread, expected.spread, rtol=1e-12, atol=1e-15)
    assert np.array_equal(found.largest, expected.largest)


def test_moments_of_a_full_column_far_from_0():
    x = 1e8 + np.random.default_rng(0).normal(size=(500, 1))
    found = matrix_of(sparse.csr_array(x)).moments()
    assert np.isclose(found.spread[0], np.std(x - 1e8), rtol=1e-7)
    constant = matrix_of(sparse.csr_array(np.full((7, 1), 0.1))).moments()
    assert constant.mean[0] == 0.1
    assert constant.spread[0] == 0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_moments_of_columns_that_are_not_finite(wrong):
    x = np.eye(5)
    x[2, 1] = wrong
    assert np.array_equal(np.isfinite(matrix_of(sparse.csr_array(x)).moments().largest), np.arange(5) != 1)


@pytest.mark.parametrize("index", [np.int32, np.int64, np.uint16])
def test_indices_of_any_width_and_arrays_longer_than_used(index):
    csr = table(64, 100)
    data, indices = np.append(csr.data, [np.nan] * 3), np.append(csr.indices, [99, 101, 7])
    matrix = SparseMatrix(data, indices.astype(index), csr.indptr.astype(index), 100)
    check(matrix, csr.toarray())


def test_other_numbers_become_float64():
    csr = table(64, 100)
    csr.data = np.round(10 * csr.data)
    for dtype in (np.float16, ">f4", ">f8", np.int64, bool):
        matrix = SparseMatrix(csr.data.astype(dtype), csr.indices, csr.indptr, 100)
        dense = sparse.csr_array((csr.data.astype(dtype).astype(float), csr.indices, csr.indptr), (64, 100))
        check(matrix, dense.toarray())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unsorted_rows_explicit_zeros_and_cells_in_parts(dtype):
    """Each cell counts once, as the sum of its parts: in squares and extremes too."""
    random = np.random.default_rng(0)
    rows, columns = random.integers(0, 40, 900), random.integers(0, 25, 900)
    values = random.integers(-8, 9, 900).astype(dtype)  # sums of them are exact
    rows[rows == 7], columns[columns == 3] = 8, 4  # an empty row, an empty column
    order = np.argsort(rows, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=40))])
    matrix = SparseMatrix(values[order], columns[order], indptr, 25)
    dense = np.zeros((40, 25), dtype)
    np.add.at(dense, (rows, columns), values)
    check(matrix, dense)
    weight = random.uniform(0.5, 2, 40)
    answer = gram(dense, None, weight)
    assert_within(matrix.gram(weight), answer)
    assert_within(matrix.gram_diagonal(weight), Answer(np.diag(answer.exact), np.diag(answer.bound)))
    for one, other in zip(matrix.moments(weight), DenseMatrix(dense).moments(weight), strict=True):
        assert np.allclose(one, other, rtol=1e-12, atol=1e-14)


def test_rows_that_meet_in_one_column_stay_apart():
    """The first row is unsorted, and ends where the next ones begin."""
    indices, indptr = np.array([1, 0, 1, 1, 1]), np.array([0, 2, 2, 3, 5])
    dense = np.array([[2.0, 1, 0], [0, 0, 0], [0, 3, 0], [0, 9, 0]])
    check(SparseMatrix(np.array([1.0, 2, 3, 4, 5]), indices, indptr, 3), dense)


def test_no_value_at_all(isa):
    matrix = matrix_of(sparse.csr_array((5, 4)))
    check(matrix, np.zeros((5, 4)))
    for moment in matrix.moments():
        assert np.array_equal(moment, np.zeros(4))
    assert np.array_equal(matrix.gram(np.ones(5)), np.diag([0.0, 0, 0, 0, 5]))


def test_rows_taken_and_thinned():
    csr = table(64, 100)
    matrix, dense = matrix_of(csr), csr.toarray()
    for index in (slice(2, 50), slice(0, 0), np.array([5, 63, 0, 5]), dense.sum(axis=1) > 1):
        check(matrix.take(index), dense[index])
    check(matrix.thinned(7), dense[::7])


def test_the_callers_arrays_may_change_later():
    """Indices were checked once: native code must not meet others."""
    csr = table(64, 100)
    dense, matrix = csr.toarray(), matrix_of(csr)
    csr.indices[:] = 1 << 30
    csr.indptr[1:] = 1 << 30
    check(matrix, dense)


GOOD: dict[str, Any] = {
    "data": np.array([1.0, 2.0, 3.0]),
    "indices": np.array([0, 2, 1]),
    "indptr": np.array([0, 2, 2, 3]),
    "columns": 3,
}


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"indptr": np.array([0, 3, 2, 3])}, DataError, "does not rise"),
        ({"indptr": np.array([1, 2, 2, 3])}, DataError, "does not rise"),
        ({"indptr": np.array([0, -1, 2, 3])}, DataError, "does not rise"),
        ({"indptr": np.array([0, 2, 2, 4])}, ShapeError, "3 stored values, but X.indptr ends at 4"),
        ({"indptr": np.array([0, 2, 2, 2**40])}, ShapeError, "stored values"),
        ({"indptr": np.array([0, 1, 2.5, 3])}, DataError, "whole numbers"),
        ({"indptr": np.zeros(0, int)}, ShapeError, "one axis"),
        ({"indptr": np.zeros((2, 2), int)}, ShapeError, "one axis"),
        ({"indices": np.array([0, 3, 1])}, DataError, r"from 0 to 3; the columns are 0\.\.2"),
        ({"indices": np.array([0, -1, 1])}, DataError, "from -1 to 1"),
        ({"indices": np.array([0, 2**32, 1])}, DataError, "the columns are"),
        ({"indices": np.array([0, 2])}, ShapeError, "2 stored values"),
        ({"indices": np.array([0.0, 1.5, 1.0])}, DataError, "whole numbers"),
        ({"indices": np.zeros((3, 1), int)}, ShapeError, "one axis"),
        ({"data": np.ones(2)}, ShapeError, "2 stored values"),
        ({"data": np.ones((3, 2))}, ShapeError, "one axis"),
        ({"columns": 2}, DataError, "the columns are"),
        ({"columns": 0}, DataError, "the columns are"),
        ({"columns": 2**31}, ShapeError, "are allowed"),
    ],
)
def test_arrays_that_are_no_matrix_are_refused(wrong, error, words):
    check(SparseMatrix(**GOOD), np.array([[1.0, 0, 2], [0, 0, 0], [0, 3, 0]]))
    with pytest.raises(error, match=words):
        SparseMatrix(**(GOOD | wrong))
