"""The page and the JSON, from results made by hand: medians, ratios and targets that were worked out on paper."""

import json
import math
from dataclasses import replace

import pytest

from crossent.bench.cases import Case, Target
from crossent.bench.pictures import GROWTHS, draw_growth
from crossent.bench.results import SCHEMA, Measurement, Results, deviation
from crossent.bench.roster import CROSSENT, IN_TORCH, LIMIT
from crossent.bench.table import markdown
from crossent.bench.verdicts import Verdict, read_notes, verdicts
from crossent.errors import DataError

MACHINE = {"processor": "a processor", "cores": 2, "system": "a system", "python": "3", "threads": 2, "rounds": 3,
           "quick": False, "date": "today", "versions": {"crossent": "1"}}  # fmt: skip
CASE = Case(suite="loss", title="the case", kind="index", shape=(1000, 50), peers=("fast", "slow", "liar"),
            targets={"forward": Target(ratio=5, tuned=1.5, extra_bytes=20_000_000),
                     "gradient": Target(ratio=2, against="slow")})  # fmt: skip


def measurement(peer: str, *milliseconds: float, work: str = "forward", regime: str = "default", **more: object):
    """Of the case, with times in milliseconds."""
    seconds = [each / 1e3 for each in milliseconds]
    return Measurement("loss", "the case", work, regime, peer, seconds, 1, **more)  # type: ignore[arg-type]


@pytest.fixture
def results() -> Results:
    """crossent 2 ms, the best peer 8 ms, a liar 1 ms, the limit 1.6 ms; tuned: 4 ms against 2.5."""
    return Results(MACHINE, [CASE], [
        measurement(CROSSENT, 1, 2, 9, extra_bytes=3_000_000),
        measurement(LIMIT, 1.6, 1.6, 1.6),
        measurement("slow", 100, 300, 200),
        measurement("fast", 7, 8, 20, extra_bytes=60_000_000),
        measurement("liar", 1, 1, 1, wrong_by=0.0123),
        measurement("dead", failure="killed by SIGKILL"),
        measurement(CROSSENT, 2.5, regime="tuned"),
        measurement("fast", 4, regime="tuned"),
        measurement(CROSSENT, 50, work="gradient", extra_bytes=30_000_000),
        measurement("slow", 200, work="gradient"),
        measurement("fast", 60, work="gradient"),
        measurement(CROSSENT, 20, work="gradient_out"),
        measurement(CROSSENT, 16, work="gradient_in_place"),
        measurement(LIMIT, 12.5, work="gradient"),
    ])  # fmt: skip


def test_ratios_are_best_peer_by_ours(results):
    assert results.ratio(CASE, "forward", "default") == pytest.approx(8 / 2)
    assert results.ratio(CASE, "forward", "tuned") == pytest.approx(4 / 2.5)
    assert results.ratio(CASE, "gradient", "default") == pytest.approx(60 / 50)
    assert results.ratio(CASE, "gradient", "default", "slow") == pytest.approx(200 / 50)
    assert results.ratio(CASE, "gradient", "default", "nobody") is None
    assert results.ratio(CASE, "forward", "default", "slow") == pytest.approx(200 / 2)
    assert results.ratio(CASE, "forward", "default", "liar") is None
    assert results.ratio(CASE, "forward", "default", "dead") is None
    assert results.over_limit(CASE, "forward") == pytest.approx(2 / 1.6)
    assert results.over_limit(CASE, "gradient") == pytest.approx(4)


def test_targets_are_held_against_ratios(results):
    assert verdicts(results, CASE, "forward") == [
        Verdict("5", "4, 20 % short", False),
        Verdict("1.5 tuned", "1.6", True),
        Verdict("< 20 MB", "3 MB", True),
    ]
    assert verdicts(results, CASE, "gradient") == [Verdict("2 beside slow", "4", True)]
    assert verdicts(results, CASE, "gradient_out") == []


def test_a_target_in_seconds(results):
    quick = Case(suite="loss", title="the case", kind="index", shape=(1, 1), targets={"forward": Target(seconds=8e-4)})
    assert verdicts(results, quick, "forward") == [Verdict("< 0.8 ms", "2 ms, 150 % over", False)]
    results.measurements.clear()
    assert verdicts(results, quick, "forward") == [Verdict("< 0.8 ms", "", False)]


