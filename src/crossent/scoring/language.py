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
from functools import reduce
from operator import add
from typing import Any

from crossent.core.options import coverage, whole_number, within
from crossent.errors import EmptyBatchError, UnsupportedError
from crossent.scoring.adding import require_same
from crossent.scoring.language_score import DocumentScore, LanguageScore, TokenInfinities
from crossent.scoring.language_state import LanguageState, SavedSums
from crossent.scoring.language_sums import LanguageSums, summarise_language
from crossent.scoring.saved_tally import SavedTally
from crossent.scoring.tokens import token_block

__all__ = ["DocumentScore", "LanguageScore", "LanguageTally", "TokenInfinities", "score_language"]


class LanguageTally(SavedTally):
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

    _schema = "crossent.language-tally/1"
    _state_type = LanguageState

    def __init__(self, *, worst: int = 10, log_base: float | None = None) -> None:
        if log_base is not None:
            text = "a finite number above 1 (2 and 10 are usual), or None for natural logarithms,"
            within("log_base", log_base, 1, math.inf, open_ends=True, text=text)
        worst = whole_number("worst", worst, low=0, text="a whole number of documents >= 0")
        self._state = LanguageState(worst, log_base, None)

    @property
    def n(self) -> int:
        """Tokens so far."""
        return sum(sums.tokens for sums in self._runs)

    @property
    def _state(self) -> LanguageState:
        sums = SavedSums.of(reduce(add, reversed(self._runs))) if self._runs else None
        return LanguageState(self.worst, self.log_base, sums)

    @_state.setter
    def _state(self, state: LanguageState) -> None:
        self.worst, self.log_base = state.worst, state.log_base
        self._runs: list[LanguageSums] = []  # adds up to the whole; see _add
        if state.sums is not None:
            self._runs.append(state.sums.sums())

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
                UTF-8), a token or a row. Where the mask leaves out some tokens of a row, those of a row must be the
                bytes of the tokens that count.
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
        self._take(log_probs, logits, targets, ignore_index, documents, mask, {"bytes": bytes, "words": words})

    def __add__(self, other: "LanguageTally") -> "LanguageTally":
        """A new tally of the tokens of both.

        Raises: OptionError if their options differ; UnsupportedError if one has bytes or words and the other has not.
        """
        if not isinstance(other, LanguageTally):
            return NotImplemented
        mine, theirs = ({"worst": each.worst, "log_base": each.log_base} for each in (self, other))
        require_same(mine, theirs)
        both = LanguageTally(worst=self.worst, log_base=self.log_base)
        for tally in (self, other):
            for sums in tally._runs:
                both._add(sums)
        return both

    def __radd__(self, other: int) -> "LanguageTally":
        """For sum(): 0 adds nothing."""
        if type(other) is not int or other != 0:
            return NotImplemented
        return self + LanguageTally(worst=self.worst, log_base=self.log_base)

    def result(self, *, confidence: float = 0.95) -> LanguageScore:
        """The score of all tokens so far.

        Args:
            confidence: coverage of the intervals, in (0, 1).
        Returns: a LanguageScore.
        Raises: EmptyBatchError without any token; OptionError for another confidence.
        """
        if not self._runs:
            raise EmptyBatchError("there is no token to score: nothing came, or the mask leaves all of it out")
        return summarise_language(reduce(add, reversed(self._runs)), self.worst, coverage(confidence))

    def _take(
        self,
        log_probs: Any,
        logits: Any,
        targets: Any,
        ignore_index: int,
        documents: Any,
        mask: Any,
        counts: dict[str, Any],
    ) -> None:
        block = token_block(
            log_probs,
            logits=logits,
            targets=targets,
            ignore_index=ignore_index,
            log_base=self.log_base,
            documents=documents,
            mask=mask,
            counts=counts,
        )
        self._add(LanguageSums.of(block))

    def _add(self, sums: LanguageSums) -> None:
        """Adding goes through all documents, so each sum waits until a later one has at least half as many: then n
        documents, one a block, cost n log n and not n^2. The order changes no bit.
        """
        if not sums.tokens:
            return
        for first in self._runs[:1]:
            first.require_same(sums)
        runs = [*self._runs, sums]
        while len(runs) > 1 and 2 * runs[-1].size >= runs[-2].size:
            last = runs.pop()
            runs[-1] = runs[-1] + last
        self._runs = runs


def score_language(
    log_probs: Any = None,
    *,
    logits: Any = None,
    targets: Any = None,
    ignore_index: int = -100,
    documents: Any = None,
    bytes: Any = None,
    words: Any = None,
    mask: Any = None,
    log_base: float | None = None,
    worst: int = 10,
    confidence: float = 0.95,
) -> LanguageScore:
    """Perplexity, bits per token and bits per byte of a language model, with intervals over documents.

        loss = sum_t -log p_t / tokens,  perplexity = exp(loss),  bits per byte = sum_t -log2 p_t / bytes

    over all tokens t. The document is the unit of the intervals (Hall's, of clusters); exp is taken of their ends.

    Args:
        log_probs: [..., length] log-probability that the model gave every token, or a list of [length] arrays; -inf is
            p = 0, which makes the loss inf.
        logits: instead: [..., length, V] scores, where logits[t] predict targets[t]: shift them against each other.
        targets: [..., length] tokens for the logits.
        ignore_index: such targets do not count.
        documents: what each token [..., length] or each row [...] belongs to: names or numbers. None makes every row,
            or array of a list, a document.
        bytes: bytes of the text behind the tokens, a token or a row: numbers, or texts (the length of their UTF-8).
            Count a token's own bytes, not those of its decoded text, which is longer where a character is cut. Where
            the mask leaves out some tokens of a row (a prompt), those of a row must be the bytes of the tokens that
            count; bytes a token are left out with their tokens.
        words: number of words, a token or a row.
        mask: True or 1 for tokens that count, False or 0 for others (padding, a prompt), a token or a row.
        log_base: base of the logarithms in log_probs; None is natural, some tools print 2 or 10.
        worst: number of documents to list, those that raise the loss most.
        confidence: coverage of the intervals, in (0, 1).
    Returns: a LanguageScore.
    Raises: ProbabilityError for numbers above 0; NonFiniteError for NaN; ShapeError, DtypeError, OptionError,
        UnsupportedError, LabelError, EmptyBatchError without any token.
    Source: perplexity: Jelinek et al., J. Acoust. Soc. Am. 62 (1977), S63; bits per byte: Gao et al., The Pile,
        arXiv:2101.00027 (2020), section 3.1; intervals: Hall, J. R. Statist. Soc. B 54 (1992), 221-228.

    >>> score = score_language([[-0.5, -1.5], [-2.0, -1.0], [-0.1, -0.9]], bytes=["Hello", "naïve", "cat"])
    >>> round(score.perplexity.value, 4), round(score.bits_per_byte.value, 4)
    (2.7183, 0.6183)
    """
    tally = LanguageTally(worst=worst, log_base=log_base)
    tally._take(log_probs, logits, targets, ignore_index, documents, mask, {"bytes": bytes, "words": words})
    return tally.result(confidence=confidence)
