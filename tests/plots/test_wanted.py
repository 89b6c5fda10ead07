"""Pictures of the wrong object: a TypeError that says what is wanted and what draws the object given."""

import re

import pytest

import crossent as ce
from crossent import plots
from crossent.errors import CrossentError
from crossent.scoring import Tally
from results import compare_of, score_of

OF_SCORES = [plots.reliability, plots.loss_histogram, plots.waterfall, plots.confusion]


@pytest.mark.parametrize("draw", OF_SCORES)
def test_pictures_of_a_score_refuse_a_comparison_and_name_its_own(draw):
    with pytest.raises(TypeError, match=rf"plots\.{draw.__name__} draws a Score \(of crossent\.score\)") as caught:
        draw(compare_of())
    assert isinstance(caught.value, CrossentError)
    assert str(caught.value).endswith("it was given Compare. plots.difference and segments draw it.")


def test_a_score_has_no_difference():
    with pytest.raises(TypeError, match=r"draws a Compare .*given Score\. plots\.reliability, loss_histogram"):
        plots.difference(score_of(2))


@pytest.mark.parametrize("draw", [*OF_SCORES, plots.difference, plots.segments])
def test_a_tally_is_told_to_be_asked_for_its_result(draw):
    with pytest.raises(TypeError, match=re.escape("it was given Tally. Pass what its result() returns.")):
        draw(Tally(["a", "b"]))


def test_other_results_and_plain_numbers_are_refused():
    spoken = ce.score_language([[-0.5, -1.0], [-0.2, -0.3]])
    with pytest.raises(TypeError, match=r"a Score .* or a Compare .*given LanguageScore\.$"):
        plots.segments(spoken)
    for draw in (plots.learning_curves, plots.learning_page):
        with pytest.raises(TypeError, match="SolverComparison"):
            draw([1.0, 0.5])
    with pytest.raises(TypeError, match="loss_surface draws a SolverComparison"):
        plots.loss_surface([[0.0], [1.0]], [0, 1], score_of(2))
    for trace in (score_of(2), "0.5", 0.5, None):
        with pytest.raises(TypeError, match=r"plots\.training draws a trace"):
            plots.training(trace)
