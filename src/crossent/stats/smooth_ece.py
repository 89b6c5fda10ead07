"""Smooth calibration error: residuals smoothed by a reflected Gaussian kernel whose width equals the error.

    smECE_sigma = integral over t in [0, 1] of |sum w (p - y) K_sigma(p, t) / sum w|

K reflects at 0 and 1 without end, as heat does between walls, so cosines are its eigenfunctions:
K_sigma(p, t) = 1 + 2 sum_k exp(-(pi k sigma)^2 / 2) cos(pi k p) cos(pi k t). The residuals of cells go to a grid in p
once, their cosine coefficients are found once, and another width is another damping and one inverse transform: cheap
enough for every redraw to find its own width. The value is within 1e-3 of the rows' own: cells are up to 0.008 wide in
p, the grid 0.001. The package relplot agrees as closely where it computes the same. It cuts the kernel at 0.5, which
shows in errors above 0.15, and leaves out the mirror image of p below the first step of its grid, which shows where
many probabilities are below 0.001 or above 0.999.
"""

from dataclasses import dataclass

import numpy as np

from crossent.core.accumulate import Float64
from crossent.stats.probability_cells import CellColumns
from crossent.stats.redraws import OccupiedCells, null_of, occupied, redrawn_hits

__all__ = ["SmoothCalibrationError", "smooth_calibration_error"]

_GRID = 1024
_NARROWEST = 1e-3  # kernel: below, cells and grid are not resolved
_MODES = 1.7  # modes beyond 1.7 / sigma are damped below 1e-6
_CLOSE = 1e-5
_MOST_STEPS = 40


@dataclass(frozen=True)
class SmoothCalibrationError:
    """Smooth ECE of one event.

    Attributes:
        value: smECE at the width sigma where smECE_sigma = sigma.
        null: mean of the same over labels redrawn from the probabilities.
        null_upper: 95 % quantile of the same.
        p_value: share of redraws with a value at least as large.
    """

    value: float
    null: float
    null_upper: float
    p_value: float


def smooth_calibration_error(
    cells: CellColumns, *, redraws: int = 200, seed: int = 0, hits: Float64 | None = None
) -> SmoothCalibrationError | None:
    """The smooth calibration error of one event, at the width that equals it (0.001 if it is smaller than that).

    Args:
        cells: [CELLS] columns of the event.
        redraws: number of redraws of the labels, >= 1.
        seed: of the redraws.
        hits: the redraws, if they were drawn before.
    Returns: a SmoothCalibrationError; None without rows.
    Raises: OptionError for fewer than one redraw.
    Source: Blasiok & Nakkiran, Smooth ECE, arXiv:2309.12236 (2023).

    >>> from crossent.stats.probability_cells import ProbabilityCells
    >>> tally = ProbabilityCells.of(np.full((100, 1), 0.5), np.ones((100, 1), np.bool_))
    >>> round(smooth_calibration_error(tally.columns(0)).value, 3)
    0.5
    """
    rows = occupied(cells)
    if rows is None:
        return None
    drawn = redrawn_hits(cells, redraws, seed) if hits is None else hits
    coefficients = _coefficients(rows, np.concatenate([rows.hits[None], drawn]))
    together = _at_own_width(coefficients)
    null = null_of(float(together[0]), together[1:])
    alone = float(_at_own_width(coefficients[:1])[0])  # so that it depends on no redraw, not even in its fifth digit
    return SmoothCalibrationError(alone, null.mean, null.upper, null.p_value)


def _coefficients(rows: OccupiedCells, hits: Float64) -> Float64:
    """Cosine coefficients of the residuals, [redraws, _GRID + 1] for hits [redraws, m]."""
    residual = (rows.weight * rows.p - hits) / rows.weight.sum()
    place = np.minimum((rows.p * _GRID).astype(np.int64), _GRID - 1)
    beyond = rows.p * _GRID - place
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    grid = np.zeros((len(hits), _GRID + 1))
    grid[:, place[starts]] = np.add.reduceat(residual * (1 - beyond), starts, axis=1)
    grid[:, place[starts] + 1] += np.add.reduceat(residual * beyond, starts, axis=1)
    return np.ascontiguousarray(np.fft.rfft(grid, 2 * _GRID).real)


def _at_own_width(coefficients: Float64) -> Float64:
    """The error at the width that equals it, [redraws].

    The error falls like a power of the width, -log error / log width between 0 (bias) and 1/2 (noise), so the secant in
    logarithms needs about five steps; its limits keep each step between the width and the error found there.
    """
    width = np.full(len(coefficients), 0.05)
    error = _smooth_error(coefficients, width)
    power = np.full(len(width), 0.5)
    for _ in range(_MOST_STEPS):
        near = (np.abs(error - width) <= _CLOSE) | ((width == _NARROWEST) & (error < width))
        if near.all():
            break
        log_width, log_error = np.log(width), np.log(np.maximum(error, 1e-300))
        width = np.where(near, width, np.maximum(np.exp((log_error + power * log_width) / (1 + power)), _NARROWEST))
        error = _smooth_error(coefficients, width)
        moved = np.log(width) - log_width
        rate = -(np.log(np.maximum(error, 1e-300)) - log_error) / np.where(moved == 0, 1.0, moved)
        power = np.where(moved == 0, power, np.clip(rate, 0.0, 4.0))
    return error


def _smooth_error(coefficients: Float64, width: Float64) -> Float64:
    """smECE at each redraw's width, [redraws]."""
    modes = min(_GRID, int(_MODES / width.min()) + 1)
    points = max(128, 1 << modes.bit_length())  # |residual| bends where it is 0: an error below 1e-4
    damping = np.exp(-0.5 * (np.pi * width[:, None] * np.arange(modes + 1)) ** 2)
    smooth = np.fft.irfft(coefficients[:, : modes + 1] * damping, 2 * points, norm="forward")
    mean: Float64 = np.abs(smooth).mean(axis=1)  # over [0, 2], of which the second half mirrors the first
    return mean
