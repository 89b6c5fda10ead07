"""The numbers of a case: every worker makes the same ones from the same seed, so nothing is sent between processes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Arrays", "Spec", "joined", "make", "softmax"]

NDArray = npt.NDArray[Any]
_SPREAD = 3.0  # standard deviation of logits
_JOINED = 1 << 14


@dataclass(frozen=True)
class Spec:
    """What a worker has to know of a case.

    kind: "index", "smoothed", "soft" (distributions as targets), "binary", "probs", "binary_probs", "linear" (index
        targets behind a linear layer: shape is rows, features, classes), or "score probs" and "score logits" (targets
        drawn from the predictions).
    dtype: "float32", "float64" or "bfloat16"; bfloat16 comes as float32, to be rounded by the library itself.
    axis: where the classes lie. memory_limit: bytes that crossent's linear loss may take, None for its default.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    axis: int = -1
    memory_limit: int | None = None

    @property
    def classes(self) -> int:
        return 1 if self.kind.startswith("binary") else self.shape[self.axis]


@dataclass
class Arrays:
    """The prediction (logits, probabilities or the layer's input, as the kind says), the truth, and the layer."""

    prediction: NDArray
    targets: NDArray
    weight: NDArray | None = None
    bias: NDArray | None = None


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
    if spec.kind == "linear":
        return _layer(rng, *spec.shape)
    z = rng.standard_normal(spec.shape, dtype=dtype)
    z *= _SPREAD
    if spec.kind.startswith("score"):
        return _calibrated(rng, z, logits=spec.kind == "score logits")
    if spec.kind == "binary":
        return Arrays(z, _coins(rng, spec.shape, dtype))
    if spec.kind == "soft":
        return Arrays(z, _distributions(rng, spec.shape, dtype))
    return Arrays(z, _labels(rng, spec))


def joined(parts: Iterable[Any]) -> NDArray:
    """Several arrays as one, for comparison: some of each, so that a small one is seen beside a large."""
    flat = [np.ravel(np.asarray(part)) for part in parts]
    return np.concatenate([part[:: max(1, part.size // _JOINED)] for part in flat])


def _layer(rng: np.random.Generator, rows: int, features: int, classes: int) -> Arrays:
    """Logits spread as those of the other kinds."""
    hidden = rng.standard_normal((rows, features), dtype=np.float32)
    weight = rng.standard_normal((classes, features), dtype=np.float32)
    weight *= np.float32(_SPREAD / features**0.5)
    bias = rng.standard_normal(classes, dtype=np.float32)
    return Arrays(hidden, rng.integers(0, classes, rows), weight, bias)


def _calibrated(rng: np.random.Generator, z: NDArray, *, logits: bool) -> Arrays:
    """Predictions that tell the truth about themselves: a race of exponential times draws each target from its row.

    Every class occurs, as some metrics want.
    """
    p = softmax(z)
    targets = (rng.standard_exponential(p.shape, dtype=p.dtype) / p).argmin(axis=1)
    few = min(p.shape)
    targets[:few] = np.arange(few)
    return Arrays(z if logits else p, targets)


def softmax(z: NDArray) -> NDArray:
    """The probabilities of rows of logits, in their type."""
    p: NDArray = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p


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
