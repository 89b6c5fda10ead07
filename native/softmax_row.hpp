// A row of contiguous classes, more than a vector holds: maximum and sum in chunks that stay in L1, dense targets.
//
// Elements equal to the maximum are counted, all others summed: r = others + (count - 1), and no index is searched.
// A tail is the row's last full vector again, with the lanes seen before blanked. Error bounds: ../docs/numbers.md.
#pragma once

#include "near_exp.hpp"
#include "row.hpp"

namespace {

// A chunk's maximum is taken before its sum; a new maximum shifts the sums by an exact power of two. A double row is
// one chunk: there exp is relative to the maximum itself.
template <class T> constexpr int64_t kChunk = sizeof(T) == 4 ? 2048 : INT64_MAX;

// Length of the chunk at c: the last one is never shorter than a vector.
template <class T> CROSSENT_INLINE int64_t chunk_at(int64_t c, int64_t K, int64_t chunk) {
    return K - c - kLanes<T> < chunk ? K - c : chunk;
}

// The lanes of a tail of `left` new elements that were seen before.
template <class T> CROSSENT_INLINE typename LaneTypes<T>::Mask seen_before(int64_t left) {
    return lane_numbers<T>() < splat<Vec<T>>(T(kLanes<T> - left));
}

// Even and odd lanes of two vectors in a row.
template <class V> CROSSENT_INLINE V even_lanes(V a, V b) {
    constexpr int W = sizeof(V) / sizeof(a[0]);
    if constexpr (W == 2) return __builtin_shufflevector(a, b, 0, 2);
    else if constexpr (W == 4) return __builtin_shufflevector(a, b, 0, 2, 4, 6);
    else return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}
template <class V> CROSSENT_INLINE V odd_lanes(V a, V b) {
    constexpr int W = sizeof(V) / sizeof(a[0]);
    if constexpr (W == 2) return __builtin_shufflevector(a, b, 1, 3);
    else if constexpr (W == 4) return __builtin_shufflevector(a, b, 1, 3, 5, 7);
    else return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}

// Neighbouring lanes meet first: the order of `sum_lanes` for one row and of fold_rows for many.
template <class V> CROSSENT_INLINE auto sum_lanes(V v) {
    CROSSENT_UNROLL for (unsigned w = sizeof(v) / sizeof(v[0]); w > 1; w /= 2) v = even_lanes(v, v) + odd_lanes(v, v);
    return v[0];
}
CROSSENT_INLINE Pair total_of(const LaneSum<float>& sum) { return {sum_lanes(sum.low_half + sum.high_half), 0}; }
CROSSENT_INLINE Pair total_of(const LaneSum<double>& sum) { return sum.total(); }
CROSSENT_INLINE double total_of(MassSum<float> sum) {
    const Wide<float> lanes = sum.total_lanes();
    return sum_lanes(lanes.part[0] + lanes.part[1]);
}
CROSSENT_INLINE double total_of(const MassSum<double>& sum) { return sum.sum.total().value(); }

CROSSENT_INLINE void scale(LaneSum<float>& sum, double x) {
    sum.low_half *= splat<F64>(x);
    sum.high_half *= splat<F64>(x);
}
CROSSENT_INLINE void scale(LaneSum<double>& sum, double x) {
    sum.high *= splat<F64>(x);
    sum.low *= splat<F64>(x);
}

template <class V> CROSSENT_INLINE V larger(V a, V b) { return b > a ? b : a; }  // NaN in b is passed over

// The maximum of n >= W elements, in lanes. NaN is never the maximum: it shows in the sum.
template <class S, class T = Of<S>> CROSSENT_INLINE Vec<T> max_lanes(const S* z, int64_t n) {
    constexpr int W = kLanes<T>;
    Vec<T> m[4];
    CROSSENT_UNROLL for (int i = 0; i < 4; ++i) m[i] = splat<Vec<T>>(T(-kInfinity));
    int64_t j = 0;
    for (; j + 4 * W <= n; j += 4 * W) {
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) m[i] = larger(m[i], load(z + j + i * W));
    }
    for (; j + W <= n; j += W) m[0] = larger(m[0], load(z + j));
    m[1] = larger(m[1], load(z + n - W));
    return larger(larger(m[0], m[1]), larger(m[2], m[3]));
}
template <class T> CROSSENT_INLINE T max_of(Vec<T> v) {
    T m[kLanes<T>];
    __builtin_memcpy(m, &v, sizeof v);
    CROSSENT_UNROLL for (int w = kLanes<T> / 2; w >= 1; w /= 2) {
        CROSSENT_UNROLL for (int i = 0; i < w; ++i) m[i] = larger(m[i], m[i + w]);
    }
    return m[0];
}

