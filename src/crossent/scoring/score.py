"""Score and the small results inside it: frozen, plain, with `to_dict()` and a repr to read."""

import math
from dataclasses import dataclass
from typing import Any

from crossent.scoring.confusion import Confusion, Macro
from crossent.scoring.plain import plain
from crossent.scoring.segments import SegmentScore
from crossent.stats import Estimate
from crossent.stats.decomposition import Decomposition
from crossent.stats.ece import CalibrationError
from crossent.stats.score_tests import CalibrationTest
from crossent.stats.smooth_ece import SmoothCalibrationError
from crossent.stats.temperature import Temperature, TemperatureDecomposition
from crossent.wording import counted

__all__ = ["SCHEMA", "ClassScore", "Infinities", "LossBin", "ReliabilityBin", "Score", "WorstRow"]

SCHEMA = "crossent.score/1"
_NATS_PER_BIT = math.log(2.0)


@dataclass(frozen=True)
class Infinities:
    """Rows with no, or hardly any, probability at their true class.

    Attributes:
        rows: rows with p = 0 at the target; one is enough to make the loss inf.
        below: rows with p below 1e-15, 1e-12, 1e-7 (p = 0 included).
        finite: log loss of all other rows, in nats.
        clipped: what clipping p to [eps, 1 - eps] would have said: (whose habit, eps, loss in nats).
        note: what to do about it; None without infinities.
    """

    rows: int
    below: dict[str, int]
    finite: Estimate
    clipped: tuple[tuple[str, float, float], ...]
    note: str | None


