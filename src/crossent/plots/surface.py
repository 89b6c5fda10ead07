"""The loss surface of a model with two parameters, and the way that each solver takes down it."""

from dataclasses import replace
from typing import Any, cast

import numpy as np

from crossent.errors import LabelError, OptionError, ShapeError
from crossent.learn.class_weight import ClassWeight
from crossent.learn.curves import SolverComparison
from crossent.learn.prepare import Problem, prepare
from crossent.learn.types import AnyLoss, Floats
from crossent.plots.style import FONT_SIZE, MUTED, RULE, SOFT, Axes, legend, own_axes, series
from crossent.plots.wanted import check_drawn

__all__ = ["loss_surface", "surface_values"]

_MARGIN = 0.2
_LEVELS = 14
_WIDER = 2.0  # a line than one drawn over it


def loss_surface(
    X: Any,
    y: Any,
    paths: SolverComparison,
    *,
    loss: AnyLoss | None = None,
    sample_weight: Any = None,
    class_weight: ClassWeight = None,
    grid: int = 81,
    ax: Axes | None = None,
) -> Axes:
    """Contours of F over the two parameters of a model of two classes, with the path of every solver.

    The contours are at equal ratios of F above the lowest F on the grid, so that they stay apart near the minimum.

    Args:
        X: the rows fitted: [N, 1] with intercept, or [N, 2] without.
        y: [N] labels of two classes.
        paths: `compare_solvers(X, y, held_out=0, keep_points=True, ...)`; its penalties are drawn too.
        loss, sample_weight, class_weight: as given to it.
        grid: points along each axis, >= 3.
        ax: axes to draw on; None makes a figure.
    Returns: the axes.
    Raises: UnsupportedError for other paths; ShapeError, LabelError, OptionError, and what `compare_solvers` says of
        its rows; MissingExtraError without matplotlib.
    """
    check_drawn(paths, "loss_surface", SolverComparison)
    problem = prepare(X, y, sample_weight, loss=loss, class_weight=class_weight)
    points = _checked_paths(paths, problem)
    if isinstance(grid, bool) or not isinstance(grid, int) or grid < 3:
        raise OptionError(f"grid is {grid!r}; it must be a whole number >= 3, for instance 81.")
    first, second = (_range(np.concatenate([path[:, j] for path in points]), grid) for j in (0, 1))
    values = surface_values(problem, first, second, l2=paths.l2, l1=paths.l1)
    ax = own_axes(ax)
    _draw_surface(ax, first, second, values, has_intercept=problem.matrix.columns == 1)
    for k, (curve, path) in enumerate(zip(paths.curves, points, strict=True)):
        width = 1.3 + _WIDER * _covering(path, points[k + 1 :], margin=[np.ptp(first) / 100, np.ptp(second) / 100])
        ax.plot(path[:, 0], path[:, 1], linewidth=width, marker="o", markersize=width + 1.2, label=curve.solver,
                **series(k))  # fmt: skip
    ax.annotate("start", points[0][0], xytext=(-4, 6), ha="right", textcoords="offset points", color=MUTED,
                fontsize=FONT_SIZE)  # fmt: skip
    legend(ax, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def surface_values(problem: Problem, first: Floats, second: Floats, *, l2: float, l1: float) -> Floats:
    """F at every pair of parameters.

        F(a, b) = mean_i l_i(z_i) + l2 / 2 |coef|^2 + l1 |coef|_1          [nat]
        z_i = a x_i + b with one feature (b is free of the penalties), a x_i1 + b x_i2 with two

    Args:
        problem: rows of one or two features and a loss of one logit.
        first, second: [n] values of a, [m] values of b.
        l2, l1: penalties.
    Returns: [m, n].
    """
    row_loss: Any = replace(cast(Any, problem.loss), reduction="none")
    has_intercept = problem.matrix.columns == 1
    targets = np.broadcast_to(problem.targets[:, None], (problem.matrix.rows, len(first)))
    weight = np.ones(problem.matrix.rows) if problem.weight is None else problem.weight
    values = np.empty((len(second), len(first)))
    for i, b in enumerate(second):
        same = np.full(len(first), b)
        coef, intercept = (first[:, None], same) if has_intercept else (np.column_stack([first, same]), 0 * same)
        values[i] = weight @ row_loss(targets, logits=problem.matrix.logits(coef, intercept)) / weight.sum()
        values[i] += np.sum(l2 / 2 * coef * coef + l1 * np.abs(coef), axis=1)
    return values


def _checked_paths(paths: SolverComparison, problem: Problem) -> list[Floats]:
    """The points of every solver, [n, 2]."""
    rows, columns = problem.matrix.rows, problem.matrix.columns
    if problem.outputs != 1:
        raise LabelError(
            f"y has {len(problem.classes)} classes and the model {problem.outputs} logits; a model with two parameters "
            "has two classes and one logit. Choose two of them, and a loss of one logit."
        )
    if paths.rows != rows:
        raise ShapeError(
            f"X has {rows} rows, but the solvers fitted {paths.rows}: the surface would be another one. Compare "
            "them with held_out=0, or pass the rows fitted."
        )
    found = []
    for curve in paths.curves:
        if curve.points is None:
            raise OptionError(f"The curve of {curve.solver} has no points. Call compare_solvers with keep_points=True.")
        if curve.points.shape[1:] != (1, 2) or columns > 2:
            raise ShapeError(
                f"X has {columns} features and the model {curve.points[0].size} parameters; a surface is over "
                "two: one feature and the intercept, or two features with fit_intercept=False."
            )
        path = curve.points[:, 0]
        found.append(path[np.isfinite(path).all(axis=1)])
    return found


def _covering(path: Floats, later: list[Floats], *, margin: list[float]) -> int:
    """How many paths that are drawn later begin with the same step, and would hide this one if it were not wider."""
    return sum(len(path) > 1 < len(other) and bool((np.abs(path[1] - other[1]) <= margin).all()) for other in later)


def _range(values: Floats, grid: int) -> Floats:
    """What the axis covers: all the paths and a margin."""
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, grid)


def _draw_surface(ax: Axes, first: Floats, second: Floats, values: Floats, *, has_intercept: bool) -> None:
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_color(RULE)
    ax.tick_params(colors=MUTED, labelsize=FONT_SIZE, length=3, width=0.8)
    ax.set_xlabel("coefficient" if has_intercept else "coefficient of the first feature", fontsize=FONT_SIZE)
    ax.set_ylabel("intercept" if has_intercept else "coefficient of the second feature", fontsize=FONT_SIZE)
    lowest, highest = float(values.min()), float(values.max())
    rise = highest - lowest
    if np.isfinite(rise) and rise > 0:
        levels = lowest + rise * np.geomspace(1e-4, 1, _LEVELS)[:-1]
        ax.contour(first, second, values, levels=levels, colors=SOFT, linewidths=0.8)
