"""Jobs of losses over classes of which one is true: from logits and from probabilities, on native code.

Probabilities that `clip` or `eps` change, and those under a shape, take the array formula in float64, block by block.
"""

from typing import Any

import numpy as np

from crossent.core import engine, engine_probability, formula
from crossent.core.blocks import BadRow, Rows, Sums, run_blocks
from crossent.core.check import Prediction, axis_number, compute_dtype
from crossent.core.faults import Fault, softmax_fault
from crossent.core.labels import Targets, class_targets, label_error
from crossent.core.options import SoftmaxOptions
from crossent.core.probability import REFUSED, ProbabilityNotes, clipped, logarithm_clip
from crossent.core.terms import Terms
from crossent.core.types import NDArray
from crossent.core.weights import balanced, class_weights, row_weights, unit_scaled
from crossent.errors import CrossentError, DtypeError, UnsupportedError

__all__ = ["SMALLEST_SUM", "SoftmaxBase", "SoftmaxLogits", "SoftmaxProbs", "softmax_job", "sum_tolerance"]

_SUM_TOLERANCE = 1e-5
SMALLEST_SUM = 1e-300  # of targets that are normalised: its inverse is a number too


def _soft_array(soft: NDArray) -> NDArray:
    if soft.dtype.kind in "bui":
        return soft
    if (soft.dtype.kind == "f" and soft.dtype.itemsize <= 8) or soft.dtype.name == "bfloat16":
        return soft
    raise DtypeError(f"targets have dtype {soft.dtype}; distributions are floats, integers or bool.")


def sum_tolerance(dtype: Any) -> float:
    """Silent up to here: 1e-5, or what the rounding of a half-precision row makes."""
    half_eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
    return max(_SUM_TOLERANCE, 4 * half_eps.get(np.dtype(dtype).name, 0.0))


class SoftmaxBase:
    """What all predictions share: targets, weights, the mass of the targets."""

    def __init__(
        self,
        options: SoftmaxOptions,
        targets: Any,
        prediction: Prediction,
        sample_weight: Any,
        shard: engine.Shard | None = None,
    ) -> None:
        self.options = options
        self.name, self.array = prediction
        self.axis = axis = axis_number(options.axis, self.array, self.name)
        shape = self.array.shape
        self.K = shape[axis] if shard is None else shard.classes
        self.shape = shape[:axis] + shape[axis + 1 :]
        self.row_weight = row_weights(sample_weight, self.shape)
        self.targets = class_targets(
            targets,
            shape,
            axis,
            classes=options.classes,
            ignore_index=options.ignore_index,
            left_out=None if self.row_weight is None else self.row_weight == 0,
        )
        self.job = engine.SoftmaxJob(
            self.array, axis, labels=self.targets.labels, row_weight=self.row_weight,
            ignore_index=self.targets.ignore_index, smoothing=float(options.label_smoothing), shard=shard,
        )  # fmt: skip
        if self.targets.soft is not None or options.normalize_targets:
            self._take_soft(self.targets)
        weight = options.class_weight
        if isinstance(weight, str):
            self.job.class_weight = balanced(self.targets, self.K, self.row_weight, self.job.soft_factor)
        elif weight is not None:
            self.job.class_weight = class_weights(weight, self.K, options.classes)
        if shard is not None and self.job.class_weight is not None:
            self.job.class_weight = self.job.class_weight[shard.first : shard.first + shape[axis]]
        options.refuse_unless_probabilities(self.name)
        options.refuse_unless_logits(self.name)
        self.job.terms = terms = options.terms(self.K)
        if terms is not None and self.name != "logits" and terms.of_logits:
            raise UnsupportedError(f"{type(options).__name__} is for logits=; from {self.name} it is not defined.")

    def _take_soft(self, targets: Targets) -> None:
        if targets.soft is None:
            raise UnsupportedError("normalize_targets is for targets with a column for each class, not for indices.")
        self.job.soft = _soft_array(targets.soft)
        self.job.sum_tolerance = sum_tolerance(self.job.soft.dtype) if self.job.shard is None else -1.0
        if self.options.normalize_targets:
            self._normalize()

    def _normalize(self) -> None:
        """Each positive counts 1 / number of positives: the factor of each row."""
        sums = np.zeros(self.job.rows)
        self.job.sum_tolerance = -1.0
        try:
            engine.run_mass(self.job, row_sums=sums)
        except BadRow as bad:
            raise self.error(bad) from None
        kept = np.ones(sums.shape, bool) if self.row_weight is None else self.row_weight.reshape(-1) > 0
        empty = kept & (sums == 0)
        if empty.any() and self.options.empty_rows == "error":
            raise self.error(BadRow(int(np.argmax(empty)), Fault.EMPTY_TARGET))
        extreme = kept & (sums > 0) & ~((sums >= SMALLEST_SUM) & (sums <= 1 / SMALLEST_SUM))
        if extreme.any():
            raise self.error(BadRow(int(np.argmax(extreme)), Fault.EXTREME_TARGET))
        self.job.soft_factor = np.divide(1.0, sums, out=np.zeros_like(sums), where=(sums > 0) & ~extreme & kept)

    @property
    def known_mass(self) -> float | None:
        plain = self.job.soft is None and self.job.class_weight is None and self.row_weight is None
        return float(self.job.rows) if plain and self.job.ignore_index is None else None

    @property
    def inputs(self) -> list[NDArray | None]:
        return [self.array, self.targets.labels, self.job.soft, self.row_weight, self.job.class_weight]

    def scale_weights(self) -> None:
        if self.row_weight is not None:
            self.row_weight = self.job.row_weight = unit_scaled(self.row_weight)
        if self.job.class_weight is not None:
            self.job.class_weight = unit_scaled(self.job.class_weight)

    def mass(self) -> Sums:
        return engine.run_mass(self.job)

    def bound_curvature(self) -> None:
        self.job.upper = True

    def error(self, bad: BadRow) -> CrossentError:
        if bad.code == Fault.LABEL:
            assert self.targets.labels is not None
            return label_error(self.targets.labels, bad.row, self.K, self.targets.ignore_index)
        return softmax_fault(self.name, self.array, self.axis, self.job.soft, bad.row, Fault(bad.code))

    def notes(self) -> list[Warning]:
        return []


