"""Members of the family as tests ask about them: each as a loss, as the oracle's options, and with its bounds.

    loss 4 ulp without a shape, 8 with one; focal's (1 - p)^gamma adds 3 gamma to any number
    gradient 16 ulp of the smaller of A p + A_k and A (1 - p) + (A - A_k), and of what entropy and z_loss add
    Hessian 24 ulp of the sum of its terms

The oracle's scales say of what: see oracle_family.py. Where a float64 scale lies below 1e-300, 1e-318 times the weights
more.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import mpmath
import numpy as np

import crossent as ce
from cases import Case, soft_targets
from closeness import assert_close, ulp_of
from isas import ISAS, using_isa
from oracle_family import Answers, family_answers
from wide import Wide

__all__ = ["KINDS", "MEMBERS", "SHAPES", "Asked", "Member", "allowed", "ask", "assert_contract", "kinds_of"]

GRADIENT, HESSIAN = 16.0, 24.0
_SMALL, _BELOW = 1e-300, 1e-318  # float64 terms of such a size may have factors below the normal numbers


class Member(NamedTuple):
    """`make(K)(**options)` is the loss, `exact(K)` what the oracle calls it, `loss` the ulps of a row's loss."""

    make: Callable[[int], Callable[..., Any]]
    exact: Callable[[int], dict[str, Any]]
    loss: float = 4.0
    gamma: float = 0.0

    @property
    def more(self) -> float:
        """What focal's power adds to every bound."""
        return 3 * self.gamma

    @property
    def undecided_at_inf(self) -> bool:
        """Whether a row with a +inf logit has no Hessian."""
        exact = self.exact(2)
        return exact.get("z_loss", 0) != 0 and "softcap" not in exact


def _options(**more: Any) -> Member:
    """CrossEntropy with these options."""
    return Member(lambda K: partial(ce.CrossEntropy, **more), lambda K: more)


def _shape(make: Callable[..., Any], *shape: Any, gamma: float = 0.0, **more: Any) -> Member:
    loss = 8.0 if gamma == 0 else 4.0
    return Member(lambda K: partial(make, **more), lambda K: {"shape": shape, **more}, loss, gamma)


def priors(K: int) -> Any:
    """Counts from 1 to 10^6, few different ones."""
    return np.resize([1.0, 10.0, 999_983.0, 123.0, 4.5], K)


def alphas(K: int) -> Any:
    """Focal's weights of classes, one of them 0."""
    return np.resize([0.25, 2.0, 1.0, 0.0, 0.7], K)


def _adjusted(tau: float, **more: Any) -> Member:
    """With the priors as float64 holds them after the division by their sum."""

    def shares(K: int) -> Any:
        counts = np.ldexp(priors(K), -np.frexp(priors(K).max())[1])
        return [mpmath.mpf(float(x)) for x in counts / counts.sum()]

    def exact(K: int) -> dict[str, Any]:
        with mpmath.workprec(300):
            return {"log_prior": [mpmath.mpf(tau) * mpmath.log(x) for x in shares(K)], **more}

    return Member(lambda K: partial(ce.LogitAdjusted, priors(K), tau, **more), exact)


_SQUEEZED = {"temperature": 1.3, "softcap": 20.0}
_ALL = {**_SQUEEZED, "z_loss": 0.01, "entropy_weight": -0.2}

SHAPES: dict[str, Member] = {
    "Focal(2)": _shape(ce.Focal, "focal", 1.0, 2.0, gamma=2.0),
    "Focal(0.5, 0.25)": _shape(partial(ce.Focal, 0.5, 0.25), "focal", 0.25, 0.5, gamma=0.5),
    "Focal(3.7)": _shape(partial(ce.Focal, 3.7), "focal", 1.0, 3.7, gamma=3.7),
    "Poly1(1)": _shape(ce.Poly1, "poly", 1.0, 1.0),
    "Poly1(-1)": _shape(partial(ce.Poly1, -1.0), "poly", 1.0, -1.0),
    "Poly1(-0.5)": _shape(partial(ce.Poly1, -0.5), "poly", 1.0, -0.5),
    "GCE(0.7)": _shape(ce.GeneralizedCrossEntropy, "power", 0.7),
    "GCE(0.1)": _shape(partial(ce.GeneralizedCrossEntropy, 0.1), "power", 0.1),
    "GCE(1)": _shape(partial(ce.GeneralizedCrossEntropy, 1.0), "power", 1.0),
    "SCE(0.5, 2)": _shape(partial(ce.SymmetricCrossEntropy, 0.5, 2.0), "poly", 0.5, 8.0),
    "SCE(0, 1, -3)": _shape(partial(ce.SymmetricCrossEntropy, 0.0, 1.0, -3.0), "poly", 0.0, 3.0),
}
"""A shape of log p and nothing else: float32 rows of more than 32 classes with one target have kernels of their own."""

