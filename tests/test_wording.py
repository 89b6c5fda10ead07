"""Words for messages stay short and on one line, and suggest only what is near; columns stand under each other."""

import pytest

from crossent.wording import aligned, clean, did_you_mean, listed, quoted


def test_did_you_mean_looks_past_case_and_spaces_and_says_nothing_of_strangers():
    assert did_you_mean("Target", [" target", "x"]) == " Did you mean ' target'?"
    assert did_you_mean("zzz", ["target", "x"]) == ""


def test_names_in_messages_are_short_and_on_one_line():
    assert len(quoted("x" * 1000)) < 70
    assert "\n" not in quoted("a\nb")
    assert listed(map(str, range(100)), 2) == "'0', '1', ... (100 in all)"


def test_columns_are_padded_left_and_right_and_lines_end_without_blanks():
    rows = [("a", "b", "c"), ("long", "1", "")]
    assert aligned(rows, left=1) == "a     b  c\nlong  1"
    assert aligned(rows) == "a     b  c\nlong  1"
    assert aligned([("x", "1"), ("y", "10")], left=1) == "x   1\ny  10"


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        aligned([("a", "b"), ("c",)])


@pytest.mark.parametrize("character", ["\x1b", "\n", "\r", "\u202e", "\u2066", "\u200f", "\u2028", "\x00", "\ud800"])
def test_clean_writes_out_what_would_act(character):
    assert clean(f"a{character}b") == f"a\\u{ord(character):04x}b"


def test_clean_cuts_long_text():
    assert clean("x" * 10_000) == "x" * 59 + "…"
    assert clean("x" * 60) == "x" * 60
    assert len(clean("\u202e" * 10_000)) <= 60
