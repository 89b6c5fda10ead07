"""The waterfall: its bars are the parts of the decomposition and add up; infinite and missing parts are said."""

import math

import pytest
from matplotlib.figure import Figure

from crossent import plots
from results import score_of


def bars_of(ax):
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]


def test_two_classes_step_from_the_class_shares_to_the_loss():
    score = score_of(2)
    parts = score.decomposition
    ax = plots.waterfall(score)
    known = parts.unc - parts.dsc
    spans = [tuple(sorted(bar)) for bar in bars_of(ax)]
    assert spans == [
        pytest.approx(span) for span in ((0, parts.unc), (known, parts.unc), (known, parts.loss), (0, parts.loss))
    ]
    texts = [t.get_text() for t in ax.texts]
    assert texts[2] == f"{parts.mcb:.4g}\n{parts.mcb / math.log(2):.4g} bit"
    assert "discrimination" in ax.get_yticklabels()[1].get_text()
    assert "0.01 by chance" in ax.get_yticklabels()[2].get_text()


def test_more_classes_say_that_it_is_a_lower_bound():
    score = score_of(4)
    parts = score.decomposition
    ax = plots.waterfall(score)
    assert "a lower bound" in ax.get_yticklabels()[2].get_text()
    assert bars_of(ax)[2] == pytest.approx((parts.unc - parts.knowledge, parts.loss))
    assert parts.loss == pytest.approx(parts.unc - parts.knowledge + parts.miscalibration)


def test_infinite_parts_end_at_the_edge_and_are_written():
    ax = plots.waterfall(score_of(2, zero=True))
    ax.figure.canvas.draw()
    edge = ax.get_xlim()[1]
    assert [bar[1] for bar in bars_of(ax)][2:] == [pytest.approx(edge)] * 2
    assert [t.get_text() for t in ax.texts][2:] == ["\u221e\n\u221e bit"] * 2


def test_without_a_decomposition_it_says_so_on_the_axes_given():
    ax = Figure().add_subplot()
    assert plots.waterfall(score_of(2, decomposition=None), ax=ax) is ax
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.texts] == ["no decomposition"]
