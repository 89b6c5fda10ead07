"""`make tables`: what it writes, what it keeps, what it says."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tables import __main__ as command
from tables import measure, pages


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real files stay as they are."""
    monkeypatch.setattr(measure, "FILE", tmp_path / "errors.json")
    page = tmp_path / "accuracy.md"
    page.write_text(pages.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(pages, "PAGE", page)
    return tmp_path


def test_a_section_keeps_what_this_machine_cannot_measure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: dict[str, Any] = {"loss | float32": {"allowed": 4, "share": False, "v3": 1.0}}
    monkeypatch.setattr(measure, "GROUPS", ("a",))
    monkeypatch.setattr(measure, "measure", lambda section, group: (rows, "mark"))
    old = {"loss | float32": {"allowed": 4, "share": False, "v3": 0.9, "v9": 2.0}, "gone | float32": {"allowed": 4}}
    measure.save({"marks": {"quick b": "1", "full a": "2"}, "quick": old})
    with ThreadPoolExecutor(1) as pool:
        command.write_section("quick", pool)
    table = measure.load()
    assert table["quick"] == {"loss | float32": {"allowed": 4, "share": False, "v3": 1.0, "v9": 2.0}}
    assert table["marks"] == {"quick a": "mark", "full a": "2"}
    assert capsys.readouterr().out == "loss | float32 on v3: 1, was 0.9\n"


def test_sweeps_are_merged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "measure_sweep", lambda name, part: {"v3": part / 100, "v4": 0.12345})
    measure.save({"every float32": {"exp_or_zero": {"allowed": 1, "v9": 0.5}}})
    with ThreadPoolExecutor(1) as pool:
        command.write_sweeps(pool)
    row = measure.load()["every float32"]["exp_or_zero"]
    assert row == {
        "allowed": measure.sweep_allowed("exp_or_zero"),
        "v3": (measure.PARTS - 1) / 100,
        "v4": 0.124,
        "v9": 0.5,
    }


def test_without_frameworks_the_stored_numbers_stay(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measure.save(measure.load())
    assert command.main(["--only", "peers", "--python", str(folder / "nowhere"), "--jobs", "1"]) == 0
    assert "nowhere is missing: the peers' numbers are the stored ones" in capsys.readouterr().err
