"""The public losses: the tutorials' numbers, frozen objects, options, functions that are the objects."""

import dataclasses
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import crossent as ce
from closeness import assert_close

FIVE = [
    [0.8671, 0.0189, 0.0042, 0.1619, 0.9805],
    [0.1054, 0.1519, 0.6359, 0.6112, 0.9417],
    [0.9968, 0.3285, 0.9185, 0.0315, 0.9592],
]

# ---------------------------------------------------------------- the tutorials' numbers


def test_binary_cross_entropy_of_four_probabilities() -> None:
    assert round(ce.binary_cross_entropy([1, 0, 1, 0], probs=[0.8, 0.3, 0.7, 0.2]), 8) == 0.28990925


def test_softmax_of_1_2_4() -> None:
    assert ce.softmax([1, 2, 4]).round(8).tolist() == [0.04201007, 0.1141952, 0.84379473]


def test_cross_entropy_of_two_rows_of_logits() -> None:
    assert round(ce.cross_entropy([0, 2], logits=[[1.3, 0.7, -0.1], [-0.2, 1.1, 0.6]]), 7) == 0.8580028


def test_cross_entropy_and_gradient_of_three_rows_of_five_logits() -> None:
    got = ce.CrossEntropy().value_and_grad([1, 0, 4], logits=FIVE)
    assert round(got.value, 7) == 1.8337692
    assert got.grad.round(4).tolist() == [
        [0.0962, -0.2921, 0.0406, 0.0475, 0.1078],
        [-0.2901, 0.0453, 0.0735, 0.0717, 0.0997],
        [0.0882, 0.0452, 0.0815, 0.0336, -0.2484],
    ]


def test_element_wise_binary_cross_entropy() -> None:
    assert round(ce.binary_cross_entropy([[0, 1], [0, 0]], probs=[[0.5, 0.4], [0.6, 0.3]]), 7) == 0.7206009


def test_eps_inside_the_logarithm() -> None:
    Y, P = np.array([[1, 0, 0], [0, 0, 1]]), np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    want = -np.mean(np.sum(Y * np.log(P + 1e-10), axis=1))
    for targets in (Y, [0, 2]):
        assert_close(ce.cross_entropy(targets, probs=P, eps=1e-10), want, rtol=1e-15)


def test_one_hot_and_index_targets_agree() -> None:
    index = ce.CrossEntropy().value_and_grad([1, 0, 4], logits=FIVE)
    onehot = ce.CrossEntropy().value_and_grad(np.eye(5)[[1, 0, 4]], logits=FIVE)
    assert_close(onehot.value, index.value, rtol=1e-15)
    np.testing.assert_allclose(onehot.grad, index.grad, rtol=1e-14)


def test_sparse_labels_from_1_get_the_hint_and_work_with_classes() -> None:
    z = [[2.0, 0.5, 0.1], [0.1, 2.0, 0.3], [0.2, 0.1, 3.0]]
    with pytest.raises(ce.LabelError, match=r"look 1-based: pass targets - 1, or classes=\[1, 2, 3\]"):
        ce.cross_entropy([[1], [2], [3]], logits=z)
    assert ce.cross_entropy([[1], [2], [3]], logits=z, classes=[1, 2, 3]) == ce.cross_entropy([0, 1, 2], logits=z)


def test_a_fair_coin_has_1_bit_and_a_certain_one_0() -> None:
    assert ce.entropy([0.5, 0.5], unit="bit") == 1
    assert ce.entropy([1.0, 0.0], unit="bit") == 0
    assert ce.cross_entropy([0], probs=[[0.5, 0.5]], unit="bit") == 1
    assert ce.binary_cross_entropy([1], logits=[0.0], unit="bit") == 1


def test_cross_entropy_is_entropy_plus_divergence() -> None:
    p, q = [0.1, 0.4, 0.5], [0.8, 0.15, 0.05]
    total = ce.entropy(p) + ce.kl_divergence(p, q)
    assert_close(ce.cross_entropy_of(p, q), total, rtol=1e-15)
    assert_close(ce.cross_entropy([p], probs=[q]), total, rtol=1e-15)
    assert ce.cross_entropy([p], probs=[q]) >= ce.entropy(p)


