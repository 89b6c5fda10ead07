"""linear_cross_entropy and autograd: both routes, second backward passes, buffers that were handed over, memory."""

import sys
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from crossent.torch import linear_call
from crossent.torch.linear import linear_cross_entropy
from processes import run_python

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

N, D, K = 7, 3, 5
each_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def layer(dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return [x.to(dtype).requires_grad_() for x in (draw(N, D), draw(K, D), draw(K))]


TARGET = torch.tensor([0, 4, -100, 2, 2, 1, 0])


def loss_of(h: Any, W: Any, b: Any, function: Any = linear_cross_entropy, target: Any = TARGET, **options: Any) -> Any:
    return function(h, W, target, linear_bias=b, **options)


@pytest.fixture
def formulas(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that all logits were made."""
    seen: list[int] = []
    formula = linear_call.LinearCall.formula

    def watched(*args: Any) -> Any:
        seen.append(1)
        return formula(*args)

    monkeypatch.setattr(linear_call.LinearCall, "formula", watched)
    return seen


@each_reduction
def test_first_and_second_derivatives(reduction: str, formulas: list[int]) -> None:
    parts = layer()

    def loss(*parts: torch.Tensor) -> Any:
        return loss_of(*parts, reduction=reduction, memory_limit=200)

    assert torch.autograd.gradcheck(loss, parts)
    assert formulas == []
    assert torch.autograd.gradgradcheck(loss, parts)
    assert formulas != []


@each_reduction
def test_hessian_vector_products_of_a_larger_loss(reduction: str) -> None:
    found = []
    for function in (linear_cross_entropy, F.linear_cross_entropy):
        parts = layer()
        total = loss_of(*parts, function, reduction=reduction).sum() * parts[1].square().sum()
        first = torch.autograd.grad(total, parts, create_graph=True)
        second = torch.autograd.grad(sum((x * x).sum() for x in first), parts)
        found.append([*first, *second])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


@each_reduction
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_what_was_handed_over_is_the_callers(reduction: str, dtype: torch.dtype, formulas: list[int]) -> None:
    parts = layer(dtype)
    loss = loss_of(*parts, reduction=reduction, memory_limit=150).sum()
    first = torch.autograd.grad(loss, parts, retain_graph=True)
    kept = [x.clone() for x in first]
    for x in first:
        x.zero_()
    again = torch.autograd.grad(loss, parts, retain_graph=True)
    scaled = torch.autograd.grad(4 * loss, parts)
    for one, two, four in zip(kept, again, scaled, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(4 * one, four)
    assert formulas == []
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, parts)


@pytest.mark.parametrize("what", ["target", "weight", "input", "linear_weight"])
@each_reduction
def test_what_changes_before_the_backward_pass(what: str, reduction: str) -> None:
    """Harmless where the gradient is there already; an error, as torch's, where it is computed from what changed."""
    h, W, b = layer()
    held = {"target": TARGET.clone(), "weight": draw(K).abs(), "input": h * 1, "linear_weight": W * 1}
    want = torch.autograd.grad(loss_of(h, W, b, weight=held["weight"].clone(), reduction=reduction).sum(), (h, W, b))
    loss = linear_cross_entropy(**held, linear_bias=b, reduction=reduction).sum()
    with torch.no_grad():
        held[what].copy_(held[what].flip(0))
    if reduction != "none":
        got = torch.autograd.grad(loss, (h, W, b), retain_graph=True)
        assert all(torch.equal(one, other) for one, other in zip(got, want, strict=True))
    for create_graph in (True, False):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(loss, (h, W, b), retain_graph=True, create_graph=create_graph)


def test_gradients_accumulate_and_hooks_see_them() -> None:
    parts, seen = layer(), []
    parts[1].register_hook(lambda g: seen.append(g.clone()))
    parts[0].register_hook(lambda g: 2 * g)
    for _ in range(3):
        (loss_of(*parts) / 3).backward()
    one = torch.autograd.grad(loss_of(*parts), parts)
    torch.testing.assert_close(parts[1].grad, one[1], rtol=1e-14, atol=0)
    torch.testing.assert_close(parts[0].grad, one[0], rtol=1e-14, atol=0)
    other = layer()
    loss_of(*other).backward()
    assert torch.equal(one[0], 2 * other[0].grad)
    assert len(seen) == 4


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
@each_reduction
def test_only_what_is_asked_for(wanted: tuple[int, ...], reduction: str) -> None:
    parts = [x.detach().requires_grad_(i in wanted) for i, x in enumerate(layer())]
    loss_of(*parts, reduction=reduction).sum().backward()
    full = layer()
    loss_of(*full, reduction=reduction).sum().backward()
    for i, (part, other) in enumerate(zip(parts, full, strict=True)):
        assert (part.grad is not None) == (i in wanted)
        assert part.grad is None or torch.equal(part.grad, other.grad)


def test_nothing_is_saved_where_no_gradient_is_wanted() -> None:
    parts = layer()
    with torch.no_grad():
        assert loss_of(*parts).grad_fn is None
    with torch.inference_mode():
        value = loss_of(*parts)
    torch.testing.assert_close(value, loss_of(*parts).detach(), rtol=0, atol=0)


@pytest.mark.parametrize("bad", [0.0, -2.0, float("nan"), float("inf")])
@each_reduction
def test_what_comes_from_above(bad: float, reduction: str) -> None:
    found = []
    for function in (linear_cross_entropy, F.linear_cross_entropy):
        parts = layer()
        loss = loss_of(*parts, function, reduction=reduction)
        up = torch.ones_like(loss)
        up.view(-1)[0] = bad
        loss.backward(up)
        found.append([x.grad for x in parts])
    for ours, theirs in zip(*found, strict=True):
        whole = ours.isfinite()  # not in a row that is ignored under a mean times NaN: torch keeps its 0
        assert not (whole & ~theirs.isfinite()).any()
        assert ours[whole].numel() or bad != 0
        torch.testing.assert_close(ours[whole], theirs[whole], rtol=1e-12, atol=1e-13)


@each_reduction
def test_many_upstreams_at_once(reduction: str) -> None:
    found = []
    for function in (linear_cross_entropy, F.linear_cross_entropy):
        parts = layer()
        loss = loss_of(*parts, function, reduction=reduction)
        found.append(torch.autograd.grad(loss, parts, draw(4, *loss.shape), is_grads_batched=True))
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch's own, at its first jvp
def test_transforms_take_the_formula(formulas: list[int]) -> None:
    h, W, b = (x.detach() for x in layer())
    target = TARGET.clamp(min=0)

    def ours(W: Any) -> Any:
        return loss_of(h, W, b, target=target)

    def torchs(W: Any) -> Any:
        return loss_of(h, W, b, F.linear_cross_entropy, target=target)

    tangent = draw(K, D)
    for transform in (
        lambda f: torch.func.grad(f)(W), lambda f: torch.func.hessian(f)(W), lambda f: torch.func.jacrev(f)(W),
        lambda f: torch.func.jvp(f, (W,), (tangent,)),
        lambda f: torch.func.vmap(torch.func.grad(f))(torch.stack([W, tangent])),
    ):  # fmt: skip
        formulas.clear()
        torch.testing.assert_close(transform(ours), transform(torchs), rtol=1e-10, atol=1e-12)
        assert formulas


def test_weights_and_targets_that_ask_for_gradients(formulas: list[int]) -> None:
    h, W, b = layer()
    q, w = draw(N, K).softmax(1).requires_grad_(), draw(K).abs().requires_grad_()
    found = [torch.autograd.grad(loss_of(h, W, b, f, target=q, weight=w), (W, q, w))
             for f in (linear_cross_entropy, F.linear_cross_entropy)]  # fmt: skip
    torch.testing.assert_close(*found, rtol=1e-11, atol=1e-12)
    assert formulas == [1]


def test_compiled_whole() -> None:
    parts = layer(torch.float32)
    compiled = torch.compile(loss_of, fullgraph=True, backend="aot_eager")
    got = torch.autograd.grad(compiled(*parts), parts)
    want = torch.autograd.grad(loss_of(*parts), parts)
    torch.testing.assert_close(got, want)


MEMORY = """
    import torch, crossent as ce
    from crossent.torch.linear import linear_cross_entropy
    N, D, K, limit, reduction, dtype = {N}, 64, 20_000, {limit}, {reduction!r}, torch.{dtype}
    torch.manual_seed(0)
    def status(name):
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))
    h, W = torch.randn(N, D).to(dtype).requires_grad_(), torch.randn(K, D).to(dtype).requires_grad_()
    b, y = torch.zeros(K, dtype=dtype, requires_grad=True), torch.randint(0, K, (N,))
    def run(limit):
        h.grad = W.grad = b.grad = None
        linear_cross_entropy(h, W, y, linear_bias=b, reduction=reduction, memory_limit=limit).sum().backward()
    run(40_000_000)
    h.grad = W.grad = b.grad = None
    ce.empty_cache()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = status("VmRSS")
    run(limit)
    print(status("VmHWM") - before - sum(x.numel() * 4 for x in (h, W, b)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks are read from /proc")
@pytest.mark.parametrize(
    ("dtype", "reduction"), [("float32", "mean"), ("float32", "none"), ("bfloat16", "mean"), ("float16", "mean")]
)
def test_memory_keeps_to_the_limit(reduction: str, dtype: str) -> None:
    """All logits of 3000 rows would take 240 MB in float32, those of bfloat16 half of that."""
    limit, found = 16_000_000, []
    for rows in (1500, 3000):
        done = run_python(MEMORY.format(N=rows, limit=limit, reduction=reduction, dtype=dtype))
        assert done.stderr == ""
        found.append(int(done.stdout))
    slack = 9_000_000  # halves of float32 gradients, what torch's products keep
    assert all(0.4 * limit < each < limit + slack for each in found), found
    assert abs(found[0] - found[1]) < slack
