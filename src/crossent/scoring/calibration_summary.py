"""From cells and moments to calibration: reliability, decompositions, errors and tests.

Cells hold all rows; losses, the temperature and the entropy gap leave out rows with an infinite loss.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent.core.options import coverage, seed_number
from crossent.scoring.layout import Layout
from crossent.scoring.loss_summary import entropy
from crossent.scoring.parts import Parts
from crossent.scoring.score import ReliabilityBin
from crossent.stats import Estimate, Int64, mass_bins, wilson_estimate
from crossent.stats.decomposition import decompose
from crossent.stats.ece import calibration_error
from crossent.stats.probability_cells import CELLS, CellColumns, cell_edges
from crossent.stats.ranking import auc, auc_bound
from crossent.stats.redraws import redraw_number, redrawn_hits
from crossent.stats.score_tests import entropy_gap_test, spiegelhalter_test
from crossent.stats.smooth_ece import smooth_calibration_error
from crossent.stats.temperature import (
    BETAS,
    Temperature,
    TemperatureDecomposition,
    decompose_by_temperature,
    fit_temperature,
)

__all__ = ["Drawn", "calibration", "resolved"]


@dataclass(frozen=True)
class Drawn:
    """How labels are redrawn, and the coverage of bands and intervals.

    Raises: OptionError for numbers that cannot be.
    """

    redraws: int
    seed: int
    confidence: float

    def __post_init__(self) -> None:
        redraw_number(self.redraws)
        seed_number(self.seed)
        coverage(self.confidence)


def calibration(parts: Parts, layout: Layout, loss: Estimate, drawn: Drawn) -> dict[str, Any]:
    """The fields of a Score that tell whether probabilities mean what they say.

    Args:
        parts: the sums, of this layout.
        layout: the tally's options.
        loss: the log loss, with its infinities.
        drawn: redraws, seed, confidence.
    """
    two = len(layout.classes) == 2
    cells = parts.reliability.columns(0)
    hits = redrawn_hits(cells, drawn.redraws, drawn.seed)
    event = None
    if two or resolved(parts, cells):
        exact = _as_given(parts, layout, loss) if two else None
        event = decompose(cells, loss=exact, confidence=drawn.confidence, hits=hits)
    temperature = _temperature(parts)
    return {
        "auc": auc(cells) if two else None,
        "auc_bound": auc_bound(cells) if two else None,
        "decomposition": event if two else _by_temperature(parts, layout, temperature),
        "top": None if two else event,
        "temperature": temperature,
        "calibration_error": calibration_error(cells, hits=hits),
        "smooth_calibration_error": smooth_calibration_error(cells, hits=hits),
        "reliability": _reliability(cells, layout, drawn.confidence),
        "reliability_of": f"the true class is {layout.classes[1]}" if two else "the predicted class is true",
        **_tests(parts),
    }


def resolved(parts: Parts, cells: CellColumns) -> bool:
    """Whether the cells of an event tell its loss, which may be finite where p is 0 or 1 to double precision.

    Args:
        parts: the sums; with an infinite loss among the rows p = 0 is taken at its word.
        cells: [CELLS] columns of the event.
    """
    misses = cells.weight - cells.hits
    outermost = cells.hits[0] > 0 or cells.hits[1] > 0 or misses[-1] > 0 or misses[-2] > 0
    return not outermost or bool(parts.zeros[0] or parts.moved[1])


def _as_given(parts: Parts, layout: Layout, loss: Estimate) -> float | None:
    """The log loss that belongs to the cells, which clip= does not move; None if it is not known."""
    if layout.clip is None:
        return loss.value
    if parts.moved[1]:
        return math.inf
    return None if parts.moments.rows[1] else _finite_as_given(parts)


def _finite_as_given(parts: Parts) -> float:
    """The mean loss of the rows in the temperature, of which it is the curve's value at T = 1: never clipped."""
    return float(parts.moments.temperature.floats()[3 * BETAS.index(1.0)] / parts.moments.weight.floats()[0])


def _temperature(parts: Parts) -> Temperature | None:
    weight, square = parts.moments.weight.floats().tolist()
    kept, left_out = parts.moments.rows.tolist()
    return fit_temperature(
        parts.moments.temperature.floats(), weight=weight, square=square, rows=kept, left_out=left_out
    )


def _by_temperature(parts: Parts, layout: Layout, temperature: Temperature | None) -> TemperatureDecomposition | None:
    """The decomposition of the finite loss; None unless the temperature is that of the same rows."""
    if temperature is None or temperature.left_out != int(parts.zeros[0]):
        return None
    if layout.clip is None:
        a, b = parts.losses.rows.total().sums[:2]
        loss = float(a.fractions()[0] / b.fractions()[0])
    else:
        loss = _finite_as_given(parts)
    return decompose_by_temperature(temperature, loss=loss, unc=entropy(parts.losses.rows.sums[1].fractions()))


def _tests(parts: Parts) -> dict[str, Any]:
    gap, gap_variance, excess, excess_variance, brier = parts.moments.sums.floats().tolist()
    kept, weight = float(parts.moments.weight.floats()[0]), float(parts.truth.sums[0].total().floats()[0])
    largest_gap, largest_excess = parts.moments.largest.tolist()
    return {
        "brier": brier / weight,
        "entropy_gap": entropy_gap_test(
            gap=gap,
            variance=gap_variance,
            weight=kept,
            largest=largest_gap,
            left_out=int(parts.moments.rows[1]),
        ),
        "spiegelhalter": spiegelhalter_test(
            excess=excess, variance=excess_variance, weight=weight, largest=largest_excess
        ),
    }


def _reliability(cells: CellColumns, layout: Layout, confidence: float) -> tuple[ReliabilityBin, ...]:
    bins = _mass(cells, layout.bins) if layout.binning == "mass" else _equal_widths(layout.bins)
    edges = cell_edges()[np.searchsorted(bins, np.arange(layout.bins + 1), side="left")]
    sums = (np.bincount(bins, weights=column, minlength=layout.bins).tolist() for column in cells)
    found = []
    for k, (n, w, hit, promised, square) in enumerate(zip(*sums, strict=True)):
        if n:
            observed = wilson_estimate(min(hit / w, 1.0), n=int(n), effective_n=w * w / square, confidence=confidence)
            found.append(ReliabilityBin(float(edges[k]), float(edges[k + 1]), int(n), promised / w, observed))
    return tuple(found)


def _mass(cells: CellColumns, bins: int) -> Int64:
    return mass_bins(cells.count.astype(np.int64), bins)


def _equal_widths(bins: int) -> Int64:
    """The bin of every cell: bins begin at the cell edges nearest to 0, 1 / bins, 2 / bins, ..."""
    edges = cell_edges()
    wanted = np.arange(1, bins) / bins
    after = np.searchsorted(edges, wanted)
    first = np.where(wanted - edges[after - 1] < edges[after] - wanted, after - 1, after)
    place: Int64 = np.searchsorted(first, np.arange(CELLS), side="right").astype(np.int64)
    return place
