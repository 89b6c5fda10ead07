"""Tallies as Python objects: a number of classes, names as targets, sum(), repr, states that are none, row numbers."""

import numpy as np
import pytest

import crossent as ce
from crossent.errors import DataError, LabelError, OptionError, UnsupportedError
from crossent.scale import TallyMetric
from crossent.scoring import CompareTally, Tally
from crossent.scoring.language import LanguageTally

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(3), 60)
Y = RNG.integers(0, 3, 60)
NAMES = ("ant", "bee", "cat")


def filled(made, *, targets=Y):
    made.update(targets, P, P[::-1]) if isinstance(made, CompareTally) else made.update(targets, P)
    return made


@pytest.mark.parametrize("cls", [Tally, CompareTally, TallyMetric])
def test_classes_by_number(cls):
    made = cls(3)
    assert (made.layout if cls is not TallyMetric else made._fresh("probs").layout).classes == ("0", "1", "2")
    for wrong in (1, 0, True):
        with pytest.raises(OptionError, match=r"two classes: pass 2, or \(negative, positive\)"):
            cls(wrong)
    with pytest.raises(OptionError, match=r"classes is 2\.5; class names"):
        cls(2.5)


def test_options_of_a_metric():
    with pytest.raises(UnsupportedError, match="name the predictions at update"):
        TallyMetric(3, kind="logits")
    with pytest.raises(UnsupportedError, match=r"no option 'worts'\. Did you mean 'worst'"):
        TallyMetric(3, worts=3)


@pytest.mark.parametrize("cls", [Tally, CompareTally])
def test_names_as_targets(cls):
    names = [NAMES[k] for k in Y]
    assert filled(cls(NAMES), targets=names).to_bytes() == filled(cls(NAMES)).to_bytes()
    assert filled(cls(NAMES), targets=np.array(names, object)).to_bytes() == filled(cls(NAMES)).to_bytes()
    with pytest.raises(LabelError, match=r"targets\[1\] is 'beee'; .* Did you mean 'bee'"):
        filled(cls(NAMES), targets=["ant", "beee", *names[2:]])


def test_names_of_rows_that_do_not_count_may_be_unknown():
    tally, names = Tally(NAMES), [None, "dog", *(NAMES[k] for k in Y[2:])]
    tally.update(names, P, sample_weight=np.r_[0, 0, np.ones(58)])
    assert tally.n == 58
    binary = Tally(("no", "yes"))
    binary.update_binary(["yes", "no"], [0.7, 0.2])
    assert binary.result().log_loss.value == pytest.approx(-np.log([0.7, 0.8]).mean())
    metric = TallyMetric(NAMES)
    metric.update([NAMES[k] for k in Y], probs=P)
    assert metric.compute() == filled(Tally(NAMES)).result()


@pytest.mark.parametrize("cls", [Tally, CompareTally])
def test_sum_and_what_does_not_add_up(cls):
    parts = [filled(cls(NAMES)) for _ in range(2)]
    assert sum(parts).to_bytes() == (parts[0] + parts[1]).to_bytes()
    for other in (1, None, 2.5):
        with pytest.raises(TypeError, match="unsupported operand"):
            parts[0] + other
        with pytest.raises(TypeError, match="unsupported operand"):
            other + parts[0]


def test_sum_of_metrics_and_language_tallies():
    metrics = [TallyMetric(3), TallyMetric(3)]
    tallies = [LanguageTally(), LanguageTally()]
    for metric, tally in zip(metrics, tallies, strict=True):
        metric.update(Y, probs=P)
        tally.update([-1.0, -2.0], documents="a")
    assert sum(metrics).n == 120
    assert sum(tallies).result().tokens == 4
    for one in (metrics[0], tallies[0]):
        with pytest.raises(TypeError, match="unsupported operand"):
            one + 1


@pytest.mark.parametrize("cls", [Tally, CompareTally])
def test_states_that_are_none(cls):
    for wrong in ("abc", None, 5, b""):
        with pytest.raises(DataError, match="is not a whole saved"):
            cls.from_bytes(wrong)


@pytest.mark.parametrize(
    "state",
    [
        {},
        None,
        "abc",
        {"tally": None},
        {"tally": None, "rows": "x"},
        {"tally": None, "rows": -3},
        {"tally": "abc", "rows": 1},
    ],
)
def test_states_that_are_no_metric(state):
    metric = TallyMetric(3)
    metric.update(Y, probs=P)
    with pytest.raises(DataError):
        metric.load_state_dict(state)
    assert metric.n == 60


def test_reprs():
    assert repr(filled(Tally(NAMES, clip=1e-5))) == (
        "Tally(60 rows, classes 'ant', 'bee', 'cat', kind='probs', clip=1e-05)"
    )
    assert repr(CompareTally(2, names=("old", "new"))) == (
        "CompareTally(0 rows, classes '0', '1', names=('old', 'new'), kind='probs')"
    )
    metric = TallyMetric(2, worst=3)
    assert repr(metric) == "TallyMetric(0 rows, classes '0', '1', worst=3)"
    metric.update([0], logits=[[1.0, 0.0]])
    assert repr(metric) == "TallyMetric(1 row, classes '0', '1', kind='logits', worst=3)"


@pytest.mark.parametrize("cls", [Tally, CompareTally])
def test_blocks_without_first_row_follow_each_other(cls):
    def blocks(tally, cuts, **options):
        for rows in np.split(np.arange(60), cuts):
            both = (P[rows], P[::-1][rows]) if cls is CompareTally else (P[rows],)
            tally.update(Y[rows], *both, **options)
        return tally

    whole, split = (blocks(cls(3, ci="bootstrap"), cuts) for cuts in ([], [7, 20, 21]))
    assert split.to_bytes() == whole.to_bytes()
    more = blocks(cls(3, ci="bootstrap"), [], source="b.csv")
    both = split + more
    again = blocks(both, [30])  # rows 60..119
    wanted = whole + more
    wanted.update(Y, *((P, P[::-1]) if cls is CompareTally else (P,)), first_row=60)
    assert again.to_bytes() == wanted.to_bytes()
    loaded = blocks(cls.from_bytes(whole.to_bytes()), [])
    assert loaded.to_bytes() == blocks(whole, []).to_bytes()


def test_an_addition_leaves_its_parts_alone():
    a = filled(Tally(3))
    b = sum([a])
    filled(b)
    assert (a.n, b.n) == (60, 120)
    filled(a)
    assert a.to_bytes() == b.to_bytes()
    assert ce.Tally.from_bytes(a.to_bytes()).n == 120
