"""The mini-batch solvers against training loops of PyTorch: same batches, same rate, the same coefficients."""

import numpy as np
import pytest

from closeness import assert_close
from crossent.core.matrix import DenseMatrix
from crossent.learn.solvers import SOLVERS, SolverOptions
from crossent.learn.training import train
from toys import toy

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.frameworks

OPTIMISERS = {
    "gd": lambda p, rate: torch.optim.SGD(p, rate),
    "sgd": lambda p, rate: torch.optim.SGD(p, rate),
    "momentum": lambda p, rate: torch.optim.SGD(p, rate, momentum=0.8),
    "nesterov": lambda p, rate: torch.optim.SGD(p, rate, momentum=0.8, nesterov=True),
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
}
SCHEDULERS = {
    "constant": lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=6),
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=2, gamma=0.1),
    "sqrt": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: (1 + t) ** -0.5),
}


def trained_by_torch(X, y, name, *, rate, schedule, size, seed):
    layer = torch.nn.Linear(4, 3, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimiser = OPTIMISERS[name](layer.parameters(), rate)
    scheduler = SCHEDULERS[schedule](optimiser)
    X, y, random = torch.from_numpy(X), torch.from_numpy(y), np.random.default_rng(seed)
    for _ in range(6):
        order = np.arange(len(y)) if name == "gd" else random.permutation(len(y))
        for rows in torch.from_numpy(order).split(len(y) if name == "gd" else size):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(layer(X[rows]), y[rows])
            (loss + 0.01 * layer.weight.square().sum()).backward()
            optimiser.step()
        scheduler.step()
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def test_every_solver_with_a_rate_is_here():
    assert set(OPTIMISERS) == {name for name in SOLVERS if SOLVERS[name].takes_rate}


@pytest.mark.parametrize("schedule", SCHEDULERS)
@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_coefficients_of_a_training_loop(name, schedule):
    X, y = toy(rows=50)
    options = SolverOptions(
        learning_rate=0.03, schedule=schedule, momentum=0.8, batch_size=16, max_iter=6, tol=0.0, seed=11
    )
    ours = train(DenseMatrix(X), y.astype(np.int64), outputs=3, l2=0.02, solver=name, options=options)
    weight, bias = trained_by_torch(X, y.astype(np.int64), name, rate=0.03, schedule=schedule, size=16, seed=11)
    assert_close(ours.coef, weight, bound=1e-11)
    assert_close(ours.intercept, bias, bound=1e-11)
