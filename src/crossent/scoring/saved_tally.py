"""SavedTally: the bytes of a tally, one mechanism for all kinds of them."""

from typing import Any, ClassVar, TypeVar

from crossent.scoring.saved import pack, unpack

__all__ = ["SavedTally"]

_T = TypeVar("_T", bound="SavedTally")


class SavedTally:
    """A tally whose whole state is a dataclass that `pack` takes; what the class of the state checks, loading refuses.

    Attributes:
        _schema: what the bytes begin with.
        _state_type: the dataclass.
        _state: the state.
    """

    _schema: ClassVar[str]
    _state_type: ClassVar[type]
    _state: Any

    def to_bytes(self) -> bytes:
        """The whole state as bytes, versioned; equal rows give equal bytes, whatever the split.

        >>> from crossent.scoring import Tally
        >>> tally = Tally(["cat", "dog"])
        >>> tally.update([0, 1], [[0.8, 0.2], [0.3, 0.7]])
        >>> (Tally.from_bytes(tally.to_bytes()) + tally).n
        4
        """
        return pack(self._state, self._schema)

    @classmethod
    def from_bytes(cls: type[_T], data: bytes) -> _T:
        """The tally whose `to_bytes` gave these bytes, which may come from a stranger.

        Raises: DataError for anything else, and for what a newer crossent saved.
        """
        tally = cls.__new__(cls)
        tally._state = unpack(data, cls._state_type, cls._schema)
        return tally
