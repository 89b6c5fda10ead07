"""Looking often, and resampling: what confidence sequences miss over all looks, what the bootstrap says beside Hall."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from coverage_study.losses import LOSSES, Losses
from coverage_study.pairs import PAIRS
from crossent.stats import Estimate, normal_quantile
from crossent.stats.bootstrap import GroupSums
from crossent.stats.identity import row_identity
from crossent.stats.sequence import FIRST_LOOK, confidence_sequence

__all__ = ["Resampled", "Sequence", "all_resampled", "all_sequences", "resampled", "sequence_of"]

_ROWS = 5000
_EXPECTED = (1000, 5000)  # rows that a sequence is tuned to
_PART = 200  # replicates at a time


@dataclass(frozen=True)
class Sequence:
    """One line: looks at every row from the first to the last.

    missed: share of the replicates in which any look misses the true value; fixed: the same of the plain 95 %
    interval, looked at as often; wider: how much wider the sequence is than that interval at the last row.
    """

    losses: str
    rows: int
    expect_n: int
    replicates: int
    missed: float
    fixed: float
    wider: float


def sequence_of(losses: Losses, *, rows: int, expect_n: int, replicates: int, seed: int) -> Sequence:
    """Simulates one line; the width in standard errors is asked of the library once for each look."""
    rng = np.random.Generator(np.random.PCG64([seed, rows, expect_n, *losses.name.encode()]))
    n = np.arange(FIRST_LOOK, rows + 1)
    looks = [confidence_sequence(Estimate(0.0, 1.0, 0.0, 0.0, 0.95, int(k), float(k)), expect_n=expect_n) for k in n]
    reach, usual = np.array([look.upper for look in looks], float), normal_quantile(0.975)
    missed, fixed = 0, 0
    for start in range(0, replicates, _PART):
        size = min(_PART, replicates - start)
        x = losses.draw(rng, size * rows)[0].reshape(size, rows) - losses.moments[0]
        total, square = (np.cumsum(each, axis=1)[:, FIRST_LOOK - 1 :] for each in (x, x * x))
        se = np.sqrt(np.maximum(square - total**2 / n, 0.0) / (n - 1) / n)
        off = np.abs(total / n)
        missed += int((off > reach * se).any(axis=1).sum())
        fixed += int((off > usual * se).any(axis=1).sum())
    width = float(reach[-1] / usual)
    return Sequence(losses.name, rows, expect_n, replicates, missed / replicates, fixed / replicates, width)


def all_sequences(*, replicates: int, seed: int, rows: int = _ROWS) -> list[Sequence]:
    """All lines: a loss of moderate skewness, a heavy one, a difference of two models."""
    several = (LOSSES["exponential"], LOSSES["lognormal"], LOSSES["confident"], PAIRS["noisy"])
    return [
        sequence_of(losses, rows=rows, expect_n=expect_n, replicates=replicates, seed=seed)
        for losses in several
        for expect_n in dict.fromkeys(min(each, rows) for each in _EXPECTED)
    ]


@dataclass(frozen=True)
class Resampled:
    """One line of the bootstrap.

    ratio, spread: mean and standard deviation of its standard error over that of the same rows by formula;
    true_ratio: mean of its standard error over the true one; bootstrap, hall: coverage.
    """

    losses: str
    rows: int
    replicates: int
    ratio: float
    spread: float
    true_ratio: float
    bootstrap: float
    hall: float


def resampled(losses: Losses, rows: int, *, replicates: int, seed: int) -> Resampled:
    """Simulates one line."""
    rng = np.random.Generator(np.random.PCG64([seed, rows, *losses.name.encode()]))
    truth, second, _ = losses.moments
    identity, ones = row_identity("study", np.arange(rows)), np.ones(rows)
    ratios, errors, held = [], [], np.zeros(2)
    for k in range(replicates):
        groups = GroupSums.of(identity, losses.draw(rng, rows)[0], ones)
        plain, found = groups.sums.total().estimate(floor=0.0), groups.estimate(floor=0.0, seed=k)
        held += [_holds(found, truth), _holds(plain, truth)]
        if found.se is not None and plain.se is not None:
            ratios.append(found.se / plain.se)
            errors.append(found.se)
    exact = ((second - truth**2) / rows) ** 0.5
    shares = (held / replicates).tolist()
    return Resampled(
        losses.name, rows, replicates, float(np.mean(ratios)), float(np.std(ratios)),
        float(np.mean(errors)) / exact, *shares,
    )  # fmt: skip


def _holds(estimate: Estimate, truth: float) -> bool:
    return estimate.lower is not None and estimate.upper is not None and estimate.lower <= truth <= estimate.upper


def all_resampled(*, replicates: int, seed: int, sizes: Iterable[int] = (200, 1000, 5000)) -> list[Resampled]:
    """All lines."""
    several = (LOSSES["exponential"], LOSSES["lognormal"], LOSSES["confident"])
    return [resampled(losses, rows, replicates=replicates, seed=seed) for losses in several for rows in sizes]
