"""Layouts, buffers, threads: the same bits whatever carries the numbers, wherever a row stands, whoever computes it."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import crossent as ce
from bits import assert_same
from cases import CARRIERS, hard_batch

DTYPES = (np.float32, np.float64)
ROUNDING = ("float16", "bfloat16")


def widened(array: Any) -> Any:
    """What a half-precision carrier is computed in."""
    return np.asarray(array).astype(np.float32)


# ---------------------------------------------------------------- carriers


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [3, 40])
def test_carriers_of_logits(K: int, dtype: Any, carrier: str, tmp_path: Path) -> None:
    z, y = hard_batch(K, dtype)
    carried = CARRIERS[carrier](z, tmp_path)
    plain = np.ascontiguousarray(np.asarray(carried).astype(np.asarray(carried).dtype.newbyteorder("=")))
    for loss in (ce.CrossEntropy(reduction="none"), ce.CrossEntropy(label_smoothing=0.1, reduction="none")):
        got = loss.value_and_grad(y, logits=carried)
        if carrier in ROUNDING:
            want = loss.value_and_grad(y, logits=widened(carried))
            assert got.value.dtype == np.float32
            with np.errstate(over="ignore", under="ignore"):
                assert_same(got, (want.value, want.grad.astype(carried.dtype)))
            assert got.grad.dtype == carried.dtype
        else:
            assert_same(got, loss.value_and_grad(y, logits=plain))
        assert_same([loss(y, logits=carried)], [got.value])
    assert_same(ce.CrossEntropy().grad_and_hess(y, logits=carried)[:1], [loss_sum_gradient(y, carried)])


def loss_sum_gradient(y: Any, z: Any) -> Any:
    """The gradient that grad_and_hess has too."""
    return ce.CrossEntropy(reduction="sum").value_and_grad(y, logits=z).grad


@pytest.mark.parametrize("carrier", [c for c in CARRIERS if c != "zero stride"])
@pytest.mark.parametrize("kind", ["binary", "soft", "probs", "weights"])
def test_carriers_of_everything_else(kind: str, carrier: str, tmp_path: Path) -> None:
    """Binary logits and targets, soft targets, probabilities, sample weights."""
    rng = np.random.default_rng(1)
    q = rng.integers(1, 5, (30, 8)) / 1.0
    q = (q / q.sum(axis=1, keepdims=True)).astype(np.float64)
    z = rng.normal(size=(30, 8))
    carry: Callable[[Any], Any] = lambda array: CARRIERS[carrier](array, tmp_path)  # noqa: E731  # three words long

    def plain(array: Any) -> Any:
        return np.ascontiguousarray(np.asarray(carry(array)).astype(np.float64))

    if kind == "binary":
        got = ce.BinaryCrossEntropy(reduction="none")(carry(q), logits=z, sample_weight=carry(q))
        want = ce.BinaryCrossEntropy(reduction="none")(plain(q), logits=z, sample_weight=plain(q))
    elif kind == "soft":
        loss = ce.CrossEntropy(normalize_targets=True, reduction="none")
        got, want = loss(carry(q), logits=z), loss(plain(q), logits=z)
    elif kind == "probs":
        dtype = np.float32 if carrier in ROUNDING else np.float64
        got = ce.cross_entropy(np.arange(30) % 8, probs=carry(q), reduction="none")
        want = ce.cross_entropy(np.arange(30) % 8, probs=plain(q).astype(dtype), reduction="none")
    else:
        weight = carry(q)[0] if carrier == "nested lists" else carry(q)[0, :]
        got = ce.cross_entropy(np.arange(8), logits=z[:8], sample_weight=weight, reduction="none")
        want = ce.cross_entropy(np.arange(8), logits=z[:8], sample_weight=plain(q)[0], reduction="none")
    assert_same([got], [want])


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", ">u8", "f2", "f4", "f8"])
def test_label_dtypes(dtype: str) -> None:
    z = np.random.default_rng(2).normal(size=(50, 7))
    y = np.arange(50) % 7
    want = ce.CrossEntropy().value_and_grad(y, logits=z)
    assert_same(ce.CrossEntropy().value_and_grad(y.astype(dtype), logits=z), want)
    twice = np.repeat(y.astype(dtype), 2)[::2]
    assert_same(ce.CrossEntropy().value_and_grad(twice, logits=z), want)


@pytest.mark.parametrize("dtype", [bool, complex, np.longdouble, "U3", object, "M8[s]"])
def test_other_dtypes_are_refused(dtype: Any) -> None:
    z = np.zeros((2, 3)).astype(dtype)
    for name in ("logits", "probs", "log_probs"):
        with pytest.raises(ce.DtypeError, match=rf"{name} has dtype .*; float16, bfloat16, float32, float64"):
            ce.cross_entropy([0, 1], **{name: z})


def test_integers_are_float64() -> None:
    z = np.array([[1, 2, 4]])
    assert_same(ce.CrossEntropy().value_and_grad([2], logits=z), ce.CrossEntropy().value_and_grad([2], logits=z * 1.0))


# ---------------------------------------------------------------- shapes


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2])
@pytest.mark.parametrize("soft", [False, True])
def test_leads_of_many_dimensions(axis: int, soft: bool) -> None:
    z = np.random.default_rng(3).normal(size=(3, 4, 5, 6))
    last = np.moveaxis(z, axis, -1)
    K = last.shape[-1]
    y = np.random.default_rng(4).integers(0, K, last.shape[:-1])
    targets = np.moveaxis(np.eye(K)[y], -1, axis) if soft else y
    got = ce.CrossEntropy(axis=axis, reduction="none").value_and_grad(targets, logits=z)
    want = ce.CrossEntropy(reduction="none").value_and_grad(
        np.eye(K)[y.ravel()] if soft else y.ravel(), logits=last.reshape(-1, K)
    )
    assert_same([got.value], [want.value.reshape(last.shape[:-1])])
    assert_same([got.grad], [np.moveaxis(want.grad.reshape(last.shape), -1, axis)])
    strided = ce.CrossEntropy(axis=axis, reduction="none").value_and_grad(targets, logits=z[::-1][::-1].T.copy().T)
    assert_same(strided, got)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3), (0, 5, 3)])
def test_zero_size(shape: tuple[int, ...]) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        z = np.zeros(shape, dtype)
        got = ce.CrossEntropy(reduction="none").value_and_grad(np.zeros(shape[:-1], int), logits=z)
        assert got.value.shape == shape[:-1]
        assert got.grad.shape == shape
        assert ce.CrossEntropy(reduction="sum")(np.zeros(shape), logits=z) == 0
        assert ce.BinaryCrossEntropy(reduction="none")(z, logits=z).shape == shape
        assert ce.CrossEntropy(reduction="none")(np.zeros(shape[:-1], int), probs=z).shape == shape[:-1]
    with pytest.raises(ce.ShapeError, match="no classes on axis"):
        ce.cross_entropy(np.zeros((2, 0)), logits=np.zeros((2, 0, 0)))
    assert ce.binary_cross_entropy(np.zeros((2, 0)), logits=np.zeros((2, 0)), reduction="sum") == 0


def test_a_single_row_without_a_lead() -> None:
    got = ce.CrossEntropy(reduction="none").value_and_grad(2, logits=[1.0, 2.0, 4.0], sample_weight=2.0)
    want = ce.CrossEntropy(reduction="none").value_and_grad([2], logits=[[1.0, 2.0, 4.0]], sample_weight=[2.0])
    assert got.value == want.value[0]
    assert_same([got.grad], [want.grad[0]])
    with pytest.raises(ce.LabelError, match="targets is 5, but the prediction has 3 classes"):
        ce.cross_entropy(5, logits=[1.0, 2.0, 4.0])


@pytest.mark.parametrize("prediction", [{"logits": [1.0, 2.0, 4.0]}, {"probs": [0.2, 0.2, 0.6]}])
def test_too_many_weights_for_a_single_row(prediction: Any) -> None:
    with pytest.raises(ce.ShapeError, match=r"sample_weight has shape \(3,\)"):
        ce.cross_entropy(2, **prediction, sample_weight=[1.0, 2.0, 3.0])
    with pytest.raises(ce.ShapeError, match=r"sample_weight has shape \(3,\)"):
        ce.binary_cross_entropy(1, logits=2.0, sample_weight=[1.0, 2.0, 3.0])


# ---------------------------------------------------------------- out=


def _out_in(kind: str, z: Any) -> Any:
    if kind == "strided":
        return np.full((z.shape[0], 2 * z.shape[1]), 7.0, z.dtype)[:, ::2]
    return np.asfortranarray(np.full_like(z, 7)) if kind == "Fortran" else np.full_like(z, 7)


@pytest.mark.parametrize("kind", ["plain", "strided", "Fortran"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("K", [3, 40])
def test_out_receives_the_gradient(K: int, reduction: str, kind: str) -> None:
    z, y = hard_batch(K, np.float64)
    loss = ce.CrossEntropy(reduction=reduction)
    want, out = loss.value_and_grad(y, logits=z), _out_in(kind, z)
    got = loss.value_and_grad(y, logits=z, out=out)
    assert got.grad is out
    assert_same(got, want)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("K", "axis"), [(3, 1), (40, 1), (9, 0)])
def test_in_place(K: int, axis: int, reduction: str, dtype: Any) -> None:
    """out=logits: the same bits; soft targets too."""
    rng = np.random.default_rng(5)
    z = (rng.normal(size=(70, K) if axis else (K, 70)) * 3).astype(dtype)
    y = rng.integers(0, K, 70)
    q = np.eye(K)[y] if axis else np.eye(K)[y].T
    for targets, options in ((y, {}), (q, {"label_smoothing": 0.1}), (y, {"class_weight": rng.uniform(0, 2, K)})):
        loss = ce.CrossEntropy(reduction=reduction, axis=axis, **options)
        want, work = loss.value_and_grad(targets, logits=z), z.copy()
        got = loss.value_and_grad(targets, logits=work, out=work)
        assert got.grad is work
        assert_same(got, want)


def test_in_place_binary_and_probabilities() -> None:
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, (70, 3))
    for name, x in (("logits", rng.normal(size=(70, 3))), ("probs", rng.uniform(size=(70, 3)))):
        want, work = ce.BinaryCrossEntropy().value_and_grad(y, **{name: x}), x.copy()
        assert_same(ce.BinaryCrossEntropy().value_and_grad(y, **{name: work}, out=work), want)
    p = rng.dirichlet(np.ones(3), 70)
    want, work = ce.CrossEntropy().value_and_grad(y[:, 0], probs=p), p.copy()
    assert_same(ce.CrossEntropy().value_and_grad(y[:, 0], probs=work, out=work), want)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_float32_out_keeps_the_gradient_of_half_precision(dtype: Any) -> None:
    z = np.zeros((100, 3), dtype)
    out = np.empty((100, 3), np.float32)
    ce.CrossEntropy().value_and_grad(np.zeros(100, int), logits=z, out=out)
    want = ce.CrossEntropy().value_and_grad(np.zeros(100, int), logits=z.astype(np.float32)).grad
    assert_same([out], [want])


def test_big_endian_prediction_takes_the_gradient_that_it_would_be_given() -> None:
    z = np.zeros((2, 3), ">f4")
    fresh = ce.CrossEntropy().value_and_grad([0, 1], logits=z).grad
    out = np.empty_like(fresh)
    assert_same([ce.CrossEntropy().value_and_grad([0, 1], logits=z, out=out).grad], [fresh])


def _read_only(shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape)
    out.flags.writeable = False
    return out


REFUSED: dict[str, tuple[Callable[[Any], Any], type, str]] = {
    "float32": (lambda z: np.zeros(z.shape, np.float32), ce.DtypeError, "out has dtype float32, the gradient float64"),
    "shape": (lambda z: np.zeros((5, 4)), ce.ShapeError, r"out has shape \(5, 4\), the gradient \(4, 5\)"),
    "flat": (lambda z: np.zeros(20), ce.ShapeError, r"out has shape \(20,\)"),
    "read-only": (lambda z: _read_only(z.shape), ce.ShapeError, "out is read-only"),
    "list": (lambda z: z.tolist(), ce.ShapeError, "out is list"),
    "broadcast": (
        lambda z: np.lib.stride_tricks.as_strided(np.zeros(5), z.shape, (0, 8), writeable=True),
        ce.ShapeError,
        "out overlaps itself",
    ),
    "sliding": (
        lambda z: np.lib.stride_tricks.as_strided(np.zeros(8), z.shape, (8, 8), writeable=True),
        ce.ShapeError,
        "out overlaps itself",
    ),
    "shifted": (lambda z: z.base.reshape(-1)[1:21].reshape(4, 5), ce.ShapeError, "out overlaps an input"),
    "transposed": (lambda z: z.base.reshape(-1)[:20].reshape(5, 4).T, ce.ShapeError, "out overlaps an input"),
    "reversed": (lambda z: z[::-1], ce.ShapeError, "out overlaps an input"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_buffers_that_do_not_fit_are_refused(kind: str) -> None:
    make, error, message = REFUSED[kind]
    memory = np.arange(40.0).reshape(8, 5)
    z = memory[:4]
    with pytest.raises(error, match=message):
        ce.CrossEntropy().value_and_grad([0, 1, 2, 3], logits=z, out=make(z))
    np.testing.assert_array_equal(memory, np.arange(40.0).reshape(8, 5))


def test_out_must_not_overlap_targets_or_weights() -> None:
    z = np.zeros((4, 5))
    q = np.full((4, 5), 0.2)
    with pytest.raises(ce.ShapeError, match="out overlaps an input"):
        ce.CrossEntropy().value_and_grad(q, logits=z, out=q)
    memory = np.ones((4, 5))
    with pytest.raises(ce.ShapeError, match="out overlaps an input"):
        ce.CrossEntropy().value_and_grad([0, 1, 2, 3], logits=z, sample_weight=memory[0, :4], out=memory)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_in_place_with_a_bad_label_leaves_the_logits_untouched(reduction: str, set_threads: Any) -> None:
    set_threads(2)
    rng = np.random.default_rng(6)
    z, y = rng.normal(size=(300_000, 3)).astype(np.float32), np.zeros(300_000, int)
    before = z.copy()
    y[299_999] = 3
    loss = ce.CrossEntropy(reduction=reduction)
    with pytest.raises(ce.LabelError, match=r"targets\[299999\] is 3"):
        loss.value_and_grad(y, logits=z, out=z)
    np.testing.assert_array_equal(z, before)
    small = before[:50].astype(np.float64)
    q = np.eye(3)[np.zeros(50, int)]
    q[49] = [0.5, 0.6, 0.2]
    with pytest.raises(ce.LabelError, match=r"targets\[49, :\] sum to 1\.3"):
        loss.value_and_grad(q, logits=small, out=small)
    np.testing.assert_array_equal(small, before[:50].astype(np.float64))


# ---------------------------------------------------------------- memory


@pytest.mark.parametrize("kind", ["contiguous", "strided", "big-endian", "axis 0", "float16"])
def test_no_copy_of_a_large_input(kind: str) -> None:
    """64 MB of logits cost a few MB at most, whatever carries them (blocks are copied, never the whole)."""
    z = np.zeros((1 << 20, 16), np.float32)
    y = np.zeros(1 << 20, np.uint8)
    if kind == "strided":
        z = np.zeros((1 << 20, 32), np.float32)[:, ::2]
    elif kind == "big-endian":
        z = z.astype(">f4")
    elif kind == "float16":
        z = np.zeros((1 << 20, 32), np.float16)
    loss = ce.CrossEntropy(axis=0 if kind == "axis 0" else -1)
    z = z.reshape(16, 1 << 20) if kind == "axis 0" else z
    loss(y[:10], logits=z[:, :10] if kind == "axis 0" else z[:10])
    tracemalloc.start()
    try:
        loss(y, logits=z)
        peak = tracemalloc.get_traced_memory()[1]
        out = np.empty_like(z)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        loss.value_and_grad(y, logits=z, out=out)
        peak_grad = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 8e6
    assert peak_grad < 12e6
