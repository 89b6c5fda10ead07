"""The command `crossent`."""

from crossent.cli.start import main

__all__ = ["main"]
