// How a bound job is run, and what every job leaves beside its arrays.
#pragma once

#include "fuzz.hpp"

namespace fuzz {

// None of it may change a row's bits.
struct Manner {
    bool values = true, grad = false, hess = false, in_place = false, stream = false, disturbed = false;
    int64_t block_rows = 1 << 20, step = 1 << 20, shift = 0;

    // The same job in blocks of other sizes, at other addresses, from a caller with another control register.
    Manner cut(Bytes& bytes) const {
        Manner other = *this;
        other.block_rows = bytes.between(1, 9);
        other.step = bytes.between(1, 4);
        other.shift = bytes.below(16);
        other.disturbed = true;
        return other;
    }
    Manner values_only() const {
        Manner other = *this;
        other.grad = other.hess = false;
        return other;
    }
    Manner past_caches() const {
        Manner other = *this;
        other.stream = true;
        return other;
    }
    Manner placed() const {
        Manner other = *this;
        other.hess = false;
        other.in_place = true;
        return other;
    }
};

inline int64_t blocks_of(int64_t rows, const Manner& how) { return rows == 0 ? 0 : (rows - 1) / how.block_rows + 1; }

// The sums of all blocks, and the lowest bad row.
struct Tally {
    Real loss = 0, mass = 0, kept = 0;
    int64_t bad = kNoBadRow;
};

template <class Job> Tally run_in_blocks(void (*kernel)(const Job*), Job& job, int64_t rows, const Manner& how) {
    const int64_t blocks = blocks_of(rows, how);
    Exact<double> sums(3 * blocks, how.shift);
    sums.fill(0);
    int64_t next = 0;
    Tally tally;
    base_of(job).blocks = {rows, how.block_rows, 0, &next, &tally.bad, sums.data()};
    while (next < blocks && tally.bad == kNoBadRow) {
        base_of(job).blocks.last = next + how.step;
        const int64_t before = next;
        const Control control(how.disturbed);
        kernel(&job);
        EXPECT(next > before && next <= blocks, "next is %lld of %lld", (long long)next, (long long)blocks);
    }
    for (int64_t b = 0; b < blocks; ++b) {
        tally.loss += sums.data()[3 * b];
        tally.mass += sums.data()[3 * b + 1];
        tally.kept += sums.data()[3 * b + 2];
    }
    return tally;
}

inline void expect_bad(const char* name, int64_t found, int64_t bad) {
    EXPECT(found == bad, "%s: bad row %lld, code %lld reported; it is %lld, code %lld", name, (long long)(found / 8),
           (long long)(found % 8), (long long)(bad / 8), (long long)(bad % 8));
}

// Of a job without a bad row: rows kept, mass to `slack` of itself, and the loss as the sum of what was returned.
template <class T>
void expect_sums(const char* name, const Tally& got, Real kept, Real mass, Real slack, const std::vector<T>& values) {
    EXPECT(got.kept == kept, "%s: %Lg rows kept of %Lg", name, got.kept, kept);
    EXPECT(std::fabs(got.mass - mass) <= slack * mass, "%s: mass %.17Lg, not %.17Lg", name, got.mass, mass);
    Real loss = 0, losses = 0;
    for (const T value : values) {
        loss += value;
        losses += std::fabs(Real(value));
    }
    const bool summable = losses <= 1e308L;  // no infinities of both signs, no more than a double holds
    EXPECT(!summable || std::fabs(got.loss - loss) <= 1e-14L * losses, "%s: loss %.17Lg, the values' sum %.17Lg", name,
           got.loss, loss);
}

// The bits of an answer (values, grad, hess) must be those of another run.
template <class Answer> void expect_same(const char* name, const char* manner, const Answer& a, const Answer& b) {
    EXPECT(a.values.empty() || b.values.empty() || same_bits(a.values, b.values), "%s: other values %s", name, manner);
    EXPECT(a.grad.empty() || b.grad.empty() || same_bits(a.grad, b.grad), "%s: other gradient %s", name, manner);
    EXPECT(a.hess.empty() || b.hess.empty() || same_bits(a.hess, b.hess), "%s: other Hessian %s", name, manner);
}

// `run(manner)` in every other manner that the first one allows.
template <class Answer, class Run>
void expect_any_manner(const char* name, const Answer& got, const Manner& how, Bytes& bytes, Run run) {
    const Answer cut = run(how.cut(bytes));
    expect_same(name, "in blocks", cut, got);
    EXPECT(cut.tally.kept == got.tally.kept, "%s: %Lg rows kept in blocks, %Lg in one", name, cut.tally.kept,
           got.tally.kept);
    EXPECT(std::fabs(cut.tally.mass - got.tally.mass) <= 1e-12L * got.tally.mass, "%s: mass in blocks", name);
    if (!how.grad) return;
    expect_same(name, "without gradient", run(how.values_only()), got);
    expect_same(name, "past the caches", run(how.past_caches()), got);
    expect_same(name, "in place", run(how.placed()), got);
}

}  // namespace fuzz
