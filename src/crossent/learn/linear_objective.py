"""The objective of a linear model on rows in memory: any loss of logits, its penalty, its derivatives.

    F = sum_i l_i(z_i) / M + l2 / 2 * sum_kj coef_kj^2 + l1 * sum_kj |coef_kj|          [nat]
    z_i = coef (x_i - center) + intercept

l_i is weighted, M the mass of all targets; the intercept is free of the penalties. A solver's parameters are coef times
the scale of its column, and the intercept at the center: directions that are about equally steep. Model and penalty
stay those of the raw coefficients.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from crossent.core.blocks import BadRow
from crossent.core.matrix import Matrix, run_slices
from crossent.core.pool import with_threads
from crossent.core.types import LossGrad, NDArray
from crossent.errors import NonFiniteError, UnsupportedError
from crossent.learn.certificate import Certificate
from crossent.learn.curvature import Curvature, curvature_of
from crossent.learn.duality import certificate_of, separates
from crossent.learn.types import AnyLoss, Floats
from crossent.losses import BinaryCrossEntropy, CrossEntropy

__all__ = ["LinearObjective"]


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
        self.loss: Any = replace(loss, reduction="sum", unit="nat")
        self.passes = 0.0
        self.mass = self._checked_mass() if mass is None else mass
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

    @property
    def l1(self) -> Floats | None:
        return None if self.l1_strength == 0 else self._per_parameter(self.l1_strength / self.scale)

    @property
    def l2(self) -> Floats:
        return self._per_parameter((math.sqrt(self.l2_strength) / self.scale) ** 2)

    def _per_parameter(self, of_columns: Floats) -> Floats:
        row = np.append(of_columns, 0.0) if self.has_intercept else of_columns
        return np.tile(row, self.outputs)

    def _checked_mass(self) -> float:
        """The mass of all targets; the loss looks at each of them."""
        shape = (self.rows,) if self._is_flat else (self.rows, self.outputs)
        nothing = np.broadcast_to(np.float64(0), shape)
        job = self.loss._job(self.targets, nothing, None, None, self.weight)
        try:
            return float(job.mass().mass)
        except BadRow as bad:
            raise job.error(bad) from None

    @property
    def _is_flat(self) -> bool:
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
        coef, intercept = self.at_center(point)
        if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
            return LossGrad(math.inf, np.full(self.size, np.nan))

        def part(first: int, end: int) -> tuple[float, Floats, Floats]:
            value, products, totals = 0.0, np.zeros_like(coef), np.zeros(self.outputs)
            for start, stop in self.matrix.blocks(first, end):
                z = np.empty((stop - start, self.outputs))
                self.matrix.logits(start, stop, coef, intercept, z)
                value += self._loss_in_place(start, stop, z)
                self.matrix.add_products(start, stop, z, products)
                totals += z.sum(axis=0)
            return value, products, totals

        try:
            with np.errstate(over="ignore", invalid="ignore"):
                parts = self.over_slices(part)
        except NonFiniteError:
            return LossGrad(math.inf, np.full(self.size, np.nan))
        value = math.fsum(part[0] for part in parts) / self.mass
        grad = self._assembled(sum(p[1] for p in parts), sum(p[2] for p in parts))
        penalty = self.l2 * point
        with np.errstate(over="ignore"):
            return LossGrad(value + 0.5 * float(penalty @ point), grad + penalty)

    def _loss_in_place(self, first: int, end: int, z: Floats) -> float:
        """The summed loss of a block; its logits become its slopes."""
        buffer = z[:, 0] if self._is_flat else z
        weight = None if self.weight is None else self.weight[first:end]
        result = self.loss.value_and_grad(self.targets[first:end], logits=buffer, sample_weight=weight, out=buffer)
        return float(result.value)

    def over_slices(self, part: Callable[[int, int], Any], passes: float = 1.0) -> list[Any]:
        """part(first, end) of every slice of the rows, in order; `passes`: how often that reads the features."""

        def alone(first: int, end: int) -> Any:
            with with_threads(1):
                return part(first, end)

        self.passes += passes
        return run_slices(alone, self.matrix.slices(self.outputs))

    def logits(self, point: Floats) -> Floats:
        """The logits of all rows, [N, outputs]."""
        coef, intercept = self.at_center(point)
        z = np.empty((self.rows, self.outputs))
        self.over_slices(lambda first, end: self.matrix.logits(first, end, coef, intercept, z[first:end]))
        return z

    def hvp(self, point: Floats) -> Callable[[Floats], Floats]:
        curvature = self.curvature
        p = curvature.probabilities(self.logits(point))
        mass = curvature.mass(0, self.rows)

        def times(vector: Floats) -> Floats:
            coef, intercept = self.at_center(vector)

            def part(first: int, end: int) -> tuple[Floats, Floats]:
                products, totals = np.zeros_like(coef), np.zeros(self.outputs)
                for start, stop in self.matrix.blocks(first, end):
                    v = np.empty((stop - start, self.outputs))
                    self.matrix.logits(start, stop, coef, intercept, v)
                    v = curvature.product(p[start:stop], mass[start:stop], v)
                    self.matrix.add_products(start, stop, v, products)
                    totals += v.sum(axis=0)
                return products, totals

            parts = self.over_slices(part)
            return self._assembled(sum(p[0] for p in parts), sum(p[1] for p in parts)) + self.l2 * vector

        return times

    def gram(self, point: Floats) -> Floats:
        matrix = self._weighted_gram(self._mean_curvature(point))
        return matrix + np.diag(self.l2[: self.width])

    def gram_diagonal(self, point: Floats) -> Floats:
        diagonal = self.matrix.gram_diagonal(self._mean_curvature(point), self.scale) / self.mass
        return diagonal[: self.width] + self.l2[: self.width]

    def _mean_curvature(self, point: Floats) -> Floats:
        p = self.curvature.probabilities(self.logits(point))
        return self.curvature.mean(p, self.curvature.mass(0, self.rows))

    def _weighted_gram(self, weight: Floats) -> Floats:
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
                    whole[k, :, j] = self._weighted_gram(entry)
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

    def thinned(self, step: int) -> "LinearObjective":
        return self._of(self.matrix.thinned(step), slice(None, None, step))

    def batches(self, size: int, rng: np.random.Generator) -> Iterator["LinearObjective"]:
        order = rng.permutation(self.rows)
        for start in range(0, self.rows, size):
            index = order[start : start + size]
            self.passes += len(index) / self.rows
            yield self._of(self.matrix.take(index), index, share=len(index) / self.rows)

    def _of(self, matrix: Matrix, index: Any, *, share: float | None = None) -> "LinearObjective":
        """The objective on some of the rows; `share`: of the mass, where sums are to be those of the whole's mean."""
        return LinearObjective(
            matrix, self.targets[index], loss=self.loss, outputs=self.outputs, l2=self.l2_strength,
            l1=self.l1_strength, sample_weight=None if self.weight is None else self.weight[index],
            fit_intercept=self.has_intercept, scale=self.scale, mass=None if share is None else self.mass * share,
        )  # fmt: skip


def plain_loss(classes: int) -> CrossEntropy | BinaryCrossEntropy:
    """Cross-entropy of that many classes; two have one logit."""
    return BinaryCrossEntropy() if classes == 2 else CrossEntropy()
