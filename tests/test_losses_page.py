"""docs/losses.md: its examples run, its table is that of the loss cards, and it leaves no loss out."""

import doctest
from pathlib import Path

from crossent.explain import CARDS

PAGE = Path(__file__).parents[1] / "docs" / "losses.md"


def test_examples_of_the_page() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 15
    assert result.failed == 0


def test_the_table_is_that_of_the_cards() -> None:
    yes = {True: "yes", False: "no"}
    remarks = {card.name: card.remark.replace("|", r"\|") for card in CARDS}
    rows = [f"| `{c.name}` | {yes[c.proper]} | {yes[c.convex]} | {remarks[c.name]} |" for c in CARDS]
    table = "\n".join(["| loss | proper | convex | |", "|---|---|---|---|", *rows]).replace("|  |", "| |")
    assert f"\n{table}\n" in PAGE.read_text(encoding="utf-8")


def test_every_loss_and_its_paper_are_named_in_the_text() -> None:
    head, _, text = PAGE.read_text(encoding="utf-8").partition("## Imbalance")
    for card in CARDS:
        assert f"`{card.name}" in head
        if card.name.split("Binary")[-1] != "CrossEntropy" and not card.name.startswith("Linear"):
            assert card.source.replace(" ", "") in text.replace("\n", "").replace(" ", "")
