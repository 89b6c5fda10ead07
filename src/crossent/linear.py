"""LinearCrossEntropy and LinearBinaryCrossEntropy: a linear layer and the loss behind it, never all logits at once."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from crossent.core import reduction as reduce
from crossent.core.linear.binary import LinearBinary
from crossent.core.linear.job import LinearJob
from crossent.core.linear.layer import make_layer
from crossent.core.linear.plan import checked_limit
from crossent.core.linear.results import value_and_gradients
from crossent.core.linear.softmax import LinearSoftmax
from crossent.core.options import BinaryOptions, SoftmaxOptions
from crossent.core.types import ArrayLike, Reduction, Unit

__all__ = [
    "LinearBinaryCrossEntropy",
    "LinearCrossEntropy",
    "LinearLossGrad",
    "LinearLossLse",
    "linear_binary_cross_entropy",
    "linear_cross_entropy",
]

_ClassWeight = ArrayLike | Mapping[Any, float] | Literal["balanced"] | None


class LinearLossGrad(NamedTuple):
    """A loss and its gradients with respect to the parts of the layer in front of it.

    value: a float, or [...] row losses for reduction="none". hidden, weight, bias: the shapes of those arrays; float64
    where the array is float64 (or integers), else float32, also for half precision; bias is None where none was given.
    """

    value: Any
    hidden: Any
    weight: Any
    bias: Any


class LinearLossLse(NamedTuple):
    """A loss and the log-sum-exp of each row's logits.

    value: a float, or [...] row losses for reduction="none". lse: [...], log(sum_k exp(z_k)) in nats; nan for rows that
    are left out (weight 0, ignored), whose logits are not computed.
    """

    value: Any
    lse: Any


class _LinearLoss:
    """Calling, differentiating: the same for both; `_job` binds the inputs."""

    def _job(self, targets: Any, hidden: Any, weight: Any, bias: Any, sample_weight: Any) -> LinearJob:
        raise NotImplementedError

    def __call__(
        self,
        targets: Any,
        *,
        hidden: ArrayLike,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Any:
        """The loss of the logits z = hidden @ weight.T + bias against the targets, reduced.

            "mean": sum_i sw_i loss_i / sum_i sw_i D_i,  "sum": sum_i sw_i loss_i,  "none": sw_i loss_i      [unit]

        with loss_i and the mass D_i of a row's targets as the class has them.

        Args:
            targets: as the class says, one entry for each row of hidden.
            hidden: [..., D] features; the leading axes are rows.
            weight: [K, D], a row for each class, as in torch.nn.Linear.
            bias: [K]; -inf rules a class out.
            sample_weight: sw, [...] finite weights >= 0 of the rows; 1 if not given. Rows with weight 0 leave entirely:
                their hidden is not read.
        Returns: a float, or [...] row losses for reduction="none" (float64 where hidden or weight is, else float32).
        Raises: LabelError, NonFiniteError, ShapeError, DtypeError, WeightError, OptionError, EmptyBatchError,
            UnsupportedError.
        Source: as the class.

        >>> round(LinearCrossEntropy()([1], hidden=[[1.0, 2.0]], weight=[[0.5, 0.0], [0.0, 1.0]]), 6)
        0.201413
        """
        return reduce.value(self._job(targets, hidden, weight, bias, sample_weight))

    def value_and_grad(
        self,
        targets: Any,
        *,
        hidden: ArrayLike,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        upstream: ArrayLike | None = None,
    ) -> LinearLossGrad:
        """The loss and its gradients with respect to hidden, weight and bias.

            d hidden = u G W,  d weight = (u G)^T hidden,  d bias = sum_i u_i G_i,  G = d loss / d logits      [unit]

        Sums over rows are taken in the dtype of the product (float32 unless hidden or weight is float64), chunk by
        chunk; the bias's in float64.

        Args:
            targets, hidden, weight, bias, sample_weight: as in calling the loss.
            upstream: u, any finite numbers by which the gradients of the row losses are multiplied, [...] with
                reduction="none" (a backward pass through the row losses); a single number with a mean or sum. 1 if not
                given. The value is not changed by it.
        Returns: LinearLossGrad(value, hidden, weight, bias).
        Raises: as the loss itself.
        Source: as the class.

        >>> loss = LinearCrossEntropy()
        >>> found = loss.value_and_grad([0], hidden=[[2.0]], weight=[[0.0], [0.0]], bias=[0.0, 0.0])
        >>> round(found.value, 6), found.hidden.tolist(), found.weight.tolist(), found.bias.tolist()
        (0.693147, [[0.0]], [[-1.0], [1.0]], [-0.5, 0.5])
        """
        value, grad = value_and_gradients(self._job(targets, hidden, weight, bias, sample_weight), upstream)
        return LinearLossGrad(value, grad.hidden, grad.weight, grad.bias)


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearCrossEntropy(SoftmaxOptions, _LinearLoss):
    """Cross-entropy of softmax(hidden @ weight.T + bias), computed without holding all N x K logits.

        loss_i = sum_j cw_j q_ij (lse_i - z_ij),  z_i = weight h_i + bias,  lse_i = log(sum_k exp(z_ik))      [nat]

    as `CrossEntropy` of these logits, with its options. Chunks of rows go through one buffer: their logits, the loss,
    and the gradient in place of the logits. Targets are [...] class indices in 0..K-1 (or names, with classes=),
    [..., K] probabilities, or a tuple (indices, probs) of two arrays [..., k]: k distinct classes a row and their
    probabilities, as of a teacher's largest; entries to fill up with have probability 0. float64 probabilities are
    kept as they are, which costs time beside float32 logits.

    Accuracy: the loss's contract holds for the logits as the matrix product rounded them. Products are NumPy's: its
    BLAS decides the last bits and its own threads. Half precision is computed, and its gradients are returned, in
    float32.

    Args:
        classes, class_weight, ignore_index, label_smoothing, normalize_targets, empty_rows, temperature, softcap,
            z_loss, entropy_weight, reduction, unit, empty: as in `CrossEntropy`. normalize_targets divides sparse
            probabilities by their sum.
        memory_limit: bytes for everything beyond the results (gradients, row losses) and beside a few numbers a row;
            what the BLAS keeps for itself is its own. Default: a quarter of what the logits would take, at least 4 MB,
            at most 512 MB. Larger chunks are faster, up to about a thousand rows; below some two hundred rows slower.
    Raises: OptionError.
    Source: as `CrossEntropy`; Wijmans et al., Cut Your Losses in Large-Vocabulary Language Models, ICLR 2025, for the
        same aim on other hardware.

    >>> rng = np.random.default_rng(0)
    >>> h, W = rng.normal(size=(6, 4)), rng.normal(size=(50, 4))
    >>> y = np.arange(6)
    >>> loss = LinearCrossEntropy(reduction="sum", memory_limit=10_000)
    >>> z = h @ W.T
    >>> np.allclose(loss(y, hidden=h, weight=W), np.sum(np.log(np.exp(z).sum(axis=1)) - z[y, y]), rtol=1e-14)
    True
    """

    memory_limit: int | None = None
    # What logits on the last axis have no use for:
    axis: int = field(default=-1, init=False, repr=False)
    clip: float | None = field(default=None, init=False, repr=False)
    eps: float | None = field(default=None, init=False, repr=False)
    check: Literal["auto", "rows", "entries"] = field(default="auto", init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "memory_limit", checked_limit(self.memory_limit))

    def _job(self, targets: Any, hidden: Any, weight: Any, bias: Any, sample_weight: Any) -> LinearSoftmax:
        return LinearSoftmax(self, targets, make_layer(hidden, weight, bias), sample_weight, self.memory_limit)

    def value_and_lse(
        self,
        targets: Any,
        *,
        hidden: ArrayLike,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> LinearLossLse:
        """The loss and the log-sum-exp of each row's logits.

            lse_i = log(sum_k exp(z_ik))      [nat]

        Args:
            targets, hidden, weight, bias, sample_weight: as in calling the loss.
        Returns: LinearLossLse(value, lse); lse is nan for rows that are left out.
        Raises: as the loss itself.
        Source: as the class.

        >>> value, lse = LinearCrossEntropy().value_and_lse([0], hidden=[[1.0]], weight=[[0.0], [0.0]])
        >>> round(value, 6), lse.round(6).tolist()
        (0.693147, [0.693147])
        """
        job = self._job(targets, hidden, weight, bias, sample_weight)
        job.lse = np.full(job.array.size // job.layer.classes, np.nan, job.layer.dtype)
        value = reduce.value(job)
        return LinearLossLse(value, job.lse.reshape(job.shape)[()])


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearBinaryCrossEntropy(BinaryOptions, _LinearLoss):
    """Cross-entropy of independent labels behind a linear layer, computed without holding all N x K logits.

        loss_i = sum_j A_ij log(1 + exp(-z_ij)) + B_ij log(1 + exp(z_ij)),  z_i = weight h_i + bias      [nat]

    with A = w_1 pos_weight y and B = w_0 (1 - y), smoothed as in `BinaryCrossEntropy`: the sum of a row's K losses. The
    mean is that of all elements, sum_i sw_i loss_i / sum_ij sw_i (w_1 y_ij + w_0 (1 - y_ij)); "none" gives sw_i loss_i.

    Targets are [..., K] labels 0 and 1, bool, probabilities in [0, 1], or names with classes=(negative, positive); or,
    for many labels of which few are positive, a tuple (indices, offsets): the positives of row i (in C order of the
    leading axes) are indices[offsets[i]:offsets[i + 1]], as in (Y.indices, Y.indptr) of a SciPy CSR matrix Y of ones.
    A tuple is always taken so. Losses of positives and negatives are computed apart and added: nothing is subtracted.

    Args:
        classes, class_weight, pos_weight, label_smoothing, reduction, unit, empty: as in `BinaryCrossEntropy`.
        memory_limit: as in `LinearCrossEntropy`.
    Raises: OptionError.
    Source: as `BinaryCrossEntropy`.

    >>> h, W = [[1.0], [-2.0]], [[0.5], [0.0], [-1.0]]
    >>> dense = LinearBinaryCrossEntropy()([[1, 0, 1], [0, 0, 0]], hidden=h, weight=W)
    >>> sparse = LinearBinaryCrossEntropy()(([0, 2], [0, 2, 2]), hidden=h, weight=W)
    >>> round(dense, 6), round(sparse, 6)
    (0.935637, 0.935637)
    """

    memory_limit: int | None = None
    # What logits have no use for:
    clip: float | None = field(default=None, init=False, repr=False)
    eps: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "memory_limit", checked_limit(self.memory_limit))

    def _job(self, targets: Any, hidden: Any, weight: Any, bias: Any, sample_weight: Any) -> LinearBinary:
        return LinearBinary(self, targets, make_layer(hidden, weight, bias), sample_weight, self.memory_limit)


def linear_cross_entropy(
    targets: Any,
    *,
    hidden: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    classes: Sequence[Hashable] | None = None,
    class_weight: _ClassWeight = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    normalize_targets: bool = False,
    empty_rows: Literal["error", "ignore"] = "error",
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    entropy_weight: float = 0.0,
    reduction: Reduction = "mean",
    unit: Unit = "nat",
    empty: Literal["error", "nan", "zero"] = "error",
    memory_limit: int | None = None,
) -> Any:
    """Cross-entropy of softmax(hidden @ weight.T + bias): `LinearCrossEntropy(**options)(targets, ...)`.

        loss_i = log(sum_k exp(z_ik)) - z_i[y_i],  z_i = weight h_i + bias      [nat]

    Args:
        targets: [...] class indices in 0..K-1 or names (with classes=), [..., K] probabilities, or (indices, probs),
            two arrays [..., k].
        hidden: [..., D] features; the leading axes are rows.
        weight: [K, D], a row for each class, as in torch.nn.Linear.
        bias: [K].
        sample_weight: [...] weights >= 0; the mean divides by their sum.
        memory_limit: bytes for everything beyond the result.
        classes, class_weight, ...: the options of `LinearCrossEntropy`.
    Returns: a float, or [...] losses for reduction="none" (float64 where hidden or weight is, else float32).
    Raises: LabelError, NonFiniteError, ShapeError, DtypeError, WeightError, EmptyBatchError, OptionError,
        UnsupportedError.
    Source: as `LinearCrossEntropy`.

    >>> round(linear_cross_entropy([0], hidden=[[1.0, 0.0]], weight=[[2.0, 5.0], [0.0, 5.0], [0.0, 5.0]]), 6)
    0.239545
    >>> teacher = [[0, 2]], [[0.75, 0.25]]
    >>> round(linear_cross_entropy(teacher, hidden=[[1.0]], weight=[[0.0], [0.0], [0.0], [0.0]], unit="bit"), 6)
    2.0
    """
    loss = LinearCrossEntropy(
        classes=classes, class_weight=class_weight, ignore_index=ignore_index, label_smoothing=label_smoothing,
        normalize_targets=normalize_targets, empty_rows=empty_rows, temperature=temperature, softcap=softcap,
        z_loss=z_loss, entropy_weight=entropy_weight, reduction=reduction, unit=unit, empty=empty,
        memory_limit=memory_limit,
    )  # fmt: skip
    return loss(targets, hidden=hidden, weight=weight, bias=bias, sample_weight=sample_weight)


def linear_binary_cross_entropy(
    targets: Any,
    *,
    hidden: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    classes: Sequence[Hashable] | None = None,
    class_weight: _ClassWeight = None,
    pos_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    unit: Unit = "nat",
    empty: Literal["error", "nan", "zero"] = "error",
    memory_limit: int | None = None,
) -> Any:
    """Cross-entropy of independent labels: `LinearBinaryCrossEntropy(**options)(targets, ...)`.

        loss_i = sum_j -y_ij log p_ij - (1 - y_ij) log(1 - p_ij),  p_ij = sigmoid(weight_j . h_i + bias_j)      [nat]

    Args:
        targets: [..., K] labels 0 and 1, bool, probabilities, or names with classes=(negative, positive); or (indices,
            offsets) of the positives.
        hidden: [..., D] features; the leading axes are rows.
        weight: [K, D], a row for each label, as in torch.nn.Linear.
        bias: [K].
        sample_weight: [...] weights >= 0 of the rows.
        memory_limit: bytes for everything beyond the result.
        classes, class_weight, ...: the options of `LinearBinaryCrossEntropy`.
    Returns: a float (the mean is over all elements), or [...] sums over the labels for reduction="none" (float64 where
        hidden or weight is, else float32).
    Raises: as `linear_cross_entropy`.
    Source: as `LinearBinaryCrossEntropy`.

    >>> round(linear_binary_cross_entropy([[1, 0]], hidden=[[1.0]], weight=[[0.0], [-2.0]]), 6)
    0.410038
    """
    loss = LinearBinaryCrossEntropy(
        classes=classes, class_weight=class_weight, pos_weight=pos_weight, label_smoothing=label_smoothing,
        reduction=reduction, unit=unit, empty=empty, memory_limit=memory_limit,
    )  # fmt: skip
    return loss(targets, hidden=hidden, weight=weight, bias=bias, sample_weight=sample_weight)
