// Sums of non-negative terms in lanes, accurate whatever their number: K equal terms must not drift.
//
// float: at most 4 terms per lane are added in float, then widened to double. double: every addition keeps its exact
// error. A total is a pair (high, low); low is 0 for float, where double has bits to spare.
#pragma once

#include "lanes.hpp"

namespace {

struct Pair {
    double high = 0, low = 0;
    // Adds x and keeps the error; an infinite sum stays infinite (its error would be NaN).
    CROSSENT_INLINE void add(double x) {
        const double s = high + x;
        const double error = sum_error(high, x, s);
        low += error - error == 0 ? error : 0;
        high = s;
    }
    CROSSENT_INLINE double value() const { return high + low; }
};

template <class T> struct LaneSum;

template <> struct LaneSum<float> {
    F64 low_half{}, high_half{};  // lanes 0 .. W/2 - 1 and W/2 .. W - 1
    CROSSENT_INLINE void add_widened(F32 v) {
        F64 a, b;
        widen(v, a, b);
        low_half += a;
        high_half += b;
    }
    CROSSENT_INLINE void add4(F32 a, F32 b, F32 c, F32 d) { add_widened((a + b) + (c + d)); }
};

template <> struct LaneSum<double> {
    F64 high{}, low{};
    CROSSENT_INLINE void add(F64 v) {
        const F64 s = high + v;
        const F64 error = sum_error(high, v, s);
        low += error;
        high = s;
    }
    CROSSENT_INLINE void add4(F64 a, F64 b, F64 c, F64 d) {
        add(a);
        add(b);
        add(c);
        add(d);
    }
    // Of each lane. An infinite sum's error is NaN and is dropped.
    CROSSENT_INLINE F64 total_lanes() const { return high - high == F64{} ? high + low : high; }
    CROSSENT_INLINE Pair total() const {
        Pair sum;
        for (int i = 0; i < kLanes<double>; ++i) sum.add(high[i]);
        for (int i = 0; i < kLanes<double>; ++i) sum.low += sum.high - sum.high == 0 ? low[i] : 0;
        return sum;
    }
};

// One term after another into the same lanes (a tile: a lane is a row). Up to 4 floats meet before they are widened.
template <class T> struct TermSum;
template <> struct TermSum<float> {
    LaneSum<float> sum;
    F32 group{};
    int pending = 0;
    CROSSENT_INLINE void add(F32 v) {
        group += v;
        if (++pending == 4) flush();
    }
    CROSSENT_INLINE void flush() {
        sum.add_widened(group);
        group = F32{};
        pending = 0;
    }
    CROSSENT_INLINE Wide<float> high() const { return {{sum.low_half, sum.high_half}}; }
    CROSSENT_INLINE Wide<float> low() const { return {{F64{}, F64{}}}; }
    CROSSENT_INLINE Wide<float> total_lanes() {
        flush();
        return high();
    }
};
template <> struct TermSum<double> {
    LaneSum<double> sum;
    CROSSENT_INLINE void add(F64 v) { sum.add(v); }
    CROSSENT_INLINE void flush() {}
    CROSSENT_INLINE Wide<double> high() const { return {{sum.high}}; }
    CROSSENT_INLINE Wide<double> low() const { return {{sum.low}}; }
    CROSSENT_INLINE Wide<double> total_lanes() const { return {{sum.total_lanes()}}; }
};

// What a mean divides by: no two terms meet before they are doubles. Error 5e-15, whatever the number of terms.
template <class T> struct MassSum;
template <> struct MassSum<float> {
    LaneSum<double> part[2];
    F64 group[2]{};  // up to 32 additions without their errors
    int pending = 0;
    CROSSENT_INLINE void add4(const Wide<float> (&v)[4]) {
        CROSSENT_UNROLL for (int p = 0; p < 2; ++p) {
            group[p] += (v[0].part[p] + v[1].part[p]) + (v[2].part[p] + v[3].part[p]);
        }
        if (++pending == 32) [[unlikely]] flush();
    }
    CROSSENT_INLINE void flush() {
        CROSSENT_UNROLL for (int p = 0; p < 2; ++p) {
            part[p].add(group[p]);
            group[p] = F64{};
        }
        pending = 0;
    }
    CROSSENT_INLINE Wide<float> total_lanes() {
        flush();
        return each<float>(CROSSENT_PART { return part[p].total_lanes(); });
    }
};
template <> struct MassSum<double> {
    LaneSum<double> sum;
    CROSSENT_INLINE void add4(const Wide<double> (&v)[4]) {
        sum.add4(v[0].part[0], v[1].part[0], v[2].part[0], v[3].part[0]);
    }
    CROSSENT_INLINE Wide<double> total_lanes() { return {{sum.total_lanes()}}; }
};

}  // namespace
