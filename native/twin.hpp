// Numbers as sums of two doubles, so that a chain of weights costs no digits: relative error of an operation 2^-100.
#pragma once

#include "lanes.hpp"

namespace {

// The exact rounding error of p = a * b (FMA, else Dekker's halves).
template <class V> CROSSENT_INLINE V product_error(V a, V b, V p) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    return mul_add(a, b, -p);
#else
    const V split = splat<V>(134217729.0), a_far = a * split, b_far = b * split;  // 2^27 + 1
    const V a_high = a_far - (a_far - a), a_low = a - a_high, b_high = b_far - (b_far - b), b_low = b - b_high;
    return a_low * b_low - (((p - a_high * b_high) - a_low * b_high) - a_high * b_low);
#endif
}

// V is double or a vector of doubles.
template <class V> struct Twin {
    V high, low;

    CROSSENT_INLINE Twin operator*(Twin b) const {
        const V p = high * b.high;
        return {p, product_error(high, b.high, p) + (high * b.low + low * b.high)};
    }
    CROSSENT_INLINE Twin operator+(Twin b) const {
        const V s = high + b.high;
        return {s, sum_error(high, b.high, s) + (low + b.low)};
    }
    // Rounded once; what overflows stays infinite (its errors are NaN).
    CROSSENT_INLINE V value() const {
        const V error = low - low == low * splat<V>(0) ? low : splat<V>(0);
        return high + error;
    }
};
template <class V> CROSSENT_INLINE Twin<V> twin(V x) { return {x, splat<V>(0)}; }

// What multiplies -log p and -log(1 - p) of an element with target y: its weights, and y or 1 - y after smoothing.
template <class V> struct ElementWeights {
    Twin<V> up, down;
};

template <class V>
CROSSENT_INLINE ElementWeights<V> element_weights(V y, V pos_weight, double positive, double negative, double smoothing) {
    const double kept = 1 - smoothing;
    const Twin<V> keep{splat<V>(kept), splat<V>((1 - kept) - smoothing)}, half = twin(splat<V>(smoothing / 2));
    const V one = splat<V>(1), rest = one - y;
    const Twin<V> not_y{rest, sum_error(one, -y, rest)};
    return {twin(splat<V>(positive)) * twin(pos_weight) * (keep * twin(y) + half),
            twin(splat<V>(negative)) * (keep * not_y + half)};
}

}  // namespace
