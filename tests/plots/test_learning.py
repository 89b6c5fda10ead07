"""Learning curves: the lines are the numbers of the comparison, each named once, in its own colour on every axes."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from crossent import plots
from crossent.errors import OptionError
from crossent.learn.curves import SolverComparison, SolverCurve


def curve(solver, rate, *, per_pass=0.01, n=30, gap=True, heldout=True, floor=0.0):
    k = np.arange(float(n))
    loss = 0.3 + 0.7 * rate**k + floor
    nothing = np.full(n, np.nan)
    return SolverCurve(
        solver, k + 1, per_pass * (k + 1), loss, 2 * (loss - 0.3) if gap else nothing,
        0.4 + 0.6 * rate**k if heldout else nothing, True, "so",
    )  # fmt: skip


def comparison(*curves, proven=True):
    return SolverComparison(curves, 0.3 - 1e-9, 100, 20, proven)


TWO = comparison(curve("gd", 0.9), curve("lbfgs", 0.5, per_pass=0.03))


def lines(ax):
    """The lines of solvers by name; the dots at their ends have none."""
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def names(ax):
    """The names that are written on the axes."""
    legend = ax.get_legend()
    return sorted([t.get_text() for t in ax.texts] + ([t.get_text() for t in legend.get_texts()] if legend else []))


@pytest.mark.parametrize("against", ["passes", "seconds"])
@pytest.mark.parametrize("what", ["loss", "gap", "heldout"])
def test_lines_are_the_curves(against, what):
    ax = Figure().add_subplot()
    assert plots.learning_curves(TWO, against=against, what=what, ax=ax) is ax
    drawn = lines(ax)
    assert list(drawn) == ["gd", "lbfgs"]
    for one in TWO.curves:
        y = getattr(one, what) - (TWO.best if what == "loss" else 0)
        assert drawn[one.solver].get_xdata().tolist() == getattr(one, against).tolist()
        assert drawn[one.solver].get_ydata().tolist() == y.tolist()
    assert ax.get_yscale() == ("linear" if what == "heldout" else "log")
    assert names(ax) == ["gd", "lbfgs"]
    assert against[:6] in ax.get_xlabel()
    ax.figure.canvas.draw()


def test_unknown_values_are_left_out_and_distances_of_nothing_too():
    one = curve("gd", 0.5)
    one.gap[[3, 5]] = np.nan
    one.gap[7] = 0
    one.loss[2] = np.inf
    found = SolverComparison((one,), float(one.loss.min()), 100, 20, False)
    kept = [k for k in range(30) if k not in (3, 5, 7)]
    assert lines(plots.learning_curves(found, what="gap"))["gd"].get_ydata().tolist() == one.gap[kept].tolist()
    ax = plots.learning_curves(found)
    assert lines(ax)["gd"].get_xdata().tolist() == [k + 1.0 for k in range(29) if k != 2]
    assert "lowest F found" in ax.get_ylabel()
    assert "proven" in plots.learning_curves(TWO).get_ylabel()


def test_names_stand_at_the_ends_of_the_lines_where_they_are_free():
    ax = plots.learning_curves(TWO)
    assert ax.get_legend() is None
    for text in ax.texts:
        line = lines(ax)[text.get_text()]
        assert text.xy == (line.get_xdata()[-1], line.get_ydata()[-1])
        assert text.get_color() == line.get_color()


def test_names_that_would_meet_go_into_a_legend():
    alike = comparison(*(curve(f"solver{k}", 0.8 + 1e-5 * k) for k in range(8)))
    ax = plots.learning_curves(alike)
    assert not ax.texts
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().x0 >= ax.bbox.x1
    assert names(ax) == [f"solver{k}" for k in range(8)]


def test_a_solver_keeps_its_colour_and_no_two_look_alike():
    many = comparison(*(curve(f"solver{k}", 0.5 + 0.04 * k, gap=k != 3) for k in range(11)))
    looks = []
    for what in ("loss", "gap", "heldout"):
        drawn = lines(plots.learning_curves(many, what=what))
        looks.append(
            {name: (line.get_color(), str(line.get_linestyle()), line._dash_pattern) for name, line in drawn.items()}
        )
    assert looks[0] == looks[1] == looks[2]
    assert len({str(look) for look in looks[0].values()}) == 11


def test_a_wide_range_of_passes_gets_a_logarithmic_axis():
    far = comparison(curve("gd", 0.99, n=1000), curve("newton", 0.1, n=5))
    assert plots.learning_curves(far).get_xscale() == "log"
    assert plots.learning_curves(comparison(curve("gd", 0.9, n=31))).get_xscale() == "log"
    assert plots.learning_curves(TWO).get_xscale() == "linear"


@pytest.mark.parametrize(("gap", "heldout", "rows"), [(True, True, 3), (False, True, 2), (False, False, 1)])
def test_a_page_has_a_row_for_all_that_is_known(gap, heldout, rows):
    page = plots.learning_page(
        comparison(curve("gd", 0.9, gap=gap, heldout=heldout), curve("lbfgs", 0.5, gap=gap, heldout=False))
    )
    assert len(page.axes) == 2 * rows
    (legend,) = page.legends
    assert [text.get_text() for text in legend.get_texts()] == ["gd", "lbfgs"]
    labels = {(ax.get_xlabel(), ax.get_ylabel()) for ax in page.axes}
    assert len(labels) == 2 * rows
    assert {x for x, _ in labels} == {"passes over the rows", "seconds"}
    page.canvas.draw()


def test_nothing_known_is_said():
    ax = plots.learning_curves(comparison(curve("gd", 0.5, gap=False)), what="gap")
    assert [t.get_text() for t in ax.texts] == ["nothing known"]
    ax.figure.canvas.draw()


def test_a_single_point_can_be_drawn():
    for what in ("loss", "gap", "heldout"):
        plots.learning_curves(comparison(curve("gd", 0.5, n=1)), what=what).figure.canvas.draw()


@pytest.mark.parametrize("options", [{"against": "time"}, {"what": "los"}])
def test_refusals(options):
    with pytest.raises(OptionError, match="must be one of"):
        plots.learning_curves(TWO, **options)
