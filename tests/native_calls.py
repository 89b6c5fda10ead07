"""Calls of every native function: arguments that fit, and ways of giving one that the function could not read."""

from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from crossent import _native  # type: ignore[attr-defined]  # built, not written

__all__ = [
    "CALLS", "IN_BLOCKS", "NAMED", "NO_BAD_ROW", "OF_MATRICES", "ON_FEATURES", "OUTPUTS", "ROWS", "STORAGES", "K",
    "assert_refused", "call_of", "function", "outputs_of",
]  # fmt: skip

NO_BAD_ROW = np.iinfo(np.int64).max
ROWS, K = 12, 5
OUTPUTS = ("values", "grad", "hess", "row_sums", "notes", "state", "sums")
OF_MATRICES = {  # outputs of the functions on features
    "linear_logits": ("logits",), "linear_sums": ("sums",), "linear_step": ("buffer", "sums", "totals"),
    "column_moments": ("moments",), "gram": ("packed", "gram"), "sparse": ("out",),
    "sparse_transposed": ("out_values", "out_index", "out_starts"), "of_classes": (), "of_classes soft": (),
    "of_labels": (),
}  # fmt: skip
OF_CELLS = {  # of the functions on cells and exact sums
    "isotonic": ("curves",), "exact_reach": (), "exact_rows": ("digits",), "exact_ratio": ("digits", "units", "beyond"),
    "exact_ratio plain": ("digits", "units", "beyond"), "exact_add": ("digits",), "exact_trim": (),
    "exact_floats": ("floats",), "octave_cells": ("cells",),
}  # fmt: skip

_OF_ROWS = ("own_losses", "target", "confidence", "predicted", "cells", "sums", "found", "counts", "large")
OF_SCORES = {"score_rows": (*_OF_ROWS, "surprise", "zeros"), "score_rows terms": (*_OF_ROWS, "terms", "logs")}
_APART = OF_MATRICES | OF_CELLS | OF_SCORES  # jobs that draw no blocks


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
    if name.startswith("of_"):
        return getattr(_native.StepLoss, name.split()[0])
    if name in OF_CELLS:
        return getattr(_native, name.split()[0])
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


# features: ROWS x K, three outputs


def _features(kind: str) -> dict[str, Any]:
    return {"rows": stored(np.random.default_rng(0).normal(size=(ROWS, K)), kind), "center": np.zeros(K)}


def _linear_logits(kind: str) -> dict[str, Any]:
    return _features(kind) | {"coef": np.ones((3, K)), "intercept": np.zeros(3), "logits": np.zeros((ROWS, 3))}


def _linear_sums(kind: str) -> dict[str, Any]:
    return _features(kind) | {"slopes": np.ones((ROWS, 3)), "sums": np.zeros((3, K))}


def _linear_step(kind: str) -> dict[str, Any]:
    loss = _native.StepLoss.of_classes(**(_of_classes(soft=False) | {"classes": 3, "class_weight": None}))
    return _features(kind) | {
        "coef": np.ones((3, K)), "intercept": np.zeros(3), "loss": loss, "first": 0, "block_rows": 5,
        "buffer": np.zeros((5, 3)), "sums": np.zeros((3, K)), "totals": np.zeros(3),
    }  # fmt: skip


def _of_classes(*, soft: bool) -> dict[str, Any]:
    return {
        "rows": ROWS, "classes": K, "labels": None if soft else np.arange(ROWS) % 3,
        "soft": np.full((ROWS, K), 1 / K) if soft else None, "soft_factor": np.ones(ROWS), "class_weight": np.ones(K),
        "row_weight": np.ones(ROWS), "ignore_index": None, "smoothing": 0.0,
    }  # fmt: skip


def _of_labels() -> dict[str, Any]:
    return {
        "rows": ROWS, "columns": K, "targets": np.zeros((ROWS, K)), "pos_weight": np.ones(K), "weight": np.ones(ROWS),
        "smoothing": 0.0, "negative_weight": 1.0, "positive_weight": 1.0,
    }  # fmt: skip


def _column_moments(kind: str) -> dict[str, Any]:
    rows = _features(kind)["rows"]
    return {"rows": rows, "weight": np.ones(ROWS), "shift": np.zeros(K), "moments": np.zeros((5, K))}


def _gram(kind: str) -> dict[str, Any]:
    return _features(kind) | {
        "inverse_scale": np.ones(K), "weight": np.ones(ROWS), "first_panel": 0, "end_panel": 1,
        "packed": np.zeros((128, 24)), "gram": np.zeros((24, 24)),
    }  # fmt: skip


def _lines(kind: str) -> dict[str, Any]:
    """Four rows of K columns."""
    index = np.array([0, 4, 2, 1, 3, 4], np.int32)
    return {"values": stored(np.arange(1, 7), kind), "index": index, "starts": np.array([0, 2, 2, 5, 6])}


def _sparse(kind: str) -> dict[str, Any]:
    return _lines(kind) | {
        "first": 0, "end": 4, "other": np.ones((K, 8)), "outputs": 8, "base": np.zeros(8), "out": np.zeros((4, 8)),
    }  # fmt: skip


def _sparse_transposed(kind: str) -> dict[str, Any]:
    outputs = {"out_values": stored(np.zeros(6), kind), "out_index": np.zeros(6, np.int32)}
    return _lines(kind) | outputs | {"out_starts": np.zeros(K + 1, np.int64)}


def _isotonic() -> dict[str, Any]:
    """Three curves of K cells."""
    return {"totals": np.arange(3.0 * K).reshape(3, K) % 4, "weight": np.full(K, 4.0), "curves": np.zeros((3, K))}


# exact sums: ROWS rows in three groups


