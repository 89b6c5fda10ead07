"""The public functions on whatever one may pass: an answer that holds, or an error that says what to do."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

import crossent as ce
from crossent.core import formula
from crossent.core.terms import Terms
from nonsense import FLOATS, NONSENSE, arrays, buffers, maybe_wrong, shapes, targets, weights
from watch import Refused, watched

KINDS = ("logits", "logits", "probs", "log_probs")
STYLES = {
    "logits": ("normal", "normal", "normal", "special"),
    "probs": ("shares", "shares", "unit", "hard", "special"),
    "log_probs": ("below", "special"),
}


def computed(dtype: Any) -> Any:
    """The dtype of losses of a prediction."""
    return np.float64 if dtype.kind in "iu" or dtype.itemsize == 8 else np.float32


def shared_options(draw: Any, K: int) -> dict[str, Any]:
    """Options of both losses, each mostly left out, seldom nonsense."""
    rows = np.random.default_rng(draw(st.integers(0, 99)))
    pool: dict[str, Any] = {
        "class_weight": st.sampled_from([None, "balanced", rows.random(K), rows.integers(0, 2, K), {0: 2.0, "a": 1.0}]),
        "label_smoothing": st.sampled_from([0, 0.1, 1, 0.5, np.float32(0.25), 1e-9]),
        "clip": st.sampled_from([None, 1e-7, 0.25]),
        "eps": st.sampled_from([None, 1e-7, 0.25]),
        "reduction": st.sampled_from(["mean", "sum", "none"]),
        "unit": st.sampled_from(["nat", "bit"]),
        "empty": st.sampled_from(["error", "nan", "zero"]),
        "classes": st.sampled_from(
            [None, list(range(K)), [str(float(k)) for k in range(K)], [k / 2 for k in range(K)]]
        ),
    }
    return {name: draw(maybe_wrong(values)) for name, values in pool.items() if draw(st.integers(0, 3)) == 0}


def assert_loss(value: Any, z: Any, rows: tuple[int, ...], options: dict[str, Any]) -> None:
    """Shape, dtype, no NaN but the one that was asked for."""
    if options.get("reduction", "mean") == "none":
        assert value.shape == rows
        assert value.dtype == computed(np.asarray(z).dtype)
    else:
        assert isinstance(value, float)
    assert options.get("empty") == "nan" or not np.isnan(value).any(), "NaN among losses"


def assert_gradient(grad: Any, z: Any, out: Any = None) -> None:
    """Like the prediction, or `out` itself; no NaN."""
    z = np.asarray(z)
    assert out is None or grad is out
    assert isinstance(grad, np.ndarray | np.generic)
    assert grad.shape == z.shape
    if out is None:
        assert grad.dtype == (np.dtype(np.float64) if z.dtype.kind in "iu" else z.dtype.newbyteorder("="))
    assert not np.isnan(np.asarray(grad, np.float64)).any(), "NaN in a gradient"


def ask(
    data: Any, loss: Any, y: Any, kind: str, z: Any, weight: Any, rows: Any, options: dict[str, Any], **hess: Any
) -> None:
    """The loss alone, with its gradient in some buffer, with its Hessian: each holds or is refused."""
    call = {kind: z, "sample_weight": weight}
    value = watched(loss, y, **call)
    note(f"{loss} {options} {kind} {getattr(z, 'dtype', None)} {getattr(z, 'shape', None)} value {value}")
    both = watched(loss.grad_and_hess, y, logits=z, sample_weight=weight, **hess)
    if not isinstance(both, Refused):
        assert_gradient(both.grad, z)
        assert_gradient(both.hess, z)
        assert (np.asarray(both.hess, np.float64) >= 0).all()
    out = data.draw(buffers(z))
    before = z if isinstance(value, Refused) else np.array(z)
    result = watched(loss.value_and_grad, y, **call, out=out, may_change=out)
    if isinstance(value, Refused):
        return
    assert_loss(value, before, np.shape(value) if rows is None else rows, options)
    if not isinstance(result, Refused):
        np.testing.assert_array_equal(result.value, value)
        assert_gradient(result.grad, before, out)


@given(data=st.data())
def test_cross_entropy(data: Any) -> None:
    """Index, soft and named targets; logits, probabilities, logarithms; any axis, option, weight and buffer."""
    shape = data.draw(shapes())
    axis = data.draw(st.integers(-len(shape), len(shape) - 1)) if shape else -1
    kind = data.draw(st.sampled_from(KINDS))
    z = data.draw(maybe_wrong(arrays(shape, STYLES[kind], (*FLOATS, np.dtype("i4")))))
    y = data.draw(maybe_wrong(targets(shape, axis)))
    number = axis % len(shape) if shape else 0
    rows = shape[:number] + shape[number + 1 :]
    options = shared_options(data.draw, shape[axis] if shape else 1)
    more = {
        "axis": st.just(axis),
        "ignore_index": st.sampled_from([None, 0, -100, 2, np.int8(1)]),
        "normalize_targets": st.booleans(),
        "empty_rows": st.sampled_from(["error", "ignore"]),
        "check": st.sampled_from(["auto", "rows", "entries"]),
    }
    for name, values in more.items():
        if data.draw(st.integers(0, 1 if name == "axis" else 6)) == 0:
            options[name] = data.draw(maybe_wrong(values))
    options.setdefault("axis", axis)
    loss = watched(ce.CrossEntropy, **options)
    if isinstance(loss, Refused):
        return
    weight = data.draw(maybe_wrong(weights(rows)))
    known = options["axis"] is axis and isinstance(z, np.ndarray) and z.shape == shape
    ask(data, loss, y, kind, z, weight, rows if known else None, options)


@given(data=st.data())
def test_binary_cross_entropy(data: Any) -> None:
    """Targets of one shape with the prediction, weights for elements, rows and labels."""
    shape = data.draw(shapes())
    kind = data.draw(st.sampled_from(KINDS))
    styles = STYLES | {"probs": ("unit", "unit", "hard", "special")}
    z = data.draw(maybe_wrong(arrays(shape, styles[kind], (*FLOATS, np.dtype("i4")))))
    y = data.draw(maybe_wrong(targets(shape, -1, binary=True)))
    options = shared_options(data.draw, 2)
    if data.draw(st.integers(0, 3)) == 0:
        options["pos_weight"] = data.draw(maybe_wrong(weights(data.draw(st.sampled_from([(), (1,), shape[-1:]])))))
    loss = watched(ce.BinaryCrossEntropy, **options)
    if isinstance(loss, Refused):
        return
    weight = data.draw(maybe_wrong(weights(data.draw(st.sampled_from([shape, shape[:-1]])))))
    ask(data, loss, y, kind, z, weight, None, options)


FAMILY: dict[Any, dict[str, Any]] = {
    ce.CrossEntropy: {},
    ce.Focal: {"gamma": (0, 0.5, 2.0, 3.7, 5000.0), "alpha": (None, 0.25, "of classes")},
    ce.Poly1: {"epsilon": (1.0, -1.0, 0, 1e9)},
    ce.GeneralizedCrossEntropy: {"q": (0.7, 1, 1e-30)},
    ce.SymmetricCrossEntropy: {"alpha": (1.0, 0), "beta": (1.0, 0.1), "log_zero": (-4.0, -1e-9)},
    ce.LogitAdjusted: {"priors": ("of classes",), "tau": (1.0, 0, 30)},
    ce.Bootstrap: {"beta": (0.95, 0, 1), "hard": (False, True)},
    ce.BinaryFocal: {"gamma": (0, 0.5, 2.0, 5000.0), "alpha": (None, 0.25, 0, 1)},
}


@given(data=st.data())
@pytest.mark.parametrize("kind", FAMILY)
def test_family(kind: Any, data: Any) -> None:
    """Every member with its own options and those of logits, from logits; the Hessian's bound is no NaN and >= 0."""
    shape = data.draw(shapes())
    K = shape[-1] if shape else 1
    binary = kind is ce.BinaryFocal
    z = data.draw(maybe_wrong(arrays(shape, STYLES["logits"], (*FLOATS, np.dtype("i4")))))
    y = data.draw(maybe_wrong(targets(shape, -1, binary=binary)))
    options = shared_options(data.draw, 2 if binary else K)
    own = dict(FAMILY[kind])
    if not binary and data.draw(st.booleans()):
        own |= {"temperature": (2.0, 0.5, 1e-3), "softcap": (None, 30.0, 1e30)}
    for name, values in own.items():
        of_classes = np.random.default_rng(data.draw(st.integers(0, 9))).uniform(0.1, 2, K)
        chosen = data.draw(maybe_wrong(st.sampled_from(values)))
        options[name] = of_classes if isinstance(chosen, str) and chosen == "of classes" else chosen
    loss = watched(kind, **options)
    if isinstance(loss, Refused):
        return
    weight = data.draw(maybe_wrong(weights(data.draw(st.sampled_from([shape, shape[:-1]])) if binary else shape[:-1])))
    ask(data, loss, y, "logits", z, weight, None, options, curvature="upper")


