"""The metric of training loops: what a Tally says, checkpoints, several processes (here played by one), refusals."""

import pickle
import sys
import types
from typing import Any

import numpy as np
import pytest

from crossent.errors import DataError, EmptyBatchError, LabelError, OptionError, ShapeError, UnsupportedError
from crossent.scale import TallyMetric
from crossent.scoring import Tally


def batches(k: int = 3, rows: int = 60, blocks: int = 4, seed: int = 0) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(rows, k)) * 2
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return list(zip(np.array_split(y, blocks), np.array_split(z, blocks), strict=True))


def fed(blocks: list[tuple[Any, Any]], classes: Any = 3, **options: Any) -> TallyMetric:
    metric = TallyMetric(classes, **options)
    for targets, logits in blocks:
        metric.update(targets, logits=logits)
    return metric


def whole(blocks: list[tuple[Any, Any]], **options: Any) -> Any:
    """The Score of all rows by a Tally at once."""
    tally = Tally(["0", "1", "2"], kind="logits", **options)
    tally.update(np.concatenate([t for t, _ in blocks]), np.concatenate([z for _, z in blocks]))
    return tally.result()


def test_blocks_score_as_the_whole() -> None:
    blocks = batches()
    metric = fed(blocks, worst=5)
    assert metric.compute() == whole(blocks, worst=5)
    assert metric.n == 60
    assert metric.compute(confidence=0.5, redraws=20, seed=3).log_loss.confidence == 0.5


def test_rows_of_any_shape_and_weights() -> None:
    (targets, logits), *_ = batches(rows=24, blocks=1)
    weight = np.random.default_rng(1).random(24)
    flat, shaped = TallyMetric(["a", "b", "c"]), TallyMetric(["a", "b", "c"])
    flat.update(targets, logits=logits, sample_weight=weight)
    shaped.update(targets.reshape(4, 6), logits=logits.reshape(4, 6, 3), sample_weight=weight.reshape(4, 6))
    assert shaped.compute() == flat.compute()
    keys, parts = np.arange(24) // 3, targets % 2
    flat, shaped = (TallyMetric(np.int64(3), by=("part",), cluster=True) for _ in range(2))
    flat.update(targets, logits=logits, by={"part": parts}, cluster=keys)
    shaped.update(
        targets.reshape(4, 6),
        logits=logits.reshape(4, 6, 3),
        by={"part": parts.reshape(4, 6)},
        cluster=keys.reshape(4, 6),
    )
    assert shaped.compute() == flat.compute()
    assert sorted(segment.n for segment in flat.compute().segments) == sorted(np.bincount(parts).tolist())
    assert flat.compute().log_loss.n == 8


def test_two_classes_take_one_column_or_two() -> None:
    p = np.array([0.25, 0.5, 0.875])
    one, two = TallyMetric(2), TallyMetric(2)
    one.update([0, 1, 1], probs=p)
    two.update([0, 1, 1], probs=np.stack([1 - p, p], axis=1))
    assert one.compute().log_loss == two.compute().log_loss


def test_an_empty_batch_adds_nothing() -> None:
    metric = fed(batches())
    before = metric.compute()
    metric.update(np.zeros(0, np.int64), logits=np.zeros((0, 3)))
    assert metric.compute() == before


def test_reset_forgets() -> None:
    blocks = batches()
    metric = fed(blocks)
    metric.reset()
    assert metric.n == 0
    with pytest.raises(EmptyBatchError, match="update"):
        metric.compute()
    metric.update(np.array([1]), probs=np.array([[0.25, 0.5, 0.25]]))  # another kind after a reset
    assert metric.n == 1


def test_a_checkpoint_goes_on_where_it_was() -> None:
    blocks = batches()
    state = pickle.loads(pickle.dumps(fed(blocks[:2]).state_dict()))
    later = TallyMetric(3)
    later.load_state_dict(state)
    for targets, logits in blocks[2:]:
        later.update(targets, logits=logits)
    assert later.compute() == fed(blocks).compute()
    empty = fed(blocks)
    empty.load_state_dict(TallyMetric(3).state_dict())
    assert empty.n == 0
    other = fed(blocks, worst=3)
    before = other.compute()
    for wrong in (state, {"tally": b"nonsense", "rows": 3}):
        with pytest.raises((OptionError, DataError)):
            other.load_state_dict(wrong)
    assert other.compute() == before


