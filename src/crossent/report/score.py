"""A Score as tables: numbers, where the loss comes from, calibration, segments, classes, worst rows."""

from crossent.report.tables import ALL, LABEL_WIDTH, Most, Segment, Table, cut, segment_tables
from crossent.report.wording import (
    BIT,
    alike,
    caveats,
    clipping_remark,
    finite,
    interval,
    level,
    marked,
    method,
    number,
    p_value,
    prior,
    share,
    standard_error,
    told_interval,
    value,
)
from crossent.scoring import Score
from crossent.scoring.score import ClassScore
from crossent.stats import Estimate
from crossent.stats.decomposition import Decomposition
from crossent.stats.score_tests import CalibrationTest
from crossent.wording import clean, counted

__all__ = ["score_tables"]

_UNSURE = 0.005  # of an AUC: beyond this the text says so


def score_tables(score: Score, most: Most = ALL) -> list[Table]:
    """All tables of a Score, in the order of reading."""
    made = [
        _numbers(score),
        _facts(score),
        _infinities(score),
        _decomposition(score),
        _calibration(score),
        *_segments(score, most.segments),
        _classes(score, most.classes),
        _one_against_rest(score, most.classes),
        _worst(score, most.worst),
    ]
    return [table for table in made if table.rows or table.remarks]


def _numbers(score: Score) -> Table:
    nats, in_bits = score.log_loss, score.log_loss_bits
    gained = None if score.bits_gained is None else score.bits_gained * BIT
    rows = (
        ("", "nat", "bit"),
        ("log loss", value(nats), value(in_bits)),
        ("standard error", standard_error(nats), standard_error(in_bits)),
        (f"{level(nats.confidence)} interval", _ends(nats), _ends(in_bits)),
        (prior(score), number(score.baseline), number(score.baseline_bits)),
        ("gained per row", number(gained), number(score.bits_gained)),
    )
    return Table("numbers", rows)


def _ends(estimate: Estimate) -> str:
    return interval(estimate) or "not estimable"


def _facts(score: Score) -> Table:
    rows = f"{score.n:,}"
    if abs(score.effective_n - score.n) > 1e-9 * score.n:
        rows += f" (effective {number(score.effective_n)})"
    units = f", {score.infinities.finite.n:,} of them" if score.clustered else ""
    means = [share(x) for x in (score.macro.precision, score.macro.recall, score.macro.f1)]
    facts = [
        ("rows", rows),
        ("interval", method(score) + units),
        ("skill", "not estimable" if score.skill is None else number(score.skill)),
        ("effective classes", f"{number(score.effective_classes)} of {len(score.classes):,}"),
        ("worst 1 % of rows", _known(score.worst_share, f"of the {finite(score)}loss")),
        ("accuracy", f"{share(score.accuracy.value)} ({told_interval(score.accuracy, write=share)})"),
        ("mean over classes", f"precision {means[0]}, recall {means[1]}, F1 {means[2]}"),
        ("Brier score", number(score.brier)),
    ]
    if score.auc is not None:
        off = score.auc_bound or 0.0
        unsure = f" (to within {number(off, digits=2)}: p lie close together)" if off > _UNSURE else ""
        facts.append(("AUC", number(score.auc) + unsure))
    return Table("facts", tuple(facts), left=2)


def _known(x: float | None, of: str) -> str:
    return "not estimable" if x is None else f"{share(x)} {of}"


def _infinities(score: Score) -> Table:
    found = score.infinities
    if not any((found.rows, *found.below.values())):
        return Table("infinities", ())
    below = ", ".join(f"{count:,} below {bound}" for bound, count in found.below.items())
    lines = [f"Rows by probability at the true class: {found.rows:,} at 0, {below}."]
    lines += [f"{found.note}."] if found.note else []
    lines += [remark] if (remark := clipping_remark(score)) else []
    return Table("infinities", (), remarks=tuple(lines))


def _decomposition(score: Score) -> Table:
    parts = score.decomposition
    if parts is None:
        return Table("decomposition", ())
    remarks: tuple[str, ...] = ()
    if isinstance(parts, Decomposition):
        known, lost = ("discrimination", parts.dsc), ("miscalibration", parts.mcb)
    else:
        known, lost = ("knowledge", parts.knowledge), ("temperature miscalibration", parts.miscalibration)
        remarks = ("Temperature miscalibration is a lower bound: other miscalibration counts as lack of knowledge.",)
    steps = (
        ("class shares alone", parts.unc),
        (f"\N{MINUS SIGN} {known[0]}", known[1]),
        (f"+ {lost[0]}", lost[1]),
        (f"= {finite(score) if not isinstance(parts, Decomposition) else ''}log loss{_given(score)}", parts.loss),
    )
    nats = [nats for _, nats in steps]
    columns = (alike(nats), alike([x / BIT for x in nats]))
    rows = tuple(zip((name for name, _ in steps), *columns, strict=True))
    return Table("decomposition", (("where the loss comes from", "nat", "bit"), *rows), remarks=remarks)


def _given(score: Score) -> str:
    """Says that the loss in the decomposition is not the clipped one."""
    return ", not clipped" if any(note.endswith("not clipped") for note in score.notes) else ""


