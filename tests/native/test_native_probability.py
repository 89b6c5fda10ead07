"""The probability kernels called directly: what does not fit is refused, nothing is read or written past its end."""

from typing import Any

import numpy as np
import pytest

from crossent import _native  # type: ignore[attr-defined]  # built, not written
from isas import ISAS, using_isa

NO_BAD_ROW = np.iinfo(np.int64).max
DTYPES = {"f32": np.float32, "f64": np.float64}
ROWS, K = 12, 5


def rows_call(dtype: Any) -> dict[str, Any]:
    """Arguments that fit: index targets, everything else given."""
    return {
        "probs": np.full((ROWS, K), 1 / K, dtype),
        "rows": ROWS,
        "classes": K,
        "inner": 1,
        "labels": np.arange(ROWS) % K,
        "soft": None,
        "soft_factor": None,
        "class_weight": np.ones(K),
        "row_weight": np.ones(ROWS),
        "ignore_index": None,
        "smoothing": 0.0,
        "value_factor": 1.0,
        "grad_factor": 1.0,
        "sum_tolerance": 1e-5,
        "silent": 1e-5,
        "refused": 0.01,
        "logarithms": False,
        "gathered": False,
        "look": True,
        "values": np.empty(ROWS, dtype),
        "grad": np.empty((ROWS, K), dtype),
        "notes": np.zeros((3, 3)),
        "block_rows": 5,
        "last": 3,
        "state": np.array([0, NO_BAD_ROW]),
        "sums": np.zeros((3, 3)),
    }


def soft_call(dtype: Any) -> dict[str, Any]:
    """Arguments that fit: distributions as targets."""
    soft = {"labels": None, "soft": np.full((ROWS, K), 1 / K, dtype), "soft_factor": np.ones(ROWS), "smoothing": 0.1}
    return rows_call(dtype) | soft


def binary_call(dtype: Any) -> dict[str, Any]:
    """Arguments that fit."""
    call = rows_call(dtype)
    kept = ("smoothing", "value_factor", "grad_factor", "grad", "block_rows", "last", "state", "sums")
    return {name: call[name] for name in kept} | {
        "probs": np.full((ROWS, K), 0.25, dtype),
        "targets": np.zeros((ROWS, K), np.int64),
        "columns": K,
        "pos_weight": np.ones(K),
        "weight": np.ones(ROWS),
        "negative_weight": 1.0,
        "positive_weight": 1.0,
        "values": np.empty((ROWS, K), dtype),
    }


CALLS = {"rows": rows_call, "soft": soft_call, "binary": binary_call}


def function(name: str, kind: str) -> Any:
    """The native function."""
    return getattr(_native, f"{'binary_probability' if name == 'binary' else 'probability'}_{kind}")


def is_refused(native: Any, call: dict[str, Any]) -> bool:
    """Whether the call raises ValueError or TypeError."""
    try:
        native(**call)
    except (ValueError, TypeError):
        return True
    return False


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_arguments_that_fit(name: str, kind: str) -> None:
    call = CALLS[name](DTYPES[kind])
    assert function(name, kind)(**call) is None
    assert call["state"].tolist() == [3, NO_BAD_ROW]
    assert call["sums"][:, 2].tolist() == ([5, 5, 2] if name != "binary" else [25, 25, 10])


ARRAYS = [
    (name, argument)
    for name, call in CALLS.items()
    for argument, value in call(np.float64).items()
    if isinstance(value, np.ndarray)
]


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize(("name", "argument"), ARRAYS)
def test_arrays_that_do_not_fit_are_refused(name: str, argument: str, kind: str) -> None:
    call = CALLS[name](DTYPES[kind])
    a = call[argument]
    flat = a.reshape(-1)
    wrong = {
        "one less": flat[:-1].copy(),
        "one more": np.concatenate([flat, flat[:1]]),
        "no element": np.empty(0, a.dtype),
        "complex": a.astype(np.complex64),
        "big-endian": a.astype(a.dtype.newbyteorder(">")),
        "half": np.zeros(a.shape, np.float16),
        "a list": a.tolist(),
    }
    if (name, argument) != ("binary", "weight"):  # numpy gives a strided array of one column the right order
        wrong["strided"] = np.repeat(a, 2, axis=-1)[..., ::2]
    for label, value in wrong.items():
        assert is_refused(function(name, kind), call | {argument: value}), f"{argument} as {label} was taken"
    assert not call["sums"].any()


