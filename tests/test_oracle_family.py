"""The family's judge judged: closed forms against numeric differentiation of the loss as it is defined."""

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest

import oracle
import oracle_binary
from oracle_family import family_answers, family_loss, log_prior
from oracle_shapes import binary_answers
from wide import Wide

mp = mpmath.mp
mpf = mpmath.mpf
STEP = mpf(2) ** -100

SHAPES: list[tuple[Any, ...]] = [
    ("log", 1.0), ("focal", 1.0, 0.0), ("focal", 1.0, 0.5), ("focal", 1.0, 1.0), ("focal", 0.25, 2.0),
    ("focal", 1.0, 5.0), ("poly", 1.0, 1.0), ("poly", 1.0, -1.0), ("poly", 0.0, 2.0), ("poly", 0.5, 4.0),
    ("power", 0.7), ("power", 1.0), ("power", 0.01),
]  # fmt: skip
EXTRAS: dict[str, dict[str, Any]] = {
    "plain": {},
    "softcap": {"softcap": 3.0, "temperature": 0.5},
    "prior": {"log_prior": [0.5, -1.0, 0.0, -2.0, 0.25], "temperature": 2.0},
    "entropy": {"entropy_weight": 0.3},
    "confidence penalty": {"entropy_weight": -0.2, "softcap": 20.0},
    "z_loss": {"z_loss": 0.01},
    "all": {"z_loss": 0.5, "entropy_weight": -1.5, "softcap": 5.0, "temperature": 0.7, "log_prior": [1, 0, 2, -3, 0]},
    "soft bootstrap": {"bootstrap": (0.8, False), "entropy_weight": 0.1},
    "hard bootstrap": {"bootstrap": (0.8, True)},
}


def hard_rows() -> Any:
    """Random, equal, tied, confident by 40 and 300, of wide spread, all negative."""
    rng = np.random.default_rng(5)
    rows = [rng.normal(size=5) * 2, np.zeros(5), [1, 1, 0, 0, -1], [40, 0, 1, -2, 0], [0, 300, 1, -2, 299.5]]
    return np.array([*rows, [-7, -30, -5, -7, -100], [1e-20, -1e-20, 150, 150, -150]], np.float64)


def targets(kind: str) -> Any:
    rng = np.random.default_rng(6)
    if kind == "index":
        return np.array([0, 4, 1, 0, 4, 3, 2])
    q = rng.dirichlet(np.ones(5), 7)
    q[3] = [0, 0.5, 0.5, 0, 0]
    return q


def defined_shape(shape: Sequence[Any], p: Any) -> Any:
    """f at p, as the table has it."""
    if shape[0] == "power":
        return (1 - p ** mpf(shape[1])) / mpf(shape[1])
    plain = -mpf(shape[1]) * mp.log(p)
    if shape[0] == "focal":
        return (1 - p) ** mpf(shape[2]) * plain
    return plain + (mpf(shape[2]) * (1 - p) if shape[0] == "poly" else 0)


def defined_loss(z: list[Any], q: list[Any], shape: Sequence[Any], extras: dict[str, Any]) -> Any:
    """The row loss of the head of oracle_family.py, term by term, with no trick."""
    T, omega = mpf(extras.get("temperature", 1)), mpf(extras.get("entropy_weight", 0))
    b = extras.get("log_prior", [0] * len(z))
    beta, hard = extras.get("bootstrap", (1, True))
    if not hard:
        shape, omega = ("log", beta), omega + 1 - mpf(beta)
    c = extras.get("softcap")
    z = [(x if c is None else c * mp.tanh(x / c)) / T + t for x, t in zip(z, b, strict=True)]
    e = [mp.exp(x) for x in z]
    p = [x / mp.fsum(e) for x in e]
    H = -mp.fsum(x * mp.log(x) for x in p)
    each = omega * H + mpf(extras.get("z_loss", 0)) * mp.log(mp.fsum(e)) ** 2
    return mp.fsum(w * (defined_shape(shape, x) + each) for w, x in zip(q, p, strict=True) if w)


