"""`crossent show-config`: version, instruction set, threads and libraries, to be pasted into a bug report."""

import json

import click

from crossent.cli import console
from crossent.settings import show_config as configuration
from crossent.wording import aligned

__all__ = ["show_config"]


@click.command("show-config", short_help="Show version, instruction set, threads and libraries found.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True,
              help="Output for people or for programs.")  # fmt: skip
def show_config(form: str) -> None:
    """Show version, instruction set, threads and the optional libraries found, for instance for a bug report."""
    facts = configuration()
    console.data(json.dumps(facts, indent=2) + "\n" if form == "json" else _table(facts))


def _table(facts: dict[str, object]) -> str:
    shown = {name: _text(value) for name, value in facts.items() if not isinstance(value, dict)}
    for name, value in facts.items():
        if isinstance(value, dict):
            shown[f"{name} found"] = _text([key for key, found in value.items() if found])
            shown[f"{name} missing"] = _text([key for key, found in value.items() if not found])
    return aligned([(name.replace("_", " "), text) for name, text in shown.items()]) + "\n"


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
