"""The fused pass of a fit: loss and sums of slopes against long double, for every kind of target."""

import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import crossent as ce
from crossent.core.blocks import BadRow
from crossent.core.matrix import DenseMatrix, SparseMatrix
from crossent.core.matrix.step import step_loss
from crossent.errors import NonFiniteError
from matrix_oracle import Losses, assert_within, class_losses, features, label_losses, logits, steps

SHAPES = [(1, 1), (2, 3), (65, 24), (130, 9), (1000, 2), (63, 300), (1000, 257)]


class Rows:
    """A loss of rows as both the native and the Python pass take it."""

    def __init__(self, loss: Any, targets: Any, outputs: int, weight: Any = None, *, native: bool = True) -> None:
        self.loss, self.targets, self.weight = replace(loss, reduction="sum"), targets, weight
        nothing = np.broadcast_to(
            0.0, targets.shape if targets.ndim == 2 else (len(targets), outputs)[: 1 + (outputs > 1)]
        )
        self.native = step_loss(self.loss._job(targets, nothing, None, None, weight)) if native else None
        self.is_flat = nothing.ndim == 1

    def __call__(self, first: int, end: int, z: Any) -> float:
        buffer = z[:, 0] if self.is_flat else z
        weight = None if self.weight is None else self.weight[first:end]
        found = self.loss.value_and_grad(self.targets[first:end], logits=buffer, sample_weight=weight, out=buffer)
        return float(found.value)


def one_hot(labels: Any, K: int) -> Any:
    return (labels[:, None] == np.arange(K)).astype(float)


def smoothed(A: Any, a: float) -> Any:
    return (1 - a) * A + a / A.shape[1] * A.sum(axis=1, keepdims=True)


CLASS_KINDS = ["index", "bytes", "soft", "smoothed", "class weights", "row weights", "ignored", "all at once"]


def class_case(kind: str, N: int, K: int, random: Any) -> tuple[Any, Any, Any, Any]:
    """The loss, its targets, row weights, and weighted targets [N, K]."""
    labels = random.integers(0, K, N)
    A, w, cw = one_hot(labels, K), random.uniform(0.2, 3, N), random.uniform(0.2, 3, K)
    q = random.dirichlet(np.ones(K), N)
    ignored = np.where(np.arange(N) % 3 == 1, -100, labels)
    kept = (ignored >= 0)[:, None]
    cases: dict[str, Any] = {
        "index": (ce.CrossEntropy(), labels, None, A),
        "bytes": (ce.CrossEntropy(), labels.astype(np.uint8), None, A),
        "soft": (ce.CrossEntropy(), q, None, q),
        "smoothed": (ce.CrossEntropy(label_smoothing=0.1), labels, None, smoothed(A, 0.1)),
        "class weights": (ce.CrossEntropy(class_weight=cw), labels, None, A * cw),
        "row weights": (ce.CrossEntropy(), labels, w, A * w[:, None]),
        "ignored": (ce.CrossEntropy(ignore_index=-100), ignored, None, A * kept),
        "all at once": (
            ce.CrossEntropy(label_smoothing=0.1, class_weight=cw), q, w, smoothed(q, 0.1) * cw * w[:, None],
        ),
    }  # fmt: skip
    return cases[kind]


LABEL_KINDS = ["plain", "flat", "soft", "smoothed", "pos_weight", "row weights", "all at once"]