class SoftmaxLogits(SoftmaxBase):
    """From raw scores, on native code."""

    def run(
        self,
        *,
        values: NDArray | None,
        grad: NDArray | None,
        hess: NDArray | None,
        value_factor: float,
        grad_factor: float,
    ) -> Sums:
        self.job.value_factor, self.job.grad_factor = value_factor, grad_factor
        return engine.run_softmax(self.job, values=values, grad=grad, hess=hess)


class SoftmaxProbs(SoftmaxBase):
    """From probabilities or their logarithms; with clip, eps or a shape by formula in float64, block by block."""

    def __init__(self, options: SoftmaxOptions, targets: Any, prediction: Prediction, sample_weight: Any) -> None:
        super().__init__(options, targets, prediction, sample_weight)
        self.logarithms = self.name == "log_probs"
        self.terms = self.job.terms or Terms()
        self.seen = ProbabilityNotes(self.name, options.clip, sum_tolerance(self.array.dtype))

    def notes(self) -> list[Warning]:
        return self.seen.warnings()

    def _kept(self, first: int, end: int) -> tuple[NDArray, NDArray, NDArray | None]:
        """(row weight, 0 where a row is left out; class weight of the label; labels with 0 where there is none)."""
        w = np.ones(end - first) if self.row_weight is None else self.row_weight.reshape(-1)[first:end].copy()
        labels, cw = self.targets.labels, self.job.class_weight
        if labels is None:
            return w, np.ones(end - first), None
        t = labels.reshape(-1)[first:end]
        if self.targets.ignore_index is not None:
            w[t == self.targets.ignore_index] = 0
        outside = (w > 0) & ((t < 0) | (t >= self.K))
        if outside.any():
            raise BadRow(first + int(np.argmax(outside)), Fault.LABEL)
        t = np.where(w > 0, t, 0).astype(np.intp)
        label_weight = np.ones(end - first) if cw is None else cw[t]
        w[label_weight == 0] = 0
        return w, label_weight, t

    def run(
        self,
        *,
        values: NDArray | None,
        grad: NDArray | None,
        hess: NDArray | None,
        value_factor: float,
        grad_factor: float,
    ) -> Sums:
        if hess is not None:
            raise UnsupportedError("grad_and_hess is for logits=: boosting works on raw scores.")
        self.seen.reset()
        look = self.options.check == "rows" or (
            self.options.check == "auto" and (grad is not None or self.job.soft is not None)
        )
        if self.options.clip is not None or self.options.eps is not None or self.job.terms is not None:
            return self._by_formula(look, values, grad, value_factor, grad_factor)
        self.job.value_factor, self.job.grad_factor = value_factor, grad_factor
        silent = self.seen.silent
        job = engine_probability.ProbabilityJob(
            self.job, self.logarithms, look, silent, max(REFUSED, silent), self.seen.note_sums
        )
        return engine_probability.run_probability(job, values=values, grad=grad)

    def _by_formula(
        self, look: bool, values: NDArray | None, grad: NDArray | None, value_factor: float, grad_factor: float
    ) -> Sums:
        """The same pass for probabilities that clip or eps change, or under a shape."""
        dtype = compute_dtype(self.array.dtype)
        p_rows, g_rows = Rows(self.array, self.axis), None if grad is None else Rows(grad, self.axis)
        dense = self.job.soft is not None or self.options.label_smoothing > 0
        flat_values = None if values is None else values.reshape(-1)

        def block(first: int, end: int, sums: NDArray) -> None:
            w, mass, t = self._kept(first, end)
            q = None if t is not None else self._soft_rows(first, end, w)
            if q is not None:
                mass = q.sum(axis=1) if self.job.class_weight is None else q @ self.job.class_weight
                w = np.where(mass > 0, w, 0)
            if look:
                self._look(p_rows.read(first, end, np.dtype(np.float64)), w, first)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                if dense:
                    q = formula.one_hot(np, t, self.K, np.float64) if q is None else q
                    losses, g = self._dense(p_rows, first, end, w, q, grad is not None)
                else:
                    assert t is not None
                    losses, g = self._indexed(p_rows, first, end, w, mass, t, grad is not None)
            with np.errstate(over="ignore"):
                losses = (np.where(w > 0, losses, 0) * (w * value_factor)).astype(dtype)
            if flat_values is not None:
                flat_values[first:end] = losses
            if g is not None and g_rows is not None:
                with np.errstate(over="ignore"):
                    scaled = np.where(w[:, None] > 0, g, 0) * (w * grad_factor)[:, None]
                g_rows.write(first, end, scaled)
            sums[0] = losses.sum(dtype=np.float64), (w * mass).sum(), np.count_nonzero(w)

        return run_blocks(block, self.job.rows, self.K)

    def _look(self, p: NDArray, w: NDArray, first: int) -> None:
        """Every entry and every row sum of the rows kept."""
        with np.errstate(over="ignore"):  # a logarithm far above 0 is reported as what it is
            probabilities = np.exp(p) if self.logarithms else p
        self.seen.look(probabilities, p, w, first)

    def _adjusted(self, p: NDArray, kept: NDArray) -> tuple[NDArray, NDArray]:
        """Probabilities (or logarithms) after clip or eps, and where clip left them alone."""
        clip = self.options.clip
        if clip is not None:
            changed = logarithm_clip(p, clip) if self.logarithms else clipped(p, clip)
            free = changed == p
            self.seen.count_clipped(~free & kept)
            return changed, free
        return p if self.options.eps is None else p + self.options.eps, np.ones(p.shape, bool)

    def _indexed(
        self, rows: Rows, first: int, end: int, w: NDArray, label_weight: NDArray, t: NDArray, want_grad: bool
    ) -> tuple[NDArray, NDArray | None]:
        given = rows.gather(first, end, t).astype(np.float64)
        self.seen.check_entries(given, w > 0, first)
        p, free = self._adjusted(np.where(w > 0, given, 0.0 if self.logarithms else 1.0), w > 0)
        weight = label_weight if self.terms.alpha is None else label_weight * self.terms.alpha[t]
        losses, slope = self._shaped(p[:, None], weight[:, None], want_grad)
        g = None
        if slope is not None:
            g = np.zeros((end - first, self.K))
            g[np.arange(end - first), t] = np.where(free, slope[:, 0], 0)
        return losses, g

    def _shaped(self, p: NDArray, q: NDArray, want_grad: bool) -> tuple[NDArray, NDArray | None]:
        """Losses and slopes of probabilities (or logarithms) with targets q."""
        shape = self.terms.shape
        if self.logarithms:
            slope = formula.row_log_prob_gradient(np, p, q, shape) if want_grad else None
            return formula.row_log_prob_loss(np, p, q, shape), slope
        slope = formula.row_prob_gradient(np, p, q, shape) if want_grad else None
        return formula.row_prob_loss(np, p, q, shape), slope

    def _dense(
        self, rows: Rows, first: int, end: int, w: NDArray, q: NDArray, want_grad: bool
    ) -> tuple[NDArray, NDArray | None]:
        given = rows.read(first, end, np.dtype(np.float64))
        kept = (w > 0)[:, None]
        smoothing = float(self.options.label_smoothing)
        q = formula.dense_targets(np, q, self.terms, smoothing=smoothing, class_weight=self.job.class_weight)
        self.seen.check_entries(given, kept & (q > 0), first)
        p, free = self._adjusted(np.where(kept, given, 0.0 if self.logarithms else 1.0), kept & (q > 0))
        losses, g = self._shaped(p, q, want_grad)
        return losses, None if g is None else np.where(free, g, 0)

    def _soft_rows(self, first: int, end: int, w: NDArray) -> NDArray:
        assert self.job.soft is not None
        given = Rows(self.job.soft, self.axis).read(first, end, np.dtype(np.float64))
        q = np.where((w > 0)[:, None], given, 0.0)
        invalid = ~((q >= 0) & (q < np.inf)).all(axis=1)
        if invalid.any():
            raise BadRow(first + int(np.argmax(invalid)), Fault.TARGET)
        if self.job.soft_factor is not None:
            return q * self.job.soft_factor[first:end, None]
        off = ~(np.abs(q.sum(axis=1) - 1) <= self.job.sum_tolerance) & (w > 0)
        if off.any():
            raise BadRow(first + int(np.argmax(off)), Fault.TARGET_SUM)
        return q


def softmax_job(
    options: SoftmaxOptions, targets: Any, prediction: Prediction, sample_weight: Any
) -> SoftmaxLogits | SoftmaxProbs:
    """The job for the prediction that was named."""
    kind = SoftmaxLogits if prediction[0] == "logits" else SoftmaxProbs
    return kind(options, targets, prediction, sample_weight)
