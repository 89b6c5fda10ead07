"""The certificate bounds F - F*, with F written here anew and F* by SciPy's minimisers, and is 0 at the minimum."""

from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, root
from scipy.special import entr, log_expit, log_softmax

from crossent import BinaryCrossEntropy, CrossEntropy, Focal, LogitAdjusted
from crossent.core.matrix import DenseMatrix
from crossent.learn.linear_objective import LinearObjective


@dataclass
class Problem:
    """A penalised model, with what the library is told (loss, targets) beside what it means (A, B, temperature, b)."""

    X: Any
    targets: Any
    loss: Any
    A: Any  # [N, K]: what multiplies -log p
    mass: float
    B: Any = None  # [N, L]: what multiplies -log(1 - p), for labels
    weight: Any = None
    temperature: float = 1.0
    bias: Any = 0.0
    l2: float = 0.05
    l1: float = 0.0
    intercept: bool = True
    center: Any = None
    scale: Any = None

    @property
    def outputs(self):
        return self.A.shape[1]

    def objective(self):
        return LinearObjective(
            DenseMatrix(self.X).centred(self.center), self.targets, loss=self.loss, outputs=self.outputs, l2=self.l2,
            l1=self.l1, sample_weight=self.weight, fit_intercept=self.intercept, scale=self.scale,
        )  # fmt: skip

    def smooth(self, flat):
        """Value and gradient of the loss with l2, at raw coefficients and intercepts [outputs, D + 1]."""
        table = flat.reshape(self.outputs, -1)
        z = self.X.astype(float) @ table[:, :-1].T + table[:, -1]
        if self.B is None:
            log_p = log_softmax(z / self.temperature + self.bias, axis=1)
            value = -np.sum(self.A * log_p)
            slope = (self.A.sum(axis=1, keepdims=True) * np.exp(log_p) - self.A) / self.temperature
        else:
            value = -np.sum(self.A * log_expit(z)) - np.sum(self.B * log_expit(-z))
            slope = self.B * np.exp(log_expit(z)) - self.A * np.exp(log_expit(-z))
        grad = np.column_stack([slope.T @ self.X, slope.sum(axis=0)]) / self.mass
        grad[:, :-1] += self.l2 * table[:, :-1]
        if not self.intercept:
            grad[:, -1] = 0
        return value / self.mass + 0.5 * self.l2 * np.sum(table[:, :-1] ** 2), grad.reshape(-1)

    def value(self, flat):
        return self.smooth(flat)[0] + self.l1 * np.abs(flat.reshape(self.outputs, -1)[:, :-1]).sum()

    def minimum(self):
        """The lowest F that L-BFGS-B reaches; with l1 over the positive and negative parts of the coefficients."""
        size = self.outputs * (self.X.shape[1] + 1)
        penalty = np.tile(np.append(np.full(self.X.shape[1], self.l1), 0.0), self.outputs)

        def split(both):
            value, grad = self.smooth(both[:size] - both[size:])
            return value + penalty @ (both[:size] + both[size:]), np.r_[grad + penalty, penalty - grad]

        options = {"maxiter": 20_000, "maxfun": 100_000, "ftol": 0.0, "gtol": 1e-11, "maxcor": 60}
        if self.l1 == 0:
            found = minimize(self.smooth, np.zeros(size), jac=True, method="L-BFGS-B", options=options)
            return found.fun, found.x
        bounds = [(0, None)] * (2 * size)
        found = minimize(split, np.zeros(2 * size), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        flat = found.x[:size] - found.x[size:]
        return self._polished(flat, penalty)

    def _polished(self, flat, penalty):
        """To the last digits: the bound with l1 is linear in the error of the gradient."""
        slack = penalty - np.abs(self.smooth(flat)[1])
        free = (slack < 1e-6) & (flat != 0)
        sign = np.sign(flat[free]) * penalty[free]
        full = np.zeros_like(flat)

        def slope(part):
            full[free] = part
            return self.smooth(full)[1][free] + sign

        full[free] = root(slope, flat[free], tol=1e-15).x
        return self.value(full), full

    def parameters(self, flat):
        table = flat.reshape(self.outputs, -1)
        return self.objective().parameters(table[:, :-1], table[:, -1])


def onehot(y, K):
    return np.eye(K)[y]


def make(variant, *, seed=0, N=40, D=3, K=4):
    """A problem of that variant on random rows whose classes overlap."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) * [1.0, 4.0, 0.3][:D] + [0.5, -2.0, 0.0][:D]
    y = np.argmax(X @ rng.normal(size=(D, K)) + 1.5 * rng.gumbel(size=(N, K)), axis=1)
    y[:K] = np.arange(K)
    if variant in LABELS:
        return of_labels(variant, X, y, K, rng)
    if variant in TARGETS:
        return of_targets(variant, X, y, K, rng)
    plain = Problem(X, y, CrossEntropy(), onehot(y, K), N)
    priors = rng.uniform(0.05, 1.0, K)
    adjusted = LogitAdjusted(priors=priors, tau=1.5, temperature=0.7)
    changes = {
        "plain": {},
        "temperature": {"loss": CrossEntropy(temperature=2.5), "temperature": 2.5},
        "priors": {"loss": adjusted, "bias": 1.5 * np.log(priors / priors.sum()), "temperature": 0.7},
        "float32": {"X": X.astype(np.float32)},
        "l1": {"l2": 0.0, "l1": 0.03},
        "elastic": {"l1": 0.03},
    }
    return replace(plain, **changes[variant])


def of_labels(variant, X, y, K, rng):
    """Independent labels."""
    N, pos = len(X), rng.uniform(0.3, 3.0, K)
    if variant == "binary":
        b = (y % 2).astype(float)[:, None]
        return Problem(X, y % 2, BinaryCrossEntropy(), b, N, B=1 - b)
    if variant == "labels, all options":
        t, w = rng.uniform(size=(N, K)), rng.uniform(0.1, 3.0, N)
        A = w[:, None] * 2.0 * pos * (0.9 * t + 0.05)
        B = w[:, None] * 0.5 * (0.9 * (1 - t) + 0.05)
        mass = np.sum(w[:, None] * (2.0 * t + 0.5 * (1 - t)))
        loss = BinaryCrossEntropy(pos_weight=pos, class_weight=[0.5, 2.0], label_smoothing=0.1)
        return Problem(X, t, loss, A, mass, B=B, weight=w)
    labels = (rng.uniform(size=(N, K)) < 0.4).astype(float)
    plain = Problem(X, labels, BinaryCrossEntropy(pos_weight=pos), labels * pos, N * K, B=1 - labels)
    return plain if variant == "labels" else replace(plain, l2=0.0, l1=0.03)


def of_targets(variant, X, y, K, rng):
    """One of K classes, told or weighted in all ways."""
    hard, w, cw = onehot(y, K), rng.uniform(0.1, 3.0, len(X)), rng.uniform(0.3, 3.0, K)
    soft, several = rng.dirichlet(np.full(K, 0.5), len(X)), np.maximum(hard, rng.uniform(size=hard.shape) < 0.3)
    without, smooth = np.where(np.arange(K) == 1, 0, cw), 0.8 * hard + 0.2 / K
    kept = y != 2
    both = CrossEntropy(label_smoothing=0.2, class_weight=cw)
    targets, loss, A, mass, weight = {
        "weights": (y, CrossEntropy(), hard * w[:, None], w.sum(), w),
        "soft": (soft, CrossEntropy(), soft, len(X), None),
        "smoothing": (y, CrossEntropy(label_smoothing=0.2), smooth, len(X), None),
        "class weights and smoothing": (y, both, smooth * cw * w[:, None], np.sum(w * cw[y]), w),
        "ignored rows": (y, CrossEntropy(ignore_index=2), hard * kept[:, None], kept.sum(), None),
        "several positives": (
            several, CrossEntropy(normalize_targets=True), several / several.sum(axis=1, keepdims=True), len(X), None
        ),
        "a class of weight 0": (y, CrossEntropy(class_weight=without), hard * without, np.sum(without[y]), None),
    }[variant]  # fmt: skip
    return Problem(X, targets, loss, A, mass, weight=weight)


LABELS = ["binary", "labels", "labels, all options", "l1 of labels"]
TARGETS = [
    "weights", "soft", "smoothing", "class weights and smoothing", "ignored rows", "several positives",
    "a class of weight 0",
]  # fmt: skip
VARIANTS = ["plain", "temperature", "priors", "float32", "l1", "elastic", *LABELS, *TARGETS]
SMALL = 1e-12  # rounding of F and of F* by SciPy


def dressed(problem, *, intercept, scaled):
    """The same problem without intercept, or in parameters of another scale around a center."""
    if scaled:
        center = problem.X.mean(axis=0, dtype=float) if intercept else None
        problem = replace(problem, center=center, scale=np.array([0.5, 3.0, 1.0])[: problem.X.shape[1]])
    return replace(problem, intercept=intercept)


@pytest.mark.parametrize("scaled", [False, True], ids=["raw", "centred and scaled"])
@pytest.mark.parametrize("intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_bounds_the_distance_everywhere_and_is_zero_at_the_minimum(variant, intercept, scaled):
    problem = dressed(make(variant), intercept=intercept, scaled=scaled)
    lowest, best = problem.minimum()
    objective = problem.objective()
    rng = np.random.default_rng(1)
    for size in (0.0, 1e-6, 1e-4, 1e-2, 0.1, 1.0, 10.0, 100.0):
        direction = rng.normal(size=best.shape)
        if not intercept:
            direction.reshape(problem.outputs, -1)[:, -1] = 0
        flat = best + size * direction
        point = problem.parameters(flat)
        value = objective.value_and_grad(point).value + (0 if objective.l1 is None else objective.l1 @ np.abs(point))
        assert value == pytest.approx(problem.value(flat), rel=1e-12), "the test does not mean what the library means"
        certificate = objective.certificate(point)
        assert certificate.kind == "gap"
        assert certificate.value >= value - lowest - SMALL
        if size == 0:
            assert certificate.value <= 1e-10
        if problem.l1 == 0:
            assert certificate.value <= 1e5 * size**2 + 1e-10, "of the order of the distance"


@given(
    variant=st.sampled_from(VARIANTS),
    seed=st.integers(0, 10_000),
    K=st.integers(2, 10),
    log_l2=st.floats(-6, 1),
    log_size=st.floats(-8, 3),
    intercept=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_never_below_the_distance(variant, seed, K, log_l2, log_size, intercept):
    problem = make(variant, seed=seed, K=K, N=25, D=2)
    strength = 10**log_l2
    problem = replace(problem, l2=strength * (problem.l2 > 0), l1=strength * (problem.l1 > 0), intercept=intercept)
    rng = np.random.default_rng(seed)
    flat = 10**log_size * rng.normal(size=(problem.outputs, 3))
    flat[:, -1] *= intercept
    lowest, best = problem.minimum()
    flat = flat.reshape(-1) + best * rng.integers(2)
    bound = problem.objective().certificate(problem.parameters(flat)).value
    assert bound >= (problem.value(flat) - lowest) * (1 - 1e-12) - SMALL


@pytest.mark.parametrize("variant", VARIANTS)
def test_finite_where_probabilities_are_0_and_1(variant):
    problem = make(variant)
    lowest, best = problem.minimum()
    objective = problem.objective()
    for size in (1e3, 1e5):
        flat = size * np.random.default_rng(2).normal(size=best.shape)
        point = problem.parameters(flat)
        p = objective.curvature.probabilities(objective.logits(point))
        assert np.mean(p == 0) > 0.3
        bound = objective.certificate(point).value
        assert problem.value(flat) - lowest <= bound < np.inf


def test_logits_that_overflow_have_no_bound():
    problem = make("plain")
    objective = problem.objective()
    point = np.full(objective.size, 1e308)
    assert objective.certificate(point).value == np.inf
    assert replace(problem, l2=0.0).objective().certificate(point).value == np.inf


@pytest.mark.parametrize("variant", ["plain", "binary", "labels", "weights", "priors"])
def test_holds_where_the_gradient_of_the_coefficients_alone_does_not_tell(variant):
    """At the best coefficients for a wrong intercept that gradient is 0, and the distance is not."""
    problem = make(variant)
    lowest, best = problem.minimum()
    table = best.reshape(problem.outputs, -1).copy()
    table[0, -1] += 0.1

    def of_coefficients(coef):
        table[:, :-1] = coef.reshape(problem.outputs, -1)
        value, grad = problem.smooth(table.reshape(-1))
        return value, grad.reshape(problem.outputs, -1)[:, :-1].reshape(-1)

    options = {"ftol": 0.0, "gtol": 1e-11, "maxcor": 60}
    found = minimize(of_coefficients, table[:, :-1].reshape(-1), jac=True, method="L-BFGS-B", options=options)
    distance = of_coefficients(found.x)[0] - lowest
    objective, point = problem.objective(), problem.parameters(table.reshape(-1))
    naive = objective.bound_estimate(objective.value_and_grad(point).grad)
    assert naive < 1e-6 * distance, "the formula without rebalancing is false here"
    assert distance <= objective.certificate(point).value < 100 * distance


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("variant", ["plain", "binary", "labels", "a class of weight 0", "l1", "l1 of labels"])
def test_holds_by_rebalancing_alone(monkeypatch, variant, steps):
    """However few steps the intercept gets."""
    monkeypatch.setattr("crossent.learn.duality._STEPS", steps)
    problem = make(variant)
    lowest, best = problem.minimum()
    rng = np.random.default_rng(5)
    for size in (1e-3, 0.1, 1.0):
        table = best.reshape(problem.outputs, -1).copy()
        table[:, -1] += size * rng.normal(size=problem.outputs)
        flat = table.reshape(-1)
        assert problem.objective().certificate(problem.parameters(flat)).value >= problem.value(flat) - lowest - SMALL


@pytest.mark.parametrize("variant", ["plain", "binary", "labels", "weights", "priors", "temperature"])
def test_a_wrong_intercept_costs_little(variant):
    """Its steps find a better one: the bound stays near the distance, wherever the intercept is."""
    problem = make(variant)
    lowest, best = problem.minimum()
    for size in (0.1, 2.0, 20.0):
        table = best.reshape(problem.outputs, -1).copy()
        table[0, -1] += size
        bound = problem.objective().certificate(problem.parameters(table.reshape(-1))).value
        assert bound <= 1.001 * (problem.value(table.reshape(-1)) - lowest) + 1e-10


@pytest.mark.parametrize(("size", "is_far"), [(0.01, False), (3.0, True)])
@pytest.mark.parametrize("penalties", [(0.05, 0.0), (0.05, 0.03), (0.0, 0.03)])
@pytest.mark.parametrize("variant", ["plain", "soft", "priors", "temperature"])
def test_is_primal_minus_dual(variant, penalties, size, is_far):
    """Without intercept the dual point is p itself; with l1 alone, drawn towards y until it is feasible.

    Far from the minimum F, which is never negative, is the better bound.
    """
    problem = replace(make(variant), intercept=False, l2=penalties[0], l1=penalties[1])
    flat = problem.minimum()[1].reshape(4, 4) + size * np.random.default_rng(6).normal(size=(4, 4))
    flat[:, -1] = 0
    log_p = log_softmax(problem.X @ flat[:, :-1].T / problem.temperature + problem.bias, axis=1)
    alpha, y = np.exp(log_p), problem.A

    def G():
        return (alpha - y).T @ problem.X / problem.temperature / len(y)

    if problem.l2 == 0:
        alpha = y + min(1, problem.l1 / np.abs(G()).max()) * (alpha - y)
    beyond = np.maximum(np.abs(G()) - problem.l1 * (1 + 1e-12), 0)
    dual = np.sum(entr(alpha) + (alpha - y) * problem.bias) / len(y)
    dual -= np.sum(beyond**2) / (2 * problem.l2) if problem.l2 else np.sum(beyond)
    value = problem.value(flat.reshape(-1))
    bound = problem.objective().certificate(problem.parameters(flat.reshape(-1))).value
    assert bound == pytest.approx(min(value - dual, value), rel=1e-10)
    assert (dual < 0) == (is_far and problem.l2 > 0)


def test_against_50_digits_close_to_the_minimum():
    """One feature, two classes: F - F* of 1e-5 to 1e-15, where differences of float64 values say nothing."""
    x, y, l2 = [0.3, -1.2, 2.0, 0.7, -0.4, 1.1], [0, 0, 1, 0, 1, 1], 0.1
    problem = Problem(np.array(x)[:, None], np.array(y), BinaryCrossEntropy(), np.array(y)[:, None], 6, l2=l2)
    objective = problem.objective()

    def exact(w, c):
        z = [(2 * t - 1) * (w * mpmath.mpf(v) + c) for v, t in zip(x, y, strict=True)]
        return mpmath.fsum(mpmath.log1p(mpmath.exp(-v)) for v in z) / 6 + mpmath.mpf(l2) / 2 * w * w

    with mpmath.workdps(50):
        slopes = [lambda w, c: mpmath.diff(exact, (w, c), (1, 0)), lambda w, c: mpmath.diff(exact, (w, c), (0, 1))]
        best = mpmath.findroot(slopes, (0.5, 0.0), tol=1e-60)
        lowest = exact(*best)
        for size in (1e-2, 1e-4, 1e-6, 1e-7):
            for direction in ((1, 1), (1, -1), (0, 1), (1, 0)):
                w, c = (float(b + size * d) for b, d in zip(best, direction, strict=True))
                distance = float(exact(mpmath.mpf(w), mpmath.mpf(c)) - lowest)
                bound = objective.certificate(objective.parameters(np.array([[w]]), np.array([c]))).value
                assert distance * (1 - 1e-6) - 1e-16 <= bound <= 10 * distance + 1e-15


# -- without a penalty, and not convex --------------------------------------------------------------------------------


@pytest.mark.parametrize("center", [None, np.array([0.5, -2.0, 0.3])])
def test_radius_is_the_gradient_of_the_raw_model(center):
    problem = replace(make("weights"), l2=0.0)
    flat = np.random.default_rng(3).normal(size=16)
    scaled = replace(problem, center=center, scale=np.array([0.5, 3.0, 1.0]))
    certificate = scaled.objective().certificate(scaled.parameters(flat))
    assert certificate.kind == "radius"
    assert certificate.value == pytest.approx(np.linalg.norm(problem.smooth(flat)[1]), rel=1e-10)
    other = flat + np.random.default_rng(4).normal(size=16)
    assert problem.value(flat) - problem.value(other) <= certificate.value * np.linalg.norm(other - flat)


def test_the_decrement_estimates_the_distance():
    problem = replace(make("plain"), l2=0.0)
    lowest, best = problem.minimum()
    flat = best + 1e-3 * np.random.default_rng(3).normal(size=best.shape)
    decrement = problem.objective().certificate(problem.parameters(flat)).decrement
    assert decrement == pytest.approx(problem.value(flat) - lowest, rel=1e-2)


def test_a_loss_that_is_not_convex_has_the_norm_of_its_gradient():
    problem = replace(make("plain"), loss=Focal(gamma=2.0))
    objective = problem.objective()
    point = np.random.default_rng(3).normal(size=objective.size)
    certificate = objective.certificate(point)
    assert certificate.kind == "stationarity"
    assert certificate.value == pytest.approx(np.linalg.norm(objective.value_and_grad(point).grad))
    assert not objective.is_separated(point)
