"""Processes for tests that hold a vocabulary, or score rows, together: each runs the same named cases on its own part.

`run` starts them, waits, and leaves none behind. A case is a dict: "do", the name of a function below, "cuts", where
the classes are cut, or "blocks" of rows by process, and what that function takes. Results come back by process and
case; an exception as type and text.
"""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

__all__ = ["run"]

_SECONDS = 100


def run(world: int, cases: list[dict[str, Any]], folder: Path) -> list[list[Any]]:
    """[process][case]: the results."""
    torch.save(cases, folder / "cases")
    command = [sys.executable, "-W", "error", __file__, str(folder), str(world)]
    started = [subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True) for rank in range(world)]
    try:
        for process in started:
            _, said = process.communicate(timeout=_SECONDS)
            assert process.returncode == 0, said
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [torch.load(folder / f"found{rank}") for rank in range(world)]


def _own(x: Tensor | None, cuts: list[int], axis: int) -> Tensor | None:
    """This process's classes."""
    if x is None:
        return None
    ends, rank = [0, *cuts, x.shape[axis]], dist.get_rank()
    return x.narrow(axis, ends[rank], ends[rank + 1] - ends[rank]).clone()


def _call(case: dict[str, Any], parts: dict[str, Tensor | None], **more: Any) -> Tensor:
    from crossent.torch.parallel import vocab_parallel_cross_entropy, vocab_parallel_linear_cross_entropy

    options = {**case.get("options", {}), **more}
    if "logits" in parts:
        return vocab_parallel_cross_entropy(parts["logits"], case["target"], **options)
    return vocab_parallel_linear_cross_entropy(
        parts["input"], parts["weight"], case["target"], bias_shard=parts["bias"], **options
    )


def _parts(case: dict[str, Any]) -> dict[str, Tensor | None]:
    cuts = case["cuts"]
    if "logits" in case:
        found = {"logits": _own(case["logits"], cuts, -1)}
    else:
        found = {"input": case["input"].clone(), "weight": _own(case["weight"], cuts, 0),
                 "bias": _own(case.get("bias"), cuts, 0)}  # fmt: skip
    frozen = case.get("frozen", ())
    return {name: x if x is None or name in frozen else x.requires_grad_() for name, x in found.items()}


def _grads(parts: dict[str, Tensor | None]) -> dict[str, Tensor | None]:
    return {name: None if x is None else x.grad for name, x in parts.items()}


def loss_and_grads(case: dict[str, Any]) -> Any:
    """The loss, and the gradients times what comes from above."""
    parts = _parts(case)
    loss = _call(case, parts)
    loss.backward(case.get("upstream", torch.ones((), dtype=loss.dtype)).to(loss.dtype).expand(loss.shape))
    return loss.detach(), _grads(parts)


def autocast(case: dict[str, Any]) -> Any:
    """Losses and gradients of float32 parts under autocast."""
    parts = _parts(case)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = _call(case, parts)
    loss.backward()
    return loss.detach(), _grads(parts)


def loss_alone(case: dict[str, Any]) -> Any:
    """Without gradients."""
    with torch.no_grad():
        return _call(case, _parts(case))


def twice(case: dict[str, Any]) -> Any:
    """Two backward passes; the first gradients are written over in between."""
    parts = _parts(case)
    wanted = [x for x in parts.values() if x is not None]
    loss = _call(case, parts).sum()
    first = torch.autograd.grad(loss, wanted, retain_graph=True)
    kept = [x.clone() for x in first]
    for x in first:
        x.zero_()
    again = torch.autograd.grad(loss, wanted)
    return kept, list(again)


def second_order(case: dict[str, Any]) -> Any:
    """A gradient of a gradient, which is refused."""
    parts = _parts(case)
    wanted = [x for x in parts.values() if x is not None]
    found = torch.autograd.grad(_call(case, parts).sum(), wanted, create_graph=True)
    return torch.autograd.grad(sum((x * x).sum() for x in found), wanted)


def per_process(case: dict[str, Any]) -> Any:
    """Options that differ between the processes."""
    return _call({**case, **case["each"][dist.get_rank()]}, _parts(case)).detach()


