"""Callbacks: plain functions of a Step, and scikit-learn's own protocol as its estimators speak it."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import FitCallback, ScoringMonitor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crossent.errors import MissingExtraError, OptionError, UnsupportedError
from crossent.learn.classifier import SoftmaxClassifier
from crossent.learn.trace import Step
from crossent.losses import CrossEntropy
from toys import toy


class TestFunctions:
    def test_each_step_is_told(self):
        X, y = toy()
        one, two = [], []
        model = SoftmaxClassifier(callbacks=[one.append, two.append]).fit(X, y)
        assert tuple(one) == model.steps_ == tuple(two)
        assert [step.iteration for step in one] == list(range(model.n_iter_ + 1))
        assert [step.loss for step in one] == model.trace_
        assert all(isinstance(step, Step) for step in one)

    @pytest.mark.parametrize("solver", ["gd", "lbfgs"])
    def test_a_true_result_ends_the_fit_without_a_warning(self, solver):
        X, y = toy()
        others = []
        callbacks = [lambda step: step.iteration == 3, others.append]
        model = SoftmaxClassifier(solver=solver, callbacks=callbacks).fit(X, y)
        assert model.n_iter_ == 3
        assert not model.converged_
        assert len(others) == 4  # all hear of the last step
        assert np.isfinite(model.coef_).all()

    def test_one_function_needs_no_list(self):
        assert SoftmaxClassifier(callbacks=lambda step: np.bool_(True)).fit(*toy()).n_iter_ == 0

    def test_errors_come_through(self):
        def fail(step):
            raise RuntimeError("of the callback")

        with pytest.raises(RuntimeError, match="of the callback"):
            SoftmaxClassifier(callbacks=fail, verbose=True).fit(*toy())

    def test_clone_and_get_params(self):
        callbacks = [print]
        model = SoftmaxClassifier(callbacks=callbacks)
        assert model.get_params()["callbacks"] is callbacks
        assert clone(model).callbacks == callbacks


class Notes:
    """A callback of scikit-learn's protocol that notes what it hears."""

    def __init__(self, stop_after=None):
        self.heard, self.scores, self.stop_after = [], [], stop_after

    def setup(self, estimator, context):
        self.heard.append(("setup", context.task_name, context.max_subtasks))

    def teardown(self, estimator, context):
        self.heard.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.heard.append(("end", context.task_name, context.task_id))
        if fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X, y, **(metadata or {})))
        return context.task_id == self.stop_after and context.task_name != "fit"


