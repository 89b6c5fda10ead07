"""Who hears of the steps of a fit: plain callables, the progress line, and scikit-learn's callbacks where installed.

scikit-learn's protocol (sklearn.callback, from 1.9) is spoken by its own functions, called on our estimator: the fit is
a task, and each iteration a task in it. A solver learns that an iteration was the last one only after it has told of it,
so that, as in scikit-learn's LogisticRegression, a further, empty task ends every fit.
"""

from collections.abc import Callable, Iterable
from typing import Any, Self, TypeAlias

from crossent.errors import MissingExtraError, OptionError, UnsupportedError
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.trace import Step
from crossent.learn.types import Floats

__all__ = ["Callback", "CallbackHost", "FitTasks", "Listeners", "begin_tasks", "check_callbacks", "managed_fit"]

# Called after every iteration; anything true that it returns ends the fit.
Callback: TypeAlias = Callable[[Step], object]


def check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """The callables of the option `callbacks`: None, one, or several.

    Raises: OptionError, UnsupportedError for a callback of scikit-learn's protocol.
    """
    if callbacks is None:
        return ()
    is_single = callable(callbacks) or not isinstance(callbacks, Iterable) or isinstance(callbacks, str)
    every = (callbacks,) if is_single else tuple(callbacks)
    for callback in every:
        if hasattr(callback, "on_fit_task_end") and not callable(callback):
            raise UnsupportedError(
                f"callbacks holds a {type(callback).__name__}, which follows scikit-learn's protocol. "
                "Pass it to set_callbacks(...) of the classifier."
            )
        if not callable(callback):
            raise OptionError(f"callbacks holds {callback!r}; it must be a function of a Step, or a list of those.")
    return every


class CallbackHost:
    """Gives an estimator `set_callbacks`, by which scikit-learn's callbacks reach it."""

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Let callbacks of scikit-learn's protocol (such as sklearn.callback.ProgressBar) follow every fit.

        Args:
            callbacks: instances with its methods setup, on_fit_task_begin, on_fit_task_end and teardown; none takes
                away those that were set. The tasks are the fit and its iterations; a true result of on_fit_task_end
                ends the fit.
        Returns: self.
        Raises: MissingExtraError without scikit-learn 1.9, UnsupportedError for anything else.

        >>> from crossent.learn import SoftmaxClassifier
        >>> SoftmaxClassifier().set_callbacks(print)
        Traceback (most recent call last):
            ...
        crossent.errors.UnsupportedError: callbacks must be instances following the FitCallback protocol. Plain \
callables are passed as SoftmaxClassifier(callbacks=[...]).
        """
        try:
            from sklearn.callback import CallbackSupportMixin  # only when asked for scikit-learn's callbacks
        except ImportError:
            raise MissingExtraError(
                "set_callbacks needs scikit-learn 1.9 or newer. Run: pip install 'scikit-learn>=1.9', or pass plain "
                f"callables as {type(self).__name__}(callbacks=[...])."
            ) from None
        try:
            CallbackSupportMixin.set_callbacks(self, *callbacks)
        except TypeError as error:
            advice = f"Plain callables are passed as {type(self).__name__}(callbacks=[...])."
            raise UnsupportedError(f"{error} {advice}") from None
        return self


def managed_fit(estimator: Any, fit: Callable[[Any], Any]) -> Any:
    """fit(estimator), after which scikit-learn's callbacks are taken down whatever happens."""
    if not vars(estimator).get("_skl_callbacks"):
        return fit(estimator)
    from sklearn.callback import with_callbacks  # there are such callbacks, so it is installed

    return with_callbacks(fit)(estimator)


class FitTasks:
    """The tasks of a fit, told to scikit-learn's callbacks."""

    def __init__(self, estimator: Any, data: dict[str, Any], *, max_iter: int, task: str) -> None:
        from sklearn.callback import CallbackSupportMixin  # there are such callbacks, so it is installed

        self._estimator, self._data, self._task = estimator, data, task
        self._fit = CallbackSupportMixin._init_callback_context(estimator, max_subtasks=max_iter + 1)
        self._fit.call_on_fit_task_begin(estimator=estimator, **data)
        self._iteration: Any = None

    def after(self, step: Step, attributes: Callable[[], dict[str, Any]]) -> bool:
        """End the task of this iteration and begin the next one; whether a callback asked to stop.

        Args:
            step: the iteration.
            attributes: the fitted attributes that the estimator would have now.
        """
        told, state = False, {"estimator": self._estimator, "reconstruction_attributes": attributes, **self._data}
        if self._iteration is not None:
            told = bool(self._iteration.call_on_fit_task_end(**state))
        self._iteration = self._fit.subcontext(task_name=self._task)
        self._iteration.call_on_fit_task_begin(**state)
        return told

    def finish(self) -> None:
        """End the fit, of which the estimator has the attributes by now."""
        if self._iteration is not None:
            self._iteration.call_on_fit_task_end(estimator=self._estimator)
        self._fit.call_on_fit_task_end(estimator=self._estimator, reconstruction_attributes={}, **self._data)


def begin_tasks(estimator: Any, X: Any, y: Any, sample_weight: Any, *, max_iter: int, task: str) -> FitTasks | None:
    """The tasks of a fit, if the estimator has callbacks that follow scikit-learn's protocol."""
    if not vars(estimator).get("_skl_callbacks"):
        return None
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    return FitTasks(estimator, {"X": X, "y": y, "metadata": metadata}, max_iter=max_iter, task=task)


class Listeners:
    """All who hear of the steps of one fit; each hears of every step.

    Args:
        callbacks: plain callables.
        tasks: those of scikit-learn's callbacks, or None.
        attributes: from coefficients and intercepts of the fitted logits to fitted attributes.
    """

    def __init__(
        self,
        callbacks: Iterable[Callback],
        tasks: FitTasks | None,
        attributes: Callable[[Floats, Floats], dict[str, Any]],
    ) -> None:
        self._callbacks, self._tasks, self._attributes = tuple(callbacks), tasks, attributes
        self._objective: LinearObjective | None = None
        self.has_stopped = False

    def start(self, objective: LinearObjective) -> None:
        """Learn what the parameters mean."""
        self._objective = objective

    def __call__(self, step: Step, point: Floats) -> bool:
        """Tell of a step; whether anybody asked to stop."""
        answers = [bool(callback(step)) for callback in self._callbacks]
        if self._tasks is not None:
            objective = self._objective
            assert objective is not None
            answers.append(self._tasks.after(step, lambda: self._attributes(*objective.coefficients(point))))
        self.has_stopped = any(answers)
        return self.has_stopped