def slopes(loss: Callable[[list[Any]], Any], z: list[Any]) -> tuple[list[Any], Any]:
    """Gradient and matrix of second derivatives by central differences, with an error of STEP^2."""

    def at(*moves: tuple[int, int]) -> Any:
        moved = list(z)
        for k, sign in moves:
            moved[k] += sign * STEP
        return loss(moved)

    K, middle = len(z), loss(z)
    ends = [(at((k, 1)), at((k, -1))) for k in range(K)]
    matrix = mp.matrix(K, K)
    for i in range(K):
        matrix[i, i] = (ends[i][0] - 2 * middle + ends[i][1]) / STEP**2
        for j in range(i):
            mixed = at((i, 1), (j, 1)) - at((i, 1), (j, -1)) - at((i, -1), (j, 1)) + at((i, -1), (j, -1))
            matrix[i, j] = matrix[j, i] = mixed / (4 * STEP**2)
    return [(up - down) / (2 * STEP) for up, down in ends], matrix


def agree(got: Wide, scale: Wide, wanted: Sequence[Any]) -> bool:
    """Within 1e-27 of the scale: 106 bits and the differences' error."""
    triples = zip(got.to_mpf(), scale.to_mpf(), wanted, strict=True)
    return all(abs(a - w) <= 1e-27 * s + mpf(10) ** -200 for a, s, w in triples)


# Every shape alone and with everything at once; every extra with four shapes; Bootstrap has the shape of cross-entropy.
CASES = [(shape, extras) for extras in ("plain", "all") for shape in SHAPES]
CASES += [(s, e) for e in ("softcap", "prior", "entropy", "confidence penalty", "z_loss") for s in SHAPES[:12:4]]
CASES += [(SHAPES[0], "soft bootstrap"), (SHAPES[0], "hard bootstrap")]


@pytest.mark.parametrize("kind", [pytest.param("index", marks=pytest.mark.slow), "soft"])
@pytest.mark.parametrize(("shape", "extras"), CASES, ids=str)
def test_closed_forms_are_the_derivatives(shape: tuple[Any, ...], extras: str, kind: str) -> None:
    """Loss, gradient and Hessian diagonal; and `upper` as a diagonal matrix is nowhere below the Hessian."""
    given = EXTRAS[extras]
    z, y = hard_rows(), targets(kind)
    weights = {"class_weight": [1, 2, 0.5, 3, 1], "alpha": [0.25, 1, 1, 0.75, 2], "label_smoothing": 0.125}
    got = family_answers(y, logits=z, shape=shape, **given, **(weights if kind == "soft" else {}))
    rows = ((1, 2, 3, 6) if kind == "index" else (0, 3, 4, 5)) if extras in ("plain", "all") else (0, 3)
    for i in rows:
        q = [mpf(int(j == y[i])) for j in range(5)] if kind == "index" else [mpf(x) for x in y[i].tolist()]
        if kind == "soft":
            q = [(1 - mpf(0.125)) * x + mpf(0.125) / 5 for x in q]
        if given.get("bootstrap", (1, False))[1]:
            q = [mpf(0.8) * x for x in q]
            q[int(np.argmax(z[i]))] += 1 - mpf(0.8)
        if kind == "soft":
            q = [w * a * x for w, a, x in zip(weights["class_weight"], weights["alpha"], q, strict=True)]
        with mp.workprec(1000 if np.ptp(z[i]) < 100 else 2000):
            row = [mpf(x) for x in z[i].tolist()]

            def loss(values: list[Any], q: list[Any] = q) -> Any:
                return defined_loss(values, q, shape, given)

            assert agree(got.loss[i : i + 1], got.loss_scale[i : i + 1], [loss(row)])
            grad, matrix = slopes(loss, row)
            assert agree(got.grad[i], got.grad_scale[i], grad)
            assert agree(got.hess[i], got.hess_scale[i], [matrix[k, k] for k in range(5)])
            assert_above(got.upper[i].to_mpf(), matrix)


def assert_above(upper: Any, matrix: Any) -> None:
    """diag(upper) - matrix has no negative eigenvalue; each class is scaled, so that small ones count too."""
    assert all(x >= 0 for x in upper)
    sizes = [mp.sqrt(max(u, mpf(10) ** -150)) for u in upper]
    K = len(sizes)
    scaled = mp.matrix(K, K)
    for i in range(K):
        for j in range(K):
            scaled[i, j] = ((upper[i] if i == j else 0) - matrix[i, j]) / (sizes[i] * sizes[j])
    with mp.workprec(1000):  # what the Hessian has below zero is large beside what is scaled up to 1
        assert min(mp.eigsy(scaled, eigvals_only=True)) >= -1e-20


def test_the_positive_matrix_check_bites() -> None:
    matrix = mp.matrix([[1, -1], [-1, 1]])
    assert_above([2, 2], matrix)
    with pytest.raises(AssertionError):
        assert_above([1, 1.9], matrix)


