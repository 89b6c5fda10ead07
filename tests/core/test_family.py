"""The family from logits against the oracle: every member, kind of target and instruction set, within its bounds."""

from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import oracle_family
from bits import assert_same
from cases import HUGE_CLASS_COUNT, Case
from family_cases import KINDS, MEMBERS, SHAPES, ask, assert_contract, kinds_of
from isas import ISAS, using_isa
from tables.softmax_rows import some_rows

DTYPES = (np.float32, np.float64)


@cache
def rows_of(K: int, dtype: Any, limit: int, gaps: int) -> Case:
    return some_rows(K, dtype, of_each=limit, odd=gaps)


@pytest.fixture(scope="module", autouse=True)
def _exponentials_once() -> Any:
    """Lets the oracle remember the softmax of a row, which many members share."""
    original, seen = oracle_family._softmax, {}

    def remembered(family: Any, keys: list[Any], counts: list[int]) -> Any:
        key = (family.temperature, family.softcap, tuple((z, b) for z, _, b in keys), tuple(counts))
        if key not in seen:
            seen[key] = original(family, keys, counts)
        return seen[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle_family, "_softmax", remembered)
        yield


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [3, *(pytest.param(K, marks=pytest.mark.slow) for K in (1, 2, 10, 40))])
def test_contract_on_hard_rows(K: int, dtype: Any, name: str) -> None:
    rows = rows_of(K, dtype, 2 if K == 40 else 3, 3)
    for kind in kinds_of(name, K):
        assert_contract(ask(name, rows, kind), label=f"{name} {kind}")


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("K", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_sixteen_bits_are_float32_rounded_once(K: int, dtype: Any, name: str) -> None:
    """So what holds for float32 rows holds for these."""
    rows, make = rows_of(K, np.dtype(dtype), 3, 3), MEMBERS[name].make(K)
    loss, smooth = make(reduction="none"), make(reduction="none", label_smoothing=0.1)
    wide = rows.logits.astype(np.float32)
    for isa in ISAS:
        with using_isa(isa), np.errstate(over="ignore"):
            for member in (loss, smooth):
                got, want = (member.value_and_grad(rows.targets, logits=z) for z in (rows.logits, wide))
                assert_same(got, (want.value, want.grad.astype(dtype)))
                curved = [member.grad_and_hess(rows.targets, logits=z, curvature="upper") for z in (rows.logits, wide)]
                assert_same(curved[0].hess, curved[1].hess.astype(dtype))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("K", [33, pytest.param(100, marks=pytest.mark.slow)])
def test_float32_rows_that_take_the_fast_kernels(K: int, name: str) -> None:
    """One target a row, a shape alone, more than 32 classes; confident rows leave their batch."""
    rows = rows_of(K, np.dtype(np.float32), 1, 2)
    assert_contract(ask(name, rows, "index"), label=name)


# ---------------------------------------------------------------- all kinds, long rows

GRID = [(K, dtype, name, kind) for K in (3, 17) for dtype in DTYPES for name in MEMBERS for kind in KINDS]
GRID += [(100, dtype, name, kind) for dtype in DTYPES for name in MEMBERS for kind in ("index", "weighted soft")]


@pytest.mark.slow
@pytest.mark.parametrize(("K", "dtype", "name", "kind"), GRID)
def test_contract_on_every_kind(K: int, dtype: Any, name: str, kind: str) -> None:
    assert_contract(ask(name, rows_of(K, dtype, 6 if K < 100 else 2, 10 if K < 100 else 4), kind), label=kind)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1500])
def test_contract_on_long_rows(K: int, dtype: Any, name: str) -> None:
    """Index targets, which float32 rows under a shape have fast kernels for; and any others."""
    rows = rows_of(K, np.dtype(dtype), 1, 1)
    few = Case("few", rows.logits[::2], rows.targets[::2])
    assert_contract(ask(name, few, "index"), label=name)
    if np.dtype(dtype) == np.float64:
        assert_contract(ask(name, Case("few", rows.logits[1::4], rows.targets[1::4]), "weighted soft"), label=name)


def _huge_rows(K: int, dtype: Any) -> Case:
    """Rows of few different numbers, which the oracle is quick about: equal but one, ties, a confident row, -inf."""
    rng = np.random.default_rng(K)
    z = np.zeros((6, K))
    z[1] = np.where(np.arange(K) == 70_000, 11.0, -1.0)
    z[2] = rng.integers(0, 5, K)
    z[3, K - 1] = 200.0
    z[4, ::2] = -np.inf
    z[5] = rng.integers(0, 3, K) * 1000.0
    targets = np.array([5, 70_000, 1, K - 1, 1, 0])
    return Case("huge", z.astype(dtype), targets)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MEMBERS)[::9])
@pytest.mark.parametrize("dtype", DTYPES)
def test_contract_on_huge_rows(dtype: Any, name: str) -> None:
    rows = _huge_rows(HUGE_CLASS_COUNT, dtype)
    assert_contract(ask(name, rows, "index"), label=name)
