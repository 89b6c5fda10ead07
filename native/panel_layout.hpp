// Moves rows between memory and a panel: transposes of 128-bit pieces for rows of few classes, copies for inner axes.
#pragma once

#include <utility>

#include "kernels.hpp"
#include "panel.hpp"

namespace {

constexpr int64_t kTileClasses = 32;  // rows of the last axis that have at most this many classes are short
constexpr int64_t kStripRows = 64;  // rows that pass through a strip: converted, padded, or streamed

template <class T> constexpr int kPiece = 16 / int(sizeof(T));          // numbers in 128 bits
constexpr int kPieces = CROSSENT_LANE_BYTES / 16;               // of a vector
template <class T> struct PieceOf {
    typedef T Vec __attribute__((vector_size(16)));
    typedef T Loose __attribute__((vector_size(16), aligned(sizeof(T)), may_alias));
};

// Lane i of the result is lane Pattern::at(i) of a and b end to end.
template <class Pattern, class V, std::size_t... I>
CROSSENT_INLINE V shuffled(V a, V b, std::index_sequence<I...>) {
    return __builtin_shufflevector(a, b, Pattern::at(I)...);
}
template <class Pattern, class T> CROSSENT_INLINE Vec<T> shuffled(Vec<T> a, Vec<T> b) {
    return shuffled<Pattern>(a, b, std::make_index_sequence<kLanes<T>>{});
}

// Within each 128 bits: the numbers (Step = 1) or pairs of numbers (Step = 2) of one half of a and of b in turn.
template <class T, int Step, int Half> struct Interleave {
    static constexpr int at(int i) {
        const int piece = i / kPiece<T>, j = i % kPiece<T>, unit = j / Step, from = Half * (kPiece<T> / 2);
        return piece * kPiece<T> + from + unit / 2 * Step + j % Step + (unit % 2) * kLanes<T>;
    }
};

// Vector j has, in its 128-bit piece g, kPiece numbers of row g * kPiece + j; afterwards vector c has number c of every
// row. Its own inverse.
template <class T> CROSSENT_INLINE void transpose(Vec<T> (&v)[kPiece<T>]) {
    if constexpr (sizeof(T) == 4) {
        const Vec<T> a = shuffled<Interleave<T, 1, 0>, T>(v[0], v[1]), b = shuffled<Interleave<T, 1, 1>, T>(v[0], v[1]);
        const Vec<T> c = shuffled<Interleave<T, 1, 0>, T>(v[2], v[3]), d = shuffled<Interleave<T, 1, 1>, T>(v[2], v[3]);
        v[0] = shuffled<Interleave<T, 2, 0>, T>(a, c);
        v[1] = shuffled<Interleave<T, 2, 1>, T>(a, c);
        v[2] = shuffled<Interleave<T, 2, 0>, T>(b, d);
        v[3] = shuffled<Interleave<T, 2, 1>, T>(b, d);
    } else {
        const Vec<T> a = v[0];
        v[0] = shuffled<Interleave<T, 1, 0>, T>(a, v[1]);
        v[1] = shuffled<Interleave<T, 1, 1>, T>(a, v[1]);
    }
}

// A vector from one 128-bit piece of each of kPieces rows, `step` apart, and back.
template <class T> CROSSENT_INLINE Vec<T> load_pieces(const T* p, int64_t step) {
    const auto piece = [&](int g) __attribute__((always_inline)) {
        return typename PieceOf<T>::Vec(*reinterpret_cast<const typename PieceOf<T>::Loose*>(p + g * step));
    };
#if CROSSENT_LANE_BYTES == 64
    __m512i v = _mm512_castsi128_si512(__builtin_bit_cast(__m128i, piece(0)));
    v = _mm512_inserti32x4(v, __builtin_bit_cast(__m128i, piece(1)), 1);
    v = _mm512_inserti32x4(v, __builtin_bit_cast(__m128i, piece(2)), 2);
    v = _mm512_inserti32x4(v, __builtin_bit_cast(__m128i, piece(3)), 3);
    return __builtin_bit_cast(Vec<T>, v);
#elif CROSSENT_LANE_BYTES == 32
    const __m256i v = _mm256_castsi128_si256(__builtin_bit_cast(__m128i, piece(0)));
    return __builtin_bit_cast(Vec<T>, _mm256_inserti128_si256(v, __builtin_bit_cast(__m128i, piece(1)), 1));
#else
    return piece(0);
#endif
}
template <class T, int G> CROSSENT_INLINE void store_piece(T* p, Vec<T> v) {
    typename PieceOf<T>::Vec piece;
    if constexpr (sizeof(T) == 4) piece = __builtin_shufflevector(v, v, 4 * G, 4 * G + 1, 4 * G + 2, 4 * G + 3);
    else piece = __builtin_shufflevector(v, v, 2 * G, 2 * G + 1);
    *reinterpret_cast<typename PieceOf<T>::Loose*>(p) = piece;
}
template <class T> CROSSENT_INLINE void store_pieces(T* p, int64_t step, Vec<T> v) {
    store_piece<T, 0>(p, v);
    if constexpr (kPieces > 1) store_piece<T, 1>(p + step, v);
    if constexpr (kPieces > 2) {
        store_piece<T, 2>(p + 2 * step, v);
        store_piece<T, 3>(p + 3 * step, v);
    }
}

// Rows of K < kPiece contiguous numbers lie in K vectors end to end. Column C of them, two vectors at a time: what
// lies in the third is put in by the second step.
template <class T, int K, int C, bool Second> struct Column {
    static constexpr int at(int i) {
        constexpr int W = kLanes<T>;
        const int from = i * K + C;
        if (Second) return from < 2 * W ? i : W + from - 2 * W;
        return from < 2 * W ? from : 0;
    }
};
// Vector C of the rows from their columns, the same way.
template <class T, int K, int C, bool Second> struct RowPart {
    static constexpr int at(int i) {
        constexpr int W = kLanes<T>;
        const int at = C * W + i, row = at / K, k = at % K;
        if (Second) return k < 2 ? i : W + row;
        return k < 2 ? k * W + row : 0;
    }
};
template <template <class, int, int, bool> class Pattern, class T, int K, int C>
CROSSENT_INLINE Vec<T> rearranged(const Vec<T> (&v)[K]) {
    const Vec<T> first = shuffled<Pattern<T, K, C, false>, T>(v[0], v[1]);
    if constexpr (K == 2) return first;
    else return shuffled<Pattern<T, K, C, true>, T>(first, v[2]);
}

// kLanes rows of K contiguous numbers into columns `stride` apart.
template <class T, int K> CROSSENT_INLINE void spread_tiny(const T* from, T* to, int64_t stride) {
    Vec<T> v[K];
    CROSSENT_UNROLL for (int k = 0; k < K; ++k) v[k] = load(from + k * kLanes<T>);
    store(to, rearranged<Column, T, K, 0>(v));
    store(to + stride, rearranged<Column, T, K, 1>(v));
    if constexpr (K == 3) store(to + 2 * stride, rearranged<Column, T, K, 2>(v));
}
template <class T, int K> CROSSENT_INLINE void gather_tiny(const Vec<T> (&v)[K], T* to) {
    store(to, rearranged<RowPart, T, K, 0>(v));
    store(to + kLanes<T>, rearranged<RowPart, T, K, 1>(v));
    if constexpr (K == 3) store(to + 2 * kLanes<T>, rearranged<RowPart, T, K, 2>(v));
}

// The groups of kPiece classes; the last one ends with the last class, so it may share some with the one before.
template <class T> CROSSENT_INLINE int64_t group_at(int64_t k, int64_t K) {
    return k + kPiece<T> <= K ? k : K - kPiece<T>;
}

template <class T> CROSSENT_INLINE void spread(const T* from, int64_t K, T* to, int64_t stride) {
    constexpr int Q = kPiece<T>;
    if constexpr (Q > 2) {
        if (K == 2) return spread_tiny<T, 2>(from, to, stride);
        if (K == 3) return spread_tiny<T, 3>(from, to, stride);
    }
    for (int64_t group = 0; group < K; group += Q) {
        const int64_t k = group_at<T>(group, K);
        Vec<T> v[Q];
        CROSSENT_UNROLL for (int j = 0; j < Q; ++j) v[j] = load_pieces(from + j * K + k, Q * K);
        transpose<T>(v);
        CROSSENT_UNROLL for (int j = 0; j < Q; ++j) store(to + (k + j) * stride, v[j]);
    }
}

// Gradient element: x times the row's factor.
template <class T, bool Deep> CROSSENT_INLINE Vec<T> scaled(const T* x, Vec<T> scale) {
    const Vec<T> v = load(x);
    if constexpr (Deep) return scaled_deep<T>(v, scale);
    else return v * scale;
}

// The inverse of `spread` with each column multiplied by `scale`.
template <class T, bool Deep, int K>
CROSSENT_INLINE void collect_tiny(const T* x, int64_t stride, Vec<T> scale, T* to) {
    Vec<T> v[K];
    CROSSENT_UNROLL for (int k = 0; k < K; ++k) v[k] = scaled<T, Deep>(x + k * stride, scale);
    gather_tiny<T, K>(v, to);
}
template <class T, bool Deep>
CROSSENT_INLINE void collect(const T* x, int64_t stride, Vec<T> scale, int64_t K, T* to) {
    constexpr int Q = kPiece<T>;
    if constexpr (Q > 2) {
        if (K == 2) return collect_tiny<T, Deep, 2>(x, stride, scale, to);
        if (K == 3) return collect_tiny<T, Deep, 3>(x, stride, scale, to);
    }
    for (int64_t group = 0; group < K; group += Q) {
        const int64_t k = group_at<T>(group, K);
        Vec<T> v[Q];
        CROSSENT_UNROLL for (int j = 0; j < Q; ++j) v[j] = scaled<T, Deep>(x + (k + j) * stride, scale);
        transpose<T>(v);
        CROSSENT_UNROLL for (int j = 0; j < Q; ++j) store_pieces(to + j * K + k, Q * K, v[j]);
    }
}

// n numbers from `from` to what is stored; past the caches if asked, except for the ends that share a line.
template <class S, class T = Of<S>> CROSSENT_INLINE void put(const T* from, S* to, int64_t n, bool past) {
    constexpr int W = kLanes<T>;
    int64_t j = 0;
    if (past) {
        constexpr int64_t line = int64_t(W * sizeof(S));
        const int64_t head = int64_t(-reinterpret_cast<uintptr_t>(to) % line) / int64_t(sizeof(S));
        if (head > 0 && head < n) {
            store_some(to, int(head), load(from));
            j = head;
        }
        if (reinterpret_cast<uintptr_t>(to + j) % line == 0) {
            for (; j + W <= n; j += W) stream(to + j, load(from + j));
        }
    }
    for (; j + W <= n; j += W) store(to + j, load(from + j));
    if (j < n) store_some(to + j, int(n - j), load(from + j));
}

// Rows of K contiguous classes into the panel. The strip is used where rows are converted or end within a vector.
template <class S, class T = Of<S>> CROSSENT_INLINE void read_rows(const S* from, Panel<T>& panel) {
    constexpr int W = kLanes<T>;
    const int64_t K = panel.classes;
    alignas(64) T strip[kStripRows * kTileClasses + 64];
    for (int64_t i = 0; i < panel.rows; i += kStripRows) {
        const int64_t n = panel.rows - i < kStripRows ? panel.rows - i : kStripRows;
        const int64_t lanes = panel.lanes - i < kStripRows ? panel.lanes - i : kStripRows;
        const T* rows = strip;
        if constexpr (sizeof(S) == sizeof(T)) {
            if (n == lanes) rows = from + i * K;
        }
        if (rows == strip) {
            for (int64_t j = 0; j < n * K; j += W) {
                store(strip + j, load_lanes(from + i * K + j, int(n * K - j < W ? n * K - j : W), T(0)));
            }
            for (int64_t j = (n * K + W - 1) / W * W; j < lanes * K; j += W) store(strip + j, splat<Vec<T>>(0));
        }
        for (int64_t j = 0; j < lanes; j += W) spread(rows + j * K, K, panel.x + i + j, panel.stride);
    }
}

template <class S, bool Deep, class T = Of<S>>
CROSSENT_INLINE void write_rows(const Panel<T>& panel, S* to, bool past) {
    constexpr int W = kLanes<T>;
    const int64_t K = panel.classes;
    alignas(64) T strip[kStripRows * kTileClasses + 64];
    for (int64_t i = 0; i < panel.rows; i += kStripRows) {
        const int64_t n = panel.rows - i < kStripRows ? panel.rows - i : kStripRows;
        const int64_t lanes = panel.lanes - i < kStripRows ? panel.lanes - i : kStripRows;
        T* rows = strip;
        if constexpr (sizeof(S) == sizeof(T)) {
            if (n == lanes && !past) rows = to + i * K;
        }
        for (int64_t j = 0; j < lanes; j += W) {
            collect<T, Deep>(panel.x + i + j, panel.stride, load(panel.scale + i + j), K, rows + j * K);
        }
        if (rows == strip) put<S>(strip, to + i * K, n * K, past);
    }
}

// The same for classes `inner` apart. Rows are first .. first + panel.rows of the job; f(place in the panel, offset in
// memory of its class 0, number of rows) is called for each run of them that is contiguous.
template <class F> CROSSENT_INLINE void each_run(int64_t first, int64_t rows, int64_t K, int64_t inner, F f) {
    for (int64_t i = 0; i < rows;) {
        const int64_t outer = (first + i) / inner, p = (first + i) % inner;
        const int64_t n = inner - p < rows - i ? inner - p : rows - i;
        f(i, outer * K * inner + p, n);
        i += n;
    }
}

template <class S, class T = Of<S>>
CROSSENT_INLINE void read_columns(const S* logits, int64_t first, int64_t inner, Panel<T>& panel) {
    constexpr int W = kLanes<T>;
    for (int64_t k = 0; k < panel.classes; ++k) {
        T* x = panel.x + k * panel.stride;
        for (int64_t i = panel.rows; i < panel.lanes; ++i) x[i] = 0;
        each_run(first, panel.rows, panel.classes, inner, [&](int64_t at, int64_t offset, int64_t n) {
            const S* from = logits + offset + k * inner;
            int64_t i = 0;
            for (; i + W <= n; i += W) store(x + at + i, load(from + i));
            if (i < n) store_some(x + at + i, int(n - i), load_some(from + i, int(n - i), T(0)));
        });
    }
}

template <class S, bool Deep, class T = Of<S>>
CROSSENT_INLINE void write_columns(const Panel<T>& panel, S* grad, int64_t first, int64_t inner, bool past) {
    constexpr int W = kLanes<T>;
    alignas(64) T line[kPanelRows + 64];
    for (int64_t k = 0; k < panel.classes; ++k) {
        const T* x = panel.x + k * panel.stride;
        for (int64_t i = 0; i < panel.lanes; i += W) store(line + i, scaled<T, Deep>(x + i, load(panel.scale + i)));
        each_run(first, panel.rows, panel.classes, inner, [&](int64_t at, int64_t offset, int64_t n) {
            put<S>(line + at, grad + offset + k * inner, n, past);
        });
    }
}

}  // namespace
