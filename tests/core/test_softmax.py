"""Softmax cross-entropy from logits against the oracle: the contract, on every instruction set and layout."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import ml_dtypes
import mpmath
import numpy as np
import pytest

import crossent as ce
import oracle
from cases import HUGE_CLASS_COUNT, Case, equal_but_one, hard_cases, soft_targets
from closeness import assert_close
from crossent.core.softmax import softmax_job
from isas import ISAS, using_isa
from wide import Wide

KINDS: dict[str, dict[str, Any]] = {
    "index": {},
    "soft": {},
    "smoothed": {"label_smoothing": 0.1},
    "smoothed soft": {"label_smoothing": 0.25},
    "ruled by weights": {"class_weight": "some"},
}
QUICK = (1, 2, 3, 10, 40)
DTYPES = (np.float32, np.float64)


class Answers(NamedTuple):
    """A batch with its exact row losses, gradient, and the scale of the gradient's bound."""

    z: Any
    targets: Any
    options: dict[str, Any]
    loss: Any
    grad: Any
    scale: Wide | None


def hard_rows(K: int, dtype: Any) -> list[Case]:
    """The named cases; the oracle of long rows leaves +inf to the short ones."""
    return [c for c in hard_cases(K, dtype) if K <= oracle.LONG or c.name != "one +inf"]


def all_hard_rows(K: int, dtype: Any, *, limit: int = 30, gaps: int = 30) -> Case:
    """The hard rows of every case in one batch: rows must not know their neighbours."""
    cases = [c for c in hard_rows(K, dtype) if len(c.targets)]
    picked = [np.unique(np.linspace(0, len(c.targets) - 1, limit).astype(int)) for c in cases]
    if K > 1:
        cases.append(equal_but_one(K, dtype, gaps=gaps))
        picked.append(np.arange(gaps))
    z = np.concatenate([c.logits[rows] for c, rows in zip(cases, picked, strict=True)])
    return Case("all", z, np.concatenate([c.targets[rows] for c, rows in zip(cases, picked, strict=True)]))


def some_class_weight(K: int) -> Any:
    """Weights from 0 to 3.5; class 0 keeps a weight, so K = 1 does not leave."""
    return np.resize([2.0, 0.0, 0.3, 1.0, 3.5], K)


def answers_for(case: Case, kind: str) -> Answers:
    """Asks the oracle about index or soft targets on these rows."""
    options = dict(KINDS[kind])
    if "class_weight" in options:
        options["class_weight"] = some_class_weight(case.K)
    soft = "soft" in kind
    targets = soft_targets(case).astype(case.logits.dtype) if soft else case.targets
    asked = {"logits": case.logits, "reduction": "none", **options}
    loss = oracle.row_losses(targets, **{k: v for k, v in asked.items() if k != "reduction"})
    own = kind in ("index", "ruled by weights")  # such gradients are within 8 ulp of their own value
    scale = None if own else Wide.of(oracle.gradient_scale(targets, **asked))
    return Answers(case.logits, targets, options, Wide.of(loss), Wide.of(oracle.gradient(targets, **asked)), scale)


@cache
def answers(K: int, dtype: Any, kind: str) -> Answers:
    """The hard rows and their answers, once for all tests."""
    return answers_for(all_hard_rows(K, dtype, limit=20 if K < 40 else 12, gaps=20 if K < 40 else 12), kind)


@pytest.fixture(scope="module", autouse=True)
def _exponentials_once() -> Any:
    """Lets the oracle remember the softmax of a row: the same rows are asked about loss, gradient and scale."""
    original, seen = oracle.softmax_row, {}

    def remembered(z: list[Any]) -> Any:
        key = tuple(map(float, z))
        if key not in seen:
            seen[key] = original(z)
        return seen[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "softmax_row", remembered)
        yield


