// Sigmoid jobs: independent labels in every layout of targets and weights; the same bits, and the contract's bounds.
#include "question.hpp"

namespace fuzz {
namespace {

template <int32_t storage> struct Labels {
    using E = typename Format<storage>::E;
    using T = typename Format<storage>::T;

    int64_t rows = 0, columns = 1;
    std::vector<E> logits;
    std::vector<T> targets;            // one for each element, or a single one
    std::vector<double> wide_targets;  // or these, exact
    bool wide = false;
    std::vector<double> pos_weight, weight;  // [] for none; one or `columns`; one a row or one an element
    double smoothing = 0, negative = 1, positive = 1, value_factor = 1, grad_factor = 1;
    bool sane = true;

    int64_t size() const { return rows * columns; }
    bool weight_by_row() const { return int64_t(weight.size()) == rows; }
    double target(int64_t i) const {
        return wide ? wide_targets[size_t(i)] : double(targets[targets.size() == 1 ? 0 : size_t(i)]);
    }
    double weight_at(int64_t i) const {
        return weight.empty() ? 1 : weight[size_t(weight_by_row() ? i / columns : i)];
    }
    double pos_weight_at(int64_t i) const {
        return pos_weight.empty() ? 1 : pos_weight[pos_weight.size() == 1 ? 0 : size_t(i % columns)];
    }
};

struct Manner {
    bool values = true, grad = false, hess = false, in_place = false, stream = false, disturbed = false;
    int64_t block_rows = 1 << 20, step = 1 << 20, shift = 0;
};

template <int32_t storage> struct Answer {
    std::vector<typename Format<storage>::T> values;
    std::vector<typename Format<storage>::E> grad, hess;
    Real loss = 0, mass = 0, kept = 0;
    int64_t bad = kNoBadRow;
};

// The strides of module.cpp's bind_targets and bind_weights.
template <int32_t storage> SigmoidJob layout(const Labels<storage>& q) {
    SigmoidJob job{};
    job.columns = q.columns;
    if (q.wide || q.targets.size() != 1 || q.size() == 1) {
        job.target_row = q.columns;
        job.target_column = 1;
    }
    job.pos_weight_column = q.pos_weight.size() == 1 ? 0 : 1;
    job.weight_row = q.weight_by_row() ? 1 : q.columns;
    job.weight_column = q.weight_by_row() ? 0 : 1;
    job.smoothing = q.smoothing;
    job.negative_weight = q.negative;
    job.positive_weight = q.positive;
    job.value_factor = q.value_factor;
    job.grad_factor = q.grad_factor;
    return job;
}

template <int32_t storage> Answer<storage> run(const KernelTable& table, const Labels<storage>& q, const Manner& how) {
    using E = typename Format<storage>::E;
    using T = typename Format<storage>::T;
    const Exact<E> logits(q.logits, how.shift);
    const Exact<T> targets(q.targets, how.shift / 2);
    const Exact<double> wide_targets(q.wide_targets, how.shift), pos_weight(q.pos_weight, how.shift);
    const Exact<double> weight(q.weight, how.shift + 1);
    const int64_t blocks = q.rows == 0 ? 0 : (q.rows - 1) / how.block_rows + 1;
    Exact<double> sums(3 * blocks, how.shift);
    Exact<T> values(q.size(), how.shift);
    Exact<E> grad(how.in_place ? 0 : q.size(), how.shift + 1), hess(q.size(), how.shift);
    values.fill(0xa5);
    grad.fill(0xa5);
    hess.fill(0xa5);
    sums.fill(0);
    int64_t next = 0, bad = kNoBadRow;

    SigmoidJob job = layout(q);
    job.blocks = {q.rows, how.block_rows, 0, &next, &bad, sums.data()};
    job.logits = logits.data();
    job.targets = q.wide ? nullptr : targets.data();
    job.wide_targets = q.wide ? wide_targets.data() : nullptr;
    job.pos_weight = q.pos_weight.empty() ? nullptr : pos_weight.data();
    job.weight = q.weight.empty() ? nullptr : weight.data();
    job.values = how.values ? values.data() : nullptr;
    job.grad = how.grad ? (how.in_place ? logits.data() : grad.data()) : nullptr;
    job.hess = how.hess ? hess.data() : nullptr;
    job.stream = how.stream && !how.in_place;
    while (next < blocks && bad == kNoBadRow) {
        job.blocks.last = next + how.step;
        const int64_t before = next;
        const Control control(how.disturbed);
        table.sigmoid[storage](&job);
        EXPECT(next > before && next <= blocks, "next is %lld of %lld", (long long)next, (long long)blocks);
    }

    EXPECT(how.in_place || logits.holds(q.logits), "logits were changed");
    EXPECT(targets.holds(q.targets) && wide_targets.holds(q.wide_targets), "targets were changed");
    EXPECT(weight.holds(q.weight) && pos_weight.holds(q.pos_weight), "weights were changed");
    Answer<storage> answer;
    answer.bad = bad;
    if (how.values) answer.values = values.values();
    if (how.grad) answer.grad = how.in_place ? logits.values() : grad.values();
    if (how.hess) answer.hess = hess.values();
    for (int64_t b = 0; b < blocks; ++b) {
        answer.loss += sums.data()[3 * b];
        answer.mass += sums.data()[3 * b + 1];
        answer.kept += sums.data()[3 * b + 2];
    }
    return answer;
}

double decode_target(Bytes& bytes, int64_t style) {
    const double some[] = {0.0, 1.0, 0.5, 1e-12, 1 - 0x1p-40, 0x1p-24};
    return style == 0 ? double(bytes.random_below(2)) : style == 1 ? bytes.random_unit() : some[bytes.random_below(6)];
}

template <int32_t storage> Labels<storage> decode(Bytes& bytes) {
    using T = typename Format<storage>::T;
    Labels<storage> q;
    q.columns = bytes.one_in(2) ? 1 : bytes.between(2, 40);
    q.rows = bytes.between(0, q.columns == 1 ? 90 : 8);
    bytes.seed_random();
    q.sane = !bytes.one_in(8);
    q.logits = decode_numbers<storage>(bytes, q.size());
    q.wide = storage != kF64 && bytes.one_in(3);
    const int64_t style = bytes.below(3), n = !q.wide && bytes.one_in(4) ? 1 : q.size();
    std::vector<double> y(size_t(n), 0.0);
    for (double& x : y) x = decode_target(bytes, style);
    for (int64_t i = n > 0 && bytes.one_in(3) ? bytes.between(1, 3) : 0; i > 0; --i) {
        y[size_t(bytes.below(n))] = bytes.one_in(2) ? bytes.pick({-1.0, 2.0, double(NAN), -0.0}) : bytes.any_double();
    }
    if (q.wide) q.wide_targets = y;
    else for (const double x : y) q.targets.push_back(T(x));
    if (bytes.one_in(3)) q.pos_weight = decode_weights(bytes, bytes.one_in(2) ? 1 : q.columns, !q.sane);
    if (bytes.one_in(3) && q.rows > 0) q.weight = decode_weights(bytes, bytes.one_in(2) ? q.rows : q.size(), !q.sane);
    q.smoothing = bytes.pick({0.0, 0.0, 0.1, 1.0, 1e-9});
    q.negative = bytes.pick({1.0, 1.0, 0.0, 2.5, 1e-4});
    q.positive = bytes.pick({1.0, 1.0, 0.0, 3e3});
    q.value_factor = bytes.pick({1.0, 1.4426950408889634});
    q.grad_factor = bytes.pick({1.0, 1.4426950408889634, 1.0 / 48});
    if (!q.sane) {
        q.smoothing = bytes.any_double();
        q.negative = bytes.any_double();
        q.grad_factor = bytes.any_double();
    }
    return q;
}

// One element by the definition, in long double.
template <int32_t storage>
void check_element(const KernelTable& table, const Labels<storage>& q, const Answer<storage>& got, int64_t i) {
    using Stored = Format<storage>;
    using F = Computed<storage>;
    const Real z = widened<storage>(q.logits[size_t(i)]), y = q.target(i), w = q.weight_at(i), a = q.smoothing;
    const Real A = Real(q.positive) * q.pos_weight_at(i) * ((1 - a) * y + a / 2);
    const Real B = Real(q.negative) * ((1 - a) * (1 - y) + a / 2);
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
void check_manners(const KernelTable& table, const Labels<storage>& q, const Answer<storage>& got, const Manner& how,
                   Bytes& bytes) {
    Manner other = how;
    other.block_rows = bytes.between(1, 9);
    other.step = bytes.between(1, 4);
    other.shift = bytes.below(16);
    other.disturbed = true;
    const Answer<storage> cut = run(table, q, other);
    EXPECT(same_bits(cut.values, got.values) && same_bits(cut.grad, got.grad) && same_bits(cut.hess, got.hess),
           "%s: other bits in blocks of %lld", table.name, (long long)other.block_rows);
    EXPECT(cut.kept == got.kept, "%s: %Lg elements kept in blocks, %Lg in one", table.name, cut.kept, got.kept);
    if (!how.grad) return;
    Manner plain = how;
    plain.grad = plain.hess = false;
    EXPECT(same_bits(run(table, q, plain).values, got.values), "%s: other values without gradient", table.name);
    plain = how;
    plain.stream = true;
    EXPECT(same_bits(run(table, q, plain).grad, got.grad), "%s: other gradient past the caches", table.name);
    plain = how;
    plain.in_place = true;
    const Answer<storage> placed = run(table, q, plain);
    EXPECT(same_bits(placed.values, got.values) && same_bits(placed.grad, got.grad), "%s: other bits in place",
           table.name);
}

template <int32_t storage>
void check(const KernelTable& table, const Labels<storage>& q, const Manner& how, Bytes bytes) {
    const Answer<storage> got = run(table, q, how);
    if (!q.sane) return;
    int64_t bad = kNoBadRow;
    Real mass = 0, kept = 0;
    for (int64_t i = 0; i < q.size() && bad == kNoBadRow; ++i) {
        if (q.weight_at(i) == 0) continue;
        const double y = q.target(i), m = q.positive * y + q.negative * (1 - y);
        if (!(y >= 0 && y <= 1)) bad = i * 8 + kLabel;
        else if (std::isnan(widened<storage>(q.logits[size_t(i)]))) bad = i * 8 + kNonFinite;
        else if (m != 0) {
            mass += Real(q.weight_at(i)) * m;
            kept += 1;
        }
    }
    EXPECT(got.bad == bad, "%s: bad element %lld, code %lld reported; it is %lld, code %lld", table.name,
           (long long)(got.bad / 8), (long long)(got.bad % 8), (long long)(bad / 8), (long long)(bad % 8));
    if (bad != kNoBadRow) return;
    for (int64_t i = 0; i < q.size(); ++i) {
        const double y = q.target(i);
        if (q.weight_at(i) != 0 && q.positive * y + q.negative * (1 - y) != 0) check_element(table, q, got, i);
        else EXPECT(got.grad.empty() || widened<storage>(got.grad[size_t(i)]) == 0, "%s: element %lld left out",
                    table.name, (long long)i);
    }
    EXPECT(got.kept == kept, "%s: %Lg elements kept of %Lg", table.name, got.kept, kept);
    EXPECT(std::fabs(got.mass - mass) <= 1e-12L * mass, "%s: mass %.17Lg, not %.17Lg", table.name, got.mass, mass);
    check_manners(table, q, got, how, bytes);
}

template <int32_t storage> void fuzz_storage(Bytes& bytes) {
    const Labels<storage> q = decode<storage>(bytes);
    Manner how;
    how.grad = !bytes.one_in(4);
    how.hess = bytes.one_in(3);
    how.stream = bytes.one_in(2);
    how.shift = bytes.below(8);
    on_every_table([&](const KernelTable& table) {
        if (table.sigmoid[storage]) check(table, q, how, bytes);
    });
}

}  // namespace

void fuzz_sigmoid(Bytes& bytes) {
    in_some_storage(bytes, [&](auto storage) { fuzz_storage<storage.value>(bytes); });
}

}  // namespace fuzz
