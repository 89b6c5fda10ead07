"""Reproducibility: a row's bits depend on the row alone; sums have the same bits for any number of threads.

In every storage and from every kind of prediction: logits, probabilities, independent labels, soft targets, and
classes on an inner axis in panels of every width.
"""

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

import crossent as ce
from bits import assert_same
from cases import hard_batch
from isas import ISAS, using_isa

DTYPES = {
    "float32": np.float32,
    "float64": np.float64,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}
FORMS = ("index", "smoothed", "class weights", "soft", "probs", "log_probs", "soft log_probs")
LABELS = ("hard", "soft", "probs", "log_probs")
ROWS = [(K, dtype, form) for K in (1, 3, 10, 17, 40, 300) for dtype in DTYPES for form in FORMS]
ROWS += [(K, dtype, form) for K in (2, 5, 16, 33, 70) for dtype in ("float32", "float64") for form in FORMS[:3]]


class Batch(NamedTuple):
    """A loss with reduction="none", its targets, and the prediction by name."""

    loss: Any
    targets: Any
    given: str
    x: Any

    def ask(self, rows: Any = slice(None)) -> tuple[Any, Any]:
        """Values and gradient of these rows."""
        return tuple(self.loss.value_and_grad(self.targets[rows], **{self.given: self.x[rows]}))

    def values(self, rows: Any = slice(None)) -> Any:
        """The value alone."""
        return self.loss(self.targets[rows], **{self.given: self.x[rows]})


def loss_of(form: str, K: int, *, axis: int = -1) -> Any:
    """The loss of a form's rows."""
    options = {"smoothed": {"label_smoothing": 0.1}, "class weights": {"class_weight": np.linspace(0.5, 2, K)}}
    return ce.CrossEntropy(reduction="none", check="entries", axis=axis, **options.get(form, {}))


def rows_of(form: str, K: int, dtype: Any) -> Batch:
    """Hard rows as the form wants them; finite for probabilities."""
    z, y = hard_batch(K, dtype, infinite="probs" not in form)
    targets: Any = y
    if "soft" in form:
        q = np.random.default_rng(K).integers(0, 5, z.shape).astype(np.float64)
        q[np.arange(len(y)), y] += 1
        targets = (q / q.sum(axis=1, keepdims=True)).astype(np.float32 if z.dtype.itemsize == 2 else z.dtype)
    given = form.split()[-1]
    if "probs" not in given:
        return Batch(loss_of(form, K), targets, "logits", z)
    p = ce.softmax(z.astype(np.float64))
    with np.errstate(divide="ignore"):
        return Batch(loss_of(form, K), targets, given, (p if given == "probs" else np.log(p)).astype(z.dtype))


def labels_of(form: str, dtype: Any, *shape: int) -> Batch:
    """Independent labels, all hard ones or in the given shape."""
    z = hard_batch(3, dtype, infinite="probs" not in form)[0].ravel()
    z = np.resize(z, shape or (z.size,))
    y = np.resize([0.0, 1.0, 0.25, 0.9] if form == "soft" else [0.0, 1.0, 1.0], z.shape).astype(np.float32)
    loss = ce.BinaryCrossEntropy(reduction="none", pos_weight=1.5)
    if "probs" not in form:
        return Batch(loss, y, "logits", z)
    p = ce.sigmoid(z.astype(np.float64))
    with np.errstate(divide="ignore"):
        return Batch(loss, y, form, (p if form == "probs" else np.log(p)).astype(z.dtype))


def assert_bits_of_rows(batch: Batch) -> None:
    """Order, neighbours, sub-batches, single rows, alignment, memory layout, value alone."""
    want = batch.ask()
    order = np.random.default_rng(1).permutation(len(batch.x))
    assert_same(batch.ask(order), [part[order] for part in want])
    for first, end in ((0, 1), (1, 2), (3, 20), (7, 41), (len(order) - 1, len(order))):
        assert_same(batch.ask(slice(first, end)), [part[first:end] for part in want])
    assert_same(batch.values(), want[0])
    assert_same(batch._replace(x=np.asfortranarray(batch.x)).ask(), want)
    memory = np.empty(batch.x.size + 64, batch.x.dtype)
    for offset in (1, 3, 8):
        moved = memory[offset : offset + batch.x.size].reshape(batch.x.shape)
        moved[...] = batch.x
        assert_same(batch._replace(x=moved).ask(), want)


@pytest.mark.parametrize(("K", "dtype", "form"), ROWS)
def test_bits_depend_on_the_row_only(K: int, dtype: str, form: str, isa: str) -> None:
    assert_bits_of_rows(rows_of(form, K, DTYPES[dtype]))


