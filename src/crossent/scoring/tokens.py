"""What a block of token log-probabilities says: losses in nats, every token's document, counts of bytes and words.

Decisions: Log-probabilities have any shape; the last axis runs through the tokens of a row, and a list of arrays is
rows of different lengths. Whatever comes beside them (documents, bytes, words, mask) has one value a token or, without
the last axis, one a row, so that no argument says which. Tokens that the mask leaves out are never looked at (padding
may hold NaN), and a row without a token that counts leaves with its bytes. Rounding may put a log-probability a little
above 0, most of all in half precision: up to 0.001 it counts as 0; anything larger is another kind of numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from crossent.core.check import float_array
from crossent.core.interchange import as_array
from crossent.core.text import canonical_text
from crossent.core.types import NDArray
from crossent.errors import (
    CrossentError,
    DataError,
    NonFiniteError,
    OptionError,
    ProbabilityError,
    ShapeError,
    UnsupportedError,
)
from crossent.losses import cross_entropy
from crossent.stats import Flags, Float64, Int64
from crossent.stats.identity import Identity, key_identity

__all__ = ["TokenBlock", "token_block"]

_ROUNDING = 1e-3  # nats above 0 that count as rounding
_LARGEST = 1e290  # nats of a token; the sum of 2^53 of them is finite
_WIDE, _SEVERAL = 8, 3  # axes this wide, rows this many: if all of them sum to 1, it is no chance


class CountColumn(NamedTuple):
    """Counts of bytes or words, each belonging to a document.

    Attributes:
        documents: [m] identities, uint64.
        counts: [m] whole numbers > 0.
        per_row: whether they came one a row, not one a token.
    """

    documents: Identity
    counts: Float64
    per_row: bool


@dataclass(frozen=True)
class TokenBlock:
    """The tokens of one block that count.

    Attributes:
        losses: [n] float64 -log p in nats, inf where p = 0.
        documents: [n] uint64 identity of every token's document.
        counts: "bytes" and "words", those that were given.
        names: name of every document by its identity.
        uneven: those of "bytes" and "words" that came one a row although a row begins with tokens that do not count.
    """

    losses: Float64
    documents: Identity
    counts: dict[str, CountColumn]
    names: dict[int, str]
    uneven: frozenset[str]


class _Rows(NamedTuple):
    """Where the tokens of a block stand: `shape` of an array, or the `lengths` of rows in a list."""

    lengths: Int64
    shape: tuple[int, ...] | None

    @classmethod
    def of(cls, value: Any, name: str) -> tuple["_Rows", Float64]:
        """The rows of a value, and its numbers in one line, [n] float64."""
        value = _listed(value, name)
        if _is_ragged(value):
            parts = [float_array(_without_none(part), f"{name}[{i}]") for i, part in enumerate(value)]
            for i, part in enumerate(parts):
                if part.ndim != 1:
                    raise ShapeError(f"{name}[{i}] has shape {part.shape}; in a list every document is [tokens].")
            flat = np.concatenate([part.astype(np.float64) for part in parts])
            return cls(np.array([len(part) for part in parts], np.int64), None), flat
        array = float_array(_without_none(value), name)
        if array.ndim == 0:
            raise ShapeError(
                f"{name} is a single number; [tokens], [documents, length] or a list of [tokens] is needed."
            )
        lengths = np.full(math.prod(array.shape[:-1]), array.shape[-1], np.int64)
        return cls(lengths, array.shape), array.astype(np.float64).reshape(-1)

    def place(self, name: str, i: int) -> str:
        """Where token i of the line stands in what was given."""
        if self.shape is not None:
            return f"{name}[{', '.join(map(str, map(int, np.unravel_index(i, self.shape))))}]"
        row = int(np.searchsorted(np.cumsum(self.lengths), i, side="right"))
        return f"{name}[{row}][{i - int(self.lengths[:row].sum())}]"

    def beside(self, value: Any, name: str) -> tuple[NDArray, bool]:
        """A value that comes beside the tokens in one line, and whether it has one element a token (else one a row)."""
        value = _listed(value, name)
        if self.shape is None:
            return self._beside_list(value, name)
        array = as_array(value, name)
        if array.shape not in (self.shape, self.shape[:-1]):
            raise ShapeError(
                f"{name} has shape {array.shape}, but log-probabilities have {self.shape}: one value a token "
                f"{self.shape} or one a row {self.shape[:-1]} is needed."
            )
        return array.reshape(-1), array.shape == self.shape

    def _beside_list(self, value: Any, name: str) -> tuple[NDArray, bool]:
        line = None if _is_ragged(value) else as_array(value, name)
        found = (len(value),) if line is None else line.shape
        if found != self.lengths.shape:
            raise ShapeError(f"{name} has shape {found}, but there are {len(self.lengths)} documents: one value each.")
        if line is not None:
            return line, False
        parts = [as_array(part, f"{name}[{i}]") for i, part in enumerate(value)]
        for i, (part, length) in enumerate(zip(parts, self.lengths.tolist(), strict=True)):
            if part.shape != (length,):
                raise ShapeError(f"{name}[{i}] has shape {part.shape}, the log-probabilities there ({length},).")
        return np.concatenate(parts), True

    def spread(self, line: NDArray, per_token: bool) -> NDArray:
        """One element a token of a line that has one a token or a row."""
        return line if per_token else np.repeat(line, self.lengths)

    def numbers(self) -> NDArray:
        """The number of every row, in the shape that `documents` has."""
        numbers = np.arange(len(self.lengths))
        return numbers if self.shape is None else numbers.reshape(self.shape[:-1])


def token_block(
    log_probs: Any,
    *,
    logits: Any,
    targets: Any,
    ignore_index: int,
    log_base: float | None,
    documents: Any,
    mask: Any,
    counts: dict[str, Any],
) -> TokenBlock:
    """The block of `LanguageTally.update`'s arguments; `documents` None numbers the rows, `counts` are by name."""
    name, nats = "log_probs", 1.0 if log_base is None else math.log(log_base)
    if (log_probs is None) == (logits is None) or (logits is None) != (targets is None):
        raise UnsupportedError(
            "name either log_probs, the log-probability of every token, or logits= together with targets="
        )
    kept: Flags | None = None
    if logits is not None:
        if log_base is not None:
            raise UnsupportedError("log_base speaks of log_probs, and logits were given; leave it out.")
        targets = targets if mask is None else _without_masked(targets, mask, ignore_index)
        name, log_probs, kept = "-cross_entropy(targets, logits)", *_of_logits(logits, targets, ignore_index)
    rows, line = _Rows.of(log_probs, name)
    counted = np.ones(len(line), np.bool_) if kept is None else kept
    if mask is not None:
        counted = counted & rows.spread(*_flags(*rows.beside(mask, "mask")))
    losses = _losses(rows, line, counted, name, nats)
    with np.errstate(over="ignore"):  # of tokens that do not count
        _refuse_distributions(rows, line * nats, counted, name)
    owner = _owners(rows, rows.numbers() if documents is None else documents, counted)
    found = {what: _count_column(rows, value, what, owner) for what, value in counts.items() if value is not None}
    uneven = {what for what, column in found.items() if column.per_row and _skips(rows, counted)}
    return TokenBlock(losses, owner.tokens, found, owner.names, frozenset(uneven))


