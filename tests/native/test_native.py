"""The native module called directly: what does not fit is refused, never read past; its stub is the real one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossent
from crossent import _native  # type: ignore[attr-defined]  # built, not written
from isas import ISAS

NO_BAD_ROW = np.iinfo(np.int64).max
DTYPES = {"f32": np.float32, "f64": np.float64}
ROWS, K = 12, 5


def softmax_call(dtype: Any) -> dict[str, Any]:
    """Arguments that fit."""
    rng = np.random.default_rng(0)
    return {
        "logits": rng.normal(size=(ROWS, K)).astype(dtype),
        "classes": K,
        "inner": 1,
        "labels": np.arange(ROWS) % K,
        "soft": None,
        "soft_factor": None,
        "class_weight": np.ones(K),
        "class_weight_lanes": np.ones(K, dtype),
        "row_weight": np.ones(ROWS),
        "ignore_index": None,
        "smoothing": 0.0,
        "value_factor": 1.0,
        "grad_factor": 1.0,
        "sum_tolerance": -1.0,
        "output": 0,
        "values": np.zeros(ROWS, dtype),
        "grad": np.zeros((ROWS, K), dtype),
        "hess": np.zeros((ROWS, K), dtype),
        "stream": False,
        "block_rows": 5,
        "last": 3,
        "state": np.array([0, NO_BAD_ROW]),
        "sums": np.zeros((3, 3)),
    }


def sigmoid_call(dtype: Any) -> dict[str, Any]:
    """Arguments that fit."""
    call = softmax_call(dtype)
    kept = (
        "logits",
        "smoothing",
        "value_factor",
        "grad_factor",
        "grad",
        "hess",
        "stream",
        "block_rows",
        "last",
        "state",
        "sums",
    )
    return {name: call[name] for name in kept} | {
        "columns": K,
        "targets": np.zeros((ROWS, K), dtype),
        "wide_targets": None,
        "pos_weight": np.ones(K),
        "weight": np.ones(ROWS),
        "negative_weight": 1.0,
        "positive_weight": 1.0,
        "values": np.zeros((ROWS, K), dtype),
    }


def mass_call(dtype: Any) -> dict[str, Any]:
    """Arguments that fit."""
    call = softmax_call(dtype)
    kept = ("classes", "inner", "soft_factor", "class_weight", "row_weight", "ignore_index", "sum_tolerance")
    kept += ("block_rows", "last", "state", "sums")
    return {name: call[name] for name in kept} | {
        "rows": ROWS,
        "labels": None,
        "soft": np.full((ROWS, K), 1 / K, dtype),
        "row_sums": np.zeros(ROWS),
    }


CALLS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "softmax": softmax_call,
    "sigmoid": sigmoid_call,
    "mass": mass_call,
}


def function(name: str, kind: str) -> Any:
    """The native function."""
    return getattr(_native, f"{name}_{kind}")


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_arguments_that_fit(name: str, kind: str) -> None:
    call = CALLS[name](DTYPES[kind])
    assert function(name, kind)(**call) is None
    assert call["state"].tolist() == [3, NO_BAD_ROW]
    assert call["sums"][:, 2].tolist() == ([5, 5, 2] if name != "sigmoid" else [25, 25, 10])


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_one_block_needs_no_arrays_for_its_sums(name: str, kind: str) -> None:
    """Without state and sums they are returned, with the same bits; a bad row too."""
    call, alone = CALLS[name](DTYPES[kind]), CALLS[name](DTYPES[kind])
    call |= {"block_rows": ROWS, "last": 1, "sums": np.zeros((1, 3))}
    alone |= {"block_rows": ROWS, "last": 1, "state": None, "sums": None}
    function(name, kind)(**call)
    assert function(name, kind)(**alone) == (*call["sums"][0].tolist(), NO_BAD_ROW)
    for missing in ("state", "sums"):
        assert is_refused(function(name, kind), call | {missing: None})
    assert is_refused(function(name, kind), alone | {"block_rows": ROWS - 1})
    if name == "softmax":
        alone["labels"] = np.where(np.arange(ROWS) >= 7, K, 0)
        assert function(name, kind)(**alone)[3] == 7 * 8 + 2


NAMED = [(name, argument) for name, call in CALLS.items() for argument in call(np.float64)]
NUMBERS_ONLY = (
    "classes",
    "inner",
    "ignore_index",
    "output",
    "block_rows",
    "last",
    "columns",
    "rows",
    "smoothing",
    "stream",
)
NUMBERS_ONLY += ("value_factor", "grad_factor", "sum_tolerance", "negative_weight", "positive_weight")
ARRAYS = [pair for pair in NAMED if pair[1] not in NUMBERS_ONLY]
OUTPUTS = [pair for pair in NAMED if pair[1] in ("values", "grad", "hess", "state", "sums", "row_sums")]


def is_refused(native: Any, call: dict[str, Any]) -> bool:
    """Whether the call raises ValueError or TypeError."""
    try:
        native(**call)
    except (ValueError, TypeError):
        return True
    return False


def wrong_arrays(given: Any, dtype: Any) -> dict[str, Any]:
    """The same argument in ways that do not fit."""
    a = np.asarray(given)
    other = np.float32 if a.dtype == np.float64 else np.float64
    wrong = {
        "one less": a.reshape(-1)[:-1].copy(),
        "one more": np.concatenate([a.reshape(-1), a.reshape(-1)[:1]]),
        "no element": np.empty(0, a.dtype),
        "other dtype": a.astype(np.complex64 if a.dtype.kind in "iu" else other),
        "big-endian": a.astype(a.dtype.newbyteorder(">")),
        "strided": np.repeat(a, 2, axis=-1)[..., ::2],
        "a list": a.tolist(),
        "text": "x",
        "bool": np.zeros(a.shape, bool),
        "half": np.zeros(a.shape, np.float16),
    }
    if a.ndim == 2:
        wrong["Fortran order"] = np.asfortranarray(a)
    return wrong


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize(("name", "argument"), ARRAYS)
def test_arrays_that_do_not_fit_are_refused(name: str, argument: str, kind: str) -> None:
    """Wrong sizes, dtypes, orders: ValueError or TypeError, and nothing is written."""
    call = CALLS[name](DTYPES[kind])
    if argument == "soft" and name == "softmax":
        call["labels"], call["soft"] = None, np.full((ROWS, K), 1 / K, DTYPES[kind])
    elif argument == "labels" and name == "mass":
        call["labels"], call["soft"] = np.arange(ROWS) % K, None
    elif argument == "soft_factor":
        call["soft_factor"] = np.ones(ROWS)
    elif argument == "wide_targets":
        call["targets"], call["wide_targets"] = None, np.zeros((ROWS, K))
    for label, value in wrong_arrays(call[argument], DTYPES[kind]).items():
        if argument == "weight" and label == "strided":
            continue  # numpy gives a strided array of one column the right order
        before = call["sums"].copy()
        assert is_refused(function(name, kind), call | {argument: value}), f"{argument} as {label} was taken"
        np.testing.assert_array_equal(call["sums"], before)


def test_a_single_target_or_positive_weight_is_for_all_others_are_not() -> None:
    for argument in ("targets", "pos_weight"):
        call = sigmoid_call(np.float64)
        call[argument] = np.zeros(1)
        _native.sigmoid_f64(**call)
    for argument in ("weight", "values", "grad"):
        call = sigmoid_call(np.float64)
        call[argument] = np.zeros(1)
        with pytest.raises(ValueError, match="does not fit"):
            _native.sigmoid_f64(**call)


@pytest.mark.parametrize(("name", "argument"), OUTPUTS)
def test_read_only_outputs_are_refused(name: str, argument: str) -> None:
    call = CALLS[name](np.float64)
    call[argument].flags.writeable = False
    with pytest.raises((ValueError, TypeError, BufferError)):
        function(name, "f64")(**call)


NUMBERS: list[tuple[str, dict[str, Any]]] = [
    ("softmax", {"classes": 0}),
    ("softmax", {"classes": -5}),
    ("softmax", {"classes": 7}),
    ("softmax", {"classes": 2**62}),
    ("softmax", {"classes": 2**70}),
    ("softmax", {"inner": 0}),
    ("softmax", {"inner": -1}),
    ("softmax", {"inner": 7}),
    ("softmax", {"block_rows": 0}),
    ("softmax", {"block_rows": -1}),
    ("softmax", {"block_rows": 3}),
    ("softmax", {"block_rows": 2**63 - 1}),
    ("softmax", {"state": np.array([-1, NO_BAD_ROW])}),
    ("softmax", {"soft": np.full((ROWS, K), 1 / K)}),
    ("softmax", {"grad": None}),
    ("softmax", {"class_weight_lanes": None}),
    ("softmax", {"class_weight": None}),
    ("softmax", {"logits": None}),
    ("softmax", {"state": None}),
    ("softmax", {"labels": np.zeros(ROWS)}),
    ("softmax", {"ignore_index": 2**70}),
    ("sigmoid", {"columns": 0}),
    ("sigmoid", {"columns": -5}),
    ("sigmoid", {"columns": 7}),
    ("sigmoid", {"block_rows": 0}),
    ("sigmoid", {"targets": None}),
    ("sigmoid", {"wide_targets": np.zeros((ROWS, K))}),
    ("mass", {"rows": -1}),
    ("mass", {"rows": 11}),
    ("mass", {"rows": 2**62}),
    ("mass", {"classes": 0}),
    ("mass", {"inner": 5}),
    ("mass", {"labels": np.arange(ROWS)}),
    ("mass", {"soft": None}),
    ("mass", {"block_rows": 0}),
    ("mass", {"state": np.array([-1, NO_BAD_ROW])}),
]


@pytest.mark.parametrize(("name", "wrong"), NUMBERS)
def test_numbers_that_do_not_fit_are_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        function(name, "f64")(**CALLS[name](np.float64) | wrong)


@pytest.mark.parametrize("name", CALLS)
def test_block_numbers_beyond_the_end_do_nothing(name: str) -> None:
    for last, start in ((-1, 0), (0, 0), (2**62, 3), (2**62, 2**62), (3, 99)):
        call = CALLS[name](np.float64)
        call |= {"last": last, "state": np.array([start, NO_BAD_ROW])}
        function(name, "f64")(**call)
        assert not call["sums"].any()
        assert call["state"][0] == start


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", DTYPES)
def test_no_label_is_used_as_an_index_before_it_is_checked(kind: str, isa: str) -> None:
    """Any bytes as labels: the bad row is reported, nothing beyond the logits is read."""
    before = _native.current_isa()
    _native.select_isa(isa)
    try:
        for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64):
            info = np.iinfo(dtype)
            for value in {info.min, info.max, K} - {0}:
                call = softmax_call(DTYPES[kind])
                call["labels"] = np.zeros(ROWS, dtype)
                call["labels"][7] = value
                function("softmax", kind)(**call)
                assert call["state"][1] == 7 * 8 + 2
                mass = mass_call(DTYPES[kind]) | {"soft": None, "labels": call["labels"], "row_sums": None}
                function("mass", kind)(**mass)
                assert mass["state"][1] == 7 * 8 + 2
    finally:
        _native.select_isa(before)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
def test_outputs_are_written_to_their_last_element_and_no_further(name: str, isa: str) -> None:
    """Guards around every output stay as they were, whatever the tail."""
    before = _native.current_isa()
    _native.select_isa(isa)
    try:
        for rows in (1, 2, 3, 5, 8, 12, 17, 33):
            call = CALLS[name](np.float32)
            grow = rows / ROWS
            guarded = {}
            for argument, value in call.items():
                if isinstance(value, np.ndarray) and value.shape[:1] == (ROWS,):
                    memory = np.full(16 + int(value.size * grow) + 16, 77, value.dtype)
                    part = memory[16:-16].reshape(rows, *value.shape[1:])
                    part[...] = 0
                    call[argument], guarded[argument] = part, memory
            call |= {"block_rows": rows, "last": 1, "sums": np.zeros((1, 3))}
            function(name, "f32")(**call)
            for argument, memory in guarded.items():
                assert (memory[:16] == 77).all(), argument
                assert (memory[-16:] == 77).all(), argument
            assert call["state"][1] == NO_BAD_ROW
    finally:
        _native.select_isa(before)


def test_select_isa() -> None:
    before = _native.current_isa()
    for wrong in ("", "v9", "V3", "x" * 10_000):
        assert _native.select_isa(wrong) is False
        assert _native.current_isa() == before
    for isa in ISAS:
        assert _native.select_isa(isa)
        assert _native.current_isa() == isa
    assert _native.select_isa(before)
    assert _native.compiler()


def test_the_stub_is_what_stubgen_makes_now() -> None:
    stubgen = pytest.importorskip("nanobind.stubgen")
    maker = stubgen.StubGen(module=_native)
    maker.put(_native)
    written = (Path(crossent.__file__).parent / "_native.pyi").read_text()
    assert maker.get().strip() == written.strip()
