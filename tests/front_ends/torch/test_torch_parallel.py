"""Vocabulary-parallel losses in 2, 3 and 4 processes, against torch in float64 in one."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

import torch_shards
from closeness import assert_close

pytestmark = [pytest.mark.frameworks, pytest.mark.slow, pytest.mark.cluster]

N, D, K = 9, 5, 13
CUTS = {1: [[]], 2: [[6], [1]], 3: [[4, 9], [1, 12]], 4: [[3, 6, 9], [1, 2, 3]]}
ULPS = {torch.float64: 40, torch.float32: 40, torch.bfloat16: 6, torch.float16: 6}


def draw(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64).to(
        dtype
    )


def labels(*shape: int, classes: int = K) -> torch.Tensor:
    t = torch.randint(classes, shape, generator=torch.Generator().manual_seed(3))
    t.view(-1)[1] = -100
    return t


def expected(case: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any]]:
    """torch's answers in float64, in one process."""
    options = {name: value for name, value in case.get("options", {}).items() if name != "memory_limit"}
    if options.get("weight") is not None:
        options["weight"] = options["weight"].double()
    parts = {name: case[name].double().detach().requires_grad_() for name in ("logits", "input", "weight", "bias")
             if case.get(name) is not None}  # fmt: skip
    z = parts["logits"] if "logits" in parts else F.linear(parts["input"], parts["weight"], parts.get("bias"))
    loss = F.cross_entropy(z.reshape(-1, z.shape[-1]), case["target"].reshape(-1), **options)
    loss = loss.reshape(case["target"].shape) if loss.dim() else loss
    loss.backward(case.get("upstream", torch.ones(())).double().expand(loss.shape))
    return loss.detach(), {name: x.grad for name, x in parts.items()}


def close(actual: torch.Tensor, exact: torch.Tensor, label: str) -> None:
    """Within some units in the last place of the largest element: sums and products round against each other."""
    top = exact.abs().max().expand(exact.shape) if exact.numel() else exact
    got = actual.float() if actual.dtype is torch.bfloat16 else actual
    ulps = ULPS[actual.dtype] * (2**16 if actual.dtype is torch.bfloat16 else 1)
    assert_close(got.numpy(), exact.numpy(), ulps=ulps, of=top.numpy(), label=label)


def check(world: int, case: dict[str, Any], found: list[Any]) -> None:
    """The loss is the same on all processes; the gradients, put together, are those of one."""
    loss, grads = expected(case)
    for got in found:
        assert isinstance(got[0], torch.Tensor), got
        assert got[0].dtype is (case["logits"] if "logits" in case else case["input"]).dtype
        assert torch.equal(got[0], found[0][0])
    close(found[0][0], loss, "loss")
    for name, exact in grads.items():
        if name in case.get("frozen", ()):
            assert all(got[1][name] is None for got in found)
        elif name == "input":
            for got in found:
                assert torch.equal(got[1][name], found[0][1][name])
            close(found[0][1][name], exact, name)
        else:
            close(torch.cat([got[1][name] for got in found], -1 if name == "logits" else 0), exact, name)


def both(**more: Any) -> list[dict[str, Any]]:
    """The same case on logits and behind a linear layer."""
    dtype = more.pop("dtype", torch.float64)
    shape = tuple(more["target"].shape)
    return [{"logits": 3 * draw(*shape, K, dtype=dtype), **more},
            {"input": draw(*shape, D, dtype=dtype), "weight": draw(K, D, dtype=dtype), "bias": draw(K, dtype=dtype),
             **more}]  # fmt: skip


def cases() -> list[dict[str, Any]]:
    t = labels(N)
    w = draw(K).abs() + 0.1
    found = []
    for reduction in ("mean", "sum", "none"):
        up = draw(N) if reduction == "none" else torch.tensor(0.75, dtype=torch.float64)
        found += both(target=t, options={"reduction": reduction}, upstream=up)
        found += both(target=t, options={"reduction": reduction, "weight": w, "label_smoothing": 0.2}, upstream=up)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        found += both(target=t, dtype=dtype)
        found += both(target=t, dtype=dtype, options={"reduction": "none"}, upstream=draw(N, dtype=dtype).round())
    found += both(target=labels(3, 4), options={"ignore_index": 5, "reduction": "none"})[:1]
    found[-1]["target"][found[-1]["target"] < 0] = 5
    found += both(target=torch.tensor(4))
    found += both(target=t[:0], options={"reduction": "sum"})
    found.append({**both(target=t, options={"memory_limit": 500})[1]})  # several chunks
    found.append({**both(target=t, dtype=torch.bfloat16, options={"memory_limit": 500})[1]})
    found.append({**both(target=t)[1], "frozen": ("weight",), "bias": None})
    found.append({**both(target=t)[1], "frozen": ("input",)})
    far = both(target=t)[0]
    far["logits"] = far["logits"] * 300
    return [*found, far]


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_equal_to_one_process(world: int, tmp_path: Any) -> None:
    all_cases = [{"do": "loss_and_grads", "cuts": cuts, **case} for cuts in CUTS[world] for case in cases()]
    by_process = torch_shards.run(world, all_cases, tmp_path)
    for number, case in enumerate(all_cases):
        check(world, case, [found[number] for found in by_process])


