"""Probabilities as given: entries, row sums, clipping; what is refused, what is only noted."""

import threading

import numpy as np

from crossent.core.blocks import BadRow
from crossent.core.faults import Fault
from crossent.core.types import NDArray
from crossent.errors import ClippedWarning, RowSumWarning

__all__ = ["REFUSED", "ProbabilityNotes", "clipped", "logarithm_clip"]

REFUSED = 0.01  # how far a row may sum off 1


def clipped(p: NDArray, clip: float) -> NDArray:
    """p moved into [clip, 1 - clip]."""
    return np.clip(p, clip, 1 - clip)


def logarithm_clip(log_p: NDArray, clip: float) -> NDArray:
    """Logarithms of probabilities moved into [clip, 1 - clip]."""
    return np.clip(log_p, np.log(clip), np.log1p(-clip))


class ProbabilityNotes:
    """Checks blocks of probabilities and remembers what is worth one note; blocks come from several threads."""

    def __init__(self, name: str, clip: float | None, silent: float) -> None:
        self.name, self.clip, self.silent = name, clip, silent
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forgets what was seen: a new pass begins."""
        self.rows = self.touched = self.off = 0
        self.lowest, self.highest = np.inf, -np.inf

    def check_entries(self, given: NDArray, kept: NDArray, first: int) -> None:
        """Entries that are used must be probabilities (or their logarithms); the first bad row is raised."""
        good = given <= 0 if self.name == "log_probs" else (given >= 0) & (given <= 1)
        bad = ~good & kept
        if bad.any():
            raise BadRow(first + int(np.argmax(bad.reshape(bad.shape[0], -1).any(axis=1))), Fault.ENTRY)

    def look(self, p: NDArray, given: NDArray, w: NDArray, first: int) -> None:
        """All entries and the row sums of rows with weight."""
        kept = w > 0
        self.check_entries(given, kept[:, None], first)
        sums = p.sum(axis=1)
        off = np.abs(sums - 1)
        refused = kept & ~(off <= max(REFUSED, self.silent))
        if refused.any():
            raise BadRow(first + int(np.argmax(refused)), Fault.ROW_SUM)
        noted = sums[kept & (off > self.silent)]
        if noted.size:
            self.note_sums(noted.size, float(noted.min()), float(noted.max()))

    def note_sums(self, count: int, lowest: float, highest: float) -> None:
        """Remembers row sums off 1: how many, the lowest and the highest."""
        with self.lock:
            self.off += count
            self.lowest, self.highest = min(self.lowest, lowest), max(self.highest, highest)

    def count_clipped(self, touched: NDArray) -> None:
        """Counts the rows in which clip changed something."""
        rows = touched.reshape(touched.shape[0], -1).any(axis=1)
        with self.lock:
            self.touched += int(np.count_nonzero(rows))
            self.rows += rows.size

    def warnings(self) -> list[Warning]:
        """One warning for row sums, one for clipping, where there is something to say."""
        notes: list[Warning] = []
        if self.off:
            notes.append(
                RowSumWarning(
                    f"{self.name}: sums off 1 in {self.off} row{'s' if self.off > 1 else ''}, "
                    f"{self.lowest:.6g}..{self.highest:.6g}; used as given. Written with few decimals?"
                )
            )
        if self.clip is not None and self.touched:
            notes.append(
                ClippedWarning(f"clip={self.clip:g} changed probabilities in {self.touched} of {self.rows} rows.")
            )
        return notes
