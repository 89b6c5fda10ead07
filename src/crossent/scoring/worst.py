"""The worst rows: a bounded list by loss, then identity, so that merging in any order keeps the same rows."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from crossent.scoring.layout import Layout
from crossent.scoring.outcome import Outcome
from crossent.scoring.score import WorstRow

__all__ = ["Worst"]


@dataclass(frozen=True)
class Worst:
    """At most `limit` rows, worst first; `+` keeps the worst of both, and a row that is in both once."""

    limit: int
    rows: tuple[WorstRow, ...] = ()
    grows: ClassVar[bool] = True  # for crossent.scoring.saved: its size depends on the rows

    def check(self) -> None:
        """Raises ValueError unless there are at most `limit` rows, worst first."""
        if len(self.rows) > self.limit or any(_order(a) > _order(b) for a, b in pairwise(self.rows)):
            raise ValueError(f"the worst rows are more than {self.limit}, or not in order")

    @classmethod
    def of(cls, outcome: Outcome, layout: Layout) -> "Worst":
        """The worst rows of one block."""
        rows = (
            WorstRow(
                source=outcome.source,
                row=int(outcome.rows[i]),
                target=layout.classes[outcome.targets[i]],
                predicted=layout.classes[outcome.predicted[i]],
                p_target=float(outcome.p_target[i]),
                loss=float(outcome.losses[i]),
            )
            for i in _largest(outcome.losses, layout.worst)
        )
        return cls(layout.worst, tuple(sorted(rows, key=_order)))

    def __add__(self, other: "Worst") -> "Worst":
        return Worst(self.limit, tuple(sorted({*self.rows, *other.rows}, key=_order)[: self.limit]))


def _order(row: WorstRow) -> tuple[float, str, int]:
    """Sorts the largest loss first, then by identity."""
    return -row.loss, row.source, row.row


def _largest(losses: np.ndarray, limit: int) -> np.ndarray:
    """Positions of the `limit` largest losses, the earliest among ties, in no order."""
    if limit == 0 or len(losses) <= limit:
        return np.arange(min(limit, len(losses)))
    bound = np.partition(losses, -limit)[-limit]
    above = np.flatnonzero(losses > bound)
    ties = np.flatnonzero(losses == bound)[: limit - len(above)]
    return np.concatenate([above, ties])
