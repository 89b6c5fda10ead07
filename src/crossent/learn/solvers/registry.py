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


def find_solver(name: str, options: SolverOptions | None = None) -> Solver:
    """The solver of that name.

    Args:
        name: in SOLVERS.
        options: of this solver alone, which are to mean something to it; None: not looked at, as where several
            solvers share them.
    Raises: OptionError listing the names, or for an option that the solver would ignore.

    >>> find_solver("gd").rescales
    False
    """
    if isinstance(name, str) and name in SOLVERS:
        if options is not None and not SOLVERS[name].takes_rate:
            _refuse_rate(name, options)
        return SOLVERS[name]
    raise OptionError(
        f"solver is {name!r}; it must be one of {listed(SOLVERS, len(SOLVERS))}.{did_you_mean(str(name), SOLVERS)}"
    )


def _refuse_rate(name: str, options: SolverOptions) -> None:
    takers = {"learning_rate": [other for other in SOLVERS if SOLVERS[other].takes_rate], "batch_size": list(RULES)}
    for option, others in takers.items():
        value = getattr(options, option)
        if value is not None:
            raise OptionError(
                f"{option}={value!r} is for {listed(others, len(others))}; solver={name!r} needs none. Leave it out, "
                f"or pass solver={others[0]!r}."
            )
