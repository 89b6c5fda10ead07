"""docs/accuracy.md shows the stored tables, all of them, and nothing else."""

import pytest

from tables import measure, pages


def test_the_page_shows_the_stored_tables() -> None:
    page = pages.PAGE.read_text(encoding="utf-8")
    assert pages.with_blocks(page, pages.blocks()) == page, "run `make tables`, or python -m tables --only pages"


def test_every_question_stands_in_one_table() -> None:
    table, found = measure.load(), pages.blocks()
    functions = {question.split(" | ")[0] for section in measure.SECTIONS for question in table.get(section, {})}
    for function in functions:
        assert sum(f"\n| {function} |" in block for block in found.values()) == 1, function


def test_marks_and_tables_belong_together() -> None:
    page = "a\n<!-- table: x --><!-- end -->\nb\n<!-- table: y -->old\n<!-- end -->\n"
    filled = pages.with_blocks(page, {"x": "1", "y": "2"})
    assert filled == "a\n<!-- table: x -->\n\n1\n\n<!-- end -->\nb\n<!-- table: y -->\n\n2\n\n<!-- end -->\n"
    assert pages.with_blocks(filled, {"x": "1", "y": "2"}) == filled
    for wrong in ({"x": "1"}, {"x": "1", "y": "2", "z": "3"}):
        with pytest.raises(KeyError):
            pages.with_blocks(page, wrong)
