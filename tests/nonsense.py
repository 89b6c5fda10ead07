"""Arguments that somebody may pass: right ones in every dtype and layout, nearly right ones, and nonsense."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

__all__ = ["FLOATS", "NONSENSE", "NUMBERS", "arrays", "buffers", "maybe_wrong", "shapes", "targets", "weights"]

bfloat16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = (*map(np.dtype, ("f2", "f4", "f8", ">f2", ">f4", ">f8")), bfloat16)
INTEGERS = tuple(map(np.dtype, ("i1", "u1", "i2", ">u2", "i4", "u4", "i8", ">i8", "u8")))
STRANGE = tuple(map(np.dtype, ("g", "c8", "?", "O", "U3", "S2", "M8[s]", "m8[s]", "i4,f4", "V4")))
STRANGE += (np.dtype(ml_dtypes.float8_e4m3fn), np.dtype(ml_dtypes.int4))
TEXT = np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else np.dtype("U3")
NUMBERS = (0.0, 1.0, -1.0, 0.5, 1e-45, 1e300, 2.0, float("inf"), float("-inf"), float("nan"), 2**63, -(2**70), 3)

# What no argument means; fresh where it can change.
NONSENSE: tuple[Callable[[], Any], ...] = (
    object, list, dict, set, tuple, str, bytes, lambda: "x", lambda: b"x", lambda: 1j, lambda: True, lambda: [None],
    lambda: {"a": 1}, lambda: {0: 2.0}, lambda: {0: "x"}, lambda: {(0,): [1]}, lambda: iter([1, 2]), lambda: range(3),
    lambda: np.array([1, 2]), lambda: np.array([]), lambda: np.array(None), lambda: np.ma.masked, lambda: [{}],
    lambda: np.ma.array([1.0]), lambda: np.float32(0.5), lambda: np.datetime64("2020-01-01"), lambda: [[1], [2, 3]],
    lambda: np.zeros((2, 0, 3)), lambda: ["cat", "owl"], lambda: ["cat", "cat"], lambda: [0, 1, 2], lambda: int,
    lambda: len, lambda: Ellipsis, lambda: slice(3), lambda: memoryview(b"abc"), lambda: [2**80], lambda: -(2**80),
    lambda: "balanced", lambda: [float("nan")] * 2, lambda: [-1.0, 1.0], lambda: np.str_("mean"),
)  # fmt: skip


def shapes() -> st.SearchStrategy[tuple[int, ...]]:
    """Zero to three axes, some of length 0, the last often of 8 and more."""
    return st.one_of(
        st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
        st.lists(st.integers(0, 4), min_size=0, max_size=3).map(tuple),
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
    )


def _values(rng: Any, shape: tuple[int, ...], style: str, top: int) -> Any:
    """Float64 numbers of one style; `top` is the number of classes."""
    if style == "labels":
        return rng.integers(0, max(1, top), shape).astype(np.float64)
    if style == "wild labels":
        return rng.integers(-2, top + 2, shape).astype(np.float64)
    if style == "shares":
        x = rng.random(shape)
        return x / x.sum(axis=-1, keepdims=True) if shape and shape[-1] else x
    if style == "unit":
        return rng.random(shape)
    if style == "hard":
        return rng.choice([0.0, 1.0], shape)
    if style == "below":
        return -rng.exponential(2.0, shape)
    if style == "special":
        return rng.choice([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1e38, -1e300, 1e-45, 5e-324, -700.0], shape)
    return rng.normal(size=shape) * float(rng.choice([1.0, 1e-3, 30.0, 1e4]))


STYLES = ("normal", "normal", "shares", "unit", "hard", "below", "labels", "wild labels", "special")


def _cast(x: Any, dtype: np.dtype[Any]) -> Any:
    """The numbers in the dtype as far as it has them."""
    with np.errstate(all="ignore"):
        if dtype.kind in "iu":
            return np.nan_to_num(x, posinf=99, neginf=-9).clip(-9, 99).astype(np.int64).astype(dtype)
        if dtype.kind in "Mm":
            return np.nan_to_num(x).clip(-9, 99).astype(np.int64).astype(dtype)
        if dtype.names or (dtype.kind == "V" and dtype.name.startswith("void")):
            return np.zeros(x.shape, dtype)
        return np.asarray(x.astype(dtype))


def _misaligned(x: Any) -> Any:
    memory = np.zeros(x.nbytes + 1, np.uint8)
    y = memory[1:].view(x.dtype).reshape(x.shape) if x.dtype.kind not in "OT" and x.dtype.itemsize else x.copy()
    y[...] = x
    return y


def _locked(x: Any) -> Any:
    x = x.copy()
    x.flags.writeable = False
    return x


def _zero_stride(x: Any) -> Any:
    return np.broadcast_to(x[:1], x.shape) if x.ndim and x.shape[0] else x


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda x: x,
    "Fortran": np.asfortranarray,
    "backwards": lambda x: np.flip(np.flip(x).copy()) if x.ndim else x,
    "every other": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "all alike": _zero_stride,
    "read-only": _locked,
    "misaligned": _misaligned,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
}
CARRIERS: dict[str, Callable[[Any], Any]] = {
    "list": lambda x: x.tolist(),
    "masked": lambda x: np.ma.array(x, mask=False),
    "subclass": lambda x: x.view(np.recarray),
    "tuple": lambda x: tuple(x) if x.ndim else x,
    "scalar": lambda x: x.flat[0] if x.size else x,
}


@st.composite
def arrays(
    draw: Any, shape: tuple[int, ...], styles: tuple[str, ...] = STYLES, dtypes: Any = FLOATS, top: int = 3
) -> Any:
    """An array of the shape in any layout; seldom a list, a subclass or a dtype that nobody computes with."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = np.asarray(_values(rng, shape, draw(st.sampled_from(styles)), top))
    x = np.asarray(_cast(x, draw(st.sampled_from(STRANGE if draw(st.integers(0, 29)) == 0 else dtypes))))
    x = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](x)
    return CARRIERS[draw(st.sampled_from(sorted(CARRIERS)))](x) if draw(st.integers(0, 11)) == 0 else x


