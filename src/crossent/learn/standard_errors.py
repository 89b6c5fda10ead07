"""Standard errors of a fitted linear model: the inverse of the information at the optimum, and whether there is one.

Only contrasts of classes are determined by the data, theta_k = coef_k - coef_r against a reference class r. Their
information is the Hessian of the loss without the reference's rows and columns, times the number of rows; an L2 penalty
adds l2 (I - 11^T / K), what is left of it once the K vectors stand where it is least.

A fit ends near the optimum, and a few Newton steps go on to it, so that what is reported does not depend on the solver
or its tol. The length of a step in standard errors, sqrt(n g^T H^-1 g), is how far the optimum is; each is about the
square of the one before. Where classes can be separated there is no optimum: loss and Hessian vanish together, however
long the fit went on, and each step moves some logit by 1.
Source: McFadden, in: Frontiers in Econometrics (1974), 105-142; Albert and Anderson, Biometrika 71 (1984), 1-10.
"""

import math
from typing import NamedTuple

import numpy as np

from crossent.core.types import NDArray
from crossent.errors import DataError, UnsupportedError
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.types import Codes, Floats
from crossent.losses import BinaryCrossEntropy
from crossent.wording import quoted

__all__ = ["Contrasts", "contrasts"]

_MOST = 8192  # parameters: their matrix takes 0.5 GB
_SINGULAR = 1e-12  # of eigenvalues of a matrix with unit diagonal
_NEAR = 1.0  # standard errors, of a fit
_EXACT = 1e-8  # standard errors
_STEPS = 8
_STILL = 0.1  # change of a logit in one Newton step


class Contrasts(NamedTuple):
    """Parameters [C, P] of the C other classes against the reference, and their covariance [C P, C P].

    The P parameters of a class are its intercept, if there is one, and its coefficients, for features as they are.
    `optimum` has the objective's parameters there, and `distance` is how far the fit was from it, in standard errors.
    """

    theta: Floats
    covariance: Floats
    optimum: Floats
    distance: float


class _Newton(NamedTuple):
    """The covariance of the contrasts of one row, and the step to the optimum with its length in standard errors."""

    covariance: Floats
    step: Floats
    distance: float


def contrasts(
    objective: LinearObjective, coef: Floats, intercept: Floats, *, reference: int, codes: Codes, terms: list[str]
) -> Contrasts:
    """The contrasts of a model at the optimum near it, and their covariance, the inverse of the information there.

    Args:
        objective: of the rows it was fitted to.
        coef, intercept: the model: [1, D] and [1] for two classes, [K, D] and [K] for more.
        reference: class that the others are compared with.
        codes: [N] class of every row.
        terms: names of the P parameters, for messages.
    Returns: Contrasts.
    Raises: UnsupportedError for a loss without a convex Hessian, independent labels, an L1 penalty or too many
        parameters; DataError for collinear or constant features, separable classes, and a model that is not near the
        optimum of these rows.
    """
    _refuse_unsupported(objective)
    if objective.l2_strength == 0:
        _refuse_collinear(objective, terms)
    point = objective.parameters(coef, intercept)
    if objective.l2_strength == 0 and _all_right(objective.logits(point), codes):
        raise _separable()
    optimum, covariance, distance = _optimum(objective, point, reference)
    back = np.kron(np.eye(max(objective.outputs - 1, 1)), _to_raw(objective))
    coef, intercept = objective.coefficients(optimum)
    table = np.column_stack([intercept, coef]) if objective.has_intercept else coef
    return Contrasts(_against(table, reference), back @ (covariance / objective.mass) @ back.T, optimum, distance)


def _refuse_unsupported(objective: LinearObjective) -> None:
    objective.curvature  # noqa: B018 - asked for its error
    if objective.l1_strength > 0:
        raise UnsupportedError(
            "summary() of a model with an L1 penalty: coefficients at 0 have no standard errors. Fit with l1=0."
        )
    if objective.outputs > 1 and isinstance(objective.loss, BinaryCrossEntropy):
        raise UnsupportedError("summary() of independent labels: fit one model for each label, and ask each of them.")
    size = objective.size - (objective.width if objective.outputs > 1 else 0)
    if size > _MOST:
        raise UnsupportedError(
            f"summary() of {size} parameters: their covariance is a matrix of {size} x {size}, and {_MOST} are the "
            "most. Use fewer features."
        )


def _rest(objective: LinearObjective, reference: int) -> NDArray:
    """The logits that are compared with the reference; two classes have but one."""
    return np.delete(np.arange(objective.outputs), reference) if objective.outputs > 1 else np.arange(1)


def _against(table: Floats, reference: int) -> Floats:
    """Rows of a table with one row per logit against the reference class."""
    if len(table) == 1:
        return -table if reference == 1 else table
    return np.asarray(np.delete(table, reference, axis=0) - table[reference])


