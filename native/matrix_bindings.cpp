// Bindings of the products of feature matrices: sizes and alignment are checked here, values are any.
#include <nanobind/stl/pair.h>

#include <memory>

#include "bindings.hpp"

namespace crossent {

namespace {

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
        int64_t size = 0;
        need(rows >= 0 && columns > 0 && !__builtin_mul_overflow(rows, columns, &size), "rows");
        std::unique_ptr<StepLoss> loss(new StepLoss);
        SigmoidJob& job = loss->sigmoid;
        job.columns = columns;
        need(int64_t(targets.size()) == size && aligned(targets), "targets");
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
        need(job.outputs > 0 && int64_t(coef.size()) == job.outputs * job.columns && aligned(coef), "coef");
        need(int64_t(logits.size()) == job.count * job.outputs && aligned(logits) && aligned(intercept), "logits");
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
        need(int64_t(slopes.size()) == job.count * job.outputs && aligned(slopes), "slopes");
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
        need(int64_t(coef.size()) == K * D && int64_t(intercept.size()) == K && aligned(coef) && aligned(intercept), "coef");
        need(block_rows > 0 && int64_t(buffer.size()) >= block_rows * K && aligned(buffer), "buffer");
        need(int64_t(sums.size()) == K * D && int64_t(totals.size()) == K && aligned(sums) && aligned(totals), "sums");
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
        need(int64_t(shift.size()) == job.columns && aligned(shift), "shift");
        need(int64_t(moments.size()) == 5 * job.columns && aligned(moments), "moments");
        job.shift = shift.data();
        job.moments = moments.data();
        run_unlocked(table().column_moments[kind], job);
    }

    static void gram(Rows<S> rows, Maybe<In<double>> center, In<double> inverse_scale, In<double> weight,
                     int64_t first_panel, int64_t end_panel, Out<double> packed, Out<double> gram) {
        constexpr int64_t kPanel = 24, kPacked = 128;
        GramJob job{};
        set_rows(job, rows);
        job.panels = job.columns / kPanel + 1;  // one more column, of ones
        job.center = data(center, job.columns, "center");
        need(int64_t(inverse_scale.size()) == job.columns && aligned(inverse_scale), "inverse_scale");
        need(int64_t(weight.size()) == job.count && aligned(weight), "weight");
        need(0 <= first_panel && first_panel <= end_panel && end_panel <= job.panels, "panels");
        need(int64_t(packed.size()) == job.panels * kPacked * kPanel && aligned(packed), "packed");
        need(int64_t(gram.size()) == job.panels * kPanel * job.panels * kPanel && aligned(gram), "gram");
        job.first_panel = first_panel;
        job.end_panel = end_panel;
        job.inverse_scale = inverse_scale.data();
        job.weight = weight.data();
        job.packed = packed.data();
        job.gram = gram.data();
        run_unlocked(table().gram[kind], job);
    }

    // The caller has checked that starts rise and lie within the values, and every index within `other`.
    static void sparse(In<S> values, In<int32_t> index, In<int64_t> starts, int64_t first, int64_t end, In<double> other,
                       int64_t outputs, Maybe<In<double>> base, Out<double> out) {
        need(outputs > 0 && outputs % 8 == 0 && int64_t(other.size()) % outputs == 0 && aligned(other), "other");
        need(values.size() == index.size() && aligned(values) && aligned(index) && aligned(starts), "values");
        need(0 <= first && first <= end && end < int64_t(starts.size()), "lines");
        need(int64_t(out.size()) == (end - first) * outputs && aligned(out), "out");
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

    // Compressed columns of compressed rows, each in the order of the rows. The caller has checked the rows as for `sparse`.
    static void transposed(In<S> values, In<int32_t> index, In<int64_t> starts, Out<S> out_values, Out<int32_t> out_index,
                           Out<int64_t> out_starts) {
        const int64_t lines = int64_t(starts.size()) - 1, columns = int64_t(out_starts.size()) - 1;
        const size_t size = values.size();
        need(lines >= 0 && columns >= 0 && starts.data()[lines] == int64_t(size), "starts");
        need(index.size() == size && out_values.size() == size && out_index.size() == size, "values");
        need(aligned(values) && aligned(index) && aligned(starts) && aligned(out_values) && aligned(out_index), "values");
        const int32_t* column = index.data();
        for (size_t i = 0; i < size; ++i) need(column[i] >= 0 && column[i] < columns, "index");
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
    Matrix<float>::bind(m, "f32");
    Matrix<double>::bind(m, "f64");
}

}  // namespace crossent
