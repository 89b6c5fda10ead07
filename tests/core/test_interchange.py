"""Arrays of no particular library: whatever way they offer, the NumPy functions read them, or say why not."""

import ctypes
import re
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import crossent as ce
from cases import CARRIERS
from crossent.core import interchange

RNG = np.random.default_rng(3)
Z = RNG.normal(size=(6, 5)).astype(np.float32)
Y = RNG.integers(0, 5, 6)
Q = RNG.dirichlet(np.ones(5), 6)
W = RNG.uniform(1, 2, 6)


class Plain:
    """Something that keeps an array to itself."""

    def __init__(self, array: Any) -> None:
        self.array = array


class OnlyDLPack(Plain):
    device = (1, 0)

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


class OldDLPack(OnlyDLPack):
    """As before version 1.0: no word about what may be written."""

    def __dlpack__(self, stream: Any = None) -> Any:
        return self.array.__dlpack__()


class OnlyInterface(Plain):
    @property
    def __array_interface__(self) -> Any:
        return self.array.__array_interface__


class OnlyArray(Plain):
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array if dtype is None else self.array.astype(dtype)


class Tensor(OnlyDLPack):
    """As PyTorch's: NumPy's way fails for some, gradients may be recorded."""

    requires_grad = False

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        raise TypeError("Got unsupported ScalarType")


class BFloat16(Tensor):
    """DLPack says bfloat16, of which NumPy knows nothing."""

    def __dlpack__(self, **options: Any) -> Any:
        if options:
            raise TypeError("no options")
        capsule = self.array.view(np.uint16).__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        ctypes.c_uint8.from_address(pointer(capsule, b"dltensor") + 20).value = 4
        return capsule


CLOTHES: dict[str, Callable[[Any], Any]] = {
    "DLPack": OnlyDLPack,
    "old DLPack": OldDLPack,
    "array interface": OnlyInterface,
    "__array__": OnlyArray,
    "buffer": memoryview,
    "tensor": Tensor,
}


@pytest.mark.parametrize("clothes", CLOTHES)
def test_every_argument_takes_them(clothes: str) -> None:
    """Logits, targets, weights, class weights, measures: the same bits as from NumPy."""
    of = CLOTHES[clothes]
    loss = ce.CrossEntropy(class_weight=np.arange(5) + 1.0)
    theirs = loss.value_and_grad(of(Y), logits=of(Z), sample_weight=of(W))
    ours = loss.value_and_grad(Y, logits=Z, sample_weight=W)
    assert theirs.value == ours.value
    assert np.array_equal(theirs.grad, ours.grad)
    assert ce.cross_entropy(of(Q), logits=of(Z)) == ce.cross_entropy(Q, logits=Z)
    assert ce.cross_entropy(Y, probs=of(Q)) == ce.cross_entropy(Y, probs=Q)
    weighted = ce.CrossEntropy(class_weight=of(np.arange(5) + 1.0))
    assert weighted(Y, logits=Z) == loss(Y, logits=Z)
    binary = ce.BinaryCrossEntropy(pos_weight=of(np.arange(5) + 1.0))
    plain = ce.BinaryCrossEntropy(pos_weight=np.arange(5) + 1.0)
    assert binary(of(Q), logits=of(Z), sample_weight=of(W)) == plain(Q, logits=Z, sample_weight=W)
    assert ce.entropy(of(Q)).tolist() == ce.entropy(Q).tolist()
    assert ce.softmax(of(Z)).tolist() == ce.softmax(Z).tolist()
    h, V = RNG.normal(size=(6, 3)), RNG.normal(size=(5, 3))
    assert ce.linear_cross_entropy(of(Y), hidden=of(h), weight=of(V)) == ce.linear_cross_entropy(Y, hidden=h, weight=V)


LAYOUTS = ["strided", "reversed", "Fortran order", "unaligned"]
MORE = ["read-only", "big-endian"]  # the former is past the old DLPack, the latter past any


@pytest.mark.parametrize(
    ("clothes", "carrier"),
    [(clothes, carrier) for clothes in ("DLPack", "old DLPack") for carrier in LAYOUTS]
    + [(clothes, carrier) for clothes in ("array interface", "__array__") for carrier in LAYOUTS + MORE],
)
def test_memory_of_every_layout(clothes: str, carrier: str, tmp_path: Any) -> None:
    array = CARRIERS[carrier](Z, tmp_path)
    assert ce.cross_entropy(Y, logits=CLOTHES[clothes](array)) == ce.cross_entropy(Y, logits=array)


