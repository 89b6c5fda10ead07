"""Scores and comparisons made by hand, so that what draws and writes them is tested without what computes them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crossent.scoring.compare import Compare, SegmentDifference
from crossent.scoring.confusion import Confusion, Macro
from crossent.scoring.score import ClassScore, Infinities, LossBin, ReliabilityBin, Score, WorstRow
from crossent.scoring.segments import SegmentScore
from crossent.stats import Estimate
from crossent.stats.decomposition import CurvePoint, Decomposition
from crossent.stats.ece import CalibrationError
from crossent.stats.score_tests import CalibrationTest
from crossent.stats.smooth_ece import SmoothCalibrationError
from crossent.stats.temperature import Temperature, TemperatureDecomposition

__all__ = ["HOSTILE", "MARK", "compare_of", "estimate", "score_of"]

MARK = "too few events: may be too short"
HOSTILE = [
    "<script>alert('x')</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></svg><style>*{display:none}</style>",
    "\u202egnissim\u2066",
    "{{ 7 * 7 }}{% raw %}",
    "x" * 10_000,
    "\x00\x1b[2J\ud800",
    "$\\frac{a}{b$ \U0001f600 \u0e01",
]


def estimate(value: float | None, se: float | None = None, n: int = 200, mark: str | None = None) -> Estimate:
    """An estimate with a plain interval, or without one."""
    if value is None or se is None:
        return Estimate(value, None, None, None, 0.95, n, float(n), why="one row")
    return Estimate(value, se, value - 2 * se, value + 2.2 * se, 0.95, n, float(n), mark=mark)


def score_of(labels: Sequence[str] | int = 3, *, zero: bool = False, segments: int = 0, **changed: Any) -> Score:
    """A Score of 200 rows; `zero` makes one row infinite, `segments` adds so many values of the column "city"."""
    names = [f"class {k}" for k in range(labels)] if isinstance(labels, int) else list(labels)
    k = len(names)
    two = k == 2
    unc = math.log(k)
    curve = tuple(CurvePoint(p, min(1.0, 1.2 * p), 0.9 * p, min(1.0, 1.1 * p), 50) for p in (0.1, 0.3, 0.5, 0.9))
    corp = Decomposition(0.42, 0.03, 0.25, 0.64, 0.01, 0.018, 0.02, 0.005, curve, 0.95)
    infinite = replace(corp, loss=math.inf, mcb=math.inf, mcb_debiased=math.inf)
    warm = TemperatureDecomposition(0.4 * unc, 0.02 * unc, 0.62 * unc, unc)
    finite = estimate(0.42 if two else 0.4 * unc, 0.03, 200 - zero)
    loss = Estimate(math.inf, None, None, None, 0.95, 200, 200.0, why="1 row has p = 0") if zero else finite
    note = "1 row has p = 0 at the true class, so the loss is inf: write logits" if zero else None
    clipped = (("scikit-learn, float64", 2.2e-16, 0.6), ("Keras", 1e-7, 0.5))
    share = estimate(0.8, 0.03)
    top = infinite if zero else corp
    score = Score(
        kind="probs", classes=tuple(names), n=200, effective_n=200.0, log_loss=loss,
        infinities=Infinities(int(zero), {"1e-15": int(zero)}, finite, clipped, note),
        baseline=unc, skill=0.6, bits_gained=0.5, effective_classes=1.5, method="hall", clustered=False,
        baseline_of="these rows",
        accuracy=share, macro=Macro(0.71, 0.72, 0.73), brier=0.31, auc=0.93 if two else None,
        auc_bound=0.0007 if two else None,
        decomposition=(top if two else warm), top=None if two else top,
        temperature=Temperature(1.4, 0.05, 0.41, 0.012, None, 200, 0),
        entropy_gap=CalibrationTest(0.02, 3.3, 0.00097), spiegelhalter=CalibrationTest(0.011, 2.5, 0.0124),
        calibration_error=CalibrationError(15, 0.0009, 0.061, 0.031, 0.049, 0.015),
        smooth_calibration_error=SmoothCalibrationError(0.033, 0.017, 0.029, 0.02),
        confusion=_confusion(k, zero), segments=_segments(segments), per_class=_classes(names, two),
        reliability=tuple(ReliabilityBin(b / 5, b / 5 + 0.2, 40, b / 5 + 0.1, estimate(b / 5, 0.02)) for b in range(5)),
        reliability_of=f"the true class is {names[1]}" if two else "the predicted class is true",
        histogram=_histogram(), worst_share=0.23,
        worst=(WorstRow("a.parquet", 16, names[-1], names[0], 0.01, 4.6),), notes=("a remark",),
    )  # fmt: skip
    return replace(score, **changed)


def compare_of(*, segments: int = 0, **changed: Any) -> Compare:
    """A Compare of 500 rows in which B is better; `segments` adds so many values of the column "city"."""
    compare = Compare(
        names=("old", "new"), n=500, effective_n=500.0, losses=(estimate(0.50, 0.03, 500), estimate(0.47, 0.03, 500)),
        difference=estimate(-0.03, 0.01, 500), finite=estimate(-0.03, 0.01, 500), method="hall", clustered=False,
        p_value=0.0027,
        infinite=(0, 0, 0), correlation=0.94, better=estimate(0.61, 0.02, 500), tied=0.01, unpaired_se=0.042,
        detectable=0.028, margin=None, verdict="better",
        segments=tuple(
            SegmentDifference("city", f"town {k}", 500 - k, estimate(-0.03 + 0.001 * k, 0.02, 500 - k), 0, 0.1, 0.2)
            for k in range(segments)
        ),
        notes=("a remark",),
    )  # fmt: skip
    return replace(compare, **changed)


def _confusion(k: int, zero: bool) -> Confusion | None:
    if k > 200:
        return None
    bits = np.full((k, k), 6.0) + np.arange(k) - 5.75 * np.eye(k)
    if zero:
        bits[0, 0] = math.inf
    shares = np.full((k, k), 0.1)
    rows = tuple(tuple(map(float, row)) for row in bits)
    return Confusion(((3,) * k,) * k, tuple(map(tuple, shares.tolist())), (*rows[:-1], None) if k > 3 else rows, None)


def _segments(count: int) -> tuple[SegmentScore, ...]:
    """Values with 10, 11, ... rows; the first has a mark."""
    found = (estimate(0.3 + 0.01 * k, 0.02, 10 + k, mark=None if k else MARK) for k in range(count))
    return tuple(SegmentScore("city", f"town {k}", e.n, e, 0, 0.1, 0.01, 0.04) for k, e in enumerate(found))


def _classes(names: Sequence[str], two: bool) -> tuple[ClassScore, ...]:
    curve = (CurvePoint(0.5, 0.5, 0.4, 0.6, 200),)
    rest = None if two else Decomposition(0.2, 0.01, 0.3, 0.49, 0.004, 0.008, 0.006, 0.01, curve, 0.95)
    return tuple(
        ClassScore(name, 20 + k, 1 / len(names), estimate(0.2 + 0.02 * k, 0.02, 20 + k), estimate(0.7, 0.05),
                   estimate(0.8, 0.05), 0.75, 1 / len(names), rest, None if two else 0.9)
        for k, name in enumerate(names)
    )  # fmt: skip


def _histogram() -> tuple[LossBin, ...]:
    edges = [0.0, *(2.0 ** (e / 2) for e in range(-30, 5))]
    rows = np.linspace(1, 2, len(edges) - 1)
    shares, lost = rows / rows.sum(), rows**3 / (rows**3).sum()
    return tuple(
        LossBin(low, high, 10, float(w), float(x))
        for low, high, w, x in zip(edges[:-1], edges[1:], shares, lost, strict=True)
    )
