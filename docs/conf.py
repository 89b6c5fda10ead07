"""How Sphinx builds the documentation: offline, with warnings as errors (`make docs`)."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import docstrings  # noqa: E402  the path above is set first

project = "crossent"
author = "The crossent developers"
copyright = author
_source = (HERE.parent / "src" / "crossent" / "__init__.py").read_text(encoding="utf-8")
release = re.search(r'^__version__ = "(.+)"', _source, re.MULTILINE)[1]
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc"]  # formulas are text: a page never fetches anything
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"crossent {release}"
html_show_sourcelink = False
html_copy_source = False

autodoc_typehints = "none"  # docstrings give shapes and ranges, which types cannot
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True


def setup(app: object) -> None:
    """Let docstrings.py turn this project's docstring style into reStructuredText."""
    app.connect("autodoc-process-docstring", docstrings.process)  # type: ignore[attr-defined]
