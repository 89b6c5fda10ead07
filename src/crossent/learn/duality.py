"""The certificate of a linear model on rows in memory: an upper bound on F - F* from a point of the dual problem.

With the choices of `curvature` (row i, choice j, option k), shares y = A / m, weights w = m / M, scores s = z / T + b
and any distributions alpha_ij over the options,

    F(W, c) >= D(alpha) = sum w [H(alpha) + (alpha - y) . b] - |soft(G, l1)|^2 / (2 l2),   G = sum w (alpha - y) x^T / T

for all W and c, provided that sum w (alpha - y) = 0 where the intercept c is free, and |G|_inf <= l1 where l2 is 0.
Features are relative to the matrix' center: for a free intercept that changes nothing in D, and for none there is none.

alpha are the probabilities of a better intercept, found by steps on the N x K logits that read no features, and then
rebalanced until the condition holds; without an intercept they are those of the point. Where l2 is 0 they are drawn
towards y until |G|_inf <= l1.

F - D is never computed as a difference. Since lse(s) - alpha . s - H(alpha) = KL(alpha | p), it is

    F - D = sum w KL(alpha | p) + sum over coefficients of  penalty(W) + G W + conjugate penalty(-G)

whose terms are all >= 0 in exact arithmetic: so the entropies of nearly certain rows do not cancel, and no gap comes
out negative; a term that rounding alone makes negative counts as 0. The bound holds up to the rounding of its terms,
1e-16. Far from the minimum F itself is the better bound, as no F is below 0.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crossent.activations import log_sigmoid, log_softmax, sigmoid, softmax
from crossent.core.types import NDArray
from crossent.errors import NonFiniteError
from crossent.learn.certificate import Certificate
from crossent.learn.objective import nonsmooth_gradient
from crossent.learn.types import Floats

if TYPE_CHECKING:
    from crossent.learn.linear_objective import LinearObjective

__all__ = ["certificate_of", "separates"]

_STEPS = 20  # on the intercept
_BALANCED = 1e-10  # of the mass: rebalancing less costs about its square in the bound
_NEAR = 1e-3  # alpha / p - 1 where five terms of a series give the divergence, to 1e-12 of itself, without a logarithm
_LONGEST_STEP = 30.0  # of an intercept's logit
_LARGEST_HESSIAN = 300  # parameters: beyond, a Hessian costs more than some 40 passes


def certificate_of(objective: "LinearObjective", point: Floats) -> Certificate:
    """How far F(point) can be from its minimum; see `Certificate`."""
    is_penalised = objective.l2_strength > 0 or objective.l1_strength > 0
    if objective.is_convex and is_penalised:
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                value = _Dual(objective, point).gap()
        except NonFiniteError:
            value = math.inf
        return Certificate("gap", math.inf if math.isnan(value) else value)
    grad = objective.value_and_grad(point).grad
    if not objective.is_convex:
        return Certificate("stationarity", _norm(nonsmooth_gradient(objective, point, grad)))
    return Certificate("radius", _norm(_raw(objective, grad)), _decrement(objective, point, grad))


def separates(objective: "LinearObjective", point: Floats) -> bool:
    """Whether the model puts every row strictly on its target's side: then F falls to 0 as the model grows.

    Targets must be hard: all of a row's mass on one option. Added priors do not count, as they do not grow.
    """
    if not objective.is_convex:
        return False
    curvature = objective.curvature
    z = objective.logits(point)

    def part(first: int, end: int) -> bool:
        is_target = curvature.choices(first, end) > 0
        scores = curvature.scores(z[first:end])
        counts = is_target.sum(axis=1)
        lowest = np.where(is_target, scores, np.inf).min(axis=1)
        highest = np.where(is_target, -np.inf, scores).max(axis=1)
        return bool(np.all((counts == 0) | ((counts == 1) & (lowest > highest))))

    return all(objective.over_slices(part))


class _Balance(NamedTuple):
    """What the options get and should get at a shift of their scores, [J, C] shares of M; its derivative [J, C, C]."""

    shift: Floats
    predicted: Floats
    wanted: Floats
    bend: Floats

    @property
    def off(self) -> Floats:
        """[J] how far each choice is from feasible."""
        return np.asarray(np.abs(self.predicted - self.wanted).sum(axis=1))

    def newton_step(self) -> Floats:
        excess = (self.predicted - self.wanted)[:, :, None]
        return -(np.linalg.pinv(self.bend, hermitian=True) @ excess)[:, :, 0]

    def scaling_step(self) -> Floats:
        """log(wanted / predicted): never overshoots, by Jensen's inequality."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num(np.log(self.wanted / self.predicted), nan=0.0, posinf=np.inf, neginf=-np.inf)

    def where(self, better: NDArray, other: "_Balance") -> "_Balance":
        """The other one for the choices in which it is better."""
        pick = better[:, None]
        return _Balance(
            np.where(pick, other.shift, self.shift), np.where(pick, other.predicted, self.predicted),
            self.wanted, np.where(pick[:, :, None], other.bend, self.bend),
        )  # fmt: skip


