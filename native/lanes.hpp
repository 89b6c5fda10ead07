// A vector of T in every width: load, store, explicit mul_add, exact errors of sums. GCC and clang vector extensions.
//
// Everything lives in an unnamed namespace and is always inlined: this header is compiled once per instruction set,
// and no body made for one of them may serve another. CROSSENT_LANE_BYTES is the register width of that set.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define CROSSENT_INLINE inline __attribute__((always_inline))
#define CROSSENT_UNROLL _Pragma("GCC unroll 16")

#ifndef CROSSENT_LANE_BYTES
#define CROSSENT_LANE_BYTES 16
#endif

namespace {

template <class T> struct LaneTypes;
template <> struct LaneTypes<float> {
    typedef float Vec __attribute__((vector_size(CROSSENT_LANE_BYTES)));
    typedef uint32_t Bits __attribute__((vector_size(CROSSENT_LANE_BYTES)));
    typedef int32_t Mask __attribute__((vector_size(CROSSENT_LANE_BYTES)));
    typedef float Loose __attribute__((vector_size(CROSSENT_LANE_BYTES), aligned(4), may_alias));
};
template <> struct LaneTypes<double> {
    typedef double Vec __attribute__((vector_size(CROSSENT_LANE_BYTES)));
    typedef uint64_t Bits __attribute__((vector_size(CROSSENT_LANE_BYTES)));
    typedef int64_t Mask __attribute__((vector_size(CROSSENT_LANE_BYTES)));
    typedef double Loose __attribute__((vector_size(CROSSENT_LANE_BYTES), aligned(8), may_alias));
};

template <class T> using Vec = typename LaneTypes<T>::Vec;
using F32 = Vec<float>;
using F64 = Vec<double>;
typedef float HalfF32 __attribute__((vector_size(CROSSENT_LANE_BYTES / 2)));

template <class T> constexpr int kLanes = CROSSENT_LANE_BYTES / int(sizeof(T));

// What a formula needs to know of the type that it is written for: a scalar or a vector of it.
template <class V> struct Number;
template <> struct Number<float> {
    using Scalar = float;
    using Bits = uint32_t;
};
template <> struct Number<double> {
    using Scalar = double;
    using Bits = uint64_t;
};
template <> struct Number<F32> {
    using Scalar = float;
    using Bits = LaneTypes<float>::Bits;
};
template <> struct Number<F64> {
    using Scalar = double;
    using Bits = LaneTypes<double>::Bits;
};

template <class V> CROSSENT_INLINE typename Number<V>::Bits bits_of(V v) {
    return __builtin_bit_cast(typename Number<V>::Bits, v);
}
template <class V> CROSSENT_INLINE V from_bits(typename Number<V>::Bits b) { return __builtin_bit_cast(V, b); }

// A constant in every lane, or the scalar itself.
template <class V> CROSSENT_INLINE V splat(typename Number<V>::Scalar x) {
    if constexpr (sizeof(V) == sizeof(x)) {
        return x;
    } else {
        V v;
        for (unsigned i = 0; i < sizeof(V) / sizeof(x); ++i) v[i] = x;
        return v;
    }
}

template <class T> CROSSENT_INLINE Vec<T> load(const T* p) {
    return *reinterpret_cast<const typename LaneTypes<T>::Loose*>(p);
}
template <class T> CROSSENT_INLINE void store(T* p, Vec<T> v) {
    *reinterpret_cast<typename LaneTypes<T>::Loose*>(p) = v;
}

// The first n lanes only, 0 <= n < W; the others read as `pad`.
template <class T> CROSSENT_INLINE Vec<T> load_some(const T* p, int n, T pad) {
    Vec<T> v = splat<Vec<T>>(pad);
#if defined(__AVX512VL__)
    if constexpr (sizeof(T) == 4) v = _mm512_mask_loadu_ps(v, __mmask16((1u << n) - 1), p);
    else v = _mm512_mask_loadu_pd(v, __mmask8((1u << n) - 1), p);
#else
    for (int i = 0; i < n; ++i) v[i] = p[i];
#endif
    return v;
}
template <class T> CROSSENT_INLINE void store_some(T* p, int n, Vec<T> v) {
#if defined(__AVX512VL__)
    if constexpr (sizeof(T) == 4) _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), v);
    else _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), v);
#else
    for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}
