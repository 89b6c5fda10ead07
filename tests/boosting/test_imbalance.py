"""examples/boosting_imbalance.py: what a focal loss does to a rare class, on real data, is what the page says."""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from boosters import need
from programs import MISSING

need("xgboost")
need("lightgbm")
if find_spec("ISLP") is None:
    pytest.skip(f"{MISSING}the package islp. Run: pip install --no-deps islp", allow_module_level=True)

EXAMPLE = Path(__file__).parents[2] / "examples" / "boosting_imbalance.py"
SHARE = 348 / 5822  # of buyers


@pytest.fixture
def example() -> Any:
    """The example as a module."""
    spec = spec_from_file_location("boosting_imbalance", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(outcomes: Any) -> None:
    """Plain, weighted, focal, weighted focal."""
    plain, weighted, focal, both = outcomes.values()
    assert abs(plain.mean_p - SHARE) < 0.01  # proper: calibrated
    assert focal.mean_p > 3 * SHARE  # not proper: probabilities move towards 1/2
    assert focal.log_loss > 1.4 * plain.log_loss
    assert focal.buyers < 0.6 * plain.buyers  # the minority's loss falls ...
    assert focal.others > 3 * plain.others  # ... the majority pays
    assert abs(focal.recall - plain.recall) < 0.03  # and 1/2 finds no more buyers than before
    assert weighted.recall > 0.5
    assert both.recall > 0.5
    assert max(weighted.mean_p, both.mean_p) > 5 * SHARE
    for other in (weighted, focal, both):  # the order of the customers hardly changes
        assert abs(other.top_tenth - plain.top_tenth) < 0.06
        assert other.mended == pytest.approx(plain.mended, rel=0.03)


def test_the_data(example: Any) -> None:
    X, y = example.load_caravan()
    assert X.shape == (5822, 85)
    assert y.mean() == SHARE


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_the_study_in_short(example: Any, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "FOLDS", 2)
    monkeypatch.setattr(example, "ROUNDS", 40)
    check(example.study(library))


@pytest.mark.slow
def test_the_study_as_printed(example: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["boosting_imbalance.py", "--library", "lightgbm"])
    example.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "lightgbm, 5822 customers, 348 buyers: a mean p of 0.0598 would be right"
    assert [len(line) for line in lines[2:]] == [113] * 5
    names = [line[:36].strip() for line in lines[3:]]
    assert names[0] == "BinaryCrossEntropy()"
    values = [example.Outcome(*map(float, line[36:].split())) for line in lines[3:]]
    check(dict(zip(names, values, strict=True)))


def test_without_the_data_it_says_how_to_get_them(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install --no-deps islp"):
        example.load_caravan()
