"""run: the commands in one group, and every way in which one of them can end."""

import io
import os
import sys
from collections.abc import Sequence

import click

from crossent import __version__
from crossent.cli import console
from crossent.cli.bench import bench
from crossent.cli.demo import demo
from crossent.cli.failures import Exit, failed
from crossent.cli.fit import fit
from crossent.cli.losses import losses
from crossent.cli.predict import predict
from crossent.cli.score import score
from crossent.cli.show_config import show_config
from crossent.settings import obey_environment

__all__ = ["commands", "run"]


class _InOrder(click.Group):
    """Lists the commands in the order in which a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    invoke_without_command=True,
    epilog="New here? Run: crossent demo",
)
@click.version_option(__version__, prog_name="crossent", message="%(prog)s %(version)s")
@click.pass_context
def commands(ctx: click.Context) -> None:
    """Cross-entropy of files: fit a classifier by minimising it, score predictions with it.

    Data goes to standard output, messages to standard error. Exit status: 0 fine, 1 a stated gate failed, 2 usage or
    data, 70 a bug in crossent, 130 interrupted.
    """
    if ctx.invoked_subcommand is None:
        console.data(ctx.get_help() + "\n")


for _command in (demo, fit, predict, score, losses, bench, show_config):
    commands.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; nothing is raised.

    Args:
        arguments: words after `crossent`; None takes those of the process.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    _prepare_streams()
    try:
        obey_environment()
        status = commands.main(args=words, prog_name="crossent", standalone_mode=False)
        sys.stdout.flush()
        return int(status or 0)
    except SystemExit:  # click met a closed pipe
        return Exit.FINE
    except BaseException as problem:
        return failed(problem, words)


def _prepare_streams() -> None:
    """Neither a closed stream nor one of a narrow encoding ends a command."""
    for name in ("stdout", "stderr"):
        stream: object = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the whole process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
