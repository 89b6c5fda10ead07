"""Tally: the mergeable state of a score. Blocks come in, tallies add up, `result()` forms the statistics.

A tally holds counts, exact sums and a bounded list of rows only, so any split, order, block size or number of
workers gives the same Score bit for bit, and memory does not grow with the rows.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import fields

from crossent.core.types import ArrayLike
from crossent.errors import EmptyBatchError, OptionError
from crossent.scoring.layout import Binning, Kind, Layout
from crossent.scoring.outcome import Outcome, binary_outcome, class_outcome
from crossent.scoring.parts import Parts
from crossent.scoring.saved import dump, load
from crossent.scoring.score import Score
from crossent.scoring.summary import summarise

__all__ = ["Tally"]


class Tally:
    """Scores predictions that arrive in blocks.

    Args:
        classes: class names in column order; with two, the second is the positive one.
        kind: what predictions are: "probs", "logits" or "log_probs".
        worst: number of worst rows to keep.
        bins: number of bins of the reliability diagram, 1..100.
        clip: moves every probability at the true class into [clip, 1 - clip], 0 < clip < 0.5; the score notes how
            many rows that touched. None, the default, leaves p = 0 a loss of inf.
        binning: "width" for bins equally wide in confidence, "mass" for bins of about as many rows each.
    Raises: LabelError for repeated or no classes; OptionError for other values.

    >>> import numpy as np
    >>> left, right = Tally(["cat", "dog"]), Tally(["cat", "dog"])
    >>> left.update(np.array([0, 1]), np.array([[0.8, 0.2], [0.3, 0.7]]))
    >>> right.update(np.array([1]), np.array([[0.6, 0.4]]), first_row=2)
    >>> score = (left + right).result()
    >>> score.n, round(score.log_loss.value, 6), score.worst[0].row
    (3, 0.498703, 2)
    """

    def __init__(
        self,
        classes: Sequence[str],
        *,
        kind: Kind = "probs",
        worst: int = 10,
        bins: int = 10,
        binning: Binning = "width",
        clip: float | None = None,
    ) -> None:
        tracked = tuple(range(min(len(classes), 200))) if len(classes) > 2 else ()
        self.layout = Layout(tuple(classes), kind, worst, bins, binning, clip, tracked)
        self._parts: Parts | None = None

    @property
    def n(self) -> int:
        """Rows so far, without those of weight 0."""
        return 0 if self._parts is None else int(self._parts.truth.counts.sum())

    def update(
        self,
        targets: ArrayLike,
        prediction: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        source: str = "",
        first_row: int = 0,
    ) -> None:
        """Add one block of rows.

        Args:
            targets: [n] class indices in 0..K-1.
            prediction: [n, K] numbers of the tally's kind.
            sample_weight: [n] weights from 1e-60 to 1e60, or 0; only ratios matter, and weight 0 is not a row.
            source: file or table the rows come from; with `first_row` it makes a row's identity.
            first_row: number of the first row there.
        Raises: LabelError, ShapeError, NonFiniteError, ProbabilityError, WeightError; the tally stays as it
            was.
        """
        self._add(
            class_outcome(
                targets,
                prediction,
                kind=self.layout.kind,
                classes=self.layout.classes,
                sample_weight=sample_weight,
                source=source,
                first_row=first_row,
            )
        )

    def update_binary(
        self,
        targets: ArrayLike,
        prediction: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        source: str = "",
        first_row: int = 0,
    ) -> None:
        """Add one block where a single column speaks of the positive (second) class.

        Args:
            targets: [n] 0 or 1.
            prediction: [n] probabilities, logits or log-probabilities of class 1, used exactly as given.
            sample_weight: [n] weights as in `update`.
            source: file or table the rows come from.
            first_row: number of the first row there.
        Raises: as `update`; OptionError unless there are two classes.
        """
        if len(self.layout.classes) != 2:
            found = len(self.layout.classes)
            raise OptionError(f"update_binary is for two classes; this tally has {found}: use update")
        self._add(
            binary_outcome(
                targets,
                prediction,
                kind=self.layout.kind,
                sample_weight=sample_weight,
                source=source,
                first_row=first_row,
            )
        )

    def __add__(self, other: "Tally") -> "Tally":
        """A new tally of the rows of both.

        Raises: OptionError if their options differ.
        """
        for field in fields(Layout):
            mine, theirs = (getattr(tally.layout, field.name) for tally in (self, other))
            if mine != theirs:
                raise OptionError(
                    f"these tallies do not add up: {field.name} is {mine!r} and {theirs!r}. Give both the same options."
                )
        both = copy(self)
        parts = [p for p in (self._parts, other._parts) if p is not None]
        both._parts = parts[0] + parts[1] if len(parts) == 2 else next(iter(parts), None)
        return both

    def result(self, *, confidence: float = 0.95) -> Score:
        """The Score of all rows so far.

        Args:
            confidence: coverage of the intervals, in (0, 1).
        Returns: a Score.
        Raises: EmptyBatchError without any row; OptionError for another confidence.
        """
        if self._parts is None or not self.n:
            raise EmptyBatchError("there is no row to score: the file is empty, or every weight is 0")
        return summarise(self._parts, self.layout, confidence=confidence)

    def to_bytes(self) -> bytes:
        """The whole state as bytes, versioned ("crossent.tally/1"); equal rows give equal bytes, whatever the split.

        >>> tally = Tally(["cat", "dog"])
        >>> tally.update([0, 1], [[0.8, 0.2], [0.3, 0.7]])
        >>> (Tally.from_bytes(tally.to_bytes()) + tally).n
        4
        """
        return dump(self.layout, self._parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Tally":
        """The tally whose `to_bytes` gave these bytes, which may come from a stranger.

        Raises: DataError for anything else, and for what a newer crossent saved.
        """
        tally = cls.__new__(cls)
        tally.layout, tally._parts = load(data)
        return tally

    def _add(self, outcome: Outcome) -> None:
        if len(outcome.rows):
            parts = Parts.of(outcome, self.layout)
            self._parts = parts if self._parts is None else self._parts + parts
