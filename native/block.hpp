// Blocks of rows: drawing them, reporting the lowest bad row, summing what they leave.
#pragma once

#include "kernels.hpp"
#include "lane_sum.hpp"
#include "memory.hpp"

namespace {

// Whether a row was reported. The message shows that row as it lies in memory, so whoever reported it leaves it alone.
CROSSENT_INLINE bool has_bad(const Blocks& b) { return __atomic_load_n(b.bad, __ATOMIC_RELAXED) != INT64_MAX; }

// Draws the next block of rows; false when none is left or a bad row was found. Blocks are drawn in order, so every
// block before the one with a bad row is finished by whoever drew it, and the lowest bad row wins.
CROSSENT_INLINE bool draw_block(const Blocks& b, int64_t& first, int64_t& end, int64_t& block) {
    const int64_t last = b.last < block_count(b) ? b.last : block_count(b);
    block = __atomic_load_n(b.next, __ATOMIC_RELAXED);
    do {
        if (block >= last || has_bad(b)) return false;
    } while (!__atomic_compare_exchange_n(b.next, &block, block + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    first = block * b.block_rows;
    end = b.block_rows < b.rows - first ? first + b.block_rows : b.rows;
    return true;
}

CROSSENT_INLINE void report_bad(const Blocks& b, int64_t row, RowError code) {
    const int64_t mine = row * 8 + code;
    int64_t seen = __atomic_load_n(b.bad, __ATOMIC_RELAXED);
    while (mine < seen && !__atomic_compare_exchange_n(b.bad, &seen, mine, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

struct BlockSums {
    Pair value, mass;
    double rows = 0;
    CROSSENT_INLINE void add(const LaneSum<double>& values, const LaneSum<double>& masses) {
        const Pair v = values.total(), m = masses.total();
        value.add(v.high);
        value.low += v.low;
        mass.add(m.high);
        mass.low += m.low;
    }
    CROSSENT_INLINE void store(const Blocks& b, int64_t block) const {
        b.sums[3 * block] = value.value();
        b.sums[3 * block + 1] = mass.value();
        b.sums[3 * block + 2] = rows;
    }
};

// The same in lanes, for tiles whose rows all take part with mass 1 (or the masses given).
template <class T> struct LaneTotals {
    LaneSum<double> value, mass;
    int64_t rows = 0;
    CROSSENT_INLINE void add(Vec<T> values) {
        const Wide<T> v = to_wide<T>(values);
        CROSSENT_UNROLL for (int p = 0; p < kParts<T>; ++p) value.add(v.part[p]);
        rows += kLanes<T>;
    }
    CROSSENT_INLINE void add(Vec<T> values, const Wide<T>& masses, int64_t count) {
        const Wide<T> v = to_wide<T>(values);
        CROSSENT_UNROLL for (int p = 0; p < kParts<T>; ++p) {
            value.add(v.part[p]);
            mass.add(masses.part[p]);
        }
        weighed += count;
    }
    int64_t weighed = 0;  // rows added with a mass of their own
    CROSSENT_INLINE void into(BlockSums& sums) const {
        sums.add(value, mass);
        sums.mass.add(double(rows));
        sums.rows += double(rows + weighed);
    }
};

}  // namespace
