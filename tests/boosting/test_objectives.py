"""Gradients and Hessians that go to the boosters, against 50 digits; both ways in; what is refused."""

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import crossent as ce
from boosters import Labelled
from cases import hard_batch
from closeness import assert_close
from crossent.boosting import lightgbm_objective, xgboost_objective
from oracle_boosting import binary_derivatives, class_derivatives
from wide import Wide

MAKERS: list[Callable[..., Any]] = [xgboost_objective, lightgbm_objective]
SCORES = {xgboost_objective: np.float32, lightgbm_objective: np.float64}  # the dtype each library hands over
FLOOR = {xgboost_objective: np.float32(1e-16), lightgbm_objective: np.float32(0)}
both = pytest.mark.parametrize("make", MAKERS)


def check(make: Any, got: tuple[Any, Any], exact: tuple[Any, Any], label: str = "") -> None:
    """float32, the gradient within 9 ulp (8, and one rounding), the Hessian likewise above its floor."""
    grad, hess = got
    assert_close(grad, exact[0], ulps=9, dtype=np.float32, label=f"{label} gradient")
    assert hess.dtype == np.float32
    floored = (hess == FLOOR[make]) & (grad != 0)
    small = Wide.of(exact[1])
    values = np.ldexp(small.hi, np.clip(small.exp, -1000, 1000))
    assert (values[floored] <= 1.0001 * max(FLOOR[make], 1e-45)).all()
    kept = np.where(floored, 0, hess), np.where(floored, 0, exact[1])
    assert_close(*kept, ulps=9, label=f"{label} Hessian")


@both
@pytest.mark.parametrize("curvature", ["exact", "upper", "residual", "sum_to_zero"])
@pytest.mark.parametrize("K", [3, 10])
def test_classes_on_hard_rows(make: Any, curvature: str, K: int) -> None:
    z, y = hard_batch(K, SCORES[make], infinite=False)
    z, y = z[:120], y[:120]
    got = make(ce.CrossEntropy(), curvature=curvature)(y.astype(np.float32), z)
    check(make, got, class_derivatives(y, curvature, logits=z), curvature)


@both
@pytest.mark.parametrize("curvature", ["exact", "upper", "residual"])
def test_labels_on_hard_rows(make: Any, curvature: str) -> None:
    rng = np.random.default_rng(0)
    scale = np.repeat([1e-3, 1.0, 30.0, 80.0, 1e4], 40)
    z = (rng.normal(size=200) * scale).astype(SCORES[make])
    assert np.abs(z).max() > 1e4
    y = rng.integers(0, 2, 200)
    got = make(ce.BinaryCrossEntropy(), curvature=curvature)(y.astype(np.float32), z)
    check(make, got, binary_derivatives(y, curvature, logits=z), curvature)


@both
def test_weights_and_options_enter_both(make: Any) -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(40, 4)).astype(SCORES[make]) * 3
    y, w, cw = rng.integers(0, 4, 40), rng.uniform(0.1, 9, 40).astype(np.float32), [1.0, 2.0, 0.5, 0.25]
    loss = ce.CrossEntropy(class_weight=cw, unit="bit", reduction="none")
    got = make(loss, curvature="upper")(z, Labelled(y, w))
    check(make, got, class_derivatives(y, "upper", logits=z, sample_weight=w, class_weight=cw, unit="bit"))
    binary = ce.BinaryCrossEntropy(pos_weight=3.0)
    check(make, make(binary)(z[:, 0], Labelled(y == 1, w)),
          binary_derivatives(y == 1, "exact", logits=z[:, 0], sample_weight=w, pos_weight=3.0))  # fmt: skip


@both
def test_both_ways_in_give_the_same(make: Any) -> None:
    rng = np.random.default_rng(2)
    z, y, w = rng.normal(size=(30, 5)).astype(SCORES[make]), rng.integers(0, 5, 30), rng.random(30)
    objective = make(ce.CrossEntropy())
    for weight in (None, w, np.zeros(0)):  # XGBoost's get_weight gives an empty array where there are none
        native = objective(z, Labelled(y, weight))
        sklearn = objective(y, z) if weight is None or not weight.size else objective(y, z, sample_weight=weight)
        for a, b in zip(native, sklearn, strict=True):
            np.testing.assert_array_equal(a, b)


@both
def test_the_libraries_recognise_the_signature(make: Any) -> None:
    """XGBoost passes weights to a parameter named sample_weight, LightGBM to a third parameter."""
    assert list(inspect.signature(make(ce.CrossEntropy())).parameters) == ["first", "second", "sample_weight"]


