"""The losses of rows and elements as Keras shapes them, by core.formula over keras.ops; functions, losses and metrics
differ in how they wrap these three."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from keras import ops

from crossent.core.formula import dense_targets, one_hot, row_loss, row_prob_loss
from crossent.core.formula_elements import element_loss, element_prob_loss, element_weights
from crossent.core.options import BinaryOptions, SharedOptions, SoftmaxOptions
from crossent.core.terms import BinaryTerms, Terms
from crossent.core.weights import class_weights
from crossent.errors import OptionError, ShapeError
from crossent.keras.checks import bad_labels, bad_targets
from crossent.keras.namespace import Namespace, compute_dtype, dtype_name, rank, tensor
from crossent.keras.probabilities import logarithm, scores, steady, warn_of_activation
from crossent.keras.shapes import aligned, beside_rows, checked_axis, same_shape, without_axis

__all__ = ["ClassRows", "DivergenceRows", "ElementRows", "Focus", "Rows"]

Tensor = Any


class Rows(NamedTuple):
    """Losses in Keras' shape, 0 in rows left out; which rows count (None: all); the weights given, in that shape."""

    losses: Tensor
    valid: Tensor | None
    weight: Tensor | None


class _Given(NamedTuple):
    """Inputs as tensors: axis from 0, shape of the losses, and what leaves rows out, brought to that shape."""

    y_true: Tensor
    y_pred: Tensor
    axis: int
    shape: tuple[int | None, ...]
    mask: Tensor | None
    weight: Tensor | None
    dtype: str

    def keep(self, like: Tensor) -> Tensor:
        """Which rows stay, for a tensor of the losses' shape."""
        keep = ops.ones_like(like, dtype="bool")
        for part in (self.mask, None if self.weight is None else self.weight != 0):
            keep = keep if part is None else ops.logical_and(keep, part)
        return keep

    def rows(self, losses: Tensor, keep: Tensor, bad: Tensor, ignored: Tensor | None = None) -> Rows:
        """NaN for what is bad, 0 for what has left."""
        losses = ops.where(bad, float("nan"), losses)
        valid = None if self.mask is None else ops.logical_and(ops.ones_like(keep), self.mask)
        if ignored is not None:
            counted = ops.logical_not(ignored)
            valid = counted if valid is None else ops.logical_and(valid, counted)
        return Rows(ops.where(keep, losses, 0.0), valid, self.weight)


class _Base:
    """What the three share: the axis of the prediction that the losses do not have."""

    axis: int

    def _given(self, y_true: Any, y_pred: Any, weight: Any, mask: Any, dtype: str | None, *, together: bool) -> _Given:
        y_true, y_pred = tensor(y_true), tensor(y_pred)
        if together:
            y_true, y_pred = aligned(y_true, y_pred)
        axis, shape = without_axis("y_pred", y_pred, self.axis)
        if weight is not None:
            weight = beside_rows("sample_weight", tensor(weight), shape)
        if mask is not None:
            mask = ops.cast(beside_rows("mask", tensor(mask), shape), "bool")
        return _Given(y_true, y_pred, axis, shape, mask, weight, compute_dtype(dtype or dtype_name(y_pred)))


def _checked(rows: Any) -> None:
    """Options that Keras and crossent do not share."""
    checked_axis(rows.axis)
    if not isinstance(rows.from_logits, bool):
        raise OptionError(f"from_logits is {rows.from_logits!r}; True or False is allowed.")
    rows.loss.refuse_unless_probabilities("logits" if rows.from_logits else "probs")