template <class T> CROSSENT_INLINE Vec<T> load_lanes(const T* p, int n, T pad) {
    return n == kLanes<T> ? load(p) : load_some(p, n, pad);
}
template <class T> CROSSENT_INLINE void store_lanes(T* p, int n, Vec<T> v) {
    if (n == kLanes<T>) store(p, v);
    else store_some(p, n, v);
}

// a * b + c with one rounding where the instruction set has it, with two elsewhere. Error bounds hold for both.
template <class V> CROSSENT_INLINE V mul_add(V a, V b, V c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    if constexpr (sizeof(V) == 4) {
        return __builtin_fmaf(a, b, c);
    } else if constexpr (sizeof(V) == 8) {
        return __builtin_fma(a, b, c);
    } else {
        using S = typename Number<V>::Scalar;
        V r;
        CROSSENT_UNROLL for (unsigned i = 0; i < sizeof(V) / sizeof(S); ++i) {
            if constexpr (sizeof(S) == 4) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
            else r[i] = __builtin_fma(a[i], b[i], c[i]);
        }
        return r;
    }
#else
    return a * b + c;
#endif
}

// The exact rounding error of s = a + b (Knuth; no assumption on the sizes). NaN when s overflows.
template <class V> CROSSENT_INLINE V sum_error(V a, V b, V s) {
    const V bb = s - a;
    return (a - (s - bb)) + (b - bb);
}

// The two halves of a float vector as double vectors.
CROSSENT_INLINE void widen(F32 v, F64& low, F64& high) {
    struct Halves {
        HalfF32 low, high;
    };
    const Halves h = __builtin_bit_cast(Halves, v);
    low = __builtin_convertvector(h.low, F64);
    high = __builtin_convertvector(h.high, F64);
}

// A vector of T as doubles: one vector or two.
template <class T> constexpr int kParts = sizeof(T) == 4 ? 2 : 1;
template <class T> struct Wide {
    F64 part[kParts<T>];
};
template <class T> CROSSENT_INLINE Wide<T> to_wide(Vec<T> v) {
    Wide<T> w;
    if constexpr (sizeof(T) == 4) widen(v, w.part[0], w.part[1]);
    else w.part[0] = v;
    return w;
}
// Rounded to T.
template <class T> CROSSENT_INLINE Vec<T> to_narrow(const Wide<T>& w) {
    if constexpr (sizeof(T) == 4) {
        struct Halves {
            HalfF32 low, high;
        };
        return __builtin_bit_cast(F32, Halves{__builtin_convertvector(w.part[0], HalfF32),
                                              __builtin_convertvector(w.part[1], HalfF32)});
    } else {
        return w.part[0];
    }
}
template <class T> CROSSENT_INLINE Wide<T> load_wide(const double* p) {
    Wide<T> w;
    CROSSENT_UNROLL for (int i = 0; i < kParts<T>; ++i) w.part[i] = load(p + i * kLanes<double>);
    return w;
}
template <class T> CROSSENT_INLINE void store_wide(double* p, const Wide<T>& w) {
    CROSSENT_UNROLL for (int i = 0; i < kParts<T>; ++i) store(p + i * kLanes<double>, w.part[i]);
}
// f of each part's number: the way to write a formula over Wide.
template <class T, class F> CROSSENT_INLINE Wide<T> each(F f) {
    Wide<T> w;
    CROSSENT_UNROLL for (int i = 0; i < kParts<T>; ++i) w.part[i] = f(i);
    return w;
}
#define CROSSENT_PART [&](int p) __attribute__((always_inline))

template <class T> CROSSENT_INLINE T largest(Vec<T> v) {
    T m = v[0];
    for (int i = 1; i < kLanes<T>; ++i) m = v[i] > m ? v[i] : m;
    return m;
}

// True in any lane. Masks are 0 or -1 in each lane.
template <class M> CROSSENT_INLINE bool any_of(M mask) {
    bool any = false;
    for (unsigned i = 0; i < sizeof(M) / sizeof(mask[0]); ++i) any |= mask[i] != 0;
    return any;
}

// 0, 1, 2, ... as numbers of T.
template <class T> CROSSENT_INLINE Vec<T> lane_numbers() {
    Vec<T> v;
    for (int i = 0; i < kLanes<T>; ++i) v[i] = T(i);
    return v;
}

}  // namespace