// What one pass over a row adds up. gaps: of m - z_j, where smoothing wants them.
template <class T> struct RowSums {
    LaneSum<T> others, gaps;
    typename LaneTypes<T>::Mask below{};  // number of elements that differ from the maximum
    // Of n elements, those equal to the maximum.
    CROSSENT_INLINE int64_t ties(int64_t n) const {
        for (int i = 0; i < kLanes<T>; ++i) n -= below[i];
        return n;
    }
    // x = e(z_j), 0 at the maximum, and counted elsewhere.
    CROSSENT_INLINE Vec<T> take(Vec<T> x, Vec<T> z_j, Vec<T> m) {
#if defined(__AVX512F__)  // as below, with one compare and two masked instructions
        if constexpr (sizeof(T) == 4) {
            const __mmask16 mask = _mm512_cmp_ps_mask(z_j, m, _CMP_NEQ_UQ);
            below = __builtin_bit_cast(typename LaneTypes<T>::Mask, _mm512_mask_sub_epi32(
                __builtin_bit_cast(__m512i, below), mask, __builtin_bit_cast(__m512i, below), _mm512_set1_epi32(-1)));
            return _mm512_maskz_mov_ps(mask, x);
        }
#endif
        below -= z_j != m;
        return z_j != m ? x : splat<Vec<T>>(0);
    }
};

template <class T> CROSSENT_INLINE Vec<T> blank(Vec<T> x, typename LaneTypes<T>::Mask mask) {
    return mask ? splat<Vec<T>>(0) : x;
}

// Adds n >= W elements to the sums; `left` of the last W (0: all n are whole vectors). e maps z_j to exp(z_j - m).
// kept: receives e of every element; ahead: elements until the ones to fetch early.
template <bool kGaps, bool kKept, class S, class E, class T = Of<S>>
CROSSENT_INLINE void sum_chunk(const S* z, int64_t n, const E& e, Vec<T> m, RowSums<T>& sums, T* kept, int64_t ahead) {
    constexpr int W = kLanes<T>;
    const auto element = [&](Vec<T> z_j, int64_t j) __attribute__((always_inline)) {
        const Vec<T> x = e(z_j);
        if constexpr (kKept) store(kept + j, x);
        return sums.take(x, z_j, m);
    };
    int64_t j = 0;
    for (; j + 4 * W <= n; j += 4 * W) {
        Vec<T> x[4], gap[4];
        for (size_t line = 0; line < 4 * W * sizeof(S); line += 64) {
            __builtin_prefetch(reinterpret_cast<const char*>(z + j + ahead) + line);
        }
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
            const Vec<T> z_j = load(z + j + i * W);
            gap[i] = m - z_j;
            x[i] = element(z_j, j + i * W);
        }
        sums.others.add4(x[0], x[1], x[2], x[3]);
        if constexpr (kGaps) sums.gaps.add4(gap[0], gap[1], gap[2], gap[3]);
    }
    if (j == n) return;
    Vec<T> x[4]{}, gap[4]{};
    int i = 0;
    CROSSENT_UNROLL for (; i < 3; ++i) {
        if (j + W > n) break;
        const Vec<T> z_j = load(z + j);
        gap[i] = m - z_j;
        x[i] = element(z_j, j);
        j += W;
    }
    if (j < n) {
        const auto seen = seen_before<T>(n - j);
        const Vec<T> z_j = load(z + n - W), y = e(z_j);
        if constexpr (kKept) store(kept + n - W, y);
        sums.below -= (z_j != m) & ~seen;
        x[3] = blank<T>(y, (z_j == m) | seen);
        gap[3] = blank<T>(m - z_j, seen);
    }
    sums.others.add4(x[0], x[1], x[2], x[3]);
    if constexpr (kGaps) sums.gaps.add4(gap[0], gap[1], gap[2], gap[3]);
}

// exp(z - m) for any m: the bits that a near row's e has no room for.
template <class T> struct FarExp {
    Vec<T> minus_m;
    CROSSENT_INLINE Vec<T> operator()(Vec<T> z) const {
        const Vec<T> d = z + minus_m;
        return exp_or_zero<Vec<T>>(d, sum_error(z, minus_m, d));
    }
};

