"""Which way a call takes, and that a gradient's memory is nobody else's: the traps that conventions of autograd set."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

import crossent as ce
import crossent.torch as ct
from crossent.torch import fused

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:`torch.jit.script.*is deprecated:DeprecationWarning"),  # torch's own, in jvp
]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Each native pass that is made: whether a gradient was wanted."""
    made: list[bool] = []

    def counted(call: Any, input: Any, wanted: bool) -> Any:
        made.append(wanted)
        return native(call, input, wanted)

    native = fused.native_pass
    for module in ("crossent.torch.fused", "crossent.torch.route", "crossent.torch.operators"):
        monkeypatch.setattr(f"{module}.native_pass", counted)
    return made


def rows(n: int = 6, K: int = 4, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(n + K)
    return torch.randn(n, K, dtype=dtype, requires_grad=True), torch.randint(0, K, (n,))


def test_no_gradient_no_function(passes: list[bool]) -> None:
    z, y = rows()
    with torch.no_grad():
        assert ct.cross_entropy(z, y).grad_fn is None
    assert ct.cross_entropy(z.detach(), y).grad_fn is None
    assert passes == [False, False]


def test_one_pass_makes_loss_and_gradient(passes: list[bool]) -> None:
    z, y = rows()
    ct.cross_entropy(z, y).backward()
    assert passes == [True]


def test_a_second_backward_pass_computes_the_gradient_again(passes: list[bool]) -> None:
    """The first one gave its buffer away, and its new owner may write into it."""
    z, y = rows()
    loss = ct.cross_entropy(z, y)
    (first,) = torch.autograd.grad(loss, z, retain_graph=True)
    kept = first.clone()
    first.zero_()
    (second,) = torch.autograd.grad(loss, z)
    assert torch.equal(second, kept)
    assert passes == [True, True]


def test_the_input_may_change_before_the_first_backward_pass() -> None:
    """As with torch's own loss, which keeps no logits; a second pass then fails loudly."""
    z, y = rows()
    copy = z.detach().clone().requires_grad_()
    hidden = copy * 1
    loss = ct.cross_entropy(hidden, y)
    (want,) = torch.autograd.grad(ct.cross_entropy(z, y), z)
    with torch.no_grad():
        hidden.zero_()
    (got,) = torch.autograd.grad(loss, copy, retain_graph=True)
    assert torch.equal(got, want)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(loss, copy)


def test_gradients_add_up_and_hooks_see_them() -> None:
    z, y = rows()
    seen: list[torch.Tensor] = []
    z.register_hook(lambda grad: seen.append(grad.clone()))
    for _ in range(2):
        ct.cross_entropy(z, y).backward()
    assert z.grad is not None
    assert torch.equal(z.grad, seen[0] + seen[1])
    assert torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("factor", [1.0, -2.5, 0.0])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_what_comes_from_above_scales_the_gradient(factor: float, reduction: str) -> None:
    z, y = rows()
    ours = torch.autograd.grad((factor * ct.cross_entropy(z, y, reduction=reduction)).sum(), z)[0]
    theirs = torch.autograd.grad((factor * F.cross_entropy(z, y, reduction=reduction)).sum(), z)[0]
    torch.testing.assert_close(ours, theirs, equal_nan=True)


def test_row_losses_may_have_upstream_gradients_of_their_own() -> None:
    z, y = rows()
    upstream = torch.linspace(-1, 2, 6, dtype=z.dtype)
    ours = torch.autograd.grad(ct.cross_entropy(z, y, reduction="none"), z, upstream)[0]
    theirs = torch.autograd.grad(F.cross_entropy(z, y, reduction="none"), z, upstream)[0]
    torch.testing.assert_close(ours, theirs)


def hessian_vector(function: Any) -> torch.Tensor:
    """Of the loss squared, so that both the gradient and what comes from above have derivatives."""
    z, y = rows()
    (slope,) = torch.autograd.grad(function(z, y) ** 2, z, create_graph=True)
    return torch.autograd.grad((slope * torch.linspace(0, 1, 24, dtype=z.dtype).reshape(6, 4)).sum(), z)[0]


def test_a_hessian_vector_product_is_not_silently_wrong(passes: list[bool]) -> None:
    torch.testing.assert_close(hessian_vector(ct.cross_entropy), hessian_vector(F.cross_entropy))
    assert passes == [True]


TRANSFORMS = {
    "jvp": lambda f, z: torch.func.jvp(f, (z,), (torch.ones_like(z),)),
    "jacfwd": lambda f, z: torch.func.jacfwd(f)(z),
    "jacrev": lambda f, z: torch.func.jacrev(f)(z),
    "hessian": lambda f, z: torch.func.hessian(f)(z),
    "vmap of grad": lambda f, z: torch.func.vmap(torch.func.grad(f))(torch.stack([z, 2 * z])),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_see_the_formula(transform: str, passes: list[bool]) -> None:
    z, y = rows()
    apply = TRANSFORMS[transform]
    ours, theirs = (
        apply(lambda x, f=f: f(x, y, label_smoothing=0.1), z.detach()) for f in (ct.cross_entropy, F.cross_entropy)
    )
    torch.testing.assert_close(ours, theirs)
    assert passes == []


def test_forward_mode_has_a_tangent() -> None:
    z, y = rows()
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(z.detach(), torch.ones_like(z))
        loss, tangent = torch.autograd.forward_ad.unpack_dual(ct.cross_entropy(dual, y, label_smoothing=0.5))
    assert tangent is not None
    assert abs(tangent.item()) < 1e-15  # the loss does not change along ones
    assert loss.item() == pytest.approx(F.cross_entropy(z, y, label_smoothing=0.5).item(), rel=1e-14)


@pytest.mark.parametrize("what", ["target", "weight"])
def test_targets_and_weights_may_want_gradients(what: str) -> None:
    z, _ = rows()
    q = torch.softmax(torch.randn(6, 4, dtype=z.dtype), 1).requires_grad_(what == "target")
    w = torch.rand(4, dtype=z.dtype).requires_grad_(what == "weight")
    wanted = (z, q if what == "target" else w)
    if what == "weight":
        q = torch.randint(0, 4, (6,))
        with pytest.raises(RuntimeError):  # torch has no derivative by the class weights either
            torch.autograd.grad(F.cross_entropy(z, q, w), wanted)
        return
    ours, theirs = (torch.autograd.grad(f(z, q, w), wanted) for f in (ct.cross_entropy, F.cross_entropy))
    torch.testing.assert_close(ours, theirs)


def test_threads_follow_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large pass asks for torch's number of threads; the bits do not depend on it."""
    import crossent.core.pool as pool

    seen: list[int] = []

    def noted(n: int) -> Any:
        seen.append(n)
        return real(n)

    real = pool.with_threads
    monkeypatch.setattr(fused, "with_threads", noted)
    z, y = torch.randn(3000, 100), torch.randint(0, 100, (3000,))
    before = torch.get_num_threads()
    found = []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            found.append(ct.cross_entropy(z, y))
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 2]
    assert torch.equal(*found)


LAYOUTS = {
    "channels_last": lambda z: z.contiguous(memory_format=torch.channels_last),
    "transposed": lambda z: z.transpose(2, 3).contiguous().transpose(2, 3),
    "every second": lambda z: z.repeat_interleave(2, dim=3)[..., ::2],
    "expanded": lambda z: z[:1].expand(2, -1, -1, -1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_layout(layout: str, dtype: torch.dtype, passes: list[bool]) -> None:
    torch.manual_seed(0)
    z, y = torch.randn(2, 5, 3, 4, dtype=dtype), torch.randint(0, 5, (2, 3, 4))
    moved = LAYOUTS[layout](z).detach().requires_grad_()
    plain = moved.detach().contiguous().requires_grad_()
    losses = [ct.cross_entropy(x, y, reduction="none") for x in (moved, plain)]
    grads = [torch.autograd.grad(loss.float().sum(), x)[0] for loss, x in zip(losses, (moved, plain), strict=True)]
    assert passes == [True, True]
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*grads)


def test_labels_out_of_range_are_index_errors() -> None:
    z, _ = rows()
    for function in (ct.cross_entropy, F.cross_entropy):
        with pytest.raises(IndexError, match="Target 4 is out of bounds"):
            function(z, torch.tensor([0, 1, 2, 3, 4, 0]))


def test_nan_goes_through() -> None:
    """A training loop looks for NaN in the loss; an error in the middle of a step would be a surprise."""
    z, y = rows(2, 3, torch.float32)
    with torch.no_grad():
        z[0, 1] = float("nan")
    loss = ct.cross_entropy(z, y)
    assert torch.isnan(loss)
    loss.backward()
    assert z.grad is not None
    assert torch.isnan(z.grad[0]).all()
    assert torch.isfinite(z.grad[1]).all()
    ignored = ct.cross_entropy(z, torch.tensor([-100, 1]))
    assert torch.isfinite(ignored)  # torch's loss too, but its gradient is NaN


def test_all_ignored_is_nan_as_in_torch() -> None:
    z, _ = rows(2, 3)
    y = torch.full((2,), -100)
    loss = ct.cross_entropy(z, y)
    assert torch.isnan(loss)
    assert torch.isnan(F.cross_entropy(z, y))
    loss.backward()
    assert z.grad is not None
    assert not z.grad.any() or torch.isnan(z.grad).all()


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_nothing_assumes_the_cpu(reduction: str, passes: list[bool]) -> None:
    """On the meta device, which has shapes and dtypes only, every call goes through the formula and stays there."""
    z, y = torch.randn(6, 4, device="meta", requires_grad=True), torch.zeros(6, dtype=torch.long, device="meta")
    q, w = torch.rand(6, 4, device="meta"), torch.rand(4, device="meta")
    calls = [
        lambda: ct.cross_entropy(z, y, w, reduction=reduction, label_smoothing=0.1),
        lambda: ct.cross_entropy(z, q, w, reduction=reduction),
        lambda: ct.binary_cross_entropy(z.sigmoid(), q, reduction=reduction),
        lambda: ct.binary_cross_entropy_with_logits(z, q, reduction=reduction, pos_weight=w),
        lambda: ct.loss(ce.LogitAdjusted(priors=[1, 2, 3, 4], reduction=reduction, class_weight=[1, 2, 3, 4]))(z, y),
        lambda: ct.loss(ce.BinaryFocal(reduction=reduction, pos_weight=[1, 2, 3, 4]))(z, q),
    ]
    for call in calls:
        loss = call()
        assert loss.device.type == "meta"
        (grad,) = torch.autograd.grad(loss.sum(), z)
        assert grad.device.type == "meta"
        assert grad.shape == z.shape
    assert passes == []
