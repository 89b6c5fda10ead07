"""docs/coverage.md: the tables, and sentences whose numbers are taken from them."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from platform import python_version

import numpy as np

import crossent as ce
from coverage_study.calibration import LEVEL, TESTS, Rejections
from coverage_study.intervals import EVENTS, Coverage
from coverage_study.looks import Resampled
from coverage_study.looks import Sequence as Looks

__all__ = ["HEAVY", "Study", "page"]

_GOOD = (0.93, 0.97)
HEAVY = "paired, heavy both ways"
_TITLES = {
    "plain": "Means",
    "weighted": "Weighted means",
    "clustered": "Clusters",
    "paired": "Differences of two models",
}
_INTERVAL_HEADS = (
    "losses", "n", "gamma / sqrt n", "Hall", "lies below", "lies above", "normal", "lies below", "lies above", "marked",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """All that was simulated; seed: of everything; command: how to make the page again."""

    seed: int
    command: str
    intervals: Sequence[Coverage]
    rejections: Sequence[Rejections]
    sequences: Sequence[Looks]
    resampled: Sequence[Resampled]


def page(study: Study) -> str:
    """The whole page as Markdown."""
    parts = (*_head(study), *_intervals(study), *_calibration(study), *_sequences(study), *_bootstrap(study))
    return "\n\n".join(parts) + "\n"


def _text(words: str) -> str:
    """A paragraph."""
    return textwrap.fill(" ".join(words.split()), 120, break_long_words=False, break_on_hyphens=False)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}"


def _head(study: Study) -> list[str]:
    replicates = study.intervals[0].replicates
    error = (0.95 * 0.05 / replicates) ** 0.5
    return [
        "# How often intervals and tests are right",
        _text("""Rows are drawn from distributions whose true value is known from a formula or by quadrature, crossent
              computes its interval or p-value, and the page counts. All shares are in percent. What the statistics are
              stands in [Scores and their statistics](statistics.md)."""),
        _text(f"""Made by `{study.command}` (seed {study.seed}, NumPy {np.__version__}, Python {python_version()},
              crossent {ce.__version__}): {replicates} samples for each line of intervals, so that a true coverage of
              95 % shows as 95 +- {_percent(2 * error)}."""),
    ]


# ---------------------------------------------------------------- intervals


def _intervals(study: Study) -> list[str]:
    promised = [c for c in study.intervals if c.promised and c.design != HEAVY]
    losses = [c for c in promised if c.design != "paired"]
    lows, highs = (_range(losses, which) for which in ("normal_below", "normal_above"))
    outside = [c for c in promised if not _GOOD[0] <= c.hall <= _GOOD[1]]
    named = "; ".join(f"{c.design} {c.losses}, n = {c.units}: {_percent(c.hall)}" for c in outside)
    parts = [
        "## 95 % intervals where they are promised to hold",
        _text(f"""gamma is the true skewness of a unit (of a row's or a cluster's share in the estimate). Where
              gamma / sqrt n is at most 0.5, and each class has at least {EVENTS} rows, Hall's interval holds the true
              value in {_range(promised)} % of the samples ({len(promised) - len(outside)} of
              {len(promised)} lines are within {_percent(_GOOD[0], 0)} to {_percent(_GOOD[1], 0)} %; outside:
              {named or "none"}). The normal interval, value +- 1.96 SE, holds it in
              {_range(promised, "normal")} %, and for means of losses it misses on one side: it lies below the truth in
              {lows} %, above it in {highs} %. "Marked" is the share of samples in which the score warns of too few
              events: it can only go by the observed skewness, not by the true one."""),
    ]
    for design, title in _TITLES.items():
        rows = [_interval_row(c) for c in promised if c.design == design]
        parts += [f"### {title}", _WHAT[design], _table(_INTERVAL_HEADS, rows)]
    return [*parts, *_beyond(study), *_heavy(study)]


def _beyond(study: Study) -> list[str]:
    beyond = [c for c in study.intervals if not c.promised and c.design != HEAVY]
    return [
        "## Too few events",
        _text(f"""Beyond that the score says "too few events: may be too short", in as many of the samples as "marked"
              tells, and no interval is to be trusted. This is what they really hold: {_range(beyond)} %. With a base
              rate of 1 % and 100 rows there is no event in 37 % of the samples, so that all losses are equal and there
              is no interval; that counts as a miss here, and as marked. Losses without classes are marked by their
              skewness alone: a sample without any of the rare large losses looks harmless, and has no mark."""),
        _table(("design", *_INTERVAL_HEADS, "no interval"),
               [[c.design, *_interval_row(c), _percent(c.none)] for c in beyond]),
    ]  # fmt: skip


def _heavy(study: Study) -> list[str]:
    heavy = [c for c in study.intervals if c.design == HEAVY]
    return [
        "### Heavy tails on both sides",
        _text(f"""Skewness does not see tails that are heavy on both sides and nearly cancel: here model B's loss is A's
              times a lognormal factor (sigma 0.5), so that rows of large loss differ much, either way. The mark is
              mostly silent, and Hall's interval holds {_range(heavy)} %, the normal one {_range(heavy, "normal")} %:
              both are too short with few rows."""),
        _table(_INTERVAL_HEADS, [_interval_row(c) for c in heavy]),
    ]


_WHAT = {
    "plain": "The mean of n losses, cut at 0.",
    "weighted": "Three rows in ten weigh four times as much and have twice the loss.",
    "clustered": "n clusters of 1 to 9 rows; the losses of a cluster share a random factor (standard deviation 0.5).",
    "paired": "Losses of model B minus those of model A on the same rows.",
}


def _range(several: Sequence[Coverage], which: str = "hall") -> str:
    found = [getattr(c, which) for c in several]
    return f"{_percent(min(found))} to {_percent(max(found))}"


def _interval_row(c: Coverage) -> list[str]:
    shares = (c.hall, c.hall_below, c.hall_above, c.normal, c.normal_below, c.normal_above, c.marked)
    return [c.losses, str(c.units), f"{c.bend:.2f}", *map(_percent, shares)]


# ---------------------------------------------------------------- tests, sequences, bootstrap


def _calibration(study: Study) -> list[str]:
    most = max(r.rows for r in study.rejections)
    calibrated = [r for r in study.rejections if r.temperature == 1]
    found = [r for r in study.rejections if r.temperature == 1.2 and r.rows == most]
    rows = [
        [str(r.classes), _named(r.temperature), str(r.rows), *(_percent(share) for share in r.shares)]
        for r in study.rejections
    ]
    return [
        "## Tests of calibration",
        _text(f"""The share of {calibrated[0].replicates} samples in which each test rejects at {_percent(LEVEL, 0)} %.
              Logits are normal (standard deviation 2) and the truth is drawn from their softmax; then they are
              multiplied by the temperature that would mend them. Calibrated predictions are rejected in
              {_extent(calibrated)} % of the samples, those that need a temperature of 1.2 at n = {most} in
              {_extent(found)} %. The last three tests compare with 200 redraws of the labels; of five classes they
              speak of the predicted one."""),
        _table(("classes", "temperature", "n", *TESTS), rows),
    ]


def _extent(several: Sequence[Rejections]) -> str:
    found = [share for r in several for share in r.shares]
    return f"{_percent(min(found))} to {_percent(max(found))}"


def _named(temperature: float) -> str:
    return "1 (calibrated)" if temperature == 1 else f"{temperature:.3g}"


def _sequences(study: Study) -> list[str]:
    first = study.sequences[0]
    rows = [
        [s.losses, str(s.expect_n), _percent(s.missed), _percent(s.fixed), f"{s.wider:.2f}"] for s in study.sequences
    ]
    return [
        "## Looking after every row",
        _text(f"""The share of {first.replicates} samples in which any look, after every row from 100 to {first.rows},
              misses the true value: of the 95 % confidence sequence, and of the plain 95 % interval, which is made to
              be looked at once. "Wider" is the sequence's width over that interval's at the last row. The sequence is
              asymptotically valid at every look: where few rows of skewed losses are looked at, more than 5 % may miss.
              Tuned to more rows its first looks are wider, and fewer do."""),
        _table(("losses", "tuned to n", "sequence misses", "interval misses", "wider"), rows),
    ]


def _bootstrap(study: Study) -> list[str]:
    rows = []
    for r in study.resampled:
        ratios = (f"{r.ratio:.2f} +- {r.spread:.2f}", f"{r.true_ratio:.2f}")
        rows.append([r.losses, str(r.rows), *ratios, _percent(r.bootstrap), _percent(r.hall)])
    return [
        "## Bootstrap",
        _text(f"""`ci="bootstrap"` resamples 1024 groups of rows 2000 times. Its standard error over that of the formula
              (mean and standard deviation over {study.resampled[0].replicates} samples), over the true one, and the
              coverage of both intervals."""),
        _table(("losses", "n", "SE / formula", "SE / truth", "bootstrap", "Hall"), rows),
    ]
