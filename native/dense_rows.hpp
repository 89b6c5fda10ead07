// Rows of features times the few columns of a linear model: logits x W^T, and the sums g^T x of their slopes.
//
// Everything is computed in double, whatever the features are stored in; a row is taken relative to the center first, so
// that columns far from 0 lose no digits. Each result is one chain of operations in an order that the shape decides.
#pragma once

#include "memory.hpp"

namespace {

// A vector of doubles from stored features.
template <class S> CROSSENT_INLINE F64 load_double(const S* p) {
    if constexpr (__is_same(S, double)) {
        return load(p);
    } else {
#if defined(__AVX512DQ__)
        return _mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(p));
#elif defined(__AVX__)
        return _mm256_cvtps_pd(_mm_loadu_ps(p));
#else
        F64 v;
        for (int i = 0; i < kLanes<double>; ++i) v[i] = p[i];
        return v;
#endif
    }
}
template <class S> CROSSENT_INLINE F64 load_double(const S* p, int n) {
    if (n == kLanes<double>) return load_double(p);
    F64 v{};
    for (int i = 0; i < n; ++i) v[i] = double(p[i]);
    return v;
}
// n doubles, 0 <= n <= lanes, the others 0.
CROSSENT_INLINE F64 load_first(const double* p, int n) { return load_lanes<double>(p, n, 0.0); }

CROSSENT_INLINE double lane_total(F64 v) {
    double total = v[0];
    for (int i = 1; i < kLanes<double>; ++i) total += v[i];
    return total;
}

// How many rows and outputs share a pass over the columns: as many sums as registers hold.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kTileRows = 4, kTileOutputs = 5, kTileVectors = 4;
#else
constexpr int kTileRows = 2, kTileOutputs = 4, kTileVectors = 2;
#endif

template <class S, int R, int C> CROSSENT_INLINE void logits_tile(const LinearRowsJob& job, int64_t row, int64_t output) {
    constexpr int L = kLanes<double>;
    const int64_t D = job.columns, K = job.outputs;
    const S* x = static_cast<const S*>(job.rows) + row * job.stride;
    const double* w = job.coef + output * D;
    F64 sum[R][C] = {};
    const auto step = [&](int64_t d, int n) __attribute__((always_inline)) {
        F64 v[R];
        CROSSENT_UNROLL for (int r = 0; r < R; ++r) v[r] = load_double<S>(x + r * job.stride + d, n);
        if (job.center) {
            const F64 c = load_first(job.center + d, n);
            CROSSENT_UNROLL for (int r = 0; r < R; ++r) v[r] -= c;
        }
        CROSSENT_UNROLL for (int c = 0; c < C; ++c) {
            const F64 u = load_first(w + c * D + d, n);
            CROSSENT_UNROLL for (int r = 0; r < R; ++r) sum[r][c] = mul_add(v[r], u, sum[r][c]);
        }
    };
    int64_t d = 0;
    for (; d + L <= D; d += L) step(d, L);
    if (d < D) step(d, int(D - d));
    double* out = job.logits + row * K + output;
    CROSSENT_UNROLL for (int r = 0; r < R; ++r) {
        CROSSENT_UNROLL for (int c = 0; c < C; ++c) out[r * K + c] = lane_total(sum[r][c]) + job.intercept[output + c];
    }
}

template <class S, int R> CROSSENT_INLINE void logits_of_rows(const LinearRowsJob& job, int64_t row) {
    int64_t k = 0;
    for (; k + kTileOutputs <= job.outputs; k += kTileOutputs) logits_tile<S, R, kTileOutputs>(job, row, k);
    if constexpr (kTileOutputs > 4) {
        if (k + 4 <= job.outputs) logits_tile<S, R, 4>(job, row, k), k += 4;
    }
    switch (job.outputs - k) {
        case 3: return logits_tile<S, R, 3>(job, row, k);
        case 2: return logits_tile<S, R, 2>(job, row, k);
        case 1: return logits_tile<S, R, 1>(job, row, k);
    }
}

// logits [rows, K] = (x - center) coef^T + intercept.
template <class S> CROSSENT_INLINE void run_linear_logits(const LinearRowsJob& job) {
    int64_t i = 0;
    if (job.outputs == 1) {
        for (; i + 2 * kTileRows <= job.count; i += 2 * kTileRows) logits_tile<S, 2 * kTileRows, 1>(job, i, 0);
    }
    for (; i + kTileRows <= job.count; i += kTileRows) logits_of_rows<S, kTileRows>(job, i);
    for (; i < job.count; ++i) logits_of_rows<S, 1>(job, i);
}

