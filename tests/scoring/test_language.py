"""Scores of language models: brute force, cluster-robust regression, the same bits from any split, what is refused."""

import json
import math
import pickle
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import WLS

from closeness import assert_close
from crossent.errors import (
    DataError,
    EmptyBatchError,
    LabelError,
    NonFiniteError,
    OptionError,
    ProbabilityError,
    ShapeError,
    UnsupportedError,
)
from crossent.report import to_json, to_text
from crossent.scoring.language import LanguageTally, score_language

INF = math.inf


def corpus(documents=40, seed=0):
    """Documents of 1..30 tokens whose losses go together, with bytes of every token."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 31, documents)
    log_p = [-rng.exponential(rng.uniform(0.5, 4.0), n) for n in lengths]
    return log_p, [rng.integers(1, 9, n) for n in lengths]


def padded(rows, fill):
    """Rows of one length, filled up at the end, and where they were not."""
    width = max(map(len, rows))
    array = np.array([[*row, *[fill] * (width - len(row))] for row in rows])
    return array, np.arange(width) < np.array([len(row) for row in rows])[:, None]


def test_values_are_ratios_of_sums_over_tokens():
    log_p, sizes = corpus()
    score = score_language(log_p, bytes=sizes, words=[3] * len(log_p))
    lost = -sum(Fraction(float(x)) for row in log_p for x in row)
    tokens, size = sum(map(len, log_p)), int(sum(map(np.sum, sizes)))
    assert (score.tokens, score.documents, score.bytes, score.words) == (tokens, 40, size, 120)
    assert_close(score.loss.value, lost / tokens, ulps=1)
    with mpmath.workprec(100):
        nats = mpmath.mpf(lost.numerator) / lost.denominator
        assert_close(score.perplexity.value, mpmath.exp(nats / tokens), ulps=8)
        assert_close(score.word_perplexity.value, mpmath.exp(nats / 120), ulps=80)
        assert_close(score.bits_per_token.value, nats / tokens / mpmath.log(2), ulps=3)
        assert_close(score.bits_per_byte.value, nats / size / mpmath.log(2), ulps=3)
    mean_of_means = np.mean([-row.mean() for row in log_p])
    assert abs(score.loss.value - mean_of_means) > 0.01  # what it is not


def test_standard_errors_are_those_of_a_cluster_robust_regression():
    log_p, sizes = corpus()
    score = score_language(log_p, bytes=sizes)
    losses, size = -np.concatenate(log_p), np.concatenate(sizes).astype(float)
    document = np.repeat(np.arange(len(log_p)), [len(row) for row in log_p])
    for found, weight in ((score.loss, np.ones(len(losses))), (score.loss_per_byte, size)):
        fit = WLS(losses / weight, np.ones(len(losses)), weights=weight).fit()
        robust = fit.get_robustcov_results("cluster", groups=document)
        assert found.value == pytest.approx(robust.params[0], rel=1e-12)
        assert found.se == pytest.approx(robust.bse[0], rel=1e-10)
        assert found.n == 40
        assert found.lower < found.value < found.upper
    naive = losses.std(ddof=1) / math.sqrt(len(losses))
    assert score.loss.se > 1.5 * naive  # tokens of one document go together


def test_the_interval_of_perplexity_is_exp_of_the_ends():
    score = score_language(corpus()[0], confidence=0.8)
    assert score.perplexity.lower == math.exp(score.loss.lower)
    assert score.perplexity.upper == math.exp(score.loss.upper)
    assert score.perplexity.se == score.perplexity.value * score.loss.se
    assert score.perplexity.confidence == 0.8


def test_every_shape_says_the_same():
    log_p, sizes = corpus(12)
    ragged = score_language(log_p, bytes=sizes)
    dense, kept = padded(log_p, np.nan)  # padding is never looked at
    size, _ = padded(sizes, 0)
    assert score_language(dense, mask=kept, bytes=size) == ragged
    assert score_language(dense, mask=kept.astype(np.int64), bytes=size.sum(axis=1)) == ragged
    assert score_language(dense.reshape(3, 4, -1), mask=kept.reshape(3, 4, -1), bytes=size.reshape(3, 4, -1)) == ragged
    document = np.repeat(np.arange(12), [len(row) for row in log_p])
    flat, of_flat = np.concatenate(log_p), np.concatenate(sizes)
    order = np.random.default_rng(1).permutation(len(flat))
    assert score_language(flat[order], documents=document[order], bytes=of_flat[order]) == ragged
    packed = [half for row in (flat, document, of_flat) for half in np.array_split(row, 2)]
    assert score_language(packed[:2], documents=packed[2:4], bytes=packed[4:]) == ragged
    assert score_language([row.tolist() for row in log_p], bytes=[row.tolist() for row in sizes]) == ragged


def test_texts_count_their_bytes_in_utf8():
    log_p = [[-1.0, -2.0], [-3.0]]
    texts = ["naïve 語", "x" * 100]
    wanted = score_language(log_p, bytes=[10, 100])
    assert wanted.bytes == 110
    for given_texts in (texts, tuple(texts), np.array(texts), np.array(texts, object), [t.encode() for t in texts]):
        assert score_language(log_p, bytes=given_texts) == wanted
    assert score_language([-1.0, -2.0], bytes="naïve 語").bytes == 10
    assert score_language([[-1.0, -2.0]], bytes=[["ï", "ab"]]).bytes == 4


def test_columns_of_tables():
    rows = {"lp": [[-1.0, -2.0], [-1.0]], "text": ["a b", "ï"], "name": ["x", "y"]}
    wanted = score_language(rows["lp"], bytes=rows["text"], documents=rows["name"])
    assert wanted.bytes == 5
    for table in (pd.DataFrame(rows), pl.DataFrame(rows)):
        assert score_language(table["lp"], bytes=table["text"], documents=table["name"]) == wanted


def test_names_of_documents_are_compared_as_text():
    rows = [-1.0, -2.0, -4.0]
    assert score_language(rows, documents=[1, 2, 1]) == score_language(rows, documents=["1", "2", "1"])
    assert score_language([rows, rows], documents=["a", "a"]).documents == 1


@st.composite
def split_corpora(draw):
    n = draw(st.integers(1, 25))
    log_p = draw(
        st.lists(st.sampled_from([0.0, -1e-300, -0.1, -1 / 3, -2.5, -40.0, -1e9, -INF]), min_size=n, max_size=n)
    )
    documents = draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=n, max_size=n))
    size = draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    mask = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    blocks = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    mask[0] = True
    return [np.array(x) for x in (log_p, documents, size, mask, blocks)], draw(st.permutations(range(4)))


@settings(max_examples=30)
@given(split_corpora())
def test_merged_is_whole_bit_for_bit(case):
    (log_p, documents, size, mask, blocks), order = case

    def fed(tally, rows):
        tally.update(log_p[rows], documents=documents[rows], bytes=size[rows], mask=mask[rows])
        return tally

    whole = score_language(log_p, documents=documents, bytes=size, mask=mask)
    tallies = [fed(LanguageTally(), blocks == b) for b in order]
    assert sum(tallies[1:], start=tallies[0]).result() == whole
    assert (tallies[0] + (tallies[1] + (tallies[2] + tallies[3]))).result() == whole
    one = LanguageTally()
    for b in order:
        fed(one, blocks == b)
    assert one.result() == whole


def test_a_document_in_pieces_with_its_text_beside_one_of_them():
    tally = LanguageTally()
    tally.update([-1.0, -2.0], documents="a", bytes="abcdef")
    tally.update([-3.0], documents="a", bytes=0)
    tally.update([[-1.0, -INF], [-1.0, np.nan]], documents=["b", "pad"], mask=[True, False], bytes=[4, 1000])
    score = tally.result()
    assert (score.documents, score.bytes, score.tokens) == (2, 10, 5)  # a row that leaves takes its bytes along


def test_logits_and_targets():
    rng = np.random.default_rng(3)
    z, targets = rng.normal(size=(4, 7, 5)) * 3, rng.integers(0, 5, (4, 7))
    targets[rng.random((4, 7)) < 0.3] = -100
    targets[:, 0] = 2
    with mpmath.workprec(80):
        exact = [
            [
                mpmath.log(sum(mpmath.exp(x) for x in z[d, t])) - z[d, t, targets[d, t]]
                for t in range(7)
                if targets[d, t] >= 0
            ]
            for d in range(4)
        ]
        mean = mpmath.fsum(x for row in exact for x in row) / sum(map(len, exact))
    score = score_language(logits=z, targets=targets)
    assert score.tokens == sum(map(len, exact))
    assert_close(score.loss.value, mean, ulps=4)
    ragged = score_language(logits=[*z], targets=[*targets])
    assert ragged == score
    assert score_language(logits=z, targets=np.where(targets < 0, 7, targets), ignore_index=7) == score
    tally = LanguageTally()
    for row in range(4):
        tally.update(logits=z[row], targets=targets[row], documents=row)
    assert tally.result() == score
    with pytest.raises(LabelError, match="targets"):
        score_language(logits=z, targets=np.where(targets < 0, 7, targets))


def test_half_precision_and_rounding_above_zero():
    x = np.array([[-0.5, 0.0005, -2.0]], np.float16)
    assert score_language(x).loss.value == pytest.approx(2.5 / 3, rel=1e-15)


@pytest.mark.parametrize("base", [2, 10])
def test_other_logarithms(base):
    log_p, sizes = corpus(5)
    other = score_language([row / math.log(base) for row in log_p], bytes=sizes, log_base=base)
    natural = score_language(log_p, bytes=sizes)
    assert other.loss.value == pytest.approx(natural.loss.value, rel=1e-14)
    assert other.bits_per_byte.upper == pytest.approx(natural.bits_per_byte.upper, rel=1e-12)


def test_impossible_tokens_are_counted_and_the_loss_is_inf():
    score = score_language(
        [[-1.0, -INF, -INF], [-3.0, -2.0, 0.0], [-2.5, -0.5, -INF]], bytes=[3, 4, 5], words=[1, 1, 1]
    )
    assert score.loss.value == score.perplexity.value == score.bits_per_byte.value == score.word_perplexity.value == INF
    assert score.loss.lower is None
    assert "3 tokens with p = 0" in score.loss.why
    assert score.tokens == 9
    assert score.infinities.tokens == 3
    assert score.infinities.finite.value == 1.5
    assert "3 tokens have p = 0" in score.infinities.note
    assert [(d.document, d.infinite, d.loss) for d in score.worst] == [("2", 1, INF), ("0", 2, INF), ("1", 0, 5 / 3)]
    alone = score_language([-INF])
    assert alone.loss.value == INF
    assert alone.infinities.finite.value is None
    assert "inf" in repr(alone)
    json.loads(to_json(score))


def test_worst_documents_are_those_that_raise_the_loss():
    log_p, sizes = corpus()
    score = score_language(log_p, bytes=sizes, worst=40)
    mean, tokens = score.loss.value, score.tokens
    excess = {str(d): (-row.sum() - mean * len(row)) / tokens for d, row in enumerate(log_p)}
    wanted = sorted((d for d in excess if excess[d] > 0), key=lambda d: -excess[d])
    assert [d.document for d in score.worst] == wanted
    for found in score.worst:
        row = log_p[int(found.document)]
        assert found.excess == pytest.approx(excess[found.document], rel=1e-9)
        assert found.loss == pytest.approx(-row.mean(), rel=1e-13)
        assert (found.tokens, found.bytes) == (len(row), sizes[int(found.document)].sum())
    assert score_language(log_p, bytes=sizes, worst=3).worst == score.worst[:3]
    assert score_language([[-1.0, -2.0]]).worst == ()  # one document raises nothing
    assert score_language([[-0.1, -0.2], [-0.2, -0.1]]).worst == ()


def test_few_documents_are_marked_and_one_has_no_interval():
    assert score_language(corpus(30)[0]).loss.mark is None
    assert "documents" in score_language(corpus(29)[0]).perplexity.mark
    one = score_language([-1.0, -2.0, -3.0], bytes=[1, 2, 3])
    assert one.loss.value == 2.0
    assert one.loss.lower is None
    assert "one document" in one.loss.why
    assert "one document" in to_text(one)


def test_more_documents_than_are_told_apart():
    log_p = -np.random.default_rng(0).exponential(size=100_001)
    score = score_language(log_p, documents=np.arange(100_001))
    assert score.documents is None
    assert score.worst == ()
    assert "100,000" in score.notes[0]
    assert "over 100,000 documents" in repr(score)
    assert score.loss.value == pytest.approx(-log_p.mean(), rel=1e-13)
    assert score.loss.se == pytest.approx(log_p.std(ddof=1) / math.sqrt(len(log_p)), rel=0.02)
    halves = [LanguageTally(), LanguageTally()]
    for tally, rows in zip(halves, (slice(0, 40_000), slice(40_000, None)), strict=True):
        tally.update(log_p[rows], documents=np.arange(100_001)[rows])
    assert (halves[0] + halves[1]).result() == score


def test_no_bytes_at_all_is_not_estimable():
    score = score_language([[-1.0], [-2.0]], bytes=[0, 0])
    assert score.bits_per_byte.value is None
    assert "not estimable" in repr(score)


REFUSED = {
    "losses": (ProbabilityError, "look like losses: pass -losses", {"log_probs": [[1.5, 2.0, 0.0]]}),
    "probabilities": (ProbabilityError, r"log_probs\[0\]\[1\] is 0.5.*np.log", {"log_probs": [[0.0, 0.5, 0.2]]}),
    "slip": (ProbabilityError, r"log_probs\[1\]\[0\] is 3; .*1 of 3 tokens", {"log_probs": [[-1.0, -2.0], [3.0]]}),
    "plus inf": (ProbabilityError, "is inf", {"log_probs": [-1.0, INF]}),
    "nan": (NonFiniteError, r"log_probs\[1\] is nan", {"log_probs": [-1.0, np.nan]}),
    "number": (ShapeError, "single number", {"log_probs": -1.0}),
    "matrix in a list": (ShapeError, r"log_probs\[0\] has shape \(1, 2\)", {"log_probs": [np.zeros((1, 2))]}),
    "bytes shape": (ShapeError, r"bytes has shape \(3,\)", {"log_probs": np.zeros((2, 4)), "bytes": [1, 2, 3]}),
    "bytes of rows": (
        ShapeError, "pass bytes a token", {"log_probs": np.zeros((1, 2)), "documents": [["a", "b"]], "bytes": [7]},
    ),
    "bytes in a list": (ShapeError, "2 documents", {"log_probs": [[-1.0], [-1.0, -2.0]], "bytes": 7}),
    "bytes below 0": (OptionError, "holds -2", {"log_probs": [-1.0], "bytes": [-2]}),
    "half bytes": (OptionError, "holds 0.5", {"log_probs": [-1.0], "bytes": [0.5]}),
    "no text": (OptionError, "no UTF-8", {"log_probs": [-1.0], "bytes": ["\udc80"]}),
    "no document": (DataError, "None or NaN", {"log_probs": [[-1.0], [-2.0]], "documents": [None, "a"]}),
    "mask": (OptionError, "mask holds 2", {"log_probs": [-1.0], "mask": [2]}),
    "mask length": (ShapeError, r"mask\[1\] has shape", {"log_probs": [[-1.0], [-1.0, -2.0]], "mask": [[1], [1]]}),
    "vocabulary": (ProbabilityError, "all 8 tokens of a vocabulary", {"log_probs": np.full((2, 3, 8), -math.log(8))}),
    "nothing": (UnsupportedError, "log_probs", {}),
    "two": (UnsupportedError, "log_probs", {"log_probs": [-1.0], "logits": [[1.0]], "targets": [0]}),
    "no targets": (UnsupportedError, "targets", {"logits": [[1.0]]}),
    "base of logits": (UnsupportedError, "log_base", {"logits": [[1.0]], "targets": [0], "log_base": 2}),
    "base": (OptionError, "log_base is 1", {"log_probs": [-1.0], "log_base": 1}),
    "worst": (OptionError, "worst is -1", {"log_probs": [-1.0], "worst": -1}),
    "empty": (EmptyBatchError, "no token", {"log_probs": []}),
    "masked": (EmptyBatchError, "no token", {"log_probs": [-1.0], "mask": [False]}),
    "confidence": (OptionError, "confidence", {"log_probs": [[-1.0], [-2.0]], "confidence": 1.5}),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    error, message, arguments = REFUSED[case]
    with pytest.raises(error, match=message):
        score_language(**arguments)


def test_tallies_that_do_not_add_up():
    tally = LanguageTally()
    tally.update([-1.0], documents="a", bytes=[1])
    before = tally.result()
    with pytest.raises(UnsupportedError, match="bytes"):
        tally.update([-1.0], documents="a")
    with pytest.raises(ProbabilityError):
        tally.update([5.0], documents="a", bytes=[1])
    with pytest.raises(UnsupportedError, match="documents is None"):
        tally.update([-1.0], documents=None)
    with pytest.raises(OptionError, match="worst is 10 and 3"):
        tally + LanguageTally(worst=3)
    for left, right in ((2, 10), (2, None), (None, 2)):
        with pytest.raises(OptionError, match=f"log_base is {left} and {right}"):
            LanguageTally(log_base=left) + LanguageTally(log_base=right)
    assert tally.result() == before
    with pytest.raises(EmptyBatchError):
        LanguageTally().result()
    assert (LanguageTally() + tally).result() == before
    assert (pickle.loads(pickle.dumps(tally)) + LanguageTally()).result() == before


def test_many_small_blocks_add_up_in_few_sums():
    log_p, sizes = corpus(300)
    tally = LanguageTally()
    for d in np.random.default_rng(5).permutation(300).tolist():
        tally.update(log_p[d], documents=d, bytes=sizes[d])
    assert tally.result() == score_language(log_p, bytes=sizes)
    assert len(tally._runs) <= 9


@pytest.mark.parametrize("counted", [False, True])
def test_saved_and_loaded_is_the_same_from_any_split(counted):
    rows, _ = corpus(30)
    rows[3] = rows[3].copy()
    rows[3][0] = -np.inf

    def tally(documents):
        made = LanguageTally(worst=4, log_base=2)
        for d in documents:
            made.update(rows[d], documents=f"d{d}", bytes=np.full(len(rows[d]), 3) if counted else None)
        return made

    whole, other = tally(range(30)), tally(range(12)) + tally(reversed(range(12, 30)))
    data = whole.to_bytes()
    loaded = LanguageTally.from_bytes(data)
    assert other.to_bytes() == loaded.to_bytes() == data
    assert loaded.result() == whole.result()
    assert (loaded.n, loaded.worst, loaded.log_base) == (sum(map(len, rows)), 4, 2)
    assert (loaded + tally([0])).result() == (tally([0]) + whole).result()
    assert LanguageTally.from_bytes(LanguageTally().to_bytes()).n == 0
    for bad in (
        b"",
        data[:-1],
        data.replace(b"language-tally/1", b"language-tally/9"),
        data.replace(b"language-", b""),
    ):
        with pytest.raises(DataError):
            LanguageTally.from_bytes(bad)


def test_saved_sums_that_do_not_fit_are_refused():
    tally = LanguageTally()
    tally.update([-1.0, -2.0], documents=["a", "b"])
    good = tally._state.sums
    good.check()
    for wrong in ({"tokens": 3}, {"names": good.names[::-1]}, {"names": good.names[:1]}, {"names": ("x", "y", "z")}):
        with pytest.raises(ValueError, match=r"tokens|documents"):
            replace(good, **wrong).check()
