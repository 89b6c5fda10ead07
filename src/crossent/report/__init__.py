"""A Score to look at: text, JSON, and one self-contained HTML page; a comparison of solvers: text, JSON, a picture."""

from crossent.report.comparison import comparison_to_json, comparison_to_text
from crossent.report.html import to_html, write_page
from crossent.report.json import to_json
from crossent.report.language import language_to_html, language_to_json, language_to_text
from crossent.report.pictures import write_picture
from crossent.report.text import to_text
from crossent.report.wording import verdict

__all__ = [
    "comparison_to_json",
    "comparison_to_text",
    "language_to_html",
    "language_to_json",
    "language_to_text",
    "to_html",
    "to_json",
    "to_text",
    "verdict",
    "write_page",
    "write_picture",
]
