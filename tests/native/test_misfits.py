"""Native functions on arrays and numbers that do not fit, in every storage: refused, nothing read or written."""

from contextlib import suppress
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossent import _native  # type: ignore[attr-defined]  # built, not written
from native_calls import CALLS, NAMED, NO_BAD_ROW, ROWS, K, assert_refused, call_of, function, outputs_of

INTEGERS = [np.dtype(f"{sign}{size}") for sign in "iu" for size in (1, 2, 4, 8)]
TARGETS = [*INTEGERS, np.dtype(bool), np.dtype(np.float32), np.dtype(np.float64)]  # of binary_probability


def taken(name: str, argument: str, a: Any) -> list[Any]:
    """The dtypes that the argument may have."""
    several = {"labels": INTEGERS, "targets": TARGETS if name == "binary_probability" else None}
    return several.get(argument) or [a.dtype]


def misaligned(a: Any) -> Any:
    """The same numbers one byte beside where the processor wants them."""
    memory = np.zeros(a.nbytes + 1, np.uint8)
    b = memory[1:].view(a.dtype).reshape(a.shape)
    b[...] = a
    assert not b.flags.aligned
    return b


def other_dtypes(a: Any) -> dict[str, Any]:
    """The argument in other types of number, of the same size in memory and of another."""
    return {
        "float16": np.zeros(a.shape, np.float16),
        "bfloat16": np.zeros(a.shape, ml_dtypes.bfloat16),
        "float32": a.astype(np.float32),
        "float64": a.astype(np.float64),
        "signed of that size": a.view(f"i{a.itemsize}"),
        "unsigned of that size": a.view(f"u{a.itemsize}"),
        "bool": np.zeros(a.shape, bool),
        "bytes": np.zeros(a.nbytes, np.uint8),
        "long double": a.astype(np.longdouble),
        "complex64": a.astype(np.complex64),
        "complex128": a.astype(np.complex128),
        "objects": a.astype(object),
        "records": a.astype([("x", a.dtype)]),
        "big-endian": a.astype(a.dtype.newbyteorder(">")),
    }


def misfits(name: str, argument: str, a: Any) -> dict[str, Any]:
    """The argument in ways that a kernel could not read."""
    flat = a.reshape(-1)
    wrong = other_dtypes(a) | {
        "misaligned": misaligned(a),
        "one less": flat[:-1].copy(),
        "one more": np.concatenate([flat, flat[:1]]),
        "no element": np.empty(0, a.dtype),
        "one axis more": np.zeros((2, *a.shape), a.dtype),
        "backwards": a[::-1],
        "every other row": np.repeat(a, 2, axis=0)[::2],
        "every other column": np.repeat(a, 2, axis=-1)[..., ::2],
        "Fortran order": np.asfortranarray(a),
        "all alike": np.broadcast_to(flat[:1], a.shape),
        "a list": a.tolist(),
        "a number": 1.0,
        "text": "x",
        "Ellipsis": ...,
    }
    for label in (
        ("one more", "one axis more", *SHORTER.get((name, argument), ())) if (name, argument) in LONGER else ()
    ):
        del wrong[label]
    good = rows_fit if argument == "rows" else fits
    dtypes = taken(name, argument, a)
    return {label: b for label, b in wrong.items() if not (isinstance(b, np.ndarray) and good(a, b, dtypes))}


# Arguments that may be longer than they need to be.
SHORTER = {
    ("exact_reach", "values"): ("one less", "no element"),
    ("octave_cells", "edges"): ("one less",),
}  # or shorter
LONGER = {
    ("score_rows", "cells"),
    ("score_rows terms", "cells"),
    ("sparse", "other"),
    ("sparse", "starts"),
    ("sparse_transposed", "out_starts"),
    *SHORTER,
}


def fits(a: Any, b: Any, dtypes: list[Any]) -> bool:
    """Whether b is as good as a."""
    return bool(b.dtype in dtypes and b.size == a.size and b.flags.c_contiguous and b.flags.aligned)


def rows_fit(a: Any, b: Any, dtypes: list[Any]) -> bool:
    """Whether b is as good as a: rows may lie any distance apart."""
    return bool(b.dtype in dtypes and b.shape == a.shape and b.strides[1] == a.itemsize and b.flags.aligned)


