"""A Score as text for a terminal: the verdict, the numbers, the classes, the worst rows."""

from crossent.report.wording import (
    TOO_FEW,
    clean,
    clipping_remark,
    finite,
    interval,
    level,
    number,
    share,
    standard_error,
    told_interval,
    value,
    verdict,
)
from crossent.scoring import Score
from crossent.wording import aligned

__all__ = ["to_text"]

_MOST_CLASSES = 40


def to_text(score: Score) -> str:
    """The report for a terminal: verdict, numbers, classes, worst rows, notes.

    Args:
        score: a Score.
    Returns: lines of text without colour or control characters, ending in a newline.

    >>> from crossent.scoring import Tally
    >>> tally = Tally(["cat", "dog"])
    >>> tally.update([0, 1, 1], [[0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> to_text(tally.result()).splitlines()[6].split("  ")[0]
    'class shares alone'
    """
    blocks = [
        verdict(score),
        _numbers(score),
        _facts(score),
        _infinities(score),
        _classes(score),
        _worst(score),
    ]
    notes = "\n".join(f"Note: {clean(note, width=400)}" for note in score.notes)
    return "\n\n".join(block for block in (*blocks, notes) if block) + "\n"


def _numbers(score: Score) -> str:
    nats, bits = score.log_loss, score.log_loss_bits
    rows = [
        ("", "nat", "bit"),
        ("log loss", value(nats), value(bits)),
        ("standard error", standard_error(nats), standard_error(bits)),
        (
            f"{level(nats.confidence)} interval",
            interval(nats) or "not estimable",
            interval(bits) or "not estimable",
        ),
        ("class shares alone", number(score.baseline), number(score.baseline_bits)),
        ("gained per row", number(score.baseline - (nats.value or 0.0)), number(score.bits_gained)),
    ]
    return aligned(rows, left=1)


def _facts(score: Score) -> str:
    rows = f"{score.n:,}"
    if abs(score.effective_n - score.n) > 1e-9 * score.n:
        rows += f" (effective {number(score.effective_n)})"
    facts = [
        ("rows", rows),
        ("skill", "not estimable" if score.skill is None else number(score.skill)),
        ("accuracy", f"{share(score.accuracy.value)} ({told_interval(score.accuracy, write=share)})"),
        ("effective classes", f"{number(score.effective_classes)} of {len(score.classes):,}"),
        ("worst 1 % of rows", f"{share(score.worst_share)} of the {finite(score)}loss"),
    ]
    return aligned(facts, left=2)


def _infinities(score: Score) -> str:
    found = score.infinities
    if not any((found.rows, *found.below.values())):
        return ""
    below = ", ".join(f"{count:,} below {bound}" for bound, count in found.below.items())
    lines = [f"Rows by probability at the true class: {found.rows:,} at 0, {below}."]
    if found.note:
        lines.append(f"{found.note}.")
    lines += [remark] if (remark := clipping_remark(score)) else []
    return "\n".join(lines)


def _classes(score: Score) -> str:
    shown = sorted(score.per_class, key=lambda c: -c.n)[:_MOST_CLASSES]
    kept = [c for c in score.per_class if c in shown] if len(score.per_class) > _MOST_CLASSES else score.per_class
    rows = [("class", "rows", "share", "loss", "std error", "recall", "precision")]
    rows += [
        (
            clean(c.label, width=24),
            f"{c.n:,}",
            share(c.prior),
            value(c.log_loss),
            standard_error(c.log_loss) + (" !" if c.log_loss.mark else ""),
            share(c.recall.value if c.recall else None),
            share(c.precision),
        )
        for c in kept
    ]
    lines = [aligned(rows, left=1)]
    if any(c.log_loss.mark for c in kept):
        lines.append(f"! {TOO_FEW}")
    if len(kept) < len(score.per_class):
        lines.append(f"and {len(score.per_class) - len(kept):,} rarer classes")
    return "\n".join(lines)


def _worst(score: Score) -> str:
    if not score.worst:
        return ""
    rows = [("worst rows", "row", "true", "predicted", "p(true)", "loss")]
    rows += [
        (
            clean(r.source, width=32),
            str(r.row + 1),
            clean(r.target, width=20),
            clean(r.predicted, width=20),
            number(r.p_target, digits=3),
            number(r.loss),
        )
        for r in score.worst
    ]
    return aligned(rows, left=1)
