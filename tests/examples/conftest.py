"""Examples import each other as a program in their folder does; images of 64 pixels are no work for two threads."""

from collections.abc import Callable, Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """An example as a module, by its name."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return import_module


@pytest.fixture
def one_thread() -> Generator[None]:
    """One thread of PyTorch's for as long as the test lasts."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
