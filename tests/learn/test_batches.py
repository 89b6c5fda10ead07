"""Mini-batches of a linear objective: together they are the whole, each with its own share."""

import numpy as np
import pytest

from closeness import assert_close
from crossent.core.matrix import DenseMatrix
from crossent.family import Focal
from crossent.learn.linear_objective import LinearObjective
from crossent.losses import BinaryCrossEntropy, CrossEntropy
from toys import toy


def problems():
    X, y = toy(rows=50)
    random = np.random.default_rng(2)
    soft = random.dirichlet(np.ones(3), 50)
    many = random.integers(0, 2, (50, 3))
    weight = random.uniform(0.1, 3.0, 50)
    return {
        "indices": (X, y, CrossEntropy(), 3, None),
        "weights": (X, y, CrossEntropy(class_weight=[1.0, 2.0, 0.5]), 3, weight),
        "soft": (X, soft, CrossEntropy(label_smoothing=0.1), 3, weight),
        "two classes": (X, (y > 0).astype(int), BinaryCrossEntropy(), 1, weight),
        "labels": (X, many, BinaryCrossEntropy(pos_weight=[1.0, 2.0, 3.0]), 3, None),
        "focal": (X, y, Focal(), 3, weight),
    }


def objective_of(name):
    X, targets, loss, outputs, weight = problems()[name]
    return LinearObjective(
        DenseMatrix(X, X.mean(0)), targets, loss=loss, outputs=outputs, l2=0.3, l1=0.1, sample_weight=weight,
        scale=np.array([1.0, 2.0, 0.5, np.inf]),
    )  # fmt: skip


@pytest.mark.parametrize("size", [1, 16, 50, 1000])
@pytest.mark.parametrize("name", problems())
def test_they_add_up_to_the_whole(name, size):
    """The mean over batches of value and gradient, each weighted by its rows, is that of all rows."""
    whole = objective_of(name)
    point = np.random.default_rng(3).normal(size=whole.size)
    value, grad, rows = 0.0, np.zeros(whole.size), 0
    for batch in whole.batches(size, np.random.default_rng(4)):
        found = batch.value_and_grad(point)
        share = batch.rows / whole.rows
        value, grad, rows = value + share * found.value, grad + share * found.grad, rows + batch.rows
    wanted = whole.value_and_grad(point)
    assert rows == 50
    assert value == pytest.approx(wanted.value, rel=1e-12)
    assert_close(grad, wanted.grad, bound=1e-13)


def test_they_are_counted_as_one_pass_and_leave_the_whole_alone():
    whole = objective_of("weights")
    point = np.zeros(whole.size)
    before = whole.value_and_grad(point)
    passes = whole.passes
    sizes = [batch.rows for batch in whole.batches(16, np.random.default_rng(0))]
    assert sizes == [16, 16, 16, 2]
    assert whole.passes - passes == pytest.approx(1.0)
    after = whole.value_and_grad(point)
    assert np.array_equal(before.grad, after.grad)


@pytest.mark.parametrize("name", ["weights", "soft", "two classes", "labels"])
def test_each_has_its_own_curvature(name):
    whole = objective_of(name)
    assert whole.is_convex
    whole.hvp(np.zeros(whole.size))
    point, vector = np.random.default_rng(5).normal(size=(2, whole.size))
    batch = next(whole.batches(16, np.random.default_rng(4)))
    up, down = (batch.value_and_grad(point + sign * 1e-5 * vector).grad for sign in (1, -1))
    assert_close(batch.hvp(point)(vector), (up - down) / 2e-5, bound=1e-8)


def test_a_thinned_objective_is_that_of_its_rows():
    X, y, loss, outputs, weight = problems()["weights"]
    own = LinearObjective(DenseMatrix(X[::3]), y[::3], loss=loss, outputs=outputs, l2=0.3, sample_weight=weight[::3])
    whole = LinearObjective(DenseMatrix(X), y, loss=loss, outputs=outputs, l2=0.3, sample_weight=weight)
    point = np.random.default_rng(3).normal(size=whole.size)
    for one, other in zip(whole.thinned(3).value_and_grad(point), own.value_and_grad(point), strict=True):
        assert_close(one, other, rtol=1e-14)