def assert_contract(want: Answers, *, axis: int = -1, label: str = "") -> None:
    """4 ulp for row losses, 8 ulp for gradients, on every instruction set; value alone has the same bits."""
    loss = ce.CrossEntropy(reduction="none", axis=axis, **want.options)
    for isa in ISAS:
        with using_isa(isa):
            got = loss.value_and_grad(want.targets, logits=want.z)
            alone = loss(want.targets, logits=want.z)
        where = f"{isa} {label}"
        assert_close(got.value, want.loss, ulps=4, dtype=want.z.dtype, label=f"{where} loss")
        assert_close(got.grad, want.grad, ulps=8, of=want.scale, dtype=want.z.dtype, label=f"{where} gradient")
        np.testing.assert_array_equal(alone, got.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", QUICK)
def test_contract_on_hard_rows(K: int, dtype: Any, kind: str) -> None:
    assert_contract(answers(K, dtype, kind))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", QUICK)
def test_hessian_on_hard_rows(K: int, dtype: Any) -> None:
    case = all_hard_rows(K, dtype, limit=12)
    exact = Wide.of(oracle.hessian(case.targets, logits=case.logits))
    for isa in ISAS:
        with using_isa(isa):
            got = ce.CrossEntropy().grad_and_hess(case.targets, logits=case.logits)
            grad = ce.CrossEntropy(reduction="sum").value_and_grad(case.targets, logits=case.logits).grad
        assert_close(got.hess, exact, ulps=8, dtype=dtype, label=f"{isa} hessian")
        np.testing.assert_array_equal(got.grad, grad)


def _inside(array: Any, inner: int) -> Any:
    """[N, K] to [N / inner, K, inner]: row i is [i // inner, :, i % inner]."""
    return np.ascontiguousarray(np.swapaxes(array.reshape(-1, inner, array.shape[1]), 1, 2))


def _wide(exact: Wide | None, change: Callable[[Any], Any]) -> Wide | None:
    """A change of shape, part by part."""
    return exact and Wide(*(change(getattr(exact, name)) for name in ("hi", "lo", "exp")))


@pytest.mark.parametrize("inner", [1, 3, 7, 16, 37])
@pytest.mark.parametrize("kind", ["index", "soft"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 3, 40])
def test_classes_on_an_inner_axis(K: int, dtype: Any, kind: str, inner: int) -> None:
    """Tiles that lie in place, with tails of every length."""
    flat = answers(K, dtype, kind)
    n = len(flat.z) // inner * inner
    targets = flat.targets[:n]
    want = Answers(
        _inside(flat.z[:n], inner),
        _inside(targets, inner) if targets.ndim == 2 else targets.reshape(-1, inner),
        flat.options,
        _wide(flat.loss, lambda part: part[:n].reshape(-1, inner)),
        _wide(flat.grad, lambda part: _inside(part[:n], inner)),
        _wide(flat.scale, lambda part: _inside(part[:n], inner)),
    )
    assert_contract(want, axis=1, label=f"inner {inner}")


def test_classes_on_axis_0(isa: str) -> None:
    case = all_hard_rows(3, np.float64)
    want = ce.CrossEntropy(reduction="none").value_and_grad(case.targets, logits=case.logits)
    for z in (np.ascontiguousarray(case.logits.T), case.logits.T):
        got = ce.CrossEntropy(reduction="none", axis=0).value_and_grad(case.targets, logits=z)
        np.testing.assert_array_equal(got.value, want.value)
        np.testing.assert_array_equal(got.grad, want.grad.T)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [64, 200, 2048])
