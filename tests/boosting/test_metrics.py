"""Metrics: the loss itself, under a name and with a direction that each library understands."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import crossent as ce
import oracle
from boosters import Labelled
from closeness import assert_close
from crossent.boosting import lightgbm_metric, xgboost_metric
from oracle_binary import binary_cross_entropy

both = pytest.mark.parametrize("make", [xgboost_metric, lightgbm_metric])


def value_of(returned: Any) -> float:
    """The number in any of the forms."""
    return float(returned[1]) if isinstance(returned, tuple) else returned


def batch(K: int) -> tuple[Any, Any, Any]:
    """Scores, labels and weights."""
    rng = np.random.default_rng(K)
    return rng.normal(size=(60, K)) * 3, rng.integers(0, K, 60), rng.random(60)


@both
def test_the_value_is_the_weighted_mean(make: Any) -> None:
    z, y, w = batch(4)
    metric = make(ce.CrossEntropy())
    exact = oracle.cross_entropy(y, logits=z, sample_weight=w)
    assert_close(value_of(metric(z, Labelled(y, w))), exact, rtol=1e-14)
    assert_close(value_of(metric(y, z, w)), exact, rtol=1e-14)
    assert_close(value_of(metric(y, z)), oracle.cross_entropy(y, logits=z), rtol=1e-14)
    binary = make(ce.BinaryCrossEntropy(reduction="sum", unit="bit"))
    exact = binary_cross_entropy(y % 2, logits=z[:, 0], sample_weight=w, reduction="sum", unit="bit")
    assert_close(value_of(binary(z[:, 0], Labelled(y % 2, w))), exact, rtol=1e-14)


@both
def test_probabilities_beside_a_builtin_objective(make: Any) -> None:
    z, y, _ = batch(3)
    p = ce.softmax(z)
    exact = oracle.cross_entropy(y, probs=p)
    assert_close(value_of(make(ce.CrossEntropy(), prediction="probs")(y, p)), exact, rtol=1e-14)
    with pytest.raises(ce.ProbabilityError, match="logits="):
        make(ce.CrossEntropy(), prediction="probs")(y, z)


def test_what_each_library_wants() -> None:
    z, y, _ = batch(3)
    native = xgboost_metric(ce.CrossEntropy())(z, Labelled(y, np.zeros(0)))
    plain = xgboost_metric(ce.CrossEntropy())(y, z)
    assert native == ("cross_entropy", plain)
    assert type(plain) is float
    assert lightgbm_metric(ce.CrossEntropy())(z, Labelled(y)) == ("cross_entropy", plain, False)
    assert lightgbm_metric(ce.CrossEntropy())(y, z) == ("cross_entropy", plain, False)


@pytest.mark.parametrize(("make", "order"), [(xgboost_metric, "C"), (lightgbm_metric, "F")])
def test_flat_scores_of_several_classes(make: Any, order: Any) -> None:
    z, y, _ = batch(3)
    metric = make(ce.CrossEntropy())
    assert metric(z.ravel(order=order), Labelled(y)) == metric(z, Labelled(y))


@both
def test_names(make: Any) -> None:
    class PoissonLikeLoss2(ce.CrossEntropy):
        """A name of several words."""

    assert make(ce.BinaryCrossEntropy()).name == "binary_cross_entropy"
    assert make(PoissonLikeLoss2()).name == "poisson_like_loss2"
    assert make(ce.CrossEntropy(), name="nats").__name__ == "nats"
    assert make(ce.CrossEntropy()).__name__ == "cross_entropy"
    for bad in ("", "two words", "a:b", 3):
        with pytest.raises(ce.OptionError, match=r"name is .*; text without spaces and colons"):
            make(ce.CrossEntropy(), name=bad)


def test_a_name_that_xgboost_would_maximise_is_refused() -> None:
    class PreciseLoss(ce.CrossEntropy):
        """Begins like precision."""

    with pytest.raises(ce.OptionError, match=r"'precise_loss', but XGBoost's early stopping maximises .* name="):
        xgboost_metric(PreciseLoss())
    assert xgboost_metric(PreciseLoss(), name="loss").name == "loss"
    assert lightgbm_metric(PreciseLoss()).name == "precise_loss"


@both
def test_what_does_not_fit(make: Any) -> None:
    with pytest.raises(ce.OptionError, match="reduction is 'none', but a metric is one number"):
        make(ce.CrossEntropy(reduction="none"))
    with pytest.raises(ce.OptionError, match="prediction is 'margin'; one of 'logits', 'probs'"):
        make(ce.CrossEntropy(), prediction="margin")
    with pytest.raises(ce.OptionError, match="the class CrossEntropy"):
        make(ce.CrossEntropy)
    with pytest.raises(ce.ShapeError, match="num_class=K"):
        make(ce.CrossEntropy())([0, 1], [0.0, 1.0])
    with pytest.raises(ce.EmptyBatchError):
        make(ce.CrossEntropy())([0, 1], np.zeros((2, 2)), [0.0, 0.0])


@both
def test_metrics_are_values(make: Any) -> None:
    metric = make(ce.CrossEntropy(class_weight=[1.0, 2.0]), name="weighted")
    for again in (copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert again == metric
        assert again.__name__ == "weighted"
