// Bindings of the products of feature matrices: sizes and alignment are checked here, values are any.
#include <nanobind/stl/pair.h>

#include <memory>

#include "bindings.hpp"

namespace crossent {

namespace {

// Whether an array has so many lines of so many numbers; their product may overflow: rows that repeat cost no memory.
template <class A> bool holds(const A& array, int64_t lines, int64_t each) {
    int64_t size = 0;
    return !__builtin_mul_overflow(lines, each, &size) && int64_t(array.size()) == size && aligned(array);
}

// Rows of features: the columns side by side, the rows any distance apart.
template <class S> using Rows = nb::ndarray<const S, nb::ndim<2>, nb::device::cpu>;

// The loss of the rows of a fit, with the arrays that it reads.
struct StepLoss {
    SoftmaxJob softmax{};
    SigmoidJob sigmoid{};
    bool is_softmax = false;
    int64_t rows = 0, outputs = 0;
    Maybe<Any> labels;
    Maybe<In<double>> soft, soft_factor, class_weight, row_weight, targets, pos_weight, weight;

    static StepLoss* of_classes(int64_t rows, int64_t classes, Maybe<Any> labels, Maybe<In<double>> soft,
                                Maybe<In<double>> soft_factor, Maybe<In<double>> class_weight,
                                Maybe<In<double>> row_weight, Maybe<int64_t> ignore_index, double smoothing) {
        need(rows >= 0 && classes > 0 && labels.has_value() != soft.has_value(), "targets");
        std::unique_ptr<StepLoss> loss(new StepLoss);
        SoftmaxJob& job = loss->softmax;
        job.classes = classes;
        job.inner = 1;
        set_targets<SoftmaxJob, double>(job, rows, labels, soft, soft_factor, class_weight, row_weight, ignore_index);
        job.class_weight_lanes = job.class_weight;
        job.smoothing = smoothing;
        job.value_factor = job.grad_factor = 1;
        job.sum_tolerance = -1;
        job.output = kGradient;
        loss->is_softmax = true;
        loss->rows = rows;
        loss->outputs = classes;
        loss->labels = std::move(labels);
        loss->soft = std::move(soft);
        loss->soft_factor = std::move(soft_factor);
        loss->class_weight = std::move(class_weight);
        loss->row_weight = std::move(row_weight);
        return loss.release();
    }

