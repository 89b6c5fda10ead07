"""An approximate inverse Hessian that costs little: one matrix for all logits, or its diagonal for wide models.

The Hessian's blocks, one for each logit, differ by the curvature of the rows only. `objective.gram` is about each of
them, so its inverse takes away what makes descent slow: columns that are correlated or of unlike spread.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from crossent.learn.objective import Objective
from crossent.learn.types import Floats

__all__ = ["LARGEST_WIDTH", "Preconditioner", "floored", "inverse_root"]

LARGEST_WIDTH = 8192  # of a gram that is inverted: half a gigabyte
RIDGE = 1e-9  # of the unit diagonal; far above the rounding of a sum of rows
_SMALL_BLOCK = 64


@dataclass(frozen=True)
class Preconditioner:
    """About the inverse Hessian; positive definite.

    For one logit it is exact, up to the ridge, where the gram is of all rows and the point the present one.

    Attributes:
        root: [width, width], its transpose times itself is the inverse for every logit; None for a wide model.
        diagonal: [width], the diagonal inverse for every logit; None if there is a root.
    """

    root: Floats | None
    diagonal: Floats | None

    @classmethod
    def at(cls, objective: Objective, point: Floats) -> Self:
        """The preconditioner from the curvature at a point.

        Raises: UnsupportedError where the loss has no Hessian here.
        """
        if objective.size // objective.outputs <= LARGEST_WIDTH:
            return cls(inverse_root(objective.gram(point)), None)
        return cls(None, 1 / floored(objective.gram_diagonal(point)))

    def times(self, vector: Floats) -> Floats:
        """The approximate inverse Hessian times a vector [size]."""
        if self.root is None:
            assert self.diagonal is not None
            return np.asarray((vector.reshape(-1, len(self.diagonal)) * self.diagonal).reshape(-1))
        table = vector.reshape(-1, len(self.root))
        return np.asarray(((table @ self.root.T) @ self.root).reshape(-1))


def inverse_root(matrix: Floats) -> Floats:
    """R with R^T R = (matrix + ridge)^-1, for a positive semi-definite matrix that may be singular.

    The ridge is a share of each element of the diagonal, 1e-9 at first, and grows until the Cholesky factorisation
    works. A row of zeros (a column without influence) is taken for one of the identity.

    Args:
        matrix: [n, n] symmetric; overwritten.
    Returns: [n, n].

    >>> inverse_root(np.array([[4.0, 0.0], [0.0, 0.25]])).round(6).tolist()
    [[0.5, 0.0], [0.0, 2.0]]
    """
    scale = _inverse_sqrt(matrix.diagonal())
    matrix *= scale
    matrix *= scale[:, None]
    root = _inverse_of_triangle(_factor(matrix)) if np.isfinite(matrix).all() else np.eye(len(matrix))
    root *= scale
    return root


def _factor(matrix: Floats) -> Floats:
    """The Cholesky factor of a matrix of unit diagonal and the least ridge that it needs; overwrites it."""
    unit, ridge = np.diag_indices(len(matrix)), RIDGE
    while True:
        matrix[unit] = 1 + ridge
        try:
            return np.asarray(np.linalg.cholesky(matrix), np.float64)
        except np.linalg.LinAlgError:
            ridge *= 100  # ends: a diagonal that outweighs the rest is positive definite


def _inverse_sqrt(diagonal: Floats) -> Floats:
    """diagonal^-1/2, 1 where it is 0 or not a number."""
    usable = np.isfinite(diagonal) & (diagonal > 0)
    return np.asarray(1 / np.sqrt(np.where(usable, diagonal, 1.0)))


def _inverse_of_triangle(lower: Floats) -> Floats:
    """The inverse of a lower triangular matrix, by halves: NumPy has no triangular solve, and LU costs far more."""
    n = len(lower)
    if n <= _SMALL_BLOCK:
        return np.tril(np.linalg.inv(lower))
    half = n // 2
    inverse = np.zeros_like(lower)
    inverse[:half, :half] = _inverse_of_triangle(lower[:half, :half])
    inverse[half:, half:] = _inverse_of_triangle(lower[half:, half:])
    inverse[half:, :half] = -inverse[half:, half:] @ (lower[half:, :half] @ inverse[:half, :half])
    return inverse


def floored(diagonal: Floats) -> Floats:
    """A diagonal > 0: elements that are 0 up to rounding count as the least that is not."""
    most = float(np.max(diagonal, initial=0.0))
    return np.ones_like(diagonal) if most == 0 else np.maximum(diagonal, RIDGE * most)
