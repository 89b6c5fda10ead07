"""linear_cross_entropy in torch: values and gradients by chunks against the oracle and torch in float64."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import oracle_linear as oracle
from closeness import assert_close
from crossent.core import pool
from crossent.errors import OptionError
from crossent.torch import linear_chunks
from crossent.torch.linear import linear_cross_entropy

pytestmark = pytest.mark.frameworks

N, D, K = 11, 5, 9
LIMIT = {torch.float64: 300, torch.float32: 150, torch.bfloat16: 100, torch.float16: 250}  # some rows a chunk
HALVES = [torch.bfloat16, torch.float16]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def labels(*shape: int) -> torch.Tensor:
    t = torch.randint(K, shape, generator=torch.Generator().manual_seed(1))
    t.view(-1)[2] = -100
    return t


def layer(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return tuple((2 * x).to(dtype).requires_grad_() for x in (draw(N, D), draw(K, D), draw(K)))


def backward(function: Any, parts: Any, target: Any, upstream: Any = None, **options: Any) -> list[torch.Tensor]:
    """The loss, and the gradients of hidden, weight, bias."""
    parts = [None if x is None else x.detach().clone().requires_grad_() for x in parts]
    loss = function(parts[0], parts[1], target, linear_bias=parts[2], **options)
    up = torch.ones_like(loss) if upstream is None else upstream.to(loss.dtype)
    loss.backward(up)
    return [loss.detach(), *(x.grad for x in parts if x is not None)]


@pytest.fixture
def chunk_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every chunk that ran."""
    seen: list[int] = []
    run = linear_chunks.ChunkLoss.run

    def watched(self: Any, z: Any, rows: slice, again: Any, *, gradient: bool) -> None:
        seen.append(rows.stop - rows.start)
        run(self, z, rows, again, gradient=gradient)

    monkeypatch.setattr(linear_chunks.ChunkLoss, "run", watched)
    return seen


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_against_the_oracle(
    dtype: torch.dtype, reduction: str, soft: bool, weighted: bool, smoothing: float, chunk_rows: list[int]
) -> None:
    h, W, b = layer(dtype)
    target = draw(N, K, seed=3).softmax(1).to(dtype) if soft else labels(N)
    w = draw(K).abs().to(dtype) if weighted else None
    q = target.double().numpy() if soft else np.where(target[:, None] == np.arange(K), 1.0, 0.0)
    mass = float(N if soft else (torch.ones(K) if w is None else w.double())[target[target >= 0]].sum())
    factor = 1 / mass if reduction == "mean" else 1.0
    up = draw(N, seed=4).to(dtype) if reduction == "none" else torch.tensor(0.75, dtype=dtype)
    options = {"weight": w, "reduction": reduction, "label_smoothing": smoothing, "memory_limit": LIMIT[dtype]}
    got = backward(linear_cross_entropy, (h, W, b), target, up, **options)
    assert len(chunk_rows) > 2
    assert all(x.dtype is dtype for x in got)
    parts = [x.detach().numpy() for x in (h, W, b)]
    ups = up.double().expand(N).numpy()
    cw = None if w is None else w.double().numpy()
    exact = oracle.softmax_answers(q, *parts, class_weight=cw, label_smoothing=smoothing, factor=factor, upstream=ups)
    Q = ((1 - smoothing) * q + smoothing / K) * (1 if cw is None else cw)
    scale = np.where((q > 0).any(1), Q.sum(1) * factor, 0)[:, None] + np.zeros((N, K))
    bound = oracle.bounds(scale, *parts, parts[0].dtype, losses=np.array(exact.losses, float), upstream=ups)
    if reduction == "none":
        assert_close(got[0].numpy(), exact.losses, bound=bound.losses, label="loss")
    else:
        wide = bound.losses.sum() + abs(float(sum(exact.losses))) * np.finfo(parts[0].dtype).eps
        assert_close(got[0].numpy()[None], [sum(exact.losses)], bound=wide, label="loss")
    for name, found in zip(("hidden", "weight", "bias"), got[1:], strict=True):
        assert_close(found.numpy(), getattr(exact, name), bound=getattr(bound, name), label=name)