class _Dual:
    """The dual point that belongs to a point."""

    def __init__(self, objective: "LinearObjective", point: Floats) -> None:
        self.objective, self.curvature = objective, objective.curvature
        self.coef = objective.at_center(point)[0]
        z = objective.logits(point)
        J, C, _ = self.curvature.scores(z[:1]).shape
        self.log_p, self.mass = np.empty((J, C, len(z))), np.empty((J, 1, len(z)))
        T, bias = self.curvature.temperature, self.curvature.bias

        def part(first: int, end: int) -> tuple[Floats, float]:
            scores = self.curvature.scores(z[first:end])
            scores = scores if T == 1 else scores / T
            log_p = _log_softmax(scores if bias is None else scores + bias[:, None])
            A = self.curvature.choices(first, end)
            self.log_p[:, :, first:end], self.mass[:, :, first:end] = log_p, A.sum(axis=1, keepdims=True)
            return A.sum(axis=2), float(np.vdot(A, log_p))

        parts = objective.over_slices(part)
        self.wanted: Floats = sum(p[0] for p in parts) / objective.mass
        self.loss = -math.fsum(p[1] for p in parts) / objective.mass

    def gap(self) -> float:
        balance = self._balanced() if self.objective.has_intercept else None
        divergence, G = self._divergence(balance)
        l1, l2 = self.objective.l1_strength, self.objective.l2_strength
        largest = float(np.max(np.abs(G), initial=0.0))
        if l2 == 0 and largest > l1:
            G *= l1 / largest
            divergence, _ = self._divergence(balance, share=l1 / largest)
        inner = np.clip(-G, -l1, l1)
        beyond = -G - inner
        linear = np.maximum(np.abs(self.coef) * (l1 - inner * np.sign(self.coef)), 0).sum()
        square = 0.0 if l2 == 0 else np.sum((l2 * self.coef - beyond) ** 2) / (2 * l2)
        value = self.loss + l1 * np.abs(self.coef).sum() + l2 / 2 * np.sum(self.coef**2)
        return float(np.fmin(divergence + linear + square, value))

    # -- a feasible point ---------------------------------------------------------------------------------------------

    def _balanced(self) -> _Balance:
        """The intercept's shift after Newton steps; where they do not help, steps that never overshoot."""
        best = self._measured(np.zeros_like(self.wanted))
        is_careful = np.zeros(len(best.off), bool)
        for _ in range(_STEPS):
            if best.off.max(initial=0.0) <= _BALANCED:
                break
            step = np.where(is_careful[:, None], best.scaling_step(), best.newton_step())
            trial = self._measured(best.shift + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP))
            better = trial.off < best.off
            if not np.any(better | ~is_careful):
                break
            is_careful = ~(trial.off < 0.5 * best.off)
            best = best.where(better, trial)
        return best

    def _measured(self, shift: Floats) -> _Balance:
        def part(first: int, end: int) -> tuple[Floats, Floats]:
            log_p = self.log_p[:, :, first:end]
            p = _softmax(log_p + shift[:, :, None]) if np.any(shift) else np.exp(log_p)
            weighted = p * self.mass[:, :, first:end]
            return weighted.sum(axis=2), weighted @ p.transpose(0, 2, 1)

        parts = self.objective.over_slices(part)
        predicted = sum(p[0] for p in parts) / self.objective.mass
        bend = -sum(p[1] for p in parts) / self.objective.mass
        options = np.arange(bend.shape[1])
        bend[:, options, options] += predicted
        return _Balance(shift, predicted, self.wanted, bend)

    def _alpha(self, first: int, end: int, balance: _Balance | None) -> Floats:
        """The rebalanced distributions of some rows: options above their due are scaled down, others get the mass."""
        if balance is None:
            return np.exp(self.log_p[:, :, first:end])
        excess = balance.predicted - balance.wanted
        freed = np.where(excess > 0, np.minimum(excess / np.where(excess > 0, balance.predicted, 1), 1), 0)
        taken = np.maximum(-excess, 0)
        total = taken.sum(axis=1, keepdims=True)
        p = _softmax(self.log_p[:, :, first:end] + balance.shift[:, :, None])
        moved = freed[:, None, :] @ p
        return np.asarray(p * (1 - freed)[:, :, None] + moved * (taken / np.where(total > 0, total, 1))[:, :, None])

    # -- its value ----------------------------------------------------------------------------------------------------

    def _divergence(self, balance: _Balance | None, *, share: float = 1.0) -> tuple[float, Floats]:
        """sum w KL(y + share (alpha - y) | p), and G [outputs, D] of share 1 (zeros for another share)."""
        objective, is_whole = self.objective, share == 1
        slopes = np.empty((self.log_p.shape[2], objective.outputs) if is_whole else (0, objective.outputs))

        def part(first: int, end: int) -> float:
            alpha, mass = self._alpha(first, end, balance), self.mass[:, :, first:end]
            A = self.curvature.choices(first, end)
            residual = mass * alpha - A
            if is_whole:
                slopes[first:end] = self.curvature.slopes(residual)
            else:
                alpha = (A + share * residual) / np.where(mass > 0, mass, 1)
            if is_whole and balance is None:
                return 0.0
            return float(np.sum(mass * _divergences(alpha, self.log_p[:, :, first:end])))

        divergence = math.fsum(objective.over_slices(part)) / objective.mass
        if not is_whole:
            return divergence, np.zeros_like(self.coef)
        objective.passes += 1
        G = objective.matrix.products(slopes) / objective.mass
        G[:, np.isinf(objective.scale)] = 0  # those coefficients are not parameters
        return divergence, G


