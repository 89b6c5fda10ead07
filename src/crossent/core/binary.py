"""Jobs of losses over independent labels: from logits and from probabilities, on native code.

Probabilities that `clip` or `eps` change, and logarithms of probabilities, take the array formula in float64 instead,
block by block.
"""

from typing import Any

import numpy as np

from crossent.core import engine, engine_probability, formula_elements
from crossent.core.blocks import BadRow, Rows, Sums, run_blocks
from crossent.core.check import Prediction, compute_dtype
from crossent.core.faults import Fault, binary_fault
from crossent.core.labels import binary_targets
from crossent.core.options import BinaryOptions
from crossent.core.probability import ProbabilityNotes, clipped, logarithm_clip
from crossent.core.terms import BinaryTerms
from crossent.core.types import NDArray
from crossent.core.weights import balanced_by, class_weights, real_numbers, row_weights, unit_scaled
from crossent.errors import CrossentError, DtypeError, ShapeError, UnsupportedError, WeightError

__all__ = ["BinaryLogits", "BinaryProbs", "binary_job"]


def _positive_weights(value: Any, shape: tuple[int, ...]) -> NDArray | None:
    """One weight for all, or one for each label of the last axis."""
    if value is None:
        return None
    w = np.atleast_1d(real_numbers(value, "pos_weight"))
    labels = shape[-1] if shape else 1
    if w.shape not in ((1,), (labels,)):
        raise ShapeError(
            f"pos_weight has shape {w.shape}; one number, or shape ({labels},) for the last axis, is allowed."
        )
    if not ((w >= 0) & (w < np.inf)).all():
        k = int(np.argmin((w >= 0) & (w < np.inf)))
        raise WeightError(f"pos_weight[{k}] is {float(w[k])}; finite weights >= 0 are allowed.")
    return w


def _element_weights(sample_weight: Any, shape: tuple[int, ...]) -> NDArray | None:
    """One weight for each element, or one for each row of the last axis."""
    if sample_weight is None:
        return None
    w = real_numbers(sample_weight, "sample_weight")
    by_row = len(shape) > 1 and w.shape == shape[:-1]
    return row_weights(w, shape[:-1] if by_row else shape)


class _BinaryBase:
    """What both predictions share: targets, weights, the mass of the targets."""

    upper = False  # whether the Hessian's diagonal shall bound the whole of it

    def __init__(self, options: BinaryOptions, targets: Any, prediction: Prediction, sample_weight: Any) -> None:
        self.options = options
        self.name, self.array = prediction
        self.shape = self.array.shape
        self.targets = binary_targets(targets, self.shape, classes=options.classes)
        if self.targets.dtype.kind not in "buif" and self.targets.dtype.name != "bfloat16":
            raise DtypeError(
                f"targets have dtype {self.targets.dtype}; bool, integers or floats in [0, 1] are allowed."
            )
        self.weight = _element_weights(sample_weight, self.shape)
        self.pos_weight = _positive_weights(options.pos_weight, self.shape)
        self.negative, self.positive = self._class_weights()
        options.refuse_unless_probabilities(self.name)

    def _class_weights(self) -> tuple[float, float]:
        given = self.options.class_weight
        if isinstance(given, str):
            w = np.ones(()) if self.weight is None else self._per_element()
            kept = np.broadcast_to(w > 0, self.shape)
            y = np.where(kept, self.targets, 0).astype(np.float64)
            with np.errstate(invalid="ignore", over="ignore"):  # targets are checked later
                count = np.array([np.sum(w * (1 - y), where=kept), np.sum(w * y, where=kept)])
            pair = balanced_by(count)
        elif (found := class_weights(given, 2, self.options.classes)) is None:
            return 1.0, 1.0
        else:
            pair = found
        return float(pair[0]), float(pair[1])

    def _per_element(self) -> NDArray:
        assert self.weight is not None
        return self.weight if self.weight.shape == self.shape else self.weight[..., None]

    @property
    def known_mass(self) -> float | None:
        plain = self.weight is None and self.negative == self.positive == 1
        return float(self.array.size) if plain else None

    @property
    def inputs(self) -> list[NDArray | None]:
        return [self.array, self.targets, self.weight]

    @property
    def _columns(self) -> int:
        """Elements in a row, as blocks are cut."""
        return engine.columns_for(self.array, self.weight, self.pos_weight)

    @property
    def _axis(self) -> int | None:
        """The last axis where rows lie along it; None: an element is a row."""
        return self.array.ndim - 1 if self._columns > 1 else None

    def _weights(self, first: int, end: int) -> NDArray:
        """Weights of the block [n, 1] or [n, K]."""
        if self.weight is None:
            return np.ones((end - first, 1))
        per_row = self.weight.size * self._columns // self.array.size
        return self.weight.reshape(-1)[first * per_row : end * per_row].reshape(end - first, per_row)

    def _labels(self, first: int, end: int, w: NDArray) -> NDArray:
        """Targets of the block as float64, 0 where the weight is 0; checked."""
        y = np.where(w > 0, Rows(self.targets, self._axis).read(first, end, np.dtype(np.float64)), 0)
        bad = ~((y >= 0) & (y <= 1))
        if bad.any():
            raise BadRow(first * y.shape[1] + int(np.argmax(bad)), Fault.LABEL)
        return y

    def scale_weights(self) -> None:
        self.weight = unit_scaled(self.weight)
        if self.negative == self.positive == 1:
            return
        pair = unit_scaled(np.array([self.negative, self.positive]))
        assert pair is not None
        self.negative, self.positive = map(float, pair)

    def _probability_job(
        self, value_factor: float = 1.0, grad_factor: float = 1.0
    ) -> engine_probability.BinaryProbabilityJob:
        return engine_probability.BinaryProbabilityJob(
            self.array, self.targets, self.pos_weight, self.weight, float(self.options.label_smoothing),
            self.negative, self.positive, value_factor, grad_factor,
        )  # fmt: skip

    def mass(self) -> Sums:
        return engine_probability.binary_mass(self._probability_job())

    def bound_curvature(self) -> None:
        self.upper = True

    def error(self, bad: BadRow) -> CrossentError:
        return binary_fault(self.name, self.array, self.targets, bad.row, Fault(bad.code))

    def notes(self) -> list[Warning]:
        return []