@pytest.mark.parametrize("heads", [1, 3, 7, 9])
def test_the_maximum_likelihood_bernoulli_parameter_is_the_mean(heads: int) -> None:
    """The derivative of the negative log-likelihood vanishes there, and the loss is the entropy of the mean."""
    y = np.repeat([1, 0], [heads, 10 - heads])
    theta = y.mean()
    at = ce.BinaryCrossEntropy(reduction="sum").value_and_grad(y, probs=np.full(10, theta))
    assert abs(at.grad.sum()) < 1e-13
    assert_close(at.value / 10, ce.entropy([theta, 1 - theta]), rtol=1e-14)
    logit = np.log(theta) - np.log1p(-theta)
    assert abs(ce.BinaryCrossEntropy(reduction="sum").value_and_grad(y, logits=np.full(10, logit)).grad.sum()) < 1e-14
    for other in (theta - 0.01, theta + 0.01):
        assert ce.binary_cross_entropy(y, probs=np.full(10, other)) > at.value / 10


def test_multi_label_softmax_counts_each_positive_as_its_share() -> None:
    """The true gradient, softmax - y / number of positives, not the probabilities alone."""
    z, y = np.array([[1.0, 2.0, 0.5, -1.0]]), np.array([[1, 0, 1, 0]])
    got = ce.CrossEntropy(normalize_targets=True).value_and_grad(y, logits=z)
    assert_close(got.value, -np.mean(ce.log_softmax(z)[0, [0, 2]]), rtol=1e-15)
    np.testing.assert_allclose(got.grad, ce.softmax(z) - y / 2, rtol=1e-14)


# ---------------------------------------------------------------- objects


@pytest.mark.parametrize("kind", [ce.CrossEntropy, ce.BinaryCrossEntropy])
def test_objects_hold_options_and_nothing_else(kind: Any) -> None:
    """Frozen, equal by value, made by keyword only, picklable, shown by their options."""
    loss = kind(label_smoothing=0.1, reduction="sum")
    with pytest.raises(dataclasses.FrozenInstanceError):
        loss.reduction = "mean"
    with pytest.raises(TypeError):
        kind("sum")
    assert loss == kind(reduction="sum", label_smoothing=0.1)
    assert loss != kind()
    assert hash(loss) == hash(kind(reduction="sum", label_smoothing=0.1))
    assert pickle.loads(pickle.dumps(loss)) == loss
    weight = np.array([1.0, 2.0])
    weighted = kind(class_weight=weight, classes=["a", "b"])
    assert weighted == kind(class_weight=np.array([1.0, 2.0]), classes=["a", "b"])
    assert hash(weighted) == hash(kind(class_weight=np.array([1.0, 2.0]), classes=["a", "b"]))
    weight[0] = 5  # the caller's array may change, the loss does not
    assert weighted == kind(class_weight=[1.0, 2.0], classes=["a", "b"]) or weighted.class_weight[0] == 1
    assert "label_smoothing=0.1" in repr(loss)
    assert dataclasses.replace(loss, unit="bit").unit == "bit"
    before = dict(vars(loss))
    loss.value_and_grad([1, 0], logits=[0.5, 1.0] if kind is ce.BinaryCrossEntropy else np.zeros((2, 2)))
    assert vars(loss) == before


@pytest.mark.parametrize(
    ("function", "kind"), [(ce.cross_entropy, ce.CrossEntropy), (ce.binary_cross_entropy, ce.BinaryCrossEntropy)]
)
def test_functions_take_the_options_of_the_objects(function: Any, kind: Any) -> None:
    call = {"targets", "logits", "probs", "log_probs", "sample_weight"}
    parameters = inspect.signature(function).parameters
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    assert {name: p.default for name, p in parameters.items() if name not in call} == fields
    assert all(p.kind is p.KEYWORD_ONLY for name, p in parameters.items() if name != "targets")


