// Order-free sums of doubles, so that tallies merged in any order agree to the bit.
//
// A double is an integer times 2^-1074. A sum is held in signed digits of 32 bits in int64: digit i counts units of
// 2^(32 (low + i) - 1074). A double falls on three digits, whose additions commute; carrying waits until digits are
// about to overflow, and at the end leaves all digits but the last in 0..2^32 - 1, and the sign in the last.
// Products enter as a value and its exact rounding error (fma), so all instruction sets give the same bits.
// Source: Neal, Fast exact summation using small and large superaccumulators, arXiv:1505.05571 (2015).
#pragma once

#include <cstdint>
#include <cstring>

#define CROSSENT_EXACT inline __attribute__((always_inline))

namespace crossent {

constexpr int64_t kUnitExponent = 1074, kDigitMask = 0xFFFFFFFF;
constexpr uint64_t kFractionMask = (uint64_t(1) << 52) - 1;
constexpr int64_t kMostDigits = int64_t(1) << 20;      // of one sum, and bound of `low`: far beyond what doubles reach
constexpr int64_t kRowsToCarry = int64_t(1) << 28;     // a row adds at most 2^34 to a digit

// The digits of one sum within those of a group.
struct Window {
    int64_t low = 0, width = 0, offset = 0;
};

// What a double is made of: value = +-mantissa * 2^(position - 1074).
struct DoubleParts {
    int64_t position, mantissa;
};
CROSSENT_EXACT DoubleParts parts_of(double v) {
    uint64_t bits;
    std::memcpy(&bits, &v, sizeof(bits));
    const int64_t exponent = int64_t(bits >> 52 & 0x7FF), fraction = int64_t(bits & kFractionMask);
    if (__builtin_expect(exponent == 0, 0)) return {0, fraction};
    return {exponent - 1, fraction | int64_t(1) << 52};
}

// Adds v to the digits of one sum; false if v does not fall inside.
CROSSENT_EXACT bool add_to(int64_t* digits, const Window& window, double v) {
    const auto [position, size] = parts_of(v);
    if (__builtin_expect(size == 0, 0)) return true;
    const int64_t at = (position >> 5) - window.low;
    if (__builtin_expect(uint64_t(at) >= uint64_t(window.width - 2), 0)) return false;
    int64_t bits;
    std::memcpy(&bits, &v, sizeof(bits));
    const int64_t sign = bits >> 63, mantissa = (size ^ sign) - sign;
    const int shift = int(position & 31);
    const int64_t above = mantissa >> (32 - shift);
    digits[at] += int64_t(uint32_t(uint64_t(mantissa) << shift));
    digits[at + 1] += int64_t(uint32_t(above));
    digits[at + 2] += above >> 32;
    return true;
}

// Brings all digits but the last into 0..2^32 - 1.
CROSSENT_EXACT void carry(int64_t* digits, int64_t width) {
    int64_t over = 0;
    for (int64_t k = 0; k + 1 < width; ++k) {
        const int64_t t = digits[k] + over;
        digits[k] = t & kDigitMask;
        over = t >> 32;
    }
    digits[width - 1] += over;
}

struct Pair {
    double value, error;
};
CROSSENT_EXACT Pair two_product(double x, double y) {
    const double p = x * y;
    return {p, __builtin_fma(x, y, -p)};
}
CROSSENT_EXACT Pair times(Pair x, Pair y) {
    const Pair p = two_product(x.value, y.value);
    return {p.value, p.error + (x.value * y.error + x.error * y.value)};
}

// Rows of numbers, or of products with the numbers `times`, into one sum a group; groups null: all into the first.
struct ExactRowsJob {
    int64_t rows;
    const double *values, *times;
    const int64_t* groups;
    int64_t group_count;
    Window window;
    int64_t* digits;  // [group_count, window.width]
};

// Sums of a^i b^j per group. With `product` the numerator is the product a b; without b only a, aa and aaa are formed.
constexpr int kPowers = 9;  // a b aa ab bb aaa aab abb bbb
constexpr double kLargestToCube = 0x1p330;
struct RatioJob {
    int64_t rows;
    const double *a, *a_error, *b;
    bool product;
    const int64_t* groups;
    int64_t group_count;
    Window windows[kPowers];
    int64_t stride;                     // digits of a group
    int64_t *digits, *units, *beyond;   // [group_count, stride], [group_count] each
};

CROSSENT_EXACT bool group_of(const int64_t* groups, int64_t row, int64_t count, int64_t& group) {
    group = groups ? groups[row] : 0;
    return __builtin_expect(uint64_t(group) < uint64_t(count), 1);
}

// Both return whether every row had a place.
CROSSENT_EXACT bool exact_rows(const ExactRowsJob& job) {
    const Window window = job.window;
    bool fits = true;
    for (int64_t start = 0; start < job.rows && fits; start += kRowsToCarry) {
        const int64_t end = job.rows - start < kRowsToCarry ? job.rows : start + kRowsToCarry;
        for (int64_t i = start; i < end && fits; ++i) {
            int64_t group;
            if (!group_of(job.groups, i, job.group_count, group)) return false;
            int64_t* digits = job.digits + group * window.width;
            if (job.times) {
                const Pair p = two_product(job.values[i], job.times[i]);
                fits = add_to(digits, window, p.value) & add_to(digits, window, p.error);
            } else {
                fits = add_to(digits, window, job.values[i]);
            }
        }
        for (int64_t g = 0; g < job.group_count; ++g) carry(job.digits + g * window.width, window.width);
    }
    return fits;
}

CROSSENT_EXACT bool add_pair(int64_t* digits, const Window& window, Pair p) {
    return add_to(digits + window.offset, window, p.value) & add_to(digits + window.offset, window, p.error);
}

template <bool kPlain> CROSSENT_EXACT bool ratio_row(const RatioJob& job, int64_t i, int64_t group) {
    int64_t* const digits = job.digits + group * job.stride;
    const Window* const to = job.windows;
    const double b = kPlain ? 1.0 : job.b[i];
    const Pair a = !kPlain && job.product ? two_product(job.a[i], b) : Pair{job.a[i], job.a_error ? job.a_error[i] : 0};
    ++job.units[group];
    bool fits = kPlain ? add_to(digits + to[0].offset, to[0], a.value) : add_pair(digits, to[0], a);
    if constexpr (!kPlain) fits &= add_to(digits + to[1].offset, to[1], b);
    if (__builtin_expect(!(__builtin_fabs(a.value) <= kLargestToCube && __builtin_fabs(b) <= kLargestToCube), 0)) {
        ++job.beyond[group];
        return fits;
    }
    const Pair aa = times(a, a);
    fits &= add_pair(digits, to[2], aa) & add_pair(digits, to[5], times(aa, a));
    if constexpr (!kPlain) {
        const Pair y{b, 0}, ab = times(a, y), bb = two_product(b, b);
        fits &= add_pair(digits, to[3], ab) & add_pair(digits, to[4], bb) & add_pair(digits, to[6], times(aa, y)) &
                add_pair(digits, to[7], times(ab, y)) & add_pair(digits, to[8], times(bb, y));
    }
    return fits;
}

template <bool kPlain> CROSSENT_EXACT bool ratio_rows(const RatioJob& job) {
    bool fits = true;
    for (int64_t start = 0; start < job.rows && fits; start += kRowsToCarry) {
        const int64_t end = job.rows - start < kRowsToCarry ? job.rows : start + kRowsToCarry;
        for (int64_t i = start; i < end && fits; ++i) {
            int64_t group;
            if (!group_of(job.groups, i, job.group_count, group)) return false;
            fits = ratio_row<kPlain>(job, i, group);
        }
        for (int64_t g = 0; g < job.group_count; ++g) {
            for (const Window& w : job.windows) {
                if (w.width) carry(job.digits + g * job.stride + w.offset, w.width);
            }
        }
    }
    return fits;
}

// Adds factor times canonical digits to others, which have room above them.
template <class Wide> CROSSENT_EXACT void add_digits(int64_t* to, int64_t width, const int64_t* from, int64_t count,
                                                     int64_t factor) {
    Wide over = 0;
    int64_t k = 0;
    for (; k < count && k + 1 < width; ++k) {
        const Wide t = Wide(from[k]) * factor + to[k] + over;
        to[k] = int64_t(t) & kDigitMask;
        over = t >> 32;
    }
    if (k < count) over += Wide(from[k]) * factor;
    for (; k + 1 < width && over != 0; ++k) {
        const Wide t = to[k] + over;
        to[k] = int64_t(t) & kDigitMask;
        over = t >> 32;
    }
    to[k] = int64_t(uint64_t(to[k]) + uint64_t(over));  // of the last digit
}

// The value of canonical digits, rounded once to nearest, ties to even; infinite beyond the largest double.
inline double rounded(const int64_t* digits, int64_t width, int64_t low) {
    const bool negative = digits[width - 1] < 0;
    // the digits of the absolute value from the top: those of -x - 1 are the complements, and x = (-x - 1) + 1
    int64_t zeros = 0;
    while (zeros < width && digits[zeros] == 0) ++zeros;
    if (zeros == width) return 0;
    const auto size_at = [&](int64_t k) -> uint64_t {
        if (k < zeros || k < 0) return 0;
        if (!negative) return uint64_t(digits[k]);
        return uint64_t(k == zeros ? -digits[k] : ~digits[k]) & uint64_t(kDigitMask);
    };
    int64_t top = width - 1;
    while (top > zeros && size_at(top) == 0) --top;
    unsigned __int128 head = 0;
    for (int64_t k = top; k > top - 3; --k) head = head << 32 | size_at(k);
    if (head == 0) return 0;  // digits out of range
    if (zeros < top - 2) head |= 1;  // something below: only its being there matters
    const int64_t exponent = 32 * (low + top - 2) - kUnitExponent;
    const int bits = uint64_t(head >> 64) ? 128 - __builtin_clzll(uint64_t(head >> 64)) : 64 - __builtin_clzll(uint64_t(head));
    int64_t drop = bits - 53;
    if (drop < -kUnitExponent - exponent) drop = -kUnitExponent - exponent;
    if (drop < 0) drop = 0;
    uint64_t kept = uint64_t(head >> drop);
    const unsigned __int128 one = 1, rest = head & ((one << drop) - 1), half = drop ? one << (drop - 1) : 0;
    if (drop && (rest > half || (rest == half && (kept & 1)))) ++kept;
    const double value = __builtin_ldexp(double(kept), int(exponent + drop));
    return negative ? -value : value;
}

}  // namespace crossent
