"""The pass over rows of predictions: its numbers against 80-bit arithmetic, on every instruction set, any threads."""

import numpy as np
import pytest

from crossent import get_num_threads, set_num_threads
from crossent.core.score_rows import CELLS, KINDS, TERM_BITS, score_rows
from crossent.scoring.row_pass import pass_rows
from crossent.stats.probability_cells import cell_edges
from isas import ISAS, using_isa
from oracle_score import log_probs_of, sorted_cells, terms_of

SETTINGS = {"silent": 1e-5, "refused": 1e-2}


def rows_of(n, k, kind, seed=0, dtype=np.float64, sharp=3.0):
    """Predictions with ties, zeros and very confident rows, labels, and slots of every other class."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * sharp
    z[: n // 8] *= 30
    z[n // 8 : n // 7] = 0
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p[n // 7 : n // 5, : k // 2] = 0
    p /= p.sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    labels[::9] = rng.integers(0, k, len(labels[::9]))
    with np.errstate(divide="ignore"):
        values = {"probs": p, "logits": z, "log_probs": np.log(p)}[kind]
    slots = np.where(np.arange(k) % 2 == 0, np.arange(k) // 2 + 1, -1)
    return np.ascontiguousarray(values.astype(dtype)), labels, slots


def run(values, labels, slots, kind, *, losses=None, terms=False, surprise=True):
    if losses is None and kind != "probs":
        losses = -np.asarray(log_probs_of(values, kind)[np.arange(len(labels)), labels], np.float64)
    return score_rows(values, labels, kind=kind, losses=losses, slots=slots, surprise=surprise, terms=terms, **SETTINGS)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 2, 3, 8, 10, 33])
def test_terms_are_those_of_the_definitions(kind, k, isa):
    values, labels, slots = rows_of(203, k, kind)
    with using_isa(isa):
        found = run(values, labels, slots, kind, terms=True)
    log_p = log_probs_of(values, kind)
    wanted = terms_of(log_p, labels, found.losses)
    scale = np.maximum(1.0, np.abs(np.where(np.isfinite(log_p), log_p, 0)).max(axis=1))[:, None]
    finite = np.isfinite(found.losses)
    columns = np.arange(32) > 0
    error = np.abs(found.terms - wanted)  # the gap of rows with an infinite loss is left to the sums
    assert found.bad is None
    assert (error[:, columns & (np.arange(32) < 5)] < 4e-15 * k * scale**2).all()
    curves = (np.arange(32) - 5) % 3
    assert (error[:, (np.arange(32) >= 5) & (curves != 2)] < 1e-13 * scale).all()
    assert (error[:, (np.arange(32) >= 5) & (curves == 2)] < 1e-12 * scale**2).all()
    assert (error[finite, 0] < 1e-14 * scale[finite, 0]).all()
    np.testing.assert_allclose(found.logs, np.asarray(log_p, np.float64), rtol=1e-15, atol=4e-17 * k + 1e-15)


def test_row_sums_off_1_do_not_add_up_to_a_verdict():
    values = np.full((6000, 3), 0.333)
    labels = np.arange(6000) % 3
    terms = run(values, labels, np.full(3, -1), "probs", terms=True).terms
    assert np.abs(terms[:, :4]).max() < 1e-15
    np.testing.assert_allclose(terms[:, 4], 1 - 2 * 0.333 + 3 * 0.333**2, rtol=1e-14)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_say_what_they_hold(isa, dtype):
    values, labels, slots = rows_of(1001, 10, "probs", dtype=dtype)
    wide = values.astype(np.float64)
    with using_isa(isa):
        found = run(values, labels, slots, "probs")
    rows = np.arange(len(labels))
    assert np.array_equal(found.predicted, wide.argmax(axis=1))
    assert np.array_equal(found.target, wide[rows, labels])
    assert np.array_equal(found.confidence, wide.max(axis=1))
    exact = -log_probs_of(wide, "probs")[rows, labels]
    finite = np.isfinite(found.losses)
    assert np.array_equal(finite, wide[rows, labels] > 0)
    assert (np.abs(found.losses[finite] - exact[finite]) <= np.spacing(found.losses[finite])).all()
    pair = run(*rows_of(300, 2, "probs"), "probs")
    assert np.array_equal(pair.confidence, rows_of(300, 2, "probs")[0][:, 1])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", KINDS)
def test_tables_count_and_sum_the_rows(kind, isa):
    k = 7
    values, labels, slots = rows_of(3001, k, kind, sharp=2.0)
    with using_isa(isa):
        found = run(values, labels, slots, kind)
        terms = run(values, labels, slots, kind, terms=True)
    tables, p = found.tables, np.exp(terms.logs) if kind != "probs" else values
    kept = np.ones(len(labels), bool)
    kept[found.large] = False
    finite = kept & np.isfinite(found.losses)
    assert tables.counts[:3].tolist() == [finite.sum(), (kept & ~finite).sum(), (~kept).sum()]
    units = tables.sums[:, 0] + tables.sums[:, 1].astype(object) * 2**32
    for j, bits in enumerate(TERM_BITS):
        rows = finite if j in (0, 1) or j >= 5 else kept
        wanted = sum(int(x) for x in np.rint(np.ldexp(terms.terms[rows, j], bits)))
        assert units[j] == wanted
    largest = [terms.terms[finite, 1].max(), terms.terms[kept, 3].max()]
    assert found.largest.tolist() == [float(np.rint(x * 2.0**39) / 2.0**39) for x in largest]
    _check_cells(tables.cells, slots, p, labels, found, exact=kind == "probs")
    _check_surprise(tables, terms.logs[kept], labels[kept])


def _check_cells(cells, slots, p, labels, found, *, exact):
    edges = cell_edges()
    events = {0: (found.confidence, found.predicted == labels)}
    events |= {s: (p[:, j], labels == j) for j, s in enumerate(slots) if s > 0}
    assert len(cells) == len(events)
    for slot, (prob, hit) in events.items():
        place = sorted_cells(prob, edges)
        total, counted = cells[slot].T
        rows, hits = counted & 0xFFFFFFFF, counted >> 32
        if exact:
            assert np.array_equal(rows, np.bincount(place, minlength=CELLS))
            assert np.array_equal(hits, np.bincount(place[hit], minlength=CELLS))
        else:  # exp of the kernel and of NumPy may fall on two sides of an edge
            assert np.abs(rows - np.bincount(place, minlength=CELLS)).sum() <= 4
        assert (rows.sum(), hits.sum()) == (len(labels), hit.sum())
        used = rows > 0
        mean = total[used] / rows[used] / _scale(edges)[used]
        assert (mean >= edges[:-1][used] * (1 - 1e-12)).all()
        assert (mean <= edges[1:][used] * (1 + 1e-12)).all()
        assert (total / _scale(edges)).sum() == pytest.approx(prob.sum(), rel=1e-12)


def _scale(edges):
    """Units of a cell: the 42nd bit of its largest p."""
    largest = np.where(np.arange(CELLS) < CELLS // 2, np.nextafter(edges[1:], 0), edges[1:])
    largest[[0, 1, CELLS // 2]] = 2.0**-64, 2.0**-64, 0.5
    largest[CELLS // 2 + 1 : -1] = 0.5
    return 2.0 ** (42.0 - np.frexp(largest)[1])


def _check_surprise(tables, logs, labels):
    k = logs.shape[1]
    for t in range(k):
        for j in range(k):
            z = logs[labels == t, j]
            assert tables.zeros[t, j] == np.isneginf(z).sum()
            wanted = sum(int(x) for x in np.rint(np.ldexp(-z[np.isfinite(z)], 39)))
            assert int(tables.surprise[t, j, 0]) + int(tables.surprise[t, j, 1]) * 2**32 == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_threads_leave_no_trace(kind):
    values, labels, slots = rows_of(40_000, 5, kind)
    before = get_num_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            set_num_threads(threads)
            results.append(run(values, labels, slots, kind))
    finally:
        set_num_threads(before)
    for other in results[1:]:
        assert np.array_equal(results[0].large, other.large)
        for name in ("losses", "target", "confidence", "predicted", "largest"):
            assert np.array_equal(getattr(results[0], name), getattr(other, name))
        for name in ("cells", "zeros", "counts"):
            assert np.array_equal(getattr(results[0].tables, name), getattr(other.tables, name))
        for name in ("surprise", "sums"):  # the low limbs of several threads are added, and not yet carried
            mine, theirs = getattr(results[0].tables, name), getattr(other.tables, name)
            assert np.array_equal(*(t[..., -2] + (t[..., -1] << 32) for t in (mine, theirs)))


def test_a_row_has_the_same_terms_wherever_it_stands():
    values, labels, slots = rows_of(500, 9, "logits")
    losses = -np.asarray(log_probs_of(values, "logits")[np.arange(500), labels], np.float64)
    whole = run(values, labels, slots, "logits", losses=losses, terms=True)
    order = np.random.default_rng(1).permutation(500)
    mixed = run(values[order], labels[order], slots, "logits", losses=losses[order], terms=True)
    assert np.array_equal(whole.terms[order], mixed.terms, equal_nan=True)
    for i in (0, 3, 499):
        part = slice(i, i + 1)
        one = run(values[part], labels[part], slots, "logits", losses=losses[part], terms=True)
        assert np.array_equal(one.terms, whole.terms[part], equal_nan=True)


def test_large_terms_are_listed_and_not_summed():
    values, labels, slots = rows_of(100, 4, "logits", sharp=1.0)
    values[[7, 50]] *= 1e5
    found = run(values, labels, slots, "logits")
    assert found.large.tolist() == [7, 50]
    assert found.tables.counts[:3].tolist() == [98, 0, 2]
    assert found.tables.cells[0, :, 1].sum() & 0xFFFFFFFF == 100


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        (lambda v, y: v.__setitem__((70, 2), 1.5), (70, 5)),
        (lambda v, y: v.__setitem__((70, 2), -1e-9), (70, 5)),
        (lambda v, y: v.__setitem__((70, 2), np.nan), (70, 5)),
        (lambda v, y: v.__setitem__(70, 0.2), (70, 6)),
        (lambda v, y: y.__setitem__(70, 4), (70, 2)),
        (lambda v, y: y.__setitem__(70, -1), (70, 2)),
    ],
)
@pytest.mark.parametrize("isa", ISAS)
def test_the_lowest_bad_row_is_found(change, bad, isa):
    values, labels, slots = rows_of(30_000, 4, "probs")
    change(values, labels)
    values[20_000] = 7
    with using_isa(isa):
        assert run(values, labels, slots, "probs").bad == bad


def test_sums_off_1_are_counted():
    values, labels, slots = rows_of(1000, 3, "probs")
    values[[5, 900]] *= [[0.999], [0.995]]
    found = run(values, labels, slots, "probs")
    assert found.bad is None
    assert found.tables.counts[3] == 2
    assert found.sums == pytest.approx((0.995, 0.999), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("isa", ISAS)
def test_any_numbers_stay_within_the_tables(kind, isa):
    """Numbers that a caller should have refused: what is wrong is counted somewhere, and nothing else is written."""
    rng = np.random.default_rng(5)
    values = rng.choice([0.0, 0.3, 1.0, 1 + 1e-9, 2.0, -1.0, 1e300, -1e300, np.inf, -np.inf, np.nan, 5e-324], (4000, 3))
    labels, slots = rng.integers(0, 3, 4000), np.array([1, 2, -1])
    with using_isa(isa):
        found = score_rows(
            values,
            labels,
            kind=kind,
            losses=np.ones(4000),
            slots=slots,
            surprise=True,
            terms=False,
            silent=0,
            refused=1e308,
        )
    counted = found.tables.cells[..., 1].sum(axis=1) & 0xFFFFFFFF
    assert (counted <= 4000).all()
    assert found.bad is None or found.bad[1] in (5, 6)


def test_logarithms_rounded_up_are_certain():
    values = np.array([[1e-9, -30.0], [-30.0, 1e-9]])
    found = run(values, np.array([0, 1]), np.array([-1, -1]), "log_probs", losses=np.zeros(2))
    assert found.confidence.tolist()[1] == 1.0
    assert found.tables.cells[0, -1].tolist() == [1 << 41, 1 + (1 << 32)]


def test_no_rows():
    found = run(np.empty((0, 3)), np.empty(0, np.int64), np.full(3, -1), "probs")
    assert (len(found.losses), found.bad, found.tables.counts.sum()) == (0, None, 0)


def test_more_rows_than_their_units_fit_into_one_number():
    n = (1 << 21) + (1 << 14)
    values = np.tile([0.75, 0.25], (n, 1)).astype(np.float32)
    found = pass_rows(values, np.zeros(n, np.int64), kind="probs", losses=None, weight=None, tracked=())
    cells = found.sums.reliability.columns(0).filled()
    assert [column.tolist() for column in cells] == [[n], [n], [0], [0.25 * n], [n]]
    assert len(found.losses) == n