@given(data=st.data())
def test_what_is_added_to_a_row(data: Any) -> None:
    """z_loss and entropy_weight on sound rows; beside infinite logits they may make an infinite loss."""
    N, K = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40))
    z = data.draw(arrays((N, K), ("normal",)).filter(lambda x: type(x) is np.ndarray and x.dtype in FLOATS))
    y = data.draw(targets((N, K), -1))
    options = {
        "z_loss": data.draw(maybe_wrong(st.sampled_from([0, 1e-4, 1.0]))),
        "entropy_weight": data.draw(maybe_wrong(st.sampled_from([0, -0.1, 1.0]))),
        "softcap": data.draw(st.sampled_from([None, 5.0])),
    }
    loss = watched(data.draw(st.sampled_from([ce.CrossEntropy, ce.Focal])), **options)
    if not isinstance(loss, Refused) and np.isfinite(z.astype(np.float64)).all():
        ask(data, loss, y, "logits", z, None, None, options, curvature="upper")


@given(data=st.data())
def test_answers_are_those_of_the_formula(data: Any) -> None:
    """Sound input in any dtype and layout: within the formula's own bound of core/formula in float64."""
    N, K = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 40))
    z = data.draw(arrays((N, K), ("normal",)).filter(lambda x: type(x) is np.ndarray and x.dtype in FLOATS))
    labels_of_rows = arrays((N,), ("labels",), (np.dtype("i8"), np.dtype("u1")), K)
    t = data.draw(labels_of_rows.filter(lambda x: getattr(x, "shape", ()) == (N,)))
    a = data.draw(st.sampled_from([0.0, 0.1, 1.0]))
    cw = data.draw(st.sampled_from([None, np.linspace(0.5, 2, K)]))
    labels = np.asarray(t)
    if type(t) is not np.ndarray or labels.dtype.kind not in "iu":
        return
    wide = z.astype(np.float64)
    if not np.isfinite(wide).all():
        return
    plain = Terms()
    q = formula.dense_targets(np, formula.one_hot(np, labels, K, np.float64), plain, class_weight=cw, smoothing=a)
    exact, slope = formula.row_loss(np, wide, q, plain), formula.row_gradient(np, wide, q, plain)
    result = watched(ce.CrossEntropy(label_smoothing=a, class_weight=cw, reduction="none").value_and_grad, t, logits=z)
    eps = float(np.finfo(computed(z.dtype)).eps)
    stored = {2: 2.0**-8 if z.dtype.name == "bfloat16" else 2.0**-11}.get(z.dtype.itemsize, eps)
    size = 1 + np.ptp(wide, axis=1)
    np.testing.assert_array_less(np.abs(result.value - exact), (K + 8) * eps * (exact + 1e-300) * size + 1e-44)
    bound = ((K + 8) * eps * size[:, None] * 4 + stored * 4 * np.abs(slope)) * 2 + 1e-7 * (z.dtype.itemsize == 2)
    np.testing.assert_array_less(np.abs(np.asarray(result.grad, np.float64) - slope), bound)


