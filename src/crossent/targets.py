"""Making targets and weights: class weights from counts, and distributions in place of labels for near misses."""

import math
from collections.abc import Hashable, Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np

from crossent.core.check import float_array, unmasked
from crossent.core.labels import class_position, class_targets
from crossent.core.types import ArrayLike, NDArray
from crossent.core.weights import real_numbers
from crossent.errors import DtypeError, LabelError, OptionError, ShapeError, UnsupportedError, WeightError

__all__ = ["balanced_weights", "soften"]

_SUM_TOLERANCE = 1e-5


def balanced_weights(counts: ArrayLike, *, beta: float | None = None) -> NDArray:
    """Class weights that make up for imbalance, from the number of rows of each class.

        beta given:  w_k = c (1 - beta) / (1 - beta^n_k),  with c such that sum_k w_k = K'
        beta=None:   w_k = n / (K' n_k)

    with n = sum_k n_k, and K' the number of classes that occur (n_k > 0); others get 0. (1 - beta^n_k) / (1 - beta) is
    the effective number of rows of a class whose rows overlap: beta=0 gives 1 for every class that occurs, beta -> 1
    the proportions of beta=None. The scale differs there: beta=None makes the mean weight of a row 1, which is what
    class_weight="balanced" does where every class occurs. A mean loss does not depend on the scale.

    Args:
        counts: [K] numbers of rows >= 0 (or sums of their weights), at least one > 0.
        beta: in [0, 1), often 0.9, 0.99, 0.999 or (n - 1) / n; None for weights inverse to the counts.
    Returns: float64 [K], for class_weight=.
    Raises: WeightError, ShapeError, OptionError.
    Source: Cui, Jia, Lin, Song & Belongie, CVPR 2019; King & Zeng, Political Analysis 9 (2001), 137-163.

    >>> balanced_weights([90, 10]).round(4).tolist()
    [0.5556, 5.0]
    >>> balanced_weights([90, 10], beta=0.9).round(4).tolist()
    [0.7889, 1.2111]
    """
    n = _counts(counts)
    occurs = n > 0
    if beta is None:
        size = n / n.max()
        effective = size[occurs]
        scale = size.sum() / np.count_nonzero(occurs)
    else:
        _within("beta", beta, 0 <= _number(beta) < 1, "a number from 0 to below 1, or None for the limit at 1,")
        decay = math.log(float(beta)) if beta else -math.inf
        effective = -np.expm1(n[occurs] * decay)
        effective = effective / effective.min()
        scale = np.count_nonzero(occurs) / (1 / effective).sum()
    weights = np.zeros(n.shape)
    with np.errstate(over="ignore", divide="ignore"):
        weights[occurs] = scale / effective
    if not np.isfinite(weights).all():
        k = int(np.argmax(~np.isfinite(weights)))
        raise WeightError(f"counts[{k}] is {float(n[k])}, too small beside the largest, {float(n.max())}. Make it 0.")
    return weights


def _counts(counts: Any) -> NDArray:
    n = real_numbers(counts, "counts")
    if n.ndim != 1 or n.size == 0:
        raise ShapeError(f"counts has shape {n.shape}; one number for each class, shape (K,), is needed.")
    good = (n >= 0) & (n < np.inf)
    if not good.all():
        k = int(np.argmin(good))
        raise WeightError(f"counts[{k}] is {float(n[k])}; finite numbers >= 0 are allowed.")
    if not n.any():
        raise WeightError("counts are all 0: no class occurs, and nothing can be balanced.")
    return n


