"""What holds for every member of the family: limits that are cross-entropy, reductions, sums, the Hessian's bound."""

from functools import partial
from typing import Any

import numpy as np
import pytest

import crossent as ce
import oracle
from bits import assert_same
from closeness import assert_close
from family_cases import MEMBERS, alphas
from isas import ISAS, using_isa
from oracle_family import family_answers, family_loss
from tables.softmax_rows import some_rows
from wide import Wide

DTYPES = (np.float32, np.float64)
EPS = 2.0**-52


def every(K: int) -> Any:
    """The members' makers for K classes, by name."""
    return {name: member.make(K) for name, member in MEMBERS.items()}


# ---------------------------------------------------------------- limits

SAME: dict[str, Any] = {
    "options that are off": partial(ce.CrossEntropy, temperature=1, softcap=None, z_loss=0, entropy_weight=0.0),
    "Focal(0)": partial(ce.Focal, 0.0),
    "Focal(0, 1)": partial(ce.Focal, 0, 1.0),
    "Poly1(0)": partial(ce.Poly1, 0.0),
    "Bootstrap(1)": partial(ce.Bootstrap, 1.0),
    "Bootstrap(1, hard)": partial(ce.Bootstrap, 1.0, hard=True),
}
NEAR: dict[str, Any] = {
    "softcap 1e40": partial(ce.CrossEntropy, softcap=1e40),
    "GCE(1e-25)": partial(ce.GeneralizedCrossEntropy, 1e-25),
    "equal priors": lambda **o: ce.LogitAdjusted(np.full(10, 3.0), **o),
    "tau 0": lambda **o: ce.LogitAdjusted(np.arange(1.0, 11), 0.0, **o),
    "Focal of ones": lambda **o: ce.Focal(0.0, np.ones(10), **o),
    "Focal(1e-25)": partial(ce.Focal, 1e-25),
    "Poly1(1e-25)": partial(ce.Poly1, 1e-25),
    "SCE(1, 0)": partial(ce.SymmetricCrossEntropy, 1.0, 0.0),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_cross_entropy_has_its_bits(dtype: Any, name: str, isa: str) -> None:
    """The same kernel, whatever the reduction."""
    for K in (3, 40):
        rows = some_rows(K, np.dtype(dtype), of_each=2, odd=3)
        for options in ({"reduction": "none"}, {"reduction": "none", "label_smoothing": 0.1}):
            loss, plain = SAME[name](**options), ce.CrossEntropy(**options)
            got, want = (x.value_and_grad(rows.targets, logits=rows.logits) for x in (loss, plain))
            assert_same(got, want)
            assert_same(*(x.grad_and_hess(rows.targets, logits=rows.logits, curvature="upper") for x in (loss, plain)))


@pytest.mark.parametrize("name", NEAR)
@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_are_cross_entropy_within_the_bounds(dtype: Any, name: str) -> None:
    rows = some_rows(10, np.dtype(dtype), of_each=2, odd=4)
    finite = np.isfinite(rows.logits).all(axis=1)
    if "GCE" in name:  # (1 - p^q) / q is bounded by 1 / q
        finite &= np.abs(rows.logits).max(axis=1) < 1e5
    z, y = rows.logits[finite], rows.targets[finite]
    want = oracle.row_answers(y, logits=z)
    for isa in ISAS:
        with using_isa(isa):
            got = NEAR[name](reduction="none").value_and_grad(y, logits=z)
        tiny = np.isclose(np.abs(want.grad.to_float()), 0, atol=1e-300)
        assert_close(got.value, want.loss, ulps=8 if dtype == np.float32 else 16, label=f"{isa} {name} loss")
        grad = np.where(tiny, want.grad.to_float(), got.grad).astype(dtype)
        assert_close(grad, want.grad, ulps=16, label=f"{isa} {name} gradient")


def test_upper_curvature_of_cross_entropy_is_twice_the_diagonal(isa: str) -> None:
    z, y = np.random.default_rng(0).normal(size=(20, 7)) * 4, np.arange(20) % 7
    exact, upper = (ce.CrossEntropy().grad_and_hess(y, logits=z, curvature=kind).hess for kind in ("exact", "upper"))
    np.testing.assert_allclose(upper, 2 * exact, rtol=1e-15)


def test_one_hot_equals_index(isa: str) -> None:
    z, y = np.random.default_rng(5).normal(size=(20, 5)) * 4, np.arange(20) % 5
    for name, make in every(5).items():
        loss = make(class_weight=[0.5, 2.0, 0.0, 1.25, 3.0], label_smoothing=0.1)
        index, onehot = (loss.value_and_grad(t, logits=z) for t in (y, np.eye(5)[y]))
        assert_close(onehot.value, index.value, rtol=1e-14, label=name)
        np.testing.assert_allclose(onehot.grad, index.grad, rtol=1e-12, atol=1e-16, err_msg=name)


# ---------------------------------------------------------------- reductions

BATCH: dict[str, dict[str, Any]] = {
    "plain": {},
    "class weights": {"class_weight": [0.5, 2.0, 0.0, 1.25, 3.0]},
    "sample weights": {"sample_weight": [0.0, 1.0, 0.25, 3.0, 1e-3, 1.0, 7.0, 0.0, 2.0]},
    "ignored": {"ignore_index": 4, "label_smoothing": 0.2},
    "all": {
        "label_smoothing": 0.05,
        "class_weight": [0.5, 2.0, 0.0, 1.25, 3.0],
        "sample_weight": [0.0, 1.0, 0.25, 3.0, 1e-3, 1.0, 7.0, 0.0, 2.0],
        "unit": "bit",
    },
}


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("batch", BATCH)
def test_weights_and_reductions(batch: str, name: str) -> None:
    """mean, sum and none, in nats and bits; alpha is not in the divisor of a mean."""
    z, y = np.random.default_rng(5).normal(size=(9, 5)) * 4, np.array([0, 1, 2, 3, 4, 4, 1, 2, 0])
    options = dict(BATCH[batch])
    call = {"logits": z, "sample_weight": options.pop("sample_weight", None)}
    unit = options.pop("unit", "nat")
    nats = oracle.mp.log(2) if unit == "bit" else oracle.mpf(1)
    for dtype in DTYPES:
        call["logits"], eps = z.astype(dtype), float(np.finfo(dtype).eps)
        exact = family_answers(y, **call, **options, **MEMBERS[name].exact(5))
        none, size = exact.loss.to_mpf() / nats, exact.loss_scale.to_float() / float(nats)
        for reduction, divisor in {"none": 1, "sum": 1, "mean": exact.mass}.items():
            got = MEMBERS[name].make(5)(reduction=reduction, unit=unit, **options).value_and_grad(y, **call)
            if reduction == "none":
                assert_close(got.value, Wide.of(none), bound=20 * eps * size, dtype=dtype, label="none")
            else:
                assert isinstance(got.value, float)
                assert_close(got.value, sum(none) / divisor, bound=20 * eps * size.sum() / divisor, label=reduction)
            slope, of = exact.grad.scaled(1 / (divisor * nats)), exact.grad_scale.scaled(1 / (divisor * nats))
            assert_close(got.grad, slope, ulps=40, of=of, dtype=dtype, label=f"{reduction} gradient")


def test_sample_weights_scale_a_row(isa: str) -> None:
    z, y, w = np.random.default_rng(3).normal(size=(12, 6)), np.arange(12) % 6, 2.0 ** np.arange(-6, 6)
    for name, make in every(6).items():
        loss = make(reduction="none")
        plain, weighted = loss.value_and_grad(y, logits=z), loss.value_and_grad(y, logits=z, sample_weight=w)
        np.testing.assert_array_equal(weighted.value, plain.value * w, err_msg=name)
        np.testing.assert_array_equal(weighted.grad, plain.grad * w[:, None], err_msg=name)


def test_sums_and_means_are_those_of_the_returned_losses(isa: str) -> None:
    """Within 1e-14 relative, over several blocks."""
    rng = np.random.default_rng(8)
    z = rng.normal(size=(12_003, 5)) * 10.0 ** rng.uniform(-2, 2, (12_003, 1))
    y, w = rng.integers(0, 5, 12_003), rng.uniform(0, 2, 12_003)
    for dtype in DTYPES:
        for loss in (ce.Focal, partial(ce.GeneralizedCrossEntropy, 0.7), partial(ce.CrossEntropy, softcap=20.0)):
            call = {"logits": z.astype(dtype), "sample_weight": w}
            losses = loss(reduction="none")(y, **call)
            exact = oracle.mp.fsum(map(float, losses))
            assert_close(loss(reduction="sum")(y, **call), exact, rtol=1e-14)
            assert_close(loss()(y, **call), exact / oracle.mp.fsum(map(float, w)), rtol=1e-14)


def test_alpha_is_not_in_the_divisor() -> None:
    z, y = np.zeros((4, 5)), np.array([0, 1, 2, 3])
    row = np.log(5.0)
    assert ce.Focal(0.0, alphas(5))(y, logits=z) == pytest.approx(row * (0.25 + 2 + 1 + 0) / 4, rel=1e-14)
    assert ce.Focal(0.0, 0.25)(y, logits=z) == pytest.approx(row / 4, rel=1e-14)
    weighted = ce.Focal(0.0, class_weight=alphas(5))(y, logits=z)
    assert weighted == pytest.approx(row, rel=1e-14)


# ---------------------------------------------------------------- gradients and Hessians


@pytest.mark.parametrize("name", [n for n in MEMBERS if not {"softcap", "z_loss"} & MEMBERS[n].exact(2).keys()])
def test_gradient_rows_sum_to_zero_where_a_shift_changes_nothing(name: str) -> None:
    """That is, without softcap and z_loss."""
    for K in (2, 10):
        rows = some_rows(K, np.dtype(np.float64), of_each=2, odd=6)
        options = {"label_smoothing": 0.1}
        exact = family_answers(rows.targets, logits=rows.logits, **options, **MEMBERS[name].exact(K))
        for isa in ISAS:
            with using_isa(isa):
                loss = MEMBERS[name].make(K)(reduction="none", **options)
                grad = loss.value_and_grad(rows.targets, logits=rows.logits).grad
            bound = 16 * EPS * exact.grad_scale.to_float().sum(axis=1) + 1e-318
            assert_close(grad.sum(axis=1), np.zeros(len(grad)), bound=bound, label=isa)


@pytest.mark.parametrize("name", MEMBERS)
def test_upper_curvature_majorises_the_whole_hessian(name: str) -> None:
    """diag(upper) minus the matrix of second derivatives has no negative eigenvalue: differences of exact gradients."""
    member, K, step = MEMBERS[name], 4, 2.0**-24
    z = np.array([[0.5, 1.0, -0.25, 0.0], [4.0, -1.0, 0.5, 2.0], [-3.0, 3.5, 3.0, -9.0], [30.0, 0.0, 1.0, 29.0]])
    y = np.array([0, 0, 2, 1])
    options = {"label_smoothing": 0.1} if list(MEMBERS).index(name) % 2 else {}
    moved = np.concatenate([z + sign * step * np.eye(K)[k] for k in range(K) for sign in (1, -1)])
    grads = family_answers(np.tile(y, 2 * K), logits=moved, **options, **member.exact(K)).grad.to_mpf()
    by_class = grads.reshape(K, 2, len(z), K)
    full = np.moveaxis((by_class[:, 0] - by_class[:, 1]) / (2 * step), 1, 0).astype(np.float64)
    exact, upper = (
        member.make(K)(**options).grad_and_hess(y, logits=z, curvature=kind).hess for kind in ("exact", "upper")
    )
    for i in range(len(z)):
        size = np.abs(full[i]).max() + 1e-12
        np.testing.assert_allclose(np.diag(full[i]), exact[i], rtol=0, atol=1e-10 * size)
        assert np.linalg.eigvalsh(np.diag(upper[i]) - full[i]).min() >= -1e-10 * size
        assert np.all(upper[i] >= np.maximum(exact[i] * (1 - 1e-14), 0))


def test_the_hessian_of_a_loss_that_is_not_convex_may_be_negative() -> None:
    hess = ce.Focal(2.0).grad_and_hess([0], logits=[[-5.0, 5.0]]).hess
    assert hess.min() < 0


def test_the_oracle_agrees_about_whole_losses() -> None:
    z, y = np.random.default_rng(1).normal(size=(6, 5)), np.arange(6) % 5
    for name, member in MEMBERS.items():
        got = member.make(5)(label_smoothing=0.1)(y, logits=z)
        assert_close(got, family_loss(y, logits=z, label_smoothing=0.1, **member.exact(5)), rtol=2e-15, label=name)


# ---------------------------------------------------------------- edges


def test_empty_batches_and_single_classes(isa: str) -> None:
    for name, make in every(3).items():
        empty = make(reduction="none").value_and_grad(np.zeros(0, int), logits=np.zeros((0, 3), np.float32))
        assert empty.value.shape == (0,), name
        assert empty.grad.shape == (0, 3)
        with pytest.raises(ce.EmptyBatchError):
            make()(np.zeros(0, int), logits=np.zeros((0, 3)))
        assert make(reduction="sum")(np.zeros(0, int), logits=np.zeros((0, 3))) == 0
    for name, make in every(1).items():
        value, grad = make(reduction="none").value_and_grad([0], logits=[[5.0]])
        if "all options" not in name and name != "z_loss":
            assert_same(value, np.zeros(1))
            assert grad[0, 0] == 0, name


@pytest.mark.parametrize("name", MEMBERS)
def test_bad_rows_are_named(name: str, isa: str) -> None:
    """The lowest of them; a row that is left out may hold anything."""
    loss = MEMBERS[name].make(3)(reduction="none", ignore_index=2)
    good = np.zeros((9, 3))
    for bad, message in (
        ([0.0, np.nan, 0.0], r"logits\[4, 1\] is nan"),
        ([np.inf, 0.0, np.inf], r"logits\[4, 0\] and logits\[4, 2\] are both \+inf"),
        ([-np.inf] * 3, r"logits\[4, :\] are all -inf"),
    ):
        z = good.copy()
        z[4] = z[7] = bad
        y = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0])
        with pytest.raises(ce.NonFiniteError, match=message):
            loss.value_and_grad(y, logits=z)
        y[[4, 7]] = 2
        left = loss.value_and_grad(y, logits=z)
        assert_same(left.value[[4, 7]], np.zeros(2))
        assert_same(left.grad[[4, 7]], np.zeros((2, 3)))
    with pytest.raises(ce.LabelError, match=r"targets\[3\] is 3"):
        loss(np.array([0, 1, 0, 3, 0, 1, 0, 1, -1]), logits=good)
    with pytest.raises(ce.LabelError, match=r"targets\[2, :\]"):
        MEMBERS[name].make(3)()(np.array([[1, 0, 0], [0, 1, 0], [0.5, 0, 0]]), logits=good[:3])