OPTIONS: list[dict[str, Any]] = [
    {"reduction": "sum", "unit": "bit"},
    {"label_smoothing": 0.2, "class_weight": [1.0, 2.0]},
    {"class_weight": "balanced"},
    {"classes": [0, 1], "class_weight": {1: 3.0}},
    {"empty": "zero"},
    {"eps": 1e-6},
    {"clip": 1e-9},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_functions_are_the_objects(options: dict[str, Any]) -> None:
    y, w = [0, 1, 1], [1.0, 2.0, 0.5]
    p, one = np.array([[0.5, 0.5], [0.25, 0.75], [0.4, 0.6]]), np.array([0.5, 0.25, 0.4])
    assert ce.cross_entropy(y, probs=p, sample_weight=w, **options) == ce.CrossEntropy(**options)(
        y, probs=p, sample_weight=w
    )
    assert ce.binary_cross_entropy(y, probs=one, sample_weight=w, **options) == ce.BinaryCrossEntropy(**options)(
        y, probs=one, sample_weight=w
    )


BAD_OPTIONS: list[tuple[str, Any, str]] = [
    ("label_smoothing", -0.1, "a number from 0 to 1 is allowed"),
    ("label_smoothing", 1.1, "a number from 0 to 1 is allowed"),
    ("label_smoothing", float("nan"), "a number from 0 to 1 is allowed"),
    ("label_smoothing", True, "a number from 0 to 1 is allowed"),
    ("label_smoothing", "0.1", "a number from 0 to 1 is allowed"),
    ("clip", 0.0, "a number strictly between 0 and 0.5"),
    ("clip", 0.5, "a number strictly between 0 and 0.5"),
    ("eps", 0.0, "a number strictly between 0 and 1"),
    ("eps", -1e-9, "a number strictly between 0 and 1"),
    ("reduction", "average", "one of 'mean', 'sum', 'none' is allowed"),
    ("reduction", None, "one of 'mean', 'sum', 'none' is allowed"),
    ("reduction", np.zeros(2), "one of 'mean', 'sum', 'none' is allowed"),
    ("unit", "bits", "one of 'nat', 'bit' is allowed"),
    ("empty", "raise", "one of 'error', 'nan', 'zero' is allowed"),
    ("class_weight", "balance", "an array, a mapping or 'balanced' is allowed"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), BAD_OPTIONS)
@pytest.mark.parametrize("kind", [ce.CrossEntropy, ce.BinaryCrossEntropy])
def test_options_are_checked_when_a_loss_is_made(kind: Any, name: str, value: Any, allowed: str) -> None:
    with pytest.raises(ce.OptionError, match=f"{name} is .*; {allowed}"):
        kind(**{name: value})


def test_options_of_softmax_alone_and_in_pairs() -> None:
    with pytest.raises(ce.OptionError, match="empty_rows is 'drop'; one of 'error', 'ignore'"):
        ce.CrossEntropy(empty_rows="drop")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ce.OptionError, match="check is 'row'; one of 'auto', 'rows', 'entries' is allowed"):
        ce.CrossEntropy(check="row")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ce.OptionError, match="clip and eps are two ways"):
        ce.CrossEntropy(clip=1e-3, eps=1e-3)
    for bad in (1.0, "1", None, True):
        with pytest.raises(ce.OptionError, match=r"axis is .*; a whole number is allowed"):
            ce.cross_entropy([0], logits=[[1.0, 2.0]], axis=bad)
    with pytest.raises(ce.ShapeError, match=r"axis=2 is outside logits of shape \(1, 2\)"):
        ce.cross_entropy([0], logits=[[1.0, 2.0]], axis=2)
    with pytest.raises(ce.UnsupportedError, match="normalize_targets is for targets with a column for each class"):
        ce.cross_entropy([0], logits=[[1.0, 2.0]], normalize_targets=True)


@pytest.mark.parametrize("value", [np.float32(0.25), np.float64(0.25)])
def test_numpy_numbers_are_numbers(value: Any) -> None:
    z = [[1.0, 2.0]]
    assert ce.cross_entropy([0], logits=z, label_smoothing=value) == ce.cross_entropy(
        [0], logits=z, label_smoothing=0.25
    )


# ---------------------------------------------------------------- calls


@pytest.mark.parametrize("function", [ce.cross_entropy, ce.binary_cross_entropy])
def test_exactly_one_prediction_is_named(function: Any) -> None:
    x = np.zeros((1, 2))
    with pytest.raises(
        ce.UnsupportedError, match="none was given; name exactly one: logits= for raw scores, probs= for"
    ):
        function([0])
    with pytest.raises(ce.UnsupportedError, match="logits= and probs= were given"):
        function([0], logits=x, probs=x)
    with pytest.raises(ce.UnsupportedError, match="logits= and probs= and log_probs= were given"):
        function([0], logits=x, probs=x, log_probs=x)
    with pytest.raises(TypeError):
        function([0], x)


def test_weights_must_fit() -> None:
    z = np.zeros((4, 3))
    for w in ([1.0, 1.0], np.ones((4, 1)), 1.0, np.ones((4, 3))):
        with pytest.raises(ce.ShapeError, match=r"sample_weight has shape .*, the rows \(4,\)"):
            ce.cross_entropy([0] * 4, logits=z, sample_weight=w)
    for cw in ([1.0, 1.0], 1.0, np.ones((1, 3))):
        with pytest.raises(ce.ShapeError, match=r"class_weight has shape .*, but there are 3 classes: shape \(3,\)"):
            ce.cross_entropy([0] * 4, logits=z, class_weight=cw)
    with pytest.raises(ce.ShapeError, match=r"pos_weight has shape \(2,\); one number, or shape \(3,\)"):
        ce.binary_cross_entropy(z, logits=z, pos_weight=[1.0, 2.0])
    with pytest.raises(ce.ShapeError, match=r"sample_weight has shape \(3,\)"):
        ce.binary_cross_entropy(z, logits=z, sample_weight=np.ones(3))


