"""The judges judged: the oracle against known numbers, its long rows against its own definition."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import oracle
import oracle_binary
from closeness import assert_close, errors_in_ulps, ulp_of, worst_ulps
from oracle_long import long_row
from wide import Wide, exp

mp = mpmath.mp


def test_exponentials_of_pairs_have_90_bits() -> None:
    d = np.random.default_rng(1).uniform(-800, 0, 300)
    lo = d * 2.0**-54
    made = exp(d, lo)
    with mp.workdps(60):
        for i in range(300):
            exact = mp.exp(mpmath.mpf(float(d[i])) + float(lo[i]))
            assert abs(made[i].to_mpf().item() / exact - 1) < mpmath.mpf(2) ** -90


@pytest.mark.parametrize("gap", [0.0, 1.0, 40.0, 700.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("soft", [False, True])
def test_long_rows_follow_the_definition(gap: float, smoothing: float, soft: bool) -> None:
    rng = np.random.default_rng(2)
    K = 60
    z = rng.normal(size=K) * 3
    z[7] = z.max() + gap
    z[9] = -np.inf if smoothing == 0 else -500.0
    cw = rng.uniform(0.5, 2, K)
    q = rng.dirichlet(np.ones(K))
    q[9] = 0
    for target in [q] if soft else [np.int64(7), np.int64(3)]:
        loss, grad, hess, scale, denominator = long_row(z, target, list(cw), smoothing, False)
        options = {"logits": z[None], "class_weight": cw, "label_smoothing": smoothing, "reduction": "sum"}
        targets = np.asarray(target)[None]
        with mp.workprec(400):
            assert abs(loss / oracle.cross_entropy(targets, **options) - 1) < 1e-27
        del options["reduction"]
        for got, name in ((grad, oracle.gradient), (scale, oracle.gradient_scale), (hess, oracle.hessian)):
            more = {} if name is oracle.hessian else {"reduction": "sum"}
            wanted = name(targets, **options, **more).ravel()
            ours = got.to_mpf().ravel()
            bound = oracle.gradient_scale(targets, **options, reduction="sum").ravel()
            for one, two, size in zip(ours, wanted, bound, strict=True):
                assert abs(one - two) <= 1e-27 * abs(size)
        assert abs(denominator - (mpmath.fsum(cw * q) if soft else cw[int(target)])) < 1e-14


def test_tutorial_numbers() -> None:
    z = np.array([[1.3, 0.7, -0.1], [-0.2, 1.1, 0.6]])
    assert float(oracle.cross_entropy([0, 2], logits=z)) == pytest.approx(0.8580028, abs=1e-7)
    p = oracle.softmax(np.array([1.0, 2.0, 4.0])).astype(float)
    np.testing.assert_allclose(p, [0.04201007, 0.1141952, 0.84379473], atol=1e-8)
    made = oracle_binary.binary_cross_entropy([1, 0, 1, 0], probs=np.array([0.8, 0.3, 0.7, 0.2]))
    assert float(made) == pytest.approx(0.28990925, abs=1e-8)


def test_gradients_are_the_slopes_of_the_losses() -> None:
    rng = np.random.default_rng(3)
    z, q = rng.normal(size=(2, 4)), rng.dirichlet(np.ones(4), 2)
    options = {"sample_weight": [0.5, 2.0], "class_weight": rng.uniform(0.5, 2, 4), "label_smoothing": 0.1}
    grad = oracle.gradient(q, logits=z, **options)
    step = 2.0**-20
    for i, j in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[i, j] += step
        down[i, j] -= step
        width = float(up[i, j] - down[i, j])
        slope = (
            oracle.cross_entropy(q, logits=up, **options) - oracle.cross_entropy(q, logits=down, **options)
        ) / width
        assert abs(slope - grad[i, j]) < 1e-11
    binary = {"pos_weight": 3.0, "label_smoothing": 0.1, "class_weight": [0.5, 2.0]}
    y = rng.integers(0, 2, z.shape)
    slopes = oracle_binary.binary_gradient(y, logits=z, **binary)
    up, down = z + step, z - step
    high = oracle_binary.binary_cross_entropy(y, logits=up, reduction="none", **binary)
    low = oracle_binary.binary_cross_entropy(y, logits=down, reduction="none", **binary)
    total = sum(2.0 if label else 0.5 for label in y.ravel())
    for index in np.ndindex(z.shape):
        width = float(up[index] - down[index])
        assert abs((high[index] - low[index]) / width / total - slopes[index]) < 1e-11


def test_edge_values() -> None:
    inf = np.inf
    z = np.array([[0.0, -inf, 0.0], [0.0, -inf, 0.0], [1.0, inf, 0.0], [1.0, inf, 0.0]])
    losses = oracle.row_losses([0, 1, 1, 0], logits=z)
    assert [float(x) for x in losses] == pytest.approx([np.log(2), inf, 0.0, inf])
    grad = oracle.gradient([0, 1, 1, 0], logits=z, reduction="sum").astype(float)
    np.testing.assert_array_equal(grad, [[-0.5, 0, 0.5], [0.5, -1, 0.5], [0, 0, 0], [-1, 1, 0]])
    assert float(oracle.cross_entropy([0, 5], logits=z[:2], ignore_index=5)) == pytest.approx(np.log(2))


def test_assert_close_counts_ulps() -> None:
    third = Fraction(1, 3)
    assert worst_ulps(np.float32(1) / np.float32(3), third) < 0.5
    assert worst_ulps(np.nextafter(1 / 3, 1), third) == pytest.approx(2 / 3, abs=0.02)
    assert worst_ulps(np.nextafter(1.0, 2), 1.0) == 1
    below = mpmath.mpf(1) - mpmath.mpf(2) ** -80  # belongs to the binade under 1
    assert worst_ulps(np.nextafter(1.0, 0), below) == pytest.approx(1)
    tiny = np.float32(2.0**-149)
    assert worst_ulps(tiny, 0.0) == 1
    assert worst_ulps(np.float32(0), mpmath.mpf(2) ** -149 / 4) == 0.25
    assert worst_ulps(np.float32(0), mpmath.mpf(10) ** -3000) < 1e-300
    assert worst_ulps(5e-324, mpmath.mpf(0)) == 1
    assert worst_ulps(np.zeros((0, 3)), np.zeros((0, 3))) == 0
    assert float(ulp_of(1.0, np.float32)) == 2.0**-23
    import ml_dtypes

    assert worst_ulps(np.asarray([1.0078125], ml_dtypes.bfloat16), [1.0]) == 1
    np.testing.assert_array_equal(errors_in_ulps([1.0, np.inf, -np.inf], [1.0, np.inf, -np.inf]), [0, 0, 0])
    assert_close(np.float32(np.inf), mpmath.mpf(2) ** 128, ulps=0)
    assert_close([1.0, 2.0], [1, Fraction(2)], ulps=0, dtype=np.float64)
    assert_close([1.5], [1.0], bound=[0.5])
    assert_close([1.0 + 1e-13], [1.0], rtol=1e-12)
    assert_close([1e-17], [0.0], ulps=8, of=[1.0])


def test_stacking_and_scaling() -> None:
    rows = Wide.stack([Wide.of([1.0, 0.0]), Wide.of([Fraction(1, 3), -2])])
    np.testing.assert_array_equal(rows.scaled(mpmath.mpf(3)).to_float(), [[3.0, 0.0], [1.0, -6.0]])
    assert rows.to_mpf()[1, 1] == -2


@pytest.mark.parametrize("long", [oracle.LONG, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_all_answers_at_once_are_those_one_by_one(smoothing: float, long: int) -> None:
    """By the definition, and by the path of long rows to 2^-90."""
    rng = np.random.default_rng(4)
    z, y, w = rng.normal(size=(6, 5)) * 9, np.array([0, 1, 2, 3, 4, 0]), np.array([1.0, 0.0, 0.3, 7.0, 1.0, 1.0])
    options = {"logits": z, "class_weight": [1, 2, 0.5, 0, 3], "sample_weight": w, "label_smoothing": smoothing}
    got = oracle.row_answers(y, long=long, **options)
    wanted = {
        "loss": oracle.row_losses(y, **options),
        "grad": oracle.gradient(y, reduction="none", **options),
        "scale": oracle.gradient_scale(y, reduction="none", **options),
        "hess": oracle.hessian(y, **options),
    }
    for name, answer in wanted.items():
        ours = getattr(got, name).to_mpf()
        size = answer if name in ("loss", "hess") else wanted["scale"]
        with mp.workprec(300):
            assert ours.shape == answer.shape
            triples = zip(ours.flat, answer.flat, size.flat, strict=True)
            assert all(abs(a - b) <= 2.0**-90 * abs(s) for a, b, s in triples)
    with pytest.raises(AssertionError):
        oracle.row_answers(y[None], logits=z[None])
