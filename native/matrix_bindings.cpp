// Bindings of the products of feature matrices: sizes and alignment are checked here, values are any.
#include "bindings.hpp"

namespace crossent {

namespace {

// Rows of features: the columns side by side, the rows any distance apart.
template <class S> using Rows = nb::ndarray<const S, nb::ndim<2>, nb::device::cpu>;

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
        constexpr int64_t kPanel = 24, kPacked = 64;
        GramJob job{};
        set_rows(job, rows);
        job.panels = job.columns / kPanel + 1;  // one more column, of ones
        job.center = data(center, job.columns, "center");
        need(int64_t(inverse_scale.size()) == job.columns && aligned(inverse_scale), "inverse_scale");
        need(int64_t(weight.size()) == job.count && aligned(weight), "weight");
        need(0 <= first_panel && first_panel <= end_panel && end_panel <= job.panels, "panels");
        need(int64_t(packed.size()) == 2 * job.panels * kPacked * kPanel && aligned(packed), "packed");
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

    static void bind(nb::module_& m, const std::string& suffix) {
        m.def(("linear_logits_" + suffix).c_str(), &logits, CROSSENT_ARG("rows"), CROSSENT_MAYBE("center"),
              CROSSENT_ARG("coef"), CROSSENT_ARG("intercept"), CROSSENT_ARG("logits"),
              "logits = (rows - center) coef^T + intercept: see LinearRowsJob in native/kernels.hpp.");
        m.def(("linear_sums_" + suffix).c_str(), &sums, CROSSENT_ARG("rows"), CROSSENT_MAYBE("center"),
              CROSSENT_ARG("slopes"), CROSSENT_ARG("sums"),
              "sums += slopes^T (rows - center): see LinearRowsJob in native/kernels.hpp.");
        m.def(("column_moments_" + suffix).c_str(), &moments, CROSSENT_ARG("rows"), CROSSENT_MAYBE("weight"),
              CROSSENT_ARG("shift"), CROSSENT_ARG("moments"), "Moments of columns: see MomentsJob in native/kernels.hpp.");
        m.def(("gram_" + suffix).c_str(), &gram, CROSSENT_ARG("rows"), CROSSENT_MAYBE("center"),
              CROSSENT_ARG("inverse_scale"), CROSSENT_ARG("weight"), nb::arg("first_panel"), nb::arg("end_panel"),
              CROSSENT_ARG("packed"), CROSSENT_ARG("gram"), "Weighted Gram matrix: see GramJob in native/kernels.hpp.");
        m.def(("sparse_" + suffix).c_str(), &sparse, CROSSENT_ARG("values"), CROSSENT_ARG("index"), CROSSENT_ARG("starts"),
              nb::arg("first"), nb::arg("end"), CROSSENT_ARG("other"), nb::arg("outputs"), CROSSENT_MAYBE("base"),
              CROSSENT_ARG("out"), "Lines of a sparse matrix times a dense one: see SparseJob in native/kernels.hpp.");
    }
};

}  // namespace

void bind_matrices(nb::module_& m) {
    Matrix<float>::bind(m, "f32");
    Matrix<double>::bind(m, "f64");
}

}  // namespace crossent
