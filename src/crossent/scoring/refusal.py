"""Why the predictions of a file are no probabilities: the first such row, how many there are, what to try instead.

A tally refuses a block at its first bad row. Here the file is then read once more from its start, so that the
message counts all rows: one bad row is a slip, most of them are another kind of numbers.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from crossent.errors import CrossentError, ProbabilityError
from crossent.rows.binding import Binding
from crossent.rows.block import Block
from crossent.rows.sources import Source
from crossent.scoring.row_pass import LARGEST_OFF
from crossent.stats import Flags, Float64
from crossent.wording import quoted

__all__ = ["no_probabilities"]

_ADVICE = {
    "percent": "These look like per cents: divide them by 100.",
    "log_probs": "These look like log-probabilities: try --log-probs {pattern}.",
    "probs": "These look like probabilities: try --probs {pattern}.",
}
_LOGITS = "These look like logits: try --logits {pattern}."
_SLIP = "Correct such rows; if the columns are scores before softmax, try --logits {pattern}."


def no_probabilities(source: Source, binding: Binding, *, weight: str | None = None) -> ProbabilityError | None:
    """The error that names the first row that is no distribution, and counts such rows.

    Args:
        source: an open crossent.rows.Source.
        binding: its columns; probabilities or log-probabilities.
        weight: name of the column of weights; rows of weight 0 are no rows.
    Returns: the error to raise, None if there is no such row.
    """
    found = _Found(binding)
    try:
        for block, values in _blocks(source, binding, weight):
            found.look(block, values)
        found.whole = True
    except CrossentError:  # a cell further down that cannot be read: what was counted up to there still holds
        pass
    return ProbabilityError(found.message()) if found.first else None


def _blocks(source: Source, binding: Binding, weight: str | None) -> Iterator[tuple[Block, Float64]]:
    """The blocks with their predictions [n, K], NaN in rows that do not count."""
    for block in source.blocks((*binding.columns, *([] if weight is None else [weight]))):
        values = block.matrix(binding.columns)
        if weight is not None:
            values[block.numbers(weight) == 0] = np.nan
        yield block, values


@dataclass
class _Found:
    """What was seen so far: rows, those that are off, the first of these, and what all of them could be instead."""

    binding: Binding
    rows: int = 0
    off: int = 0
    first: str = ""
    whole: bool = False
    wide: bool = False  # a cell that is off lies outside 0..1
    readings: set[str] = field(default_factory=lambda: set(_ADVICE))

    def look(self, block: Block, values: Float64) -> None:
        """Counts the rows of one block."""
        with np.errstate(over="ignore", invalid="ignore"):
            counts = ~np.isnan(values).any(axis=1)
            outside, sums_off = self.faults(values)
            bad = counts & (outside.any(axis=1) | sums_off)
            self.rows += int(counts.sum())
            self.off += int(bad.sum())
            if bad.any():
                i = int(np.argmax(bad))
                self.first = self.first or f"{block.place(i)}: {self.told(values[i], outside[i], bool(sums_off[i]))}"
                self.wide |= bool(((values[bad] < 0) | (values[bad] > 1)).any())
                self.readings &= _readings(values[bad], self.logs, self.several)

    @property
    def logs(self) -> bool:
        """Whether the columns are said to hold logarithms."""
        return self.binding.kind == "log_probs"

    @property
    def several(self) -> bool:
        """Whether there is a column per class, so that rows have a sum."""
        return self.binding.positive is None

    def faults(self, values: Float64) -> tuple[Flags, Flags]:
        """Cells outside their range [n, K], and rows whose probabilities do not sum to 1 [n]."""
        outside = values > 0 if self.logs else ~((values >= 0) & (values <= 1))
        sums = (np.exp(values) if self.logs else values).sum(axis=1)
        return outside, ~_near(sums, 1.0) if self.several else np.zeros(len(values), np.bool_)

    def told(self, row: Float64, outside: Flags, sum_off: bool) -> str:
        """What is wrong with one row: its sum, or else the first cell out of range."""
        names = [quoted(name)[1:-1] for name in self.binding.columns]
        if sum_off:
            total = float((np.exp(row) if self.logs else row).sum())
            span = f"{names[0]}..{names[-1]}"
            return f"exp of {span} sums to {total:.6g}" if self.logs else f"{span} sum to {total:.6g}"
        k = int(np.argmax(outside))
        allowed = "logarithms of probabilities are <= 0" if self.logs else "probabilities lie in 0..1"
        return f"{names[k]} is {row[k]:.6g}; {allowed}"

    def message(self) -> str:
        """Where, what, how many, and what to try."""
        rows = self.rows if self.whole else f"the first {self.rows}"
        count = f"({self.off} of {rows} rows {'is' if self.off == 1 else 'are'} off{' 1' if self.several else ''})"
        scores = self.logs or (self.wide and self.off > 1)  # a single row is rather a slip
        advice = next((text for name, text in _ADVICE.items() if name in self.readings), _LOGITS if scores else _SLIP)
        return f"{self.first} {count}. {advice.format(pattern=shlex.quote(self.binding.pattern or 'PATTERN'))}"


def _readings(bad: Float64, logs: bool, several: bool) -> set[str]:
    """What rows that are off could be: all of them fit."""
    sums, exp_sums = bad.sum(axis=1), np.exp(bad).sum(axis=1)
    fits = {
        "percent": several and not logs and bool((bad >= 0).all() and (np.abs(sums - 100) <= 1).all()),
        "log_probs": not logs and bool((bad <= 0).all() and (not several or _near(exp_sums, 1.0).all())),
        "probs": logs and bool((bad >= 0).all() and (bad <= 1).all() and (not several or _near(sums, 1.0).all())),
    }
    return {name for name, fit in fits.items() if fit}


def _near(sums: Float64, wanted: float) -> Flags:
    close: Flags = np.abs(sums - wanted) <= LARGEST_OFF
    return close
