"""Summary: what a fitted model says of its coefficients, with standard errors, as statistics packages print it.

`fit` keeps no rows, and standard errors need them: `SoftmaxClassifier.summary` takes them again, and refuses rows on
which the model does not have the loss that it was trained to.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crossent.core.types import NDArray
from crossent.errors import DataError, LabelError, OptionError, UnsupportedError
from crossent.learn.objective import penalty_l1
from crossent.learn.standard_errors import contrasts
from crossent.learn.training import prepared
from crossent.learn.training_rows import TrainingRows, training_rows
from crossent.learn.types import Floats
from crossent.stats.quantiles import normal_quantile
from crossent.wording import aligned

if TYPE_CHECKING:
    from crossent.learn.classifier import SoftmaxClassifier

__all__ = ["Summary", "summarise"]

_SAME_LOSS = 1e-6  # relative
_LEAST_LOSS = 1e-3  # below it, absolute
_TOLD = 0.01  # standard errors between fit and optimum


@dataclass(frozen=True, eq=False)
class Summary:
    """Coefficients of C classes against a reference class, [C, P] each, and how well the model fits.

        theta_k = coef_k - coef_reference          se = sqrt(diag(information^-1))
        z = theta / se,   p = P(|Z| >= |z|),   interval theta -+ q se,   odds ratio exp(theta)

    Attributes:
        reference: the class that the others are compared with.
        classes: the C other classes.
        terms: the P parameters of a class: "intercept", if there is one, and the features.
        coef: theta, the change of the log odds of the class against the reference per unit of the feature; at the
            optimum, to which Newton steps go on from where the fit ended.
        standard_errors, z, p_values: of theta; p of the normal distribution, two-sided.
        lower, upper: ends of the interval.
        odds_ratios, odds_lower, odds_upper: exp of theta and of its interval.
        covariance: [C P, C P] of theta, class by class.
        confidence: coverage of the intervals.
        rows: N, the sum of the weights.
        log_likelihood: of the rows, in nats. null_log_likelihood: of the class shares alone.
        mcfadden_r2: 1 - log_likelihood / null_log_likelihood.
        aic, bic: -2 log_likelihood + 2 C P, and with log N in place of 2; None with a penalty.
        l2: the penalty.
        notes: what to keep in mind.

    `str()` gives a table, `to_dict()` plain values.

    >>> from crossent.learn import SoftmaxClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], [0, 0, 1, 0, 1, 1]
    >>> summary = SoftmaxClassifier(l2=0).fit(X, y).summary(X, y)
    >>> print(summary)
    Softmax regression, log odds against class 0
    <BLANKLINE>
    rows                             6
    log-likelihood             -2.4780
    of the class shares alone  -4.1589
    McFadden R^2                0.4042
    AIC                         8.9560
    BIC                         8.5395
    <BLANKLINE>
    class 1       coef  std err        z       p  95 % low    high  odds ratio        low     high
    intercept  -3.0351   2.5457  -1.1922  0.2332   -8.0246  1.9544      0.0481  3.273e-04   7.0599
    x0          1.2140   0.9126   1.3303  0.1834   -0.5746  3.0027      3.3670     0.5629  20.1391
    """

    reference: Any
    classes: tuple[Any, ...]
    terms: tuple[str, ...]
    coef: Floats
    standard_errors: Floats
    z: Floats
    p_values: Floats
    lower: Floats
    upper: Floats
    odds_ratios: Floats
    odds_lower: Floats
    odds_upper: Floats
    covariance: Floats
    confidence: float
    rows: float
    log_likelihood: float
    null_log_likelihood: float
    mcfadden_r2: float
    aic: float | None
    bic: float | None
    l2: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, arrays as lists.

        >>> from crossent.learn import SoftmaxClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
        >>> SoftmaxClassifier().fit(X, y).summary(X, y).to_dict()["terms"]
        ('intercept', 'x0')
        """
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}

    def __str__(self) -> str:
        return "\n\n".join([_facts(self), *_tables(self), *(f"Note: {note}" for note in self.notes)])


def _facts(summary: Summary) -> str:
    facts = [
        ("rows", f"{summary.rows:,.10g}"),
        ("log-likelihood", f"{summary.log_likelihood:.4f}"),
        ("of the class shares alone", f"{summary.null_log_likelihood:.4f}"),
        ("McFadden R^2", f"{summary.mcfadden_r2:.4f}"),
    ]
    if summary.aic is not None and summary.bic is not None:
        facts += [("AIC", f"{summary.aic:.4f}"), ("BIC", f"{summary.bic:.4f}")]
    kind = f"Softmax regression, log odds against class {summary.reference}"
    if summary.l2 > 0:
        kind += (
            f"\nPenalised, l2={summary.l2:g}: coefficients are drawn towards 0, and errors are those of the penalised "
            "likelihood"
        )
    return f"{kind}\n\n{aligned(facts, left=1)}"


def _tables(summary: Summary) -> list[str]:
    """One for each class, with the same columns under each other."""
    level = f"{100 * summary.confidence:g} %"
    columns = (summary.coef, summary.standard_errors, summary.z)
    ends = (summary.lower, summary.upper, summary.odds_ratios, summary.odds_lower, summary.odds_upper)
    rows: list[tuple[str, ...]] = []
    for k, label in enumerate(summary.classes):
        names = ("coef", "std err", "z", "p", f"{level} low", "high", "odds ratio", "low", "high")
        rows.append((f"class {label}", *names))
        for j, term in enumerate(summary.terms):
            p = summary.p_values[k, j]
            rows.append(
                (
                    term,
                    *(_number(column[k, j]) for column in columns),
                    "<0.0001" if p < 1e-4 else f"{p:.4f}",
                    *(_number(column[k, j]) for column in ends),
                )
            )
    lines, height = aligned(rows, left=1).split("\n"), 1 + len(summary.terms)
    return ["\n".join(lines[start : start + height]) for start in range(0, len(lines), height)]


