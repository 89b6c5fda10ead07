"""The questions about the family: losses, gradients and Hessian diagonals, in ulp of the sum of their terms."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import crossent as ce
from cases import Case
from family_cases import GRADIENT, HESSIAN, MEMBERS, Asked, ask
from oracle_shapes import binary_answers
from tables.other_rows import binary_logits
from tables.question import Question
from tables.softmax_rows import some_rows
from wide import Wide

__all__ = ["ASKED", "family_questions"]

ASKED = (
    "Focal(2)", "Focal(0.5, 0.25)", "Focal(3.7)", "Poly1(1)", "Poly1(-1)", "GCE(0.7)", "GCE(0.1)", "SCE(0.5, 2)",
    "temperature 0.7", "softcap 30", "z_loss", "confidence penalty", "all options", "LogitAdjusted(1.3)",
    "Bootstrap(0.8)", "Focal(2), all options",
)  # fmt: skip
_SMALL = 1e-300  # below, results may have factors among the subnormal numbers: see docs/numbers.md


def _normal(call: Callable[[], Any], exact: Wide, scale: Wide) -> Callable[[], Any]:
    """The call, with the exact value where the sum of terms is too small for ulps to say anything."""
    small = np.abs(scale.to_float()) < _SMALL

    def normal() -> Any:
        got = np.asarray(call())
        return np.where(small, exact.to_float(), got).astype(got.dtype) if got.dtype == np.float64 else got

    return normal


def _member(name: str, asked: Asked) -> Iterator[Question]:
    """Loss, gradient, and the worse of both diagonals; rows whose Hessian is undefined are left out."""
    dtype, more, exact, loss = asked.z.dtype.name, asked.member.more, asked.exact, asked.loss
    call = {"logits": asked.z, "sample_weight": asked.weight}

    def question(what: str, call: Callable[[], Any], exact: Wide, scale: Wide, ulps: float) -> Question:
        return Question(f"{name}: {what}", dtype, _normal(call, exact, scale), exact, round(ulps + more, 3), scale)

    both = lambda: loss.value_and_grad(asked.targets, **call)  # noqa: E731  one line, twice
    yield question("loss", lambda: both().value, exact.loss, exact.loss_scale, asked.member.loss)
    yield question("gradient", lambda: both().grad, exact.grad, exact.grad_scale, GRADIENT)
    kept = np.flatnonzero(~(np.isposinf(asked.z).any(axis=1) & asked.member.undecided_at_inf))
    for curvature, want, scale in (("exact", exact.hess, exact.hess_scale), ("upper", exact.upper, exact.upper_scale)):

        def hess(curvature: str = curvature) -> Any:
            return loss.grad_and_hess(asked.targets, **call, curvature=curvature).hess[kept]

        yield question("Hessian diagonal", hess, want[kept], scale[kept], HESSIAN)


def _binary(dtype: Any, count: int) -> Iterator[Question]:
    """BinaryFocal(2, 0.25) of hard and soft labels."""
    z = binary_logits(dtype, count)
    loss = ce.BinaryFocal(2.0, 0.25, reduction="none")
    for labels in ([0.0, 1.0, 1.0], [0.5, 0.25, 1e-6, 0.9]):
        y = np.resize(labels, z.shape).astype(dtype)
        exact = binary_answers(y, logits=z, shape=("focal", 1.0, 2.0), alpha=0.25)
        for what, got, want, scale, ulps in (
            ("loss", lambda y=y: loss(y, logits=z), exact.loss, exact.loss, 10),
            ("gradient", lambda y=y: loss.value_and_grad(y, logits=z).grad, exact.grad, exact.grad_scale, 22),
            ("Hessian diagonal", lambda y=y: loss.grad_and_hess(y, logits=z).hess, exact.hess, exact.hess_scale, 30),
        ):
            name = f"BinaryFocal(2, 0.25): {what}"
            yield Question(name, np.dtype(dtype).name, _normal(got, want, scale), want, ulps, scale)


def family_questions(dtype: Any, *, quick: bool) -> Iterator[Question]:
    """Index targets of short rows and of those with fast kernels; several targets, weighted."""
    sizes = [(3, "weighted soft", 2), (10, "index", 2), (40, "index", 1)]
    if not quick:
        sizes = [(2, "soft", 6), (17, "weighted soft", 4), (40, "weighted", 4), (100, "index", 2), (1500, "index", 1)]
    for name in ASKED:
        for K, kind, of_each in sizes:
            rows = some_rows(K, np.dtype(dtype), of_each=of_each, odd=4)
            few = slice(None, None, 3 if K > 100 else 1)
            yield from _member(name, ask(name, Case("some", rows.logits[few], rows.targets[few]), kind))
    yield from _binary(dtype, 15 if quick else 150)


assert set(ASKED) <= set(MEMBERS)
