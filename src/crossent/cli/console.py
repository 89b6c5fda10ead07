"""What people see: data on stdout, messages and progress on stderr, colour and movement on terminals only."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from crossent.errors import DataError
from crossent.wording import clean

__all__ = ["data", "error", "note", "progress", "quiet_status", "say", "silence_stdout", "stderr", "stdout"]

_LONGEST = 4000  # characters of a message line: enough for any of ours, not for a file's content


def stdout() -> Console:
    """A console on stdout that never wraps, so that lines can be pasted."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)


def stderr() -> Console:
    """A console on stderr."""
    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def data(text: str) -> None:
    """Writes to stdout what was asked for, and nothing else.

    Raises: BrokenPipeError if nobody reads any more; DataError if stdout cannot be written.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        silence_stdout()
        raise DataError(f"Cannot write to standard output: {problem.strerror or problem}.") from problem


def say(text: str) -> None:
    """A message on stderr."""
    _message("", text, style="")


def note(text: str) -> None:
    """A remark that somebody should hear, on stderr."""
    _message("Note: ", text, style="yellow")


def error(text: str) -> None:
    """Why the command stops, on stderr."""
    _message("Error: ", text, style="bold red")


def _message(prefix: str, text: str, *, style: str) -> None:
    """Text from files and names is made harmless: it cannot move the cursor or add lines."""
    lines = [clean(line, width=_LONGEST) for line in text.splitlines()] or [""]
    line = Text(prefix, style=style)
    line.append("\n".join(lines), style="none")
    stderr().print(line)


@contextmanager
def progress(what: str, *, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr for as long as the body runs; off a terminal nothing is shown.

    Args:
        what: what is going on.
        total: number of rows, if known.
    Yields: a function to call with the number of rows done.
    """
    console = stderr()
    if not console.is_terminal:
        yield lambda done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def quiet_status(what: str) -> Iterator[Callable[[str], None]]:
    """One line on stderr that changes while the body runs; off a terminal nothing is shown.

    Yields: a function to call with the line's new text.
    """
    console = stderr()
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status(Text(what)) as status:
        yield lambda text: status.update(Text(text))


def silence_stdout() -> None:
    """Sends what is left in the buffer nowhere, so that the interpreter does not complain when it ends."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # stdout is closed, or no file at all
        return