// Any row, whatever its maximum. NaN, several +inf and nothing but -inf come out as r = NaN. A cold path.
template <bool kGaps, class S, class T = Of<S>>
__attribute__((noinline)) double reduce_far(const S* z, int64_t K, Row& row) {
    const T m = max_of<T>(max_lanes(z, K)), reference = m == T(-kInfinity) ? T(0) : m;
    RowSums<T> sums;
    const FarExp<T> e{splat<Vec<T>>(-reference)};
    sum_chunk<kGaps, false>(z, K, e, splat<Vec<T>>(m), sums, static_cast<T*>(nullptr), 0);
    const int64_t count = sums.ties(K);
    row.m = double(m);
    row.unit = 0;
    row.r = total_of(sums.others);
    row.r.add(double(count - 1));
    if (m == T(-kInfinity) || (m == T(kInfinity) && count > 1)) row.r.high = __builtin_nan("");
    if (m == T(kInfinity)) return kInfinity;
    return total_of(sums.gaps).value();
}

// A row whose maximum is within kReach; false where it is not.
template <bool kGaps, class S, class T = Of<S>>
CROSSENT_INLINE bool reduce_near(const S* z, int64_t K, Row& row, double& gaps) {
    T m = T(-kInfinity);
    Reference<T> at(T(0));
    NearExp<T> e(at, T(0));
    RowSums<T> sums;
    double passed = 0, lifted = 0;  // elements equal to earlier maxima; what new maxima added to the gaps
    int64_t since = 0;              // the chunk that brought the maximum
    for (int64_t c = 0; c < K;) {
        const int64_t n = chunk_at<T>(c, K, kChunk<T>);
        const T top = max_of<T>(max_lanes(z + c, n));
        if (top > m || c == 0) {
            if (!(top <= NearTable<T>::kReach && top >= -NearTable<T>::kReach)) return false;
            const Reference<T> next(top);
            if (c > 0) {
                const double shrink = scale_down(1, int64_t(at.power) - int64_t(next.power));
                const double unit = near_unit<T, double>(double(m), double(at.power));
                passed = (passed + double(sums.ties(c - since)) / unit) * shrink;
                scale(sums.others, shrink);
                sums.below = typename LaneTypes<T>::Mask{};
                since = c;
                lifted += double(c) * (double(top) - double(m));
            }
            m = top;
            at = next;
            e = NearExp<T>(at, m);
        }
        sum_chunk<kGaps, false>(z + c, n, e, splat<Vec<T>>(m), sums, static_cast<T*>(nullptr), n);
        c += n;
    }
    const Pair others = total_of(sums.others);
    row.m = double(m);
    row.unit = near_unit<T, double>(double(m), double(at.power));
    row.r = Pair{(others.high + passed) * row.unit, others.low * row.unit};
    row.r.add(double(sums.ties(K - since) - 1));
    gaps = total_of(sums.gaps).value() + lifted;
    return true;
}

// Maximum and r of one row; returns the sum of m - z_j if asked for.
template <bool kGaps, class S> __attribute__((noinline)) double reduce_row(const S* z, int64_t K, Row& row) {
    double gaps = 0;
    if (!reduce_near<kGaps>(z, K, row, gaps)) gaps = reduce_far<kGaps>(z, K, row);
    if (row.r.value() >= Confident<Of<S>>::kLimit) {
        row.log1p_r = log1p_pair<double>(row.r.high, row.r.low);
    } else {
        row.unit = 0;
        finish_extreme(z, K, 1, row);
    }
    return gaps;
}

// Dense targets of one row: q_j = class_weight_j (keep q_j + uniform); q may be null (uniform only).
template <class S> struct DenseTargets {
    using T = Of<S>;
    const S* q;
    const T* class_weight;
    const double* mass_weight;  // the same, in the mass
    T keep, uniform;
    CROSSENT_INLINE Vec<T> raw(int64_t j) const { return q ? load(q + j) : splat<Vec<T>>(0); }
    CROSSENT_INLINE Vec<T> weigh(int64_t j, Vec<T> q_) const {
        const Vec<T> plain = mul_add(splat<Vec<T>>(keep), q_, splat<Vec<T>>(uniform));
        return class_weight ? load(class_weight + j) * plain : plain;
    }
    CROSSENT_INLINE Vec<T> at(int64_t j) const { return weigh(j, raw(j)); }
};

// Targets j, j + 1, ... as they count in the mass.
template <class T> CROSSENT_INLINE Wide<T> heavy(const Wide<T>& q, const double* weight, int64_t j) {
    if (!weight) return q;
    const Wide<T> w = load_wide<T>(weight + j);
    return each<T>(CROSSENT_PART { return q.part[p] * w.part[p]; });
}

