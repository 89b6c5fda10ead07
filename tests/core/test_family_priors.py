"""Log-priors as pairs: what rounding a logarithm lost, to 2^-70 of it, on every instruction set; and their loss."""

from typing import Any

import mpmath
import numpy as np
import pytest

import crossent as ce
from closeness import assert_close
from crossent import _native  # type: ignore[attr-defined]  # built, not written
from crossent.core.weights import log_priors
from family_cases import allowed
from isas import ISAS, using_isa
from oracle_family import family_answers
from wide import Wide

mp = mpmath.mp


def probabilities() -> Any:
    """From 1e-299 to 1, dense near 1, powers of two and their neighbours."""
    rng = np.random.default_rng(9)
    sizes = 10.0 ** rng.uniform(-299, 0, 2000)
    near = 1 - 2.0 ** -rng.uniform(1, 53, 500)
    powers = 2.0 ** -np.arange(0.0, 990)
    edges = np.concatenate([powers, np.nextafter(powers, 0), np.nextafter(powers[1:], 1), [1e-299, 0.5, 1 / 3]])
    x = np.concatenate([sizes, near, rng.uniform(0, 1, 1000), edges])
    assert x.min() <= 1e-298
    assert x.max() == 1
    return x


def exact_logarithms(x: Any) -> Any:
    with mp.workprec(200):
        return np.array([mp.log(mpmath.mpf(v)) for v in x.tolist()], dtype=object)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_the_rest_of_a_logarithm(one_by_one: bool) -> None:
    """high + low is log(x) to 2^-70 of it, or 2^-80 where that is more: near 1 a prior adds next to nothing."""
    x = probabilities()
    high = np.log(x)
    exact = exact_logarithms(x)
    with mp.workprec(200):
        bound = [max(abs(e) * mpmath.mpf(2) ** -70, mpmath.mpf(2) ** -80) for e in exact]
        lost = np.array([e - mpmath.mpf(h) for e, h in zip(exact, high.tolist(), strict=True)], dtype=object)
    for isa in ISAS:
        low = np.empty_like(x)
        with using_isa(isa):
            _native.elementary("log_rest", x, high, low, one_by_one)
        assert np.all(np.abs(low) <= np.abs(high) * 2.0**-51)
        assert_close(low, Wide.of(lost), bound=Wide.of(np.array(bound, dtype=object)), label=isa)


@pytest.mark.parametrize("counts", [[90, 10], [1e6, 1, 3, 999_983], [1e-200, 2e-200, 5e-201], [1.0], [3, 3, 3]])
def test_log_priors_are_those_of_the_shares(counts: Any) -> None:
    got = log_priors(counts)
    with mp.workprec(200):
        total = mp.fsum(mpmath.mpf(float(c)) for c in counts)
        exact = [mp.log(mpmath.mpf(float(c)) / total) for c in counts]
        both = [mpmath.mpf(h) + mpmath.mpf(low) for h, low in got.T.tolist()]
        # the shares are rounded once or twice: that is what the loss takes for its priors
        assert all(abs(a - b) <= 2.0**-51 for a, b in zip(both, exact, strict=True))


@pytest.mark.parametrize("tau", [0.5, 1.0, 30.0])
def test_losses_under_extreme_priors(tau: float) -> None:
    """Shares from 1e-299 to 1, which move a row's maximum to another class."""
    priors = 2.0 ** np.array([-990.0, -1, -2, -500, -30, -3, -4, -4])
    shares = priors / priors.sum()
    rng = np.random.default_rng(4)
    z = np.concatenate([rng.normal(size=(8, 8)) * 30, np.eye(8) * 700.0 * tau])
    y = np.tile(np.arange(8), 2)
    with mp.workprec(300):
        prior = [mpmath.mpf(tau) * mp.log(mpmath.mpf(float(x))) for x in shares]
    exact = family_answers(y, logits=z, log_prior=prior)
    for isa in ISAS:
        with using_isa(isa):
            got = ce.LogitAdjusted(priors, tau, reduction="none").value_and_grad(y, logits=z)
        assert_close(got.value, exact.loss, bound=allowed(4, exact.loss, exact.loss_scale, z.dtype), label=isa)
        assert_close(got.grad, exact.grad, bound=allowed(16, exact.grad, exact.grad_scale, z.dtype), label=isa)
