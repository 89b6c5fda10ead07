"""The linear losses on whatever one may pass: an answer that holds, or an error that says what to do."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import crossent as ce
from nonsense import FLOATS, NONSENSE, arrays, maybe_wrong, targets, weights
from watch import Refused, watched

STYLES = ("normal", "normal", "normal", "unit", "special")
NUMBERS = (*FLOATS, np.dtype("i4"))
LIMITS = (None, None, 1, 200, 1000, 3000, 10**6, 1e6)


def shared_options(draw: Any, more: dict[str, Any]) -> dict[str, Any]:
    """Each mostly left out, seldom nonsense."""
    pool = {
        "label_smoothing": st.sampled_from([0, 0.1, 1, 0.5]),
        "reduction": st.sampled_from(["mean", "sum", "none"]),
        "unit": st.sampled_from(["nat", "bit"]),
        "empty": st.sampled_from(["error", "nan", "zero"]),
        "memory_limit": st.sampled_from(LIMITS),
        **more,
    }
    return {name: draw(maybe_wrong(values)) for name, values in pool.items() if draw(st.integers(0, 3)) == 0}


def layer_of(draw: Any, lead: tuple[int, ...], K: int, D: int) -> dict[str, Any]:
    """hidden, weight and bias that fit, now and then not."""
    return {
        "hidden": draw(maybe_wrong(arrays((*lead, D), STYLES, NUMBERS))),
        "weight": draw(maybe_wrong(arrays((K, D), STYLES, NUMBERS))),
        "bias": draw(maybe_wrong(st.one_of(st.none(), arrays((K,), STYLES, NUMBERS)))),
    }


def small(*given: Any) -> bool:
    """Whether no product of these numbers overflows: then nothing may be NaN."""
    with np.errstate(all="ignore"):
        sizes = [np.abs(np.asarray(each, np.float64)) for each in given if each is not None]
    return all(np.isfinite(size).all() and size.max(initial=0.0) < 1e6 for size in sizes)


def ask(data: Any, loss: Any, y: Any, layer: dict[str, Any], weight: Any, options: dict[str, Any]) -> None:
    """The loss alone, and with its gradients."""
    call = {**layer, "sample_weight": weight}
    value = watched(loss, y, **call)
    by_row = options.get("reduction") == "none" and not isinstance(value, Refused)  # refused: perhaps no array at all
    shape = np.shape(layer["hidden"])[:-1] if by_row else ()
    upstream = data.draw(maybe_wrong(st.one_of(st.none(), arrays(shape, ("normal", "unit", "special"), FLOATS))))
    result = watched(loss.value_and_grad, y, **call, upstream=upstream)
    if isinstance(value, Refused):
        assert isinstance(result, Refused)
        return
    assert np.shape(value) == shape
    if isinstance(result, Refused):
        return
    if upstream is None:
        np.testing.assert_array_equal(result.value, value)
    for name, part in zip(("hidden", "weight", "bias"), result[1:], strict=True):
        given = layer[name]
        assert (part is None) == (given is None)
        if part is not None:
            wide = np.asarray(given).dtype.itemsize == 8 or np.asarray(given).dtype.kind in "iu"
            assert (part.shape, part.dtype) == (np.shape(given), np.dtype(np.float64 if wide else np.float32))
            bias = None if layer["bias"] is None else np.where(np.isneginf(layer["bias"]), 0, layer["bias"])
            if small(layer["hidden"], layer["weight"], bias, upstream, weight):
                assert not np.isnan(part).any(), f"NaN in the gradient of {name}"


@st.composite
def sparse_targets(draw: Any, lead: tuple[int, ...], K: int) -> Any:
    """(indices, probs), mostly distinct and summing to 1."""
    rng, k = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.integers(0, min(K, 3)))
    order = np.argsort(rng.random((*lead, K)), axis=-1)[..., :k]
    p = rng.random((*lead, k))
    p /= p.sum(axis=-1, keepdims=True)
    indices = draw(maybe_wrong(st.sampled_from([order, order.astype(np.uint8), order + 1, order * 0])))
    return indices, draw(maybe_wrong(st.sampled_from([p, p.astype(np.float32), 2 * p, -p, p > 0, p[..., :1]])))


@given(data=st.data())
def test_linear_cross_entropy(data: Any) -> None:
    lead = data.draw(st.sampled_from([(), (1,), (4,), (9,), (2, 3), (0,), (17,)]))
    K, D = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 5))
    rows = np.random.default_rng(data.draw(st.integers(0, 99)))
    options = shared_options(data.draw, {
        "class_weight": st.sampled_from([None, "balanced", rows.random(K), rows.integers(0, 2, K), {0: 2.0, "a": 1.0}]),
        "ignore_index": st.sampled_from([None, 0, -100, 2]),
        "normalize_targets": st.booleans(),
        "empty_rows": st.sampled_from(["error", "ignore"]),
        "classes": st.sampled_from([None, list(range(K)), [str(float(k)) for k in range(K)]]),
    })  # fmt: skip
    loss = watched(ce.LinearCrossEntropy, **options)
    if isinstance(loss, Refused):
        return
    y = data.draw(maybe_wrong(st.one_of(targets((*lead, K), -1), sparse_targets(lead, K))))
    ask(data, loss, y, layer_of(data.draw, lead, K, D), data.draw(maybe_wrong(weights(lead))), options)


@st.composite
def positives(draw: Any, rows: int, K: int) -> Any:
    """(indices, offsets), mostly right."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = [rng.permutation(K)[: rng.integers(0, K + 1)] for _ in range(rows)]
    indices, offsets = np.concatenate([np.zeros(0, int), *found]), np.cumsum([0, *map(len, found)])
    wrong = st.sampled_from([(indices, offsets[1:]), (indices + 1, offsets), (indices * 0, offsets), (indices,),
                             (offsets, indices), (indices, offsets[::-1]), (indices, offsets - 1)])  # fmt: skip
    return draw(wrong) if draw(st.integers(0, 5)) == 0 else (indices, offsets)


