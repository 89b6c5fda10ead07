// Bindings of exact sums: sizes and places are checked here, values are any finite ones.
#include <cstring>

#include <nanobind/stl/pair.h>

#include "bindings.hpp"
#include "exact_sum.hpp"

namespace crossent {

namespace {

using Digits = nb::ndarray<int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using SomeDigits = nb::ndarray<const int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

#if defined(__x86_64__)
#define CROSSENT_WIDE __attribute__((target("avx2,fma,bmi,bmi2")))
#else
#define CROSSENT_WIDE
#endif
// Everything twice: for processors with fma and shifts by any register, and for others, where fma is libm's.
CROSSENT_WIDE bool rows_wide(const ExactRowsJob& job) { return exact_rows(job); }
bool rows_narrow(const ExactRowsJob& job) { return exact_rows(job); }
CROSSENT_WIDE bool ratio_wide(const RatioJob& job) { return job.b ? ratio_rows<false>(job) : ratio_rows<true>(job); }
bool ratio_narrow(const RatioJob& job) { return job.b ? ratio_rows<false>(job) : ratio_rows<true>(job); }

bool is_wide() { return std::strcmp(table().name, "v2") != 0; }

void need_low(int64_t low) { need(0 <= low && low <= kMostDigits, "low"); }

void need_groups(const Maybe<In<int64_t>>& groups, int64_t rows, int64_t count) {
    if (!groups) return need(rows == 0 || count > 0, "groups");
    need(int64_t(groups->size()) == rows && aligned(*groups), "groups");
    const int64_t* at = groups->data();
    uint64_t largest = 0;  // a negative one looks larger than all
    for (int64_t i = 0; i < rows; ++i) largest = uint64_t(at[i]) > largest ? uint64_t(at[i]) : largest;
    need(rows == 0 || largest < uint64_t(count), "groups");
}

// Bits of the absolute values: of the smallest that is not 0 less one, of the largest.
struct Reach {
    uint64_t smallest = UINT64_MAX, largest = 0;
};
CROSSENT_EXACT Reach reach_of(const double* values, int64_t rows) {
    Reach reach;
    for (int64_t i = 0; i < rows; ++i) {
        uint64_t bits;
        std::memcpy(&bits, values + i, sizeof(bits));
        bits &= ~uint64_t(0) >> 1;
        reach.largest = bits > reach.largest ? bits : reach.largest;
        reach.smallest = bits - 1 < reach.smallest ? bits - 1 : reach.smallest;  // 0 wraps around to the largest
    }
    return reach;
}
CROSSENT_WIDE Reach reach_wide(const double* values, int64_t rows) { return reach_of(values, rows); }
Reach reach_narrow(const double* values, int64_t rows) { return reach_of(values, rows); }

int64_t position_of(uint64_t bits) {
    const int64_t exponent = int64_t(bits >> 52);
    return exponent ? exponent - 1 : 0;
}

// Positions of the smallest and the largest number that is not 0 (see DoubleParts; -1 if there is none), and the first
// that is not finite, or -1.
std::tuple<int64_t, int64_t, int64_t> exact_reach(In<double> values) {
    need(aligned(values), "values");
    const Call call;
    nb::gil_scoped_release released;
    const int64_t rows = int64_t(values.size());
    const Reach reach = is_wide() ? reach_wide(values.data(), rows) : reach_narrow(values.data(), rows);
    if (reach.largest == 0) return {-1, -1, -1};
    constexpr uint64_t kInfinity = uint64_t(0x7FF) << 52;
    int64_t bad = -1;
    if (reach.largest >= kInfinity) {
        for (bad = 0; bad + 1 < rows && __builtin_isfinite(values.data()[bad]);) ++bad;
    }
    return {position_of(reach.smallest + 1), position_of(reach.largest), bad};
}

void exact_rows_of(In<double> values, Maybe<In<double>> times, Maybe<In<int64_t>> groups, Digits digits, int64_t low) {
    ExactRowsJob job{};
    job.rows = int64_t(values.size());
    need(aligned(values) && aligned(digits), "values");
    job.values = values.data();
    job.times = data(times, job.rows, "times");
    need_low(low);
    job.group_count = int64_t(digits.shape(0));
    job.window = {low, int64_t(digits.shape(1)), 0};
    need(job.window.width >= 3 && job.window.width <= kMostDigits, "digits");
    const Call call;
    nb::gil_scoped_release released;
    need_groups(groups, job.rows, job.group_count);
    job.groups = groups ? groups->data() : nullptr;
    job.digits = digits.data();
    need(is_wide() ? rows_wide(job) : rows_narrow(job), "digits");
}

void exact_ratio(In<double> a, Maybe<In<double>> a_error, Maybe<In<double>> b, bool product,
                 Maybe<In<int64_t>> groups, In<int64_t> windows, Digits digits, Out<int64_t> units,
                 Out<int64_t> beyond) {
    RatioJob job{};
    job.rows = int64_t(a.size());
    need(aligned(a) && aligned(digits) && aligned(windows) && aligned(units) && aligned(beyond), "a");
    job.a = a.data();
    job.a_error = data(a_error, job.rows, "a_error");
    job.b = data(b, job.rows, "b");
    job.product = product;
    need(b ? !(product && a_error) : !product && !a_error, "b");
    job.group_count = int64_t(digits.shape(0));
    job.stride = int64_t(digits.shape(1));
    need(windows.size() == 2 * kPowers, "windows");
    int64_t offset = 0;
    for (int k = 0; k < kPowers; ++k) {
        const int64_t low = windows.data()[2 * k], width = windows.data()[2 * k + 1];
        need_low(low);
        const bool used = b || k == 0 || k == 2 || k == 5;
        need(used ? 3 <= width && width <= kMostDigits : width == 0, "windows");
        job.windows[k] = {low, width, offset};
        offset += width;
    }
    need(offset == job.stride, "windows");
    need(int64_t(units.size()) == job.group_count && int64_t(beyond.size()) == job.group_count, "units");
    const Call call;
    nb::gil_scoped_release released;
    need_groups(groups, job.rows, job.group_count);
    job.groups = groups ? groups->data() : nullptr;
    job.digits = digits.data();
    job.units = units.data();
    job.beyond = beyond.data();
    need(is_wide() ? ratio_wide(job) : ratio_narrow(job), "windows");
}

// digits[groups[g]] += factor * others[g], both canonical; groups null: g itself.
void exact_add(SomeDigits others, int64_t other_low, int64_t factor, Maybe<In<int64_t>> groups, Digits digits,
               int64_t low) {
    const int64_t count = int64_t(others.shape(0)), width = int64_t(digits.shape(1));
    need_low(low);
    need_low(other_low);
    const int64_t other_width = int64_t(others.shape(1)), at = other_low - low;
    need(aligned(others) && aligned(digits), "digits");
    need(1 <= factor && factor <= int64_t(1) << 53, "factor");
    need(other_width > 0 && 0 <= at && width <= kMostDigits && at + other_width <= width, "digits");
    need(groups || count == int64_t(digits.shape(0)), "digits");
    const Call call;
    nb::gil_scoped_release released;
    if (groups) need_groups(groups, count, int64_t(digits.shape(0)));
    for (int64_t g = 0; g < count; ++g) {
        int64_t to = g;
        if (groups) need(group_of(groups->data(), g, int64_t(digits.shape(0)), to), "groups");
        int64_t* const sum = digits.data() + to * width + at;
        const int64_t* const other = others.data() + g * other_width;
        if (factor == 1) add_digits<int64_t>(sum, width - at, other, other_width, 1);
        else add_digits<__int128>(sum, width - at, other, other_width, factor);
    }
}

// The columns of canonical digits that are needed: the first with a digit that is not 0, and the end of those that are
// more than a sign. Both 0 if all are 0.
std::pair<int64_t, int64_t> exact_trim(SomeDigits digits) {
    const int64_t width = int64_t(digits.shape(1)), count = int64_t(digits.shape(0));
    need(width > 0 && aligned(digits), "digits");
    const Call call;
    nb::gil_scoped_release released;
    int64_t first = width, last = 1;
    for (int64_t g = 0; g < count; ++g) {
        const int64_t* row = digits.data() + g * width;
        int64_t k = 0;
        while (k < first && row[k] == 0) ++k;
        first = k;
        int64_t end = width;
        const int64_t sign = row[width - 1] >> 63;
        const int64_t filled = sign & kDigitMask;
        if (row[width - 1] == sign) {
            const auto is_sign = [&](int64_t at) { return (row[at] & kDigitMask) == filled; };
            const auto says_sign = [&](int64_t at) { return (row[at] >> 31 & 1) == (sign & 1); };
            while (end > last && is_sign(end - 1) && says_sign(end - 2)) --end;
        }
        last = end;
    }
    if (first == width) return {0, 0};
    return {first, last};
}

void exact_floats(SomeDigits digits, int64_t low, Out<double> floats) {
    const int64_t width = int64_t(digits.shape(1)), count = int64_t(digits.shape(0));
    need_low(low);
    need(0 < width && width <= kMostDigits && aligned(digits), "digits");
    need(int64_t(floats.size()) == count && aligned(floats), "floats");
    const Call call;
    nb::gil_scoped_release released;
    for (int64_t g = 0; g < count; ++g) floats.data()[g] = rounded(digits.data() + g * width, width, low);
}

// The cell of each number's size, between edges that split octaves into `per_octave` equal ratios. The guess is less than one
// cell off: log2(1 + f) = f + 0.34 f (1 - f) within 0.009.
void octave_cells(In<double> numbers, In<double> edges, int64_t per_octave, Out<int64_t> cells) {
    const int64_t rows = int64_t(numbers.size()), last = int64_t(edges.size()) - 2;
    need(aligned(numbers) && aligned(edges) && aligned(cells), "numbers");
    need(last >= 1 && 1 <= per_octave && per_octave <= 64, "edges");
    need(int64_t(cells.size()) == rows, "cells");
    const Call call;
    nb::gil_scoped_release released;
    const double* edge = edges.data();
    uint64_t bits;
    std::memcpy(&bits, edge + 1, sizeof(bits));
    const int64_t first = int64_t(bits >> 52);
    for (int64_t i = 0; i < rows; ++i) {
        const double x = __builtin_fabs(numbers.data()[i]);
        std::memcpy(&bits, &x, sizeof(bits));
        const double f = double(int64_t(bits & kFractionMask)) * 0x1p-52;
        const int64_t octave = int64_t(bits >> 52) - first;
        int64_t cell = octave * per_octave + int64_t((f + 0.34 * f * (1 - f)) * double(per_octave)) + 1;
        cell = cell < 0 ? 0 : cell > last ? last : cell;
        cell += (x >= edge[cell + 1]) & (cell < last);
        cell -= (x < edge[cell]) & (cell > 0);
        cells.data()[i] = cell;
    }
}

}  // namespace

void bind_exact(nb::module_& m) {
    m.def("exact_reach", &exact_reach, CROSSENT_ARG("values"),
          "Positions of the smallest and the largest number that is not 0, and the first that is not finite.");
    m.def("exact_rows", &exact_rows_of, CROSSENT_ARG("values"), CROSSENT_MAYBE("times"), CROSSENT_MAYBE("groups"),
          CROSSENT_ARG("digits"), nb::arg("low"), "Adds rows to exact sums: see ExactRowsJob in native/exact_sum.hpp.");
    m.def("exact_ratio", &exact_ratio, CROSSENT_ARG("a"), CROSSENT_MAYBE("a_error"), CROSSENT_MAYBE("b"),
          nb::arg("product"), CROSSENT_MAYBE("groups"), CROSSENT_ARG("windows"), CROSSENT_ARG("digits"),
          CROSSENT_ARG("units"), CROSSENT_ARG("beyond"), "Sums of a^i b^j: see RatioJob in native/exact_sum.hpp.");
    m.def("exact_add", &exact_add, CROSSENT_ARG("others"), nb::arg("other_low"), nb::arg("factor"),
          CROSSENT_MAYBE("groups"), CROSSENT_ARG("digits"), nb::arg("low"), "digits[groups] += factor * others.");
    m.def("exact_trim", &exact_trim, CROSSENT_ARG("digits"), "The first and the end of the columns that are needed.");
    m.def("exact_floats", &exact_floats, CROSSENT_ARG("digits"), nb::arg("low"), CROSSENT_ARG("floats"),
          "Exact sums rounded once.");
    m.def("octave_cells", &octave_cells, CROSSENT_ARG("numbers"), CROSSENT_ARG("edges"), nb::arg("per_octave"),
          CROSSENT_ARG("cells"), "The cell of each number, between edges that split octaves into equal ratios.");
}

}  // namespace crossent
