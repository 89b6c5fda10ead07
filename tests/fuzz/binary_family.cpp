// Jobs of independent labels under a shape: every layout of targets and weights; the same bits, and the bounds of
// docs/numbers.md.
#include "elements.hpp"
#include "naive_family.hpp"
#include "running.hpp"

namespace fuzz {
namespace {

template <int32_t storage> struct Labels : Elements {
    std::vector<typename Format<storage>::E> logits;
    std::vector<typename Format<storage>::T> targets;
    Shape shape{kFocal, 1, 2};
    double up_by = 1, down_by = 1;
    int32_t curvature = kExact;

    double target(int64_t i) const { return targets[size_t(i)]; }
};

template <int32_t storage> struct Answer {
    std::vector<typename Format<storage>::T> values;
    std::vector<typename Format<storage>::E> grad, hess;
    Tally tally;
};

template <int32_t storage> Answer<storage> run(const KernelTable& table, const Labels<storage>& q, const Manner& how) {
    using E = typename Format<storage>::E;
    using T = typename Format<storage>::T;
    BinaryFamilyJob job{};
    const BoundElements weights(q, how.shift, job.base);
    const Exact<E> logits(q.logits, how.shift);
    const Exact<T> targets(q.targets, how.shift / 2);
    Exact<T> values(q.size(), how.shift);
    Exact<E> grad(how.in_place ? 0 : q.size(), how.shift + 1), hess(q.size(), how.shift);
    values.fill(0xa5);
    grad.fill(0xa5);
    hess.fill(0xa5);
    job.base.logits = logits.data();
    job.base.targets = targets.data();
    job.base.target_row = q.columns;
    job.base.target_column = 1;
    job.base.values = how.values ? values.data() : nullptr;
    job.base.grad = how.grad ? (how.in_place ? logits.data() : grad.data()) : nullptr;
    job.base.hess = how.grad && how.hess ? hess.data() : nullptr;
    job.shape = q.shape;
    job.up = q.up_by;
    job.down = q.down_by;
    job.curvature = q.curvature;
    Answer<storage> answer;
    answer.tally = run_in_blocks(table.binary_family[storage], job, q.rows, how);
    EXPECT(how.in_place || logits.holds(q.logits), "logits were changed");
    EXPECT(targets.holds(q.targets), "targets were changed");
    weights.expect_unchanged();
    if (how.values) answer.values = values.values();
    if (how.grad) answer.grad = how.in_place ? logits.values() : grad.values();
    if (job.base.hess) answer.hess = hess.values();
    return answer;
}

template <int32_t storage> Labels<storage> decode(Bytes& bytes) {
    using T = typename Format<storage>::T;
    Labels<storage> q;
    q.decode_shape(bytes);
    q.logits = decode_numbers<storage>(bytes, q.size());
    for (const double y : decode_element_targets(bytes, q.size())) q.targets.push_back(T(y));
    q.decode_options(bytes);
    q.shape = {kFocal, bytes.pick({1.0, 0.25}), bytes.pick({2.0, 0.5, 1.0, 3.7, 1e-3, 5000.0})};
    if (bytes.one_in(4)) q.shape = {kLog, 1, 0};
    q.up_by = bytes.pick({1.0, 0.25, 0.0});
    q.down_by = bytes.pick({1.0, 0.75});
    q.curvature = bytes.one_in(2) ? kUpper : kExact;
    if (q.sane) return q;
    for (double* x : {&q.shape.a, &q.shape.b, &q.up_by, &q.down_by}) {
        if (bytes.one_in(2)) *x = bytes.any_double();
    }
    return q;
}

// One element by the definition, in long double.
template <int32_t storage>
void check_element(const KernelTable& table, const Labels<storage>& q, const Answer<storage>& got, int64_t i) {
    using Stored = Format<storage>;
    using F = Computed<storage>;
    const Real z = widened<storage>(q.logits[size_t(i)]), y = q.targets[size_t(i)], w = q.weight_at(i);
    const Real A = q.up(i, y) * q.up_by, B = q.down(y) * q.down_by;
    const Real e = std::exp(-std::fabs(z)), l = std::log1p(e), far = e / (1 + e), near_one = 1 / (1 + e);
    const Real p = z > 0 ? near_one : far, u = z > 0 ? far : near_one, L = std::fabs(z) + l;
    const Bent yes = bend(q.shape, z > 0 ? l : L, u, p), no = bend(q.shape, z > 0 ? L : l, p, u);
    const bool upper = q.curvature == kUpper, bounded = std::fabs(z) <= 1e4 || std::isinf(z);
    const auto curved = [&](const Bent& f) { return upper ? std::fmax(f.curvature, 0) : f.curvature; };
    const Real value = w * q.value_factor * ((A > 0 ? A * yes.f : 0) + (B > 0 ? B * no.f : 0)), f = w * q.grad_factor;
    const Real pull = A * yes.slope * u, push = B * no.slope * p, common = (A * yes.slope + B * no.slope) * p * u;
    const Real hess = f * (common + A * curved(yes) * u * u + B * curved(no) * p * p);
    const Real hess_scale = f * (common + A * yes.size * u * u + B * no.size * p * p);
    const Real more = q.shape.kind == kFocal ? 3 * Real(q.shape.b) : 0;
    const Real heaviest = std::fmax(1, w * std::fmax(1, A + B) * 2);
    const auto allowed = [&](Real scale, Real ulps) {
        const Real below = storage == kF64 && std::fabs(scale) < 1e-300L * heaviest ? 1e-318L * heaviest : 0;
        return ulps * ulp<F>(scale) + below;
    };
    const auto hold = [&](const char* what, Real x, Real exact, Real scale, Real ulps) {
        const Real half = sizeof(typename Stored::E) == 2 ? ulp<Stored>(exact) * 0.5001L : 0;
        EXPECT(bounded ? near<Stored>(x, exact, allowed(scale, ulps + more) + half) : !std::isnan(x),
               "%s element %lld: %s %.17Lg, exactly %.19Lg (z %Lg, y %Lg)", table.name, (long long)i, what, x, exact, z,
               y);
    };
    if (!got.values.empty()) {
        const Real v = got.values[size_t(i)];
        EXPECT(bounded ? near<F>(v, value, allowed(value, 4 + more)) : !std::isnan(v),
               "%s element %lld: value %.17Lg, exactly %.19Lg (z %Lg, y %Lg)", table.name, (long long)i, v, value, z,
               y);
    }
    if (!got.grad.empty()) {
        hold("gradient", widened<storage>(got.grad[size_t(i)]), f * (push - pull), f * (push + pull), 16);
    }
    if (!got.hess.empty()) hold("Hessian", widened<storage>(got.hess[size_t(i)]), hess, hess_scale, 24);
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
    how.hess = how.grad && bytes.one_in(2);
    how.shift = bytes.below(8);
    on_every_table([&](const KernelTable& table) { check(table, q, how, bytes); });
}

}  // namespace

void fuzz_binary_family(Bytes& bytes) {
    in_some_storage(bytes, [&](auto storage) { fuzz_storage<storage.value>(bytes); });
}

}  // namespace fuzz
