"""A LanguageScore: verdict and tables: perplexity and bits with intervals, the documents that raise the loss."""

from crossent.report.tables import ALL, Most, Table
from crossent.report.wording import interval, level, number, standard_error, told_interval, value
from crossent.scoring.language_score import LanguageScore
from crossent.stats import Estimate
from crossent.wording import clean

__all__ = ["language_tables", "language_verdict"]


def language_tables(score: LanguageScore, most: Most = ALL) -> list[Table]:
    """All tables of a LanguageScore, in the order of reading."""
    note = score.infinities.note
    numbers = Table("numbers", tuple(_numbers(score)), remarks=(f"{note}.",) if note else ())
    return [numbers, *([Table("documents", tuple(_documents(score, most.worst)))] if score.worst else [])]


def language_verdict(score: LanguageScore) -> str:
    """The perplexity with its interval, or which tokens make it infinite."""
    found, finite = score.infinities, score.infinities.finite
    if found.tokens:
        text = (
            f"Perplexity inf: {found.tokens:,} of {score.size} {'has' if found.tokens == 1 else 'have'} probability 0."
        )
        others = f" The others have {value(finite)} nat a token ({told_interval(finite)})."
        return text if finite.value is None else text + others
    perplexity = score.perplexity
    mark = f" {perplexity.mark[0].upper()}{perplexity.mark[1:]}." if perplexity.mark else ""
    return f"Perplexity {value(perplexity)} ({told_interval(perplexity)}) over {score.size}.{mark}"


def _numbers(score: LanguageScore) -> list[tuple[str, ...]]:
    named: list[tuple[str, Estimate | None]] = [
        ("perplexity", score.perplexity),
        ("word perplexity", score.word_perplexity),
        ("bits per byte", score.bits_per_byte),
        ("bits per token", score.bits_per_token),
        ("nats per token", score.loss),
    ]
    rows: list[tuple[str, ...]] = [("", "value", "std error", f"{level(score.loss.confidence)} interval")]
    rows += [
        (name, value(found), standard_error(found), interval(found) or "not estimable")
        for name, found in named
        if found is not None
    ]
    return rows


def _documents(score: LanguageScore, most: int | None) -> list[tuple[str, ...]]:
    """The worst documents, with what each adds to the loss of the whole."""
    with_bytes = score.bytes is not None
    head = ("worst documents", "tokens", *(["bytes"] if with_bytes else []), "nats per token", "raises the loss by")
    return [head] + [
        (
            clean(each.document, width=40),
            f"{each.tokens:,}",
            *([f"{each.bytes:,}"] if each.bytes is not None else []),
            number(each.loss),
            number(each.excess, digits=3),
        )
        for each in score.worst[:most]
    ]
