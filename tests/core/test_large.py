"""More than 2^31 elements: rows at both ends and around the limit have the bits that they have alone.

Zeros that nobody wrote take no memory, so reading them is cheap; a gradient in place takes 9 GB.
"""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossent as ce

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/meminfo")]
LIMIT = 1 << 31


def need(gigabytes: int) -> None:
    """Skips where others have the memory."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) >> 20
    if free < gigabytes:
        pytest.skip(f"needs {gigabytes} GB of memory; {free} GB are free")


def places(N: int, K: int) -> list[int]:
    """First and last rows, and those around element 2^31 and byte 2^31 and 2^32."""
    around = [limit // K + step for limit in (LIMIT, LIMIT // 4, LIMIT // 2) for step in (-1, 0, 1)]
    return sorted({0, 1, *(row for row in around if row < N), N - 2, N - 1})


def planted(N: int, K: int, dtype: Any = np.float32, axis: int = 1) -> tuple[Any, Any, list[int]]:
    """Zero logits [N, K] (or [K, N]) and labels 0, but for the rows at `places`."""
    rng = np.random.default_rng(K)
    z, y = np.zeros((N, K) if axis else (K, N), dtype), np.zeros(N, np.uint8 if K < 256 else np.int32)
    rows = places(N, K)
    for row in rows:
        (z if axis else z.T)[row, [0, K // 2, K - 1]] = rng.normal(scale=4, size=3).round(2)
        y[row] = rng.integers(K)
    return z, y, rows


SHAPES = {"few classes": (LIMIT // 3 + 100, 3, 1), "tile": (LIMIT // 50 + 100, 50, 1),
          "vocabulary": (LIMIT // 262_144 + 3, 262_144, 1), "inner axis": (LIMIT // 3 + 100, 3, 0),
          "wide inner axis": (LIMIT // 5000 + 100, 5000, 0)}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_losses(shape: str) -> None:
    need(5)
    N, K, axis = SHAPES[shape]
    z, y, rows = planted(N, K, axis=axis)
    loss = ce.CrossEntropy(axis=axis, reduction="none")
    got = loss(y, logits=z)
    z_alone = z[rows] if axis else np.ascontiguousarray(z[:, rows])
    np.testing.assert_array_equal(got[rows], loss(y[rows], logits=z_alone))
    got[rows] = loss([0], logits=np.zeros((1, K) if axis else (K, 1), np.float32))[0]
    assert got.min() == got.max() == got[0]


@pytest.mark.parametrize("shape", ["few classes", "vocabulary", "inner axis"])
def test_gradients_in_place(shape: str) -> None:
    need(11)
    N, K, axis = SHAPES[shape]
    z, y, rows = planted(N, K, axis=axis)
    loss = ce.CrossEntropy(axis=axis, reduction="sum")
    part = np.array([*rows, 5])
    want = loss.value_and_grad(y[part], logits=z[part] if axis else np.ascontiguousarray(z[:, part])).grad
    got = loss.value_and_grad(y, logits=z, out=z)
    np.testing.assert_array_equal(z[part] if axis else z[:, part], want)
    alone = loss([0], logits=np.zeros((1, K) if axis else (K, 1)))
    assert got.value == pytest.approx((N - len(rows)) * alone, abs=1e-6 * N + 40 * len(rows))
    plain = z[2::1000] if axis else z[:, 2::1000]
    kept = ~np.isin(np.arange(2, N, 1000), rows)
    plain = plain[kept] if axis else plain.T[kept]
    assert (plain == (want[-1] if axis else want[:, -1])).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_half_precision_and_strides(dtype: Any) -> None:
    """By blocks: a float16 array, and every second column of a float32 one."""
    need(3)
    N, K = LIMIT // 10 + 100, 10
    z, y, rows = planted(N, K if dtype == np.float16 else 2 * K, dtype)
    z, y = z[:, ::2] if z.shape[1] > K else z, y % K
    loss = ce.CrossEntropy(reduction="none")
    got = loss(y, logits=z)
    np.testing.assert_array_equal(got[rows], loss(y[rows], logits=z[rows]))
    got[rows] = got[5]
    assert got.min() == got.max() == got[5]


def test_a_row_of_more_than_2_31_classes() -> None:
    need(2)
    K = LIMIT + 1000
    z = np.zeros((1, K), np.float32)
    assert ce.cross_entropy([K - 1], logits=z) == pytest.approx(math.log(K), rel=1e-6)
    z[0, K - 1] = 40
    assert ce.cross_entropy([K - 1], logits=z) == pytest.approx(math.log1p(math.exp(math.log(K) - 40)), rel=1e-6)
    assert ce.cross_entropy([K - 2], logits=z) == pytest.approx(40, abs=1e-5)


@pytest.mark.parametrize("columns", [1, 50])
def test_binary(columns: int) -> None:
    """Alone, and in rows that share weights; the sum shows every element."""
    need(2)
    N = LIMIT // columns + 100
    z, y = np.zeros((N, columns), np.float32), np.zeros((N, columns), np.float32)
    rows, rng = places(N, columns), np.random.default_rng(columns)
    z[rows] = rng.normal(scale=300, size=(len(rows), columns)).round()
    y[rows] = rng.integers(0, 2, (len(rows), columns))
    pos_weight = None if columns == 1 else np.linspace(0.5, 2, columns)
    loss = ce.BinaryCrossEntropy(reduction="sum", pos_weight=pos_weight)
    alone = loss(y[rows], logits=z[rows])
    rest = float(ce.binary_cross_entropy([0.0], logits=np.zeros(1, np.float32))) * (N - len(rows)) * columns  # y = 0
    assert loss(y, logits=z) == pytest.approx(alone + rest, rel=1e-12)


def test_binary_gradient_in_place() -> None:
    need(11)
    N = LIMIT + 100
    z, y = np.zeros(N, np.float32), np.zeros(N, np.float32)
    rows = places(N, 1)
    z[rows], y[rows] = np.linspace(-9, 9, len(rows)).round(1), 1
    loss = ce.BinaryCrossEntropy(reduction="sum")
    want = loss.value_and_grad(y[rows], logits=z[rows]).grad
    loss.value_and_grad(y, logits=z, out=z)
    np.testing.assert_array_equal(z[rows], want)
    z[rows] = 0.5
    assert z.min() == z.max() == 0.5


@pytest.mark.parametrize("name", ["label", "logit"])
def test_errors_name_the_row(name: str) -> None:
    need(4)
    N = LIMIT // 3 + 100
    z, y = np.zeros((N, 3), np.float32), np.zeros(N, np.uint8)
    if name == "label":
        y[N - 2] = 7
        with pytest.raises(ce.LabelError, match=rf"targets\[{N - 2}\] is 7"):
            ce.cross_entropy(y, logits=z)
    else:
        z[N - 2 :, 1] = np.nan
        with pytest.raises(ce.NonFiniteError, match=rf"logits\[{N - 2}, 1\] is nan"):
            ce.cross_entropy(y, logits=z)