// Rows first .. end, outputs k .. k + C, columns d .. d + V vectors (the last n columns of one vector where V is 1).
template <class S, int C, int V>
CROSSENT_INLINE void sums_tile(const LinearRowsJob& job, int64_t first, int64_t end, int64_t k, int64_t d, int n) {
    constexpr int L = kLanes<double>;
    double* out = job.sums + k * job.columns + d;
    F64 sum[C][V], center[V];
    CROSSENT_UNROLL for (int v = 0; v < V; ++v) {
        center[v] = job.center ? load_first(job.center + d + v * L, n) : F64{};
        CROSSENT_UNROLL for (int c = 0; c < C; ++c) sum[c][v] = load_first(out + c * job.columns + v * L, n);
    }
    const S* x = static_cast<const S*>(job.rows) + d;
    for (int64_t i = first; i < end; ++i) {
        const double* g = job.slopes + i * job.outputs + k;
        CROSSENT_UNROLL for (int v = 0; v < V; ++v) {
            const F64 u = load_double<S>(x + i * job.stride + v * L, n) - center[v];
            CROSSENT_UNROLL for (int c = 0; c < C; ++c) sum[c][v] = mul_add(splat<F64>(g[c]), u, sum[c][v]);
        }
    }
    CROSSENT_UNROLL for (int v = 0; v < V; ++v) {
        CROSSENT_UNROLL for (int c = 0; c < C; ++c) store_lanes<double>(out + c * job.columns + v * L, n, sum[c][v]);
    }
}

template <class S, int V>
CROSSENT_INLINE void sums_of_columns(const LinearRowsJob& job, int64_t first, int64_t end, int64_t d, int n) {
    int64_t k = 0;
    for (; k + kTileOutputs <= job.outputs; k += kTileOutputs) sums_tile<S, kTileOutputs, V>(job, first, end, k, d, n);
    if constexpr (kTileOutputs > 4) {
        if (k + 4 <= job.outputs) sums_tile<S, 4, V>(job, first, end, k, d, n), k += 4;
    }
    switch (job.outputs - k) {
        case 3: return sums_tile<S, 3, V>(job, first, end, k, d, n);
        case 2: return sums_tile<S, 2, V>(job, first, end, k, d, n);
        case 1: return sums_tile<S, 1, V>(job, first, end, k, d, n);
    }
}

constexpr int64_t kSumRows = 64;  // rows walked for one group of columns: their pages fit the first level of the TLB

// sums [K, D] += slopes^T (x - center).
template <class S> CROSSENT_INLINE void run_linear_sums(const LinearRowsJob& job) {
    constexpr int L = kLanes<double>, V = kTileVectors;
    for (int64_t first = 0; first < job.count; first += kSumRows) {
        const int64_t end = first + kSumRows < job.count ? first + kSumRows : job.count;
        int64_t d = 0;
        for (; d + V * L <= job.columns; d += V * L) sums_of_columns<S, V>(job, first, end, d, L);
        for (; d + L <= job.columns; d += L) sums_of_columns<S, 1>(job, first, end, d, L);
        if (d < job.columns) sums_of_columns<S, 1>(job, first, end, d, int(job.columns - d));
    }
}

// Five numbers for each column: sum of w (x - shift), of w (x - shift)^2, lowest, highest, and 0 or NaN for one that is
// not finite. [5, D].
template <class S> CROSSENT_INLINE void run_column_moments(const MomentsJob& job) {
    constexpr int L = kLanes<double>;
    for (int64_t first = 0; first < job.count; first += kSumRows) {
        const int64_t end = first + kSumRows < job.count ? first + kSumRows : job.count;
        for (int64_t d = 0; d < job.columns; d += L) {
            const int n = job.columns - d < L ? int(job.columns - d) : L;
            double* out = job.moments + d;
            F64 m[5];
            CROSSENT_UNROLL for (int j = 0; j < 5; ++j) m[j] = load_first(out + j * job.columns, n);
            const F64 shift = load_first(job.shift + d, n);
            const S* x = static_cast<const S*>(job.rows) + d;
            for (int64_t i = first; i < end; ++i) {
                const F64 v = load_double<S>(x + i * job.stride, n), u = v - shift;
                const F64 w = job.weight ? u * splat<F64>(job.weight[i]) : u;
                m[0] += w;
                m[1] = mul_add(w, u, m[1]);
                m[2] = v < m[2] ? v : m[2];
                m[3] = v > m[3] ? v : m[3];
                m[4] += v - v;
            }
            CROSSENT_UNROLL for (int j = 0; j < 5; ++j) store_lanes<double>(out + j * job.columns, n, m[j]);
        }
    }
}

}  // namespace