def test_metrics_add_up() -> None:
    blocks = batches()
    both = fed(blocks[:1]) + fed(blocks[1:]) + TallyMetric(3)
    assert both.compute().log_loss == fed(blocks).compute().log_loss
    assert (TallyMetric(3) + TallyMetric(3)).n == 0
    with pytest.raises(OptionError, match="worst"):
        fed(blocks) + fed(blocks, worst=3)


def test_a_tensor_that_records_gradients_is_detached() -> None:
    class Recording:
        requires_grad = True

        def __init__(self, array: Any) -> None:
            self.array = array

        def detach(self) -> Any:
            return self.array

    blocks = batches()
    metric = TallyMetric(3)
    for targets, logits in blocks:
        metric.update(targets, logits=Recording(logits))
    assert metric.compute() == fed(blocks).compute()


REFUSED: dict[str, tuple[type[Exception], str, dict[str, Any]]] = {
    "kind": (OptionError, "got probs=.* came as logits=", {"targets": [0], "probs": [[1.0, 0.0, 0.0]]}),
    "shape": (ShapeError, r"\(2,\) and logits \(1, 3\)", {"targets": [0, 1], "logits": [[1.0, 0.0, 0.0]]}),
    "classes": (ShapeError, "columns|classes|shape", {"targets": [0], "logits": [[1.0, 0.0]]}),
    "label": (LabelError, "3", {"targets": [3], "logits": [[1.0, 0.0, 0.0]]}),
    "none": (UnsupportedError, "exactly one", {"targets": [0]}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_leaves_the_metric_as_it_was(case: str) -> None:
    error, message, arguments = REFUSED[case]
    metric = fed(batches())
    before = metric.compute()
    with pytest.raises(error, match=message):
        metric.update(**arguments)
    assert metric.compute() == before
    assert metric.state_dict()["rows"] == 60


def test_wrong_options_are_an_error_at_once() -> None:
    with pytest.raises(LabelError):
        TallyMetric(["a", "a"])
    with pytest.raises(OptionError):
        TallyMetric(3, bins=0)
    with pytest.raises(TypeError, match="bens"):
        TallyMetric(3, bens=3)


class Processes(types.ModuleType):
    """torch.distributed as one process sees it when the states of all are known beforehand."""

    def __init__(self, states: list[Any], rank: int) -> None:
        super().__init__("torch.distributed")
        self.states, self.rank = states, rank

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return bool(self.states)

    def get_rank(self) -> int:
        return self.rank

    def get_world_size(self, group: Any) -> int:
        return len(self.states)

    def all_gather_object(self, found: list[Any], own: Any, group: Any) -> None:
        assert own == self.states[self.rank]
        found[:] = self.states


def test_every_process_gets_the_rows_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = batches()
    metrics = [fed(blocks[:1]), TallyMetric(3), fed(blocks[1:])]  # one of them saw no rows
    states = [metric.state_dict() for metric in metrics]
    found = []
    for rank, metric in enumerate(metrics):
        monkeypatch.setitem(sys.modules, "torch.distributed", Processes(states, rank))
        synced = metric.sync()
        found.append((metric.compute(), synced.state_dict()))
        assert metric.compute() == found[-1][0]  # nothing counts twice
        assert synced.n == 60
        assert metric.n == [15, 0, 45][rank]
    assert found[0] == found[1] == found[2]
    assert found[0][0].log_loss == fed(blocks).compute(sync=False).log_loss
    assert metrics[0].compute(sync=False).n == 15


def test_processes_with_other_options_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = [fed(batches()), fed(batches(), worst=3)]
    monkeypatch.setitem(sys.modules, "torch.distributed", Processes([m.state_dict() for m in metrics], 0))
    with pytest.raises(OptionError, match="worst"):
        metrics[0].compute()


def test_rows_are_named_by_their_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.distributed", Processes([None, None], 1))
    metric = fed(batches(), worst=60)
    rows = metric.compute(sync=False).worst
    assert {row.source for row in rows} == {"process 1"}
    assert sorted(row.row for row in rows) == list(range(60))


def test_outside_of_processes_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.distributed", Processes([], 0))  # loaded, but nobody joined a group
    assert fed(batches()).compute() == whole(batches())
