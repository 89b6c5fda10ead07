"""Row and class weights: their shapes, ranges, and what "balanced" means."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from crossent import _native
from crossent.core.check import unmasked
from crossent.core.labels import Targets, class_position, label_error, value_text
from crossent.core.types import NDArray
from crossent.errors import ShapeError, WeightError

__all__ = [
    "balanced",
    "balanced_by",
    "class_weights",
    "largest",
    "log_priors",
    "real_numbers",
    "row_weights",
    "sum_by_class",
    "unit_scaled",
]

_SMALLEST_PRIOR = 1e-300


def real_numbers(value: Any, name: str) -> NDArray:
    """Weights as contiguous float64; anything but real numbers is refused."""
    array = unmasked(value, name)
    if array.dtype.kind not in "buif" and array.dtype.name != "bfloat16":
        raise WeightError(f"{name} has dtype {array.dtype}; real numbers >= 0 are allowed.")
    return np.require(array, np.float64, ["C", "A"])


def largest(weights: NDArray) -> float:
    """The largest of weights >= 0, 0 without any; nan if one is."""
    return float(np.maximum.reduce(weights, axis=None, initial=0.0))


def _all_good(weights: NDArray) -> bool:
    """Whether all are finite and >= 0."""
    return bool(np.minimum.reduce(weights, axis=None, initial=0.0) == 0) and largest(weights) < np.inf


def row_weights(sample_weight: Any, shape: tuple[int, ...]) -> NDArray | None:
    """Weights as contiguous float64 of the given shape; finite and >= 0."""
    if sample_weight is None:
        return None
    w = real_numbers(sample_weight, "sample_weight")
    if w.shape != shape:
        raise ShapeError(f"sample_weight has shape {w.shape}, the rows {shape}: they must agree.")
    if not _all_good(w):
        good = (w >= 0) & (w < np.inf)
        row = tuple(int(i) for i in np.argwhere(~good)[0])
        where = f"sample_weight[{', '.join(map(str, row))}]" if row else "sample_weight"
        raise WeightError(f"{where} is {float(w[row])}; finite weights >= 0 are allowed.")
    return w


def class_weights(
    weight: Any, K: int, classes: Sequence[Hashable] | None, name: str = "class_weight"
) -> NDArray | None:
    """Class weights as float64 [K], from an array or a mapping of class to weight (1 for a class left out)."""
    if weight is None:
        return None
    if isinstance(weight, Mapping):
        position = class_position(classes) if classes is not None else {k: k for k in range(K)}
        w = np.ones(K)
        for key, value in weight.items():
            if key not in position:
                hint = "" if classes is not None else " Weights keyed by name need classes=."
                raise WeightError(f"{name} names {value_text(key)}, which is not a class.{hint}")
            number = real_numbers(value, f"{name}[{value_text(key)}]")
            if number.ndim:
                raise WeightError(f"{name}[{value_text(key)}] has shape {number.shape}; one number is allowed.")
            w[position[key]] = number
    else:
        w = real_numbers(weight, name)
    if w.shape != (K,):
        raise ShapeError(f"{name} has shape {w.shape}, but there are {K} classes: shape ({K},) is needed.")
    if not _all_good(w):
        k = int(np.argmin((w >= 0) & (w < np.inf)))
        raise WeightError(f"{name}[{k}] is {float(w[k])}; finite weights >= 0 are allowed.")
    return w


def log_priors(priors: Any) -> NDArray:
    """[2, K]: the logarithms of class frequencies divided by their sum, and what rounding those logarithms lost."""
    counts = real_numbers(priors, "priors")
    if counts.ndim != 1 or not counts.size:
        raise ShapeError(f"priors has shape {counts.shape}; one number for each class, shape (K,), is needed.")
    bad = ~((counts > 0) & (counts < np.inf))
    if bad.any():
        k = int(np.argmax(bad))
        hint = " Add 1 to every count if a class has not occurred yet." if counts[k] == 0 else ""
        raise WeightError(f"priors[{k}] is {float(counts[k])}; finite numbers > 0 are allowed.{hint}")
    scaled = np.ldexp(counts, -math.frexp(largest(counts))[1])
    p = scaled / scaled.sum()
    if not p.min() > _SMALLEST_PRIOR:
        raise WeightError(f"priors[{int(np.argmin(p))}] is {p.min():g} of their sum; {_SMALLEST_PRIOR:g} is the least.")
    result = np.stack([np.log(p), np.zeros_like(p)])
    _native.elementary("log_rest", p, result[0], result[1])
    return result


def unit_scaled(weights: NDArray | None) -> NDArray | None:
    """Weights of a mean, where only ratios matter, moved by an exact power of two if they are very large or small."""
    if weights is None:
        return None
    exponent = math.frexp(largest(weights))[1]
    return weights if abs(exponent) < 64 else np.ldexp(weights, -exponent)


def balanced(targets: Targets, K: int, row_weight: NDArray | None, soft_factor: NDArray | None) -> NDArray:
    """n / (K count_k), counted with the row weights over the rows kept; 0 for a class that does not occur."""
    w = None if row_weight is None else row_weight.reshape(-1)
    if targets.labels is not None:
        labels = targets.labels.reshape(-1)
        kept = np.ones(labels.shape, bool) if w is None else w > 0
        if targets.ignore_index is not None:
            kept &= labels != targets.ignore_index
        outside = kept & ((labels < 0) | (labels >= K))
        if outside.any():
            raise label_error(targets.labels, int(np.argmax(outside)), K, targets.ignore_index)
        count = np.bincount(labels[kept].astype(np.int64), w if w is None else w[kept], minlength=K).astype(np.float64)
    else:
        assert targets.soft is not None
        soft = np.moveaxis(targets.soft, targets.axis, -1).reshape(-1, K)
        factor = np.ones(len(soft)) if soft_factor is None else soft_factor
        kept = np.ones(len(soft), bool) if w is None else w > 0
        count = sum_by_class(factor if w is None else factor * w, soft, kept)
    return balanced_by(count)


def sum_by_class(weight: NDArray, soft: NDArray, kept: NDArray) -> NDArray:
    """sum_i weight_i q_i over the rows kept, of targets that are checked later."""
    with np.errstate(invalid="ignore", over="ignore"):
        return weight[kept] @ soft[kept].astype(np.float64)


def balanced_by(count: NDArray) -> NDArray:
    """n / (K count_k); 0 for a class that does not occur."""
    with np.errstate(invalid="ignore", over="ignore"):
        weights = np.zeros(len(count))
        np.divide(count.sum(), len(count) * count, out=weights, where=count > 0)
    return weights
