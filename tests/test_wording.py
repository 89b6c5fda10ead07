"""Words for messages stay short and on one line, and suggest only what is near."""

from crossent.wording import did_you_mean, listed, quoted


def test_did_you_mean_looks_past_case_and_spaces_and_says_nothing_of_strangers():
    assert did_you_mean("Target", [" target", "x"]) == " Did you mean ' target'?"
    assert did_you_mean("zzz", ["target", "x"]) == ""


def test_names_in_messages_are_short_and_on_one_line():
    assert len(quoted("x" * 1000)) < 70
    assert "\n" not in quoted("a\nb")
    assert listed(map(str, range(100)), 2) == "'0', '1', ... (100 in all)"
