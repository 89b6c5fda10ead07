"""CORP: the log loss of an event as miscalibration - discrimination + uncertainty, by isotonic regression on cells."""

from dataclasses import dataclass

__all__ = ["CurvePoint", "Decomposition"]


@dataclass(frozen=True)
class CurvePoint:
    """A cell, or a run of cells that isotonic regression puts together.

    Attributes:
        promised: mean probability of its rows.
        recalibrated: the isotonic probability, between 0 and 1.
        lower: lower end of the consistency band: where the curve lies if promises are kept.
        upper: its upper end.
        n: rows.
    """

    promised: float
    recalibrated: float
    lower: float
    upper: float
    n: int


@dataclass(frozen=True)
class Decomposition:
    """loss = mcb - dsc + unc for one event, in nats.

    Attributes:
        loss: log loss of the event's probabilities (inf is a value; then mcb is inf too).
        mcb: miscalibration: what isotonic recalibration of these rows would gain; biased upward.
        dsc: discrimination: what the recalibrated probabilities know beyond the base rate.
        unc: uncertainty: entropy of the base rate.
        mcb_null: mean of mcb over labels redrawn from the probabilities, thus under calibration.
        mcb_null_upper: 95 % quantile of the same.
        mcb_debiased: mcb - mcb_null; may be negative.
        p_value: share of redraws with an mcb at least as large, (1 + count) / (1 + redraws).
        curve: the calibration curve with its consistency band, in order of p.
        confidence: of the band.
    """

    loss: float
    mcb: float
    dsc: float
    unc: float
    mcb_null: float
    mcb_null_upper: float
    mcb_debiased: float
    p_value: float
    curve: tuple[CurvePoint, ...]
    confidence: float
