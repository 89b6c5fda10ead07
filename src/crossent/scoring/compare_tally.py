"""CompareTally: the mergeable state of a comparison; blocks come in, tallies add up, `result()` forms the statistics.

Like a Tally it holds counts and exact sums only, so any split, order or number of workers gives the same Compare bit
for bit. Row losses come from the code that scores, so a comparison and two scores never disagree.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from crossent.core.options import seed_number
from crossent.core.types import ArrayLike
from crossent.errors import CrossentError, EmptyBatchError, OptionError
from crossent.scoring.adding import merged, require_same
from crossent.scoring.beside import Beside
from crossent.scoring.class_names import class_names, placed_targets
from crossent.scoring.compare import Compare
from crossent.scoring.compare_summary import compared, difference
from crossent.scoring.compare_sums import CompareSums, Pair
from crossent.scoring.counts import repeated
from crossent.scoring.layout import Interval, Kind, Layout, told
from crossent.scoring.outcome import Outcome, binary_outcome, class_outcome
from crossent.scoring.row_numbers import RowNumbers
from crossent.scoring.saved_tally import SavedTally
from crossent.scoring.segments import held_classes
from crossent.stats import Flags
from crossent.stats.sequence import Look, confidence_sequence
from crossent.wording import quoted

__all__ = ["CompareTally", "sequence"]

SCHEMA = "crossent.compare-tally/1"


@dataclass(frozen=True)
class _State:
    """What a CompareTally is made of."""

    layout: Layout
    names: tuple[str, str]
    sums: CompareSums | None

    def check(self) -> None:
        """Raises ValueError unless names differ and the sums are of this layout."""
        if self.names[0] == self.names[1]:
            raise ValueError(f"both names are {self.names[0]!r:.60}")
        if self.sums is None:
            return
        sums = self.sums
        if not all(s.fits(self.layout) for s in (sums.a, sums.b, sums.difference, sums.a_alone, sums.b_alone)):
            raise ValueError(f"the sums are not those of the interval {self.layout.method!r}")
        if sums.truth.shape != (len(self.layout.classes),) or sums.truth.min() < 0:
            raise ValueError(f"there are {sums.truth.shape} counts of classes, and {len(self.layout.classes)} classes")
        if tuple(segments.finite.column for segments in sums.segments) != self.layout.by:
            raise ValueError("the segments are not those of the columns")
        held = held_classes(len(self.layout.classes))
        if any(part.truth.shape[1] != k for s in sums.segments for part, k in zip(s.parts, (held, 0, 0), strict=True)):
            raise ValueError("the segments do not count the rows of the classes")


class CompareTally(SavedTally):
    """Compares two sets of predictions that arrive in blocks.

    Args:
        classes: class names in column order, or their number K (then named "0".."K-1"); with two, the second is the
            positive one.
        kind: what predictions are: "probs", "logits" or "log_probs".
        names: of A, the one that is there, and B, the one that would replace it.
        by: names of the columns whose values are segments.
        cluster: whether rows come with keys of clusters (documents, users) that are not independent inside.
        ci: "hall", or "bootstrap" of hash groups of rows or clusters.
    Raises: LabelError for repeated or no classes; OptionError for other values.

    >>> import numpy as np
    >>> tally = CompareTally(["cat", "dog"], names=("old", "new"))
    >>> old, new = np.array([[0.8, 0.2], [0.5, 0.5], [0.4, 0.6]]), np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    >>> tally.update(np.array([0, 1, 1]), old, new)
    >>> found = tally.result()
    >>> round(found.difference.value, 6), found.verdict, round(found.better.value, 6)
    (-0.135155, 'undecided', 0.666667)
    """

    _schema = SCHEMA
    _state_type = _State
    _state: _State

    def __init__(
        self,
        classes: Sequence[str] | int,
        *,
        kind: Kind = "probs",
        names: tuple[str, str] = ("A", "B"),
        by: Sequence[str] = (),
        cluster: bool = False,
        ci: Interval = "hall",
    ) -> None:
        a, b = names
        if a == b:
            raise OptionError(f"both sets of predictions are called {quoted(a)}; give two names")
        layout = Layout(
            class_names(classes),
            kind,
            worst=0,
            by=(by,) if isinstance(by, str) else tuple(by),
            cluster=bool(cluster),
            ci=ci,
        )
        self._state = _State(layout, (a, b), None)
        self._numbers = RowNumbers()

    @property
    def layout(self) -> Layout:
        """The options."""
        return self._state.layout

    @property
    def names(self) -> tuple[str, str]:
        """Of A and B."""
        return self._state.names

    @property
    def n(self) -> int:
        """Rows so far, without those of weight or count 0."""
        sums = self._state.sums
        return 0 if sums is None else _rows(sums)

    def update(
        self,
        targets: ArrayLike,
        a: ArrayLike,
        b: ArrayLike,
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
            a, b: [n, K] numbers of the tally's kind, rows in the same order.
            sample_weight: [n] weights from 1e-60 to 1e60, or 0; only ratios matter, and weight 0 is not a row.
            count: [n] whole numbers: a row of count c is c equal rows, and none for 0.
            by: column name -> [n] values, for each column of the tally.
            cluster: [n] keys of any type, if the tally has clusters.
            source: file or table the rows come from; with `first_row` it makes a row's identity.
            first_row: number of the first row there; None goes on after the rows of that source so far.
        Raises: LabelError, ShapeError, NonFiniteError, ProbabilityError, WeightError for other rows; OptionError for
            columns or clusters that were not announced, or are missing; DataError for too many segments, or a missing
            key; UnsupportedError for counts where ci="bootstrap" resamples rows. The tally stays as it was.
        """
        start = self._numbers.start(source, first_row)
        beside = Beside.of(self.layout, np.size(targets), sample_weight, count, by, cluster, source, start)
        placed = placed_targets(targets, self.layout.classes, beside.counted)
        outcome_of = partial(class_outcome, placed, kind=self.layout.kind, classes=self.layout.classes)
        self._add(outcome_of, (a, b), beside)

    def update_binary(
        self,
        targets: ArrayLike,
        a: ArrayLike,
        b: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        count: ArrayLike | None = None,
        by: Mapping[str, ArrayLike] | None = None,
        cluster: ArrayLike | None = None,
        source: str = "",
        first_row: int | None = None,
    ) -> None:
        """Add one block where single columns speak of the positive (second) class.

        Args:
            targets: [n] 0 or 1, or names.
            a, b: [n] probabilities, logits or log-probabilities of class 1, used exactly as given.
            sample_weight, count, by, cluster, source, first_row: as in `update`.
        Raises: as `update`; OptionError unless there are two classes.
        """
        if len(self.layout.classes) != 2:
            found = len(self.layout.classes)
            raise OptionError(f"update_binary is for two classes; this tally has {found}: use update")
        start = self._numbers.start(source, first_row)
        beside = Beside.of(self.layout, np.size(targets), sample_weight, count, by, cluster, source, start)
        placed = placed_targets(targets, self.layout.classes, beside.counted)
        outcome_of = partial(binary_outcome, placed, kind=self.layout.kind, classes=self.layout.classes)
        self._add(outcome_of, (a, b), beside)

    def __add__(self, other: "CompareTally") -> "CompareTally":
        """A new tally of the rows of both.

        Raises: OptionError if their options differ; WeightError for more than 2^40 rows.
        """
        if not isinstance(other, CompareTally):
            return NotImplemented
        self._require_same(other)
        both = self._with(other._state.sums)
        both._numbers = self._numbers + other._numbers
        return both

    def __radd__(self, other: int) -> "CompareTally":
        """For sum(): 0 adds nothing."""
        return self._with(None) if type(other) is int and other == 0 else NotImplemented

    def __repr__(self) -> str:
        return told("CompareTally", self.layout, self.n, f"names={self.names}", without=("worst",))

    def result(
        self,
        *,
        margin: float | None = None,
        confidence: float = 0.95,
        seed: int = 0,
        expect_n: int | None = None,
        earlier: Sequence["CompareTally"] = (),
    ) -> Compare:
        """The Compare of all rows so far.

        Args:
            margin: what B may be worse by, >= 0, in nats; None asks for the direction of the difference only.
            confidence: coverage of the intervals, in (0, 1).
            seed: of the bootstrap.
            expect_n: makes it a look at an anytime-valid sequence, tightest at about so many rows (clusters, if there
                are any), to be chosen before the first look: verdict and gates are then valid however often one looks.
            earlier: states at earlier looks, in order, for `Compare.sequence`.
        Returns: a Compare; the same rows and seed give the same bits.
        Raises: EmptyBatchError without any row; OptionError for another margin or confidence, and as `sequence`.
        """
        if earlier and expect_n is None:
            raise OptionError(
                "earlier looks came without expect_n; say at how many rows the sequence shall be tightest"
            )
        return compared(
            self._sums(),
            self.layout,
            self.names,
            margin=margin,
            confidence=confidence,
            seed=seed,
            looks=()
            if expect_n is None
            else sequence([*earlier, self], expect_n=expect_n, confidence=confidence, seed=seed),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "CompareTally":
        """The tally whose `to_bytes` gave these bytes, which may come from a stranger.

        Raises: DataError for anything else, and for what a newer crossent saved.
        """
        tally = super().from_bytes(data)
        tally._numbers = RowNumbers({"": tally.n})
        return tally

    def _add(
        self, outcome_of: Callable[..., Outcome], predictions: tuple[ArrayLike, ArrayLike], beside: Beside
    ) -> None:
        """Scores both sets of predictions and adds the sums of the pair."""

        def named(name: str, prediction: ArrayLike, rows: Flags | None) -> Outcome:
            try:
                return beside.outcome(partial(outcome_of, prediction), rows)
            except CrossentError as error:
                raise type(error)(f"{name}: {error}") from error

        def sums(rows: Flags | None) -> CompareSums:
            a, b = (named(name, p, rows) for name, p in zip(self.names, predictions, strict=True))
            alike = (a.distributions, b.distributions)
            return CompareSums.of(Pair(a.targets, a.losses, b.losses, a.weight, beside.keys_of(a), alike), self.layout)

        if not beside.some:
            for name, p in zip(self.names, predictions, strict=True):
                named(name, p, np.zeros(beside.size, np.bool_))  # shapes are checked without rows too
        else:
            self._state = self._with(repeated(beside.count, sums))._state
        self._numbers.saw(beside.source, beside.first_row, beside.size)

    def _sums(self) -> CompareSums:
        sums = self._state.sums
        if sums is None or not self.n:
            raise EmptyBatchError("there is no row to compare: there are none, or every weight is 0")
        return sums

    def _require_same(self, other: "CompareTally") -> None:
        mine, theirs = ({"names": each.names, **vars(each.layout)} for each in (self, other))
        require_same(mine, theirs)

    def _with(self, sums: CompareSums | None) -> "CompareTally":
        """A tally of these rows and more."""
        both = copy(self)
        both._numbers = self._numbers + RowNumbers()
        both._state = replace(self._state, sums=merged(self._state.sums, sums, _rows))
        return both


def _rows(sums: CompareSums) -> int:
    return int(sums.befell.counts.sum())


def sequence(
    states: Sequence[CompareTally], *, expect_n: int, confidence: float = 0.95, seed: int = 0
) -> tuple[Look, ...]:
    """The looks of an anytime-valid comparison: one may stop at any of them, and the coverage still holds.

    Args:
        states: tallies in the order of the looks, each with the rows of the one before it and new ones; of blocks of
            new rows, `itertools.accumulate(blocks)` makes them.
        expect_n: number of rows (clusters, if there are any) at which the sequence shall be tightest, to be chosen
            before the first look.
        confidence: coverage of all looks together, in (0, 1).
        seed: of the bootstrap.
    Returns: one Look a state, of the mean of loss_B - loss_A; without ends before 100 rows, and where B alone is
        infinite in a row.
    Raises: EmptyBatchError without any row; OptionError for states with different options, states that shrink, or other
        values.
    Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, Annals of Statistics 52 (2024).

    >>> import numpy as np
    >>> rng, tally, looks = np.random.default_rng(0), CompareTally(["n", "y"], kind="logits"), []
    >>> for day in range(3):
    ...     z, y = rng.normal(size=(2, 400)), rng.integers(0, 2, 400)
    ...     tally.update_binary(y, z[0], z[0] + 2 * y - 1, first_row=400 * day)
    ...     looks.append(tally + CompareTally(["n", "y"], kind="logits"))
    >>> [(look.n, look.upper < 0) for look in sequence(looks, expect_n=1000)]
    [(400, True), (800, True), (1200, True)]
    """
    seed_number(seed)
    looks: list[Look] = []
    for k, state in enumerate(states):
        states[0]._require_same(state)
        if k and state.n < states[k - 1].n:
            raise OptionError(
                f"look {k + 1} has {state.n} rows and the one before it {states[k - 1].n}; each look holds the rows of "
                "the one before it: add up blocks of new rows first, with itertools.accumulate(blocks)"
            )
        found = difference(state._sums(), state.layout, state.names, confidence=confidence, seed=seed)
        looks.append(confidence_sequence(found, expect_n=expect_n, confidence=confidence))
    return tuple(looks)
