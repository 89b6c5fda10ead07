"""TallyMetric in processes of torch.distributed, on tensors, in torch's checkpoints; scores of language models."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import torch_shards
from crossent.errors import UnsupportedError
from crossent.scale import TallyMetric
from crossent.scoring.language import LanguageTally, score_language

pytestmark = pytest.mark.frameworks

K = 4


def rows(n: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"targets": torch.randint(K, (n,), generator=generator),
            "logits": torch.randn(n, K, generator=generator).to(dtype)}  # fmt: skip


@pytest.mark.cluster
@pytest.mark.parametrize("world", [2, 3])
def test_all_processes_get_the_same_bits(world: int, tmp_path: Any) -> None:
    """Blocks of different number and size; the last process may have none."""
    sizes = [[30, 7], [1, 12, 40], []][:world]
    blocks = [[rows(n, seed=10 * rank + i) for i, n in enumerate(of_rank)] for rank, of_rank in enumerate(sizes)]
    case = {"do": "scored", "classes": K, "options": {"worst": 5}, "blocks": blocks}
    found = [answers[0] for answers in torch_shards.run(world, [case], tmp_path)]
    assert [answer[3] for answer in found] == [sum(of_rank) for of_rank in sizes]
    scores = {text for answer in found for text in answer[:2]}
    assert len(scores) == 1, "the processes do not agree, or rows counted twice"
    assert len({answer[2]["tally"] for answer in found}) == 1
    alone = TallyMetric(K, worst=5)
    for block in (block for of_rank in blocks for block in of_rank):
        alone.update(**block)
    loaded = TallyMetric(K, worst=5)
    loaded.load_state_dict(found[0][2])
    here, there = alone.compute().to_dict(), loaded.compute().to_dict()
    for name in ("worst", "segments"):  # rows are named by their process
        del here[name], there[name]
    assert there == here


@pytest.mark.cluster
def test_a_group_of_some_processes(tmp_path: Any) -> None:
    case = {"do": "scored_within", "classes": K, "blocks": [[rows(5)], [rows(7)], [rows(11)]]}
    assert [answers[0] for answers in torch_shards.run(3, [case], tmp_path)] == [12, 12, None]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_tensors_of_any_floating_type(dtype: torch.dtype) -> None:
    block = rows(50, dtype=dtype)
    metric, exact = TallyMetric(K), TallyMetric(K)
    metric.update(block["targets"], logits=block["logits"].requires_grad_())
    exact.update(block["targets"].numpy(), logits=block["logits"].detach().double().numpy())
    loss = F.cross_entropy(block["logits"].detach().double(), block["targets"])
    assert metric.compute().log_loss.value == pytest.approx(loss.item(), rel=1e-12)
    assert metric.compute() == exact.compute()


def test_memory_of_a_device_is_refused() -> None:
    with pytest.raises(UnsupportedError):
        TallyMetric(K).update([0], logits=torch.zeros(1, K, device="meta"))


def test_a_checkpoint_of_torch(tmp_path: Any) -> None:
    metric, later = TallyMetric(K), TallyMetric(K)
    metric.update(**rows(20))
    torch.save({"metric": metric.state_dict()}, tmp_path / "checkpoint.pt")
    later.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["metric"])
    assert later.compute() == metric.compute()


def test_a_language_model_is_scored_as_torch_says() -> None:
    """Batches of padded documents, their logits shifted against their tokens, as in an evaluation loop."""
    generator = torch.Generator().manual_seed(1)
    tally, total, tokens = LanguageTally(), 0.0, 0
    for batch in range(3):
        inputs = torch.randint(11, (4, 9), generator=generator)
        inputs[:, 6 + batch :] = -100
        logits = torch.randn(4, 9, 11, generator=generator, dtype=torch.float64)
        targets = inputs[:, 1:]
        names = [4 * batch + row for row in range(4)]
        tally.update(logits=logits[:, :-1], targets=targets, documents=names, bytes=[20, 30, 40, 50])
        total += F.cross_entropy(logits[:, :-1].reshape(-1, 11), targets.reshape(-1), reduction="sum").item()
        tokens += int((targets != -100).sum())
    score = tally.result()
    assert (score.tokens, score.documents, score.bytes) == (tokens, 12, 420)
    assert score.perplexity.value == pytest.approx(math.exp(total / tokens), rel=1e-12)
    assert score.bits_per_byte.value == pytest.approx(total / 420 / math.log(2), rel=1e-12)
    log_p = torch.log_softmax(logits[:, :-1], -1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    by_hand = score_language(log_p, mask=targets != -100, bytes=torch.tensor([20, 30, 40, 50]))
    last = score_language(logits=logits[:, :-1], targets=targets, bytes=[20, 30, 40, 50])
    assert by_hand.loss.value == pytest.approx(last.loss.value, rel=1e-12)
    assert by_hand.bits_per_byte.upper == pytest.approx(last.bits_per_byte.upper, rel=1e-9)
    assert score_language(list(log_p), bytes=[1, 2, 3, 4]).tokens == log_p.numel()