def _divergences(alpha: Floats, log_p: Floats) -> Floats:
    """The terms of KL(alpha | p) as alpha log(alpha / p) - alpha + p, each >= 0."""
    p = np.exp(log_p)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        e = (alpha - p) / p
        if np.abs(e).max(initial=0.0) <= _NEAR:
            series: Floats = p * e * e * (0.5 - e * (1 / 6 - e * (1 / 12 - e / 20)))
            return series
        terms = alpha * (np.log(alpha) - log_p) - alpha + p
    return np.maximum(np.where(alpha > 0, terms, p), 0)


def _margins(scores: Floats) -> Floats:
    """(-z, z) of two options: their softmax is a sigmoid, which is several times as fast."""
    z = scores[:, 1] - scores[:, 0]
    return np.stack([-z, z], axis=1)


def _softmax(scores: Floats) -> Floats:
    """Over the options of scores [J, C, n]."""
    return np.asarray(sigmoid(_margins(scores)) if scores.shape[1] == 2 else softmax(scores, axis=1))


def _log_softmax(scores: Floats) -> Floats:
    """Over the options of scores [J, C, n]."""
    return np.asarray(log_sigmoid(_margins(scores)) if scores.shape[1] == 2 else log_softmax(scores, axis=1))


# -- without a penalty ------------------------------------------------------------------------------------------------


def _norm(grad: Floats) -> float:
    """The 2-norm, inf where it is no number."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.nan_to_num(np.linalg.norm(grad), nan=math.inf, posinf=math.inf))


def _raw(objective: "LinearObjective", grad: Floats) -> Floats:
    """A gradient in the raw coefficients and intercepts, [outputs, width]."""
    table = grad.reshape(objective.outputs, objective.width).copy()
    columns = objective.matrix.columns
    table[:, :columns] *= np.where(np.isinf(objective.scale), 0.0, objective.scale)
    if objective.has_intercept and objective.matrix.center is not None:
        table[:, :columns] += table[:, columns:] * objective.matrix.center
    return table


def _decrement(objective: "LinearObjective", point: Floats, grad: Floats) -> float:
    """Half of g^T H^-1 g where the Hessian is cheap; NaN elsewhere."""
    if objective.size > _LARGEST_HESSIAN or not np.isfinite(grad).all():
        return math.nan
    step = np.linalg.lstsq(objective.hessian(point), grad, rcond=None)[0]
    return max(0.0, 0.5 * float(grad @ step))
