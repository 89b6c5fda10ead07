"""What a solver minimises: mean loss plus penalty of a linear model, as a function of flat parameters.

A solver sees an `Objective` and nothing behind it, so the same solver serves rows in memory, rows on disk and
rows on other machines. `LinearObjective` is the one for rows in memory.
"""

import math
from typing import Protocol

import numpy as np

from crossent.core.types import LossGrad, NDArray
from crossent.errors import NonFiniteError
from crossent.learn.types import Codes, Floats
from crossent.losses import BinaryCrossEntropy, CrossEntropy

__all__ = ["LinearObjective", "Objective", "Scaling"]


class Objective(Protocol):
    """A smooth function of a flat float64 vector."""

    @property
    def size(self) -> int:
        """Number of parameters."""
        ...

    def value_and_grad(self, point: Floats) -> LossGrad:
        """Value and gradient [size] at a point; value inf where the point is out of bounds."""
        ...


class Scaling:
    """Parameters for standardised features that describe the same model as coefficients for raw ones.

        coefficient_j = parameter_j / scale_j
        intercept     = parameter_0 - sum_j coefficient_j center_j

    Solvers move among the parameters, where all directions are about equally steep; model and penalty stay
    those of the raw coefficients, so the optimum is the same and only the way there is shorter.
    """

    def __init__(self, center: Floats, scale: Floats) -> None:
        self.center, self.scale = center, scale

    @classmethod
    def none(cls, width: int) -> "Scaling":
        """Parameters that are the raw coefficients."""
        return cls(np.zeros(width), np.ones(width))


class LinearObjective:
    """Weighted mean cross-entropy of z = X coef^T + intercept, plus l2 / 2 times the squared coefficients.

        F = sum_i w_i l_i / sum_i w_i + l2 / 2 * sum_kj coef_kj^2                    [nat]

    The intercept is free of the penalty. Two classes have one logit (that of the second class); K > 2 have K.

    Args:
        features: [N, D] float64, finite.
        codes: [N] class indices in 0..classes-1.
        classes: number of classes, >= 2.
        l2: strength of the penalty, >= 0.
        sample_weight: [N] weights >= 0, or None for equal ones.
        fit_intercept: whether there is an intercept; without one the scaling may not centre.
        scaling: which parameters the solver moves; None for the raw coefficients.
    """

    def __init__(
        self,
        features: Floats,
        codes: Codes,
        *,
        classes: int,
        l2: float,
        sample_weight: Floats | None = None,
        fit_intercept: bool = True,
        scaling: Scaling | None = None,
    ) -> None:
        rows, width = features.shape
        self._features, self._codes, self._weights = features, codes, sample_weight
        self._outputs = 1 if classes == 2 else classes
        self._has_intercept = fit_intercept
        self._scaling = Scaling.none(width) if scaling is None else scaling
        self._penalty = (math.sqrt(l2) / self._scaling.scale) ** 2
        self._loss: BinaryCrossEntropy | CrossEntropy = BinaryCrossEntropy() if classes == 2 else CrossEntropy()
        self._logits: NDArray = np.empty((rows, self._outputs))

    @property
    def size(self) -> int:
        """Number of parameters: per logit, one for each feature and one for the intercept."""
        return self._outputs * int(self._features.shape[1] + self._has_intercept)

    def coefficients(self, point: Floats) -> tuple[Floats, Floats]:
        """Raw coefficients [1 or K, D] and intercepts [1 or K] that the parameters stand for."""
        width = self._features.shape[1]
        table = point.reshape(self._outputs, -1)
        coef = table[:, :width] / self._scaling.scale
        intercept = table[:, width] - coef @ self._scaling.center if self._has_intercept else np.zeros(self._outputs)
        return coef, intercept

    def value_and_grad(self, point: Floats) -> LossGrad:
        """Value and gradient of F with respect to the parameters; (inf, NaN) where logits overflow."""
        coef, intercept = self.coefficients(point)
        logits = self._logits
        with np.errstate(over="ignore", invalid="ignore"):
            np.matmul(self._features, coef.T, out=logits)
            logits += intercept
        try:
            value = self._loss_and_slopes_in_place(logits)
        except NonFiniteError:
            return LossGrad(math.inf, np.full(self.size, np.nan))
        parameters = point.reshape(self._outputs, -1)[:, : self._features.shape[1]]
        value += 0.5 * float(np.sum(self._penalty * parameters * parameters))
        return LossGrad(value, self._gradient(logits, parameters))

    def _loss_and_slopes_in_place(self, logits: NDArray) -> float:
        """The mean loss; the logits are overwritten by their gradient."""
        buffer = logits[:, 0] if self._outputs == 1 else logits
        result = self._loss.value_and_grad(self._codes, logits=buffer, sample_weight=self._weights, out=buffer)
        return float(result.value)

    def _gradient(self, slopes: NDArray, parameters: Floats) -> Floats:
        """Flat gradient from the slopes [N, 1 or K] with respect to the logits."""
        width = self._features.shape[1]
        totals = slopes.sum(axis=0)
        grad = np.empty((self._outputs, width + self._has_intercept))
        raw = slopes.T @ self._features - np.outer(totals, self._scaling.center)
        grad[:, :width] = raw / self._scaling.scale + self._penalty * parameters
        if self._has_intercept:
            grad[:, width] = totals
        return grad.reshape(-1)
