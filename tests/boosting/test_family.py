"""Losses that are not convex in boosters: derivatives of focal losses, negative curvature, every member trains."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import crossent as ce
from boosters import load, need, train_lightgbm, train_xgboost
from closeness import assert_close
from crossent.boosting import lightgbm_metric, lightgbm_objective, xgboost_metric, xgboost_objective
from oracle import objects

need("xgboost")
need("lightgbm")
MAKERS: list[Callable[..., Any]] = [xgboost_objective, lightgbm_objective]
SCORES = {xgboost_objective: np.float32, lightgbm_objective: np.float64}  # the dtype each library hands over
both = pytest.mark.parametrize("make", MAKERS)
mpf = mpmath.mpf


def sides(z: Any) -> tuple[Any, Any]:
    """p and 1 - p of a logit."""
    return 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))


def binary_focal(z: Any, a: Any, b: Any, gamma: Any) -> Any:
    """a (1 - p)^gamma (-log p) + b p^gamma (-log(1 - p))."""
    p, n = sides(z)
    return -a * n**gamma * mpmath.log(p) - b * p**gamma * mpmath.log(n)


def focal_bound(z: Any, a: Any, b: Any, gamma: Any) -> Any:
    """The second derivative with what is negative of f'' (f of log p) left out, f differentiated numerically."""

    def f(log_p: Any) -> Any:
        return -((1 - mpmath.exp(log_p)) ** gamma) * log_p

    def side(p: Any, n: Any) -> Any:
        at = mpmath.log(p)
        return max(mpmath.diff(f, at, 2), 0) * n**2 - mpmath.diff(f, at) * p * n

    p, n = sides(z)
    return a * side(p, n) + b * side(n, p)


@both
@pytest.mark.parametrize("curvature", ["exact", "upper"])
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (0.5, 0.25), (3.0, 0.75)])
def test_binary_focal_against_its_definition(make: Any, gamma: float, alpha: float | None, curvature: Any) -> None:
    z = np.linspace(-1.2, 4, 40).astype(SCORES[make])  # the Hessian of a positive is >= 0 there
    y, w = np.where(np.arange(40) < 30, 1, 0), np.linspace(0.5, 2, 40).astype(np.float32)
    z[30:] *= -1
    a = [mpf(float(v)) * (1 if alpha is None else mpf(alpha)) if t else mpf(0) for v, t in zip(w, y, strict=True)]
    b = [mpf(0) if t else mpf(float(v)) * (1 if alpha is None else 1 - mpf(alpha)) for v, t in zip(w, y, strict=True)]
    rows = [(mpf(float(x)), *ab) for x, *ab in zip(z, a, b, strict=True)]
    with mpmath.workdps(60):
        grad = [mpmath.diff(lambda x, a=a, b=b: binary_focal(x, a, b, mpf(gamma)), x) for x, a, b in rows]
        hess = [
            focal_bound(x, a, b, mpf(gamma))
            if curvature == "upper"
            else mpmath.diff(lambda x, a=a, b=b: binary_focal(x, a, b, mpf(gamma)), x, 2)
            for x, a, b in rows
        ]
    got = make(ce.BinaryFocal(gamma=gamma, alpha=alpha), curvature=curvature)(y, z, w)
    assert_close(got[0], objects(grad, (40,)), rtol=2e-6, dtype=np.float32)
    assert_close(got[1], objects(hess, (40,)), bound=1e-6, dtype=np.float32)


def focal(z: list[Any], t: int, gamma: Any) -> Any:
    """(1 - p_t)^gamma (-log p_t) of a row."""
    total = mpmath.fsum(mpmath.exp(x) for x in z)
    rest = mpmath.fsum(mpmath.exp(x) for k, x in enumerate(z) if k != t)
    return (rest / total) ** gamma * (mpmath.log(total) - z[t])


@both
def test_focal_against_its_definition(make: Any) -> None:
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(12, 4)).astype(SCORES[make]), rng.integers(0, 4, 12)
    z[np.arange(12), y] += 1.5  # certain enough for a Hessian >= 0
    exact: list[list[Any]] = [[], []]
    with mpmath.workdps(60):
        for row, t in zip(z, y, strict=True):
            values = [mpf(float(x)) for x in row]
            for k in range(4):

                def along(x: Any, k: int = k, values: Any = values, t: Any = t) -> Any:
                    return focal([x if j == k else v for j, v in enumerate(values)], int(t), mpf(2))

                exact[0].append(mpmath.diff(along, values[k]))
                exact[1].append(mpmath.diff(along, values[k], 2))
    got = make(ce.Focal(gamma=2.0))(y, z)
    for mine, right in zip(got, exact, strict=True):
        assert_close(mine, objects(right, (12, 4)), bound=1e-6, dtype=np.float32)


@both
def test_focal_without_focus_is_cross_entropy(make: Any) -> None:
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(50, 3)).astype(SCORES[make]) * 4, rng.integers(0, 3, 50)
    for curvature in ("exact", "upper"):
        pairs = [
            (make(ce.Focal(gamma=0.0), curvature=curvature)(y, z), make(ce.CrossEntropy(), curvature=curvature)(y, z)),
            (
                make(ce.BinaryFocal(gamma=0.0), curvature=curvature)(y > 0, z[:, 0]),
                make(ce.BinaryCrossEntropy(), curvature=curvature)(y > 0, z[:, 0]),
            ),
        ]
        for got, wanted in pairs:
            np.testing.assert_allclose(got[0], wanted[0], rtol=1e-5, atol=1e-12)
            np.testing.assert_allclose(got[1], wanted[1], rtol=1e-5, atol=1e-12)


@both
def test_negative_curvature_is_refused_with_row_and_class(make: Any) -> None:
    z = np.zeros((3, 4), SCORES[make])
    z[1] = [-6.0, 0.0, 1.0, 0.0]
    y = np.zeros(3, int)
    with pytest.raises(
        ce.OptionError, match=r"Hessian of row 1, class 0 is -0\.\d+: Focal is not convex there.*'upper'"
    ):
        make(ce.Focal(gamma=2.0))(y, z)
    with pytest.raises(ce.OptionError, match=r"Hessian of row 1 is -0\.\d+: BinaryFocal is not convex there"):
        make(ce.BinaryFocal(gamma=2.0))(np.ones(3), z[:, 0])
    assert (make(ce.Focal(), curvature="upper")(y, z)[1] > 0).all()
    assert (make(ce.BinaryFocal(), curvature="upper")(np.ones(3), z[:, 0])[1] > 0).all()


def test_training_by_exact_focal_ends_with_advice() -> None:
    data = load("digits")
    params = {"objective": "multi:softprob", "num_class": 10, "eta": 1.0}
    with pytest.raises(ce.OptionError, match=r"Hessian of row \d+, class \d is -.*Pass curvature='upper'"):
        train_xgboost(data, params, rounds=30, obj=xgboost_objective(ce.Focal(gamma=2.0)))


@both
def test_residual_is_for_cross_entropy_alone(make: Any) -> None:
    for loss in (ce.Focal(), ce.BinaryFocal(), ce.Poly1()):
        with pytest.raises(ce.OptionError, match=rf"not {type(loss).__name__}'s\. Use 'upper'"):
            make(loss, curvature="residual")
    for option in ({"temperature": 2.0}, {"softcap": 5.0}, {"z_loss": 1e-3}, {"entropy_weight": 0.1}):
        name = next(iter(option))
        with pytest.raises(ce.OptionError, match=rf"with {name}=.* the gradient is not p - y\. Use 'upper'"):
            make(ce.CrossEntropy(**option), curvature="residual")


MEMBERS: dict[str, Callable[[], Any]] = {
    "focal": lambda: ce.Focal(),
    "focal by class": lambda: ce.Focal(gamma=1.5, alpha=np.linspace(0.5, 1.5, 10)),
    "poly1": lambda: ce.Poly1(epsilon=2.0),
    "generalized_cross_entropy": lambda: ce.GeneralizedCrossEntropy(),
    "symmetric_cross_entropy": lambda: ce.SymmetricCrossEntropy(),
    "logit_adjusted": lambda: ce.LogitAdjusted(priors=np.arange(1, 11)),
    "bootstrap": lambda: ce.Bootstrap(),
    "bootstrap, hard": lambda: ce.Bootstrap(hard=True),
    "temperature": lambda: ce.CrossEntropy(temperature=2.0),
    "softcap": lambda: ce.CrossEntropy(softcap=8.0),
    "z_loss": lambda: ce.CrossEntropy(z_loss=1e-3),
    "entropy_weight": lambda: ce.CrossEntropy(entropy_weight=-0.1),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_trains_by_its_upper_bound(name: str) -> None:
    data, loss = load("digits"), MEMBERS[name]()
    params: dict[str, Any] = {"num_class": 10, "objective": "multi:softprob", "disable_default_eval_metric": True}
    xgboost = train_xgboost(
        data, {**params, "min_child_weight": 0.1}, rounds=15, obj=xgboost_objective(loss, curvature="upper"),
        custom_metric=xgboost_metric(loss),
    )  # fmt: skip
    params = {"num_class": 10, "objective": lightgbm_objective(loss, curvature="upper"), "metric": "None"}
    lightgbm = train_lightgbm(data, {**params, "learning_rate": 0.3}, rounds=15, feval=lightgbm_metric(loss))
    import xgboost as xgb

    scores = [
        xgboost.model.predict(xgb.DMatrix(data.X_held), output_margin=True),
        lightgbm.model.predict(data.X_held),
    ]
    for curves, z in zip((xgboost, lightgbm), scores, strict=True):
        (curve,) = curves.train.values()
        assert (np.diff(curve) < 0).all(), "the bound lets the training loss fall in every round"
        assert np.mean(z.argmax(axis=1) == data.y_held) > 0.85


def test_metrics_are_named_like_the_functions() -> None:
    for name in (
        "focal",
        "poly1",
        "generalized_cross_entropy",
        "symmetric_cross_entropy",
        "logit_adjusted",
        "bootstrap",
    ):
        assert xgboost_metric(MEMBERS[name]()).name == name
    assert xgboost_metric(ce.BinaryFocal()).name == "binary_focal"
