"""Results to look at: text, JSON and notebook piece of every score and comparison, and a page of a Score."""

from crossent.report.comparison import comparison_to_json, comparison_to_text
from crossent.report.contents import verdict
from crossent.report.fragment import to_fragment
from crossent.report.html import to_html, write_page
from crossent.report.json import to_json
from crossent.report.pictures import write_picture
from crossent.report.text import to_text

__all__ = [
    "comparison_to_json",
    "comparison_to_text",
    "to_fragment",
    "to_html",
    "to_json",
    "to_text",
    "verdict",
    "write_page",
    "write_picture",
]
