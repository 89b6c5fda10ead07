"""Reproducibility: a row's bits depend on the row alone; sums have the same bits for any number of threads."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
from cases import hard_cases
from isas import ISAS

DTYPES = (np.float32, np.float64)


def hard_batch(K: int, dtype: Any) -> tuple[Any, Any]:
    """All hard rows with K classes, shuffled."""
    cases = [c for c in hard_cases(K, dtype) if len(c.targets)]
    order = np.random.default_rng(K).permutation(sum(len(c.targets) for c in cases))
    return np.concatenate([c.logits for c in cases])[order], np.concatenate([c.targets for c in cases])[order]


def assert_same(got: Any, want: Any) -> None:
    """The same bits, signs of zeros included."""
    for a, b in zip(got, want, strict=True):
        x, y = np.asarray(a), np.asarray(b)
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(np.signbit(x), np.signbit(y))


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"class_weight": True}], ids=["", "smoothed", "cw"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 5, 10, 16, 17, 33, 40, 70])
def test_bits_depend_on_the_row_only(K: int, dtype: Any, options: Any, isa: str) -> None:
    """Any order, position, neighbours, alignment, sub-batch; alone; one hot row; strided."""
    z, y = hard_batch(K, dtype)
    options = {"class_weight": np.linspace(0.5, 2, K)} if "class_weight" in options else options
    loss = ce.CrossEntropy(reduction="none", **options)
    want = loss.value_and_grad(y, logits=z)
    order = np.random.default_rng(0).permutation(len(z))
    got = loss.value_and_grad(y[order], logits=z[order])
    assert_same(got, (want.value[order], want.grad[order]))
    for first, end in ((0, 1), (1, 2), (3, 20), (7, 41), (len(z) - 1, len(z))):
        assert_same(
            loss.value_and_grad(y[first:end], logits=z[first:end]), (want.value[first:end], want.grad[first:end])
        )
    assert_same([loss(y, logits=z)], [want.value])
    assert_same(loss.value_and_grad(y, logits=np.asfortranarray(z)), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 3, 10, 16, 40])
def test_bits_on_an_inner_axis_depend_on_the_row_only(K: int, dtype: Any, isa: str) -> None:
    z, y = hard_batch(K, dtype)
    loss = ce.CrossEntropy(reduction="none", axis=0)
    want = loss.value_and_grad(y, logits=np.ascontiguousarray(z.T))
    for first, end in ((0, 2), (3, 20), (7, 41)):
        got = loss.value_and_grad(y[first:end], logits=np.ascontiguousarray(z[first:end].T))
        assert_same(got, (want.value[first:end], want.grad[:, first:end]))
    if K <= 16:
        flat = ce.CrossEntropy(reduction="none").value_and_grad(y, logits=z)
        assert_same(want, (flat.value, flat.grad.T))


@pytest.mark.parametrize("soft", [False, True], ids=["index", "soft"])
@pytest.mark.parametrize("dtype", [*DTYPES, np.float16])
@pytest.mark.parametrize("K", [10, 40, 100])
def test_bits_on_an_inner_axis_are_the_same_in_fortran_order(K: int, dtype: Any, soft: bool, isa: str) -> None:
    """Blocks of 2^17 elements, in whole 64 rows, would leave one row for the last: it must not get another kernel."""
    rng, N = np.random.default_rng(K), 2 * ((1 << 17) // K // 64 * 64) + 1
    z = rng.normal(size=(K, N)).astype(dtype)
    y: Any = rng.integers(0, K, N)
    if soft:
        q = rng.integers(1, 5, (K, N)).astype(np.float32 if dtype == np.float16 else dtype)
        y = q / q.sum(axis=0)
    loss = ce.CrossEntropy(reduction="none", axis=0)
    want = loss.value_and_grad(y, logits=z)
    assert_same(loss.value_and_grad(y, logits=np.asfortranarray(z)), want)
    swapped = loss.value_and_grad(y, logits=z.astype(z.dtype.newbyteorder()))
    assert_same(swapped, want)
    total = ce.CrossEntropy(reduction="sum", axis=0)
    assert total(y, logits=np.asfortranarray(z)) == total(y, logits=z)
    if dtype == np.float16:
        wide = loss.value_and_grad(y, logits=z, out=np.empty(z.shape, np.float32))
        assert_same((wide.value, wide.grad.astype(np.float16)), want)


@pytest.mark.parametrize("kind", ["index", "soft", "strided", "binary", "probs", "axis 0"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_number_of_threads_gives_the_same_bits(dtype: Any, kind: str, set_threads: Any) -> None:
    rng = np.random.default_rng(7)
    N, K = 150_000, 5
    z = (rng.normal(size=(N, K)) * 10.0 ** rng.uniform(-2, 2, (N, 1))).astype(dtype)
    y: Any = rng.integers(0, K, N)
    w = rng.uniform(0, 2, N)
    loss: Any = ce.CrossEntropy(class_weight=[1, 2, 0.5, 0, 3])
    call = {"logits": z, "sample_weight": w}
    if kind == "soft":
        y = np.eye(K, dtype=dtype)[y]
    elif kind == "strided":
        call["logits"] = np.repeat(z, 2, axis=1)[:, ::2]
    elif kind == "binary":
        loss, y = ce.BinaryCrossEntropy(pos_weight=[1, 2, 3, 4, 5]), rng.integers(0, 2, (N, K))
    elif kind == "probs":
        call = {"probs": ce.softmax(z), "sample_weight": w}
    elif kind == "axis 0":
        loss, call["logits"] = ce.CrossEntropy(axis=0), np.ascontiguousarray(z.T)
    results = []
    for threads in (1, 2, 5, 2):
        set_threads(threads)
        results.append((*loss.value_and_grad(y, **call), loss(y, **call)))
    for other in results[1:]:
        assert_same(other, results[0])
    assert results[0][0] == results[0][2]


@pytest.mark.parametrize("kind", ["softmax", "binary"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_alignment_changes_nothing(dtype: Any, kind: str, isa: str) -> None:
    """The same rows at every offset from a cache line."""
    z, y = hard_batch(5, dtype)
    loss: Any = ce.CrossEntropy(reduction="none")
    if kind == "binary":
        z, y = z[:, 0], y % 2
        loss = ce.BinaryCrossEntropy(reduction="none")
    want = loss.value_and_grad(y, logits=z)
    memory = np.empty(z.size + 64, dtype)
    for offset in (1, 2, 3, 5, 8, 13):
        moved = memory[offset : offset + z.size].reshape(z.shape)
        moved[...] = z
        assert_same(loss.value_and_grad(y, logits=moved), want)


def test_instruction_sets_agree_within_the_contract() -> None:
    """Bits may differ between them, values by a few ulp only."""
    from isas import using_isa

    z, y = hard_batch(10, np.float32)
    results = []
    for isa in ISAS:
        with using_isa(isa):
            results.append(ce.cross_entropy(y, logits=z, reduction="none"))
    for other in results[1:]:
        np.testing.assert_array_max_ulp(other, results[0], maxulp=4)
