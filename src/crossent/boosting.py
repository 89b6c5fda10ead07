"""Losses as objectives and metrics of XGBoost and LightGBM: gradient, Hessian and loss of their raw scores.

Decisions that hold for all four functions:

- One callable serves both ways in: the library's own, `(scores, data)` with `data.get_label()`, and scikit-learn's,
  `(labels, scores[, sample_weight])`. Neither library is imported; data are told from arrays by that method.
- Neither library multiplies a custom gradient by the row weights, so they enter gradient and Hessian here.
- Scores are raw: each row's logits for a loss over classes, or one logit for each independent label. Both libraries
  take gradient and Hessian as float32; in LightGBM, whose scores are float64, they are computed in float64 first.
- A negative Hessian is refused, for a tree's leaf would step uphill. XGBoost's own objectives keep the Hessian from
  falling below 1e-16, so ours do; LightGBM's do not, and leave saturated rows to `min_sum_hessian_in_leaf`.
- The callables hold options only: they can be pickled, copied and cloned with an estimator.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from crossent.core.options import BinaryOptions, SoftmaxOptions
from crossent.core.types import NDArray
from crossent.errors import CrossentError, LabelError, NonFiniteError, OptionError, ShapeError
from crossent.losses import BinaryCrossEntropy, CrossEntropy

__all__ = ["lightgbm_metric", "lightgbm_objective", "xgboost_metric", "xgboost_objective"]

Curvature: TypeAlias = Literal["exact", "upper", "residual", "sum_to_zero"]
Library: TypeAlias = Literal["xgboost", "lightgbm"]

_CURVATURES = ("exact", "upper", "residual", "sum_to_zero")
_LAYOUT: dict[Library, Literal["C", "F"]] = {"xgboost": "C", "lightgbm": "F"}  # of flat scores of several classes
_SMALLEST = {"xgboost": np.float32(1e-16), "lightgbm": np.float32(0)}  # Hessian of a row that has a gradient
# XGBoost's early stopping maximises a metric with such a name.
_MAXIMISED = ("auc", "map", "ndcg", "pre")


def _checked_loss(loss: Any) -> None:
    """Refuses what is no loss of raw scores whose classes lie on the last axis."""
    if isinstance(loss, type):
        raise OptionError(f"loss is the class {loss.__name__}; an object is needed: {loss.__name__}().")
    if not isinstance(loss, SoftmaxOptions | BinaryOptions) or not hasattr(loss, "grad_and_hess"):
        raise OptionError(f"loss is {loss!r}; a loss object of crossent is needed, for instance CrossEntropy().")
    if isinstance(loss, SoftmaxOptions) and loss.axis not in (-1, 1):
        raise OptionError(f"axis is {loss.axis!r}, but the classes of a booster's [N, K] scores lie on axis -1.")


def _checked_curvature(loss: Any, curvature: Any) -> None:
    """Refuses a curvature that is unknown, or that this loss does not have."""
    if not isinstance(curvature, str) or curvature not in _CURVATURES:
        raise OptionError(f"curvature is {curvature!r}; one of {', '.join(map(repr, _CURVATURES))} is allowed.")
    name = type(loss).__name__
    if curvature == "sum_to_zero" and isinstance(loss, BinaryOptions):
        raise OptionError(
            f"curvature='sum_to_zero' is for scores of several classes, {name} has independent labels. "
            "Use 'exact', which is LightGBM's own for them."
        )
    if curvature != "residual":
        return
    if type(loss) not in (CrossEntropy, BinaryCrossEntropy):
        raise OptionError(
            f"curvature='residual' is |p - y|, which only the gradients of CrossEntropy and BinaryCrossEntropy are, "
            f"not {name}'s. Use 'upper'."
        )
    option = loss.option_of_logits if isinstance(loss, SoftmaxOptions) else ""
    if option:
        raise OptionError(
            f"curvature='residual' is |p - y|, but with {option}={getattr(loss, option)!r} the gradient is not p - y. "
            "Use 'upper'."
        )


@dataclass(frozen=True)
class _Inputs:
    """What a call handed over: labels, scores as the loss takes them and their shape before that, row weights."""

    labels: NDArray
    scores: NDArray
    weight: NDArray | None
    shape: tuple[int, ...]
    native: bool  # from the library's own API


@dataclass(frozen=True)
class _Adapter:
    """What objectives and metrics share: a loss, and reading the arguments of either way in."""

    loss: Any
    library: Library

    def _inputs(self, first: Any, second: Any, sample_weight: Any) -> _Inputs:
        native = hasattr(second, "get_label")
        if native:
            scores, labels, weight = first, second.get_label(), second.get_weight()
        else:
            labels, scores, weight = first, second, sample_weight
        labels = np.asarray(() if labels is None else labels)
        scores = np.asarray(scores)
        weight = None if weight is None or np.size(weight) == 0 else np.asarray(weight)
        if labels.ndim == 1 and scores.ndim == 2 and labels.size == scores.size:
            labels = labels.reshape(scores.shape)  # XGBoost before 3 hands several labels a row over flat
        if scores.size and not labels.size:
            raise LabelError(f"there are {scores.size} scores and no labels. Make the data set with label=.")
        shaped = self._class_scores if isinstance(self.loss, SoftmaxOptions) else self._element_scores
        return _Inputs(*shaped(labels, scores), weight, scores.shape, native)

    def _class_scores(self, labels: NDArray, scores: NDArray) -> tuple[NDArray, NDArray]:
        """Scores [N, K], also where a library hands them over flat."""
        rows = len(labels)
        if scores.ndim == 1 and rows and scores.size > rows and scores.size % rows == 0:
            scores = scores.reshape((rows, -1), order=_LAYOUT[self.library])
        if scores.ndim != 2 or scores.shape[1] < 2:
            raise ShapeError(
                f"the scores have shape {scores.shape}, but {type(self.loss).__name__} needs one score for each class: "
                "[N, K]. Set num_class=K, or use a binary loss for one score a row."
            )
        return labels, scores

    def _element_scores(self, labels: NDArray, scores: NDArray) -> tuple[NDArray, NDArray]:
        """Labels of the scores' shape: [N], or [N, M] for M labels a row."""
        if labels.shape != scores.shape:
            raise ShapeError(
                f"the scores have shape {scores.shape}, the labels {labels.shape}, but {type(self.loss).__name__} "
                "needs a label for each score. Scores of several classes need a loss over classes: CrossEntropy()."
            )
        return labels, scores


