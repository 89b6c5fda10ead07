"""The table of solvers by name; a new solver is one line here."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from crossent.errors import OptionError
from crossent.learn.objective import Objective
from crossent.learn.solvers.auto import minimise_auto
from crossent.learn.solvers.gd import minimise_gd
from crossent.learn.solvers.lbfgs import minimise_lbfgs
from crossent.learn.solvers.newton import minimise_newton
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.rules import RULES
from crossent.learn.solvers.stochastic import minimise_stochastic
from crossent.learn.trace import Solution
from crossent.learn.types import Floats
from crossent.wording import did_you_mean, listed

__all__ = ["SOLVERS", "Solver", "find_solver"]


class Solver(NamedTuple):
    """How a solver is run.

    Attributes:
        run: (objective, start, options) -> Solution.
        rescales: whether the caller may give it better-scaled parameters. True where only the optimum counts;
            False for the gradient descent family, where a given learning rate belongs to the raw coefficients (without
            one they too are given better-scaled parameters).
        takes_rate: whether it uses a learning rate.
        summary: what it is, in a few words.
    """

    run: Callable[[Objective, Floats, SolverOptions], Solution]
    rescales: bool
    takes_rate: bool
    summary: str


SOLVERS: dict[str, Solver] = {
    "auto": Solver(minimise_auto, True, False, "the quickest for the problem at hand"),
    "lbfgs": Solver(minimise_lbfgs, True, False, "quasi-Newton, preconditioned; any size"),
    "newton": Solver(minimise_newton, True, False, "second order: Cholesky for small models, conjugate gradients else"),
    "gd": Solver(minimise_gd, False, True, "plain gradient descent, all rows in every step"),
    **{name: Solver(partial(minimise_stochastic, rule=name), False, True, RULES[name].summary) for name in RULES},
}


def find_solver(name: str) -> Solver:
    """The solver of that name.

    Raises: OptionError listing the names.

    >>> find_solver("gd").rescales
    False
    """
    if isinstance(name, str) and name in SOLVERS:
        return SOLVERS[name]
    raise OptionError(
        f"solver is {name!r}; it must be one of {listed(SOLVERS, len(SOLVERS))}.{did_you_mean(str(name), SOLVERS)}"
    )