def _calibration(score: Score) -> Table:
    """Each measure beside what it is where the probabilities are right."""
    corp = score.decomposition if isinstance(score.decomposition, Decomposition) else score.top
    binned, smooth = score.calibration_error, score.smooth_calibration_error
    rows: list[tuple[str, ...]] = [("calibration", "value", "if calibrated", "95 % below", "z", "p")]
    if corp is not None:
        null = (corp.mcb_null, corp.mcb_null_upper)
        rows.append(_redrawn("miscalibration [nat]", corp.mcb, *null, corp.p_value))
    if binned is not None:
        null = (binned.naive_null, binned.naive_null_upper)
        rows.append(_redrawn(f"ECE, {counted(binned.bins, 'bin')}", binned.naive, *null, binned.p_value))
        rows.append(("ECE\N{SUPERSCRIPT TWO}, debiased", number(binned.debiased_square), "0", "", "", ""))
    if smooth is not None:
        rows.append(_redrawn("smooth ECE", smooth.value, smooth.null, smooth.null_upper, smooth.p_value))
    rows += [_tested("entropy gap [nat]", score.entropy_gap), _tested("Spiegelhalter", score.spiegelhalter)]
    best = score.temperature
    if best is not None:
        rows.append(("best temperature", best.beyond or number(best.value), "1", "", "", ""))
    return Table("calibration", tuple(rows), remarks=tuple(_calibration_remarks(score)))


def _redrawn(name: str, found: float, null: float, upper: float, p: float) -> tuple[str, ...]:
    return (name, number(found), number(null), number(upper), "", p_value(p))


def _tested(name: str, test: CalibrationTest) -> tuple[str, ...]:
    mark = " !" if test.mark else ""
    return (name, number(test.value), "0", "", number(test.z, digits=3), p_value(test.p_value) + mark)


def _calibration_remarks(score: Score) -> list[str]:
    remarks = []
    if any((score.calibration_error, score.smooth_calibration_error, score.top)):
        remarks.append(f"Miscalibration and ECE are of the event that {clean(score.reliability_of)}.")
    if score.clustered:
        remarks.append("All p-values here take rows as independent; rows of one cluster may not be.")
    tests = {"Entropy gap": score.entropy_gap, "Spiegelhalter": score.spiegelhalter}
    remarks += [f"! {name}: {test.mark}." for name, test in tests.items() if test.mark]
    remarks += [f"{name}: no test, {test.why}." for name, test in tests.items() if test.why]
    best = score.temperature
    if best is not None and best.why and not best.beyond:
        remarks.append(f"Temperature: {best.why}.")
    elif best is not None:
        se = "" if best.se is None else f" (standard error {number(best.se, digits=2)})"
        without = f"; {counted(best.left_out)} left out" if best.left_out else ""
        at = best.beyond or number(best.value)
        remarks.append(f"Temperature {at}{se} would save {number(best.gain, digits=3)} nat on these rows{without}.")
    return remarks


def _segments(score: Score, most: int) -> list[Table]:
    found = [Segment(s.column, s.value, s.n, s.log_loss, s.p_value, s.p_adjusted) for s in score.segments]
    return segment_tables(found, what="loss", null="equals that of all rows", most=most)


def _classes(score: Score, most: int) -> Table:
    kept = cut(score.per_class, most)
    rows = [("class", "rows", "share", "loss", "std error", "recall", "precision", "F1")]
    rows += [
        (
            clean(c.label, width=LABEL_WIDTH),
            f"{c.n:,}",
            share(c.prior),
            value(c.log_loss),
            marked(c.log_loss),
            share(c.recall.value if c.recall else None),
            share(c.precision.value if c.precision else None),
            share(c.f1),
        )
        for c in kept
    ]
    remarks = caveats(c.log_loss for c in kept)
    if len(kept) < len(score.per_class):
        remarks.append(f"and {len(score.per_class) - len(kept):,} rarer classes")
    return Table("classes", tuple(rows), remarks=tuple(remarks))


def _one_against_rest(score: Score, most: int) -> Table:
    """Each class by its own binary loss."""
    known = [c for c in score.per_class if c.rest is not None]
    kept = [(c, c.rest) for c in cut(known, most) if c.rest]
    if not kept:
        return Table("one against the rest", ())
    rows: list[tuple[str, ...]] = [
        ("one against the rest", "loss", "share alone", "discrim.", "miscal.", "by chance", "p", "AUC")
    ]
    names = (clean(c.label, width=LABEL_WIDTH) for c, _ in kept)
    parts = [(d.loss, d.unc, d.dsc, d.mcb, d.mcb_null) for _, d in kept]
    written = alike([x for row in parts for x in row])
    columns = [written[k :: len(parts[0])] for k in range(len(parts[0]))]
    p_values = (p_value(d.p_value) for _, d in kept)
    rows += zip(names, *columns, p_values, _areas([c for c, _ in kept]), strict=True)
    remark = "loss = share alone \N{MINUS SIGN} discrimination + miscalibration, by the class's own loss."
    off = max(c.auc_bound or 0.0 for c, _ in kept)
    unsure = (f"! AUC to within {number(off, digits=2)} or less: p lie close together.",) if off > _UNSURE else ()
    return Table("one against the rest", tuple(rows), remarks=(remark, *unsure))


def _areas(classes: list[ClassScore]) -> list[str]:
    """Each area under the curve, with an exclamation mark where cells do not tell it."""
    areas = alike([c.auc for c in classes])
    return [area + (" !" if (c.auc_bound or 0.0) > _UNSURE else "") for area, c in zip(areas, classes, strict=True)]


def _worst(score: Score, most: int | None) -> Table:
    if not score.worst:
        return Table("worst", ())
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
        for r in score.worst[:most]
    ]
    return Table("worst", tuple(rows))
