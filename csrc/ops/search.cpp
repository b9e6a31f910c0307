// search.cpp -- searchsorted, bucketize, isin, and counts: bincount, histc.
#include "ops/search.h"

#include <cmath>

#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/search.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/element.h"
#include "ops/indexing.h"
#include "ops/reduce.h"
#include "ops/reduce_plan.h"
#include "ops/sort.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

using OptStr = std::optional<std::string_view>;

Tensor places(const char* op, const Tensor& sorted, const Tensor& values, bool int32, bool right,
              const Tensor& sorter) {
  GradMode off(false);
  PYNN_CHECK_KIND(NotImplemented, sorted.dtype() != DType::Bool && !is_complex(sorted.dtype()), op,
                  ": not implemented for '", dtype_name(sorted.dtype()), "'");
  PYNN_CHECK(sorted.dim() > 0, op, ": boundaries tensor should have positive dimension, but got 0 dimension");
  bool fits = sorted.dim() == 1 || sorted.dim() == values.dim();
  for (int64_t d = 0; sorted.dim() > 1 && fits && d + 1 < sorted.dim(); ++d) fits = sorted.size(d) == values.size(d);
  PYNN_CHECK(fits, op,
             ": boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input "
             "value tensor must match, but we got boundaries tensor ",
             dims_str(sorted.sizes()), " and input value tensor ", dims_str(values.sizes()));
  Tensor order;
  if (sorter.defined()) {
    PYNN_CHECK(same(sorter.sizes(), sorted.sizes()), op, ": boundary and sorter must have the same size, but got ",
               dims_str(sorted.sizes()), " and ", dims_str(sorter.sizes()));
    PYNN_CHECK(sorter.dtype() == DType::Int64, op, ": sorter must be a tensor of long dtype but got dtype ",
               dtype_name(sorter.dtype()));
    order = contiguous(sorter);
    PYNN_CHECK_KIND(Index, !any_zero(logical_and(ge(order, 0), lt(order, Scalar(sorted.size(-1))))), op,
                    ": sorter index out of range");
  }
  Tensor y = empty(values.sizes(), DType::Int64, values.device());
  if (y.numel() && !y.device().is_meta()) {
    const DType t = promote(sorted.dtype(), values.dtype());
    const Tensor row = contiguous(to_dtype(sorted, t)), v = contiguous(to_dtype(values, t));
    SearchArgs a{};
    a.sorted = row.data();
    a.sorter = order.defined() ? order.data_as<int64_t>() : nullptr;
    a.values = v.data();
    a.places = y.data_as<int64_t>();
    a.n = sorted.size(-1);
    a.one_row = sorted.dim() == 1;
    a.count = a.one_row ? v.numel() : v.size(-1);
    a.rows = v.numel() / a.count;
    a.right = right;
    a.dtype = row.dtype();
    kernels::search_sorted(y.device(), a);
  }
  return no_gradient(int32 ? to_dtype(y, DType::Int32) : y);
}

bool from_right(bool right, OptStr side) {
  if (!side) return right;
  PYNN_CHECK(*side == "left" || *side == "right", "searchsorted: side can only be 'left' or 'right' but got ", *side);
  PYNN_CHECK(!right || *side == "right",
             "searchsorted: side and right can't be set to opposites, got side of left while right was True");
  return *side == "right";
}

Tensor op_searchsorted(const Tensor& sorted, const Tensor& values, bool int32, bool right, OptStr side,
                       const Tensor& sorter) {
  return places("searchsorted", sorted, values, int32, from_right(right, side), sorter);
}
Tensor searchsorted_number(const Tensor& sorted, Scalar value, bool int32, bool right, OptStr side,
                           const Tensor& sorter) {
  PYNN_CHECK(sorted.dim() == 1,
             "searchsorted: input value can be a scalar only when boundaries tensor dimension is 1, but we got "
             "boundaries tensor dim(",
             sorted.dim(), ")");
  // A fraction among whole boundaries must not be cut.
  const bool wide = value.is_float() && is_integral(sorted.dtype());
  const Tensor row = wide ? to_dtype(sorted, default_dtype()) : sorted;
  return places("searchsorted", row, full({}, value, row.dtype(), row.device()), int32, from_right(right, side),
                sorter);
}
Tensor bucketize(const Tensor& values, const Tensor& boundaries, bool int32, bool right) {
  PYNN_CHECK(boundaries.dim() == 1, "bucketize: boundaries tensor must be 1 dimension, but got dim(", boundaries.dim(),
             ")");
  return places("bucketize", boundaries, values, int32, right, {});
}
Tensor bucketize_number(Scalar value, const Tensor& boundaries, bool int32, bool right) {
  PYNN_CHECK(boundaries.dim() == 1, "bucketize: boundaries tensor must be 1 dimension, but got dim(", boundaries.dim(),
             ")");
  return searchsorted_number(boundaries, value, int32, right, {}, {});
}

