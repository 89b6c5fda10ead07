"""The benchmark runs, its peers agree, and its table names the machine and every case."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_benchmark_writes_its_table(tmp_path: Path) -> None:
    output = tmp_path / "results.md"
    command = [sys.executable, str(ROOT / "benchmarks" / "ground.py"), "--quick", "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    text = output.read_text()
    assert text.count("| crossent") == 1
    assert text.count("loss and gradient |") == 4
    assert "Python" in text
    assert "cores" in text
