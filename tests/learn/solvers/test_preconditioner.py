"""The preconditioner against inverses of matrices summed here row by row."""

import numpy as np
import pytest

from closeness import assert_close
from crossent.core.matrix import DenseMatrix
from crossent.errors import UnsupportedError
from crossent.family import Focal
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.solvers import preconditioner
from crossent.learn.solvers.preconditioner import Preconditioner, inverse_root
from crossent.losses import BinaryCrossEntropy, CrossEntropy


def problem(outputs, *, columns=4, rows=60, seed=0, l2=0.1, change=None):
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, columns)) @ random.normal(size=(columns, columns))
    if change is not None:
        X = change(X)
    y = np.arange(rows) % max(2, outputs)
    loss = BinaryCrossEntropy() if outputs == 1 else CrossEntropy()
    return LinearObjective(DenseMatrix(X), y, loss=loss, outputs=outputs, l2=l2), X, random.normal(size=99)


def summed_gram(X, coef, intercept, l2):
    """sum_i c_i u_i u_i^T / N + l2 on the columns, c_i the mean curvature over the logits (binary: p (1 - p))."""
    z = X @ coef.T + intercept
    if z.shape[1] == 1:
        p = 1 / (1 + np.exp(-z[:, 0]))
        c = p * (1 - p)
    else:
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        c = (p * (1 - p)).sum(axis=1) / (p.shape[1] - 1)
    U = np.column_stack([X, np.ones(len(X))])
    total = sum(weight * np.outer(u, u) for weight, u in zip(c, U, strict=True)) / len(X)
    return total + np.diag([l2] * X.shape[1] + [0.0])


@pytest.mark.parametrize("outputs", [1, 3])
def test_is_the_inverse_of_the_gram_for_each_logit(outputs):
    objective, X, noise = problem(outputs)
    point = noise[: objective.size] * 0.3
    table = point.reshape(outputs, 5)
    inverse = np.linalg.inv(summed_gram(X, table[:, :4], table[:, 4], 0.1))
    vector = noise[-objective.size :]
    expected = (vector.reshape(outputs, 5) @ inverse).reshape(-1)
    assert_close(Preconditioner.at(objective, point).times(vector), expected, bound=1e-8 * np.abs(expected).max())


def test_is_the_inverse_hessian_of_one_logit():
    objective, _, noise = problem(1)
    point, vector = noise[:5] * 0.3, noise[5:10]
    back = Preconditioner.at(objective, point).times(objective.hvp(point)(vector))
    assert_close(back, vector, bound=1e-8)


@pytest.mark.parametrize("outputs", [1, 3])
def test_wide_models_have_the_diagonal(outputs, monkeypatch):
    monkeypatch.setattr(preconditioner, "LARGEST_WIDTH", 4)
    objective, X, noise = problem(outputs)
    point = noise[: objective.size] * 0.3
    table = point.reshape(outputs, 5)
    diagonal = np.diag(summed_gram(X, table[:, :4], table[:, 4], 0.1))
    made = Preconditioner.at(objective, point)
    assert made.root is None
    assert_close(made.times(np.ones(objective.size)), np.tile(1 / diagonal, outputs), rtol=1e-12)


@pytest.mark.parametrize("width", [4, 8192])
@pytest.mark.parametrize(
    "change",
    [
        lambda X: np.column_stack([X, X[:, 0] - 2 * X[:, 1]]),
        lambda X: np.column_stack([X, X[:, 0]]),
        lambda X: np.column_stack([X, np.zeros(len(X))]),
        lambda X: np.column_stack([X, np.full(len(X), 7.0)]),
        lambda X: X * [1e-150, 1.0, 1e150, 1e3],
    ],
    ids=["collinear", "twice", "zero", "constant", "scales"],
)
def test_singular_grams_without_penalty_give_descent(change, width, monkeypatch):
    monkeypatch.setattr(preconditioner, "LARGEST_WIDTH", width)
    objective, _, _ = problem(3, l2=0.0, change=change)
    point = np.zeros(objective.size)
    grad = objective.value_and_grad(point).grad
    step = Preconditioner.at(objective, point).times(grad)
    assert np.isfinite(step).all()
    assert grad @ step > 0


@pytest.mark.parametrize("width", [4, 8192])
def test_saturated_rows_without_curvature_give_descent(width, monkeypatch):
    monkeypatch.setattr(preconditioner, "LARGEST_WIDTH", width)
    objective, _, noise = problem(3, l2=0.0)
    point = noise[: objective.size] * 1e6
    grad = objective.value_and_grad(point).grad
    step = Preconditioner.at(objective, point).times(grad)
    assert np.isfinite(step).all()
    assert grad @ step > 0


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 130, 257])
def test_inverse_root(size):
    random = np.random.default_rng(size)
    A = random.normal(size=(2 * size + 3, size))
    matrix = A.T @ A
    root = inverse_root(matrix.copy())
    assert_close(root.T @ root @ matrix, np.eye(size), bound=1e-8)


def test_inverse_root_of_a_matrix_that_is_not_positive_definite():
    matrix = np.array([[1.0, 1.0 + 1e-9], [1.0 + 1e-9, 1.0]])
    root = inverse_root(matrix.copy())
    assert np.isfinite(root).all()
    assert_close(root.T @ root @ np.ones(2), np.full(2, 0.5), rtol=1e-6)  # the direction that is not singular


def test_inverse_root_of_what_is_no_number_is_still_usable():
    assert np.array_equal(inverse_root(np.full((3, 3), np.nan)), np.eye(3))


def test_a_loss_without_curvature_is_refused():
    objective = LinearObjective(DenseMatrix(np.eye(6)), np.arange(6) % 3, loss=Focal(), outputs=3)
    with pytest.raises(UnsupportedError, match="Focal"):
        Preconditioner.at(objective, np.zeros(objective.size))
