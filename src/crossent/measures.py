"""Measures on given distributions: entropy, cross-entropy, divergences, mutual information, perplexity.

Inputs are probabilities in float16, bfloat16, float32 or float64 (integers 0 and 1 too); everything is
computed and returned in float64. Rows are used as given, never renormalised: a row whose sum is off by more
than 0.01 is an error. Divergences are sums of terms that are >= 0 each, in forms that do not cancel, so equal
rows give exactly 0 and nearly equal rows keep their digits. 0 log 0 = 0; a class with q = 0 < p gives inf.
Error for K <= 400: 12 ulp; perplexity and effective_classes 12 ulp times max(1, H), since exp turns an error
of H into a relative one; mutual_information 1e-15.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from crossent.core.check import axis_number, float_array
from crossent.core.types import ArrayLike, FloatArray, NDArray, Unit
from crossent.errors import OptionError, ProbabilityError, ShapeError, UnsupportedError

__all__ = [
    "cross_entropy_of",
    "effective_classes",
    "entropy",
    "js_divergence",
    "kl_divergence",
    "mutual_information",
    "perplexity",
]

SUM_TOLERANCE = 0.01
BLOCK_ELEMENTS = 1 << 16  # rows are taken in blocks that stay in cache, so temporaries stay small

# 1/3, 1/5, ...: atanh(r) = r + r^3/3 + r^5/5 + ...; 18 terms reach 2^-60 for |r| <= 1/3
ATANH_TAIL = tuple(1.0 / (2 * n + 3) for n in range(18))


def entropy(p: ArrayLike, *, axis: int = -1, unit: Unit = "nat") -> Any:
    """Shannon entropy of each distribution.

        H(p) = -sum_j p_j log p_j          [unit]

    Args:
        p: [..., K] probabilities in [0, 1]; each row sums to 1 within 0.01.
        axis: the axis of the classes.
        unit: "nat" (natural logarithm) or "bit" (base 2).
    Returns: a float for one distribution, else float64 [...] with the class axis removed.
    Raises: ProbabilityError, ShapeError, DtypeError, OptionError.
    Source: Shannon, Bell System Technical Journal 27 (1948), 379-423.

    >>> entropy([0.5, 0.5], unit="bit")
    1.0
    >>> entropy([[1.0, 0.0], [0.5, 0.5]], unit="bit")
    array([0., 1.])
    """
    return _over_rows(_entropy_rows, {"p": p}, axis, unit)


def cross_entropy_of(p: ArrayLike, q: ArrayLike, *, axis: int = -1, unit: Unit = "nat") -> Any:
    """Cross-entropy between two distributions: the mean code length of p under a code made for q.

        H(p, q) = -sum_j p_j log q_j = H(p) + KL(p || q)          [unit]

    Args:
        p: [..., K] probabilities of the truth; each row sums to 1 within 0.01.
        q: [..., K] probabilities of the model, same shape.
        axis: the axis of the classes.
        unit: "nat" or "bit".
    Returns: a float for one pair, else float64 [...]; inf where q_j = 0 < p_j.
    Raises: ProbabilityError, ShapeError, DtypeError, OptionError.
    Source: Cover & Thomas, Elements of Information Theory (2006), chapter 2.

    >>> cross_entropy_of([0.5, 0.5], [0.25, 0.75]) == cross_entropy_of([0.5, 0.5], [0.75, 0.25])
    True
    >>> round(cross_entropy_of([1.0, 0.0], [0.25, 0.75], unit="bit"), 6)
    2.0
    """
    return _over_rows(_cross_rows, {"p": p, "q": q}, axis, unit)


def kl_divergence(p: ArrayLike, q: ArrayLike, *, axis: int = -1, unit: Unit = "nat") -> Any:
    """Kullback-Leibler divergence of q from p: what coding p with q costs beyond the entropy of p.

        KL(p || q) = sum_j (p_j log(p_j / q_j) - p_j + q_j)          [unit]

    Every term is >= 0, so the result is; for rows that sum to the same number the last two parts cancel in
    total.

    Args:
        p: [..., K] probabilities of the truth; each row sums to 1 within 0.01.
        q: [..., K] probabilities of the model, same shape.
        axis: the axis of the classes.
        unit: "nat" or "bit".
    Returns: a float for one pair, else float64 [...]; exactly 0 for equal rows, inf where q_j = 0 < p_j.
    Raises: ProbabilityError, ShapeError, DtypeError, OptionError.
    Source: Kullback & Leibler, Annals of Mathematical Statistics 22 (1951), 79-86.

    >>> kl_divergence([0.5, 0.5], [0.5, 0.5])
    0.0
    >>> round(kl_divergence([1.0, 0.0], [0.25, 0.75], unit="bit"), 6)
    2.0
    """
    return _over_rows(lambda a, b: _sum(_kl_terms(a, b)), {"p": p, "q": q}, axis, unit)


def js_divergence(p: ArrayLike, q: ArrayLike, *, axis: int = -1, unit: Unit = "nat") -> Any:
    """Jensen-Shannon divergence: symmetric, finite, between 0 (equal) and log 2 = 1 bit (nothing in common).

        JS(p, q) = KL(p || m) / 2 + KL(q || m) / 2,  m = (p + q) / 2          [unit]

    Args:
        p: [..., K] probabilities; each row sums to 1 within 0.01.
        q: [..., K] probabilities, same shape.
        axis: the axis of the classes.
        unit: "nat" or "bit".
    Returns: a float for one pair, else float64 [...]; cut at log 2, which only rows that sum to more than 1
        exceed.
    Raises: ProbabilityError, ShapeError, DtypeError, OptionError.
    Source: Lin, IEEE Transactions on Information Theory 37 (1991), 145-151.

    >>> js_divergence([1.0, 0.0], [0.0, 1.0], unit="bit")
    1.0
    >>> js_divergence([0.3, 0.7], [0.3, 0.7])
    0.0
    """
    return _over_rows(_js_rows, {"p": p, "q": q}, axis, unit)


def mutual_information(joint: ArrayLike, *, unit: Unit = "nat") -> Any:
    """Mutual information of two variables: what one tells about the other.

        I = sum_xy p_xy log(p_xy / (p_x p_y))  with the marginals p_x = sum_y p_xy, p_y = sum_x p_xy
        [unit]

    computed as the divergence of the joint table from the product of its marginals, so it is >= 0.

    Args:
        joint: [..., X, Y] joint probabilities; each table sums to 1 within 0.01. Divide counts by their sum
            first.
        unit: "nat" or "bit".
    Returns: a float for one table, else float64 [...].
    Raises: ProbabilityError, ShapeError, DtypeError, OptionError.
    Source: Cover & Thomas, Elements of Information Theory (2006), chapter 2.

    >>> round(mutual_information([[0.5, 0.0], [0.0, 0.5]], unit="bit"), 12)
    1.0
    >>> mutual_information([[0.25, 0.25], [0.25, 0.25]])
    0.0
    """
    table = float_array(joint, "joint")
    if table.ndim < 2:
        raise ShapeError(
            f"joint has shape {table.shape}; mutual_information needs a table [X, Y] of joint probabilities."
        )
    X, Y = table.shape[-2:]
    flat = table.reshape(*table.shape[:-2], X * Y)
    return _over_rows(lambda rows: _information_rows(rows, X, Y), {"joint": flat}, -1, unit)


def perplexity(p: ArrayLike | None = None, *, loss: ArrayLike | None = None, axis: int = -1, unit: Unit = "nat") -> Any:
    """Perplexity: the number of equally likely classes that would be as uncertain.

        exp(H(p)) of distributions, or exp(loss) of a mean cross-entropy (2^loss where the loss is in bits)

    Args:
        p: [..., K] probabilities; each row sums to 1 within 0.01.
        loss: instead of `p`: mean losses, for example from `cross_entropy`.
        axis: the axis of the classes of `p`.
        unit: the unit of `loss`, "nat" or "bit" (the perplexity itself has none).
    Returns: a float for one distribution or loss, else float64 [...].
    Raises: UnsupportedError unless exactly one of `p` and `loss` is given; ProbabilityError, ShapeError,
        DtypeError.
    Source: Jelinek et al., Journal of the Acoustical Society of America 62 (1977), S63.

    >>> round(perplexity([0.25, 0.25, 0.25, 0.25]), 12)
    4.0
    >>> perplexity(loss=3.0, unit="bit")
    8.0
    """
    if (p is None) == (loss is None):
        raise UnsupportedError("perplexity takes exactly one of p (probabilities) and loss= (mean losses).")
    if p is not None:
        _nats_per(unit)
        return effective_classes(p, axis=axis)
    in_nats = _nats_per(unit) == 1.0
    with np.errstate(over="ignore"):
        losses = float_array(loss, "loss").astype(np.float64)
        return _plain(np.exp(losses) if in_nats else np.exp2(losses))


def effective_classes(p: ArrayLike, *, axis: int = -1) -> Any:
    """Effective number of classes: 1 for a certain row, K for a uniform one.

        exp(H(p)), H in nats

    Args:
        p: [..., K] probabilities; each row sums to 1 within 0.01.
        axis: the axis of the classes.
    Returns: a float for one distribution, else float64 [...].
    Raises: ProbabilityError, ShapeError, DtypeError.
    Source: Hill, Ecology 54 (1973), 427-432 (number of order 1).

    >>> effective_classes([0.0, 1.0, 0.0])
    1.0
    >>> round(effective_classes([0.5, 0.5, 0.0]), 12)
    2.0
    """
    return _plain(np.exp(np.asarray(entropy(p, axis=axis))))


# ---------------------------------------------------------------- rows: float64 [n, K] -> float64 [n]


def _sum(terms: NDArray) -> NDArray:
    total: NDArray = np.sum(terms, axis=-1)
    return total


def _entropy_rows(p: NDArray) -> NDArray:
    """-p log p per element; p = 0 gives 0."""
    terms = -p * np.log(np.where(p > 0, p, 1.0))
    return _sum(terms) + 0.0  # -0.0 becomes 0.0


def _cross_rows(p: NDArray, q: NDArray) -> NDArray:
    """-p log q per element; p = 0 gives 0 whatever q is."""
    used = p > 0
    logs = np.log(np.where(used, q, 1.0))
    return _sum(-np.where(used, p, 1.0) * np.where(used, logs, 0.0)) + 0.0


def _kl_terms(p: NDArray, q: NDArray) -> NDArray:
    """p log(p/q) - p + q per element, >= 0.

    With x = (q - p)/p and r = x/(2 + x): log(q/p) = 2 atanh(r) and x - 2 r = r x, so the term is
    p (x - log1p(x)) = p r (x - 2 r^2 (1/3 + r^2/5 + ...)), which keeps its digits as q nears p.
    """
    positive = p > 0
    safe = np.where(positive, p, 1.0)
    x = (q - safe) / safe
    near = positive & (x >= -0.5) & (x <= 1.0)
    x_near = np.where(near, x, 0.0)
    r = x_near / (2.0 + x_near)
    square = r * r
    tail = np.full_like(r, ATANH_TAIL[-1])
    for coefficient in reversed(ATANH_TAIL[:-1]):
        tail = tail * square + coefficient
    close = safe * (r * (x_near - 2.0 * square * tail))
    ratio = safe / q
    log_ratio = np.where(np.isinf(ratio), np.log(safe) - np.log(q), np.log(ratio))
    apart = (safe * log_ratio - safe) + q
    return np.where(positive, np.where(near, close, apart), q)


def _js_rows(p: NDArray, q: NDArray) -> NDArray:
    """With s = p + q and d = (q - p)/s a term is s/2 (d atanh(d) + log1p(-d^2)/2)."""
    s = p + q
    safe = np.where(s > 0, s, 1.0)
    d = (q - p) / safe
    near = np.abs(d) <= 0.5
    d_near = np.where(near, d, 0.0)
    close = safe * 0.5 * (d_near * np.arctanh(d_near) + 0.5 * np.log1p(-d_near * d_near))
    p_part = p * np.log(np.where(p > 0, p / safe * 2.0, 1.0))
    q_part = q * np.log(np.where(q > 0, q / safe * 2.0, 1.0))
    terms = np.where(near, np.where(s > 0, close, 0.0), 0.5 * (p_part + q_part))
    return np.minimum(_sum(terms), np.log(2.0))


def _information_rows(rows: NDArray, X: int, Y: int) -> NDArray:
    """The divergence of each joint table from the product of its marginals, which has the same total."""
    table = rows.reshape(-1, X, Y)
    of_x, of_y = table.sum(axis=2, keepdims=True), table.sum(axis=1, keepdims=True)
    product = of_x * of_y / table.sum(axis=(1, 2), keepdims=True)
    return _sum(_kl_terms(rows, product.reshape(-1, X * Y)))


# ---------------------------------------------------------------- shapes, checks, blocks


def _over_rows(function: Callable[..., NDArray], named: dict[str, ArrayLike], axis: int, unit: Unit) -> Any:
    """`function` of the checked rows of the named arrays, in blocks; without the class axis; in `unit`."""
    per_nat = _nats_per(unit)
    arrays = {name: float_array(values, name) for name, values in named.items()}
    (first, lead), *others = arrays.items()
    for name, array in others:
        if array.shape != lead.shape:
            raise ShapeError(f"{name} has shape {array.shape}, but {first} has shape {lead.shape}; they must be equal.")
    number = axis_number(axis, lead, first)
    moved = {name: np.moveaxis(array, number, -1) for name, array in arrays.items()}
    shape = moved[first].shape
    if len(shape) == 1:
        moved = {name: array[np.newaxis] for name, array in moved.items()}
    rows = _in_blocks(function, moved)
    return _plain(rows.reshape(shape[:-1]) / per_nat)


def _in_blocks(function: Callable[..., NDArray], arrays: dict[str, NDArray]) -> NDArray:
    """float64 values of the rows [..., K], a block of the first axis at a time."""
    example = next(iter(arrays.values()))
    out = np.zeros(example.shape[:-1], np.float64)
    if out.size == 0:
        return out
    step = max(1, BLOCK_ELEMENTS // max(1, example[0].size))
    for start in range(0, example.shape[0], step):
        block = []
        for name, array in arrays.items():
            rows = np.array(array[start : start + step], dtype=np.float64, order="C")
            _check_probabilities(name, rows, start)
            block.append(rows.reshape(-1, example.shape[-1]))
        with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
            out[start : start + step] = function(*block).reshape(out[start : start + step].shape)
    return out


def _check_probabilities(name: str, rows: NDArray, start: int) -> None:
    """Entries in [0, 1] and row sums near 1, else an error naming the lowest row and column."""
    if not ((rows >= 0.0) & (rows <= 1.0)).all():
        bad = np.argwhere(~((rows >= 0.0) & (rows <= 1.0)))[0]
        place = _place(bad[:-1], start)
        hint = " These look like logits? Pass softmax(logits)." if np.isfinite(rows).all() else ""
        raise ProbabilityError(
            f"{name} has {float(rows[tuple(bad)])!r} in {place}, column {int(bad[-1])}; "
            f"probabilities lie in [0, 1].{hint}"
        )
    sums = rows.sum(axis=-1)
    off = np.abs(sums - 1.0) > SUM_TOLERANCE
    if off.any():
        bad = np.argwhere(off)[0]
        raise ProbabilityError(
            f"{name} sums to {float(sums[tuple(bad)]):.6g} in {_place(bad, start)}; "
            f"a distribution sums to 1 (within {SUM_TOLERANCE}). "
            "These look like logits? Pass softmax(logits). Counts? Divide by their sum."
        )


def _place(index: NDArray, start: int) -> str:
    """The row as its user counts it: a number, or a tuple where the batch has several axes."""
    row = [int(i) for i in index]
    row[0] += start
    return f"row {row[0] if len(row) == 1 else tuple(row)}"


def _nats_per(unit: Unit) -> float:
    if isinstance(unit, str) and unit in ("nat", "bit"):
        return 1.0 if unit == "nat" else float(np.log(2.0))
    raise OptionError(f"unit={unit!r} is not known; choose 'nat' or 'bit'.")


def _plain(values: FloatArray) -> Any:
    """A float where one number is meant, else the array."""
    return float(values) if np.ndim(values) == 0 else values
