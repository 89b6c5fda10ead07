// Independent labels whose prediction is the probability p of the positive; y in [0, 1] of any numeric type.
//
// With A = positive weight * y, B = negative weight * (1 - y), as in sigmoid.hpp:
//   loss = -A log p - B log(1 - p),  gradient = B / (1 - p) - A / p,  where a weight of 0 takes its term away.
// `clamped`, as torch.nn.BCELoss: logarithms at -100, and the denominator p (1 - p) of the gradient at 1e-12.
// A label 0 or 1 takes one logarithm, in the form that loses nothing of 1 - p; any other both. All in double.
#pragma once

#include "doubles.hpp"
#include "elementary.hpp"
#include "twin.hpp"

namespace {

constexpr int kElementChunk = 128;  // elements whose targets and weights are laid out as doubles at a time

// Up to kElementChunk elements of one row. Weight 0: the element is left out.
struct ElementChunk {
    int64_t at;  // element number of the first
    int n;
    bool hard;  // every target is 0 or 1, without smoothing
    const double* y;  // the targets themselves, or
    alignas(64) double copy[kElementChunk];
    alignas(64) double weight[kElementChunk], positive[kElementChunk], negative[kElementChunk], mass[kElementChunk];
};

template <class N> CROSSENT_INLINE void widen_numbers(const void* from, int64_t at, int n, double* to) {
    const N* numbers = static_cast<const N*>(from) + at;
    for (int l = 0; l < n; ++l) to[l] = double(numbers[l]);
}

// Integers beyond 2^53 are no labels, rounded or not.
CROSSENT_INLINE void load_binary_targets(const BinaryProbabilityJob& job, int64_t at, int n, double* y) {
    switch (job.target_type) {
        case kInt8: return widen_numbers<int8_t>(job.targets, at, n, y);
        case kInt16: return widen_numbers<int16_t>(job.targets, at, n, y);
        case kInt32: return widen_numbers<int32_t>(job.targets, at, n, y);
        case kInt64: return widen_numbers<int64_t>(job.targets, at, n, y);
        case kUint8: return widen_numbers<uint8_t>(job.targets, at, n, y);
        case kUint16: return widen_numbers<uint16_t>(job.targets, at, n, y);
        case kUint32: return widen_numbers<uint32_t>(job.targets, at, n, y);
        case kUint64: return widen_numbers<uint64_t>(job.targets, at, n, y);
        case kFloat32: return widen_numbers<float>(job.targets, at, n, y);
        case kFloat64: return widen_numbers<double>(job.targets, at, n, y);
        default:
            for (int l = 0; l < n; ++l) y[l] = static_cast<const uint8_t*>(job.targets)[at + l] != 0;  // bool
    }
}

CROSSENT_INLINE F64Mask outside_unit(F64 x) { return ~((x >= F64{}) & (x <= splat<F64>(1.0))); }

// Weights of each element, the two class weights among them; an element of mass 0 leaves as one of weight 0 does.
CROSSENT_INLINE void weigh_elements(const BinaryProbabilityJob& job, int64_t i, int64_t j, ElementChunk& chunk) {
    for (int l = 0; l < chunk.n; ++l) {
        const double y = chunk.y[l];
        const double weight = job.weight ? job.weight[i * job.weight_row + (j + l) * job.weight_column] : 1;
        const double pos_weight = job.pos_weight ? job.pos_weight[(j + l) * job.pos_weight_column] : 1;
        const double mass = job.positive_weight * y + job.negative_weight * (1 - y);
        const ElementWeights<double> weights =
            element_weights(y, pos_weight, job.positive_weight, job.negative_weight, job.smoothing);
        chunk.positive[l] = weights.up.value();
        chunk.negative[l] = weights.down.value();
        chunk.mass[l] = weight * mass;
        chunk.weight[l] = mass == 0 ? 0 : weight;  // a NaN target has a NaN mass and is found below
    }
}

// Targets and weights from element j of row i on; false if a target that counts is none (the lowest is reported).
CROSSENT_INLINE bool fill_elements(const BinaryProbabilityJob& job, int64_t i, int64_t j, bool plain,
                                   ElementChunk& chunk) {
    const bool whole = chunk.n % kDoubles == 0;
    chunk.y = chunk.copy;
    if (whole && job.target_type == kFloat64) chunk.y = static_cast<const double*>(job.targets) + chunk.at;
    else load_binary_targets(job, chunk.at, chunk.n, chunk.copy);
    for (int l = chunk.n; l % kDoubles; ++l) {
        chunk.copy[l] = chunk.weight[l] = chunk.positive[l] = chunk.negative[l] = chunk.mass[l] = 0;
    }
    if (!plain) weigh_elements(job, i, j, chunk);
    const F64 zero{}, one = splat<F64>(1.0);
    F64Mask bad{}, soft{};
    for (int l = 0; l < chunk.n; l += kDoubles) {
        const F64 y = load(chunk.y + l);
        bad |= outside_unit(y);
        soft |= (y != zero) & (y != one);
    }
    chunk.hard = job.smoothing == 0 && !any_of(soft);
    if (!any_of(bad)) return true;
    chunk.hard = false;
    for (int l = 0; l < chunk.n; ++l) {
        const double y = chunk.y[l];
        if (!plain && job.weight && job.weight[i * job.weight_row + (j + l) * job.weight_column] == 0) continue;
        if (y >= 0 && y <= 1) continue;
        report_bad(job.blocks, chunk.at + l, kLabel);
        return false;
    }
    return true;
}

struct ElementResult {
    F64 value, grad;
};

// What a logarithm's weight is multiplied by, in the loss and in the gradient.
struct ElementFactors {
    F64 value, grad;
};

constexpr double kCeiling = 100, kLeastVariance = 1e-12f;  // of `clamped`; the latter is a float there

CROSSENT_INLINE F64 at_most(F64 x, double ceiling) {
    const F64 most = splat<F64>(ceiling);
    return x < most ? x : most;
}

// y in {0, 1}: one logarithm, of p or of 1 - p, with the operations that soft_label takes for that side.
template <bool kGrad>
CROSSENT_INLINE ElementResult hard_label(F64 p, F64Mask positive, F64 up, F64 down, ElementFactors factors,
                                         bool clamped) {
    const F64 zero{}, one = splat<F64>(1.0), u = positive ? p + zero : one - p;  // -0 is 0
    F64 k;
    const F64 m = split_power(u, k);
    const auto near = ~positive & (k == zero);
    const F64 f = near ? -p : m - one;
    const F64 lost = positive | near ? zero : (one - u) - p;  // as in split_rest
    F64 minus = with_small(u, zero - log_assembled(k, f, (lost + lost) * (one - f)));
    if (clamped) minus = at_most(minus, kCeiling);
    const F64 weight = positive ? up : down;
    const auto none = weight == zero;
    const F64 value = none ? zero : weight * factors.value * minus;
    if constexpr (!kGrad) return {value, zero};
    F64 slope = none ? zero : factors.grad * weight / u;
    if (clamped) {
        const F64 rest = positive ? one - p : p, least = splat<F64>(kLeastVariance);
        slope = u * rest < least ? factors.grad * weight * rest / least : slope;
    }
    return {value, positive ? zero - slope : slope};
}

template <bool kGrad>
CROSSENT_INLINE ElementResult soft_label(F64 p, F64 up, F64 down, ElementFactors factors, bool clamped) {
    const F64 zero{};
    F64 rest, k, f, c;
    split_rest(p, rest, k, f, c);
    F64 yes = minus_log(p), no = with_small(rest, zero - log_assembled(k, f, c));
    if (clamped) yes = at_most(yes, kCeiling), no = at_most(no, kCeiling);
    const auto has_up = up > zero, has_down = down > zero;
    const F64 value = (has_up ? up * factors.value * yes : zero) + (has_down ? down * factors.value * no : zero);
    if constexpr (!kGrad) return {value, zero};
    const F64 grad = (has_down ? factors.grad * down / rest : zero) - (has_up ? factors.grad * up / (p + zero) : zero);
    if (!clamped) return {value, grad};
    const F64 least = splat<F64>(kLeastVariance);
    return {value, p * rest < least ? factors.grad * (p * down - rest * up) / least : grad};
}

// False if an entry that counts is no probability (the lowest is reported).
template <class T>
CROSSENT_INLINE bool entries_fit(const BinaryProbabilityJob& job, bool plain, const ElementChunk& chunk) {
    const T* p = static_cast<const T*>(job.probs) + chunk.at;
    F64Mask bad{};
    for (int l = 0; l < chunk.n; l += kDoubles) {
        const int n = vector_size(chunk.n - l);
        bad |= outside_unit(load_doubles(p + l, n, 0));
    }
    if (!any_of(bad)) return true;
    for (int l = 0; l < chunk.n; ++l) {
        if ((p[l] >= 0 && p[l] <= 1) || (!plain && chunk.weight[l] == 0)) continue;
        report_bad(job.blocks, chunk.at + l, kEntry);
        return false;
    }
    return true;
}

// kPlain: all weights are 1.
template <class T, bool kPlain, bool kHard, bool kGrad>
CROSSENT_INLINE void compute_elements(const BinaryProbabilityJob& job, const ElementChunk& chunk,
                                      DoubleTotals& totals) {
    const F64 zero{}, one = splat<F64>(1.0);
    const F64 value_factor = splat<F64>(job.value_factor), grad_factor = splat<F64>(job.grad_factor);
    const T* probs = static_cast<const T*>(job.probs) + chunk.at;
    T *values = static_cast<T*>(job.values), *grad = static_cast<T*>(job.grad);
    for (int l = 0; l < chunk.n; l += kDoubles) {
        const int n = vector_size(chunk.n - l);
        const F64 y = load(chunk.y + l), weight = kPlain ? one : load(chunk.weight + l);
        const F64 up = kPlain ? y : load(chunk.positive + l), down = kPlain ? one - y : load(chunk.negative + l);
        const auto counted = first_doubles(n) & (weight != zero);
        F64 p = load_doubles(probs + l, n, 0.5);
        if constexpr (!kPlain) p = counted ? p : splat<F64>(0.5);
        ElementResult r;
        const ElementFactors factors{weight * value_factor, weight * grad_factor};
        if constexpr (kHard) r = hard_label<kGrad>(p, y != zero, up, down, factors, job.clamped);
        else r = soft_label<kGrad>(p, up, down, factors, job.clamped);
        const F64 value = rounded<T>(counted ? r.value : zero);
        totals.value.add(value);
        if constexpr (!kPlain) {
            totals.mass.add(counted ? load(chunk.mass + l) : zero);
            totals.counted -= counted;
        }
        if (values) store_doubles(values + chunk.at + l, n, value);
        if constexpr (kGrad) store_doubles(grad + chunk.at + l, n, counted ? r.grad : zero);
    }
    if constexpr (kPlain) totals.rows += chunk.n;
}

template <class T, bool kGrad>
CROSSENT_INLINE void choose_elements(const BinaryProbabilityJob& job, bool plain, const ElementChunk& chunk,
                                     DoubleTotals& totals) {
    if (plain && chunk.hard) compute_elements<T, true, true, kGrad>(job, chunk, totals);
    else if (plain) compute_elements<T, true, false, kGrad>(job, chunk, totals);
    else if (chunk.hard) compute_elements<T, false, true, kGrad>(job, chunk, totals);
    else compute_elements<T, false, false, kGrad>(job, chunk, totals);
}

// Sums of the weighted masses alone: the probabilities are not read.
CROSSENT_INLINE void add_masses(bool plain, const ElementChunk& chunk, DoubleTotals& totals) {
    if (plain) totals.rows += chunk.n;
    for (int l = 0; !plain && l < chunk.n; l += kDoubles) {
        const int n = vector_size(chunk.n - l);
        const auto counted = first_doubles(n) & (load(chunk.weight + l) != F64{});
        totals.mass.add(counted ? load(chunk.mass + l) : F64{});
        totals.counted -= counted;
    }
}

// Elements j .. end of row i.
template <class T>
CROSSENT_INLINE void binary_row(const BinaryProbabilityJob& job, int64_t i, int64_t j, int64_t end, BlockSums& sums) {
    const bool weighed = job.weight || job.pos_weight || job.negative_weight != 1 || job.positive_weight != 1;
    const bool plain = !weighed && job.smoothing == 0;
    DoubleTotals totals;
    for (; j < end; j += kElementChunk) {
        ElementChunk chunk;
        chunk.at = i * job.columns + j;
        chunk.n = int(end - j < kElementChunk ? end - j : kElementChunk);
        const bool targets_fit = fill_elements(job, i, j, plain, chunk);
        const bool fit = (!job.probs || entries_fit<T>(job, plain, chunk)) && targets_fit;
        if (!fit) continue;  // nothing is written: the message shows what stands there
        if (!job.probs) add_masses(plain, chunk, totals);
        else if (job.grad) choose_elements<T, true>(job, plain, chunk, totals);
        else choose_elements<T, false>(job, plain, chunk, totals);
    }
    if (plain) sums.mass.add(totals.rows);
    totals.into(sums);
}

template <class T> CROSSENT_INLINE void run_binary_probability(const BinaryProbabilityJob& given) {
    BinaryProbabilityJob job = given;
    const bool flat = job.columns == 1;
    if (flat) {  // one row of all elements
        job.columns = job.blocks.rows;
        job.weight_column = job.weight_row;
    }
    int64_t first, end, block;
    while (draw_block(job.blocks, first, end, block)) {
        BlockSums sums;
        if (flat) binary_row<T>(job, 0, first, end, sums);
        else for (int64_t i = first; i < end; ++i) binary_row<T>(job, i, 0, job.columns, sums);
        sums.store(job.blocks, block);
    }
}

}  // namespace
