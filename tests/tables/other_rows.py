"""The questions about independent labels, probabilities, measures and the array formula."""

from collections.abc import Iterator
from typing import Any

import numpy as np

import crossent as ce
import oracle
import oracle_binary
import oracle_measures
from cases import hard_cases, soft_targets
from closeness import ulp_of
from crossent.core import formula, formula_elements
from crossent.core.shapes import Shape
from crossent.core.terms import BinaryTerms, Terms
from formula_bounds import gradient_bound, loss_bound, unit
from tables.question import Question, compute_dtype
from wide import Wide

__all__ = ["binary_questions", "formula_questions", "measure_questions", "probability_questions"]

_BINARY: dict[str, dict[str, Any]] = {
    "hard": {},
    "soft": {},
    "smoothed": {"label_smoothing": 0.1},
    "pos_weight": {"pos_weight": 3.7},
    "weighted": {"class_weight": [0.3, 2.5], "sample_weight": 7.0},
}


def _labels(kind: str, size: int, dtype: Any) -> Any:
    """Hard, or soft with the ends and tiny distances from them."""
    values = [0.5, 0.0, 1.0, 0.25, 1e-6, 1 - 2.0**-20, 0.9, 0.1] if kind == "soft" else [0.0, 1.0, 1.0, 0.0, 1.0]
    return np.resize(values, size).astype(compute_dtype(dtype))


def binary_logits(dtype: Any, count: int) -> Any:
    """0, sizes from 1e-30 to 1e4, +-inf, and where exp(-|z|) is subnormal or vanishes, of both signs."""
    rng = np.random.default_rng(47)
    edge = 709.0 if dtype == np.float64 else 88.0
    sizes = [
        [0.0, np.inf, 15.0, 16.6355, 36.7368],
        10.0 ** rng.uniform(-30, 4, count),
        rng.uniform(0, 3, count),
        rng.uniform(0, edge, count),
        rng.uniform(edge - 2, edge + 40, count),
        np.log(2) * np.arange(1, 12),
    ]
    size = np.concatenate(sizes)
    return np.concatenate([size, -size]).astype(dtype)


def binary_questions(dtype: Any, count: int) -> Iterator[Question]:
    """Loss, gradient and Hessian from logits; loss and gradient from probabilities; sigmoid and log_sigmoid."""
    name = np.dtype(dtype).name
    z = binary_logits(dtype, count)
    for kind, options in _BINARY.items():
        yield from _binary(kind, "logits", z, _labels(kind, z.size, dtype), options)
    yield Question("sigmoid", name, lambda: ce.sigmoid(z), Wide.of(oracle_binary.sigmoid(z)), 8)
    yield Question("log_sigmoid", name, lambda: ce.log_sigmoid(z), Wide.of(oracle_binary.log_sigmoid(z)), 4)
    rng = np.random.default_rng(53)
    eps = float(2.0 ** -(7 if name == "bfloat16" else np.finfo(dtype).nmant))
    small = np.concatenate([10.0 ** rng.uniform(-30, 0, count), rng.uniform(0, 1, count), [0.5, eps, eps / 2]])
    p = np.concatenate([small, 1 - small[count:]]).astype(dtype)
    p = p[(p > 0) & (p < 1)]
    logs = -np.concatenate([10.0 ** rng.uniform(-30, 2, count), rng.uniform(0, 3, count), [0.6931472, 0.6931471]])
    logs = logs.astype(dtype)
    logs = logs[logs < 0]
    for given, values in (("probs", p), ("log_probs", logs)):
        for kind in ("hard", "soft"):
            yield from _binary(kind, given, values, _labels(kind, values.size, dtype), {})


