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
        V v;
        for (unsigned i = 0; i < sizeof(V) / sizeof(x); ++i) v[i] = x;
        return v;
    }
}

typedef uint32_t Wide16 __attribute__((vector_size(CROSSENT_LANE_BYTES)));          // 16 bits in the low half of each lane
typedef uint16_t Narrow16 __attribute__((vector_size(CROSSENT_LANE_BYTES / 2)));
typedef uint16_t Loose16 __attribute__((vector_size(CROSSENT_LANE_BYTES / 2), aligned(2), may_alias));

// Exact. Half precision: the exponent is moved by a multiplication, which normalises subnormal numbers too.
template <class S> CROSSENT_INLINE F32 from_16(Wide16 h) {
    if constexpr (__is_same(S, Bf16)) return from_bits<F32>(h << 16);
#if defined(__AVX512F__)
    return _mm512_cvtph_ps(__builtin_bit_cast(__m256i, __builtin_convertvector(h, Narrow16)));
#elif defined(__F16C__)
    return _mm256_cvtph_ps(__builtin_bit_cast(__m128i, __builtin_convertvector(h, Narrow16)));
#else
    const F32 size = from_bits<F32>((h & 0x7fff) << 13) * splat<F32>(0x1p112f);
    const Wide16 special = size >= splat<F32>(65536.0f) ? bits_of(size) | 0x7f800000u : bits_of(size);
    return from_bits<F32>(special | (h & 0x8000) << 16);
#endif
}

// Rounded to nearest, ties to even; NaN stays NaN, what is too large becomes infinite.
template <class S> CROSSENT_INLINE Wide16 to_16(F32 v) {
    const Wide16 u = bits_of(v);
    if constexpr (__is_same(S, Bf16)) {
        const Wide16 rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
        return v == v ? rounded : (u >> 16) | 0x40;
    }
#if defined(__AVX512F__)
    return __builtin_convertvector(__builtin_bit_cast(Narrow16, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT)), Wide16);
#elif defined(__F16C__)
    return __builtin_convertvector(__builtin_bit_cast(Narrow16, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT)), Wide16);
#else
    const Wide16 size = u & 0x7fffffffu, sign = (u >> 16) & 0x8000;
    const Wide16 normal = (size + 0xc8000fffu + ((size >> 13) & 1)) >> 13;  // the exponent's bias falls by 112
    const Wide16 small = bits_of(from_bits<F32>(size) + splat<F32>(0.5f)) - bits_of(splat<F32>(0.5f));
    const Wide16 finite = size < 0x38800000u ? small : normal;
    const Wide16 large = size > 0x7f800000u ? Wide16{} + 0x7e00 : Wide16{} + 0x7c00;
    return sign | (size < 0x477ff000u ? finite : large);
#endif
}

// A vector of the arithmetic's type from memory, and back: S is what lies there.
template <class S> CROSSENT_INLINE Vec<Of<S>> load(const S* p) {
    if constexpr (sizeof(S) == 2) {
        return from_16<S>(__builtin_convertvector(*reinterpret_cast<const Loose16*>(p), Wide16));
    } else {
        return *reinterpret_cast<const typename LaneTypes<S>::Loose*>(p);
    }
}
template <class S> CROSSENT_INLINE void store(S* p, Vec<Of<S>> v) {
    if constexpr (sizeof(S) == 2) *reinterpret_cast<Loose16*>(p) = __builtin_convertvector(to_16<S>(v), Narrow16);
    else *reinterpret_cast<typename LaneTypes<S>::Loose*>(p) = v;
}

// One number; the same conversions.
template <class S> CROSSENT_INLINE Of<S> load_one(S x) {
    if constexpr (sizeof(S) == 2) return from_16<S>(Wide16{x.bits})[0];
    else return x;
}
template <class S> CROSSENT_INLINE S store_one(Of<S> x) {
    if constexpr (sizeof(S) == 2) return S{uint16_t(to_16<S>(F32{x})[0])};
    else return x;
}