@dataclass(frozen=True)
class _Objective(_Adapter):
    """Gradient and Hessian of a row's scores, as float32."""

    curvature: Curvature

    def __post_init__(self) -> None:
        _checked_loss(self.loss)
        _checked_curvature(self.loss, self.curvature)

    # Both libraries look at this signature: XGBoost for the name sample_weight, LightGBM for three parameters.
    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[NDArray, NDArray]:
        """(grad, hess) of (scores, data) or (labels, scores, sample_weight), in the shape of the scores."""
        given = self._inputs(first, second, sample_weight)
        with np.errstate(over="ignore"):  # what overflows float32 is reported with its row
            pair = [x.astype(np.float32, copy=False) for x in self._derivatives(given)]
        self._check(*pair)
        np.maximum(pair[1], _SMALLEST[self.library], out=pair[1], where=pair[0] != 0)
        if len(given.shape) < pair[0].ndim:  # they came flat
            pair = [x.reshape(given.shape, order=_LAYOUT[self.library]) for x in pair]
        return pair[0], pair[1]

    def _derivatives(self, given: _Inputs) -> tuple[NDArray, NDArray]:
        bound: Literal["exact", "upper"] = "upper" if self.curvature == "upper" else "exact"
        grad, hess = self.loss.grad_and_hess(
            given.labels, logits=given.scores, sample_weight=given.weight, curvature=bound
        )
        if self.curvature == "residual":
            hess = np.abs(grad)
        elif self.curvature == "sum_to_zero":
            hess = hess * (grad.shape[1] / (grad.shape[1] - 1))
        return grad, hess

    def _check(self, grad: NDArray, hess: NDArray) -> None:
        for name, values in (("gradient", grad), ("Hessian", hess)):
            finite = np.isfinite(values)
            if not finite.all():
                at = np.unravel_index(int(np.argmin(finite)), values.shape)
                raise NonFiniteError(
                    f"the {name} of {self._place(at)} is {values[at]:g} in float32, in which the libraries take it. "
                    "Make the weights smaller."
                )
        if np.minimum.reduce(hess, axis=None, initial=0.0) < 0:
            raise self._negative(hess)

    def _negative(self, hess: NDArray) -> CrossentError:
        at = np.unravel_index(int(np.argmax(hess < 0)), hess.shape)
        return OptionError(
            f"the Hessian of {self._place(at)} is {hess[at]:g}: {type(self.loss).__name__} is not convex there, and a "
            "leaf's step -gradient / Hessian would go uphill. Pass curvature='upper', which is never negative, instead "
            f"of {self.curvature!r}."
        )

    def _place(self, at: tuple[Any, ...]) -> str:
        """row i, class k, as a reader would write it."""
        column = "class" if isinstance(self.loss, SoftmaxOptions) else "label"
        return f"row {int(at[0])}" + (f", {column} {int(at[1])}" if len(at) > 1 else "")


