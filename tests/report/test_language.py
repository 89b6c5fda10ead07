"""A LanguageScore as text, HTML and JSON: its numbers, names made harmless, what is not estimable."""

import json
import math
from xml.etree import ElementTree

import numpy as np

from crossent.report import to_fragment, to_json, to_text
from crossent.scoring.language import score_language

LOG_P = [[-1.0, -2.0, -1.5], [-3.0, -2.0], [-0.5]]


def test_the_text_has_every_number_and_the_worst_documents():
    score = score_language(
        LOG_P, documents=["a", "evil\x1b[31m", "c"], bytes=["three tok", "two to", "1"], words=[2, 2, 1]
    )
    text = to_text(score)
    assert text.startswith(f"Perplexity {score.perplexity.value:.1f}"[:13])
    assert "6 tokens in 3 documents. Fewer than 30 documents" in text
    for name in ("perplexity", "word perplexity", "bits per byte", "bits per token", "nats per token"):
        assert any(line.startswith(f"{name} ") for line in text.splitlines()), name
    assert "\x1b" not in text
    assert "evil\\u001b" in text
    assert "bits per byte" not in to_text(score_language(LOG_P))


def test_the_page_is_well_formed_and_escapes_names():
    score = score_language(LOG_P, documents=["<script>", "a&b", "c"])
    page = ElementTree.fromstring(to_fragment(score))
    assert [cell.text for cell in page.iter("td")][-4] in {"<script>", "a&b"}
    assert page.find("script") is None
    assert score._repr_html_() == to_fragment(score)


def test_infinity_is_said_first():
    score = score_language([[-1.0, -math.inf], [-2.0, -4.0]])
    text = to_text(score)
    assert text.startswith("Perplexity inf: 1 of 4 tokens in 2 documents has probability 0. The others have 2.")
    assert "1 token has p = 0" in text
    assert "The others" not in to_text(score_language([-math.inf]))


def test_json_reads_back():
    found = json.loads(to_json(score_language(np.array([[-1.0, -math.inf], [-2.0, -4.0]]), bytes=[3, 4])))
    assert found["schema"] == "crossent.language/1"
    assert found["perplexity"]["value"] == found["bits_per_byte"]["value"] == "inf"
    assert found["word_perplexity"] is None
    assert found["infinities"]["finite"]["value"] == 7 / 3
    assert found["worst"][0]["document"] == "0"