// Members are found by binary search in the sorted set; NaN is in no set.
Tensor isin(const Tensor& elements, const Tensor& set, bool, bool invert) {
  const DType t = result_type(elements, set);
  PYNN_CHECK(elements.dtype() != DType::Bool && set.dtype() != DType::Bool,
             "isin: Unsupported input type encountered for isin(): Bool");
  if (elements.device().is_meta() || set.device().is_meta())
    return empty(elements.sizes(), DType::Bool, elements.device());
  GradMode off(false);
  if (set.numel() == 0) return full(elements.sizes(), Scalar(invert), DType::Bool, elements.device());
  const Tensor flat = to_dtype(reshape(set, DimVector{-1}), t), x = to_dtype(elements, t);
  const Tensor sorted = std::get<0>(first_k("isin", flat, 0, flat.numel(), false));
  // NaN, sorted last, takes no part.
  const Tensor nans = sum(isnan(sorted));
  const int64_t n = flat.numel() - first_element<int64_t>(nans);
  if (n == 0) return full(elements.sizes(), Scalar(invert), DType::Bool, elements.device());
  const Tensor numbers = slice(sorted, 0, 0, n, 1);
  const Tensor at = clamp(places("isin", numbers, x, false, false, {}), std::nullopt, Scalar(n - 1));
  const Tensor where[] = {at};
  return no_gradient(invert ? ne(index(sorted, where), x) : eq(index(sorted, where), x));
}
Tensor isin_element(Scalar element, const Tensor& set, bool unique, bool invert) {
  return isin(full({}, element, result_type(set, element), set.device()), set, unique, invert);
}
Tensor isin_set(const Tensor& elements, Scalar set, bool unique, bool invert) {
  return isin(elements, full({}, set, result_type(elements, set), elements.device()), unique, invert);
}

Tensor bincount(const Tensor& x, const Tensor& weights, int64_t least) {
  PYNN_CHECK_KIND(NotImplemented, is_integral(x.dtype()) && x.dtype() != DType::Bool, "bincount: not implemented for '",
                  dtype_name(x.dtype()), "'");
  PYNN_CHECK_KIND(NotImplemented, !x.device().is_meta() && !(weights.defined() && weights.device().is_meta()),
                  "bincount: the result's shape depends on the values, which a meta tensor does not have");
  PYNN_CHECK(least >= 0, "bincount: minlength should be >= 0, got ", least);
  PYNN_CHECK(x.dim() == 1, "bincount: bincount only supports 1-d non-negative integral inputs, got shape ",
             dims_str(x.sizes()));
  PYNN_CHECK(!weights.defined() || same(weights.sizes(), x.sizes()),
             "bincount: weights should be 1-d and have the same length as input, got ",
             weights.defined() ? dims_str(weights.sizes()) : "");
  GradMode off(false);
  const Tensor at = contiguous(to_dtype(x, DType::Int64));
  int64_t size = least;
  if (x.numel()) {
    const Tensor range = range_of(at);
    const int64_t* ends = range.data_as<int64_t>();
    PYNN_CHECK(ends[0] >= 0, "bincount: bincount only supports 1-d non-negative integral inputs, got ", ends[0]);
    size = std::max(size, ends[1] + 1);
  }
  const DType type = !weights.defined() || x.numel() == 0 ? DType::Int64
                     : weights.dtype() == DType::Float32  ? DType::Float32
                                                          : DType::Float64;
  Tensor counts = zeros(DimVector{size}, DType::Float64, x.device());
  Tensor w;
  if (weights.defined()) w = contiguous(to_dtype(weights, DType::Float64));
  kernels::count_positions(at.device(), at.data_as<int64_t>(), x.numel(), w.defined() ? w.data_as<double>() : nullptr,
                           counts.data_as<double>(), size);
  return no_gradient(to_dtype(counts, type));
}