def test_second_derivatives_are_for_logits() -> None:
    with pytest.raises(TypeError):
        ce.CrossEntropy().grad_and_hess([0], probs=[[0.5, 0.5]])  # type: ignore[call-arg]  # wrong on purpose
    with pytest.raises(ce.UnsupportedError, match="none was given"):
        ce.CrossEntropy().grad_and_hess([0])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_grad_and_hess_ignore_the_reduction(reduction: Any) -> None:
    got = ce.CrossEntropy(reduction=reduction).grad_and_hess([1, 0, 4], logits=FIVE, sample_weight=[1, 2, 0])
    want = ce.CrossEntropy(reduction="sum").value_and_grad([1, 0, 4], logits=FIVE, sample_weight=[1, 2, 0]).grad
    np.testing.assert_array_equal(got.grad, want)
    p = ce.softmax(FIVE)
    np.testing.assert_allclose(got.hess, p * (1 - p) * [[1], [2], [0]], rtol=1e-14)


def test_results_are_plain() -> None:
    z = np.array(FIVE, np.float32)
    assert type(ce.cross_entropy([1, 0, 4], logits=z)) is float
    assert ce.cross_entropy([1, 0, 4], logits=z, reduction="none").dtype == np.float32
    assert ce.cross_entropy([1, 0, 4], logits=z.astype(np.float16), reduction="none").dtype == np.float32
    assert ce.cross_entropy([1, 0, 4], logits=FIVE, reduction="none").dtype == np.float64
    result = ce.CrossEntropy().value_and_grad([1, 0, 4], logits=z)
    assert isinstance(result, ce.LossGrad)
    assert result._fields == ("value", "grad")
    assert (result.grad.shape, result.grad.dtype, result.grad.flags.c_contiguous) == (z.shape, z.dtype, True)
    assert isinstance(ce.CrossEntropy().grad_and_hess([1, 0, 4], logits=z), ce.GradHess)


@pytest.mark.parametrize("power", [-1040, -400, 400, 1020])
@pytest.mark.parametrize("named", ["logits", "probs"])
def test_only_ratios_of_weights_matter_to_a_mean(named: str, power: int) -> None:
    """Weights of any size give the bits of those near 1, to value and gradient, by row and by class."""
    rng = np.random.default_rng(5)
    y, w = rng.integers(0, 3, 40), rng.integers(0, 8, 40) / 4
    z = rng.normal(size=(40, 3)).astype(np.float32)
    x = z if named == "logits" else ce.softmax(z)
    one = x[:, 0].copy()
    for scale in ({"sample_weight": np.ldexp(w, power)}, {}):
        by_class = {} if scale else {"class_weight": np.ldexp([0.5, 1.0], power)}
        plain = {"sample_weight": w} if scale else {}
        by_one = {} if scale else {"class_weight": [0.5, 1.0]}
        got = ce.BinaryCrossEntropy(**by_class).value_and_grad(y > 0, **{named: one}, **scale)
        want = ce.BinaryCrossEntropy(**by_one).value_and_grad(y > 0, **{named: one}, **plain)
        assert got.value == want.value == ce.BinaryCrossEntropy(**by_class)(y > 0, **{named: one}, **scale)
        np.testing.assert_array_equal(got.grad, want.grad)
        triple = {} if scale else {"class_weight": np.ldexp([0.5, 1.0, 2.0], power)}
        by_three = {} if scale else {"class_weight": [0.5, 1.0, 2.0]}
        got = ce.CrossEntropy(**triple).value_and_grad(y, **{named: x}, **scale)
        want = ce.CrossEntropy(**by_three).value_and_grad(y, **{named: x}, **plain)
        assert got.value == want.value == ce.CrossEntropy(**triple)(y, **{named: x}, **scale)
        np.testing.assert_array_equal(got.grad, want.grad)


