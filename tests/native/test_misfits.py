"""Native functions on arrays that lie badly or hold something else, in every storage: refused, nothing written."""

from contextlib import suppress
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossent import _native  # type: ignore[attr-defined]  # built, not written
from isas import ISAS, using_isa

NO_BAD_ROW = np.iinfo(np.int64).max
ROWS, K = 12, 5
# what each function's arrays hold, and the arithmetic's type
KINDS = {
    "f32": (np.float32,) * 2,
    "f64": (np.float64,) * 2,
    "bf16": (np.uint16, np.float32),
    "f16": (np.uint16, np.float32),
}
FUNCTIONS = [
    (name, kind) for kind in KINDS for name in ("softmax", "mass", "sigmoid") if hasattr(_native, f"{name}_{kind}")
]


def bits(values: Any, kind: str) -> Any:
    """Numbers as the functions of this kind take them."""
    halves = {"bf16": ml_dtypes.bfloat16, "f16": np.float16}
    return (
        np.asarray(values).astype(halves[kind]).view(np.uint16)
        if kind in halves
        else np.asarray(values, KINDS[kind][0])
    )


def arguments(name: str, kind: str, *, soft: bool = False) -> dict[str, Any]:
    """Arguments that fit."""
    S, T = KINDS[kind]
    blocks = {"block_rows": 5, "last": 3, "state": np.array([0, NO_BAD_ROW]), "sums": np.zeros((3, 3))}
    z = bits(np.random.default_rng(0).normal(size=(ROWS, K)), kind)
    if name == "sigmoid":
        return blocks | {
            "logits": z, "columns": K, "targets": np.zeros((ROWS, K), T), "wide_targets": None,
            "pos_weight": np.ones(K), "weight": np.ones(ROWS), "smoothing": 0.0, "negative_weight": 1.0,
            "positive_weight": 1.0, "value_factor": 1.0, "grad_factor": 1.0, "values": np.zeros((ROWS, K), T),
            "grad": np.zeros((ROWS, K), S), "hess": np.zeros((ROWS, K), S), "stream": False,
        }  # fmt: skip
    both = blocks | {
        "classes": K, "inner": 1, "labels": None if soft else np.arange(ROWS) % K, "soft_factor": np.ones(ROWS),
        "soft": bits(np.full((ROWS, K), 1 / K), kind) if soft else None, "class_weight": np.ones(K),
        "row_weight": np.ones(ROWS), "ignore_index": None, "sum_tolerance": -1.0,
    }  # fmt: skip
    if name == "mass":
        return both | {"rows": ROWS, "row_sums": np.zeros(ROWS)}
    return both | {
        "logits": z, "class_weight_lanes": np.ones(K, T), "smoothing": 0.0, "value_factor": 1.0, "grad_factor": 1.0,
        "output": 0, "values": np.zeros(ROWS, T), "grad": np.zeros((ROWS, K), S), "hess": np.zeros((ROWS, K), S),
        "stream": False,
    }  # fmt: skip


def misaligned(a: Any) -> Any:
    """The same numbers one byte beside where the processor wants them."""
    memory = np.zeros(a.nbytes + 1, np.uint8)
    b = memory[1:].view(a.dtype).reshape(a.shape)
    b[...] = a
    assert not b.flags.aligned
    return b


def misfits(a: Any) -> dict[str, Any]:
    """The argument in ways that a kernel could not read."""
    wrong = {
        "misaligned": misaligned(a),
        "float16": np.zeros(a.shape, np.float16),
        "bfloat16": np.zeros(a.shape, ml_dtypes.bfloat16),
        "signed of that size": a.view(f"i{a.itemsize}") if a.dtype.kind != "i" else a.view(f"f{a.itemsize}"),
        "bytes": np.zeros(a.nbytes, np.uint8),
        "long double": a.astype(np.longdouble),
        "complex": a.astype(np.complex128),
        "objects": a.astype(object),
        "records": a.astype([("x", a.dtype)]),
        "backwards": a[::-1],
        "every other": np.repeat(a, 2, axis=0)[::2],
        "all alike": np.broadcast_to(a.reshape(-1)[:1], a.shape),
        "one axis more": np.zeros((2, *a.shape), a.dtype),
        "a number": 1.0,
        "Ellipsis": ...,
    }
    return {
        label: b for label, b in wrong.items() if not (isinstance(b, np.ndarray) and b.dtype == a.dtype and fits(a, b))
    }