def rms(x: torch.Tensor, exact: torch.Tensor) -> float:
    return float((x.double() - exact).square().mean().sqrt() / exact.square().mean().sqrt())


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_as_near_as_torch(dtype: torch.dtype, reduction: str, chunk_rows: list[int]) -> None:
    """Over several chunks, whose gradients are added up in float32; float16 is much nearer, its logits are float32."""
    h, W, b, t = 2 * draw(96, 40), draw(700, 40) / 3, draw(700), torch.arange(96) * 7
    parts = [x.to(dtype) for x in (h, W, b)]
    up = draw(96) if reduction == "none" else None
    exact = backward(F.linear_cross_entropy, [x.double() for x in parts], t, up, reduction=reduction)
    theirs = backward(F.linear_cross_entropy, parts, t, up, reduction=reduction)
    ours = backward(linear_cross_entropy, parts, t, up, reduction=reduction, memory_limit=40_000)
    assert len(chunk_rows) >= 3
    for got, torchs, wanted in zip(ours, theirs, exact, strict=True):
        assert got.dtype is dtype
        assert rms(got, wanted) < 1.15 * rms(torchs, wanted) + 2.0**-9
    assert rms(ours[2], exact[2]) < (1.15 if dtype is torch.bfloat16 else 0.6) * rms(theirs[2], exact[2])


def test_gradients_of_float16_do_not_underflow_before_they_are_scaled() -> None:
    """As under a gradient scaler: a mean over many rows leaves numbers below float16's smallest."""
    h, W = draw(512, 4).half() / 64, torch.zeros(300, 4).half()
    t = torch.arange(512) % 300
    exact = backward(F.linear_cross_entropy, (h.double(), W.double(), None), t, torch.tensor(4096.0))
    got = backward(linear_cross_entropy, (h, W, None), t, torch.tensor(4096.0))
    assert rms(got[2], exact[2]) < 2e-3


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_chunks_change_nothing_but_rounding(dtype: torch.dtype, chunk_rows: list[int]) -> None:
    h, W, b = layer(dtype)
    whole = backward(linear_cross_entropy, (h, W, b), labels(N))
    assert chunk_rows == [N]
    for limit in (LIMIT[dtype], 2 * LIMIT[dtype]):
        for part, exact in zip(
            backward(linear_cross_entropy, (h, W, b), labels(N), memory_limit=limit), whole, strict=True
        ):
            torch.testing.assert_close(part, exact)
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=4)
    chunk_rows.clear()
    with_options = backward(linear_cross_entropy, (h, W, b), labels(N), options=options)
    assert chunk_rows == [4, 4, 3]
    torch.testing.assert_close(with_options, whole)