MEMBERS: dict[str, Member] = SHAPES | {
    "Focal(1, alpha of classes)": Member(
        lambda K: partial(ce.Focal, 1.0, alphas(K)),
        lambda K: {"shape": ("focal", 1.0, 1.0), "alpha": alphas(K)},
        gamma=1.0,
    ),
    "temperature 0.7": _options(temperature=0.7),
    "temperature 3": _options(temperature=3.0),
    "softcap 30": _options(softcap=30.0),
    "softcap 1000, temperature 1.3": _options(softcap=1000.0, temperature=1.3),
    "softcap 1e30": _options(softcap=1e30),
    "z_loss": _options(z_loss=0.01),
    "entropy": _options(entropy_weight=0.3),
    "confidence penalty": _options(entropy_weight=-0.1),
    "all options": _options(**_ALL),
    "LogitAdjusted(1.3)": _adjusted(1.3),
    "LogitAdjusted, squeezed": _adjusted(0.5, **_SQUEEZED),
    "Bootstrap(0.8)": Member(lambda K: partial(ce.Bootstrap, 0.8), lambda K: {"bootstrap": (0.8, False)}),
    "Bootstrap(0)": Member(lambda K: partial(ce.Bootstrap, 0.0), lambda K: {"bootstrap": (0.0, False)}),
    "Bootstrap(0.8, hard)": Member(
        lambda K: partial(ce.Bootstrap, 0.8, True, **_SQUEEZED), lambda K: {"bootstrap": (0.8, True), **_SQUEEZED}
    ),
    "Focal(2), all options": _shape(ce.Focal, "focal", 1.0, 2.0, gamma=2.0, **_ALL),
    "GCE(0.7), all options": _shape(ce.GeneralizedCrossEntropy, "power", 0.7, **_ALL),
}

KINDS: dict[str, dict[str, Any]] = {
    "index": {},
    "soft": {},
    "smoothed": {"label_smoothing": 0.1},
    "weighted": {"class_weight": [2.0, 0.0, 0.3, 1.0, 3.5], "sample_weight": [1.0, 0.3, 7.0, 0.0, 1.0]},
    "weighted soft": {
        "label_smoothing": 0.25,
        "class_weight": [2.0, 0.0, 0.3, 1.0, 3.5],
        "sample_weight": [1.0, 7.0, 0.3],
    },
    "ignored": {"ignore_index": 0},
}


def kinds_of(name: str, K: int) -> tuple[str, ...]:
    """The kinds of target that a quick test asks this member about: with all K of them, every kind."""
    kinds = list(KINDS)
    first = list(MEMBERS).index(name) + {1: 0, 2: 1, 3: 2, 10: 4, 40: 6}[K]
    return (kinds[first % len(kinds)],)


class Asked(NamedTuple):
    """A question to a member: rows, targets, options; and the exact answers."""

    member: Member
    z: Any
    targets: Any
    options: dict[str, Any]
    weight: Any
    exact: Answers

    @property
    def loss(self) -> Any:
        """The member with these options, row by row."""
        return self.member.make(self.z.shape[1])(reduction="none", **self.options)

    @property
    def heaviest(self) -> float:
        """The largest product of a class's and a row's weight, but 1 at least."""
        of_class, of_row = (1.0 if w is None else max(w) for w in (self.options.get("class_weight"), self.weight))
        return max(1.0, float(of_class * of_row))


def ask(name: str, case: Case, kind: str) -> Asked:
    """The member about these rows with targets of a kind."""
    member, K = MEMBERS[name], case.K
    options = dict(KINDS[kind])
    weight = options.pop("sample_weight", None)
    if weight is not None:
        weight = np.resize(weight, len(case.targets))
    if "class_weight" in options:
        options["class_weight"] = np.resize(options["class_weight"], K)
    targets = soft_targets(case).astype(case.logits.dtype) if "soft" in kind else case.targets
    exact = family_answers(targets, logits=case.logits, sample_weight=weight, **options, **member.exact(K))
    return Asked(member, case.logits, targets, options, weight, exact)


def allowed(ulps: float, exact: Wide, scale: Wide, dtype: Any, *, rounded: bool = False, heaviest: float = 1.0) -> Any:
    """A bound for every element: ulps of its scale in the arithmetic's dtype; `rounded` to the dtype at the end."""
    dtype = np.dtype(dtype)
    computed = np.float64 if dtype == np.float64 else np.float32
    bound = ulps * ulp_of(scale, computed)
    if computed == np.float64:
        bound += _BELOW * heaviest * (np.abs(scale.to_float()) < _SMALL)
    return bound + 0.5001 * ulp_of(exact, dtype) if rounded and dtype.itemsize == 2 else bound


def assert_contract(asked: Asked, *, isas: tuple[str, ...] = ISAS, label: str = "") -> None:
    """Loss, gradient, both Hessian diagonals on every instruction set; the value alone has the same bits."""
    member, exact, z = asked.member, asked.exact, asked.z
    loss, call, dtype = asked.loss, {"logits": z, "sample_weight": asked.weight}, z.dtype
    values = np.float64 if dtype == np.float64 else np.float32
    no_hess = np.isposinf(z.astype(np.float64)).any(axis=1) & member.undecided_at_inf
    curved = np.flatnonzero(~no_hess)

    def held(got: Any, want: Wide, scale: Wide, ulps: float, what: str) -> None:
        bound = allowed(ulps + member.more, want, scale, dtype, rounded="loss" not in what, heaviest=asked.heaviest)
        out = values if "loss" in what else dtype
        assert_close(got, want, bound=bound, dtype=out, label=f"{isa} {label} {what}")

    for isa in isas:
        with using_isa(isa):
            got, alone = loss.value_and_grad(asked.targets, **call), loss(asked.targets, **call)
            both = loss.grad_and_hess(asked.targets, **call)
            upper = loss.grad_and_hess(asked.targets, **call, curvature="upper")
        held(got.value, exact.loss, exact.loss_scale, member.loss, "loss")
        held(got.grad, exact.grad, exact.grad_scale, GRADIENT, "gradient")
        held(both.grad, exact.grad, exact.grad_scale, GRADIENT, "gradient beside the Hessian")
        held(both.hess[curved], exact.hess[curved], exact.hess_scale[curved], HESSIAN, "Hessian")
        held(upper.hess[curved], exact.upper[curved], exact.upper_scale[curved], HESSIAN, "upper bound")
        assert np.all(upper.hess[curved] >= 0)
        np.testing.assert_array_equal(upper.grad, both.grad)
        np.testing.assert_array_equal(alone, got.value)
