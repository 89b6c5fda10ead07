"""A Compare as text, JSON and notebook piece: its numbers, its segments, its looks, harmless names."""

import json
import math

from crossent.report import to_fragment, to_json, to_text
from crossent.stats.sequence import Look
from results import HOSTILE, MARK, compare_of, estimate


def lines_of(text, start):
    """The cells of the line that starts so."""
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    return line.removeprefix(start).split("  ")


def test_text_has_both_losses_and_their_difference():
    text = to_text(compare_of())
    assert text.splitlines()[2].split() == ["nat", "std", "error", "95", "%", "interval", "bit"]
    assert [cell.strip() for cell in lines_of(text, "B \N{MINUS SIGN} A") if cell] == [
        "-0.0300", "0.0100", "-0.0500 to -0.0080", "-0.0433",
    ]  # fmt: skip
    for part in (
        "A: old",
        "B: new",
        "p of no difference",
        " 0.0027",
        "61.0 % of the rows",
        "0.94",
        "Note: a remark",
    ):
        assert part in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_infinities_margin_segments_and_looks_are_told():
    looks = tuple(Look(100 * k, -0.03, -0.1, 0.04, 0.95, 2000) for k in range(1, 41))
    lost = estimate(math.inf)
    compare = compare_of(
        segments=50, infinite=(0, 2, 1), margin=0.01, verdict="worse", sequence=looks, difference=lost,
        losses=(estimate(0.5, 0.03, mark=MARK), lost),
    )  # fmt: skip
    text = to_text(compare)
    assert "  0 of A only, 2 of B only, 1 of both (left out)" in text
    assert "0.01 nat: B is worse" in text
    assert "! too few events" in text
    assert "and 10 smaller segments" in text
    assert "over 50 segments" in text
    assert "\n11     1,100 " in text
    assert "\n10     1,000 " not in text
    assert "95 % confidence sequence, asymptotically valid at every look, tightest at 2,000 rows." in text


def test_with_looks_the_interval_shown_is_that_of_the_last_one_and_no_p():
    """Not even where the plain interval says "better"."""
    looks = (Look(250, -0.02, -0.2, 0.1, 0.95, 2000), Look(500, -0.03, -0.0702, 0.0131, 0.95, 2000))
    compare = compare_of(sequence=looks, verdict="undecided", segments=2)
    for shown in (to_text(compare).split("city")[0], repr(compare)):
        assert "0.0131" in shown
        assert "0.008" not in shown
    text = to_text(compare)
    assert "p of no difference" not in text
    assert "with probability" not in text
    assert "confidence sequence, last look" in text
    assert "segments are for one look" in text
    assert "at any look: undecided" in repr(compare)
    assert "one look" not in to_text(compare_of(segments=2))


def test_shares_of_better_rows_count_the_rows_that_say_something():
    compare = compare_of(n=3, infinite=(0, 0, 1), better=estimate(1.0, 0.1, 2))
    assert repr(compare).endswith("better in 100.0 % of 2 rows, 1 left out)")
    assert "100 % of the 2 rows not left out" in to_text(compare)
    assert repr(compare_of()).endswith("better in 61.0 % of 500 rows)")


def test_json_reads_back():
    plain = json.loads(to_json(compare_of(difference=estimate(-math.inf))))
    assert plain["schema"] == "crossent.compare/1"
    assert plain["difference"]["value"] == "-inf"
    assert plain["finite"]["value"] == -0.03
    assert plain["names"] == ["old", "new"]


def test_names_from_data_are_harmless():
    compare = compare_of(names=(HOSTILE[0], HOSTILE[5]), notes=(HOSTILE[6],))
    assert max(map(len, to_text(compare).splitlines())) < 300
    assert not set(to_text(compare)) & {"\x1b", "\x00", "\ud800"}
    assert "<script" not in to_fragment(compare)