def _listed(value: Any, name: str) -> Any:
    """A list as it is; a column of lists, as tables have them, as a list; anything else as an array."""
    if isinstance(value, list | tuple):
        return value
    array = as_array(value, name)
    return array.tolist() if array.dtype == np.dtype(object) and array.ndim else array


def _is_ragged(value: Any) -> bool:
    """Whether this is a list of rows, which may differ in length: its first element has elements itself."""
    if not isinstance(value, list | tuple) or not value or isinstance(value[0], str | bytes):
        return False
    shape = getattr(value[0], "shape", None)
    return isinstance(value[0], Sequence) if shape is None else len(shape) > 0


def _without_none(value: Any) -> Any:
    """A list with NaN for None, as tools write tokens without a log-probability; anything else as it is."""
    if not isinstance(value, list | tuple) or not any(each is None for each in value):
        return value
    return [math.nan if each is None else each for each in value]


def _without_masked(targets: Any, mask: Any, ignore_index: int) -> Any:
    """Targets with ignore_index where the mask leaves out the token, whose logits may then be anything."""
    targets = _listed(targets, "targets")
    rows, _ = _Rows.of(targets, "targets")
    kept = rows.spread(*_flags(*rows.beside(mask, "mask")))
    if rows.shape is not None:
        return np.where(kept.reshape(rows.shape), as_array(targets, "targets"), np.int64(ignore_index))
    parts = np.split(kept, np.cumsum(rows.lengths)[:-1])
    return [np.where(k, as_array(t, "targets"), np.int64(ignore_index)) for k, t in zip(parts, targets, strict=True)]


