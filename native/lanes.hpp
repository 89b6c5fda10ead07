// A vector of T in every width: masks, conversions, explicit mul_add, exact errors of sums. GCC and clang vector extensions.
//
// Everything lives in an unnamed namespace and is always inlined: this header is compiled once per instruction set,
// and no body made for one of them may serve another. CROSSENT_LANE_BYTES is the register width of that set.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Vectors pass between inlined functions only: what they look like in a call depends on the instruction set. Under
// AddressSanitizer, where a kernel in one piece takes GCC a quarter of an hour, the pieces stay functions of one object.
#if defined(__SANITIZE_ADDRESS__)
#define CROSSENT_INLINE inline __attribute__((unused))
#else
#define CROSSENT_INLINE inline __attribute__((always_inline))
#endif
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

// What is stored in 16 bits is computed in float: bfloat16, and IEEE half precision.
struct Bf16 {
    uint16_t bits;
};
struct F16 {
    uint16_t bits;
};
template <class S> struct Stored {
    using T = S;
};
template <> struct Stored<Bf16> {
    using T = float;
};
template <> struct Stored<F16> {
    using T = float;
};
template <class S> using Of = typename Stored<S>::T;  // the type of the arithmetic

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
        return x - V{};  // one broadcast, for -0 and NaN too
    }
}

// a * b + c with one rounding where the instruction set has it, with two elsewhere. Error bounds hold for both.
// Intrinsics on x86: GCC takes long to put lanes together again and does not always, and a sanitizer looks at each.
template <class V> CROSSENT_INLINE V mul_add(V a, V b, V c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    if constexpr (sizeof(V) == 4) {
        return __builtin_fmaf(a, b, c);
    } else if constexpr (sizeof(V) == 8) {
        return __builtin_fma(a, b, c);
#if defined(__AVX512F__)
    } else if constexpr (__is_same(V, F32)) {
        return _mm512_fmadd_ps(a, b, c);
    } else if constexpr (__is_same(V, F64)) {
        return _mm512_fmadd_pd(a, b, c);
#elif defined(__FMA__)
    } else if constexpr (__is_same(V, F32)) {
        return _mm256_fmadd_ps(a, b, c);
    } else if constexpr (__is_same(V, F64)) {
        return _mm256_fmadd_pd(a, b, c);
#endif
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

// The two halves of a float vector as double vectors. GCC converts whole vectors by quarters, hence the intrinsics.
CROSSENT_INLINE void widen(F32 v, F64& low, F64& high) {
#if defined(__AVX512DQ__)
    low = _mm512_maskz_cvtps_pd(0xff, __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7));  // maskz: plain ones warn
    high = _mm512_maskz_cvtps_pd(0xff, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
#elif defined(__AVX__)
    low = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
    high = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
#elif defined(__SSE2__)
    low = _mm_cvtps_pd(v);
    high = _mm_cvtps_pd(_mm_movehl_ps(v, v));
#else
    struct Halves {
        HalfF32 low, high;
    };
    const Halves h = __builtin_bit_cast(Halves, v);
    low = __builtin_convertvector(h.low, F64);
    high = __builtin_convertvector(h.high, F64);
#endif
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
// f of each part's number: the way to write a formula over Wide.
template <class T, class F> CROSSENT_INLINE Wide<T> each(F f) {
    Wide<T> w;
    CROSSENT_UNROLL for (int i = 0; i < kParts<T>; ++i) w.part[i] = f(i);
    return w;
}
#define CROSSENT_PART [&](int p) __attribute__((always_inline))

// True if any bit of any lane is set (masks are 0 or -1 in each lane): one test and one branch.
template <class M> CROSSENT_INLINE bool any_of(M mask) {
#if defined(__AVX512F__)
    const __m512i v = __builtin_bit_cast(__m512i, mask);
    return _mm512_test_epi64_mask(v, v) != 0;
#elif defined(__AVX__)
    const __m256i v = __builtin_bit_cast(__m256i, mask);
    return !_mm256_testz_si256(v, v);
#elif defined(__SSE4_1__)
    const __m128i v = __builtin_bit_cast(__m128i, mask);
    return !_mm_testz_si128(v, v);
#else
    bool any = false;
    for (unsigned i = 0; i < sizeof(M) / sizeof(mask[0]); ++i) any |= mask[i] != 0;
    return any;
#endif
}

// 0, 1, 2, ... as numbers of T.
template <class T> CROSSENT_INLINE Vec<T> lane_numbers() {
    Vec<T> v;
    for (int i = 0; i < kLanes<T>; ++i) v[i] = T(i);
    return v;
}

// Keeps N chains of operations in step: all of them reach this point before any goes on. No instruction: without it
// GCC writes one chain after the other, and a processor's window of waiting instructions holds only two or three.
template <class V, int N> CROSSENT_INLINE void in_step(V (&a)[N]) {
#if defined(__AVX512F__)
    if constexpr (N == 4 && sizeof(V) >= 16) asm("" : "+v"(a[0]), "+v"(a[1]), "+v"(a[2]), "+v"(a[3]));
#elif defined(__x86_64__)
    if constexpr (N == 4 && sizeof(V) >= 16) asm("" : "+x"(a[0]), "+x"(a[1]), "+x"(a[2]), "+x"(a[3]));
#elif defined(__aarch64__)
    if constexpr (N == 4 && sizeof(V) >= 16) asm("" : "+w"(a[0]), "+w"(a[1]), "+w"(a[2]), "+w"(a[3]));
#else
    (void)a;
#endif
}

// Unsigned integers below 2^31 (as wide as the numbers) as numbers.
template <class V> CROSSENT_INLINE V as_numbers(typename Number<V>::Bits n) {
    typedef int32_t Signed __attribute__((vector_size(sizeof(V))));
    if constexpr (sizeof(V) == sizeof(float)) return V(n);
    else return __builtin_convertvector(__builtin_bit_cast(Signed, n), V);
}

}  // namespace
