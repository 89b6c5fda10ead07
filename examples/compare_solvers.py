"""All solvers on images of digits, and on two features where the paths can be seen: the pictures of docs/solvers.md.

    python examples/compare_solvers.py docs/images

Needs crossent[demo]. Pictures are drawn against passes over the rows, which are the same on every machine.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from crossent import plots, report
from crossent.learn import SolverComparison, compare_solvers
from crossent.learn.solvers import SOLVERS, SolverOptions

__all__ = ["draw_curves", "main", "on_digits", "on_two_features"]


def on_digits(*, max_iter: int) -> SolverComparison:
    """1797 images of 8 x 8 pixels, ten classes, a fifth of them held out."""
    X, y = load_digits(return_X_y=True)
    names = [name for name in SOLVERS if name != "auto"]
    return compare_solvers(X / 8 - 1, y, solvers=names, l2=1e-3, options=SolverOptions(max_iter=max_iter))


def draw_curves(comparison: SolverComparison) -> Any:
    """The loss above the proven bound, and what each solver had itself proven by then."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 7.2), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    plots.learning_curves(comparison, ax=upper)
    plots.learning_curves(comparison, what="gap", ax=lower)
    return figure


def on_two_features(*, max_iter: int) -> tuple[Any, Any, SolverComparison]:
    """Rows of two correlated features, the solvers' comparison from a start away from the minimum."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) @ np.array([[2.0, 0.0], [1.0, 0.5]])
    y = X @ np.array([1.0, -1.0]) + rng.logistic(size=300) > 0
    names = [name for name in ("gd", "momentum", "adam", "lbfgs", "newton") if name in SOLVERS]
    comparison = compare_solvers(
        X, y, solvers=names, held_out=0, fit_intercept=False, keep_points=True, start=([[-0.5, 1.5]], [0.0]),
        options=SolverOptions(max_iter=max_iter),
    )  # fmt: skip
    return X, y, comparison


def main(folder: Path, *, max_iter: int = 200) -> None:
    """Print the table, write solvers-digits.png and solvers-paths.png."""
    digits = on_digits(max_iter=max_iter)
    print(report.comparison_to_text(digits))
    report.write_picture(folder / "solvers-digits.png", lambda: draw_curves(digits))
    X, y, paths = on_two_features(max_iter=max_iter)
    report.write_picture(folder / "solvers-paths.png", lambda: plots.loss_surface(X, y, paths).figure)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