class BinaryLogits(_BinaryBase):
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
        job = engine.SigmoidJob(
            self.array, self.targets, self.pos_weight, self.weight, float(self.options.label_smoothing),
            self.negative, self.positive, value_factor, grad_factor, self.options.terms(), self.upper,
        )  # fmt: skip
        return engine.run_sigmoid(job, values=values, grad=grad, hess=hess)


class BinaryProbs(_BinaryBase):
    """From probabilities of the positive; their logarithms, and clip or eps, by formula in float64, block by block."""

    def __init__(self, options: BinaryOptions, targets: Any, prediction: Prediction, sample_weight: Any) -> None:
        super().__init__(options, targets, prediction, sample_weight)
        self.logarithms = self.name == "log_probs"
        self.terms = options.terms() or BinaryTerms()
        if options.terms() is not None and options.eps is not None:
            raise UnsupportedError(f"eps is not for {type(options).__name__}; leave it out, or use clip=.")
        self.seen = ProbabilityNotes(self.name, options.clip, np.inf)

    def notes(self) -> list[Warning]:
        return self.seen.warnings()

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
        changed = self.options.clip is not None or self.options.eps is not None
        if self.logarithms or changed or self.options.terms() is not None:
            return self._by_formula(values, grad, value_factor, grad_factor)
        job = self._probability_job(value_factor, grad_factor)
        return engine_probability.run_binary_probability(job, values=values, grad=grad)

    def _by_formula(
        self, values: NDArray | None, grad: NDArray | None, value_factor: float, grad_factor: float
    ) -> Sums:
        """The same pass where native code has none."""
        dtype = compute_dtype(self.array.dtype)
        p_rows, g_rows = Rows(self.array, self._axis), None if grad is None else Rows(grad, self._axis)
        flat_values = None if values is None else values.reshape(-1)
        width = self._columns

        def block(first: int, end: int, sums: NDArray) -> None:
            w = self._weights(first, end)
            y = self._labels(first, end, w)
            given = p_rows.read(first, end, np.dtype(np.float64))
            mass = self.positive * y + self.negative * (1 - y)
            kept = np.broadcast_to((w > 0) & (mass > 0), y.shape)
            losses, slope = self._terms(given, y, kept, first, grad is not None)
            with np.errstate(over="ignore"):
                losses = (np.where(kept, losses, 0) * (w * value_factor)).astype(dtype)
            if flat_values is not None:
                flat_values[first * width : end * width] = losses.reshape(-1)
            if g_rows is not None and slope is not None:
                with np.errstate(over="ignore"):
                    scaled = np.where(kept, slope, 0) * (w * grad_factor)
                g_rows.write(first, end, scaled)
            sums[0] = losses.sum(dtype=np.float64), (w * mass * kept).sum(), np.count_nonzero(kept)

        return run_blocks(block, self.array.size // width if width else 0, width)

    def _terms(
        self, given: NDArray, y: NDArray, kept: NDArray, first: int, want_grad: bool
    ) -> tuple[NDArray, NDArray | None]:
        """Losses and slopes of a block, before weights."""
        options = self.options
        good = given <= 0 if self.logarithms else (given >= 0) & (given <= 1)
        bad = ~good & kept
        if bad.any():
            raise BadRow(first * y.shape[1] + int(np.argmax(bad)), Fault.ENTRY)
        p = np.where(good, given, -1.0 if self.logarithms else 0.5)
        free = np.ones(p.shape, bool)
        if options.clip is not None:
            p = logarithm_clip(p, options.clip) if self.logarithms else clipped(p, options.clip)
            free = p == given
            self.seen.count_clipped(~free & kept)
        A, B = formula_elements.element_weights(
            y, self.terms, smoothing=float(options.label_smoothing), negative=self.negative, positive=self.positive,
            pos_weight=1.0 if self.pos_weight is None else self.pos_weight,
        )  # fmt: skip
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            losses, slope = self._shaped(p, A, B, want_grad)
        return losses, None if slope is None else np.where(free, slope, 0)

    def _shaped(self, p: NDArray, A: NDArray, B: NDArray, want_grad: bool) -> tuple[NDArray, NDArray | None]:
        """Losses and slopes of probabilities (or logarithms) with weights A, B."""
        shape = self.terms.shape
        if self.logarithms:
            slope = formula_elements.element_log_prob_gradient(np, p, A, B, shape) if want_grad else None
            return formula_elements.element_log_prob_loss(np, p, A, B, shape), slope
        eps = float(self.options.eps or 0)
        slope = formula_elements.element_prob_gradient(np, p, A, B, shape, eps=eps) if want_grad else None
        return formula_elements.element_prob_loss(np, p, A, B, shape, eps=eps), slope


def binary_job(
    options: BinaryOptions, targets: Any, prediction: Prediction, sample_weight: Any
) -> BinaryLogits | BinaryProbs:
    """The job for the prediction that was named."""
    kind = BinaryLogits if prediction[0] == "logits" else BinaryProbs
    return kind(options, targets, prediction, sample_weight)
