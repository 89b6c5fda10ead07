"""A small convolutional network in Keras learns digits with crossent's loss, by four optimisers.

    KERAS_BACKEND=jax python examples/digits_keras.py curves.png

Any backend will do. Only the import of the loss differs from keras.losses.SparseCategoricalCrossentropy. Needs
pip install 'crossent[keras]' scikit-learn matplotlib, and TensorFlow, JAX or PyTorch
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import keras

from crossent.keras import SparseCategoricalCrossentropy
from digits import Outcome, draw, outcome, split, table

OPTIMISERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "SGD": lambda: keras.optimizers.SGD(learning_rate=0.02, momentum=0.9),
    "RMSprop": lambda: keras.optimizers.RMSprop(learning_rate=0.001),
    "Adagrad": lambda: keras.optimizers.Adagrad(learning_rate=0.05),
    "Adam": lambda: keras.optimizers.Adam(learning_rate=0.001),
}


def network() -> keras.Model:
    """Images [N, 8, 8] to logits [N, 10]."""
    return keras.Sequential(
        [
            keras.Input((8, 8)),
            keras.layers.Reshape((8, 8, 1)),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10),
        ]
    )


def run(epochs: int = 20) -> dict[str, Outcome]:
    """The outcome of each optimiser, all from the same weights and batches."""
    data = split()
    outcomes = {}
    for name, make in OPTIMISERS.items():
        keras.utils.set_random_seed(0)
        model = network()
        model.compile(optimizer=make(), loss=SparseCategoricalCrossentropy(from_logits=True))
        curve = model.fit(data.x, data.y, batch_size=50, epochs=epochs, verbose=0).history["loss"]
        logits = model.predict(data.x_held, verbose=0)
        outcomes[name] = outcome(curve, logits, data.y_held)
    return outcomes


def main(argv: list[str] | None = None) -> None:
    """Reads the command line, prints the table, draws the curves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", type=Path, nargs="?", help="where the loss curves are drawn (PNG)")
    picture = parser.parse_args(argv).picture
    outcomes = run()
    print(f"Keras {keras.__version__} on {keras.backend.backend()}\n")
    print(table(outcomes))
    if picture:
        draw(outcomes, picture)


if __name__ == "__main__":
    main()
