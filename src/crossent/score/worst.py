"""The worst rows: a bounded list by loss, then identity, so that merging in any order keeps the same rows."""

from dataclasses import dataclass

import numpy as np

from crossent.score.outcome import Outcome

__all__ = ["RowLoss", "Worst"]


@dataclass(frozen=True)
class RowLoss:
    """One row and its loss.

    Attributes:
        source: file or table the row is from.
        row: its number there, from 0.
        target: index of its true class.
        predicted: index of the class with the largest probability.
        p_target: probability given to the true class.
        loss: in nats.
        weight: its weight.
    """

    source: str
    row: int
    target: int
    predicted: int
    p_target: float
    loss: float
    weight: float = 1.0

    @property
    def order(self) -> tuple[float, str, int]:
        """Sorts the largest loss first, then by identity."""
        return -self.loss, self.source, self.row


@dataclass(frozen=True)
class Worst:
    """At most `limit` rows, worst first; `+` keeps the worst of both."""

    limit: int
    rows: tuple[RowLoss, ...] = ()

    @classmethod
    def of(cls, outcome: Outcome, *, limit: int) -> "Worst":
        """The worst rows of one block."""
        rows = tuple(
            RowLoss(
                source=outcome.source,
                row=int(outcome.rows[i]),
                target=int(outcome.targets[i]),
                predicted=int(outcome.predicted[i]),
                p_target=float(outcome.p_target[i]),
                loss=float(outcome.losses[i]),
                weight=1.0 if outcome.weight is None else float(outcome.weight[i]),
            )
            for i in _largest(outcome.losses, limit)
        )
        return cls(limit, tuple(sorted(rows, key=_order)))

    def __add__(self, other: "Worst") -> "Worst":
        return Worst(self.limit, tuple(sorted((*self.rows, *other.rows), key=_order)[: self.limit]))


def _order(row: RowLoss) -> tuple[float, str, int]:
    return row.order


def _largest(losses: np.ndarray, limit: int) -> np.ndarray:
    """Positions of the `limit` largest losses, the earliest among ties, in no order."""
    if limit == 0 or len(losses) <= limit:
        return np.arange(min(limit, len(losses)))
    bound = np.partition(losses, -limit)[-limit]
    above = np.flatnonzero(losses > bound)
    ties = np.flatnonzero(losses == bound)[: limit - len(above)]
    return np.concatenate([above, ties])
