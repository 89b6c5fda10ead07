"""The table of worst errors is a ratchet: what is measured is within the contract and not above what was written."""

import math
from pathlib import Path
from typing import Any

import pytest

from tables import measure as table
from tables.elementary import FUNCTIONS

HINT = "; `make tables` writes the table anew, and a number that rises needs a reason in the commit"


def _assert_not_risen(section: str, group: str) -> None:
    measured, mark = table.measure(section, group)
    stored = table.load()
    same_inputs = stored["marks"].get(f"{section} {group}") == mark
    found = table.risen(measured, stored.get(section, {}), slack=group in table.BY_NUMPY or not same_inputs)
    assert not found, "\n".join(found) + HINT


@pytest.mark.parametrize("group", table.GROUPS)
def test_worst_errors_have_not_risen(group: str) -> None:
    _assert_not_risen("quick", group)


@pytest.mark.slow
@pytest.mark.parametrize("group", table.GROUPS)
def test_worst_errors_of_long_rows_have_not_risen(group: str) -> None:
    _assert_not_risen("full", group)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(table.PARTS))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_float32(name: str, part: int) -> None:
    """All 2^31 patterns of the function's range, in parts, on every instruction set."""
    row: dict[str, Any] = {"allowed": table.sweep_allowed(name), **table.measure_sweep(name, part)}
    found = table.risen({name: row}, table.load().get(table.EVERY, {}), slack=False)
    assert not found, "\n".join(found) + HINT


def test_the_ratchet_bites() -> None:
    stored = {"loss | float32": {"allowed": 4, "v3": 1.2}}

    def found(slack: bool = False, allowed: float = 4, **errors: float) -> list[str]:
        return table.risen({"loss | float32": {"allowed": allowed, **errors}}, stored, slack=slack)

    assert found(v3=1.2) == found(v3=0.1) == found(v3=1.7, slack=True) == found(new=3.9) == []
    assert found(v3=1.201) == ["loss | float32 on v3: 1.201, was 1.2"]
    assert found(v3=1.8, slack=True) == ["loss | float32 on v3: 1.8, was 1.2"]
    assert found(v3=5) == found(v3=5, slack=True) == ["loss | float32 on v3: 5, and the contract allows 4"]
    assert found(new=math.nan) == ["loss | float32 on new: nan, and the contract allows 4"]
    assert found(v3=1, allowed=8) == ["loss | float32: the contract was 4, not 8"]
    assert table.risen({"x": {"allowed": 1}}, stored, slack=True) == ["x: not in the table"]


def test_what_is_written_is_not_below_what_was_measured() -> None:
    assert table.rounded({"allowed": 4, "v3": 0.99901}) == {"allowed": 4, "v3": 1.0}
    assert table.rounded({"v3": 0.5, "v4": 0.0}) == {"v3": 0.5, "v4": 0.0}


def test_the_table_has_every_question_and_no_other() -> None:
    stored = table.load()
    groups = {f"{section} {group}" for section in table.SECTIONS for group in table.GROUPS}
    assert set(stored["marks"]) == groups, "run `make tables`"
    assert set(stored[table.EVERY]) == set(FUNCTIONS), "run `make tables`"
    for section in table.SECTIONS:
        for question, row in stored[section].items():
            assert all(0 <= error <= row["allowed"] for isa, error in row.items() if isa not in table.ABOUT), question


def test_a_table_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "FILE", tmp_path / "errors.json")
    assert table.load() == {}
    written = {"marks": {"quick b": "12", "quick a": "34"}, "quick": {"loss | float32": {"allowed": 4, "v3": 1.2}}}
    table.save(written)
    read = table.load()
    assert {key: read[key] for key in written} == written