def _of_logits(logits: Any, targets: Any, ignore_index: int) -> tuple[Any, Flags]:
    """Log-probabilities of the targets in the shape of `targets`, and which of them are not ignore_index."""

    def negated(z: Any, t: Any) -> NDArray:
        found: NDArray = -np.asarray(cross_entropy(t, logits=z, ignore_index=ignore_index, reduction="none"))
        return found

    targets = _listed(targets, "targets")
    if not _is_ragged(targets):
        return negated(logits, targets), as_array(targets, "targets").reshape(-1) != ignore_index
    if len(logits) != len(targets):
        raise ShapeError(f"logits have {len(logits)} documents, targets {len(targets)}.")
    kept = [as_array(t, f"targets[{i}]") != ignore_index for i, t in enumerate(targets)]
    return [negated(z, t) for z, t in zip(logits, targets, strict=True)], np.concatenate(kept)


def _flags(line: NDArray, per_token: bool) -> tuple[NDArray, bool]:
    if line.dtype != np.bool_ and not np.isin(line, (0, 1)).all():
        found = line[~np.isin(line, (0, 1))][0]
        raise OptionError(f"mask holds {found}; True or 1 is needed for tokens that count, False or 0 for the others.")
    return line.astype(np.bool_), per_token


def _losses(rows: _Rows, line: Float64, counted: Flags, name: str, nats: float) -> Float64:
    """-log p in nats of the tokens that count, after a look at every one."""
    places, log_p = np.flatnonzero(counted), line[counted]
    unknown = np.isnan(log_p)
    if unknown.any():
        starts = np.concatenate([[0], np.cumsum(rows.lengths)])
        first = bool(np.isin(places[unknown], starts).all())
        raise NonFiniteError(
            f"{rows.place(name, int(places[np.argmax(unknown)]))} is nan or None ({int(unknown.sum())} tokens are). "
            + ("The first token of a text has no log-probability: leave it out, or use mask=." if first else
               "Numbers <= 0 and -inf are allowed; leave out tokens without a log-probability by mask=.")
        )  # fmt: skip
    with np.errstate(over="ignore"):
        huge = ~np.isinf(log_p) & (log_p * nats < -_LARGEST)
    if huge.any():
        i = int(places[np.argmax(huge)])
        raise NonFiniteError(
            f"{rows.place(name, i)} is {line[i]:g} ({int(huge.sum())} tokens are as small), and sums of such numbers "
            "overflow. Log-probabilities down to -1e290, or -inf for p = 0, are allowed; leave out by mask= tokens "
            "without one."
        )
    log_p = log_p * nats
    above = log_p > _ROUNDING
    if above.any():
        i = int(np.argmax(above))
        raise _above_zero(rows.place(name, int(places[i])), line[places[i]], log_p, int(above.sum()))
    return np.maximum(-log_p, 0.0)


def _refuse_distributions(rows: _Rows, log_p: Float64, counted: Flags, name: str) -> None:
    """Rows that all sum to 1 are distributions over a vocabulary, whose last axis would be taken for tokens."""
    if rows.shape is None or rows.shape[-1] < _WIDE:
        return
    whole = counted.reshape(-1, rows.shape[-1]).all(axis=1)
    sums = np.exp(log_p.reshape(-1, rows.shape[-1])[whole]).sum(axis=1)
    if len(sums) >= _SEVERAL and (np.abs(sums - 1.0) < _ROUNDING).all():
        raise ProbabilityError(
            f"every row of {name}, shape {rows.shape}, sums to 1: these look like log-probabilities of all "
            f"{rows.shape[-1]} tokens of a vocabulary. One number a token is needed, that of the token that came: pass "
            "them as logits= together with targets=."
        )


