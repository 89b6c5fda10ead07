"""What crossent's options mean to traced arrays: targets, class weights, rows that leave, means."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from crossent.core import formula
from crossent.core.check import unit_factor
from crossent.core.options import SharedOptions, SoftmaxOptions
from crossent.core.weights import class_weights
from crossent.errors import ShapeError, UnsupportedError
from crossent.jax.inputs import Array, Rows, integers
from crossent.jax.rows import PLAIN, label_loss, row_loss

__all__ = [
    "Classes",
    "Given",
    "Targets",
    "balanced",
    "class_targets",
    "in_range",
    "reduced",
    "refuse_names",
    "row_weights",
]


def in_range(x: Array, good: Array) -> Array:
    """x, NaN where it is not good: a value may be traced, so that no error can be raised for it."""
    return jnp.where(good, x, jnp.nan)


def refuse_names(options: SharedOptions) -> None:
    """Arrays of JAX hold no names."""
    if options.classes is not None:
        raise UnsupportedError("classes names targets, and JAX arrays hold numbers only: pass class indices instead.")
    options.refuse_unless_probabilities("logits")


def row_weights(weight: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """Weights of rows, 1 if not given, NaN where one is below 0."""
    if weight is None:
        return jnp.ones(shape, dtype)
    w = jnp.asarray(weight).astype(dtype)
    if w.shape != shape:
        raise ShapeError(f"sample_weight has shape {w.shape}, the rows {shape}: they must agree.")
    return in_range(w, w >= 0)


def balanced(count: Array) -> Array:
    """n / (K count_k); 0 for a class that does not occur."""
    there = count > 0
    return jnp.where(there, count.sum() / (count.size * jnp.where(there, count, 1.0)), 0.0)


def reduced(options: SharedOptions, values: Array, mass: Array) -> Array:
    """Row values and their mass, both weighted, as `reduction` and `unit` say; a mean over nothing is NaN or 0."""
    values = values * unit_factor(options.unit)
    if options.reduction == "none":
        return values
    total = values.sum()
    if options.reduction == "sum":
        return total
    mass = mass.sum()
    nothing = 0.0 if options.empty == "zero" else jnp.nan
    return jnp.where(mass == 0, nothing, total / jnp.where(mass == 0, 1.0, mass))


class Targets(NamedTuple):
    """Targets of rows [...]: class indices `labels` [...] or distributions `soft` [..., K]; both [..., k] if sparse."""

    labels: Array | None
    soft: Array | None

    def picked(self, weight: Array) -> Array:
        """sum_j weight_j q_j, [...]; NaN where a label is none of the classes."""
        if self.labels is None:
            return jnp.sum(self.soft * weight, axis=-1)
        known = (self.labels >= 0) & (self.labels < weight.size)
        found = in_range(weight[jnp.clip(self.labels, 0, weight.size - 1)], known)
        return found if self.soft is None else jnp.sum(self.soft * found, axis=-1)

    def dense(self, K: int, dtype: Any) -> Array:
        """[..., K]."""
        if self.labels is None:
            return self.soft
        known = (self.labels >= 0) & (self.labels < K)
        if self.soft is None:
            return in_range(formula.one_hot(jnp, self.labels, K, dtype), known[..., None])
        flat = self.labels.reshape(-1, self.labels.shape[-1])
        probs = in_range(self.soft, known).reshape(flat.shape)
        q = jnp.zeros((len(flat), K), dtype).at[jnp.arange(len(flat))[:, None], jnp.clip(flat, 0, K - 1)].add(probs)
        return q.reshape(*self.labels.shape[:-1], K)


class Given(NamedTuple):
    """What is known of the rows [...] before any logit is seen.

    kept: whether a row counts. weight: of the rows. mass: sum_j cw_j q_j of kept rows, before smoothing. class_weight:
    cw [K], or None.
    """

    targets: Targets
    kept: Array
    weight: Array
    mass: Array
    class_weight: Array | None


class Classes:
    """A loss over K classes, as its options have it."""

    def __init__(self, options: SoftmaxOptions, K: int, dtype: Any) -> None:
        self.options, self.K, self.dtype = options, K, dtype
        self.terms = options.terms(K) or PLAIN

    def given(self, targets: Targets, sample_weight: Any) -> Given:
        """The rows' targets after normalisation, their weights, their mass."""
        ones = jnp.ones(self.K, self.dtype)
        weight = row_weights(sample_weight, targets.picked(ones).shape, self.dtype)
        kept = weight != 0
        if self.options.ignore_index is not None:
            if targets.soft is not None:
                raise UnsupportedError("ignore_index is for class indices; give such rows sample_weight 0 instead.")
            kept &= targets.labels != self.options.ignore_index
            targets = Targets(jnp.where(kept, targets.labels, 0), None)
        if self.options.normalize_targets:
            targets, kept = self._normalized(targets, kept)
        class_weight = self._class_weight(targets, jnp.where(kept, weight, 0.0))
        mass = jnp.where(kept, targets.picked(ones if class_weight is None else class_weight), 0.0)
        return Given(targets, mass != 0, weight, mass, class_weight)

    def _normalized(self, targets: Targets, kept: Array) -> tuple[Targets, Array]:
        """Each row divided by its sum; an empty one is NaN, or leaves."""
        if targets.soft is None:
            raise UnsupportedError("normalize_targets is for targets with a column for each class, not for indices.")
        sums = targets.soft.sum(axis=-1)
        there = sums != 0
        if self.options.empty_rows == "ignore":
            kept &= there
        factor = jnp.where(there, 1 / jnp.where(there, sums, 1.0), jnp.nan)
        return Targets(targets.labels, targets.soft * factor[..., None]), kept

    def _class_weight(self, targets: Targets, weight: Array) -> Array | None:
        given = self.options.class_weight
        if isinstance(given, str):  # counted; no derivative goes through a count
            q = jnp.where(weight[..., None] != 0, targets.dense(self.K, self.dtype), 0.0)
            return jax.lax.stop_gradient(balanced((weight[..., None] * q).reshape(-1, self.K).sum(axis=0)))
        found = class_weights(given, self.K, None)
        return None if found is None else jnp.asarray(found, self.dtype)

    def losses(self, z: Array, targets: Targets, kept: Array, class_weight: Array | None) -> Array:
        """Row losses of logits z [..., K], unweighted; 0 where a row is not kept."""
        z = jnp.where(kept[..., None], z, 0.0)
        smoothing = float(self.options.label_smoothing)
        if self.terms is PLAIN and targets.soft is None and not smoothing:
            losses = label_loss(z, jnp.where(kept, targets.labels, 0))
            if class_weight is not None:
                losses = losses * targets.picked(class_weight)
        else:
            q = jnp.where(kept[..., None], targets.dense(self.K, self.dtype), 0.0)
            q = formula.dense_targets(jnp, q, self.terms, smoothing=smoothing, class_weight=class_weight, z=z)
            losses = row_loss(z, q, self.terms)
        return jnp.where(kept, losses, 0.0)


def class_targets(labels: Any, rows: Rows, dtype: Any) -> Targets:
    """Indices of the rows' shape, or distributions of the logits' shape, brought to [..., K]; NaN where below 0."""
    y = jnp.asarray(labels)
    if y.shape == rows.lead:
        return Targets(integers(y, "labels"), None)
    if y.shape != rows.shape:
        raise ShapeError(
            f"labels have shape {y.shape}, the logits {rows.shape}. Pass indices of shape {rows.lead}, or "
            f"distributions of shape {rows.shape}."
        )
    q = rows.read(y.astype(dtype))
    return Targets(None, in_range(q, q >= 0))
