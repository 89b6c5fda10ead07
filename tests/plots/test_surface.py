"""The loss surface: its values and contours are F by another formula, its paths those of the solvers."""

import numpy as np
import pytest

from crossent import plots
from crossent.errors import LabelError, OptionError, ShapeError
from crossent.learn.comparison import compare_solvers
from crossent.learn.prepare import prepare
from crossent.learn.solvers import SolverOptions
from crossent.plots.surface import surface_values


def sample(features, n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, features)) + 0.3
    return X, np.where(X @ np.array([1.0, -2.0])[:features] + rng.logistic(size=n) > 0, "yes", "no")


def objective(a, b, X, t, l2, l1, weight):
    """F in a loop over rows, with log1p(exp(-m)) of the margin."""
    total = 0.0
    for x, label, w in zip(X, t, weight, strict=True):
        z = a * x[0] + (b * x[1] if len(x) == 2 else b)
        total += w * np.log1p(np.exp(-z if label else z))
    coef = [a] if X.shape[1] == 1 else [a, b]
    return total / sum(weight) + sum(l2 / 2 * c * c + l1 * abs(c) for c in coef)


@pytest.mark.parametrize("features", [1, 2])
@pytest.mark.parametrize(("l2", "l1"), [(0.0, 0.0), (0.3, 0.0), (0.1, 0.2)])
def test_values_are_the_objective(features, l2, l1):
    X, y = sample(features)
    t = (y == "yes").astype(np.int64)
    first, second = np.linspace(-3, 2, 7), np.linspace(-1, 4, 5)
    weight = np.random.default_rng(1).uniform(0.1, 2, size=len(t))
    values = surface_values(prepare(X, y, weight, loss=None, class_weight=None), first, second, l2=l2, l1=l1)
    wanted = [[objective(a, b, X, t, l2, l1, weight) for a in first] for b in second]
    np.testing.assert_allclose(values, wanted, rtol=1e-12)
    plain = surface_values(prepare(X, y, None, loss=None, class_weight=None), first, second, l2=l2, l1=l1)
    assert plain[2, 3] == pytest.approx(objective(first[3], second[2], X, t, l2, l1, np.ones(len(t))), rel=1e-12)


@pytest.fixture(params=[1, 2], ids=["one-feature-and-intercept", "two-features"])
def compared(request):
    X, y = sample(request.param)
    options = SolverOptions(max_iter=40, learning_rate=0.5)
    found = compare_solvers(
        X,
        y,
        solvers=["gd", "lbfgs"],
        held_out=0,
        l2=0.05,
        fit_intercept=request.param == 1,
        keep_points=True,
        options=options,
    )
    return X, y, found


def test_paths_are_those_of_the_solvers(compared):
    X, y, found = compared
    ax = plots.loss_surface(X, y, found)
    drawn = {line.get_label(): line for line in ax.lines}
    for curve in found.curves:
        path = np.column_stack([drawn[curve.solver].get_xdata(), drawn[curve.solver].get_ydata()])
        assert np.array_equal(path, curve.points[:, 0])
        t = y == "yes"
        values = [objective(a, b, X, t, 0.05, 0.0, np.ones(len(t))) for a, b in path]
        np.testing.assert_allclose(values, curve.loss, rtol=1e-10)
    assert {t.get_text() for t in ax.get_legend().get_texts()} == {"gd", "lbfgs"}
    ax.figure.canvas.draw()


def test_a_path_that_another_would_hide_is_wider():
    X, y = sample(2)
    names = ["lbfgs", "newton", "gd"]
    found = compare_solvers(X, y, solvers=names, held_out=0, fit_intercept=False, keep_points=True)
    lbfgs, newton, gd = (curve.points[1, 0] for curve in found.curves)
    np.testing.assert_allclose(lbfgs, newton, rtol=1e-2)  # two classes: its preconditioner is the inverse Hessian
    assert np.abs(gd - newton).max() > 0.1
    widths = {line.get_label(): line.get_linewidth() for line in plots.loss_surface(X, y, found).lines}
    assert widths["lbfgs"] > 2 * widths["newton"]
    assert widths["gd"] == widths["newton"]


def test_contours_lie_at_their_level_and_around_the_minimum(compared):
    X, y, found = compared
    (contours,) = plots.loss_surface(X, y, found).collections
    t, ones = y == "yes", np.ones(len(y))
    assert len(contours.levels) >= 10
    drawn = 0
    rise = contours.levels[-1] - contours.levels[0]
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        assert level > found.best
        for a, b in path.vertices[::20]:
            assert objective(a, b, X, t, 0.05, 0.0, ones) == pytest.approx(level, abs=2e-3 * rise)
            drawn += 1
    assert drawn > 30


def test_axes_are_named_by_what_they_are(compared):
    X, y, found = compared
    ax = plots.loss_surface(X, y, found)
    assert (ax.get_ylabel() == "intercept") == (X.shape[1] == 1)
    low, high = ax.get_xlim()
    points = np.concatenate([curve.points[:, 0, 0] for curve in found.curves])
    assert low < points.min() <= points.max() < high


def test_class_weights_are_those_of_the_fit():
    X, y = sample(1)
    found = compare_solvers(
        X, y, solvers=["lbfgs"], held_out=0, class_weight="balanced", keep_points=True, options=SolverOptions(tol=1e-9)
    )
    balanced = plots.loss_surface(X, y, found, class_weight="balanced", grid=15)
    plain = plots.loss_surface(X, y, found, grid=15)
    assert not np.array_equal(balanced.collections[0].levels, plain.collections[0].levels)


def test_refusals(compared):
    X, y, found = compared
    with pytest.raises(OptionError, match="grid is 2"):
        plots.loss_surface(X, y, found, grid=2)
    with pytest.raises(ShapeError, match="X has 59 rows, but the solvers fitted 60"):
        plots.loss_surface(X[:59], y[:59], found)
    with pytest.raises(ShapeError, match="a surface is over two"):
        plots.loss_surface(np.column_stack([X, X, X]), y, found)
    with pytest.raises(LabelError, match="3 classes"):
        plots.loss_surface(X, np.arange(60) % 3, found)
    wide = compare_solvers(np.column_stack([X, X, X]), y, solvers=["lbfgs"], held_out=0, keep_points=True)
    with pytest.raises(ShapeError, match="a surface is over two"):
        plots.loss_surface(X, y, wide)
    with pytest.raises(OptionError, match="keep_points=True"):
        plots.loss_surface(X, y, compare_solvers(X, y, solvers=["lbfgs"], held_out=0))
