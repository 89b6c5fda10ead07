"""Mini-batch solvers: a training loop by hand, the optimum, seeds, threads, overflow."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from closeness import assert_close
from crossent.core.matrix import DenseMatrix
from crossent.learn.linear_objective import LinearObjective
from crossent.learn.objective import nonsmooth_gradient
from crossent.learn.solvers import SolverOptions, minimise_stochastic
from crossent.learn.solvers.nonsmooth import place_at
from crossent.learn.solvers.rules import RULES
from crossent.learn.solvers.stochastic import _Passes
from crossent.learn.training import train
from crossent.losses import CrossEntropy
from crossent.settings import get_num_threads, set_num_threads
from toys import rosenbrock, toy


def fitted(solver, X, y, **options):
    penalties = {name: options.pop(name) for name in ("l1", "l2") if name in options}
    weight = options.pop("sample_weight", None)
    return train(
        DenseMatrix(X), y, outputs=len(np.unique(y)), loss=CrossEntropy(), solver=solver, sample_weight=weight,
        options=SolverOptions(**options), **penalties,
    )  # fmt: skip


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_a_training_loop_by_hand(momentum):
    """Raw coefficients, a new order each pass, batches of 16 and one of 12 that averages its own rows."""
    X, y = toy(rows=60)
    ours = fitted(
        "momentum", X, y, l2=0.02, learning_rate=0.1, momentum=momentum, batch_size=16, max_iter=3, tol=0.0, seed=5,
        schedule="sqrt",
    )  # fmt: skip
    random, W, b = np.random.default_rng(5), np.zeros((3, 4)), np.zeros(3)
    ball_W, ball_b = np.zeros_like(W), np.zeros_like(b)
    for t in range(3):
        order = random.permutation(60)
        for rows in np.split(order, [16, 32, 48]):
            z = X[rows] @ W.T + b
            G = np.exp(z) / np.exp(z).sum(1, keepdims=True) - np.eye(3)[y[rows]]
            ball_W = momentum * ball_W + G.T @ X[rows] / len(rows) + 0.02 * W
            ball_b = momentum * ball_b + G.sum(0) / len(rows)
            W, b = W - 0.1 / np.sqrt(1 + t) * ball_W, b - 0.1 / np.sqrt(1 + t) * ball_b
    assert ours.solution.iterations == 3
    assert_close(ours.coef, W, rtol=1e-12)
    assert_close(ours.intercept, b, bound=1e-14)


def scikit_learns(X, y, *, strength, ratio=0.0):
    solver = "saga" if ratio else "newton-cholesky"
    model = LogisticRegression(C=1 / (strength * len(y)), l1_ratio=ratio, solver=solver, tol=1e-12, max_iter=100_000)
    return model.fit(X, y)


@pytest.mark.parametrize("rule", RULES)
def test_reaches_the_optimum_without_a_rate(rule):
    """Features of very different scale; the start lies 19 % above the optimum."""
    X, y = toy(rows=200)
    X = X * [1.0, 100.0, 0.01, 1.0] + [0.0, 1000.0, 0.0, -3.0]
    ours = fitted(rule, X, y, l2=0.01, tol=1e-9, max_iter=100)
    best = scikit_learns(X, y, strength=0.01)
    lowest = ours.objective.value_and_grad(ours.objective.parameters(best.coef_, best.intercept_)).value
    losses = np.array([step.loss for step in ours.solution.steps])
    assert losses[0] > 1.15 * lowest
    assert losses.max() == losses[0]
    assert losses[-1] - lowest <= 1e-4 * lowest


@pytest.mark.parametrize("rule", RULES)
def test_reaches_the_optimum_at_a_falling_rate(rule):
    X, y = toy(rows=200)
    rate = 1.0 if rule == "adagrad" else 0.05
    ours = fitted(rule, X, y, l2=0.1, learning_rate=rate, schedule="cosine", batch_size=20, max_iter=60, tol=0.0)
    assert_close(ours.coef, scikit_learns(X, y, strength=0.1).coef_, bound=5e-3)


@pytest.mark.parametrize("rule", RULES)
def test_l1_leads_to_the_optimum(rule):
    X, y = toy(rows=200, width=6)
    strength = 0.1
    rate = {"adagrad": 1.0, "sgd": 0.5}.get(rule, 0.05)
    options = {"learning_rate": rate, "schedule": "cosine", "batch_size": 50, "max_iter": 100, "tol": 0.0}
    ours = fitted(rule, X, y, l2=0.0, l1=strength, **options)
    theirs = scikit_learns(X, y, strength=strength, ratio=1.0)
    assert_close(ours.coef, theirs.coef_, bound=5e-3)
    assert 0 < (theirs.coef_ == 0).sum() < 18


@pytest.mark.parametrize("rate", [None, 0.02])
@pytest.mark.parametrize("rule", RULES)
def test_l1_leads_to_exact_zeros(rule, rate):
    """Without the noise of batches: the optimality conditions, and the zeros of scikit-learn's optimum."""
    X, y = toy(rows=200, width=6)
    rate = {"adagrad": 0.5, "sgd": 0.5}.get(rule, rate) if rate else None
    ours = fitted(rule, X, y, l2=0.0, l1=0.1, learning_rate=rate, batch_size=200, max_iter=300, tol=1e-9)
    theirs = scikit_learns(X, y, strength=0.1, ratio=1.0)
    assert np.array_equal(ours.coef == 0, theirs.coef_ == 0)
    grad = ours.objective.value_and_grad(ours.solution.point).grad
    assert np.abs(nonsmooth_gradient(ours.objective, ours.solution.point, grad)).max() < 1e-2


