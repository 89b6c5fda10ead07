"""The page: self-contained, harmless, small, the same every time, and with all its parts."""

import re
from dataclasses import replace

import numpy as np
import pytest

from crossent.errors import DataError
from crossent.report import to_html, write_page
from crossent.scoring import Tally
from pages import assert_self_contained, read
from results import HOSTILE
from results import score_of as made_score


def score_of(labels, n=200, zero=False, source="preds.parquet", worst=10):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(len(labels)), n)
    y = rng.integers(0, len(labels), n)
    if zero:
        p[0, y[0]] = 0.0
        p[0] /= p[0].sum()
    tally = Tally(labels, worst=worst)
    tally.update(y, p, source=source)
    return tally.result()


def test_page_has_all_its_parts():
    score = score_of(["cat", "dog", "owl"])
    trace = [{"iteration": i, "loss": 1.0 / (i + 1)} for i in range(30)]
    page = to_html(score, model={"trace": trace, "solver": "lbfgs"}, provenance={"file": "preds.parquet"})
    reader = assert_self_contained(page)
    text = " ".join(reader.text)
    for part in (
        "Training",
        "Reliability",
        "Where the loss comes from",
        "Log loss by class",
        "Confusion in bits",
        "Calibration",
        "Each class against the rest",
        "Losses",
        "Classes",
        "Worst rows",
        "Model",
        "Provenance",
        "lbfgs",
        "owl",
    ):
        assert part in text
    assert f"{score.log_loss.value:.3f}" in text
    assert reader.tags.count("svg") == 6
    assert page.count('role="img" aria-labelledby=') == 6


def test_without_a_model_there_is_no_training_curve():
    text = " ".join(read(to_html(score_of(["a", "b"]))).text)
    assert "Training" not in text
    assert "Provenance" not in text


def test_colours_follow_light_and_dark():
    page = to_html(score_of(["a", "b"]))
    assert "prefers-color-scheme: dark" in page
    pictures = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert "var(--accent)" in pictures
    assert set(re.findall(r"#[0-9a-fA-F]{6}\b", pictures)) == set()
    assert 'width="' not in re.findall(r"<svg[^>]*>", pictures)[0]


@pytest.mark.parametrize("zero", [False, True])
def test_hostile_labels_are_harmless(zero):
    score = score_of(HOSTILE, zero=zero, source=HOSTILE[0])
    hostile_facts = dict(zip(HOSTILE, HOSTILE, strict=True))
    page = to_html(score, title=HOSTILE[2], provenance=hostile_facts, model={**hostile_facts, "trace": [1.0, 0.5]})
    assert_self_contained(page)
    assert not set(page) & {"\u202e", "\u2066", "\x00", "\x1b", "\ud800"}
    assert "x" * 400 not in page
    assert "49" not in re.findall(r"<bdi>(.*?)</bdi>", page)
    page.encode("utf-8")


def test_the_parts_of_a_score_are_on_the_page():
    page = to_html(made_score(4, segments=3))
    text = " ".join(assert_self_contained(page).text)
    for part in ("Log loss by segment", "town 2", "adjusted p", "0.0009", "smooth ECE", "best temperature", "AUC",
                 "Temperature miscalibration is what one", "Hall's t interval for skewed means"):  # fmt: skip
        assert part in text
    two = " ".join(read(to_html(made_score(2))).text)
    assert "Discrimination is what the order" in two
    assert "Each class against the rest" not in two


def test_text_in_pictures_is_left_as_it_is():
    """Ids, links and colours of tags are rewritten, labels that look like them are not."""
    label = 'id="a" #1d2329'
    assert f">{label}" in to_html(made_score([label, "b"])).replace("&quot;", '"')


def test_a_page_of_sixty_classes_is_below_a_megabyte():
    rng = np.random.default_rng(0)
    bits = tuple(tuple(map(float, row)) for row in 10 * rng.random((60, 60)))
    score = made_score(60, segments=60)
    page = to_html(replace(score, confusion=replace(score.confusion, bits=bits)))
    assert_self_contained(page)
    assert "Confusion in bits" in page
    assert len(page.encode()) < 1_000_000
    assert "Confusion in bits" not in to_html(made_score(61))


def test_two_hostile_classes_are_named_in_the_caption():
    page = to_html(score_of(HOSTILE[:2]))
    assert_self_contained(page)
    assert "the true class is &#34;&gt;&lt;img" in page


def test_page_is_small_whatever_the_data():
    labels = [f"{i} " + "label " * 200 for i in range(3000)]
    page = to_html(
        score_of(labels, n=5000, worst=1000),
        model={
            "trace": [1.0 / (i + 1) for i in range(200_000)],
            **{f"k{i}": "v" * 10_000 for i in range(500)},
        },
        provenance={f"file {i}": "x" * 10_000 for i in range(500)},
    )
    assert len(page.encode()) < 400_000
    assert "2,940 more are in the JSON output" in page


def test_same_input_gives_the_same_page():
    score = score_of(["a", "b", "c"])
    trace = {"trace": [3.0, 2.0, 1.0]}
    assert to_html(score, model=trace) == to_html(score, model=trace)
    assert "<metadata>" not in to_html(score)


def test_infinities_are_shown_with_their_remedy():
    page = to_html(score_of(["a", "b"], zero=True))
    text = " ".join(read(page).text)
    assert "Log loss inf" in text
    assert "so the loss is inf" in text
    assert "Clipping would have hidden this behind" in text
    assert "without the infinite" in text


@pytest.mark.parametrize("labels", [["only"], ["a", "b"]])
def test_scores_at_the_edges_make_a_page(labels):
    tally = Tally(labels)
    tally.update(np.zeros(2, np.int64), np.tile(np.eye(len(labels))[0], (2, 1)))
    assert_self_contained(to_html(tally.result()))
    worst = Tally(["a", "b"], worst=0)
    worst.update(np.array([0, 0]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert_self_contained(to_html(worst.result()))


def test_user_settings_of_matplotlib_do_not_matter():
    import matplotlib

    score = score_of(["a", "b", "c"])
    plain = to_html(score)
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert to_html(score) == plain


def test_write_page_is_whole_or_not_there(tmp_path):
    score = score_of(["a", "b"])
    path = tmp_path / "report.html"
    write_page(path, score, title="t")
    assert path.read_text(encoding="utf-8") == to_html(score, title="t")
    with pytest.raises(DataError):
        write_page(tmp_path / "missing" / "report.html", score)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
