"""Dense features: logits, sums of slopes, Gram matrices and moments against long double, in every layout."""

from typing import Any

import numpy as np
import pytest

from crossent.core.matrix import DenseMatrix
from isas import ISAS, using_isa
from matrix_oracle import COLUMNS, ROWS, Answer, assert_within, features, gram, logits, products

OUTPUTS = (*range(1, 13), 20)
DTYPES = [np.float32, np.float64]
SHAPES = [*((65, D) for D in COLUMNS), *((N, 25) for N in ROWS), (130, 300)]


def of_every_isa(call: Any) -> list[Any]:
    """(its name, what the call gives on it) for each instruction set."""
    found = []
    for name in ISAS:
        with using_isa(name):
            found.append((name, call()))
    return found


def logits_of(matrix: Any, coef: Any, intercept: Any) -> Any:
    return matrix.logits(coef, intercept)


def products_of(matrix: Any, slopes: Any) -> Any:
    """Plus 1."""
    return matrix.products(slopes) + 1


def added_to_1(x: Any, center: Any, slopes: Any) -> Answer:
    sums = products(x, center, slopes)
    return Answer(1 + sums.exact, sums.bound + (len(x) + 6) * 2.0**-53)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("N", "D"), SHAPES)
def test_products_with_any_number_of_outputs(N, D, centred, dtype):
    random = np.random.default_rng(N + D)
    x = features(random, N, D, dtype)
    center = x.mean(axis=0, dtype=np.float64) if centred else None
    coef, intercept = random.normal(size=(20, D)), random.normal(size=20)
    slopes = random.normal(size=(N, 20))
    z, sums = logits(x, center, coef, intercept), added_to_1(x, center, slopes)
    matrix = DenseMatrix(x, center)
    for K in OUTPUTS:
        for isa, found in of_every_isa(lambda: logits_of(matrix, coef[:K], intercept[:K])):  # noqa: B023 - called at once
            assert_within(found, Answer(z.exact[:, :K], z.bound[:, :K]), (isa, K))
        for isa, found in of_every_isa(lambda: products_of(matrix, slopes[:, :K])):  # noqa: B023 - called at once
            assert_within(found, Answer(sums.exact[:K], sums.bound[:K]), (isa, K))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("N", "D"), SHAPES)
def test_gram_matrix_and_its_diagonal(N, D, dtype):
    random = np.random.default_rng(N + D)
    x, weight = features(random, N, D, dtype), random.uniform(0, 2, N)
    weight[0] = 0
    for center, scale in [(None, None), (x.mean(axis=0, dtype=np.float64), 10.0 ** random.integers(-3, 4, D))]:
        matrix, answer = DenseMatrix(x, center), gram(x, center, weight, scale)
        diagonal = Answer(np.diag(answer.exact), np.diag(answer.bound))
        for isa, found in of_every_isa(lambda: matrix.gram(weight, scale)):  # noqa: B023 - called at once
            assert_within(found, answer, isa)
            assert np.array_equal(found, found.T)
        for isa, found in of_every_isa(lambda: matrix.gram_diagonal(weight, scale)):  # noqa: B023 - called at once
            assert_within(found, diagonal, isa)


def test_gram_matrix_of_a_column_left_out():
    x = np.random.default_rng(0).normal(size=(50, 3))
    found = DenseMatrix(x).gram(np.ones(50), np.array([1.0, np.inf, 1.0]))
    assert (found[1] == 0).all()
    assert_within(np.delete(np.delete(found, 1, 0), 1, 1), gram(x[:, [0, 2]], None, np.ones(50)))


