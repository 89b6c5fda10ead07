"""The one table of hard rows that every loss, dtype, instruction set and framework runs; arrays in disguise.

    hard_cases(K, dtype)           finite, -inf and +inf rows that have a decided answer, by name
    hard_batch(K, dtype)           all of them in one batch, shuffled
    equal_but_one(K, dtype)        K - 1 equal logits at 200 random gaps: rounding errors all of one sign
    CARRIERS                       the same values read-only, strided, big-endian, mapped from a file, ...
    batches(), distributions()     hypothesis strategies

Everything is seeded, and every generator asserts the spread that its name promises: a table that silently
degenerates to easy rows tests nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

__all__ = [
    "BAD_ROWS",
    "CARRIERS",
    "CLASS_COUNTS",
    "HUGE_CLASS_COUNT",
    "Batch",
    "Case",
    "batches",
    "distributions",
    "equal_but_one",
    "hard_batch",
    "hard_cases",
    "soft_targets",
]

CLASS_COUNTS = (3, 10, 64, 2048)
HUGE_CLASS_COUNT = 262_144  # tests that use it carry the slow mark
bfloat16 = np.dtype(ml_dtypes.bfloat16)


@dataclass(frozen=True)
class Case:
    """Rows with index targets: logits [N, K], targets [N]."""

    name: str
    logits: Any
    targets: Any

    @property
    def K(self) -> int:
        """The number of classes."""
        return int(self.logits.shape[-1])


def _limits(dtype: Any) -> Any:
    return ml_dtypes.finfo(bfloat16) if np.dtype(dtype) == bfloat16 else np.finfo(dtype)


def _confident_gap(dtype: Any) -> float:
    """The largest gap worth testing: beyond it the loss underflows even as a subnormal number."""
    return 800.0 if np.dtype(dtype) == np.float64 else 100.0


def _rng(name: str, K: int) -> np.random.Generator:
    return np.random.default_rng([K, *name.encode()])


# ---------------------------------------------------------------- rows by name: (rng, K, dtype) -> logits,
# targets


def _normal(scale: float) -> Callable[..., tuple[Any, Any]]:
    def make(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
        n = 30 if K <= 64 else 3
        z = rng.normal(size=(n, K)) * scale
        assert 0.3 * scale < z.std() < 3 * scale, "normal rows lost their scale"
        return z, rng.integers(0, K, n)

    return make


def _all_equal(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    levels = np.array([0.0, -0.0, 1.0, -37.5, 1e4])
    assert len(set(levels.tolist())) == 4
    return np.repeat(levels[:, None], K, axis=1), rng.integers(0, K, 5)


def _ties(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    """Two or more equal maxima; the target is the first of them, the last of them, or neither."""
    z = np.round(rng.normal(size=(12, K)) * 2)
    places = np.sort(np.array([rng.choice(K, 2, replace=False) if K > 1 else [0, 0] for _ in range(12)]), axis=1)
    rows = np.arange(12)
    z[rows, places[:, 0]] = z[rows, places[:, 1]] = z.max(axis=1) + 1
    assert K == 1 or np.all((z == z.max(axis=1, keepdims=True)).sum(axis=1) == 2)
    return z, np.where(rows % 3 == 0, places[:, 0], np.where(rows % 3 == 1, places[:, 1], rng.integers(0, K, 12)))


def _confident(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    """One class leads all others by gaps from 0 to where the loss leaves the subnormal range."""
    n = 60 if K <= 64 else 16
    top = _confident_gap(dtype)
    gaps = np.linspace(0, top, n) + rng.uniform(0, top / n / 2, n)
    z = -rng.exponential(1.0, size=(n, K))
    winners = rng.integers(0, K, n)
    z -= z.max(axis=1, keepdims=True)
    z[np.arange(n), winners] = gaps
    targets = np.where(np.arange(n) % 4 == 3, rng.integers(0, K, n), winners)
    assert gaps.min() < top / 20
    assert gaps.max() > 0.99 * top
    assert (targets == winners).sum() >= n // 2
    return z, targets


def _redo_threshold(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    """Gaps to the runner-up around 60 and 650, where a confident row takes its colder path."""
    gaps = np.array([59.0, 59.999, 60.0, 60.001, 61.0, 87.3, 88.8, 103.0, 649.0, 650.0, 651.0, 708.5, 745.0, 746.0])
    z = -gaps[:, None] - rng.uniform(0, 3, (gaps.size, K))
    winners = rng.integers(0, K, gaps.size)
    z[np.arange(gaps.size), (winners + 1) % K] = -gaps
    z[np.arange(gaps.size), winners] = 0
    assert np.all(np.sort(z, axis=1)[:, -2] == -gaps)
    return z, winners


def _ascending(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    """Every element is a new maximum, so a running maximum rescales all the way."""
    spans = np.array([1e-3, 1.0, 40.0, 2000.0])
    z = np.linspace(0, 1, K)[None, :] * spans[:, None]
    assert K == 1 or np.all(np.diff(z, axis=1) > 0)
    return z, np.array([0, K - 1, K // 2, K - 1])


def _descending(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    z, targets = _ascending(rng, K, dtype)
    return z[:, ::-1].copy(), targets[::-1].copy()


def _late_maximum(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    """Flat rows whose maximum stands at the very start, at the very end, or next to a multiple of 2048."""
    places = sorted({0, K - 1, min(K - 1, 2047), min(K - 1, 2048), min(K - 1, 15), min(K - 1, 16)})
    z = np.tile(rng.normal(size=K) * 0.1, (len(places), 1))
    z[np.arange(len(places)), places] = 5.0 + np.arange(len(places))
    return z, np.array(places)


def _huge(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    """Logits up to 1e30 (or the dtype's range): the loss is a difference of inputs."""
    big = min(1e30, float(_limits(dtype).max) / 4)
    z = rng.normal(size=(8, K))
    rows = np.arange(8)
    z[rows[:4], rng.integers(0, K, 4)] = big
    z[rows[4:], rng.integers(0, K, 4)] = -big
    assert np.abs(z).max() >= big
    return z, rng.integers(0, K, 8)


def _huge_spread(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    """Magnitudes from 1e-30 to 1e4 of both signs in one row."""
    small = max(1e-30, float(_limits(dtype).tiny))
    exponents = rng.uniform(np.log10(small), 4, size=(10, K))
    assert K < 10 or np.ptp(exponents) > 4
    return rng.choice([-1.0, 1.0], size=(10, K)) * 10.0**exponents, rng.integers(0, K, 10)


def _subnormal_logits(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    """Inputs below the normal range: harmless, but they must not raise."""
    smallest = float(_limits(dtype).smallest_subnormal)
    return rng.integers(-9, 10, size=(4, K)) * smallest, rng.integers(0, K, 4)


def _ruled_out(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    """-inf entries, at least one class left; some targets are ruled out (loss inf)."""
    z = rng.normal(size=(12, K)) * 3
    out = rng.random((12, K)) < 0.4
    out[0] = True  # only one class left
    out[np.arange(12), rng.integers(0, K, 12)] = False
    z[out] = -np.inf
    targets = rng.integers(0, K, 12)
    assert K == 1 or np.isneginf(z).any()
    return z, targets


def _one_infinite(rng: np.random.Generator, K: int, dtype: Any) -> tuple[Any, Any]:
    """One +inf: the target, or not; other entries may be -inf."""
    z = rng.normal(size=(6, K)) * 3
    places = rng.integers(0, K, 6)
    z[4:] = -np.inf
    z[np.arange(6), places] = np.inf
    return z, np.where(np.arange(6) % 2 == 0, places, rng.integers(0, K, 6))


_FINITE: dict[str, Callable[..., tuple[Any, Any]]] = {
    "normal 1": _normal(1.0),
    "normal 1e-3": _normal(1e-3),
    "normal 30": _normal(30.0),
    "normal 1e3": _normal(1e3),
    "all equal": _all_equal,
    "ties": _ties,
    "confident": _confident,
    "redo threshold": _redo_threshold,
    "ascending": _ascending,
    "descending": _descending,
    "late maximum": _late_maximum,
    "huge": _huge,
    "huge spread": _huge_spread,
    "subnormal logits": _subnormal_logits,
}
_INFINITE: dict[str, Callable[..., tuple[Any, Any]]] = {"ruled out": _ruled_out, "one +inf": _one_infinite}

BAD_ROWS: dict[str, list[float]] = {
    "nan": [0.0, np.nan, 1.0],
    "nan beside inf": [np.inf, np.nan, 1.0],
    "two +inf": [np.inf, 1.0, np.inf],
    "all -inf": [-np.inf, -np.inf, -np.inf],
}


def hard_cases(K: int, dtype: Any, *, infinite: bool = True) -> Iterator[Case]:
    """Every named hard row for K classes in this dtype; `infinite=False` leaves out infinite logits."""
    makers = _FINITE | (_INFINITE if infinite else {})
    for name, make in makers.items():
        if K == 1 and name in ("redo threshold", "confident"):
            continue
        z, targets = make(_rng(name, K), K, dtype)
        limits = float(_limits(dtype).max)
        finite = np.where(np.isfinite(z), np.clip(z, -limits, limits), z)
        yield Case(name, np.ascontiguousarray(finite.astype(dtype)), targets.astype(np.int64))
    yield Case("no rows", np.zeros((0, K), dtype), np.zeros(0, np.int64))
    steps = np.minimum(np.arange(K, dtype=np.float64), float(_limits(dtype).max))
    yield Case("one row", steps[None, :].astype(dtype), np.array([K - 1]))


def hard_batch(K: int, dtype: Any, *, infinite: bool = True) -> tuple[Any, Any]:
    """Logits and targets of all hard rows, shuffled."""
    cases = [case for case in hard_cases(K, dtype, infinite=infinite) if len(case.targets)]
    z, y = (np.concatenate([getattr(case, part) for case in cases]) for part in ("logits", "targets"))
    order = np.random.default_rng(K).permutation(len(y))
    return z[order], y[order]


def equal_but_one(K: int, dtype: Any, *, gaps: int = 200, seed: int = 0) -> Case:
    """K - 1 equal logits and one at a random gap, `gaps` rows: where systematic rounding shows.

    The gap is uniform on +-(log K + 20); the target is the odd one in half of the rows.
    """
    rng = np.random.default_rng([seed, K, 17])
    distance = rng.uniform(-1, 1, gaps) * (np.log(K) + 20)
    levels = rng.normal(size=gaps)
    odd = rng.integers(0, K, gaps)
    z = np.empty((gaps, K), dtype)
    z[:] = levels.astype(dtype)[:, None]
    z[np.arange(gaps), odd] = (levels + distance).astype(dtype)
    targets = np.where(rng.random(gaps) < 0.5, odd, rng.integers(0, K, gaps)).astype(np.int64)
    if gaps >= 50:
        assert np.unique(distance).size == gaps
        assert distance.min() < -0.8 * (np.log(K) + 20)
        assert distance.max() > 0.8 * (np.log(K) + 20)
        assert 0.3 < np.mean(targets == odd) <= 1
    return Case(f"{K - 1} equal", z, targets)


def soft_targets(case: Case, *, seed: int = 0) -> Any:
    """float64 [N, K] soft targets: onehot, uniform, sparse and dense rows in turn; each sums to 1."""
    rng = np.random.default_rng([seed, case.K, 23])
    N, K = case.logits.shape
    q = rng.dirichlet(np.ones(K), N)
    kind = np.arange(N) % 4
    q[kind == 0] = 0
    q[kind == 1] = 1 / K
    sparse = np.flatnonzero(kind == 2)
    q[sparse[:, None], np.arange(K)] *= rng.random((sparse.size, K)) < 0.3
    q[np.arange(N)[(kind == 0) | (kind == 2)], case.targets[(kind == 0) | (kind == 2)]] += 1e-3
    return q / q.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------- clothes


def _strided(array: Any, folder: Path) -> Any:
    wide = np.full((*array.shape[:-1], array.shape[-1] * 3), np.nan).astype(array.dtype)
    wide[..., ::3] = array
    return wide[..., ::3]


def _reversed(array: Any, folder: Path) -> Any:
    return np.ascontiguousarray(array[::-1, ..., ::-1])[::-1, ..., ::-1]


def _read_only(array: Any, folder: Path) -> Any:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _memory_mapped(array: Any, folder: Path) -> Any:
    path = folder / f"array_{array.dtype.name}_{array.size}.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def _unaligned(array: Any, folder: Path) -> Any:
    buffer = np.empty(array.nbytes + 1, np.uint8)
    view = buffer[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert array.size == 0 or not view.flags.aligned
    return view


def _big_endian(array: Any, folder: Path) -> Any:
    return array.astype(array.dtype.newbyteorder(">"))


CARRIERS: dict[str, Callable[[Any, Path], Any]] = {
    "plain": lambda array, folder: array,
    "read-only": _read_only,
    "strided": _strided,
    "reversed": _reversed,
    "Fortran order": lambda array, folder: np.asfortranarray(array),
    "big-endian": _big_endian,
    "unaligned": _unaligned,
    "memory-mapped": _memory_mapped,
    "zero stride": lambda array, folder: np.broadcast_to(array[:1], array.shape),
    "float16": lambda array, folder: np.clip(array, -6e4, 6e4).astype(np.float16),
    "bfloat16": lambda array, folder: array.astype(bfloat16),
    "nested lists": lambda array, folder: array.tolist(),
}
"""name -> f(array [N, K], folder): an array-like of the same shape; all but four keep the values.

"zero stride" repeats row 0 ("no copy" must not mean "wrong row"), the float16 and bfloat16 carriers round,
lists are float64.
"""


# ---------------------------------------------------------------- hypothesis


@dataclass(frozen=True)
class Batch:
    """A drawn batch: logits [N, K], index targets [N], soft targets [N, K] and sample weights [N]."""

    logits: Any
    targets: Any
    soft: Any
    sample_weight: Any

    @property
    def K(self) -> int:
        """The number of classes."""
        return int(self.logits.shape[-1])


@st.composite
def batches(
    draw: st.DrawFn,
    *,
    max_rows: int = 6,
    max_classes: int = 12,
    dtypes: tuple[Any, ...] = (np.float32, np.float64),
    bound: float = 1e4,
) -> Batch:
    """Batches of finite logits up to `bound` in size; values repeat often, so that ties occur."""
    N, K = draw(st.integers(1, max_rows)), draw(st.integers(1, max_classes))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    scale = draw(st.sampled_from([1e-3, 1.0, 30.0, bound]))
    width = 16 if dtype.itemsize == 2 else 32
    number = st.one_of(
        st.sampled_from([0.0, scale, -scale]), st.floats(-1.0, 1.0, width=width).map(lambda x: x * scale)
    )
    logits = np.array(draw(st.lists(number, min_size=N * K, max_size=N * K))).reshape(N, K).astype(dtype)
    targets = np.array(draw(st.lists(st.integers(0, K - 1), min_size=N, max_size=N)), dtype=np.int64)
    parts = draw(st.lists(st.integers(0, 5), min_size=N * K, max_size=N * K))
    soft = np.array(parts, dtype=np.float64).reshape(N, K)
    soft[np.arange(N), targets] += 1
    weight = np.array(draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=N, max_size=N)))
    weight[0] = 1.0
    return Batch(logits, targets, soft / soft.sum(axis=1, keepdims=True), weight)


@st.composite
def distributions(draw: st.DrawFn, *, max_rows: int = 4, max_classes: int = 8, count: int = 1) -> tuple[Any, ...]:
    """`count` arrays [N, K] of probability rows of one shape; zeros, certainties and equal pairs occur."""
    N, K = draw(st.integers(1, max_rows)), draw(st.integers(1, max_classes))
    size = N * K
    out = []
    for _ in range(count):
        raw = draw(st.lists(st.one_of(st.just(0.0), st.floats(1e-12, 1.0)), min_size=size, max_size=size))
        p = np.array(raw).reshape(N, K)
        p[np.arange(N), draw(st.lists(st.integers(0, K - 1), min_size=N, max_size=N))] += 0.5
        out.append(p / p.sum(axis=1, keepdims=True))
    if count > 1 and draw(st.booleans()):
        out[-1] = out[0] if draw(st.booleans()) else out[0] * (1 - 1e-9) + out[-1] * 1e-9
    return tuple(out)
