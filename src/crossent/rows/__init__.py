"""Where rows come from and go to, and which column is which class."""

from crossent.rows.binding import Binding, bind, prediction_column
from crossent.rows.block import Block
from crossent.rows.columns import ColumnInfo, canonical_text, require_column
from crossent.rows.filesafe import atomic_write, check_writable
from crossent.rows.sinks import Sink, open_sink
from crossent.rows.sources import Source, from_table, open_source

__all__ = [
    "Binding",
    "Block",
    "ColumnInfo",
    "Sink",
    "Source",
    "atomic_write",
    "bind",
    "canonical_text",
    "check_writable",
    "from_table",
    "open_sink",
    "open_source",
    "prediction_column",
    "require_column",
]
