"""How often the tests of calibration reject: at their level where predictions are calibrated, often where not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from coverage_study.losses import Float64
from crossent.scoring import Score, Tally

__all__ = ["LEVEL", "TESTS", "Rejections", "all_rejections", "rejections"]

LEVEL = 0.05
TESTS = ("entropy gap", "Spiegelhalter", "CORP miscalibration", "naive ECE", "smooth ECE")
_SPREAD = 2.0  # standard deviation of the true logits
_CASES = ((2, 1.0), (2, 1.2), (2, 1 / 1.2), (5, 1.0), (5, 1.2))  # classes; the temperature that would mend it
_SIZES = (200, 1000, 5000)


@dataclass(frozen=True)
class Rejections:
    """One line: the share of the replicates in which each of TESTS has p <= LEVEL."""

    classes: int
    temperature: float
    rows: int
    replicates: int
    shares: tuple[float, ...]


def _p_values(score: Score) -> Mapping[str, float | None]:
    """Of several classes, CORP and ECE speak of the predicted one."""
    corp = score.decomposition if len(score.classes) == 2 else score.top
    found = (score.entropy_gap, score.spiegelhalter, corp, score.calibration_error, score.smooth_calibration_error)
    return {name: getattr(each, "p_value", None) for name, each in zip(TESTS, found, strict=True)}


def _predictions(rng: np.random.Generator, rows: int, classes: int, temperature: float) -> tuple[np.ndarray, Float64]:
    """Targets drawn from softmax(z), and the logits that are given: temperature times z."""
    z = rng.normal(0.0, _SPREAD, (rows, classes))
    return (z + rng.gumbel(0.0, 1.0, z.shape)).argmax(axis=1), temperature * z


def rejections(classes: int, temperature: float, rows: int, *, replicates: int, seed: int) -> Rejections:
    """Simulates one line; every score redraws its labels with a seed of its own."""
    rng = np.random.Generator(np.random.PCG64([seed, rows, classes, round(1000 * temperature)]))
    names = [str(k) for k in range(classes)]
    found = np.zeros(len(TESTS))
    for k in range(replicates):
        tally = Tally(names, kind="logits", tracked=())
        tally.update(*_predictions(rng, rows, classes, temperature))
        p = _p_values(tally.result(seed=k))
        found += [(each := p[name]) is not None and each <= LEVEL for name in TESTS]
    return Rejections(classes, temperature, rows, replicates, tuple(float(x) for x in found / replicates))


def all_rejections(*, replicates: int, seed: int, sizes: Iterable[int] = _SIZES) -> list[Rejections]:
    """All lines."""
    return [rejections(*case, rows, replicates=replicates, seed=seed) for case in _CASES for rows in sizes]