@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_binary_closed_forms_are_the_derivatives(shape: tuple[Any, ...], alpha: float | None) -> None:
    z, y = np.array([0.0, -3.0, 5.0, 40.0, -40.0, 0.5, 300.0]), np.array([1, 0, 1, 0, 1, 0.25, 0.75])
    options = {"class_weight": [2, 0.5], "pos_weight": 3.0, "label_smoothing": 0.25}
    got = binary_answers(y, logits=z, shape=shape, alpha=alpha, **options)
    for i in range(7):
        smooth = mpf(0.75) * y[i] + mpf(0.125)
        A, B = 3 * mpf(0.5) * smooth, 2 * (1 - smooth)
        A, B = (A, B) if alpha is None else (A * mpf(alpha), B * (1 - mpf(alpha)))

        def loss(v: list[Any], A: Any = A, B: Any = B) -> Any:
            p = 1 / (1 + mp.exp(-v[0]))
            return A * defined_shape(shape, p) + B * defined_shape(shape, 1 - p)

        with mp.workprec(3000):
            grad, matrix = slopes(loss, [mpf(z[i])])
            assert agree(got.loss[i : i + 1], got.loss[i : i + 1], [loss([mpf(z[i])])])
            assert agree(got.grad[i : i + 1], got.grad_scale[i : i + 1], grad)
            assert agree(got.hess[i : i + 1], got.hess_scale[i : i + 1], [matrix[0, 0]])
            assert_above(got.upper[i : i + 1].to_mpf(), matrix)
    assert abs(got.mass - sum(0.5 * v + 2 * (1 - v) for v in y)) < 1e-30