def test_contract_on_long_rows(K: int, dtype: Any, kind: str) -> None:
    assert_contract(answers_for(all_hard_rows(K, dtype, limit=20, gaps=200 if K < 2048 else 40), kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["index", "soft", "smoothed"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_contract_on_huge_rows(dtype: Any, kind: str) -> None:
    K = HUGE_CLASS_COUNT
    for case in (*hard_rows(K, dtype), equal_but_one(K, dtype, gaps=10)):
        if len(case.targets):
            rows = slice(0, 10 if "equal" in case.name else 2)
            part = Case(case.name, case.logits[rows], case.targets[rows])
            assert_contract(answers_for(part, kind), label=case.name)


# ---------------------------------------------------------------- weights and reductions

OPTIONS: dict[str, dict[str, Any]] = {
    "class weights": {"class_weight": [0.5, 2.0, 0.0, 1.25, 3.0]},
    "smoothing": {"label_smoothing": 0.3},
    "smoothing with class weights": {"label_smoothing": 0.2, "class_weight": [0.5, 2.0, 0.0, 1.25, 3.0]},
    "smoothing 1": {"label_smoothing": 1.0},
    "bit": {"unit": "bit"},
    "sample weights": {"sample_weight": [0.0, 1.0, 0.25, 3.0, 1e-3, 1.0, 7.0, 0.0, 2.0]},
    "all": {
        "label_smoothing": 0.05,
        "class_weight": [0.5, 2.0, 0.0, 1.25, 3.0],
        "sample_weight": [0.0, 1.0, 0.25, 3.0, 1e-3, 1.0, 7.0, 0.0, 2.0],
        "unit": "bit",
    },
}
ONLY_INDEX = {"ignored": {"ignore_index": 4}, "ignored -100": {"ignore_index": -100, "class_weight": [1, 2, 3, 4, 5]}}
ONLY_SOFT = {"normalized": {"normalize_targets": True, "class_weight": [0.5, 2.0, 0.5, 1.25, 3.0]}}


def _option_batch(dtype: Any, targets: str, name: str) -> tuple[Any, Any, dict[str, Any]]:
    rng = np.random.default_rng(5)
    z = (rng.normal(size=(9, 5)) * 4).astype(dtype)
    options = dict((OPTIONS | ONLY_INDEX | ONLY_SOFT)[name])
    y: Any = np.array([0, 1, 2, 3, 4, 4, 1, 2, 0])
    if targets == "soft":
        y = rng.dirichlet(np.ones(5), 9).astype(dtype) * (3 if "normalize_targets" in options else 1)
        y[1] = [0, 2, 0, 0, 2] if "normalize_targets" in options else [0, 0, 1, 0, 0]
    elif options.get("ignore_index") == -100:
        y[[2, 5]] = -100
    return z, y, options


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("targets", "name"),
    [("index", n) for n in (*OPTIONS, *ONLY_INDEX)] + [("soft", n) for n in (*OPTIONS, *ONLY_SOFT)],
)
def test_weights_and_reductions(targets: str, name: str, dtype: Any, reduction: str) -> None:
    z, y, options = _option_batch(dtype, targets, name)
    asked = {"logits": z, "reduction": reduction, **options}
    value, grad = oracle.cross_entropy(y, **asked), Wide.of(oracle.gradient(y, **asked))
    scale = Wide.of(oracle.gradient_scale(y, **asked))
    call = {"logits": z, "sample_weight": options.pop("sample_weight", None)}
    for isa in ISAS:
        with using_isa(isa):
            got = ce.CrossEntropy(reduction=reduction, **options).value_and_grad(y, **call)
        if reduction == "none":
            assert_close(got.value, value, ulps=4, dtype=dtype, label=f"{isa} loss")
        else:
            assert isinstance(got.value, float)
            assert_close(got.value, value, rtol=4 * float(np.finfo(dtype).eps), label=f"{isa} {reduction}")
        assert_close(got.grad, grad, ulps=8, of=scale, dtype=dtype, label=f"{isa} gradient")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_and_means_are_those_of_the_returned_losses(dtype: Any, weighted: bool, isa: str) -> None:
    """Within 1e-14 relative, over several blocks, with losses of very different size."""
    rng = np.random.default_rng(8)
    N, K = 100_003, 5
    z = (rng.normal(size=(N, K)) * 10.0 ** rng.uniform(-2, 2, (N, 1))).astype(dtype)
    y = rng.integers(0, K, N)
    w = rng.uniform(0, 2, N) if weighted else None
    cw = np.array([0.1, 1.0, 7.0, 0.0, 2.0])
    losses = ce.cross_entropy(y, logits=z, sample_weight=w, class_weight=cw, reduction="none")
    mass = mpmath.fsum((1.0 if w is None else w) * cw[y])
    exact = mpmath.fsum(map(float, losses))
    total = ce.cross_entropy(y, logits=z, sample_weight=w, class_weight=cw, reduction="sum")
    mean = ce.cross_entropy(y, logits=z, sample_weight=w, class_weight=cw)
    assert_close(total, exact, rtol=1e-14)
    assert_close(mean, exact / mass, rtol=1e-14)


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("K", [3, 20, 40, 1000, 5003])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, *DTYPES])
def test_means_divide_by_the_exact_mass_of_soft_targets(dtype: Any, weighted: bool, K: int, inner: bool) -> None:
    """Within 1e-14 relative, though a row of float32 targets sums to 1 within 1e-7 only."""
    rng = np.random.default_rng(K)
    q = rng.dirichlet(np.full(K, 0.3), 21).astype(dtype)
    z = rng.normal(size=q.shape).astype(dtype)
    cw = rng.uniform(0.05, 0.15, K) if weighted else None
    mass = math.fsum((q.astype(np.float64) * (1.0 if cw is None else cw)).ravel())
    axis, turn = (0, lambda a: np.ascontiguousarray(a.T)) if inner else (-1, np.asarray)
    loss = ce.CrossEntropy(axis=axis, class_weight=cw)
    total = ce.CrossEntropy(axis=axis, class_weight=cw, reduction="sum")
    for isa in ISAS:
        with using_isa(isa):
            got, value = loss.value_and_grad(turn(q), logits=turn(z)), total(turn(q), logits=turn(z))
            divisor = softmax_job(loss, turn(q), ("logits", turn(z)), None).mass().mass
        assert_close(got.value, value / mass, rtol=1e-14, label=f"{isa} mean")
        assert_close(divisor, mass, rtol=1e-14, label=f"{isa} divisor of the gradient")


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("K", [2, 3, 40])
@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_do_not_magnify_the_rounding_of_small_numbers(dtype: Any, K: int, inner: bool) -> None:
    """exp(z - m) may lie among the subnormal numbers where its product with a weight does not."""
    z = np.full((61, K), -200.0)
    z[:, 0], z[:, 1] = 0, -np.linspace(80, 110, 61)
    z = (z * (8 if dtype == np.float64 else 1)).astype(dtype)
    y, w = np.zeros(61, int), np.resize([9.0, 1e6, 1.0], 61)
    asked = {"logits": z, "sample_weight": w}
    value = Wide.of(oracle.row_losses(y, **asked))
    grad = Wide.of(oracle.gradient(y, reduction="none", **asked))
    for isa in ISAS:
        with using_isa(isa):
            got = ce.CrossEntropy(reduction="none", axis=0 if inner else -1).value_and_grad(
                y, logits=np.ascontiguousarray(z.T) if inner else z, sample_weight=w
            )
        assert_close(got.value, value, ulps=4, label=f"{isa} loss")
        assert_close(got.grad.T if inner else got.grad, grad, ulps=8, label=f"{isa} gradient")


