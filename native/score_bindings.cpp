// Bindings of the pass that scores rows: sizes and alignment are checked here, labels and probabilities by the kernel.
#include <new>

#include "bindings.hpp"

namespace crossent {

namespace {

// Whether an array has so many numbers; a product that overflows fits nothing.
template <class A> bool holds(const A& array, int64_t a, int64_t b, int64_t c = 1) {
    int64_t lines = 0, size = 0;
    return !__builtin_mul_overflow(a, b, &lines) && !__builtin_mul_overflow(lines, c, &size) &&
           int64_t(array.size()) == size && aligned(array);
}

class Scratch {
  public:
    explicit Scratch(int64_t numbers) : data_(new (std::align_val_t(64)) double[size_t(numbers)]) {}
    ~Scratch() { ::operator delete[](data_, std::align_val_t(64)); }
    Scratch(const Scratch&) = delete;
    double* data() const { return data_; }

  private:
    double* data_;
};

constexpr int64_t kMostClasses = int64_t(1) << 26, kMostSquares = int64_t(1) << 12;

template <class T> struct Score {
    static void set_rows(ScoreJob& job, int64_t count, const Maybe<In<double>>& losses, const Out<double>& own_losses,
                         const Out<double>& target, const Out<double>& confidence, const Out<int64_t>& predicted,
                         const Out<int64_t>& large) {
        job.losses = data(losses, count, "losses");
        need(holds(own_losses, count, 1) && holds(target, count, 1) && holds(confidence, count, 1), "rows");
        need(holds(predicted, count, 1) && holds(large, count, 1), "rows");
        job.own_losses = own_losses.data();
        job.target = target.data();
        job.confidence = confidence.data();
        job.predicted = predicted.data();
        job.large = large.data();
    }

    static void set_tables(ScoreJob& job, const In<int64_t>& slots, const Out<int64_t>& cells,
                           const Maybe<Out<int64_t>>& surprise, const Maybe<Out<int64_t>>& zeros) {
        const int64_t K = job.classes, room = 2 * kCells;
        need(holds(slots, K, 1), "slots");
        need(cells.size() > 0 && int64_t(cells.size()) % room == 0 && aligned(cells), "cells");
        const int64_t count = int64_t(cells.size()) / room;
        for (int64_t j = 0; j < K; ++j) {
            need(slots.data()[j] >= -1 && slots.data()[j] < count, "slots");
            job.tracked |= slots.data()[j] >= 0;
        }
        job.slots = slots.data();
        job.cells = cells.data();
        need(surprise.has_value() == zeros.has_value() && (!surprise || K <= kMostSquares), "surprise");
        if (!surprise) return;
        need(holds(*surprise, K, K, 2) && holds(*zeros, K, K), "surprise");
        job.surprise = surprise->data();
        job.zeros = zeros->data();
    }

    // The lowest bad row * 8 + code, or 2^63 - 1.
    static int64_t run(In<T> values, In<int64_t> labels, int64_t classes, int32_t kind, int64_t first, int64_t end,
                       double silent, double refused, Maybe<In<double>> losses, Out<double> own_losses,
                       Out<double> target, Out<double> confidence, Out<int64_t> predicted, In<int64_t> slots,
                       Out<int64_t> cells, Maybe<Out<int64_t>> surprise, Maybe<Out<int64_t>> zeros, Out<int64_t> sums,
                       Out<double> found, Out<int64_t> counts, Out<int64_t> large, Maybe<Out<double>> terms,
                       Maybe<Out<double>> logs) {
        ScoreJob job{};
        const int64_t count = int64_t(labels.size());
        need(classes > 0 && classes <= kMostClasses && holds(values, count, classes) && aligned(labels), "values");
        need(0 <= first && first <= end && end <= count && count <= kMostScored, "rows");
        need(kind >= kScoreProbs && kind <= kScoreLogProbs, "kind");
        job.first = first;
        job.end = end;
        job.classes = classes;
        job.values = values.data();
        job.labels = labels.data();
        job.kind = kind;
        job.silent = silent;
        job.refused = refused;
        set_rows(job, count, losses, own_losses, target, confidence, predicted, large);
        set_tables(job, slots, cells, surprise, zeros);
        need(holds(sums, kScoreTerms, 2) && holds(found, 4, 1) && holds(counts, 4, 1), "sums");
        need(counts.data()[2] >= 0 && counts.data()[2] <= first, "counts");
        job.sums = sums.data();
        job.found = found.data();
        job.counts = counts.data();
        need(terms.has_value() == logs.has_value(), "terms");
        need(!terms || (holds(*terms, count, kScoreTerms) && holds(*logs, count, classes)), "terms");
        job.terms = terms ? terms->data() : nullptr;
        job.logs = logs ? logs->data() : nullptr;
        int64_t bad = INT64_MAX;
        job.bad = &bad;
        const Scratch scratch(score_scratch(classes, job.surprise != nullptr));
        job.scratch = scratch.data();
        run_unlocked(table().score[sizeof(T) == 4 ? kF32 : kF64], job);
        return bad;
    }

    static void bind(nb::module_& m, const char* name) {
        m.def(name, &run, CROSSENT_ARG("values"), CROSSENT_ARG("labels"), nb::arg("classes"), nb::arg("form"),
              nb::arg("first"), nb::arg("end"), nb::arg("silent"), nb::arg("refused"), CROSSENT_MAYBE("losses"),
              CROSSENT_ARG("own_losses"), CROSSENT_ARG("target"), CROSSENT_ARG("confidence"), CROSSENT_ARG("predicted"),
              CROSSENT_ARG("slots"), CROSSENT_ARG("cells"), CROSSENT_MAYBE("surprise"), CROSSENT_MAYBE("zeros"),
              CROSSENT_ARG("sums"), CROSSENT_ARG("found"), CROSSENT_ARG("counts"), CROSSENT_ARG("large"),
              CROSSENT_MAYBE("terms"), CROSSENT_MAYBE("logs"), "Rows of predictions, scored: see ScoreJob in native/kernels.hpp.");
    }
};

}  // namespace

void bind_scores(nb::module_& m) {
    m.attr("SCORE_TERMS") = kScoreTerms;
    m.attr("SCORE_CELLS") = kCells;
    m.attr("SCORE_ROWS") = kMostScored;
    Score<float>::bind(m, "score_rows_f32");
    Score<double>::bind(m, "score_rows_f64");
}

}  // namespace crossent
