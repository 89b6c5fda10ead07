"""Solvers: each minimises an Objective and never sees a row."""

from crossent.learn.solvers.gd import minimise_gd
from crossent.learn.solvers.lbfgs import minimise_lbfgs
from crossent.learn.solvers.newton import minimise_newton
from crossent.learn.solvers.options import SolverOptions
from crossent.learn.solvers.registry import SOLVERS, Solver, find_solver
from crossent.learn.solvers.stochastic import minimise_stochastic

__all__ = [
    "SOLVERS",
    "Solver",
    "SolverOptions",
    "find_solver",
    "minimise_gd",
    "minimise_lbfgs",
    "minimise_newton",
    "minimise_stochastic",
]