def maybe_wrong(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Now and then a number out of range, or nonsense."""
    wrong = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(NONSENSE).map(lambda make: make()))
    return st.integers(0, 24).flatmap(lambda n: wrong if n == 0 else right)


def targets(shape: tuple[int, ...], axis: int, *, binary: bool = False) -> st.SearchStrategy[Any]:
    """Indices, distributions, names; sometimes of a neighbouring shape."""
    K = shape[axis] if shape and -len(shape) <= axis < len(shape) else 1
    number = axis % len(shape) if shape else 0
    rows = shape[:number] + shape[number + 1 :]
    soft = arrays(shape, ("shares", "shares", "hard", "unit", "special"), (*FLOATS, np.dtype("?"), np.dtype("i4")))
    if binary:
        return soft
    index = arrays(rows, ("labels", "labels", "wild labels", "special"), (*INTEGERS, *INTEGERS, *FLOATS), K)
    names = arrays(rows, ("labels",), (np.dtype("U3"), np.dtype("O"), TEXT), K)
    column = arrays((*rows, 1), ("labels",), INTEGERS, K)
    return st.one_of(index, index, soft, names, column)


def weights(shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    """None or weights of the shape, some 0, some bad."""
    styles = ("unit", "hard", "unit", "special", "normal")
    return st.one_of(st.none(), st.none(), arrays(shape, styles, (*FLOATS, np.dtype("i4"), np.dtype("?"))))


@st.composite
def buffers(draw: Any, like: Any) -> Any:
    """out=: nothing, the prediction itself, memory that overlaps it, or a new array that fits more or less."""
    if not isinstance(like, np.ndarray) or like.dtype.kind in "OT":
        return draw(st.sampled_from([None, np.zeros(3)]))
    kind = draw(st.sampled_from(["none", "itself", "new", "shifted", "dtype", "shape", "layout", "float32", "list"]))
    if kind == "none":
        return None
    if kind == "itself":
        return like
    if kind == "shifted":
        return like[::-1] if like.ndim else like[...]
    if kind == "list":
        return [0.0]
    x = np.zeros(like.shape, like.dtype.newbyteorder("="))
    if kind == "dtype":
        x = np.zeros(like.shape, draw(st.sampled_from([*FLOATS, np.dtype("i4"), np.dtype("O"), np.dtype("c8")])))
    elif kind == "shape":
        x = np.zeros(draw(shapes()), x.dtype)
    elif kind == "float32":
        x = np.zeros(like.shape, np.float32)
    elif kind == "layout":
        x = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](x)
    return x
