"""The floating-point control register: whatever the caller set, the same bits come out, and it is left as it was."""

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import crossent as ce
from cases import hard_cases

pytestmark = pytest.mark.skipif(
    not (sys.platform == "linux" and platform.machine() == "x86_64"), reason="reads MXCSR through glibc's fenv_t"
)
_FLUSH_TO_ZERO, _DENORMALS_ARE_ZERO, _UPWARD = 0x8000, 0x0040, 0x4000


def _environment() -> Any:
    env = (ctypes.c_uint32 * 8)()
    assert ctypes.CDLL("libm.so.6").fegetenv(env) == 0
    return env


def control() -> int:
    """MXCSR without its sticky flags."""
    return int(_environment()[7]) & ~0x3F


@contextmanager
def control_with(bits: int) -> Iterator[int]:
    """Sets bits of MXCSR in this thread."""
    before, env = _environment(), _environment()
    env[7] |= bits
    assert ctypes.CDLL("libm.so.6").fesetenv(env) == 0
    try:
        yield control()
    finally:
        ctypes.CDLL("libm.so.6").fesetenv(before)


@pytest.mark.parametrize("bits", [_FLUSH_TO_ZERO | _DENORMALS_ARE_ZERO, _UPWARD], ids=["flush to zero", "round up"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [3, 40])
def test_the_callers_setting_changes_no_bit_and_is_put_back(K: int, dtype: Any, bits: int, isa: str) -> None:
    """Subnormal losses and gradients survive a library that flushes them."""
    case = next(c for c in hard_cases(K, dtype) if c.name == "confident")
    z = -np.linspace(*((80, 103) if dtype == np.float32 else (700, 744)), 50).astype(dtype)
    losses = (
        (ce.CrossEntropy(reduction="none"), case.targets, case.logits),
        (ce.BinaryCrossEntropy(reduction="none"), np.zeros(50), z),
    )
    for loss, targets, z in losses:
        want = loss.value_and_grad(targets, logits=z)
        assert ((want.grad != 0) & (np.abs(want.grad) < np.finfo(dtype).tiny)).any(), "nothing subnormal"
        with control_with(bits) as inside:
            got = loss.value_and_grad(targets, logits=z)
            after = control()
        assert after == inside
        assert inside & bits == bits
        np.testing.assert_array_equal(got.value.view(f"u{dtype().itemsize}"), want.value.view(f"u{dtype().itemsize}"))
        np.testing.assert_array_equal(got.grad.view(f"u{dtype().itemsize}"), want.grad.view(f"u{dtype().itemsize}"))


@pytest.mark.parametrize("bits", [_FLUSH_TO_ZERO | _DENORMALS_ARE_ZERO, _UPWARD], ids=["flush to zero", "round up"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("form", ["soft", "smoothed", "inner axis", "long", "labels", "soft labels", "activations"])
def test_no_form_of_input_notices_the_callers_setting(form: str, dtype: str, bits: int, isa: str) -> None:
    """Every storage: conversions to and from 16 bits round too."""
    kind = {"bfloat16": ml_dtypes.bfloat16}.get(dtype, dtype)
    K = 300 if form == "long" else 10
    case = next(c for c in hard_cases(K, kind) if c.name == "confident")
    z, y = case.logits, case.targets
    loss: Any = ce.CrossEntropy(reduction="none", label_smoothing=0.1 if form == "smoothed" else 0.0)
    if form == "soft":
        y = np.eye(K)[y].astype(np.float64 if dtype == "float64" else np.float32)
    elif form == "inner axis":
        loss, z = ce.CrossEntropy(reduction="none", axis=0), np.ascontiguousarray(z.T)
    elif "labels" in form:
        loss = ce.BinaryCrossEntropy(reduction="none")
        y = np.resize([0.0, 1.0, 0.25] if form == "soft labels" else [0.0, 1.0], z.shape).astype(np.float32)

    def ask() -> list[Any]:
        if form == "activations":
            return [f(z) for f in (ce.softmax, ce.log_softmax, ce.logsumexp, ce.sigmoid)]
        return [*loss.value_and_grad(y, logits=z), loss(y, logits=z)]

    want = ask()
    with control_with(bits) as inside:
        got = ask()
        after = control()
    assert after == inside
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a.view(f"u{a.dtype.itemsize}"), b.view(f"u{b.dtype.itemsize}"))
