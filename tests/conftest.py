"""What every test shares: one hypothesis profile, and skips for missing programs that fail under CI=true."""

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from programs import must_fail

settings.register_profile(
    "crossent",
    deadline=None,  # the machine may be busy
    derandomize=True,  # the same examples in every run; `--hypothesis-profile=search` looks for new ones
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("crossent")


def _fail_if_program_is_missing(report: Any) -> None:
    reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    if must_fail(reason):
        report.outcome = "failed"
        report.longrepr = f"{reason}\nCI=true: a test may not be skipped for a missing program."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Generator[None, Any, Any]:
    report = yield
    _fail_if_program_is_missing(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: Any) -> Generator[None, Any, Any]:
    report = yield
    _fail_if_program_is_missing(report)
    return report