struct RawSums {
    double sum = 0;      // of the targets as given
    bool valid = true;   // all >= 0 and finite
};

template <class S> __attribute__((noinline)) bool all_fit(const S* q, int64_t K) {
    bool fit = true;
    for (int64_t j = 0; j < K; ++j) fit &= double(load_one<S>(q[j])) >= 0 && double(load_one<S>(q[j])) < kInfinity;
    return fit;
}

// One row's uniform targets: sums of what every class gets.
template <class T> CROSSENT_INLINE void uniform_row(int64_t K, T uniform, double gaps, Row& row) {
    row.linear = double(uniform) * gaps;
    row.q_max = double(uniform);
    row.q_others = double(uniform) * double(K - 1);
    row.q_sum = double(uniform) * double(K);
}

// What one pass over dense targets adds up. raw: as given, where the mass is weighted and does not say.
template <class T> struct DenseSums {
    LaneSum<T> linear, others, all, raw;
    MassSum<T> mass;
    Vec<T> lowest{};
};

template <bool kPlain, class S, class T = Of<S>>
CROSSENT_INLINE RawSums close_sums(const DenseSums<T>& sums, int64_t K, const DenseTargets<S>& targets, Row& row) {
    row.linear = total_of(sums.linear).value();
    row.mass = total_of(sums.mass);
    row.q_sum = kPlain ? row.mass : total_of(sums.all).value();
    row.q_others = total_of(sums.others).value();
    row.q_max = 0;
    const double raw = !kPlain && targets.class_weight ? total_of(sums.raw).value() : row.mass;
    const bool valid = !any_of(sums.lowest < Vec<T>{}) && (raw - raw == 0 || !targets.q || all_fit(targets.q, K));
    return {raw, valid};
}

// Fills row.linear, q_others, q_sum, mass from dense targets. kPlain: the weights are the targets as given.
template <bool kPlain, class S, class T = Of<S>>
__attribute__((noinline)) RawSums dense_row(const S* z, int64_t K, const DenseTargets<S>& targets, Row& row) {
    constexpr int W = kLanes<T>;
    using Mask = typename LaneTypes<T>::Mask;
    const Vec<T> m = splat<Vec<T>>(T(row.m)), zero = splat<Vec<T>>(0);
    DenseSums<T> sums;
    for (int64_t j = 0; j < K; j += 4 * W) {
        Vec<T> lin[4]{}, rest[4]{}, weight[4]{}, q[4]{};
        Wide<T> mass[4]{};
        if (targets.q) __builtin_prefetch(targets.q + j + 2048 / sizeof(T));
        const auto element = [&](int i, int64_t at, bool whole, Mask seen) __attribute__((always_inline)) {
            const Vec<T> q_ = targets.raw(at), z_ = load(z + at);
            sums.lowest = q_ < sums.lowest ? q_ : sums.lowest;
            q[i] = blank<T>(q_, seen);
            weight[i] = kPlain ? q[i] : blank<T>(targets.weigh(at, q_), seen);
            rest[i] = blank<T>(weight[i], z_ == m);
            lin[i] = rest[i] > zero ? rest[i] * (m - z_) : zero;
            if (!kPlain && !targets.q) return;
            const Wide<T> wide = whole ? load_as_wide(targets.q + at) : to_wide<T>(q[i]);
            mass[i] = heavy<T>(wide, kPlain ? nullptr : targets.mass_weight, at);
        };
        if (j + 4 * W <= K) [[likely]] {
            CROSSENT_UNROLL for (int i = 0; i < 4; ++i) element(i, j + i * W, true, Mask{});
        } else {
            CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
                const int64_t left = K - j - i * W;
                if (left >= W) element(i, j + i * W, true, Mask{});
                else if (left > 0) element(i, K - W, false, seen_before<T>(left));
            }
        }
        sums.linear.add4(lin[0], lin[1], lin[2], lin[3]);
        sums.others.add4(rest[0], rest[1], rest[2], rest[3]);
        if (kPlain || targets.q) sums.mass.add4(mass);
        if constexpr (kPlain) continue;
        sums.all.add4(weight[0], weight[1], weight[2], weight[3]);
        if (targets.class_weight) sums.raw.add4(q[0], q[1], q[2], q[3]);
    }
    return close_sums<kPlain>(sums, K, targets, row);
}

}  // namespace
