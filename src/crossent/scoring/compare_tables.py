"""Two sets of predictions in the columns of one table, or in two tables with their rows in the same order.

With two tables the target stands in both and must agree row by row: tables in different orders would else be compared
without a word. Blocks of the two need not end at the same rows.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from crossent.core.text import canonical_text
from crossent.errors import DataError, OptionError, ProbabilityError, UnsupportedError
from crossent.rows import Binding, Source, from_table
from crossent.scoring.columns import Columns, predictions
from crossent.scoring.compare_tally import CompareTally
from crossent.scoring.files import bind_source
from crossent.scoring.inputs import column_name, column_names, python_words
from crossent.scoring.layout import Interval
from crossent.scoring.refusal import no_probabilities
from crossent.scoring.two import Two
from crossent.stats import Float64, Int64
from crossent.wording import counted, listed, quoted

__all__ = ["table_tally"]


class _Side(NamedTuple):
    """One set of predictions: where it is read from, and its columns."""

    name: str
    source: Source
    binding: Binding

    def predictions(self, block: Any) -> Float64:
        """[n, K], or [n] for a single column."""
        values = predictions(block, self.binding)
        return values if self.binding.positive is None else values[:, 0]


def table_tally(
    table: Any,
    targets: Any,
    predicted: Mapping[str, Any],
    positive: Hashable | None,
    beside: Mapping[str, Any],
    ci: Interval,
) -> CompareTally:
    """The tally of two sets of predictions in one table or two.

    Args:
        table: one table, or two as `Two` takes them.
        targets: name of the column with the truth, in each table.
        predicted: patterns by the form of the predictions, at most one; of one table two patterns.
        positive: the class that single columns are for.
        beside: names of columns by sample_weight, count, by, cluster; read from the first table.
        ci: how intervals are formed.
    Raises: DataError, LabelError, OptionError, UnsupportedError and whatever a CompareTally refuses.
    """
    target = column_name(targets, "targets")
    if target is None:
        raise OptionError("targets is None; with table= the name of the column with the truth is needed")
    weight, count, cluster = (column_name(beside[name], name) for name in ("sample_weight", "count", "cluster"))
    columns = Columns(weight, count, cluster, column_names(beside["by"], "by"))
    wanted = None if positive is None else canonical_text(positive)
    with python_words():
        a, b = _sides(table, target, predicted, wanted, columns)
        tally = CompareTally(
            a.binding.classes,
            kind=a.binding.kind,
            names=(a.name, b.name),
            by=columns.by,
            cluster=cluster is not None,
            ci=ci,
        )
        update: Callable[..., None] = tally.update if a.binding.positive is None else tally.update_binary
        try:
            for codes, first, second, more in _blocks(a, b, columns):
                update(codes, first, second, **more)
        except ProbabilityError as error:
            told = [
                no_probabilities(side.source, side.binding, weight=weight if side.source is a.source else None)
                for side in (a, b)
            ]
            raise next((found for found in told if found is not None), error) from error
    return tally


def _sides(
    table: Any, target: str, predicted: Mapping[str, Any], positive: str | None, columns: Columns
) -> tuple[_Side, _Side]:
    """Both sets with their columns, those of B in the order of A's classes."""
    kinds = [kind for kind, pattern in predicted.items() if pattern is not None]
    if len(kinds) > 1:
        raise UnsupportedError(f"{' and '.join(f'{kind}=' for kind in kinds)} were given; a prediction has one form.")
    kind = kinds[0] if kinds else "probs"
    tables, patterns = _named(table, predicted[kind], kind)
    first = from_table(tables.members[0], name=tables.names[0] if tables.several else "table")
    second = from_table(tables.members[1], name=tables.names[1]) if tables.several else first
    sides = []
    for name, source, pattern in zip(tables.names, (first, second), patterns, strict=True):
        others = [c for c in columns.names if source is first or c in source.column_names]
        binding = bind_source(
            source, target=target, positive=positive, besides=others, **{kind: column_name(pattern, kind)}
        )
        sides.append(_Side(name, source, binding))
    a, b = sides
    return a, b._replace(binding=_in_order(a, b))


class _Tables(NamedTuple):
    names: tuple[str, str]
    members: tuple[Any, Any]
    several: bool


