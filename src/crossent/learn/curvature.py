"""The Hessian of a row's loss in its logits, for the losses that have a convex one: cross-entropy over classes (with
smoothing, class weights, temperature, priors) and over independent labels.

    classes:  m_i / T^2 (diag(p_i) - p_i p_i^T),   p_i = softmax(z_i / T + b)
    labels:   m_ij p_ij (1 - p_ij),                p_ij = sigmoid(z_ij)

m is the mass of the weighted targets A: sum_j A_ij over classes, A_ij + B_ij for a label.

The dual (`duality`) sees both as choices: a row makes one choice among K classes, or L choices between no and yes.
"""

from typing import Any

import numpy as np

from crossent.activations import sigmoid, softmax
from crossent.core.types import NDArray
from crossent.core.weights import class_weights
from crossent.errors import UnsupportedError
from crossent.family import LogitAdjusted
from crossent.learn.types import AnyLoss, Floats
from crossent.losses import BinaryCrossEntropy, CrossEntropy

__all__ = ["ClassCurvature", "Curvature", "LabelCurvature", "curvature_of"]


class ClassCurvature:
    """Of one class among K. `targets` are indices [N] or distributions [N, K], `weight` [N] or None."""

    def __init__(self, loss: CrossEntropy | LogitAdjusted, targets: NDArray, weight: Floats | None, K: int) -> None:
        self._targets, self._weight, self._K = targets, weight, K
        self._smoothing, self._ignored = float(loss.label_smoothing), loss.ignore_index
        self._normalizes = loss.normalize_targets
        terms = loss.terms(K)
        self.temperature = 1.0 if terms is None else terms.temperature
        self.bias = None if terms is None else terms.log_prior
        self._class_weight = None
        if loss.class_weight is not None:
            self._class_weight = class_weights(loss.class_weight, K, loss.classes)

    def weighted_targets(self, first: int, end: int) -> Floats:
        """A [n, K]: smoothed targets times class and row weights."""
        part = self._targets[first:end]
        if part.ndim == 2:
            A = part.astype(np.float64)
            if self._normalizes:
                total = A.sum(axis=1, keepdims=True)
                A /= np.where(total > 0, total, 1)
        else:
            A = np.zeros((end - first, self._K))
            kept = np.flatnonzero(part != self._ignored)  # all of them for None
            A[kept, part[kept]] = 1
        if self._smoothing:
            A = (1 - self._smoothing) * A + self._smoothing / self._K * A.sum(axis=1, keepdims=True)
        if self._class_weight is not None:
            A *= self._class_weight
        return A if self._weight is None else A * self._weight[first:end, None]

    def mass(self, first: int, end: int) -> Floats:
        """m [n, 1]."""
        plain = self._targets.ndim == 1 and not self._smoothing and self._class_weight is None
        if not plain or self._ignored is not None:
            return np.asarray(self.weighted_targets(first, end).sum(axis=1, keepdims=True))
        return np.ones((end - first, 1)) if self._weight is None else self._weight[first:end, None]

    def probabilities(self, logits: Floats) -> Floats:
        """p [n, K] of these logits."""
        z = logits if self.temperature == 1 else logits / self.temperature
        return np.asarray(softmax(z if self.bias is None else z + self.bias))

    def choices(self, first: int, end: int) -> Floats:
        """A as one choice among K, [1, K, n]."""
        return np.ascontiguousarray(self.weighted_targets(first, end).T)[None]

    def scores(self, logits: Floats) -> Floats:
        """The logits of the choices, [1, K, n]."""
        return np.ascontiguousarray(logits.T)[None]

    def slopes(self, residual: Floats) -> Floats:
        """The derivative of sum residual * (scores / T) in the logits [n, K]."""
        return np.ascontiguousarray(residual[0].T if self.temperature == 1 else residual[0].T / self.temperature)

    def product(self, p: Floats, mass: Floats, v: Floats) -> Floats:
        """The row Hessians times v [n, K]."""
        inner = np.einsum("ij,ij->i", p, v)[:, None]
        result: Floats = (mass / self.temperature**2) * (p * (v - inner))
        return result

    def mean(self, p: Floats, mass: Floats) -> Floats:
        """c [n]: the mean over the logits of the curvature that a common matrix stands for: sum p (1 - p) / (K - 1)."""
        spread: Floats = 1 - np.einsum("ij,ij->i", p, p)
        return np.maximum(spread, 0) * mass[:, 0] / ((self._K - 1) * self.temperature**2)

    def entry(self, p: Floats, mass: Floats, k: int, j: int) -> Floats | None:
        """Element (k, j) of every row's Hessian [n]; None where all are 0."""
        m = mass[:, 0] / self.temperature**2
        entry: Floats = m * p[:, k] * ((1 - p[:, k]) if k == j else -p[:, j])
        return entry


