"""Standard errors: where classes are separable there are none, exactly there; nor of some losses and penalties."""

import warnings

import numpy as np
import pytest
import scipy.optimize

import crossent as ce
from closeness import assert_close
from crossent.core.matrix import DenseMatrix
from crossent.errors import DataError, UnsupportedError
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.standard_errors import contrasts
from toys import toy


def fitted(X, y, **options):
    """A fit without penalty; whether the solver says that it did not converge is its own affair here."""
    with warnings.catch_warnings(action="ignore", category=ce.ConvergenceWarning):
        return ce.SoftmaxClassifier(**{"l2": 0, "max_iter": 20_000, **options}).fit(X, y)


def is_separable(X, y):
    """Whether some logits put no row on the wrong side and some on the right one: a linear program."""
    Z = np.column_stack([np.ones(len(X)), X])
    classes = np.eye(y.max() + 1)
    lead = np.array([np.kron(classes[k] - other, z) for z, k in zip(Z, y, strict=True) for other in classes])
    most = -scipy.optimize.linprog(-lead.sum(axis=0), A_ub=-lead, b_ub=np.zeros(len(lead)), bounds=(-1, 1)).fun
    return most > 1e-7


class TestSeparable:
    @pytest.mark.parametrize("tol", [1e-4, 1e-6])
    def test_separable_are_those_that_a_linear_program_separates(self, tol):
        found = []
        for seed in range(40):
            rng = np.random.default_rng(seed)
            classes, X = 2 + seed % 2, rng.normal(size=(10 + seed, 1 + seed % 3))
            logits = rng.uniform(0.3, 4) * X @ rng.normal(size=(classes, X.shape[1])).T
            y = np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)
            y[:classes] = np.arange(classes)
            model = fitted(X, y, tol=tol)
            found.append(is_separable(X, y))
            if found[-1]:
                with pytest.raises(DataError, match="separable by these features"):
                    model.summary(X, y)
            else:
                exact = fitted(X, y, tol=1e-15, solver="newton").summary(X, y)
                assert_close(model.summary(X, y).z, exact.z, bound=1e-6)
        assert 5 < sum(found) < 35

    def test_separable_data(self):
        X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
        model = fitted(X, [0, 0, 0, 1, 1, 1])
        with pytest.raises(DataError, match=r"separable.*standard errors do not exist.*Set l2"):
            model.summary(X, [0, 0, 0, 1, 1, 1])

    @pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
    @pytest.mark.parametrize(
        ("X", "y"),
        [
            ([[0.0], [1.0], [2.0], [2.0], [3.0], [4.0]], [0, 0, 0, 1, 1, 1]),  # they meet in one point
            ([[0.0, 0], [1, 0], [2, 0], [3, 0], [1, 1], [2, 1]], [0, 1, 0, 1, 1, 1]),  # a group of one class
            ([[0.0], [1.0], [2.0], [3.0], [4.0], [9.0], [8.0]], [0, 1, 0, 1, 0, 2, 2]),  # one class of three
        ],
    )
    def test_data_separable_in_part_of_the_rows(self, X, y, tol):
        model = fitted(X, y, tol=tol)
        with pytest.raises(DataError, match=r"separable by these features"):
            model.summary(X, y)
        assert np.isfinite(ce.SoftmaxClassifier(l2=0.1, tol=1e-15).fit(X, y).summary(X, y).standard_errors).all()


class TestUnsupported:
    def test_losses_and_penalties_without_standard_errors(self):
        X, y = toy()

        def errors(targets, **options):
            objective = LinearObjective(DenseMatrix(X), targets, outputs=3, **options)
            names = ["intercept", *"abcd"]
            return contrasts(objective, np.zeros((3, 4)), np.zeros(3), reference=0, codes=y, terms=names)

        with pytest.raises(UnsupportedError, match="L1 penalty"):
            errors(y, loss=ce.CrossEntropy(), l1=0.1)
        with pytest.raises(UnsupportedError, match="convex"):
            errors(y, loss=ce.Focal())
        with pytest.raises(UnsupportedError, match="independent labels"):
            errors(np.eye(3)[y], loss=ce.BinaryCrossEntropy())
        wide = LinearObjective(DenseMatrix(np.zeros((60, 5000))), y, outputs=3, loss=ce.CrossEntropy())
        with pytest.raises(UnsupportedError, match="10002 parameters"):
            contrasts(wide, np.zeros((3, 5000)), np.zeros(3), reference=0, codes=y, terms=[])
