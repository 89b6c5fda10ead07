"""What is saved of a Tally, and whether a loaded state is one of its options."""

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from crossent.scoring.beside import Beside
from crossent.scoring.layout import Layout
from crossent.scoring.outcome import class_outcome
from crossent.scoring.parts import Parts
from crossent.scoring.segments import held_classes
from crossent.stats import ExactSum

__all__ = ["TallyState"]


@dataclass(frozen=True)
class TallyState:
    """The options of a tally and its sums; None for no rows."""

    layout: Layout
    parts: Parts | None

    def check(self) -> None:
        """Raises ValueError unless the parts have the sizes of those of one row, and all speak of as many rows."""
        if self.parts is None:
            return
        like = _one_row(self.layout)
        for f in fields(Parts):
            mine, theirs = getattr(self.parts, f.name), getattr(like, f.name)
            if (mine is None) != (theirs is None):
                raise ValueError(f"{f.name} does not fit the options of the tally")
            _match(mine, theirs, f.name)
        _check_rows(self.parts, self.layout)


def _check_rows(parts: Parts, layout: Layout) -> None:
    """Every part must speak of as many rows, and the worst be as many as the options say."""
    if parts.worst.limit != layout.worst:
        raise ValueError(f"it keeps {parts.worst.limit} worst rows, and its options say {layout.worst}")
    if not parts.losses.fits(layout):
        raise ValueError("losses does not fit the options of the tally")
    zeros = parts.zeros.sum()
    counts = [parts.truth.counts, parts.predicted.counts, parts.losses.rows.units, parts.histogram.counts]
    rows = [int(c.sum() + extra) for c, extra in zip(counts, (0, 0, zeros, zeros), strict=True)]
    if any(sums.truth.shape[1] != held_classes(len(layout.classes)) for sums in parts.segments):
        raise ValueError("its segments do not count the rows of its classes")
    if len(set(rows)) > 1:
        raise ValueError(f"its parts speak of {', '.join(map(str, rows))} rows")


def _one_row(layout: Layout) -> Parts:
    """The parts of a tally of these options that has seen one row, with a weight."""
    k = len(layout.classes)
    outcome = class_outcome(
        np.zeros(1, np.int64),
        np.eye(1, k),
        kind="probs",
        classes=layout.classes,
        sample_weight=np.ones(1),
        source="",
        first_row=0,
        tracked=layout.tracked,
    )
    beside = Beside.of(
        layout, 1, None, None, {name: [""] for name in layout.by}, [""] if layout.cluster else None, "", 0
    )
    return Parts.of(outcome, layout, beside.keys_of(outcome))


def _match(found: Any, like: Any, path: str) -> None:
    """Whether arrays have the shapes of those of a tally that has seen one row.

    A class with the attribute `grows` has shapes that depend on the rows, and answers for them in its own `check`.
    """
    if found is None or getattr(found, "grows", False):
        return
    if isinstance(found, ExactSum):
        same = isinstance(like, ExactSum) and found.group_count == like.group_count
    elif isinstance(found, np.ndarray):
        same = isinstance(like, np.ndarray) and found.shape == like.shape
    elif isinstance(found, tuple):
        same = isinstance(like, tuple) and len(found) == len(like)
        for i, pair in enumerate(zip(found, like, strict=False) if same else ()):
            _match(*pair, f"{path}[{i}]")
    elif is_dataclass(found):
        same = type(found) is type(like)
        for f in fields(found) if same else ():
            _match(getattr(found, f.name), getattr(like, f.name), f"{path}.{f.name}")
    else:
        return
    if not same:
        raise ValueError(f"the size of {path} does not fit the options of the tally")
