"""The update rules against recurrences written out in scalars, and their l1 part."""

import math

import numpy as np
import pytest

from closeness import assert_close
from crossent.learn.solvers.descent import stepped
from crossent.learn.solvers.rules import RULES, at_rest, new_state

MOMENTUM = 0.8
RATE = 0.05


def scalar_path(name, x, gradient, steps):
    """The points of one coordinate, by the formulas of the papers in plain floats."""
    ball = square = mean = 0.0
    path = []
    for t in range(1, steps + 1):
        g = gradient(x)
        if name == "sgd":
            x -= RATE * g
        elif name == "momentum":
            ball = MOMENTUM * ball + g
            x -= RATE * ball
        elif name == "nesterov":
            ball = MOMENTUM * ball + g
            x -= RATE * (g + MOMENTUM * ball)
        elif name == "rmsprop":
            square = 0.99 * square + 0.01 * g**2
            x -= RATE * g / (math.sqrt(square) + 1e-8)
        elif name == "adagrad":
            square += g**2
            x -= RATE * g / (math.sqrt(square) + 1e-10)
        elif name == "adam":
            mean = 0.9 * mean + 0.1 * g
            square = 0.999 * square + 0.001 * g**2
            x -= RATE * (mean / (1 - 0.9**t)) / (math.sqrt(square / (1 - 0.999**t)) + 1e-8)
        path.append(x)
    return path


def path_of(name, start, gradient, steps, *, l1=None):
    point, state, path = np.array(start), new_state(len(start)), []
    update = RULES[name].update(MOMENTUM)
    for _ in range(steps):
        state, direction, unit = update(state, gradient(point))
        point = stepped(point, direction, RATE, l1, unit)
        path.append(point)
    return np.array(path)


def test_every_rule_has_its_recurrence_here():
    for name in RULES:
        assert scalar_path(name, 1.0, lambda x: x, 3)[-1] != 1.0


@pytest.mark.parametrize("name", RULES)
def test_against_scalar_recurrences(name):
    start, bends = [2.0, -1.0, 1e-3], [1.0, 4.0, 1e-6]
    path = path_of(name, start, lambda x: np.array(bends) * x + np.cos(3 * x), 40)
    for j in range(3):
        wanted = scalar_path(name, start[j], lambda x, j=j: bends[j] * x + math.cos(3 * x), 40)
        assert_close(path[:, j], wanted, bound=1e-13)


@pytest.mark.parametrize("name", RULES)
def test_an_l1_minimum_is_at_rest(name):
    """At x = (3, -2, 0, 0) with gradients (-l1, +l1, |g| < l1, |g| = l1), whatever came before in squares."""
    l1 = np.array([0.5, 0.25, 1.0, 1.0])
    gradient = np.array([-0.5, 0.25, 0.7, -1.0])
    path = path_of(name, [3.0, -2.0, 0.0, 0.0], lambda x: gradient, 30, l1=l1)
    assert_close(path, np.tile([3.0, -2.0, 0.0, 0.0], (30, 1)), bound=1e-13)
    assert np.array_equal(path[:, 2], np.zeros(30))


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov"])
def test_while_no_sign_changes_l1_is_part_of_the_gradient(name):
    l1 = np.array([0.5, 0.25])
    start = [8.0, -9.0]
    proximal = path_of(name, start, lambda x: 0.3 * x, 12, l1=l1)
    plain = path_of(name, start, lambda x: 0.3 * x + l1 * np.sign(x), 12)
    assert (np.sign(proximal) == np.sign(start)).all()
    assert_close(proximal, plain, rtol=1e-13)


@pytest.mark.parametrize("name", RULES)
def test_each_coordinate_has_the_threshold_of_its_own_step(name):
    """From 0 the first step is soft(-h g, h l1) with the h that the same step without l1 shows."""
    gradient, l1 = np.array([2.0, -3.0, 40.0]), np.array([0.5, 1.0, 39.0])
    point = np.zeros(3)
    update = RULES[name].update(MOMENTUM)
    _, direction, unit = update(new_state(3), gradient)
    h = -stepped(point, direction, RATE, None) / gradient
    assert_close(stepped(point, direction, RATE, l1, unit), -h * np.sign(gradient) * (abs(gradient) - l1), rtol=1e-12)


def test_soft_threshold():
    moved = stepped(np.array([1.0, -1.0, 0.1, -0.1, 0.0]), np.zeros(5), 0.5, np.full(5, 0.4))
    assert moved.tolist() == [0.8, -0.8, 0.0, 0.0, 0.0]
    assert not np.signbit(moved[2:]).any()


@pytest.mark.parametrize("name", RULES)
def test_at_rest_forgets_the_momentum_and_keeps_the_squares(name):
    update = RULES[name].update(MOMENTUM)
    state = update(new_state(2), np.array([1.0, 5.0])).state
    rested = at_rest(state)
    assert np.array_equal(rested.squares, state.squares)
    gradient = np.array([0.1, -0.2])
    _, direction, _ = update(rested, gradient)
    assert np.array_equal(np.sign(direction), np.sign(gradient))
