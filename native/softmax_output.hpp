// What a row leaves behind: value, gradient or probabilities or log-probabilities, Hessian diagonal. Long rows.
#pragma once

#include "kernels.hpp"
#include "softmax_row.hpp"

namespace {

// Elements j of a row: exp(z_j - m) factor - dense target, with the maximum and the index target put right afterwards.
template <class S, class T = Of<S>>
CROSSENT_INLINE void gradient_row(const S* z, S* g, S* h, int64_t K, const Row& row, double factor,
                                  const DenseTargets<S>* dense) {
    const Vec<T> minus_m = splat<Vec<T>>(T(-row.m)), zero = splat<Vec<T>>(0), one = splat<Vec<T>>(1);
    const double s = row.s();
    const Vec<T> scaled = splat<Vec<T>>(T(factor * row.q_sum / s)), down = splat<Vec<T>>(T(factor));
    const Vec<T> inverse = splat<Vec<T>>(T(1 / s)), s_lanes = splat<Vec<T>>(T(s));
    for (int64_t j = 0; j < K; j += kGroup<T>) {
        const Group<T> logits = load_group(z + j, K - j, -1, T(-kInfinity));
        Group<T> out, curved = logits;
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
            const Vec<T> d = logits.v[i] + minus_m;
            const Vec<T> e = sum_error(logits.v[i], minus_m, d);
            out.v[i] = exp_scaled<Vec<T>>(d, e, scaled);
            if (h) curved.v[i] = out.v[i] * (inverse * (s_lanes - exp_or_zero<Vec<T>>(d, e)));
        }
        if (h) store_group(h + j, K - j, curved);
        if (dense) {
            const Group<T> q = dense->q ? load_group(dense->q + j, K - j, -1, T(0))
                                        : Group<T>{{zero, zero, zero, zero}};
            const Group<T> cw = dense->class_weight ? load_group(dense->class_weight + j, K - j, -1, T(0))
                                                    : Group<T>{{one, one, one, one}};
            CROSSENT_UNROLL for (int i = 0; i < 4; ++i) out.v[i] -= down * dense->weigh(q.v[i], cw.v[i]);
        }
        store_group(g + j, K - j, out);
    }
}

// log p_j = (z_j - m) - log1p(r): two terms <= 0.
template <class S, class T = Of<S>> CROSSENT_INLINE void log_probs_row(const S* z, S* g, int64_t K, const Row& row) {
    const Vec<T> minus_m = splat<Vec<T>>(T(-row.m)), l = splat<Vec<T>>(T(row.log1p_r));
    for (int64_t j = 0; j < K; j += kGroup<T>) {
        Group<T> out = load_group(z + j, K - j, -1, T(0));
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
            const Vec<T> d = out.v[i] + minus_m;
            const Vec<T> e = sum_error(out.v[i], minus_m, d);
            out.v[i] = (d - l) + (e == e ? e : splat<Vec<T>>(0));
        }
        store_group(g + j, K - j, out);
    }
    g[row.a] = store_one<S>(T(0 - row.log1p_r));
}

}  // namespace