@dataclass(frozen=True)
class _Metric(_Adapter):
    """The reduced loss, under a name, as each library wants it."""

    prediction: Literal["logits", "probs"]
    name: str

    def __post_init__(self) -> None:
        _checked_loss(self.loss)
        if self.loss.reduction not in ("mean", "sum"):
            raise OptionError(f"reduction is {self.loss.reduction!r}, but a metric is one number: 'mean' or 'sum'.")
        if self.prediction not in ("logits", "probs"):
            raise OptionError(f"prediction is {self.prediction!r}; one of 'logits', 'probs' is allowed.")
        if not isinstance(self.name, str) or not re.fullmatch(r"[^\s:]+", self.name):
            raise OptionError(f"name is {self.name!r}; text without spaces and colons is allowed.")
        if self.library == "xgboost" and self.name.lower().startswith(_MAXIMISED):
            raise OptionError(
                f"name is {self.name!r}, but XGBoost's early stopping maximises what begins with "
                f"{', '.join(_MAXIMISED)}, and a loss is to be minimised. Give another name=."
            )
        object.__setattr__(self, "__name__", self.name)  # XGBoost's scikit-learn classes ask for it

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> Any:
        """The loss of (scores, data) or (labels, scores, sample_weight), with name and direction where wanted."""
        given = self._inputs(first, second, sample_weight)
        value = float(self.loss(given.labels, sample_weight=given.weight, **{self.prediction: given.scores}))
        if self.library == "lightgbm":
            return self.name, value, False
        return (self.name, value) if given.native else value


def _metric(loss: Any, library: Library, prediction: Any, name: str | None) -> _Metric:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(loss).__name__).lower()
    return _Metric(loss, library, prediction, words if name is None else name)


def xgboost_objective(loss: Any, *, curvature: Curvature = "exact") -> Callable[..., tuple[NDArray, NDArray]]:
    """A loss as objective of XGBoost: `xgb.train(..., obj=)` or `XGBClassifier(objective=)`.

        grad_ik = sw_i d loss_i / d z_ik,  hess_ik = sw_i c_ik      [unit]

    with c the curvature: "exact" d^2 loss / dz^2; "upper" the bound of `grad_and_hess`, never negative; "residual"
    |p - y|; "sum_to_zero" exact times K / (K - 1), Newton's step at p = 1 / K in the plane where a row's scores sum to
    zero. For CrossEntropy, "upper" is 2 p (1 - p), which is multi:softprob's own in XGBoost 3.2 and before; for
    BinaryCrossEntropy, "exact" is binary:logistic's own.

    Args:
        loss: a loss over classes for [N, K] scores, or of independent labels for [N] or [N, M]. Its `reduction` does
            not matter: a booster adds rows up.
        curvature: as above; "residual" for CrossEntropy and BinaryCrossEntropy, "sum_to_zero" for losses over classes.
    Returns: a callable of (scores, DMatrix) or (labels, scores, sample_weight=None): float32 (grad, hess), shaped like
        the scores, weighted, hess >= 1e-16 wherever grad is not 0. It raises OptionError where hess < 0, naming the
        row and class.
    Raises: OptionError.
    Source: Chen & Guestrin, KDD 2016, 785-794.

    >>> objective = xgboost_objective(CrossEntropy(), curvature="upper")
    >>> grad, hess = objective([0], np.zeros((1, 2), np.float32))
    >>> grad.tolist(), hess.tolist()
    ([[-0.5, 0.5]], [[0.5, 0.5]])
    """
    return _Objective(loss, "xgboost", curvature)