def soften(
    targets: Any,
    *,
    amount: float = 0.1,
    similarity: ArrayLike | None = None,
    scale: ArrayLike | Literal["ordinal"] | None = None,
    width: float = 1.0,
    classes: int | Sequence[Hashable] | None = None,
) -> NDArray:
    """Distributions in place of labels: a share of each target goes to the classes that are like it.

        q'_j = (1 - amount) q_j + amount sum_i q_i s_ij,  s_ij = S_ij / sum_k S_ik

    with q = 1 at the label. S is `similarity`; or exp(-|x_i - x_j| / width) for classes on a scale with places x; or
    all ones, which is label smoothing. So a near miss costs less than a blunder.

    Args:
        targets: [...] class indices in 0..K-1, names (with classes=), or [..., K] floats (or bool): distributions.
        amount: in [0, 1], the share that moves; with 1 the target is row s_y itself, as in the last two sources.
        similarity: S, [K, K] numbers >= 0, row i how like class i the others are; each row needs a positive sum. The
            diagonal counts too: with S_ii = 0 the whole share moves away.
        scale: "ordinal" for classes in their order at equal distances, x_k = k, or [K] places x of the classes.
        width: > 0, the distance at which likeness falls by e.
        classes: K, or the K class names in column order; not needed if similarity, scale or targets have K columns.
    Returns: float64 [..., K], rows that sum to 1, for targets of any loss over classes.
    Raises: LabelError, ShapeError, WeightError, OptionError, DtypeError, UnsupportedError.
    Source: Szegedy, Vanhoucke, Ioffe, Shlens & Wojna, CVPR 2016 (label smoothing); Bertinetto, Mueller, Tertikas,
        Samangooei & Lord, CVPR 2020 (S = exp(-b d) by distance in a tree); Diaz & Marathe, CVPR 2019 (ordinal).

    >>> soften([0, 2], classes=4, amount=0.2).round(3).tolist()
    [[0.85, 0.05, 0.05, 0.05], [0.05, 0.05, 0.85, 0.05]]
    >>> soften(["owl"], similarity=[[1, 1, 0], [1, 1, 0], [0, 0, 1]], classes=["cat", "dog", "owl"]).tolist()
    [[0.0, 0.0, 1.0]]
    >>> soften([1], scale="ordinal", classes=5, amount=1.0).round(3).tolist()
    [[0.192, 0.521, 0.192, 0.07, 0.026]]
    """
    _within("amount", amount, 0 <= _number(amount) <= 1, "a number from 0 to 1")
    _within("width", width, 0 < _number(width) < math.inf, "a finite number > 0")
    y = unmasked(targets, "targets")
    soft = y.dtype.kind in "fb" or y.dtype.name == "bfloat16"
    S, K = _matrix(similarity, scale, float(width), _known_classes(classes, y if soft else None))
    if soft:
        q = _distributions(y, K)
        return (1 - amount) * q + amount * (q.sum(axis=-1, keepdims=True) / K if S is None else q @ S)
    labels = _labels(y, K, classes)
    out = np.full((*labels.shape, K), amount / K) if S is None else amount * S[labels]
    rows = out.reshape(-1, K)
    rows[np.arange(labels.size), labels.reshape(-1)] += 1 - amount
    return rows.reshape(out.shape)


def _number(value: Any) -> float:
    return math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)


def _within(name: str, value: Any, fits: bool, allowed: str) -> None:
    if not fits:
        raise OptionError(f"{name} is {value!r}; {allowed} is allowed.")


def _known_classes(classes: Any, soft: NDArray | None) -> dict[str, int]:
    """Who says how many classes there are: what is said, by whom."""
    known: dict[str, int] = {}
    if isinstance(classes, Integral):
        number = int(classes) if _number(classes) >= 1 else 0
        _within("classes", classes, number >= 1, "a number of classes >= 1, or a list of their names,")
        known["classes"] = number
    elif classes is not None:
        known["classes"] = len(class_position(classes))
    if soft is not None:
        if soft.ndim == 0 or soft.shape[-1] == 0:
            raise ShapeError(
                f"targets are {soft.dtype} of shape {soft.shape}, which are distributions [..., K]. Pass class indices "
                "as integers."
            )
        known["targets"] = soft.shape[-1]
    return known


def _matrix(similarity: Any, scale: Any, width: float, known: dict[str, int]) -> tuple[NDArray | None, int]:
    """The rows s_i, None if all are uniform, and K; everybody who names K must agree."""
    if similarity is not None and scale is not None:
        raise UnsupportedError("similarity and scale are two ways to say which classes are alike; give one of them.")
    S, places = None, None
    if similarity is not None:
        S = _similarity(similarity)
        known = {**known, "similarity": len(S)}
    elif isinstance(scale, str):
        if scale != "ordinal":
            raise OptionError(f"scale is {scale!r}; 'ordinal' or the places of the classes is allowed.")
    elif scale is not None:
        places = _places(scale)
        known = {**known, "scale": len(places)}
    if not known:
        raise UnsupportedError("the number of classes is not known. Pass classes=, their number or their names.")
    if len(set(known.values())) > 1:
        said = " and ".join(f"{K} for {who}" for who, K in known.items())
        raise ShapeError(f"the number of classes is {said}: they must agree.")
    K = next(iter(known.values()))
    if scale is not None:
        x = np.arange(float(K)) if places is None else places
        with np.errstate(over="ignore", under="ignore"):
            S = np.exp(-np.abs(x[:, None] - x) / width)
    return None if S is None else S / S.sum(axis=1, keepdims=True), K


