"""Results as JSON: stable keys, a schema name, infinity as "inf", what is not known as null (plus "why" in a Score)."""

import json
import math
from typing import Any

from crossent.scoring import Score
from crossent.scoring.compare import Compare
from crossent.scoring.language_score import LanguageScore

__all__ = ["json_text", "to_json"]


def to_json(result: Score | Compare | LanguageScore, *, indent: int | None = 2) -> str:
    """The whole result as standard JSON; numbers read back to the same bits.

    Args:
        result: a Score, a Compare or a LanguageScore.
        indent: blanks per level; None puts all into one line.
    Returns: text, ending in a newline.

    >>> from crossent.scoring import Tally
    >>> tally = Tally(["cat", "dog"])
    >>> tally.update([0, 1], [[0.0, 1.0], [0.5, 0.5]])
    >>> json.loads(to_json(tally.result()))["log_loss"]["value"]
    'inf'
    """
    return json_text(result.to_dict(), indent=indent)


def json_text(result: dict[str, Any], *, indent: int | None = 2) -> str:
    """Standard JSON of plain numbers, texts, lists and dictionaries, ending in a newline."""
    return json.dumps(_plain(result), indent=indent, allow_nan=False) + "\n"


def _plain(node: Any) -> Any:
    """Infinities as the text "inf" or "-inf" and NaN as null: standard JSON has no number for them."""
    if isinstance(node, dict):
        return {str(key): _plain(child) for key, child in node.items()}
    if isinstance(node, (list, tuple)):
        return [_plain(child) for child in node]
    if isinstance(node, float) and not math.isfinite(node):
        return None if math.isnan(node) else "inf" if node > 0 else "-inf"
    return node
