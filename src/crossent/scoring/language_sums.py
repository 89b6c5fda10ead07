"""The sums behind a LanguageScore, which add up, and the statistics that they give."""

import heapq
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from crossent.core.accumulate import ExactSum
from crossent.errors import UnsupportedError
from crossent.scoring.language_score import DocumentScore, LanguageScore, TokenInfinities
from crossent.scoring.tokens import TokenBlock
from crossent.stats import Estimate
from crossent.stats.clusters import MOST_KEYS, ClusterSums
from crossent.stats.identity import Identity
from crossent.wording import counted, having

__all__ = ["LanguageSums", "summarise_language"]


@dataclass(frozen=True, eq=False)
class LanguageSums:
    """What a tally knows, as things that add up.

    Attributes:
        tokens: tokens that count, those with p = 0 included.
        sums: finite -log p per document against "tokens", and against "bytes" and "words" if given.
        infinite: tokens with p = 0 per document (as b; a is 0).
        names: name of every document by its identity; None for more than MOST_KEYS.
        uneven: those of "bytes" and "words" that came one a row although a row begins with tokens that do not count.
    """

    tokens: int
    sums: dict[str, ClusterSums]
    infinite: ClusterSums
    names: dict[int, str] | None
    uneven: frozenset[str]

    @classmethod
    def of(cls, block: TokenBlock) -> "LanguageSums":
        """The parts of one block."""
        finite = np.isfinite(block.losses)
        losses, documents = block.losses[finite], block.documents[finite]
        sums = {"tokens": ClusterSums.of(documents, losses, np.ones(len(losses)))}
        for name, column in block.counts.items():
            sums[name] = ClusterSums.of(
                np.concatenate([documents, column.documents]),
                np.concatenate([losses, np.zeros(len(column.counts))]),
                np.concatenate([np.zeros(len(losses)), column.counts]),
            )
        impossible = block.documents[~finite]
        infinite = ClusterSums.of(impossible, np.zeros(len(impossible)), np.ones(len(impossible)))
        return cls(len(finite), sums, infinite, _few(block.names), block.uneven)

    @property
    def size(self) -> int:
        """How many documents the sums hold, which is what adding costs."""
        return self.sums["tokens"].clusters + self.infinite.clusters

    def require_same(self, other: "LanguageSums") -> None:
        """Refuses to add what counts other things.

        Raises: UnsupportedError.
        """
        if self.sums.keys() != other.sums.keys():
            found = " and ".join(", ".join(sorted(part.sums)) for part in (self, other))
            raise UnsupportedError(
                f"these blocks do not add up: they count {found}. Give bytes (and words) with every block or with none."
            )

    def __add__(self, other: "LanguageSums") -> "LanguageSums":
        self.require_same(other)
        names = None
        if self.names is not None and other.names is not None:
            names = _few({**self.names, **other.names})
        sums = {name: mine + other.sums[name] for name, mine in self.sums.items()}
        infinite, uneven = self.infinite + other.infinite, self.uneven | other.uneven
        return LanguageSums(self.tokens + other.tokens, sums, infinite, names, uneven)

    def count(self, name: str) -> int | None:
        """The sum of bytes or words, None if they were not given."""
        return int(self.sums[name].b.total().fractions()[0]) if name in self.sums else None


def _few(names: dict[int, str]) -> dict[int, str] | None:
    return names if len(names) <= MOST_KEYS else None


def summarise_language(parts: LanguageSums, worst: int, confidence: float) -> LanguageScore:
    """The statistics of all tokens; `worst` documents are listed."""
    finite = {
        name: sums.estimate(confidence=confidence, floor=0.0, unit="document") for name, sums in parts.sums.items()
    }
    infinite = int(parts.infinite.b.total().fractions()[0])
    found = {name: _with_infinities(estimate, infinite) for name, estimate in finite.items()}
    note = None
    if infinite:
        note = (
            f"{having(infinite, 'token')} p = 0, so the loss is inf: find out why (a vocabulary that was cut, "
            "logits masked to -inf, float16), or leave them out by mask= and say so"
        )
    notes: tuple[str, ...] = tuple(
        f"{what} came one number (or text) a row, and tokens before others of the row are left out: the loss per "
        f"{what[:-1]} is right if these are the {what} of the tokens that count; {what} a token make sure of it"
        for what in sorted(parts.uneven)
    )
    if parts.names is None:
        notes += (f"more than {MOST_KEYS:,} documents: intervals are over 65,536 groups of whole documents",)
    return LanguageScore(
        documents=None if parts.names is None else len(parts.names),
        tokens=parts.tokens,
        bytes=parts.count("bytes"),
        words=parts.count("words"),
        loss=found["tokens"],
        loss_per_byte=found.get("bytes"),
        loss_per_word=found.get("words"),
        infinities=TokenInfinities(infinite, finite["tokens"], note),
        worst=() if parts.names is None else _worst(parts, parts.names, worst),
        notes=notes,
    )


def _with_infinities(finite: Estimate, infinite: int) -> Estimate:
    if not infinite:
        return finite
    why = f"{counted(infinite, 'token')} with p = 0: inf"
    return Estimate(math.inf, None, None, None, finite.confidence, finite.n, finite.effective_n, why=why)


def _worst(parts: LanguageSums, names: dict[int, str], limit: int) -> tuple[DocumentScore, ...]:
    """The documents with tokens of p = 0, then those that raise the loss of the finite tokens most."""
    identities = np.array(sorted(names), np.uint64)
    tokens = _placed(parts.sums["tokens"], identities)
    infinite = _placed(parts.infinite, identities).b.floats()
    lost, size = (s.total().fractions()[0] for s in (tokens.a, tokens.b))
    mean = lost / size if size else Fraction(0)
    rough = tokens.a.floats() - float(mean) * tokens.b.floats()

    def order(d: int) -> tuple[bool, float, str]:
        return not infinite[d], -float(rough[d]), names[int(identities[d])]

    found = [
        _document(parts, names, int(identities[d]), mean, size)
        for d in heapq.nsmallest(limit, range(len(rough)), order)
    ]
    return tuple(each for each in found if each.infinite or each.excess > 0)


def _document(
    parts: LanguageSums, names: dict[int, str], identity: int, mean: Fraction, size: Fraction
) -> DocumentScore:
    lost, finite = _sums_of(parts.sums["tokens"], identity)
    infinite = int(_sums_of(parts.infinite, identity)[1])
    return DocumentScore(
        document=names[identity],
        tokens=int(finite) + infinite,
        bytes=int(_sums_of(parts.sums["bytes"], identity)[1]) if "bytes" in parts.sums else None,
        loss=math.inf if infinite else float(lost / finite),
        infinite=infinite,
        excess=float((lost - mean * finite) / size) if size else 0.0,
    )


def _placed(sums: ClusterSums, identities: Identity) -> ClusterSums:
    """The sums with a cluster for each of the sorted identities, 0 where there was none."""
    nothing = np.zeros(len(identities))
    return sums + ClusterSums.of(identities, nothing, nothing)


def _sums_of(sums: ClusterSums, identity: int) -> tuple[Fraction, Fraction]:
    """The sums of one cluster, 0 where there is none."""
    k = int(np.searchsorted(sums.keys, np.uint64(identity)))
    if k == len(sums.keys) or int(sums.keys[k]) != identity:
        return Fraction(0), Fraction(0)
    a, b = (ExactSum(s.low, s.limbs[k : k + 1]).fractions()[0] for s in (sums.a, sums.b))
    return a, b
