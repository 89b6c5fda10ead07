"""A training script that uses nn.CrossEntropyLoss runs with the import swapped, and its losses follow torch's."""

import re

import numpy as np
import pytest

pytestmark = [pytest.mark.frameworks, pytest.mark.usefixtures("one_thread")]

SCRIPT = """
import torch
from torch import nn
from torch.nn import CrossEntropyLoss

torch.manual_seed(0)
centers = 2 * torch.randn(5, 8)
y = torch.randint(5, (512,))
X = centers[y] + torch.randn(512, 8)

model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 5))
criterion = CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 1.0, 0.5, 1.0]), label_smoothing=0.05)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

losses = []
for epoch in range(6):
    for rows in torch.arange(512).split(64):
        optimizer.zero_grad()
        loss = criterion(model(X[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
"""


def curve(script: str) -> np.ndarray:
    names: dict[str, list[float]] = {}
    exec(compile(script, "train.py", "exec"), names)
    return np.array(names["losses"])


def test_the_import_is_all_that_changes() -> None:
    swapped, changes = re.subn(
        "from torch.nn import CrossEntropyLoss", "from crossent.torch import CrossEntropyLoss", SCRIPT
    )
    assert changes == 1
    theirs, ours = curve(SCRIPT), curve(swapped)
    assert len(ours) == 48
    assert ours[-8:].mean() < 0.6 * ours[:8].mean()  # it learns
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
