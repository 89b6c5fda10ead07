"""The losses for the hard cases: imbalance, noisy labels, overconfidence; row losses f(log p) of one kernel."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from crossent.core import reduction as reduce
from crossent.core.binary import binary_job
from crossent.core.check import prediction
from crossent.core.loss import Loss
from crossent.core.options import MAX, BinaryOptions, SoftmaxOptions, nonnegative, positive_number, within, yes_or_no
from crossent.core.shapes import Shape
from crossent.core.softmax import softmax_job
from crossent.core.terms import CROSS_ENTROPY, BinaryTerms, Terms, focal_shape
from crossent.core.types import ArrayLike, NDArray
from crossent.core.weights import class_weights, log_priors
from crossent.errors import OptionError, ShapeError

__all__ = [
    "BinaryFocal",
    "Bootstrap",
    "Focal",
    "GeneralizedCrossEntropy",
    "LogitAdjusted",
    "Poly1",
    "SymmetricCrossEntropy",
]


def _single(value: Any) -> float | None:
    """The value if it is one number, not one for each class."""
    return float(value) if isinstance(value, Real) else None


class _SoftmaxLoss(SoftmaxOptions, Loss):
    """A member of the softmax family."""

    def _job(self, targets: Any, logits: Any, probs: Any, log_probs: Any, sample_weight: Any) -> reduce.Job:
        return softmax_job(self, targets, prediction(logits, probs, log_probs), sample_weight)


@dataclass(frozen=True, eq=False)
class Focal(_SoftmaxLoss):
    """Focal loss: rows that are predicted well count less, so that the few hard ones are not drowned.

        loss_i = sum_j q_ij alpha_j (1 - p_ij)^gamma (-log p_ij)      [nat]

    With gamma = 0 it is cross-entropy. Not proper for gamma > 0: its minimum is not at the true probabilities, so
    calibrate what it trained. Not convex in the logits.

    Args:
        gamma: how much less, a number >= 0.
        alpha: one number > 0, or [K] numbers >= 0 that multiply the loss of each class. Unlike class_weight they do
            not enter the divisor of a mean.
        class_weight, label_smoothing, temperature, ...: the options of `CrossEntropy`.
    Raises: OptionError, WeightError, ShapeError.
    Source: Lin, Goyal, Girshick, He & Dollar, ICCV 2017, 2980-2988; Mukhoti et al., NeurIPS 2020.

    >>> loss = Focal(gamma=2.0, reduction="none")
    >>> loss([0, 0], probs=[[0.9, 0.1], [0.2, 0.8]]).round(6).tolist()
    [0.001054, 1.03004]
    """

    gamma: float = 2.0
    alpha: ArrayLike | Mapping[Any, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        nonnegative("gamma", self.gamma)
        self._own("alpha", self.alpha)
        if _single(self.alpha) is not None:
            positive_number("alpha", self.alpha)

    @property
    def shape(self) -> Shape:
        single = _single(self.alpha)
        return focal_shape(float(self.gamma), 1.0 if single is None else single)

    def terms(self, K: int) -> Terms | None:
        many = self.alpha if _single(self.alpha) is None else None
        return self._terms(alpha=class_weights(many, K, self.classes, "alpha"))


@dataclass(frozen=True, eq=False)
class Poly1(_SoftmaxLoss):
    """PolyLoss of order 1: cross-entropy whose leading term (1 - p) has another coefficient.

        loss_i = sum_j q_ij (-log p_ij + epsilon (1 - p_ij))      [nat]

    Not proper for epsilon != 0; convex in the logits for epsilon <= 1.

    Args:
        epsilon: a number >= -1; positive values press confident rows on, negative ones hold them back.
        class_weight, label_smoothing, temperature, ...: the options of `CrossEntropy`.
    Raises: OptionError.
    Source: Leng, Tan, Liu, Cubuk, Shi, Cheng & Anguelov, ICLR 2022.

    >>> round(Poly1(epsilon=1.0)([0], probs=[[0.5, 0.5]]), 6)
    1.193147
    """

    epsilon: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        within("epsilon", self.epsilon, -1, MAX, open_ends=False)

    @property
    def shape(self) -> Shape:
        return Shape("poly", 1.0, float(self.epsilon)) if self.epsilon else CROSS_ENTROPY


@dataclass(frozen=True, eq=False)
class GeneralizedCrossEntropy(_SoftmaxLoss):
    """Generalized cross-entropy for noisy labels: between cross-entropy (q -> 0) and absolute error (q = 1).

        loss_i = sum_j t_ij (1 - p_ij^q) / q      [nat]

    with targets t. Bounded by 1 / q, so a wrong label pulls only so far. Not proper; not convex in the logits.

    Args:
        q: in (0, 1].
        class_weight, label_smoothing, temperature, ...: the options of `CrossEntropy`.
    Raises: OptionError.
    Source: Zhang & Sabuncu, NeurIPS 2018, 8778-8788.

    >>> round(GeneralizedCrossEntropy(q=1.0)([0], probs=[[0.25, 0.75]]), 6)
    0.75
    """

    q: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        within("q", self.q, 1e-100, 1, open_ends=False, text="a number in (0, 1]")

    @property
    def shape(self) -> Shape:
        return Shape("power", 1.0, float(self.q))


@dataclass(frozen=True, eq=False)
class SymmetricCrossEntropy(_SoftmaxLoss):
    """Symmetric cross-entropy for noisy labels: cross-entropy, and the same with target and prediction exchanged.

        loss_i = sum_j q_ij (alpha (-log p_ij) - beta log_zero (1 - p_ij))      [nat]

    For a single true class the second term is -beta sum_k p_k log q_k with log 0 set to log_zero; for soft targets it
    is the mean over labels drawn from them. Not proper; convex in the logits only for beta |log_zero| <= alpha.

    Args:
        alpha: weight of cross-entropy, >= 0.
        beta: weight of the reverse, >= 0; one of the two is positive.
        log_zero: what stands for log 0, < 0.
        class_weight, label_smoothing, temperature, ...: the options of `CrossEntropy`.
    Raises: OptionError.
    Source: Wang, Ma, Chen, Luo, Yi & Bailey, ICCV 2019, 322-330.

    >>> round(SymmetricCrossEntropy(alpha=1.0, beta=0.5)([0], probs=[[0.5, 0.5]]), 6)
    1.693147
    """

    alpha: float = 1.0
    beta: float = 1.0
    log_zero: float = -4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        nonnegative("alpha", self.alpha)
        nonnegative("beta", self.beta)
        within("log_zero", self.log_zero, -MAX, -1 / MAX, open_ends=False, text="a number < 0")
        if not self.alpha and not self.beta:
            raise OptionError("alpha and beta are both 0, which leaves no loss; make one of them positive.")

    @property
    def shape(self) -> Shape:
        return Shape("poly", float(self.alpha), -float(self.beta) * float(self.log_zero))


@dataclass(frozen=True, eq=False)
class LogitAdjusted(_SoftmaxLoss):
    """Logit-adjusted cross-entropy for class imbalance: the class frequencies are added to the logits in training.

        loss_i = lse(z_i + tau log pi) - z_iy - tau log pi_y      [nat]

    Predict with the plain logits: they rank classes as if all were equally frequent (tau = 1). A proper loss of the
    adjusted probabilities, convex in the logits.

    Args:
        priors: [K] class frequencies > 0, counts or probabilities; they are divided by their sum.
        tau: strength, >= 0.
        class_weight, label_smoothing, temperature, ...: the options of `CrossEntropy`.
    Raises: OptionError, WeightError, ShapeError.
    Source: Menon, Jayasumana, Rawat, Jain, Veit & Kumar, ICLR 2021.

    >>> round(LogitAdjusted(priors=[90, 10])([1], logits=[[0.0, 0.0]]), 6)
    2.302585
    """

    priors: ArrayLike
    tau: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        nonnegative("tau", self.tau)
        self._own("priors", self.priors)
        object.__setattr__(self, "_log_priors", log_priors(self.priors))

    def terms(self, K: int) -> Terms | None:
        prior: NDArray = vars(self)["_log_priors"]
        if prior.shape[1] != K:
            raise ShapeError(f"priors has {prior.shape[1]} numbers, but there are {K} classes: each needs its own.")
        return self._terms(prior=prior, tau=float(self.tau))


@dataclass(frozen=True, eq=False)
class Bootstrap(_SoftmaxLoss):
    """Bootstrapped targets for noisy labels: part of the target is what the model itself predicts.

        soft:  loss_i = beta sum_j q_ij (-log p_ij) + (1 - beta) H(p_i)
        hard:  loss_i = sum_j (beta q_ij + (1 - beta) [j = argmax z_i]) (-log p_ij)      [nat]

    The gradient of the soft form runs through both p: it is cross-entropy with minimum entropy regularisation. That of
    the hard form takes its target as given, smoothed before and class-weighted after the prediction's part joins it.
    Neither is proper for beta < 1; the soft one is convex in the logits for beta >= (1 - beta)(1 + log K).

    Args:
        beta: the given target's part, in [0, 1].
        hard: whether the prediction's part goes to the most likely class (the first of ties) or is p itself.
        class_weight, label_smoothing, temperature, ...: the options of `CrossEntropy`.
    Raises: OptionError.
    Source: Reed, Lee, Anguelov, Szegedy, Erhan & Rabinovich, ICLR 2015 workshop, arXiv:1412.6596.

    >>> round(Bootstrap(beta=0.8, hard=True)([1], logits=[[1.0, 0.0]]), 6)
    1.113262
    """

    beta: float = 0.95
    hard: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        within("beta", self.beta, 0, 1, open_ends=False)
        yes_or_no("hard", self.hard)

    @property
    def shape(self) -> Shape:
        return CROSS_ENTROPY if self.hard or self.beta == 1 else Shape("log", float(self.beta))

    def terms(self, K: int) -> Terms | None:
        rest = 1 - float(self.beta)
        if not rest:
            return self._terms()
        if self.hard:
            return self._terms(hard=rest)
        return self._terms(entropy_weight=float(self.entropy_weight) + rest)


@dataclass(frozen=True, eq=False)
class BinaryFocal(BinaryOptions, Loss):
    """Focal loss of independent labels: elements that are predicted well count less.

        loss = A (1 - p)^gamma (-log p) + B p^gamma (-log(1 - p)),  p = sigmoid(z)      [nat]
        A = alpha w_1 pos_weight ((1 - a) y + a / 2),  B = (1 - alpha) w_0 ((1 - a)(1 - y) + a / 2)

    with label smoothing a and class_weight = (w_0, w_1); without alpha both its factors are 1. Neither alpha nor
    pos_weight enters the divisor of a mean. Not proper for gamma > 0, not convex in the logits.

    Args:
        gamma: how much less, a number >= 0.
        alpha: weight of the positives in [0, 1]; 1 - alpha is that of the negatives.
        class_weight, pos_weight, label_smoothing, ...: the options of `BinaryCrossEntropy`.
    Raises: OptionError.
    Source: Lin, Goyal, Girshick, He & Dollar, ICCV 2017, 2980-2988.

    >>> round(BinaryFocal(gamma=2.0, alpha=0.25)([1, 0], probs=[0.8, 0.3]), 6)
    0.013153
    """

    gamma: float = 2.0
    alpha: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        nonnegative("gamma", self.gamma)
        if self.alpha is not None:
            within("alpha", self.alpha, 0, 1, open_ends=False)

    def terms(self) -> BinaryTerms | None:
        if not self.gamma and self.alpha is None:
            return None
        shape = focal_shape(float(self.gamma))
        return (
            BinaryTerms(shape) if self.alpha is None else BinaryTerms(shape, float(self.alpha), 1 - float(self.alpha))
        )

    def _job(self, targets: Any, logits: Any, probs: Any, log_probs: Any, sample_weight: Any) -> reduce.Job:
        return binary_job(self, targets, prediction(logits, probs, log_probs), sample_weight)
