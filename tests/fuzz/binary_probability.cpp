// Binary probability jobs: elements with a probability of the positive, targets of every type that native code reads.
#include "elements.hpp"
#include "running.hpp"

namespace fuzz {
namespace {

constexpr int kTargetBytes[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1};  // by LabelType, then TargetType

template <int32_t storage> struct Asked : Elements {
    std::vector<typename Format<storage>::E> probs;
    int32_t target_type = kFloat64;
    bool clamped = false;
    std::vector<double> y;         // the targets, and
    std::vector<uint8_t> targets;  // as they are stored
};

template <int32_t storage> struct Answer {
    std::vector<typename Format<storage>::E> values, grad, hess;
    Tally tally;
};

// mass: no probabilities, nothing returned but sums.
template <int32_t storage>
Answer<storage> run(const KernelTable& table, const Asked<storage>& q, const Manner& how, bool mass = false) {
    using E = typename Format<storage>::E;
    BinaryProbabilityJob job{};
    const BoundElements weights(q, how.shift, job);
    const Exact<E> probs(q.probs, how.shift);
    const Exact<uint8_t> targets(q.targets, how.shift + 2);
    Exact<E> values(q.size(), how.shift), grad(how.in_place ? 0 : q.size(), how.shift + 1);
    values.fill(0xa5);
    grad.fill(0xa5);
    job.probs = mass ? nullptr : probs.data();
    job.targets = targets.data();
    job.target_type = q.target_type;
    job.clamped = q.clamped;
    job.values = how.values && !mass ? values.data() : nullptr;
    job.grad = how.grad && !mass ? (how.in_place ? probs.data() : grad.data()) : nullptr;
    Answer<storage> answer;
    answer.tally = run_in_blocks(table.binary_probability[storage], job, q.rows, how);
    EXPECT(how.in_place || probs.holds(q.probs), "probabilities were changed");
    EXPECT(targets.holds(q.targets), "targets were changed");
    weights.expect_unchanged();
    if (job.values) answer.values = values.values();
    if (job.grad) answer.grad = how.in_place ? probs.values() : grad.values();
    return answer;
}

template <class N> void put(double& y, uint8_t* to) {
    // What the type cannot hold becomes what it can.
    const double low = double(std::numeric_limits<N>::lowest());
    if constexpr (std::numeric_limits<N>::is_integer) y = y >= low && y <= 127 ? std::trunc(y) : 0;
    const N number = N(y);
    y = double(number);
    std::memcpy(to, &number, sizeof number);
}

// Stores a target, and leaves in y what was stored.
void put_target(int32_t type, double& y, uint8_t* to) {
    switch (type) {
        case kInt8: return put<int8_t>(y, to);
        case kInt16: return put<int16_t>(y, to);
        case kInt32: return put<int32_t>(y, to);
        case kInt64: return put<int64_t>(y, to);
        case kUint8: return put<uint8_t>(y, to);
        case kUint16: return put<uint16_t>(y, to);
        case kUint32: return put<uint32_t>(y, to);
        case kUint64: return put<uint64_t>(y, to);
        case kFloat32: return put<float>(y, to);
        case kFloat64: return put<double>(y, to);
        default: *to = uint8_t(y = y != 0);
    }
}

template <int32_t storage> Asked<storage> decode(Bytes& bytes) {
    Asked<storage> q;
    q.decode_shape(bytes);
    q.target_type = int32_t(bytes.below(kBool + 1));
    q.y = decode_element_targets(bytes, q.size());
    const int width = kTargetBytes[q.target_type];
    q.targets.resize(size_t(q.size() * width));
    for (int64_t i = 0; i < q.size(); ++i) put_target(q.target_type, q.y[size_t(i)], &q.targets[size_t(i * width)]);
    const int64_t style = bytes.below(3);
    for (int64_t i = 0; i < q.size(); ++i) {
        const double u = bytes.random_unit(), tiny = std::exp(-60 * bytes.random_unit());
        q.probs.push_back(narrowed<storage>(style == 0 ? u : style == 1 ? tiny : 1 - tiny));
    }
    for (int64_t i = q.size() > 0 && bytes.one_in(2) ? bytes.between(1, 4) : 0; i > 0; --i) {
        const double low = double(ulp<Format<storage>>(0));
        const double special = bytes.pick({0.0, -0.0, 1.0, -1.0, 1.5, double(NAN), double(INFINITY), low, 0.5});
        q.probs[size_t(bytes.below(q.size()))] = narrowed<storage>(special);
    }
    q.decode_options(bytes);
    q.clamped = bytes.one_in(3);
    return q;
}

Real minus_log(Real log, bool clamped) { return clamped ? std::fmin(-log, Real(100)) : -log; }

// One element by the definition, in long double; terms of weight 0 are not there.
template <int32_t storage>
void check_element(const KernelTable& table, const Asked<storage>& q, const Answer<storage>& got, int64_t i) {
    using F = Format<storage>;
    const Real p = std::fabs(Real(q.probs[size_t(i)])), y = q.y[size_t(i)], w = q.weight_at(i);
    const Real A = q.up(i, y), B = q.down(y), f = w * q.grad_factor;
    const Real value = w * q.value_factor * ((A > 0 ? A * minus_log(std::log(p), q.clamped) : 0) +
                                             (B > 0 ? B * minus_log(std::log1p(-p), q.clamped) : 0));
    const Real least = 1e-12f;
    const bool near_end = q.clamped && p * (1 - p) < least;
    const Real falls = A > 0 ? (near_end ? f * A * (1 - p) / least : f * A / p) : 0;
    const Real rises = B > 0 ? (near_end ? f * B * p / least : f * B / (1 - p)) : 0;
    const long long at = i;
    const Real v = got.values[size_t(i)];
    EXPECT(near<F>(v, value, 4 * ulp<F>(value)), "%s element %lld: value %.17Lg, exactly %.19Lg (p %.19Lg, y %Lg)",
           table.name, at, v, value, p, y);
    if (got.grad.empty()) return;
    const Real g = got.grad[size_t(i)], exact = rises - falls, scale = std::fmax(rises, falls);
    EXPECT(near<F>(g, exact, 8 * ulp<F>(scale)), "%s element %lld: gradient %.17Lg, exactly %.19Lg (p %.19Lg, y %Lg)",
           table.name, at, g, exact, p, y);
}

template <int32_t storage>
void check(const KernelTable& table, const Asked<storage>& q, const Manner& how, Bytes bytes) {
    const Answer<storage> got = run(table, q, how), masses = run(table, q, how.cut(bytes), true);
    if (!q.sane) return;
    int64_t bad = kNoBadRow, bad_target = kNoBadRow;
    Real mass = 0, kept = 0;
    for (int64_t i = q.size() - 1; i >= 0; --i) {
        const double y = q.y[size_t(i)], p = q.probs[size_t(i)], m = q.mass(y);
        if (q.weight_at(i) == 0) continue;
        if (!(y >= 0 && y <= 1)) {
            bad = bad_target = i * 8 + kLabel;
        } else if (m != 0) {
            if (!(p >= 0 && p <= 1)) bad = i * 8 + kEntry;
            mass += Real(q.weight_at(i)) * m;
            kept += 1;
        }
    }
    expect_bad(table.name, got.tally.bad, bad);
    expect_bad(table.name, masses.tally.bad, bad_target);
    if (bad_target == kNoBadRow) {
        expect_sums(table.name, masses.tally, kept, mass, 1e-12L, masses.values);
    }
    if (bad != kNoBadRow) return;
    for (int64_t i = 0; i < q.size(); ++i) {
        if (q.weight_at(i) != 0 && q.mass(q.y[size_t(i)]) != 0) check_element(table, q, got, i);
        else EXPECT(got.values[size_t(i)] == 0 && (got.grad.empty() || got.grad[size_t(i)] == 0),
                    "%s: element %lld left out", table.name, (long long)i);
    }
    expect_sums(table.name, got.tally, kept, mass, 1e-12L, got.values);
    expect_any_manner(table.name, got, how, bytes, [&](const Manner& other) { return run(table, q, other); });
}

template <int32_t storage> void fuzz_storage(Bytes& bytes) {
    const Asked<storage> q = decode<storage>(bytes);
    Manner how;
    how.grad = bytes.one_in(2);
    how.shift = bytes.below(8);
    on_every_table([&](const KernelTable& table) { check(table, q, how, bytes); });
}

}  // namespace

void fuzz_binary_probability(Bytes& bytes) {
    if (bytes.one_in(2)) fuzz_storage<kF32>(bytes);
    else fuzz_storage<kF64>(bytes);
}

}  // namespace fuzz