@pytest.mark.parametrize(("name", "kind"), NAMED)
def test_arrays_that_do_not_fit_are_refused(name: str, kind: str) -> None:
    arrays = {argument: a for argument, a in call_of(name, kind).items() if isinstance(a, np.ndarray)}
    for argument, a in arrays.items():
        found = misfits(name, argument, a)
        assert len(found) >= 20
        for label, wrong in found.items():
            call = call_of(name, kind, **{argument: wrong})
            assert_refused(function(name, kind), call, f"{argument} as {label}", outputs_of(name))


@pytest.mark.parametrize(("name", "kind"), NAMED)
def test_read_only_outputs_are_refused(name: str, kind: str) -> None:
    for argument in outputs_of(name):
        call = call_of(name, kind)
        call[argument].flags.writeable = False
        assert_refused(function(name, kind), call, argument, outputs_of(name))


WRONG_BLOCKS: list[dict[str, Any]] = [
    {"block_rows": 0},
    {"block_rows": -1},
    {"block_rows": 3},
    {"block_rows": 2**63 - 1},
    {"state": np.array([-1, NO_BAD_ROW])},
    {"state": None},
    {"sums": None},
]
WRONG_ROWS: list[dict[str, Any]] = [
    {"classes": 0},
    {"classes": -5},
    {"classes": 7},
    {"classes": 2**62},
    {"classes": 2**70},
    {"inner": 0},
    {"inner": -1},
    {"inner": 5},
    {"inner": 7},
    {"ignore_index": 2**70},
]
WRONG: dict[str, list[dict[str, Any]]] = {
    "softmax": [
        *WRONG_ROWS,
        {"soft": np.full((ROWS, K), 1 / K)},
        {"labels": np.zeros(ROWS)},
        {"grad": None},
        {"class_weight_lanes": None},
        {"class_weight": None},
        {"logits": None},
    ],
    "mass": [*WRONG_ROWS, {"soft": np.full((ROWS, K), 1 / K)}],
    "mass soft": [{"rows": -1}, {"rows": 11}, {"rows": 2**62}, {"labels": np.arange(ROWS)}, {"soft": None}],
    "sigmoid": [
        {"columns": 0},
        {"columns": -5},
        {"columns": 7},
        {"targets": None},
        {"wide_targets": np.zeros((12, 5))},
    ],
    "probability": [
        *WRONG_ROWS,
        {"rows": -1},
        {"rows": 11},
        {"rows": 2**62},
        {"inner": 3},
        {"inner": 3, "look": False},
        {"gathered": True},
        {"gathered": True, "look": False},
        {"labels": None},
        {"soft": np.full((ROWS, K), 1 / K)},
    ],
    "probability soft": [{"inner": 3, "look": False, "grad": None}, {"gathered": True, "look": False}],
    "binary_probability": [{"columns": 0}, {"columns": 7}, {"targets": None}, {"probs": None}],
}


@pytest.mark.parametrize("name", WRONG)
def test_numbers_that_do_not_fit_are_refused(name: str) -> None:
    for wrong in [*WRONG_BLOCKS, *WRONG[name]]:
        assert_refused(function(name, "f64"), call_of(name, "f64", **wrong), wrong)


def test_a_single_target_or_positive_weight_is_for_all_others_are_not() -> None:
    for argument in ("targets", "pos_weight"):
        function("sigmoid", "f64")(**call_of("sigmoid", "f64", **{argument: np.zeros(1)}))
    for argument in ("weight", "values", "grad"):
        with pytest.raises(ValueError, match="does not fit"):
            function("sigmoid", "f64")(**call_of("sigmoid", "f64", **{argument: np.zeros(1)}))


