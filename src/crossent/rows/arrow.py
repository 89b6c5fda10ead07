"""Loads pyarrow and duckdb when a file is first touched, so that the rest of crossent works without them."""

from typing import Any

from crossent.errors import MissingExtraError

__all__ = ["load_duckdb", "load_pyarrow"]

_PURPOSE = "Reading and writing tables"


def load_pyarrow() -> Any:
    """The module pyarrow with its compute, csv and parquet parts imported.

    Raises: MissingExtraError, with the pip command.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError.for_extra("files", "pyarrow", _PURPOSE) from None
    return pyarrow


def load_duckdb() -> Any:
    """The module duckdb.

    Raises: MissingExtraError, with the pip command.
    """
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError.for_extra("files", "duckdb", "Reading CSV") from None
    return duckdb
