"""`crossent losses`: the family from the loss cards, in tables that 100 columns hold."""

import json
import textwrap

import click

from crossent.cli import console
from crossent.explain import CARDS
from crossent.wording import aligned

__all__ = ["losses"]

WIDTH = 100  # columns


@click.command(short_help="List the losses of crossent.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True,
              help="Output for people or for programs.")  # fmt: skip
def losses(form: str) -> None:
    """List the family of losses: use, whether it is proper, whether it is convex in the logits, source, formula.

    Proper: the expected loss is smallest at the true probabilities, and only there. Both are said of a loss with its
    defaults; what else holds stands below the formulas.
    """
    console.data(_table() if form == "table" else _json())


def _table() -> str:
    heads = ("loss", "for", "proper", "convex", "source")
    rows = [heads, *((c.name, c.use, _yes(c.proper), _yes(c.convex), c.source) for c in CARDS)]
    formulas = [("loss", "formula [nat]; z logits, p = softmax(z) or sigmoid(z), y the target")]
    formulas += [(c.name, c.formula) for c in CARDS]
    remarks = [f"{c.name}: {c.remark}" for c in CARDS if c.remark]
    functions = ", ".join(card.function for card in CARDS)
    use = f"In Python, import crossent as ce: ce.{CARDS[0].name}(...) holds options; the shorthands are {functions}."
    notes = "\n".join(textwrap.fill(note, WIDTH, subsequent_indent="  ") for note in remarks)
    return "\n\n".join([aligned(rows), aligned(formulas), notes, textwrap.fill(use, WIDTH)]) + "\n"


def _json() -> str:
    plain = {"schema": "crossent.losses/1", "losses": [card.to_dict() for card in CARDS]}
    return json.dumps(plain, indent=2) + "\n"


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"
