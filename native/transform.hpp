// What happens to a logit before the softmax: softcap, temperature, a log-prior added. z' = c tanh(z / c) / T + tau b.
//
// For double logits the result is a pair (high, low) with an error of 2^-70 of its terms, so that exp of a difference
// keeps its digits; for narrower ones a double is pair enough and low is 0. Infinite logits stay what they are.
#pragma once

#include "kernels.hpp"
#include "twin.hpp"
#include "shape.hpp"

namespace {

// scale and e with exp(x.high + x.low) = scale (1 + e), scale a power of two, for -700 <= x <= 0; scale = 1 for small x.
// Error of e: 2^-85 of it.
template <class V> CROSSENT_INLINE Twin<V> expm1_reduced(Twin<V> x, V& scale) {
    using Table = ExpTable<double>;
    const V round = splat<V>(Table::kRound), t = mul_add(x.high, splat<V>(Table::kLog2e), round), n = t - round;
    // ln 2 in three parts; n times the first is exact
    const Twin<V> low = twin(n) * Twin<V>{splat<V>(-1.90821492927058770002e-10), splat<V>(-1.1612227229362532e-26)};
    Twin<V> f = (Twin<V>{x.high - n * splat<V>(Table::kLn2High), splat<V>(0)} + low) + Twin<V>{x.low, splat<V>(0)};
    f = {f.high * splat<V>(0.015625), f.low * splat<V>(0.015625)};
    V p = splat<V>(1.0 / 40320);
    p = mul_add(p, f.high, splat<V>(1.0 / 5040));
    p = mul_add(p, f.high, splat<V>(1.0 / 720));
    p = mul_add(p, f.high, splat<V>(1.0 / 120));
    const Twin<V> sixth{splat<V>(0.16666666666666666), splat<V>(9.25185853854297e-18)};
    const Twin<V> part{splat<V>(0.041666666666666664), splat<V>(2.3129646346357427e-18)};
    Twin<V> e = part + f * twin(p);
    e = sixth + f * e;
    e = twin(splat<V>(0.5)) + f * e;
    e = f + f * f * e;  // expm1 of the 64th
    for (int i = 0; i < 6; ++i) e = Twin<V>{e.high + e.high, e.low + e.low} + e * e;
    scale = power_of_two(t);
    return e;
}

// exp(x.high + x.low) for -700 <= x <= 0 as a pair. Error 2^-85.
template <class V> CROSSENT_INLINE Twin<V> exp_twin(Twin<V> x) {
    V scale;
    const Twin<V> e = twin(splat<V>(1)) + expm1_reduced(x, scale);
    return {e.high * scale, e.low * scale};
}

// exp(x.high + x.low) - 1 for -700 <= x <= 0 as a pair. Error 2^-83 of it.
template <class V> CROSSENT_INLINE Twin<V> expm1_twin(Twin<V> x) {
    V scale;
    const Twin<V> e = expm1_reduced(x, scale);
    return Twin<V>{e.high * scale, e.low * scale} + (twin(scale) + twin(splat<V>(-1)));
}

template <class V> CROSSENT_INLINE Twin<V> divide(Twin<V> a, Twin<V> b) {
    const V q = a.high / b.high;
    const Twin<V> back = twin(q) * b;
    return {q, ((a.high - back.high) - back.low + a.low) / b.high};
}

template <class V> CROSSENT_INLINE V finite_or_zero(V x) { return x - x == splat<V>(0) ? x : splat<V>(0); }

// tanh(y) for y >= 0 as -x / (2 + x), x = exp(-2 y) - 1.
template <bool kPair> CROSSENT_INLINE Twin<F64> tanh_of(Twin<F64> y) {
    const F64 two = splat<F64>(2), limit = splat<F64>(350);
    const auto far = y.high > limit;
    const Twin<F64> twice{(far ? limit : y.high) * splat<F64>(-2), (far ? F64{} : y.low) * splat<F64>(-2)};
    if constexpr (kPair) {
        const Twin<F64> x = expm1_twin(twice);
        return divide(Twin<F64>{-x.high, -x.low}, twin(two) + x);
    }
    const F64 below = expm1_below<F64>(twice.high);
    return twin(-below / (two + below));
}

template <bool kPair> class Transform {
  public:
    CROSSENT_INLINE explicit Transform(const FamilyJob& job)
        : job_(job), capped_(job.softcap > 0), tempered_(job.temperature != 1) {}

    // Whether a larger logit never becomes a smaller one, and the class does not matter.
    CROSSENT_INLINE bool monotone() const { return !job_.bias; }
    CROSSENT_INLINE bool identity() const { return !job_.bias && !capped_ && !tempered_; }

    CROSSENT_INLINE Twin<F64> bias(int64_t k) const {
        return {splat<F64>(job_.bias[k]), splat<F64>(job_.bias[job_.base.classes + k])};
    }
    CROSSENT_INLINE Twin<F64> operator()(F64 z, int64_t k) const {
        return job_.bias ? shifted(squeezed(z), bias(k)) : squeezed(z);
    }
    // The same with the bias's parts given, for lanes whose classes differ.
    CROSSENT_INLINE Twin<F64> operator()(F64 z, Twin<F64> bias) const {
        return job_.bias ? shifted(squeezed(z), bias) : squeezed(z);
    }
    // dz'/dz, and with it d2z'/dz2.
    CROSSENT_INLINE void derivatives(F64 z, F64& first, F64& second) const {
        const F64 T = splat<F64>(job_.temperature), one = splat<F64>(1);
        first = one / T;
        second = F64{};
        if (!capped_) return;
        const auto infinite = z - z != F64{};
        const Twin<F64> y = scaled(z);
        const F64 twice = infinite ? F64{} : y.high * splat<F64>(-2), low = infinite ? F64{} : y.low * splat<F64>(-2);
        const F64 sum = one + exp_scaled<F64>(twice, low, one), below = expm1_below<F64>(twice);
        const F64 sech = exp_scaled<F64>(twice, low, splat<F64>(4)) / (sum * sum);
        first = infinite ? F64{} : sech / T;
        const F64 bent = first * (splat<F64>(2 / job_.softcap) * (below / sum));
        second = z < F64{} ? -bent : bent;
    }

  private:
    // |z| / c
    CROSSENT_INLINE Twin<F64> scaled(F64 z) const {
        const F64 size = z < F64{} ? -z : z;
        return quotient(twin(size), job_.softcap);
    }
    static CROSSENT_INLINE Twin<F64> quotient(Twin<F64> x, double by) {
        const F64 d = splat<F64>(by), q = x.high / d;
        if constexpr (!kPair) return {q, F64{}};
        const F64 p = q * d;
        return {q, finite_or_zero(((x.high - p) - product_error(q, d, p) + x.low) / d)};
    }
    CROSSENT_INLINE Twin<F64> squeezed(F64 z) const {
        Twin<F64> x = twin(z);
        if (capped_) {
            const Twin<F64> t = tanh_of<kPair>(scaled(z));
            const F64 cap = splat<F64>(job_.softcap);
            Twin<F64> y{t.high * cap, F64{}};
            if constexpr (kPair) y = t * twin(cap);
            const auto infinite = z - z != F64{}, negative = z < F64{};
            x.high = infinite ? z : (negative ? -y.high : y.high);
            x.low = infinite ? F64{} : (negative ? -y.low : y.low);
        }
        return tempered_ ? quotient(x, job_.temperature) : x;
    }
    CROSSENT_INLINE Twin<F64> shifted(Twin<F64> x, Twin<F64> bias) const {
        const F64 tau = splat<F64>(job_.tau);
        if constexpr (!kPair) return {x.high + tau * bias.high, F64{}};
        const Twin<F64> sum = x + twin(tau) * bias;
        return {sum.high, finite_or_zero(sum.low)};
    }

    const FamilyJob& job_;
    bool capped_, tempered_;
};

}  // namespace
