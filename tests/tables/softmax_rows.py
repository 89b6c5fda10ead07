"""The questions about rows of logits: losses, gradients, Hessian diagonals, activations; classes last and inside."""

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

import crossent as ce
import oracle
from cases import Case, equal_but_one, hard_cases, soft_targets
from closeness import ulp_of
from tables.question import Question, compute_dtype
from wide import Wide

__all__ = ["dyadic_targets", "logit_questions", "some_rows"]

KINDS: dict[str, dict[str, Any]] = {
    "index": {},
    "soft": {},
    "smoothed": {"label_smoothing": 0.1},
    "weighted": {"class_weight": [2.0, 0.0, 0.3, 1.0, 3.5], "sample_weight": [1.0, 0.3, 7.0]},
    "ignored": {"ignore_index": 0},
}
MANY = 100_000  # longer rows are asked about with the first three kinds only, in 16 bits with the first


def some_rows(K: int, dtype: Any, *, of_each: int, odd: int) -> Case:
    """Rows of every hard case, `odd` rows of K - 1 equal logits, and `odd` random ones of very different scale."""
    cases = [c for c in hard_cases(K, dtype) if len(c.targets) and (K <= 10 or c.name != "one +inf")]
    picked = [np.unique(np.linspace(0, len(c.targets) - 1, of_each).astype(int)) for c in cases]
    rng = np.random.default_rng([K, 41])
    z = rng.normal(size=(odd, K)) * 10.0 ** rng.uniform(-3, 3.5, (odd, 1))
    cases.append(Case("random", z.astype(dtype), rng.integers(0, K, odd)))
    picked.append(np.arange(odd))
    if K > 1:
        cases.append(equal_but_one(K, dtype, gaps=odd))
        picked.append(np.arange(odd))
    logits = np.concatenate([c.logits[rows] for c, rows in zip(cases, picked, strict=True)])
    return Case("all", logits, np.concatenate([c.targets[rows] for c, rows in zip(cases, picked, strict=True)]))


def dyadic_targets(case: Case) -> Any:
    """Soft targets in multiples of 1/128, so that 16-bit rows sum to 1 exactly."""
    rng = np.random.default_rng([case.K, 43])
    N, K = case.logits.shape
    q = np.zeros((N, K))
    for row, target in zip(q, case.targets, strict=True):
        np.add.at(row, np.append(rng.integers(0, K, 127 if K > 3 else 31), target), 1)
    return (q / q.sum(axis=1, keepdims=True)).astype(case.logits.dtype)


def _targets(case: Case, kind: str) -> Any:
    if kind != "soft":
        return case.targets
    small = case.logits.dtype.itemsize == 2
    return dyadic_targets(case) if small else soft_targets(case).astype(case.logits.dtype)


def _options(case: Case, kind: str) -> dict[str, Any]:
    """The kind's options for this many rows and classes."""
    options = dict(KINDS[kind])
    if kind == "weighted":
        options["class_weight"] = np.resize(options["class_weight"], case.K)
        options["sample_weight"] = np.resize(options["sample_weight"], len(case.targets))
    return options


def logit_questions(case: Case) -> Iterator[Question]:
    """Every kind of target on these rows."""
    kinds = len(KINDS) if case.K <= MANY else 3 if case.logits.dtype.itemsize > 2 else 1
    for kind in list(KINDS)[:kinds]:
        options, targets = _options(case, kind), _targets(case, kind)
        answers = oracle.row_answers(targets, long=10, logits=case.logits, **options)
        weight = options.pop("sample_weight", None)
        yield from _losses(case, kind, targets, weight, options, answers)
        if kind == "index":
            yield from _activations(case, answers)


def _losses(
    case: Case, kind: str, targets: Any, weight: Any, options: dict[str, Any], answers: oracle.RowAnswers
) -> Iterator[Question]:
    """Loss and gradient with the classes last and on axis 0; the Hessian diagonal of index targets."""
    name = case.logits.dtype.name
    scale = answers.scale if kind in ("soft", "smoothed") else None  # the others: 8 ulp of their own value
    turned = np.ascontiguousarray(case.logits.T)
    turned_targets = np.ascontiguousarray(targets.T)
    places = {"": (case.logits, targets, -1), ", inner axis": (turned, turned_targets, 0)}
    for place, (z, y, axis) in places.items():
        if place and kind not in ("index", "soft"):
            continue
        loss = ce.CrossEntropy(reduction="none", axis=axis, **options)

        def both(loss: Any = loss, z: Any = z, y: Any = y) -> Any:
            return loss.value_and_grad(y, logits=z, sample_weight=weight)

        def slope(both: Any = both, axis: int = axis) -> Any:
            return both().grad.T if axis == 0 else both().grad

        yield Question(f"row loss, {kind}{place}", name, lambda both=both: both().value, answers.loss, 4)
        yield Question(f"gradient, {kind}{place}", name, slope, answers.grad, 8, scale)
    if kind == "index":
        loss = ce.CrossEntropy()
        yield Question(
            "Hessian diagonal", name, lambda: loss.grad_and_hess(targets, logits=case.logits).hess, answers.hess, 8
        )


def _without_targets(values: Any, targets: Any) -> Any:
    """[N, K - 1]: what stands beside the targets."""
    N, K = np.shape(values)
    return np.asarray(values)[np.arange(K) != targets[:, None]].reshape(N, K - 1)


def _activations(case: Case, answers: oracle.RowAnswers) -> Iterator[Question]:
    """softmax is the gradient beside the target, log_softmax there is minus the loss, logsumexp the loss plus z_t."""
    z, y, name = case.logits, case.targets, case.logits.dtype.name
    rows = np.arange(len(y))
    others = Wide(*(_without_targets(getattr(answers.grad, part), y) for part in ("hi", "lo", "exp")))
    minus = answers.loss.scaled(-1) if np.isfinite(answers.loss.hi).all() else Wide.of(-answers.loss.to_mpf())
    for place, axis in (("", -1), (", inner axis", 0)):
        turned = np.ascontiguousarray(z.T) if axis == 0 else z

        def laid(function: Any, axis: int = axis, turned: Any = turned) -> Any:
            got = function(turned, axis=axis)
            return got.T if axis == 0 else got

        yield Question(f"softmax{place}", name, lambda laid=laid: _without_targets(laid(ce.softmax), y), others, 8)
        yield Question(f"log_softmax{place}", name, lambda laid=laid: laid(ce.log_softmax)[rows, y], minus, 4)
        yield _logsumexp(case, answers, f"logsumexp{place}", laid)


def _logsumexp(case: Case, answers: oracle.RowAnswers, function: str, laid: Any) -> Question:
    """1 ulp of max(|m|, log1p(r)) plus 2 ulp of log1p(r), over the rows with a finite maximum and target."""
    z = case.logits.astype(np.float64)
    at_target = z[np.arange(len(z)), case.targets]
    kept = np.isfinite(at_target) & np.isfinite(z.max(axis=1))
    with mpmath.workprec(4000):
        exact = Wide.of(answers.loss[kept].to_mpf() + np.array([mpmath.mpf(x) for x in at_target[kept]], dtype=object))
    ordered = np.sort(z[kept], axis=1)
    r = np.log1p(np.exp(ordered[:, :-1] - ordered[:, -1:]).sum(axis=1))
    dtype = compute_dtype(case.logits.dtype)
    bound = ulp_of(np.maximum(np.abs(ordered[:, -1]), r), dtype) + 2 * ulp_of(r, dtype)
    return Question(function, case.logits.dtype.name, lambda: laid(ce.logsumexp)[..., kept], exact, bound=bound)
