"""Reproducibility of the family: a row's bits depend on the row alone, wherever it lies, whatever stands beside it."""

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

import crossent as ce
from bits import assert_same
from cases import soft_targets
from entries import LAYOUTS, laid_out
from family_cases import MEMBERS, SHAPES
from tables.softmax_rows import some_rows

DTYPES = {"float32": np.float32, "float64": np.float64, "bfloat16": ml_dtypes.bfloat16}
FORMS = {
    "index": {},
    "soft": {},
    "smoothed": {"label_smoothing": 0.1},
    "weighted": {"class_weight": [0.5, 2.0, 0.0, 1.0]},
}
# Every member, all forms and dtypes in turn; 3 and 17: lanes with tails; 40: the fast kernels of float32.
TURNS = [
    (name, list(FORMS)[(i + j) % 4], list(DTYPES)[(i + i // 3 + j) % 3], K)
    for j, K in enumerate((3, 17, 40))
    for i, name in enumerate(MEMBERS)
]


class Batch(NamedTuple):
    """A loss with reduction="none", targets and logits."""

    loss: Any
    targets: Any
    z: Any

    def ask(self, rows: Any = slice(None)) -> list[Any]:
        """Values, gradient, then gradient and both diagonals."""
        y, z = self.targets[rows], self.z[rows]
        curved = [self.loss.grad_and_hess(y, logits=z, curvature=kind) for kind in ("exact", "upper")]
        return [*self.loss.value_and_grad(y, logits=z), *curved[0], *curved[1]]


def batch_of(name: str, form: str, dtype: Any, K: int, *, axis: int = -1, of_each: int = 3) -> Batch:
    """Hard rows; without a +inf logit, whose Hessian z_loss makes NaN."""
    rows = some_rows(K, np.dtype(dtype), of_each=of_each, odd=6)
    kept = ~np.isposinf(rows.logits.astype(np.float64)).any(axis=1)
    options = dict(FORMS[form])
    if "class_weight" in options:
        options["class_weight"] = np.resize(options["class_weight"], K)
    y: Any = rows.targets
    if form == "soft":
        y = soft_targets(rows).astype(np.float32 if np.dtype(dtype).itemsize == 2 else dtype)
    return Batch(MEMBERS[name].make(K)(reduction="none", axis=axis, **options), y[kept], rows.logits[kept])


@pytest.mark.parametrize(("name", "form", "dtype", "K"), TURNS)
def test_bits_depend_on_the_row_only(name: str, form: str, dtype: str, K: int, isa: str) -> None:
    """Order, neighbours, single rows, value alone, memory layout and address."""
    batch = batch_of(name, form, DTYPES[dtype], K)
    want = batch.ask()
    order = np.random.default_rng(1).permutation(len(batch.z))
    assert_same(batch.ask(order), [part[order] for part in want])
    for first, end in ((0, 1), (3, 5), (7, 20), (len(order) - 1, len(order))):
        assert_same(batch.ask(slice(first, end)), [part[first:end] for part in want])
    assert_same(batch.loss(batch.targets, logits=batch.z), want[0])
    for layout in LAYOUTS:
        if layout != "big-endian" or dtype != "bfloat16":
            assert_same(batch._replace(z=laid_out(batch.z, layout)).ask(), want)
    memory = np.empty(batch.z.size + 64, batch.z.dtype)
    for offset in (1, 5):
        moved = memory[offset : offset + batch.z.size].reshape(batch.z.shape)
        moved[...] = batch.z
        assert_same(batch._replace(z=moved).ask(), want)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classes_on_an_inner_axis(name: str, dtype: str, isa: str) -> None:
    """[outer, K, inner] in panels of any width, and on axis 0: the bits of the last axis but for its fast kernels."""
    K = 40
    form = "index" if dtype == "float32" else "soft"
    batch, inside = (batch_of(name, form, DTYPES[dtype], K, axis=axis, of_each=1) for axis in (-1, 1))
    n = len(batch.z) // 12 * 12
    want = [part[:n] for part in batch.ask()]
    skipped = 2 if name in SHAPES and dtype == "float32" else 0
    first = None
    for inner in (2, 3, 12):

        def turned(x: Any, inner: int = inner) -> Any:
            return np.ascontiguousarray(np.swapaxes(x[:n].reshape(-1, inner, K), 1, 2))

        y = turned(batch.targets) if form == "soft" else batch.targets[:n].reshape(-1, inner)
        got = inside._replace(targets=y, z=turned(batch.z)).ask()
        flat = [got[0].reshape(n), *(np.swapaxes(part, 1, 2).reshape(n, K) for part in got[1:])]
        assert_same(flat[skipped:], want[skipped:])
        first = first or flat
        assert_same(flat, first)
    columns = batch_of(name, form, DTYPES[dtype], K, axis=0, of_each=1)
    y = batch.targets[:n].T if form == "soft" else batch.targets[:n]
    for z in (np.ascontiguousarray(batch.z[:n].T), batch.z[:n].T):
        got = columns._replace(targets=np.ascontiguousarray(y), z=z).ask()
        assert_same([got[0], *(part.T for part in got[1:])], first)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_in_place_and_from_read_only_rows(dtype: str, name: str) -> None:
    for K in (3, 100):
        batch = batch_of(name, "index", DTYPES[dtype], K, of_each=1)
        want = batch.ask()[:2]
        z = batch.z.copy()
        got = batch.loss.value_and_grad(batch.targets, logits=z, out=z)
        assert got.grad is z
        assert_same(got, want)
        out = np.empty_like(batch.z)
        fixed = laid_out(batch.z, "read-only")
        assert_same(batch.loss.value_and_grad(batch.targets, logits=fixed, out=out), want)


MANY = {
    "Focal(2)": ce.Focal(class_weight=[1, 2, 0.5, 0, 3]),
    "all": ce.CrossEntropy(temperature=1.3, softcap=20.0, z_loss=0.01, entropy_weight=-0.2),
    "LogitAdjusted": ce.LogitAdjusted([5, 4, 3, 2, 1], label_smoothing=0.1),
    "BinaryFocal": ce.BinaryFocal(alpha=0.25, pos_weight=[1, 2, 3, 4, 5]),
}


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_number_of_threads_gives_the_same_bits(dtype: str, name: str, set_threads: Any) -> None:
    rng = np.random.default_rng(7)
    N, K = 80_000, 5
    z = (rng.normal(size=(N, K)) * 10.0 ** rng.uniform(-2, 2, (N, 1))).astype(DTYPES[dtype])
    y = rng.integers(0, 2, (N, K)) if "Binary" in name else rng.integers(0, K, N)
    loss, call = MANY[name], {"logits": z, "sample_weight": rng.uniform(0, 2, N)}
    results = []
    for threads in (1, 2, 5):
        set_threads(threads)
        results.append((*loss.value_and_grad(y, **call), loss(y, **call), *loss.grad_and_hess(y, **call)))
    for other in results[1:]:
        assert_same(other, results[0])
    assert results[0][0] == results[0][2]
    losses = type(loss)(**{**vars_of(loss), "reduction": "none"})(y, logits=z)
    assert losses.dtype == (np.float64 if dtype == "float64" else np.float32)


def vars_of(loss: Any) -> dict[str, Any]:
    """The options that a loss was made with."""
    return {name: getattr(loss, name) for name in type(loss).__dataclass_fields__}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Focal(2)", "GCE(0.7)", "all options"])
def test_one_row_longer_than_any_buffer(name: str) -> None:
    """2^22 classes and more: 64-bit indices, the label at the end, against the array formula's float64."""
    K = (1 << 22) + 3
    z = np.random.default_rng(0).normal(size=(1, K))
    loss = MEMBERS[name].make(K)(reduction="none")
    value, grad = loss.value_and_grad([K - 1], logits=z)
    again = loss.value_and_grad([K - 1], logits=z.astype(np.float32))
    np.testing.assert_allclose(again.value, value, rtol=1e-6)
    np.testing.assert_allclose(again.grad[0, -1], grad[0, -1], rtol=1e-4)
    if "all" not in name:
        assert abs(grad.sum()) < 1e-12