def test_the_page(results):
    results.missing["absent"] = "not installed (pip install absent)"
    page = markdown(results, notes={"the case": {"forward": "it is what it is."}}, pictures={})
    lines = page.splitlines()
    assert lines[0] == "# Measured by `crossent bench`"
    assert (
        "| the case | 2 ms | 8 ms (fast) | 4 | **5**; 1.5 tuned; < 20 MB | 1.25 | 4 ms (fast) | 1.6 "
        "| liar 1 ms, wrong by 1.2e-02; slow 200 ms; dead failed: killed by SIGKILL | 3 / 60 |"
    ) in lines
    assert "| the case | 50 ms | 60 ms (fast) | 1.2 | 2 beside slow | 4 | - | - | slow 200 ms | 30 / - |" in lines
    assert "| the case | 50 | 20 | 16 | 12.5 |" in lines
    assert "- the case, loss alone: 4, 20 % short where 5 was wanted. It is what it is." in lines
    assert "- dead, the case, loss alone, default malloc: killed by SIGKILL" in lines
    assert "- liar, the case, loss alone, default malloc: wrong by 1.2e-02" in lines
    assert "- absent: not installed (pip install absent)" in lines
    assert "a processor, 2 cores, a system, 2 threads for everybody; Python 3, crossent 1; today." in lines
    for table in page.split("\n\n"):
        if table.startswith("|"):
            assert len({line.count("|") for line in table.splitlines()}) == 1


LAYER = Case(suite="linear", title="linear (100, 20, 5000), 7 MB", kind="linear", shape=(100, 20, 5000),
             memory_limit=7_000_000, peers=("fast",), works=("gradient",),
             targets={"gradient": Target(ratio=1.15, against="fast", extra_share=0.5)})  # fmt: skip


def layers(extra: int, peers_extra: int | None) -> Results:
    """crossent 10 ms, the peer 12 ms."""
    return Results(MACHINE, [LAYER], [
        Measurement("linear", LAYER.title, "gradient", "default", CROSSENT, [0.01], 1, extra_bytes=extra),
        Measurement("linear", LAYER.title, "gradient", "default", "fast", [0.012], 1, extra_bytes=peers_extra),
    ])  # fmt: skip


def test_memory_of_layers_beside_their_gradients_and_all_logits():
    """Gradients of 100 x 20, 5000 x 20 and 5000 float32 are 428 kB; all logits 2 MB."""
    page = markdown(layers(7_428_000, 20_000_000), notes={}, pictures={})
    assert "## Linear layer and loss" in page
    assert "| linear (100, 20, 5000), 7 MB | 0.1 ms | 7 | 0 | 7 | 2 | fast 20 |" in page
    assert "1.15 beside fast; 0.5 of its memory" in page
    assert "| not run |" in markdown(Results(MACHINE, [LAYER], layers(1, None).measurements[:1]), notes={}, pictures={})


def test_another_base_has_the_column_and_the_targets():
    """Halves of bytes: gradients of 100 x 20, 5000 x 20 and 5000 bfloat16 are 214 kB; all logits 1 MB."""
    case = replace(LAYER, suite="torch", ours=IN_TORCH, dtype="bfloat16")
    measurements = [replace(m, suite="torch", peer=IN_TORCH if m.peer == CROSSENT else m.peer)
                    for m in layers(7_214_000, 20_000_000).measurements]  # fmt: skip
    results = Results(MACHINE, [case], measurements)
    assert results.ratio(case, "gradient", "default") == pytest.approx(1.2)
    assert all(verdict.reached for verdict in verdicts(results, case, "gradient"))
    page = markdown(results, notes={}, pictures={})
    assert "## Inside PyTorch: crossent.torch" in page
    assert "| case | crossent.torch | best peer |" in page
    assert "extra memory, MB: crossent.torch / best peer |" in page
    assert "| linear (100, 20, 5000), 7 MB | 10 ms | 12 ms (fast) | 1.2 |" in page
    assert "| linear (100, 20, 5000), 7 MB | 0.1 ms | 7 | 0 | 7 | 1 | fast 20 |" in page


def test_a_share_of_memory_is_held_against_the_peers():
    assert verdicts(layers(5_000_000, 20_000_000), LAYER, "gradient")[1] == Verdict("0.5 of its memory", "0.25", True)
    missed = verdicts(layers(15_000_000, 20_000_000), LAYER, "gradient")[1]
    assert missed == Verdict("0.5 of its memory", "0.75, 50 % over", False)
    assert verdicts(layers(1, None), LAYER, "gradient")[1] == Verdict("0.5 of its memory", "", False)


FITS = [
    Case(suite="fit", title=f"fit {name}", kind="fit noisy", shape=(9, 2, 2), peers=("fast", "slow", "dead"),
         works=("fit", "fit_default"), solvers={CROSSENT: ("",)}, targets={"fit": Target(ratio=20)})
    for name in ("known", "alone")
]  # fmt: skip


