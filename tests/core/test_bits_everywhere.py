"""Row bits in every storage and from every kind of prediction: where a row lies, and beside what, changes nothing.

test_bits.py has float32 and float64 logits; here are float16 and bfloat16, probabilities, independent labels, soft
targets, and classes on an inner axis in panels of every width.
"""

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

import crossent as ce
from cases import hard_cases

DTYPES = {
    "float32": np.float32,
    "float64": np.float64,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}
FORMS = ("index", "soft", "smoothed", "probs", "log_probs", "soft log_probs")
LABELS = ("hard", "soft", "probs", "log_probs")


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


def shuffled(K: int, dtype: Any, name: str) -> tuple[Any, Any]:
    """All hard rows with K classes; finite for probabilities."""
    cases = [c for c in hard_cases(K, dtype, infinite="probs" not in name) if len(c.targets)]
    z, y = (np.concatenate([getattr(c, part) for c in cases]) for part in ("logits", "targets"))
    order = np.random.default_rng(K).permutation(len(y))
    return z[order], y[order]


def rows_of(form: str, K: int, dtype: Any) -> Batch:
    """Hard rows as the form wants them."""
    z, y = shuffled(K, dtype, form)
    targets: Any = y
    if "soft" in form:
        q = np.random.default_rng(K).integers(0, 5, z.shape).astype(np.float64)
        q[np.arange(len(y)), y] += 1
        targets = (q / q.sum(axis=1, keepdims=True)).astype(np.float32 if z.dtype.itemsize == 2 else z.dtype)
    loss = ce.CrossEntropy(reduction="none", check="entries", label_smoothing=0.1 if form == "smoothed" else 0.0)
    given = form.split()[-1]
    if "probs" not in given:
        return Batch(loss, targets, "logits", z)
    p = ce.softmax(z.astype(np.float64))
    with np.errstate(divide="ignore"):
        return Batch(loss, targets, given, (p if given == "probs" else np.log(p)).astype(z.dtype))


def labels_of(form: str, dtype: Any, *shape: int) -> Batch:
    """Independent labels, 230 of them or in the given shape."""
    z = shuffled(3, dtype, form)[0].ravel()
    z = np.resize(z, shape or (z.size,))
    y = np.resize([0.0, 1.0, 0.25, 0.9] if form == "soft" else [0.0, 1.0, 1.0], z.shape).astype(np.float32)
    loss = ce.BinaryCrossEntropy(reduction="none", pos_weight=1.5)
    if "probs" not in form:
        return Batch(loss, y, "logits", z)
    p = ce.sigmoid(z.astype(np.float64))
    with np.errstate(divide="ignore"):
        return Batch(loss, y, form, (p if form == "probs" else np.log(p)).astype(z.dtype))


def assert_same_bits(got: Any, want: Any) -> None:
    """The very same, signs of zeros included."""
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype
        unsigned = f"u{a.dtype.itemsize}"
        np.testing.assert_array_equal(np.ascontiguousarray(a).view(unsigned), np.ascontiguousarray(b).view(unsigned))


def assert_bits_of_rows(batch: Batch) -> None:
    """Order, neighbours, sub-batches, single rows, alignment, memory layout, value alone."""
    want = batch.ask()
    order = np.random.default_rng(1).permutation(len(batch.x))
    assert_same_bits(batch.ask(order), [part[order] for part in want])
    for first, end in ((0, 1), (1, 2), (3, 20), (7, 41), (len(order) - 1, len(order))):
        assert_same_bits(batch.ask(slice(first, end)), [part[first:end] for part in want])
    assert_same_bits([batch.values()], want[:1])
    assert_same_bits(batch._replace(x=np.asfortranarray(batch.x)).ask(), want)
    memory = np.empty(batch.x.size + 64, batch.x.dtype)
    for offset in (1, 3, 8):
        moved = memory[offset : offset + batch.x.size].reshape(batch.x.shape)
        moved[...] = batch.x
        assert_same_bits(batch._replace(x=moved).ask(), want)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 3, 10, 17, 40, 300])
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
        assert_same_bits([part.ravel() for part in table.ask()], [part[:n] for part in want])


@pytest.mark.parametrize("form", ["index", "soft", "smoothed", "probs"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 3, 10, 40, 300])
def test_bits_on_an_inner_axis_do_not_depend_on_its_width(K: int, dtype: str, form: str, isa: str) -> None:
    """[outer, K, inner]: the same rows in panels of any width, alone among them or at their end."""
    batch = rows_of(form, K, DTYPES[dtype])
    n = len(batch.x) // 21 * 21
    options = {"label_smoothing": batch.loss.label_smoothing, "check": "entries", "reduction": "none"}

    def ask(inner: int) -> tuple[Any, Any]:
        x = np.ascontiguousarray(np.swapaxes(batch.x[:n].reshape(-1, inner, K), 1, 2))
        y = batch.targets[:n].reshape(-1, inner, *batch.targets.shape[1:])
        y = np.ascontiguousarray(np.swapaxes(y, 1, 2)) if y.ndim == 3 else y
        loss = ce.CrossEntropy(axis=1, **options)
        got = loss.value_and_grad(y, **{batch.given: x})
        assert_same_bits([loss(y, **{batch.given: x})], [got.value])
        return got.value.reshape(n), np.swapaxes(got.grad, 1, 2).reshape(n, K)

    want = ask(n)
    for inner in (3, 7, 21):
        assert_same_bits(ask(inner), want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [3, 40])
def test_in_place_gives_the_same_bits(K: int, dtype: str, isa: str) -> None:
    for batch in (rows_of("index", K, DTYPES[dtype]), labels_of("hard", DTYPES[dtype], 40, K)):
        want = batch.ask()
        z = batch.x.copy()
        got = batch.loss.value_and_grad(batch.targets, logits=z, out=z)
        assert got.grad is z
        assert_same_bits(got, want)


@pytest.mark.parametrize("form", ["index", "soft", "probs", "inner axis", "labels"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_any_number_of_threads_gives_the_same_bits(dtype: str, form: str, set_threads: Any) -> None:
    """float32 and float64 are in test_bits.py."""
    rng = np.random.default_rng(7)
    N, K = 150_000, 5
    z = (rng.normal(size=(N, K)) * 10.0 ** rng.uniform(-2, 1, (N, 1))).astype(DTYPES[dtype])
    y: Any = rng.integers(0, K, N)
    loss: Any = ce.CrossEntropy(class_weight=[1, 2, 0.5, 0, 3], axis=0 if form == "inner axis" else -1)
    call = {"logits": np.ascontiguousarray(z.T) if form == "inner axis" else z}
    if form == "soft":
        y = np.eye(K, dtype=np.float32)[y]
    elif form == "labels":
        loss, y = ce.BinaryCrossEntropy(), rng.integers(0, 2, (N, K))
    elif form == "probs":
        call = {"probs": ce.softmax(z)}
    results = []
    for threads in (1, 2, 5):
        set_threads(threads)
        results.append((*loss.value_and_grad(y, **call), loss(y, **call)))
    for value, grad, alone in results:
        assert value == alone == results[0][0]
        assert_same_bits([grad], [results[0][1]])