def _information(objective: LinearObjective, point: Floats, reference: int) -> Floats:
    """Of one row, in the parameters of the objective."""
    K, width, rest = objective.outputs, objective.width, _rest(objective, reference)
    whole = objective.hessian(point).reshape(K, width, K, width)
    part: NDArray = whole[rest][:, :, rest].copy()
    if K > 1:
        diagonal = np.arange(width)
        part[:, diagonal, :, diagonal] -= objective.l2[:width, None, None] / K
    flat: Floats = part.reshape(len(rest) * width, -1)
    return flat


def _inverse(information: Floats) -> Floats:
    """Of a positive definite matrix, found by its eigenvalues once its diagonal is 1.

    Raises: DataError where it is singular.
    """
    diagonal = information.diagonal()
    if diagonal.min() > 0:
        size = np.sqrt(diagonal)
        values, vectors = np.linalg.eigh(information / np.outer(size, size))
        if values[0] > _SINGULAR * len(values):
            root = vectors / np.sqrt(values) / size[:, None]
            return np.asarray(root @ root.T)
    raise _separable()


def _refuse_collinear(objective: LinearObjective, terms: list[str]) -> None:
    """Raise DataError for features of which one is a sum of others, or of the intercept."""
    width = objective.width
    gram = objective.matrix.gram(np.ones(objective.rows), objective.scale)[:width, :width]
    size = np.sqrt(gram.diagonal())
    order = np.roll(np.arange(width), 1) if objective.has_intercept else np.arange(width)
    if (size == 0).any():
        name = quoted(terms[int(np.flatnonzero(size[order] == 0)[0])])
        raise DataError(f"Feature {name} is constant, so that nothing can be said of its coefficient. Drop it.")
    values, vectors = np.linalg.eigh(gram / np.outer(size, size))
    if values[0] <= _SINGULAR * width:
        share = np.abs(vectors[order, 0])
        level = "the same" if objective.has_intercept else "0"
        names = ", ".join(quoted(terms[j]) for j in np.flatnonzero(share > 1e-3 * share.max())[:8])
        raise DataError(
            f"The features are collinear: a weighted sum of {names} is {level} in every row, so that their "
            "coefficients cannot be told apart. Drop one of them."
        )


def _optimum(objective: LinearObjective, point: Floats, reference: int) -> tuple[Floats, Floats, float]:
    """The optimum near a point, the covariance there, and how far away it was.

    Raises: DataError where it is far, or there is none.
    """
    newton = _newton(objective, point, reference)
    distance = newton.distance
    for _ in range(_STEPS):
        if not newton.distance <= _NEAR:
            raise _far(newton.distance)
        if newton.distance <= _EXACT:
            break
        point = point + newton.step
        newton = _newton(objective, point, reference)
    if objective.l2_strength == 0 and np.abs(objective.logits(newton.step)).max() > _STILL:
        raise _separable()
    return point, newton.covariance, distance


def _newton(objective: LinearObjective, point: Floats, reference: int) -> _Newton:
    covariance = _inverse(_information(objective, point, reference))
    grad = np.asarray(objective.value_and_grad(point).grad, np.float64).reshape(objective.outputs, -1)
    rest = _rest(objective, reference)
    slope = grad[rest].reshape(-1)
    step = -covariance @ slope
    table = np.zeros_like(grad)
    table[rest] = step.reshape(-1, objective.width)
    if objective.outputs > 1:
        table -= table.mean(axis=0)  # of all with these contrasts, where the penalty is least
    return _Newton(covariance, table.reshape(-1), math.sqrt(max(objective.mass * float(-slope @ step), 0.0)))


def _far(distance: float) -> DataError:
    return DataError(
        f"The coefficients are {distance:.3g} standard errors away from the optimum of these rows; {_NEAR:g} is the "
        "most for a summary. Fit again with a smaller tol (such as 1e-9) and more max_iter; if the solver does not "
        "converge without a penalty, set l2."
    )


def _all_right(logits: Floats, codes: Codes) -> bool:
    """Whether every row's own class has the largest logit."""
    z = np.column_stack([np.zeros(len(logits)), logits]) if logits.shape[1] == 1 else logits.copy()
    own = z[np.arange(len(z)), codes]
    z[np.arange(len(z)), codes] = -np.inf
    return bool((own > z.max(axis=1)).all())


def _separable() -> DataError:
    return DataError(
        "The classes are separable by these features (all rows, or some of them): without a penalty no finite optimum "
        "exists, and standard errors do not exist. Set l2, or drop the features that separate them."
    )


def _to_raw(objective: LinearObjective) -> Floats:
    """[P, width]: from the objective's parameters of a logit to intercept and coefficients for features as given."""
    D = objective.matrix.columns
    coefficients = np.zeros((D, objective.width))
    coefficients[:, :D] = np.diag(1 / objective.scale)
    if not objective.has_intercept:
        return coefficients
    center = objective.matrix.center
    intercept = np.zeros(objective.width) if center is None else -center @ coefficients
    intercept[-1] = 1
    return np.vstack([intercept, coefficients])