@given(data=st.data())
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sigmoid", "log_sigmoid"])
def test_activations(name: str, data: Any) -> None:
    shape = data.draw(shapes())
    z = data.draw(maybe_wrong(arrays(shape, STYLES["logits"], (*FLOATS, np.dtype("i4")))))
    call = {} if name.endswith("sigmoid") else {"axis": data.draw(maybe_wrong(st.integers(-4, 3)))}
    result = watched(getattr(ce, name), z, **call)
    if isinstance(result, Refused):
        return
    array = np.asarray(z)
    if name == "logsumexp":
        assert np.ndim(result) == array.ndim - 1
        assert result.dtype == computed(array.dtype)
    else:
        assert np.shape(result) == array.shape
        assert result.dtype == (np.float64 if array.dtype.kind in "iu" else array.dtype.newbyteorder("="))
    values = np.asarray(result, np.float64)
    assert not np.isnan(values).any()
    if name in ("softmax", "sigmoid"):
        assert ((values >= 0) & (values <= 1)).all()
    elif name.startswith("log_"):
        assert (values <= 0).all()


@given(data=st.data())
@pytest.mark.parametrize("name", ["entropy", "effective_classes", "perplexity", "cross_entropy_of", "kl_divergence",
                                  "js_divergence", "mutual_information"])  # fmt: skip