@dataclass(frozen=True)
class ClassRows(_Base):
    """A loss over classes of which one is true; probabilities are divided by their sum.

    sparse: whether targets are indices; None: whether they have one dimension fewer than the prediction.
    """

    loss: SoftmaxOptions
    from_logits: bool = False
    axis: int = -1
    sparse: bool | None = None

    def __post_init__(self) -> None:
        _checked(self)
        self.loss.refuse_unless_logits("logits" if self.from_logits else "probs")

    @property
    def ignored(self) -> int | None:
        """The class whose rows do not count."""
        return self.loss.ignore_index

    def __call__(
        self, y_true: Any, y_pred: Any, *, weight: Any = None, mask: Any = None, dtype: str | None = None
    ) -> Rows:
        """Rows of the losses, [...] for a prediction [..., K]."""
        sparse = self.sparse
        if sparse is None:
            sparse = len(tensor(y_true).shape) < len(tensor(y_pred).shape)
        given = self._given(y_true, y_pred, weight, mask, dtype, together=not sparse)
        K = given.y_pred.shape[given.axis]
        if K is None:
            raise ShapeError(
                f"y_pred has shape {given.y_pred.shape}, whose number of classes (axis {self.axis}) is not known. "
                "Give the model's last layer, or the function's input_signature, a fixed size there."
            )
        xp = Namespace(given.dtype)
        return self._sparse(xp, given, K) if sparse else self._dense(xp, given, K)

    def _sparse(self, xp: Namespace, given: _Given, K: int) -> Rows:
        labels = self._labels(given)
        keep, ignored = given.keep(labels), None
        if self.ignored is not None:
            ignored = labels == self.ignored
            keep = ops.logical_and(keep, ops.logical_not(ignored))
        bad = bad_labels(labels, K, keep)
        safe = ops.logical_and(keep, ops.logical_not(bad))
        labels = ops.cast(ops.where(safe, labels, ops.zeros_like(labels)), "int32")
        q = one_hot(xp, labels, K, given.dtype)
        return given.rows(self._losses(xp, given, q, keep, K), keep, bad, ignored)

    def _labels(self, given: _Given) -> Tensor:
        labels, shape = given.y_true, given.shape
        if rank(labels) == len(shape) + 1 and labels.shape[given.axis] == 1:
            labels = ops.squeeze(labels, given.axis)
        if rank(labels) != len(shape) or any(
            a is not None and b is not None and a != b for a, b in zip(labels.shape, shape, strict=True)
        ):
            raise ShapeError(
                f"y_true has shape {tuple(given.y_true.shape)}, y_pred {tuple(given.y_pred.shape)} with its classes on "
                f"axis {self.axis}: labels of shape {shape} are needed. One-hot targets go to the loss without Sparse."
            )
        name = dtype_name(labels)
        small = name in ("bool", "int8", "uint8", "int16", "uint16")
        return ops.cast(labels, "int32") if small else labels

    def _dense(self, xp: Namespace, given: _Given, K: int) -> Rows:
        same_shape(given.y_true, given.y_pred, "For class indices use the sparse loss.")
        q = ops.moveaxis(ops.cast(given.y_true, given.dtype), given.axis, -1)
        keep = given.keep(q[..., 0])
        bad = bad_targets(q, keep[..., None], float("inf"))
        q = ops.where(bad, 0.0, q)
        return given.rows(self._losses(xp, given, q, keep, K), keep, ops.any(bad, axis=-1))

    def _losses(self, xp: Namespace, given: _Given, q: Tensor, keep: Tensor, K: int) -> Tensor:
        """The losses of rows that stay; those of others come from equal classes, so that no NaN enters a gradient."""
        terms = self.loss.terms(K) or Terms()
        weight = class_weights(self.loss.class_weight, K, None)
        smoothing = float(self.loss.label_smoothing)
        keep = keep[..., None]
        if self.loss.clip is not None:
            p = self._last(given, keep, 1.0)
            p = ops.clip(p / ops.sum(p, axis=-1, keepdims=True), self.loss.clip, 1 - self.loss.clip)
            q = dense_targets(xp, q, terms, smoothing=smoothing, class_weight=weight, z=p)
            return row_prob_loss(xp, p, q, terms.shape)
        z = self._logits(given, keep)
        q = dense_targets(xp, q, terms, smoothing=smoothing, class_weight=weight, z=z)
        return row_loss(xp, z, q, terms)

    def _last(self, given: _Given, keep: Tensor, other: float) -> Tensor:
        """The prediction with its classes on the last axis, another number in rows that leave."""
        return ops.where(keep, ops.moveaxis(ops.cast(given.y_pred, given.dtype), given.axis, -1), other)

    def _logits(self, given: _Given, keep: Tensor) -> Tensor:
        """Logits [..., K]: those given, those behind the probabilities, or the probabilities' logarithms."""
        if self.from_logits:
            warn_of_activation(given.y_pred)
            return self._last(given, keep, 0.0)
        log_p = logarithm(self._last(given, keep, 1.0))
        found = scores(given.y_pred, given.axis)
        if found is None:
            return log_p
        z = ops.where(keep, ops.moveaxis(ops.cast(found.logits, given.dtype), given.axis, -1), 0.0)
        return ops.where(found.known, z, log_p)


@dataclass(frozen=True)
class Focus:
    """Keras' focal factor: alpha_t (1 - p_t)^gamma with p_t = y p + (1 - y)(1 - p), alpha_t likewise."""

    gamma: float
    alpha: float | None

    def factor(self, y: Tensor, p: Tensor, u: Tensor) -> Tensor:
        """Of the element's cross-entropy, from p and u = 1 - p."""
        missed = y * u + (1 - y) * p
        some = missed > 0
        factor = ops.where(some, ops.where(some, missed, 1.0) ** self.gamma, 0.0 if self.gamma else 1.0)
        return factor if self.alpha is None else factor * (y * self.alpha + (1 - y) * (1 - self.alpha))


