// Isotonic regression of weighted means by pooling adjacent violators, for the calibration curves of score.
#pragma once

#include <cstdint>

namespace crossent {

// A run of neighbouring cells that share one mean.
struct Pool {
    double total, weight, mean;
    int64_t end;
};

// The nondecreasing curve nearest to the means total / weight of m cells, by weighted least squares, which is also the
// one of least log loss: neighbours out of order, or equal, are put together, last first. Each mean is one rounded
// division of two sums in cell order. pools: room for m. Any numbers are taken: NaN puts nothing together.
inline void isotonic_row(const double* total, const double* weight, int64_t m, Pool* pools, double* curve) noexcept {
    int64_t count = 0;
    for (int64_t i = 0; i < m; ++i) {
        Pool last{total[i], weight[i], total[i] / weight[i], i + 1};
        while (count > 0 && pools[count - 1].mean >= last.mean) {
            const Pool& before = pools[--count];
            last.total += before.total;
            last.weight += before.weight;
            last.mean = last.total / last.weight;
        }
        pools[count++] = last;
    }
    int64_t i = 0;
    for (int64_t k = 0; k < count; ++k) {
        for (; i < pools[k].end; ++i) curve[i] = pools[k].mean;
    }
}

}  // namespace crossent
