// What the rows of a prediction say about calibration, in one pass: terms of tests, the loss at nine temperatures, cells.
//
// A tile of kDoubles rows is widened into scratch memory; logarithms, cells and surprise run over it as it lies, the terms
// of a row with rows in lanes. Sums are integers: a term x is rounded to a multiple of 2^-39 nat (second derivatives:
// 2^-32) by adding 1.5 * 2^(52 - bits), which leaves the integer in the low bits, so that any order gives the same sum.
// Rows with a term beyond 2^12 (2^19) are listed and left to the caller.
#pragma once

#include "doubles.hpp"

namespace {

constexpr int64_t kTileGroups = 2048 / kDoubles;  // tiles between two carries: 2^11 terms below 2^51 units
constexpr double kTermMagic = 1.5 * 8192, kCurvatureMagic = 1.5 * 1048576;  // 2^13 and 2^20: 39 and 32 bits
constexpr double kTermBound = 4096, kCurvatureBound = 524288;
constexpr int kBetas = 9, kPlain = 4;  // kPlain: temperature 1

CROSSENT_INLINE bool is_curvature(int term) { return term >= kMomentTerms && (term - kMomentTerms) % 3 == 2; }

struct ScoreScratch {
    double *x, *z, *p, *eighth, *root;  // [K, kDoubles]: classes one after the other, rows in lanes
    int64_t *cell, *units;  // the same
    int64_t* surprise;      // [K, K]
};

// The tile's numbers as doubles, rows in lanes; rows behind the last one are uniform distributions.
template <class T> CROSSENT_INLINE void load_tile(const ScoreJob& job, int64_t first, int rows, double* x) {
    const int64_t K = job.classes;
    const T* from = static_cast<const T*>(job.values) + first * K;
    const double k = double(K), uniform = job.kind == kScoreProbs ? 1 / k : job.kind == kScoreLogits ? 0 : 0 - minus_log(1 / k);
    for (int64_t j = 0; rows < kDoubles && j < K; ++j) store(x + j * kDoubles, splat<F64>(uniform));
    if (rows == kDoubles) {
        for (int64_t j = 0; j < K; ++j) {
            CROSSENT_UNROLL for (int r = 0; r < kDoubles; ++r) x[j * kDoubles + r] = double(from[r * K + j]);
        }
    } else {
        for (int64_t j = 0; j < K; ++j) {
            for (int r = 0; r < rows; ++r) x[j * kDoubles + r] = double(from[r * K + j]);
        }
    }
}

// x - top, where the largest may be infinite.
CROSSENT_INLINE F64 below(F64 x, F64 top) { return x == top ? F64{} : x - top; }

using Integers = LaneTypes<double>::Mask;

// The cells of probabilities (see crossent.stats.probability_cells), and p in units of the cell's 42nd bit.
CROSSENT_INLINE void find_cells(F64 p, int64_t* cells, int64_t* units) {
    const F64 half = splat<F64>(0.5);
    const auto lower = p < half;
    const F64 u = lower ? p : splat<F64>(1) - p;
    Integers step = Integers(bits_of(u) >> 47) - ((1023 - kCellOctaves) << 5);
    step = step < Integers{} ? Integers{} : step > kHalfCells ? Integers{} + kHalfCells : step;  // of any p: a place
    Integers cell = lower ? step + 1 : 2 * kHalfCells + 1 - step;
    cell = p >= splat<F64>(1) ? Integers{} + (kCells - 1) : p == F64{} ? Integers{} : cell;
    const auto mantissa = (bits_of(p) & ((uint64_t(1) << 52) - 1)) | (uint64_t(1) << 52);
    Integers unit = Integers((mantissa + 1024) >> 11);
    const auto tiny = p < splat<F64>(0x1p-64);
    if (any_of(tiny)) {
        const F64 round = splat<F64>(6755399441055744.0);  // 1.5 * 2^52
        unit = tiny ? Integers(bits_of(p * splat<F64>(0x1p105) + round) - bits_of(round)) : unit;
    }
    __builtin_memcpy(cells, &cell, sizeof(cell));
    __builtin_memcpy(units, &unit, sizeof(unit));
}

CROSSENT_INLINE void count_cell(const ScoreJob& job, int64_t slot, int64_t cell, int64_t units, bool hit) {
    int64_t* at = job.cells + 2 * (slot * kCells + cell);
    at[0] = int64_t(uint64_t(at[0]) + uint64_t(units));
    at[1] = int64_t(uint64_t(at[1]) + 1 + (uint64_t(hit) << 32));
}

// Sums over the classes of the tile's rows, rows in lanes.
struct TileSums {
    F64 squares{}, cubes{}, total{}, least{}, top = splat<F64>(-__builtin_inf()), best{};
    F64Mask outside{};
    F64 s0[kBetas], s1[kBetas], s2[kBetas];
};

// log(sum(exp(x))) of rows of logits, as their maximum and minus the rest.
CROSSENT_INLINE void find_scale(const ScoreJob& job, const ScoreScratch& s, F64& top, F64& low) {
    const int64_t size = kDoubles * job.classes;
    top = splat<F64>(-__builtin_inf());
    F64 sum{};
    for (int64_t i = 0; i < size; i += kDoubles) top = load(s.x + i) > top ? load(s.x + i) : top;
    for (int64_t i = 0; i < size; i += kDoubles) sum += exp_or_zero<F64>(below(load(s.x + i), top), F64{});
    low = minus_log(sum);
}

// Logarithms and probabilities of the tile, and the sums that need nothing else.
template <int32_t kind> CROSSENT_INLINE void find_distribution(const ScoreJob& job, const ScoreScratch& scratch, TileSums& s) {
    const F64 zero{}, lowest = splat<F64>(-__builtin_inf());
    F64 top{}, low{};
    if (kind == kScoreLogits) find_scale(job, scratch, top, low);
    TileSums sums;
    for (int64_t j = 0; j < job.classes; ++j) {
        const F64 x = load(scratch.x + j * kDoubles);
        const F64 log_p = kind == kScoreProbs ? zero - minus_log(x) : kind == kScoreLogits ? below(x, top) + low : x;
        F64 p = kind == kScoreProbs ? x : exp_or_zero<F64>(log_p, zero);
        sums.total += p;
        p = p > splat<F64>(1) ? splat<F64>(1) : p;  // of logarithms that are rounded up
        store(scratch.z + j * kDoubles, log_p);
        if (kind != kScoreProbs) store(scratch.p + j * kDoubles, p);
        const auto larger = x > sums.top;
        sums.top = larger ? x : sums.top;
        sums.best = larger ? splat<F64>(double(j)) : sums.best;
        if (kind == kScoreProbs) sums.outside |= ~((x >= zero) & (x <= splat<F64>(1)));
        const F64 z = log_p > lowest ? log_p : zero, pp = p * p;
        sums.least = z < sums.least ? z : sums.least;
        sums.squares += pp;
        sums.cubes = mul_add(pp, p, sums.cubes);
    }
    s = sums;
}

// exp(z / 8) and exp(z / sqrt(2)) of every class, 0 where p is 0.
CROSSENT_INLINE void find_roots(const ScoreJob& job, const ScoreScratch& s) {
    const F64 floor = splat<F64>(-1000.0), zero{};
    for (int64_t j = 0; j < job.classes; j += 2) {
        const int64_t at[2] = {j * kDoubles, (j + 1 < job.classes ? j + 1 : j) * kDoubles};
        F64 d[4], e[4];
        CROSSENT_UNROLL for (int i = 0; i < 2; ++i) {
            const F64 z = load(s.z + at[i]), held = z > floor ? z : floor;
            d[2 * i] = held * splat<F64>(0.125);
            d[2 * i + 1] = held * splat<F64>(0.70710678118654752440);
        }
        exp_normal<F64, 4>(d, e);
        CROSSENT_UNROLL for (int i = 0; i < 2; ++i) {
            const auto some = load(s.p + at[i]) > zero;
            store(s.eighth + at[i], some ? e[2 * i] : zero);
            store(s.root + at[i], some ? e[2 * i + 1] : zero);
        }
    }
}

// Sums of e, e z, e z^2 with e = exp(beta z), for N inverse temperatures from the first on.
template <int first, int N, class Powers>
CROSSENT_INLINE void sum_powers(const ScoreJob& job, const ScoreScratch& scratch, TileSums& s, Powers powers) {
    F64 s0[N]{}, s1[N]{}, s2[N]{};
    for (int64_t j = 0; j < job.classes; ++j) {
        const F64 log_p = load(scratch.z + j * kDoubles), z = log_p > splat<F64>(-__builtin_inf()) ? log_p : F64{}, zz = z * z;
        F64 e[N];
        powers(j * kDoubles, e);
        CROSSENT_UNROLL for (int b = 0; b < N; ++b) {
            s0[b] += e[b];
            s1[b] = mul_add(e[b], z, s1[b]);
            s2[b] = mul_add(e[b], zz, s2[b]);
        }
    }
    CROSSENT_UNROLL for (int b = 0; b < N; ++b) {
        s.s0[first + b] = s0[b];
        s.s1[first + b] = s1[b];
        s.s2[first + b] = s2[b];
    }
}

CROSSENT_INLINE void sum_classes(const ScoreJob& job, const ScoreScratch& scratch, TileSums& s) {
    find_roots(job, scratch);
    sum_powers<0, 5>(job, scratch, s, [&](int64_t at, F64 (&e)[5]) __attribute__((always_inline)) {
        e[0] = load(scratch.eighth + at);
        e[1] = e[0] * e[0];
        e[2] = e[1] * e[1];
        e[3] = load(scratch.root + at);
        e[4] = e[2] * e[2];
        store(scratch.eighth + at, e[4]);
    });
    sum_powers<5, 4>(job, scratch, s, [&](int64_t at, F64 (&e)[4]) __attribute__((always_inline)) {
        const F64 root = load(scratch.root + at), one = load(scratch.eighth + at);
        e[0] = root * root;
        e[1] = one * one;
        e[2] = e[1] * e[1];
        e[3] = e[2] * e[2];
    });
}

// The terms of each row: gap, its variance, excess, its variance, Brier score; L, L', L'' at each inverse temperature.
// Gap and variance, l - H and the variance of -log p, are L' and L'' at temperature 1. But for the Brier score all is of
// p / sum p: what a sum of 0.999 is off would add up over the rows to a certainty.
CROSSENT_INLINE void form_terms(const TileSums& s, F64 z_t, F64 p_t, F64 (&terms)[kScoreTerms]) {
    constexpr double beta[kBetas] = {0.125, 0.25, 0.5, 0.70710678118654752440, 1, 1.4142135623730950488, 2, 4, 8};
    const F64 zero{}, two = splat<F64>(2), share = splat<F64>(1) / s.total;
    const F64 squares = s.squares * share * share, cubic = s.cubes * share * share * share - squares * squares;
    terms[2] = two * (squares - p_t * share);
    terms[3] = splat<F64>(4) * (cubic > zero ? cubic : zero);
    terms[4] = (splat<F64>(1) - two * p_t) + s.squares;
    CROSSENT_UNROLL for (int b = 0; b < kBetas; ++b) {
        const F64 mean = s.s1[b] / s.s0[b], square = s.s2[b] / s.s0[b] - mean * mean;
        F64* of = terms + kMomentTerms + 3 * b;
        of[0] = zero - (minus_log(s.s0[b]) + splat<F64>(beta[b]) * z_t);
        of[1] = mean - z_t;
        of[2] = square > zero ? square : zero;
    }
    terms[0] = terms[kMomentTerms + 3 * kPlain + 1];
    terms[1] = terms[kMomentTerms + 3 * kPlain + 2];
}

// What a thread holds of the sums of terms: integers in lanes, carried into job.sums before they overflow.
struct TermSums {
    LaneTypes<double>::Bits sum[kScoreTerms]{};
    F64 largest[2]{};
    F64Mask counted[2]{};  // minus the rows in gap and temperature, and those with an infinite loss
    CROSSENT_INLINE void add(const F64 (&terms)[kScoreTerms], F64Mask every, F64Mask finite) {
        CROSSENT_UNROLL for (int k = 0; k < kScoreTerms; ++k) {
            const auto counts = k == 0 || k == 1 || k >= kMomentTerms ? finite : every;
            const F64 magic = splat<F64>(is_curvature(k) ? kCurvatureMagic : kTermMagic);
            sum[k] += bits_of((counts ? terms[k] : F64{}) + magic) - bits_of(magic);
        }
        counted[0] += finite;
        counted[1] += every & ~finite;
        const F64 magic = splat<F64>(kTermMagic);  // the largest is that of the rounded terms
        const F64 gap = finite ? (terms[1] + magic) - magic : F64{}, excess = every ? (terms[3] + magic) - magic : F64{};
        largest[0] = gap > largest[0] ? gap : largest[0];
        largest[1] = excess > largest[1] ? excess : largest[1];
    }
    CROSSENT_INLINE void carry(const ScoreJob& job) {
        for (int k = 0; k < kScoreTerms; ++k) {
            for (int l = 0; l < kDoubles; ++l) {
                const int64_t units = int64_t(sum[k][l]);
                job.sums[2 * k] += units & 0xffffffff;
                job.sums[2 * k + 1] += units >> 32;
            }
            sum[k] ^= sum[k];
        }
        for (int i = 0; i < 2; ++i) {
            for (int l = 0; l < kDoubles; ++l) {
                const double x = largest[i][l];
                job.found[i] = x > job.found[i] ? x : job.found[i];
                job.counts[i] -= counted[i][l];
            }
            counted[i] ^= counted[i];
        }
    }
};

CROSSENT_INLINE F64Mask too_large(const F64 (&terms)[kScoreTerms], F64 least) {
    F64Mask large = least < splat<F64>(-kTermBound);
    CROSSENT_UNROLL for (int k = 0; k < kScoreTerms; ++k) {
        const double bound = is_curvature(k) ? kCurvatureBound : kTermBound;
        large |= ~((terms[k] < splat<F64>(bound)) & (terms[k] > splat<F64>(-bound)));
    }
    return large;
}

// Adds -log p of every class to the line of each row's true class; p = 0 is counted instead.
CROSSENT_INLINE void add_surprise(const ScoreJob& job, const ScoreScratch& s, const int64_t (&label)[kDoubles], F64Mask rows) {
    const int64_t K = job.classes;
    const F64 magic = splat<F64>(kTermMagic), lowest = splat<F64>(-__builtin_inf());
    int64_t* line[kDoubles];
    CROSSENT_UNROLL for (int r = 0; r < kDoubles; ++r) line[r] = s.surprise + label[r] * K;
    for (int64_t j = 0; j < K; ++j) {
        const F64 z = load(s.z + j * kDoubles);
        const auto zero = ~(z > lowest);
        int64_t units[kDoubles];
        const auto rounded = bits_of(magic - ((rows & ~zero) ? z : F64{})) - bits_of(magic);
        __builtin_memcpy(units, &rounded, sizeof(units));
        CROSSENT_UNROLL for (int r = 0; r < kDoubles; ++r) line[r][j] += units[r];
        if (__builtin_expect(any_of(zero & rows), 0)) {
            for (int r = 0; r < kDoubles; ++r) job.zeros[label[r] * K + j] += (zero & rows)[r] != 0;
        }
    }
}

CROSSENT_INLINE void carry_surprise(const ScoreJob& job, const ScoreScratch& s) {
    for (int64_t i = 0; i < job.classes * job.classes; ++i) {
        job.surprise[2 * i] += s.surprise[i] & 0xffffffff;
        job.surprise[2 * i + 1] += s.surprise[i] >> 32;
        s.surprise[i] = 0;
    }
}

// Row sums of probabilities: how far they are off 1, and the first row that is refused.
CROSSENT_INLINE bool judge_rows(const ScoreJob& job, int64_t first, int rows, const TileSums& s) {
    const F64 one = splat<F64>(1), off = s.total > one ? s.total - one : one - s.total;
    const auto all = first_doubles(rows), refused = all & (s.outside | ~(off <= splat<F64>(job.refused)));
    if (job.kind != kScoreLogits && any_of(refused)) {
        int r = 0;
        while (!refused[r]) ++r;
        *job.bad = (first + r) * 8 + (s.outside[r] ? kEntry : kRowSum);
        return false;
    }
    if (__builtin_expect(!any_of(all & (off > splat<F64>(job.silent))), 1)) return true;
    for (int r = 0; r < rows; ++r) {
        const double total = s.total[r];
        if (!(off[r] > job.silent)) continue;
        job.found[2] = total < job.found[2] ? total : job.found[2];
        job.found[3] = total > job.found[3] ? total : job.found[3];
        job.counts[3] += 1;
    }
    return true;
}

}  // namespace