def test_torch_operations_of_other_devices(tmp_path: Any) -> None:
    all_cases = [{"do": "other_device", "cuts": [4, 9], **case} for case in cases()]
    by_process = torch_shards.run(3, all_cases, tmp_path)
    for number, case in enumerate(all_cases):
        check(3, case, [found[number] for found in by_process])


def test_again_and_again_and_refusals(tmp_path: Any) -> None:
    logits, layer = both(target=labels(N))
    cuts, none = [6], {"reduction": "none"}
    named = {
        "twice": [{"do": "twice", **case, "options": options} for case in (logits, layer) for options in ({}, none)],
        "second": [
            {"do": how, **case} for case in (logits, layer) for how in ("second_order", "second_order_elsewhere")
        ],
        "alone": [{"do": "loss_alone", **case} for case in (logits, layer)],
        "func": [{"do": "transformed", **logits}],
    }
    asked = [{"cuts": cuts, **case} for group in named.values() for case in group]
    by_process = torch_shards.run(2, asked, tmp_path)
    for found in by_process:
        answers = iter(found)
        for _ in named["twice"]:
            for first, again in zip(*next(answers), strict=True):
                assert torch.equal(first, again)
                assert first.abs().max() > 0
        for _ in named["second"]:
            kind, text = next(answers)
            assert kind == "UnsupportedError"
            assert "create_graph=True" in text
        for case in (logits, layer):
            close(next(answers), expected(case)[0], "loss")
        assert next(answers)[0] == "UnsupportedError"


def test_what_torch_makes_of_nan_and_infinity(tmp_path: Any) -> None:
    """Rows without a softmax are NaN on every process; a shard of nothing but -inf is none of them."""
    nan, inf = float("nan"), float("inf")
    z = draw(N, K)
    z[2, 3], z[4] = nan, -inf
    z[5, 2:8] = -inf
    z[1] = nan  # ignored
    t = labels(N)
    t[5] = 9
    case = {"logits": z, "target": t, "options": {"reduction": "none"}}
    h, W, b = draw(N, D), draw(K, D), draw(K)
    h[2, 1] = nan
    b[4:8] = -inf
    layer = {"input": h, "weight": W, "bias": b, "target": torch.full((N,), 9), "options": {"reduction": "none"}}
    whole = {**layer, "options": {}, "frozen": ("weight", "bias")}
    asked = [{"do": "loss_and_grads", "cuts": [4, 8], **each} for each in (case, layer, whole)]
    by_process = torch_shards.run(3, asked, tmp_path)
    loss, grads = expected(case)
    loss[1] = 0
    lost = loss.isnan()
    assert lost.tolist() == [row in (2, 4) for row in range(N)]
    grad = torch.cat([found[0][1]["logits"] for found in by_process], -1)
    for found in by_process:
        assert torch.equal(found[0][0].isnan(), lost)
        close(found[0][0][~lost], loss[~lost], "loss")
    assert grad[lost].isnan().all()
    assert (grad[1] == 0).all()
    whole_rows = ~lost & (t >= 0)
    close(grad[whole_rows], grads["logits"][whole_rows], "gradient")
    assert by_process[0][1][0].isnan().tolist() == [row == 2 for row in range(N)]
    assert by_process[0][1][1]["input"].isnan().any(1).tolist() == [row == 2 for row in range(N)]
    assert all(found[2][0].isnan() for found in by_process)


def test_all_ignored(tmp_path: Any) -> None:
    asked = [{"do": "loss_and_grads", "cuts": [4], **case} for case in both(target=torch.full((N,), -100))]
    for found in torch_shards.run(2, asked, tmp_path):
        for loss, grads in found:
            assert loss.isnan()
            assert all((grad == 0).all() for grad in grads.values())