FAR = [-1, 2**31, 2**62, 2**63 - 1, -(2**63), 2**70]
WRONG_OF_MATRICES: dict[str, list[dict[str, Any]]] = {
    "linear_logits": [
        # as many rows as cost nothing, whose logits number 2^64
        {
            "rows": np.broadcast_to(np.zeros((1, 1)), (2**59, 1)), "center": None, "coef": np.zeros((32, 1)),
            "intercept": np.zeros(32), "logits": np.zeros(0),
        },
        {"rows": np.zeros((ROWS, 0)), "center": None, "coef": np.zeros((3, 0))},
        {"intercept": np.zeros(0), "coef": np.zeros(0), "logits": np.zeros(0)},
    ],
    "linear_sums": [
        {
            "rows": np.broadcast_to(np.zeros((1, 1)), (2**59, 1)), "center": None, "slopes": np.zeros(0),
            "sums": np.zeros((32, 1)),
        },
    ],
    "linear_step": [
        *({"first": n} for n in (1, *FAR)),
        *({"block_rows": n} for n in (0, 4, 6, *FAR)),
        {"loss": None},
        {"loss": "softmax"},
        {"loss": _native.StepLoss.of_classes(**call_of("of_classes", "f64"))},
        {"loss": _native.StepLoss.of_labels(**call_of("of_labels", "f64"))},
    ],
    "gram": [
        *({argument: n} for n in (2, *FAR) for argument in ("first_panel", "end_panel")),
        {"first_panel": 1, "end_panel": 0},
    ],
    "sparse": [
        *({argument: n} for n in (5, *FAR) for argument in ("first", "end")),
        {"first": 3, "end": 2},
        *({"outputs": n} for n in (0, 4, 7, 16, -8, *FAR)),
        *({"index": np.array([0, 4, wrong, 1, 3, 4], np.int32)} for wrong in (-1, K, 2**31 - 1, -(2**31))),
        *(
            {"starts": np.array(wrong)}
            for wrong in ([0, 2, 2, 5, 7], [-1, 2, 2, 5, 6], [0, 2**62, 2, 5, 6], [0, 2, 9, 5, 6])
        ),
    ],
    "sparse_transposed": [
        *({"index": np.array([0, 4, wrong, 1, 3, 4], np.int32)} for wrong in (-1, K, 2**31 - 1, -(2**31))),
        *(
            {"starts": np.array(wrong)}
            for wrong in ([0, 2, 2, 5, 7], [0, 2, 2, 5, 5], [1, 2, 2, 5, 6], [0, -2, 2, 5, 6], [0, 2**62, 2, 5, 6])
        ),
    ],
    "of_classes": [
        *({"rows": n} for n in (0, 11, *FAR)),
        *({"classes": n} for n in (0, 7, *FAR)),
        {"labels": None},
        {"labels": np.zeros(ROWS)},
        {"soft": np.full((ROWS, K), 1 / K)},
        {"ignore_index": 2**70},
    ],
    "of_classes soft": [
        {"classes": 2**62, "class_weight": None},
        {"rows": 11},
        {"labels": np.arange(ROWS)},
        {"soft": None},
    ],
    "isotonic": [
        {"weight": np.ones(K + 1), "curves": np.zeros((3, K + 1))},
        {"totals": np.zeros((2**59, 0)), "weight": np.zeros(0)},
        {"totals": np.zeros((3, 0)), "weight": np.zeros(0)},
        {"totals": np.zeros(3 * K)},
        {"curves": np.zeros((K, 3))},
        {"curves": np.zeros(3 * K)},
    ],
    "exact_rows": [
        *({"groups": np.full(ROWS, wrong)} for wrong in (3, *FAR[:-1])),
        *({"low": wrong} for wrong in FAR),
        *({"digits": np.zeros(shape, np.int64)} for shape in ((3, 2), (3, 0), (0, 40), (2, 40), (120,))),
        {"values": None},
    ],
    "exact_ratio": [
        *({"groups": np.full(ROWS, wrong)} for wrong in (3, *FAR[:-1])),
        {"groups": None, "digits": np.zeros((0, 396), np.int64), "units": np.zeros(0, int), "beyond": np.zeros(0, int)},
        *({"windows": np.full((9, 2), wrong)} for wrong in (0, 2, 45, *FAR[:-1])),
        {"windows": np.array([(0, 44), (-1, 44), *[(0, 44)] * 7])},
        {"windows": np.array([(0, 0), (0, 88), *[(0, 44)] * 7])},
        {"windows": np.array([(0, 2**62), (0, 2**62), (0, 2**62), (0, 2**62), *[(0, 44)] * 5])},
        {"digits": np.zeros((3, 395), np.int64)},
        {"units": np.zeros(2, np.int64)},
        {"b": None},
        {"product": True},
    ],
    "exact_ratio plain": [{"product": True}, {"a_error": np.zeros(ROWS)}, {"b": np.zeros(ROWS)}],
    "exact_add": [
        *({"factor": wrong} for wrong in (0, 2**53 + 1, *FAR[:1], *FAR[2:])),
        *({"low": wrong} for wrong in (32, *FAR)),
        *({"other_low": wrong} for wrong in (29, 34, *FAR)),
        *({"groups": np.array([0, 2, wrong, 1])} for wrong in (3, *FAR[:-1])),
        {"groups": None},
        *({"digits": np.zeros(shape, np.int64)} for shape in ((3, 3), (3, 0), (0, 6), (2, 6), (18,))),
        *({"others": np.zeros(shape, np.int64)} for shape in ((4, 0), (4, 6), (3, 3), (12,))),
    ],
    "exact_trim": [{"digits": np.zeros((3, 0), np.int64)}],
    "exact_floats": [
        *({"low": wrong} for wrong in FAR),
        {"digits": np.zeros((3, 0), np.int64)},
        {"digits": np.zeros((4, 4), np.int64)},
    ],
    "octave_cells": [
        *({"per_octave": wrong} for wrong in (0, 65, *FAR)),
        *({"edges": np.zeros(size)} for size in (0, 1, 2)),
    ],
    "score_rows": [
        *({"classes": n} for n in (0, -1, 2**26 + 1, *FAR)),
        *({"form": n} for n in (-1, 3)),
        *({"first": n} for n in (-1, ROWS + 1, *FAR)),
        *({"end": n} for n in (-1, ROWS + 1, *FAR)),
        {"first": 5, "end": 4},
        *({"slots": np.array([1, n, 2, -1, 0])} for n in (-2, 3, 2**62, -(2**62))),
        *({"counts": np.array([0, 0, n, 0])} for n in (-1, 1, ROWS)),
        {"cells": np.zeros((0, _native.SCORE_CELLS, 2), np.int64)},
        {"surprise": None},
        {"zeros": None},
        {"terms": np.zeros((ROWS, 32))},
        {"logs": np.zeros((ROWS, K))},
    ],
    "score_rows terms": [{"terms": None}, {"logs": None}],
    "of_labels": [
        *({"rows": n} for n in (0, 11, *FAR)),
        *({"columns": n} for n in (0, 7, *FAR)),
        {"rows": 2**32, "columns": 2**32, "targets": np.zeros(0), "pos_weight": None, "weight": None},
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_OF_MATRICES)
def test_numbers_that_do_not_fit_features_are_refused(name: str) -> None:
    for wrong in WRONG_OF_MATRICES[name]:
        assert_refused(function(name, "f64"), call_of(name, "f64", **wrong), wrong, outputs_of(name))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("exact_rows", {"low": 34}),
        ("exact_rows", {"values": np.full(ROWS, 1e300)}),
        ("exact_ratio", {"a": np.full(ROWS, 1e200)}),
        ("exact_ratio plain", {"windows": np.array([(34 * (k == 2), (40 + k) * (k in (0, 2, 5))) for k in range(9)])}),
    ],
)
def test_numbers_outside_the_digits_of_a_sum_are_refused(name: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        function(name, "f64")(**call_of(name, "f64", **change))


@pytest.mark.parametrize(("name", "kind"), NAMED)
def test_the_calls_themselves_are_taken(name: str, kind: str) -> None:
    function(name, kind)(**call_of(name, kind))


SIZES = ("classes", "inner", "block_rows", "last", "rows", "columns", "output", "ignore_index", "first", "end",
    "outputs", "first_panel", "end_panel", "low", "other_low", "factor", "per_octave")  # fmt: skip
BRANCHES = ("logarithms", "gathered", "look", "stream", "product")


@given(data=st.data())
@pytest.mark.parametrize(("function_name", "kind"), sorted({(name.split()[0], kind) for name, kind in NAMED}))
def test_random_sizes_run_or_are_refused(function_name: str, kind: str, data: Any) -> None:
    """Any of the sizes changed: never a crash, and a call that runs stays within its arrays (ASan looks on)."""
    name = data.draw(st.sampled_from([call for call in CALLS if call.split()[0] == function_name]))
    call = call_of(name, kind)
    for argument, value in call.items():
        if data.draw(st.integers(0, 9)):
            continue
        if isinstance(value, np.ndarray):
            call[argument] = data.draw(st.none() | st.integers(0, 70).map(lambda n, t=value.dtype: np.zeros(n, t)))
        elif argument in SIZES:
            call[argument] = data.draw(st.sampled_from([-1, 0, 1, 2, 3, 4, 12, 60, 2**31, 2**62, 2**63 - 1, -(2**63)]))
        elif argument in BRANCHES:
            call[argument] = not value
    with suppress(ValueError, TypeError, OverflowError):
        function(name, kind)(**call)
