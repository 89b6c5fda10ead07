"""The family's array formulas against the oracle on hard rows, within the bounds that their heads state."""

from typing import Any

import numpy as np
import pytest

import oracle_shapes
from cases import hard_cases, soft_targets
from closeness import assert_close
from crossent.core import formula, formula_elements, formula_rows
from crossent.core.formula_rows import RowRule
from crossent.core.shapes import KINDS, Shape
from formula_bounds import rows_bound, unit
from oracle_family import family_answers
from oracle_shapes import binary_answers

DTYPES = (np.float32, np.float64)
SHAPES = [
    Shape(), Shape("log", 0.5), Shape("focal", 1.0, 0.5), Shape("focal", 0.25, 1.0), Shape("focal", 1.0, 2.0),
    Shape("focal", 1.0, 5.0), Shape("focal", 1.0, 0.0), Shape("poly", 1.0, 2.0), Shape("poly", 1.0, -1.0),
    Shape("poly", 1.0, -0.5), Shape("poly", 0.0, 4.0), Shape("power", 1.0, 0.7), Shape("power", 1.0, 1.0),
    Shape("power", 1.0, 0.01),
]  # fmt: skip
RULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "temperature": {"temperature": 0.3},
    "softcap": {"softcap": 30.0},
    "small softcap": {"softcap": 0.5, "temperature": 2.0},
    "prior": {"log_prior": True},
    "entropy": {"entropy_weight": 0.3},
    "confidence penalty": {"entropy_weight": -2.0},
    "z_loss": {"z_loss": 0.01},
    "all": {"z_loss": 0.5, "entropy_weight": -1.5, "softcap": 5.0, "temperature": 0.7, "log_prior": True},
}
EVERY = [(shape, rules) for shape in SHAPES for rules in ("plain", "all")]
EVERY += [(shape, rules) for shape in SHAPES[:12:3] for rules in list(RULES)[1:-1]]


def words(shape: Shape) -> tuple[Any, ...]:
    """The oracle's words for a shape."""
    if shape.kind == "power":
        return ("power", shape.b)
    return (shape.kind, shape.a) if shape.kind == "log" else tuple(shape)


def options(name: str, K: int) -> dict[str, Any]:
    """Rules by name; priors as numbers that both dtypes hold."""
    rules = dict(RULES[name])
    if "log_prior" in rules:
        rules["log_prior"] = [-float(k % 5) / 4 for k in range(K)]
    return rules


