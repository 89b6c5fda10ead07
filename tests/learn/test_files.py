"""fit_file and predict_file on real files: agreement with the estimator, a round trip, and refusals."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from sklearn.datasets import load_breast_cancer, load_iris

from closeness import assert_close
from crossent.errors import DataError, LabelError, OptionError, WeightError
from crossent.learn import SoftmaxClassifier, SoftmaxModel, fit_file, load_model, predict_file, save_model, training
from crossent.learn.predict import model_logits
from crossent.rows import from_table, open_sink, open_source

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def iris_table():
    X, y = load_iris(return_X_y=True)
    species = np.array(["setosa", "versicolor", "virginica"])[y]
    return X, y, pa.table({**{name: X[:, j] for j, name in enumerate(NAMES)}, "species": species})


def cancer_table():
    X, y = load_breast_cancer(return_X_y=True)
    names = np.array(["malignant", "benign"])[y]
    return X, y, pa.table({**{f"f{j}": X[:, j] for j in range(X.shape[1])}, "kind": names})


@pytest.fixture(params=["parquet", "csv"])
def iris_file(request, tmp_path):
    path = tmp_path / f"iris.{request.param}"
    table = iris_table()[2]
    if request.param == "csv":
        table.to_pandas().to_csv(path, index=False)
    else:
        pa.parquet.write_table(table, path)
    return path


def test_fit_is_the_estimator_on_standardised_features(iris_file):
    X, y, _ = iris_table()
    result = fit_file(open_source(iris_file), target="species", tol=1e-14)
    Z = (X - X.mean(0)) / X.std(0)
    direct = SoftmaxClassifier(tol=1e-14).fit(Z, y)
    assert result.classes == ("setosa", "versicolor", "virginica")
    assert result.class_counts == (50, 50, 50)
    assert result.rows == 150
    assert (result.solver, result.l2) == ("auto", 1 / 150)
    assert result.model.features == tuple(NAMES)
    assert result.converged
    assert result.warnings == ()
    assert "auto converged after" in result.convergence
    assert "150 rows, 4 features, 3 classes" in repr(result)
    assert_close(result.model.coef, direct.coef_, bound=1e-7)
    assert_close(model_logits(result.model, X), direct.decision_function(Z), bound=1e-6)


@pytest.mark.parametrize("K", [2, 3])
def test_logits_of_a_model_are_its_formula(K):
    rng = np.random.default_rng(0)
    rows = 1 if K == 2 else K
    model = SoftmaxModel(
        coef=rng.normal(size=(rows, 2)),
        intercept=rng.normal(size=rows),
        classes=tuple(map(str, range(K))),
        features=("a", "b"),
        center=rng.normal(size=2),
        scale=rng.uniform(0.5, 2, size=2),
    )
    X = rng.normal(size=(5, 2))
    wanted = (X - model.center) / model.scale @ model.coef.T + model.intercept
    assert_close(model_logits(model, X), wanted[:, 0] if K == 2 else wanted, rtol=1e-13)


def test_trace_and_progress():
    seen = []
    result = fit_file(from_table(iris_table()[2]), target="species", on_step=lambda step, _: seen.append(step))
    assert [entry["loss"] for entry in result.trace] == [step.loss for step in seen]
    assert result.trace[0]["iteration"] == 0
    assert result.iterations == len(seen) - 1
    assert result.loss == seen[-1].loss == result.trace[-1]["loss"]
    assert np.all(np.diff([step.loss for step in seen]) <= 0)


def test_options_reach_solver_and_objective(monkeypatch):
    seen = {}

    def train(*rows, options, **objective):
        seen.update(objective, options=options)
        return training.train(*rows, options=options, **objective)

    monkeypatch.setattr("crossent.learn.fit.train", train)
    result = fit_file(
        from_table(iris_table()[2]), target="species", solver="gd", l1=0.25, batch_size=7, schedule="sqrt",
        momentum=0.5, seed=3, learning_rate=0.125, max_iter=2, tol=0.5,
    )  # fmt: skip
    options = seen["options"]
    assert (options.batch_size, options.schedule, options.momentum, options.seed) == (7, "sqrt", 0.5, 3)
    assert (options.learning_rate, options.max_iter, options.tol) == (0.125, 2, 0.5)
    assert (seen["l1"], seen["solver"]) == (0.25, "gd")
    recorded = result.model.options
    assert (recorded["l1"], recorded["seed"], recorded["learning_rate"]) == (0.25, 3, 0.125)
    assert recorded["schedule"] == "sqrt"


def test_round_trip_through_model_and_prediction_files(iris_file, tmp_path):
    X, y, _ = iris_table()
    result = fit_file(open_source(iris_file), target="species")
    save_model(result.model, tmp_path / "model.safetensors")
    model = load_model(tmp_path / "model.safetensors")
    assert model.options["converged"] is True
    assert model.trace == result.trace
    with open_sink(tmp_path / "preds.parquet") as sink:
        written = predict_file(model, open_source(iris_file), sink, passthrough=["sepal_width"])
    assert written.rows == 150
    columns = ["p_setosa", "p_versicolor", "p_virginica"]
    assert written.columns == ("species", "sepal_width", *columns, "prediction")
    (block,) = open_source(tmp_path / "preds.parquet").blocks()
    P = block.matrix(columns)
    assert_close(P.sum(1), np.ones(150), rtol=1e-14)
    assert block.codes("species", model.classes).tolist() == y.tolist()
    assert np.array_equal(block.codes("prediction", model.classes), P.argmax(1))
    assert np.array_equal(block.numbers("sepal_width"), X[:, 1])
    assert np.mean(P.argmax(1) == y) > 0.95


def test_two_classes_write_both_columns_each_on_its_own(tmp_path):
    X, y, table = cancer_table()
    result = fit_file(from_table(table), target="kind")
    assert result.classes == ("benign", "malignant")
    assert result.model.coef.shape == (1, 30)
    direction = result.model.coef[0] / np.sum(result.model.coef**2)
    X[0] = result.model.center - 400 * result.model.scale * direction
    far = pa.table({f"f{j}": X[:, j] for j in range(30)})
    with open_sink(tmp_path / "p.parquet") as sink:
        written = predict_file(result.model, from_table(far), sink)
    assert written.columns == ("p_benign", "p_malignant", "prediction")
    (block,) = open_source(tmp_path / "p.parquet").blocks()
    benign, malignant = block.matrix(["p_benign", "p_malignant"]).T
    assert benign[0] == 1
    assert 0 < malignant[0] < 1e-100
    assert np.mean((malignant > 0.5) == (y == 0)) > 0.95


def test_blocks_do_not_matter():
    _, _, table = iris_table()

    class SmallBlocks:
        def __init__(self, source):
            self.name, self.columns, self._source = source.name, source.columns, source

        def blocks(self, columns=None):
            return self._source.blocks(columns, rows=7)

    whole = fit_file(from_table(table), target="species")
    parts = fit_file(SmallBlocks(from_table(table)), target="species")
    assert np.array_equal(whole.model.coef, parts.model.coef)


def test_numeric_target_is_in_numerical_order_and_booleans_are_features():
    table = pa.table({"x": [0.0, 1.0, 2.0, 3.0] * 3, "b": [True, False, True] * 4, "y": [10, 9, 2, 10] * 3})
    result = fit_file(from_table(table), target="y")
    assert result.classes == ("2", "9", "10")
    assert result.model.features == ("x", "b")


def test_class_weight_by_number_or_text():
    X, y, table = iris_table()
    table = table.drop(["species"]).append_column("y", pa.array(y))
    by_number = fit_file(from_table(table), target="y", class_weight={1: 3.0})
    by_text = fit_file(from_table(table), target="y", class_weight={"1": 3.0})
    direct = SoftmaxClassifier(class_weight={1: 3.0}).fit((X - X.mean(0)) / X.std(0), y)
    assert np.array_equal(by_number.model.coef, by_text.model.coef)
    assert by_number.model.options["class_weight"] == {"1": 3.0}
    assert_close(by_number.model.coef, direct.coef_, bound=1e-5)


def test_warnings_are_told():
    table = pa.table({"x": [0.0, 1, 2, 3, 1], "one": [0.1] * 5, "y": ["a", "b", "a", "b", "c"]})
    result = fit_file(from_table(table), target="y", max_iter=1)
    assert len(result.warnings) == 3
    assert "did not converge after 1 iterations" in result.warnings[0]
    assert "Constant columns" in result.warnings[1]
    assert "'one'" in result.warnings[1]
    assert "single row: 'c'" in result.warnings[2]
    assert np.array_equal(result.model.coef[:, 1], np.zeros(3))


class Untouchable:
    """A source that must not be read."""

    name, columns = "train.csv", ()

    def blocks(self, columns=None):
        raise AssertionError("read before the options were checked")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"solver": "sdg"}, OptionError),
        ({"l2": -1}, OptionError),
        ({"max_iter": 0}, OptionError),
        ({"tol": -1}, OptionError),
        ({"learning_rate": 0}, OptionError),
        ({"learning_rate": 0.1}, OptionError),
        ({"fit_intercept": 1}, OptionError),
        ({"class_weight": "even"}, OptionError),
        ({"class_weight": {"a": -1}}, WeightError),
        ({}, DataError),
    ],
)
def test_options_are_checked_before_reading(options, error):
    with pytest.raises(error):
        fit_file(Untouchable(), target="y", **options)


@pytest.mark.parametrize(
    ("columns", "options", "error", "message"),
    [
        ({"x": [1.0, None], "y": [0, 1]}, {}, DataError, "row 2: column 'x' is missing or NaN"),
        ({"x": [1.0, 2.0], "y": [0, None]}, {}, DataError, "row 2: the target column 'y' is empty"),
        ({"x": [1.0, 2.0], "y": [1, 1]}, {}, LabelError, "only 1 class, '1', in 2 rows"),
        ({"x": ["a", "b"], "y": [0, 1]}, {}, DataError, "column 'x' is of kind text.*--drop x"),
        ({"x": [1.0, 2.0], "y": [0, 1]}, {"class_weight": {"2": 1.0}}, LabelError, "class '2'"),
        ({"x": [1e200, 2.0], "y": [0, 1]}, {}, None, None),
        ({"x": pa.array([], pa.float64()), "y": pa.array([], pa.int64())}, {}, DataError, "no rows"),
    ],
)
def test_files_that_cannot_be_fitted(columns, options, error, message):
    source = from_table(pa.table(columns))
    if error is None:
        assert fit_file(source, target="y", **options).converged
        return
    with pytest.raises(error, match=message):
        fit_file(source, target="y", **options)


@pytest.fixture(scope="module")
def model():
    return fit_file(from_table(iris_table()[2]), target="species").model


class TestPredictRefuses:
    def predict(self, model, table, path, **options):
        with open_sink(path) as sink:
            predict_file(model, from_table(table), sink, **options)

    def test_missing_feature(self, model, tmp_path):
        table = iris_table()[2].rename_columns(["sepal_lenght", *NAMES[1:], "species"])
        with pytest.raises(DataError, match=r"no column 'sepal_length'\. Did you mean 'sepal_lenght'"):
            self.predict(model, table, tmp_path / "p.csv")
        assert list(tmp_path.iterdir()) == []

    def test_missing_passthrough(self, model, tmp_path):
        with pytest.raises(DataError, match="no column 'id'"):
            self.predict(model, iris_table()[2], tmp_path / "p.csv", passthrough=["id"])

    def test_cell_that_is_not_finite(self, model, tmp_path):
        table = iris_table()[2]
        column = pa.array([*table["petal_width"].to_pylist()[:-1], None])
        with pytest.raises(DataError, match="row 150: column 'petal_width' is missing"):
            self.predict(model, table.set_column(3, "petal_width", column), tmp_path / "p.parquet")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["prediction", "p_setosa"])
    def test_names_that_collide(self, model, tmp_path, name):
        table = iris_table()[2].append_column(name, pa.array([0.0] * 150))
        with pytest.raises(DataError, match=f"column '{name}' would be copied"):
            self.predict(model, table, tmp_path / "p.parquet", passthrough=[name])
