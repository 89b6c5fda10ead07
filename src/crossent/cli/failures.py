"""How a command ends: one message and an exit status for everything that can go wrong.

0 fine; 1 a stated gate failed; 2 usage or data; 70 a bug in crossent, with a log file; 130 interrupted. A reader
that closes the pipe early has had enough: that is silent, and 0.
"""

import errno
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from enum import IntEnum

import click

from crossent.cli import console
from crossent.errors import CrossentError

__all__ = ["Exit", "failed"]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class Exit(IntEnum):
    """Exit statuses."""

    FINE = 0
    GATE = 1
    USAGE = 2
    BUG = 70
    INTERRUPTED = 130


def failed(problem: BaseException, arguments: Sequence[str]) -> Exit:
    """Tells what went wrong and returns the exit status for it."""
    if isinstance(problem, BrokenPipeError):
        console.silence_stdout()
        return Exit.FINE
    if isinstance(problem, KeyboardInterrupt | click.Abort):
        console.say("Interrupted.")
        return Exit.INTERRUPTED
    if isinstance(problem, click.ClickException):
        _usage(problem)
        return Exit.USAGE
    if isinstance(problem, CrossentError):
        console.error(str(problem))
        return Exit.USAGE
    if isinstance(problem, OSError) and problem.errno in _NO_ROOM:
        console.silence_stdout()
        console.error(f"Standard output cannot be written: {problem.strerror}.")
        return Exit.USAGE
    if isinstance(problem, MemoryError):
        console.error(f"Not enough memory. {problem}".strip())
        return Exit.USAGE
    _bug(problem, arguments)
    return Exit.BUG


def _usage(problem: click.ClickException) -> None:
    """click's message, a hint for patterns that a shell expanded, and where help is."""
    text = problem.format_message()
    if "unexpected extra argument" in text:
        text += " A pattern needs quotes, or the shell expands it: --probs 'p_*'."
    context = getattr(problem, "ctx", None)
    if context is not None:
        text += f"\nHelp: {context.command_path} --help"
    console.error(text)


def _bug(problem: BaseException, arguments: Sequence[str]) -> None:
    """One line for the person, everything else into a log file."""
    from crossent import __version__

    lines = [
        f"crossent {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"arguments: {list(arguments)}",
        "".join(traceback.format_exception(problem)),
    ]
    summary = f"{type(problem).__name__}: {problem}".splitlines()[0]
    try:
        descriptor, path = tempfile.mkstemp(prefix="crossent-", suffix=".log")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as log:
            log.write("\n".join(lines))
        where = f"The traceback is in {path}; please report it."
    except OSError:
        print("\n".join(lines), file=sys.stderr)
        where = "Please report it with the traceback above."
    console.error(f"This is a bug in crossent, not in your data ({summary}). {where}")
