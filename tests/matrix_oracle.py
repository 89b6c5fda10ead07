"""What products of feature matrices are, by definition in long double, and how far rounding in float64 may lead away.

A sum of n rounded terms is off by about n u of the sum of their sizes, in whatever order it runs. Logits that are off
by dz move a slope by 2 m dz, and a loss by as much; m is the mass of the row's targets.
"""

from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "COLUMNS",
    "ROWS",
    "Answer",
    "assert_within",
    "class_losses",
    "features",
    "gram",
    "label_losses",
    "logits",
    "products",
    "steps",
]

COLUMNS = (1, 2, 3, 7, 8, 9, 23, 24, 25, 47, 48, 49, 64, 100, 257, 300)
ROWS = (1, 2, 3, 5, 63, 64, 65, 130, 1000)
_LONG = np.longdouble
_U = 2.0**-53


class Answer(NamedTuple):
    """Exact numbers, and the errors that rounding excuses."""

    exact: Any
    bound: Any


class Losses(NamedTuple):
    """Row losses [N] and slopes [N, K] as functions of logits, and the masses [N]."""

    values: Any
    slopes: Any
    mass: Any


def features(random: Any, rows: int, columns: int, dtype: Any = np.float64) -> Any:
    """[N, D] of several scales and centers."""
    scale = 10.0 ** random.integers(-3, 4, columns)
    return (scale * (random.normal(size=(rows, columns)) + random.normal(size=columns))).astype(dtype)


def assert_within(actual: Any, answer: Answer, label: Any = "") -> None:
    """No NaN, no infinity, no error beyond the bound."""
    __tracebackhide__ = True
    actual = np.asarray(actual)
    assert actual.shape == np.shape(answer.exact), f"{label}: shape {actual.shape}, not {np.shape(answer.exact)}"
    error = np.abs(actual - answer.exact)
    good = np.isfinite(actual) & (error <= answer.bound)
    assert good.all(), (
        f"{label}: {np.count_nonzero(~good)} wrong; {error[~good][:3]} > {np.asarray(answer.bound)[~good][:3]}"
    )


def _relative(x: Any, center: Any) -> Any:
    return x.astype(_LONG) if center is None else x.astype(_LONG) - center


def logits(x: Any, center: Any, coef: Any, intercept: Any) -> Answer:
    """(x - center) coef^T + intercept."""
    u, w = _relative(x, center), coef.astype(_LONG)
    size = np.abs(u) @ np.abs(w).T + np.abs(intercept)
    return Answer(u @ w.T + intercept, (x.shape[1] + 4) * _U * size)


def products(x: Any, center: Any, slopes: Any, error: Any = 0.0) -> Answer:
    """slopes^T (x - center); `error`: of the slopes."""
    u, g = _relative(x, center), slopes.astype(_LONG)
    return Answer(g.T @ u, (len(x) + 6) * _U * (np.abs(g).T @ np.abs(u)) + (np.zeros(g.shape) + error).T @ np.abs(u))


def gram(x: Any, center: Any, weight: Any, scale: Any = None) -> Answer:
    """sum_i weight_i u_i u_i^T, u = ((x - center) / scale, 1)."""
    u = _relative(x, center)
    u = np.column_stack([u if scale is None else u / scale, np.ones(len(x))])
    wu = weight.astype(_LONG)[:, None] * u
    return Answer(wu.T @ u, (len(x) + 12) * _U * (np.abs(wu).T @ np.abs(u)))


def class_losses(z: Any, targets: Any) -> Losses:
    """Cross-entropy with weighted targets A [N, K]: m log sum exp(z) - sum A z."""
    A = targets.astype(_LONG)
    m, top = A.sum(axis=1), z.max(axis=1)
    e = np.exp(z - top[:, None])
    total = e.sum(axis=1)
    gaps = np.where(A == 0, 0, A * (top[:, None] - z)).sum(axis=1)
    return Losses(m * np.log(total) + gaps, m[:, None] * e / total[:, None] - A, m)


def label_losses(z: Any, yes: Any, no: Any) -> Losses:
    """Independent labels: yes log(1 + exp(-z)) + no log(1 + exp(z))."""
    yes, no = yes.astype(_LONG), no.astype(_LONG)
    tail = np.log1p(np.exp(-np.abs(z)))
    values = yes * (tail + np.maximum(-z, 0)) + no * (tail + np.maximum(z, 0))
    p = 1 / (1 + np.exp(-z))
    return Losses(values.sum(axis=1), (yes + no) * p - yes, (yes + no).sum(axis=1))


class Steps(NamedTuple):
    """The parts of `Fused`."""

    value: Answer
    products: Answer
    totals: Answer


def steps(x: Any, center: Any, z: Answer, losses: Losses) -> Steps:
    """What a fused pass gives: the summed loss, slopes^T (x - center), summed slopes."""
    shift = z.bound.max(axis=1)
    error = losses.mass[:, None] * (2 * shift[:, None] + 16 * _U) + 8 * _U * np.abs(losses.slopes)
    value_error = losses.mass * (2 * shift + 8 * _U) + (len(x) + 8) * _U * np.abs(losses.values)
    value = Answer(losses.values.sum(), value_error.sum())
    sizes = (len(x) + 6) * _U * np.abs(losses.slopes)
    totals = Answer(losses.slopes.sum(axis=0), (error + sizes).sum(axis=0))
    return Steps(value, products(x, center, losses.slopes, error), totals)
