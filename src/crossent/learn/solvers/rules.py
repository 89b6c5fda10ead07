"""How a mini-batch's gradient becomes a step: the table of update rules, each one function from state to state.

    x <- soft(x - rate * direction, rate * unit * l1)

`direction` is a weighted sum of the gradients so far and `unit` the same sum of ones, so that every l1_j |x_j| counts
as often as its gradients do. Then, momentum or not, a point at rest is a minimum of F, and as long as no sign changes
the steps are those of momentum on F itself. Without l1 the steps are those of torch.optim.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from crossent.learn.types import Floats

__all__ = ["RULES", "Moved", "Rule", "State", "at_rest", "new_state"]


class State(NamedTuple):
    """What a rule remembers: weighted sums of gradients, of ones and of squared gradients; the number of steps."""

    gradients: Floats
    ones: float
    squares: Floats
    steps: int


class Moved(NamedTuple):
    """The state after a gradient, and the step that the rule makes of it."""

    state: State
    direction: Floats
    unit: Floats | float


Update: TypeAlias = Callable[[State, Floats], Moved]


class Rule(NamedTuple):
    """An update rule.

    Attributes:
        update: momentum -> (state, gradient) -> Moved.
        rate: the first learning rate where none is given.
        summary: what it is, in a few words.
    """

    update: Callable[[float], Update]
    rate: float
    summary: str


def at_rest(state: State) -> State:
    """The same without momentum."""
    return state._replace(gradients=np.zeros_like(state.gradients), ones=0.0)


def new_state(size: int) -> State:
    """The state before the first step."""
    return State(np.zeros(size), 0.0, np.zeros(size), 0)


def _heavy_ball(momentum: float, *, ahead: bool = False) -> Update:
    """b <- momentum b + g; step along b, or, looking ahead (Nesterov), along g + momentum b.

    Source: Polyak, USSR Comput. Math. Math. Phys. 4 (1964), 1-17; Sutskever et al., ICML 2013.
    """

    def update(state: State, grad: Floats) -> Moved:
        ball, ones = momentum * state.gradients + grad, momentum * state.ones + 1
        after = State(ball, ones, state.squares, state.steps + 1)
        return Moved(after, grad + momentum * ball, 1 + momentum * ones) if ahead else Moved(after, ball, ones)

    return update


def _per_coordinate(*, keep: float, keep_squares: float, new_squares: float, eps: float, unbiased: bool) -> Update:
    """m <- keep m + (1 - keep) g,  v <- keep_squares v + new_squares g^2,  step along m / (sqrt(v) + eps).

    `unbiased` divides m and v by the sum of their weights first. The unit of coordinate j is 1 / (sqrt(v_j) + eps).
    """

    def update(state: State, grad: Floats) -> Moved:
        steps = state.steps + 1
        mean = keep * state.gradients + (1 - keep) * grad
        squares = keep_squares * state.squares + new_squares * (grad * grad)
        size = np.sqrt(squares) / (math.sqrt(1 - keep_squares**steps) if unbiased else 1.0) + eps
        ones = keep * state.ones + (1 - keep)
        return Moved(State(mean, ones, squares, steps), mean / ((ones if unbiased else 1.0) * size), 1 / size)

    return update


RULES: dict[str, Rule] = {
    "sgd": Rule(lambda momentum: _heavy_ball(0.0), 1.0, "stochastic gradient descent"),
    "momentum": Rule(_heavy_ball, 0.1, "sgd with momentum (heavy ball)"),
    "nesterov": Rule(lambda momentum: _heavy_ball(momentum, ahead=True), 0.1, "sgd with Nesterov's momentum"),
    # Tieleman and Hinton, COURSERA: Neural Networks for Machine Learning (2012), lecture 6.5
    "rmsprop": Rule(
        lambda momentum: _per_coordinate(keep=0.0, keep_squares=0.99, new_squares=0.01, eps=1e-8, unbiased=False),
        0.03,
        "sgd, each parameter in units of its recent gradients",
    ),
    # Duchi, Hazan and Singer, JMLR 12 (2011), 2121-2159
    "adagrad": Rule(
        lambda momentum: _per_coordinate(keep=0.0, keep_squares=1.0, new_squares=1.0, eps=1e-10, unbiased=False),
        0.5,
        "sgd, each parameter in units of all its gradients",
    ),
    # Kingma and Ba, ICLR 2015
    "adam": Rule(
        lambda momentum: _per_coordinate(keep=0.9, keep_squares=0.999, new_squares=0.001, eps=1e-8, unbiased=True),
        0.1,
        "rmsprop with momentum, both unbiased",
    ),
}
