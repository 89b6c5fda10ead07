"""The peers' table: everyone is asked the same, crossent stays within its contract there, the judgement bites."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
from tables import peers
from tables.peer_values import scipy_answers, sklearn_answers
from wide import Wide


def test_crossent_keeps_its_contract_beside_the_others() -> None:
    table = peers.load()
    assert len(table["rows"]) == 24
    for key, row in table["rows"].items():
        assert row["crossent"].keys() == {"worst"}, key
        assert row["crossent"]["worst"] <= (8 if key.startswith("gradient") else 4), key
        assert {"torch", "jax"} <= row.keys(), key


@pytest.mark.parametrize("ask", [scipy_answers, sklearn_answers])
@pytest.mark.parametrize("case", ["random", "binary random"])
def test_the_others_are_asked_about_the_same_loss(ask: Any, case: str) -> None:
    z, y = (part[:20] for part in peers.rows()[case])
    loss: Any = ce.BinaryCrossEntropy(reduction="none") if z.ndim == 1 else ce.CrossEntropy(reduction="none")
    wanted = {"loss": loss(y, logits=z), "log_softmax": ce.log_softmax(z) if z.ndim == 2 else None}
    for what, got in ask(z, y):
        np.testing.assert_allclose(got, wanted[what], rtol=1e-10)


def test_rows_are_as_hard_as_they_say() -> None:
    rows = peers.rows()
    for z, y in rows.values():
        np.testing.assert_array_equal(z.astype(np.float32), z)
        assert len(z) == len(y)
    z, y = rows["confident"]
    at = z[np.arange(len(y)), y]
    others = np.where(np.eye(10)[y] == 1, -np.inf, z).max(axis=1)
    np.testing.assert_array_equal(at - others, peers.LEADS)
    np.testing.assert_array_equal(np.abs(rows["binary confident"][0]), peers.LEADS)


def test_the_judgement_bites() -> None:
    exact = Wide.of(np.array([1.0, 1e-3, 1e-9, 1e-50]))
    leads = np.arange(4.0)

    def judged(*values: float, leads: Any = leads) -> dict[str, float]:
        return peers.judged(np.array(values, np.float32), exact, leads)

    assert judged(1, 1e-3, 1e-9, 0)["worst"] < 1
    assert judged(1, 1e-3, 0, 0) == {"zero_from": 2.0, "worst": judged(1, 1e-3, 1e-9, 0)["worst"]}
    assert judged(1, 1e-3, 0, 0, leads=None)["worst"] > 1e6
    assert judged(1, 0.5, 1e-9, 0)["times"] == 500
    assert judged(np.nan, 1e-3, 1e-9, 0)["worst"] == np.inf
