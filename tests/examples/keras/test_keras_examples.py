"""The examples in Keras do what their documentation says, on the backend that KERAS_BACKEND names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.frameworks


def test_digits_by_four_optimisers(
    example: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    digits_keras = example("digits_keras")
    outcomes = digits_keras.run()
    for name, found in outcomes.items():
        assert found.accuracy > 0.97, name
        assert found.curve[-1] < 0.1 * found.curve[0], name
        assert found.log_loss < 0.15, name
    monkeypatch.setattr(digits_keras, "run", lambda: outcomes)
    digits_keras.main([str(tmp_path / "curves.png")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Keras ")
    assert [line.split()[0] for line in lines[2:]] == ["optimiser", "SGD", "RMSprop", "Adagrad", "Adam"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