def _exact_rows() -> dict[str, Any]:
    rows = {"values": np.linspace(-1, 1, ROWS), "times": np.linspace(1, 2, ROWS), "groups": np.arange(ROWS) % 3}
    return rows | {"digits": np.zeros((3, 40), np.int64), "low": 0}


def _exact_ratio(*, plain: bool) -> dict[str, Any]:
    widths = np.array([(0, 0 if plain and k not in (0, 2, 5) else 40 + k) for k in range(9)])
    counts = {"units": np.zeros(3, np.int64), "beyond": np.zeros(3, np.int64)}
    return counts | {
        "a": np.linspace(0.1, 1, ROWS), "a_error": None if plain else np.full(ROWS, 1e-20),
        "b": None if plain else np.ones(ROWS), "product": False, "groups": np.arange(ROWS) % 3, "windows": widths,
        "digits": np.zeros((3, int(widths.sum())), np.int64),
    }  # fmt: skip


def _exact_add() -> dict[str, Any]:
    others = np.tile(np.array([7, 2**32 - 1, -3]), (4, 1))
    sums = {"groups": np.array([0, 2, 2, 1]), "digits": np.zeros((3, 6), np.int64), "low": 30}
    return {"others": others, "other_low": 31, "factor": 2**53} | sums


def _exact_digits() -> dict[str, Any]:
    return {"digits": np.tile(np.array([0, 5, -1, 0]), (3, 1))}


def _octave_cells() -> dict[str, Any]:
    edges = np.array([0, 0.25, 0.5, 1, 2, 4, np.inf])
    return {"numbers": np.linspace(0, 9, ROWS), "edges": edges, "per_octave": 1, "cells": np.zeros(ROWS, np.int64)}


def _score_rows(kind: str, *, terms: bool) -> dict[str, Any]:
    """Probabilities whose losses are computed, or logits whose losses are given."""
    rows = {name: np.zeros(ROWS) for name in ("own_losses", "target", "confidence")}
    sums = {"sums": np.zeros((32, 2), np.int64), "found": np.zeros(4), "counts": np.zeros(4, np.int64)}
    return rows | sums | {
        "values": stored(np.full((ROWS, K), 1 / K), kind), "labels": np.arange(ROWS) % K, "classes": K,
        "form": int(terms), "first": 0, "end": ROWS, "silent": 1e-5, "refused": 1e-2,
        "losses": np.ones(ROWS) if terms else None, "predicted": np.zeros(ROWS, np.int64),
        "slots": np.array([1, -1, 2, -1, 0]), "cells": np.zeros((3, _native.SCORE_CELLS, 2), np.int64),
        "surprise": None if terms else np.zeros((K, K, 2), np.int64),
        "zeros": None if terms else np.zeros((K, K), np.int64), "large": np.zeros(ROWS, np.int64),
        "terms": np.zeros((ROWS, 32)) if terms else None, "logs": np.zeros((ROWS, K)) if terms else None,
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
    "linear_logits": _linear_logits,
    "linear_sums": _linear_sums,
    "linear_step": _linear_step,
    "column_moments": _column_moments,
    "gram": _gram,
    "sparse": _sparse,
    "sparse_transposed": _sparse_transposed,
    "of_classes": lambda kind: _of_classes(soft=False),
    "of_classes soft": lambda kind: _of_classes(soft=True),
    "of_labels": lambda kind: _of_labels(),
    "isotonic": lambda kind: _isotonic(),
    "exact_reach": lambda kind: {"values": np.linspace(-1, 1, ROWS)},
    "exact_rows": lambda kind: _exact_rows(),
    "exact_ratio": lambda kind: _exact_ratio(plain=False),
    "exact_ratio plain": lambda kind: _exact_ratio(plain=True),
    "exact_add": lambda kind: _exact_add(),
    "exact_trim": lambda kind: _exact_digits(),
    "exact_floats": lambda kind: _exact_digits() | {"low": 30, "floats": np.zeros(3)},
    "octave_cells": lambda kind: _octave_cells(),
    "score_rows": lambda kind: _score_rows(kind, terms=False),
    "score_rows terms": lambda kind: _score_rows(kind, terms=True),
}


def kinds_of(name: str) -> tuple[str, ...]:
    """The storages that a function is there for."""
    if name.startswith("of_") or name in OF_CELLS:
        return ("f64",)
    return ("f32", "f64") if "probability" in name or name in OF_MATRICES | OF_SCORES else tuple(STORAGES)


NAMED = [(name, kind) for name in CALLS for kind in kinds_of(name)]
# jobs that threads share by blocks
IN_BLOCKS = [(name, kind) for name, kind in NAMED if name not in _APART]
ON_FEATURES = [(name, kind) for name, kind in NAMED if OF_MATRICES.get(name)]  # with outputs


def outputs_of(name: str) -> tuple[str, ...]:
    """The arguments that a function writes to."""
    named = tuple(argument for argument in OUTPUTS if argument in CALLS[name](kinds_of(name)[-1]))
    return _APART.get(name, named)


def call_of(name: str, kind: str, **others: Any) -> dict[str, Any]:
    """Arguments that fit, in arrays of their own; then the others given."""
    return CALLS[name](kind) | others


# ---------------------------------------------------------------- refusals


def assert_refused(native: Any, call: dict[str, Any], label: Any, written: tuple[str, ...] = OUTPUTS) -> None:
    """ValueError or TypeError, and no output is written."""
    arrays = [call[name] for name in written if isinstance(call.get(name), np.ndarray)]
    outputs = [a for a in arrays if a.dtype != object]
    before = [a.tobytes() for a in outputs]
    try:
        native(**call)
    except (ValueError, TypeError, OverflowError, BufferError):
        assert [a.tobytes() for a in outputs] == before, f"{label}: refused, but an output was written"
        return
    raise AssertionError(f"{label} was taken")
