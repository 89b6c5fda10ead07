"""What is saved of a LanguageTally: its options and the sums of all its tokens."""

import math
from dataclasses import dataclass

import numpy as np

from crossent.errors import OptionError
from crossent.scoring.language_sums import LanguageSums
from crossent.stats.clusters import MOST_KEYS, ClusterSums
from crossent.stats.identity import key_identity

__all__ = ["LanguageState", "SavedSums"]


@dataclass(frozen=True, eq=False)
class SavedSums:
    """A LanguageSums as fields; documents stand by name, in the order of their identities, which names tell."""

    tokens: int
    finite: ClusterSums
    bytes: ClusterSums | None
    words: ClusterSums | None
    infinite: ClusterSums
    names: tuple[str, ...] | None
    uneven: tuple[str, ...]

    @classmethod
    def of(cls, sums: LanguageSums) -> "SavedSums":
        """The same sums."""
        names = None if sums.names is None else tuple(sums.names[each] for each in sorted(sums.names))
        counts = sums.sums
        sizes, uneven = (counts.get("bytes"), counts.get("words")), tuple(sorted(sums.uneven))
        return cls(sums.tokens, counts["tokens"], *sizes, sums.infinite, names, uneven)

    def sums(self) -> LanguageSums:
        """The same sums."""
        given = {"tokens": self.finite, "bytes": self.bytes, "words": self.words}
        names = None
        if self.names is not None:
            names = dict(zip(key_identity(self.names).tolist(), self.names, strict=True))
        counts = {name: sums for name, sums in given.items() if sums is not None}
        return LanguageSums(self.tokens, counts, self.infinite, names, frozenset(self.uneven))

    def check(self) -> None:
        """Raises ValueError unless all sums are of the same tokens and of the documents that are named."""
        tokens = sum(part.b.total().fractions()[0] for part in (self.finite, self.infinite))
        if tokens != self.tokens or not self.tokens:
            raise ValueError(f"its sums are of {float(tokens):g} tokens, and {self.tokens} are told")
        given = {name for name in ("bytes", "words") if getattr(self, name) is not None}
        if self.uneven != tuple(sorted(given.intersection(self.uneven))):
            raise ValueError(f"it tells of {', '.join(self.uneven)!s:.60}, which it does not count")
        if self.names is None:
            return
        identities = key_identity(self.names) if self.names else np.zeros(0, np.uint64)
        if len(identities) > MOST_KEYS or np.any(identities[1:] <= identities[:-1]):
            raise ValueError(f"its {len(identities)} documents are too many, or not in order")
        parts = [part for part in (self.finite, self.bytes, self.words, self.infinite) if part is not None]
        if any(part.folded or not np.isin(part.keys, identities).all() for part in parts):
            raise ValueError("its sums are of documents that are not named")


@dataclass(frozen=True, eq=False)
class LanguageState:
    """Options and sums; None for no tokens.

    Raises: OptionError for other options.
    """

    worst: int
    log_base: float | None
    sums: SavedSums | None

    def __post_init__(self) -> None:
        if self.worst < 0:
            raise OptionError(f"worst is {self.worst}; it is a number of documents, 0 or more")
        if self.log_base is not None and not 1.0 < self.log_base < math.inf:
            raise OptionError(
                f"log_base is {self.log_base}; None (natural), 2 and 10 are usual, and it must be above 1"
            )
