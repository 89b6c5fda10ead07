"""Saved tallies: bytes that hold a tally whole, to be merged later or elsewhere, safe to load from strangers.

    "crossent.tally/1\\n", sizes of tree and arrays (two uint64), zlib of (tree, arrays)

The tree is JSON and follows the dataclasses that a tally is made of, field by field; an array stands in it as its
shape, and its numbers follow in the order of the tree, little-endian. What a field holds is told by its annotation, so
that a new part of a tally needs nothing here, and nothing in a file names a type. Equal tallies have equal bytes.

Loading refuses, in this order: other bytes, another version, more than 1 GiB, a tree that is not that of the
dataclasses, whole numbers outside 0..2^53 and NaN, whatever a class's own `check` refuses, and shapes other than those
of a tally of the same options that has seen one row.
"""

import json
import math
import struct
import types
import zlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from crossent.errors import CrossentError, DataError
from crossent.stats import ExactSum

__all__ = ["pack", "unpack"]

_SIZES = struct.Struct("<QQ")
_LARGEST = 1 << 30
_MOST = 1 << 53
_NON_FINITE = {"inf": math.inf, "-inf": -math.inf}


def pack(state: Any, schema: str) -> bytes:
    """A dataclass of numbers, text, tuples, arrays and such dataclasses as bytes that begin with the schema."""
    arrays: list[bytes] = []
    tree = json.dumps(_node(state, type(state), arrays), separators=(",", ":")).encode()
    body = b"".join(arrays)
    if len(tree) + len(body) > _LARGEST:
        raise DataError(
            f"the state takes {len(tree) + len(body)} bytes; at most {_LARGEST} can be saved. Track fewer classes."
        )
    return schema.encode() + b"\n" + _SIZES.pack(len(tree), len(body)) + zlib.compress(tree + body, 1)


def unpack(data: bytes, cls: Any, schema: str) -> Any:
    """The dataclass `cls` from the bytes of `pack`.

    Raises: DataError for anything else.
    """
    try:
        given = bytes(memoryview(data))
    except TypeError:
        raise _damaged(schema, f"it is {type(data).__name__} and not bytes") from None
    tree, body = _unzipped(given, schema)
    try:
        reader = _Reader(body)
        state = reader.value(json.loads(tree), cls, "")
        reader.close()
    except (CrossentError, ValueError, RecursionError) as error:
        raise _damaged(schema, str(error) or type(error).__name__) from None
    return state


def _damaged(schema: str, found: str) -> DataError:
    what = schema.partition("/")[0].rpartition(".")[2]
    return DataError(
        f"this is not a whole saved {what}: {found}. Save it again with to_bytes(); copy files in binary mode."
    )


def _unzipped(data: bytes, schema: str) -> tuple[bytes, bytes]:
    """Tree and arrays of saved bytes; never unpacks more than they announce."""
    name = schema.partition("/")[0].encode()
    first, newline, _ = data[:100].partition(b"\n")
    if not first.startswith(name + b"/") or not newline:
        raise _damaged(schema, f"{len(data)} bytes that begin with {data[:16]!r}, not with {schema!r}")
    if first != schema.encode():
        raise DataError(
            f"this was saved as {first.decode('ascii', 'replace')!r}, and this crossent reads {schema!r}: load it with "
            "the crossent that saved it, or a newer one (pip install -U crossent)."
        )
    start = len(first) + 1 + _SIZES.size
    if len(data) < start:
        raise _damaged(schema, f"it ends after {len(data)} bytes")
    sizes = _SIZES.unpack_from(data, len(first) + 1)
    size = sum(sizes)
    if size > _LARGEST:
        raise _damaged(schema, f"it announces {size} bytes, and {_LARGEST} are allowed")
    unzip = zlib.decompressobj()
    try:
        text = unzip.decompress(data[start:], size + 1)
    except zlib.error as error:
        raise _damaged(schema, f"its {len(data)} bytes are damaged ({error})") from None
    if not unzip.eof or unzip.unused_data or len(text) != size:
        raise _damaged(schema, f"its {len(data)} bytes hold {len(text)} of {size}: truncated, or something was added")
    return text[: sizes[0]], text[sizes[0] :]


def _dtype(hint: Any) -> np.dtype[Any]:
    """The little-endian dtype that an annotation NDArray[...] names."""
    dtype: np.dtype[Any] = np.dtype(get_args(get_args(hint)[1])[0])
    return dtype.newbyteorder("<")


def _choices(hint: Any) -> tuple[Any, ...] | None:
    """The members of an optional or other union."""
    return get_args(hint) if get_origin(hint) in (types.UnionType, Union) else None


def _members(hint: Any, count: int) -> tuple[Any, ...]:
    """The annotation of each member of a tuple."""
    inner = get_args(hint)
    return inner[:1] * count if inner[1:] == (Ellipsis,) else inner


