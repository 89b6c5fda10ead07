"""Tokens: those without a log-probability, masked ones, numbers that overflow, and bytes of tokens left out."""

import numpy as np
import pytest

from crossent.errors import NonFiniteError
from crossent.scoring.language import LanguageTally, score_language


def test_bytes_a_row_beside_a_mask_inside_rows_are_noted():
    log_p, mask = [[-1.0, -2.0, -1.0], [-0.5, -0.5, -3.0]], [[0, 1, 1], [1, 1, 1]]
    said = "bytes came one number (or text) a row, and tokens before others of the row are left out"
    assert [note[: len(said)] for note in score_language(log_p, mask=mask, bytes=[9, 9]).notes] == [said]
    assert score_language(log_p, mask=mask, bytes=[[3] * 3] * 2).notes == ()
    assert score_language(log_p, mask=[[1, 1, 0], [1, 1, 1]], bytes=[9, 9]).notes == ()  # padding
    assert score_language([[], *log_p], mask=[[], *mask], bytes=[0, 9, 9]).notes
    assert score_language(log_p, mask=[[0, 0, 0], [1, 1, 1]], bytes=[9, 9]).notes == ()
    assert score_language(log_p, bytes=["abc", "def"]).notes == ()
    tally = LanguageTally()
    tally.update(log_p, documents=["a", "b"], mask=mask, words=[2, 2])
    tally.update(log_p, documents=["c", "d"], words=[2, 2])
    for each in (tally, LanguageTally.from_bytes(tally.to_bytes())):
        assert each.result().notes[0].startswith("words came one number")


def test_a_first_token_without_a_log_probability():
    log_p = [[None, -1.2, -0.3], [None, -0.5]]
    with pytest.raises(NonFiniteError, match=r"log_probs\[0\]\[0\] is nan or None \(2 tokens.*first token.*mask="):
        score_language(log_p)
    found = score_language(log_p, mask=[[0, 1, 1], [0, 1]])
    assert found == score_language([[-1.2, -0.3], [-0.5]])
    with pytest.raises(NonFiniteError, match=r"log_probs\[0\] is nan or None .*first token"):
        score_language([None, -1.0])
    with pytest.raises(NonFiniteError, match=r"leave out tokens without a log-probability by mask="):
        score_language([-1.0, None])


def test_logits_of_masked_tokens_may_be_anything():
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(2, 3, 5)), rng.integers(0, 5, (2, 3)).astype(np.uint8)
    wanted = score_language(logits=z, targets=t, mask=[[0, 1, 1], [1, 1, 0]])
    z[0, 0], z[1, 2] = np.nan, np.inf
    assert score_language(logits=z, targets=t, mask=[[0, 1, 1], [1, 1, 0]]) == wanted
    ragged = score_language(logits=[z[0], z[1, :2]], targets=[t[0], t[1, :2]], mask=[[0, 1, 1], [1, 1]])
    assert ragged == wanted
    assert score_language(logits=z[:, 1:], targets=t[:, 1:], mask=[1, 0]).tokens == 2  # a row
    with pytest.raises(NonFiniteError):
        score_language(logits=z, targets=t, mask=[[1, 1, 1], [1, 1, 0]])


@pytest.mark.parametrize("log_base", [None, 10])
def test_numbers_whose_sums_overflow_are_refused_with_their_place(log_base):
    with pytest.raises(NonFiniteError, match=r"log_probs\[0\]\[1\] is -1e\+308 \(2 tokens.*-inf for p = 0"):
        score_language([[-1.0, -1e308, -1e308]], log_base=log_base)
    assert score_language([[-1.0, -1e308]], mask=[[1, 0]], log_base=log_base).tokens == 1
    assert score_language([[-1.0, -1e289] * 2], log_base=log_base).loss.value > 1e288
