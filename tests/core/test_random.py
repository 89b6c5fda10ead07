"""Random batches with random options, layouts and buffers against the oracle: what nobody thought of together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import crossent as ce
import oracle
import oracle_binary
from closeness import assert_close
from isas import ISAS, using_isa
from wide import Wide

CLASSES = (1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 34, 48, 64, 65, 100)


@dataclass
class Question:
    """One call: logits [N, K], targets, sample weights, options, and how the arrays are laid out."""

    z: Any
    targets: Any
    weight: Any
    options: dict[str, Any]
    reduction: str
    axis: int
    carrier: str


def random_logits(rng: Any, N: int, K: int, dtype: Any) -> Any:
    """Scales from 1e-6 to 1e4, ties, zeros, a confident class, classes that are ruled out."""
    z = rng.normal(size=(N, K)) * 10.0 ** rng.uniform(-6, 4)
    if rng.random() < 0.3:
        z = np.round(z)
    if rng.random() < 0.3:
        z[rng.random((N, K)) < 0.3] = 0
    if rng.random() < 0.3:
        z[np.arange(N), rng.integers(0, K, N)] += rng.uniform(0, 1000)
    if rng.random() < 0.2:
        out = rng.random((N, K)) < 0.3
        out[np.arange(N), rng.integers(0, K, N)] = False
        z[out] = -np.inf
    return z.astype(dtype)


def random_targets(rng: Any, N: int, K: int, options: dict[str, Any]) -> Any:
    """Indices, distributions of float32 or float64 (dense, sparse), several positives to be normalized."""
    kind = rng.choice(["index", "soft", "sparse", "many"])
    if kind == "index":
        if rng.random() < 0.3:
            options["ignore_index"] = int(rng.integers(0, K))
        return rng.integers(0, K, N)
    if kind == "many":
        options["normalize_targets"] = True
        q = (rng.random((N, K)) < 0.4).astype(np.float64)
        q[np.arange(N), rng.integers(0, K, N)] = 1
        return q
    q = rng.gamma(10.0 ** rng.uniform(-1, 1), size=(N, K))
    q[(q < 1e-20) | (rng.random((N, K)) < (0.5 if kind == "sparse" else 0))] = 0
    q[np.arange(N), rng.integers(0, K, N)] += 0.1
    return (q / q.sum(axis=1, keepdims=True)).astype(rng.choice([np.float32, np.float64]))


def random_question(rng: Any) -> Question:
    """Draws a call."""
    N, K = int(rng.integers(1, 12)), int(rng.choice(CLASSES))
    options: dict[str, Any] = {}
    if rng.random() < 0.4:
        options["label_smoothing"] = float(rng.choice([0.1, 0.5, 1, 1e-9, 0.999]))
    if rng.random() < 0.4:
        few = rng.choice([0.0, 1.0, 2.0, 0.5], K)
        options["class_weight"] = 10.0 ** rng.uniform(-5, 5, K) if rng.random() < 0.5 else few
    if rng.random() < 0.3:
        options["unit"] = "bit"
    weight = rng.choice([0, 1.0, 1e-6, 3e5, 0.7], N) if rng.random() < 0.4 else None
    z = random_logits(rng, N, K, rng.choice([np.float32, np.float64]))
    targets = random_targets(rng, N, K, options)
    reduction, axis = str(rng.choice(["none", "sum", "mean"])), int(rng.choice([-1, 0]))
    return Question(z, targets, weight, options, reduction, axis, str(rng.choice(["plain", "strided", "in place"])))


def ask(question: Question) -> Any:
    """The answer of crossent, classes moved back to the last axis."""
    z, targets = (
        np.ascontiguousarray(x.T) if question.axis == 0 and x.ndim == 2 else x for x in (question.z, question.targets)
    )
    z = np.repeat(z, 2, axis=-1)[..., ::2] if question.carrier == "strided" else z.copy()
    out = z if question.carrier == "in place" else None
    loss = ce.CrossEntropy(axis=question.axis, reduction=question.reduction, empty="nan", **question.options)
    got = loss.value_and_grad(targets, logits=z, sample_weight=question.weight, out=out)
    return got.value, got.grad.T if question.axis == 0 else got.grad


def assert_contract(question: Question, label: str) -> None:
    """4 ulp for losses, 8 ulp for gradients, on every instruction set."""
    asked = {"logits": question.z, "sample_weight": question.weight, "reduction": question.reduction}
    asked |= question.options
    try:
        value = oracle.cross_entropy(question.targets, **asked)
    except ZeroDivisionError:  # a mean over no rows
        assert np.isnan(ask(question)[0])
        return
    grad, scale = (Wide.of(f(question.targets, **asked)) for f in (oracle.gradient, oracle.gradient_scale))
    own = question.targets.ndim == 1 and "label_smoothing" not in question.options
    for isa in ISAS:
        with using_isa(isa):
            got = ask(question)
        where = f"{label} {isa}"
        if question.reduction == "none":
            assert_close(got[0], value, ulps=4, dtype=question.z.dtype, label=where)
        else:
            info = np.finfo(question.z.dtype)  # row losses are of that dtype: they may underflow
            bound = 4 * float(info.eps) * abs(value) + len(question.z) * float(info.smallest_subnormal)
            if np.isfinite(float(value)):
                assert_close(got[0], value, bound=bound, label=where)
            else:
                assert got[0] == np.inf, where
        assert_close(got[1], grad, ulps=8, of=None if own else scale, dtype=question.z.dtype, label=f"{where} gradient")


@pytest.mark.parametrize("seed", range(12))
def test_random_calls(seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    for number in range(8):
        question = random_question(rng)
        assert_contract(
            question, f"seed {seed}, call {number}, {question.z.shape} {question.options} {question.carrier}"
        )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_random_calls(seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    for number in range(40):
        question = random_question(rng)
        assert_contract(
            question, f"seed {seed}, call {number}, {question.z.shape} {question.options} {question.carrier}"
        )


@pytest.mark.parametrize("seed", range(8))
def test_random_binary_calls(seed: int) -> None:
    """float64 targets beside float32 logits, weights of every kind."""
    rng = np.random.default_rng([seed, 2])
    for number in range(10):
        N, K = int(rng.integers(1, 9)), int(rng.integers(1, 20))
        z = random_logits(rng, N, K, rng.choice([np.float32, np.float64]))
        y = rng.choice([0.0, 1.0, 0.5, 1e-12, 1 - 2.0**-40, rng.random()], (N, K))
        options: dict[str, Any] = {}
        if rng.random() < 0.5:
            options["pos_weight"] = 10.0 ** rng.uniform(-4, 4, K) if rng.random() < 0.5 else 3.0
        if rng.random() < 0.4:
            options["class_weight"] = 10.0 ** rng.uniform(-4, 4, 2)
        if rng.random() < 0.3:
            options["label_smoothing"] = float(rng.choice([0.1, 1, 1e-9]))
        weight = rng.choice([0, 1.0, 1e-6, 3e5], (N, K) if rng.random() < 0.5 else N) if rng.random() < 0.5 else None
        full = weight if weight is None or weight.ndim == 2 else np.broadcast_to(weight[:, None], (N, K))
        asked = {"logits": z, "sample_weight": full, "reduction": "none", **options}
        value, grad, scale = (
            Wide.of(f(y, **asked))
            for f in (
                oracle_binary.binary_cross_entropy,
                oracle_binary.binary_gradient,
                oracle_binary.binary_gradient_scale,
            )
        )
        for isa in ISAS:
            with using_isa(isa):
                got = ce.BinaryCrossEntropy(reduction="none", **options).value_and_grad(
                    y, logits=z, sample_weight=weight
                )
            where = f"seed {seed}, call {number}, {isa}"
            assert_close(got.value, value, ulps=4, dtype=z.dtype, label=where)
            assert_close(got.grad, grad, ulps=8, of=scale, dtype=z.dtype, label=f"{where} gradient")
