"""One self-contained HTML page about a Score: no scripts, no network, light and dark, always small.

Text from files is harmless here: jinja2 escapes everything, `clean` writes out control and direction
characters and cuts long labels, and the pictures hold no text from data at all.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossent import plots
from crossent.errors import MissingExtraError
from crossent.plots.training import trace_points
from crossent.report import wording
from crossent.report.pictures import picture
from crossent.scoring import ClassScore, Score

__all__ = ["to_html", "write_page"]

_MOST_CLASSES = 60
_MOST_WORST = 50
_MOST_FACTS = 60


def to_html(
    score: Score,
    *,
    model: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    title: str | None = None,
) -> str:
    """The page as text; the same input gives the same text.

    Args:
        score: a Score.
        model: plain facts about the model, shown as they are; its "trace" (losses, or mappings with
            "iteration" and "loss") gives the training curve.
        provenance: where the numbers come from, by name: files, command, versions, time.
        title: heading; None is a general one.
    Returns: HTML without scripts or anything from elsewhere.
    Raises: MissingExtraError without matplotlib or jinja2.
    """
    template = _template()
    facts = dict(model or {})
    pictures = _pictures(score, facts.pop("trace", None))
    shown = _shown_classes(score)
    page: str = template.render(
        title=title or "Score",
        score=score,
        verdict=wording.verdict(score).replace(" %", "\u00a0%").replace(" nat", "\u00a0nat"),
        level=wording.level(score.log_loss.confidence),
        clipping=wording.clipping_remark(score),
        strip=_strip(score),
        pictures=pictures,
        classes=shown,
        other_classes=len(score.per_class) - len(shown),
        marks=any(c.log_loss.mark for c in shown),
        too_few=wording.TOO_FEW.capitalize(),
        worst=score.worst[:_MOST_WORST],
        one_source=len({row.source for row in score.worst}) <= 1,
        provenance=_facts(provenance or {}),
        model=_facts(facts),
    )
    return page


def _template() -> Any:
    """The page with autoescape and its filters; a name that is not given is an error."""
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError.for_extra("report", "jinja2", "A report") from error
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters.update(
        clean=wording.clean,
        number=wording.number,
        share=wording.share,
        value=wording.value,
        se=wording.standard_error,
        interval=wording.interval,
    )
    return environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


def write_page(
    path: str | os.PathLike[str],
    score: Score,
    *,
    model: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    title: str | None = None,
) -> None:
    """Write the page as a whole or not at all.

    Args:
        path: file to write, replaced if it is there.
        score, model, provenance, title: as for `to_html`.
    Raises: DataError if the file cannot be written; MissingExtraError without matplotlib or jinja2.
    """
    from crossent.rows.filesafe import atomic_write

    page = to_html(score, model=model, provenance=provenance, title=title)
    with atomic_write(path) as file:
        file.write(page.encode("utf-8", errors="replace"))


def _pictures(score: Score, trace: Any) -> list[tuple[str, str, str]]:
    """(heading, svg, caption) of every picture that the data allow."""
    event = wording.clean(score.reliability_of, width=80)
    finite = score.infinities.finite
    mean = f"Mean {wording.value(finite)} nat." if finite.value is not None else "No row has a finite loss."
    made = []
    if trace is not None and (points := trace_points(trace)):
        last = f"From {points[0][1]:.4g} to {points[-1][1]:.4g} nat in {points[-1][0]:g} iterations."
        alt = f"Training curve. {last}"
        svg = picture("training", lambda ax: plots.training(trace, ax=ax), alt=alt)
        made.append(("Training", svg, f"{last} The objective includes the penalty."))
    bins = "; ".join(f"at {b.confidence:.2f} {b.observed.value:.2f}, {b.n} rows" for b in score.reliability[:12])
    made.append(
        (
            "Reliability",
            picture("reliability", lambda ax: plots.reliability(score, ax=ax), alt=f"Reliability diagram: {bins}."),
            f"How often {event}, against the probability given to it. On the dashed line, promises are kept.",
        )
    )
    share = wording.share(score.worst_share)
    alt = f"Histogram of the losses. {mean} The worst 1 % of the rows hold {share} of the {wording.finite(score)}loss."
    made.append(
        (
            "Losses",
            picture("losses", lambda ax: plots.loss_histogram(score, ax=ax), alt=alt),
            f"Where the rows are, and where the {wording.finite(score)}loss is. "
            f"The worst 1 % of the rows hold {share} of it.",
        )
    )
    return made


def _shown_classes(score: Score) -> list[ClassScore]:
    """All classes, or those with most rows, in column order."""
    if len(score.per_class) <= _MOST_CLASSES:
        return list(score.per_class)
    order = sorted(range(len(score.per_class)), key=lambda k: (-score.per_class[k].n, k))[:_MOST_CLASSES]
    return [score.per_class[k] for k in sorted(order)]


def _strip(score: Score) -> dict[str, float] | None:
    """Places in per cent of interval, value and baseline on a line from 0 to a little beyond."""
    finite = score.infinities.finite
    if finite.value is None or score.baseline <= 0:
        return None
    lower = finite.value if finite.lower is None else finite.lower
    upper = finite.value if finite.upper is None else finite.upper
    scale = 100 / (1.06 * max(score.baseline, upper))
    return {
        "lower": round(lower * scale, 3),
        "width": round((upper - lower) * scale, 3),
        "value": round(finite.value * scale, 3),
        "baseline": round(score.baseline * scale, 3),
    }


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(wording.clean(k), wording.clean(v, width=300)) for k, v in list(facts.items())[:_MOST_FACTS]]