def layouts(x: Any) -> dict[str, Any]:
    """The same numbers lying otherwise."""
    N, D = x.shape
    wide = np.zeros((2 * N, D + 3), x.dtype)
    wide[::2, 1 : D + 1] = x
    raw = np.zeros(x.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(x.dtype).reshape(x.shape)
    unaligned[:] = x
    records = np.zeros(N, [("skip", np.int8), ("x", x.dtype, (D,))])  # rows that no whole number of elements parts
    records["x"] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    return {
        "rows apart": wide[::2, 1 : D + 1],
        "rows backwards": x[::-1].copy()[::-1],
        "columns backwards": x[:, ::-1].copy()[:, ::-1],
        "Fortran": np.asfortranarray(x),
        "every other column": np.repeat(x, 2, axis=1)[:, ::2],
        "read-only": frozen,
        "unaligned": unaligned,
        "in records": records["x"],
        "big-endian": x.astype(x.dtype.newbyteorder(">")),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("N", "D"), [(1, 1), (9, 1), (1, 9), (130, 25)])
def test_the_same_bits_in_every_layout(N, D, dtype, isa):
    random = np.random.default_rng(0)
    x = features(random, N, D, dtype)
    coef, intercept, slopes = random.normal(size=(3, D)), random.normal(size=3), random.normal(size=(N, 3))

    def answers(array: Any) -> list[Any]:
        matrix = DenseMatrix(array)
        found = [logits_of(matrix, coef, intercept), products_of(matrix, slopes), matrix.gram(slopes[:, 0] ** 2)]
        return [*found, *matrix.moments()]

    expected = answers(x)
    for label, array in layouts(x).items():
        for one, other in zip(answers(array), expected, strict=True):
            assert np.array_equal(one, other), label


@pytest.mark.parametrize("dtype", [np.float16, ">f2", np.int8, np.uint64, bool, np.longdouble, object])
def test_other_numbers_become_floats(dtype):
    x = np.random.default_rng(0).integers(0, 2, (12, 5))
    matrix = DenseMatrix(x.astype(dtype))
    coef = np.random.default_rng(1).normal(size=(2, 5))
    assert_within(logits_of(matrix, coef, np.zeros(2)), logits(x, None, coef, np.zeros(2)))
    assert matrix.array.dtype == (np.float32 if np.dtype(dtype).itemsize == 2 else np.float64)


def test_repeated_rows_cost_no_memory():
    x = np.broadcast_to(np.array([1.0, 2.0, 4.0]), (1000, 3))
    matrix = DenseMatrix(x)
    assert np.shares_memory(matrix.array, x)
    assert np.array_equal(logits_of(matrix, np.eye(3), np.zeros(3)), x)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e150, 1e300])
def test_huge_and_tiny_features(size, isa):
    x = size * np.random.default_rng(0).normal(size=(9, 25))
    coef = np.random.default_rng(1).normal(size=(3, 25)) / size
    assert_within(logits_of(DenseMatrix(x), coef, np.zeros(3)), logits(x, None, coef, np.zeros(3)))
    scale, weight = np.full(25, size), np.ones(9)
    answer = gram(x, None, weight, scale)
    inverse = 2 * np.abs(answer.exact) * 2.0**-52  # of the scale's own rounding
    assert_within(DenseMatrix(x).gram(weight, scale), answer._replace(bound=answer.bound + inverse))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_center_far_out_costs_no_digits(dtype, isa):
    """Means of 1e8 with spread 1 (in float32: what it can hold of that); the bounds know the differences only."""
    random = np.random.default_rng(0)
    x = (1e8 + random.normal(size=(300, 9)) * (1 if dtype is np.float64 else 100)).astype(dtype)
    found = DenseMatrix(x).moments()
    deviations = x.astype(np.longdouble) - x.astype(np.longdouble).mean(axis=0)
    assert_within(found.mean, Answer(x.astype(np.longdouble).mean(axis=0), np.full(9, 2e-8)))
    assert_within(found.spread, Answer(np.sqrt((deviations**2).mean(axis=0)), 1e-12 * found.spread))
    matrix, coef, slopes = DenseMatrix(x, found.mean), random.normal(size=(2, 9)), random.normal(size=(300, 2))
    assert_within(logits_of(matrix, coef, np.zeros(2)), logits(x, found.mean, coef, np.zeros(2)))
    assert_within(products_of(matrix, slopes), added_to_1(x, found.mean, slopes))
    assert_within(matrix.gram(np.ones(300)), gram(x, found.mean, np.ones(300)))