def test_balanced_weights_count_a_row_of_weight_2_twice() -> None:
    y, w, z = np.array([0, 0, 0, 1]), np.array([1, 1, 1, 9]), np.random.default_rng(0).normal(size=(4, 2))
    twice = np.repeat(np.arange(4), w)
    loss = ce.CrossEntropy(class_weight="balanced")
    assert loss(y, logits=z, sample_weight=w) == pytest.approx(loss(y[twice], logits=z[twice]), rel=1e-15)
    soft = np.eye(2)[y]
    assert loss(soft, logits=z, sample_weight=w) == pytest.approx(loss(y, logits=z, sample_weight=w), rel=1e-15)
    binary = ce.BinaryCrossEntropy(class_weight="balanced")
    got, want = binary(y, logits=z[:, 0], sample_weight=w), binary(y[twice], logits=z[twice, 0])
    assert got == pytest.approx(want, rel=1e-15)


WRONG: list[tuple[type[Exception], str, Any]] = [
    (ce.WeightError, "pos_weight has dtype", lambda: ce.binary_cross_entropy([1], logits=[0.0], pos_weight="a")),
    (ce.WeightError, "pos_weight has dtype", lambda: ce.binary_cross_entropy([1], logits=[0.0], pos_weight={1: 2})),  # type: ignore[arg-type]  # wrong on purpose
    (
        ce.UnsupportedError,
        "pos_weight is a masked array",
        lambda: ce.binary_cross_entropy([1], logits=[0.0], pos_weight=np.ma.array([1.0], mask=[True])),
    ),
    (ce.UnsupportedError, "logits is a masked array", lambda: ce.cross_entropy([0], logits=np.ma.zeros((1, 2)))),
    (
        ce.UnsupportedError,
        "targets is a masked array",
        lambda: ce.cross_entropy(np.ma.zeros(1, int), logits=[[0, 1.0]]),
    ),
    (
        ce.WeightError,
        r"class_weight\[0\] has shape",
        lambda: ce.cross_entropy([0], logits=[[0, 1]], class_weight={0: [1.0, 2]}),
    ),  # type: ignore[dict-item]  # wrong on purpose
    (ce.ShapeError, "logits is no array", lambda: ce.cross_entropy([0], logits=[[0.0, 1.0], [2.0]])),
    (ce.ShapeError, "targets is no array", lambda: ce.cross_entropy([[1, 0], [1]], logits=[[0.0, 1.0]])),
    (ce.OptionError, "classes holds lists", lambda: ce.cross_entropy(["a"], logits=[[0, 1]], classes=[["a"], "b"])),  # type: ignore[list-item]  # wrong on purpose
    (ce.OptionError, "ignore_index is 1180591620717411303424", lambda: ce.CrossEntropy(ignore_index=2**70)),
]


@pytest.mark.parametrize(("kind", "message", "call"), WRONG)
def test_wrong_kinds_of_input_are_clear_errors(kind: type[Exception], message: str, call: Any) -> None:
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_weight_overflows_to_infinity_without_a_word(dtype: Any) -> None:
    """Losses beyond the range are inf, from logits and from probabilities alike."""
    w = [1e39 if dtype == np.float32 else 1e308]
    z, p = np.array([[-700.0, 1.0]]).astype(dtype), np.array([[1e-30, 0.8]]).astype(dtype)
    for prediction in ({"logits": z}, {"probs": p}, {"log_probs": np.minimum(z, 0)}):
        assert ce.cross_entropy([0], **prediction, sample_weight=w, reduction="none").tolist() == [np.inf]
        one = {name: array[:, 0] for name, array in prediction.items()}
        assert ce.binary_cross_entropy([1], **one, sample_weight=w, reduction="none").tolist() == [np.inf]


def test_options_of_the_function_are_not_mixed_up() -> None:
    """It remembers losses by their options; True is not 1, a list is no word."""
    z = [[2.0, 0.0, 0.0]]
    assert ce.cross_entropy([0], logits=z, ignore_index=1) > 0
    with pytest.raises(ce.OptionError, match="ignore_index is True"):
        ce.cross_entropy([0], logits=z, ignore_index=True)
    assert ce.cross_entropy([0], logits=z, label_smoothing=1) > ce.cross_entropy([0], logits=z, label_smoothing=0)
    with pytest.raises(ce.OptionError, match="label_smoothing is True"):
        ce.cross_entropy([0], logits=z, label_smoothing=True)
    with pytest.raises(ce.OptionError, match=r"reduction is \['mean'\]") as raised:
        ce.cross_entropy([0], logits=z, reduction=["mean"])  # type: ignore[arg-type]  # what is refused
    assert raised.value.__context__ is None
    names = [ce.cross_entropy(["a"], logits=z, classes=list(order)) for order in ("abc", "bac", "abc")]
    assert names[0] == names[2] < names[1]