def _similarity(similarity: Any) -> NDArray:
    """S with rows whose largest number is 1."""
    S = real_numbers(similarity, "similarity")
    if S.ndim != 2 or S.shape[0] != S.shape[1] or S.size == 0:
        raise ShapeError(f"similarity has shape {S.shape}; a row and a column for each class, shape (K, K), is needed.")
    good = np.isfinite(S) & (S >= 0)
    if not good.all():
        i, j = (int(v) for v in np.argwhere(~good)[0])
        raise WeightError(f"similarity[{i}, {j}] is {float(S[i, j])}; finite numbers >= 0 are allowed.")
    top = S.max(axis=1, keepdims=True)
    if not top.all():
        i = int(np.argmin(top[:, 0]))
        raise WeightError(
            f"similarity[{i}] sums to 0, so the share of class {i} has nowhere to go. Put 1 at similarity[{i}, {i}] to "
            "leave its targets as they are."
        )
    rows: NDArray = S / top
    return rows


def _places(scale: Any) -> NDArray:
    x: NDArray = float_array(scale, "scale").astype(np.float64)
    if x.ndim != 1 or x.size == 0:
        raise ShapeError(f"scale has shape {x.shape}; the place of each class, shape (K,), or 'ordinal' is needed.")
    if not np.isfinite(x).all():
        k = int(np.argmin(np.isfinite(x)))
        raise OptionError(f"scale[{k}] is {float(x[k])}; finite places are allowed.")
    return x


def _labels(y: NDArray, K: int, classes: Any) -> NDArray:
    """Integers or names as column numbers."""
    names = None if isinstance(classes, Integral) else classes
    if names is None and y.dtype.kind in "iu" and y.ndim > 1 and y.shape[-1] == K > 1 and _one_hot(y):
        raise LabelError(
            "targets are integers that look one-hot, but integers are class indices here. Pass targets.astype(float) "
            "for distributions, or targets.reshape(-1) for indices."
        )
    if names is None and y.dtype.kind not in "iuUSTO":
        raise DtypeError(f"targets have dtype {y.dtype}; integers, names or floats are allowed.")
    labels = class_targets(y, (*y.shape, K), y.ndim, classes=names, ignore_index=None).labels
    assert labels is not None
    outside = (labels < 0) | (labels >= K)
    if outside.any():
        row = tuple(int(i) for i in np.argwhere(outside)[0])
        raise LabelError(
            f"{_place(row)} is {int(labels[row])}, but there are {K} classes (labels 0..{K - 1}). If the labels begin "
            "at 1, pass targets - 1; to leave a row out, give it any label here and sample_weight 0 in the loss."
        )
    return labels


def _place(row: tuple[int, ...]) -> str:
    return f"targets[{', '.join(map(str, row))}]" if row else "targets"


def _one_hot(y: NDArray) -> bool:
    """Whether every row is one 1 among zeros."""
    return y.size > 0 and bool(((y == 0) | (y == 1)).all() and (y.sum(axis=-1) == 1).all())


def _distributions(y: NDArray, K: int) -> NDArray:
    q = y.astype(np.float64)
    sums = q.sum(axis=-1)
    good = ((q >= 0) & (q < np.inf)).all(axis=-1) & (np.abs(sums - 1) <= _SUM_TOLERANCE)
    if not good.all():
        row = tuple(int(i) for i in np.argwhere(~good)[0])
        raise LabelError(
            f"{_place(row)} is {q[row].tolist() if K <= 8 else 'a row'} with sum {float(sums[row]):g}; floats are "
            "distributions: >= 0 with sum 1. Pass class indices as integers."
        )
    return q
