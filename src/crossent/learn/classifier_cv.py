"""SoftmaxClassifierCV: softmax regression whose penalty is chosen by the loss on held-out rows."""

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from crossent.errors import ConvergenceWarning, OptionError, UnsupportedError
from crossent.learn.class_weight import ClassWeight, check_class_weight, refuse_unknown_classes, weigh_classes
from crossent.learn.classifier import SoftmaxClassifier
from crossent.learn.folds import check_folds, make_folds
from crossent.learn.path import Path, PathFit, check_l2s, check_rule, choose, follow, penalties
from crossent.learn.solvers import SolverOptions, find_solver
from crossent.learn.training import check_fit_intercept, check_l1, convergence_message
from crossent.learn.training_rows import training_rows
from crossent.learn.types import Floats

if TYPE_CHECKING:
    from crossent.learn.store import SoftmaxModel

__all__ = ["SoftmaxClassifierCV"]


class SoftmaxClassifierCV(SoftmaxClassifier):
    """Softmax regression with the penalty l2 that has the lowest cross-entropy on held-out rows.

        loss(l2) = mean over folds of  sum_i w_i l_i / sum_i w_i  over the fold's held-out rows       [nat]

    Every fold is fitted on its other rows at each penalty, from the largest down, each fit from where the last one
    ended. The chosen penalty is then fitted on all rows; the result is that of `SoftmaxClassifier(l2=l2_)`.

    Args:
        l2s: how many penalties, or the penalties >= 0 themselves. A number takes them evenly on a logarithmic scale,
            from one that leaves next to nothing of the model down to 10^-7 of it, or less where columns differ in
            scale. A penalty means the same for any
            number of rows, as F has the mean of the losses; scikit-learn's C is 1/(l2 N), N the rows trained on.
        cv: number of folds, >= 2, in each of which every class has its share; or pairs (train, test) of positions of
            rows; or an object with split(X, y), as scikit-learn's splitters.
        rule: "best", the lowest mean loss; or "one_se", the largest penalty whose mean loss is within one standard
            error of that: a simpler model that cannot be told from the best. Where that error is not finite, as
            where every penalty has an infinite loss on held-out rows, "one_se" is "best".
        seed: of the order in which rows are dealt to folds; the same seed gives the same folds.
        l1, solver, fit_intercept, class_weight, learning_rate, max_iter, tol: as in `SoftmaxClassifier`, for every
            fit, whose loss is plain cross-entropy of classes. Class weights are of the training; the held-out loss has
            the sample weights only.

    Attributes:
        l2_: the penalty chosen.
        l2s_: [L] the penalties, falling.
        losses_: [folds, L] mean loss of each fold's held-out rows.
        mean_losses_: [L] their means over the folds. standard_errors_: [L] of these means; NaN for a single fold.
        classes_, coef_, intercept_, n_iter_, converged_, steps_, trace_, certificate_, loss_, n_features_in_,
            feature_names_in_: of the fit on all rows, as in `SoftmaxClassifier`.

    If the choice is the last of l2s_ or the first, a wider range may have a better one.

    >>> X = np.linspace(-1, 1, 40)[:, None]
    >>> y = (X[:, 0] + 0.9 * np.cos(50 * X[:, 0]) > 0).astype(int)
    >>> model = SoftmaxClassifierCV(l2s=[1.0, 0.1, 0.01, 0.001]).fit(X, y)
    >>> model.l2_, model.losses_.shape, model.mean_losses_.round(2).tolist()
    (0.01, (5, 4), [0.67, 0.61, 0.59, 0.6])
    """

    l2s_: Floats
    losses_: Floats
    mean_losses_: Floats
    standard_errors_: Floats
    loss = None  # no option here: losses of different kinds on held-out rows would not compare

    def __init__(
        self,
        *,
        l2s: Any = 20,
        cv: Any = 5,
        rule: str = "best",
        seed: int = 0,
        l1: float = 0.0,
        solver: str = "auto",
        fit_intercept: bool = True,
        class_weight: ClassWeight = None,
        learning_rate: float | None = None,
        max_iter: int = 1000,
        tol: float = 1e-6,
    ) -> None:
        self.l2s = l2s
        self.cv = cv
        self.rule = rule
        self.seed = seed
        self.l1 = l1
        self.solver = solver
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose the penalty by cross-validation, and fit all rows with it.

        Args:
            X, y, sample_weight: as in `SoftmaxClassifier.fit`; positions in `cv` are those of these rows.
        Returns: self.
        Raises: as `SoftmaxClassifier.fit`; LabelError for a class that a fold cannot train on, which with cv as a
            number is a class of a single row.

        >>> X = np.linspace(-1, 1, 40)[:, None]
        >>> SoftmaxClassifierCV(l2s=3, cv=4).fit(X, X[:, 0] ** 2 > 0.4 + X[:, 0]).losses_.shape
        (4, 3)
        """
        options = SolverOptions(max_iter=self.max_iter, tol=self.tol, learning_rate=self.learning_rate, seed=self.seed)
        find_solver(self.solver, options)
        l2s = check_l2s(self.l2s)
        check_folds(self.cv)
        check_rule(self.rule)
        check_class_weight(self.class_weight)
        check_fit_intercept(self.fit_intercept)
        l1 = check_l1(self.l1)
        rows = training_rows(X, y, sample_weight)
        refuse_unknown_classes(self.class_weight, rows.classes.tolist())
        folds = make_folds(self.cv, rows, X, y, seed=self.seed)
        if self.rule == "one_se" and len(folds) < 2:
            raise OptionError("rule='one_se' needs the spread of at least 2 folds, and cv has 1. Use rule='best'.")
        if isinstance(l2s, int):
            weight = weigh_classes(self.class_weight, rows.classes.tolist(), rows.codes, sample_weight=rows.weight)
            l2s = penalties(rows, l2s, weight=weight, fit_intercept=self.fit_intercept)
        path = Path(l2s, self.solver, options, self.fit_intercept, self.class_weight, l1)
        fits = [follow(rows, fold, path) for fold in folds]
        self._choose(path, fits)
        final = self._chosen().fit(X, y, sample_weight)
        vars(self).pop("feature_names_in_", None)
        vars(self).update({name: value for name, value in vars(final).items() if name.endswith("_")})
        self._warn_of_path(path, fits)
        return self

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Raises: UnsupportedError, for callbacks follow one fit.

        >>> SoftmaxClassifierCV().set_callbacks()
        Traceback (most recent call last):
            ...
        crossent.errors.UnsupportedError: SoftmaxClassifierCV makes many fits, and callbacks follow one. \
Set them on SoftmaxClassifier(l2=...), with the penalty that was chosen.
        """
        raise UnsupportedError(
            "SoftmaxClassifierCV makes many fits, and callbacks follow one. Set them on SoftmaxClassifier(l2=...), "
            "with the penalty that was chosen."
        )

    def to_model(self, *, target: str = "target") -> "SoftmaxModel":
        """The fitted model as a `SoftmaxModel`, as of `SoftmaxClassifier(l2=l2_)`.

        Args:
            target: name of the target column. Features without names are called x0, x1, ...
        Returns: the `SoftmaxModel`, with the same logits.
        Raises: NotFittedError.

        >>> X = np.linspace(-1, 1, 40)[:, None]
        >>> SoftmaxClassifierCV(l2s=3).fit(X, X[:, 0] ** 2 > 0.4 + X[:, 0]).to_model().features
        ('x0',)
        """
        self._require_fitted()
        model = self._chosen()
        vars(model).update({name: value for name, value in vars(self).items() if name.endswith("_")})
        return model.to_model(target=target)

    def _choose(self, path: Path, fits: list[PathFit]) -> None:
        losses = np.array([fit.losses for fit in fits])
        count = len(fits)
        with np.errstate(invalid="ignore", over="ignore"):  # an infinite loss has no spread
            error = losses.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.full(len(path.l2s), np.nan)
        self.l2s_, self.losses_, self.mean_losses_, self.standard_errors_ = path.l2s, losses, losses.mean(axis=0), error
        self.l2_ = float(path.l2s[choose(self.mean_losses_, error, self.rule)])

    def _chosen(self) -> SoftmaxClassifier:
        """The plain classifier with the penalty chosen, not fitted."""
        shared = SoftmaxClassifier._parameters()
        options = {name: value for name, value in self.get_params().items() if name in shared}
        return SoftmaxClassifier(**options, l2=self.l2_)

    def _warn_of_path(self, path: Path, fits: list[PathFit]) -> None:
        failed = [
            (fold, l2, solution)
            for fold, fit in enumerate(fits)
            for l2, solution in zip(path.l2s, fit.solutions, strict=True)
            if not solution.converged
        ]
        if failed:
            fold, l2, solution = failed[0]
            warnings.warn(
                f"{len(failed)} of the {len(fits) * len(path.l2s)} fits of the path did not converge, the first "
                f"in fold {fold} at l2={l2:.3g}: {convergence_message(self.solver, solution)}",
                ConvergenceWarning,
                stacklevel=3,
            )
