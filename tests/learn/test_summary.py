"""summary(): equal to statsmodels on its own data sets, honest about what has no standard errors, readable."""

import json
import math
import re
import warnings

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import statsmodels.api as sm

import crossent as ce
from closeness import assert_close
from crossent.errors import DataError, LabelError, NotFittedError, OptionError, ShapeError, UnsupportedError
from toys import toy

EXACT = {"l2": 0, "tol": 1e-12, "max_iter": 20_000}
DEFAULT_TOL = {"tol": ce.SoftmaxClassifier().tol}


def fitted(X, y, *, sample_weight=None, **options):
    """A maximum-likelihood fit, to the last digit or nearly."""
    model = ce.SoftmaxClassifier(**{**EXACT, **options})
    return model.fit(X, y, sample_weight)


def spector():
    data = sm.datasets.spector.load_pandas()
    return data.exog, data.endog.astype(int)


def fair():
    data = sm.datasets.fair.load_pandas()
    return data.exog, (data.endog > 0).astype(int)


def heart():
    data = sm.datasets.heart.load_pandas().data
    return data[["age"]], data["censors"].astype(int)


def randhie():
    """Who of every tenth person in a health insurance experiment saw a doctor more than twice."""
    data = sm.datasets.randhie.load_pandas().data
    return data[["lncoins", "physlm", "disea"]].iloc[::10], (data["mdvis"].iloc[::10] > 2).astype(int)


def anes96():
    data = sm.datasets.anes96.load_pandas()
    return data.exog, data.endog.astype(int)


def modechoice():
    """Which of four ways to travel was taken, from what belongs to the traveller."""
    data = sm.datasets.modechoice.load_pandas().data
    chosen = data[data["choice"] == 1]
    return chosen[["hinc", "psize"]], chosen["mode"].astype(int)


def silent():
    """Whether the solver says that it did not converge is its own affair here."""
    return warnings.catch_warnings(action="ignore", category=ce.ConvergenceWarning)


def statsmodels_of(X, y, *, intercept=True):
    exog = sm.add_constant(X) if intercept else X
    if len(np.unique(y)) == 2:
        return sm.Logit(y, exog).fit(method="newton", tol=1e-14, disp=0)
    return sm.MNLogit(y, exog).fit(method="newton", tol=1e-14, disp=0)


def assert_equal_to_statsmodels(ours, theirs):
    shape = ours.coef.shape
    assert_close(ours.coef, np.asarray(theirs.params).T.reshape(shape), bound=1e-6)
    assert_close(ours.standard_errors, np.asarray(theirs.bse).T.reshape(shape), bound=1e-6)
    assert_close(ours.z, np.asarray(theirs.tvalues).T.reshape(shape), bound=1e-6)
    assert_close(ours.p_values, np.asarray(theirs.pvalues).T.reshape(shape), bound=1e-6)
    ends = np.asarray(theirs.conf_int()).reshape(*shape, 2)
    assert_close(ours.lower, ends[..., 0], bound=1e-6)
    assert_close(ours.upper, ends[..., 1], bound=1e-6)
    assert_close(ours.covariance, np.asarray(theirs.cov_params()), bound=1e-6)
    assert_close(ours.log_likelihood, theirs.llf, bound=1e-6)
    # statsmodels searches for the null model too, and not to the last digit
    assert_close(ours.null_log_likelihood, theirs.llnull, bound=2e-6)
    assert_close(ours.mcfadden_r2, theirs.prsquared, bound=1e-6)