def _number(x: float) -> str:
    return f"{x:.4f}" if x == 0 or 1e-3 <= abs(x) < 1e5 else f"{x:.3e}"


def summarise(
    model: "SoftmaxClassifier", X: Any, y: Any, sample_weight: Any, *, reference: Any, confidence: float
) -> Summary:
    """See `SoftmaxClassifier.summary`."""
    model._require_fitted()
    if model.class_weight is not None:
        raise UnsupportedError(
            "summary() of a model with class_weight: what it maximised is not the likelihood of the rows, so that the "
            "information gives no standard errors. Fit with class_weight=None."
        )
    if model.loss is not None:
        raise UnsupportedError(
            f"summary() of a model with loss={model.loss!r}: standard errors are those of maximum likelihood. Fit with "
            "loss=None, which is plain cross-entropy."
        )
    if not 0 < confidence < 1:
        raise OptionError(f"confidence is {confidence!r}; it must be a number > 0 and < 1, for instance 0.95.")
    names = getattr(model, "feature_names_in_", None)
    width = model.n_features_in_
    rows = training_rows(X, y, sample_weight, owner=type(model).__name__, width=width, names=names)
    against = _reference(model.classes_, reference)
    if not np.array_equal(rows.classes, model.classes_):
        raise LabelError(
            f"y has the classes {rows.classes.tolist()}, the model {model.classes_.tolist()}. summary() needs the rows "
            "of fit: pass the same X, y and sample_weight."
        )
    features = [f"x{j}" for j in range(width)] if names is None else [str(name) for name in names]
    return _of_rows(model, rows, against, ["intercept", *features] if model.fit_intercept else features, confidence)


def _reference(classes: NDArray, label: Any) -> int:
    """Index of the reference class; None is the first."""
    if label is None:
        return 0
    found = [k for k, known in enumerate(classes.tolist()) if known == label]
    if not found:
        raise LabelError(
            f"reference is {label!r}, which is not one of the classes {classes.tolist()}. Name one of them."
        )
    return found[0]


def _of_rows(
    model: "SoftmaxClassifier", rows: TrainingRows, reference: int, terms: list[str], confidence: float
) -> Summary:
    objective = prepared(
        rows.matrix, rows.codes, outputs=rows.outputs, sample_weight=rows.weight, l2=model.l2_, l1=model.l1,
        fit_intercept=model.fit_intercept,
    )  # fmt: skip
    point = objective.parameters(model.coef_, model.intercept_)
    loss, trained = float(objective.value_and_grad(point).value) + penalty_l1(objective, point), model.trace_[-1]
    if not abs(loss - trained) <= _SAME_LOSS * max(trained, _LEAST_LOSS):
        raise DataError(
            f"The loss of these rows is {loss:.9g}, and fit ended at {trained:.9g}: they are not the rows of fit. "
            "Pass the same X, y and sample_weight."
        )
    found = contrasts(objective, model.coef_, model.intercept_, reference=reference, codes=rows.codes, terms=terms)
    theta, covariance, optimum, distance = found
    loss = float(objective.value_and_grad(optimum).value)
    counts = np.bincount(rows.codes, weights=rows.weight).astype(np.float64)
    penalty = 0.5 * float(objective.l2 @ optimum**2)
    fit = _fit(-(loss - penalty) * objective.mass, counts, theta.size, penalised=objective.l2_strength > 0)
    classes = model.classes_.tolist()
    return Summary(
        reference=classes.pop(reference), classes=tuple(classes), terms=tuple(terms), coef=theta, covariance=covariance,
        confidence=confidence, rows=float(counts.sum()), l2=objective.l2_strength, notes=_notes(rows, distance),
        **_tests(theta, covariance, confidence), **fit,
    )  # fmt: skip


def _tests(theta: Floats, covariance: Floats, confidence: float) -> dict[str, Any]:
    """Errors, tests and intervals of normal estimates."""
    se = np.sqrt(covariance.diagonal()).reshape(theta.shape)
    z, reach = theta / se, normal_quantile(0.5 + confidence / 2) * se
    tails = [math.erfc(abs(each) / math.sqrt(2)) for each in z.flat]
    lower, upper = theta - reach, theta + reach
    with np.errstate(over="ignore"):
        odds = {"odds_ratios": np.exp(theta), "odds_lower": np.exp(lower), "odds_upper": np.exp(upper)}
    p_values = np.array(tails).reshape(theta.shape)
    return {"standard_errors": se, "z": z, "p_values": p_values, "lower": lower, "upper": upper, **odds}


def _fit(log_likelihood: float, counts: Floats, parameters: int, *, penalised: bool) -> dict[str, Any]:
    """How well the model fits, beside the class shares alone."""
    n = float(counts.sum())
    null = float(counts @ np.log(counts / n))
    return {
        "log_likelihood": log_likelihood,
        "null_log_likelihood": null,
        "mcfadden_r2": 1 - log_likelihood / null,
        "aic": None if penalised else 2 * parameters - 2 * log_likelihood,
        "bic": None if penalised else parameters * math.log(n) - 2 * log_likelihood,
    }


def _notes(rows: TrainingRows, distance: float) -> tuple[str, ...]:
    notes = []
    if distance > _TOLD:
        notes.append(
            f"the table is of the optimum; coef_ of the fit is {distance:.2g} standard errors from it. A smaller tol "
            "brings it nearer."
        )
    if rows.weight is not None and not (rows.weight == 1).all():
        notes.append("sample_weight counts rows: weight 2 is the same row seen twice, and errors shrink accordingly.")
    return tuple(notes)
