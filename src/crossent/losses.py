"""CrossEntropy and BinaryCrossEntropy: objects that hold options and nothing else, and their functions."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from crossent.core import reduction as reduce
from crossent.core.binary import binary_job
from crossent.core.check import prediction
from crossent.core.loss import Loss
from crossent.core.options import BinaryOptions, SoftmaxOptions
from crossent.core.softmax import softmax_job
from crossent.core.types import ArrayLike, Reduction, Unit

__all__ = ["BinaryCrossEntropy", "CrossEntropy", "binary_cross_entropy", "cross_entropy"]

_ClassWeight = ArrayLike | Mapping[Any, float] | Literal["balanced"] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossEntropy(SoftmaxOptions, Loss):
    """Cross-entropy of predicted class distributions against the truth.

        loss_i = sum_j cw_j q_ij (lse_i - z_ij),  lse_i = log(sum_k exp(z_ik))      [nat]

    with q_i the target distribution (1 at the label for indices), smoothed as (1 - a) q + a / K, and cw the class
    weights. The mean is sum_i sw_i loss_i / sum_i sw_i D_i with D_i = sum_j cw_j q_ij before smoothing. Rows with
    sample_weight 0, mass 0 or target ignore_index leave entirely. Nothing is clipped.

    Args:
        axis: where the classes lie in the prediction.
        classes: the K class names in column order, where targets are names; never inferred by sorting.
        class_weight: [K] weights >= 0, a mapping of class to weight, or "balanced" (n / (K count) over this call).
        ignore_index: rows with this index are left out.
        label_smoothing: a in [0, 1].
        normalize_targets: divide each row of targets by its sum: each of m positives counts 1 / m.
        empty_rows: "error" or "ignore", for rows without a positive under normalize_targets.
        clip: move probabilities into [clip, 1 - clip]; off, and says how many rows it touched.
        eps: add eps inside the logarithm of probabilities; off.
        check: "rows" looks at every row sum of probabilities, "entries" at used entries only, "auto" at sums where
            the targets are distributions or a gradient is wanted.
        temperature: T > 0; the logits are divided by it.
        softcap: c > 0; logits become c tanh(z / c) first. Infinite logits stay infinite.
        z_loss: lambda >= 0; adds Q lambda lse^2 to a row, Q the sum of its targets, which keeps lse near 0.
        entropy_weight: adds Q entropy_weight H(p) to a row: below 0 a confidence penalty, above 0 minimum entropy.
            These four are for logits.
        reduction: "mean", "sum" or "none".
        unit: "nat" or "bit".
        empty: what a mean over no rows is: "error", "nan" or "zero".
    Raises: OptionError.
    Source: Blanchard, Higham & Higham, IMA J. Numer. Anal. 41 (2021), 2311-2330; temperature: Hinton et al. 2015;
        z_loss: Chowdhery et al. 2022 (PaLM); softcap: Gemma 2 (2024); entropy_weight: Pereyra et al., ICLR 2017
        workshop, and Grandvalet & Bengio, NIPS 2004.

    >>> loss = CrossEntropy(reduction="sum")
    >>> result = loss.value_and_grad([0, 1], logits=[[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> round(result.value, 6)
    1.338157
    >>> result.grad.round(4).tolist()
    [[-0.213, 0.1065, 0.1065], [0.3333, -0.6667, 0.3333]]
    """

    def _job(self, targets: Any, logits: Any, probs: Any, log_probs: Any, sample_weight: Any) -> reduce.Job:
        return softmax_job(self, targets, prediction(logits, probs, log_probs), sample_weight)


@dataclass(frozen=True, kw_only=True, eq=False)
class BinaryCrossEntropy(BinaryOptions, Loss):
    """Cross-entropy of independent labels: each element has its own target y in [0, 1] and one prediction.

        loss = -A log p - B log(1 - p),  A = w_1 pos_weight ((1 - a) y + a / 2),  B = w_0 ((1 - a)(1 - y) + a / 2)

    with p = sigmoid(z) from logits and class_weight = (w_0, w_1). The mean runs over all elements and divides by
    sum sw (w_1 y + w_0 (1 - y)); pos_weight does not enter the divisor (as in PyTorch).

    Args:
        classes: (negative, positive), where targets are names.
        class_weight: [2] weights of negatives and positives, a mapping, or "balanced".
        pos_weight: weight of the positive term: one number, or one for each label of the last axis.
        label_smoothing, clip, eps, reduction, unit, empty: as in `CrossEntropy`.
    Raises: OptionError.
    Source: as `CrossEntropy`, with K = 2 and the other logit 0.

    >>> round(BinaryCrossEntropy()([1, 0, 1, 0], probs=[0.8, 0.3, 0.7, 0.2]), 8)
    0.28990925
    """

    def _job(self, targets: Any, logits: Any, probs: Any, log_probs: Any, sample_weight: Any) -> reduce.Job:
        return binary_job(self, targets, prediction(logits, probs, log_probs), sample_weight)


def _softmax_loss(*words: Any, classes: Any = None, class_weight: Any = None) -> CrossEntropy:
    options: dict[str, Any] = dict(zip(_WORDS, words, strict=True))
    return CrossEntropy(classes=classes, class_weight=class_weight, **options)


_WORDS = (
    "axis", "ignore_index", "label_smoothing", "normalize_targets", "empty_rows", "clip", "eps", "check", "temperature",
    "softcap", "z_loss", "entropy_weight", "reduction", "unit", "empty",
)  # fmt: skip
_softmax_losses = lru_cache(maxsize=64, typed=True)(_softmax_loss)


def _plain_loss(*words: Any) -> CrossEntropy:
    """The loss with options that are numbers and words, made once for each set of them: checking takes a while."""
    try:
        return _softmax_losses(*words)
    except TypeError:  # one has no hash; the loss itself says what is wrong with it
        pass
    return _softmax_loss(*words)


def cross_entropy(
    targets: Any,
    *,
    logits: ArrayLike | None = None,
    probs: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    axis: int = -1,
    classes: Sequence[Hashable] | None = None,
    class_weight: _ClassWeight = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    normalize_targets: bool = False,
    empty_rows: Literal["error", "ignore"] = "error",
    clip: float | None = None,
    eps: float | None = None,
    check: Literal["auto", "rows", "entries"] = "auto",
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    entropy_weight: float = 0.0,
    reduction: Reduction = "mean",
    unit: Unit = "nat",
    empty: Literal["error", "nan", "zero"] = "error",
) -> Any:
    """Cross-entropy of predicted class distributions against the truth: `CrossEntropy(**options)(targets, ...)`.

        loss_i = log(sum_k exp(z_ik)) - z_i[y_i]          [nat]

    Args:
        targets: [...] class indices in 0..K-1 or names (with classes=), or [..., K] probabilities.
        logits: [..., K] scores; -inf rules a class out.
        probs: [..., K] probabilities; p = 0 at the target gives inf.
        log_probs: [..., K] logarithms of probabilities. Exactly one of logits, probs, log_probs.
        sample_weight: [...] weights >= 0; the mean divides by their sum.
        axis, classes, ...: the options of `CrossEntropy`.
    Returns: a float, or [...] losses for reduction="none" (float32 for float16, bfloat16 and float32 input).
    Raises: LabelError, ProbabilityError, NonFiniteError, ShapeError, DtypeError, WeightError, EmptyBatchError,
        OptionError, UnsupportedError.
    Source: Blanchard, Higham & Higham, IMA J. Numer. Anal. 41 (2021), 2311-2330.

    >>> round(cross_entropy([0], logits=[[2.0, 0.0, 0.0]]), 6)
    0.239545
    >>> cross_entropy(["owl"], probs=[[0.5, 0.5]], classes=["cat", "owl"], unit="bit")
    1.0
    """
    words = (
        axis, ignore_index, label_smoothing, normalize_targets, empty_rows, clip, eps, check, temperature, softcap,
        z_loss, entropy_weight, reduction, unit, empty,
    )  # fmt: skip
    plain = classes is None and class_weight is None
    loss = _plain_loss(*words) if plain else _softmax_loss(*words, classes=classes, class_weight=class_weight)
    return reduce.value(loss._job(targets, logits, probs, log_probs, sample_weight))


def binary_cross_entropy(
    targets: Any,
    *,
    logits: ArrayLike | None = None,
    probs: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    classes: Sequence[Hashable] | None = None,
    class_weight: _ClassWeight = None,
    pos_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    clip: float | None = None,
    eps: float | None = None,
    reduction: Reduction = "mean",
    unit: Unit = "nat",
    empty: Literal["error", "nan", "zero"] = "error",
) -> Any:
    """Cross-entropy of independent labels: `BinaryCrossEntropy(**options)(targets, ...)`.

        loss = -y log p - (1 - y) log(1 - p)          [nat]

    Args:
        targets: [...] labels 0 and 1, bool, probabilities in [0, 1], or names with classes=(negative, positive).
        logits: [...] scores z with p = sigmoid(z).
        probs: [...] probabilities of the positive.
        log_probs: [...] logarithms of the probabilities of the positive. Exactly one of the three.
        sample_weight: [...] weights >= 0 of the elements, or of the rows of the last axis.
        classes, class_weight, pos_weight, ...: the options of `BinaryCrossEntropy`.
    Returns: a float, or [...] losses for reduction="none" (float32 for float16, bfloat16 and float32 input).
    Raises: as `cross_entropy`.
    Source: as `CrossEntropy`, with K = 2 and the other logit 0.

    >>> round(binary_cross_entropy([1, 0], logits=[0.0, -2.0]), 6)
    0.410038
    """
    loss = BinaryCrossEntropy(
        classes=classes, class_weight=class_weight, pos_weight=pos_weight, label_smoothing=label_smoothing, clip=clip,
        eps=eps, reduction=reduction, unit=unit, empty=empty,
    )  # fmt: skip
    return loss(targets, logits=logits, probs=probs, log_probs=log_probs, sample_weight=sample_weight)