def _binary(kind: str, given: str, x: Any, y: Any, options: dict[str, Any]) -> Iterator[Question]:
    name = x.dtype.name
    options = dict(options)
    weight = np.full(x.shape, options.pop("sample_weight")) if "sample_weight" in options else None
    asked = {given: x, "sample_weight": weight, **options}
    exact = Wide.of(oracle_binary.binary_cross_entropy(y, reduction="none", **asked))
    slope = Wide.of(oracle_binary.binary_gradient(y, reduction="none", **asked))
    own = kind in ("hard", "pos_weight", "weighted")
    scale = None if own else Wide.of(oracle_binary.binary_gradient_scale(y, reduction="none", **asked))
    loss = ce.BinaryCrossEntropy(reduction="none", **options)
    call = {given: x, "sample_weight": weight}
    title = f"{kind}" if given == "logits" else f"{kind}, {given}"
    yield Question(f"binary loss, {title}", name, lambda: loss.value_and_grad(y, **call).value, exact, 4)
    yield Question(f"binary gradient, {title}", name, lambda: loss.value_and_grad(y, **call).grad, slope, 8, scale)
    if kind == "hard" and given == "logits":
        curve = Wide.of(oracle_binary.binary_hessian(y, **asked))
        yield Question("binary Hessian diagonal", name, lambda: loss.grad_and_hess(y, **call).hess, curve, 8)


# ---------------------------------------------------------------- probabilities


