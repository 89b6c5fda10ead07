"""Binding columns to classes: the rules as a table of cases, and what each error says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossent.errors import CrossentError, DataError, LabelError, UnsupportedError
from crossent.rows.binding import PREFIXES, Binding, bind, prediction_column

ANIMALS = ["id", "y", "p_cat", "p_dog", "p_owl"]
DIGITS = ["y", "p_0", "p_1", "p_2"]

CASES = [
    # columns, options, kind, bound columns, classes, positive
    (ANIMALS, {"probs": "p_*"}, "probs", "p_cat p_dog p_owl", "cat dog owl", None),
    (ANIMALS, {"probs": "p_"}, "probs", "p_cat p_dog p_owl", "cat dog owl", None),
    (ANIMALS, {"probs": "p"}, "probs", "p_cat p_dog p_owl", "cat dog owl", None),
    (ANIMALS, {}, "probs", "p_cat p_dog p_owl", "cat dog owl", None),
    (ANIMALS, {"target_values": ["owl", "cat"]}, "probs", "p_cat p_dog p_owl", "cat dog owl", None),
    (["y", "p_b", "p_a"], {"probs": "p_*"}, "probs", "p_b p_a", "b a", None),
    (["y", "a.p", "b.p"], {"probs": "*.p"}, "probs", "a.p b.p", "a b", None),
    (["y", "m_a_p", "m_b_p"], {"log_probs": "m_*_p"}, "log_probs", "m_a_p m_b_p", "a b", None),
    (["y", "cat", "dog"], {"logits": "*"}, "logits", "cat dog", "cat dog", None),
    (["y", "z_a", "z_b"], {}, "logits", "z_a z_b", "a b", None),
    (["y", "logp_a", "logp_b"], {}, "log_probs", "logp_a logp_b", "a b", None),
    (["p_true", "p_a", "p_b"], {"target": "p_true", "probs": "p_*"}, "probs", "p_a p_b", "a b", None),
    (DIGITS, {"target_values": [0, 1, 2]}, "probs", "p_0 p_1 p_2", "0 1 2", None),
    (DIGITS, {"target_values": [2.0, 0.0]}, "probs", "p_0 p_1 p_2", "0 1 2", None),
    (["y", "p_1.0", "p_2.0"], {"target_values": [1, 2]}, "probs", "p_1.0 p_2.0", "1 2", None),
    (["y", "p_True", "p_False"], {"target_values": [True]}, "probs", "p_True p_False", "true false", None),
    (["y", "p_1.0", "p_1"], {"target_values": [1]}, "probs", "p_1.0 p_1", "1.0 1", None),
    (["y", "p_[a]", "p_*"], {"probs": "p_*"}, "probs", "p_[a] p_*", "[a] *", None),
    # a single column
    (["y", "p"], {"probs": "p"}, "probs", "p", "0 1", "1"),
    (["y", "p"], {}, "probs", "p", "0 1", "1"),
    (["y", "score"], {"logits": "score"}, "logits", "score", "0 1", "1"),
    (["y", "p"], {"target_values": [0, 1]}, "probs", "p", "0 1", "1"),
    (["y", "p"], {"target_values": [1.0]}, "probs", "p", "0 1", "1"),
    (["y", "p"], {"target_values": [False, True]}, "probs", "p", "false true", "true"),
    (["y", "p"], {"target_values": [0, 1], "positive": "0"}, "probs", "p", "1 0", "0"),
    (["y", "p"], {"target_values": ["ham", "spam"], "positive": "spam"}, "probs", "p", "ham spam", "spam"),
    (["y", "p_spam"], {"target_values": ["ham", "spam"]}, "probs", "p_spam", "ham spam", "spam"),
    (["y", "p_0"], {"probs": "p_*"}, "probs", "p_0", "1 0", "0"),
    (["y", "p_0"], {"probs": "p_*", "target_values": [1]}, "probs", "p_0", "1 0", "0"),
    (["y", "p_1"], {"probs": "p_*", "target_values": [0, 1]}, "probs", "p_1", "0 1", "1"),
    (["y", "p_hat"], {"probs": "p_*", "target_values": [0, 1]}, "probs", "p_hat", "0 1", "1"),
    # only one of two readings fits the targets
    (["y", "z_a", "z_b", "p_x", "p_y"], {"target_values": ["a", "b"]}, "logits", "z_a z_b", "a b", None),
]


@pytest.mark.parametrize(("columns", "options", "kind", "bound", "classes", "positive"), CASES)
def test_bindings(columns, options, kind, bound, classes, positive):
    options = {"target": "y", **options}
    binding = bind(columns, **options)
    assert (binding.kind, binding.target) == (kind, options["target"])
    assert binding.columns == tuple(bound.split())
    assert binding.classes == tuple(classes.split())
    assert binding.positive == positive


ERRORS = [
    (ANIMALS, {"target": "label"}, DataError, "a.csv has no column 'label'"),
    (ANIMALS, {"probs": "p_*", "logits": "z_*"}, UnsupportedError, "Got --probs and --logits"),
    (ANIMALS, {"probs": "q_*"}, DataError, r"a.csv: no column matches --probs 'q_\*'"),
    (ANIMALS, {"probs": "p_catt"}, DataError, r"Did you mean 'p_cat'\?"),
    (ANIMALS, {"probs": "p_*_*"}, DataError, r"more than one \*"),
    (ANIMALS, {"probs": ""}, DataError, "no column matches"),
    (ANIMALS, {"target_values": ["cat", "cow"]}, LabelError, "a.csv: .*takes the value 'cow', but no column"),
    (ANIMALS, {"target_values": ["Cat"]}, LabelError, r"Did you mean 'cat'\?"),
    (ANIMALS, {"positive": "cow"}, LabelError, "--positive 'cow' is none of the classes"),
    (DIGITS, {"target_values": [1, 2, 3]}, LabelError, "Labels start at 1: target 'y' goes up to 3"),
    (DIGITS, {"target_values": [0, 1, 2, 3]}, LabelError, "takes the value '3', but no column"),
    (["y", "p"], {"target_values": ["ham", "spam"]}, LabelError, "Say --positive 'ham' or --positive 'spam'"),
    (
        ["y", "p"],
        {"target_values": ["a", "b", "c"]},
        LabelError,
        "takes 3 values .*Give one column per class",
    ),
    (["y", "p"], {"target_values": ["a", "b"], "positive": "c"}, LabelError, "must be one of two values"),
    (["y", "p"], {"positive": "spam"}, LabelError, "is not known"),
    (["y", "p_a", "p_b", "z_a", "z_b"], {}, DataError, r"Say which: --probs 'p_\*', or --logits 'z_\*'"),
    (["y", "a", "b"], {}, DataError, "No column is called like a prediction"),
    (["y", "p_1.0", "p_1.00"], {"target_values": [1, 2]}, LabelError, "takes the value '1'"),
]


@pytest.mark.parametrize(("columns", "options", "error", "message"), ERRORS)
def test_errors(columns, options, error, message):
    with pytest.raises(error, match=message) as caught:
        bind(columns, **{"target": "y", "source": "a.csv", **options})
    assert len(str(caught.value)) < 500


@given(
    classes=st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True),
    kind=st.sampled_from(sorted(PREFIXES)),
)
def test_what_crossent_writes_is_bound_without_a_pattern(classes, kind):
    columns = [prediction_column(kind, name) for name in classes]
    if "y" in columns:
        return
    binding = bind(["y", *columns], target="y", target_values=classes)
    assert (binding.kind, binding.columns, binding.classes) == (kind, tuple(columns), tuple(classes))


@given(
    columns=st.lists(st.text(alphabet="py_*01z", max_size=4), max_size=5),
    pattern=st.text(alphabet="p_*1", max_size=3) | st.none(),
    values=st.lists(st.sampled_from([0, 1, 2, "a", True]), max_size=3) | st.none(),
    positive=st.sampled_from(["1", "a"]) | st.none(),
)
def test_any_input_binds_or_says_why_not(columns, pattern, values, positive):
    try:
        binding = bind(["y", *columns], target="y", probs=pattern, target_values=values, positive=positive)
    except CrossentError:
        return
    assert "y" not in binding.columns
    assert set(binding.columns) <= set(columns)
    assert len(binding.classes) == max(2, len(binding.columns))
    assert (binding.positive is not None) == (len(binding.columns) == 1)
    assert binding.describe()


def test_the_binding_is_told_in_one_line():
    assert bind(ANIMALS, target="y").describe() == (
        "target 'y'; probs in 3 columns, 'p_cat' -> 'cat', 'p_dog' -> 'dog', 'p_owl' -> 'owl'"
    )
    assert bind(["y", "p"], target="y").describe() == (
        "target 'y'; probs in 'p' is for class '1', the other is '0' (1 taken as the positive class)"
    )
    many = tuple(f"p_{k}" for k in range(1000))
    told = Binding("log_probs", "y", many, many).describe()
    assert "log-probs in 1000 columns" in told
    assert len(told) < 200