def fits() -> Results:
    """crossent 0.5 s; "known": peers 4 s and, not there, 30 s; "alone": nobody there, after 23 s and 11 s."""

    def fit(case: Case, peer: str, *seconds: float, work: str = "fit", **more: object) -> Measurement:
        return Measurement("fit", case.title, work, "default", peer, list(seconds), 1, **more)  # type: ignore[arg-type]

    known, alone = FITS
    return Results(MACHINE, FITS, [
        fit(known, CROSSENT, 0.4, 0.5, 0.6, value=0.25, setting="tol 1e-4", extra_bytes=5_000_000),
        fit(known, CROSSENT, 0.7, work="fit_default", value=0.25, setting="default", bound=2e-7),
        fit(known, "slow", 30, value=0.25001, wrong_by=4e-5, setting="lbfgs, tol 1e-8"),
        fit(known, "fast", 4, value=0.25, setting="newton-cg, tol 1e-3", extra_bytes=90_000_000),
        fit(alone, CROSSENT, 0.5, value=0.25, setting="tol 1e-4"),
        fit(alone, CROSSENT, 0.7, work="fit_default", value=0.26, wrong_by=0.04, setting="default"),
        fit(alone, "dead", failure="killed by SIGKILL"),
        fit(alone, "slow", 10, 12, value=0.26, wrong_by=0.04, setting="lbfgs, tol 1e-8"),
        fit(alone, "fast", 23, value=0.25001, wrong_by=4e-5, setting="lbfgs, tol 1e-8"),
    ])  # fmt: skip


def test_fits_are_held_against_who_got_there_else_against_the_time_of_giving_up():
    results, (known, alone) = fits(), FITS
    assert results.ratio(known, "fit", "default") == pytest.approx(4 / 0.5)
    assert results.least_ratio(known, "fit") is None
    assert results.ratio(alone, "fit", "default") is None
    assert results.least_ratio(alone, "fit") == pytest.approx(11 / 0.5)
    assert verdicts(results, known, "fit") == [Verdict("20", "8, 60 % short", False)]
    assert verdicts(results, alone, "fit") == [Verdict("20", "> 22", True)]
    results.ours(alone, "fit").wrong_by = 1e-3
    assert results.least_ratio(alone, "fit") is None
    results.ours(known, "fit").wrong_by = 1e-3
    assert results.ratio(known, "fit", "default") is None


def test_the_tables_of_fits():
    page = markdown(fits(), notes={}, pictures={})
    assert "## Fitting\n\n### Time to 1e-6 of the minimum" in page
    assert (
        "| known | 500 ms (tol 1e-4) | fast: 4 s (newton-cg, tol 1e-3, 1 round) | 8 | **20** "
        "| slow: 4e-5 after 30 s (lbfgs, tol 1e-8, 1 round) | 5 / 90 |"
    ) in page
    assert (
        "| alone | 500 ms (tol 1e-4, 1 round) | fast: 4e-5 after 23 s (lbfgs, tol 1e-8, 1 round) | > 22 | 20 "
        "| slow: 4e-2 after 11 s (lbfgs, tol 1e-8, 2 rounds); dead: failed: killed by SIGKILL | - / - |"
    ) in page
    assert "| known | 700 ms | < 1e-6 | 8e-7 | - |" in page
    assert "| alone | 700 ms | 4e-2 | - | - |" in page
    assert "- fit known, time to the minimum: 8, 60 % short where 20 was wanted." in page
    assert "- dead, fit alone, time to the minimum, default malloc: killed by SIGKILL" in page
    assert "wrong by" not in page.partition("## Not measured")[2]
    for table in page.split("\n\n"):
        if table.startswith("|"):
            assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_miss_without_a_reason_says_so(results):
    assert "wanted. No reason given yet." in markdown(results, notes={}, pictures={})


def test_the_json_form(results):
    results.measurements[0].value = math.inf
    found = json.loads(results.to_json())
    assert found["schema"] == SCHEMA == "crossent.bench/1"
    assert set(found) == {"schema", "machine", "missing", "cases", "measurements"}
    assert found["machine"] == MACHINE
    first, last = found["measurements"][0], found["measurements"][-1]
    assert first["value"] == "inf"
    assert first["median_seconds"] == pytest.approx(0.002)
    assert first["seconds"] == pytest.approx([0.001, 0.002, 0.009])
    assert set(last) == {"suite", "case", "work", "regime", "peer", "seconds", "repetitions", "value", "wrong_by",
                         "extra_bytes", "failure", "setting", "bound", "median_seconds"}  # fmt: skip
    assert found["cases"][0]["targets"]["forward"]["ratio"] == 5


