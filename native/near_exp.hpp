// exp of a row's logits relative to its maximum m, biased so that nothing that matters leaves the normal numbers.
//
// float, |m| <= kReach: the exponential is taken of z itself and its power of two is counted from that of exp(m), so
// z - m and its rounding error are never formed. With N the integer next to m log2(e):
//   e_j = exp(z_j) 2^(kBias - N),  exp(z_j - m) = e_j unit,  unit = exp(N ln 2 - m) 2^-kBias  (in double).
// double: exp((z - m) + error) 2^kBias, the error by a two-sum of 5 operations.
// What lies more than kFloor below m counts as exp(-kFloor): less than matters in any sum over 2^40 classes, and 0 in
// any gradient whose factor is at most kSteepest.
#pragma once

#include "elementary.hpp"

namespace {

template <class T> struct NearTable;
template <> struct NearTable<float> {
    static constexpr int kBias = 48;
    static constexpr float kReach = 16384.0f, kFloor = 120.0f;
    static constexpr double kSteepest = 4e6;
};
template <> struct NearTable<double> {
    static constexpr int kBias = 500;
    static constexpr double kReach = 0x1p40, kFloor = 1050.0;
    static constexpr double kSteepest = 1e100;
};

// 1 + f + f^2 P(f), |f| <= 0.3475, as one Horner chain. Error 0.7 ulp.
template <class V> CROSSENT_INLINE V exp_small(V f) {
    using Table = ExpTable<typename Number<V>::Scalar>;
    V p = splat<V>(Table::kPoly[0]);
    CROSSENT_UNROLL for (unsigned i = 1; i < sizeof(Table::kPoly) / sizeof(Table::kPoly[0]); ++i) {
        p = mul_add(p, f, splat<V>(Table::kPoly[i]));
    }
    if constexpr (sizeof(typename Number<V>::Scalar) == 8) return splat<V>(1) + mul_add(f * f, p, f);
    p = mul_add(p, f, splat<V>(1));
    return mul_add(p, f, splat<V>(1));
}

// z - n ln 2 for floats |z| <= 2^14 + 120 and n next to z log2(e). Error 2^-25.
template <class V> CROSSENT_INLINE V reduced(V z, V n) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return mul_add(n, splat<V>(-1.428606765330187e-06f), mul_add(n, splat<V>(-0x1.62e4p-1f), z));
#else
    const V high = (z - n * splat<V>(0.693359375f)) + n * splat<V>(0x7p-15f);  // 9 and 3 bits: both products exact
    return high - n * splat<V>(1.428606765330187e-06f);
#endif
}

// What e_j is relative to: the maximum so far, |m| <= kReach.
template <class T> struct Reference {
    using Table = NearTable<T>;
    T low, round, power = 0;  // lowest argument; rounding constant whose sum holds the biased exponent; N
    CROSSENT_INLINE explicit Reference(T m) : low(m - Table::kFloor) {
        constexpr T magic = ExpTable<T>::kRound;
        if constexpr (sizeof(T) == 4) power = mul_add(m, ExpTable<T>::kLog2e, magic) - magic;
        round = magic + T(Table::kBias + (sizeof(T) == 4 ? 127 : 1023)) - power;
    }
};

// exp(z - m) = e unit. Error 1 ulp (and nothing for double).
template <class T, class V> CROSSENT_INLINE V near_unit(V m, V power) {
    constexpr double scale = sizeof(T) == 4 ? 0x1p-48 : 0x1p-500;
    if constexpr (sizeof(T) == 8) return splat<V>(scale);
    const V f = mul_add(power, splat<V>(6.93147180369123816490e-01), -m) +
                power * splat<V>(1.90821492927058770002e-10);  // 33 bits and 15 of N: the first product is exact
    return exp_small(f) * splat<V>(scale);
}

template <class T> struct NearExp {
    Vec<T> low, round, minus_m;
    CROSSENT_INLINE NearExp(const Reference<T>& at, T m)
        : low(splat<Vec<T>>(at.low)), round(splat<Vec<T>>(at.round)), minus_m(splat<Vec<T>>(-m)) {}

    // e of z <= m. Error 1.5 ulp. NaN gives NaN.
    CROSSENT_INLINE Vec<T> operator()(Vec<T> z) const {
        using V = Vec<T>;
        using Table = ExpTable<T>;
        z = low > z ? low : z;
        V t, f;
        if constexpr (sizeof(T) == 4) {
            t = mul_add(z, splat<V>(Table::kLog2e), round);
            f = reduced<V>(z, t - round);
        } else {
            const V large = z < minus_m ? z : minus_m, small = z < minus_m ? minus_m : z;  // by size: z <= m
            const V d = large + small, e = small - (d - large);
            t = mul_add(d, splat<V>(Table::kLog2e), round);
            const V n = t - round;
            f = mul_add(n, splat<V>(-Table::kLn2High), d) + mul_add(n, splat<V>(-Table::kLn2Low), e);
        }
        return exp_small(f) * from_bits<V>(bits_of(t) << Table::kMantissa);
    }
};

}  // namespace
