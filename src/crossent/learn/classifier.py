"""SoftmaxClassifier: softmax regression by minimised cross-entropy, with scikit-learn's conventions."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from crossent.core.matrix import DenseMatrix
from crossent.core.types import NDArray
from crossent.errors import LabelError
from crossent.learn.checks import feature_matrix, feature_names, label_column, require_same_names, row_weights
from crossent.learn.class_weight import (
    ClassWeight,
    check_class_weight,
    recordable,
    refuse_unknown_classes,
    weigh_classes,
)
from crossent.learn.conventions import Conventions, warn_column_vector
from crossent.learn.inference import decide, linear_logits, log_probabilities, probabilities
from crossent.learn.solvers import SolverOptions
from crossent.learn.training import check_fit_intercept, train, warn_unless_converged
from crossent.learn.types import Floats

if TYPE_CHECKING:
    from crossent.learn.store import SoftmaxModel
    from crossent.learn.summary import Summary

__all__ = ["SoftmaxClassifier", "coded"]


class SoftmaxClassifier(Conventions):
    """Softmax regression: class probabilities from a linear model, fitted by minimising their cross-entropy.

        F = sum_i w_i l_i / sum_i w_i + l2 / 2 * sum_kj coef_kj^2                    [nat]

    with l_i the cross-entropy of row i, w_i = sample_weight_i * class_weight of its class, and the intercept
    free of the penalty. Weights count rows: weight 2 is the row twice, weight 0 is no row. Two classes have
    one logit, that of the second class, and `coef_` of shape (1, D); K > 2 classes have K logits and `coef_`
    of shape (K, D).

    Args:
        solver: "lbfgs", which needs no tuning and may take features of any scale; or "gd", plain gradient
            descent exactly as tutorials write it: weights start at 0, every step is learning_rate times the
            gradient of F.
        l2: penalty >= 0; None means 1/N with N = sum_i w_i. scikit-learn's C is 1/(l2 N), so the default is
            its C=1.
        fit_intercept: whether the logits have an intercept.
        class_weight: None, "balanced" (class k counts N / (K N_k) times, N_k its total weight), or a mapping
            {class: weight > 0}, in which classes that are left out count once.
        learning_rate: step length of "gd".
        max_iter: most iterations.
        tol: stop when the largest absolute gradient entry is <= tol ("gd" with tol=0 goes on unless it is 0;
            "lbfgs" measures the gradient with respect to the coefficients of standardised features).

    Attributes:
        classes_: [K] the sorted distinct labels.
        coef_, intercept_: the model, for features as given.
        n_iter_: iterations done. converged_: whether tol was reached.
        trace_: F at the start and after every iteration, n_iter_ + 1 floats.
        l2_: the penalty used.
        n_features_in_, feature_names_in_: D, and the column names if X was a frame with text names.

    >>> X, y = [[1, 2], [3, 4], [5, 6], [7, 8]], [0, 1, 1, 0]
    >>> model = SoftmaxClassifier(solver="gd", learning_rate=0.1, fit_intercept=False, l2=0).fit(X, y)
    >>> model.coef_, round(model.trace_[-1], 12)
    (array([[0., 0.]]), 0.69314718056)

    In that example of many tutorials nothing is learnt, however many steps are made: at w = [0, 0] every
    probability is 1/2, the gradient is (1 - 3 - 5 + 7, 2 - 4 - 6 + 8) / 8 = (0, 0) exactly, and ln 2 is the
    lowest loss a linear model without intercept can have there.
    """

    classes_: NDArray
    coef_: Floats
    intercept_: Floats
    n_iter_: int
    converged_: bool
    trace_: list[float]
    l2_: float
    n_features_in_: int
    feature_names_in_: NDArray

    def __init__(
        self,
        *,
        solver: str = "lbfgs",
        l2: float | None = None,
        fit_intercept: bool = True,
        class_weight: ClassWeight = None,
        learning_rate: float | None = None,
        max_iter: int = 1000,
        tol: float = 1e-6,
    ) -> None:
        self.solver = solver
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model by minimising F; a ConvergenceWarning says why it stopped early and what to do.

        Args:
            X: [N, D] finite features: an array, lists, or a data frame of numbers.
            y: [N] labels: whole numbers, text or booleans, at least two distinct ones.
            sample_weight: [N] weights >= 0, or None for 1 each; rows of weight 0 are left out.
        Returns: self.
        Raises: ShapeError, DtypeError, DataError, NonFiniteError, UnsupportedError, LabelError (fewer than two
            classes, missing labels, fractions), WeightError, OptionError.

        >>> SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]).classes_.tolist()
        ['a', 'b']
        """
        options = SolverOptions(max_iter=self.max_iter, tol=self.tol, learning_rate=self.learning_rate)
        check_class_weight(self.class_weight)
        names = feature_names(X)
        features = feature_matrix(X, names=names)
        labels, is_column = label_column(y, rows=len(features), shape=features.shape)
        if is_column:
            warn_column_vector((len(labels), 1))
        weights = row_weights(sample_weight, rows=len(features))
        refuse_unknown_classes(self.class_weight, labels.tolist())
        if weights is not None and not weights.all():
            features, labels, weights = features[weights > 0], labels[weights > 0], weights[weights > 0]
        classes, codes = coded(labels)
        result = train(
            DenseMatrix(features),
            codes,
            outputs=1 if len(classes) == 2 else len(classes),
            sample_weight=weigh_classes(self.class_weight, classes.tolist(), codes, sample_weight=weights),
            l2=self.l2,
            fit_intercept=check_fit_intercept(self.fit_intercept),
            solver=self.solver,
            options=options,
        )
        self.classes_, self.coef_, self.intercept_ = classes, result.coef, result.intercept
        self.n_iter_, self.converged_ = result.solution.iterations, result.solution.converged
        self.trace_, self.l2_ = [step.loss for step in result.solution.steps], result.l2
        self._remember_features(features.shape[1], names)
        warn_unless_converged(self.solver, result.solution)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Logits z = X coef_^T + intercept_.

        Args:
            X: [N, D] finite features, in the columns and order of `fit`.
        Returns: [N] for two classes (the logit of classes_[1]), [N, K] for more; float64.
        Raises: NotFittedError, ShapeError, DtypeError, DataError, NonFiniteError, UnsupportedError.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.decision_function([[1.5]]).round(6).tolist()
        [0.0]
        """
        self._require_fitted()
        names = feature_names(X)
        require_same_names(names, getattr(self, "feature_names_in_", None))
        features = feature_matrix(X, names=names, owner=type(self).__name__, width=self.n_features_in_)
        return linear_logits(features, self.coef_, self.intercept_)

    def predict(self, X: Any) -> NDArray:
        """The most probable class of every row; the first of ties.

        Args:
            X: [N, D] finite features, in the columns and order of `fit`.
        Returns: [N] labels, of the type given to `fit`.
        Raises: as `decision_function`.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.predict([[0.2], [2.8]]).tolist()
        ['a', 'b']
        """
        logits = self.decision_function(X)
        predicted: NDArray = self.classes_[decide(logits)]
        return predicted

    def predict_proba(self, X: Any) -> Floats:
        """Class probabilities p = softmax(z); of two classes neither is computed as 1 minus the other.

        Args:
            X: [N, D] finite features, in the columns and order of `fit`.
        Returns: [N, K] float64, columns in the order of classes_.
        Raises: as `decision_function`.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.predict_proba([[1.5]]).round(6).tolist()
        [[0.5, 0.5]]
        """
        return probabilities(self.decision_function(X))

    def predict_log_proba(self, X: Any) -> Floats:
        """Logarithms of the class probabilities, finite where a probability underflows to 0.

        Args:
            X: [N, D] finite features, in the columns and order of `fit`.
        Returns: [N, K] float64 in nats, columns in the order of classes_.
        Raises: as `decision_function`.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> bool(np.isfinite(model.predict_log_proba([[1e6]])).all()), model.predict_proba([[1e6]]).tolist()
        (True, [[0.0, 1.0]])
        """
        return log_probabilities(self.decision_function(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy: the share of rows (by weight) whose class is predicted, as scikit-learn defines it.

        Args:
            X: [N, D] finite features, in the columns and order of `fit`.
            y: [N] true labels.
            sample_weight: [N] weights >= 0, or None for 1 each.
        Returns: a float in [0, 1].
        Raises: as `decision_function`; LabelError, WeightError.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.score([[0.2], [2.8]], ["a", "a"])
        0.5
        """
        predicted = self.predict(X)
        labels, _ = label_column(y, rows=len(predicted), shape=(len(predicted), self.n_features_in_))
        weights = row_weights(sample_weight, rows=len(predicted))
        return float(np.average(predicted == labels, weights=weights))

    def to_model(self, *, target: str = "target") -> "SoftmaxModel":
        """The fitted model as a `SoftmaxModel`, to be saved or applied to files.

        Args:
            target: name of the target column. Features without names are called x0, x1, ...
        Returns: the `SoftmaxModel`, with the same logits.
        Raises: NotFittedError.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.to_model().features
        ('x0',)
        """
        from crossent.learn.store import SoftmaxModel  # loads crossent.rows, which arrays do not need
        from crossent.rows.columns import canonical_text

        self._require_fitted()
        width = self.n_features_in_
        names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(width)])
        return SoftmaxModel(
            coef=self.coef_,
            intercept=self.intercept_,
            classes=tuple(str(canonical_text(label)) for label in self.classes_.tolist()),
            features=tuple(str(name) for name in names),
            center=np.zeros(width),
            scale=np.ones(width),
            target=target,
            options={
                **self.get_params(),
                "class_weight": recordable(self.class_weight),
                "l2": self.l2_,
                "converged": self.converged_,
            },
            trace=[{"iteration": i, "loss": loss} for i, loss in enumerate(self.trace_)],
        )

    def summary(
        self, X: Any, y: Any, sample_weight: Any = None, *, reference: Any = None, confidence: float = 0.95
    ) -> "Summary":
        """Standard errors, tests, intervals and odds ratios of the coefficients, from the rows of `fit`.

            theta_k = coef_k - coef_reference,   covariance = (N H)^-1,   z = theta / se,   odds ratio = exp(theta)

        with H the Hessian of F at the optimum in theta. The rows are needed again, as the model does not keep them.
        With l2=0 and a small tol, the results are those of maximum likelihood. With l2 > 0, which is the default, they
        are labelled as those of the penalised likelihood: the coefficients are drawn towards 0, and the errors do not
        tell by how much. sample_weight counts rows.

        Args:
            X, y, sample_weight: those of `fit`.
            reference: class that the others are compared with; None for the first.
            confidence: coverage of the intervals, in (0, 1).
        Returns: a `Summary`, which prints as a table.
        Raises: as `fit`; NotFittedError; DataError where standard errors do not exist (separable classes, collinear
            features), for a fit that is not at the optimum, and for other rows than those of `fit`; UnsupportedError
            with class_weight or an L1 penalty.
        Source: McFadden, in: Frontiers in Econometrics (1974), 105-142.

        >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], [0, 0, 1, 0, 1, 1]
        >>> summary = SoftmaxClassifier(l2=0, tol=1e-10).fit(X, y).summary(X, y)
        >>> summary.terms, summary.coef.round(3).tolist(), summary.standard_errors.round(3).tolist()
        (('intercept', 'x0'), [[-3.035, 1.214]], [[2.546, 0.913]])
        """
        from crossent.learn.summary import summarise  # seldom needed

        return summarise(self, X, y, sample_weight, reference=reference, confidence=confidence)

    def _remember_features(self, width: int, names: NDArray | None) -> None:
        self.n_features_in_ = width
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_


def coded(labels: NDArray) -> tuple[NDArray, NDArray]:
    """Sorted distinct labels [K] and the index of every row's label [N].

    Raises: LabelError for labels that cannot be sorted, and for fewer than two classes.
    """
    try:
        classes, codes = np.unique(labels, return_inverse=True)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in labels})
        raise LabelError(f"y mixes labels of the types {', '.join(kinds)}; use one type, for instance text.") from None
    if len(classes) < 2:
        raise LabelError(
            f"y has only 1 class, {classes[0]!r}, in {len(labels)} rows of positive weight; a classifier "
            f"needs at least two classes. Check how the rows were selected."
        )
    return classes, codes.reshape(-1).astype(np.int64)
