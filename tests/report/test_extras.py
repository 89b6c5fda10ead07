"""Text and JSON need neither matplotlib nor jinja2; a page says which extra brings them."""

import subprocess
import sys

import numpy as np
import pytest

from crossent.errors import MissingExtraError
from crossent.plots import reliability
from crossent.report import to_html
from crossent.scoring import Tally


@pytest.mark.parametrize("module", ["crossent.stats", "crossent.scoring", "crossent.plots", "crossent.report"])
def test_importing_loads_no_extra(module):
    heavy = "{'matplotlib', 'jinja2', 'pyarrow', 'duckdb', 'scipy', 'sklearn'}"
    code = f"import sys, {module}; sys.exit(str(set(sys.modules) & {heavy} or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("library", ["matplotlib", "jinja2"])
def test_missing_library_names_its_extra(library, monkeypatch):
    tally = Tally(["a", "b"])
    tally.update(np.array([0, 1]), np.array([[0.75, 0.25], [0.5, 0.5]]))
    score = tally.result()
    for name in [n for n in sys.modules if n.split(".")[0] == library] + [library]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"{library}.*pip install 'crossent\[report\]'"):
        to_html(score)
    if library == "matplotlib":
        with pytest.raises(MissingExtraError, match="matplotlib"):
            reliability(score)
