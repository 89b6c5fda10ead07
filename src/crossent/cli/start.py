"""main: the entry point of the command; imports what a bare `import crossent` does not need only once it runs."""

import sys
from collections.abc import Sequence
from typing import NoReturn

from crossent.errors import MissingExtraError

__all__ = ["main"]

_LIBRARIES = ("click", "rich")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and ends the process with its exit status (see crossent.cli.run).

    Args:
        arguments: words after `crossent`; None takes those of the process.
    """
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
