"""LanguageScore and the small results inside it: frozen, plain, with `to_dict()` and a repr to read."""

import math
from dataclasses import dataclass, replace
from typing import Any

from crossent.scoring.plain import plain
from crossent.stats import Estimate
from crossent.wording import counted

__all__ = ["SCHEMA", "DocumentScore", "LanguageScore", "TokenInfinities"]

SCHEMA = "crossent.language/1"
_NATS_PER_BIT = math.log(2.0)


@dataclass(frozen=True)
class TokenInfinities:
    """Tokens that the model calls impossible: one is enough to make the perplexity inf.

    Attributes:
        tokens: tokens with p = 0.
        finite: loss of all other tokens, in nats.
        note: what to do about it; None without infinities.
    """

    tokens: int
    finite: Estimate
    note: str | None


@dataclass(frozen=True)
class DocumentScore:
    """One of the documents that raise the loss most.

    Attributes:
        document: its name.
        tokens: its tokens.
        bytes: its bytes, if they were given.
        loss: its mean loss in nats per token; inf if a token has p = 0.
        infinite: its tokens with p = 0.
        excess: by how many nats per token its finite tokens raise the loss of the whole: (sum of its losses - its
            tokens x the whole's loss) / all tokens; over all documents it sums to 0.
    """

    document: str
    tokens: int
    bytes: int | None
    loss: float
    infinite: int
    excess: float


@dataclass(frozen=True, repr=False)
class LanguageScore:
    """What a language model is worth on a text.

    Attributes:
        documents: documents of which a token counts; None above 100 000, which are not told apart.
        tokens: tokens that count.
        bytes: bytes of their text, None if not given.
        words: their words, None if not given.
        loss: mean of -log p in nats per token, with an interval over documents; inf if any token has p = 0.
        loss_per_byte: sum of -log p by sum of bytes, in nats; None without bytes.
        loss_per_word: likewise; None without words.
        infinities: tokens with p = 0, and the loss without them.
        worst: documents with tokens of p = 0, then those that raise the loss most; none above 100 000 documents.
        notes: remarks on the data.
    """

    documents: int | None
    tokens: int
    bytes: int | None
    words: int | None
    loss: Estimate
    loss_per_byte: Estimate | None
    loss_per_word: Estimate | None
    infinities: TokenInfinities
    worst: tuple[DocumentScore, ...]
    notes: tuple[str, ...]

    @property
    def perplexity(self) -> Estimate:
        """exp(loss); the interval is exp of its ends, the standard error exp(loss) times that of the loss."""
        return _exponential(self.loss)

    @property
    def word_perplexity(self) -> Estimate | None:
        """exp(loss per word), as it stands in tables of word-level models."""
        return None if self.loss_per_word is None else _exponential(self.loss_per_word)

    @property
    def bits_per_token(self) -> Estimate:
        """The loss in bits."""
        return self.loss.scaled(1.0 / _NATS_PER_BIT)

    @property
    def bits_per_byte(self) -> Estimate | None:
        """The loss per byte in bits: how short the model would code the text."""
        return None if self.loss_per_byte is None else self.loss_per_byte.scaled(1.0 / _NATS_PER_BIT)

    @property
    def size(self) -> str:
        """Tokens and documents in words."""
        documents = "over 100,000 documents" if self.documents is None else counted(self.documents, "document")
        return f"{counted(self.tokens, 'token')} in {documents}"

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers under stable names; infinities stay floats."""
        derived = ("perplexity", "word_perplexity", "bits_per_token", "bits_per_byte")
        no_bytes, no_words = "bytes= was not given", "words= was not given"
        reasons = {
            "documents": "more than 100,000: their names are not kept",
            **dict.fromkeys(("bytes", "loss_per_byte", "bits_per_byte"), no_bytes),
            **dict.fromkeys(("words", "loss_per_word", "word_perplexity"), no_words),
        }
        return plain(SCHEMA, self, {name: getattr(self, name) for name in derived}, reasons)

    def __repr__(self) -> str:
        found = [f"perplexity {_told(self.perplexity)}"]
        if self.bits_per_byte is not None:
            found.append(f"{_told(self.bits_per_byte)} bits per byte")
        tokens, mark = self.infinities.tokens, self.loss.mark
        infinite = f"; {counted(tokens, 'token')} with p = 0" if tokens else ""
        return f"LanguageScore({', '.join([*found, self.size])}{infinite}{f'; ! {mark}' if mark else ''})"

    def __str__(self) -> str:
        from crossent.report import to_text

        return to_text(self)

    def _repr_html_(self) -> str:
        from crossent.report import to_fragment

        return to_fragment(self)


def _told(estimate: Estimate) -> str:
    if estimate.value is None:
        return "not estimable"
    if estimate.lower is None or estimate.upper is None:
        return f"{estimate.value:.4g}"
    return f"{estimate.value:.4g} [{estimate.lower:.4g}, {estimate.upper:.4g}]"


def _exponential(loss: Estimate) -> Estimate:
    """The estimate of exp(loss); beyond float64 it is inf."""

    def exp(x: float | None) -> float | None:
        return None if x is None else math.exp(x) if x < 709 else math.inf

    value = exp(loss.value)
    se = None if value is None or loss.se is None else value * loss.se
    return replace(loss, value=value, se=se, lower=exp(loss.lower), upper=exp(loss.upper))
