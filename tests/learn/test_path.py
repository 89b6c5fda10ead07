"""The path of penalties: the range it covers, the fits along it, and the rule that chooses."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from closeness import assert_close
from crossent.errors import OptionError
from crossent.learn.folds import Fold
from crossent.learn.path import Path, check_l2s, check_rule, choose, follow, penalties
from crossent.learn.solvers import SolverOptions
from crossent.learn.training_rows import training_rows
from toys import toy


def path(l2s, **changes):
    return Path(np.array(l2s), "lbfgs", SolverOptions(tol=1e-15, max_iter=5000), True, None)._replace(**changes)


def rows_of(data, weight=None):
    return training_rows(*data, weight)


class TestPenalties:
    @pytest.mark.parametrize("fit_intercept", [True, False])
    @pytest.mark.parametrize("classes", [2, 3])
    def test_the_largest_leaves_logits_of_one_hundredth(self, classes, fit_intercept):
        X, y = toy(classes=classes, rows=300)
        l2s = penalties(rows_of((X, y)), 7, weight=None, fit_intercept=fit_intercept)
        model = LogisticRegression(C=1 / (l2s[0] * len(y)), fit_intercept=fit_intercept, tol=1e-10).fit(X, y)
        z = model.decision_function(X).reshape(len(y), -1)
        spread = z - z.mean(axis=0) if fit_intercept else z
        assert np.sqrt((spread**2).mean()) == pytest.approx(0.01, rel=0.02)

    def test_falls_evenly_over_seven_decades(self):
        l2s = penalties(rows_of(toy()), 8, weight=None, fit_intercept=True)
        assert len(l2s) == 8
        assert_close(l2s[1:] / l2s[:-1], np.full(7, l2s[1] / l2s[0]), rtol=1e-9)
        X, y = toy()
        even = (X - X.mean(axis=0)) / X.std(axis=0)
        l2s = penalties(rows_of((even, y)), 2, weight=None, fit_intercept=True)
        assert l2s[1] / l2s[0] == pytest.approx(1e-7, rel=1e-9)

    def test_units_of_the_features_square(self):
        X, y = toy()
        plain, scaled = (
            penalties(rows_of((X * unit, y)), 5, weight=None, fit_intercept=True) for unit in (1.0, 1000.0)
        )
        assert_close(scaled, 1e6 * plain, rtol=1e-9)

    def test_weights_are_repetitions(self):
        X, y = toy()
        counts = np.random.default_rng(1).integers(1, 4, len(y))
        weighted = penalties(rows_of((X, y)), 3, weight=counts.astype(float), fit_intercept=True)
        repeated = rows_of((np.repeat(X, counts, axis=0), np.repeat(y, counts)))
        assert_close(weighted, penalties(repeated, 3, weight=None, fit_intercept=True), rtol=1e-9)

    def test_features_that_say_nothing(self):
        """The tutorials' example: the gradient at 0 is exactly 0; and columns that are constant."""
        tutorial = rows_of(([[1.0, 2], [3, 4], [5, 6], [7, 8]], [0, 1, 1, 0]))
        assert_close(penalties(tutorial, 2, weight=None, fit_intercept=False), [1.0, 1e-7], rtol=1e-12)
        assert_close(penalties(tutorial, 2, weight=None, fit_intercept=True), [1.0, 1e-7], rtol=1e-12)
        constant = rows_of((np.full((6, 2), 0.1), [0, 1, 1, 0, 1, 0]))
        assert_close(penalties(constant, 2, weight=None, fit_intercept=True), [1.0, 1e-7], rtol=1e-12)


class TestFollow:
    @pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0}])
    @pytest.mark.parametrize("classes", [2, 3])
    def test_losses_are_those_of_separate_fits(self, classes, class_weight):
        X, y = toy(classes=classes, rows=120)
        weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
        fold = Fold(np.arange(80), np.arange(80, 120))
        l2s = [1.0, 0.1, 0.003]
        got = follow(rows_of((X, y), weight), fold, path(l2s, class_weight=class_weight))
        for l2, loss in zip(l2s, got.losses, strict=True):
            factor = weight[:80].copy()
            if class_weight == "balanced":
                totals = np.bincount(y[:80], weights=factor)
                factor *= (totals.sum() / (classes * totals))[y[:80]]
            elif class_weight:
                factor *= np.where(y[:80] == 0, 3.0, 1.0)
            model = LogisticRegression(C=1 / (l2 * factor.sum()), solver="newton-cholesky", tol=1e-12)
            model.fit(X[:80], y[:80], sample_weight=factor)
            exact = log_loss(y[80:], model.predict_proba(X[80:]), sample_weight=weight[80:])
            assert loss == pytest.approx(exact, abs=1e-8)
        assert all(solution.converged for solution in got.solutions)

    def test_each_fit_starts_where_the_last_one_ended(self):
        rows = rows_of(toy(rows=300))
        fold = Fold(np.arange(200), np.arange(200, 300))
        again = follow(rows, fold, path([0.01, 0.01])).solutions
        assert again[0].iterations > 3
        assert again[1].iterations == 0

    def test_any_solver_of_the_table(self):
        rows = rows_of(toy(rows=300))
        fold = Fold(np.arange(200), np.arange(200, 300))
        options = SolverOptions(learning_rate=1.0, tol=1e-14, max_iter=10_000)
        slow = follow(rows, fold, path([0.1, 0.05], solver="gd", options=options))
        assert_close(slow.losses, follow(rows, fold, path([0.1, 0.05])).losses, bound=1e-7)


class TestChoice:
    MEAN, ERROR = np.array([0.9, 0.5, 0.4, 0.4]), np.array([0.1, 0.1, 0.05, 0.2])

    def test_rules(self):
        assert choose(self.MEAN, self.ERROR, "best") == 2  # the larger penalty of the tie
        assert choose(self.MEAN, self.ERROR, "one_se") == 2
        assert choose(self.MEAN, 2 * self.ERROR, "one_se") == 1  # 0.5 is just within
        assert choose(self.MEAN, 100 * self.ERROR, "one_se") == 0

    @pytest.mark.parametrize("error", [np.nan, np.inf])
    def test_one_standard_error_of_what_is_not_finite_is_the_best(self, error):
        assert choose(self.MEAN, np.full(4, error), "one_se") == 2
        assert choose(np.r_[np.inf, self.MEAN], np.r_[np.nan, self.ERROR], "one_se") == 3

    def test_options(self):
        assert check_l2s(np.int64(3)) == 3
        assert check_l2s((0.5, 0.0, 2, 0.5)).tolist() == [2.0, 0.5, 0.0]
        for wrong in (0, -3, True, 2.5, "20", None, [], [0.1, -1], [np.nan], [[0.1]]):
            with pytest.raises(OptionError, match=r"l2s? is"):
                check_l2s(wrong)
        with pytest.raises(OptionError, match="'best' or 'one_se'"):
            check_rule("1se")
