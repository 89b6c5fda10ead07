// Jobs of the softmax family: every shape, transform, target and extra term; the same bits however the job is run, and
// the bounds of docs/numbers.md.
#include "naive_family.hpp"
#include "running.hpp"

namespace fuzz {
namespace {

template <int32_t storage> struct Answer {
    std::vector<typename Format<storage>::T> values;
    std::vector<typename Format<storage>::E> grad, hess;
    Tally tally;
};

// The job's own memory: priors and weights of classes.
template <int32_t storage> class BoundFamily {
  public:
    BoundFamily(const FamilyQuestion<storage>& q, int64_t shift, FamilyJob& job)
        : q_(q), targets_(q.rows, shift, job.base), bias_(q.bias, shift), alpha_(q.alpha, shift + 1) {
        job.shape = q.shape;
        job.softcap = q.softcap;
        job.temperature = q.temperature;
        job.bias = q.bias.empty() ? nullptr : bias_.data();
        job.tau = q.tau;
        job.alpha = q.alpha.empty() ? nullptr : alpha_.data();
        job.z_loss = q.z_loss;
        job.entropy_weight = q.entropy;
        job.hard = q.hard;
        job.curvature = q.curvature;
        job.all_classes = q.rows.classes;
    }
    void expect_unchanged() const {
        targets_.expect_unchanged();
        EXPECT(bias_.holds(q_.bias) && alpha_.holds(q_.alpha), "numbers of classes were changed");
    }

  private:
    const FamilyQuestion<storage>& q_;
    BoundTargets<storage> targets_;
    Exact<double> bias_, alpha_;
};

template <int32_t storage>
Answer<storage> run(const KernelTable& table, const FamilyQuestion<storage>& q, const Manner& how) {
    using E = typename Format<storage>::E;
    using T = typename Format<storage>::T;
    const Question<storage>& rows = q.rows;
    FamilyJob job{};
    const BoundFamily<storage> bound(q, how.shift, job);
    const Exact<E> logits(rows.logits, how.shift);
    Exact<T> values(rows.rows, how.shift);
    Exact<E> grad(how.in_place ? 0 : rows.size(), how.shift + 1), hess(rows.size(), how.shift);
    values.fill(0xa5);
    grad.fill(0xa5);
    hess.fill(0xa5);
    job.base.logits = logits.data();
    job.base.values = how.values ? values.data() : nullptr;
    job.base.grad = how.grad ? (how.in_place ? logits.data() : grad.data()) : nullptr;
    job.base.hess = how.grad && how.hess ? hess.data() : nullptr;
    Answer<storage> answer;
    answer.tally = run_in_blocks(table.family[storage], job, rows.rows, how);
    EXPECT(how.in_place || logits.holds(rows.logits), "logits were changed");
    bound.expect_unchanged();
    if (how.values) answer.values = values.values();
    if (how.grad) answer.grad = how.in_place ? logits.values() : grad.values();
    if (job.base.hess) answer.hess = hess.values();
    return answer;
}

Shape decode_shape(Bytes& bytes) {
    switch (bytes.below(5)) {
        case 0: return {kLog, bytes.pick({1.0, 1.0, 0.5, 0.0}), 0};
        case 1: return {kFocal, bytes.pick({1.0, 0.25}), bytes.pick({2.0, 0.5, 1.0, 3.7, 1e-3, 5000.0})};
        case 2: return {kPoly, 1, bytes.pick({1.0, -1.0, -0.5, 4.0})};
        case 3: return {kPoly, bytes.pick({0.5, 0.0}), bytes.pick({8.0, 1.0})};
        default: return {kPower, 1, bytes.pick({0.7, 0.1, 1.0, 1e-30})};
    }
}

template <int32_t storage> void decode_terms(Bytes& bytes, FamilyQuestion<storage>& q) {
    q.shape = decode_shape(bytes);
    if (bytes.one_in(2)) {  // a shape alone, which some rows have kernels of their own for
        q.softcap = bytes.pick({0.0, 30.0, 1000.0, 0.5, 1e20});
        q.temperature = bytes.pick({1.0, 1.3, 0.5, 3.0, 100.0});
        q.z_loss = bytes.pick({0.0, 0.0, 0.01, 2.0});
        q.entropy = bytes.pick({0.0, 0.0, -0.1, 0.3});
        const int64_t of_class = bytes.below(4);
        if (of_class == 1) q.alpha = decode_weights(bytes, q.rows.classes, !q.rows.sane);
        if (of_class == 2) {
            for (int64_t k = 0; k < 2 * q.rows.classes; ++k) {
                q.bias.push_back(-bytes.random_unit() * (k < q.rows.classes ? 20 : 0x1p-52));
            }
            q.tau = bytes.pick({1.0, 0.3, 25.0});
        }
        if (of_class == 3) q.hard = bytes.pick({0.2, 1.0});
    }
    q.curvature = bytes.one_in(2) ? kUpper : kExact;
    if (q.rows.sane) return;
    for (double* x : {&q.shape.a, &q.shape.b, &q.softcap, &q.temperature, &q.tau, &q.z_loss, &q.entropy, &q.hard}) {
        if (bytes.one_in(4)) *x = bytes.any_double();
    }
}

template <int32_t storage> FamilyQuestion<storage> decode(Bytes& bytes) {
    FamilyQuestion<storage> q;
    decode_targets(bytes, q.rows);
    if (!q.rows.has_labels && !q.rows.has_soft) {  // the binding wants one of them
        q.rows.has_labels = true;
        decode_labels(bytes, q.rows);
    }
    q.rows.logits = decode_numbers<storage>(bytes, q.rows.size());
    q.rows.smoothing = bytes.pick({0.0, 0.0, 0.1, 1.0, 1e-9});
    q.rows.value_factor = bytes.pick({1.0, 1.4426950408889634});
    q.rows.grad_factor = bytes.pick({1.0, 1.4426950408889634, 1.0 / 48});
    decode_terms(bytes, q);
    return q;
}

// What docs/numbers.md allows beside a number whose terms sum to `scale`.
template <int32_t storage> Real allowed(const FamilyRow<storage>& row, Real scale, Real ulps) {
    const Real below = storage == kF64 && std::fabs(scale) < 1e-300L * row.heaviest ? 1e-318L * row.heaviest : 0;
    return ulps * ulp<Computed<storage>>(scale) + 2 * row.blur * std::fabs(scale) + below;
}

template <int32_t storage>
void check_element(const char* name, const FamilyRow<storage>& naive, int64_t row, int64_t k, const char* what,
                   Real got, Real exact, Real scale, Real ulps) {
    using Stored = Format<storage>;
    EXPECT(!std::isnan(got), "%s row %lld, class %lld: %s NaN", name, (long long)row, (long long)k, what);
    if (!naive.bounded) return;
    const Real half = sizeof(typename Stored::E) == 2 ? ulp<Stored>(exact) * 0.5001L : 0;
    EXPECT(near<Stored>(got, exact, allowed(naive, scale, ulps) + half),
           "%s row %lld, class %lld: %s %.17Lg, exactly %.19Lg of %.3Lg", name, (long long)row, (long long)k, what, got,
           exact, scale);
}

// Of a row that takes part: never NaN, and the bounds where they hold.
template <int32_t storage>
void check_row(const KernelTable& table, const FamilyQuestion<storage>& q, const Answer<storage>& got, int64_t row,
               const FamilyRow<storage>& naive) {
    const Question<storage>& rows = q.rows;
    // Beyond the contract's range an infinite loss has derivatives without a meaning.
    const bool extra = q.z_loss != 0 || q.entropy != 0;
    if (!naive.bounded && extra) return;
    const Real value = got.values[size_t(row)], gamma = 3 * q.gamma();
    EXPECT(!std::isnan(value), "%s row %lld of %lld classes: value NaN", table.name, (long long)row,
           (long long)rows.classes);
    if (naive.bounded) {
        EXPECT(near<Computed<storage>>(value, naive.value, allowed(naive, naive.value_scale, 8 + gamma)),
               "%s row %lld of %lld classes: value %.17Lg, exactly %.19Lg", table.name, (long long)row,
               (long long)rows.classes, value, naive.value);
    }
    const FamilyElement none;
    for (int64_t k = 0; !got.grad.empty() && k < rows.classes; ++k) {
        const FamilyElement& exact = naive.bounded ? naive.elements[size_t(k)] : none;
        const size_t at = size_t(rows.at(row, k));
        check_element(table.name, naive, row, k, "gradient", widened<storage>(got.grad[at]), exact.grad,
                      exact.grad_scale, 16 + gamma);
        if (got.hess.empty()) continue;
        const Real h = widened<storage>(got.hess[at]);
        check_element(table.name, naive, row, k, "Hessian", h, exact.hess, exact.hess_scale, 24 + gamma);
        EXPECT(q.curvature == kExact || h >= 0, "%s row %lld, class %lld: bound %Lg", table.name, (long long)row,
               (long long)k, h);
    }
}

template <int32_t storage>
void check_left_out(const KernelTable& table, const FamilyQuestion<storage>& q, const Answer<storage>& got,
                    int64_t row) {
    EXPECT(got.values[size_t(row)] == 0, "%s row %lld is left out: value not 0", table.name, (long long)row);
    for (int64_t k = 0; k < q.rows.classes; ++k) {
        const size_t at = size_t(q.rows.at(row, k));
        EXPECT((got.grad.empty() || widened<storage>(got.grad[at]) == 0) &&
                   (got.hess.empty() || widened<storage>(got.hess[at]) == 0),
               "%s row %lld is left out: derivatives not 0", table.name, (long long)row);
    }
}

// The same row alone has the same bits.
template <int32_t storage>
void check_alone(const KernelTable& table, const FamilyQuestion<storage>& q, const Answer<storage>& got, int64_t row,
                 Manner how) {
    how.shift = (how.shift + 3) % 8;
    FamilyQuestion<storage> one = q;
    one.rows = alone(q.rows, row);
    const Answer<storage> single = run(table, one, how);
    EXPECT(single.tally.bad == kNoBadRow, "%s row %lld is bad when alone", table.name, (long long)row);
    EXPECT(same_bits(&single.values[0], &got.values[size_t(row)], 1), "%s row %lld alone: value %.17g, not %.17g",
           table.name, (long long)row, double(single.values[0]), double(got.values[size_t(row)]));
    for (int64_t k = 0; k < q.rows.classes; ++k) {
        const size_t here = size_t(one.rows.at(0, k)), there = size_t(q.rows.at(row, k));
        EXPECT((got.grad.empty() || same_bits(&single.grad[here], &got.grad[there], 1)) &&
                   (got.hess.empty() || same_bits(&single.hess[here], &got.hess[there], 1)),
               "%s row %lld alone: other derivatives", table.name, (long long)row);
    }
}

// The lowest bad row, and the sums, by the definition; false where rounding or an overflow decides what is bad.
template <int32_t storage>
bool expected(const KernelTable& table, const FamilyQuestion<storage>& q, const Answer<storage>& got, int64_t& bad,
              int64_t& kept, Real& mass) {
    for (int64_t i = 0; i < q.rows.rows && bad == kNoBadRow; ++i) {
        const Part part = part_of(q.rows, i);
        if (part.close) return false;
        if (part.code) {
            bad = i * 8 + part.code;
        } else if (part.takes_part) {
            const FamilyRow<storage> naive(q, i, part);
            if (naive.far) return false;
            if (!naive.finite) bad = i * 8 + kNonFinite;
            else if (got.tally.bad == kNoBadRow) check_row(table, q, got, i, naive);
            mass += q.rows.weight(i) * part.mass;
            ++kept;
        } else if (got.tally.bad == kNoBadRow) {
            check_left_out(table, q, got, i);
        }
    }
    return true;
}

template <int32_t storage>
void check(const KernelTable& table, const FamilyQuestion<storage>& q, const Manner& how, Bytes bytes) {
    const Answer<storage> got = run(table, q, how);
    if (!q.rows.sane) return;
    int64_t bad = kNoBadRow, kept = 0;
    Real mass = 0;
    if (!expected(table, q, got, bad, kept, mass)) return;
    expect_bad(table.name, got.tally.bad, bad);
    Manner threes = how;
    threes.block_rows = 3;
    expect_bad(table.name, run(table, q, threes).tally.bad, bad);
    if (bad != kNoBadRow) return;
    expect_sums(table.name, got.tally, Real(kept), mass, 1e-14L, got.values);
    const auto again = [&](const Manner& other) { return run(table, q, other); };
    // Beside a Hessian, long float rows do not take their fast kernels: other bits.
    const bool other_bits = how.hess && storage != kF64 && q.rows.classes > 32;
    if (other_bits) expect_same(table.name, "in blocks", again(how.cut(bytes)), got);
    else expect_any_manner(table.name, got, how, bytes, again);
    for (int n = 0; n < 2 && q.rows.rows > 0; ++n) check_alone(table, q, got, bytes.below(q.rows.rows), how);
}

template <int32_t storage> void fuzz_storage(Bytes& bytes) {
    const FamilyQuestion<storage> q = decode<storage>(bytes);
    Manner how;
    how.grad = !bytes.one_in(4);
    how.hess = how.grad && bytes.one_in(2);
    how.shift = bytes.below(8);
    on_every_table([&](const KernelTable& table) { check(table, q, how, bytes); });
}

}  // namespace

void fuzz_family(Bytes& bytes) {
    in_some_storage(bytes, [&](auto storage) { fuzz_storage<storage.value>(bytes); });
}

}  // namespace fuzz