@pytest.mark.parametrize("form", LABELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_of_labels_depend_on_the_label_only(dtype: str, form: str, isa: str) -> None:
    """In one column or several, too."""
    batch = labels_of(form, DTYPES[dtype])
    assert_bits_of_rows(batch)
    want = batch.ask()
    for columns in (2, 5, 16):
        n = len(batch.x) // columns * columns
        table = batch._replace(targets=batch.targets[:n].reshape(-1, columns), x=batch.x[:n].reshape(-1, columns))
        assert_same([part.ravel() for part in table.ask()], [part[:n] for part in want])


@pytest.mark.parametrize("form", ["index", "soft", "smoothed", "probs"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 3, 10, 16, 40, 300])
def test_bits_on_an_inner_axis_do_not_depend_on_its_width(K: int, dtype: str, form: str, isa: str) -> None:
    """[outer, K, inner]: the same rows in panels of any width, alone among them or at their end; or side by side."""
    batch = rows_of(form, K, DTYPES[dtype])
    n = len(batch.x) // 21 * 21
    loss = loss_of(form, K, axis=1)

    def ask(inner: int, n: int = n) -> tuple[Any, Any]:
        x = np.ascontiguousarray(np.swapaxes(batch.x[:n].reshape(-1, inner, K), 1, 2))
        y = batch.targets[:n].reshape(-1, inner, *batch.targets.shape[1:])
        y = np.ascontiguousarray(np.swapaxes(y, 1, 2)) if y.ndim == 3 else y
        got = loss.value_and_grad(y, **{batch.given: x})
        assert_same(loss(y, **{batch.given: x}), got.value)
        return got.value.reshape(n), np.swapaxes(got.grad, 1, 2).reshape(n, K)

    want = ask(n)
    for inner in (3, 7, 21):
        assert_same(ask(inner), want)
    for size in (2, 20, 41):
        assert_same(ask(size, size), [part[:size] for part in want])
    if form == "index" and K <= 16:
        assert_same(batch.ask(slice(0, n)), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [3, 40])
def test_in_place_gives_the_same_bits(K: int, dtype: str, isa: str) -> None:
    for batch in (rows_of("index", K, DTYPES[dtype]), labels_of("hard", DTYPES[dtype], 40, K)):
        want = batch.ask()
        z = batch.x.copy()
        got = batch.loss.value_and_grad(batch.targets, logits=z, out=z)
        assert got.grad is z
        assert_same(got, want)


@pytest.mark.parametrize("soft", [False, True], ids=["index", "soft"])
@pytest.mark.parametrize("dtype", [*DTYPES, np.float16])
@pytest.mark.parametrize("K", [10, 40, 100])
def test_bits_on_an_inner_axis_are_the_same_in_fortran_order(K: int, dtype: Any, soft: bool, isa: str) -> None:
    """Blocks of 2^17 elements, in whole 64 rows, would leave one row for the last: it must not get another kernel."""
    rng, N = np.random.default_rng(K), 2 * ((1 << 17) // K // 64 * 64) + 1
    z = rng.normal(size=(K, N)).astype(dtype)
    y: Any = rng.integers(0, K, N)
    if soft:
        q = rng.integers(1, 5, (K, N)).astype(np.float32 if dtype == np.float16 else dtype)
        y = q / q.sum(axis=0)
    loss = ce.CrossEntropy(reduction="none", axis=0)
    want = loss.value_and_grad(y, logits=z)
    assert_same(loss.value_and_grad(y, logits=np.asfortranarray(z)), want)
    swapped = loss.value_and_grad(y, logits=z.astype(z.dtype.newbyteorder()))
    assert_same(swapped, want)
    total = ce.CrossEntropy(reduction="sum", axis=0)
    assert total(y, logits=np.asfortranarray(z)) == total(y, logits=z)
    if dtype == np.float16:
        wide = loss.value_and_grad(y, logits=z, out=np.empty(z.shape, np.float32))
        assert_same((wide.value, wide.grad.astype(np.float16)), want)


@pytest.mark.parametrize("kind", ["index", "soft", "strided", "binary", "probs", "axis 0"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_number_of_threads_gives_the_same_bits(dtype: str, kind: str, set_threads: Any) -> None:
    rng = np.random.default_rng(7)
    N, K = 150_000, 5
    z = (rng.normal(size=(N, K)) * 10.0 ** rng.uniform(-2, 2, (N, 1))).astype(DTYPES[dtype])
    y: Any = rng.integers(0, K, N)
    w = rng.uniform(0, 2, N)
    loss: Any = ce.CrossEntropy(class_weight=[1, 2, 0.5, 0, 3])
    call = {"logits": z, "sample_weight": w}
    if kind == "soft":
        y = np.eye(K, dtype=np.float64 if dtype == "float64" else np.float32)[y]
    elif kind == "strided":
        call["logits"] = np.repeat(z, 2, axis=1)[:, ::2]
    elif kind == "binary":
        loss, y = ce.BinaryCrossEntropy(pos_weight=[1, 2, 3, 4, 5]), rng.integers(0, 2, (N, K))
    elif kind == "probs":
        call = {"probs": ce.softmax(z), "sample_weight": w}
    elif kind == "axis 0":
        loss, call["logits"] = ce.CrossEntropy(axis=0), np.ascontiguousarray(z.T)
    results = []
    for threads in (1, 2, 5, 2):
        set_threads(threads)
        results.append((*loss.value_and_grad(y, **call), loss(y, **call)))
    for other in results[1:]:
        assert_same(other, results[0])
    assert results[0][0] == results[0][2]


def test_instruction_sets_agree_within_the_contract() -> None:
    """Bits may differ between them, values by a few ulp only."""
    z, y = hard_batch(10, np.float32)
    results = []
    for isa in ISAS:
        with using_isa(isa):
            results.append(ce.cross_entropy(y, logits=z, reduction="none"))
    for other in results[1:]:
        np.testing.assert_array_max_ulp(other, results[0], maxulp=4)