@dataclass(frozen=True)
class ClassScore:
    """One class.

    Attributes:
        label: its name.
        n: rows of this class.
        prior: its (weighted) share of the rows.
        log_loss: mean loss of its rows in nats, with standard error and interval.
        recall: share of its rows that are predicted right (the accuracy on this class).
        precision: share of the rows predicted as this class that are of it, with Wilson's interval; None if there
            are none.
        f1: harmonic mean of precision and recall; None if neither occurs.
        loss_share: its share of the whole loss; None if that is 0 or inf.
        rest: decomposition of this class against all others by its own binary loss (never summed over classes); None
            for two classes, for classes that are not among the 200 commonest, and where p is 0 or 1 in double precision
            at a finite loss (then notes say so).
        auc: area under the ROC curve of this class against all others; None likewise, or if one side has no rows.
        auc_bound: the most by which it can be off, because rows of one cell count as ties.
    """

    label: str
    n: int
    prior: float
    log_loss: Estimate
    recall: Estimate | None
    precision: Estimate | None
    f1: float | None
    loss_share: float | None
    rest: Decomposition | None
    auc: float | None
    auc_bound: float | None = None


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows whose confidence lies in [lower, upper), or is 1 in the last: what was promised and what happened.

    Attributes:
        lower: lower edge.
        upper: upper edge.
        n: rows.
        confidence: their mean confidence.
        observed: share in which the event came true, with Wilson's interval.
    """

    lower: float
    upper: float
    n: int
    confidence: float
    observed: Estimate


@dataclass(frozen=True)
class LossBin:
    """Rows with a finite loss in [lower, upper).

    Attributes:
        lower: lower edge in nats.
        upper: upper edge in nats.
        n: rows.
        weight_share: their share of the weight of all rows.
        loss_share: their share of the finite loss.
    """

    lower: float
    upper: float
    n: int
    weight_share: float
    loss_share: float


@dataclass(frozen=True)
class WorstRow:
    """One of the rows with the largest loss.

    Attributes:
        source: file or table.
        row: row there, from 0 (reports and messages for people count from 1).
        target: true class.
        predicted: class with the largest probability.
        p_target: probability given to the true class.
        loss: in nats.
    """

    source: str
    row: int
    target: str
    predicted: str
    p_target: float
    loss: float


@dataclass(frozen=True, repr=False)
class Score:
    """What a file of predictions is worth: log loss with its interval, and where it comes from.

    Attributes:
        kind: how predictions were given: probs, logits or log_probs.
        classes: class names in column order.
        n: rows with weight > 0.
        effective_n: (sum w)^2 / sum w^2.
        log_loss: in nats; inf if any row has p = 0 at its target.
        infinities: those rows, and the rest of the loss without them.
        baseline: entropy of the class shares in nats: the loss of always predicting them.
        skill: 1 - log loss / baseline (McFadden's R^2); None if the baseline is 0 or inf.
        bits_gained: (baseline - log loss) in bits per row; None if both are inf.
        effective_classes: exp(log loss): among how many equally likely classes the model still wavers.
        method: how the interval of the log loss was found: "hall", "bootstrap" (of rows, or of whole clusters where
            there are any) or "clusters".
        clustered: whether rows came with keys of clusters, whatever the method.
        baseline_of: what the baseline is the entropy of: "these rows", or the prior that was given (then the
            cross-entropy of these rows' classes under it).
        accuracy: share of rows whose largest probability is at the target, with Wilson's interval.
        macro: means of precision, recall and F1 over the classes.
        brier: mean of sum_j (p_j - y_j)^2, 0..2 (scikit-learn's for two classes is half of it).
        auc: area under the ROC curve; None for more than two classes (see per_class), or if one class has no rows.
        auc_bound: the most by which it can be off, because rows of one cell of p count as ties: half the share of pairs
            inside a cell. It matters where nearly all p lie close together.
        decomposition: of two classes by isotonic regression; of more by temperature, then over the rows with a finite
            loss, and None without one, or if clip= or a number beyond 2^26 nats keeps rows out of the temperature only.
            Its loss is that of the probabilities as given: clip= does not move it.
        top: decomposition of "the predicted class is true" by its own binary loss, for more than two classes; None if p
            is 1 in double precision where that is wrong, and the loss is finite.
        temperature: the temperature that would fit best (1 if the loss depends on none); None without a finite loss.
        entropy_gap: mean of loss - H(p): the score test of temperature 1. 0 is not yet calibration.
        spiegelhalter: Spiegelhalter's test for K classes.
        calibration_error: binned, of the event that the reliability speaks of.
        smooth_calibration_error: without bins, of the same event.
        confusion: true against predicted classes; None above 200 classes.
        segments: one entry a value of each column asked for.
        per_class: one entry a class, in column order.
        reliability: bins of confidence: for two classes in the positive (second) one, else in the predicted
            one.
        reliability_of: the event that the confidence speaks of.
        histogram: bins of the finite losses, half an octave wide.
        worst_share: share of the finite loss in the worst 1 % of the rows.
        worst: worst rows first.
        notes: remarks on the data.

    >>> from crossent.scoring import Tally
    >>> tally = Tally(["cat", "dog"])
    >>> tally.update([0, 1, 1], [[0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> tally.result()
    Score(log loss 0.3635 nat [0.02971, 0.7516], accuracy 1, skill 0.4288, 3 rows, 2 classes; ! too few events: may be \
too short)
    """

    kind: str
    classes: tuple[str, ...]
    n: int
    effective_n: float
    log_loss: Estimate
    infinities: Infinities
    baseline: float
    skill: float | None
    bits_gained: float | None
    effective_classes: float
    method: str
    clustered: bool
    baseline_of: str
    accuracy: Estimate
    macro: Macro
    brier: float
    auc: float | None
    auc_bound: float | None
    decomposition: Decomposition | TemperatureDecomposition | None
    top: Decomposition | None
    temperature: Temperature | None
    entropy_gap: CalibrationTest
    spiegelhalter: CalibrationTest
    calibration_error: CalibrationError | None
    smooth_calibration_error: SmoothCalibrationError | None
    confusion: Confusion | None
    segments: tuple[SegmentScore, ...]
    per_class: tuple[ClassScore, ...]
    reliability: tuple[ReliabilityBin, ...]
    reliability_of: str
    histogram: tuple[LossBin, ...]
    worst_share: float | None
    worst: tuple[WorstRow, ...]
    notes: tuple[str, ...]

    @property
    def log_loss_bits(self) -> Estimate:
        """The log loss in bits."""
        return self.log_loss.scaled(1.0 / _NATS_PER_BIT)

    @property
    def baseline_bits(self) -> float:
        """The baseline in bits."""
        return self.baseline / _NATS_PER_BIT

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers under stable names; infinities stay floats."""
        bits = {"log_loss_bits": self.log_loss_bits, "baseline_bits": self.baseline_bits}
        made = plain(SCHEMA, self, bits, self._reasons())
        made["infinities"]["clipped"] = [
            {"habit": habit, "eps": eps, "log_loss": loss} for habit, eps, loss in self.infinities.clipped
        ]
        return made

    def _reasons(self) -> dict[str, str]:
        """Why a field is None, if it is."""
        two, no_loss = len(self.classes) == 2, self.infinities.finite.value is None
        left_out = "no row has a finite loss" if no_loss else "rows with a loss are left out of the temperature"
        no_area = "one of the classes has no rows" if two else "more than two classes: see per_class"
        no_area = "there is only one class" if len(self.classes) == 1 else no_area
        return {
            "skill": "all rows have one class: the baseline is 0"
            if self.baseline == 0
            else "the prior of a class is 0",
            "bits_gained": "the log loss and the baseline are inf",
            "auc": no_area,
            "auc_bound": no_area,
            "decomposition": left_out,
            "top": "two classes: see decomposition" if two else "p = 1 in double precision: not resolved",
            "temperature": "no row has a finite loss" if no_loss else "every row has a number beyond 2^26 nats",
            "calibration_error": "no bin of confidence holds two rows",
            "smooth_calibration_error": "no row has a probability",
            "confusion": "more than 200 classes",
            "worst_share": "no row has a finite loss" if no_loss else "every finite loss is 0",
        }

    def __repr__(self) -> str:
        loss = self.log_loss
        interval = f" [{loss.lower:.4g}, {loss.upper:.4g}]" if loss.lower is not None and loss.upper is not None else ""
        skill = "" if self.skill is None else f", skill {self.skill:.4g}"
        return (
            f"Score(log loss {loss.value:.4g} nat{interval}, accuracy {self.accuracy.value:.4g}{skill}, "
            f"{self.n} rows, {len(self.classes)} classes{self._caveats()})"
        )

    def _caveats(self) -> str:
        """Rows with an infinite loss, and the caveat of the interval, as far as there are any."""
        rows, mark = self.infinities.rows, self.log_loss.mark
        infinite = f"; {counted(rows)} with p = 0 at the true class" if rows else ""
        return infinite + (f"; ! {mark}" if mark else "")

    def __str__(self) -> str:
        from crossent.report import to_text

        return to_text(self)

    def _repr_html_(self) -> str:
        from crossent.report import to_fragment

        return to_fragment(self)
