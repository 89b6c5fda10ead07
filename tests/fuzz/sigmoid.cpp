// Sigmoid jobs: independent labels in every layout of targets and weights; the same bits, and the contract's bounds.
#include "elements.hpp"
#include "running.hpp"

namespace fuzz {
namespace {

template <int32_t storage> struct Labels : Elements {
    using E = typename Format<storage>::E;
    using T = typename Format<storage>::T;

    std::vector<E> logits;
    std::vector<T> targets;            // one for each element, or a single one
    std::vector<double> wide_targets;  // or these, exact
    bool wide = false;

    double target(int64_t i) const {
        return wide ? wide_targets[size_t(i)] : double(targets[targets.size() == 1 ? 0 : size_t(i)]);
    }
};

template <int32_t storage> struct Answer {
    std::vector<typename Format<storage>::T> values;
    std::vector<typename Format<storage>::E> grad, hess;
    Tally tally;
};

template <int32_t storage> Answer<storage> run(const KernelTable& table, const Labels<storage>& q, const Manner& how) {
    using E = typename Format<storage>::E;
    using T = typename Format<storage>::T;
    SigmoidJob job{};
    const BoundElements weights(q, how.shift, job);
    const Exact<E> logits(q.logits, how.shift);
    const Exact<T> targets(q.targets, how.shift / 2);
    const Exact<double> wide_targets(q.wide_targets, how.shift);
    Exact<T> values(q.size(), how.shift);
    Exact<E> grad(how.in_place ? 0 : q.size(), how.shift + 1), hess(q.size(), how.shift);
    values.fill(0xa5);
    grad.fill(0xa5);
    hess.fill(0xa5);
    job.logits = logits.data();
    job.targets = q.wide ? nullptr : targets.data();
    job.wide_targets = q.wide ? wide_targets.data() : nullptr;
    if (q.wide || q.targets.size() != 1 || q.size() == 1) {  // as in the binding
        job.target_row = q.columns;
        job.target_column = 1;
    }
    job.values = how.values ? values.data() : nullptr;
    job.grad = how.grad ? (how.in_place ? logits.data() : grad.data()) : nullptr;
    job.hess = how.hess ? hess.data() : nullptr;
    job.stream = how.stream && how.grad && !how.in_place;
    Answer<storage> answer;
    answer.tally = run_in_blocks(table.sigmoid[storage], job, q.rows, how);
    EXPECT(how.in_place || logits.holds(q.logits), "logits were changed");
    EXPECT(targets.holds(q.targets) && wide_targets.holds(q.wide_targets), "targets were changed");
    weights.expect_unchanged();
    if (how.values) answer.values = values.values();
    if (how.grad) answer.grad = how.in_place ? logits.values() : grad.values();
    if (how.hess) answer.hess = hess.values();
    return answer;
}

template <int32_t storage> Labels<storage> decode(Bytes& bytes) {
    using T = typename Format<storage>::T;
    Labels<storage> q;
    q.decode_shape(bytes);
    q.logits = decode_numbers<storage>(bytes, q.size());
    q.wide = storage != kF64 && bytes.one_in(3);
    const std::vector<double> y = decode_element_targets(bytes, !q.wide && bytes.one_in(4) ? 1 : q.size());
    if (q.wide) q.wide_targets = y;
    else for (const double x : y) q.targets.push_back(T(x));
    q.decode_options(bytes);
    return q;
}

// One element by the definition, in long double.
template <int32_t storage>
void check_element(const KernelTable& table, const Labels<storage>& q, const Answer<storage>& got, int64_t i) {
    using Stored = Format<storage>;
    using F = Computed<storage>;
    const Real z = widened<storage>(q.logits[size_t(i)]), y = q.target(i), w = q.weight_at(i);
    const Real A = q.up(i, y), B = q.down(y);
    const Real e = std::exp(-std::fabs(z)), s = 1 + e, slope = z > 0 ? B : A;
    const Real linear = slope == 0 ? 0 : slope * std::fabs(z);
    const Real value = w * q.value_factor * ((A + B) * std::log1p(e) + linear), f = w * q.grad_factor;
    const Real up = (z > 0 ? B : B * e) / s, down = (z > 0 ? A * e : A) / s;  // B p and A (1 - p)
    const Real p = (z > 0 ? 1 : e) / s, rest = (z > 0 ? e : 1) / s;
    const Real grad = f * (up - down), hess = f * (A + B) * (e / (s * s));
    const Real scale = up == 0 || down == 0 ? grad : f * std::fmin((A + B) * p + A, (A + B) * rest + B);
    const long long at = i;
    const bool bounded = std::fabs(z) <= 1e4 || std::isinf(z);  // the contract's range; beyond, factors may overflow
    if (!got.values.empty()) {
        const Real v = got.values[size_t(i)];
        EXPECT(bounded ? near<F>(v, value, 4 * ulp<F>(value)) : !std::isnan(v),
               "%s element %lld: value %.17Lg, exactly %.19Lg (z %Lg, y %Lg)", table.name, at, v, value, z, y);
    }
    if (!got.grad.empty()) {
        const Real g = widened<storage>(got.grad[size_t(i)]);
        const Real half = sizeof(typename Stored::E) == 2 ? ulp<Stored>(grad) * 0.5001L : 0;
        EXPECT(bounded ? near<Stored>(g, grad, 8 * ulp<F>(scale) + half) : !std::isnan(g),
               "%s element %lld: gradient %.17Lg, exactly %.19Lg (z %Lg, y %Lg)", table.name, at, g, grad, z, y);
    }
    if (!got.hess.empty()) {
        const Real h = widened<storage>(got.hess[size_t(i)]);
        const Real half = sizeof(typename Stored::E) == 2 ? ulp<Stored>(hess) * 0.5001L : 0;
        EXPECT(h >= 0 && near<Stored>(h, hess, 16 * ulp<F>(hess) + half),
               "%s element %lld: Hessian %.17Lg, exactly %.19Lg (z %Lg, y %Lg)", table.name, at, h, hess, z, y);
    }
}

template <int32_t storage>
void check(const KernelTable& table, const Labels<storage>& q, const Manner& how, Bytes bytes) {
    const Answer<storage> got = run(table, q, how);
    if (!q.sane) return;
    const auto element = [&](int64_t i) { check_element(table, q, got, i); };
    if (!elements_fit<storage>(table, q, got, element)) return;
    expect_any_manner(table.name, got, how, bytes, [&](const Manner& other) { return run(table, q, other); });
}

template <int32_t storage> void fuzz_storage(Bytes& bytes) {
    const Labels<storage> q = decode<storage>(bytes);
    Manner how;
    how.grad = !bytes.one_in(4);
    how.hess = bytes.one_in(3);
    how.stream = bytes.one_in(2);
    how.shift = bytes.below(8);
    on_every_table([&](const KernelTable& table) { check(table, q, how, bytes); });
}

}  // namespace

void fuzz_sigmoid(Bytes& bytes) {
    in_some_storage(bytes, [&](auto storage) { fuzz_storage<storage.value>(bytes); });
}

}  // namespace fuzz
