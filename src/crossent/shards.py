"""Vocabulary-parallel cross-entropy: each shard of the classes leaves a few numbers a row; merged, they are the loss.

The order of use: `shard_statistics` where the logits of a shard are, `merge_shards` of all of them (they are small:
send them), then `shard_value_and_grad` on each shard, with the merged statistics.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent.core import states
from crossent.core.buffers import new_like
from crossent.core.check import compute_dtype, output_buffer, unit_factor
from crossent.core.reduction import reduced
from crossent.core.shard import ShardLogits
from crossent.core.types import ArrayLike, LossGrad, NDArray
from crossent.core.weights import row_weights, unit_scaled
from crossent.errors import NonFiniteError, OptionError, ShapeError
from crossent.losses import CrossEntropy

__all__ = ["ShardStatistics", "merge_shards", "shard_statistics", "shard_value_and_grad"]


@dataclass(frozen=True, eq=False)
class ShardStatistics:
    """What one shard, or several that were merged, know of each row.

        m = max_j z_j,  r = sum_{j != argmax} exp(z_j - m),  gap = sum_j q_j (m - z_j)

    Attributes:
        states: [rows, 8] float64: m in two parts, r, sum of exp(z_j - m) (m - z_j), gap, the targets' weight without
            the class at m, the weight of that class, and their mass before smoothing. Send it as it is.
        shape: of the rows.
        dtype: of the row losses, by name.

    >>> one = shard_statistics([1], logits=[[0.0, 2.0]], first_class=0, classes=3)
    >>> one.maximum.tolist(), one.others.round(6).tolist(), one.target_logit.tolist()
    ([2.0], [0.135335], [2.0])
    """

    states: NDArray
    shape: tuple[int, ...]
    dtype: str

    @property
    def maximum(self) -> NDArray:
        """[...] the largest logit m."""
        return self.states[:, states.MAXIMUM].reshape(self.shape)

    @property
    def others(self) -> NDArray:
        """[...] the sum r of exp(z - m) over the other classes."""
        return self.states[:, states.OTHERS].reshape(self.shape)

    @property
    def target_logit(self) -> NDArray:
        """[...] the targets' mean logit, for an index its own; nan where the shard has none of the target."""
        weight = self.states[:, states.TARGET_OTHERS] + self.states[:, states.TARGET_TOP]
        gap = np.divide(self.states[:, states.GAP], weight, out=np.full(weight.shape, np.nan), where=weight > 0)
        return np.asarray(self.states[:, states.MAXIMUM] - gap).reshape(self.shape)

    @property
    def log_sum_exp(self) -> NDArray:
        """[...] log sum_j exp(z_j) over the classes seen."""
        return states.log_sum_exp(self.states).reshape(self.shape)


def shard_statistics(
    targets: Any,
    *,
    logits: ArrayLike,
    first_class: int,
    classes: int,
    sample_weight: ArrayLike | None = None,
    loss: CrossEntropy | None = None,
) -> ShardStatistics:
    """What a shard of the classes knows of each row.

    Args:
        targets: [...] class indices in 0..classes-1 of the whole vocabulary, or [..., K'] the shard's columns of
            distributions.
        logits: [..., K'] scores of the classes first_class .. first_class + K' - 1.
        first_class, classes: where the shard begins, and the size of the whole vocabulary.
        sample_weight: [...] weights >= 0; rows of weight 0 are left out.
        loss: the options, those of `CrossEntropy`: class_weight (of all classes), ignore_index, label_smoothing,
            temperature, softcap, z_loss, entropy_weight, reduction, unit.
    Returns: ShardStatistics.
    Raises: as `CrossEntropy`; ShapeError for a shard that lies outside the vocabulary.
    Source: Shoeybi et al., Megatron-LM, arXiv:1909.08053, section 3.

    >>> part = shard_statistics([3], logits=[[1.0, 0.0]], first_class=2, classes=4)
    >>> part.target_logit.tolist()
    [0.0]
    """
    job = ShardLogits(_options(loss), targets, logits, sample_weight, first_class, classes)
    return ShardStatistics(job.leave(), job.shape, compute_dtype(job.array.dtype).name)


