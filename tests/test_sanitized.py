"""Under `make sanitize` the tests must load the sanitized build, and the sanitizers must be awake."""

import os
from pathlib import Path

import pytest

SANITIZED = os.environ.get("CROSSENT_SANITIZED")


@pytest.mark.skipif(SANITIZED is None, reason="only under make sanitize")
def test_the_sanitized_build_is_the_one_that_runs() -> None:
    import crossent
    from crossent import _native  # type: ignore[attr-defined]  # built, not written

    root = Path(SANITIZED or "").resolve()
    assert root in Path(crossent.__file__).resolve().parents
    assert root in Path(_native.__file__).resolve().parents
    mapped = Path("/proc/self/maps").read_text()
    assert "libasan" in mapped
    assert b"__asan_init" in Path(_native.__file__).read_bytes()