@given(data=st.data())
def test_linear_binary_cross_entropy(data: Any) -> None:
    lead = data.draw(st.sampled_from([(), (1,), (4,), (9,), (2, 3), (0,), (17,)]))
    K, D = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 5))
    options = shared_options(data.draw, {
        "class_weight": st.sampled_from([None, "balanced", [0.5, 2.0], [0.0, 1.0], [1.0, 0.0], {0: 2.0}]),
        "pos_weight": st.sampled_from([None, 2.0, 0.0, np.linspace(0, 3, K), np.ones(2)]),
        "classes": st.sampled_from([None, [0, 1], ["0.0", "1.0"]]),
    })  # fmt: skip
    loss = watched(ce.LinearBinaryCrossEntropy, **options)
    if isinstance(loss, Refused):
        return
    dense = targets((*lead, K), -1, binary=True)
    y = data.draw(maybe_wrong(st.one_of(dense, positives(int(np.prod(lead)), K))))
    ask(data, loss, y, layer_of(data.draw, lead, K, D), data.draw(maybe_wrong(weights(lead))), options)


@pytest.mark.parametrize("make", NONSENSE)
def test_nonsense_for_every_argument(make: Any) -> None:
    """Each argument by itself, whatever the others are."""
    h, w, y = np.zeros((2, 3)), np.zeros((4, 3)), np.eye(4)[:2]
    layer = {"hidden": h, "weight": w}
    for function, options in (
        (ce.linear_cross_entropy, ("ignore_index", "normalize_targets", "empty_rows")),
        (ce.linear_binary_cross_entropy, ("pos_weight",)),
    ):
        watched(function, make(), **layer)
        if make() is not np.ma.masked:  # of which NumPy itself warns, within a tuple
            watched(function, (make(), make()), **layer)
        watched(function, y, hidden=make(), weight=w)
        watched(function, y, hidden=h, weight=make())
        for name in ("bias", "sample_weight", "classes", "class_weight", "label_smoothing", "reduction", "unit",
                     "empty", "memory_limit", *options):  # fmt: skip
            watched(function, y, **layer, **{name: make()})
    for loss in (ce.LinearCrossEntropy(), ce.LinearBinaryCrossEntropy(reduction="none")):
        watched(loss.value_and_grad, y, **layer, upstream=make())
