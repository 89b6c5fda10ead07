"""What torch does in corners: old words, mixed dtypes, targets that change, labels out of range, many upstreams."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

import crossent as ce
import crossent.torch as ct

pytestmark = pytest.mark.frameworks


def batch(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(4)
    z = torch.randn(6, 4, dtype=dtype, requires_grad=True)
    return z, torch.randint(0, 4, (6,)), torch.softmax(torch.randn(6, 4, dtype=dtype), 1)


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 2)])
def test_an_old_word_for_mean(shape: tuple[int, ...]) -> None:
    z, y = torch.randn(shape), torch.zeros(shape[:1] + shape[2:], dtype=torch.long)
    with pytest.warns(UserWarning, match="elementwise_mean"):
        got = ct.cross_entropy(z, y, reduction="elementwise_mean")
    torch.testing.assert_close(got, F.cross_entropy(z, y))
    with pytest.warns(UserWarning, match="elementwise_mean"):
        got = ct.binary_cross_entropy_with_logits(z, z.sigmoid(), reduction="elementwise_mean")
    torch.testing.assert_close(got, F.binary_cross_entropy_with_logits(z, z.sigmoid()))


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(("of_logits", "of_targets"), [("bfloat16", "float32"), ("float32", "float64")])
def test_wider_targets_widen_the_loss(of_logits: str, of_targets: str, reduction: str) -> None:
    z, _, q = batch(getattr(torch, of_logits))
    q = q.to(getattr(torch, of_targets))
    losses = [f(z, q, reduction=reduction) for f in (ct.cross_entropy, F.cross_entropy)]
    assert losses[0].dtype == losses[1].dtype == q.dtype
    slopes = [torch.autograd.grad(loss.sum(), z)[0] for loss in losses]
    assert slopes[0].dtype == z.dtype
    torch.testing.assert_close(*slopes, rtol=2e-2, atol=1e-3)
    _, pull = torch.func.vjp(lambda x: ct.cross_entropy(x, q, reduction=reduction), z.detach())
    assert pull(torch.ones_like(losses[0]))[0].dtype == z.dtype
    compiled = torch.compile(ct.cross_entropy, fullgraph=True, backend="aot_eager")
    assert compiled(z, q, reduction=reduction).dtype == q.dtype
    assert ct.loss(ce.Focal(reduction=reduction))(z, q).dtype == q.dtype


@pytest.mark.parametrize("what", ["target", "weight"])
def test_targets_may_change_once_the_gradient_is_there_but_not_before(what: str) -> None:
    """The first backward pass needs no target; what computes anything again notices, as torch's own losses do."""
    z, y, _ = batch()
    w = torch.rand(4, dtype=z.dtype)
    loss = ct.cross_entropy(z, y, w)
    (want,) = torch.autograd.grad(F.cross_entropy(z, y, w), z)
    (y if what == "target" else w).zero_()
    (got,) = torch.autograd.grad(loss, z, retain_graph=True)
    torch.testing.assert_close(got, want)
    for create_graph in (False, True):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(loss, z, retain_graph=True, create_graph=create_graph)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_labels_out_of_range_are_errors_on_the_formulas_route_too(smoothing: float) -> None:
    z, _, _ = batch()
    y = torch.tensor([0, 1, 2, 3, 4, 0])
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        torch.func.grad(lambda x: ct.cross_entropy(x, y, label_smoothing=smoothing))(z.detach())


@pytest.mark.parametrize("name", ["cross_entropy", "kl_div"])
def test_many_upstreams_at_once(name: str) -> None:
    """Large enough for kl_div's chunks."""
    torch.manual_seed(0)
    x = torch.log_softmax(torch.randn(700, 100, dtype=torch.float64), 1).requires_grad_()
    t: Any = torch.softmax(torch.randn(700, 100, dtype=torch.float64), 1)
    options: Any = {"reduction": "sum"}
    slopes = []
    for f in (getattr(ct, name), getattr(F, name)):
        upstreams = torch.tensor([1.0, -2.0], dtype=torch.float64)
        slopes.append(torch.autograd.grad(f(x, t, **options), x, upstreams, is_grads_batched=True)[0])
    torch.testing.assert_close(*slopes)


def test_nan_in_a_compiled_graph_with_more_axes() -> None:
    """The formula's gradient has the strides that the operator promised."""
    torch._dynamo.reset()
    z = torch.randn(2, 3, 5)
    z[0, 1, 2] = float("nan")
    z.requires_grad_()
    y = torch.randint(0, 3, (2, 5))
    compiled = torch.compile(lambda a: ct.cross_entropy(a, y, reduction="none"), fullgraph=True, backend="aot_eager")
    loss = compiled(z)
    (grad,) = torch.autograd.grad(loss.sum(), z)
    assert grad.stride() == z.stride()
    assert torch.isnan(loss[0, 2])
    assert torch.isnan(grad[0, :, 2]).all()
    assert torch.isfinite(grad[1]).all()
