"""The objective: value and gradient against finite differences in 50 digits, and its parametrisation."""

import mpmath
import numpy as np
import pytest

from closeness import assert_close
from crossent.learn.moments import moments
from crossent.learn.objective import LinearObjective, Scaling


def problem(classes, *, weighted, seed=0):
    random = np.random.default_rng(seed)
    X = random.normal(size=(12, 3)) * [1.0, 30.0, 0.01] + [0.0, 5.0, -1.0]
    y = np.arange(12) % classes
    return X, y, random.uniform(0.2, 3.0, 12) if weighted else None


def exact_value(X, y, weight, classes, l2, coef, intercept):
    """F in mpmath, sharing nothing with the library."""
    weight = [mpmath.mpf(1)] * len(y) if weight is None else [mpmath.mpf(float(w)) for w in weight]
    total = mpmath.mpf(0)
    for i, label in enumerate(y):
        z = [mpmath.fdot(map(float, X[i]), row) + b for row, b in zip(coef, intercept, strict=True)]
        z = [mpmath.mpf(0), *z] if classes == 2 else z
        total += weight[i] * (mpmath.log(mpmath.fsum(map(mpmath.exp, z))) - z[label])
    penalty = mpmath.fsum(c * c for row in coef for c in row)
    return total / mpmath.fsum(weight) + mpmath.mpf(l2) / 2 * penalty


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_value_and_gradient_against_50_digits(classes, intercept, weighted):
    X, y, weight = problem(classes, weighted=weighted)
    l2 = 0.3
    objective = LinearObjective(X, y, classes=classes, l2=l2, sample_weight=weight, fit_intercept=intercept)
    outputs = 1 if classes == 2 else classes
    assert objective.size == outputs * (3 + intercept)
    point = np.random.default_rng(1).normal(size=objective.size) * 0.1
    value, grad = objective.value_and_grad(point)

    def exact(flat):
        table = [flat[k * (3 + intercept) : (k + 1) * (3 + intercept)] for k in range(outputs)]
        free = [row[3] if intercept else mpmath.mpf(0) for row in table]
        return exact_value(X, y, weight, classes, l2, [row[:3] for row in table], free)

    with mpmath.workdps(50):
        flat = [mpmath.mpf(float(v)) for v in point]
        assert abs(exact(flat) - mpmath.mpf(float(value))) <= 1e-14 * abs(exact(flat))
        step = mpmath.mpf(10) ** -20
        for j in range(objective.size):
            moved = [[v + (s * step if i == j else 0) for i, v in enumerate(flat)] for s in (1, -1)]
            slope = (exact(moved[0]) - exact(moved[1])) / (2 * step)
            assert abs(slope - mpmath.mpf(float(grad[j]))) <= 1e-13 * (1 + np.abs(X).max()), j


@pytest.mark.parametrize("classes", [2, 3])
def test_scaling_changes_the_parameters_and_not_the_function(classes):
    X, y, weight = problem(classes, weighted=True)
    center, spread = moments(X, sample_weight=weight)
    options = {"classes": classes, "l2": 0.3, "sample_weight": weight}
    plain = LinearObjective(X, y, **options)
    scaled = LinearObjective(X, y, scaling=Scaling(center, spread), **options)
    point = np.random.default_rng(1).normal(size=scaled.size)
    coef, intercept = scaled.coefficients(point)
    value, grad = scaled.value_and_grad(point)
    same_value, raw = plain.value_and_grad(np.column_stack([coef, intercept]).reshape(-1))
    assert value == pytest.approx(same_value, rel=1e-13)
    raw = raw.reshape(-1, 4)
    chained = np.column_stack([(raw[:, :3] - raw[:, 3:] * center) / spread, raw[:, 3]])
    assert_close(grad, chained.reshape(-1), rtol=1e-10)


def test_gradient_is_a_new_array_each_time():
    X, y, _ = problem(3, weighted=False)
    objective = LinearObjective(X, y, classes=3, l2=0.0)
    first = objective.value_and_grad(np.zeros(objective.size)).grad
    kept = first.copy()
    objective.value_and_grad(np.ones(objective.size))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("classes", [2, 3])
def test_overflowing_logits_are_out_of_bounds(classes):
    X, y, _ = problem(classes, weighted=False)
    objective = LinearObjective(X, y, classes=classes, l2=0.0)
    point = np.tile([1e308, 1e308, 1e308, 0.0], objective.size // 4)
    value, _ = objective.value_and_grad(point)
    assert value == np.inf


class TestMoments:
    def test_against_numpy(self):
        X = np.random.default_rng(0).normal(3.0, 2.0, size=(10_000, 3))
        center, spread = moments(X)
        assert_close(center, X.mean(0), rtol=1e-13)
        assert_close(spread, X.std(0), rtol=1e-13)

    def test_weights_are_repetitions(self):
        X, counts = np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 4
        for one, other in zip(moments(X, sample_weight=counts), moments(np.repeat(X, counts, axis=0)), strict=True):
            assert_close(one, other, rtol=1e-13)

    @pytest.mark.parametrize("value", [0.1, -7.3, 0.0, 1e300])
    def test_constant_columns_have_exactly_no_spread(self, value):
        center, spread = moments(np.full((1237, 2), value))
        assert np.array_equal(center, [value, value])
        assert np.array_equal(spread, [0.0, 0.0])

    @pytest.mark.parametrize("scale", [1e-300, 1e300])
    def test_no_overflow_and_no_underflow(self, scale):
        X = np.random.default_rng(0).normal(size=(100, 2))
        assert_close(moments(scale * X)[1], scale * X.std(0), rtol=1e-12)

    def test_not_centred(self):
        center, spread = moments(np.array([[3.0], [-4.0]]), centred=False)
        assert center[0] == 0
        assert spread[0] == pytest.approx(np.sqrt(12.5))
