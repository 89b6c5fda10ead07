"""lbfgs, auto and newton to the last digit: an end where rounding begins, even if nothing is left, and equal bits."""

import numpy as np
import pytest
from scipy import sparse

import crossent
from crossent import BinaryCrossEntropy, CrossEntropy, Focal
from crossent.core.matrix import DenseMatrix, SparseMatrix
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.solvers import SolverOptions, find_solver
from crossent.learn.solvers.secants import Secants
from fit_problems import CASES, fitted, problem

SMOOTH = ["auto", "lbfgs", "newton"]


@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", SMOOTH)
def test_tol_0_ends_at_rounding(name, case, l2):
    of = problem(case, l2=l2)
    solution = fitted(find_solver(name).run, of, tol=0)
    assert "rounding" in solution.reason or "gradient is zero" in solution.reason
    assert solution.iterations <= 300
    assert of.least_subgradient(solution.point) <= 1e-8
    assert abs(solution.loss - of.minimum()) <= 1e-14


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", SMOOTH)
def test_a_loss_that_falls_until_it_underflows(name, outputs):
    """Separable rows without a penalty and tol=0: changes of the gradient whose squares are 0 divide nothing."""
    X = np.random.default_rng(0).normal(size=(30, 4))
    y = np.argmax(X[:, : max(2, outputs)], axis=1)
    loss = BinaryCrossEntropy() if outputs == 1 else CrossEntropy()
    objective = LinearObjective(DenseMatrix(X), y, loss=loss, outputs=outputs)
    solution = find_solver(name).run(objective, np.zeros(objective.size), SolverOptions(tol=0, max_iter=1500))
    assert not solution.converged
    assert "separable" in solution.reason
    assert 0 <= solution.loss < 1e-80


def test_a_change_whose_square_underflows_is_forgotten():
    secants = Secants(5)
    secants.remember(np.array([1e100, 0.0]), np.array([1e-165, 0.0]))
    assert len(secants) == 0
    secants.remember(np.array([1e50, 0.0]), np.array([1e-50, 0.0]))
    assert len(secants) == 1


def test_a_gradient_whose_square_underflows_is_a_start():
    X = np.array([[130.0, 1.0], [-130.0, 1.0]])
    for l1 in (0.0, 1e-200):
        objective = LinearObjective(DenseMatrix(X), np.arange(2), loss=Focal(), outputs=2, l1=l1)
        start = objective.parameters(np.array([[0.5, 0.0], [-0.5, 0.0]]), np.zeros(2))
        assert 0 < np.abs(objective.value_and_grad(start).grad).max() < 1e-165
        solution = find_solver("lbfgs").run(objective, start, SolverOptions(tol=0, max_iter=20))
        assert solution.loss <= solution.steps[0].loss


def matrix_of(kind, X):
    if kind == "sparse":
        csr = sparse.csr_array(np.where(np.abs(X) > 0.5, X, 0.0))
        return SparseMatrix(csr.data, csr.indices, csr.indptr, X.shape[1])
    return DenseMatrix(np.ascontiguousarray(X, np.dtype(kind)))


@pytest.mark.parametrize("kind", ["float32", "float64", "sparse"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", SMOOTH)
def test_number_of_threads_changes_no_bit(name, outputs, kind):
    random = np.random.default_rng(2)
    X = random.normal(size=(40_000, 40))
    y = np.argmax(X[:, : max(2, outputs)] + random.gumbel(size=(len(X), max(2, outputs))), axis=1)
    loss = BinaryCrossEntropy() if outputs == 1 else CrossEntropy()
    before, found = crossent.get_num_threads(), []
    try:
        for threads in (1, 2):
            crossent.set_num_threads(threads)
            objective = LinearObjective(matrix_of(kind, X), y, loss=loss, outputs=outputs, l2=1e-3)
            assert len(objective.matrix.slices(outputs)) > 1
            solution = find_solver(name).run(objective, np.zeros(objective.size), SolverOptions(tol=1e-9))
            assert solution.converged, solution.reason
            found.append((solution.point.tobytes(), solution.loss, solution.certificate))
    finally:
        crossent.set_num_threads(before)
    assert found[0] == found[1]
