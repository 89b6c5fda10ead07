"""Tiles of rows and vocabulary: the exact answers, the same as in chunks of rows, within their budget."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossent as ce
from crossent.core.linear import softmax_pass, vocabulary
from crossent.core.linear.layer import make_layer
from crossent.core.linear.vocabulary import Tile, make_tile
from linear_cases import case_of
from test_linear import DTYPES, KINDS, OPTIONS, check, targets_of


@pytest.fixture(params=[Tile(2, 3), Tile(100, 1), Tile(1, 100)], ids=str)
def tiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Tile]]:
    """Every pass goes in tiles of this size; the list tells how often."""
    seen: list[Tile] = []

    def tiles(self: Any, whole: Any, chunk: int, limit: int, gradients: Any) -> Any:
        seen.append(request.param)
        one = vocabulary.VocabularyPass(self._layer, self._job, self._sparse, self._values, self._lse)
        tile = Tile(min(len(whole), request.param.rows), min(self._layer.classes, request.param.classes))
        return one.run(whole, tile, gradients)

    monkeypatch.setattr(softmax_pass.SoftmaxPass, "in_tiles", tiles)
    yield seen
    assert seen, "no pass went in tiles"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_value_and_gradients(tiled: list[Tile], dtype: Any, kind: str, options: str, reduction: str) -> None:
    case = case_of(dtype, N=6, K=7, D=4)
    targets, q = targets_of(case, kind)
    loss = ce.LinearCrossEntropy(reduction=reduction, **OPTIONS[options])
    upstream = np.linspace(-1, 2, 6) if reduction == "none" else None
    got = loss.value_and_grad(targets, **case.layer, upstream=upstream)
    check(case, q, OPTIONS[options], got, reduction, upstream=upstream)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "options",
    [{"z_loss": 0.01}, {"softcap": 2.0, "temperature": 1.5}, {"entropy_weight": -0.2, "unit": "bit"}],
    ids=str,
)
def test_options_of_logits(tiled: list[Tile], dtype: Any, options: dict[str, Any]) -> None:
    """Against the loss of the whole logits, which has an oracle of its own."""
    case = case_of(dtype, N=8, K=9, D=4)
    z = case.hidden @ case.weight.T + case.bias
    value, g = ce.CrossEntropy(**options).value_and_grad(case.labels, logits=z)
    got = ce.LinearCrossEntropy(**options).value_and_grad(case.labels, **case.layer)
    slack = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(got.value, value, rtol=slack)
    for name, want in (("hidden", g @ case.weight), ("weight", g.T @ case.hidden), ("bias", g.sum(axis=0))):
        np.testing.assert_allclose(getattr(got, name), want, rtol=slack, atol=slack, err_msg=name)


def test_rows_that_leave_are_not_read(tiled: list[Tile]) -> None:
    case = case_of(np.float64, N=8, K=9, D=4)
    hidden = case.hidden.copy()
    hidden[3] = np.nan
    weight = np.ones(8)
    weight[3] = 0
    labels = case.labels.copy()
    labels[5], hidden[5] = -1, np.inf
    kept = np.array([0, 1, 2, 4, 6, 7])
    loss = ce.LinearCrossEntropy(ignore_index=-1)
    got = loss.value_and_grad(labels, hidden=hidden, weight=case.weight, sample_weight=weight)
    want = loss.value_and_grad(labels[kept], hidden=hidden[kept], weight=case.weight)
    np.testing.assert_allclose(got.value, want.value, rtol=1e-14)
    np.testing.assert_allclose(got.weight, want.weight, rtol=1e-13, atol=1e-15)
    assert not got.hidden[[3, 5]].any()
    value, lse = ce.LinearCrossEntropy(ignore_index=-1).value_and_lse(
        labels, hidden=hidden, weight=case.weight, sample_weight=weight
    )
    assert np.isnan(lse[[3, 5]]).all()
    np.testing.assert_allclose(lse[kept], ce.logsumexp(hidden[kept] @ case.weight.T), rtol=1e-14)
    assert value == got.value


def test_the_lowest_bad_row_is_named(tiled: list[Tile]) -> None:
    case = case_of(np.float64, N=8, K=9, D=4)
    weight, hidden = case.weight.copy(), case.hidden.copy()
    hidden[:] = np.abs(hidden)
    hidden[6, 0] = np.nan
    with pytest.raises(ce.NonFiniteError, match=r"hidden\[6, 0\] is nan"):
        ce.LinearCrossEntropy()(case.labels, hidden=hidden, weight=weight)
    labels = case.labels.copy()
    labels[2] = 9
    with pytest.raises(ce.LabelError, match=r"targets\[2\] is 9"):
        ce.LinearCrossEntropy(reduction="sum")(labels, hidden=hidden, weight=weight)
    with pytest.raises(ce.NonFiniteError, match="no class is left"):
        ce.LinearCrossEntropy()(case.labels, hidden=case.hidden, weight=weight, bias=np.full(9, -np.inf))


def test_a_class_ruled_out_by_the_bias(tiled: list[Tile]) -> None:
    case = case_of(np.float64, N=8, K=9, D=4)
    bias = case.bias.copy()
    bias[4] = -np.inf
    labels = np.where(case.labels == 4, 0, case.labels)
    keep = np.arange(9) != 4
    got = ce.LinearCrossEntropy().value_and_grad(labels, hidden=case.hidden, weight=case.weight, bias=bias)
    want = ce.LinearCrossEntropy().value_and_grad(
        labels - (labels > 4), hidden=case.hidden, weight=case.weight[keep], bias=bias[keep]
    )
    np.testing.assert_allclose(got.value, want.value, rtol=1e-14)
    assert not got.weight[4].any()
    np.testing.assert_allclose(got.weight[keep], want.weight, rtol=1e-12, atol=1e-15)


@given(
    st.integers(1, 10**9), st.integers(1, 10**5), st.integers(1, 3 * 10**5), st.integers(1, 2048),
    st.sampled_from([0, 4, 8]),
)  # fmt: skip
def test_a_tile_keeps_to_the_limit(limit: int, rows: int, classes: int, features: int, targets_bytes: int) -> None:
    zeros = np.broadcast_to(np.float32(0), (classes, features))
    layer = make_layer(np.broadcast_to(np.float32(0), (rows, features)), zeros, None)
    tile = make_tile(limit, rows, layer, targets_bytes)
    assert 1 <= tile.rows <= rows
    assert 1 <= tile.classes <= classes
    taken = (
        tile.rows * tile.classes * (4 + targets_bytes) + tile.rows * (8 * features + 512) + tile.classes * 4 * features
    )
    assert taken <= limit or tile.rows == tile.classes == 1 or (tile.rows == 1 or tile.classes == 1)


def test_a_small_limit_cuts_the_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice itself: chunks of a few rows of a wide vocabulary become tiles, whose loss and gradient agree."""
    case = case_of(np.float32, N=200, K=4000, D=8)
    used: list[Tile] = []
    run = vocabulary.VocabularyPass.run

    def watched(self: Any, whole: Any, tile: Tile, gradients: Any) -> Any:
        used.append(tile)
        return run(self, whole, tile, gradients)

    monkeypatch.setattr(vocabulary.VocabularyPass, "run", watched)
    wide = ce.LinearCrossEntropy(memory_limit=100_000_000).value_and_grad(case.labels, **case.layer)
    assert not used
    narrow = ce.LinearCrossEntropy(memory_limit=300_000).value_and_grad(case.labels, **case.layer)
    assert len(used) == 1
    assert used[0].classes < 4000
    assert used[0].rows > 32
    np.testing.assert_allclose(narrow.value, wide.value, rtol=1e-6)
    np.testing.assert_allclose(narrow.weight, wide.weight, rtol=1e-4, atol=1e-7)
