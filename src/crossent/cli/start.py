"""main: the entry point of the command; imports what a bare `import crossent` does not need only once it runs."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from typing import NoReturn

from crossent.errors import MissingExtraError

__all__ = ["main"]

_LIBRARIES = ("click", "rich")


class _NoPandas(MetaPathFinder):
    """Keeps pandas out of the process of the command.

    pyarrow imports it, where it is installed, in the midst of its work: a quarter of a second that no command needs,
    and an interrupt in that moment would be swallowed.
    """

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Refuses pandas and leaves every other module to the finders behind."""
        if name == "pandas":
            raise ModuleNotFoundError("the command crossent works without pandas", name=name)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and ends the process with its exit status (see crossent.cli.run).

    Args:
        arguments: words after `crossent`; None takes those of the process.
    """
    if arguments is None:  # a process of its own
        sys.meta_path.insert(0, _NoPandas)
    try:
        from crossent.cli.run import run
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _LIBRARIES:
            raise
        print(f"Error: {MissingExtraError.for_extra('cli', library, 'The command line')}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run(arguments))
