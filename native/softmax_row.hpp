// A long row: one pass for maximum and sum in chunks that stay in L1, one pass for the targets if they are dense, one
// for the gradient. Error bounds: ../docs/numbers.md.
#pragma once

#include "row.hpp"

namespace {

template <class T> constexpr int64_t kGroup = 4 * kLanes<T>;

// float rows are rescaled in double at each new maximum. A double row takes its maximum in a pass of its own: each
// rescale would cost it more than an ulp.
template <class T> constexpr int64_t kChunk = sizeof(T) == 4 ? 2048 : INT64_MAX;

template <class T> struct Group {
    Vec<T> v[4];
};

// Lanes of vector i of a group of which n elements exist.
template <class T> CROSSENT_INLINE int lanes_left(int64_t n, int i) {
    const int64_t left = n - i * kLanes<T>;
    return left <= 0 ? 0 : left < kLanes<T> ? int(left) : kLanes<T>;
}

// Four vectors from z; elements from n on, and element `skip`, read as `pad`: the tail runs the same vector code.
template <class S, class T = Of<S>> CROSSENT_INLINE Group<T> load_group(const S* z, int64_t n, int64_t skip, T pad) {
    Group<T> g;
    if (n >= kGroup<T>) [[likely]] {
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) g.v[i] = load(z + i * kLanes<T>);
    } else {
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) g.v[i] = load_lanes(z + i * kLanes<T>, lanes_left<T>(n, i), pad);
    }
    if (uint64_t(skip) < uint64_t(kGroup<T>)) [[unlikely]] {
        const Vec<T> number = lane_numbers<T>(), at = splat<Vec<T>>(T(skip));
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
            g.v[i] = number + splat<Vec<T>>(T(i * kLanes<T>)) == at ? splat<Vec<T>>(pad) : g.v[i];
        }
    }
    return g;
}

template <class S, class T = Of<S>> CROSSENT_INLINE void store_group(S* out, int64_t n, const Group<T>& g) {
    if (n >= kGroup<T>) [[likely]] {
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) store(out + i * kLanes<T>, g.v[i]);
        return;
    }
    CROSSENT_UNROLL for (int i = 0; i < 4; ++i) store_lanes(out + i * kLanes<T>, lanes_left<T>(n, i), g.v[i]);
}

// NaN is never the maximum: it shows in the sum.
template <class S, class T = Of<S>> CROSSENT_INLINE T chunk_max(const S* z, int64_t n) {
    Vec<T> m[4];
    CROSSENT_UNROLL for (int i = 0; i < 4; ++i) m[i] = splat<Vec<T>>(T(-kInfinity));
    for (int64_t j = 0; j < n; j += kGroup<T>) {
        __builtin_prefetch(z + j + 2048 / sizeof(T));
        const Group<T> g = load_group(z + j, n - j, -1, T(-kInfinity));
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) m[i] = g.v[i] > m[i] ? g.v[i] : m[i];
    }
    CROSSENT_UNROLL for (int i = 1; i < 4; ++i) m[0] = m[i] > m[0] ? m[i] : m[0];
    return largest<T>(m[0]);
}

template <class S> CROSSENT_INLINE int64_t first_equal(const S* z, int64_t n, Of<S> x) {
    for (int64_t j = 0; j < n; ++j) {
        if (load_one<S>(z[j]) == x) return j;
    }
    return 0;
}

// The sum of exp(z_j - m) over the chunk without element `skip`.
template <class S, class T = Of<S>> CROSSENT_INLINE Pair chunk_sum(const S* z, int64_t n, int64_t skip, T m) {
    const Vec<T> minus_m = splat<Vec<T>>(-m);
    LaneSum<T> sum;
    for (int64_t j = 0; j < n; j += kGroup<T>) {
        Group<T> g = load_group(z + j, n - j, skip - j, T(-kInfinity));
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
            const Vec<T> d = g.v[i] + minus_m;
            g.v[i] = exp_or_zero<Vec<T>>(d, sum_error(g.v[i], minus_m, d));
        }
        sum.add4(g.v[0], g.v[1], g.v[2], g.v[3]);
    }
    return sum.total();
}

