// A vector of T from memory and back, whatever is stored there: float, double, bfloat16, half precision; a part of a
// vector; past the caches.
#pragma once

#include "lanes.hpp"

namespace {

typedef uint32_t Wide16 __attribute__((vector_size(CROSSENT_LANE_BYTES)));  // 16 bits in the low half of each lane
typedef uint16_t Narrow16 __attribute__((vector_size(CROSSENT_LANE_BYTES / 2)));
typedef uint16_t Loose16 __attribute__((vector_size(CROSSENT_LANE_BYTES / 2), aligned(2), may_alias));

// 16 bits to 32 and back (what fits in 16). GCC converts whole vectors by quarters, hence the intrinsics.
CROSSENT_INLINE Wide16 to_wide16(Narrow16 h) {
#if defined(__AVX512F__)
    return __builtin_bit_cast(Wide16, _mm512_maskz_cvtepu16_epi32(0xffff, __builtin_bit_cast(__m256i, h)));
#elif defined(__AVX2__)
    return __builtin_bit_cast(Wide16, _mm256_cvtepu16_epi32(__builtin_bit_cast(__m128i, h)));
#else
    return __builtin_convertvector(h, Wide16);
#endif
}
CROSSENT_INLINE Narrow16 to_narrow16(Wide16 h) {
#if defined(__AVX512F__)
    return __builtin_bit_cast(Narrow16, _mm512_maskz_cvtepi32_epi16(0xffff, __builtin_bit_cast(__m512i, h)));
#elif defined(__AVX2__)
    const __m256i packed = _mm256_packus_epi32(__builtin_bit_cast(__m256i, h), __builtin_bit_cast(__m256i, h));
    return __builtin_bit_cast(Narrow16, _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
#else
    return __builtin_convertvector(h, Narrow16);
#endif
}

// Exact. Half precision: the exponent is moved by a multiplication, which normalises subnormal numbers too.
template <class S> CROSSENT_INLINE F32 from_16(Narrow16 half) {
    if constexpr (__is_same(S, Bf16)) return from_bits<F32>(to_wide16(half) << 16);
#if defined(__AVX512F__)
    return _mm512_maskz_cvtph_ps(0xffff, __builtin_bit_cast(__m256i, half));
#elif defined(__F16C__)
    return _mm256_cvtph_ps(__builtin_bit_cast(__m128i, half));
#else
    const Wide16 h = to_wide16(half);
    const F32 size = from_bits<F32>((h & 0x7fff) << 13) * splat<F32>(0x1p112f);
    const Wide16 special = size >= splat<F32>(65536.0f) ? bits_of(size) | 0x7f800000u : bits_of(size);
    return from_bits<F32>(special | (h & 0x8000) << 16);
#endif
}

// Rounded to nearest, ties to even; NaN stays NaN, what is too large becomes infinite.
template <class S> CROSSENT_INLINE Narrow16 to_16(F32 v) {
    [[maybe_unused]] const Wide16 u = bits_of(v);
    if constexpr (__is_same(S, Bf16)) {
        const Wide16 rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
        return to_narrow16(v == v ? rounded : (u >> 16) | 0x40);
    }
#if defined(__AVX512F__)
    return __builtin_bit_cast(Narrow16, _mm512_maskz_cvtps_ph(0xffff, v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
    return __builtin_bit_cast(Narrow16, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
#else
    const Wide16 size = u & 0x7fffffffu, sign = (u >> 16) & 0x8000;
    const Wide16 normal = (size + 0xc8000fffu + ((size >> 13) & 1)) >> 13;  // the exponent's bias falls by 112
    const Wide16 small = bits_of(from_bits<F32>(size) + splat<F32>(0.5f)) - bits_of(splat<F32>(0.5f));
    const Wide16 finite = size < 0x38800000u ? small : normal;
    const Wide16 large = size > 0x7f800000u ? Wide16{} + 0x7e00 : Wide16{} + 0x7c00;
    return to_narrow16(sign | (size < 0x477ff000u ? finite : large));
#endif
}

// A vector of the arithmetic's type from memory, and back: S is what lies there.
template <class S> CROSSENT_INLINE Vec<Of<S>> load(const S* p) {
    if constexpr (sizeof(S) == 2) {
        return from_16<S>(*reinterpret_cast<const Loose16*>(p));
    } else {
        return *reinterpret_cast<const typename LaneTypes<S>::Loose*>(p);
    }
}
template <class S> CROSSENT_INLINE void store(S* p, Vec<Of<S>> v) {
    if constexpr (sizeof(S) == 2) *reinterpret_cast<Loose16*>(p) = to_16<S>(v);
    else *reinterpret_cast<typename LaneTypes<S>::Loose*>(p) = v;
}

// One number; the same conversions.
template <class S> CROSSENT_INLINE Of<S> load_one(S x) {
    if constexpr (sizeof(S) == 2) return from_16<S>(Narrow16{x.bits})[0];
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
        v = _mm512_mask_mov_ps(v, mask, from_16<S>(h));
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
        const Narrow16 h = to_16<S>(v);
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
        const Narrow16 h = to_16<S>(v);
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

template <class T> CROSSENT_INLINE Wide<T> load_wide(const double* p) {
    Wide<T> w;
    CROSSENT_UNROLL for (int i = 0; i < kParts<T>; ++i) w.part[i] = load(p + i * kLanes<double>);
    return w;
}
template <class T> CROSSENT_INLINE void store_wide(double* p, const Wide<T>& w) {
    CROSSENT_UNROLL for (int i = 0; i < kParts<T>; ++i) store(p + i * kLanes<double>, w.part[i]);
}

// A vector from memory as doubles: floats by halves, which the processor converts as it loads.
template <class S> CROSSENT_INLINE Wide<Of<S>> load_as_wide(const S* p) {
    if constexpr (__is_same(S, float)) {
#if defined(__AVX512DQ__)
        return {{_mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(p)), _mm512_maskz_cvtps_pd(0xff, _mm256_loadu_ps(p + 8))}};
#elif defined(__AVX__)
        return {{_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p + 4))}};
#endif
    }
    return to_wide<Of<S>>(load(p));
}

// Asks for the n elements that lie 2 KB after p.
template <int n, class S> CROSSENT_INLINE void prefetch(const S* p) {
    const char* ahead = reinterpret_cast<const char*>(p) + 2048;
    CROSSENT_UNROLL for (int at = 0; at < n * int(sizeof(S)); at += 64) __builtin_prefetch(ahead + at);
}

}  // namespace