    static StepLoss* of_labels(int64_t rows, int64_t columns, In<double> targets, Maybe<In<double>> pos_weight,
                               Maybe<In<double>> weight, double smoothing, double negative_weight,
                               double positive_weight) {
        need(rows >= 0 && columns > 0, "rows");
        std::unique_ptr<StepLoss> loss(new StepLoss);
        SigmoidJob& job = loss->sigmoid;
        job.columns = columns;
        need(holds(targets, rows, columns), "targets");
        job.targets = targets.data();
        job.target_row = columns;
        job.target_column = 1;
        set_weights(job, pos_weight, weight, rows);
        job.smoothing = smoothing;
        job.negative_weight = negative_weight;
        job.positive_weight = positive_weight;
        job.value_factor = job.grad_factor = 1;
        loss->rows = rows;
        loss->outputs = columns;
        loss->targets = std::move(targets);
        loss->pos_weight = std::move(pos_weight);
        loss->weight = std::move(weight);
        return loss.release();
    }
};

template <class S> struct Matrix {
    static constexpr int kind = sizeof(S) == 4 ? kF32 : kF64;

    template <class Job> static void set_rows(Job& job, const Rows<S>& rows) {
        need(rows.shape(1) > 0 && (rows.shape(1) == 1 || rows.stride(1) == 1) && aligned(rows), "rows");
        job.rows = rows.data();
        job.count = int64_t(rows.shape(0));
        job.columns = int64_t(rows.shape(1));
        job.stride = rows.stride(0);
    }

    static void logits(Rows<S> rows, Maybe<In<double>> center, In<double> coef, In<double> intercept, Out<double> logits) {
        LinearRowsJob job{};
        set_rows(job, rows);
        job.outputs = int64_t(intercept.size());
        job.center = data(center, job.columns, "center");
        need(job.outputs > 0 && holds(coef, job.outputs, job.columns) && aligned(intercept), "coef");
        need(holds(logits, job.count, job.outputs), "logits");
        job.coef = coef.data();
        job.intercept = intercept.data();
        job.logits = logits.data();
        run_unlocked(table().linear_logits[kind], job);
    }

    static void sums(Rows<S> rows, Maybe<In<double>> center, In<double> slopes, Out<double> sums) {
        LinearRowsJob job{};
        set_rows(job, rows);
        need(sums.size() > 0 && int64_t(sums.size()) % job.columns == 0 && aligned(sums), "sums");
        job.outputs = int64_t(sums.size()) / job.columns;
        job.center = data(center, job.columns, "center");
        need(holds(slopes, job.count, job.outputs), "slopes");
        job.slopes = slopes.data();
        job.sums = sums.data();
        run_unlocked(table().linear_sums[kind], job);
    }

    // Rows first .. of the loss are the rows given. Returns the summed loss and the lowest bad row * 8 + code.
    static std::pair<double, int64_t> step(Rows<S> rows, Maybe<In<double>> center, In<double> coef,
                                           In<double> intercept, const StepLoss& loss, int64_t first, int64_t block_rows,
                                           Out<double> buffer, Out<double> sums, Out<double> totals) {
        LinearStepJob job{};
        set_rows(job.rows, rows);
        const int64_t K = job.rows.outputs = loss.outputs, D = job.rows.columns;
        need(0 <= first && first <= loss.rows && job.rows.count <= loss.rows - first, "rows");
        job.rows.center = data(center, D, "center");
        need(holds(coef, K, D) && holds(intercept, K, 1), "coef");
        need(block_rows > 0 && holds(buffer, block_rows, K), "buffer");
        need(holds(sums, K, D) && holds(totals, K, 1), "sums");
        job.rows.coef = coef.data();
        job.rows.intercept = intercept.data();
        job.rows.logits = buffer.data();
        job.rows.sums = sums.data();
        job.totals = totals.data();
        job.block_rows = block_rows;
        double value = 0;
        int64_t bad = INT64_MAX;
        job.value = &value;
        job.bad = &bad;
        SoftmaxJob softmax = loss.softmax;
        SigmoidJob sigmoid = loss.sigmoid;
        const auto skip = [first]<class T>(T*& p, int64_t each) {
            if (p) p += first * each;
        };
        if (loss.is_softmax) {
            if (softmax.labels) {
                const int64_t bytes = int64_t(1) << (softmax.label_type & 3);
                softmax.labels = static_cast<const char*>(softmax.labels) + first * bytes;
            }
            if (softmax.soft) softmax.soft = static_cast<const double*>(softmax.soft) + first * K;
            skip(softmax.soft_factor, 1);
            skip(softmax.row_weight, 1);
            job.softmax = &softmax;
        } else {
            sigmoid.targets = static_cast<const double*>(sigmoid.targets) + first * K;
            skip(sigmoid.weight, sigmoid.weight_row);
            job.sigmoid = &sigmoid;
        }
        run_unlocked(table().linear_step[kind], job);
        return {value, bad};
    }

    static void moments(Rows<S> rows, Maybe<In<double>> weight, In<double> shift, Out<double> moments) {
        MomentsJob job{};
        set_rows(job, rows);
        job.weight = data(weight, job.count, "weight");
        need(holds(shift, job.columns, 1), "shift");
        need(holds(moments, job.columns, 5), "moments");
        job.shift = shift.data();
        job.moments = moments.data();
        run_unlocked(table().column_moments[kind], job);
    }

    static void gram(Rows<S> rows, Maybe<In<double>> center, In<double> inverse_scale, In<double> weight,
                     int64_t first_panel, int64_t end_panel, Out<double> packed, Out<double> gram) {
        GramJob job{};
        set_rows(job, rows);
        job.panels = job.columns / kGramPanel + 1;  // one more column, of ones
        job.center = data(center, job.columns, "center");
        need(holds(inverse_scale, job.columns, 1), "inverse_scale");
        need(holds(weight, job.count, 1), "weight");
        need(0 <= first_panel && first_panel <= end_panel && end_panel <= job.panels, "panels");
        need(holds(packed, job.panels, kGramPacked * kGramPanel), "packed");
        need(holds(gram, job.panels * kGramPanel, job.panels * kGramPanel), "gram");
        job.first_panel = first_panel;
        job.end_panel = end_panel;
        job.inverse_scale = inverse_scale.data();
        job.weight = weight.data();
        job.packed = packed.data();
        job.gram = gram.data();
        run_unlocked(table().gram[kind], job);
    }

    // Lines first .. end lie within the values, and name lines below `count`. Looking takes a small part of the product, and
    // not the lock of the interpreter.
    static void need_lines(const In<S>& values, const In<int32_t>& index, const In<int64_t>& starts, int64_t first,
                           int64_t end, int64_t count) {
        nb::gil_scoped_release released;
        need(values.size() == index.size() && aligned(values) && aligned(index) && aligned(starts), "values");
        need(0 <= first && first <= end && end < int64_t(starts.size()), "lines");
        const int64_t* at = starts.data();
        bool rises = 0 <= at[first] && at[end] <= int64_t(index.size());
        for (int64_t i = first; i < end; ++i) rises &= at[i] <= at[i + 1];
        need(rises, "starts");
        uint32_t largest = 0;  // a negative one looks larger than all
        const int32_t* line = index.data();
        for (int64_t i = at[first]; i < at[end]; ++i) largest = uint32_t(line[i]) > largest ? uint32_t(line[i]) : largest;
        need(at[first] == at[end] || int64_t(largest) < count, "index");
    }

    static void sparse(In<S> values, In<int32_t> index, In<int64_t> starts, int64_t first, int64_t end, In<double> other,
                       int64_t outputs, Maybe<In<double>> base, Out<double> out) {
        need(outputs > 0 && outputs % 8 == 0 && int64_t(other.size()) % outputs == 0 && aligned(other), "other");
        need_lines(values, index, starts, first, end, int64_t(other.size()) / outputs);
        need(holds(out, end - first, outputs), "out");
        SparseJob job{};
        job.first = first;
        job.end = end;
        job.outputs = outputs;
        job.values = values.data();
        job.index = index.data();
        job.starts = starts.data();
        job.other = other.data();
        job.base = data(base, outputs, "base");
        job.out = out.data();
        run_unlocked(table().sparse[kind], job);
    }

    // Compressed columns of compressed rows, each in the order of the rows.
    static void transposed(In<S> values, In<int32_t> index, In<int64_t> starts, Out<S> out_values, Out<int32_t> out_index,
                           Out<int64_t> out_starts) {
        const int64_t lines = int64_t(starts.size()) - 1, columns = int64_t(out_starts.size()) - 1;
        const size_t size = values.size();
        need(0 <= lines && lines <= INT32_MAX && columns >= 0 && aligned(out_starts), "starts");
        need_lines(values, index, starts, 0, lines, columns);
        need(starts.data()[0] == 0 && starts.data()[lines] == int64_t(size), "starts");
        need(holds(out_values, int64_t(size), 1) && holds(out_index, int64_t(size), 1), "out_values");
        const int32_t* column = index.data();
        const Call call;
        nb::gil_scoped_release released;
        int64_t* next = out_starts.data();  // after the loops entry j + 1 has moved to the end of column j
        for (int64_t j = 0; j <= columns; ++j) next[j] = 0;
        for (size_t i = 0; i < size; ++i) ++next[column[i]];
        int64_t before = 0;
        for (int64_t j = 0; j <= columns; ++j) {
            const int64_t count = next[j];
            next[j] = before;
            before += count;
        }
        for (int64_t row = 0; row < lines; ++row) {
            for (int64_t at = starts.data()[row]; at < starts.data()[row + 1]; ++at) {
                const int64_t to = next[column[at]]++;
                out_values.data()[to] = values.data()[at];
                out_index.data()[to] = int32_t(row);
            }
        }
        for (int64_t j = columns; j > 0; --j) next[j] = next[j - 1];
        next[0] = 0;
    }

    static void bind(nb::module_& m, const std::string& suffix) {
        m.def(("linear_logits_" + suffix).c_str(), &logits, CROSSENT_ARG("rows"), CROSSENT_MAYBE("center"),
              CROSSENT_ARG("coef"), CROSSENT_ARG("intercept"), CROSSENT_ARG("logits"),
              "logits = (rows - center) coef^T + intercept: see LinearRowsJob in native/kernels.hpp.");
        m.def(("linear_sums_" + suffix).c_str(), &sums, CROSSENT_ARG("rows"), CROSSENT_MAYBE("center"),
              CROSSENT_ARG("slopes"), CROSSENT_ARG("sums"),
              "sums += slopes^T (rows - center): see LinearRowsJob in native/kernels.hpp.");
        m.def(("linear_step_" + suffix).c_str(), &step, CROSSENT_ARG("rows"), CROSSENT_MAYBE("center"),
              CROSSENT_ARG("coef"), CROSSENT_ARG("intercept"), nb::arg("loss"), nb::arg("first"), nb::arg("block_rows"),
              CROSSENT_ARG("buffer"), CROSSENT_ARG("sums"), CROSSENT_ARG("totals"),
              "Logits, loss and sums of slopes in one pass: see LinearStepJob in native/kernels.hpp.");
        m.def(("column_moments_" + suffix).c_str(), &moments, CROSSENT_ARG("rows"), CROSSENT_MAYBE("weight"),
              CROSSENT_ARG("shift"), CROSSENT_ARG("moments"), "Moments of columns: see MomentsJob in native/kernels.hpp.");
        m.def(("gram_" + suffix).c_str(), &gram, CROSSENT_ARG("rows"), CROSSENT_MAYBE("center"),
              CROSSENT_ARG("inverse_scale"), CROSSENT_ARG("weight"), nb::arg("first_panel"), nb::arg("end_panel"),
              CROSSENT_ARG("packed"), CROSSENT_ARG("gram"), "Weighted Gram matrix: see GramJob in native/kernels.hpp.");
        m.def(("sparse_" + suffix).c_str(), &sparse, CROSSENT_ARG("values"), CROSSENT_ARG("index"), CROSSENT_ARG("starts"),
              nb::arg("first"), nb::arg("end"), CROSSENT_ARG("other"), nb::arg("outputs"), CROSSENT_MAYBE("base"),
              CROSSENT_ARG("out"), "Lines of a sparse matrix times a dense one: see SparseJob in native/kernels.hpp.");
        m.def(("sparse_transposed_" + suffix).c_str(), &transposed, CROSSENT_ARG("values"), CROSSENT_ARG("index"),
              CROSSENT_ARG("starts"), CROSSENT_ARG("out_values"), CROSSENT_ARG("out_index"), CROSSENT_ARG("out_starts"),
              "Compressed columns from compressed rows.");
    }
};

}  // namespace

void bind_matrices(nb::module_& m) {
    nb::class_<StepLoss>(m, "StepLoss", "The loss of the rows of a fit: see LinearStepJob in native/kernels.hpp.")
        .def_static("of_classes", &StepLoss::of_classes, nb::arg("rows"), nb::arg("classes"), CROSSENT_MAYBE("labels"),
                    CROSSENT_MAYBE("soft"), CROSSENT_MAYBE("soft_factor"), CROSSENT_MAYBE("class_weight"),
                    CROSSENT_MAYBE("row_weight"), nb::arg("ignore_index").none(), nb::arg("smoothing"),
                    nb::rv_policy::take_ownership, "One class of K a row.")
        .def_static("of_labels", &StepLoss::of_labels, nb::arg("rows"), nb::arg("columns"), CROSSENT_ARG("targets"),
                    CROSSENT_MAYBE("pos_weight"), CROSSENT_MAYBE("weight"), nb::arg("smoothing"),
                    nb::arg("negative_weight"), nb::arg("positive_weight"), nb::rv_policy::take_ownership,
                    "Independent labels.");
    m.attr("GRAM_PANEL") = kGramPanel;
    m.attr("GRAM_PACKED") = kGramPacked;
    Matrix<float>::bind(m, "f32");
    Matrix<double>::bind(m, "f64");
}

}  // namespace crossent