def test_measures(name: str, data: Any) -> None:
    shape = data.draw(shapes())
    styles = ("shares", "shares", "shares", "hard", "special", "unit")
    given = [data.draw(maybe_wrong(arrays(shape, styles, (*FLOATS, np.dtype("i4")))))]
    if name in ("cross_entropy_of", "kl_divergence", "js_divergence"):
        given.append(data.draw(maybe_wrong(arrays(shape, styles, FLOATS))))
    call: dict[str, Any] = {}
    if name != "effective_classes" and data.draw(st.booleans()):
        call["unit"] = data.draw(maybe_wrong(st.sampled_from(["nat", "bit"])))
    if name != "mutual_information" and data.draw(st.booleans()):
        call["axis"] = data.draw(maybe_wrong(st.integers(-3, 2)))
    result = watched(getattr(ce, name), *given, **call)
    if not isinstance(result, Refused):
        assert isinstance(result, float) or result.dtype == np.float64
        assert not np.isnan(result).any()
        assert (np.asarray(result) >= 0).all()


@given(loss=arrays((3,), ("unit", "special", "normal")), unit=maybe_wrong(st.sampled_from(["nat", "bit"])))
def test_perplexity_of_losses(loss: Any, unit: Any) -> None:
    watched(ce.perplexity, loss=loss, unit=unit)


@pytest.mark.parametrize("make", NONSENSE)
def test_nonsense_for_every_argument(make: Any) -> None:
    """Each argument by itself, whatever the others are."""
    z, y = np.zeros((2, 3)), [0, 1]
    for name in ("class_weight", "classes", "label_smoothing", "clip", "eps", "reduction", "unit", "empty", "axis",
                 "ignore_index", "normalize_targets", "empty_rows", "check", "sample_weight", "temperature", "softcap",
                 "z_loss", "entropy_weight"):  # fmt: skip
        watched(ce.cross_entropy, y, logits=z, **{name: make()})
    for name in ("class_weight", "classes", "pos_weight", "label_smoothing", "clip", "eps", "sample_weight"):
        watched(ce.binary_cross_entropy, y, logits=np.zeros(2), **{name: make()})
    for kind, own in FAMILY.items():
        x = np.zeros(2) if kind is ce.BinaryFocal else z
        for name in own:
            must = {"priors": [1.0, 2.0, 3.0]} if "priors" in own else {}
            loss = watched(kind, **{**must, name: make()})
            if not isinstance(loss, Refused):
                watched(loss, y, logits=x)
    for kind in ("logits", "probs", "log_probs"):
        watched(ce.cross_entropy, y, **{kind: make()})
        watched(ce.cross_entropy, make(), **{kind: z})
        watched(ce.binary_cross_entropy, make(), **{kind: np.zeros(2)})
    watched(ce.CrossEntropy().value_and_grad, y, logits=z, out=make())
    for measure in (ce.entropy, ce.softmax, ce.sigmoid, ce.logsumexp, ce.mutual_information):
        watched(measure, make())
