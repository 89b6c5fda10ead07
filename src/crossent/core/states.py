"""Rows of a vocabulary in shards: the state that each shard leaves of a row, how states merge, the merged loss.

A state is RowState of native/kernels.hpp: maximum m of the shard's logits (a sum of two parts), r = sum of exp(z - m)
over its other classes, spread = sum of exp(z - m) (m - z); of the targets q, weighted and smoothed: gap = sum of
q (m - z), the mass without the class at m, the mass of that class, and the mass before smoothing. With several shards

    m = max m_b,  r = r_a + sum_{b != a} (1 + r_b) exp(m_b - m),  gap = sum_b gap_b + Q_b (m - m_b)

so that nothing is subtracted that nearly cancels, and the loss of a row is gap + Q log1p(r). A shard adds at most 2
roundings of float64 to r, so any number of shards stays within the contract of the unsharded loss.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from crossent.core.blocks import Sums
from crossent.core.terms import Terms
from crossent.core.types import NDArray

__all__ = ["empty_state", "finished_rows", "log_sum_exp", "merge_states", "target_mass", "undecided"]

STATE = 8
MAXIMUM, MAXIMUM_LOW, OTHERS, SPREAD, GAP, TARGET_OTHERS, TARGET_TOP, MASS = range(STATE)


def _differences(m: NDArray, low: NDArray, top: NDArray, top_low: NDArray) -> tuple[NDArray, NDArray]:
    """m - top as a float64 and what its rounding lost; 0 where no class is left on either side."""
    d = np.where((m == -np.inf) & (top == -np.inf), 0.0, m - top)
    back = d - m
    error = (m - (d - back)) - (top + back)
    return d, np.where(np.isfinite(d) & np.isfinite(m), error + (low - top_low), 0.0)


def _total(terms: NDArray) -> NDArray:
    """The sum over the first axis with its rounding errors put back: shards of equal sums would err all to one side."""
    total: NDArray = terms[0].copy()
    lost = np.zeros_like(total)
    for term in terms[1:]:
        added = total + term
        back = added - total
        lost += (total - (added - back)) + (term - back)
        total = added
    return np.where(np.isfinite(total), total + lost, total)


def merge_states(states: Sequence[NDArray]) -> NDArray:
    """One state [N, 8] of all shards' states [N, 8]."""
    s: NDArray = np.stack(states)
    m, low = s[..., MAXIMUM], s[..., MAXIMUM_LOW]
    first = m.max(axis=0)
    lead = np.argmax(np.where(m == first, low, -np.inf), axis=0)[None]  # the first of the largest pairs
    top, top_low = np.take_along_axis(m, lead, 0), np.take_along_axis(low, lead, 0)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        d, error = _differences(m, low, top, top_low)
        scale = np.exp(d)
        leads = np.arange(len(states))[:, None] == lead
        sums = 1 + s[..., OTHERS]
        rest = np.where(np.isfinite(sums), s[..., OTHERS] - (sums - 1) + sums * error, 0.0)
        merged: NDArray = np.empty_like(s[0])
        merged[:, MAXIMUM], merged[:, MAXIMUM_LOW] = top[0], top_low[0]
        others = np.where(m == -np.inf, 0.0, sums * scale + rest * scale)
        merged[:, OTHERS] = _total(np.where(leads, s[..., OTHERS], others))
        away = np.where(scale > 0, (s[..., SPREAD] - sums * (d + error)) * (scale * (1 + error)), 0.0)
        merged[:, SPREAD] = _total(np.where(leads, s[..., SPREAD], away))
        weight = s[..., TARGET_OTHERS] + s[..., TARGET_TOP]
        gaps = np.where(weight > 0, weight * -(d + error), 0.0)
        merged[:, GAP] = _total(np.where(leads, s[..., GAP], s[..., GAP] + gaps))
        merged[:, TARGET_OTHERS] = _total(np.where(leads, s[..., TARGET_OTHERS], weight))
    merged[:, TARGET_TOP] = np.take_along_axis(s[..., TARGET_TOP], lead, 0)[0]
    merged[:, MASS] = _total(s[..., MASS])
    return merged


def undecided(state: NDArray) -> NDArray:
    """Rows whose merged logits have no softmax: nothing but -inf, or several +inf in different shards."""
    return np.asarray((state[:, MAXIMUM] == -np.inf) | np.isnan(state[:, OTHERS]))


def target_mass(state: NDArray) -> NDArray:
    """The mass D of each row's targets; 0 for a row that is left out."""
    return np.asarray(state[:, MASS])


def row_values(state: NDArray, terms: Terms) -> NDArray:
    """Row losses in nats from merged states, before sample weights."""
    r = state[:, OTHERS]
    weight = state[:, TARGET_OTHERS] + state[:, TARGET_TOP]
    log1p = np.log1p(r)
    loss = state[:, GAP] + weight * log1p
    if terms.z_loss:
        lse = state[:, MAXIMUM] + (state[:, MAXIMUM_LOW] + log1p)
        loss = loss + weight * (terms.z_loss * lse**2)
    if terms.entropy_weight:
        loss = loss + weight * (terms.entropy_weight * (log1p + state[:, SPREAD] / (1 + r)))
    return np.asarray(loss)


def finished_rows(
    state: NDArray, terms: Terms, weight: NDArray | None, factor: float, dtype: np.dtype[Any]
) -> tuple[NDArray, Sums]:
    """Losses [N] of dtype, times weights and factor, 0 for rows that are left out; and their sums."""
    w, mass = np.ones(len(state)) if weight is None else weight.reshape(-1), target_mass(state)
    with np.errstate(over="ignore", invalid="ignore"):
        losses: NDArray = np.where(mass > 0, row_values(state, terms) * (w * factor), 0.0).astype(dtype)
    return losses, Sums(float(losses.sum(dtype=np.float64)), float((w * mass).sum()), int(np.count_nonzero(mass)))


def log_sum_exp(state: NDArray) -> NDArray:
    """log sum exp of the transformed logits of each row."""
    return np.asarray(state[:, MAXIMUM] + (state[:, MAXIMUM_LOW] + np.log1p(state[:, OTHERS])))


def empty_state(rows: int) -> NDArray:
    """Room for what a shard leaves."""
    return np.empty((rows, STATE))