def other_device(case: dict[str, Any], do: Any = loss_and_grads) -> Any:
    """The way of other devices, on this one."""
    from crossent.torch import parallel

    before, parallel._is_native = parallel._is_native, lambda x: False
    try:
        return do(case)
    finally:
        parallel._is_native = before


def second_order_elsewhere(case: dict[str, Any]) -> Any:
    """The same on the way of other devices."""
    return other_device(case, second_order)


def transformed(case: dict[str, Any]) -> Any:
    """Under torch.func, which is refused."""
    parts = _parts(case)
    return torch.func.grad(lambda x: _call(case, {**parts, "logits": x}))(parts["logits"].detach())


def within(case: dict[str, Any]) -> Any:
    """In a group of processes 0 and 1 only."""
    group = dist.new_group([0, 1], timeout=timedelta(seconds=_SECONDS))
    if dist.get_rank() > 1:
        return None
    parts = _parts(case)
    loss = _call(case, parts, group=group)
    loss.backward()
    return loss.detach(), _grads(parts)


def written_over(case: dict[str, Any]) -> Any:
    """A backward pass after the buffer of the targets, or of the weights, was filled again; then another."""
    parts, found = _parts(case), []
    held = {"target": case["target"].clone(), "weight": case["options"]["weight"].clone()}
    loss = _call({**case, "target": held["target"]}, parts, weight=held["weight"]).sum()
    held[case["over"]].copy_(held[case["over"]].flip(0))
    for _ in range(2):
        try:
            loss.backward(retain_graph=True)
            found.append(_grads(parts))
        except RuntimeError as error:
            found.append(str(error))
    return found


def alone_in_trouble(case: dict[str, Any]) -> Any:
    """Process 0 calls in a way that is refused, the others as they should."""
    parts = _parts(case)
    if dist.get_rank():
        return _call(case, parts)
    name = next(iter(parts))
    x = parts[name].detach()
    if case["trouble"] == "grad":
        return torch.func.grad(lambda z: _call(case, {**parts, name: z}).sum())(x)
    if case["trouble"] == "vmap":
        return torch.func.vmap(lambda z: _call(case, {**parts, name: z}))(torch.stack([x, x]))
    if case["trouble"] == "jvp":
        with torch.autograd.forward_ad.dual_level():
            return _call(case, parts)
    if case["trouble"] == "reduction":
        return _call(case, parts, reduction="meen")
    if case["trouble"] == "scalar":
        return _call({**case, "target": case["target"][0]}, {**parts, name: x.reshape(-1)[0]})
    if case["trouble"] == "no tensor":
        return _call(case, {**parts, name: x.tolist()})
    return _call({**case, "target": case["target"].tolist()}, parts)


def scored(case: dict[str, Any]) -> Any:
    """The Score of the rows of all processes, asked for twice; the state after a sync; how many rows are its own."""
    metric = _metric(case)
    once, again = metric.compute(), metric.compute()
    return repr(once.to_dict()), repr(again.to_dict()), metric.sync().state_dict(), metric.n


def scored_within(case: dict[str, Any]) -> Any:
    """Rows of the group of processes 0 and 1 only."""
    group = dist.new_group([0, 1], timeout=timedelta(seconds=_SECONDS))
    return _metric(case).sync(group).n if dist.get_rank() < 2 else None


def _metric(case: dict[str, Any]) -> Any:
    from crossent.scale import TallyMetric

    metric = TallyMetric(case["classes"], **case.get("options", {}))
    for block in case["blocks"][dist.get_rank()]:
        metric.update(**block)
    return metric


_DO = (
    scored,
    scored_within,
    written_over,
    alone_in_trouble,
    loss_and_grads,
    autocast,
    loss_alone,
    twice,
    second_order,
    second_order_elsewhere,
    per_process,
    other_device,
    transformed,
    within,
)


def _work(folder: Path, world: int, rank: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", world_size=world, rank=rank,
                            timeout=timedelta(seconds=_SECONDS))  # fmt: skip
    do, found = {each.__name__: each for each in _DO}, []
    for case in torch.load(folder / "cases"):
        try:
            found.append(do[case["do"]](case))
        except Exception as error:
            found.append((type(error).__name__, str(error)))
    torch.save(found, folder / f"found{rank}")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    _work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