INFINITE: dict[str, tuple[Any, Any, Any]] = {
    "Focal": (ce.Focal(), np.inf, 0.0),
    "Poly1(-1)": (ce.Poly1(-1.0), np.inf, 0.0),
    "GCE": (ce.GeneralizedCrossEntropy(0.5), 2.0, 0.0),
    "SCE without cross-entropy": (ce.SymmetricCrossEntropy(0.0, 2.0, -3.0), 6.0, 0.0),
    "Bootstrap(0)": (ce.Bootstrap(0.0), np.log(2), 0.0),
    "softcap": (ce.CrossEntropy(softcap=5.0), np.inf, 0.0),
    "z_loss": (ce.CrossEntropy(z_loss=1.0), np.inf, np.inf),
    "softcap and z_loss": (ce.CrossEntropy(softcap=5.0, z_loss=1.0), np.inf, np.inf),
}


@pytest.mark.parametrize("name", INFINITE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [3, 40])
def test_infinite_logits(K: int, dtype: Any, name: str, isa: str) -> None:
    """A target that is ruled out; one that is certain. Only a loss that is infinite itself has an infinite answer."""
    loss, ruled_out, certain = INFINITE[name]
    z = np.full((2, K), -np.inf, dtype)
    z[0, 1:3] = 0
    z[1] = 0
    z[1, 1] = np.inf
    rows = type(loss)(**{f: getattr(loss, f) for f in loss.__dataclass_fields__} | {"reduction": "none"})
    value, grad = rows.value_and_grad(np.array([0, 1]), logits=z)
    np.testing.assert_allclose(value, np.array([ruled_out, certain]), rtol=1e-6)
    assert not np.isnan(grad).any()
