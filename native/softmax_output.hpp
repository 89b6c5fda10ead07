// What a row of contiguous classes leaves behind: gradient, probabilities or log-probabilities, Hessian diagonal.
#pragma once

#include "kernels.hpp"
#include "softmax_row.hpp"

namespace {

// What the pass over a row multiplies and writes. top: the logit whose element is written as it stands (NaN: none):
// the one maximum where p > 1/2, where Q p - q and 1 - p would cancel.
template <class T> struct Outputs {
    Vec<T> scaled, down, s, inverse, top, at_top, hess_at_top;
};

// Applies f(at, lanes before) to all vectors of a row in an order that allows f to overwrite what it reads: the tail's
// vector is loaded first.
template <class Z, class S, class G, class F>
CROSSENT_INLINE void each_vector(const Z* z, S* g, int64_t n, const G& read, const F& write) {
    constexpr int W = kLanes<Of<S>>;
    const auto tail = read(z + n - W, n - W);
    int64_t j = 0;
    for (; j + 4 * W <= n; j += 4 * W) {
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
            const int64_t at = j + i * W;
            write(g + at, at, read(z + at, at));
        }
    }
    for (; j + W <= n; j += W) write(g + j, j, read(z + j, j));
    if (j < n) write(g + n - W, n - W, tail);
}

// e(z_j) scaled for the n elements of a part of a row, n >= W; g may be z.
template <class S, class E, class T = Of<S>>
CROSSENT_INLINE void plain_part(const S* z, S* g, int64_t n, const E& e, Vec<T> scaled) {
    each_vector(z, g, n, [&](const S* from, int64_t) __attribute__((always_inline)) { return load(from); },
                [&](S* to, int64_t, Vec<T> z_j) __attribute__((always_inline)) { store(to, e(z_j, scaled)); });
}

// The same with dense targets (null: none), the maximum put right, and the Hessian (null: none). A near row without
// dense targets needs nothing put right but the Hessian, and keeps the bits that plain_part gives.
template <bool kNear, class S, class E, class T = Of<S>>
CROSSENT_INLINE void full_part(const S* z, S* g, S* h, int64_t first, int64_t n, const E& e, const Outputs<T>& out,
                               const DenseTargets<S>* dense) {
    each_vector(
        z, g, n, [&](const S* from, int64_t) __attribute__((always_inline)) { return load(from); },
        [&](S* to, int64_t at, Vec<T> z_j) __attribute__((always_inline)) {
            Vec<T> x = e(z_j, out.scaled);
            if (h) {
                const Vec<T> curved = x * (out.inverse * (out.s - e(z_j, splat<Vec<T>>(1))));
                store(h + at, z_j == out.top ? out.hess_at_top : curved);
            }
            if (dense) x -= out.down * dense->at(first + at);
            if (dense || !kNear) x = z_j == out.top ? out.at_top : x;
            store(to, x);
        });
}

// e(z, factor) = factor times what the row's exp gives, with one rounding into the subnormal range.
template <class T> struct NearScaled {
    NearExp<T> e;
    CROSSENT_INLINE Vec<T> operator()(Vec<T> z, Vec<T> factor) const { return e(z) * factor; }
};
template <class T> struct FarScaled {
    Vec<T> minus_m;
    CROSSENT_INLINE Vec<T> operator()(Vec<T> z, Vec<T> factor) const {
        const Vec<T> d = z + minus_m;
        return exp_scaled<Vec<T>>(d, sum_error(z, minus_m, d), factor);
    }
};

// Whether the factor of a near row's exponentials keeps all its bits, and what is counted as exp(-kFloor) becomes 0.
template <class T> CROSSENT_INLINE bool near_factor(double factor, double unit) {
    constexpr double smallest = sizeof(T) == 4 ? 0x1p-126 : 0x1p-1022;
    const double size = factor < 0 ? -factor : factor;
    return unit != 0 && ((size * unit >= smallest && size <= NearTable<T>::kSteepest) || size == 0);
}

// log p_j = (z_j - m) - log1p(r): two terms <= 0.
template <class S, class T = Of<S>> CROSSENT_INLINE void log_probs_part(const S* z, S* g, int64_t n, const Row& row) {
    const Vec<T> m = splat<Vec<T>>(T(row.m)), l = splat<Vec<T>>(T(row.log1p_r)), zero = splat<Vec<T>>(0);
    each_vector(z, g, n, [&](const S* from, int64_t) __attribute__((always_inline)) { return load(from); },
                [&](S* to, int64_t, Vec<T> z_j) __attribute__((always_inline)) {
                    const Vec<T> d = z_j - m, e = sum_error(z_j, -m, d);
                    store(to, z_j == m ? zero - l : (d - l) + (e == e ? e : zero));
                });
}

}  // namespace