class TestAgainstStatsmodels:
    @pytest.mark.parametrize("options", [{}, DEFAULT_TOL, {**DEFAULT_TOL, "solver": "newton"}], ids=str)
    @pytest.mark.parametrize("load", [spector, fair, heart, randhie, anes96, modechoice])
    def test_everything(self, load, options):
        """Also where the fit ended some hundredths of a standard error away: the table is of the optimum."""
        X, y = load()
        ours, theirs = fitted(X, y, **options).summary(X, y), statsmodels_of(X, y)
        assert_equal_to_statsmodels(ours, theirs)
        assert_close(ours.aic, theirs.aic, bound=1e-6)
        assert_close(ours.bic, theirs.bic, bound=1e-6)
        assert ours.terms == ("intercept", *X.columns)
        assert ours.rows == len(y)

    @pytest.mark.parametrize("load", [spector, modechoice])
    def test_without_intercept(self, load):
        X, y = load()
        ours = fitted(X, y, fit_intercept=False).summary(X, y)
        assert_equal_to_statsmodels(ours, statsmodels_of(X, y, intercept=False))
        assert ours.terms == tuple(X.columns)

    @pytest.mark.parametrize("kind", [scipy.sparse.csr_array, scipy.sparse.csc_matrix, pl.DataFrame, pa.table])
    def test_other_storage(self, kind):
        X, y = spector()
        plain = fitted(X, y).summary(X, y)
        other = kind({name: X[name] for name in X}) if kind is pa.table else kind(X.to_numpy())
        ours = fitted(other, y, **DEFAULT_TOL).summary(other, y)
        assert_close(ours.coef, plain.coef, rtol=1e-8)
        assert_close(ours.covariance, plain.covariance, rtol=1e-8)

    def test_float32_features(self):
        X, y = anes96()
        single = X.to_numpy(np.float32)
        wide = single.astype(np.float64)
        assert_equal_to_statsmodels(fitted(single, y, **DEFAULT_TOL).summary(single, y), statsmodels_of(wide, y))

    @pytest.mark.parametrize("confidence", [0.5, 0.99])
    def test_confidence(self, confidence):
        X, y = spector()
        ours = fitted(X, y).summary(X, y, confidence=confidence)
        ends = np.asarray(statsmodels_of(X, y).conf_int(1 - confidence))
        assert_close(ours.lower[0], ends[:, 0], bound=1e-6)
        assert_close(ours.odds_upper[0], np.exp(ends[:, 1]), rtol=1e-6)

    def test_another_reference_is_statsmodels_with_that_class_first(self):
        X, y = anes96()
        ours = fitted(X, y).summary(X, y, reference=3)
        order = np.array([3, 0, 1, 2, 4, 5, 6])
        assert_equal_to_statsmodels(ours, statsmodels_of(X, pd.Series(np.argsort(order)[y], index=y.index)))
        assert ours.reference == 3
        assert ours.classes == (0, 1, 2, 4, 5, 6)

    def test_the_other_of_two_classes_flips_signs(self):
        X, y = spector()
        model = fitted(X, y)
        one, other = model.summary(X, y), model.summary(X, y, reference=1)
        assert_equal_to_statsmodels(other, statsmodels_of(X, 1 - y))
        assert np.array_equal(one.coef, -other.coef)
        assert one.classes == (other.reference,)

    def test_gradient_descent_gives_the_same(self):
        X, y = toy()
        slow = fitted(X, y, solver="gd", learning_rate=1.0).summary(X, y)
        assert_close(slow.standard_errors, fitted(X, y).summary(X, y).standard_errors, bound=1e-8)