def label_case(kind: str, N: int, K: int, random: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The loss, its targets, row weights, and what multiplies -log p and -log (1 - p)."""
    y, q = random.integers(0, 2, (N, K)).astype(float), random.uniform(size=(N, K))
    w, pos, a = random.uniform(0.2, 3, N), random.uniform(0.2, 3, K), 0.1
    Loss = ce.BinaryCrossEntropy
    soft = (1 - a) * q + a / 2
    cases: dict[str, Any] = {
        "plain": (Loss(), y, None, y, 1 - y),
        "flat": (Loss(), y[:, 0], None, y[:, :1], 1 - y[:, :1]),
        "soft": (Loss(), q, None, q, 1 - q),
        "smoothed": (Loss(label_smoothing=a), q, None, soft, 1 - soft),
        "pos_weight": (Loss(pos_weight=pos), y, None, pos * y, 1 - y),
        "row weights": (Loss(), y, w, w[:, None] * y, w[:, None] * (1 - y)),
        "all at once": (
            Loss(label_smoothing=a, pos_weight=pos, class_weight=[0.5, 2.0]), q, w,
            2 * pos * soft * w[:, None], 0.5 * (1 - soft) * w[:, None],
        ),
    }  # fmt: skip
    return cases[kind]


def check(rows: Rows, x: Any, outputs: int, losses: Any, matrix: Any = None) -> None:
    """A pass over dense rows (or the matrix given), with a center and without."""
    random = np.random.default_rng(1)
    coef, intercept = random.normal(size=(outputs, x.shape[1])) / np.abs(x).max(axis=0) / 3, random.normal(size=outputs)
    for center in (None, x.mean(axis=0, dtype=np.float64)) if matrix is None else (None,):
        z = logits(x, center, coef, intercept)
        answer = steps(x, center, z, losses(z.exact))
        found = (DenseMatrix(x, center) if matrix is None else matrix).fused(coef, intercept, rows)
        for part, exact, name in zip(found, answer, answer._fields, strict=True):
            assert_within(part, exact, name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", CLASS_KINDS)
def test_classes(kind, dtype, isa):
    for N, D in SHAPES:
        for K in (2, 3, 5, 10) if N < 1000 else (4,):
            random = np.random.default_rng(N + D + K)
            x = features(random, N, D, dtype)
            loss, targets, weight, A = class_case(kind, N, K, random)
            rows = Rows(loss, targets, K, weight)
            assert rows.native is not None
            check(rows, x, K, lambda z: class_losses(z, A))  # noqa: B023 - called at once


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", LABEL_KINDS)
def test_labels(kind, dtype, isa):
    for N, D in SHAPES:
        for K in (1,) if kind == "flat" else (1, 2, 3, 12) if N < 1000 else (4,):
            random = np.random.default_rng(N + D + K)
            x = features(random, N, D, dtype)
            loss, targets, weight, yes, no = label_case(kind, N, K, random)
            rows = Rows(loss, targets, K, weight)
            assert rows.native is not None
            check(rows, x, K, lambda z: label_losses(z, yes, no))  # noqa: B023 - called at once


def focal(z: Any, labels: Any) -> Losses:
    """-(1 - p)^2 log p of the target's p."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    hot = one_hot(labels, z.shape[1])
    t = (p * hot).sum(axis=1)
    slope = 2 * (1 - t) * t * np.log(t) - (1 - t) ** 2
    return Losses(-((1 - t) ** 2) * np.log(t), slope[:, None] * (hot - p), np.full(len(z), 8.0))


@pytest.mark.parametrize(("N", "D"), SHAPES)
def test_python_makes_slopes_where_native_code_has_no_such_loss(N, D):
    random = np.random.default_rng(N + D)
    x, labels = features(random, N, D), random.integers(0, 3, N)
    rows = Rows(ce.Focal(gamma=2.0), labels, 3)
    assert rows.native is None
    check(rows, x, 3, lambda z: focal(z, labels))
    assert Rows(ce.CrossEntropy(temperature=2.0), labels, 3).native is None
    check(Rows(ce.CrossEntropy(), labels, 3, native=False), x, 3, lambda z: class_losses(z, one_hot(labels, 3)))


@pytest.mark.parametrize("K", [1, 3, 8, 9])
def test_sparse_rows(K, isa):
    random = np.random.default_rng(0)
    csr = sparse.random_array((1500, 130), density=0.25, random_state=random, format="csr")
    matrix = SparseMatrix(csr.data, csr.indices, csr.indptr, 130)
    y = random.integers(0, 2, (1500, K)).astype(float)
    dense = csr.toarray()
    check(Rows(ce.BinaryCrossEntropy(), y, K), dense, K, lambda z: label_losses(z, y, 1 - y), matrix)


class TestBadRows:
    """Found by native code, with their number among all rows."""

    @pytest.mark.parametrize("row", [0, 63, 64, 700, 999])
    @pytest.mark.parametrize("wrong", [np.nan, np.inf])
    def test_features_that_are_not_finite(self, row, wrong, isa):
        x = np.random.default_rng(0).normal(size=(1000, 257))
        x[row, 5] = x[row, 6] = wrong
        coef = np.ones((3, 257))
        coef[:, 6] = -1  # inf - inf
        rows = Rows(ce.CrossEntropy(), np.arange(1000) % 3, 3)
        with pytest.raises(BadRow) as caught:
            DenseMatrix(x).fused(coef, np.zeros(3), rows)
        assert caught.value.row == row

    def test_in_python(self):
        x = np.random.default_rng(0).normal(size=(100, 2))
        x[30] = np.nan
        with pytest.raises(NonFiniteError):
            DenseMatrix(x).fused(np.ones((3, 2)), np.zeros(3), Rows(ce.Focal(), np.arange(100) % 3, 3))

    @pytest.mark.parametrize("label", [3, -1, 2**62, -(2**63)])
    def test_labels_that_changed_after_they_were_checked(self, label, isa):
        labels = np.arange(1000) % 3
        rows = Rows(ce.CrossEntropy(class_weight=[1.0, 2.0, 3.0]), labels, 3)
        labels[700] = label
        with pytest.raises(BadRow) as caught:
            DenseMatrix(np.ones((1000, 257))).fused(np.zeros((3, 257)), np.zeros(3), rows)
        assert caught.value.row == 700


def test_the_loss_keeps_its_arrays():
    def made() -> Rows:
        labels, weight = np.arange(50_000) % 3, np.full(50_000, 2.0)
        rows = Rows(ce.CrossEntropy(class_weight=[1.0, 1.0, 1.0]), labels, 3, weight)
        rows.targets = rows.weight = None
        return rows

    rows = made()
    gc.collect()
    filler = [np.full(50_000, 77) for _ in range(8)]  # where they were
    found = DenseMatrix(np.ones((50_000, 1))).fused(np.zeros((3, 1)), np.zeros(3), rows)
    assert found.value == pytest.approx(100_000 * np.log(3), rel=1e-12)
    del filler
