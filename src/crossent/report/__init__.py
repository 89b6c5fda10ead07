"""A Score to look at: text, JSON, and one self-contained HTML page."""

from crossent.report.html import to_html, write_page
from crossent.report.json import to_json
from crossent.report.text import to_text
from crossent.report.wording import verdict

__all__ = ["to_html", "to_json", "to_text", "verdict", "write_page"]
