"""`crossent losses`: the family, one line each, from the loss cards."""

import json

import click

from crossent.cli import console
from crossent.explain import CARDS
from crossent.report.table import aligned

__all__ = ["losses"]


@click.command(short_help="List the losses of crossent.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True,
              help="Output for people or for programs.")  # fmt: skip
def losses(form: str) -> None:
    """List the family of losses: formula in nats, use, whether it is proper, whether it is convex in the logits.

    Proper: the expected loss is smallest at the true probabilities, and only there.
    """
    console.data(_table() if form == "table" else _json())


def _table() -> str:
    heads = ("loss", "for", "proper", "convex", "formula [nat]")
    rows = [heads, *((c.name, c.use, _yes(c.proper), _yes(c.convex), c.formula) for c in CARDS)]
    functions = ", ".join(card.function for card in CARDS)
    return "\n".join([aligned(rows), "", f"In Python, import crossent as ce: ce.{CARDS[0].name}(...) holds options;",
                      f"the shorthands are {functions}."]) + "\n"  # fmt: skip


def _json() -> str:
    plain = {"schema": "crossent.losses/1", "losses": [card.to_dict() for card in CARDS]}
    return json.dumps(plain, indent=2) + "\n"


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"
