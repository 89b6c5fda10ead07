"""The temperature against SciPy's minimiser on the rows, and what happens at the ends and without curvature."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from scipy.special import logsumexp

from crossent.stats.temperature import BETAS, Temperature, decompose_by_temperature, fit_temperature


def batch(k, *, sharp=1.5, temperature=1.0, n=2000, seed=0, labels=None):
    """Rows whose best temperature is about `temperature`: log-probabilities and labels."""
    rng = np.random.default_rng(seed + k)
    z = rng.normal(size=(n, k)) * sharp
    y = (z / temperature + rng.gumbel(size=(n, k))).argmax(axis=1) if labels is None else labels(rng, z)
    return scipy.special.log_softmax(z, axis=1), y


def row_losses(log_p, y, beta):
    return logsumexp(beta * log_p, axis=1) - beta * log_p[np.arange(len(y)), y]


def sums_of(log_p, y, w):
    columns = []
    for beta in BETAS:
        q = scipy.special.softmax(beta * log_p, axis=1)
        mean = (q * log_p).sum(axis=1)
        slope = mean - log_p[np.arange(len(y)), y]
        spread = (q * (log_p - mean[:, None]) ** 2).sum(axis=1)
        columns += [(w * row_losses(log_p, y, beta)).sum(), (w * slope).sum(), (w * spread).sum()]
    return np.array(columns)


def fitted(log_p, y, w=None):
    w = np.ones(len(y)) if w is None else w
    found = fit_temperature(sums_of(log_p, y, w), weight=w.sum(), square=(w * w).sum(), rows=len(y), left_out=3)
    assert found is not None
    return found


def best(log_p, y, w=None):
    """T, its loss and its standard error, by SciPy on the rows."""

    def loss(log_beta):
        return np.average(row_losses(log_p, y, math.exp(log_beta)), weights=w)

    found = scipy.optimize.minimize_scalar(
        loss, bounds=(-math.log(9), math.log(9)), method="bounded", options={"xatol": 1e-9}
    )
    h = 1e-3
    curvature = (loss(found.x + h) - 2 * found.fun + loss(found.x - h)) / h**2  # in log beta = -log T
    n = len(y) if w is None else w.sum() ** 2 / (w * w).sum()
    return math.exp(-found.x), found.fun, math.exp(-found.x) / math.sqrt(n * curvature)


@pytest.mark.parametrize("k", [2, 3, 10, 100])
@pytest.mark.parametrize(
    ("sharp", "temperature"), [(1, 1), (1.5, 1.2), (3, 1.2), (3, 3), (1, 0.4), (3, 0.4), (8, 2.8), (1, 0.18), (20, 5.6)]
)
def test_is_the_minimum_over_the_rows(k, sharp, temperature):
    log_p, y = batch(k, sharp=sharp, temperature=temperature)
    value, loss, se = best(log_p, y)
    found = fitted(log_p, y)
    assert found.value == pytest.approx(value, rel=5e-4)
    assert found.loss == pytest.approx(loss, rel=1e-4)
    assert abs(found.value - value) < 0.03 * se
    assert found.se == pytest.approx(se, rel=0.02)
    assert found.gain == pytest.approx(row_losses(log_p, y, 1.0).mean() - loss, abs=1e-4 * loss)
    assert abs(math.log(value / temperature)) < 5 * se / value
    assert (found.beyond, found.rows, found.left_out) == (None, 2000, 3)
    assert {type(x) for x in (found.value, found.se, found.loss, found.gain)} == {float}


@pytest.mark.parametrize("k", [2, 3, 10, 100])
def test_is_sharper_near_1(k):
    log_p, y = batch(k, temperature=1.05, n=5000)
    value, loss, _ = best(log_p, y)
    found = fitted(log_p, y)
    assert found.value == pytest.approx(value, rel=1e-5)
    assert found.loss == pytest.approx(loss, rel=1e-6)
    assert found.gain >= 0


def test_weights_count_as_ratios():
    log_p, y = batch(4, temperature=1.5)
    w = np.random.default_rng(1).random(2000) + 0.05
    value, loss, se = best(log_p, y, w)
    found, tenfold = fitted(log_p, y, w), fitted(log_p, y, 10 * w)
    assert (found.value, found.loss) == pytest.approx((value, loss), rel=1e-4)
    assert found.se == pytest.approx(se, rel=0.02)
    assert (tenfold.value, tenfold.se, tenfold.gain) == pytest.approx((found.value, found.se, found.gain), rel=1e-9)


def test_the_standard_error_is_the_spread_over_samples():
    found = [fitted(*batch(3, temperature=1.3, n=500, seed=1000 * s)) for s in range(150)]
    spread = np.std([t.value for t in found])
    assert np.mean([t.se for t in found]) == pytest.approx(spread, rel=0.15)


def test_random_labels_want_more_than_8():
    log_p, y = batch(5, labels=lambda rng, z: (rng.gumbel(size=z.shape) - 0.05 * z).argmax(axis=1))
    found = fitted(log_p, y)
    assert (found.value, found.se, found.beyond) == (8.0, None, "above 8")
    assert found.loss == pytest.approx(row_losses(log_p, y, 1 / 8).mean(), rel=1e-12)
    assert found.gain == pytest.approx(row_losses(log_p, y, 1.0).mean() - found.loss, rel=1e-12)


@pytest.mark.parametrize("sharp", [0.5, 3.0, 50.0, 1e4])
def test_always_right_wants_less_than_an_eighth(sharp):
    """Also where all slopes but the first underflow."""
    found = fitted(*batch(3, sharp=sharp, labels=lambda rng, z: z.argmax(axis=1)))
    assert (found.value, found.se, found.beyond) == (0.125, None, "below 1/8")
    assert found.gain >= 0


def test_near_perfect_rows_of_which_some_are_wrong():
    def labels(rng, z):
        y = z.argmax(axis=1)
        y[:3] = z[:3].argmin(axis=1)
        return y

    log_p, y = batch(3, sharp=30.0, labels=labels)
    value, loss, se = best(log_p, y)
    found = fitted(log_p, y)
    assert found.value == pytest.approx(value, rel=1e-3)
    assert found.loss == pytest.approx(loss, rel=1e-3)
    assert found.se == pytest.approx(se, rel=0.05)


@pytest.mark.parametrize("k", [2, 3, 7, 100])
def test_a_loss_that_no_temperature_changes_keeps_temperature_1(k):
    y = np.arange(50) % k
    uniform = sums_of(np.full((50, k), -math.log(k)), y, np.ones(50))
    for sums, loss in ((uniform, math.log(k)), (np.zeros(27), 0.0)):
        found = fit_temperature(sums, weight=50.0, square=50.0, rows=50, left_out=0)
        assert (found.value, found.se, found.gain, found.beyond) == (1.0, None, 0.0, None)
        assert found.loss == pytest.approx(loss, rel=1e-12)
        assert "every prediction is certain" in found.why
    assert fit_temperature(np.zeros(27), weight=0.0, square=0.0, rows=0, left_out=4) is None


def test_the_parts_add_up():
    log_p, y = batch(4, temperature=1.4)
    found = fitted(log_p, y)
    share = np.bincount(y) / len(y)
    loss, unc = row_losses(log_p, y, 1.0).mean(), -(share * np.log(share)).sum()
    parts = decompose_by_temperature(found, loss=loss, unc=unc)
    assert parts.miscalibration - parts.knowledge + parts.unc == pytest.approx(parts.loss, rel=1e-14)
    assert parts.miscalibration == pytest.approx(found.gain, rel=1e-9)
    assert parts.knowledge > 0


def test_none_is_worse_than_no_temperature():
    """gain >= 0 also where T is 1 but for rounding."""
    for seed in range(40):
        found = fitted(*batch(2, n=400, seed=seed))
        assert isinstance(found, Temperature)
        assert found.gain >= 0
