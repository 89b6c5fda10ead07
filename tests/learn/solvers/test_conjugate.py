"""Conjugate gradients against NumPy's direct solution, also where the matrix is singular."""

import numpy as np
import pytest

from closeness import assert_close
from crossent.learn.solvers.conjugate import conjugate_gradients


def matrix(size, rank, seed=0):
    A = np.random.default_rng(seed).normal(size=(size, rank))
    return A @ A.T


def solved(H, b, *, precondition=lambda v: v, accuracy=1e-10, most=500):
    return conjugate_gradients(
        lambda v: H @ v, b, precondition=precondition, accuracy=lambda _: accuracy, most=most
    )  # fmt: skip


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_solution_and_reduction(scale):
    H, b = scale * (matrix(20, 20) + np.eye(20)), np.random.default_rng(1).normal(size=20)
    exact = np.linalg.solve(H, b)
    inverse = np.linalg.inv(np.diag(np.diag(H)))
    found = solved(H, b, precondition=lambda v: inverse @ v)
    assert_close(found.x, exact, bound=1e-8 * np.abs(exact).max())
    assert found.flat is None
    assert found.reduction == pytest.approx(b @ exact, rel=1e-9)


def test_the_kernel_is_left_alone():
    """b has no part there but for rounding, which a preconditioner with a small ridge makes large."""
    H = matrix(12, 6)
    b = H @ np.random.default_rng(2).normal(size=12)
    M = np.linalg.inv(H + 1e-9 * np.eye(12))
    found = solved(H, b, precondition=lambda v: M @ v, accuracy=1e-14)
    assert_close(H @ found.x, b, bound=1e-6 * np.abs(b).max())
    assert np.abs(found.x).max() < 10 * np.abs(np.linalg.pinv(H) @ b).max()


def test_every_truncation_descends_further():
    H, b = matrix(30, 30) + 0.1 * np.eye(30), np.random.default_rng(3).normal(size=30)
    values = []
    for most in range(1, 8):
        x = solved(H, b, most=most).x
        assert b @ x > 0
        values.append(0.5 * x @ H @ x - b @ x)
    assert values == sorted(values, reverse=True)


def test_without_curvature_it_is_the_preconditioned_gradient():
    b = np.array([1.0, -2.0])
    found = solved(np.zeros((2, 2)), b, precondition=lambda v: 3 * v)
    assert np.array_equal(found.x, 3 * b)
    assert np.array_equal(found.flat, 3 * b)


def test_nothing_to_solve():
    assert np.array_equal(solved(np.eye(2), np.zeros(2)).x, np.zeros(2))
