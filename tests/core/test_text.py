"""Canonical text of cells, labels and keys of every type."""

import datetime
from decimal import Decimal

import numpy as np
import pytest

from crossent.core.text import canonical_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (np.int8(1), "1"),
        (np.float32(1), "1"),
        ("1", "1"),
        ("1.0", "1.0"),
        (Decimal("1.00"), "1"),
        (Decimal("1.50"), "1.5"),
        (True, "true"),
        (np.bool_(False), "false"),
        (None, None),
        (float("nan"), None),
        (np.float32("nan"), None),
        (-0.0, "0"),
        (float("inf"), "inf"),
        (np.float32(0.1), "0.1"),
        (np.float16(0.1), "0.1"),
        (2**63, "9223372036854775808"),
        (float(2**63), "9223372036854775808"),
        (1e300, "1e+300"),
        (10**300, "1e+300"),
        ("", ""),
        (b"cat", "cat"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
    ],
)
def test_canonical_text(value, text):
    assert canonical_text(value) == text