class TestScikitLearnsProtocol:
    @pytest.mark.parametrize(
        "model",
        [SoftmaxClassifier(), SoftmaxClassifier(loss=CrossEntropy(label_smoothing=0.1))],
        ids=["plain", "two logits of one"],
    )
    @pytest.mark.parametrize("weight", [None, np.arange(60.0)])
    def test_the_tasks_are_the_fit_and_its_iterations(self, model, weight):
        X, y = toy(classes=2)
        notes = Notes()
        assert isinstance(notes, FitCallback)
        model = clone(model).set_callbacks(notes).fit(X, y, sample_weight=weight)
        n, task = model.n_iter_, "auto-iteration"
        iterations = [(what, task, i) for i in range(n) for what in ("begin", "end")]
        left_over = [("begin", task, n), ("end", task, n)]
        fit = [("setup", "fit", 1001), ("begin", "fit", 0)], [("end", "fit", 0), ("teardown", "fit")]
        assert notes.heard == [*fit[0], *iterations, *left_over, *fit[1]]
        assert len(notes.scores) == n + 1
        assert notes.scores[-1] == model.score(X, y, sample_weight=weight)
        assert not [name for name in vars(model) if "callback" in name and name not in ("callbacks", "_skl_callbacks")]

    def test_the_tasks_are_nested_as_those_of_scikit_learn(self):
        X, y = toy()
        ours, theirs = Notes(), Notes()
        SoftmaxClassifier().set_callbacks(ours).fit(X, y)
        LogisticRegression().set_callbacks(theirs).fit(X, y)

        def shape(notes):
            heard = [(entry[0], entry[1] == "fit") for entry in notes.heard]
            return heard[:4], heard[-4:], len(heard) % 2

        assert shape(ours) == shape(theirs)

    def test_a_true_result_ends_the_fit(self):
        notes = Notes(stop_after=2)
        model = SoftmaxClassifier().set_callbacks(notes).fit(*toy())
        assert model.n_iter_ == 3
        assert notes.heard[-1] == ("teardown", "fit")

    def test_teardown_after_an_error(self):
        X, y = toy()
        notes = Notes()
        model = SoftmaxClassifier(callbacks=lambda step: 1 / 0).set_callbacks(notes)
        with pytest.raises(ZeroDivisionError):
            model.fit(X, y)
        assert notes.heard[-1] == ("teardown", "fit")
        with pytest.raises(OptionError):
            model.set_params(max_iter=0).fit(X, y)
        assert len([entry for entry in notes.heard if entry[0] == "setup"]) == 1

    def test_scoring_monitor(self):
        X, y = toy()
        monitor = ScoringMonitor(scoring="neg_log_loss")
        model = SoftmaxClassifier(l2=0).set_callbacks(monitor).fit(X, y)
        scores = [entry["neg_log_loss"] for entry in monitor.get_logs().data if "neg_log_loss" in entry]
        assert len(scores) >= model.n_iter_
        assert -max(scores) == pytest.approx(model.trace_[-1], rel=1e-9)
        assert min(scores) < max(scores)

    def test_in_meta_estimators(self):
        X, y = toy()
        notes = Notes()
        make_pipeline(StandardScaler(), SoftmaxClassifier().set_callbacks(notes)).fit(X, y)
        assert len(notes.scores) > 3
        before = len(notes.heard)
        search = GridSearchCV(SoftmaxClassifier().set_callbacks(notes), {"l2": [0.1, 1.0]}, cv=2).fit(X, y)
        assert [entry[0] for entry in notes.heard[before:]].count("setup") == 5
        assert search.best_params_["l2"] in (0.1, 1.0)

    def test_progress_bar(self, capsys):
        pytest.importorskip("rich")
        from sklearn.callback import ProgressBar

        SoftmaxClassifier().set_callbacks(ProgressBar()).fit(*toy())
        assert "SoftmaxClassifier - fit" in capsys.readouterr().out

    def test_set_again_and_none(self):
        X, y = toy()
        first, second = Notes(), Notes()
        model = SoftmaxClassifier().set_callbacks(first).set_callbacks(second).fit(X, y)
        assert not first.heard
        count = len(second.heard)
        model.set_callbacks().fit(X, y)
        assert len(second.heard) == count
        assert "_skl_callbacks" not in vars(model)

    def test_pickle(self):
        model = SoftmaxClassifier().set_callbacks(Notes()).fit(*toy())
        assert pickle.loads(pickle.dumps(model)).n_iter_ == model.n_iter_

    def test_what_goes_where(self):
        with pytest.raises(UnsupportedError, match=r"Plain callables are passed as SoftmaxClassifier\(callbacks"):
            SoftmaxClassifier().set_callbacks(print)
        with pytest.raises(UnsupportedError, match="FitCallback protocol"):
            SoftmaxClassifier().set_callbacks(Notes)
        with pytest.raises(UnsupportedError, match=r"Notes, which follows scikit-learn's protocol.*set_callbacks"):
            SoftmaxClassifier(callbacks=[Notes()]).fit(*toy())

    def test_an_older_scikit_learn(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sklearn.callback", None)
        with pytest.raises(MissingExtraError, match=r"scikit-learn 1.9 or newer.*callbacks=\[...\]"):
            SoftmaxClassifier().set_callbacks(Notes())


SCRIPT = """
import sys
from crossent.learn.classifier import SoftmaxClassifier
steps = []
SoftmaxClassifier(callbacks=steps.append, verbose=True).fit([[1.0], [2.0], [3.0]], [0, 1, 0])
assert steps
assert "sklearn" not in sys.modules
"""


def test_functions_need_no_scikit_learn():
    subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], check=True, timeout=60)