class TestNumbers:
    def test_weights_are_repetitions_and_a_note_says_so(self):
        X, y = toy()
        counts = np.random.default_rng(0).integers(0, 4, len(y))
        weighted = fitted(X, y, sample_weight=counts).summary(X, y, counts)
        long_X, long_y = np.repeat(X, counts, axis=0), np.repeat(y, counts)
        repeated = fitted(long_X, long_y).summary(long_X, long_y)
        assert_close(weighted.standard_errors, repeated.standard_errors, bound=1e-9)
        assert_close(weighted.bic, repeated.bic, bound=1e-9)
        assert weighted.rows == counts.sum()
        assert "counts rows" in weighted.notes[0]
        assert repeated.notes == ()

    @pytest.mark.parametrize("classes", [2, 3])
    def test_penalised_errors_are_those_of_the_penalised_hessian(self, classes):
        """From the second derivatives of the whole penalised sum, by differences, and the pseudo-inverse."""
        X, y = toy(classes=classes)
        l2, n = 0.05, len(y)
        model = ce.SoftmaxClassifier(l2=l2, tol=1e-15).fit(X, y)
        ours = model.summary(X, y)
        table = np.column_stack([model.intercept_, model.coef_])

        def slope(flat):
            W = flat.reshape(table.shape)
            z = W[:, 0] + X @ W[:, 1:].T
            if classes == 2:
                p, t = 1 / (1 + np.exp(-z)), y[:, None]
            else:
                p, t = np.exp(z) / np.exp(z).sum(1, keepdims=True), np.eye(3)[y]
            G = (p - t).T @ np.column_stack([np.ones(n), X])
            G[:, 1:] += n * l2 * W[:, 1:]
            return G.reshape(-1)

        flat, step = table.reshape(-1), 1e-5
        H = np.array([(slope(flat + step * e) - slope(flat - step * e)) / (2 * step) for e in np.eye(flat.size)])
        against = np.eye(1) if classes == 2 else np.column_stack([-np.ones(2), np.eye(2)])
        C = np.kron(against, np.eye(5))
        assert_close(ours.covariance, C @ np.linalg.pinv(H, rcond=1e-9, hermitian=True) @ C.T, bound=1e-7)
        assert ours.aic is None
        assert ours.bic is None
        assert "Penalised, l2=0.05" in str(ours)
        assert "Penalised" not in str(fitted(X, y).summary(X, y))

    def test_log_likelihood_leaves_the_penalty_out(self):
        X, y = toy()
        summary = ce.SoftmaxClassifier(l2=0.3).fit(X, y).summary(X, y)
        z = np.column_stack([np.zeros(len(y)), summary.coef[:, 0] + X @ summary.coef[:, 1:].T])
        exact = (z[np.arange(len(y)), y] - np.log(np.exp(z).sum(axis=1))).sum()
        assert_close(summary.log_likelihood, exact, rtol=1e-14)

    def test_the_table_does_not_depend_on_where_the_fit_ended(self):
        """Least of all with a penalty, whose fit by default ends early; from far a note says how far."""
        X, y = toy()
        exact = ce.SoftmaxClassifier(l2=0.05, tol=1e-15).fit(X, y).summary(X, y)
        rough = ce.SoftmaxClassifier(solver="gd", l2=0.05, tol=1e-4).fit(X, y)
        summary = rough.summary(X, y)
        assert np.abs(rough.coef_[1:] - rough.coef_[0] - exact.coef[:, 1:]).max() > 1e-4
        for name in ("coef", "standard_errors", "log_likelihood", "p_values"):
            assert_close(getattr(summary, name), getattr(exact, name), bound=1e-9)
        assert re.fullmatch(r"the table is of the optimum; coef_ .* is 0\.0\d+ standard errors .*", summary.notes[0])
        assert exact.notes == ()

    def test_far_tail_of_p_does_not_vanish(self):
        X, y = anes96()
        summary = fitted(X, y).summary(X, y)
        k, j = np.unravel_index(np.argmax(np.abs(summary.z)), summary.z.shape)
        assert abs(summary.z[k, j]) > 14
        exact = 2 * mpmath.ncdf(-mpmath.mpf(abs(float(summary.z[k, j]))))
        assert_close(summary.p_values[k, j], exact, rtol=1e-13)  # z^2 times the rounding of z / sqrt(2)

    def test_features_of_any_scale_and_place(self):
        X, y = toy()
        plain = fitted(X, y).summary(X, y)
        factor, shift = np.array([1e-6, 1.0, 1e6, 1.0]), np.array([0.0, 1e4, 0.0, -50.0])
        moved = fitted(X * factor + shift, y).summary(X * factor + shift, y)
        assert_close(moved.standard_errors[:, 1:] * factor, plain.standard_errors[:, 1:], rtol=1e-6)
        assert_close(moved.z[:, 1:], plain.z[:, 1:], bound=1e-6)

    def test_overflowing_odds_are_infinite_without_a_warning(self):
        X, y = toy(classes=2)
        summary = fitted(X * 1e-4, y).summary(X * 1e-4, y)
        assert np.isinf(summary.odds_ratios).any()
        assert np.isfinite(summary.coef).all()


