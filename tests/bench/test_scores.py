"""The suite "score": a tally, the loss alone and scikit-learn's metrics agree, and the page tells what each takes."""

from dataclasses import replace

import pytest

from crossent.bench.cases import Case, Target
from crossent.bench.plan import Plan
from crossent.bench.results import Measurement, Results
from crossent.bench.roster import CROSSENT, LOSS_ALONE, METRICS
from crossent.bench.runner import run
from crossent.bench.table import markdown
from crossent.bench.verdicts import Verdict, verdicts

MACHINE = {"processor": "a processor", "cores": 2, "system": "a system", "python": "3", "threads": 2, "rounds": 3,
           "quick": False, "date": "today", "versions": {"crossent": "1"}}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("title", ["(1000000, 10), float32", "(4000000, 2)", "logits (1000000", "(200000, 100)"])
def test_tallies_say_what_the_loss_alone_and_scikit_learn_say(title, heard):
    plan = Plan(suites=("score",), libraries=("sklearn",), pattern=title, rounds=2, threads=1, quick=True)
    results = run(plan, heard)
    (case,) = results.cases
    found, result = ({m.peer: m for m in results.of(case, work, "default")} for work in ("tally", "result"))
    assert set(found) == {CROSSENT, LOSS_ALONE, "sklearn log_loss", METRICS}
    assert set(result) == {CROSSENT}
    for m in results.measurements:
        assert (m.failure, m.wrong_by) == ("", None), m
        assert len(m.seconds) == 2
    assert result[CROSSENT].value == found[CROSSENT].value
    assert results.ratio(case, "tally", "default", LOSS_ALONE) is not None
    assert [line.split(":")[0] for line in heard.lines] == [f"{case.title} tally", f"{case.title} result"]


def test_what_is_crossents_own_is_measured_whatever_libraries_are_asked_for():
    plan = Plan(suites=("score",), libraries=())
    assert {tuple(plan.peers(case)) for case in plan.cases()} == {(CROSSENT, LOSS_ALONE)}


def test_the_table_of_scores():
    case = Case(suite="score", title="score known", kind="score probs", shape=(1000, 10), works=("tally", "result"),
                peers=(LOSS_ALONE, "sklearn log_loss", METRICS), regimes=("default",),
                targets={"tally": Target(times=2, against=LOSS_ALONE)})  # fmt: skip
    alone = replace(case, title="score alone", targets={})
    results = Results(MACHINE, [case, alone], [
        Measurement("score", "score known", "tally", "default", CROSSENT, [0.05], 1, extra_bytes=3_000_000),
        Measurement("score", "score known", "tally", "default", LOSS_ALONE, [0.02], 1),
        Measurement("score", "score known", "tally", "default", METRICS, [5.0], 1),
        Measurement("score", "score known", "tally", "default", "sklearn log_loss", [0.3], 1, wrong_by=0.1),
        Measurement("score", "score known", "result", "default", CROSSENT, [0.004], 1),
        Measurement("score", "score alone", "tally", "default", CROSSENT, failure="killed by SIGKILL"),
    ])  # fmt: skip
    page = markdown(results, notes={"score known": {"tally": "so it is"}}, pictures={})
    assert (
        "| known | 20 ms | 50 ms | 2.5 | **< 2 times crossent log loss** | 4 ms | 300 ms, wrong | 5 s | 100 | 3 |"
    ) in page
    assert "| alone | - | failed: killed by SIGKILL | - |  | - | - | - | - | - |" in page
    assert (
        "- score known, all rows into a tally: 2.5 times crossent log loss, 25 % over where "
        "< 2 times crossent log loss was wanted. So it is."
    ) in page
    results.measurements[0].seconds = [0.03]
    assert verdicts(results, case, "tally") == [
        Verdict("< 2 times crossent log loss", "1.5 times crossent log loss", True)
    ]
    del results.measurements[1]
    assert verdicts(results, case, "tally") == [Verdict("< 2 times crossent log loss", "", False)]