def fits(a: Any, b: Any) -> bool:
    """Whether b is as good as a."""
    return bool(b.size == a.size and b.flags.c_contiguous and b.flags.aligned)


def assert_refused(native: Any, call: dict[str, Any], label: str) -> None:
    """ValueError or TypeError, and no output is written."""
    outputs = [
        call[n] for n in ("values", "grad", "hess", "sums", "state", "row_sums") if isinstance(call.get(n), np.ndarray)
    ]
    before = [a.copy() for a in outputs if a.dtype != object]
    try:
        native(**call)
    except (ValueError, TypeError, BufferError):
        for a, b in zip([a for a in outputs if a.dtype != object], before, strict=True):
            np.testing.assert_array_equal(a, b)
        return
    raise AssertionError(f"{label} was taken")


@pytest.mark.parametrize(("name", "kind"), FUNCTIONS)
@pytest.mark.parametrize("soft", [False, True])
def test_misfits_are_refused(name: str, kind: str, soft: bool) -> None:
    native = getattr(_native, f"{name}_{kind}")
    call = arguments(name, kind, soft=soft)
    native(**call)
    assert call["state"].tolist() == [3, NO_BAD_ROW]
    for argument, value in arguments(name, kind, soft=soft).items():
        if not isinstance(value, np.ndarray):
            continue
        for label, wrong in misfits(value).items():
            if argument == "labels" and label in ("signed of that size", "float16"):
                wrong = wrong.astype(np.float64) if label != "float16" else wrong
            assert_refused(native, arguments(name, kind, soft=soft) | {argument: wrong}, f"{argument} as {label}")


@given(data=st.data())
@pytest.mark.parametrize(("name", "kind"), FUNCTIONS)
def test_random_sizes_run_or_are_refused(name: str, kind: str, data: Any) -> None:
    """Any of the sizes changed: never a crash, and a call that runs stays within its arrays (ASan looks on)."""
    call = arguments(name, kind, soft=data.draw(st.booleans()))
    for argument, value in call.items():
        if data.draw(st.integers(0, 9)):
            continue
        if isinstance(value, np.ndarray):
            call[argument] = np.zeros(data.draw(st.integers(0, 70)), value.dtype)
        elif argument in ("classes", "inner", "block_rows", "last", "rows", "columns", "output", "ignore_index"):
            call[argument] = data.draw(st.sampled_from([-1, 0, 1, 2, 3, 4, 12, 60, 2**31, 2**62, 2**63 - 1, -(2**63)]))
    with suppress(ValueError, TypeError, OverflowError):
        getattr(_native, f"{name}_{kind}")(**call)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inner", [1, 2])
def test_nothing_is_read_through_a_label_that_is_bad_or_ignored(kind: str, isa: str, inner: int) -> None:
    """Confident rows, class weights, a label far outside: what a tile finishes row by row must not look it up."""
    z = np.zeros((ROWS, K))
    z[:, 0] = 3e4
    for label in (2**40, -(2**40), 255, -1):
        for ignored in (True, False):
            call = arguments("softmax", kind) | {"inner": inner, "logits": bits(z, kind)}
            call["labels"] = np.full(ROWS, label)
            call["ignore_index"] = label if ignored else None
            with using_isa(isa):
                getattr(_native, f"softmax_{kind}")(**call)
            assert call["state"][1] == (NO_BAD_ROW if ignored else 2)
            assert ignored is False or not call["grad"].any()