@pytest.mark.parametrize(
    ("value", "probe", "dtype", "wrong"),
    [
        (2.0, [10.0, 1.0, -4.0], "float32", None),
        (2.0002, [10.0, 1.0, -4.0], "float32", None),
        (2.001, [10.0, 1.0, -4.0], "float32", 0.0005),
        (2.001, [10.0, 1.0, -4.0], "bfloat16", None),
        (2.0002, [10.0, 1.0, -4.0], "float64", 0.0001),
        (2.0, [11.0, 1.0, -4.0], "float32", 0.1),
        (2.0, [10.0, 2.0, -4.0], "float32", 0.25),
        (2.0, [10.0, 1.0], "float32", math.inf),
        (2.0, [10.0, math.nan, -4.0], "float32", math.inf),
        (math.nan, [10.0, 1.0, -4.0], "float32", math.inf),
        (math.inf, None, "bfloat16", math.inf),
    ],
)
def test_what_is_wrong(value, probe, dtype, wrong):
    found = deviation(value, probe, 2.0, [10.0, 1.0, -4.0], dtype)
    assert found is None if wrong is None else found == pytest.approx(wrong, rel=1e-6)


def test_nothing_is_right_only_if_both_are_zero():
    assert deviation(0.0, None, 0.0, None, "float32") is None
    assert deviation(1e-30, None, 0.0, None, "float32") == math.inf


# ---------------------------------------------------------------- growth


def growth() -> Results:
    """crossent takes N^1 µs and 1 MB, the peer 3 N µs and 2 N bytes beyond the gradient."""
    cases = [Case(suite="scaling", title=f"{what}: {n}", kind="index", shape=(n, 10) if what == "rows" else (10, n),
                  works=("gradient",), regimes=("default",)) for what in GROWTHS for n in (10, 100, 1000)]  # fmt: skip
    results = Results(MACHINE, cases)
    for case in cases:
        n, gradient = case.elements // 10, 4 * case.elements
        for peer, seconds, extra in ((CROSSENT, n, 10**6), (LIMIT, n / 2, None), ("peer", 3 * n, 2 * n)):
            results.measurements.append(
                Measurement("scaling", case.title, "gradient", "default", peer, [seconds * 1e-6], 1,
                            extra_bytes=None if extra is None else gradient + extra)
            )  # fmt: skip
    return results


def test_growth_as_a_table():
    page = markdown(growth(), notes={}, pictures={"rows": "r.svg", "classes": "c.svg"})
    assert "| rows: 1000 | 1 | 3 | 0.5 | 1 | 0.002 |" in page
    assert "- crossent's time grows as the number of rows to the power 1.00 (last two decades)" in page
    assert "![Time and extra memory against the number of classes](c.svg)" in page


@pytest.mark.parametrize("what", GROWTHS)
def test_growth_as_a_picture(what):
    left, right = draw_growth(growth(), what).axes
    assert [line.get_label() for line in left.lines] == [CROSSENT, LIMIT, "peer"]
    assert list(left.lines[0].get_xdata()) == [10, 100, 1000]
    assert list(left.lines[2].get_ydata()) == pytest.approx([0.03, 0.3, 3])
    assert list(right.lines[0].get_ydata()) == pytest.approx([1, 1, 1])
    assert list(right.lines[1].get_ydata()) == pytest.approx([0.01, 0.01, 0.01])  # smaller than what can be seen
    assert left.get_xscale() == right.get_yscale() == "log"


# ---------------------------------------------------------------- notes


def test_notes_are_read(tmp_path):
    path = tmp_path / "notes.toml"
    path.write_text('["(2048, 32000)"]\ngradient = "because"\n')
    assert read_notes(str(path)) == {"(2048, 32000)": {"gradient": "because"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "is not TOML"),
        ('["(2048, 3200)"]\ngradient = "x"', "there is no case '(2048, 3200)'. Did you mean '(2048, 32000)'?"),
        ('["(2048, 32000)"]\nbackward = "x"', "has 'backward', which is none of forward"),
        ('["(2048, 32000)"]\nforward = 1', "is no table of texts"),
        ('"(2048, 32000)" = "x"', "is no table of texts"),
    ],
)
def test_notes_that_mean_nothing_are_refused(tmp_path, text, message):
    path = tmp_path / "notes.toml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_notes(str(path))
    assert message in str(caught.value)


def test_notes_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="Cannot read"):
        read_notes(str(tmp_path / "gone.toml"))


def test_the_notes_of_the_project_can_be_read():
    from pathlib import Path

    assert read_notes(str(Path(__file__).parents[2] / "benchmarks" / "notes.toml")) is not None
