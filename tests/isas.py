"""The instruction sets that this build and machine have, and running a piece of a test on one of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from crossent import _native  # type: ignore[attr-defined]  # built, not written

__all__ = ["ISAS", "using_isa"]

ISAS: tuple[str, ...] = tuple(_native.available_isas())


@contextmanager
def using_isa(name: str) -> Iterator[None]:
    """Selects an instruction set and puts the former one back."""
    before = _native.current_isa()
    assert _native.select_isa(name)
    try:
        yield
    finally:
        assert _native.select_isa(before)