@pytest.mark.parametrize("clothes", [name for name in CLOTHES if name != "buffer"])
def test_nothing_is_copied(clothes: str) -> None:
    assert np.shares_memory(interchange.as_array(CLOTHES[clothes](Z), "logits"), Z)


@pytest.mark.parametrize("of", [OnlyDLPack, OnlyInterface])
def test_out_writes_to_their_memory(of: Any) -> None:
    buffer = np.empty_like(Z)
    got = ce.CrossEntropy().value_and_grad(Y, logits=Z, out=of(buffer))
    exact = ce.CrossEntropy().value_and_grad(Y, logits=Z).grad
    assert np.array_equal(buffer, exact)
    assert np.shares_memory(got.grad, buffer)
    both = Z.copy()
    ce.CrossEntropy().value_and_grad(Y, logits=of(both), out=of(both))
    assert np.array_equal(both, exact)


def read_only() -> Any:
    array = np.zeros_like(Z)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OnlyInterface(read_only()), "out is read-only"),
        (lambda: OldDLPack(np.zeros_like(Z)), "out is read-only"),
        (
            lambda: OnlyArray(np.zeros_like(Z)),
            "out is OnlyArray; a writable NumPy array, or one of another library",
        ),
        (lambda: OnlyDLPack(np.zeros((6, 4), np.float32)), r"out has shape \(6, 4\)"),
    ],
)
def test_out_that_cannot_be_written(make: Any, message: str) -> None:
    with pytest.raises(ce.ShapeError, match=message):
        ce.CrossEntropy().value_and_grad(Y, logits=Z, out=make())


@pytest.mark.parametrize(
    ("device", "words"), [((2, 1), "CUDA device 1"), ((10, 0), "ROCm device 0"), ((99, 3), "type 99")]
)
@pytest.mark.parametrize("of", [OnlyDLPack, Tensor])
def test_other_devices_are_named_with_the_way_out(of: Any, device: tuple[int, int], words: str) -> None:
    array = of(Z)
    array.device = device
    message = rf"logits lies on .*{re.escape(words)}.*Copy it there first: logits\.cpu\(\)"
    with pytest.raises(ce.UnsupportedError, match=message):
        ce.cross_entropy(Y, logits=array)
    with pytest.raises(ce.UnsupportedError, match=r"out lies on"):
        ce.CrossEntropy().value_and_grad(Y, logits=Z, out=array)


def test_pinned_memory_is_memory() -> None:
    assert ce.cross_entropy(Y, logits=Pinned(Z)) == ce.cross_entropy(Y, logits=Z)


class Pinned(OnlyArray):
    """Host memory that a CUDA device sees too."""

    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError("not asked")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 3, 0


@pytest.mark.parametrize("call", [
    lambda x: ce.cross_entropy(Y, logits=x),
    lambda x: ce.CrossEntropy().value_and_grad(Y, logits=Z, out=x),
])  # fmt: skip
def test_recorded_gradients_are_not_dropped(call: Any) -> None:
    tensor = Tensor(Z.copy())
    tensor.requires_grad = True
    with pytest.raises(ce.UnsupportedError, match=r"records gradients .*Pass (logits|out)\.detach\(\)"):
        call(tensor)


def test_bfloat16_without_a_numpy_type() -> None:
    half = Z.astype(ml_dtypes.bfloat16)
    got = interchange.as_array(BFloat16(half), "logits")
    assert got.dtype == ml_dtypes.bfloat16
    assert np.shares_memory(got, half)
    assert ce.cross_entropy(Y, logits=BFloat16(half)) == ce.cross_entropy(Y, logits=half)


def test_bfloat16_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    with pytest.raises(ce.DtypeError, match=r"logits is bfloat16, which NumPy lacks: .*pip install ml_dtypes"):
        ce.cross_entropy(Y, logits=BFloat16(Z.astype(ml_dtypes.bfloat16)))


def test_what_gives_no_array() -> None:
    class Broken(Tensor):
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("sparse\nand more")

    class Refusing(Plain):
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise TypeError("traced")

    for value, reason in ((Broken(Z), "sparse"), (Refusing(Z), "traced")):
        with pytest.raises(ce.UnsupportedError, match=rf"logits is a {type(value).__name__}, .*\({reason}\)"):
            ce.cross_entropy(Y, logits=value)


def test_options_own_what_they_are_given() -> None:
    weight = np.arange(5) + 1.0
    loss = ce.CrossEntropy(class_weight=OnlyDLPack(weight))
    before = loss(Y, logits=Z)
    weight[:] = 1
    assert loss(Y, logits=Z) == before
    assert loss == ce.CrossEntropy(class_weight=np.arange(5) + 1.0)
