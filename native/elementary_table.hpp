// The functions of elementary.hpp by name: tests ask them for every float there is.
#pragma once

#include "elementary.hpp"
#include "kernels.hpp"
#include "memory.hpp"
#include "transform.hpp"

namespace {

// x and e in, one number out; e is 0 where a function has no use for it.
struct ExpOrZero {
    template <class V> static CROSSENT_INLINE V of(V x, V e) { return exp_or_zero<V>(x, e); }
};
struct ExpScaled {
    template <class V> static CROSSENT_INLINE V of(V x, V e) { return exp_scaled<V>(x, e, splat<V>(1)); }
};
struct Log1pPair {
    template <class V> static CROSSENT_INLINE V of(V x, V e) { return log1p_pair<V>(x, e); }
};
struct LogNormal {
    template <class V> static CROSSENT_INLINE V of(V x, V) { return log_normal<V>(x); }
};
struct ExpNormal {
    template <class V> static CROSSENT_INLINE V of(V x, V) {
        const V d[1] = {x};
        V r[1];
        exp_normal<V, 1>(d, r);
        return r[0];
    }
};
struct Log1pUnit {
    template <class V> static CROSSENT_INLINE V of(V x, V) { return log1p_unit<V>(x); }
};
struct Log1pShort {
    template <class V> static CROSSENT_INLINE V of(V x, V e) { return log1p_short<V>(x, e); }
};
struct MinusLogBelow {
    template <class V> static CROSSENT_INLINE V of(V x, V) { return minus_log_below<V>(x); }
};
struct SplitRest {
    template <class V> static CROSSENT_INLINE V of(V x, V) {
        V u, k, f, c;
        split_rest<V>(x, u, k, f, c);
        return splat<V>(0) - log_assembled(k, f, c);
    }
};

// log(x) - e for e next to log(x), 1e-300 < x <= 1: what rounding the logarithm lost. Newton's step, exp as a pair.
struct LogRest {
    template <class V> static CROSSENT_INLINE V of(V x, V e) {
        const Twin<V> ratio = divide(twin(x), exp_twin(twin(e)));
        return (ratio.high - splat<V>(1)) + ratio.low;
    }
};

template <class T, class F> void by_lanes(int64_t n, const T* x, const T* e, T* out) {
    constexpr int W = kLanes<T>;
    for (int64_t i = 0; i < n; i += W) {
        const int count = n - i < W ? int(n - i) : W;
        const Vec<T> a = load_lanes(x + i, count, T(0)), b = load_lanes(e + i, count, T(0));
        store_lanes(out + i, count, F::template of<Vec<T>>(a, b));
    }
}
template <class T, class F> void one_by_one(int64_t n, const T* x, const T* e, T* out) {
    for (int64_t i = 0; i < n; ++i) out[i] = F::template of<T>(x[i], e[i]);
}

template <class F> constexpr Elementary of_both(const char* name) {
    return {name, {by_lanes<float, F>, one_by_one<float, F>}, {by_lanes<double, F>, one_by_one<double, F>}};
}
template <class F> constexpr Elementary of_double(const char* name) {
    return {name, {nullptr, nullptr}, {by_lanes<double, F>, one_by_one<double, F>}};
}

constexpr Elementary kElementary[] = {
    of_both<ExpOrZero>("exp_or_zero"),
    of_both<ExpScaled>("exp_scaled"),
    of_double<Log1pPair>("log1p_pair"),
    of_double<LogNormal>("log_normal"),
    of_both<ExpNormal>("exp_normal"),
    of_both<Log1pUnit>("log1p_unit"),
    of_both<Log1pShort>("log1p_short"),
    of_double<MinusLogBelow>("minus_log_below"),
    of_double<SplitRest>("split_rest"),
    of_double<LogRest>("log_rest"),
};

}  // namespace