@pytest.mark.parametrize("kind", ["probs", "log_probs"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_from_probabilities(shape: tuple[Any, ...], kind: str) -> None:
    """Loss and slope by the number that is named, for classes and for independent labels."""
    p = np.array([[0.5, 0.25, 0.25], [1e-9, 1 - 2.0**-20, 2.0**-20], [1e-300, 0.3, 0.7]])
    x = p if kind == "probs" else np.log(p)
    q = np.array([[0.2, 0.5, 0.3], [0.25, 0.5, 0.25], [1, 0, 0]])
    got = family_answers(q, shape=shape, **{kind: x})
    two = binary_answers(q, shape=shape, **{kind: x})

    def one(v: Any) -> Any:
        return defined_shape(shape, v if kind == "probs" else mp.exp(v))

    def other(v: Any) -> Any:
        return defined_shape(shape, 1 - v if kind == "probs" else -mp.expm1(v))

    with mp.workprec(2500):
        for i, j in np.ndindex(3, 3):
            v, w = mpf(x[i, j]), mpf(q[i, j])
            h = STEP * v
            slope = (one(v + h) - one(v - h)) / (2 * h)
            back = (other(v + h) - other(v - h)) / (2 * h)
            assert agree(got.grad[i, j : j + 1], got.grad_scale[i, j : j + 1], [w * slope])
            both = w * slope + (1 - w) * back
            assert agree(two.grad[i, j : j + 1], two.grad_scale[i, j : j + 1], [both])
            exact = w * one(v) + (1 - w) * other(v)
            assert agree(two.loss[i, j : j + 1], two.loss[i, j : j + 1], [exact])
        rows = [mp.fsum(mpf(b) * one(mpf(a)) for a, b in zip(x[i], q[i], strict=True) if b) for i in range(3)]
        assert agree(got.loss, got.loss, rows)


def test_without_the_family_it_is_cross_entropy() -> None:
    """The oracle of CrossEntropy and this one agree where both answer; also on the weights and reductions."""
    z, q = hard_rows(), targets("soft")
    common = {"class_weight": [1, 2, 0.5, 0, 1], "label_smoothing": 0.1, "sample_weight": [1, 0, 2, 3, 1, 0.5, 1]}
    got = family_answers(q, logits=z, **common)
    wanted = oracle.row_answers(q, logits=z, **common)
    for name in ("loss", "grad", "hess"):
        scale = getattr(got, f"{name}_scale")
        assert all(
            agree(getattr(got, name)[i : i + 1], scale[i : i + 1], getattr(wanted, name).to_mpf()[i : i + 1])
            if name == "loss"
            else agree(getattr(got, name)[i], scale[i], getattr(wanted, name).to_mpf()[i])
            for i in range(7)
        )
    pairs = zip(got.grad_scale.to_mpf().flat, wanted.scale.to_mpf().flat, strict=True)
    assert all(abs(a - b) <= 1e-28 * b for a, b in pairs)
    for reduction in ("mean", "sum"):
        for unit in ("nat", "bit"):
            how = {"reduction": reduction, "unit": unit, "logits": z, **common}
            assert abs(family_loss(q, **how) / oracle.cross_entropy(q, **how) - 1) < 1e-28
    y = np.array([0, 4, 1, 9, 4, 3, 2])
    how = {"logits": z, "ignore_index": 9}
    assert abs(family_loss(y, **how) / oracle.cross_entropy(y, **how) - 1) < 1e-28
    assert family_loss(y, reduction="none", **how)[3] == 0
    binary = {"class_weight": [1, 2], "label_smoothing": 0.1, "pos_weight": 3, "sample_weight": np.arange(5)}
    mine, theirs = binary_answers(q, logits=z, **binary), oracle_binary.binary_cross_entropy
    assert abs(mpmath.fsum(mine.loss.to_mpf().flat) / mine.mass / theirs(q, logits=z, **binary) - 1) < 1e-28


def test_priors_are_normalised_logarithms() -> None:
    with mp.workprec(250):
        assert all(abs(x - mp.log(w)) < 1e-45 for x, w in zip(log_prior([1, 3]), [mpf(1) / 4, mpf(3) / 4], strict=True))
        assert log_prior([1, 3], tau=0) == [0, 0]


def test_edge_values() -> None:
    """Infinite logits: what rules out, what is sure; 0 inf = 0."""
    inf = np.inf
    z = np.array([[0.0, -inf, 0.0], [0.0, -inf, 0.0], [1.0, inf, 0.0], [1.0, inf, 0.0]])
    y = np.array([0, 1, 1, 0])

    def floats(shape: tuple[Any, ...], **more: Any) -> tuple[list[float], Any]:
        got = family_answers(y, logits=z, shape=shape, **more)
        return got.loss.to_float().tolist(), got.grad.to_float()

    loss, grad = floats(("focal", 1.0, 2.0))
    assert loss == pytest.approx([np.log(2) / 4, inf, 0, inf])
    np.testing.assert_array_equal(grad[1:], [[0.5, -1, 0.5], [0, 0, 0], [-1, 1, 0]])
    loss, grad = floats(("power", 0.5))
    assert loss == pytest.approx([2 - 2**0.5, 2, 0, 2])
    np.testing.assert_array_equal(grad[1:], np.zeros((3, 3)))
    loss, grad = floats(("poly", 0.0, 3.0), softcap=5.0)
    assert loss == pytest.approx([1.5, 3, 0, 3])
    np.testing.assert_array_equal(grad[1:], np.zeros((3, 3)))
    loss, grad = floats(("log", 1.0), softcap=5.0, entropy_weight=1.0)
    assert loss == pytest.approx([2 * np.log(2), inf, 0, inf])
    np.testing.assert_allclose(grad[1:], [[0.5, 0, 0.5], [0, 0, 0], [-1 / np.cosh(0.2) ** 2, 0, 0]])
    assert floats(("log", 1.0), z_loss=1.0)[0] == pytest.approx([np.log(2) + np.log(2) ** 2, inf, inf, inf])
    assert floats(("log", 0.0))[0] == [0, 0, 0, 0]
    for bad in ([inf, inf, 0.0], [-inf, -inf, -inf]):
        with pytest.raises(ValueError, match="inf"):
            family_answers([0], logits=np.array([bad]))


def test_many_equal_classes_are_computed_once() -> None:
    """262 144 classes of three values: by multiplicity, as by writing them out."""
    z = np.zeros((1, 300))
    z[0, 7], z[0, 8] = 4.0, -3.0
    short = family_answers([7], logits=z, shape=("focal", 1.0, 2.0), entropy_weight=0.5, z_loss=0.1)
    odd = z + 1e-60 * np.arange(300)  # all different, with the same 45 digits
    odd[0, 7:9] = z[0, 7:9]
    long = family_answers([7], logits=odd, shape=("focal", 1.0, 2.0), entropy_weight=0.5, z_loss=0.1)
    for name in ("grad", "hess", "upper"):
        assert agree(getattr(short, name)[0], getattr(short, f"{name}_scale")[0], getattr(long, name)[0].to_mpf())
    big = np.zeros((1, 262_144))
    big[0, 3] = 12.0
    assert family_answers([3], logits=big, shape=("power", 0.7)).grad.shape == (1, 262_144)