// The first n lanes only, 0 <= n < W; the others read as `pad`.
template <class S> CROSSENT_INLINE Vec<Of<S>> load_some(const S* p, int n, Of<S> pad) {
    Vec<Of<S>> v = splat<Vec<Of<S>>>(pad);
#if defined(__AVX512VL__)
    if constexpr (sizeof(S) == 2) {
        const __mmask16 mask = __mmask16((1u << n) - 1);
        const Narrow16 h = __builtin_bit_cast(Narrow16, _mm256_maskz_loadu_epi16(mask, p));
        v = _mm512_mask_mov_ps(v, mask, from_16<S>(__builtin_convertvector(h, Wide16)));
    } else if constexpr (sizeof(S) == 4) {
        v = _mm512_mask_loadu_ps(v, __mmask16((1u << n) - 1), p);
    } else {
        v = _mm512_mask_loadu_pd(v, __mmask8((1u << n) - 1), p);
    }
#else
    for (int i = 0; i < n; ++i) v[i] = load_one<S>(p[i]);
#endif
    return v;
}
template <class S> CROSSENT_INLINE void store_some(S* p, int n, Vec<Of<S>> v) {
#if defined(__AVX512VL__)
    if constexpr (sizeof(S) == 2) {
        const Narrow16 h = __builtin_convertvector(to_16<S>(v), Narrow16);
        _mm256_mask_storeu_epi16(p, __mmask16((1u << n) - 1), __builtin_bit_cast(__m256i, h));
    } else if constexpr (sizeof(S) == 4) {
        _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), v);
    } else {
        _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), v);
    }
#else
    for (int i = 0; i < n; ++i) p[i] = store_one<S>(v[i]);
#endif
}
template <class S> CROSSENT_INLINE Vec<Of<S>> load_lanes(const S* p, int n, Of<S> pad) {
    return n == kLanes<Of<S>> ? load(p) : load_some(p, n, pad);
}
template <class S> CROSSENT_INLINE void store_lanes(S* p, int n, Vec<Of<S>> v) {
    if (n == kLanes<Of<S>>) store(p, v);
    else store_some(p, n, v);
}

// Past the caches, to memory that nobody reads soon. p is aligned to the stored vector; `end_stream` orders it.
template <class S> CROSSENT_INLINE void stream(S* p, Vec<Of<S>> v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(S) == 2) {
        const Narrow16 h = __builtin_convertvector(to_16<S>(v), Narrow16);
        _mm256_stream_si256(reinterpret_cast<__m256i*>(p), __builtin_bit_cast(__m256i, h));
    } else if constexpr (sizeof(S) == 4) {
        _mm512_stream_ps(p, v);
    } else {
        _mm512_stream_pd(p, v);
    }
#elif defined(__AVX__)
    if constexpr (sizeof(S) == 4) _mm256_stream_ps(p, v);
    else if constexpr (sizeof(S) == 8) _mm256_stream_pd(p, v);
    else store(p, v);
#elif defined(__SSE2__)
    if constexpr (sizeof(S) == 4) _mm_stream_ps(p, v);
    else if constexpr (sizeof(S) == 8) _mm_stream_pd(p, v);
    else store(p, v);
#else
    store(p, v);
#endif
}
CROSSENT_INLINE void end_stream() {
#if defined(__x86_64__)
    _mm_sfence();
#endif
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

// any_of in one instruction, where there is one.
template <class M> CROSSENT_INLINE bool any_lane(M mask) {
#if defined(__AVX512F__)
    return _mm512_test_epi32_mask(__builtin_bit_cast(__m512i, mask), __builtin_bit_cast(__m512i, mask)) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_epi8(__builtin_bit_cast(__m256i, mask)) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_epi8(__builtin_bit_cast(__m128i, mask)) != 0;
#else
    return any_of(mask);
#endif
}

// Unsigned integers below 2^31 (as wide as the numbers) as numbers.
template <class V> CROSSENT_INLINE V as_numbers(typename Number<V>::Bits n) {
    typedef int32_t Signed __attribute__((vector_size(sizeof(V))));
    if constexpr (sizeof(V) == sizeof(float)) return V(n);
    else return __builtin_convertvector(__builtin_bit_cast(Signed, n), V);
}

}  // namespace
