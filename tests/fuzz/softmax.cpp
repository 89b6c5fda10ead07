// Softmax jobs: every storage, layout and option; the same bits however the job is run, and the contract's bounds.
#include "naive.hpp"
#include "running.hpp"

namespace fuzz {
namespace {

template <int32_t storage> struct Answer {
    std::vector<typename Format<storage>::T> values;
    std::vector<typename Format<storage>::E> grad, hess;
    Tally tally;
};

template <int32_t storage>
Answer<storage> run(const KernelTable& table, const Question<storage>& q, const Manner& how) {
    using E = typename Format<storage>::E;
    using T = typename Format<storage>::T;
    std::vector<T> lanes(q.class_weight.size());
    for (size_t k = 0; k < lanes.size(); ++k) lanes[k] = T(q.class_weight[k]);
    SoftmaxJob job{};
    const BoundTargets<storage> targets(q, how.shift, job);
    const Exact<E> logits(q.logits, how.shift);
    const Exact<T> class_lanes(lanes, how.shift + 1);
    Exact<T> values(q.rows, how.shift);
    Exact<E> grad(how.in_place ? 0 : q.size(), how.shift + 1), hess(q.size(), how.shift);
    values.fill(0xa5);
    grad.fill(0xa5);
    hess.fill(0xa5);
    job.logits = logits.data();
    job.class_weight_lanes = q.has_class_weight ? class_lanes.data() : nullptr;
    job.output = q.output;
    job.values = how.values ? values.data() : nullptr;
    job.grad = how.grad ? (how.in_place ? logits.data() : grad.data()) : nullptr;
    job.hess = how.grad && how.hess ? hess.data() : nullptr;
    job.stream = how.stream && how.grad && !how.in_place;
    Answer<storage> answer;
    answer.tally = run_in_blocks(table.softmax[storage], job, q.rows, how);

    EXPECT(how.in_place || logits.holds(q.logits), "logits were changed");
    EXPECT(class_lanes.holds(lanes), "weights were changed");
    targets.expect_unchanged();
    if (how.values) answer.values = values.values();
    if (how.grad) answer.grad = how.in_place ? logits.values() : grad.values();
    if (job.hess) answer.hess = hess.values();
    return answer;
}

template <int32_t storage> Question<storage> decode(Bytes& bytes) {
    Question<storage> q;
    decode_targets(bytes, q);
    q.logits = decode_numbers<storage>(bytes, q.size());
    q.smoothing = bytes.pick({0.0, 0.0, 0.1, 0.5, 1.0, 1e-9});
    q.value_factor = bytes.pick({1.0, 1.4426950408889634});
    q.grad_factor = bytes.pick({1.0, 1.4426950408889634, 1.0 / 48});
    if (!q.has_labels && !q.has_soft) q.output = bytes.one_in(2) ? kLogProbs : kProbs;
    if (!q.sane) {
        q.smoothing = bytes.one_in(2) ? bytes.any_double() : q.smoothing;
        q.value_factor = bytes.one_in(2) ? bytes.any_double() : q.value_factor;
        q.grad_factor = bytes.one_in(2) ? bytes.any_double() : q.grad_factor;
        q.sum_tolerance = bytes.one_in(2) ? bytes.any_double() : q.sum_tolerance;
        q.output = int32_t(bytes.raw(bytes.one_in(2) ? 4 : 1));
    }
    return q;
}

// The bounds of one row that takes part: never NaN; the contract's where it holds.
template <int32_t storage>
void check_row(const KernelTable& table, const Question<storage>& q, const Answer<storage>& got, int64_t row,
               const NaiveRow<storage>& naive) {
    using Stored = Format<storage>;
    using F = Computed<storage>;
    const char* name = table.name;
    const long long i = row, K = q.classes;
    const Real value = got.values[size_t(row)];
    EXPECT(!std::isnan(value), "%s row %lld of %lld classes: value NaN", name, i, K);
    if (naive.bounded) {
        EXPECT(near<F>(value, naive.value, 4 * ulp<F>(naive.value_scale)),
               "%s row %lld of %lld classes: value %.17Lg, exactly %.19Lg", name, i, K, value, naive.value);
    }
    Real sum = 0, size = 0, rounding = 0;
    for (int64_t k = 0; !got.grad.empty() && k < q.classes; ++k) {
        const Element& exact = naive.elements[size_t(k)];
        const Real g = widened<storage>(got.grad[size_t(q.at(row, k))]);
        EXPECT(!std::isnan(g), "%s row %lld, class %lld of %lld: gradient NaN", name, i, (long long)k, K);
        const Real half = sizeof(typename Stored::E) == 2 ? ulp<Stored>(exact.grad) * 0.5001L : 0;
        if (naive.bounded) {
            EXPECT(near<Stored>(g, exact.grad, 8 * ulp<F>(exact.scale) + half),
                   "%s row %lld, class %lld of %lld: gradient %.17Lg, exactly %.19Lg", name, i, (long long)k, K, g,
                   exact.grad);
        }
        sum += q.output == kLogProbs ? std::exp(g) : g;
        size += std::fabs(exact.scale);
        rounding += 8 * ulp<F>(exact.scale) + ulp<Stored>(exact.grad);
        if (got.hess.empty()) continue;
        const Real h = widened<storage>(got.hess[size_t(q.at(row, k))]);
        const Real half_h = sizeof(typename Stored::E) == 2 ? ulp<Stored>(exact.hess) * 0.5001L : 0;
        EXPECT(h >= 0, "%s row %lld, class %lld of %lld: Hessian %Lg", name, i, (long long)k, K, h);
        if (naive.bounded) {
            EXPECT(near<Stored>(h, exact.hess, 16 * ulp<F>(exact.hess) + half_h),
                   "%s row %lld, class %lld of %lld: Hessian %.17Lg, exactly %.19Lg", name, i, (long long)k, K, h,
                   exact.hess);
        }
    }
    if (got.grad.empty() || !std::isfinite(size) || !std::isfinite(sum)) return;
    const bool targeted = q.has_labels || q.has_soft;
    const Real total = targeted ? 0 : q.output == kLogProbs ? 1 : Real(q.weight(row)) * q.grad_factor;
    const Real slack = q.output == kLogProbs ? std::exp(Real(4)) * std::ldexp(Real(q.classes), -Stored::kMantissa)
                                             : rounding;
    EXPECT(std::fabs(sum - total) <= slack, "%s row %lld of %lld classes: gradient sums to %Lg (%Lg allowed)", name,
           i, K, sum - total, slack);
}

// A row that is left out has value and gradient 0.
template <int32_t storage>
void check_left_out(const KernelTable& table, const Question<storage>& q, const Answer<storage>& got, int64_t row) {
    EXPECT(got.values[size_t(row)] == 0, "%s row %lld is left out: value not 0", table.name, (long long)row);
    for (int64_t k = 0; !got.grad.empty() && k < q.classes; ++k) {
        EXPECT(widened<storage>(got.grad[size_t(q.at(row, k))]) == 0, "%s row %lld is left out: gradient not 0",
               table.name, (long long)row);
    }
}

// The same row alone has the same bits.
template <int32_t storage>
void check_alone(const KernelTable& table, const Question<storage>& q, const Answer<storage>& got, int64_t row,
                 Manner how) {
    how.shift = (how.shift + 3) % 8;
    const Question<storage> one = alone(q, row);
    const Answer<storage> single = run(table, one, how);
    EXPECT(single.tally.bad == kNoBadRow, "%s row %lld is bad when alone", table.name, (long long)row);
    EXPECT(same_bits(&single.values[0], &got.values[size_t(row)], 1), "%s row %lld alone: value %.17g, not %.17g",
           table.name, (long long)row, double(single.values[0]), double(got.values[size_t(row)]));
    for (int64_t k = 0; k < q.classes; ++k) {
        const size_t here = size_t(one.at(0, k)), there = size_t(q.at(row, k));
        EXPECT(got.grad.empty() || same_bits(&single.grad[here], &got.grad[there], 1),
               "%s row %lld alone: other gradient", table.name, (long long)row);
        EXPECT(got.hess.empty() || same_bits(&single.hess[here], &got.hess[there], 1),
               "%s row %lld alone: other Hessian", table.name, (long long)row);
    }
}

template <int32_t storage>
void check(const KernelTable& table, const Question<storage>& q, const Manner& how, Bytes bytes) {
    const Answer<storage> got = run(table, q, how);
    if (!q.sane) return;
    int64_t bad = kNoBadRow, kept = 0;
    Real mass = 0;
    for (int64_t i = 0; i < q.rows && bad == kNoBadRow; ++i) {
        const Part part = part_of(q, i);
        if (part.close) return;
        if (part.takes_part && !part.code) {
            const NaiveRow<storage> naive(q, i, part);
            if (!naive.finite) bad = i * 8 + kNonFinite;
            else if (got.tally.bad == kNoBadRow) check_row(table, q, got, i, naive);
            if (q.has_labels || q.has_soft) mass += q.weight(i) * part.mass;
            ++kept;
        } else if (part.code) {
            bad = i * 8 + part.code;
        } else if (got.tally.bad == kNoBadRow) {
            check_left_out(table, q, got, i);
        }
    }
    expect_bad(table.name, got.tally.bad, bad);
    Manner threes = how;
    threes.block_rows = 3;
    expect_bad(table.name, run(table, q, threes).tally.bad, bad);
    if (bad != kNoBadRow) return;
    expect_sums(table.name, got.tally, Real(kept), mass, 1e-14L, got.values);
    expect_any_manner(table.name, got, how, bytes, [&](const Manner& other) { return run(table, q, other); });
    for (int n = 0; n < 2 && q.rows > 0; ++n) check_alone(table, q, got, bytes.below(q.rows), how);
}

template <int32_t storage> void fuzz_storage(Bytes& bytes) {
    const Question<storage> q = decode<storage>(bytes);
    Manner how;
    how.grad = !bytes.one_in(4);
    how.hess = how.grad && q.output == kGradient && bytes.one_in(3);
    how.stream = bytes.one_in(2);
    how.shift = bytes.below(8);
    on_every_table([&](const KernelTable& table) { check(table, q, how, bytes); });
}

}  // namespace

void fuzz_softmax(Bytes& bytes) {
    in_some_storage(bytes, [&](auto storage) { fuzz_storage<storage.value>(bytes); });
}

}  // namespace fuzz
