"""The numbers of a case: every worker makes the same ones from the same seed, so nothing is sent between processes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Arrays", "Spec", "make"]

NDArray = npt.NDArray[Any]
_SPREAD = 3.0  # standard deviation of logits


@dataclass(frozen=True)
class Spec:
    """What a worker has to know of a case.

    kind: "index", "smoothed", "soft" (distributions as targets), "binary", "probs" or "binary_probs".
    dtype: "float32", "float64" or "bfloat16"; bfloat16 comes as float32, to be rounded by the library itself.
    axis: where the classes lie.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    axis: int = -1

    @property
    def classes(self) -> int:
        return 1 if self.kind.startswith("binary") else self.shape[self.axis]


@dataclass
class Arrays:
    """The prediction (logits, or probabilities where the kind says so) and the truth."""

    prediction: NDArray
    targets: NDArray


def make(spec: Spec) -> Arrays:
    """Random numbers of the kind and shape: predictions that do not know the truth, all classes equally likely."""
    rng = np.random.default_rng(20)
    dtype = np.float64 if spec.dtype == "float64" else np.float32
    if spec.kind == "binary_probs":
        p = rng.random(spec.shape)
        np.clip(p, 1e-6, 1 - 1e-6, out=p)
        return Arrays(p, _coins(rng, spec.shape, np.float64))
    if spec.kind == "probs":
        return Arrays(_distributions(rng, spec.shape, dtype), _labels(rng, spec))
    z = rng.standard_normal(spec.shape, dtype=dtype)
    z *= _SPREAD
    if spec.kind == "binary":
        return Arrays(z, _coins(rng, spec.shape, dtype))
    if spec.kind == "soft":
        return Arrays(z, _distributions(rng, spec.shape, dtype))
    return Arrays(z, _labels(rng, spec))


def _labels(rng: np.random.Generator, spec: Spec) -> NDArray:
    axis = spec.axis % len(spec.shape)
    return rng.integers(0, spec.classes, spec.shape[:axis] + spec.shape[axis + 1 :])


def _coins(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> NDArray:
    return rng.integers(0, 2, shape, dtype=np.uint8).astype(dtype)


def _distributions(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> NDArray:
    p = rng.random(shape, dtype=dtype)
    p += dtype(1e-3)
    p /= p.sum(axis=-1, keepdims=True)
    return p
