"""Comparing solvers: curves against SciPy and scikit-learn, time without the listener's, what is held out."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import logsumexp, softmax
from sklearn.metrics import log_loss

import crossent as ce
from closeness import assert_close
from crossent.errors import DataError, LabelError, NonFiniteError, OptionError, ShapeError, UnsupportedError
from crossent.learn import comparison as module
from crossent.learn.certificate import Certificate
from crossent.learn.comparison import compare_solvers, held_out_rows
from crossent.learn.comparison_files import compare_file
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.predict import model_logits
from crossent.learn.solvers import SolverOptions, watch
from crossent.rows import from_table

BOTH = ("gd", "lbfgs")


def sample(K=3, n=300, D=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D)) + 0.5
    names = np.array(["ant", "bee", "cat", "dog"])[:K]
    return X, names[(X @ rng.normal(size=(D, K)) + rng.gumbel(size=(n, K))).argmax(1)]


def logits_of(table, X, classes):
    """[N, K] of coefficients with the intercept last, by plain NumPy; two classes have the logit 0 for the first."""
    z = X @ table[:, : X.shape[1]].T
    if table.shape[1] > X.shape[1]:
        z = z + table[:, -1]
    return np.column_stack([np.zeros(len(X)), z]) if classes == 2 else z


def objective(table, X, codes, K, l2, weight):
    z = logits_of(table, X, K)
    rows = logsumexp(z, axis=1) - z[np.arange(len(z)), codes]
    return np.average(rows, weights=weight) + l2 / 2 * np.sum(table[:, : X.shape[1]] ** 2)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_curves_are_the_objective_and_the_log_loss_at_their_points(K, fit_intercept):
    X, y = sample(K)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=len(y))
    found = compare_solvers(
        X[:200], y[:200], solvers=BOTH, held_out=(X[200:], y[200:]), sample_weight=weight[:200], l2=0.03,
        fit_intercept=fit_intercept, keep_points=True, options=SolverOptions(max_iter=30),
    )  # fmt: skip
    assert (found.rows, found.heldout_rows, found.l2) == (200, 100, 0.03)
    codes = np.unique(y, return_inverse=True)[1]
    for curve in found.curves:
        assert curve.points.shape == (curve.iterations + 1, 1 if K == 2 else K, 4 + fit_intercept)
        assert not curve.points[0].any()
        for i, table in enumerate(curve.points):
            assert_close(curve.loss[i], objective(table, X[:200], codes[:200], K, 0.03, weight[:200]), rtol=1e-12)
            z = logits_of(table, X[200:], K)
            p = np.exp(z - logsumexp(z, axis=1, keepdims=True))
            assert_close(curve.heldout[i], log_loss(y[200:], p, labels=np.unique(y)), rtol=1e-10)


def test_solvers_meet_at_the_minimum_of_scipy():
    X, y = sample(2)
    options = SolverOptions(max_iter=3000, tol=1e-9, learning_rate=1.0)
    found = compare_solvers(X, y, solvers=BOTH, held_out=0, l2=0.05, options=options)
    codes = np.unique(y, return_inverse=True)[1]
    least = minimize(lambda x: objective(x[None], X, codes, 2, 0.05, None), np.zeros(5), tol=1e-10).fun
    for curve in found.curves:
        assert_close(curve.loss[-1], least, rtol=1e-8)
        assert np.isnan(curve.heldout).all()
    assert found.best <= least * (1 + 1e-8)
    assert [curve.solver for curve in found.curves] == list(BOTH)


def test_seconds_and_passes_are_those_of_the_solver_alone(monkeypatch):
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr(watch, "time", clock)
    monkeypatch.setattr(module, "time", clock)
    evaluate = LinearObjective.value_and_grad

    def slow(self, point):
        now[0] += 1
        return evaluate(self, point)

    def certified(self, point):
        now[0] += 1000
        self.passes += 1000
        return Certificate("gap", 0.25)

    def listen(step, point):
        now[0] += 100

    monkeypatch.setattr(LinearObjective, "value_and_grad", slow)
    monkeypatch.setattr(LinearObjective, "certificate", certified)
    X, y = sample()
    options = SolverOptions(max_iter=20, tol=0, learning_rate=0.1, on_step=listen)  # a rate: a step, an evaluation
    (curve,) = compare_solvers(X, y, solvers=["gd"], options=options).curves
    wanted = np.arange(1.0, 22.0)
    assert curve.seconds.tolist() == wanted.tolist()
    assert curve.passes.tolist() == wanted.tolist()


def test_gap_is_the_certificate_of_the_point(monkeypatch):
    def exact(self, point):
        """Without intercept and l1 the gap is |grad|^2 / (2 l2) in raw coefficients."""
        return Certificate("gap", self.bound_estimate(self.value_and_grad(point).grad))

    monkeypatch.setattr(LinearObjective, "certificate", exact)
    X, y = sample(2)
    found = compare_solvers(X, y, solvers=BOTH, held_out=0, l2=0.1, fit_intercept=False, keep_points=True)
    codes = np.unique(y, return_inverse=True)[1]
    least = minimize(lambda x: objective(x[None], X, codes, 2, 0.1, None), np.zeros(4), tol=1e-12).fun
    for curve in found.curves:
        for i, table in enumerate(curve.points):
            if curve.iterations + 1 == len(curve.points):
                p = 1 / (1 + np.exp(-(X @ table[0])))
                grad = (p - codes) @ X / len(X) + 0.1 * table[0]
                assert_close(curve.gap[i], grad @ grad / 0.2, bound=1e-9 * curve.gap[i] + 1e-17)
        known = np.isfinite(curve.gap)
        assert known[0]
        assert known[-1]
        assert (curve.loss[known] - curve.gap[known] <= least + 1e-12).all()
    assert found.is_proven
    assert least - 1e-6 < found.best <= least + 1e-12


@pytest.mark.parametrize("kind", ["radius", "stationarity"])
def test_what_is_no_bound_is_no_gap(monkeypatch, kind):
    monkeypatch.setattr(LinearObjective, "certificate", lambda self, point: Certificate(kind, 0.5))
    found = compare_solvers(*sample(), solvers=["lbfgs"])
    assert np.isnan(found.curves[0].gap).all()
    assert not found.is_proven
    assert found.best == found.lowest == found.curves[0].loss.min()


def test_long_runs_keep_few_points_the_first_and_the_last_among_them(monkeypatch):
    monkeypatch.setattr(module, "MOST_POINTS", 40)
    X, y = sample()
    options = SolverOptions(max_iter=500, tol=0, learning_rate=0.1)
    (long,) = compare_solvers(X, y, solvers=["gd"], options=options, keep_points=True).curves
    known = np.flatnonzero(np.isfinite(long.heldout))
    assert len(known) == len(long.points) <= 40
    assert len(known) >= 20
    assert known[:10].tolist() == list(range(10))
    assert known[-1] == 500
    assert len(long.loss) == len(long.seconds) == 501
    monkeypatch.setattr(module, "MEMORY", 1)
    (least,) = compare_solvers(X, y, solvers=["gd"], options=options, keep_points=True).curves
    assert np.flatnonzero(np.isfinite(least.heldout)).tolist() == [0, 500]
    assert_close(least.points[-1], long.points[-1], rtol=0)


def test_a_start_is_the_start_of_all():
    X, y = sample()
    rng = np.random.default_rng(5)
    coef, intercept = rng.normal(size=(3, 4)), rng.normal(size=3)
    found = compare_solvers(X, y, solvers=BOTH, held_out=0, l2=0.1, start=(coef, intercept))
    codes = np.unique(y, return_inverse=True)[1]
    wanted = objective(np.column_stack([coef, intercept]), X, codes, 3, 0.1, None)
    for one in found.curves:
        assert_close(one.loss[0], wanted, rtol=1e-12)


def test_a_solver_that_overflows_has_a_curve():
    X, y = sample()
    options = SolverOptions(max_iter=50, learning_rate=1e295)
    found = compare_solvers(X * 1e10, y, solvers=["gd", "lbfgs"], options=options, l2=0)
    wild, tame = found.curves
    assert not wild.converged
    assert "overflowed" in wild.reason
    assert np.isfinite(found.best)
    assert found.best <= tame.loss[-1]


def test_rows_held_out_are_a_share_drawn_by_the_seed_and_every_class_keeps_one():
    codes = np.array([0] * 97 + [1, 2, 2])
    drawn = [held_out_rows(codes, 0.5, seed) for seed in range(30)]
    for index in drawn:
        assert len(index) == 50
        assert (np.diff(index) > 0).all()
        assert set(np.delete(codes, index)) == {0, 1, 2}
        assert 97 not in index
    assert len({tuple(index) for index in drawn}) == 30
    assert np.array_equal(held_out_rows(codes, 0.5, 7), drawn[7])
    assert (np.bincount(np.concatenate(drawn), minlength=100)[:97] > 0).all()
    assert len(held_out_rows(codes, 0.999, 0)) == 97
    assert held_out_rows(codes, 0.0, 0).size == 0
    with pytest.raises(DataError, match="leaves no row to hold out"):
        held_out_rows(np.array([0, 1, 2]), 0.3, 0)


def test_the_share_is_of_the_rows_and_the_seed_that_of_the_options():
    X, y = sample()
    one, other, again = (
        compare_solvers(X, y, solvers=["lbfgs"], options=SolverOptions(seed=seed)).curves[0] for seed in (0, 1, 0)
    )
    assert one.loss[-1] != other.loss[-1]
    assert one.loss.tolist() == again.loss.tolist()
    found = compare_solvers(X, y, solvers=["lbfgs"], held_out=0.25)
    assert (found.rows, found.heldout_rows) == (225, 75)


def test_rows_of_weight_zero_are_no_rows_and_class_weights_count_in_the_fit():
    X, y = sample()
    weight = np.where(np.arange(300) < 250, 1.0, 0.0)
    kept = compare_solvers(X[:250], y[:250], solvers=["lbfgs"], class_weight="balanced", held_out=0, keep_points=True)
    same = compare_solvers(
        X, y, solvers=["lbfgs"], sample_weight=weight, class_weight="balanced", held_out=0, keep_points=True
    )
    assert kept.curves[0].loss.tolist() == same.curves[0].loss.tolist()
    codes = np.unique(y[:250], return_inverse=True)[1]
    balanced = (250 / (3 * np.bincount(codes)))[codes]
    wanted = objective(kept.curves[0].points[-1], X[:250], codes, 3, 1 / 250, balanced)
    assert_close(kept.curves[0].loss[-1], wanted, rtol=1e-12)


def test_the_held_out_loss_is_log_loss_whatever_is_minimised():
    X, y = sample()
    focal = ce.Focal(gamma=1.0, temperature=2.0)
    found = compare_solvers(
        X[:200], y[:200], solvers=["gd"], held_out=(X[200:], y[200:]), loss=focal, l2=0.1, keep_points=True,
        options=SolverOptions(max_iter=5, learning_rate=0.5),
    )  # fmt: skip
    (curve,) = found.curves
    for i, table in enumerate(curve.points):
        p = softmax(logits_of(table, X[200:], 3) / 2, axis=1)
        assert_close(curve.heldout[i], log_loss(y[200:], p), rtol=1e-10)
        p = softmax(logits_of(table, X[:200], 3) / 2, axis=1)[
            np.arange(200), np.unique(y, return_inverse=True)[1][:200]
        ]
        assert_close(curve.loss[i], np.mean(-(1 - p) * np.log(p)) + 0.05 * np.sum(table[:, :4] ** 2), rtol=1e-10)


def test_soft_and_independent_targets_and_sparse_features():
    X, _ = sample()
    rng = np.random.default_rng(2)
    soft = rng.dirichlet([1.0, 2.0, 1.0], size=300)
    found = compare_solvers(csr_matrix(X), soft, solvers=["lbfgs"], keep_points=True)
    out = held_out_rows(np.zeros(300, dtype=np.int64), 0.2, 0)
    assert (found.rows, found.heldout_rows) == (240, 60)
    z = logits_of(found.curves[0].points[-1], X[out], 3)
    wanted = np.mean(logsumexp(z, axis=1) - np.sum(soft[out] * z, axis=1))
    assert_close(found.curves[0].heldout[-1], wanted, rtol=1e-10)
    labels = (rng.uniform(size=(300, 2)) < 0.4).astype(float)
    found = compare_solvers(X, labels, solvers=["lbfgs"], loss=ce.BinaryCrossEntropy(), keep_points=True)
    z = logits_of(found.curves[0].points[-1], X[out], 3)
    wanted = np.mean(np.logaddexp(0, z) - labels[out] * z)
    assert_close(found.curves[0].heldout[-1], wanted, rtol=1e-10)
    with pytest.raises(UnsupportedError, match="one label per row"):
        compare_solvers(X, soft, solvers=["lbfgs"], held_out=(X, soft))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"solvers": ["gd", "lbfg"]}, OptionError, "'lbfg'.*Did you mean 'lbfgs'"),
        ({"solvers": []}, OptionError, "No solver is named"),
        ({"held_out": 1.0}, OptionError, "held_out is 1.0"),
        ({"held_out": -0.1}, OptionError, "held_out is -0.1"),
        ({"held_out": True}, OptionError, "held_out is True"),
        ({"held_out": "half"}, OptionError, "held_out is 'half'"),
        ({"held_out": (1, 2, 3)}, OptionError, "held_out has 3 parts"),
        ({"held_out": (np.zeros((1, 4)), ["eel"])}, LabelError, "the label eel"),
        ({"l2": -1}, OptionError, "l2 is -1"),
        ({"l1": -1}, OptionError, "l1 is -1"),
        ({"loss": "log_loss"}, UnsupportedError, "loss is 'log_loss'"),
        ({"start": (np.zeros((2, 4)), np.zeros(2))}, ShapeError, r"start has shapes \(2, 4\) and \(2,\)"),
        ({"held_out": (np.full((1, 4), np.nan), ["ant"])}, NonFiniteError, "nan"),
        ({"fit_intercept": "no"}, OptionError, "fit_intercept is 'no'"),
        ({"class_weight": {"eel": 2.0}}, LabelError, "eel"),
    ],
)
def test_refusals(options, error, text):
    with pytest.raises(error, match=text):
        compare_solvers(*sample(), **{"solvers": ["lbfgs"], **options})


def table_of(X, y):
    return pa.table({**{f"x{j}": X[:, j] for j in range(X.shape[1])}, "kind": y})


def test_a_file_is_its_standardised_rows_and_the_best_model_is_kept():
    X, y = sample()
    options = SolverOptions(max_iter=12, seed=3)
    found = compare_file(
        from_table(table_of(X, y)), target="kind", solvers=["gd", "lbfgs"], held_out=0.3, l2=0.02, options=options
    )
    codes = np.unique(y, return_inverse=True)[1]
    out = held_out_rows(codes, 0.3, 3)
    rest = np.delete(np.arange(300), out)
    center, scale = X[rest].mean(0), X[rest].std(0)
    Z = (X - center) / scale
    arrays = compare_solvers(
        Z[rest], y[rest], solvers=["gd", "lbfgs"], held_out=(Z[out], y[out]), l2=0.02, options=options
    )
    for one, other in zip(found.comparison.curves, arrays.curves, strict=True):
        assert_close(one.loss, other.loss, rtol=1e-9)
        assert_close(one.heldout, other.heldout, rtol=1e-9)
    assert (found.comparison.rows, found.comparison.heldout_rows) == (210, 90)
    assert (found.fit.solver, found.fit.rows) == ("lbfgs", 210)
    z = model_logits(found.fit.model, X[out])
    p = np.exp(z - logsumexp(z, axis=1, keepdims=True))
    assert_close(found.comparison.curves[1].heldout[-1], log_loss(y[out], p), rtol=1e-10)
