// Many short rows at once, or rows whose classes lie on an inner axis: a lane is a row, a step is a class.
//
// A tile is up to W rows; class k of lane i lies at z[k * stride + i]. Rows of the last axis are staged into that
// layout. A lane never sees its neighbours, so a row's bits do not depend on its place.
#pragma once

#include "softmax_plan.hpp"

namespace {

constexpr int64_t kTileClasses = 32;  // rows of at most this many classes are staged into tiles

template <class T> struct Tile {
    const T* z;
    int64_t stride;
    int n;  // rows in use
    CROSSENT_INLINE Vec<T> column(int64_t k) const { return load_lanes(z + k * stride, n, T(0)); }
};

// log1p(r) for all lanes at once.
template <class T> CROSSENT_INLINE void log1p_lanes(Row* rows) {
    for (int i = 0; i < kLanes<T>; i += kLanes<double>) {
        F64 high, low;
        for (int l = 0; l < kLanes<double>; ++l) {
            high[l] = rows[i + l].r.high;
            low[l] = rows[i + l].r.low;
        }
        const F64 value = log1p_pair<F64>(high, low);
        for (int l = 0; l < kLanes<double>; ++l) rows[i + l].log1p_r = value[l];
    }
}

// Maximum, index, r and log1p(r) of every lane.
template <class T> CROSSENT_INLINE void reduce_tile(const Tile<T>& tile, int64_t K, Row* rows) {
    using Mask = typename LaneTypes<T>::Mask;
    Vec<T> m = splat<Vec<T>>(T(-kInfinity));
    Mask a{}, k_lanes{};
    for (int64_t k = 0; k < K; ++k, k_lanes += 1) {
        const Vec<T> z = tile.column(k);
        const Mask larger = z > m;
        m = larger ? z : m;
        a = larger ? k_lanes : a;
    }
    TermSum<T> sum;
    k_lanes = Mask{};
    const Vec<T> minus_m = -m;
    for (int64_t k = 0; k < K; ++k, k_lanes += 1) {
        const Vec<T> z = tile.column(k), d = z + minus_m;
        const Vec<T> x = exp_or_zero<Vec<T>>(d, sum_error(z, minus_m, d));
        sum.add(k_lanes == a ? splat<Vec<T>>(0) : x);
    }
    sum.flush();
    for (int i = 0; i < kLanes<T>; ++i) {
        rows[i].m = double(m[i]);
        rows[i].a = a[i];
        rows[i].r = sum.lane(i);
    }
    log1p_lanes<T>(rows);
    for (int i = 0; i < tile.n; ++i) {
        if (!(rows[i].r.value() >= Confident<T>::kLimit)) finish_extreme(tile.z + i, K, tile.stride, rows[i]);
    }
}

// Dense targets of a tile: as DenseTargets, with a factor for each lane.
template <class T> struct DenseTile {
    Tile<T> q;  // q.z null: uniform only
    const T* class_weight;
    Vec<T> keep;
    T uniform;
    CROSSENT_INLINE Vec<T> raw(int64_t k) const { return q.z ? q.column(k) : splat<Vec<T>>(0); }
    CROSSENT_INLINE Vec<T> weigh(int64_t k, Vec<T> q_) const {
        const Vec<T> plain = mul_add(keep, q_, splat<Vec<T>>(uniform));
        return class_weight ? splat<Vec<T>>(class_weight[k]) * plain : plain;
    }
};

// Fills linear, q_others, q_max, q_sum, mass of every lane; raw gets the sums of the targets as given.
template <class T>
CROSSENT_INLINE void dense_tile(const Tile<T>& tile, int64_t K, const DenseTile<T>& dense, Row* rows, RawSums* raw) {
    using Mask = typename LaneTypes<T>::Mask;
    const Vec<T> zero = splat<Vec<T>>(0);
    Vec<T> m = zero, q_max = zero;
    Mask a{}, k_lanes{}, invalid{};
    for (int i = 0; i < kLanes<T>; ++i) {
        m[i] = T(rows[i].m);
        a[i] = decltype(a[0] + 0)(rows[i].a);
    }
    TermSum<T> linear, others, plain, mass;
    for (int64_t k = 0; k < K; ++k, k_lanes += 1) {
        const Vec<T> q = dense.raw(k), weight = dense.weigh(k, q);
        const Mask top = k_lanes == a;
        invalid |= (q < zero) | (q != q) | (q == splat<Vec<T>>(T(kInfinity)));
        q_max = top ? weight : q_max;
        const Vec<T> rest = top ? zero : weight;
        others.add(rest);
        linear.add(rest > zero ? rest * (m - tile.column(k)) : zero);
        plain.add(q);
        mass.add(dense.class_weight ? splat<Vec<T>>(dense.class_weight[k]) * q : q);
    }
    linear.flush();
    others.flush();
    plain.flush();
    mass.flush();
    for (int i = 0; i < kLanes<T>; ++i) {
        rows[i].q_max = double(q_max[i]);
        const double inf_safe = linear.lane(i).high - linear.lane(i).high;
        rows[i].linear = inf_safe == 0 ? linear.lane(i).value() : linear.lane(i).high;
        rows[i].q_others = others.lane(i).value();
        rows[i].q_sum = rows[i].q_others + rows[i].q_max;
        rows[i].mass = mass.lane(i).value();
        raw[i].sum = plain.lane(i).value();
        raw[i].valid = invalid[i] == 0;
    }
}

// Gradient (or probabilities), Hessian diagonal and log-probabilities of a tile, before maximum and label are put right.
template <class T> struct TileOutput {
    T *g, *h;
    int64_t stride;
    Vec<T> minus_m, scaled, down, inverse, s, log1p_r;
    typename LaneTypes<T>::Mask left_out;
};

template <class T>
CROSSENT_INLINE void output_tile(const Tile<T>& tile, int64_t K, const TileOutput<T>& out, const DenseTile<T>* dense,
                                 bool log_probs) {
    const Vec<T> zero = splat<Vec<T>>(0);
    for (int64_t k = 0; k < K; ++k) {
        const Vec<T> z = tile.column(k), d = z + out.minus_m, e = sum_error(z, out.minus_m, d);
        Vec<T> g;
        if (log_probs) {
            g = (d - out.log1p_r) + (e == e ? e : zero);
        } else {
            g = exp_scaled<Vec<T>>(d, e, out.scaled);
            if (out.h) {
                const Vec<T> h = g * (out.inverse * (out.s - exp_or_zero<Vec<T>>(d, e)));
                store_lanes(out.h + k * out.stride, tile.n, out.left_out ? zero : h);
            }
            if (dense) g -= out.down * dense->weigh(k, dense->raw(k));
        }
        store_lanes(out.g + k * out.stride, tile.n, out.left_out ? zero : g);
    }
}

}  // namespace
