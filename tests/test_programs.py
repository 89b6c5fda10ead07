"""A skip for a missing program stays a skip on a desk and fails the run under CI=true."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent

BODY = """
from programs import need_program
def test_needs_a_program():
    need_program("no-such-program-anywhere", install="apt-get install nothing")
def test_other_skips_stay():
    import pytest
    pytest.skip("not on this system")
def test_finds_a_program():
    assert need_program("no-such-program-anywhere", "sh", install="-")
"""
AT_IMPORT = "import programs, pytest\npytest.skip(programs.MISSING + 'x. Run: y', allow_module_level=True)\n"


def run(folder: Path, body: str, ci: str) -> subprocess.CompletedProcess[str]:
    """pytest on one file under this project's conftest, in a process of its own."""
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (folder / "test_it.py").write_text(body)
    environment = os.environ | {"CI": ci, "PYTHONPATH": str(TESTS)}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder),
    ]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


def test_a_missing_program_is_a_skip_with_its_command(tmp_path: Path) -> None:
    done = run(tmp_path, BODY, ci="")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 2 skipped" in done.stdout
    assert "Run: apt-get install nothing" in done.stdout


def test_a_missing_program_fails_continuous_integration(tmp_path: Path) -> None:
    done = run(tmp_path, BODY, ci="true")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed, 1 skipped" in done.stdout
    assert "may not be skipped" in done.stdout


def test_a_module_that_is_skipped_whole_fails_too(tmp_path: Path) -> None:
    nothing_ran, collection_failed = 5, 2
    assert run(tmp_path, AT_IMPORT, ci="").returncode == nothing_ran
    assert run(tmp_path, AT_IMPORT, ci="true").returncode == collection_failed
