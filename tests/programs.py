"""Tests that need a program say so here: without it they are skipped with the command that installs it.

Under CI=true such a skip fails the run (tests/conftest.py), so nothing quietly stops being tested.
"""

import os
import shutil

import pytest

__all__ = ["MISSING", "must_fail", "need_program"]

MISSING = "missing program: "  # how the reason of such a skip begins


def need_program(*names: str, install: str) -> str:
    """The path of the first of these programs that is installed; skips the test if none is."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(f"{MISSING}{' or '.join(names)}. Run: {install}")


def must_fail(reason: str) -> bool:
    """Whether a skip with this reason fails the run."""
    return MISSING in reason and os.environ.get("CI") == "true"
