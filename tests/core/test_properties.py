"""Properties of every batch: shift, permutation, sums of gradients, splits, threads, inequalities."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossent as ce
from cases import Batch, batches, distributions


def eps(dtype: Any) -> float:
    """The spacing of 1."""
    return float(np.finfo(dtype).eps)


@given(batch=batches(), smoothing=st.sampled_from([0.0, 0.1, 1.0]))
def test_gradient_rows_sum_to_zero(batch: Batch, smoothing: float) -> None:
    """K eps of the largest term, Q <= 1."""
    for targets in (batch.targets, batch.soft):
        loss = ce.CrossEntropy(reduction="none", label_smoothing=smoothing)
        grad = loss.value_and_grad(targets, logits=batch.logits).grad
        assert np.all(np.abs(grad.sum(axis=-1, dtype=np.float64)) <= 8 * batch.K * eps(grad.dtype))
        assert np.all(np.abs(grad) <= 1 + 8 * eps(grad.dtype))


@given(batch=batches(bound=100.0), shift=st.sampled_from([1.0, -3.5, 64.0, -1024.0]))
def test_shift_invariance(batch: Batch, shift: float) -> None:
    """Adding a number to all logits of a row changes only what its rounding changes."""
    z = batch.logits.astype(np.float64)
    moved = z + shift
    loss = ce.CrossEntropy(reduction="none")
    a, b = loss.value_and_grad(batch.targets, logits=z), loss.value_and_grad(batch.targets, logits=moved)
    slack = 4 * eps(np.float64) * (np.abs(z).max() + abs(shift) + 1)
    np.testing.assert_allclose(b.value, a.value, rtol=1e-13, atol=slack)
    np.testing.assert_allclose(b.grad, a.grad, rtol=0, atol=slack)


@given(batch=batches(), exponent=st.integers(-3, 8))
def test_exact_shifts_change_no_bit_of_the_loss(batch: Batch, exponent: int) -> None:
    """Small whole logits moved by whole numbers: every difference is the same number."""
    z = np.round(batch.logits.astype(np.float64) / (1 + np.abs(batch.logits).max()) * 50)
    loss = ce.CrossEntropy(reduction="none")
    a = loss.value_and_grad(batch.targets, logits=z)
    b = loss.value_and_grad(batch.targets, logits=z + 2.0**exponent if exponent >= 0 else z + 1)
    np.testing.assert_array_equal(b.value, a.value)
    np.testing.assert_array_equal(b.grad, a.grad)


@given(batch=batches(), data=st.data())
def test_permutation_of_classes(batch: Batch, data: Any) -> None:
    """Names of columns do not matter, up to the order of additions."""
    order = np.array(data.draw(st.permutations(range(batch.K))))
    where = np.argsort(order)
    loss = ce.CrossEntropy(reduction="none")
    a = loss.value_and_grad(batch.targets, logits=batch.logits)
    b = loss.value_and_grad(where[batch.targets], logits=batch.logits[:, order])
    np.testing.assert_allclose(b.value, a.value, rtol=8 * eps(a.value.dtype))
    np.testing.assert_allclose(b.grad, a.grad[:, order], rtol=16 * eps(a.grad.dtype), atol=1e-44)
    soft = loss(batch.soft, logits=batch.logits)
    turned = loss(batch.soft[:, order], logits=batch.logits[:, order])
    np.testing.assert_allclose(turned, soft, rtol=8 * eps(soft.dtype))


@given(batch=batches(), data=st.data())
def test_order_of_rows_changes_no_bit(batch: Batch, data: Any) -> None:
    order = np.array(data.draw(st.permutations(range(len(batch.targets)))))
    loss = ce.CrossEntropy(reduction="none", label_smoothing=0.1)
    a = loss.value_and_grad(batch.targets, logits=batch.logits, sample_weight=batch.sample_weight)
    b = loss.value_and_grad(batch.targets[order], logits=batch.logits[order], sample_weight=batch.sample_weight[order])
    np.testing.assert_array_equal(b.value, a.value[order])
    np.testing.assert_array_equal(b.grad, a.grad[order])


@given(batch=batches(), cut=st.integers(0, 6))
def test_split_batches_are_the_whole(batch: Batch, cut: int) -> None:
    """Sums add up, means add up by weight, rows are the same bits."""
    parts = (slice(None, cut), slice(cut, None))
    total = ce.CrossEntropy(reduction="sum")
    whole = total.value_and_grad(batch.targets, logits=batch.logits, sample_weight=batch.sample_weight)
    pieces = [
        total.value_and_grad(batch.targets[s], logits=batch.logits[s], sample_weight=batch.sample_weight[s])
        for s in parts
    ]
    assert sum(p.value for p in pieces) == pytest.approx(whole.value, rel=1e-14)
    np.testing.assert_array_equal(np.concatenate([p.grad for p in pieces]), whole.grad)
    mean = ce.cross_entropy(batch.targets, logits=batch.logits, sample_weight=batch.sample_weight)
    assert mean * batch.sample_weight.sum() == pytest.approx(whole.value, rel=1e-14)


@given(batch=batches())
def test_losses_are_not_negative_and_at_least_the_entropy_of_soft_targets(batch: Batch) -> None:
    """H(q, p) >= H(q) = the loss of the best prediction."""
    losses = ce.cross_entropy(batch.targets, logits=batch.logits, reduction="none")
    assert (losses >= 0).all()
    assert not np.signbit(losses).any()
    q = batch.soft
    with np.errstate(divide="ignore"):
        least = -np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0).sum(axis=1)
    soft = ce.cross_entropy(q, logits=batch.logits, reduction="none")
    assert (soft >= least * (1 - 4 * eps(soft.dtype)) - 4 * eps(soft.dtype)).all()


@given(batch=batches())
def test_weights_of_rows_scale_their_losses(batch: Batch) -> None:
    """Powers of two exactly; weight 0 is absence."""
    loss = ce.CrossEntropy(reduction="none")
    plain = loss.value_and_grad(batch.targets, logits=batch.logits)
    doubled = loss.value_and_grad(batch.targets, logits=batch.logits, sample_weight=np.full(len(batch.targets), 2.0))
    np.testing.assert_allclose(doubled.value, 2 * plain.value, rtol=eps(plain.value.dtype), atol=3e-45)
    np.testing.assert_allclose(doubled.grad, 2 * plain.grad, rtol=eps(plain.grad.dtype), atol=3e-45)
    kept = batch.sample_weight > 0
    mean = ce.cross_entropy(batch.targets, logits=batch.logits, sample_weight=batch.sample_weight)
    alone = ce.cross_entropy(batch.targets[kept], logits=batch.logits[kept], sample_weight=batch.sample_weight[kept])
    assert mean == pytest.approx(alone, rel=1e-14)


@given(batch=batches(dtypes=(np.float64,), bound=30.0))
def test_gradient_is_the_slope_of_the_loss(batch: Batch) -> None:
    """Central differences, h = 1e-5."""
    loss = ce.CrossEntropy(reduction="sum", label_smoothing=0.05)
    grad = loss.value_and_grad(batch.soft, logits=batch.logits).grad
    direction = np.cos(np.arange(batch.logits.size)).reshape(batch.logits.shape)
    up = loss(batch.soft, logits=batch.logits + 1e-5 * direction)
    down = loss(batch.soft, logits=batch.logits - 1e-5 * direction)
    assert (up - down) / 2e-5 == pytest.approx((grad * direction).sum(), rel=1e-4, abs=1e-5)


@given(batch=batches(dtypes=(np.float64,), bound=30.0))
def test_hessian_is_the_slope_of_the_gradient(batch: Batch) -> None:
    loss = ce.CrossEntropy()
    hess = loss.grad_and_hess(batch.soft, logits=batch.logits).hess
    assert (hess >= 0).all()
    step = np.zeros(batch.K)
    step[0] = 1e-5
    up = loss.grad_and_hess(batch.soft, logits=batch.logits + step).grad[:, 0]
    down = loss.grad_and_hess(batch.soft, logits=batch.logits - step).grad[:, 0]
    np.testing.assert_allclose((up - down) / 2e-5, hess[:, 0], rtol=1e-3, atol=1e-6)


@given(pair=distributions(count=2))
def test_probabilities_their_logarithms_and_logits_agree(pair: tuple[Any, Any]) -> None:
    q, p = pair
    with np.errstate(divide="ignore"):
        logs = np.log(p)
    a = ce.cross_entropy(q, probs=p, reduction="none")
    b = ce.cross_entropy(q, log_probs=logs, reduction="none")
    c = ce.cross_entropy(q, logits=logs, reduction="none")
    np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(c, a, rtol=1e-12, atol=1e-13)


@given(batch=batches(bound=700.0))
def test_binary_symmetry(batch: Batch) -> None:
    """Turning label and sign around changes no bit but the gradient's sign."""
    y = batch.soft
    y = np.where(y > 0.5, 1.0, 0.0)
    loss = ce.BinaryCrossEntropy(reduction="none")
    a, b = loss.value_and_grad(y, logits=batch.logits), loss.value_and_grad(1 - y, logits=-batch.logits)
    np.testing.assert_array_equal(a.value, b.value)
    np.testing.assert_array_equal(a.grad, -b.grad)


@given(batch=batches(max_rows=3), threads=st.sampled_from([1, 2, 7]), repeat=st.sampled_from([1, 5000, 60_000]))
def test_threads_change_no_bit(batch: Batch, threads: int, repeat: int, set_threads: Any) -> None:
    z, y = np.tile(batch.logits, (repeat, 1)), np.tile(batch.targets, repeat)
    set_threads(1)
    want = ce.CrossEntropy().value_and_grad(y, logits=z)
    set_threads(threads)
    got = ce.CrossEntropy().value_and_grad(y, logits=z)
    assert got.value == want.value
    np.testing.assert_array_equal(got.grad, want.grad)
