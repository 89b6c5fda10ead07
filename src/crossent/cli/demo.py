"""`crossent demo`: real images and real patients, from raw table to report, in a few seconds."""

import contextlib
import io
from collections.abc import Sequence

import click
from rich.text import Text

from crossent import demo as program
from crossent.cli import console
from crossent.cli.failures import Exit

__all__ = ["demo"]


@click.command(short_help="Train, predict and score on real data, and open a report.")
@click.option("-o", "--output", "folder", default="demo-output", show_default=True, metavar="FOLDER",
              help="Where to write; made if it is not there.")  # fmt: skip
def demo(folder: str) -> None:
    """Train a classifier on real images by minimising cross-entropy, score it on rows it has not seen, make a report.

    Writes scikit-learn's digits and breast-cancer tables to Parquet, then runs the commands that it prints.
    Exit status 1 if the result is not as good as it should be.
    """
    if not program.run(folder, command=_command, show=_Show()):
        raise click.exceptions.Exit(Exit.GATE)


def _command(words: Sequence[str]) -> None:
    """Runs one command of crossent in this process; what it prints is kept to itself unless it fails.

    Raises: whatever the command raises.
    """
    from crossent.cli.run import commands  # that module lists this command

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        commands.main(args=list(words), prog_name="crossent", standalone_mode=False)


class _Show:
    """How the demo speaks: headings, commands, facts and sentences on stdout; colour on a terminal only."""

    def __init__(self) -> None:
        self._console = console.stdout()

    def heading(self, text: str) -> None:
        """A heading, with a blank line above and below."""
        self._print(Text(f"\n{text}\n", style="bold"))

    def command(self, words: str) -> None:
        """A command, ready to paste: alone on its line."""
        self._print(Text(words, style="cyan"))

    def fact(self, name: str, text: str) -> None:
        """A name and what there is to say about it."""
        self._print(Text.assemble((name.ljust(14), "dim"), text))

    def text(self, text: str) -> None:
        """A sentence."""
        self._print(Text(text))

    def _print(self, line: Text) -> None:
        self._console.print(line)
