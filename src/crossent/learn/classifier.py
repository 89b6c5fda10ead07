"""SoftmaxClassifier: softmax regression by minimised cross-entropy, with scikit-learn's conventions."""

import numbers
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from crossent.activations import log_sigmoid, sigmoid
from crossent.core.types import NDArray
from crossent.errors import OptionError, ShapeError, UnsupportedError
from crossent.learn.callbacks import Callback, CallbackHost, Listeners, begin_tasks, check_callbacks, managed_fit
from crossent.learn.certificate import Certificate
from crossent.learn.checks import feature_matrix, feature_names, finite_logits, require_same_names, row_weights
from crossent.learn.class_weight import ClassWeight, check_class_weight, recordable
from crossent.learn.conventions import Conventions
from crossent.learn.inference import decide, log_probabilities, probabilities
from crossent.learn.labels import read_truth, warn_of_unseen
from crossent.learn.loss_choice import check_loss, is_independent
from crossent.learn.prepare import Problem, prepare
from crossent.learn.progress import Progress
from crossent.learn.solvers import SolverOptions, find_solver
from crossent.learn.trace import Solution, Step
from crossent.learn.training import check_fit_intercept, check_l1, check_l2, train, warn_unless_converged
from crossent.learn.types import AnyLoss, Floats

if TYPE_CHECKING:
    from crossent.learn.store import SoftmaxModel
    from crossent.learn.summary import Summary

__all__ = ["SoftmaxClassifier"]