@dataclass(frozen=True)
class ElementRows(_Base):
    """A loss over independent labels, averaged over one axis as in Keras."""

    loss: BinaryOptions
    from_logits: bool = False
    axis: int = -1
    focus: Focus | None = None

    def __post_init__(self) -> None:
        _checked(self)

    def __call__(
        self, y_true: Any, y_pred: Any, *, weight: Any = None, mask: Any = None, dtype: str | None = None
    ) -> Rows:
        """Rows of the losses, [...] for a prediction [..., labels]."""
        given = self._given(y_true, y_pred, weight, mask, dtype, together=True)
        same_shape(given.y_true, given.y_pred, "One target in [0, 1] for each element is needed.")
        y = ops.cast(given.y_true, given.dtype)
        row = ops.take(y, 0, axis=given.axis)
        keep = given.keep(row)
        wide = ops.expand_dims(keep, given.axis)
        bad = bad_targets(y, wide, 1.0)
        y = ops.where(ops.logical_or(bad, ops.logical_not(wide)), 0.5, y)
        elements = self._elements(Namespace(given.dtype), given, y, wide)
        count = ops.cast(ops.shape(y)[given.axis], given.dtype)
        losses = ops.sum(elements, axis=given.axis) / count  # Keras' mean of float64 is float32's on JAX
        return given.rows(losses, keep, ops.any(bad, axis=given.axis))

    def _elements(self, xp: Namespace, given: _Given, y: Tensor, keep: Tensor) -> Tensor:
        x = ops.where(keep, ops.cast(given.y_pred, given.dtype), 0.5)
        if self.from_logits:
            warn_of_activation(given.y_pred)
            return self._from_logits(xp, x, y)
        if self.loss.clip is not None:
            return self._from_probs(xp, ops.clip(x, self.loss.clip, 1 - self.loss.clip), y)
        found = scores(given.y_pred, None)
        if found is None:
            return self._from_probs(xp, x, y)
        z = ops.where(keep, ops.cast(found.logits, given.dtype), 0.0)
        return ops.where(
            found.known, self._from_logits(xp, z, y), self._from_probs(xp, ops.where(found.known, 0.5, x), y)
        )

    def _weights(self, y: Tensor, terms: BinaryTerms) -> tuple[Tensor, Tensor]:
        weight = class_weights(self.loss.class_weight, 2, None)
        negative, positive = (1.0, 1.0) if weight is None else (float(w) for w in weight)
        pos_weight = self.loss.pos_weight
        return element_weights(
            y, terms, smoothing=float(self.loss.label_smoothing), negative=negative, positive=positive,
            pos_weight=1.0 if pos_weight is None else ops.convert_to_tensor(pos_weight, dtype=dtype_name(y)),
        )  # fmt: skip

    def _from_logits(self, xp: Namespace, z: Tensor, y: Tensor) -> Tensor:
        terms = self.loss.terms() or BinaryTerms()
        A, B = self._weights(y, terms)
        losses = element_loss(xp, z, A, B, terms.shape)
        if self.focus is None:
            return losses
        up = z > 0
        e = ops.exp(ops.where(up, 0 - z, z))  # abs would have the slope 0 at 0
        near, far = 1 / (1 + e), e / (1 + e)
        return self.focus.factor(A, ops.where(up, near, far), ops.where(up, far, near)) * losses

    def _from_probs(self, xp: Namespace, p: Tensor, y: Tensor) -> Tensor:
        terms = self.loss.terms() or BinaryTerms()
        A, B = self._weights(y, terms)
        p = steady(p, A, B)
        losses = element_prob_loss(xp, p, A, B, terms.shape)
        return losses if self.focus is None else self.focus.factor(A, p, 1 - p) * losses


@dataclass(frozen=True)
class DivergenceRows(_Base):
    """sum_k y_k log(y_k / p_k) over one axis; nothing is divided by its sum."""

    clip: float | None = None
    axis: int = -1

    def __post_init__(self) -> None:
        SharedOptions(clip=self.clip)

    def __call__(
        self, y_true: Any, y_pred: Any, *, weight: Any = None, mask: Any = None, dtype: str | None = None
    ) -> Rows:
        """Rows of the divergences, [...] for [..., K]."""
        given = self._given(y_true, y_pred, weight, mask, dtype, together=True)
        same_shape(given.y_true, given.y_pred, "Both are distributions over the last axis.")
        y = ops.cast(given.y_true, given.dtype)
        keep = given.keep(y[..., 0])
        wide = keep[..., None]
        bad = bad_targets(y, wide, float("inf"))
        if self.clip is not None:
            y, p = (ops.clip(x, self.clip, 1) for x in (y, ops.cast(given.y_pred, given.dtype)))
        else:
            p = ops.cast(given.y_pred, given.dtype)
        used = ops.logical_and(wide, ops.logical_and(y > 0, ops.logical_not(bad)))
        p = ops.where(used, p, 1.0)
        return given.rows(_divergence(ops.where(used, y, 1.0), p, used), keep, ops.any(bad, axis=-1))


def _divergence(y: Tensor, p: Tensor, used: Tensor) -> Tensor:
    """log(y / p) by log1p where the two are near, for there logarithms cancel."""
    near = ops.abs(y - p) <= 0.5 * p
    ratio = ops.where(near, (y - p) / ops.where(near, p, 1.0), 0.0)
    far = ops.log(y) - logarithm(ops.where(near, 1.0, p))
    terms = y * ops.where(near, ops.log1p(ratio), far)
    return ops.sum(ops.where(used, terms, 0.0), axis=-1)
