"""Options and checks that several commands share."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crossent.errors import CrossentError, MissingExtraError
from crossent.report.pictures import picture_format
from crossent.rows import check_writable
from crossent.rows.formats import format_of

__all__ = [
    "InputFile",
    "OutputFile",
    "PictureFile",
    "TableFile",
    "input_file",
    "refuse_same_file",
    "require_report_libraries",
    "target_option",
]

_TABLES = ("parquet", "csv", "tsv")
_F = TypeVar("_F", bound=Callable[..., Any])


if TYPE_CHECKING:
    _PathType = click.ParamType[str]
else:
    _PathType = click.ParamType  # click 8.1 has no parameter there


class InputFile(_PathType):
    """A path to read; the file itself is checked by whoever opens it, which knows what it should be."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path as text."""
        text = os.fspath(value)
        if not text:
            self.fail("the file name is empty.", param, ctx)
        return str(text)


class OutputFile(InputFile):
    """A path that can be written, which is found out before anything is read."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path as text."""
        path = super().convert(value, param, ctx)
        try:
            self.check(path)
        except CrossentError as problem:
            raise click.BadParameter(str(problem), ctx=ctx, param=param) from problem
        return path

    def check(self, path: str) -> None:
        """Raises DataError if the file cannot be written."""
        check_writable(path)


class TableFile(OutputFile):
    """A path for a table, whose suffix tells a format that can be written."""

    def check(self, path: str) -> None:
        """Raises DataError for an unknown suffix, or if the file cannot be written."""
        format_of(path, None, _TABLES, verb="write")
        check_writable(path)


class PictureFile(OutputFile):
    """A path for a picture, whose suffix tells a format that can be written."""

    def check(self, path: str) -> None:
        """Raises DataError for an unknown suffix, or if the file cannot be written; MissingExtraError."""
        picture_format(path)
        require_report_libraries("matplotlib", what="A picture")
        check_writable(path)


def require_report_libraries(*libraries: str, what: str) -> None:
    """Raises MissingExtraError before anything is read."""
    for library in libraries:
        if find_spec(library) is None:
            raise MissingExtraError.for_extra("report", library, what)


def input_file(command: _F) -> _F:
    """The argument FILE: a table to read."""
    return click.argument("file", type=InputFile(), metavar="FILE")(command)


def target_option(command: _F) -> _F:
    """--target COLUMN."""
    return click.option("--target", metavar="COLUMN", required=True, help="Column with the true class.")(command)


def refuse_same_file(**paths: str | None) -> None:
    """Refuses two of the paths, given by what they are, to be one file.

    Raises: click.UsageError.
    """
    seen: dict[str, str] = {}
    for what, path in paths.items():
        if path is None or not _is_plain(path):
            continue
        real = os.path.realpath(path)
        if real in seen:
            raise click.UsageError(
                f"{path} is both the {seen[real]} and the {what.replace('_', ' ')}. Give different files.",
                click.get_current_context(silent=True),
            )
        seen[real] = what.replace("_", " ")


def _is_plain(path: str) -> bool:
    """Whether a path is, or may become, a file that writing replaces; /dev/null and pipes may be given twice."""
    return os.path.isfile(path) or not os.path.exists(path)
