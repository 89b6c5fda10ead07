"""What curves say together: the best that is known of the minimum, and when each solver came near to it."""

import numpy as np

from crossent.learn.curves import SolverComparison, SolverCurve, lower_bound


def curve(solver, loss, gap):
    x = np.arange(float(len(loss)))
    return SolverCurve(solver, x + 1, x / 10, np.array(loss), np.array(gap), np.full(len(loss), np.nan), True, "so")


def test_best_is_the_largest_proven_bound_and_times_are_to_shares_of_it():
    nan = np.nan
    slow, quick = curve("slow", [1.0, 0.9, 0.505, 0.5], [nan] * 4), curve("quick", [1.0, 0.5001, 0.5], [nan, 0.1, 1e-3])
    bound, proven = lower_bound([slow, quick])
    assert (bound, proven) == (0.5 - 1e-3, True)
    assert lower_bound([slow]) == (0.5, False)
    assert lower_bound([curve("loose", [0.3], [5.0])]) == (0.0, True)
    found = SolverComparison((slow, quick), 0.4999, 10, 0, proven)
    assert found.lowest == 0.5
    assert found.seconds_to(slow, 1e-2) == 0.3
    assert found.seconds_to(quick, 1e-2) == 0.1
    assert found.seconds_to(quick, 4e-4) == 0.1 * 1
    assert np.isnan(found.seconds_to(slow, 1e-4))
    plain = found.as_dict()
    assert plain["curves"][0]["seconds_to"]["0.01"] == 0.3
    assert plain["curves"][1]["loss"] == [1.0, 0.5001, 0.5]
    assert plain["best"] == 0.4999