class TestRefusals:
    def test_all_but_separable_data_are_not_called_separable(self):
        """Two rows on the wrong side, by little: the optimum is finite, as statsmodels finds too."""
        X = np.append(np.linspace(-3, 3, 60), [0.11, -0.11])[:, None]
        y = np.append(np.linspace(-3, 3, 60) > 0, [False, True]).astype(int)
        assert_equal_to_statsmodels(fitted(X, y).summary(X, y), statsmodels_of(X, y))

    def test_a_fit_away_from_the_optimum(self):
        X, y = toy()
        with pytest.warns(ce.ConvergenceWarning):
            model = fitted(X, y, max_iter=4)
        with pytest.raises(DataError, match=r"standard errors away from the optimum.*smaller tol"):
            model.summary(X, y)

    def test_other_rows_than_those_of_fit(self):
        X, y = toy()
        model = fitted(X, y)
        for rows in (slice(1, None), slice(0, 50)):
            with pytest.raises(DataError, match=r"not the rows of fit"):
                model.summary(X[rows], y[rows])
        with pytest.raises(DataError, match=r"not the rows of fit"):
            model.summary(X, y, sample_weight=np.arange(1.0, 61))
        with pytest.raises(LabelError, match=r"\[0, 1\], the model \[0, 1, 2\]"):
            model.summary(X[y < 2], y[y < 2])
        with pytest.raises(ShapeError, match="is expecting 4 features"):
            model.summary(X[:, :2], y)
        with pytest.raises(ShapeError, match="0 sample"):
            model.summary(X[:0], y[:0])

    def test_order_of_rows_does_not_matter(self):
        X, y = toy()
        order = np.random.default_rng(0).permutation(len(y))
        model = fitted(X, y)
        assert_close(model.summary(X[order], y[order]).z, model.summary(X, y).z, rtol=1e-13)

    def test_collinear_and_constant_features_are_named(self):
        X, y = toy()
        frame = pd.DataFrame(X, columns=list("abcd")).assign(e=lambda f: f.a - 2 * f.c)
        with pytest.raises(DataError, match=r"collinear: a weighted sum of 'a', 'c', 'e' is the same"):
            fitted(frame, y).summary(frame, y)
        dummies = pd.DataFrame(np.eye(2)[np.arange(60) % 2], columns=["left", "right"])
        with pytest.raises(DataError, match=r"'left', 'right' is the same in every row"):
            fitted(dummies, y).summary(dummies, y)
        assert fitted(dummies, y, fit_intercept=False).summary(dummies, y).terms == ("left", "right")
        constant = np.column_stack([X, np.full(60, 0.1)])
        with pytest.raises(DataError, match="'x4' is constant"):
            fitted(constant, y).summary(constant, y)

    def test_options(self):
        X, y = toy()
        model = fitted(X, y)
        with pytest.raises(LabelError, match=r"reference is 7.*\[0, 1, 2\]"):
            model.summary(X, y, reference=7)
        for confidence in (0, 1, math.nan):
            with pytest.raises(OptionError, match=r"confidence.*0\.95"):
                model.summary(X, y, confidence=confidence)
        with pytest.raises(UnsupportedError, match="class_weight"):
            fitted(X, y, class_weight="balanced").summary(X, y)
        with pytest.raises(UnsupportedError, match=r"loss=Focal.*loss=None"):
            ce.SoftmaxClassifier(loss=ce.Focal(), tol=1e-2).fit(X, y).summary(X, y)
        with pytest.raises(UnsupportedError, match=r"L1 penalty.*l1=0"):
            ce.SoftmaxClassifier(l1=0.01).fit(X, y).summary(X, y)
        with pytest.raises(NotFittedError):
            ce.SoftmaxClassifier().summary(X, y)


class TestReading:
    def test_table(self):
        X, y = spector()
        text = str(fitted(X, y).summary(X, y))
        lines = text.splitlines()
        assert lines[0] == "Softmax regression, log odds against class 0"
        assert "log-likelihood             -12.8896" in lines
        row = next(line for line in lines if line.startswith("PSI"))
        assert row.split()[1:6] == ["2.3787", "1.0646", "2.2344", "0.0255", "0.2922"]
        assert row.split()[6:] == ["4.4652", "10.7907", "1.3393", "86.9380"]
        assert len({len(line) for line in lines[-5:]}) == 1

    def test_classes_with_names(self):
        X, y = toy()
        names = np.array(["ant", "bee", "cat"])[y]
        text = str(fitted(X, names).summary(X, names, reference="bee"))
        assert "against class bee" in text
        assert "class ant" in text
        assert "class cat" in text

    def test_to_dict_is_json(self):
        X, y = spector()
        values = json.loads(json.dumps(fitted(X, y).summary(X, y).to_dict()))
        assert values["terms"] == ["intercept", "GPA", "TUCE", "PSI"]
        assert values["classes"] == [1]
        assert np.shape(values["covariance"]) == (4, 4)

    def test_polars_frames_name_the_terms(self):
        X, y = spector()
        frame = pl.from_pandas(X)
        assert fitted(frame, y).summary(frame, y).terms == ("intercept", "GPA", "TUCE", "PSI")
        with pytest.raises(DataError, match="feature names should match"):
            fitted(frame, y).summary(frame.rename({"GPA": "grade"}), y)