def probability_rows(K: int, dtype: Any, given: str, N: int) -> Any:
    """Rows with entries from 1e-30 to 1 - 1e-12, and a certain one; sums as the dtype rounds them."""
    rng = np.random.default_rng([K, 59, len(given)])
    p = rng.dirichlet(np.ones(K), N)
    if K > 1:
        sizes = 10.0 ** rng.uniform(-4 if dtype == np.float16 else -30, -1, N // 2)
        p[: N // 2] *= (sizes / (1 - p[: N // 2, 0]))[:, None]
        p[: N // 2, 0] = 1 - sizes
        p[-1], p[-1, 1] = 0, 1
    with np.errstate(divide="ignore"):
        return (p if given == "probs" else np.log(p)).astype(dtype)


def probability_questions(K: int, dtype: Any, N: int) -> Iterator[Question]:
    """Losses and gradients of probabilities and of their logarithms; index, soft and smoothed targets."""
    name = np.dtype(dtype).name
    for given in ("probs", "log_probs"):
        p = probability_rows(K, dtype, given, N)
        y = np.arange(N) % K
        q = np.random.default_rng(K).dirichlet(np.ones(K), N)
        q[::3] = np.eye(K)[np.arange(len(q[::3])) % K]
        for kind, targets, options in (
            ("index", y, {}),
            ("soft", q.astype(compute_dtype(dtype)), {}),
            ("smoothed", y, {"label_smoothing": 0.1}),
        ):
            answers = oracle.row_answers(targets, **{given: p}, **options)
            loss = ce.CrossEntropy(reduction="none", check="entries", **options)

            def both(loss: Any = loss, targets: Any = targets, call: Any = {given: p}) -> Any:  # noqa: B006  read only
                return loss.value_and_grad(targets, **call)

            yield Question(f"row loss, {kind}, {given}", name, lambda both=both: both().value, answers.loss, 4)
            yield Question(f"gradient, {kind}, {given}", name, lambda both=both: both().grad, answers.grad, 4)


# ---------------------------------------------------------------- measures


def _distributions(K: int, seed: int) -> Any:
    """Dense, sparse, nearly certain and equal rows."""
    rng = np.random.default_rng([seed, K, 61])
    p = rng.dirichlet(np.ones(K), 12)
    p[3:6] = rng.dirichlet(np.full(K, 0.02), 3) if K <= 100 else rng.dirichlet(np.full(K, 0.2), 3)
    p[6] = np.eye(K)[0]
    p[7] = 1 / K
    return p


def measure_questions(K: int) -> Iterator[Question]:
    """Measures of rows; unrelated, equal, and nearly equal pairs."""
    p, other = _distributions(K, 0), _distributions(K, 1)
    near = np.geomspace(1e-15, 1, 12)[:, None] * np.random.default_rng(K).uniform(-1, 1, p.shape)
    close = np.clip(p * (1 + near / 2), 0, 1)
    q = np.concatenate([other, p, close / close.sum(axis=1, keepdims=True)])
    pairs = np.concatenate([p, p, p])
    if K > 100:  # 700 digits take their time
        pairs, q = pairs[::4], q[::4]
    H = [oracle_measures.entropy(row) for row in p]
    yield Question("entropy", "float64", lambda: ce.entropy(p), Wide.of(H), 12)
    count = Wide.of([oracle_measures.perplexity(row) for row in p])
    bound = 12 * ulp_of(count, np.float64) * np.maximum(1, np.array(H, dtype=float))
    for name in ("perplexity", "effective_classes"):
        yield Question(name, "float64", lambda name=name: getattr(ce, name)(p), count, bound=bound)
    for name in ("cross_entropy_of", "kl_divergence", "js_divergence"):
        exact = Wide.of([getattr(oracle_measures, name)(a, b) for a, b in zip(pairs, q, strict=True)])
        yield Question(name, "float64", lambda name=name: getattr(ce, name)(pairs, q), exact, 12)
    tables = np.random.default_rng(K).dirichlet(np.ones(2 * K), 4).reshape(4, 2, K)
    exact = Wide.of([oracle_measures.mutual_information(table) for table in tables])
    bound = np.full(4, 1e-15)
    yield Question("mutual_information", "float64", lambda: ce.mutual_information(tables), exact, bound=bound)


# ---------------------------------------------------------------- the array formula


def formula_questions(K: int, dtype: Any) -> Iterator[Question]:
    """Shares of the bounds that core/formula.py states."""
    name = np.dtype(dtype).name
    cases = [c for c in hard_cases(K, dtype, infinite=False) if len(c.targets) and c.name in _FORMULA_ROWS]
    z = np.concatenate([c.logits[:4] for c in cases])
    q = np.concatenate([soft_targets(c)[:4] for c in cases]).astype(dtype)
    answers = oracle.row_answers(q, logits=z)
    values, slopes = loss_bound(z, q, dtype), gradient_bound(z, q, dtype)
    plain = Terms()
    yield Question("formula, row loss", name, lambda: formula.row_loss(np, z, q, plain), answers.loss, bound=values)
    yield Question("formula, gradient", name, lambda: formula.row_gradient(np, z, q, plain), answers.grad, bound=slopes)
    if K == 1:
        yield from _binary_formula(dtype)


_FORMULA_ROWS = (
    "normal 1",
    "normal 1e-3",
    "normal 30",
    "all equal",
    "ties",
    "ascending",
    "late maximum",
    "huge spread",
)


def _binary_formula(dtype: Any) -> Iterator[Question]:
    """12 u of the loss, and of the sum of both terms of the gradient."""
    z = binary_logits(dtype, 20)
    z = z[np.abs(z) < (80 if dtype == np.float32 else 700)]
    y = _labels("soft", z.size, dtype)
    weights = {"smoothing": 0.0, "pos_weight": 1.0, "negative": 1.0, "positive": 1.0}
    A, B = formula_elements.element_weights(y, BinaryTerms(), **weights)
    asked = {"logits": z, "reduction": "none"}
    exact, slope = oracle_binary.binary_cross_entropy(y, **asked), oracle_binary.binary_gradient(y, **asked)
    name = np.dtype(dtype).name
    values = 12 * unit(dtype) * np.abs(exact.astype(float))
    slopes = 12 * unit(dtype) * oracle_binary.binary_gradient_scale(y, **asked).astype(float)
    for title, function, answer, bound in (
        ("loss", formula_elements.element_loss, exact, values),
        ("gradient", formula_elements.element_gradient, slope, slopes),
    ):

        def call(function: Any = function) -> Any:
            return function(np, z, A, B, Shape())

        yield Question(f"formula, binary {title}", name, call, Wide.of(answer), bound=bound)
