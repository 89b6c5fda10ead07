"""SciPy and NumPy as tutorials write it, as a worker: log_softmax, or what NumPy alone offers."""

from typing import Any

import numpy as np

from .data import NDArray, Spec, make

__all__ = ["host", "prepare", "versions"]


def versions() -> dict[str, str]:
    """What is measured."""
    import scipy

    return {"scipy": scipy.__version__, "numpy": np.__version__}


def host(gradient: Any) -> Any:
    """The gradient as a NumPy array."""
    return gradient


def _log_softmax_of(flavour: str) -> Any:
    if flavour == "scipy":
        import scipy.special

        return scipy.special.log_softmax

    def log_softmax(z: NDArray, axis: int) -> NDArray:
        shifted = z - z.max(axis=axis, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))

    return log_softmax


def _index(z: NDArray, y: NDArray, log_softmax: Any) -> dict[str, Any]:
    rows = np.arange(len(y))

    def gradient() -> tuple[float, NDArray]:
        log_p = log_softmax(z, axis=1)
        value = -log_p[rows, y].mean()
        g = np.exp(log_p)
        g[rows, y] -= 1
        g /= len(y)
        return value, g

    return {"forward": lambda: (-log_softmax(z, axis=1)[rows, y].mean(), None), "gradient": gradient}


def _distributed(z: NDArray, q: NDArray, log_softmax: Any) -> dict[str, Any]:
    def gradient() -> tuple[float, NDArray]:
        log_p = log_softmax(z, axis=1)
        value = -(q * log_p).sum(axis=1).mean()
        g = np.exp(log_p)
        g -= q
        g /= len(q)
        return value, g

    return {"forward": lambda: (-(q * log_softmax(z, axis=1)).sum(axis=1).mean(), None), "gradient": gradient}


def _binary(z: NDArray, y: NDArray) -> dict[str, Any]:
    def value() -> Any:
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient() -> tuple[float, NDArray]:
        return value(), (1 / (1 + np.exp(-z)) - y) / np.float32(z.size)

    return {"forward": lambda: (value(), None), "gradient": gradient}


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The runs of a case; `flavour` is "scipy" or "numpy". Both use one thread: they have no other."""
    arrays = make(spec)
    z, y = arrays.prediction, arrays.targets
    if spec.kind == "probs":
        rows = np.arange(len(y))
        return {"forward": lambda: (-np.log(z[rows, y]).mean(), None)}
    if spec.kind == "binary_probs":
        return {"forward": lambda: (-np.log(np.where(y == 1, z, 1 - z)).mean(), None)}
    if spec.kind == "binary":
        return _binary(z, y)
    log_softmax = _log_softmax_of(flavour)
    return _distributed(z, y, log_softmax) if spec.kind == "soft" else _index(z, y, log_softmax)
