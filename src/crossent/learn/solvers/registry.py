"""The table of solvers by name; a new solver is one line here."""

from collections.abc import Callable
from typing import NamedTuple

from crossent.errors import OptionError
from crossent.learn.objective import Objective
from crossent.learn.solvers.gd import minimise_gd
from crossent.learn.solvers.lbfgs import minimise_lbfgs
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.trace import Solution
from crossent.learn.types import Floats
from crossent.wording import did_you_mean, listed

__all__ = ["SOLVERS", "Solver", "find_solver"]


class Solver(NamedTuple):
    """How a solver is run.

    Attributes:
        run: (objective, start, options) -> Solution.
        rescales: whether the caller may give it better-scaled parameters. True where only the optimum counts;
            False for the gradient descent family, whose every step belongs to the result.
        takes_rate: whether it uses a learning rate.
        summary: what it is, in a few words.
    """

    run: Callable[[Objective, Floats, SolverOptions], Solution]
    rescales: bool
    takes_rate: bool
    summary: str


SOLVERS: dict[str, Solver] = {
    "auto": Solver(minimise_lbfgs, True, False, "the solver that suits the problem"),
    "lbfgs": Solver(minimise_lbfgs, True, False, "quasi-Newton, preconditioned; any size"),
    "gd": Solver(minimise_gd, False, True, "plain gradient descent"),
}


def find_solver(name: str) -> Solver:
    """The solver of that name.

    Raises: OptionError listing the names.

    >>> find_solver("gd").rescales
    False
    """
    if isinstance(name, str) and name in SOLVERS:
        return SOLVERS[name]
    raise OptionError(f"solver is {name!r}; it must be one of {listed(SOLVERS)}.{did_you_mean(str(name), SOLVERS)}")
