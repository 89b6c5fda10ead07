"""The pass over rows of predictions that scoring needs, on native code: what each row says, and sums over them.

Sums are whole numbers, so each thread has its own and they are added in any order: see native/score_rows.hpp.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np

from crossent import _native
from crossent.core.pool import run_shares
from crossent.core.types import NDArray

__all__ = ["CELLS", "KINDS", "MOST_ROWS", "TERM_BITS", "RowScores", "Tables", "score_rows"]

CELLS = _native.SCORE_CELLS
MOST_ROWS = _native.SCORE_ROWS  # whose units fit into one number
KINDS = ("probs", "logits", "log_probs")
# Terms of a row, as native/score_rows.hpp forms them, and the bits behind the point that they are rounded to: gap, its
# variance, excess, its variance, Brier score, then L, L', L'' at nine inverse temperatures.
TERM_BITS = np.array([39] * 5 + [39, 39, 32] * 9)
_CHUNK = 1 << 13
_NO_BAD_ROW = np.iinfo(np.int64).max


@dataclass
class Tables:
    """What rows are added to.

    Attributes:
        cells: [slots, CELLS, 2] int64: sum of p in units of its cell, and rows + 2^32 hits. Slot 0 is the confidence.
        surprise: [K, K, 2] int64: -log p_j by true class in units of 2^-39, low 32 bits and rest; None if not
            asked for.
        zeros: [K, K] int64: rows with p_j = 0 by true class.
        sums: [32, 2] int64: the terms in units of 2^-TERM_BITS, low 32 bits and rest.
        counts: [4] int64: rows in gap and temperature, those with an infinite loss, those in `large`, those with a sum
            worth a note.
    """

    cells: NDArray
    surprise: NDArray | None
    zeros: NDArray | None
    sums: NDArray
    counts: NDArray

    @classmethod
    def empty(cls, classes: int, slots: int, *, surprise: bool) -> "Tables":
        """Tables of no rows."""
        square = np.zeros((classes, classes, 2), np.int64) if surprise else None
        zeros = np.zeros((classes, classes), np.int64) if surprise else None
        cells = np.zeros((slots, CELLS, 2), np.int64)
        return cls(cells, square, zeros, np.zeros((len(TERM_BITS), 2), np.int64), np.zeros(4, np.int64))

    def add(self, other: "Tables") -> None:
        """Adds the rows of another."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine is not None:
                mine += theirs


@dataclass(frozen=True)
class RowScores:
    """What rows of predictions say.

    Attributes:
        losses: [n] -log p at the label.
        target: [n] p at the label.
        confidence: [n] p of class 1 of two classes, else of the predicted class.
        predicted: [n] the first of the largest.
        tables: sums over the rows, but for those in `large`; empty with `terms`.
        large: rows with a term too large for the sums.
        largest: [2] largest gap variance and excess variance of a row.
        sums: smallest and largest row sum among those that are off 1 by more than was silent.
        bad: lowest bad row and RowError of native/kernels.hpp, or None; then the rest is without meaning.
        terms: [n, 32] the terms themselves, with logs [n, K]; None if not asked for.
    """

    losses: NDArray
    target: NDArray
    confidence: NDArray
    predicted: NDArray
    tables: Tables
    large: NDArray
    largest: NDArray
    sums: tuple[float, float]
    bad: tuple[int, int] | None
    terms: NDArray | None
    logs: NDArray | None


def score_rows(
    values: NDArray,
    labels: NDArray,
    *,
    kind: str,
    losses: NDArray | None,
    slots: NDArray,
    surprise: bool,
    terms: bool,
    silent: float,
    refused: float,
) -> RowScores:
    """Scores at most MOST_ROWS rows, over the threads.

    Args:
        values: [n, K] float32 or float64, C-contiguous.
        labels: [n] int64.
        kind: one of KINDS.
        losses: [n] float64 losses; None computes those of probabilities.
        slots: [K] int64: slot of each class's cells from 1 on, -1 for none.
        surprise: whether to sum -log p_j by true class.
        terms: return the terms of every row instead of sums.
        silent, refused: how far a row's sum may be off 1 without a note, without being refused.
    """
    n, classes = values.shape
    rows: dict[str, Any] = {
        "own_losses": np.empty(n) if losses is None else losses,
        "target": np.empty(n),
        "confidence": np.empty(n),
        "predicted": np.empty(n, np.int64),
    }
    given = {"form": KINDS.index(kind), "silent": silent, "refused": refused, "losses": losses, "slots": slots}
    extra = {
        "terms": np.empty((n, len(TERM_BITS))) if terms else None,
        "logs": np.empty((n, classes)) if terms else None,
    }
    empty = partial(Tables.empty, classes, int(slots.max(initial=0)) + 1, surprise=surprise and not terms)
    workers = _Workers(values, labels, {**given, **rows, **extra}, empty)
    workers.run()
    found = np.concatenate([worker.found[None] for worker in workers.done])
    large = np.sort(np.concatenate([worker.large[: worker.tables.counts[2]] for worker in workers.done]))
    return RowScores(
        losses=rows["own_losses"],
        target=rows["target"],
        confidence=rows["confidence"],
        predicted=rows["predicted"],
        tables=workers.total(),
        large=large,
        largest=found[:, :2].max(axis=0),
        sums=(float(found[:, 2].min()), float(found[:, 3].max())),
        bad=None if workers.bad == _NO_BAD_ROW else divmod(workers.bad, 8),
        **extra,
    )


class _Worker:
    """What one thread adds to."""

    def __init__(self, tables: Tables, rows: int) -> None:
        self.tables = tables
        self.found = np.array([0.0, 0.0, np.inf, -np.inf])
        self.large = np.empty(rows, np.int64)


class _Workers:
    """Threads that draw chunks of rows."""

    def __init__(
        self, values: NDArray, labels: NDArray, arguments: dict[str, Any], empty: Callable[[], Tables]
    ) -> None:
        native = _native.score_rows_f32 if values.dtype == np.float32 else _native.score_rows_f64
        self.native: Any = native
        self.values, self.labels, self.arguments, self.empty = values, labels, arguments, empty
        self.chunks = iter(range(0, len(labels), _CHUNK))
        self.lock = threading.Lock()
        self.bad = _NO_BAD_ROW
        self.done: list[_Worker] = []

    def run(self) -> None:
        """Scores all rows."""
        run_shares(self._work, self._stop, -(-len(self.labels) // _CHUNK))

    def total(self) -> Tables:
        """The sums of all threads."""
        first, *others = (worker.tables for worker in self.done)
        for tables in others:
            first.add(tables)
        return first

    def _stop(self) -> None:
        with self.lock:
            self.chunks = iter(())

    def _work(self) -> None:
        worker = _Worker(self.empty(), len(self.labels))
        while (first := self._draw()) is not None:
            bad = self._score(worker, first)
            with self.lock:
                self.bad = min(self.bad, bad)
        with self.lock:
            self.done.append(worker)

    def _draw(self) -> int | None:
        with self.lock:
            return None if self.bad != _NO_BAD_ROW else next(self.chunks, None)

    def _score(self, worker: _Worker, first: int) -> int:
        end = min(first + _CHUNK, len(self.labels))
        tables = worker.tables
        bad: int = self.native(
            values=self.values,
            labels=self.labels,
            classes=self.values.shape[1],
            first=first,
            end=end,
            cells=tables.cells,
            surprise=tables.surprise,
            zeros=tables.zeros,
            sums=tables.sums,
            counts=tables.counts,
            found=worker.found,
            large=worker.large,
            **self.arguments,
        )
        return bad