@pytest.mark.parametrize("rate", [None, 0.01])
@pytest.mark.parametrize("rule", RULES)
def test_the_same_seed_gives_the_same_bits(rule, rate):
    X, y = toy()
    one, same, other = (
        fitted(rule, X, y, learning_rate=rate, seed=seed, max_iter=4, tol=0.0).coef for seed in (7, 7, 8)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("batch_size", [None, 8000])
def test_threads_do_not_change_a_bit(batch_size):
    X, y = toy(rows=8000, width=100)
    before, found = get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            set_num_threads(threads)
            found.append(fitted("adam", X, y, batch_size=batch_size, max_iter=2, tol=0.0).coef)
    finally:
        set_num_threads(before)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov"])
def test_overflow_ends_at_the_last_finite_pass(rule):
    X, y = toy()
    seen = []
    result = fitted(
        rule, 1e80 * X, y, learning_rate=1e150, tol=0.0, on_step=lambda step, point: seen.append((step, point))
    )
    solution = result.solution
    assert "overflowed" in solution.reason
    assert "now 1e+150" in solution.advice
    assert not np.isfinite(seen[-1][0].loss)
    assert np.isfinite(seen[-2][0].loss)
    assert np.array_equal(solution.point, seen[-2][1])


@pytest.mark.parametrize("rule", RULES)
def test_as_many_passes_as_asked_for_even_in_the_noise(rule):
    X, y = toy()
    solution = fitted(rule, X, y, learning_rate=0.5, batch_size=4, max_iter=70, tol=0.0).solution
    assert solution.iterations == 70
    assert solution.point is not None
    assert "max_iter=70" in solution.reason


def test_the_last_point_is_returned_also_where_it_is_not_the_best():
    X, y = toy()
    points = []
    result = fitted(
        "sgd", X, y, learning_rate=2.0, batch_size=2, max_iter=30, tol=0.0, on_step=lambda step, x: points.append(x)
    )
    losses = [step.loss for step in result.solution.steps]
    assert min(losses) < losses[-1]
    assert np.array_equal(result.solution.point, points[-1])


@pytest.mark.parametrize("rate", [None, 0.1])
def test_an_iteration_is_a_pass_and_the_look_at_all_rows(rate):
    X, y = toy()
    steps = fitted("adam", X, y, learning_rate=rate, batch_size=7, max_iter=5, tol=0.0).solution.steps
    assert_close([step.passes for step in steps], [1, 3, 5, 7, 9, 11], rtol=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_passes_that_lead_above_the_start_are_undone(rule):
    """Parameters that nobody has rescaled: the first rates lead far up or to infinity, and cost passes only."""
    X, y = toy()
    objective = LinearObjective(DenseMatrix(1e6 * X), y, loss=CrossEntropy(), outputs=3, l2=1e10)
    solution = minimise_stochastic(objective, np.zeros(objective.size), SolverOptions(max_iter=100), rule=rule)
    losses = np.array([step.loss for step in solution.steps])
    assert losses.max() == losses[0] == losses[1]
    assert losses[-1] < 0.95 * losses[0]


def test_passes_that_double_f_are_undone():
    """All but separable rows: adam's rate grows until a pass throws it far away, though not above the start."""
    X, y = toy(rows=80, width=40)
    solution = fitted("adam", X, y, l2=1e-4, batch_size=8, max_iter=60, tol=0.0).solution
    losses = np.array([step.loss for step in solution.steps])
    assert (losses[1:] <= 2 * losses[:-1]).all()
    assert (losses[1:] == losses[:-1]).any()


def test_tuned_passes_of_short_steps_go_against_the_whole_gradient():
    """In whatever order: the short batch of 2 rows must not count as much as one of 29."""
    X, y = toy()
    objective = LinearObjective(DenseMatrix(X), y, loss=CrossEntropy(), outputs=3, l2=0.1)
    start = np.random.default_rng(0).normal(size=objective.size) * 1e-2
    whole = objective.value_and_grad(start).grad
    for seed in range(5):
        options = SolverOptions(max_iter=1, batch_size=29, seed=seed, tol=0.0)
        passes = _Passes(objective, options, "sgd")
        there, _ = passes._after_pass(place_at(objective, start), 1e-6, even=True)
        assert_close(there.point - start, -1e-6 * 60 / 29 * whole, bound=1e-11)


@pytest.mark.parametrize("rule", RULES)
def test_a_function_without_rows_is_one_batch(rule):
    solution = minimise_stochastic(rosenbrock(), np.array([-1.2, 1.0]), SolverOptions(max_iter=300), rule=rule)
    assert solution.loss < 5.0 < solution.steps[0].loss


def test_start_is_where_it_starts():
    X, y = toy()
    first = fitted("adam", X, y, l2=0.1, max_iter=3)
    again = train(
        DenseMatrix(X), y, outputs=3, solver="adam", l2=0.1, options=SolverOptions(max_iter=3),
        start=(first.coef, first.intercept),
    )  # fmt: skip
    assert again.solution.steps[0].loss == pytest.approx(first.solution.loss, rel=1e-13)
    assert again.solution.loss < first.solution.loss


def test_a_listener_ends_it():
    X, y = toy()
    solution = fitted("sgd", X, y, on_step=lambda step, point: step.iteration == 3).solution
    assert solution.iterations == 3
    assert "callback" in solution.reason


def test_weights_count_rows():
    """At a batch of all rows, weight 2 is the row twice."""
    X, y = toy()
    twice = np.r_[np.arange(60), np.arange(20)]
    options = {"learning_rate": 0.1, "batch_size": 100, "max_iter": 5, "tol": 0.0, "l2": 0.1}
    weighted = fitted("adam", X, y, sample_weight=1.0 + (np.arange(60) < 20), **options)
    assert_close(weighted.coef, fitted("adam", X[twice], y[twice], **options).coef, rtol=1e-10)