def rows(K: int, dtype: Any, *, infinite: bool = False) -> tuple[Any, Any]:
    """Hard rows, thinned out; one-hot and soft targets in turn."""
    z, q = [], []
    for case in hard_cases(K, dtype, infinite=infinite):
        if len(case.targets):
            some = slice(None, None, max(1, len(case.targets) // 4))
            onehot = formula.one_hot(np, case.targets, K, dtype)
            z.append(case.logits[some])
            q.append(np.where(np.arange(len(onehot))[:, None] % 2, soft_targets(case).astype(dtype), onehot)[some])
    return np.concatenate(z), np.concatenate(q)


def everything(z: Any, q: Any, rule: RowRule) -> dict[str, Any]:
    """Loss, gradient and both Hessian diagonals by formula."""
    return {
        "loss": formula_rows.row_loss(np, z, q, rule),
        "grad": formula_rows.row_gradient(np, z, q, rule),
        "hess": formula_rows.row_hessian(np, z, q, rule),
        "upper": formula_rows.row_upper(np, z, q, rule),
    }


@pytest.mark.parametrize(("shape", "rules"), EVERY, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 5])
def test_rows_against_the_oracle(K: int, dtype: Any, shape: Shape, rules: str) -> None:
    z, q = rows(K, dtype)
    given = options(rules, K)
    rule = RowRule(shape, **given)
    exact = family_answers(q, logits=z, shape=words(shape), **given)
    bound = rows_bound(z, rule, dtype)
    far = "ignore" if rules == "z_loss" and dtype == np.float32 else "raise"  # 1e30 squared
    with np.errstate(all="raise", under="ignore", over=far):
        got = everything(z, q, rule)
    for name, values in got.items():
        scale = getattr(exact, f"{name}_scale").to_float()
        allowed = bound.reshape(-1, *[1] * (values.ndim - 1)) * scale + 8 * float(np.finfo(dtype).tiny)
        assert_close(values, getattr(exact, name), bound=allowed, dtype=dtype, label=f"{name} of {rules}")
    assert np.all(got["upper"] >= 0)


@pytest.mark.parametrize("rules", ["plain", "softcap", "all"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_infinite_logits(shape: Shape, rules: str) -> None:
    """Ruled out and certain classes: no NaN, and what the oracle says; z_loss of a certain class is inf."""
    z, q = rows(4, np.float64, infinite=True)
    z, q = z[~np.isfinite(z).all(axis=1)], q[~np.isfinite(z).all(axis=1)]
    assert np.isposinf(z).any()
    assert (np.isneginf(z) & (q > 0)).any()
    given = options(rules, 4)
    rule = RowRule(shape, **given)
    exact = family_answers(q, logits=z, shape=words(shape), **given)
    bound = rows_bound(z, rule, np.float64)
    for name, values in everything(z, q, rule).items():
        scale = getattr(exact, f"{name}_scale").to_float()
        allowed = bound.reshape(-1, *[1] * (values.ndim - 1)) * np.where(np.isfinite(scale), scale, 1.0)
        assert_close(values, getattr(exact, name), bound=allowed + 1e-300, label=name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_is_the_plain_rule(dtype: Any) -> None:
    z, q = rows(5, dtype)
    got = everything(z, q, RowRule())
    np.testing.assert_allclose(got["loss"], formula.logit_loss(np, z, q), rtol=20 * unit(dtype))
    np.testing.assert_array_equal(got["grad"], formula.logit_gradient(np, z, q))
    np.testing.assert_array_equal(got["upper"], 2 * got["hess"])
    assert np.all(got["hess"] >= 0)


def test_confident_rows_of_small_gamma_do_not_overflow() -> None:
    """c grows like u^(gamma - 1); it is never taken alone."""
    z = np.array([[0.0, 100.0, 1.0], [0.0, 86.0, 85.9], [0.0, 0.0, 103.9]], np.float32)
    rule = RowRule(Shape("focal", 1.0, 0.01))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for q in (np.eye(3, dtype=np.float32)[[1, 1, 2]], np.full((3, 3), 1 / 3, np.float32)):
            assert all(np.isfinite(values).all() for values in everything(z, q, rule).values())


def test_bootstrapped_targets_lean_to_the_first_largest_logit() -> None:
    z, q = np.array([[1.0, 3.0, 3.0], [0.0, 40.0, 50.0]]), np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    got = formula_rows.bootstrapped(np, q, z, 0.75)
    assert got.tolist() == [[0.75, 0.25, 0.0], [0.375, 0.375, 0.25]]


def hard_probabilities(dtype: Any) -> Any:
    """0, the smallest, powers of ten, next to 1/2 and to 1, 1."""
    tiny, half, one = np.finfo(dtype).smallest_subnormal, dtype(0.5), dtype(1)
    near = [np.nextafter(half, 0), half, np.nextafter(half, one), one - dtype(2) ** -10, np.nextafter(one, 0), one]
    powers = 10.0 ** -np.arange(1.0, 38, 3)
    return np.array([0, tiny, np.finfo(dtype).tiny, *powers, *near, 0.3, 0.7, 0.99], dtype)


def allowed_ulps(shape: Shape) -> float:
    """The bound of core/shapes.py, in units of 2 u."""
    return 8 * (1 + (shape.b if shape.kind == "focal" else 0))


@pytest.mark.parametrize("kind", ["probs", "log_probs"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_probabilities_against_the_oracle(shape: Shape, kind: str) -> None:
    """Every entry as a row of its own, in float64 as these formulas are used."""
    with np.errstate(divide="ignore"):
        p = hard_probabilities(np.float64)
        x = np.stack([p if kind == "probs" else np.log(p), np.full(p.size, np.nan)], axis=1)
    q = np.tile([1.0, 0.0], (p.size, 1))
    exact = family_answers(q, shape=words(shape), **{kind: x})
    stem = "prob" if kind == "probs" else "log_prob"
    with np.errstate(divide="ignore", over="ignore", invalid="raise"):
        loss = getattr(formula_rows, f"row_{stem}_loss")(np, x, q, shape)
        grad = getattr(formula_rows, f"row_{stem}_gradient")(np, x, q, shape)
    assert_close(loss, exact.loss, ulps=allowed_ulps(shape))
    assert_close(grad, exact.grad, ulps=allowed_ulps(shape))


@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_elements_against_the_oracle(dtype: Any, shape: Shape, alpha: float | None) -> None:
    z = np.concatenate([np.linspace(-80, 80, 41), 10.0 ** np.linspace(-20, 3, 20), [-np.inf, np.inf]]).astype(dtype)
    y = np.resize([0.0, 1.0, 0.25, 0.875], z.size).astype(dtype)
    y[-2:] = 0, 1
    shares = {"positive": dtype(2), "negative": dtype(0.5)}
    A, B = formula.binary_weights(y, smoothing=dtype(0), pos_weight=dtype(3), **shares)
    A, B = (A, B) if alpha is None else (A * dtype(alpha), B * dtype(1 - alpha))
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
