"""A front-end without its framework names the pip command; it is left out of a test run, unless it must be there."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from frameworks import LIBRARIES, left_out

ROOT = Path(__file__).parents[2]
NEEDS = [(front_end, library) for front_end, libraries in LIBRARIES.items() for library in libraries]


@pytest.mark.parametrize(("front_end", "library"), NEEDS)
def test_without_its_library_a_front_end_says_what_to_install(front_end: str, library: str) -> None:
    program = f"""
import sys
sys.modules[{library!r}] = None
import crossent
try:
    import crossent.{front_end}
except crossent.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"which is not installed. Run: pip install 'crossent[{front_end}]'" in done.stdout
    assert any(name in done.stdout for name in LIBRARIES[front_end])


def test_the_extras_bring_what_the_front_ends_need() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for front_end, libraries in LIBRARIES.items():
        assert [line.partition(">=")[0] for line in extras[front_end]] == list(libraries)


def test_the_page_states_the_oldest_versions_that_are_tested() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    rows = [line.split("|") for line in (ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8").splitlines()]
    stated = {row[1].strip(" `"): row[3] for row in rows if len(row) == 6}
    for front_end in LIBRARIES:
        for line in extras[front_end]:
            assert line.replace(">=", " ") in stated[f"crossent.{front_end}"]
    for line in extras["frameworks"]:
        if ">=" in line:
            assert any(line.replace(">=", " ") in row for row in stated.values())


def test_a_missing_framework_takes_its_front_end_out_of_the_run() -> None:
    without_jax = left_out(lambda name: None if name == "jax" else name)
    assert without_jax == [
        "tests/front_ends/test_*",
        "src/crossent/jax*",
        "tests/jax_*",
        "tests/front_ends/jax",
        "tests/examples/jax",
    ]
    assert left_out(lambda name: name) == []


def test_a_missing_framework_is_an_error_where_it_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSENT_FRAMEWORKS", "1")
    with pytest.raises(ImportError, match=r"jax, torch cannot be found.*make test-frameworks"):
        left_out(lambda name: None if name in ("torch", "jax") else name)
    assert left_out(lambda name: name) == []


def test_pytest_obeys(tmp_path: Path) -> None:
    """A run in a copy of the folders, with a framework that cannot be there."""
    for name in ("conftest.py", "tests/frameworks.py"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_text((ROOT / name).read_text(encoding="utf-8").replace('"keras"', '"no_such_framework"'))
    for name in ("tests/front_ends/no_such_framework/test_a.py", "tests/test_b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("def test_it(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = tests\n")

    def run(required: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
        environment = {**os.environ, "CROSSENT_FRAMEWORKS": required}
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    assert run(required="").stdout.splitlines()[-1].startswith("1 passed")
    failed = run(required="1")
    assert failed.returncode == 4
    assert re.search("no_such_framework.* cannot be found", failed.stderr)
