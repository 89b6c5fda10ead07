"""How often intervals hold the true value, on which side they miss it, and when they carry their mark."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from coverage_study.designs import DESIGNS, Design, Sample
from crossent.stats import normal_quantile

__all__ = ["EVENTS", "SIZES", "Coverage", "coverage_of", "coverages"]

SIZES = (100, 200, 500, 1000, 5000)
EVENTS = 20  # rows of the rarer class below which a score carries the mark
_BEND = 0.5  # gamma / sqrt n above which it does


@dataclass(frozen=True)
class Coverage:
    """One line of the tables; shares of the replicates.

    units: n; bend: the true gamma / sqrt n; rare: expected rows of the rarer class; hall, normal: the interval holds
    the true value; hall_below, hall_above: it lies wholly below, above it (normal_* likewise); none: there is no
    interval, which counts as a miss; marked: the mark or no interval.
    """

    design: str
    losses: str
    units: int
    bend: float
    rare: float | None
    replicates: int
    hall: float
    hall_below: float
    hall_above: float
    normal: float
    normal_below: float
    normal_above: float
    none: float
    marked: float

    @property
    def promised(self) -> bool:
        """Whether intervals are to be trusted here: little skewness for so many rows, and enough events."""
        return self.bend <= _BEND and (self.rare is None or self.rare >= EVENTS)


def coverage_of(design: Design, units: int, *, replicates: int, seed: int) -> Coverage:
    """Simulates one line."""
    rng = np.random.Generator(np.random.PCG64([seed, units, *f"{design.name} {design.losses}".encode()]))
    sample = design.sample(rng, units, replicates)
    value, se, lower, upper = (
        np.array([np.nan if x is None else x for x in (getattr(e, name) for e in sample.estimates)], float)
        for name in ("value", "se", "lower", "upper")
    )
    reach = normal_quantile(0.975) * se
    with np.errstate(invalid="ignore"):  # NaN is an interval that is not there: neither below nor above
        ends = (lower, upper), (value - reach, value + reach)
        hall, normal = ([(design.truth > high).mean(), (design.truth < low).mean()] for low, high in ends)
    none = float(np.isnan(se).mean())
    return Coverage(
        design.name,
        design.losses,
        units,
        abs(design.gamma) / units**0.5,
        None if design.rare is None else design.rare * units,
        replicates,
        1 - sum(hall) - none,
        *hall,
        1 - sum(normal) - none,
        *normal,
        none,
        float(_marked(sample).mean()),
    )


def _marked(sample: Sample) -> np.ndarray:
    """What a score marks: its interval's own mark, a class of few rows, or no interval at all."""
    own = np.array([e.mark is not None or e.se is None for e in sample.estimates])
    return own if sample.rare is None else own | (sample.rare < EVENTS)


def coverages(*, replicates: int, seed: int, sizes: Iterable[int] = SIZES) -> list[Coverage]:
    """All lines: every design, every kind of losses that it is tried on, every size."""
    return [
        coverage_of(design, units, replicates=replicates, seed=seed)
        for several in DESIGNS.values()
        for design in several
        for units in sizes
    ]