class TestMoments:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize(("N", "D"), SHAPES)
    def test_against_long_double(self, N, D, dtype, isa):
        random = np.random.default_rng(N + D)
        x = features(random, N, D, dtype)
        for weight in (None, random.uniform(0.5, 2, N)):
            found = DenseMatrix(x).moments(weight)
            w = np.ones(N, np.longdouble) if weight is None else weight.astype(np.longdouble)
            mean = w @ x / w.sum()
            spread = np.sqrt(w @ (x - mean) ** 2 / w.sum())
            size = np.abs(x).max(axis=0).astype(np.float64)
            assert_within(found.mean, Answer(mean, 1e-13 * size))
            assert_within(found.spread, Answer(spread, 1e-11 * size))
            assert np.array_equal(found.largest, size)

    def test_weights_are_repetitions(self):
        x, counts = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 4
        one, other = DenseMatrix(x).moments(counts.astype(float)), DenseMatrix(np.repeat(x, counts, axis=0)).moments()
        assert np.allclose(one.mean, other.mean, rtol=1e-13, atol=1e-15)
        assert np.allclose(one.spread, other.spread, rtol=1e-12)

    @pytest.mark.parametrize("value", [0.1, -7.3, 0.0, 1e300])
    def test_constant_columns_have_exactly_no_spread(self, value):
        found = DenseMatrix(np.full((1237, 2), value)).moments(np.random.default_rng(0).uniform(size=1237))
        assert np.array_equal(found.mean, [value, value])
        assert np.array_equal(found.spread, [0.0, 0.0])

    @pytest.mark.parametrize("weight", [0.0, 1e-30])
    def test_a_first_row_far_out(self, weight, isa):
        """Its square would drown the others': only a second pass about the mean finds their spread."""
        x = np.random.default_rng(0).normal(size=(2000, 2))
        x[0] = 1e12
        w = np.ones(2000)
        w[0] = weight
        wide = x.astype(np.longdouble)
        mean = w @ wide / w.sum()
        exact = np.sqrt(w @ (wide - mean) ** 2 / w.sum())
        assert_within(DenseMatrix(x).moments(w).spread, Answer(exact, 1e-6 * exact))

    @pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e300])
    def test_squares_out_of_range_leave_a_spread_of_that_size(self, size):
        x = size * np.random.default_rng(0).uniform(-1, 1, size=(100, 2))
        found = DenseMatrix(x).moments()
        assert np.isfinite(found.mean).all()
        assert ((0.3 * size < found.spread) & (found.spread < 1.1 * size)).all()
        assert np.array_equal(found.largest, np.abs(x).max(axis=0))

    def test_the_largest_number_of_all(self):
        top = np.finfo(np.float64).max
        found = DenseMatrix(np.array([[top, 1.0], [-top, 2.0]])).moments()
        assert np.array_equal(found.spread, [top, 0.5])

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("row", [0, 1, 64, 99])
    def test_columns_that_are_not_finite_are_told_apart(self, row, wrong, dtype, isa):
        x = np.random.default_rng(0).normal(size=(100, 9)).astype(dtype)
        expected = DenseMatrix(x).moments()
        for column in (0, 7, 8):
            spoilt = x.copy()
            spoilt[row, column] = wrong
            found = DenseMatrix(spoilt).moments()
            others = np.arange(9) != column
            assert np.array_equal(np.isfinite(found.largest), others)
            for one, other in zip(found, expected, strict=True):
                assert np.array_equal(one[others], other[others])


def test_rows_taken_and_thinned():
    x = np.random.default_rng(0).normal(size=(11, 3))
    matrix = DenseMatrix(x, np.ones(3))
    for index in (slice(2, 9), np.array([5, 0, 5]), x[:, 0] > 0):
        taken = matrix.take(index)
        assert np.array_equal(taken.array, x[index])
        assert np.array_equal(taken.center, np.ones(3))
    few = matrix.thinned(4)
    assert few.rows == 3
    assert np.array_equal(logits_of(few, np.eye(3), np.zeros(3)), x[::4] - 1)
    assert matrix.centred(None).center is None
