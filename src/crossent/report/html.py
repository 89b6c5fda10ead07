"""One self-contained HTML page about a Score: no scripts, no network, light and dark, always small.

Text from files is harmless here: jinja2 escapes everything, matplotlib escapes the text of pictures, and `clean` writes
out control and direction characters and cuts long labels in both.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossent import plots
from crossent.errors import MissingExtraError
from crossent.plots.forest import forest_height
from crossent.plots.segments import segment_rows
from crossent.plots.training import trace_points
from crossent.report import wording
from crossent.report.contents import tables, verdict
from crossent.report.pictures import picture
from crossent.scoring import ClassScore, Score
from crossent.stats.decomposition import Decomposition
from crossent.wording import clean

__all__ = ["to_html", "write_page"]

_MOST_CLASSES = 60
_MOST_WORST = 50
_MOST_FACTS = 60
_MOST_CONFUSED = 60
_TABLES = ("facts", "calibration", "segments", "one against the rest")


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
    shown, told = _shown_classes(score), tables(score)
    page: str = template.render(
        title=title or "Score",
        score=score,
        verdict=verdict(score).replace(" %", "\u00a0%").replace(" nat", "\u00a0nat"),
        level=wording.level(score.log_loss.confidence),
        clipping=wording.clipping_remark(score),
        prior=wording.prior(score),
        strip=_strip(score),
        pictures=pictures,
        tables={name: [t for t in told if t.name == name] for name in _TABLES},
        classes=shown,
        other_classes=len(score.per_class) - len(shown),
        loss_caveats=wording.caveat_sentences([score.log_loss, score.infinities.finite]),
        class_caveats=wording.caveat_sentences(c.log_loss for c in shown),
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
        clean=clean,
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
    made = [_training(trace), _reliability(score), _waterfall(score), _losses(score), _forest(score), _confusion(score)]
    return [found for found in made if found is not None]


def _training(trace: Any) -> tuple[str, str, str] | None:
    points = [] if trace is None else trace_points(trace)
    if not points:
        return None
    last = f"From {points[0][1]:.4g} to {points[-1][1]:.4g} nat in {points[-1][0]:g} iterations."
    svg = picture("training", lambda ax: plots.training(trace, ax=ax), alt=f"Training curve. {last}")
    return "Training", svg, f"{last} The objective includes the penalty."


def _reliability(score: Score) -> tuple[str, str, str]:
    event = clean(score.reliability_of, width=80)
    bins = "; ".join(f"at {b.confidence:.2f} {b.observed.value:.2f}, {b.n} rows" for b in score.reliability[:12])
    svg = picture("reliability", lambda ax: plots.reliability(score, ax=ax), alt=f"Reliability diagram: {bins}.")
    told = f"How often {event}, against the probability given to it. On the dashed line, promises are kept; "
    return "Reliability", svg, f"{told}a curve outside the band is more than chance."


def _waterfall(score: Score) -> tuple[str, str, str] | None:
    parts = score.decomposition
    if parts is None:
        return None
    if isinstance(parts, Decomposition):
        lost = (parts.unc, parts.dsc, parts.mcb)
        told = "Discrimination is what the order of the probabilities knows; miscalibration is what recalibration of "
        told += "these rows would gain, some of it by chance alone."
    else:
        lost = (parts.unc, parts.knowledge, parts.miscalibration)
        told = "Temperature miscalibration is what one temperature for all rows would gain, a lower bound."
    alt = "Waterfall: class shares alone {}, less {} known, plus {} miscalibration, makes {} nat."
    alt = alt.format(*map(wording.number, (*lost, parts.loss)))
    svg = picture("waterfall", lambda ax: plots.waterfall(score, ax=ax), alt=alt)
    return "Where the loss comes from", svg, told


def _losses(score: Score) -> tuple[str, str, str]:
    finite = score.infinities.finite
    mean = f"Mean {wording.value(finite)} nat." if finite.value is not None else "No row has a finite loss."
    share, of = wording.share(score.worst_share), f"the {wording.finite(score)}loss"
    alt = f"Histogram of the losses. {mean} The worst 1 % of the rows hold {share} of {of}."
    svg = picture("losses", lambda ax: plots.loss_histogram(score, ax=ax), alt=alt)
    where = f"Where the rows are, and where {of} is. The worst 1 % of the rows hold {share} of it."
    return "Losses", svg, where


def _forest(score: Score) -> tuple[str, str, str] | None:
    rows, left_out = segment_rows(score)
    if len(rows) < 2:
        return None
    what = "segment" if score.segments else "class"
    told = "; ".join(f"{clean(row.label)} {wording.number(row.value)}" for row in rows[:12] if row.n is not None)
    svg = picture(
        "forest", lambda ax: plots.segments(score, ax=ax), alt=f"Log loss by {what}: {told}.",
        height=forest_height(len(rows)),
    )  # fmt: skip
    rest = f" The {len(rows):,} largest; {left_out:,} more are in the JSON output." if left_out else ""
    caption = f"Log loss with its interval in every {what}; the dashed line is the mean of all rows. "
    return f"Log loss by {what}", svg, f"{caption}Hollow dots have too few events for their interval.{rest}"


def _confusion(score: Score) -> tuple[str, str, str] | None:
    if score.confusion is None or not 1 < len(score.classes) <= _MOST_CONFUSED:
        return None
    own = [
        (label, row[k]) for k, (label, row) in enumerate(zip(score.classes, score.confusion.bits, strict=True)) if row
    ]
    told = "; ".join(f"{clean(label)} {wording.number(x, digits=3)}" for label, x in own[:12])
    svg = picture(
        "confusion", lambda ax: plots.confusion(score, ax=ax), alt=f"Bits at the true class: {told}.", height=4.2
    )
    caption = (
        "Mean surprise at each class, by the true one: the darker, the more probable the model finds it. Dark cells "
    )
    return "Confusion in bits", svg, f"{caption}off the diagonal are what the true class is taken for."


def _shown_classes(score: Score) -> list[ClassScore]:
    """All classes, or those with most rows, in column order."""
    if len(score.per_class) <= _MOST_CLASSES:
        return list(score.per_class)
    order = sorted(range(len(score.per_class)), key=lambda k: (-score.per_class[k].n, k))[:_MOST_CLASSES]
    return [score.per_class[k] for k in sorted(order)]


def _strip(score: Score) -> dict[str, float] | None:
    """Places in per cent of interval, value and baseline on a line from 0 to a little beyond."""
    finite = score.infinities.finite
    if finite.value is None or not 0 < score.baseline < math.inf:
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
    return [(clean(k), clean(v, width=300)) for k, v in list(facts.items())[:_MOST_FACTS]]
