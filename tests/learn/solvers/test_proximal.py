"""The inner problem of proximal Newton: its conditions of a minimum in plain NumPy, on every way to precondition."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize

from closeness import assert_close
from crossent.learn.solvers.proximal import BlockFaces, Quadratic, soft_threshold


class Case:
    """g, H, l1 and a start, some of whose coordinates are 0; the last coordinate is free of the penalty."""

    def __init__(self, seed, *, size=24, rank=40, strength=1.0):
        random = np.random.default_rng(seed)
        A = random.normal(size=(size, rank)) * random.uniform(0.3, 3, size)[:, None]
        self.H, self.g = A @ A.T / rank, random.normal(size=size)
        self.l1 = np.append(np.full(size - 1, strength), 0.0)
        self.start = random.normal(size=size) * (random.random(size) < 0.5)

    def model(self, faces):
        made = {"block": BlockFaces(self.H), "plain": lambda free: lambda v: v / np.diag(self.H)}[faces]
        return Quadratic(
            SimpleNamespace(l1=self.l1), start=self.start, grad=self.g, product=lambda v: self.H @ v,
            diagonal=np.diag(self.H), faces=made,
        )  # fmt: skip

    def value(self, x):
        d = x - self.start
        return self.g @ d + 0.5 * d @ self.H @ d + self.l1 @ np.abs(x)

    def least_subgradient(self, x):
        slope = self.g + self.H @ (x - self.start)
        inside = np.where(x == 0, np.clip(-slope, -self.l1, self.l1), self.l1 * np.sign(x))
        return np.abs(slope + inside).max()


@pytest.mark.parametrize("faces", ["block", "plain"])
@pytest.mark.parametrize("strength", [0.01, 0.3, 3.0])
@pytest.mark.parametrize("seed", range(5))
def test_minimum(seed, strength, faces):
    case = Case(seed, strength=strength)
    x, drop = case.model(faces).minimum(lambda _: 1e-7)
    assert case.least_subgradient(x) <= 1e-5
    assert drop == pytest.approx(case.value(case.start) - case.value(x), rel=1e-9)
    doubled = np.concatenate([case.l1, case.l1])
    bounds = [(0, None)] * len(doubled)
    peer = scipy.optimize.minimize(
        lambda ab: case.value(ab[:24] - ab[24:]) - case.l1 @ np.abs(ab[:24] - ab[24:]) + doubled @ ab,
        np.zeros(48), method="L-BFGS-B", bounds=bounds, options={"maxiter": 5000, "maxfun": 10**6},
    )  # fmt: skip
    assert case.value(x) <= peer.fun + 1e-9


@pytest.mark.parametrize("accuracy", [0.5, 0.1, 0.01])
def test_an_early_end_is_below_the_start(accuracy):
    case = Case(1)
    x, drop = case.model("plain").minimum(lambda _: accuracy)
    assert case.value(x) < case.value(case.start)
    assert drop > 0


@pytest.mark.parametrize("faces", ["block", "plain"])
def test_singular_hessian(faces):
    case = Case(2, rank=8, strength=0.2)
    case.g = 0.3 * case.H @ np.random.default_rng(3).normal(size=24)
    x, _ = case.model(faces).minimum(lambda _: 1e-7)
    assert case.least_subgradient(x) <= 1e-4
    assert np.abs(x).max() < 100


def test_all_zero():
    case = Case(4, strength=1e6)
    x, _ = case.model("block").minimum(lambda _: 1e-9)
    assert np.array_equal(x[:-1], np.zeros(23))


def test_block_faces_of_two_logits():
    H = Case(5).H
    free = np.random.default_rng(6).random(48) < 0.5
    v = np.where(free, np.random.default_rng(7).normal(size=48), 0.0)
    whole = np.kron(np.eye(2), H)[np.ix_(free, free)]
    expected = np.zeros(48)
    expected[free] = np.linalg.solve(whole, v[free])
    assert_close(BlockFaces(H)(free)(v), expected, bound=1e-6)


def test_soft_threshold():
    assert np.array_equal(soft_threshold(np.array([-3.0, -1.0, 0.5, 2.0]), np.ones(4)), [-2.0, 0.0, 0.0, 1.0])