@pytest.mark.parametrize(("make", "order"), [(xgboost_objective, "C"), (lightgbm_objective, "F")])
def test_flat_scores_of_several_classes(make: Any, order: Any) -> None:
    """As libraries hand them over that are too old to give [N, K]."""
    rng = np.random.default_rng(3)
    z, y = rng.normal(size=(7, 3)), rng.integers(0, 3, 7)
    objective = make(ce.CrossEntropy(), curvature="upper")
    for flat, square in zip(objective(z.ravel(order=order), Labelled(y)), objective(z, Labelled(y)), strict=True):
        assert flat.shape == (21,)
        np.testing.assert_array_equal(flat, square.ravel(order=order))


@both
def test_memory_order_does_not_matter(make: Any) -> None:
    rng = np.random.default_rng(4)
    z, y = rng.normal(size=(50, 6)), rng.integers(0, 6, 50)
    for a, b in zip(make(ce.CrossEntropy())(y, np.asfortranarray(z)), make(ce.CrossEntropy())(y, z), strict=True):
        assert a.shape == z.shape
        np.testing.assert_array_equal(a, b)


@both
def test_labels_of_any_number_of_columns(make: Any) -> None:
    rng = np.random.default_rng(5)
    z, y, w = rng.normal(size=(20, 3)).astype(np.float32), rng.integers(0, 2, (20, 3)), rng.random(20)
    objective = make(ce.BinaryCrossEntropy())
    check(make, objective(z, Labelled(y, w)), binary_derivatives(y, "exact", logits=z, sample_weight=w[:, None]))
    column = objective(z[:, :1], Labelled(y[:, 0], w))
    flat = objective(z[:, 0], Labelled(y[:, 0], w))
    assert column[0].shape == (20, 1)
    for a, b in zip(column, flat, strict=True):
        np.testing.assert_array_equal(a[:, 0], b)


@both
def test_soft_labels(make: Any) -> None:
    q = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)
    z = np.array([[0.3, -0.2], [2.0, 1.0]], np.float32)
    grad, hess = make(ce.CrossEntropy())(z, Labelled(q))
    assert_close(grad, class_derivatives(q, "exact", logits=z)[0], bound=1e-7)
    assert_close(hess, class_derivatives(q, "exact", logits=z)[1], ulps=9)


def test_a_row_without_weight_leaves() -> None:
    z = np.array([[0.0, 1.0], [np.nan, 0.0], [3.0, 1.0]])
    for make in MAKERS:
        grad, hess = make(ce.CrossEntropy())([0, 1, 1], z, [1.0, 0.0, 2.0])
        assert (grad[1] == 0).all()
        assert (hess[1] == 0).all()
        ignored = make(ce.CrossEntropy(ignore_index=-1))([0, -1, 1], z)
        assert (ignored[0][1] == 0).all()
        assert (ignored[1][1] == 0).all()


def test_saturated_rows_keep_a_hessian_in_xgboost_only() -> None:
    z = np.array([-60.0, 60.0, -200.0], np.float32)
    grad, hess = xgboost_objective(ce.BinaryCrossEntropy())([1, 1, 0], z)
    assert grad[0] == -1  # wrong and certain: the step is still finite
    np.testing.assert_array_equal(hess, np.array([1e-16, 1e-16, 0], np.float32))  # e^-200 has left float32 altogether
    assert grad[2] == 0
    _, hess = lightgbm_objective(ce.BinaryCrossEntropy())([1, 1, 0], z.astype(np.float64))
    assert_close(hess[:2], [np.exp(-60.0)] * 2, rtol=1e-6)


class Dented(ce.BinaryCrossEntropy):
    """Not convex: its Hessian is negative wherever the score is below -1, unless the upper bound is asked for."""

    def grad_and_hess(self, targets: Any, *, logits: Any = None, curvature: Any = "exact", **given: Any) -> Any:
        """The bound, or the Hessian with a dent."""
        grad, hess = super().grad_and_hess(targets, logits=logits, curvature=curvature, **given)
        return ce.GradHess(grad, hess if curvature == "upper" else np.where(np.asarray(logits) < -1, -hess, hess))


@both
def test_negative_curvature_is_refused_with_advice(make: Any) -> None:
    z = np.array([[0.0, 0.5], [1.0, 2.0], [0.0, -2.0]], SCORES[make])
    y = np.zeros((3, 2))
    message = r"Hessian of row 2, label 1 is -0\.104994: Dented is not convex there.* curvature='upper'.*of 'exact'\."
    with pytest.raises(ce.OptionError, match=message):
        make(Dented())(y, z)
    with pytest.raises(ce.OptionError, match=r"Hessian of row 2 is -0\.10"):
        make(Dented())(y[:, 1], z[:, 1])
    assert (make(Dented(), curvature="upper")(y, z)[1] > 0).all()