class SoftmaxClassifier(CallbackHost, Conventions):
    """Softmax regression: class probabilities from a linear model, fitted by minimising their cross-entropy.

        F = sum_i w_i l_i / sum_i w_i + l2 / 2 * sum_kj coef_kj^2 + l1 * sum_kj |coef_kj|            [nat]

    with l_i the loss of row i, w_i = sample_weight_i * class_weight of its class, and the intercept free of the
    penalties. Weights count rows: weight 2 is the row twice, weight 0 is no row. Two classes have one logit, that of
    the second class, and `coef_` of shape (1, D); K > 2 classes have K logits and `coef_` of shape (K, D). What `y`
    says is one of three: the label of every row; a distribution over classes, [N, K]; or, with a loss of independent
    labels such as BinaryCrossEntropy, [N, L] of 0 and 1, one logit each, F then being the mean over all N L of them.

    Args:
        solver: "auto" is quick and has nothing to tune. Or one of `crossent.learn.solvers.SOLVERS`, such as "lbfgs",
            "newton", or "gd", which with a learning_rate is gradient descent exactly as tutorials write it: weights
            start at 0, every step is learning_rate times the gradient of F.
        l2: penalty >= 0; None means 1/N with N = sum_i w_i (1/(N L) with independent labels). scikit-learn's C is
            1/(l2 N), so the default is its C=1.
        l1: penalty >= 0, which makes coefficients exactly 0; with any solver.
        fit_intercept: whether the logits have an intercept.
        class_weight: None, "balanced" (class k counts N / (K N_k) times, N_k its total weight), or a mapping
            {class: weight > 0}, in which classes that are left out count once.
        loss: None for plain cross-entropy, or any loss of logits with its options: CrossEntropy(label_smoothing=0.1),
            Focal(), Poly1(), ...; BinaryCrossEntropy() or BinaryFocal() for independent labels. Probabilities are those
            of the logits; of a loss that is not proper they are not calibrated.
        learning_rate, schedule, batch_size, momentum: of "gd" and its family; see `SolverOptions`.
        max_iter: most iterations.
        tol: stop when F is within tol * max(F, 1e-3) of its minimum, see `SolverOptions`; 0 goes on to the last digit.
        random_state: seed of what is drawn, the order of mini-batches; a whole number >= 0, None for 0.
        warm_start: whether `fit` begins at the coefficients of the fit before.
        callbacks: a function of a `Step`, or a list of them, called after every iteration; a true result ends the fit.
            Callbacks of scikit-learn's own protocol go to `set_callbacks`.
        verbose: whether fits of more than a second show their progress on stderr.

    Attributes:
        classes_: [K] the sorted distinct labels; 0..K-1, or the column names, where y has several columns.
        coef_, intercept_: the model, for features as given; float64.
        n_iter_: iterations done. converged_: whether tol was reached.
        steps_: a `Step` for the start and for every iteration. trace_: F at each, n_iter_ + 1 floats.
        certificate_: how far F can be from its minimum, a `Certificate`.
        l2_: the penalty used. loss_: the loss used.
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
    steps_: tuple[Step, ...]
    trace_: list[float]
    certificate_: Certificate | None
    l2_: float
    loss_: AnyLoss
    n_features_in_: int
    feature_names_in_: NDArray

    def __init__(
        self,
        *,
        solver: str = "auto",
        l2: float | None = None,
        l1: float = 0.0,
        fit_intercept: bool = True,
        class_weight: ClassWeight = None,
        loss: AnyLoss | None = None,
        learning_rate: float | None = None,
        schedule: str | Callable[[int], float] = "constant",
        batch_size: int | None = None,
        momentum: float = 0.9,
        max_iter: int = 1000,
        tol: float = 1e-6,
        random_state: int | None = None,
        warm_start: bool = False,
        callbacks: Callback | Iterable[Callback] | None = None,
        verbose: bool = False,
    ) -> None:
        self.solver = solver
        self.l2 = l2
        self.l1 = l1
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.loss = loss
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.momentum = momentum
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model by minimising F; a ConvergenceWarning says why it stopped early and what to do.

        Args:
            X: [N, D] finite features: an array (float32 and float64 are not copied if the columns of a row lie side by
                side), lists, a data frame or Arrow table of numbers, or a sparse matrix of SciPy.
            y: [N] labels: whole numbers, text or booleans, at least two distinct ones; or [N, K] probabilities of the
                classes; or [N, L] independent labels 0 and 1, where `loss` is for those.
            sample_weight: [N] weights >= 0, or None for 1 each; rows of weight 0 are left out.
        Returns: self.
        Raises: ShapeError, DtypeError, DataError, NonFiniteError, UnsupportedError, LabelError (fewer than two
            classes, missing labels, fractions), WeightError, OptionError.

        >>> SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]).classes_.tolist()
        ['a', 'b']
        """
        solution = managed_fit(self, lambda _: self._fit(X, y, sample_weight))
        if solution is not None:
            warn_unless_converged(self.solver, solution)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Solution | None:
        """`fit`; the solution, or None if a callback wanted to stop, which is nothing to warn of."""
        options, callbacks = self._checked_options()
        problem = prepare(X, y, sample_weight, loss=self.loss, class_weight=self.class_weight)
        is_warm = self.warm_start and hasattr(self, "coef_")
        start = problem.start(self.classes_, self.coef_, self.intercept_) if is_warm else None
        strength = problem.strength(self.l2)
        tasks = begin_tasks(self, X, y, sample_weight, max_iter=options.max_iter, task=f"{self.solver}-iteration")
        with Progress(type(self).__name__, options.max_iter, is_on=self.verbose) as progress:
            listeners = Listeners([progress, *callbacks], tasks, lambda *model: _attributes(problem, *model))
            result = train(
                problem.matrix, problem.targets, outputs=problem.outputs, loss=problem.loss,
                sample_weight=problem.weight, l2=problem.penalty_factor * strength, l1=self.l1,
                fit_intercept=self.fit_intercept, solver=self.solver, options=replace(options, on_step=listeners),
                start=start, moments=problem.moments, on_start=listeners.start,
            )  # fmt: skip
        solution = result.solution
        vars(self).pop("feature_names_in_", None)
        vars(self).update(_attributes(problem, result.coef, result.intercept))
        self.n_iter_, self.converged_, self.l2_ = solution.iterations, solution.converged, strength
        self.steps_, self.trace_ = solution.steps, [step.loss for step in solution.steps]
        self.certificate_ = solution.certificate
        if tasks is not None:
            tasks.finish()
        return None if listeners.has_stopped else solution

    def _checked_options(self) -> tuple[SolverOptions, tuple[Callback, ...]]:
        """What the solver takes, and whom to tell; every option is looked at before any row."""
        seed: Any = 0 if self.random_state is None else self.random_state
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or int(seed) < 0:
            raise OptionError(f"random_state is {seed!r}; it must be a whole number >= 0, or None for 0.")
        for name in ("warm_start", "verbose"):
            if getattr(self, name) not in (False, True):
                raise OptionError(f"{name} is {getattr(self, name)!r}; it must be True or False.")
        options = SolverOptions(
            max_iter=self.max_iter, tol=self.tol, learning_rate=self.learning_rate, schedule=self.schedule,
            batch_size=self.batch_size, momentum=self.momentum, seed=int(seed),
        )  # fmt: skip
        find_solver(self.solver, options)
        check_class_weight(self.class_weight)
        check_fit_intercept(self.fit_intercept)
        check_l1(self.l1)
        check_loss(self.loss)
        if self.l2 is not None:
            check_l2(self.l2)
        return options, check_callbacks(self.callbacks)

    @property
    def _is_multilabel(self) -> bool:
        return is_independent(self.loss_) and len(self.coef_) > 1

    def decision_function(self, X: Any) -> Floats:
        """Logits z = X coef_^T + intercept_.

        Args:
            X: [N, D] finite features, in the columns and order of `fit`.
        Returns: [N] for two classes (the logit of classes_[1]), [N, K] for more and for independent labels; float64.
        Raises: NotFittedError, ShapeError, DtypeError, DataError, NonFiniteError, UnsupportedError.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.decision_function([[1.5]]).round(6).tolist()
        [0.0]
        """
        self._require_fitted()
        names = feature_names(X)
        require_same_names(names, getattr(self, "feature_names_in_", None))
        matrix = feature_matrix(X, names=names, owner=type(self).__name__, width=self.n_features_in_)
        z = finite_logits(matrix, self.coef_, self.intercept_, names=names)
        return z[:, 0] if len(self.coef_) == 1 else z

    def _evidence(self, X: Any) -> Floats:
        """The logits as the loss sees them: divided by its temperature."""
        z = self.decision_function(X)
        temperature = getattr(self.loss_, "temperature", 1.0)
        return z if temperature == 1 else z / temperature

    def predict(self, X: Any) -> NDArray:
        """The most probable class of every row, the first of ties; of independent labels those more probable than not.

        Args:
            X: [N, D] finite features, in the columns and order of `fit`.
        Returns: [N] labels, of the type given to `fit`; [N, L] of 0 and 1 for independent labels.
        Raises: as `decision_function`.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.predict([[0.2], [2.8]]).tolist()
        ['a', 'b']
        """
        logits = self.decision_function(X)
        if self._is_multilabel:
            return (logits > 0).astype(np.int64)
        predicted: NDArray = self.classes_[decide(logits)]
        return predicted

    def predict_proba(self, X: Any) -> Floats:
        """Class probabilities p = softmax(z); of two classes neither is computed as 1 minus the other.

        Args:
            X: [N, D] finite features, in the columns and order of `fit`.
        Returns: [N, K] float64, columns in the order of classes_; of independent labels [N, L] of each being 1.
        Raises: as `decision_function`.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.predict_proba([[1.5]]).round(6).tolist()
        [[0.5, 0.5]]
        """
        logits = self._evidence(X)
        return np.asarray(sigmoid(logits)) if self._is_multilabel else probabilities(logits)

    def predict_log_proba(self, X: Any) -> Floats:
        """Logarithms of `predict_proba`, finite where a probability underflows to 0.

        Args:
            X: [N, D] finite features, in the columns and order of `fit`.
        Returns: as `predict_proba`, in nats.
        Raises: as `decision_function`.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> bool(np.isfinite(model.predict_log_proba([[1e6]])).all()), model.predict_proba([[1e6]]).tolist()
        (True, [[0.0, 1.0]])
        """
        logits = self._evidence(X)
        return np.asarray(log_sigmoid(logits)) if self._is_multilabel else log_probabilities(logits)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy: the share of rows (by weight) whose class is predicted, as scikit-learn defines it.

        Args:
            X: [N, D] finite features, in the columns and order of `fit`.
            y: [N] true labels; a LabelWarning names those that the model has never seen, which count as wrong.
                [N, L] of 0 and 1 for independent labels: a row is right if all its labels are.
            sample_weight: [N] weights >= 0, or None for 1 each.
        Returns: a float in [0, 1].
        Raises: as `decision_function`; LabelError (where no label of y is one of the model's), WeightError.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.score([[0.2], [2.8]], ["a", "a"])
        0.5
        """
        predicted = self.predict(X)
        truth = read_truth(y, rows=len(predicted), shape=(len(predicted), self.n_features_in_)).values
        weights = row_weights(sample_weight, rows=len(predicted))
        if truth.shape != predicted.shape:
            raise ShapeError(
                f"y has shape {truth.shape} and the predictions have {predicted.shape}; accuracy compares labels, of "
                "which both need as many. Pass those, or score the probabilities, for instance by log loss."
            )
        if self._is_multilabel:
            return float(np.average((predicted == truth).all(axis=1), weights=weights))
        warn_of_unseen(truth, self.classes_)
        return float(np.average(predicted == truth, weights=weights))

    def to_model(self, *, target: str = "target") -> "SoftmaxModel":
        """The fitted model as a `SoftmaxModel`, to be saved or applied to files.

        Args:
            target: name of the target column. Features without names are called x0, x1, ...
        Returns: the `SoftmaxModel`, with the same probabilities.
        Raises: NotFittedError; UnsupportedError for independent labels, which a model file cannot hold.

        >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
        >>> model.to_model().features
        ('x0',)
        """
        self._require_fitted()
        if self._is_multilabel:
            raise UnsupportedError(
                f"The model has {len(self.coef_)} independent labels, and a model file holds classes of which one is "
                "true. Save coef_ and intercept_ themselves, or fit and save one model for each label."
            )
        from crossent.core.text import canonical_text
        from crossent.learn.store import SoftmaxModel  # loads crossent.rows, which arrays do not need

        width, temperature = self.n_features_in_, getattr(self.loss_, "temperature", 1.0)
        names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(width)])
        return SoftmaxModel(
            coef=self.coef_ / temperature,
            intercept=self.intercept_ / temperature,
            classes=tuple(str(canonical_text(label)) for label in self.classes_.tolist()),
            features=tuple(str(name) for name in names),
            center=np.zeros(width),
            scale=np.ones(width),
            target=target,
            options={
                **{name: _recordable(value) for name, value in self.get_params().items()},
                "class_weight": recordable(self.class_weight),
                "l2": self.l2_,
                "converged": self.converged_,
            },
            trace=[step._asdict() for step in self.steps_],
        )

    def summary(
        self, X: Any, y: Any, sample_weight: Any = None, *, reference: Any = None, confidence: float = 0.95
    ) -> "Summary":
        """Standard errors, tests, intervals and odds ratios of the coefficients, from the rows of `fit`.

            theta_k = coef_k - coef_reference,   covariance = (N H)^-1,   z = theta / se,   odds ratio = exp(theta)

        with H the Hessian of F in theta, both at the optimum, to which Newton steps go on from where the fit ended. The
        rows are needed again, as the model does not keep them.
        With l2=0, the results are those of maximum likelihood. With l2 > 0, which is the default, they
        are labelled as those of the penalised likelihood: the coefficients are drawn towards 0, and the errors do not
        tell by how much. sample_weight counts rows.

        Args:
            X, y, sample_weight: those of `fit`.
            reference: class that the others are compared with; None for the first.
            confidence: coverage of the intervals, in (0, 1).
        Returns: a `Summary`, which prints as a table.
        Raises: as `fit`; NotFittedError; DataError where standard errors do not exist (separable classes, collinear
            features), for a fit that is not near the optimum, and for other rows than those of `fit`; UnsupportedError
            with class_weight, a loss or an L1 penalty.
        Source: McFadden, in: Frontiers in Econometrics (1974), 105-142.

        >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], [0, 0, 1, 0, 1, 1]
        >>> summary = SoftmaxClassifier(l2=0).fit(X, y).summary(X, y)
        >>> summary.terms, summary.coef.round(3).tolist(), summary.standard_errors.round(3).tolist()
        (('intercept', 'x0'), [[-3.035, 1.214]], [[2.546, 0.913]])
        """
        from crossent.learn.summary import summarise  # seldom needed

        return summarise(self, X, y, sample_weight, reference=reference, confidence=confidence)


def _attributes(problem: Problem, coef: Floats, intercept: Floats) -> dict[str, Any]:
    """The fitted attributes that predictions need, from coefficients and intercepts of the logits that are fitted."""
    coef, intercept = problem.model(coef, intercept)
    found = {
        "classes_": problem.classes, "coef_": coef, "intercept_": intercept, "loss_": problem.loss,
        "n_features_in_": problem.matrix.columns,
    }  # fmt: skip
    return found if problem.names is None else {**found, "feature_names_in_": problem.names}


def _recordable(value: Any) -> Any:
    """The value of an option as a JSON value: what is not a number or a word is shown."""
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
