"""The objective of a linear model on rows in memory: any loss of logits, its penalty, its derivatives.

    F = sum_i l_i(z_i) / M + l2 / 2 * sum_kj coef_kj^2 + l1 * sum_kj |coef_kj|          [nat]
    z_i = coef (x_i - center) + intercept

l_i is weighted, M the mass of all targets; the intercept is free of the penalties. A solver's parameters are coef times
the scale of its column, and the intercept at the center: directions that are about equally steep. Model and penalty
stay those of the raw coefficients.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from crossent.core.blocks import BadRow
from crossent.core.matrix import Matrix, run_slices
from crossent.core.matrix.step import step_loss
from crossent.core.pool import with_threads
from crossent.core.types import LossGrad, NDArray
from crossent.errors import NonFiniteError, UnsupportedError
from crossent.learn.certificate import Certificate
from crossent.learn.curvature import Curvature, curvature_of
from crossent.learn.duality import certificate_of, separates
from crossent.learn.types import AnyLoss, Floats

__all__ = ["LinearObjective"]

_GRAM_ROWS = 1 << 14


class LinearObjective:
    """F of rows in memory; see `Objective`.

    Args:
        matrix: the features, relative to the center that the intercept belongs to.
        targets: what the loss takes: indices [N] or distributions [N, K]; labels [N] or [N, L].
        loss: any loss of logits.
        outputs: number of logits.
        l2, l1: penalties >= 0.
        sample_weight: [N] weights >= 0, or None.
        fit_intercept: whether there is an intercept.
        scale: [D] of the parameters; inf keeps a coefficient at 0. None: 1.
    Raises: LabelError, WeightError, OptionError: what the loss says of its targets.
    """

    def __init__(
        self,
        matrix: Matrix,
        targets: NDArray,
        *,
        loss: AnyLoss,
        outputs: int,
        l2: float = 0.0,
        l1: float = 0.0,
        sample_weight: Floats | None = None,
        fit_intercept: bool = True,
        scale: Floats | None = None,
        mass: float | None = None,
    ) -> None:
        self.matrix, self.targets, self.weight = matrix, targets, sample_weight
        self.outputs, self.has_intercept = outputs, fit_intercept
        self.scale = np.ones(matrix.columns) if scale is None else scale
        self.l2_strength, self.l1_strength = l2, l1
        options: Any = loss
        self.loss: Any = replace(options, reduction="sum", unit="nat")
        self.passes = 0.0
        job = self._job()
        self.mass = _checked_mass(job) if mass is None else mass
        self._rows = _LossRows(self, step_loss(job))
        self._curvature: Curvature | UnsupportedError | None = None

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        return self.matrix.rows

    @property
    def width(self) -> int:
        """Parameters of one logit."""
        return self.matrix.columns + self.has_intercept

    @property
    def size(self) -> int:
        return self.outputs * self.width

    @property
    def is_convex(self) -> bool:
        try:
            self.curvature  # noqa: B018 - asked for its error
        except UnsupportedError:
            return False
        return True

    @property
    def curvature(self) -> Curvature:
        """The Hessian in the logits; UnsupportedError where there is none."""
        if self._curvature is None:
            try:
                self._curvature = curvature_of(self.loss, self.targets, self.weight, self.outputs)
            except UnsupportedError as error:
                self._curvature = error
        if isinstance(self._curvature, UnsupportedError):
            raise self._curvature
        return self._curvature

    @cached_property
    def l1(self) -> Floats | None:
        return None if self.l1_strength == 0 else self._per_parameter(self.l1_strength / self.scale)

    @cached_property
    def l2(self) -> Floats:
        return self._per_parameter((math.sqrt(self.l2_strength) / self.scale) ** 2)

    def _per_parameter(self, of_columns: Floats) -> Floats:
        row = np.append(of_columns, 0.0) if self.has_intercept else of_columns
        return np.tile(row, self.outputs)

    def _job(self) -> Any:
        """The loss bound to all targets; it looks at their shapes and types."""
        nothing = np.broadcast_to(np.float64(0), (self.rows,) if self.is_flat else (self.rows, self.outputs))
        return self.loss._job(self.targets, nothing, None, None, self.weight)

    @property
    def is_flat(self) -> bool:
        """Whether the loss takes one logit a row, without an axis of its own."""
        return self.outputs == 1 and self.targets.ndim == 1

    # -- parameters and models ----------------------------------------------------------------------------------------

    def coefficients(self, point: Floats) -> tuple[Floats, Floats]:
        """Raw coefficients [outputs, D] and intercepts [outputs] (for features as they are) of the parameters."""
        coef, shifted = self.at_center(point)
        center = self.matrix.center
        return coef, shifted if center is None else shifted - coef @ center

    def parameters(self, coef: Floats, intercept: Floats) -> Floats:
        """The parameters of a model: the inverse of `coefficients`."""
        center = self.matrix.center
        shifted = intercept if center is None else intercept + coef @ center
        table = np.where(np.isinf(self.scale), 0.0, coef * np.where(np.isinf(self.scale), 1.0, self.scale))
        return (np.column_stack([table, shifted]) if self.has_intercept else table).reshape(-1)

    def at_center(self, point: Floats) -> tuple[Floats, Floats]:
        """Raw coefficients [outputs, D] and intercepts [outputs] for features relative to the center."""
        table = point.reshape(self.outputs, self.width)
        coef = table[:, : self.matrix.columns] / self.scale
        return coef, table[:, -1].copy() if self.has_intercept else np.zeros(self.outputs)

    def _assembled(self, products: Floats, totals: Floats) -> Floats:
        """Flat vector from [outputs, D] sums over raw columns and [outputs] sums over rows, per mass."""
        table = np.empty((self.outputs, self.width))
        table[:, : self.matrix.columns] = products / self.scale
        if self.has_intercept:
            table[:, -1] = totals
        return table.reshape(-1) / self.mass

    # -- derivatives --------------------------------------------------------------------------------------------------

    def value_and_grad(self, point: Floats) -> LossGrad:
        with np.errstate(over="ignore", invalid="ignore"):
            coef, intercept = self.at_center(point)
            if np.isfinite(coef).all() and np.isfinite(intercept).all():
                self.passes += 1
                try:
                    found = self.matrix.fused(coef, intercept, self._rows)
                except (BadRow, NonFiniteError):
                    return self._out_of_bounds()
                grad = self._assembled(found.products, found.totals)
                if np.isfinite(grad).all():  # it is not where an infinite logit made its row right
                    penalty = self.l2 * point
                    return LossGrad(found.value / self.mass + 0.5 * float(penalty @ point), grad + penalty)
        return self._out_of_bounds()

    def _out_of_bounds(self) -> LossGrad:
        return LossGrad(math.inf, np.full(self.size, np.nan))

    def over_slices(self, part: Callable[[int, int], Any]) -> list[Any]:
        """part(first, end) of every slice of the rows, in order; it reads no features."""

        def alone(first: int, end: int) -> Any:
            with with_threads(1):
                return part(first, end)

        return run_slices(alone, self.matrix.slices(self.outputs))

    def logits(self, point: Floats) -> Floats:
        """The logits of all rows, [N, outputs]."""
        coef, intercept = self.at_center(point)
        self.passes += 1
        return self.matrix.logits(coef, intercept)

    def hvp(self, point: Floats) -> Callable[[Floats], Floats]:
        curvature = self.curvature
        p = curvature.probabilities(self.logits(point))
        product = _HessianRows(curvature, p, curvature.mass(0, self.rows))

        def times(vector: Floats) -> Floats:
            coef, intercept = self.at_center(vector)

            self.passes += 1
            found = self.matrix.fused(coef, intercept, product)
            return self._assembled(found.products, found.totals) + self.l2 * vector

        return times

    def gram(self, point: Floats) -> Floats:
        few = self._enough_rows()
        matrix = few._weighted_gram(few._mean_curvature(point))
        if few is not self:
            self.passes += few.passes * few.rows / self.rows
        matrix[np.diag_indices(self.width)] += self.l2[: self.width]
        return matrix

    def _enough_rows(self) -> "LinearObjective":
        """Every so many rows, where these tell as much as all: a matrix of D columns is known from 20 D rows.

        Wide ones get fewer, so that the matrix costs about as much as a hundred passes at most.
        """
        enough = min(20 * self.width, max(2 * self.width, 100 * self.rows * self.outputs // self.width))
        step = self.rows // max(_GRAM_ROWS if self.width < 800 else 0, enough)
        return self if step < 2 else self._of(self.matrix.thinned(step), slice(None, None, step))

    def gram_diagonal(self, point: Floats) -> Floats:
        diagonal = self.matrix.gram_diagonal(self._mean_curvature(point), self.scale) / self.mass
        self.passes += 1
        return diagonal[: self.width] + self.l2[: self.width]

    def _mean_curvature(self, point: Floats) -> Floats:
        p = self.curvature.probabilities(self.logits(point))
        return self.curvature.mean(p, self.curvature.mass(0, self.rows))

    def _weighted_gram(self, weight: Floats) -> Floats:
        """Of weights >= 0, without the penalty."""
        self.passes += 1
        whole: Floats = self.matrix.gram(weight, self.scale)
        return whole[: self.width, : self.width] / self.mass

    def hessian(self, point: Floats) -> Floats:
        curvature, width = self.curvature, self.width
        p = curvature.probabilities(self.logits(point))
        mass = curvature.mass(0, self.rows)
        whole = np.zeros((self.outputs, width, self.outputs, width))
        for k in range(self.outputs):
            for j in range(k, self.outputs):
                entry = curvature.entry(p, mass, k, j)
                if entry is not None:
                    sign = 1 if k == j else -1  # a logit's curvature with another one is never positive
                    whole[k, :, j] = sign * self._weighted_gram(sign * entry)
                    whole[j, :, k] = whole[k, :, j]
        matrix: Floats = whole.reshape(self.size, self.size)
        matrix[np.diag_indices(self.size)] += self.l2
        return matrix

    # -- how far from the minimum -------------------------------------------------------------------------------------

    def certificate(self, point: Floats) -> Certificate:
        return certificate_of(self, point)

    def bound_estimate(self, grad: Floats) -> float:
        """|grad_W F|^2 / (2 l2) in raw coefficients: without l1, the gap where the intercept's gradient is 0."""
        if not (self.is_convex and self.l2_strength > 0):
            return math.inf
        finite = np.isfinite(self.scale)
        raw = grad.reshape(self.outputs, self.width)[:, : self.matrix.columns][:, finite] * self.scale[finite]
        return float(np.sum(raw * raw)) / (2 * self.l2_strength)

    def is_separated(self, point: Floats) -> bool:
        return separates(self, point)

    # -- other rows ---------------------------------------------------------------------------------------------------

    def thinned(self, step: int) -> "LinearObjective | None":
        few = self._of(self.matrix.thinned(step), slice(None, None, step))
        return few if few.has_every_class else None

    @property
    def has_every_class(self) -> bool:
        """Whether every logit has rows for it, and a single one rows against it too."""
        if self.targets.ndim == 1 and self.outputs > 1:
            return bool(np.isin(np.arange(self.outputs), self.targets).all())
        table = self.targets.reshape(self.rows, -1)
        return bool((table.max(axis=0) > 0).all() and (table.min(axis=0) < 1).all())

    def batches(self, size: int, rng: np.random.Generator) -> Iterator["LinearObjective"]:
        order = rng.permutation(self.rows)
        for start in range(0, self.rows, size):
            index = order[start : start + size]
            self.passes += len(index) / self.rows
            yield self._of(self.matrix.take(index), index, mass=self.mass * (len(index) / self.rows))

    def _of(self, matrix: Matrix, index: Any, *, mass: float | None = None) -> "LinearObjective":
        """The objective on some of the rows; `mass`: where their sums stand for those of the whole.

        A copy: what was checked for all rows holds for some of them.
        """
        self.l1, self.l2  # noqa: B018 - computed once for all copies
        some = copy.copy(self)
        some.matrix, some.targets, some.passes = matrix, self.targets[index], 0.0
        some.weight = None if self.weight is None else self.weight[index]
        some._curvature = None
        if mass is None:
            job = some._job()
            some.mass, some._rows = _checked_mass(job), _LossRows(some, step_loss(job))
        else:  # for a few rows the loss is as quick without a step made for them
            some.mass, some._rows = mass, _LossRows(some, None)
        return some


def _checked_mass(job: Any) -> float:
    """The mass of all targets; every one of them is looked at."""
    try:
        return float(job.mass().mass)
    except BadRow as bad:
        raise job.error(bad) from None


class _LossRows:
    """Any loss, block by block; plain cross-entropy also as native code takes it."""

    def __init__(self, objective: LinearObjective, native: Any) -> None:
        self._objective, self.native = objective, native

    def __call__(self, first: int, end: int, logits: NDArray) -> float:
        whole = self._objective
        buffer = logits[:, 0] if whole.is_flat else logits
        weight = None if whole.weight is None else whole.weight[first:end]
        with with_threads(1):
            result = whole.loss.value_and_grad(
                whole.targets[first:end], logits=buffer, sample_weight=weight, out=buffer
            )
        return float(result.value)


class _HessianRows:
    """The row Hessians times the logits that a direction gives."""

    native = None

    def __init__(self, curvature: Curvature, p: NDArray, mass: NDArray) -> None:
        self._curvature, self._p, self._mass = curvature, p, mass

    def __call__(self, first: int, end: int, logits: NDArray) -> float:
        logits[:] = self._curvature.product(self._p[first:end], self._mass[first:end], logits)
        return 0.0