def lightgbm_objective(loss: Any, *, curvature: Curvature = "exact") -> Callable[..., tuple[NDArray, NDArray]]:
    """A loss as objective of LightGBM: `lgb.train({"objective": ...})` or `LGBMClassifier(objective=)`.

        grad_ik = sw_i d loss_i / d z_ik,  hess_ik = sw_i c_ik      [unit]

    with c the curvature, as in `xgboost_objective`. For CrossEntropy, "sum_to_zero" is K / (K - 1) p (1 - p),
    LightGBM's own for multiclass; for BinaryCrossEntropy, "exact" is its own for binary.

    Args:
        loss, curvature: as in `xgboost_objective`.
    Returns: a callable of (scores, Dataset) or (labels, scores, sample_weight=None): float32 (grad, hess), shaped like
        the scores, weighted, hess >= 0. It raises OptionError where hess < 0, naming the row and class.
    Raises: OptionError.
    Source: Ke et al., NeurIPS 2017, 3146-3154; K / (K - 1): Friedman, Ann. Statist. 29 (2001), 1189-1232, algorithm 6.

    >>> objective = lightgbm_objective(CrossEntropy(), curvature="sum_to_zero")
    >>> grad, hess = objective([0], np.zeros((1, 2)))
    >>> grad.tolist(), hess.tolist()
    ([[-0.5, 0.5]], [[0.5, 0.5]])
    """
    return _Objective(loss, "lightgbm", curvature)


def xgboost_metric(
    loss: Any, *, prediction: Literal["logits", "probs"] = "logits", name: str | None = None
) -> Callable[..., Any]:
    """A loss as metric of XGBoost: `xgb.train(..., custom_metric=)` or `XGBClassifier(eval_metric=)`.

        sum_i sw_i loss_i / sum_i sw_i D_i, or the sum      [unit]

    Smaller is better, and early stopping takes it so.

    Args:
        loss: as in `xgboost_objective`, with reduction "mean" or "sum".
        prediction: what the booster hands over: "logits" beside an objective of your own, "probs" beside a built-in
            objective, whose predictions are probabilities by then.
        name: in the training log; the loss's own name if not given.
    Returns: a callable: (name, value) for (scores, DMatrix), the value for (labels, scores, sample_weight=None).
    Raises: OptionError, also for a name that XGBoost would maximise.
    Source: as the loss.

    >>> round(xgboost_metric(CrossEntropy())([0], [[2.0, 0.0, 0.0]]), 6)
    0.239545
    """
    return _metric(loss, "xgboost", prediction, name)


def lightgbm_metric(
    loss: Any, *, prediction: Literal["logits", "probs"] = "logits", name: str | None = None
) -> Callable[..., tuple[str, float, bool]]:
    """A loss as metric of LightGBM: `lgb.train(..., feval=)` or `LGBMClassifier().fit(..., eval_metric=)`.

        sum_i sw_i loss_i / sum_i sw_i D_i, or the sum      [unit]

    Args:
        loss, prediction, name: as in `xgboost_metric`.
    Returns: a callable of (scores, Dataset) or (labels, scores, sample_weight=None): (name, value, False), where False
        says that smaller is better.
    Raises: OptionError.
    Source: as the loss.

    >>> name, value, larger_is_better = lightgbm_metric(BinaryCrossEntropy())([1, 0], [0.0, -2.0])
    >>> name, round(value, 6), larger_is_better
    ('binary_cross_entropy', 0.410038, False)
    """
    return _metric(loss, "lightgbm", prediction, name)
