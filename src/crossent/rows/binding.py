"""Binding columns to classes: which columns are the prediction, in which form, and the class of each.

This is the only place that decides it, by these rules.
1. A pattern names the columns: a glob with one `*` ("p_*"), a bare prefix ("p_", as shells expand `*`), or
   the exact name of one column. The target column never matches. What `*` stands for, or what follows the
   prefix, is the class.
2. Classes and targets are compared as canonical text (crossent.rows.columns), exactly. Where a target's
   canonical text differs from the column's spelling only as numbers and booleans do ("1.0", "True"), the
   target's is taken.
3. Every target value needs a column. Further columns are classes without rows; whoever reads the rows checks
   that all columns together sum to 1.
4. One column is the probability (or logit) of one of two classes: `positive`, else "1" of {0, 1}, "true" of
   booleans; text targets need `positive`.
5. Left out, the pattern is inferred from the names in PREFIXES; more than one reading is an error that lists
   them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from crossent.errors import DataError, LabelError, UnsupportedError
from crossent.rows.columns import Kind, canonical_text, cell_text, missing_column
from crossent.wording import did_you_mean, listed, quoted

__all__ = ["PREFIXES", "Binding", "PredictionKind", "bind", "prediction_column"]

PredictionKind: TypeAlias = Literal["probs", "logits", "log_probs"]

# Names that are understood without a pattern; the first of each kind is the one that crossent writes.
PREFIXES: dict[PredictionKind, tuple[str, ...]] = {
    "probs": ("p_", "prob_", "probs_", "proba_", "probability_"),
    "logits": ("z_", "logit_", "logits_"),
    "log_probs": ("logp_", "log_p_", "log_prob_", "log_probs_", "logprob_"),
}
_OPTION: dict[PredictionKind, str] = {"probs": "--probs", "logits": "--logits", "log_probs": "--log-probs"}
_SEPARATORS = "_.-: "
_PAIRS = (("0", "1"), ("false", "true"))


@dataclass(frozen=True)
class Binding:
    """Which column is the truth, which are the prediction, and the class of each.

    `kind` is "probs", "logits" or "log_probs"; `columns` the prediction columns in file order. With several
    columns `classes[k]` is the class of `columns[k]`. With one column `classes` is (negative, positive), and
    `positive` is the class whose probability the column holds; `positive` is None otherwise. `assumed` tells
    what was not said, `pattern` is what the columns were found by (for messages; not compared).
    """

    kind: PredictionKind
    target: str
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    positive: str | None = None
    assumed: str = ""
    pattern: str = field(default="", compare=False)

    def describe(self) -> str:
        """One line for people: what is compared with what."""
        if self.positive is not None:
            negative = next(name for name in self.classes if name != self.positive)
            column = quoted(self.columns[0])
            said = f"{column} is for class {quoted(self.positive)}, the other is {quoted(negative)}"
        else:
            pairs = [f"{quoted(c, 40)} -> {quoted(k, 40)}" for c, k in zip(self.columns, self.classes, strict=True)]
            shown = pairs if len(pairs) <= 6 else [*pairs[:4], "...", pairs[-1]]
            said = f"{len(pairs)} columns, {', '.join(shown)}"
        word = self.kind.replace("_", "-")
        note = f" ({self.assumed})" if self.assumed else ""
        return f"target {quoted(self.target)}; {word} in {said}{note}"


def prediction_column(kind: PredictionKind, name: str) -> str:
    """The column name under which crossent writes the prediction for class `name`; `bind` understands it.

    >>> prediction_column("probs", "cat")
    'p_cat'
    """
    return PREFIXES[kind][0] + name


def bind(
    column_names: Sequence[str],
    *,
    target: str,
    probs: str | None = None,
    logits: str | None = None,
    log_probs: str | None = None,
    positive: str | None = None,
    target_values: Iterable[object] | None = None,
    source: str = "",
) -> Binding:
    """Binds columns to classes by the rules at the top of this module.

    Args:
        column_names: the columns of the file.
        target: the column with the truth.
        probs, logits, log_probs: at most one: a glob with one `*`, a bare prefix, or one column's name;
            inferred if all are left out.
        positive: for a single column, the class it is for.
        target_values: the values that the target takes, as far as known; they are checked against the
            columns.
        source: the file's name, for messages.
    Returns: a `Binding`.
    Raises: DataError (columns missing or ambiguous), LabelError (classes and targets do not fit),
        UnsupportedError (two patterns).

    >>> bind(["y", "p_cat", "p_dog"], target="y").classes
    ('cat', 'dog')
    >>> bind(["y", "p"], target="y", probs="p", target_values=["ham", "spam"], positive="spam").classes
    ('ham', 'spam')
    """
    if target not in column_names:
        raise missing_column(source, target, column_names)
    values = _values(target_values)
    options: dict[PredictionKind, str | None] = {"probs": probs, "logits": logits, "log_probs": log_probs}
    patterns = [(kind, pattern) for kind, pattern in options.items() if pattern is not None]
    if len(patterns) > 1:
        raise UnsupportedError(
            f"Got {' and '.join(_OPTION[kind] for kind, _ in patterns)}; a prediction has one form. Give one."
        )
    asked = _Asked(tuple(n for n in column_names if n != target), target, positive, values, source)
    return asked.read(*patterns[0]) if patterns else asked.infer()


def _values(target_values: Iterable[object] | None) -> tuple[str, ...] | None:
    """Distinct canonical values in the order of their first appearance, without missing ones."""
    if target_values is None:
        return None
    texts = (canonical_text(value) for value in target_values)
    return tuple(dict.fromkeys(text for text in texts if text is not None))


@dataclass(frozen=True)
class _Asked:
    """Everything but the pattern: columns without the target, and what is known of the target."""

    names: tuple[str, ...]
    target: str
    positive: str | None
    values: tuple[str, ...] | None
    source: str

    def read(self, kind: PredictionKind, pattern: str) -> Binding:
        """The binding under one pattern."""
        return replace(self.bound(kind, self.match(kind, pattern)), pattern=pattern)

    def bound(self, kind: PredictionKind, matched: list[tuple[str, str]]) -> Binding:
        """The binding of the columns that a pattern names, each with the text that is its class."""
        if len(matched) == 1:
            (column, suffix) = matched[0]
            return self.single(kind, column, suffix)
        columns = tuple(column for column, _ in matched)
        classes = self.spelled(tuple(suffix for _, suffix in matched))
        self.check(columns, classes)
        return Binding(kind, self.target, columns, classes)

    def match(self, kind: PredictionKind, pattern: str) -> list[tuple[str, str]]:
        """Columns that the pattern names, each with the text that is its class ("" for an exact name)."""
        if "*" not in pattern and pattern in self.names:
            return [(pattern, "")]
        prefix, star, suffix = pattern.partition("*")
        if "*" in suffix:
            raise DataError(f"{_OPTION[kind]} {pattern!r} has more than one *, so the class is not told. Use one *.")
        size = len(prefix) + len(suffix)
        found = [
            (name, name[len(prefix) : len(name) - len(suffix)])
            for name in self.names
            if name.startswith(prefix) and name.endswith(suffix) and len(name) > size
        ]
        if pattern and found:
            return found if star else _without_separator(prefix, found)
        place = f"{self.source}: no" if self.source else "No"
        raise DataError(
            f"{place} column matches {_OPTION[kind]} {pattern!r}.{did_you_mean(pattern, self.names)} "
            f"The columns besides the target are {listed(self.names, 12)}. Give a glob ('p_*'), a prefix "
            "or a name."
        )

    def spelled(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """Classes in the targets' spelling where only that of numbers and booleans differs (rule 2)."""
        values = set(self.values or ())
        forms = [classes]
        kinds: tuple[Kind, ...] = ("number", "boolean")
        for kind in kinds:
            texts = tuple(text for name in classes if (text := cell_text(name, kind)) is not None)
            if len(set(texts)) == len(classes):
                forms.append(texts)
        return max(forms, key=lambda form: len(values.intersection(form)))

    def check(self, columns: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Every target value needs a column (rule 3), and `positive` must be a class."""
        if len(set(classes)) < len(classes):
            raise LabelError(f"{self.where}Two columns stand for the same class: {listed(classes)}. Rename one.")
        if self.positive is not None and self.positive not in classes:
            hint = did_you_mean(self.positive, classes)
            raise LabelError(
                f"{self.where}--positive {self.positive!r} is none of the classes {listed(classes)}.{hint}"
            )
        lacking = [value for value in self.values or () if value not in classes]
        if not lacking:
            return
        K = len(classes)
        numbered = classes == tuple(str(k) for k in range(K))
        if numbered and lacking == [str(K)] and "0" not in (self.values or ()):
            raise LabelError(
                f"{self.where}Labels start at 1: target {quoted(self.target)} goes up to {K}, the columns "
                f"{listed(columns, 4)} from 0 to {K - 1}. Subtract 1 from the target, or name the columns "
                "from 1."
            )
        raise LabelError(
            f"{self.where}Target {quoted(self.target)} takes the value {quoted(lacking[0])}, but no column "
            f"stands for it; the columns stand for {listed(classes)}.{did_you_mean(lacking[0], classes)} "
            "Every class needs a column of its own: add it, or rename the columns as the target's values."
        )

    def single(self, kind: PredictionKind, column: str, suffix: str) -> Binding:
        """One column: the two classes and which of them it is for (rule 4)."""
        values = self.values
        if values is not None and len(values) > 2:
            raise LabelError(
                f"{self.where}Target {quoted(self.target)} takes {len(values)} values ({listed(values)}), "
                f"but {quoted(column)} is a single column, which tells two classes apart. Give one column "
                "per class."
            )
        named = self.named(suffix)
        if self.positive is None and named is None:
            return self.conventional(kind, column)
        positive = self.positive if self.positive is not None else str(named)
        assumed = "" if self.positive is not None else "from the column's name"
        return Binding(kind, self.target, (column,), (self.other(positive), positive), positive, assumed)

    def named(self, suffix: str) -> str | None:
        """The class that a single column's name tells, None if it tells none."""
        (name,) = self.spelled((suffix,))
        values = self.values
        paired = any(name in pair and set(values or ()) <= set(pair) for pair in _PAIRS)
        return name if suffix and (values is None or name in values or paired) else None

    def conventional(self, kind: PredictionKind, column: str) -> Binding:
        """One column and nothing said: 1 of {0, 1} and true of booleans is positive."""
        for pair in _PAIRS:
            if self.values is None or set(self.values) <= set(pair):
                note = f"{pair[1]} taken as the positive class"
                return Binding(kind, self.target, (column,), pair, pair[1], note)
        values = self.values or ()
        example = " or ".join(f"--positive {value!r}" for value in values)
        raise LabelError(
            f"{self.where}{quoted(column)} is a single column and target {quoted(self.target)} takes "
            f"the values {listed(values)}; which of them is the column for? Say {example}."
        )

    def other(self, positive: str) -> str:
        """The class that `positive` is told from."""
        for pair in _PAIRS:
            if positive in pair and set(self.values or ()) <= set(pair):
                return pair[1 - pair.index(positive)]
        if self.values is None:
            raise LabelError(f"{self.where}The class besides --positive {positive!r} is not known; give target_values.")
        rest = [value for value in self.values if value != positive]
        if len(rest) != 1:
            hint = did_you_mean(positive, self.values)
            raise LabelError(
                f"{self.where}--positive is {positive!r}, but target {quoted(self.target)} takes the values "
                f"{listed(self.values)}.{hint} It must be one of two values."
            )
        return rest[0]

    def infer(self) -> Binding:
        """The one reading of the column names, if there is exactly one (rule 5)."""
        readings: list[tuple[PredictionKind, str]] = []
        for kind, prefixes in PREFIXES.items():
            readings += [(kind, p + "*") for p in prefixes if any(n.startswith(p) and n != p for n in self.names)]
            readings += [(kind, n) for p in prefixes if (n := p.rstrip("_")) in self.names]
        fitting: list[tuple[tuple[PredictionKind, str], Binding]] = []
        errors: list[LabelError] = []
        for reading in readings:
            try:
                fitting.append((reading, self.read(*reading)))
            except LabelError as error:
                errors.append(error)
        if len(fitting) == 1:
            return fitting[0][1]
        if len(readings) == 1:
            raise errors[0]
        listed_readings = [reading for reading, _ in fitting] or readings
        commands = ", or ".join(f"{_OPTION[kind]} {pattern!r}" for kind, pattern in listed_readings)
        if commands:
            raise DataError(f"{self.where}The columns can be read in more than one way. Say which: {commands}.")
        raise DataError(
            f"{self.where}No column is called like a prediction (p_CLASS, z_CLASS, logp_CLASS). The columns "
            f"besides the target are {listed(self.names, 12)}. Say which they are: --probs, --logits or "
            "--log-probs 'PREFIX*'."
        )

    @property
    def where(self) -> str:
        """The file's name in front of a message."""
        return f"{self.source}: " if self.source else ""


def _without_separator(prefix: str, found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """For a bare prefix such as "p": takes the "_" that follows it everywhere for a part of the prefix."""
    first = found[0][1][0]
    separated = all(len(rest) > 1 and rest[0] == first for _, rest in found)
    if prefix[-1] in _SEPARATORS or first not in _SEPARATORS or not separated:
        return found
    return [(name, rest[1:]) for name, rest in found]
