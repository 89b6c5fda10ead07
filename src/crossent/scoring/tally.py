"""Tally: the mergeable state of a score. Blocks come in, tallies add up, `result()` forms the statistics.

A tally holds counts, exact sums and a bounded list of rows only, so any split, order, block size or number of
workers gives the same Score bit for bit, and memory does not grow with the rows.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial

import numpy as np

from crossent.core.types import ArrayLike
from crossent.errors import EmptyBatchError, OptionError
from crossent.scoring.adding import merged, require_same
from crossent.scoring.beside import Beside
from crossent.scoring.calibration_summary import Drawn
from crossent.scoring.class_names import class_names, placed_targets
from crossent.scoring.counts import repeated
from crossent.scoring.layout import MOST_TRACKED, Binning, Interval, Kind, Layout, Prior, prior_shares, told
from crossent.scoring.outcome import Outcome, binary_outcome, class_outcome
from crossent.scoring.parts import Parts
from crossent.scoring.row_numbers import RowNumbers
from crossent.scoring.saved_tally import SavedTally
from crossent.scoring.score import Score
from crossent.scoring.summary import summarise
from crossent.scoring.tally_state import TallyState
from crossent.stats import Flags

__all__ = ["Tally"]


class Tally(SavedTally):
    """Scores predictions that arrive in blocks.

    Args:
        classes: class names in column order, or their number K (then named "0".."K-1"); with two, the second is the
            positive one.
        kind: what predictions are: "probs", "logits" or "log_probs".
        worst: number of worst rows to keep.
        bins: number of bins of the reliability diagram, 1..100.
        binning: "width" for bins about equally wide in confidence (they end where a cell of the tally ends), "mass"
            for bins of about as many rows each.
        clip: moves every probability at the true class into [clip, 1 - clip], 0 < clip < 0.5; the score notes how
            many rows that touched. None, the default, leaves p = 0 a loss of inf.
        by: names of columns that come with every block; each of their values is a segment.
        cluster: whether a key of its cluster comes with every row; the interval of the log loss is then over clusters.
        ci: "hall" for Hall's interval, "bootstrap" for one of 1024 resampled groups of rows (or of clusters).
        threshold: of two classes, the probability above which the positive one is predicted.
        prior: shares or counts of the classes among the training rows, by name (0 for those left out) or in column
            order: the baseline is then the loss of predicting these shares. None for the shares of the rows.
        tracked: numbers of the columns, at most 200, whose classes get cells of their own, from which come their
            decomposition and AUC against all others. None: all of 3 to 200 classes, none of more.
    Raises: LabelError for repeated, no or unknown classes; ShapeError for a prior of another length; OptionError for
        other values.

    >>> import numpy as np
    >>> left, right = Tally(["cat", "dog"]), Tally(["cat", "dog"])
    >>> left.update(np.array([0, 1]), np.array([[0.8, 0.2], [0.3, 0.7]]))
    >>> right.update(np.array([1]), np.array([[0.6, 0.4]]), first_row=2)
    >>> score = (left + right).result()
    >>> score.n, round(score.log_loss.value, 6), score.worst[0].row
    (3, 0.498703, 2)
    """

    _schema = "crossent.tally/1"
    _state_type = TallyState
    _state: TallyState

    def __init__(
        self,
        classes: Sequence[str] | int,
        *,
        kind: Kind = "probs",
        worst: int = 10,
        bins: int = 10,
        binning: Binning = "width",
        clip: float | None = None,
        by: Sequence[str] = (),
        cluster: bool = False,
        ci: Interval = "hall",
        threshold: float = 0.5,
        prior: Prior | None = None,
        tracked: Sequence[int] | None = None,
    ) -> None:
        classes = class_names(classes)
        if tracked is None:
            tracked = range(len(classes)) if 2 < len(classes) <= MOST_TRACKED else ()
        layout = Layout(
            classes=classes,
            kind=kind,
            worst=worst,
            bins=bins,
            binning=binning,
            clip=clip,
            tracked=tuple(int(column) for column in tracked),
            by=(by,) if isinstance(by, str) else tuple(by),
            cluster=bool(cluster),
            ci=ci,
            threshold=threshold,
            prior=prior_shares(prior, classes),
        )
        self._state = TallyState(layout, None)
        self._numbers = RowNumbers()

    @property
    def layout(self) -> Layout:
        """The options."""
        return self._state.layout

    @property
    def n(self) -> int:
        """Rows so far, without those of weight or count 0."""
        return 0 if self._state.parts is None else _rows(self._state.parts)

    def update(
        self,
        targets: ArrayLike,
        prediction: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        count: ArrayLike | None = None,
        by: Mapping[str, ArrayLike] | None = None,
        cluster: ArrayLike | None = None,
        source: str = "",
        first_row: int | None = None,
    ) -> None:
        """Add one block of rows.

        Args:
            targets: [n] class indices in 0..K-1, or names.
            prediction: [n, K] numbers of the tally's kind.
            sample_weight: [n] importance weights from 1e-60 to 1e60, or 0; only ratios matter, and weight 0 is not a
                row.
            count: [n] whole numbers from 0 to 2^32: a row of count c is c rows in every statistic, and 0 is not a row.
            by: column -> [n] values of any type, for each of the tally's columns; compared as text (1.0 is "1").
            cluster: [n] keys of any type, if the tally has clusters.
            source: file or table the rows come from; with `first_row` it makes a row's identity.
            first_row: number of the first row there; None goes on after the rows of that source so far.
        Raises: LabelError, ShapeError, NonFiniteError, ProbabilityError, WeightError for other rows; OptionError for
            columns or clusters that were not announced, or are missing; DataError for too many segments, or a missing
            key; UnsupportedError for counts where ci="bootstrap" resamples rows. The tally stays as it was.
        """
        start = self._numbers.start(source, first_row)
        beside = Beside.of(self.layout, np.size(targets), sample_weight, count, by, cluster, source, start)
        self._add(
            partial(
                class_outcome,
                placed_targets(targets, self.layout.classes, beside.counted),
                prediction,
                kind=self.layout.kind,
                classes=self.layout.classes,
                tracked=self.layout.tracked,
            ),
            beside,
        )

    def update_binary(
        self,
        targets: ArrayLike,
        prediction: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        count: ArrayLike | None = None,
        by: Mapping[str, ArrayLike] | None = None,
        cluster: ArrayLike | None = None,
        source: str = "",
        first_row: int | None = None,
    ) -> None:
        """Add one block where a single column speaks of the positive (second) class.

        Args:
            targets: [n] 0 or 1, or names.
            prediction: [n] probabilities, logits or log-probabilities of class 1, used exactly as given.
            sample_weight, count, by, cluster, source, first_row: as in `update`.
        Raises: as `update`; OptionError unless there are two classes.
        """
        if len(self.layout.classes) != 2:
            found = len(self.layout.classes)
            raise OptionError(f"update_binary is for two classes; this tally has {found}: use update")
        start = self._numbers.start(source, first_row)
        beside = Beside.of(self.layout, np.size(targets), sample_weight, count, by, cluster, source, start)
        placed = placed_targets(targets, self.layout.classes, beside.counted)
        self._add(
            partial(binary_outcome, placed, prediction, kind=self.layout.kind, classes=self.layout.classes), beside
        )

    def __add__(self, other: "Tally") -> "Tally":
        """A new tally of the rows of both.

        Raises: OptionError if their options differ; WeightError for more than 2^40 rows.
        """
        if not isinstance(other, Tally):
            return NotImplemented
        require_same(vars(self.layout), vars(other.layout))
        both = copy(self)
        both._state = TallyState(self.layout, merged(self._state.parts, other._state.parts, _rows))
        both._numbers = self._numbers + other._numbers
        return both

    def __radd__(self, other: int) -> "Tally":
        """For sum(): 0 adds nothing."""
        if type(other) is not int or other != 0:
            return NotImplemented
        both = copy(self)
        both._numbers = self._numbers + RowNumbers()
        return both

    def __repr__(self) -> str:
        return told("Tally", self.layout, self.n)

    def result(self, *, confidence: float = 0.95, redraws: int = 200, seed: int = 0) -> Score:
        """The Score of all rows so far.

        Args:
            confidence: coverage of the intervals, in (0, 1).
            redraws: how often labels are redrawn from the probabilities, for what calibration would look like.
            seed: of the redraws and of the bootstrap.
        Returns: a Score; the same rows, redraws and seed give the same bits.
        Raises: EmptyBatchError without any row; OptionError for another confidence.
        """
        if self._state.parts is None or not self.n:
            raise EmptyBatchError("there is no row to score: the file is empty, or every weight is 0")
        return summarise(self._state.parts, self.layout, drawn=Drawn(redraws, seed, confidence))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Tally":
        """The tally whose `to_bytes` gave these bytes, which may come from a stranger.

        Raises: DataError for anything else, and for what a newer crossent saved.
        """
        tally = super().from_bytes(data)
        tally._numbers = RowNumbers({"": tally.n})
        return tally

    def _add(self, outcome_of: Callable[..., Outcome], beside: Beside) -> None:
        """The block's parts added to the others, or an error before anything is changed."""

        def parts(rows: Flags | None) -> Parts:
            outcome = beside.outcome(outcome_of, rows)
            if self.layout.threshold != 0.5:
                predicted = (outcome.confidence > self.layout.threshold).astype(np.int64)
                outcome = replace(outcome, predicted=predicted)
            return Parts.of(outcome, self.layout, beside.keys_of(outcome))

        if not beside.some:
            beside.outcome(outcome_of, np.zeros(beside.size, np.bool_))  # shapes are checked without rows too
        else:
            more = repeated(beside.count, parts)
            self._state = TallyState(self.layout, merged(self._state.parts, more, _rows))
        self._numbers.saw(beside.source, beside.first_row, beside.size)


def _rows(parts: Parts) -> int:
    return int(parts.truth.counts.sum())