@both
def test_what_float32_cannot_hold_is_refused(make: Any) -> None:
    z = np.zeros((3, 2))
    with pytest.raises(ce.NonFiniteError, match=r"gradient of row 1, class 0 is -inf in float32.* weights smaller"):
        make(ce.CrossEntropy())([0, 0, 1], z, [1.0, 1e300, 1.0])
    with pytest.raises(ce.NonFiniteError, match=r"logits\[1, 0\] is nan"):
        make(ce.CrossEntropy())([0, 0, 1], np.array([[0.0, 1.0], [np.nan, 0.0], [0.0, 0.0]]))


@both
@pytest.mark.parametrize(
    ("labels", "scores", "error", "message"),
    [
        ([0, 1], [0.5, 0.5], ce.ShapeError, r"shape \(2,\), but CrossEntropy needs .* Set num_class=K"),
        ([0, 1], [[0.5], [0.5]], ce.ShapeError, r"shape \(2, 1\), but CrossEntropy needs"),
        ([0, 1], np.zeros((2, 2, 2)), ce.ShapeError, r"shape \(2, 2, 2\)"),
        ([0, 1, 1], np.zeros((2, 3)), ce.ShapeError, r"targets .*shape \(3,\)"),
        ([0, 3], np.zeros((2, 3)), ce.LabelError, r"targets\[1\] is 3"),
        ([0, 0.5], np.zeros((2, 3)), ce.LabelError, r"targets\[1\] is 0\.5"),
    ],
)
def test_misfits_over_classes(make: Any, labels: Any, scores: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make(ce.CrossEntropy())(labels, np.asarray(scores))


@both
def test_misfits_of_labels(make: Any) -> None:
    with pytest.raises(ce.ShapeError, match=r"scores have shape \(2, 3\), the labels \(2,\).*CrossEntropy\(\)"):
        make(ce.BinaryCrossEntropy())([0, 1], np.zeros((2, 3)))
    with pytest.raises(ce.LabelError, match=r"targets\[1\] is 2"):
        make(ce.BinaryCrossEntropy())([0, 2], np.zeros(2))
    for nothing in (None, np.zeros(0)):
        with pytest.raises(ce.LabelError, match="2 scores and no labels"):
            make(ce.BinaryCrossEntropy())(np.zeros(2), Labelled(nothing))


@both
def test_losses_that_do_not_fit(make: Any) -> None:
    with pytest.raises(ce.OptionError, match=r"the class CrossEntropy; .* CrossEntropy\(\)"):
        make(ce.CrossEntropy)
    with pytest.raises(ce.OptionError, match=r"loss is 'logloss'; .* CrossEntropy\(\)"):
        make("logloss")
    with pytest.raises(ce.OptionError, match="axis is 0"):
        make(ce.CrossEntropy(axis=0))
    make(ce.CrossEntropy(axis=1))


@both
def test_curvatures_that_do_not_fit(make: Any) -> None:
    for unknown in ("Exact", None, 2):
        with pytest.raises(ce.OptionError, match=f"curvature is {unknown!r}; one of 'exact', 'upper', 'residual'"):
            make(ce.CrossEntropy(), curvature=unknown)
    with pytest.raises(ce.OptionError, match=r"BinaryCrossEntropy has independent labels\. Use 'exact'"):
        make(ce.BinaryCrossEntropy(), curvature="sum_to_zero")
    with pytest.raises(ce.OptionError, match=r"not Dented's\. Use 'upper'"):
        make(Dented(), curvature="residual")


@both
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), copy.copy])
def test_objectives_are_values(make: Any, duplicate: Any) -> None:
    """LightGBM copies its parameters deeply, scikit-learn clones them, models are pickled with them."""
    objective = make(ce.CrossEntropy(class_weight=[1.0, 2.0, 3.0]), curvature="upper")
    again = duplicate(objective)
    assert again == objective
    assert hash(again) == hash(objective)
    for a, b in zip(again([2], np.zeros((1, 3))), objective([2], np.zeros((1, 3))), strict=True):
        np.testing.assert_array_equal(a, b)
    assert make(ce.CrossEntropy()) != objective


def test_no_library_is_imported() -> None:
    from processes import run_python

    ran = run_python(
        """
        import sys, numpy as np, crossent as ce, crossent.boosting as boosting
        boosting.xgboost_objective(ce.CrossEntropy())([0], np.zeros((1, 2)))
        boosting.lightgbm_metric(ce.CrossEntropy())([0], np.zeros((1, 2)))
        print(sorted({"xgboost", "lightgbm", "sklearn", "scipy"} & set(sys.modules)))
        """
    )
    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")
