// The same products for sparse features: compressed rows for the logits, compressed columns for the sums of slopes.
//
// The few outputs lie side by side, padded to whole vectors, so that one stored value meets all of them at once.
#pragma once

#include "dense_rows.hpp"

namespace {

// out [count, outputs] (+)= sum over the stored values of line i of value * other[index]; `base` is added where given.
template <class S, int V> CROSSENT_INLINE void sparse_tile(const SparseJob& job, int64_t line, int64_t k) {
    constexpr int L = kLanes<double>;
    F64 sum[V];
    CROSSENT_UNROLL for (int v = 0; v < V; ++v) sum[v] = job.base ? load(job.base + k + v * L) : F64{};
    const S* values = static_cast<const S*>(job.values);
    for (int64_t at = job.starts[line]; at < job.starts[line + 1]; ++at) {
        const F64 x = splat<F64>(double(values[at]));
        const double* other = job.other + int64_t(job.index[at]) * job.outputs + k;
        CROSSENT_UNROLL for (int v = 0; v < V; ++v) sum[v] = mul_add(x, load(other + v * L), sum[v]);
    }
    double* out = job.out + (line - job.first) * job.outputs + k;
    CROSSENT_UNROLL for (int v = 0; v < V; ++v) store(out + v * L, sum[v]);
}

template <class S> CROSSENT_INLINE void run_sparse(const SparseJob& job) {
    constexpr int L = kLanes<double>;
    for (int64_t line = job.first; line < job.end; ++line) {
        int64_t k = 0;
        for (; k + 4 * L <= job.outputs; k += 4 * L) sparse_tile<S, 4>(job, line, k);
        if (k + 3 * L <= job.outputs) sparse_tile<S, 3>(job, line, k), k += 3 * L;
        if (k + 2 * L <= job.outputs) sparse_tile<S, 2>(job, line, k), k += 2 * L;
        if (k + L <= job.outputs) sparse_tile<S, 1>(job, line, k);
    }
}

}  // namespace