def test_every_process_hears_of_an_error(tmp_path: Any) -> None:
    """None is left waiting, whoever was wrong; afterwards the group still works."""
    t = labels(N)
    logits, layer = both(target=t)
    wrong = torch.where(t < 0, K, t)
    zero = draw(K).abs()
    zero[3] = 0
    same = {"do": "loss_alone", "cuts": [4]}
    differ = {"do": "per_process", "cuts": [4], **logits}
    asked = [
        {**same, **logits, "target": wrong},
        {**same, **layer, "target": wrong},
        {**differ, "each": [{"target": t}, {"target": t.roll(1)}]},
        {**differ, "each": [{"target": t}, {"target": t[1:]}]},
        {**differ, "each": [{}, {"options": {"label_smoothing": 0.1}}]},
        {**differ, "each": [{"options": {"label_smoothing": 0.1, "weight": zero}}, {}]},
        {**same, **logits, "target": t.int()},
        {**same, **logits, "options": {"weight": zero[1:]}},
        {**same, **logits, "options": {"weight": -zero}},
        {**same, **layer, "options": {"memory_limit": 1}},
        {**same, **layer, "input": layer["input"][:, 1:]},
        {**same, **logits, "options": {"reduction": "meen"}},
        {**same, **logits},
    ]
    kinds = [[answer[0] for answer in found[:-1]] for found in torch_shards.run(2, asked, tmp_path)]
    common = ["DtypeError", "ShapeError", "WeightError", "OptionError", "ShapeError", "ValueError"]
    assert kinds[0] == [*["IndexError"] * 2, "ShapeError", "RuntimeError", "ShapeError", "UnsupportedError", *common]
    assert kinds[1] == [*["IndexError"] * 2, "ShapeError", "ShapeError", "ShapeError", "RuntimeError", *common]


def test_whoever_is_in_trouble_tells_the_others(tmp_path: Any) -> None:
    kinds = {
        "grad": "UnsupportedError", "vmap": "UnsupportedError", "jvp": "UnsupportedError", "reduction": "ValueError",
        "scalar": "ShapeError", "no tensor": "AttributeError", "no target": "AttributeError",
    }  # fmt: skip
    asked = [{"do": "alone_in_trouble", "cuts": [4], "trouble": trouble, **case}
             for case in both(target=labels(N)) for trouble in kinds]  # fmt: skip
    first, second = torch_shards.run(2, asked, tmp_path)
    assert [answer[0] for answer in first] == [*kinds.values()] * 2
    assert [answer[0] for answer in second] == ["RuntimeError"] * len(asked)


def test_targets_and_weights_that_were_written_over(tmp_path: Any) -> None:
    """An error, as torch's own, unless the gradient was there before."""
    asked = [
        {"do": "written_over", "cuts": [4], "over": over, **case, "options": {"weight": draw(K).abs(), **more}}
        for over in ("target", "weight") for more in ({}, {"reduction": "none"}) for case in both(target=labels(N))
    ]  # fmt: skip
    for found in torch_shards.run(2, asked, tmp_path):
        for case, (once, again) in zip(asked, found, strict=True):
            assert "modified by an inplace operation" in again
            if "logits" in case or "reduction" in case["options"]:
                assert "modified by an inplace operation" in once
            else:
                close(once["input"], expected({**case, "upstream": torch.ones(())})[1]["input"], "input")


@pytest.mark.parametrize("do", ["loss_and_grads", "other_device"])
def test_confident_rows_keep_their_digits(do: str, tmp_path: Any) -> None:
    """Far above all other logits, a target's loss is about (K - 1) exp(-gap), its gradient about minus that."""
    gaps = torch.tensor([20.0, 40.0, 60.0, 80.0])
    target = torch.tensor([0, 5, 12, 6])
    z = torch.zeros(4, K).scatter_(1, target[:, None], gaps[:, None])
    case = {"do": do, "cuts": [4, 9], "logits": z, "target": target, "options": {"reduction": "none"}}
    by_process = torch_shards.run(3, [case, {**case, "logits": z + 7}], tmp_path)
    rest = (K - 1) * (-gaps.double()).exp()
    for number in range(2):
        grad = torch.cat([found[number][1]["logits"] for found in by_process], -1)
        assert_close(by_process[0][number][0].numpy(), rest.log1p().numpy(), ulps=8, label="loss")
        p = (z.double() - gaps.double()[:, None]).exp() / (1 + rest[:, None])
        exact = p.scatter(1, target[:, None], -(rest / (1 + rest))[:, None])
        assert_close(grad.numpy(), exact.numpy(), ulps=8, label="gradient")


def test_autocast(tmp_path: Any) -> None:
    """Half precision becomes float32 before the loss; float32 parts of a layer half precision before the product."""
    logits, _ = both(target=labels(N), dtype=torch.bfloat16)
    _, layer = both(target=labels(N), dtype=torch.float32)
    asked = [{"do": "autocast", "cuts": [4], **case} for case in (logits, layer)]
    for found in torch_shards.run(2, asked, tmp_path):
        for case, (loss, grads) in zip((logits, layer), found, strict=True):
            exact = expected(case)[0]
            assert isinstance(loss, torch.Tensor), (loss, grads)
            assert loss.dtype is torch.float32
            close(loss if case is logits else loss.bfloat16(), exact, "loss")
            assert {x.dtype for x in grads.values()} == {torch.bfloat16 if case is logits else torch.float32}


def test_a_group_of_some_processes(tmp_path: Any) -> None:
    asked = [{"do": "within", "cuts": [4], **case} for case in both(target=labels(N))]
    by_process = torch_shards.run(3, asked, tmp_path)
    assert by_process[2] == [None, None]
    for number, case in enumerate(asked):
        check(2, case, [found[number] for found in by_process[:2]])