def _above_zero(where: str, found: float, log_p: Float64, count: int) -> CrossentError:
    """What numbers above 0 are: probabilities, losses, or a slip."""
    hint = "Correct them, or leave such tokens out by mask=."
    if count > len(log_p) / 2:
        hint = "These look like losses: pass -losses."
        if (log_p >= 0).all() and (log_p <= 1).all():
            hint = "These look like probabilities: pass np.log(p). If they are losses, pass -losses."
    return ProbabilityError(
        f"{where} is {found:.6g}; log-probabilities are <= 0 ({count} of {len(log_p)} tokens are above). {hint}"
    )


class _Owners(NamedTuple):
    """The documents of the tokens that count: `tokens` [n] identities; `rows` likewise for the rows that have such
    tokens, None where documents change inside rows; which tokens and rows these are; names by identity.
    """

    tokens: Identity
    rows: Identity | None
    counted: Flags
    used: Flags
    names: dict[int, str]


def _owners(rows: _Rows, documents: Any, counted: Flags) -> _Owners:
    keys, per_token = rows.beside(documents, "documents")
    row = np.repeat(np.arange(len(rows.lengths)), rows.lengths)
    used = np.bincount(row[counted], minlength=len(rows.lengths)) > 0
    keys = keys[counted if per_token else used]  # documents of padding may be missing
    try:
        identity = key_identity(keys)
    except DataError as error:
        raise DataError(
            "documents holds None or NaN where a token counts. Name every document, or leave out such tokens by mask=."
        ) from error
    every, first = np.unique(identity, return_index=True)
    names = {int(each): str(canonical_text(keys[i])) for each, i in zip(every, first, strict=True)}
    if per_token:
        return _Owners(identity, None, counted, used, names)
    return _Owners(identity[np.cumsum(used)[row[counted]] - 1], identity, counted, used, names)


def _skips(rows: _Rows, counted: Flags) -> bool:
    """Whether in some row a token that counts follows one that does not: a prompt. What ends a row is padding."""
    places, ends = np.flatnonzero(counted), np.cumsum(rows.lengths)
    starts = np.concatenate([[0], ends])[np.searchsorted(ends, places, side="right")]
    before = np.concatenate([[0], np.cumsum(counted)])
    return bool((before[places] - before[starts] < places - starts).any())


def _count_column(rows: _Rows, value: Any, name: str, owner: _Owners) -> CountColumn:
    line, per_token = rows.beside(_byte_counts(value) if name == "bytes" else value, name)
    if not per_token and owner.rows is None:
        raise ShapeError(f"{name} has one number a row, but documents change inside rows: pass {name} a token.")
    documents = owner.tokens if per_token or owner.rows is None else owner.rows
    numbers = float_array(line, name).astype(np.float64)[owner.counted if per_token else owner.used]
    wrong = ~((numbers >= 0) & (numbers <= 2.0**53) & (numbers == np.rint(numbers)))
    if wrong.any():
        raise OptionError(f"{name} holds {numbers[wrong][0]:g}; counts are whole numbers from 0 to 2^53.")
    kept = numbers > 0
    return CountColumn(documents[kept], numbers[kept], not per_token)


def _byte_counts(value: Any) -> Any:
    """Numbers as they are; texts by the length of their UTF-8, without an array as wide as the longest of them."""
    if isinstance(value, list | tuple):
        return [_byte_counts(part) if isinstance(part, str | bytes | list | tuple) else part for part in value]
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        try:
            return len(value.encode())
        except UnicodeEncodeError as error:
            raise OptionError(f"bytes holds a text that is no UTF-8 ({error}); pass its number of bytes.") from None
    array = as_array(value, "bytes")
    return _byte_counts(array.tolist()) if array.dtype.kind in "OUS" and array.ndim else array
