"""A LanguageScore to look at: text for a terminal, a table for a notebook, and JSON."""

from html import escape

from crossent.report.json import json_text
from crossent.report.wording import interval, level, number, standard_error, told_interval, value
from crossent.scoring.language_score import LanguageScore
from crossent.stats import Estimate
from crossent.wording import aligned, clean

__all__ = ["language_to_html", "language_to_json", "language_to_text"]


def language_to_text(score: LanguageScore) -> str:
    """The report for a terminal: verdict, numbers, the documents that raise the loss most, notes.

    Args:
        score: a LanguageScore.
    Returns: lines of text without colour or control characters, ending in a newline.

    >>> from crossent.scoring.language import score_language
    >>> score = score_language([[-0.5, -1.5], [-2.0, -1.0]], bytes=[8, 9])
    >>> print(language_to_text(score).partition(". ")[0])
    Perplexity 3.490 (95 % interval 1.000 to 83.642) over 4 tokens in 2 documents
    """
    blocks = [_verdict(score), aligned(_numbers(score), left=1)]
    if score.worst:
        blocks.append(aligned(_documents(score), left=1))
    blocks += [f"Note: {clean(note, width=400)}" for note in _notes(score)]
    return "\n\n".join(blocks) + "\n"


def language_to_html(score: LanguageScore) -> str:
    """A fragment of HTML for a notebook: the same as the text, without scripts or styles from elsewhere.

    Args:
        score: a LanguageScore.
    Returns: HTML; names of documents are escaped.

    >>> from crossent.scoring.language import score_language
    >>> language_to_html(score_language([[-0.5, -1.5], [-2.0, -1.0]])).startswith("<div><p>Perplexity ")
    True
    """
    tables = [_numbers(score), *([_documents(score)] if score.worst else [])]
    notes = "".join(f"<p>Note: {escape(clean(note, width=400))}</p>" for note in _notes(score))
    return f"<div><p>{escape(_verdict(score))}</p>{''.join(map(_table, tables))}{notes}</div>"


def language_to_json(score: LanguageScore) -> str:
    """The whole score as standard JSON; numbers read back to the same bits, infinity is "inf".

    Args:
        score: a LanguageScore.
    Returns: text, ending in a newline.

    >>> from crossent.scoring.language import score_language
    >>> language_to_json(score_language([-0.5, -1.5])).split('"')[3]
    'crossent.language/1'
    """
    return json_text(score.to_dict())


def _verdict(score: LanguageScore) -> str:
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


def _documents(score: LanguageScore) -> list[tuple[str, ...]]:
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
        for each in score.worst
    ]


def _notes(score: LanguageScore) -> tuple[str, ...]:
    return (*([score.infinities.note] if score.infinities.note else []), *score.notes)


def _table(rows: list[tuple[str, ...]]) -> str:
    head, *body = rows
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in body]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