Tensor histc(const Tensor& x, int64_t bins, Scalar min, Scalar max) {
  PYNN_CHECK_KIND(NotImplemented, is_floating(x.dtype()), "histc: not implemented for '", dtype_name(x.dtype()), "'");
  PYNN_CHECK(bins > 0, "histc: bins must be > 0, got ", bins);
  if (x.device().is_meta()) return empty(DimVector{bins}, x.dtype(), x.device());
  double low = min.to_double(), high = max.to_double();
  GradMode off(false);
  const Tensor c = contiguous(x);
  if (low == high && x.numel()) {
    // The range of the values themselves; NaN shows.
    const Tensor range = to_dtype(range_of(c), DType::Float64);
    low = range.data_as<double>()[0];
    high = range.data_as<double>()[1];
  }
  if (low == high) low -= 1, high += 1;
  PYNN_CHECK(std::isfinite(low) && std::isfinite(high), "histc: range of [", low, ", ", high, "] is not finite");
  PYNN_CHECK(low < high, "histc: max must be larger than min, got ", low, " and ", high);
  Tensor counts = zeros(DimVector{bins}, DType::Float64, x.device());
  kernels::histogram_even(c.device(), c.data(), c.dtype(), c.numel(), low, high, counts.data_as<double>(), bins);
  return no_gradient(to_dtype(counts, x.dtype()));
}

}  // namespace

Tensor range_of(const Tensor& x) {
  const Tensor ends = empty(DimVector{2}, x.dtype(), x.device());
  const int64_t mask = dims_mask("range", x, {});
  run_reduce(Reduce::Min, x, mask, alias(ends, {}, {}, 0));
  run_reduce(Reduce::Max, x, mask, alias(ends, {}, {}, 1));
  return on_host(ends);
}

Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool right) {
  return places("searchsorted", sorted, values, false, right, {});
}

#define PYNN_SEARCH "*, bool out_int32=False, bool right=False, str? side=None, Tensor? sorter=None) -> Tensor"
PYNN_OP(op_searchsorted, "searchsorted(Tensor sorted_sequence, Tensor input, " PYNN_SEARCH,
        "Where each value would have to be inserted to keep a sorted dim sorted. Same as torch.searchsorted.",
        kFunctionOnly | kOut);
PYNN_OP(searchsorted_number, "searchsorted(Tensor sorted_sequence, Scalar self, " PYNN_SEARCH, "Of a number.",
        kFunctionOnly | kOut);
PYNN_OP(bucketize, "bucketize(Tensor input, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor",
        "The interval between sorted boundaries that each value lies in. Same as torch.bucketize.",
        kFunctionOnly | kOut);
PYNN_OP(bucketize_number,
        "bucketize(Scalar self, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor",
        "Of a number.", kOut);
#define PYNN_ISIN "*, bool assume_unique=False, bool invert=False) -> Tensor"
PYNN_OP(isin, "isin(Tensor elements, Tensor test_elements, " PYNN_ISIN,
        "True where the element is among test_elements. Same as torch.isin.", kFunctionOnly | kOut);
PYNN_OP(isin_set, "isin(Tensor elements, Scalar test_element, " PYNN_ISIN, "Whether it is that number.",
        kFunctionOnly | kOut);
PYNN_OP(isin_element, "isin(Scalar element, Tensor test_elements, " PYNN_ISIN, "Of a number.", kOut);
PYNN_OP(bincount, "bincount(Tensor input, Tensor? weights=None, int minlength=0) -> Tensor",
        "How often each number 0, 1, 2 ... occurs, or the sums of its weights. Same as torch.bincount.");
PYNN_OP(histc, "histc(Tensor input, int bins=100, Scalar min=0, Scalar max=0) -> Tensor",
        "Counts in bins of equal width from min to max, by default over the range of the values. Same as torch.histc.",
        kOut);

}  // namespace pynn::ops
