"""The array formula of an independent label against the oracle, within the bound of its head, and its shapes."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
import oracle_binary
import oracle_shapes
from closeness import assert_close
from crossent.core import formula_elements
from crossent.core.shapes import KINDS, Shape
from crossent.core.terms import BinaryTerms
from formula_bounds import unit
from oracle_shapes import binary_answers
from shapes import SHAPES, allowed_ulps, hard_probabilities, words

DTYPES = (np.float32, np.float64)


@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_against_the_oracle(dtype: Any, shape: Shape, alpha: float | None) -> None:
    z = np.concatenate([np.linspace(-80, 80, 41), 10.0 ** np.linspace(-20, 3, 20), [-np.inf, np.inf]]).astype(dtype)
    y = np.resize([0.0, 1.0, 0.25, 0.875], z.size).astype(dtype)
    y[-2:] = 0, 1
    shares = {"positive": dtype(2), "negative": dtype(0.5)}
    terms = BinaryTerms(shape) if alpha is None else BinaryTerms(shape, alpha, 1 - alpha)
    A, B = formula_elements.element_weights(y, terms, smoothing=dtype(0), pos_weight=dtype(3), **shares)
    exact = binary_answers(y, logits=z, shape=words(shape), class_weight=[0.5, 2], pos_weight=3.0, alpha=alpha)
    g = shape.b if shape.kind == "focal" else 1.0
    size = np.minimum(np.abs(z), 1100).astype(np.float64)
    bound = (1 + g) * (12 + size) * unit(dtype)
    with np.errstate(all="raise", under="ignore"):
        for name in ("loss", "gradient", "hessian", "upper"):
            part = {"gradient": "grad", "hessian": "hess"}.get(name, name)
            got = getattr(formula_elements, f"element_{name}")(np, z, A, B, shape)
            scale = getattr(exact, {"loss": "loss", "gradient": "grad_scale"}.get(name, "hess_scale")).to_float()
            allowed = bound * scale + 8 * float(np.finfo(dtype).tiny)
            assert_close(got, getattr(exact, part), bound=allowed, dtype=dtype, label=name)


@pytest.mark.parametrize("kind", ["probs", "log_probs"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_element_probabilities_against_the_oracle(shape: Shape, kind: str) -> None:
    p = np.concatenate([hard_probabilities(np.float64), hard_probabilities(np.float64)])
    with np.errstate(divide="ignore"):
        x = p if kind == "probs" else np.log(p)
    y = np.repeat([0.0, 1.0], p.size // 2)
    exact = binary_answers(y, shape=words(shape), **{kind: x})
    stem = "prob" if kind == "probs" else "log_prob"
    with np.errstate(divide="ignore", over="ignore", invalid="raise"):
        loss = getattr(formula_elements, f"element_{stem}_loss")(np, x, y, 1 - y, shape)
        grad = getattr(formula_elements, f"element_{stem}_gradient")(np, x, y, 1 - y, shape)
    assert_close(loss, exact.loss, ulps=allowed_ulps(shape))
    assert_close(grad, exact.grad, ulps=allowed_ulps(shape))
    soft = binary_answers(np.full(p.size, 0.25), shape=words(shape), **{kind: x})
    with np.errstate(divide="ignore", over="ignore", invalid="raise"):
        grad = getattr(formula_elements, f"element_{stem}_gradient")(np, x, 0.25 + 0 * y, 0.75 + 0 * y, shape)
    assert_close(grad, soft.grad, ulps=allowed_ulps(shape), of=soft.grad_scale)


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_elements_against_the_oracle_and_native(dtype: Any, isa: str) -> None:
    z = np.concatenate([np.linspace(-80, 80, 161), 10.0 ** np.linspace(-20, 4, 50)]).astype(dtype)
    y = np.resize([0.0, 1.0, 0.25, 0.9], z.size).astype(dtype)
    options = {"label_smoothing": 0.1, "class_weight": [0.5, 2.0], "pos_weight": 3.0}
    A, B = formula_elements.element_weights(
        y, BinaryTerms(), smoothing=dtype(0.1), pos_weight=dtype(3), negative=dtype(0.5), positive=dtype(2)
    )
    asked = {"logits": z, "reduction": "none", **options}
    scale = np.array(oracle_binary.binary_gradient_scale(y, **asked), dtype=np.float64)
    exact, slope = oracle_binary.binary_cross_entropy(y, **asked), oracle_binary.binary_gradient(y, **asked)
    got = ce.BinaryCrossEntropy(reduction="none", **options).value_and_grad(y, logits=z)
    value = formula_elements.element_loss(np, z, A, B, Shape())
    grad = formula_elements.element_gradient(np, z, A, B, Shape())
    assert value.dtype == grad.dtype == dtype
    assert_close(value, exact, rtol=12 * unit(dtype))
    assert_close(grad, slope, bound=12 * unit(dtype) * scale + 8 * float(np.finfo(dtype).tiny))
    assert_close(got.value, exact, ulps=4)
    assert_close(got.grad, slope, ulps=8, of=scale)


@pytest.mark.parametrize("eps", [1e-300, 1e-10, 0.25])
def test_eps_of_plain_cross_entropy(eps: float) -> None:
    """Added to p and to 1 - p; near 1 their sum is rounded, which moves the logarithm by u."""
    p = hard_probabilities(np.float64)
    y = np.resize([0.0, 1.0, 0.25], p.size)
    asked = {"probs": p, "eps": eps, "reduction": "none"}
    got = formula_elements.element_prob_loss(np, p, y, 1 - y, Shape(), eps=eps)
    exact = oracle_binary.binary_cross_entropy(y, **asked)
    assert_close(got, exact, bound=(8 * np.abs(exact.astype(float)) + 1) * unit(np.float64))
    grad = formula_elements.element_prob_gradient(np, p, y, 1 - y, Shape(), eps=eps)
    scale = oracle_binary.binary_gradient_scale(y, **asked)
    assert_close(grad, oracle_binary.binary_gradient(y, **asked), ulps=4, of=scale)


# ---------------------------------------------------------------- the shapes themselves


def test_shapes_are_small_records_with_a_number() -> None:
    assert [Shape(kind).code for kind in KINDS] == [0, 1, 2, 3]
    assert tuple(Shape("power", 1.0, 0.5)) == ("power", 1.0, 0.5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_curvature_is_the_oracles(shape: Shape) -> None:
    """c and c u^2 from exact p, within 16 u (1 + b) of the sum of absolute terms."""
    p = hard_probabilities(np.float64)
    p = p[(p >= np.finfo(np.float64).tiny) & (p < 1)]
    L, u = -np.log(p), 1 - p
    got, times = shape.curvature(np, L, u, p), shape.curvature_u2(np, L, u, p)
    for i, x in enumerate(p.tolist()):
        with oracle_shapes.mp.workprec(1400):
            exact, rest = oracle_shapes.mpf(x), 1 - oracle_shapes.mpf(x)
            c = oracle_shapes.shaped(words(shape), -oracle_shapes.mp.log(exact), rest, exact)
            allowed = 2.0**-53 * 2 * allowed_ulps(shape) * c.c_scale
            assert abs(got[i] - c.c) <= allowed + 1e-322
            assert abs(times[i] - c.c * rest**2) <= allowed * rest**2 + 1e-322
