"""Measures against the oracle, their identities and bounds, and every error they can raise."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given

import oracle_measures as exact
from cases import CARRIERS, distributions
from closeness import assert_close
from crossent import measures
from crossent.errors import DtypeError, OptionError, ProbabilityError, ShapeError, UnsupportedError

ONE = ("entropy", "perplexity")
TWO = ("cross_entropy_of", "kl_divergence", "js_divergence")
ULPS = 12  # rows of up to 64 classes: a few roundings a term and a pairwise sum


def rows(K: int, seed: int = 0) -> Any:
    """Dense, sparse, nearly certain and nearly equal rows of K classes."""
    rng = np.random.default_rng([seed, K])
    p = rng.dirichlet(np.ones(K), 12)
    p[3:6] = rng.dirichlet(np.full(K, 0.02), 3)
    p[6] = np.eye(K)[0]
    p[7] = 1 / K
    return p


def pairs(K: int) -> tuple[Any, Any]:
    """Rows p, q: unrelated, equal, and at relative distances from 1e-15 to 1."""
    p, q = rows(K), rows(K, 1)
    near = np.geomspace(1e-15, 1, 12)[:, None] * np.random.default_rng(K).uniform(-1, 1, p.shape)
    close = p * (1 + near / 2)
    return np.concatenate([p, p, p]), np.concatenate(
        [q, p, np.clip(close, 0, 1) / np.clip(close, 0, 1).sum(1)[:, None]]
    )


@pytest.mark.parametrize("K", [1, 2, 3, 10, 64])
@pytest.mark.parametrize("name", ONE)
def test_one_distribution_against_the_oracle(name: str, K: int) -> None:
    p = rows(K)
    got = getattr(measures, name)(p)
    assert got.dtype == np.float64
    # exp turns an absolute error of H into a relative one, and log K < 5
    assert_close(got, [getattr(exact, name)(row) for row in p], ulps=ULPS, label=name)


@pytest.mark.parametrize("K", [2, 3, 10, 64])
@pytest.mark.parametrize("name", TWO)
def test_two_distributions_against_the_oracle(name: str, K: int) -> None:
    p, q = pairs(K)
    wanted = [getattr(exact, name)(a, b) for a, b in zip(p, q, strict=True)]
    assert_close(getattr(measures, name)(p, q), wanted, ulps=ULPS, label=name)


def test_extreme_ratios() -> None:
    tiny = 5e-324
    p, q = np.array([1.0, 0.0]), np.array([tiny, 1.0])
    assert_close(measures.kl_divergence(p, q), exact.kl_divergence(p, q), ulps=4)
    assert_close(measures.kl_divergence(q, p), exact.kl_divergence(q, p), ulps=4)
    assert_close(measures.js_divergence(q, p), np.log(2), ulps=1)
    assert measures.js_divergence([tiny, 1.0], [0.0, 1.0]) >= 0
    small_p, small_q = np.array([1e-300, 1.0]), np.array([3e-300, 1.0])
    assert_close(measures.kl_divergence(small_p, small_q), exact.kl_divergence(small_p, small_q), ulps=ULPS)


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (1, 4)])
def test_mutual_information_against_the_oracle(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    joint = rng.dirichlet(np.ones(shape[0] * shape[1]), 4).reshape(4, *shape)
    wanted = [exact.mutual_information(table) for table in joint]
    assert_close(measures.mutual_information(joint), wanted, bound=1e-15)
    independent = np.outer([0.3, 0.7], [0.2, 0.5, 0.3])
    assert 0 <= measures.mutual_information(independent) < 1e-30


def test_textbook_values() -> None:
    assert measures.entropy([0.5, 0.5], unit="bit") == 1.0
    assert measures.entropy([1.0, 0.0]) == 0.0
    assert not np.signbit(measures.entropy([1.0, 0.0]))
    assert not np.signbit(measures.cross_entropy_of([1.0, 0.0], [1.0, 0.0]))
    assert measures.entropy([1, 0, 0]) == 0.0
    assert measures.cross_entropy_of([0.5, 0.5], [1.0, 0.0]) == np.inf
    assert measures.kl_divergence([0.5, 0.5], [1.0, 0.0]) == np.inf
    assert measures.cross_entropy_of([1.0, 0.0], [1.0, 0.0]) == 0.0
    assert measures.js_divergence([1.0, 0.0], [0.0, 1.0], unit="bit") == 1.0
    assert measures.mutual_information([[0.5, 0.0], [0.0, 0.5]], unit="bit") == pytest.approx(1, abs=1e-15)
    assert measures.effective_classes(np.full(8, 1 / 8)) == pytest.approx(8)
    assert measures.perplexity(loss=np.log(10.0)) == pytest.approx(10)
    assert measures.perplexity(loss=[1.0, 3.0], unit="bit").tolist() == [2.0, 8.0]
    assert measures.perplexity(loss=np.inf) == np.inf
    assert measures.perplexity(loss=1e6) == np.inf


@given(drawn=distributions(count=2))
def test_cross_entropy_is_entropy_plus_divergence(drawn: Any) -> None:
    p, q = drawn
    together = measures.cross_entropy_of(p, q)
    split = measures.entropy(p) + measures.kl_divergence(p, q) + (p.sum(-1) - q.sum(-1))
    finite = np.isfinite(together)
    np.testing.assert_array_equal(np.isinf(split), ~finite)
    np.testing.assert_allclose(together[finite], split[finite], rtol=1e-12, atol=1e-14)
    assert np.all(together >= measures.entropy(p) - 1e-12)


@given(drawn=distributions(count=2))
def test_divergences_keep_their_bounds(drawn: Any) -> None:
    p, q = drawn
    js = measures.js_divergence(p, q)
    assert np.all((js >= 0) & (js <= np.log(2)))
    np.testing.assert_array_equal(js, measures.js_divergence(q, p))
    assert np.all(measures.kl_divergence(p, q) >= 0)
    np.testing.assert_array_equal(measures.kl_divergence(p, p), 0)
    np.testing.assert_array_equal(measures.js_divergence(p, p), 0)
    K = p.shape[-1]
    H = measures.entropy(p)
    assert np.all((H >= 0) & (np.log(K) + 1e-15 * K >= H))


@given(drawn=distributions(count=2))
def test_order_axis_and_unit_change_nothing_else(drawn: Any) -> None:
    p, q = drawn
    np.testing.assert_array_equal(measures.kl_divergence(p.T, q.T, axis=0), measures.kl_divergence(p, q))
    np.testing.assert_allclose(
        measures.kl_divergence(p[:, ::-1], q[:, ::-1]), measures.kl_divergence(p, q), rtol=1e-13, atol=0
    )
    np.testing.assert_allclose(measures.entropy(p, unit="bit") * np.log(2), measures.entropy(p), rtol=1e-14)
    one_by_one = [measures.entropy(row) for row in p]
    np.testing.assert_array_equal(measures.entropy(p), one_by_one)


def test_blocks_give_the_same_as_single_rows() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(1000), 200)  # several blocks
    q = p[::-1]
    whole = measures.js_divergence(p, q)
    np.testing.assert_array_equal(whole, [measures.js_divergence(a, b) for a, b in zip(p, q, strict=True)])
    cube = p.reshape(4, 50, 1000)
    np.testing.assert_array_equal(measures.entropy(cube), measures.entropy(p).reshape(4, 50))
    np.testing.assert_array_equal(measures.entropy(np.moveaxis(cube, 2, 1), axis=1), measures.entropy(cube))


@pytest.mark.parametrize("name", CARRIERS)
def test_any_carrier(name: str, tmp_path: Path) -> None:
    p = np.random.default_rng(1).dirichlet(np.ones(5), 6)
    carried = CARRIERS[name](p, tmp_path)
    values = np.asarray(carried).astype(np.float64)
    got = measures.entropy(carried)
    assert_close(got, [exact.entropy(row) for row in values], ulps=ULPS, dtype=np.float64)


def test_no_rows_and_no_classes() -> None:
    assert measures.entropy(np.zeros((0, 3))).shape == (0,)
    assert measures.kl_divergence(np.zeros((2, 0, 3)), np.zeros((2, 0, 3))).shape == (2, 0)
    assert measures.entropy([1.0]) == 0.0
    assert isinstance(measures.entropy([0.5, 0.5]), float)
    for empty in (np.zeros((4, 0)), np.zeros(0)):
        with pytest.raises(ShapeError, match="no classes"):
            measures.entropy(empty)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (
            [[0.5, 0.5], [1.25, -0.25]],
            r"p has 1.25 in row 1, column 0; probabilities lie in \[0, 1\].*logits",
        ),
        ([[0.5, 0.5], [0.5, np.nan]], r"p has nan in row 1, column 1"),
        ([[0.5, 0.5], [0.5, 0.52]], r"p sums to 1.02 in row 1;.*look like logits\?"),
        (np.full((2, 2, 2), 0.4), r"p sums to 0.8 in row \(0, 0\)"),
        ([2, 0], r"p has 2.0 in row 0, column 0"),
    ],
)
def test_bad_probabilities(p: Any, text: str) -> None:
    with pytest.raises(ProbabilityError, match=text):
        measures.entropy(p)


def test_the_lowest_bad_row_is_named_across_blocks() -> None:
    p = np.full((500, 1000), 1e-3)
    p[321, 7] = np.nan
    p[400, 1] = 2
    with pytest.raises(ProbabilityError, match="row 321, column 7"):
        measures.kl_divergence(np.full((500, 1000), 1e-3), p)


def test_bad_shapes_dtypes_and_options() -> None:
    with pytest.raises(ShapeError, match=r"q has shape \(3,\), but p has shape \(2,\)"):
        measures.kl_divergence([0.5, 0.5], [0.5, 0.25, 0.25])
    with pytest.raises(ShapeError, match=r"axis=2 is outside p of shape \(2,\)"):
        measures.entropy([0.5, 0.5], axis=2)
    with pytest.raises(ShapeError, match="axis of classes"):
        measures.entropy(0.5)
    with pytest.raises(ShapeError, match="table"):
        measures.mutual_information([0.5, 0.5])
    for wrong in (["a", "b"], [0.5 + 0j, 0.5], np.array([0.5, 0.5], np.longdouble), np.array([None, 0.5])):
        with pytest.raises(DtypeError, match="dtype"):
            measures.entropy(wrong)
    with pytest.raises(OptionError, match="'nat' or 'bit'"):
        measures.entropy([0.5, 0.5], unit="bits")
    with pytest.raises(UnsupportedError, match="exactly one"):
        measures.perplexity()
    with pytest.raises(UnsupportedError, match="exactly one"):
        measures.perplexity([0.5, 0.5], loss=1.0)


def test_small_floats_are_computed_in_float64() -> None:
    p = np.random.default_rng(2).dirichlet(np.ones(4))
    for dtype in (np.float16, np.float32, ml_dtypes.bfloat16):
        rounded = p.astype(dtype)
        assert measures.entropy(rounded) == measures.entropy(rounded.astype(np.float64))
