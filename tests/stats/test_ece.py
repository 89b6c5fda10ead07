"""Calibration error against sums over rows, row by row; no bias of the debiased square; level and power."""

import math
from fractions import Fraction

import numpy as np
import pytest

from calibration_cases import columns_of, drawn_rows, few_values
from crossent.errors import OptionError
from crossent.stats.ece import calibration_error


def by_rows(p, hit, weight, bins):
    """Debiased square and naive error from rows, in fractions; equal p stay together, with the rank of their middle."""
    rows = sorted(zip(p.tolist(), hit.tolist(), weight.tolist(), strict=True))
    groups: dict[int, list] = {}
    done = 0
    for value in sorted({row[0] for row in rows}):
        same = [row for row in rows if row[0] == value]
        groups.setdefault((2 * done + len(same)) * bins // (2 * len(rows)), []).extend(same)
        done += len(same)
    debiased, kept, naive, total = Fraction(0), Fraction(0), Fraction(0), Fraction(0)
    for members in groups.values():
        w = [Fraction(row[2]) for row in members]
        size, n = sum(w), sum(w) ** 2 / sum(x * x for x in w)
        y = sum(x for x, row in zip(w, members, strict=True) if row[1]) / size
        f = sum(x * Fraction(row[0]) for x, row in zip(w, members, strict=True)) / size
        naive, total = naive + size * abs(y - f), total + size
        if n >= 2:
            debiased, kept = debiased + size * ((y - f) ** 2 - y * (1 - y) / (n - 1)), kept + size
    return len(groups), float(debiased / kept) if kept else None, float(naive / total)


@pytest.mark.parametrize("n", [5, 60, 700])
@pytest.mark.parametrize("bins", [1, 4, 15])
@pytest.mark.parametrize("weighted", [False, True])
def test_both_errors_are_those_of_the_rows(n, bins, weighted):
    p, hit = few_values(n, bins, values=30)
    weight = np.random.default_rng(n).exponential(size=n) if weighted else np.ones(n)
    found = calibration_error(columns_of(p, hit, weight if weighted else None), bins=bins, redraws=5)
    wanted_bins, debiased, naive = by_rows(p, hit, weight, bins)
    if debiased is None:
        assert found is None
        return
    assert found.bins == wanted_bins
    assert found.debiased_square == pytest.approx(debiased, rel=1e-9, abs=1e-15)
    assert found.naive == pytest.approx(naive, rel=1e-12)


def test_level_and_no_bias_under_calibration():
    found = [calibration_error(columns_of(*drawn_rows(1000, s)), redraws=99, seed=s) for s in range(200)]
    square = np.array([e.debiased_square for e in found])
    assert abs(square.mean()) < 4 * square.std() / math.sqrt(200)
    assert (square < 0).mean() > 0.3
    assert np.mean([e.naive - e.naive_null for e in found]) == pytest.approx(0, abs=0.002)
    assert np.mean([e.naive for e in found]) > 0.02  # what the null stands beside it for
    assert 0.01 <= np.mean([e.p_value < 0.05 for e in found]) <= 0.10


def test_a_known_error_is_found():
    rng = np.random.default_rng(8)
    square = []
    for _ in range(200):
        p = rng.choice(np.linspace(0.1, 0.8, 15), 600)
        square.append(calibration_error(columns_of(p, rng.random(600) < p + 0.1), redraws=1).debiased_square)
    assert np.mean(square) == pytest.approx(0.01, abs=4 * np.std(square) / math.sqrt(200))


def test_power_against_a_temperature_of_1_2():
    found = [calibration_error(columns_of(*drawn_rows(5000, s, sharper=1.2)), redraws=99, seed=s) for s in range(30)]
    assert np.mean([e.p_value < 0.05 for e in found]) > 0.85


def test_too_few_rows_and_no_bins():
    assert calibration_error(columns_of([], [])) is None
    assert calibration_error(columns_of([0.3], [True])) is None
    assert calibration_error(columns_of([0.3, 0.3], [True, False])).debiased_square == pytest.approx(0.04 - 0.25)
    with pytest.raises(OptionError, match="bins is 0"):
        calibration_error(columns_of([0.3, 0.3], [True, False]), bins=0)
