// What one row comes to, in double, and what follows from it: value, gradient at the maximum and at the target.
//
// Shared by long rows and tiles. With m = max z, at one index a of its ties, and r = sum over j != a of exp(z_j - m):
//   log(sum exp z) = m + log1p(r),  p_a = 1 / s,  1 - p_a = r / s,  s = 1 + r.
// Nothing here subtracts numbers that are nearly equal.
#pragma once

#include "elementary.hpp"
#include "lane_sum.hpp"
#include "memory.hpp"
#include "shape.hpp"

namespace {

constexpr double kInfinity = __builtin_inf();

template <class T> struct Confident;  // below this r the row is redone with its runner-up as the reference
template <> struct Confident<float> {
    static constexpr double kLimit = 8.756510762696521e-27;  // exp(-60)
};
template <> struct Confident<double> {
    static constexpr double kLimit = 5.0959389507590455e-283;  // exp(-650)
};

// x 2^n with one rounding, for n <= 0: the first of the two factors is exact unless the result is 0 anyway.
CROSSENT_INLINE double scale_down(double x, int64_t n) {
    if (n < -2000) n = -2000;
    const int64_t half = n / 2, rest = n - half;
    return x * __builtin_bit_cast(double, uint64_t(1023 + half) << 52) *
           __builtin_bit_cast(double, uint64_t(1023 + rest) << 52);
}

struct Row {
    // of the logits; r is (r.high + r.low) 2^exponent, exponent <= 0
    double m = -kInfinity;
    int64_t a = 0;  // of a tile's lane; in long rows the label if it lies at the maximum, else -1
    double unit = 0;  // not 0: the row is near (near_exp.hpp), exp(z - m) = e unit
    Pair r;
    int64_t exponent = 0;
    double log1p_r = 0;
    bool finite = true;  // false: NaN, several +inf, or nothing but -inf
    // of the targets, class-weighted: sum q, sum without a, q_a, sum of q_j (m - z_j), and the mass before smoothing
    double q_sum = 0, q_others = 0, q_max = 0, linear = 0, mass = 0;
    bool bent = false;  // under a shape: q are times its slope, and
    double shaped = 0;  // the sum of q f

    CROSSENT_INLINE double r_value() const { return scale_down(r.value(), exponent); }
    CROSSENT_INLINE double s() const { return 1 + r_value(); }

    // factor * (sum of q_j (m - z_j) + Q log1p(r)): two terms >= 0.
    CROSSENT_INLINE double value(double factor) const {
        if (bent) return factor * shaped;
        if (exponent < 0) return factor * linear + scale_down(factor * q_sum * r.value(), exponent);
        return factor * (linear + q_sum * log1p_r);
    }
    // factor * (Q p_a - q_a)
    CROSSENT_INLINE double gradient_at_max(double factor) const {
        const double s_ = s();
        if (r_value() < 1) return factor * q_others - scale_down(factor * q_sum * (r.value() / s_), exponent);
        return factor * (q_sum / s_ - q_max);
    }
    // factor * Q (p_t - 1) for an index target t != a, where p_t <= 1/2
    CROSSENT_INLINE double gradient_at_target(double factor, double e_t) const {
        const double s_ = s();
        return -(factor * q_sum) * ((s_ - e_t) / s_);
    }
    CROSSENT_INLINE double hessian_at_max(double factor) const {
        const double s_ = s();
        return scale_down(factor * q_sum * (r.value() / s_) / s_, exponent);
    }
    // The targets of an index: all of weight q on the class with logit z_t.
    CROSSENT_INLINE void set_index(double z_t, double q) {
        q_sum = mass = q;
        q_max = z_t == m ? q : 0;
        q_others = z_t == m ? 0 : q;
        linear = z_t == m ? 0 : q * (m - z_t);
    }
};

// An index target under a shape: what q (m - z) + q log1p(r) was becomes q f, and q in gradients q times the slope.
CROSSENT_INLINE void bend_row(const Shape& shape, double e_t, Row& row) {
    const double s = row.s(), r = row.r_value(), q = row.q_sum;
    if (q == 0) return;
    const bool top = row.q_others == 0;
    const double L = row.linear / q + row.log1p_r, u = top ? r / s : (s - e_t) / s, p = top ? 1 / s : e_t / s;
    const Bent<F64> f = bend<F64>(shape, splat<F64>(L), F64{}, splat<F64>(u), splat<F64>(p));
    row.bent = true;
    row.shaped = q * f.value[0];
    row.q_sum = q * f.slope[0];
    row.q_others = top ? 0 : row.q_sum;
    row.q_max = top ? row.q_sum : 0;
}

// exp(z - m) in double, z <= m.
template <class T> CROSSENT_INLINE double exp_gap(T z, double m) {
    const double d = double(z) - m;
    if (!(d > -1e300)) return d < 0 ? 0 : d;
    return exp_scaled<double>(d, sum_error(double(z), -m, d), 1.0);
}

// Finishes row.r where it is tiny, zero or NaN: edge values, and confident rows with the runner-up as reference, so
// that a row whose loss is 1.6e-33 does not get 0 (a tie has r >= 1 and is not seen here). z_j lies at z[j * stride].
// A cold path.
template <class S> __attribute__((noinline)) void finish_extreme(const S* z, int64_t K, int64_t stride, Row& row) {
    const double seen = row.r.value();
    row.finite = seen == seen && row.m != -kInfinity;
    row.r = Pair{};
    if (!row.finite || row.m == kInfinity) return;
    double second = -kInfinity;
    for (int64_t j = 0; j < K; ++j) {
        const double z_j = double(load_one<S>(z[j * stride]));
        if (z_j < row.m && z_j > second) second = z_j;
    }
    const double gap = second - row.m;
    if (!(gap > -5e5)) return;  // exp(gap) is 0 in every format
    Pair sum;
    for (int64_t j = 0; j < K; ++j) {
        const Of<S> z_j = load_one<S>(z[j * stride]);
        if (double(z_j) < row.m) sum.add(exp_gap(z_j, second));
    }
    double rounded;
    const double c = exp_reduced<double>(gap, sum_error(second, -row.m, gap), rounded);
    row.r.high = c * sum.value();
    row.exponent = int64_t(rounded - ExpTable<double>::kRound);
    row.log1p_r = row.r_value();
}

}  // namespace