class LabelCurvature:
    """Of L independent labels. `targets` are [N] or [N, L] in [0, 1], `weight` [N] or None."""

    temperature = 1.0
    bias = None

    def __init__(self, loss: BinaryCrossEntropy, targets: NDArray, weight: Floats | None, L: int) -> None:
        self._targets, self._weight = targets.reshape(len(targets), L), weight
        self._smoothing = float(loss.label_smoothing)
        pair = None if loss.class_weight is None else class_weights(loss.class_weight, 2, loss.classes)
        self._negative, self._positive = (1.0, 1.0) if pair is None else (float(pair[0]), float(pair[1]))
        self._pos_weight = np.ones(1) if loss.pos_weight is None else np.atleast_1d(np.asarray(loss.pos_weight, float))

    def _both(self, first: int, end: int) -> tuple[Floats, Floats]:
        """A and B [n, L]: what multiplies -log p and -log(1 - p)."""
        y, a = self._targets[first:end].astype(np.float64), self._smoothing
        A = self._positive * self._pos_weight * ((1 - a) * y + a / 2)
        B = self._negative * ((1 - a) * (1 - y) + a / 2)
        return (
            (A, B) if self._weight is None else (A * self._weight[first:end, None], B * self._weight[first:end, None])
        )

    def mass(self, first: int, end: int) -> Floats:
        """m [n, L]."""
        A, B = self._both(first, end)
        return A + B

    def probabilities(self, logits: Floats) -> Floats:
        """p [n, L] of these logits."""
        return np.asarray(sigmoid(logits))

    def choices(self, first: int, end: int) -> Floats:
        """(B, A): L choices between no and yes, [L, 2, n]."""
        A, B = self._both(first, end)
        return np.stack([B.T, A.T], axis=1)

    def scores(self, logits: Floats) -> Floats:
        """The logits of the choices, (0, z), [L, 2, n]."""
        scores = np.zeros((logits.shape[1], 2, len(logits)))
        scores[:, 1] = logits.T
        return scores

    def slopes(self, residual: Floats) -> Floats:
        """The derivative of sum residual * scores in the logits [n, L]."""
        return np.ascontiguousarray(residual[:, 1].T)

    def product(self, p: Floats, mass: Floats, v: Floats) -> Floats:
        """The row Hessians times v [n, L]."""
        result: Floats = mass * p * (1 - p) * v
        return result

    def mean(self, p: Floats, mass: Floats) -> Floats:
        """c [n]: the mean over the labels."""
        return np.asarray(np.mean(mass * p * (1 - p), axis=1))

    def entry(self, p: Floats, mass: Floats, k: int, j: int) -> Floats | None:
        """Element (k, j) of every row's Hessian [n]; None where all are 0."""
        return mass[:, k] * p[:, k] * (1 - p[:, k]) if k == j else None


Curvature = ClassCurvature | LabelCurvature


def curvature_of(loss: AnyLoss, targets: NDArray, weight: Floats | None, outputs: int) -> Curvature:
    """The curvature of a loss.

    Raises: UnsupportedError for a loss that is not convex in the logits, or whose Hessian is not known here.
    """
    if type(loss) is BinaryCrossEntropy:
        return LabelCurvature(loss, targets, weight, outputs)
    if isinstance(loss, CrossEntropy | LogitAdjusted) and not _more_than_transformed(loss):
        return ClassCurvature(loss, targets, weight, outputs)
    raise UnsupportedError(
        f"{type(loss).__name__} with these options has no convex Hessian in the logits, which this needs. "
        "Use a solver that takes gradients only, such as 'lbfgs', or CrossEntropy or BinaryCrossEntropy."
    )


def _more_than_transformed(loss: Any) -> bool:
    return bool(loss.softcap is not None or loss.z_loss != 0 or loss.entropy_weight != 0)
