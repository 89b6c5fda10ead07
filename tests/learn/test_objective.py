"""The objective of a linear model: value and derivatives against differences in 50 digits, and its parametrisation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
from scipy import sparse

import crossent as ce
from crossent.core.matrix import DenseMatrix, SparseMatrix
from crossent.errors import LabelError, UnsupportedError
from crossent.learn.linear_objective import LinearObjective

mpf = mpmath.mpf
N, D, L2 = 12, 3, 0.3
WEIGHT = np.random.default_rng(5).uniform(0.2, 3.0, N)
SHARES = np.random.default_rng(6).dirichlet(np.ones(3), N)
LABELS = np.random.default_rng(7).uniform(size=(N, 2)).round(1)
PRIORS = [0.5, 0.3, 0.2]


class Case(NamedTuple):
    """A loss with its targets, and the same in mpmath: the loss of row i with logits z, the mass of all rows."""

    loss: Any
    targets: Any
    outputs: int
    weight: Any
    row: Callable[[int, list[Any]], Any]
    mass: Any


def classes_row(A: Any, temperature: float = 1.0, bias: Any = (0, 0, 0)) -> Any:
    """m log sum exp(z / T + b) - sum A (z / T + b)."""

    def row(i: int, z: list[Any]) -> Any:
        s = [v / mpf(temperature) + b for v, b in zip(z, bias, strict=True)]
        return mpmath.fsum(A[i]) * mpmath.log(mpmath.fsum(map(mpmath.exp, s))) - mpmath.fdot(A[i], s)

    return row


def labels_row(yes: Any, no: Any) -> Any:
    """yes log(1 + exp(-z)) + no log(1 + exp(z))."""

    def row(i: int, z: list[Any]) -> Any:
        sides = zip(yes[i], no[i], z, strict=True)
        return mpmath.fsum(a * mpmath.log1p(mpmath.exp(-v)) + b * mpmath.log1p(mpmath.exp(v)) for a, b, v in sides)

    return row


def exact(table: Any) -> Any:
    """Floats as mpmath numbers."""
    return np.vectorize(lambda v: mpf(float(v)), otypes=[object])(table)


def smooth(q: Any, a: float) -> Any:
    return (1 - mpf(a)) * q + mpf(a) / q.shape[1] * q.sum(axis=1, keepdims=True)


def case(kind: str) -> Case:
    """The case of that name."""
    y, weight, cw = np.arange(N) % 3, exact(WEIGHT), exact([0.5, 1.0, 2.0])
    hot, q, two = exact(y[:, None] == np.arange(3)), exact(SHARES), exact(y[:, None] == 1)
    CE, BCE = ce.CrossEntropy, ce.BinaryCrossEntropy
    p, t = mpf(0.1), exact(LABELS)
    soft = (1 - p) * t + p / 2
    kept = exact(np.arange(N)[:, None] != 4)
    log_priors = [mpmath.log(mpf(v)) / 2 for v in PRIORS]
    if kind == "focal":

        def focal(i: int, z: list[Any]) -> Any:
            target = mpmath.exp(z[y[i]]) / mpmath.fsum(map(mpmath.exp, z))
            return -((1 - target) ** 2) * mpmath.log(target)

        return Case(ce.Focal(gamma=2.0), y, 3, None, focal, N)
    weighted = weight[:, None]
    cases = {
        "classes": Case(CE(), y, 3, None, classes_row(hot), N),
        "bits": Case(CE(unit="bit", reduction="none"), y.astype(np.uint8), 3, None, classes_row(hot), N),
        "weighted": Case(CE(), y, 3, WEIGHT, classes_row(hot * weighted), weight.sum()),
        "soft": Case(
            CE(label_smoothing=0.1, class_weight=[0.5, 1.0, 2.0]), SHARES, 3, WEIGHT,
            classes_row(smooth(q, 0.1) * cw * weighted), (q * cw * weighted).sum(),
        ),
        "normalized": Case(
            CE(normalize_targets=True), SHARES * WEIGHT[:, None], 3, None,
            classes_row(q * weighted / (q * weighted).sum(axis=1, keepdims=True)), N,
        ),
        "ignored": Case(CE(ignore_index=-1), np.where(kept[:, 0], y, -1), 3, None, classes_row(hot * kept), N - 1),
        "temperature": Case(CE(temperature=2.5), y, 3, None, classes_row(hot, 2.5), N),
        "priors": Case(ce.LogitAdjusted(priors=PRIORS, tau=0.5), y, 3, None, classes_row(hot, 1.0, log_priors), N),
        "two": Case(
            BCE(), (y == 1).astype(int), 1, WEIGHT, labels_row(two * weighted, (1 - two) * weighted), weight.sum()
        ),
        "labels": Case(
            BCE(label_smoothing=0.1, pos_weight=[2.0, 0.5]), LABELS, 2, WEIGHT,
            labels_row(soft * exact([2.0, 0.5]) * weighted, (1 - soft) * weighted), 2 * weight.sum(),
        ),
    }  # fmt: skip
    return cases[kind]


CONVEX = ["classes", "bits", "weighted", "soft", "normalized", "ignored", "temperature", "priors", "two", "labels"]
STORED = ["plain", "centred", "sparse"]


def raw_features() -> Any:
    return np.random.default_rng(0).normal(size=(N, D)) * [1.0, 30.0, 0.01] + [0.0, 5.0, -1.0]


def stored(kind: str) -> tuple[Any, Any]:
    """The matrix, and the scale of its columns."""
    X = raw_features()
    if kind == "sparse":
        X[X < 0] = 0
        csr = sparse.csr_array(X)
        return SparseMatrix(csr.data, csr.indices, csr.indptr, D), None
    return DenseMatrix(X, X.mean(axis=0) if kind == "centred" else None), X.std(axis=0) if kind == "centred" else None


def objective_of(found: Case, matrix: Any, scale: Any = None, **options: Any) -> LinearObjective:
    given: dict[str, Any] = {"loss": found.loss, "outputs": found.outputs, "l2": L2, "sample_weight": found.weight}
    return LinearObjective(matrix, found.targets, scale=scale, **(given | options))


class Exact:
    """F of a flat list of parameters, its first and second differences."""

    def __init__(self, found: Case, kind: str, *, intercept: bool = True) -> None:
        matrix, scale = stored(kind)
        X = raw_features()
        X = np.where(X < 0, 0, X) if kind == "sparse" else X
        self.x = exact(X) - (0 if matrix.center is None else exact(matrix.center))
        self.scale, self.case, self.intercept = exact(np.ones(D) if scale is None else scale), found, intercept

    def __call__(self, point: list[Any]) -> Any:
        table = np.array(point, dtype=object).reshape(self.case.outputs, -1)
        coef = table[:, :D] / self.scale
        free = table[:, -1] if self.intercept else np.zeros(self.case.outputs, dtype=object)
        z = self.x @ coef.T + free
        total = mpmath.fsum(self.case.row(i, list(z[i])) for i in range(N))
        return total / self.case.mass + mpf(L2) / 2 * (coef * coef).sum()

    def gradient(self, point: Any) -> Any:
        step = mpf(10) ** -20

        def moved(j: int, h: Any) -> Any:
            return self([v + h * (i == j) for i, v in enumerate(point)])

        return np.array([(moved(j, step) - moved(j, -step)) / (2 * step) for j in range(len(point))])

    def hessian(self, point: Any) -> Any:
        step = mpf(10) ** -12

        def moved(j: int, h: Any) -> Any:
            return self.gradient([v + h * (i == j) for i, v in enumerate(point)])

        return np.array([(moved(j, step) - moved(j, -step)) / (2 * step) for j in range(len(point))])


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(50):
        yield


def assert_near(actual: Any, desired: Any, tolerance: float) -> None:
    """Within the tolerance, relative to the largest element."""
    __tracebackhide__ = True
    desired = np.asarray(desired)
    assert np.shape(actual) == desired.shape
    error = np.max(np.abs(exact(actual) - desired))
    assert error <= tolerance * max(1, np.max(np.abs(desired))), f"off by {mpmath.nstr(error, 5)}"


def point_for(objective: LinearObjective) -> Any:
    return np.random.default_rng(1).normal(size=objective.size) * 0.1


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("name", [*CONVEX, "focal"])
def test_value_and_gradient(name, kind, intercept):
    found = case(name)
    objective = objective_of(found, *stored(kind), fit_intercept=intercept)
    assert objective.size == found.outputs * (D + intercept)
    assert objective.is_convex == (name != "focal")
    point = point_for(objective)
    value, grad = objective.value_and_grad(point)
    answer, flat = Exact(found, kind, intercept=intercept), list(exact(point))
    assert_near(value, answer(flat), 1e-14)
    assert_near(grad, answer.gradient(flat), 1e-13)
    assert objective.passes == 1


@pytest.mark.parametrize("kind", ["centred", "sparse"])
@pytest.mark.parametrize("name", CONVEX)
def test_hessian_and_its_products(name, kind):
    found = case(name)
    objective = objective_of(found, *stored(kind))
    point = point_for(objective)
    desired = Exact(found, kind).hessian(list(exact(point)))
    assert_near(objective.hessian(point), desired, 1e-12)
    times = objective.hvp(point)
    for j, column in enumerate(np.eye(objective.size)):
        assert_near(times(column), desired[j], 1e-12)
    if found.outputs == 1:
        assert_near(objective.gram(point), desired, 1e-12)


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("name", CONVEX)
def test_gram_lies_between_the_blocks_of_the_hessian(name, kind):
    """Their mean for labels; for classes, the mean times K / (K - 1)."""
    found = case(name)
    objective = objective_of(found, *stored(kind), l2=0.0)
    point, K = point_for(objective), found.outputs
    hessian = objective.hessian(point).reshape(K, D + 1, K, D + 1)
    mean = sum(hessian[k, :, k] for k in range(K)) / K
    factor = 1 if name in ("two", "labels") else K / (K - 1)
    assert np.allclose(objective.gram(point), factor * mean, rtol=1e-11, atol=1e-13)
    penalised = objective_of(found, *stored(kind))
    assert np.allclose(penalised.gram_diagonal(point), np.diag(penalised.gram(point)), rtol=1e-11)
    assert np.allclose(penalised.gram(point) - objective.gram(point), np.diag(penalised.l2[: D + 1]), atol=1e-10)


def test_gram_of_many_rows_is_about_that_of_all():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(70_000, 4)), random.integers(0, 2, 70_000)
    objective = LinearObjective(DenseMatrix(X), y, loss=ce.BinaryCrossEntropy(), outputs=1, l2=0.1)
    point = random.normal(size=5)
    assert np.allclose(objective.gram(point), objective.hessian(point), atol=0.01)
    before = objective.passes
    objective.gram(point)
    assert objective.passes == pytest.approx(before + 2 * 17_500 / 70_000)  # every fourth row, twice


def test_passes_of_a_gram():
    objective = objective_of(case("classes"), *stored("plain"))
    for ask in (objective.gram, objective.gram_diagonal):  # logits, then the sums
        before = objective.passes
        ask(point_for(objective))
        assert objective.passes == before + 2


@pytest.mark.parametrize("name", ["weighted", "two"])
def test_scale_and_center_change_the_parameters_and_not_the_function(name):
    found = case(name)
    matrix, scale = stored("centred")
    plain, scaled = objective_of(found, matrix.centred(None)), objective_of(found, matrix, scale)
    point = point_for(scaled)
    coef, intercept = scaled.coefficients(point)
    assert np.allclose(scaled.parameters(coef, intercept), point, rtol=1e-13)
    assert np.allclose(plain.parameters(coef, intercept), np.column_stack([coef, intercept]).reshape(-1), rtol=0)
    value, grad = scaled.value_and_grad(point)
    same, raw = plain.value_and_grad(plain.parameters(coef, intercept))
    assert value == pytest.approx(same, rel=1e-13)
    raw = raw.reshape(-1, D + 1)
    chained = np.column_stack([(raw[:, :D] - raw[:, D:] * matrix.center) / scale, raw[:, D]])
    assert np.allclose(grad, chained.reshape(-1), rtol=1e-10, atol=1e-13)
    assert np.allclose(scaled.logits(point), plain.logits(plain.parameters(coef, intercept)), rtol=1e-12)


def test_an_infinite_scale_keeps_a_coefficient_at_0():
    matrix, scale = stored("centred")
    scale[1] = np.inf
    objective = objective_of(case("classes"), matrix, scale, l1=0.1)
    point = point_for(objective)
    coef, intercept = objective.coefficients(point)
    assert (coef[:, 1] == 0).all()
    assert (objective.value_and_grad(point).grad.reshape(3, -1)[:, 1] == 0).all()
    assert (objective.hvp(point)(point).reshape(3, -1)[:, 1] == 0).all()
    back = objective.parameters(coef + np.array([0.0, 7.0, 0.0]), intercept).reshape(3, -1)
    assert (back[:, 1] == 0).all()
    for penalty in (objective.l1, objective.l2):
        assert penalty.reshape(3, -1)[:, 1].tolist() == [0, 0, 0]


def test_penalties_are_those_of_the_raw_coefficients():
    matrix, scale = stored("centred")
    objective = objective_of(case("classes"), matrix, scale, l1=0.7)
    point = point_for(objective)
    coef, _ = objective.coefficients(point)
    assert objective.l1 @ np.abs(point) == pytest.approx(0.7 * np.abs(coef).sum(), rel=1e-13)
    assert objective.l2 @ point**2 == pytest.approx(L2 * (coef**2).sum(), rel=1e-13)
    assert (objective.l1.reshape(3, -1)[:, D] == 0).all()
    assert (objective.l2.reshape(3, -1)[:, D] == 0).all()
    assert objective_of(case("classes"), matrix, scale).l1 is None
    smooth_part = objective_of(case("classes"), matrix, scale)
    assert smooth_part.value_and_grad(point).value == objective.value_and_grad(point).value


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("name", [*CONVEX, "focal"])
def test_batches_add_up_to_the_whole(name, kind):
    objective = objective_of(case(name), *stored(kind))
    point = point_for(objective)
    batches = list(objective.batches(5, np.random.default_rng(0)))
    assert [batch.rows for batch in batches] == [5, 5, 2]
    assert objective.passes == pytest.approx(1)
    parts = [batch.value_and_grad(point) for batch in batches]
    shares = [batch.rows / N for batch in batches]
    value, grad = objective.value_and_grad(point)
    assert sum(s * part.value for s, part in zip(shares, parts, strict=True)) == pytest.approx(value, rel=1e-13)
    assert np.allclose(sum(s * part.grad for s, part in zip(shares, parts, strict=True)), grad, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("name", [*CONVEX, "focal"])
def test_thinned_is_the_objective_of_those_rows(name, kind):
    found = case(name)
    matrix, scale = stored(kind)
    few = objective_of(found, matrix, scale).thinned(2)
    weight = None if found.weight is None else found.weight[::2].copy()
    rows = found._replace(targets=found.targets[::2].copy(), weight=weight)
    expected = objective_of(rows, matrix.take(slice(None, None, 2)), scale)
    point = point_for(expected)
    assert few.rows == 6
    assert few.mass == expected.mass
    assert few.value_and_grad(point).value == pytest.approx(expected.value_and_grad(point).value, rel=1e-14)
    if name != "focal":
        assert np.allclose(few.hvp(point)(point), expected.hvp(point)(point), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ["classes", "ignored", "two", "labels"])
def test_thinned_is_nothing_where_a_class_would_be_left_out(name):
    found = case(name)
    targets = found.targets.copy() if name != "labels" else found.targets.round()
    targets[::3] = targets[0]
    assert objective_of(found._replace(targets=targets), *stored("plain")).thinned(3) is None


def test_gradient_is_a_new_array_each_time():
    objective = objective_of(case("classes"), *stored("plain"))
    first = objective.value_and_grad(np.zeros(objective.size)).grad
    kept = first.copy()
    objective.value_and_grad(np.ones(objective.size))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("name", ["classes", "soft", "two", "labels", "focal"])
def test_points_and_features_out_of_bounds(name, kind):
    found = case(name)
    matrix, scale = stored(kind)
    objective = objective_of(found, matrix, scale)
    for entry in (1e308, np.inf, np.nan, -np.inf):
        point = point_for(objective)
        point.reshape(found.outputs, -1)[:, :D] = entry
        assert objective.value_and_grad(point).value == np.inf


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["classes", "two", "labels", "focal"])
def test_features_that_are_not_finite(name, wrong):
    for row in range(N):
        X = raw_features()
        X[row, 1] = wrong
        objective = objective_of(case(name), DenseMatrix(X))
        point = np.random.default_rng(row).normal(size=objective.size)
        assert objective.value_and_grad(point).value == np.inf


def test_losses_without_a_convex_hessian():
    objective = objective_of(case("focal"), *stored("plain"))
    point = point_for(objective)
    for ask in (objective.hvp, objective.hessian, objective.gram, objective.gram_diagonal):
        with pytest.raises(UnsupportedError, match="Focal with these options has no convex Hessian"):
            ask(point)
    assert not objective.is_convex
    assert objective.bound_estimate(point) == np.inf


def test_targets_are_looked_at_once():
    found = case("classes")
    with pytest.raises(LabelError, match=r"targets\[5\] is 3"):
        objective_of(found._replace(targets=np.where(np.arange(N) == 5, 3, found.targets)), *stored("plain"))
    shapes: Any = found._replace(targets=found.targets[:-1])
    with pytest.raises(ValueError, match=r"\(11,\)|11"):
        objective_of(shapes, *stored("plain"))


@pytest.mark.parametrize("name", ["weighted", "focal"])
def test_the_same_bits_for_any_number_of_threads(name):
    random = np.random.default_rng(0)
    X, y, weight = random.normal(size=(9000, 60)), random.integers(0, 3, 9000), random.uniform(size=9000)
    objective = LinearObjective(DenseMatrix(X), y, loss=case(name).loss, outputs=3, l2=0.1, sample_weight=weight)
    point, before, found = random.normal(size=objective.size), ce.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            ce.set_num_threads(threads)
            value, grad = objective.value_and_grad(point)
            found.append((value, grad.tobytes()))
    finally:
        ce.set_num_threads(before)
    assert len(set(found)) == 1
