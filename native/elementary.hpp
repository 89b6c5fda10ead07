// exp, log1p and log on lanes or scalars, each with its range and error bound.
//
// Scalars and vectors run the same operations in the same order, so a formula gives the same bits in either.
// Polynomials: Chebyshev fits of (exp(f) - 1 - f) / f^2 on |f| <= 0.3475; log1p and log use fdlibm's series in
// s = f / (2 + f) (Sun Microsystems, 1993).
#pragma once

#include "lanes.hpp"

namespace {

template <class S> struct ExpTable;
template <> struct ExpTable<float> {
    static constexpr float kLog2e = 1.44269504088896341f;
    static constexpr float kLn2High = 0.693359375f;  // 10 bits: n * kLn2High is exact without FMA
    static constexpr float kLn2Low = -2.12194440054690583e-4f;
    static constexpr float kRound = 12582912.0f;  // 1.5 * 2^23
    static constexpr float kNormal = -87.0f;      // exp is normal from here on
    static constexpr float kLowest = -174.0f;     // two factors 2^(n/2) stay normal
    static constexpr int kMantissa = 23;
    static constexpr float kPoly[] = {0.0013926375995803529f, 0.0083633330821829433f, 0.041666553458651747f,
                                      0.16666576062275124f, 0.5f};
};
template <> struct ExpTable<double> {
    static constexpr double kLog2e = 1.4426950408889634074;
    static constexpr double kLn2High = 6.93147180369123816490e-01;  // 33 bits
    static constexpr double kLn2Low = 1.90821492927058770002e-10;
    static constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double kNormal = -708.0;
    static constexpr double kLowest = -1416.0;
    static constexpr int kMantissa = 52;
    static constexpr double kPoly[] = {2.0914882563485069e-9, 2.5105490906986695e-8, 2.7557273171941028e-7,
                                       2.7557254740405415e-6, 2.4801587325920162e-5, 1.9841269875342142e-4,
                                       1.3888888888883642e-3, 8.3333333333259856e-3, 4.1666666666666670e-2,
                                       1.6666666666666671e-1, 0.5};
};

// 2^n for the integer n held by the rounding constant's low bits (t = n + kRound), |n| within the normal exponents.
template <class V> CROSSENT_INLINE V power_of_two(V t) {
    using Table = ExpTable<typename Number<V>::Scalar>;
    return from_bits<V>(bits_of(splat<V>(1)) + (bits_of(t) << Table::kMantissa));
}

// p in [0.70, 1.42] and n (with kRound added) such that exp(d + e) = p 2^n, for kLowest <= d <= 0 and |e| << 1.
// Error of p: 0.75 ulp. NaN in d or e gives NaN in p.
template <class V> CROSSENT_INLINE V exp_reduced(V d, V e, V& n_rounded) {
    using Table = ExpTable<typename Number<V>::Scalar>;
    const V round = splat<V>(Table::kRound);
    n_rounded = mul_add(d, splat<V>(Table::kLog2e), round);
    const V n = n_rounded - round;
    const V high = mul_add(n, splat<V>(-Table::kLn2High), d);
    const V f = high + mul_add(n, splat<V>(-Table::kLn2Low), e);
    V p = splat<V>(Table::kPoly[0]);
    CROSSENT_UNROLL for (unsigned i = 1; i < sizeof(Table::kPoly) / sizeof(Table::kPoly[0]); ++i) {
        p = mul_add(p, f, splat<V>(Table::kPoly[i]));
    }
    return splat<V>(1) + mul_add(f * f, p, f);
}

// exp(d + e) for d <= 0 where results below the normal range may be 0: for sums in which they cannot matter.
// Error 1.1 ulp for d >= kNormal (float, all inputs: 1.07). NaN gives NaN.
template <class V> CROSSENT_INLINE V exp_or_zero(V d, V e) {
    using Table = ExpTable<typename Number<V>::Scalar>;
    const V limit = splat<V>(Table::kNormal);
    V t;
    const V p = exp_reduced<V>(d < limit ? limit : d, e, t);
    return d < limit ? splat<V>(0) : p * power_of_two(t);
}

// factor * exp(d + e) for d <= 0, through the subnormal range with one rounding into it, for a normal factor.
// The rounding of the factor's product is the only error on top of exp's 1.1 ulp. NaN gives NaN.
template <class V> CROSSENT_INLINE V exp_scaled(V d, V e, V factor) {
    using Table = ExpTable<typename Number<V>::Scalar>;
    const V limit = splat<V>(Table::kLowest), round = splat<V>(Table::kRound);
    V t;
    const V p = exp_reduced<V>(d < limit ? limit : d, e, t);
    const V half = mul_add(t - round, splat<V>(typename Number<V>::Scalar(0.5)), round);
    const V rest = ((t - round) - (half - round)) + round;
    return d < limit ? splat<V>(0) : p * factor * power_of_two(half) * power_of_two(rest);
}

// fdlibm's remainder of log(1 + f) = f - hfsq + s (hfsq + R), s = f / (2 + f), for f in [sqrt(1/2) - 1, sqrt(2) - 1].
template <class V> CROSSENT_INLINE V log1p_series(V f, V hfsq) {
    constexpr double c[] = {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                            2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                            6.666666666666735130e-01};
    const V s = f / (splat<V>(2.0) + f), z = s * s;
    V r = splat<V>(c[0]);
    CROSSENT_UNROLL for (unsigned i = 1; i < 7; ++i) r = mul_add(r, z, splat<V>(c[i]));
    return s * (hfsq + z * r);
}

// The power k (as a number) and m in [sqrt(1/2), sqrt(2)) with u = m 2^k, for positive normal u.
template <class V> CROSSENT_INLINE V split_power(V u, V& k) {
    const auto root = bits_of(splat<V>(0.70710678118654752440));
    const auto bias = bits_of(splat<V>(1.0));
    const auto shifted = (bits_of(u) - root + bias) >> 52;  // k + 1023
    const V magic = splat<V>(4503599627370496.0);           // 2^52: integers ride in its low bits
    k = from_bits<V>(shifted | bits_of(magic)) - splat<V>(4503599627370496.0 + 1023.0);
    return from_bits<V>(bits_of(u) - (shifted << 52) + bias);
}

// log(2^k (1 + f + c)) with the small correction c.
template <class V> CROSSENT_INLINE V log_assembled(V k, V f, V c) {
    const V hfsq = splat<V>(0.5) * f * f;
    const V low = mul_add(k, splat<V>(1.90821492927058770002e-10), c);
    const V tail = log1p_series(f, hfsq) + low;
    return mul_add(k, splat<V>(6.93147180369123816490e-01), f - (hfsq - tail));
}

// log(1 + x + y) in double for 0 <= x < 2^1000 and y a correction of x, |y| <= ulp(x). Error 1 ulp. No NaN, no inf.
template <class V> CROSSENT_INLINE V log1p_pair(V x, V y) {
    const V one = splat<V>(1.0), u = one + x;
    V k;
    const V m = split_power(u, k);
    const V shrink = from_bits<V>(bits_of(m) - bits_of(u) + bits_of(one));  // 2^-k
    const V high = m - one;
    const V low = (sum_error(one, x, u) + y) * shrink;
    const V f = high + low;
    const V rest = sum_error(high, low, f);
    return log_assembled(k, f, rest - rest * f);
}

// log(x) in double for normal x > 0. Error 1 ulp. Other values are the caller's.
template <class V> CROSSENT_INLINE V log_normal(V x) {
    V k;
    const V m = split_power(x, k);
    return log_assembled(k, m - splat<V>(1.0), splat<V>(0.0));
}

// As split_power, for subnormal u as well; for u = 0 any numbers.
template <class V> CROSSENT_INLINE V split_power_below(V u, V& k) {
    const auto tiny = u < splat<V>(2.2250738585072014e-308);
    const V m = split_power(tiny ? u * splat<V>(18014398509481984.0) : u, k);  // 2^54
    k = tiny ? k - splat<V>(54) : k;
    return m;
}

// -log(u) in double for 0 <= u < inf: +0 at 1, inf at 0, subnormal numbers exactly as others. Error 1 ulp.
template <class V> CROSSENT_INLINE V minus_log_below(V u) {
    V k;
    const V m = split_power_below(u, k);
    const V minus = splat<V>(0) - log_assembled(k, m - splat<V>(1.0), splat<V>(0.0));
    return u == splat<V>(0) ? splat<V>(__builtin_inf()) : minus;
}

// k, f, c with 1 - p = 2^k (1 + f + c) for log_assembled, 0 <= p < 1, and u = 1 - p (0.5 ulp; exact from 1/2 on).
// Below 0.29 f is -p itself; between, c puts back what 1 - p lost. Error of the logarithm then: 1.5 ulp.
template <class V> CROSSENT_INLINE void split_rest(V p, V& u, V& k, V& f, V& c) {
    const V one = splat<V>(1.0);
    u = one - p;
    const V m = split_power(u, k);
    const auto near = k == splat<V>(0);
    f = near ? -p : m - one;
    const V lost = near ? splat<V>(0) : (one - u) - p;  // not 0 for k = -1 only
    c = (lost + lost) * (one - f);
}

// The functions below work on N vectors in step: independent operations stand side by side, so that a processor's
// window of instructions holds several chains at once.
#define CROSSENT_IN_STEP CROSSENT_UNROLL for (int v = 0; v < N; ++v)

// exp(d) for kNormal <= d <= 0 and no other d. Error 1.1 ulp.
template <class V, int N> CROSSENT_INLINE void exp_normal(const V (&d)[N], V (&e)[N]) {
    using Table = ExpTable<typename Number<V>::Scalar>;
    V t[N], n[N], f[N], p[N];
    CROSSENT_IN_STEP t[v] = mul_add(d[v], splat<V>(Table::kLog2e), splat<V>(Table::kRound));
    in_step(t);
    CROSSENT_IN_STEP n[v] = t[v] - splat<V>(Table::kRound);
    CROSSENT_IN_STEP f[v] = mul_add(n[v], splat<V>(-Table::kLn2High), d[v]);
    CROSSENT_IN_STEP f[v] = mul_add(n[v], splat<V>(-Table::kLn2Low), f[v]);
    in_step(f);
    CROSSENT_IN_STEP p[v] = splat<V>(Table::kPoly[0]);
    CROSSENT_UNROLL for (unsigned i = 1; i < sizeof(Table::kPoly) / sizeof(Table::kPoly[0]); ++i) {
        CROSSENT_IN_STEP p[v] = mul_add(p[v], f[v], splat<V>(Table::kPoly[i]));
        in_step(p);
    }
    CROSSENT_IN_STEP p[v] = mul_add(f[v] * f[v], p[v], f[v]);
    in_step(p);
    CROSSENT_IN_STEP p[v] = splat<V>(1) + p[v];
    CROSSENT_IN_STEP e[v] = from_bits<V>(bits_of(p[v]) + (bits_of(t[v]) << Table::kMantissa));
    in_step(e);
}

// log(1 + x) for 0 <= x <= 1, in float or double. Error 1.5 ulp with FMA, 1.8 ulp without. NaN gives NaN.
// Minimax fits on that interval: of (log(1 + x) - x) / x^2 (float), and of fdlibm's remainder in s = x / (2 + x).
template <class V, int N> CROSSENT_INLINE void log1p_unit(const V (&x)[N], V (&l)[N]) {
    V r[N];
    if constexpr (sizeof(typename Number<V>::Scalar) == 4) {
        constexpr float c[] = {0.0020729799196198927f, -0.013631640210373874f, 0.041981696812310441f,
                               -0.083074458202271811f, 0.12467149618805134f,   -0.16129347510249048f,
                               0.19897935161388939f,   -0.2498857951919498f,   0.33332689821600497f,
                               -0.49999987292704757f};
        CROSSENT_IN_STEP r[v] = splat<V>(c[0]);
        CROSSENT_UNROLL for (int i = 1; i < 10; ++i) {
            CROSSENT_IN_STEP r[v] = mul_add(r[v], x[v], splat<V>(c[i]));
            in_step(r);
        }
        CROSSENT_IN_STEP r[v] = r[v] * x[v];
        in_step(r);
        CROSSENT_IN_STEP l[v] = mul_add(r[v], x[v], x[v]);
        in_step(l);
    } else {
        constexpr double c[] = {0.170098103736558799,  0.08344943141059441891, 0.121049511881054173,
                                0.1330112062048115305, 0.1538654844679680483,  0.1818174447676164422,
                                0.2222222395370367937, 0.2857142854811725558,  0.4000000000015512035,
                                0.666666666666663097};
        V s[N], z[N], half[N];
        CROSSENT_IN_STEP s[v] = x[v] / (splat<V>(2) + x[v]);
        CROSSENT_IN_STEP z[v] = s[v] * s[v];
        CROSSENT_IN_STEP half[v] = splat<V>(0.5) * x[v] * x[v];
        CROSSENT_IN_STEP r[v] = splat<V>(c[0]);
        CROSSENT_UNROLL for (int i = 1; i < 10; ++i) {
            CROSSENT_IN_STEP r[v] = mul_add(r[v], z[v], splat<V>(c[i]));
            in_step(r);
        }
        CROSSENT_IN_STEP r[v] = mul_add(z[v], r[v], half[v]);
        CROSSENT_IN_STEP l[v] = x[v] - (half[v] - s[v] * r[v]);
    }
}
template <class V> CROSSENT_INLINE V log1p_unit(V x) {
    const V one[1] = {x};
    V l[1];
    log1p_unit<V, 1>(one, l);
    return l[0];
}

// log(1 + x + y) for 0 <= x < 2^20 and y a correction of x, |y| <= ulp(x): in float where log1p_pair would take double.
// fdlibm's series for float. Error 1 ulp. No NaN, no inf.
template <class V> CROSSENT_INLINE V log1p_short(V x, V y) {
    if constexpr (sizeof(typename Number<V>::Scalar) == 8) {
        return log1p_pair<V>(x, y);
    } else {
        const V one = splat<V>(1.0f), u = one + x;
        const auto bias = bits_of(one);
        const auto k = (bits_of(u) - (bits_of(splat<V>(0.70710678f)) - bias) - bias) >> 23;  // u = m 2^k
        const V high = from_bits<V>(bits_of(u) - (k << 23)) - one;
        const V low = (sum_error(one, x, u) + y) * from_bits<V>(bias - (k << 23));
        const V f = high + low, rest = low - (f - high);
        const V s = f / (splat<V>(2.0f) + f), z = s * s;
        V r = splat<V>(0.24279078841f);
        r = mul_add(r, z, splat<V>(0.28498786688f));
        r = mul_add(r, z, splat<V>(0.40000972152f));
        r = mul_add(r, z, splat<V>(0.66666662693f));
        const V hfsq = splat<V>(0.5f) * f * f, n = as_numbers<V>(k);
        const V correction = mul_add(n, splat<V>(ExpTable<float>::kLn2Low), rest - rest * f);
        const V tail = mul_add(s, mul_add(r, z, hfsq), correction);
        return mul_add(n, splat<V>(ExpTable<float>::kLn2High), f - (hfsq - tail));
    }
}

}  // namespace
