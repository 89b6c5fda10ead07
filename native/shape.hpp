// The shapes f of the family's row losses f(log p): value, slope and curvature, in double.
//
// With L = -log p, u = 1 - p, each known without cancellation:
//   kLog    a L                      slope a                              curvature 0
//   kFocal  a u^b L                  a u^(b-1) (u + b p L)                a b u^(b-1) p (2 - L + (b - 1) (p / u) L)
//   kPoly   a L + b u                a + b p                              -b p
//   kPower  (1 - p^b) / b            p^b                                  -b p^b
// slope = -df/dl >= 0 and curvature = d2f/dl2 with l = log p. A power u^b costs (2 + 3 b) ulp, all else 4 ulp.
#pragma once

#include "elementary.hpp"
#include "kernels.hpp"
#include "twin.hpp"

namespace {

// exp(x) - 1 for x <= 0, +-0 and -inf included. Error 1.5 ulp.
template <class V> CROSSENT_INLINE V expm1_below(V x) {
    using Table = ExpTable<double>;
    const V floor = splat<V>(-708.0), round = splat<V>(Table::kRound);
    const V d = x < floor ? floor : x;
    const V t = mul_add(d, splat<V>(Table::kLog2e), round), n = t - round;
    const V f = mul_add(n, splat<V>(-Table::kLn2Low), mul_add(n, splat<V>(-Table::kLn2High), d));
    V p = splat<V>(Table::kPoly[0]);
    CROSSENT_UNROLL for (unsigned i = 1; i < sizeof(Table::kPoly) / sizeof(Table::kPoly[0]); ++i) {
        p = mul_add(p, f, splat<V>(Table::kPoly[i]));
    }
    const V small = mul_add(f * f, p, f), scale = power_of_two(t);
    return mul_add(scale, small, scale - splat<V>(1));
}

// u^x for 0 <= u <= 1, x >= 0, with u^0 = 1. log2 u = k + log2 m, m next to 1: k x is kept exactly as integer and rest.
template <class V> CROSSENT_INLINE V power_of(V u, double x) {
    if (x == 1) return u;
    if (x == 2) return u * u;
    if (x == 0) return splat<V>(1);
    const V zero = splat<V>(0), y = splat<V>(x), round = splat<V>(ExpTable<double>::kRound);
    V k;
    const V m = split_power_below(u, k), product = k * y;
    const V log_m = log_assembled(zero, m - splat<V>(1), zero);
    // Below 2^-1100 it is 0 in every format. Else |k x| <= 2200, for |log2 m| is at most half of |k|.
    const auto gone = mul_add(y * log_m, splat<V>(1.4426950408889634), product) < splat<V>(-1100.0);
    const V held = gone ? zero : product, n = (held + round) - round;
    const V rest = (held - n) + (gone ? zero : product_error(k, y, product));  // |rest| <= 1/2
    V t;
    const V d = gone ? zero : mul_add(y, log_m, rest * splat<V>(0.69314718055994530942));
    const V p = exp_reduced<V>(d, zero, t);
    const V sum = n + (t - round);
    const V half = mul_add(sum, splat<V>(0.5), round), other = (sum - (half - round)) + round;
    const V power = p * power_of_two(half) * power_of_two(other);
    return (u == zero) | gone ? zero : power;
}

// L - u >= 0, which cancels where u is small: there the terms of log1p from the second on.
template <class V> CROSSENT_INLINE V log_beyond_linear(V L, V u) {
    const V half = splat<V>(0.5) * u * u;
    const V small = u < splat<V>(0.29) ? u : splat<V>(0);
    const V series = half - log1p_series(-small, splat<V>(0.5) * small * small);
    return u < splat<V>(0.29) ? series : L - u;
}

template <class V> struct Bent {
    V value, slope, curvature;
};

template <class V> CROSSENT_INLINE Bent<V> bend_focal(const Shape& f, V L, V u, V p) {
    const V zero = splat<V>(0), one = splat<V>(1), a = splat<V>(f.a), b = splat<V>(f.b);
    const V w = power_of(u, f.b);
    const V ratio = u > splat<V>(1e-300) ? w / u : (f.b == 1 ? one : zero);  // u^(b-1), which only u^2 or p u multiply
    const V L_u = u > zero ? L / u : one;
    const V pL = p > zero ? p * L : zero, pL_u = p > zero ? p * L_u : zero;
    const V value = w > zero ? w * L : zero;
    const V bracket = p * splat<V>(2) - pL + splat<V>(f.b - 1) * (p * pL_u);
    return {a * value, a * mul_add(b * ratio, pL, w), a * b * (ratio * bracket)};
}

// a L, where nothing is left of an infinite L at a = 0.
template <class V> CROSSENT_INLINE V times_log(double a, V L) { return a == 0 ? splat<V>(0) : splat<V>(a) * L; }

template <class V> CROSSENT_INLINE Bent<V> bend_poly(const Shape& f, V L, V u, V p) {
    const V a = splat<V>(f.a), b = splat<V>(f.b), sum = splat<V>(f.a + f.b);
    if (f.b >= 0) return {mul_add(b, u, times_log(f.a, L)), mul_add(b, p, a), -b * p};
    const V rest = times_log(f.a + f.b, L);
    return {rest - b * log_beyond_linear(L, u), mul_add(-b, u, sum), -b * p};
}

// p^b by its logarithm where p itself has left the normal numbers.
template <class V> CROSSENT_INLINE Bent<V> bend_power(const Shape& f, V L, V rest, V p) {
    const V b = splat<V>(f.b), x = -(b * L);
    const auto tiny = p < splat<V>(1e-290);
    V p_b = power_of(p, f.b);
    if (any_of(tiny)) {
        const V low = -(product_error(b, L, b * L) + b * rest);
        p_b = tiny ? exp_scaled<V>(x, low - low == splat<V>(0) ? low : splat<V>(0), splat<V>(1)) : p_b;
    }
    const V value = x > splat<V>(-1e-17) ? L : -expm1_below(x) / b;  // b L itself may be below the normal numbers
    return {value, p_b, -b * p_b};
}

// L + rest is -log p to more digits than L alone.
template <class V> CROSSENT_INLINE Bent<V> bend(const Shape& f, V L, V rest, V u, V p) {
    switch (f.kind) {
        case kFocal: return bend_focal(f, L, u, p);
        case kPoly: return bend_poly(f, L, u, p);
        case kPower: return bend_power(f, L, rest, p);
        default: return {times_log(f.a, L), splat<V>(f.a), splat<V>(0)};
    }
}

// The slope at p = 1: what a tiny L is multiplied by, or for kFocal 0 (its value is no multiple of L).
CROSSENT_INLINE double slope_at_one(const Shape& f) {
    return f.kind == kLog ? f.a : f.kind == kPoly ? f.a + f.b : f.kind == kPower ? 1 : 0;
}

}  // namespace