def merge_shards(statistics: Iterable[ShardStatistics]) -> ShardStatistics:
    """The statistics of the union of disjoint shards, in any grouping; merged ones may be merged again.

    Args:
        statistics: of the same rows, one of each shard.
    Returns: ShardStatistics.
    Raises: ShapeError, OptionError.
    Source: as `shard_statistics`.

    >>> left = shard_statistics([0], logits=[[0.0]], first_class=0, classes=2)
    >>> right = shard_statistics([0], logits=[[0.0]], first_class=1, classes=2)
    >>> merge_shards([left, right]).log_sum_exp.round(6).tolist()
    [0.693147]
    """
    parts = list(statistics)
    if not parts:
        raise OptionError("statistics is empty; those of one shard or more are needed.")
    first = parts[0]
    for part in parts[1:]:
        if part.shape != first.shape or part.dtype != first.dtype:
            raise ShapeError(
                f"statistics of rows of shape {part.shape} ({part.dtype}) do not merge with {first.shape} "
                f"({first.dtype}): every shard must see the same rows."
            )
    return ShardStatistics(states.merge_states([part.states for part in parts]), first.shape, first.dtype)


def shard_value_and_grad(
    targets: Any,
    *,
    statistics: ShardStatistics,
    logits: ArrayLike,
    first_class: int,
    classes: int,
    sample_weight: ArrayLike | None = None,
    loss: CrossEntropy | None = None,
    out: NDArray | None = None,
) -> LossGrad:
    """The loss over the whole vocabulary, and its gradient with respect to this shard's logits.

        d loss_i / d z_ij = Q_i p_ij - q_ij,  p_ij = exp(z_ij - m_i) / (1 + r_i)      [unit]

    Args:
        statistics: of all shards, merged.
        targets, logits, first_class, classes, sample_weight, loss: as in `shard_statistics`.
        out: receives the gradient, as in `CrossEntropy.value_and_grad`; the logits themselves work in place.
    Returns: LossGrad(value, grad): the same value on every shard.
    Raises: as `shard_statistics`; NonFiniteError where no class of a row is left; EmptyBatchError.
    Source: as `shard_statistics`.

    >>> z = np.array([[2.0, 0.0, 0.0]])
    >>> cuts = [(0, z[:, :2]), (2, z[:, 2:])]
    >>> all_of_it = merge_shards(shard_statistics([0], logits=part, first_class=k, classes=3) for k, part in cuts)
    >>> value, grad = shard_value_and_grad([0], statistics=all_of_it, logits=z[:, 2:], first_class=2, classes=3)
    >>> round(value, 6), grad.round(6).tolist()
    (0.239545, [[0.106507]])
    """
    options = _options(loss)
    job = ShardLogits(options, targets, logits, sample_weight, first_class, classes)
    if statistics.shape != job.shape:
        raise ShapeError(f"statistics are of rows of shape {statistics.shape}, logits of {job.shape}: they must agree.")
    bad = states.undecided(statistics.states) & (states.target_mass(statistics.states) > 0)
    if bad.any():
        row = ", ".join(str(int(i)) for i in np.unravel_index(int(np.argmax(bad)), job.shape))
        raise NonFiniteError(f"logits[{row}, :] of all shards are all -inf, or several are +inf: no softmax exists.")
    grad = new_like(job.array) if out is None else output_buffer(out, job.array, job.inputs)
    weight = row_weights(sample_weight, job.shape)
    if options.reduction == "mean":
        job.scale_weights()
        weight = unit_scaled(weight)
    value, divisor = _value(options, job, statistics, weight)
    factor = unit_factor(options.unit)
    if divisor > 0:
        job.gradient(statistics.states, grad, factor / divisor)
    else:
        grad[...] = 0
    return LossGrad(value, grad)


def _options(loss: CrossEntropy | None) -> CrossEntropy:
    if loss is None:
        return CrossEntropy()
    if not isinstance(loss, CrossEntropy):
        raise OptionError(f"loss is {type(loss).__name__}; a CrossEntropy with its options is allowed.")
    return loss


def _value(
    options: CrossEntropy, job: ShardLogits, statistics: ShardStatistics, weight: NDArray | None
) -> tuple[Any, float]:
    """The reduced loss, and what a gradient is divided by."""
    rounded, sums = states.finished_rows(
        statistics.states, job.terms, weight, unit_factor(options.unit), np.dtype(statistics.dtype)
    )
    if options.reduction == "none":
        return rounded.reshape(statistics.shape)[()], 1.0
    return reduced(sums.value, sums.mass, options), sums.mass if options.reduction == "mean" else 1.0