def test_one_hot_equals_index(isa: str) -> None:
    """Torch's rule for the mean's divisor makes them the same number; so does the gradient."""
    z, y, _ = _option_batch(np.float64, "index", "bit")
    options = {"class_weight": [0.5, 2.0, 0.0, 1.25, 3.0], "label_smoothing": 0.1}
    index = ce.CrossEntropy(**options).value_and_grad(y, logits=z)
    onehot = ce.CrossEntropy(**options).value_and_grad(np.eye(5)[y], logits=z)
    assert_close(onehot.value, index.value, rtol=1e-15)
    np.testing.assert_allclose(onehot.grad, index.grad, rtol=1e-13, atol=1e-17)


@pytest.mark.parametrize("K", [5, 40])
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_hot_rows_weigh_what_their_indices_weigh(dtype: Any, K: int, isa: str) -> None:
    """A class weight that float32 does not hold counts in full."""
    rng = np.random.default_rng(3)
    z, y, cw = rng.normal(size=(50, K)).astype(dtype), rng.integers(0, K, 50), np.resize([0.1, 0.7, 1 / 3], K)
    for targets in (y, np.eye(K, dtype=dtype)[y]):
        asked = {"logits": z, "class_weight": cw}
        mean, total = (ce.cross_entropy(targets, reduction=kind, **asked) for kind in ("mean", "sum"))
        assert_close(mean, total / math.fsum(cw[y]), rtol=1e-14)