// Maximum, its index and r of one row.
template <class S, class T = Of<S>> CROSSENT_INLINE Row reduce_row(const S* z, int64_t K) {
    Row row;
    for (int64_t c = 0; c < K; c += kChunk<T>) {
        const int64_t n = K - c < kChunk<T> ? K - c : kChunk<T>;
        const T top = chunk_max(z + c, n);
        int64_t skip = -1;
        if (double(top) > row.m) {
            if (c > 0 && row.m > -kInfinity) {
                row.r.high = (1 + row.r.value()) * exp_gap(T(row.m), double(top));
                row.r.low = 0;
            }
            row.m = double(top);
            skip = first_equal(z + c, n, top);
            row.a = c + skip;
        }
        const T reference = row.m == -kInfinity ? T(0) : T(row.m);
        const Pair part = chunk_sum(z + c, n, skip, reference);
        row.r.add(part.high);
        row.r.low += part.low;
        if (part.high != part.high) row.r.high = part.high;
        if (kChunk<T> == INT64_MAX) break;
    }
    if (row.r.value() >= Confident<T>::kLimit) row.log1p_r = log1p_pair<double>(row.r.high, row.r.low);
    else finish_extreme(z, K, 1, row);
    return row;
}

// Dense targets of one row: q_j = class_weight_j (keep q_j + uniform); q may be null (uniform only).
template <class S> struct DenseTargets {
    using T = Of<S>;
    const S* q;
    const T* class_weight;
    T keep, uniform;
    CROSSENT_INLINE Vec<T> weigh(Vec<T> q_, Vec<T> cw) const {
        return cw * mul_add(splat<Vec<T>>(keep), q_, splat<Vec<T>>(uniform));
    }
    CROSSENT_INLINE T at(int64_t j) const {
        const T plain = mul_add<T>(keep, q ? load_one<S>(q[j]) : T(0), uniform);
        return class_weight ? class_weight[j] * plain : plain;
    }
};

struct RawSums {
    double sum = 0;      // of the targets as given
    bool valid = true;   // all >= 0 and finite
};

// Fills row.linear, q_others, q_max, q_sum, mass from dense targets.
template <class S, class T = Of<S>>
CROSSENT_INLINE RawSums dense_row(const S* z, int64_t K, const DenseTargets<S>& targets, Row& row) {
    const Vec<T> m = splat<Vec<T>>(T(row.m)), zero = splat<Vec<T>>(0), one = splat<Vec<T>>(1);
    const Vec<T> padding = splat<Vec<T>>(-1);
    LaneSum<T> linear, others, raw, mass;
    typename LaneTypes<T>::Mask invalid{};
    for (int64_t j = 0; j < K; j += kGroup<T>) {
        const Group<T> logits = load_group(z + j, K - j, -1, T(0));
        Group<T> q = targets.q ? load_group(targets.q + j, K - j, -1, T(0)) : Group<T>{{zero, zero, zero, zero}};
        Group<T> cw = targets.class_weight ? load_group(targets.class_weight + j, K - j, -1, T(0))
                                           : Group<T>{{one, one, one, one}};
        Group<T> lin, rest, heavy;
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
            const Vec<T> number = lane_numbers<T>() + splat<Vec<T>>(T(i * kLanes<T>));
            const Vec<T> left = splat<Vec<T>>(T(K - j < kGroup<T> ? K - j : kGroup<T>));
            const int64_t a = row.a - j;
            const Vec<T> top = a >= 0 && a < kGroup<T> ? splat<Vec<T>>(T(a)) : padding;
            invalid |= (q.v[i] < zero) | (q.v[i] != q.v[i]) | (q.v[i] == splat<Vec<T>>(T(kInfinity)));
            Vec<T> weight = targets.weigh(q.v[i], cw.v[i]);
            weight = ((number < left) & (number != top)) ? weight : zero;
            rest.v[i] = weight;
            lin.v[i] = weight > zero ? weight * (m - logits.v[i]) : zero;
            heavy.v[i] = cw.v[i] * q.v[i];
        }
        linear.add4(lin.v[0], lin.v[1], lin.v[2], lin.v[3]);
        others.add4(rest.v[0], rest.v[1], rest.v[2], rest.v[3]);
        raw.add4(q.v[0], q.v[1], q.v[2], q.v[3]);
        if (targets.class_weight) mass.add4(heavy.v[0], heavy.v[1], heavy.v[2], heavy.v[3]);
    }
    row.linear = linear.total().value();
    row.q_others = others.total().value();
    row.q_max = double(targets.at(row.a));
    row.q_sum = row.q_others + row.q_max;
    RawSums sums;
    sums.sum = raw.total().value();
    sums.valid = !any_of(invalid);
    row.mass = targets.class_weight ? mass.total().value() : sums.sum;
    return sums;
}

}  // namespace