def _node(value: Any, hint: Any, arrays: list[bytes]) -> Any:
    """A value as JSON; the bytes of its arrays are appended."""
    choices = _choices(hint)
    if choices is not None:
        return None if value is None else _node(value, next(c for c in choices if c is not types.NoneType), arrays)
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return {f.name: _node(getattr(value, f.name), hints[f.name], arrays) for f in fields(hint)}
    if get_origin(hint) is tuple:
        return [_node(v, h, arrays) for v, h in zip(value, _members(hint, len(value)), strict=True)]
    if get_origin(hint) is np.ndarray:
        arrays.append(np.ascontiguousarray(value, _dtype(hint)).tobytes())
        return list(np.shape(value))
    if hint is float:
        return float(value) if math.isfinite(value) else str(float(value))
    return value


class _Reader:
    """Values from JSON by their annotations, with the numbers of arrays taken from `body` in order."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def close(self) -> None:
        """All of the body must have been read."""
        if self._at != len(self._body):
            raise ValueError(f"{len(self._body) - self._at} bytes of numbers are left over")

    def value(self, node: Any, hint: Any, path: str) -> Any:
        """The value of a node; `path` says where it is."""
        choices = _choices(hint)
        if choices is not None:
            hint = next(c for c in choices if c is not types.NoneType)
            return None if node is None else self.value(node, hint, path)
        if is_dataclass(hint):
            return self._dataclass(node, hint, path)
        origin = get_origin(hint)
        if origin is tuple:
            members = _members(hint, len(_of(node, list, path)))
            if len(members) != len(node):
                raise ValueError(f"{path} has {len(node)} members and should have {len(members)}")
            return tuple(self.value(n, h, f"{path}[{i}]") for i, (n, h) in enumerate(zip(node, members, strict=True)))
        if origin is np.ndarray:
            return self._array(node, _dtype(hint), path)
        if origin is Literal:
            if node not in get_args(hint):
                raise ValueError(f"{path} is {node!r:.60}, not one of {get_args(hint)}")
            return node
        return _PLAIN[hint](node, path)

    def _dataclass(self, node: Any, cls: Any, path: str) -> Any:
        hints, names = get_type_hints(cls), [f.name for f in fields(cls)]
        if list(_of(node, dict, path)) != names:
            raise ValueError(
                f"{path or 'it'} has the fields {', '.join(node)!s:.200} and should have {', '.join(names)}"
            )
        found = cls(**{name: self.value(node[name], hints[name], f"{path}.{name}".lstrip(".")) for name in names})
        if cls is not ExactSum and any(not 0 <= a.min() <= a.max() <= _MOST for a in _counts(found)):
            raise ValueError(f"{path} has counts outside 0..2^53")
        if hasattr(cls, "check"):
            found.check()
        return found

    def _array(self, node: Any, dtype: np.dtype[Any], path: str) -> Any:
        shape = [_whole(n, path) for n in _of(node, list, path)]
        size = math.prod(shape) * dtype.itemsize
        if len(shape) > 8 or size > len(self._body) - self._at:
            raise ValueError(f"{path} of shape {shape!s:.60} is larger than what follows")
        flat = np.frombuffer(self._body, dtype, math.prod(shape), self._at)
        self._at += size
        if dtype.kind == "b" and np.any(flat.view(np.uint8) > 1):
            raise ValueError(f"{path} holds other than true and false")
        if dtype.kind == "f" and np.isnan(flat).any():
            raise ValueError(f"{path} holds NaN")
        return flat.reshape(shape).astype(dtype.newbyteorder("="))


def _counts(found: Any) -> list[Any]:
    """The arrays of whole numbers that are fields of a dataclass, without empty ones."""
    values = (getattr(found, f.name) for f in fields(found))
    return [v for v in values if isinstance(v, np.ndarray) and v.dtype == np.int64 and v.size]


def _of(node: Any, cls: type, path: str) -> Any:
    if type(node) is not cls:
        raise ValueError(f"{path or 'it'} is {node!r:.60}, not of type {cls.__name__}")
    return node


def _whole(node: Any, path: str) -> int:
    number: int = _of(node, int, path)
    if not 0 <= number <= _MOST:
        raise ValueError(f"{path} is {number!s:.60}, outside 0..2^53")
    return number


def _real(node: Any, path: str) -> float:
    if isinstance(node, str) and node in _NON_FINITE:
        return _NON_FINITE[node]
    number = node if isinstance(node, float) else float(_whole(node, path))
    if not math.isfinite(number):
        raise ValueError(f"{path} is {number}")
    return number


_PLAIN: dict[Any, Callable[[Any, str], Any]] = {
    int: _whole,
    float: _real,
    str: lambda node, path: _of(node, str, path),
    bool: lambda node, path: _of(node, bool, path),
}
