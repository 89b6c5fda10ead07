"""Small fitting problems for tests of solvers, and F with its derivatives written anew: no code of the package."""

from typing import NamedTuple

import numpy as np
import scipy.optimize
from scipy.special import expit, log_expit, log_softmax, softmax

from crossent.core.matrix import DenseMatrix
from crossent.learn.linear_objective import LinearObjective
from crossent.losses import BinaryCrossEntropy, CrossEntropy

__all__ = ["CASES", "Problem", "fitted", "problem", "with_1_and_2_threads"]

CASES = ["binary", "classes", "bare", "soft", "labels", "weighted"]


class Problem(NamedTuple):
    """Features X [N, D], target probabilities Y [N, outputs], weights w [N]; `labels`: independent, not exclusive."""

    X: np.ndarray
    Y: np.ndarray
    w: np.ndarray
    targets: np.ndarray
    labels: bool
    intercept: bool = True
    l2: float = 0.0
    l1: float = 0.0

    @property
    def outputs(self):
        return self.Y.shape[1]

    def objective(self):
        """The package's objective of it; parameters and features as they are."""
        loss = BinaryCrossEntropy() if self.labels else CrossEntropy()
        plain = bool(np.all(self.w == 1))
        return LinearObjective(
            DenseMatrix(self.X), self.targets, loss=loss, outputs=self.outputs, l2=self.l2, l1=self.l1,
            fit_intercept=self.intercept, sample_weight=None if plain else self.w,
        )  # fmt: skip

    @property
    def size(self):
        return self.outputs * (self.X.shape[1] + self.intercept)

    @property
    def is_penalised(self):
        """[size] whether a parameter is a coefficient."""
        row = [True] * self.X.shape[1] + [False] * self.intercept
        return np.tile(row, self.outputs)

    def smooth(self, point):
        """The smooth part of F and its gradient."""
        U = np.column_stack([self.X, np.ones(len(self.X))]) if self.intercept else self.X
        z = U @ point.reshape(self.outputs, -1).T
        mass = self.w.sum() * (self.outputs if self.labels else 1)  # of all targets
        if self.labels:
            losses = -(self.Y * log_expit(z) + (1 - self.Y) * log_expit(-z)).sum(axis=1)
            slopes = expit(z) - self.Y
        else:
            losses = -(self.Y * log_softmax(z, axis=1)).sum(axis=1)
            slopes = softmax(z, axis=1) - self.Y
        coef = np.where(self.is_penalised, point, 0.0)
        value = self.w @ losses / mass + self.l2 / 2 * coef @ coef
        return value, (slopes * self.w[:, None]).T.dot(U).reshape(-1) / mass + self.l2 * coef

    def total(self, point):
        """F."""
        return self.smooth(point)[0] + self.l1 * np.abs(point[self.is_penalised]).sum()

    def least_subgradient(self, point):
        """Largest entry of the smallest subgradient of F, 0 at a minimum; from the Karush-Kuhn-Tucker conditions."""
        grad, l1 = self.smooth(point)[1], np.where(self.is_penalised, self.l1, 0.0)
        inside = np.where(point == 0, np.clip(-grad, -l1, l1), l1 * np.sign(point))
        return np.abs(grad + inside).max()

    def minimum(self):
        """F* by scipy.optimize; with l1 in the 2 size numbers x = a - b, a >= 0, b >= 0."""
        l1 = np.where(self.is_penalised, self.l1, 0.0)

        def doubled(ab):
            value, grad = self.smooth(ab[: self.size] - ab[self.size :])
            return value + np.concatenate([l1, l1]) @ ab, np.concatenate([grad + l1, l1 - grad])

        options = {"maxiter": 50_000, "maxfun": 100_000, "ftol": 0, "gtol": 1e-11, "maxcor": 50}
        if self.l1 == 0:
            start = np.zeros(self.size)
            return scipy.optimize.minimize(self.smooth, start, jac=True, method="L-BFGS-B", options=options).fun
        bounds = [(0, None)] * (2 * self.size)
        start = np.zeros(2 * self.size)
        return scipy.optimize.minimize(doubled, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).fun


def problem(case, *, rows=150, columns=6, seed=0, **penalties):
    """A noisy problem, so that it has a minimum without penalties; columns correlated, of unlike spread."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, columns)) @ random.normal(size=(columns, columns)) + random.normal(size=columns)
    outputs = {"binary": 1, "labels": 3}.get(case, 4)
    z = 0.5 * X @ random.normal(size=(columns, outputs)) + random.normal(size=outputs)
    w = random.uniform(0.1, 3, rows) if case == "weighted" else np.ones(rows)
    if case in ("binary", "labels"):
        Y = (random.uniform(size=z.shape) < expit(z)).astype(float)
        targets = Y[:, 0].astype(np.int64) if case == "binary" else Y
        return Problem(X, Y, w, targets, True, **penalties)
    y = np.argmax(z + random.gumbel(size=z.shape), axis=1)
    Y = random.dirichlet(np.ones(outputs), rows) if case == "soft" else np.eye(outputs)[y]
    return Problem(X, Y, w, Y if case == "soft" else y, False, intercept=case != "bare", **penalties)


def fitted(solve, of, *, start=None, **options):
    """The solution of a problem by a solver of the package, from zeros or a start."""
    from crossent.learn.solvers import SolverOptions

    return solve(of.objective(), np.zeros(of.size) if start is None else start, SolverOptions(**options))


def with_1_and_2_threads(run):
    """What run() returns with one thread and with two."""
    import crossent

    before, found = crossent.get_num_threads(), []
    try:
        for threads in (1, 2):
            crossent.set_num_threads(threads)
            found.append(run())
    finally:
        crossent.set_num_threads(before)
    return found
