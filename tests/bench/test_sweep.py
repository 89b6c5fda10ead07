"""Sweeps over solvers and tolerances, on solvers whose objective after every iteration is known."""

import math

import pytest

from crossent.bench.sweep import LIMIT_SECONDS, TOLERANCES, Fit, Setting, Sweep, aim_at


class Solvers:
    """Objective 1 + start * rate^iteration after seconds * iteration; converged where that is within tol of 1."""

    def __init__(self, **solvers: tuple[float, float]) -> None:
        self.solvers = solvers  # name: rate, seconds of an iteration
        self.asked: list[Setting] = []

    def fit(self, setting: Setting) -> Fit:
        self.asked.append(setting)
        rate, seconds = self.solvers[setting.solver]
        iterations = min(math.ceil(math.log(setting.tol) / math.log(rate)), setting.max_iter)
        return Fit(setting, 0.1 + seconds * iterations, 1 + rate**iterations, iterations)

    def sweep(self, target: float) -> Sweep:
        made = Sweep(self.fit, tuple(self.solvers), LIMIT_SECONDS)
        made.run(target)
        return made


def test_the_loosest_tolerance_that_reaches_is_the_best():
    solvers = Solvers(slow=(0.9, 0.01), fast=(0.5, 0.02))
    best = solvers.sweep(aim_at(1.0)).best(aim_at(1.0))
    assert (best.setting.solver, best.setting.tol) == ("fast", 1e-6)
    assert best.ended
    assert best.seconds == pytest.approx(0.1 + 0.02 * 20)
    assert min(s.tol for s in solvers.asked if s.solver == "slow" and s.tol != TOLERANCES[-1]) == 1e-6


def test_a_solver_that_is_too_slow_is_cut_at_the_limit_and_tried_with_no_other_tolerance():
    solvers = Solvers(slow=(0.99, 0.25))
    sweep = solvers.sweep(aim_at(1.0))
    assert sweep.best(aim_at(1.0)) is None
    closest = sweep.closest()
    assert not closest.ended
    assert 0.8 * LIMIT_SECONDS < closest.seconds <= LIMIT_SECONDS
    assert closest.value == min(fit.value for fit in sweep.fits)
    assert {setting.tol for setting in solvers.asked} == {TOLERANCES[-1]}
    assert len(solvers.asked) <= 4


def test_a_second_solver_is_not_given_more_time_than_would_help():
    solvers = Solvers(fast=(0.5, 0.02), slow=(0.99, 0.25))
    sweep = solvers.sweep(aim_at(1.0))
    best = sweep.best(aim_at(1.0))
    assert best.setting.solver == "fast"
    assert max(fit.seconds for fit in sweep.fits if fit.setting.solver == "slow") < 2.5


def test_a_slow_first_fit_does_not_make_iterations_free():
    asked = []

    def fit(setting: Setting) -> Fit:
        asked.append(setting.max_iter)
        return Fit(setting, 5.0 if setting.max_iter == 4 else setting.max_iter / 16, 2.0, setting.max_iter)

    Sweep(fit, ("one",), LIMIT_SECONDS).run(1.0)
    assert asked[0] == 4
    assert max(asked) * 0.3 / 16 < 1.1 * LIMIT_SECONDS


def test_while_nobody_has_been_anywhere_the_tightest_tolerance_goes_to_its_end():
    solvers = Solvers(only=(0.9, 0.001))
    sweep = solvers.sweep(aim_at(math.inf))
    assert {setting.tol for setting in solvers.asked} == {TOLERANCES[-1]}
    assert sweep.closest().ended
    assert sweep.closest().value == pytest.approx(1 + 1e-8, abs=1e-8)
    before = len(solvers.asked)
    sweep.run(aim_at(sweep.closest().value))
    best = sweep.best(aim_at(sweep.closest().value))
    assert best.setting.tol == 1e-6
    repeated = len(solvers.asked)
    assert repeated > before
    sweep.run(aim_at(sweep.closest().value))
    assert len(solvers.asked) == repeated  # every fit is remembered


def test_a_fit_that_max_iter_cut_counts_only_where_no_other_reached():
    """At tol 1e-8 it would need 1833 iterations, 1375 reach the target; the limit allows about 1500."""
    solvers = Solvers(slow=(0.99, LIMIT_SECONDS / 1500))
    sweep = solvers.sweep(aim_at(1.0))
    best = sweep.best(aim_at(1.0))
    assert best.ended
    assert (best.setting.tol, best.iterations) == (1e-6, 1375)
    cut = Fit(Setting("slow", 1e-8, 5), 0.01, 1.0, 5)
    alone = Sweep(lambda setting: cut._replace(setting=setting, iterations=setting.max_iter), ("slow",), 1.0)
    alone.run(aim_at(1.0))
    assert not alone.best(aim_at(1.0)).ended


def test_fits_without_a_result_and_objectives_that_are_no_numbers_are_left_out():
    silent = Sweep(lambda setting: None, ("a", "b"), 1.0)
    silent.run(aim_at(1.0))
    assert (silent.best(aim_at(1.0)), silent.closest()) == (None, None)
    lost = Sweep(lambda setting: Fit(setting, 1.0, math.nan, 1), ("a",), 1.0)
    lost.run(aim_at(1.0))
    assert lost.closest() is None