def test_balanced_weights() -> None:
    """n / (K count) over the rows kept; an absent class gets 0."""
    z = np.random.default_rng(1).normal(size=(6, 4))
    y = np.array([0, 0, 0, 1, 3, 9])
    kept = [1, 1, 1, 1, 1, 0]
    cw = [5 / (4 * 3), 5 / 4, 0, 5 / 4]
    got = ce.cross_entropy(y, logits=z, class_weight="balanced", sample_weight=kept, reduction="none")
    want = ce.cross_entropy(np.minimum(y, 3), logits=z, class_weight=cw, sample_weight=kept, reduction="none")
    np.testing.assert_allclose(got, want, rtol=1e-15)
    soft = ce.cross_entropy(np.eye(4)[y[:5]], logits=z[:5], class_weight="balanced", reduction="none")
    np.testing.assert_allclose(soft, want[:5], rtol=1e-14)


@pytest.mark.parametrize("rows", ["none", "ignored", "weight 0"])
def test_balanced_weights_of_no_rows(rows: str) -> None:
    """The error of an empty batch, not a warning about 0 / 0."""
    y, z = (np.zeros(0, int), np.zeros((0, 3))) if rows == "none" else (np.zeros(2, int), np.zeros((2, 3)))
    w = np.zeros(2) if rows == "weight 0" else None
    loss = ce.CrossEntropy(class_weight="balanced", ignore_index=0)
    with pytest.raises(ce.EmptyBatchError, match="no row is left to average"):
        loss(y, logits=z, sample_weight=w)
    with pytest.raises(ce.EmptyBatchError, match="no row is left to average"):
        ce.binary_cross_entropy(y * 1.0, logits=y * 1.0, sample_weight=y * 0.0, class_weight="balanced")


@pytest.mark.parametrize("scale", [1e308, 1e-310])
def test_targets_too_extreme_to_normalise_are_refused(scale: float) -> None:
    q = np.array([[1.0, 0, 0], [1, 1, 0]]) * [[1.0], [scale]]
    with pytest.raises(ce.LabelError, match=r"targets\[1, :\] sum to .*, too extreme to normalise"):
        ce.cross_entropy(q, logits=np.zeros((2, 3)), normalize_targets=True)
    kept = ce.cross_entropy(q, logits=np.zeros((2, 3)), normalize_targets=True, sample_weight=[1, 0])
    assert kept == pytest.approx(np.log(3), rel=1e-15)


@pytest.mark.parametrize("scale", [2.0, 1e-290, 1e290])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_normalized_targets_do_not_depend_on_their_scale(class_weight: Any, scale: float) -> None:
    q, z = np.array([[1.0, 1, 0], [1, 0, 0], [0, 0, 1]]), np.random.default_rng(0).normal(size=(3, 3))
    loss = ce.CrossEntropy(normalize_targets=True, class_weight=class_weight, reduction="none")
    want = loss(q / q.sum(axis=1, keepdims=True), logits=z)
    np.testing.assert_allclose(loss(q * scale, logits=z), want, rtol=1e-13)


@pytest.mark.parametrize("K", [2, 40])
@pytest.mark.parametrize("weighted", ["class", "sample"])
def test_float64_targets_keep_their_bits_beside_float32_logits(weighted: str, K: int) -> None:
    """Targets below float32's normal range, brought into it by a weight."""
    q, z = np.zeros((5, K)), np.full((5, K), -300.0, np.float32)
    q[:, 0], z[:, :2] = [1e-40, 3e-42, 1e-45, 1e-60, 1e-39], [-200, 0]
    q[:, 1] = 1 - q[:, 0]
    options = {"sample_weight": np.full(5, 1e6)} if weighted == "sample" else {"class_weight": np.full(K, 1e6)}
    asked = {"logits": z, **options}
    value, grad, scale = (
        Wide.of(answer)
        for answer in (
            oracle.row_losses(q, **asked),
            oracle.gradient(q, reduction="none", **asked),
            oracle.gradient_scale(q, reduction="none", **asked),
        )
    )
    weight = options.pop("sample_weight", None)
    for isa in ISAS:
        with using_isa(isa):
            got = ce.CrossEntropy(reduction="none", **options).value_and_grad(q, logits=z, sample_weight=weight)
        assert_close(got.value, value, ulps=4, dtype=np.float32, label=f"{isa} loss")
        assert_close(got.grad, grad, ulps=8, of=scale, dtype=np.float32, label=f"{isa} gradient")