@pytest.mark.parametrize("argument", ["values", "grad", "notes", "state", "sums"])
def test_read_only_outputs_are_refused(argument: str) -> None:
    call = rows_call(np.float64)
    call[argument].flags.writeable = False
    with pytest.raises((ValueError, TypeError, BufferError)):
        _native.probability_f64(**call)


NUMBERS: list[tuple[str, dict[str, Any]]] = [
    ("rows", {"rows": -1}),
    ("rows", {"rows": 11}),
    ("rows", {"rows": 2**62}),
    ("rows", {"classes": 0}),
    ("rows", {"classes": -5}),
    ("rows", {"classes": 2**62}),
    ("rows", {"inner": 0}),
    ("rows", {"inner": 5}),
    ("rows", {"inner": 3}),
    ("rows", {"inner": 3, "look": False}),
    ("rows", {"gathered": True}),
    ("rows", {"gathered": True, "look": False}),
    ("rows", {"labels": None}),
    ("rows", {"soft": np.full((ROWS, K), 1 / K)}),
    ("rows", {"block_rows": 0}),
    ("rows", {"block_rows": 3}),
    ("rows", {"state": np.array([-1, NO_BAD_ROW])}),
    ("soft", {"inner": 3, "look": False, "grad": None}),
    ("soft", {"gathered": True, "look": False}),
    ("binary", {"columns": 0}),
    ("binary", {"columns": 7}),
    ("binary", {"targets": None}),
    ("binary", {"probs": None}),
    ("binary", {"targets": np.zeros((ROWS, K), np.longdouble)}),
    ("binary", {"block_rows": -1}),
]


@pytest.mark.parametrize(("name", "wrong"), NUMBERS)
def test_numbers_that_do_not_fit_are_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        function(name, "f64")(**CALLS[name](np.float64) | wrong)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("look", [False, True])
def test_no_label_is_used_as_an_index_before_it_is_checked(look: bool, isa: str) -> None:
    with using_isa(isa):
        for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64):
            info = np.iinfo(dtype)
            for value in {info.min, info.max, K} - {0}:
                for smoothing in (0.0, 0.1):
                    call = rows_call(np.float64) | {"look": look, "smoothing": smoothing}
                    call["labels"] = np.zeros(ROWS, dtype)
                    call["labels"][7] = value
                    _native.probability_f64(**call)
                    assert call["state"][1] == 7 * 8 + 2


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_outputs_are_written_to_their_last_element_and_no_further(name: str, kind: str, isa: str) -> None:
    """Guards around every output stay as they were, whatever the tail; NaN around every input is not seen."""
    with using_isa(isa):
        for rows in (1, 2, 3, 8, 17, 64, 65, 131):
            call, guarded = CALLS[name](DTYPES[kind]), {}
            for argument, value in call.items():
                if isinstance(value, np.ndarray) and value.shape[:1] == (ROWS,):
                    guard = np.nan if value.dtype.kind == "f" and argument not in ("values", "grad") else 77
                    memory = np.full(16 + value.size // ROWS * rows + 16, guard, value.dtype)
                    part = memory[16:-16].reshape(rows, *value.shape[1:])
                    part[...] = np.resize(value, part.shape)
                    call[argument], guarded[argument] = part, memory
            call |= {"block_rows": rows, "last": 1, "sums": np.zeros((1, 3))}
            if name != "binary":
                call |= {"rows": rows, "notes": np.zeros((1, 3))}
            function(name, kind)(**call)
            assert call["state"][1] == NO_BAD_ROW
            assert np.isfinite(call["sums"]).all()
            assert np.isfinite(call["grad"]).all()
            for argument in ("values", "grad"):
                assert (guarded[argument][:16] == 77).all()
                assert (guarded[argument][-16:] == 77).all()


def test_a_bad_row_is_left_as_it_was() -> None:
    """In place: the message shows what the row held, so the kernel does not write it."""
    call = rows_call(np.float64)
    p = call["probs"]
    p[7, 2] = 9.0
    before = p[7].copy()
    _native.probability_f64(**call | {"grad": p})
    assert call["state"][1] == 7 * 8 + 5
    np.testing.assert_array_equal(p[7], before)
    p[7, 2] = 0.5
    call["state"][:] = 0, NO_BAD_ROW
    _native.probability_f64(**call | {"probs": np.where(p == 0.5, p, 0.2)})
    assert call["state"][1] == 7 * 8 + 6
