"""Kernels called directly: 16-bit rows against float32 on the same numbers, and stores past the caches, bit for bit."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from bits import assert_same
from crossent import _native

CLASSES = (33, 40, 100, 512, 513, 1000, 1024, 1025, 2049, 5000)  # kept, recomputed, one by one, in several chunks
CARRIERS: dict[str, Any] = {"bf16": ml_dtypes.bfloat16, "f16": np.float16, "f32": np.float32, "f64": np.float64}
KINDS = ("index", "soft", "smoothed", "probs", "log-probs")
GUARD = 77  # neighbours of a gradient, which keep their bits


def rows_of(K: int, dtype: Any, rows: int = 21) -> tuple[Any, Any, Any]:
    """Logits with ties, ruled-out classes, a confident row and one far from 0; labels, some at the maximum; targets."""
    rng = np.random.default_rng(K)
    z = rng.normal(size=(rows, K)) * 10.0 ** rng.uniform(-1, 1.2, (rows, 1))
    z[1, 1:7] = z[1].max() + 1
    z[2, ::3] = -np.inf
    z[3, K // 2] = 500.0
    z[4] += 30000.0
    z = z.astype(dtype)
    y = rng.integers(0, K, rows)
    y[::3] = z[::3].argmax(1)
    y[2] = z[2].argmax()
    q = rng.uniform(size=(rows, K)) * (rng.random((rows, K)) < 0.3)
    return z, y, (q / q.sum(1, keepdims=True)).astype(dtype)


def run(kernel: str, z: Any, y: Any, q: Any, kind: str, *, grad: Any, stream: bool) -> Any:
    """Row values of one native call, which fills `grad`; everything in the kernel's own types."""
    raw = [a if a is None or a.dtype.itemsize > 2 else a.view(np.uint16) for a in (z, q, grad)]
    values = np.empty(len(z), np.float64 if kernel == "f64" else np.float32)
    state, sums = np.array([0, np.iinfo(np.int64).max]), np.zeros((3, 3))
    getattr(_native, f"softmax_{kernel}")(
        raw[0], z.shape[1], 1, None if kind == "soft" or "probs" in kind else y, raw[1] if kind == "soft" else None,
        None, None, None, None, None, 0.1 if kind == "smoothed" else 0.0, 1.0, 0.37, -1.0,
        ("index", "probs", "log-probs").index(kind) if "probs" in kind else 0, values, raw[2], None, stream, 9, 3,
        state, sums,
    )  # fmt: skip
    assert state[1] == np.iinfo(np.int64).max
    return values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("K", CLASSES)
@pytest.mark.parametrize("kernel", ["bf16", "f16"])
def test_sixteen_bits_are_float32_rounded_once(kernel: str, K: int, kind: str, isa: str) -> None:
    z, y, q = rows_of(K, CARRIERS[kernel])
    grad, wide = np.empty_like(z), np.empty(z.shape, np.float32)
    got = run(kernel, z, y, q, kind, grad=grad, stream=False)
    want = run("f32", z.astype(np.float32), y, q.astype(np.float32), kind, grad=wide, stream=False)
    assert_same(got, want)
    with np.errstate(over="ignore"):
        rounded = wide.astype(z.dtype)
    assert_same(grad, rounded)
    alone = run(kernel, z, y, q, kind, grad=None, stream=False)
    assert_same(alone, got)


@pytest.mark.parametrize("kind", ["index", "soft", "log-probs"])
@pytest.mark.parametrize("K", CLASSES)
@pytest.mark.parametrize("kernel", CARRIERS)
def test_stores_past_the_caches_and_in_place_change_no_bit(kernel: str, K: int, kind: str, isa: str) -> None:
    """At every offset from a line, with neighbours that keep theirs; and over the logits."""
    z, y, q = rows_of(K, CARRIERS[kernel])
    want = np.empty_like(z)
    values = run(kernel, z, y, q, kind, grad=want, stream=False)
    for offset in (0, 1, 5, 31, 64):
        memory = np.full(z.size + 2 * GUARD + 64, 3, z.dtype)
        grad = memory[GUARD + offset : GUARD + offset + z.size].reshape(z.shape)
        got = run(kernel, z, y, q, kind, grad=grad, stream=True)
        assert_same(got, values)
        assert_same(grad, want)
        assert (memory[: GUARD + offset] == 3).all()
        assert (memory[GUARD + offset + z.size :] == 3).all()
    run(kernel, z, y, q, kind, grad=z, stream=False)
    assert_same(z, want)
