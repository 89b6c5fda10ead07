// The Gram matrix of weighted rows: sum_i w_i u_i u_i^T with u_i = ((x_i - center) / scale, 1), in double.
//
// Rows are packed into panels of kGramPanel columns, each times the root of its weight; a tile of the result then stays in
// registers over all packed rows. The upper triangle is filled, by whole tiles.
#pragma once

#include "dense_rows.hpp"

namespace {

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kGramRows = 8;
#else
constexpr int kGramRows = 4;
#endif
constexpr int kGramVectors = kGramRows == 8 && CROSSENT_LANE_BYTES == 64 ? 3 : kGramRows == 8 ? 2 : CROSSENT_LANE_BYTES == 32 ? 3 : 2;

// A packed panel: [kGramPacked, kGramPanel].
template <class S> CROSSENT_INLINE void pack_panel(const GramJob& job, int64_t first, int64_t count, int64_t panel) {
    constexpr int L = kLanes<double>;
    double* packed = job.packed + panel * kGramPacked * kGramPanel;
    for (int64_t i = 0; i < count; ++i) {
        const S* x = static_cast<const S*>(job.rows) + (first + i) * job.stride;
        const F64 root = splat<F64>(__builtin_sqrt(job.weight[first + i]));
        for (int j = 0; j < kGramPanel; j += L) {
            const int64_t d = panel * kGramPanel + j;
            const int64_t left = job.columns - d;
            const int n = left >= L ? L : left > 0 ? int(left) : 0;
            F64 u = load_double<S>(x + d, n);
            if (job.center) u -= load_first(job.center + d, n);
            u *= load_first(job.inverse_scale + d, n);
            if (left >= 0 && left < L) u[int(left)] = 1;
            store(packed + i * kGramPanel + j, u * root);
        }
    }
}

// Rows a .. a + kGramRows of the result, V vectors of columns from b.
template <int V> CROSSENT_INLINE void gram_tile(const GramJob& job, int64_t count, int64_t a, int64_t b) {
    constexpr int L = kLanes<double>, R = kGramRows;
    const int64_t width = job.panels * kGramPanel;
    const double* left = job.packed + a / kGramPanel * kGramPacked * kGramPanel + a % kGramPanel;
    const double* right = job.packed + b / kGramPanel * kGramPacked * kGramPanel + b % kGramPanel;
    double* out = job.gram + a * width + b;
    F64 sum[R][V];
    CROSSENT_UNROLL for (int r = 0; r < R; ++r) {
        CROSSENT_UNROLL for (int v = 0; v < V; ++v) sum[r][v] = load(out + r * width + v * L);
    }
    for (int64_t i = 0; i < count; ++i) {
        F64 u[V];
        CROSSENT_UNROLL for (int v = 0; v < V; ++v) u[v] = load(right + i * kGramPanel + v * L);
        CROSSENT_UNROLL for (int r = 0; r < R; ++r) {
            const F64 x = splat<F64>(left[i * kGramPanel + r]);
            CROSSENT_UNROLL for (int v = 0; v < V; ++v) sum[r][v] = mul_add(x, u[v], sum[r][v]);
        }
    }
    CROSSENT_UNROLL for (int r = 0; r < R; ++r) {
        CROSSENT_UNROLL for (int v = 0; v < V; ++v) store(out + r * width + v * L, sum[r][v]);
    }
}

// gram [width, width] += the rows of the job, for the column panels first_panel .. end_panel and all rows above them.
template <class S> CROSSENT_INLINE void run_gram(const GramJob& job) {
    constexpr int step = kGramVectors * kLanes<double>;
    static_assert(kGramPanel % step == 0 && kGramPanel % kGramRows == 0, "tiles fill panels");
    for (int64_t first = 0; first < job.count; first += kGramPacked) {
        const int64_t count = job.count - first < kGramPacked ? job.count - first : kGramPacked;
        for (int64_t panel = 0; panel < job.end_panel; ++panel) pack_panel<S>(job, first, count, panel);
        for (int64_t b = job.first_panel * kGramPanel; b < job.end_panel * kGramPanel; b += step) {
            const int64_t last = (b / kGramPanel + 1) * kGramPanel;
            for (int64_t a = 0; a < last; a += kGramRows) gram_tile<kGramVectors>(job, count, a, b);
        }
    }
}

}  // namespace
