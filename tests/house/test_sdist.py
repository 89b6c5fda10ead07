"""The source distribution installs in an empty environment and computes there."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, crossent as ce
assert not {"scipy", "pyarrow", "click"} & set(sys.modules)
print(round(ce.cross_entropy([0, 2], logits=[[1.3, 0.7, -0.1], [-0.2, 1.1, 0.6]]), 7), ce.__version__)
"""


@pytest.mark.slow
def test_source_distribution_installs_in_an_empty_environment(tmp_path: Path) -> None:
    import crossent as ce

    def run(*command: object) -> str:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path / "dist", ROOT)
    (archive,) = (tmp_path / "dist").glob("crossent-*.tar.gz")
    assert archive.stat().st_size < 2_000_000
    names = run("tar", "-tzf", archive).splitlines()
    folder = f"crossent-{ce.__version__}/"
    assert {folder + "native/kernels.cpp", folder + "LICENSE", folder + "src/crossent/py.typed"} <= set(names)
    assert not [name for name in names if "/.venv" in name or "/build/" in name or "/demo-output/" in name]
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", archive)
    assert run(python, "-c", PROGRAM).split() == ["0.8580028", ce.__version__]
    assert (tmp_path / "empty" / "bin" / "crossent").exists()
    missing = subprocess.run([tmp_path / "empty/bin/crossent", "--version"], capture_output=True, text=True)
    assert missing.returncode == 2
    assert "pip install 'crossent[" in missing.stderr
