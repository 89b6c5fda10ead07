"""Calls of every native function: arguments that fit, and ways of giving one that the function could not read."""

from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from crossent import _native  # type: ignore[attr-defined]  # built, not written

__all__ = ["CALLS", "NAMED", "NO_BAD_ROW", "OUTPUTS", "ROWS", "STORAGES", "K", "assert_refused", "call_of", "function"]

NO_BAD_ROW = np.iinfo(np.int64).max
ROWS, K = 12, 5
OUTPUTS = ("values", "grad", "hess", "row_sums", "notes", "state", "sums")


class Storage(NamedTuple):
    """The numbers in memory, what they are passed as, and the arithmetic's type."""

    numbers: Any
    passed: Any
    computed: Any


STORAGES = {
    "f32": Storage(np.float32, np.float32, np.float32),
    "f64": Storage(np.float64, np.float64, np.float64),
    "bf16": Storage(ml_dtypes.bfloat16, np.uint16, np.float32),
    "f16": Storage(np.float16, np.uint16, np.float32),
}


def stored(numbers: Any, kind: str) -> Any:
    """Numbers as the functions of this storage take them."""
    return np.asarray(numbers).astype(STORAGES[kind].numbers).view(STORAGES[kind].passed)


def function(name: str, kind: str) -> Any:
    """The native function of a call."""
    return getattr(_native, f"{name.split()[0]}_{kind}")


# ---------------------------------------------------------------- arguments that fit


def _blocks() -> dict[str, Any]:
    return {"block_rows": 5, "last": 3, "state": np.array([0, NO_BAD_ROW]), "sums": np.zeros((3, 3))}


def _targets(kind: str, *, soft: bool) -> dict[str, Any]:
    """What jobs of rows have in common."""
    return _blocks() | {
        "classes": K, "inner": 1, "labels": None if soft else np.arange(ROWS) % K,
        "soft": stored(np.full((ROWS, K), 1 / K), kind) if soft else None, "soft_factor": np.ones(ROWS),
        "class_weight": np.ones(K), "row_weight": np.ones(ROWS), "ignore_index": None, "sum_tolerance": -1.0,
    }  # fmt: skip


def _elements(kind: str) -> dict[str, Any]:
    """What jobs of independent labels have in common."""
    return _blocks() | {
        "columns": K, "pos_weight": np.ones(K), "weight": np.ones(ROWS), "smoothing": 0.0, "negative_weight": 1.0,
        "positive_weight": 1.0, "value_factor": 1.0, "grad_factor": 1.0,
        "values": np.zeros((ROWS, K), STORAGES[kind].computed), "grad": stored(np.zeros((ROWS, K)), kind),
    }  # fmt: skip


def _softmax(kind: str, *, soft: bool) -> dict[str, Any]:
    return _targets(kind, soft=soft) | {
        "logits": stored(np.random.default_rng(0).normal(size=(ROWS, K)), kind),
        "class_weight_lanes": np.ones(K, STORAGES[kind].computed), "smoothing": 0.0, "value_factor": 1.0,
        "grad_factor": 1.0, "output": 0, "values": np.zeros(ROWS, STORAGES[kind].computed),
        "grad": stored(np.zeros((ROWS, K)), kind), "hess": stored(np.zeros((ROWS, K)), kind), "stream": False,
    }  # fmt: skip


def _mass(kind: str, *, soft: bool) -> dict[str, Any]:
    return _targets(kind, soft=soft) | {"rows": ROWS, "row_sums": np.zeros(ROWS)}


def _sigmoid(kind: str, *, wide: bool) -> dict[str, Any]:
    return _elements(kind) | {
        "logits": stored(np.random.default_rng(0).normal(size=(ROWS, K)), kind),
        "targets": None if wide else np.zeros((ROWS, K), STORAGES[kind].computed),
        "wide_targets": np.zeros((ROWS, K)) if wide else None,
        "hess": stored(np.zeros((ROWS, K)), kind), "stream": False,
    }  # fmt: skip


def _probability(kind: str, *, soft: bool) -> dict[str, Any]:
    return _targets(kind, soft=soft) | {
        "probs": stored(np.full((ROWS, K), 1 / K), kind), "rows": ROWS, "smoothing": 0.1 if soft else 0.0,
        "value_factor": 1.0, "grad_factor": 1.0, "sum_tolerance": 1e-5, "silent": 1e-5, "refused": 0.01,
        "logarithms": False, "gathered": False, "look": True, "values": np.zeros(ROWS, STORAGES[kind].computed),
        "grad": stored(np.zeros((ROWS, K)), kind), "notes": np.zeros((3, 3)),
    }  # fmt: skip


def _binary_probability(kind: str) -> dict[str, Any]:
    return _elements(kind) | {
        "probs": stored(np.full((ROWS, K), 0.25), kind), "targets": np.zeros((ROWS, K), np.int64),
        "clamped": False,
    }  # fmt: skip


CALLS: dict[str, Callable[[str], dict[str, Any]]] = {
    "softmax": lambda kind: _softmax(kind, soft=False),
    "softmax soft": lambda kind: _softmax(kind, soft=True),
    "mass": lambda kind: _mass(kind, soft=False),
    "mass soft": lambda kind: _mass(kind, soft=True),
    "sigmoid": lambda kind: _sigmoid(kind, wide=False),
    "sigmoid wide": lambda kind: _sigmoid(kind, wide=True),
    "probability": lambda kind: _probability(kind, soft=False),
    "probability soft": lambda kind: _probability(kind, soft=True),
    "binary_probability": _binary_probability,
}
NAMED = [(name, kind) for name in CALLS for kind in STORAGES if "probability" not in name or kind in ("f32", "f64")]


def call_of(name: str, kind: str, **others: Any) -> dict[str, Any]:
    """Arguments that fit, in arrays of their own; then the others given."""
    return CALLS[name](kind) | others


# ---------------------------------------------------------------- refusals


def assert_refused(native: Any, call: dict[str, Any], label: Any) -> None:
    """ValueError or TypeError, and no output is written."""
    arrays = [call[name] for name in OUTPUTS if isinstance(call.get(name), np.ndarray)]
    outputs = [a for a in arrays if a.dtype != object]
    before = [a.tobytes() for a in outputs]
    try:
        native(**call)
    except (ValueError, TypeError, OverflowError, BufferError):
        assert [a.tobytes() for a in outputs] == before, f"{label}: refused, but an output was written"
        return
    raise AssertionError(f"{label} was taken")
