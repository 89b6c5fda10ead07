"""The table of hard rows keeps its promises for every K and dtype: seeded, of the right shape, hard."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from cases import (
    BAD_ROWS,
    CARRIERS,
    CLASS_COUNTS,
    Batch,
    batches,
    bfloat16,
    equal_but_one,
    hard_cases,
    soft_targets,
)


@pytest.mark.parametrize("dtype", [np.float16, bfloat16, np.float32, np.float64], ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("K", [1, 2, *CLASS_COUNTS])
def test_cases_have_their_shape_and_repeat(K: int, dtype: Any) -> None:
    cases, again = list(hard_cases(K, dtype)), list(hard_cases(K, dtype))
    assert len({case.name for case in cases}) == len(cases) > 10
    for case, copy in zip(cases, again, strict=True):
        assert case.logits.dtype == dtype
        assert case.logits.shape == (*case.targets.shape, K)
        assert not np.isnan(case.logits.astype(np.float64)).any()
        assert np.all((case.targets >= 0) & (case.targets < K))
        np.testing.assert_array_equal(case.logits, copy.logits)
        q = soft_targets(case)
        assert q.shape == case.logits.shape
        np.testing.assert_allclose(q.sum(axis=1), 1, atol=1e-12)
        if not np.isinf(case.logits.astype(np.float64)).any():
            continue
        assert case.name in ("ruled out", "one +inf", "huge", "normal 1e3")


@pytest.mark.parametrize("K", CLASS_COUNTS)
def test_equal_but_one_has_two_values_a_row(K: int) -> None:
    case = equal_but_one(K, np.float32)
    assert case.logits.shape == (200, K)
    assert all(np.unique(row).size <= 2 for row in case.logits)


@pytest.mark.parametrize("name", CARRIERS)
def test_carriers_keep_shape_and_values(name: str, tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    carried = np.asarray(CARRIERS[name](array, tmp_path))
    assert carried.shape == array.shape
    wanted = np.broadcast_to(array[:1], array.shape) if name == "zero stride" else array
    np.testing.assert_array_equal(carried.astype(np.float64), wanted)


def test_carriers_are_what_they_say(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    made = {name: np.asarray(carrier(array, tmp_path)) for name, carrier in CARRIERS.items()}
    assert not made["read-only"].flags.writeable
    assert not made["strided"].flags.c_contiguous
    assert made["reversed"].strides == (-12, -4)
    assert made["Fortran order"].flags.f_contiguous
    assert made["big-endian"].dtype.byteorder == ">"
    assert made["zero stride"].strides[0] == 0
    assert not made["unaligned"].flags.aligned


def test_bad_rows_are_bad() -> None:
    for row in BAD_ROWS.values():
        z = np.array(row)
        assert np.isnan(z).any() or (z == np.inf).sum() > 1 or np.all(z == -np.inf)


@given(batch=batches())
def test_batches_are_well_formed(batch: Batch) -> None:
    assert batch.logits.shape == batch.soft.shape == (batch.targets.size, batch.K)
    assert np.isfinite(batch.logits).all()
    assert np.all(np.abs(batch.soft.sum(axis=1) - 1) < 1e-12)
    assert batch.sample_weight.sum() > 0
