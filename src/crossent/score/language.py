"""Scores of language models from the log-probabilities of tokens: perplexity, bits per token, byte and word.

Decisions: Tokens of one document are not independent, so the document is the unit of every interval; one document
gives a value and no interval. Every number is a ratio of sums over all tokens, never a mean of documents' means:
otherwise short documents would count as much as long ones. Bits per byte is the number that models of different
vocabularies share. exp is taken once, at the end, of the mean and of the ends of its interval, since a mean of
perplexities has no meaning. There is no choice of interval (ci=): a bootstrap would resample the same documents. A
tally asks for `documents`, because it cannot know whether a row continues one that came in another block or in another
process. Worst documents are ordered by how much they raise the corpus' loss, so that length counts and two unlucky
tokens do not.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from crossent.errors import EmptyBatchError, OptionError, UnsupportedError
from crossent.score.tokens import TokenBlock, token_block
from crossent.stats import Estimate
from crossent.stats.clusters import ClusterSums
from crossent.wording import counted

__all__ = ["SCHEMA", "DocumentScore", "LanguageScore", "LanguageTally", "TokenInfinities", "score_language"]

SCHEMA = "crossent.language/1"
_NATS_PER_BIT = math.log(2.0)


@dataclass(frozen=True)
class TokenInfinities:
    """Tokens that the model calls impossible: one is enough to make the perplexity inf.

    Attributes:
        tokens: tokens with p = 0.
        documents: documents with such tokens.
        finite: loss of all other tokens, in nats.
        note: what to do about it; None without infinities.
    """

    tokens: int
    documents: int
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
        documents: documents of which a token counts.
        tokens: tokens that count.
        bytes: bytes of their text, None if not given.
        words: their words, None if not given.
        loss: mean of -log p in nats per token, with an interval over documents; inf if any token has p = 0.
        loss_per_byte: sum of -log p by sum of bytes, in nats; None without bytes.
        loss_per_word: likewise; None without words.
        infinities: tokens with p = 0, and the loss without them.
        worst: documents that raise the loss most, worst first; empty if there are too many to tell apart.
        notes: remarks on the data.
    """

    documents: int
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

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers under stable names; infinities stay floats."""
        derived = ("perplexity", "word_perplexity", "bits_per_token", "bits_per_byte")
        estimates = {name: getattr(self, name) for name in derived}
        return {
            "schema": SCHEMA,
            **asdict(self),
            **{name: None if found is None else asdict(found) for name, found in estimates.items()},
        }

    def __repr__(self) -> str:
        found = [f"perplexity {_told(self.perplexity)}"]
        if self.bits_per_byte is not None:
            found.append(f"{_told(self.bits_per_byte)} bits per byte")
        found.append(f"{counted(self.tokens, 'token')} in {counted(self.documents, 'document')}")
        return f"LanguageScore({', '.join(found)})"

    def _repr_html_(self) -> str:
        from crossent.report.language import language_to_html

        return language_to_html(self)


def _told(estimate: Estimate) -> str:
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


class LanguageTally:
    """Scores token log-probabilities that arrive in blocks; tallies add up.

    Args:
        worst: number of documents to list, those that raise the loss most.
        log_base: base of the logarithms that come as log_probs: None for natural ones, 2 or 10 for tools that print
            those.
    Raises: OptionError.

    >>> left, right = LanguageTally(), LanguageTally()
    >>> left.update([-0.5, -1.5], documents="a", bytes=[4, 6])
    >>> right.update([-2.0], documents="a", bytes=[5])
    >>> right.update([[-1.0, -3.0], [-0.5, 0.0]], documents=["b", "c"], mask=[[1, 1], [1, 0]], bytes=["wordword", "ab"])
    >>> score = (left + right).result()
    >>> score.tokens, score.documents, score.bytes, round(score.loss.value, 6)
    (6, 3, 25, 1.416667)
    """

    def __init__(self, *, worst: int = 10, log_base: float | None = None) -> None:
        if worst < 0:
            raise OptionError(f"worst is {worst}; it is a number of documents, 0 or more")
        if log_base is not None and not 1.0 < log_base < math.inf:
            raise OptionError(f"log_base is {log_base}; None (natural), 2 and 10 are usual, and it must be above 1")
        self.worst, self.log_base = worst, log_base
        self._parts: _Parts | None = None

    def update(
        self,
        log_probs: Any = None,
        *,
        documents: Any,
        logits: Any = None,
        targets: Any = None,
        ignore_index: int = -100,
        bytes: Any = None,
        words: Any = None,
        mask: Any = None,
    ) -> None:
        """Add one block; a document may come in any number of blocks.

        Args:
            log_probs: [..., length] log-probability of every token, or a list of [length] arrays; -inf is p = 0.
            documents: what each token or row belongs to: names or numbers, of shape [..., length] or [...] (one name
                alone for log_probs [length]).
            logits: instead of log_probs: [..., length, V] scores, where logits[t] predict targets[t].
            targets: [..., length] tokens for the logits.
            ignore_index: such targets do not count.
            bytes: bytes of the text behind the tokens of this block: numbers, or texts (then the length of their
                UTF-8), a token or a row.
            words: number of words, a token or a row.
            mask: True or 1 for tokens that count, a token or a row.
        Raises: ProbabilityError for numbers above 0; NonFiniteError for NaN; ShapeError, DtypeError, OptionError,
            UnsupportedError (bytes or words in some blocks only), LabelError; the tally stays as it was.
        """
        if documents is None:
            raise UnsupportedError(
                "documents is None; a tally cannot know whether a row continues one of another block. Pass names or "
                "numbers, one a row, or use score_language for all documents at once."
            )
        block = token_block(
            log_probs,
            logits=logits,
            targets=targets,
            ignore_index=ignore_index,
            log_base=self.log_base,
            documents=documents,
            mask=mask,
            counts={"bytes": bytes, "words": words},
        )
        self._add(_Parts.of(block))

    def __add__(self, other: "LanguageTally") -> "LanguageTally":
        """A new tally of the tokens of both.

        Raises: OptionError if `worst` differs; UnsupportedError if one has bytes or words and the other has not.
        """
        if self.worst != other.worst:
            raise OptionError(f"these tallies do not add up: worst is {self.worst} and {other.worst}")
        both = LanguageTally(worst=self.worst, log_base=self.log_base)
        for tally in (self, other):
            if tally._parts is not None:
                both._add(tally._parts)
        return both

    def result(self, *, confidence: float = 0.95) -> LanguageScore:
        """The score of all tokens so far.

        Args:
            confidence: coverage of the intervals, in (0, 1).
        Returns: a LanguageScore.
        Raises: EmptyBatchError without any token; OptionError for another confidence.
        """
        if self._parts is None:
            raise EmptyBatchError("there is no token to score: nothing came, or the mask leaves all of it out")
        return _summary(self._parts, self.worst, confidence)

    def _add(self, parts: "_Parts") -> None:
        if parts.tokens:
            self._parts = parts if self._parts is None else self._parts + parts
