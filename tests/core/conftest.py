"""Fixtures of the core's tests: every instruction set, and a thread count that is put back."""

import gc
from collections.abc import Callable, Iterator

import pytest

import crossent as ce
from isas import ISAS, using_isa


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once on every instruction set that is available."""
    with using_isa(request.param):
        yield request.param


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """set_num_threads for one test."""
    before = ce.get_num_threads()
    yield ce.set_num_threads
    ce.set_num_threads(before)


@pytest.fixture
def empty_pool() -> Iterator[None]:
    """The test begins and ends with no memory kept for results."""
    gc.collect()
    ce.empty_cache()
    yield
    gc.collect()
    ce.empty_cache()
