// Bindings of what statistics of cells need: plain double code for any processor; sizes are checked here, values are any.
#include <vector>

#include "bindings.hpp"
#include "isotonic.hpp"

namespace crossent {

namespace {

template <class T> using Curves = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void isotonic(Curves<const double> totals, In<double> weight, Curves<double> curves) {
    const int64_t rows = int64_t(totals.shape(0)), m = int64_t(totals.shape(1));
    need(aligned(totals), "totals");
    need(int64_t(weight.size()) == m && aligned(weight), "weight");
    need(int64_t(curves.shape(0)) == rows && int64_t(curves.shape(1)) == m && aligned(curves), "curves");
    const Call call;
    nb::gil_scoped_release released;
    std::vector<Pool> pools(static_cast<size_t>(m));
    for (int64_t row = 0; row < rows; ++row) {
        isotonic_row(totals.data() + row * m, weight.data(), m, pools.data(), curves.data() + row * m);
    }
}

}  // namespace

void bind_statistics(nb::module_& m) {
    m.def("isotonic", &isotonic, CROSSENT_ARG("totals"), CROSSENT_ARG("weight"), CROSSENT_ARG("curves"),
          "Isotonic regression of the means of cells, one curve a row: see isotonic_row in native/isotonic.hpp.");
}

}  // namespace crossent