def _named(table: Any, pattern: Any, kind: str) -> tuple[_Tables, tuple[Any, Any]]:
    """The tables with the names of A and B, and the pattern for each."""
    many = (Mapping, list, tuple)
    if not isinstance(table, many):
        if pattern is None:
            raise UnsupportedError(
                "no predictions were named; with one table both sets are: probs=['old_*', 'new_*'] or "
                "probs={'old': 'old_*', 'new': 'new_*'} (or logits=, log_probs=)"
            )
        patterns = Two.of(pattern, kind)
        return _Tables(patterns.names, (table, table), several=False), patterns.members
    tables = Two.of(table, "table")
    if not isinstance(pattern, many):
        return _Tables(*tables, several=True), (pattern, pattern)
    patterns = Two.of(pattern, kind)
    if isinstance(table, Mapping) and isinstance(pattern, Mapping) and tables.names != patterns.names:
        raise OptionError(
            f"table names {listed(tables.names)} and {kind} {listed(patterns.names)}; give the same names"
        )
    names = tables.names if isinstance(table, Mapping) else patterns.names
    return _Tables(names, tables.members, several=True), patterns.members


def _in_order(a: _Side, b: _Side) -> Binding:
    """B's columns in the order of A's classes."""
    mine, theirs = a.binding, b.binding
    if mine.kind != theirs.kind:
        raise UnsupportedError(f"{a.name} has {mine.kind} and {b.name} has {theirs.kind}; both must have one form")
    if mine.positive != theirs.positive or set(mine.classes) != set(theirs.classes):
        told = [_told(side.binding) for side in (a, b)]
        raise DataError(
            f"{quoted(a.name)} has {told[0]}, {quoted(b.name)} has {told[1]}; both must speak of the same "
            "classes. Name the columns of each set with a pattern that fits them alone."
        )
    if mine.positive is not None:
        return replace(theirs, classes=mine.classes)
    order = [theirs.classes.index(name) for name in mine.classes]
    return replace(theirs, classes=mine.classes, columns=tuple(theirs.columns[k] for k in order))


def _told(binding: Binding) -> str:
    """The classes of a binding, for messages."""
    if binding.positive is not None:
        return f"one column for class {quoted(binding.positive)}"
    return f"columns for the classes {listed(binding.classes)}"


def _blocks(a: _Side, b: _Side, columns: Columns) -> Iterator[tuple[Int64, Float64, Float64, dict[str, Any]]]:
    """Targets, both predictions and what comes beside them, block by block."""
    target, classes = a.binding.target, a.binding.classes
    wanted = (target, *a.binding.columns, *columns.names)
    if a.source is b.source:
        for block in a.source.blocks((*wanted, *b.binding.columns)):
            yield block.codes(target, classes), a.predictions(block), b.predictions(block), columns.of(block)
        return
    rows = [_row_count(side.source, target) for side in (a, b)]
    if rows[0] != rows[1]:
        raise DataError(
            f"{quoted(a.name)} has {counted(rows[0])} and {quoted(b.name)} has {counted(rows[1])}; tables are compared "
            "row by row, so both need the same rows in the same order. Join them on a key first."
        )
    held: list[tuple[Int64, Float64]] = []
    more = (
        (block.codes(target, classes), b.predictions(block)) for block in b.source.blocks((target, *b.binding.columns))
    )
    for block in a.source.blocks(wanted):
        codes = block.codes(target, classes)
        while sum(len(part[0]) for part in held) < len(block):
            held.append(next(more))
        theirs, values = (np.concatenate([part[k] for part in held]) for k in (0, 1))
        held = [(theirs[len(block) :], values[len(block) :])]
        if (differs := theirs[: len(block)] != codes).any():
            i = int(np.argmax(differs))
            raise DataError(
                f"{block.place(i)}: column {quoted(target)} holds {quoted(classes[codes[i]])}, and in {quoted(b.name)} "
                f"{quoted(classes[theirs[i]])}; both tables need the same rows in the same order. "
                "Join them on a key first."
            )
        yield codes, a.predictions(block), values[: len(block)], columns.of(block)


def _row_count(source: Source, column: str) -> int:
    return sum(len(block) for block in source.blocks([column])) if source.row_count is None else source.row_count
