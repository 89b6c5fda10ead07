// Double lanes over arrays of float or double: what is computed in double whatever the dtype, rounded once at the end.
#pragma once

#include "block.hpp"
#include "elementary.hpp"

namespace {

constexpr int kDoubles = kLanes<double>;
using F64Mask = LaneTypes<double>::Mask;

// Numbers in the next vector where `left` are left.
CROSSENT_INLINE int vector_size(int64_t left) { return left < kDoubles ? int(left) : kDoubles; }

// The first n lanes; a branch, for all but the last vector of a row are whole.
CROSSENT_INLINE F64Mask first_doubles(int n) {
    return n == kDoubles ? ~F64Mask{} : F64Mask(lane_numbers<double>() < splat<F64>(double(n)));
}

CROSSENT_INLINE double sum_of_lanes(F64 v) {
    CROSSENT_UNROLL for (int half = kDoubles / 2; half > 0; half /= 2) {
        CROSSENT_UNROLL for (int i = 0; i < half; ++i) v[i] += v[i + half];
    }
    return v[0];
}

// The first n of W numbers as doubles, 0 <= n <= W; the others are `pad`.
template <class T> CROSSENT_INLINE F64 load_doubles(const T* p, int n, double pad) {
    if constexpr (sizeof(T) == 8) {
        return load_lanes(p, n, pad);
    } else {
        typedef float Loose __attribute__((vector_size(CROSSENT_LANE_BYTES / 2), aligned(4), may_alias));
        if (n == kDoubles) return __builtin_convertvector(HalfF32(*reinterpret_cast<const Loose*>(p)), F64);
        F64 v = splat<F64>(pad);
        for (int i = 0; i < n; ++i) v[i] = double(p[i]);
        return v;
    }
}

// v rounded to T, as doubles: what the sums add is what the caller sees.
template <class T> CROSSENT_INLINE F64 rounded(F64 v) {
    if constexpr (sizeof(T) == 8) return v;
    else return __builtin_convertvector(__builtin_convertvector(v, HalfF32), F64);
}

template <class T> CROSSENT_INLINE void store_doubles(T* p, int n, F64 v) {
    if constexpr (sizeof(T) == 8) {
        store_lanes(p, n, v);
    } else {
        const HalfF32 narrow = __builtin_convertvector(v, HalfF32);
        if (n == kDoubles) __builtin_memcpy(p, &narrow, sizeof(narrow));
        else for (int i = 0; i < n; ++i) p[i] = narrow[i];
    }
}

// -log(u) given its value for normal u: numbers that are not take a path of their own, which costs others nothing.
CROSSENT_INLINE F64 with_small(F64 u, F64 minus) {
    const auto small = u < splat<F64>(2.2250738585072014e-308);
    if (__builtin_expect(any_of(small), 0)) minus = small ? minus_log_below(u) : minus;
    return minus;
}

// -log(u) for 0 <= u < inf; inf at 0. Error 1 ulp.
CROSSENT_INLINE F64 minus_log(F64 u) {
    F64 k;
    const F64 m = split_power(u, k);
    return with_small(u, F64{} - log_assembled(k, m - splat<F64>(1.0), F64{}));
}
CROSSENT_INLINE double minus_log(double u) { return minus_log(splat<F64>(u))[0]; }

// Weighted losses and masses of a block, in lanes.
struct DoubleTotals {
    LaneSum<double> value, mass;
    F64Mask counted{};  // rows in each lane, and
    double rows = 0;    // rows counted otherwise
    CROSSENT_INLINE void into(BlockSums& sums) const {
        sums.add(value, mass);
        sums.rows += rows;
        for (int i = 0; i < kDoubles; ++i) sums.rows += double(counted[i]);
    }
};

}  // namespace