@pytest.mark.parametrize(
    "shaped",
    [
        lambda h, W: (h.t().contiguous().t(), W),
        lambda h, W: (h, W.t().contiguous().t()),
        lambda h, W: (h[::2], W),
        lambda h, W: (h, torch.stack([W, W], 2)[..., 0]),
        lambda h, W: (h, torch.cat([W, W], 1)[:, :D]),
        lambda h, W: (h[:1].expand(6, D), W),
        lambda h, W: (h, W[:1].expand(K, D)),
        lambda h, W: (h[:1], W[:1]),
        lambda h, W: (h[:, :1], W[:, :1]),
        lambda h, W: (h[:, :0], W[:, :0]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_layouts(dtype: torch.dtype, shaped: Any) -> None:
    h, W = shaped(draw(12, D), draw(K, D))
    h, W = h.detach().to(dtype), W.detach().to(dtype)
    t = torch.arange(len(h)) % len(W)
    got = backward(linear_cross_entropy, (h, W, None), t, memory_limit=500)
    want = backward(F.linear_cross_entropy, (h.double(), W.double(), None), t)
    for ours, exact in zip(got, want, strict=True):
        torch.testing.assert_close(
            ours.double(), exact, rtol=0.02 if dtype in HALVES else 1e-12, atol=0.01 if dtype in HALVES else 1e-12
        )


def outcome(function: Any, *args: Any, **options: Any) -> Any:
    try:
        return backward(function, *args, **options)
    except Exception as error:
        return type(error).__name__, str(error)


def odd_calls() -> dict[str, tuple[Any, Any, dict[str, Any]]]:
    h, W, b, t = draw(N, D), draw(K, D), draw(K), labels(N)
    q = draw(N, K, seed=9).softmax(1)
    nan, gone, zero = h.clone(), b.clone(), q.clone()
    nan[4, 1], gone[3], zero[5] = torch.nan, -torch.inf, 0
    w = torch.rand(K).double()
    return {
        "one row": ((h[0], W, b), t[0], {}), "one soft row": ((h[0], W, b), q[0], {}),
        "empty": ((h[:0], W, b), t[:0], {}), "all ignored": ((h, W, b), torch.full_like(t, -100), {}),
        "ignore 3": ((h, W, b), torch.where(t < 0, 3, t), {"ignore_index": 3}),
        "bytes": ((h, W, b), t.clamp(min=0).byte(), {}), "nan": ((nan, W, b), t, {}), "soft nan": ((nan, W, b), q, {}),
        "class ruled out": ((h, W, gone), torch.where(t == 3, 4, t), {}),
        "k-dimensional": ((h, draw(K, 3, D), draw(K, 3)), labels(N, 3), {}),
        "negative weight": ((h, W, b), t, {"weight": w - 0.5}), "row without target": ((h, W, b), zero, {}),
        "odd targets": ((h, W, b), 3 * q - 1, {"weight": w}), "float targets": ((h, W, b), q.float(), {}),
        "double targets": ((h.float(), W.float(), b.float()), q, {}),
        "out of range": ((h, W, b), t.index_fill(0, torch.tensor([1]), 11), {}), "int32": ((h, W, b), t.int(), {}),
        "short": ((h, W, b), t[1:], {}),
        "mixed": ((h.float(), W, b), t, {}), "mixed bias": ((h, W, b.float()), t, {}),
        "bias shape": ((h, W, b[1:]), t, {}), "features": ((h[:, 1:], W, b), t, {}), "3-D": ((h[None], W, b), t, {}),
        "vector": ((h, W[0], None), t, {}), "weight shape": ((h, W, b), t, {"weight": w[1:]}),
        "weight dtype": ((h, W, b), t, {"weight": w.float()}), "smoothing": ((h, W, b), t, {"label_smoothing": 2.0}),
        "reduction": ((h, W, b), t, {"reduction": "meen"}), "ignore soft": ((h, W, b), q, {"ignore_index": 2}),
        "row of k": ((h[0], draw(K, 3, D), None), labels(3), {}), "integers": ((h, W, b), q.long(), {}),
    }  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", odd_calls())
def test_odd_calls_are_torchs(name: str, reduction: str) -> None:
    parts, target, options = odd_calls()[name]
    options = {"reduction": reduction, **options}
    got, want = (outcome(f, parts, target, **options) for f in (linear_cross_entropy, F.linear_cross_entropy))
    if isinstance(want, tuple):
        assert got == want
        return
    assert [x.dtype for x in got] == [x.dtype for x in want]
    for ours, exact in zip(got, want, strict=True):
        torch.testing.assert_close(ours, exact, equal_nan=True, rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        value = linear_cross_entropy(parts[0], parts[1], target, linear_bias=parts[2], **options)
    torch.testing.assert_close(value, want[0], equal_nan=True, rtol=1e-5, atol=1e-6)


def test_an_ignored_row_of_nan_is_left_out(chunk_rows: list[int]) -> None:
    h, W, b = (x.detach() for x in layer())
    b[4] = torch.inf  # two of them in no row; the first row that is kept has that class
    h[2] = torch.nan
    loss = linear_cross_entropy(h, W, torch.where(labels(N) < 0, -100, 4), linear_bias=b, reduction="none")
    assert loss.tolist() == [0.0] * N  # torch has NaN: inf - inf
    assert len(chunk_rows) == 1


def test_bytes_are_indices() -> None:
    """156 is -100 in 8 bits; and 255 is no class."""
    h, W = draw(3, D), draw(200, D)
    y = torch.tensor([3, 156, 199], dtype=torch.uint8)
    for reduction in ("mean", "sum", "none"):
        torch.testing.assert_close(
            *([*backward(linear_cross_entropy, (h, W, None), target, reduction=reduction, **more)]
              for target, more in ((y, {"memory_limit": 4000}), (y.long(), {}))), rtol=1e-12, atol=1e-13,
        )  # fmt: skip
    whole = linear_cross_entropy(h, W, y)
    assert whole.item() == pytest.approx(F.cross_entropy(h @ W.T, y.long()).item(), rel=1e-12)
    left_out = linear_cross_entropy(h, W, y, ignore_index=156)
    assert left_out.item() == pytest.approx(F.cross_entropy((h @ W.T)[::2], y.long()[::2]).item(), rel=1e-12)
    with pytest.raises(IndexError, match="Target 255"):
        linear_cross_entropy(h, W, torch.tensor([0, 255, 1], dtype=torch.uint8))


def test_options_on_other_devices_are_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(F, "linear_cross_entropy", lambda *args, **options: seen.append(options["options"]))
    parts = [torch.empty(shape, device="meta") for shape in ((N, D), (K, D))]
    y, options = torch.zeros(N, dtype=torch.int64, device="meta"), torch.nn.LinearCrossEntropyOptions()
    linear_cross_entropy(*parts, y, options=options)
    assert seen == [options]
    assert linear_cross_entropy(*parts, y).device.type == "meta"
    linear_cross_entropy(draw(N, D), draw(K, D), labels(N), options=options)
    assert len(seen) == 1


def test_a_limit_that_is_too_small() -> None:
    h, W, _ = layer()
    with pytest.raises(OptionError, match="memory_limit is 20 bytes"):
        linear_cross_entropy(h, W, labels(N), memory_limit=20)
    with pytest.raises(OptionError, match="memory_limit is -1"):
        linear_cross_entropy(h, W, labels(N), memory_limit=-1)


def test_threads_follow_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    run = linear_chunks.ChunkLoss.run

    def watched(*args: Any, **more: Any) -> None:
        seen.append(pool._own.threads)
        run(*args, **more)

    monkeypatch.setattr(linear_chunks.ChunkLoss, "run", watched)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            backward(linear_cross_entropy, layer(), labels(N))
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 2]


@pytest.mark.parametrize("low", HALVES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("soft", [False, True])
def test_autocast(dtype: torch.dtype, soft: bool, low: torch.dtype, chunk_rows: list[int]) -> None:
    """Products as autocast has them, the loss in float32; as near as torch to the exact answers of what was cast."""
    parts = [x.to(dtype) for x in (draw(64, 24), draw(90, 24) / 2, draw(90))]
    target = draw(64, 90).softmax(1).to(dtype) if soft else torch.arange(64)
    options = {"weight": draw(90).abs().float(), "label_smoothing": 0.1}
    with torch.autocast("cpu", dtype=low):
        got = backward(linear_cross_entropy, parts, target, **options)
        want = backward(F.linear_cross_entropy, parts, target, **options)
    options["weight"] = options["weight"].double()
    cast = [x.to(low).double() for x in parts]
    exact = backward(F.linear_cross_entropy, cast, target.double() if soft else target, **options)
    assert chunk_rows == [64]
    assert [x.dtype for x in got] == [x.dtype for x in want]
    assert got[0].dtype is torch.float32
    assert abs(got[0] - exact[0]) < 1.1 * abs(want[0] - exact[0]) + 1e-6
    for ours, theirs, wanted in zip(got[1:], want[1:], exact[1:], strict=True):
        assert rms(ours, wanted) < 1.15 * rms(theirs, wanted)
