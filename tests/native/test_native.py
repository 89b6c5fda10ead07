"""The native module called directly: blocks, labels and guards of every function; its stub is the real one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossent
import native_calls
from crossent import _native  # type: ignore[attr-defined]  # built, not written
from isas import ISAS, using_isa
from native_calls import (
    IN_BLOCKS,
    NO_BAD_ROW,
    ON_FEATURES,
    OUTPUTS,
    ROWS,
    STORAGES,
    K,
    assert_refused,
    call_of,
    function,
    outputs_of,
)

LABELLED = ("softmax", "mass", "probability")


@pytest.mark.parametrize(("name", "kind"), IN_BLOCKS)
def test_arguments_that_fit(name: str, kind: str) -> None:
    call = call_of(name, kind)
    assert function(name, kind)(**call) is None
    assert call["state"].tolist() == [3, NO_BAD_ROW]
    assert call["sums"][:, 2].tolist() == ([25, 25, 10] if "columns" in call else [5, 5, 2])


@pytest.mark.parametrize(("name", "kind"), IN_BLOCKS)
def test_one_block_needs_no_arrays_for_its_sums(name: str, kind: str) -> None:
    """Without state and sums they are returned, with the same bits; a bad row too."""
    native, one = function(name, kind), {"block_rows": ROWS, "last": 1}
    one |= {"notes": np.zeros((1, 3))} if "probability" in name and "binary" not in name else {}
    call = call_of(name, kind, **one, sums=np.zeros((1, 3)))
    alone = call_of(name, kind, **one, state=None, sums=None)
    native(**call)
    assert native(**alone) == (*call["sums"][0].tolist(), NO_BAD_ROW)
    for missing in ("state", "sums"):
        assert_refused(native, call | {missing: None}, missing)
    assert_refused(native, alone | {"block_rows": ROWS - 1}, "two blocks")
    if name in LABELLED:
        alone["labels"] = np.where(np.arange(ROWS) >= 7, K, 0)
        assert native(**alone)[3] == 7 * 8 + 2


@pytest.mark.parametrize(("name", "kind"), IN_BLOCKS)
def test_block_numbers_beyond_the_end_do_nothing(name: str, kind: str) -> None:
    for last, start in ((-1, 0), (0, 0), (2**62, 3), (2**62, 2**62), (3, 99)):
        call = call_of(name, kind, last=last, state=np.array([start, NO_BAD_ROW]))
        function(name, kind)(**call)
        assert not call["sums"].any()
        assert call["state"][0] == start


WAYS: list[dict[str, Any]] = [{}, {"smoothing": 0.1}, {"look": False}, {"look": False, "smoothing": 0.1}]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kind in IN_BLOCKS if name in LABELLED])
def test_no_label_is_used_as_an_index_before_it_is_checked(name: str, kind: str, isa: str) -> None:
    """Any bytes as labels: the bad row is reported, nothing beyond the row is read."""
    known = call_of(name, kind)
    with using_isa(isa):
        for way in [way for way in WAYS if way.keys() <= known.keys()]:
            for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64):
                info = np.iinfo(dtype)
                for value in {info.min, info.max, K} - {0}:
                    call = call_of(name, kind, **way, labels=np.zeros(ROWS, dtype))
                    call["labels"][7] = value
                    function(name, kind)(**call)
                    assert call["state"][1] == 7 * 8 + 2


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", STORAGES)
@pytest.mark.parametrize("inner", [1, 2])
def test_nothing_is_read_through_a_label_that_is_bad_or_ignored(kind: str, isa: str, inner: int) -> None:
    """Confident rows, class weights, a label far outside: what a tile finishes row by row must not look it up."""
    z = np.zeros((ROWS, K), STORAGES[kind].numbers)
    z[:, 0] = 3e4
    for label in (2**40, -(2**40), 255, -1):
        for ignored in (True, False):
            call = call_of("softmax", kind, inner=inner, logits=z.view(STORAGES[kind].passed))
            call |= {"labels": np.full(ROWS, label), "ignore_index": label if ignored else None}
            with using_isa(isa):
                function("softmax", kind)(**call)
            assert call["state"][1] == (NO_BAD_ROW if ignored else 2)
            assert ignored is False or not call["grad"].any()


def guarded(a: Any, kind: str, *, output: bool) -> tuple[Any, Any]:
    """The array, and the memory that holds it between guards: NaN around floats that are read."""
    memory = np.full(16 + a.size + 16, 77, a.dtype)
    if not output and a.dtype.kind != "i":
        numbers = memory.view(STORAGES[kind].numbers) if a.dtype == np.uint16 else memory
        numbers[...] = np.nan
    part = memory[16:-16].reshape(a.shape)
    part[...] = a
    return part, memory


def assert_written_within(call: dict[str, Any], outputs: dict[str, Any], kind: str) -> None:
    """Numbers in every output, and its guards as they were."""
    assert outputs
    for argument, memory in outputs.items():
        numbers = call[argument].view(STORAGES[kind].numbers) if memory.dtype == np.uint16 else call[argument]
        assert np.isfinite(numbers.astype(np.float64)).all(), argument
        assert (memory[:16] == 77).all(), argument
        assert (memory[-16:] == 77).all(), argument


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("name", "kind"), IN_BLOCKS)
def test_outputs_are_written_to_their_last_element_and_no_further(name: str, kind: str, isa: str) -> None:
    """Guards around every output stay as they were, whatever the tail; NaN around every input is not seen."""
    for rows in (1, 2, 3, 5, 8, 12, 17, 33, 64, 65, 131):
        call, outputs = call_of(name, kind, block_rows=rows, last=1, sums=np.zeros((1, 3))), {}
        by_row = [n for n, a in call.items() if isinstance(a, np.ndarray) and a.shape[:1] == (ROWS,)]
        for argument in by_row:
            part = np.resize(call[argument], (rows, *call[argument].shape[1:]))
            call[argument], memory = guarded(part, kind, output=argument in OUTPUTS)
            if argument in OUTPUTS:
                outputs[argument] = memory
        call |= {"rows": rows} if "rows" in call else {}
        call |= {"notes": np.zeros((1, 3))} if "notes" in call else {}
        with using_isa(isa):
            function(name, kind)(**call)
        assert call["state"][1] == NO_BAD_ROW
        assert np.isfinite(call["sums"]).all()
        assert_written_within(call, outputs, kind)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("name", "kind"), ON_FEATURES)
def test_outputs_of_features_are_written_no_further(
    name: str, kind: str, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for functions on features, whatever the tails of rows and columns."""
    for rows, columns in ((1, 5), (2, 8), (3, 17), (5, 6), (8, 7), (12, 5), (17, 16), (33, 9), (64, 23), (131, 11)):
        monkeypatch.setattr(native_calls, "ROWS", rows)
        monkeypatch.setattr(native_calls, "K", columns)
        call, outputs = call_of(name, kind), {}
        for argument in [argument for argument, a in call.items() if isinstance(a, np.ndarray)]:
            is_output = argument in outputs_of(name)
            call[argument], memory = guarded(call[argument], kind, output=is_output)
            if is_output:
                outputs[argument] = memory
        with using_isa(isa):
            function(name, kind)(**call)
        assert_written_within(call, outputs, kind)


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
