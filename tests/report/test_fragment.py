"""What notebooks show: verdict, numbers and pictures in one harmless piece of HTML, with or without matplotlib."""

import re
import sys

import pytest

from crossent.scoring.score import WorstRow
from pages import assert_self_contained
from results import HOSTILE, compare_of, score_of

RESULTS = {"two": score_of(2), "many": score_of(5, zero=True), "compare": compare_of(segments=3)}


@pytest.mark.parametrize("name", RESULTS)
def test_a_piece_has_verdict_numbers_and_pictures(name):
    result = RESULTS[name]
    piece = result._repr_html_()
    reader = assert_self_contained(piece)
    text = " ".join(reader.text)
    assert "95 % interval" in text
    assert reader.tags.count("svg") == (1 if name == "compare" else 2)
    assert ("B (new) is better" if name == "compare" else "Log loss") in text
    assert reader.tags[0] == "div"
    assert "style" not in reader.tags
    assert len(piece) < 100_000


def test_a_piece_shows_the_largest_segments_the_classes_and_the_worst_rows():
    worst = tuple(WorstRow("a.parquet", k, "class 5", "class 6", 0.01, 90.0 + k) for k in range(30, 50))
    score = score_of(14, segments=15, worst=worst)
    text = assert_self_contained(score._repr_html_()).text
    shown = {k for k in range(15) if f"town {k}" in text}
    assert shown == set(range(5, 15)), "the ten with the most rows"
    assert "and 5 smaller segments" in " ".join(text)
    assert {k for k in range(14) if f"class {k}" in text} == set(range(2, 14))
    assert "and 2 rarer classes" in " ".join(text)
    assert [cell for cell in text if cell in {str(90 + k) for k in range(30, 50)}] == [
        "120",
        "121",
        "122",
        "123",
        "124",
    ]
    compare = " ".join(assert_self_contained(compare_of(segments=12)._repr_html_()).text)
    assert "town 9 " in compare
    assert "and 2 smaller segments" in compare


def test_labels_from_data_are_harmless():
    for piece in (score_of(HOSTILE)._repr_html_(), compare_of(names=(HOSTILE[0], HOSTILE[1]))._repr_html_()):
        assert_self_contained(piece)
        assert not set(piece) & {"\u202e", "\u2066", "\x00", "\x1b", "\ud800"}
        assert "x" * 400 not in piece


def test_two_results_on_a_page_do_not_share_ids_and_one_is_always_the_same():
    first, second = RESULTS["two"]._repr_html_(), RESULTS["many"]._repr_html_()
    assert not set(re.findall(r' id="([^"]+)"', first)) & set(re.findall(r' id="([^"]+)"', second))
    assert first == score_of(2)._repr_html_()


@pytest.mark.parametrize("name", RESULTS)
def test_without_matplotlib_the_numbers_stay_and_the_extra_is_named(name, monkeypatch):
    for module in [m for m in sys.modules if m.split(".")[0] in ("matplotlib", "jinja2")] + ["matplotlib", "jinja2"]:
        monkeypatch.setitem(sys.modules, module, None)
    reader = assert_self_contained(RESULTS[name]._repr_html_())
    assert "svg" not in reader.tags
    assert "pip install 'crossent[report]'" in " ".join(reader.text)
    assert "95 % interval" in " ".join(reader.text)
