// extremum.cpp -- max, min, amax, amin, argmax, argmin over dims. NaN wins; of equal values the first.
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/indexing_scatter.h"
#include "ops/reduce.h"
#include "ops/reduce_plan.h"
#include "ops/ternary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

void check_not_empty(const char* op, const Tensor& x, int64_t mask) {
  for (int64_t d = 0; d < x.dim(); ++d)
    PYNN_CHECK_KIND(Index, !(mask >> d & 1) || x.size(d) > 0, op, ": Expected reduction dim ", d,
                    " to have non-zero size.");
}

// The gradient is shared by all elements equal to the extremum.
template <Reduce r>
Tensor extreme(const char* op, const char* node, const Tensor& x, std::optional<Dims> dims, bool keepdim) {
  PYNN_CHECK(x.numel() > 0 || (dims && !dims->empty()), op,
             ": Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
             "'dim' argument.");
  const int64_t mask = dims_mask(op, x, dims);
  Tensor y = empty(reduced_sizes(x, mask, keepdim), x.dtype(), x.device());
  if (y.numel()) check_not_empty(op, x, mask);
  run_reduce(r, x, mask, y);
  return record(node, y, inputs(x), save(x, y, mask, keepdim),
                [](const Tensor& g, const Tensor& x, const Tensor& y, int64_t mask, bool keepdim) {
                  const auto wide = [&](const Tensor& t) { return keepdim ? t : restore_dims(t, mask, x.dim()); };
                  const Tensor hit = to_dtype(eq(x, wide(y)), g.dtype());
                  DimVector dims;
                  for (int64_t d = 0; d < x.dim(); ++d)
                    if (mask >> d & 1) dims.push_back(d);
                  const Tensor count = dims.empty() ? hit : sum(hit, Dims(dims), true);
                  return mul(div(hit, count), wide(g));
                });
}

Tensor amax(const Tensor& x, Dims dims, bool keepdim) { return extreme<Reduce::Max>("amax", "amax", x, dims, keepdim); }
Tensor amin(const Tensor& x, Dims dims, bool keepdim) { return extreme<Reduce::Min>("amin", "amin", x, dims, keepdim); }

Tensor max_all(const Tensor& x) { return extreme<Reduce::Max>("max", "max.1", x, std::nullopt, false); }
Tensor min_all(const Tensor& x) { return extreme<Reduce::Min>("min", "min.1", x, std::nullopt, false); }

// Values and where they stand; the gradient goes to that place.
template <Reduce r>
std::tuple<Tensor, Tensor> with_index(const char* op, const Tensor& x, int64_t dim, bool keepdim) {
  dim = wrap_dim(op, dim, x);
  const int64_t mask = x.dim() ? int64_t{1} << dim : 0;
  check_not_empty(op, x, mask);
  const DimVector sizes = reduced_sizes(x, mask, keepdim);
  Tensor y = empty(sizes, x.dtype(), x.device()), index = empty(sizes, DType::Int64, x.device());
  run_reduce(r, x, mask, y, index.data_as<int64_t>());
  y = record(op, std::move(y), inputs(x), save(index, x.sizes(), dim, keepdim),
             [](const Tensor& g, const Tensor& index, Dims sizes, int64_t dim, bool keepdim) {
               if (sizes.empty()) return g;
               const auto wide = [&](const Tensor& t) { return keepdim ? t : unsqueeze(t, dim); };
               return scatter_sum(sizes, dim, wide(index), wide(g));
             });
  return {y, index};
}
std::tuple<Tensor, Tensor> max_dim(const Tensor& x, int64_t dim, bool keepdim) {
  return with_index<Reduce::Max>("max", x, dim, keepdim);
}
std::tuple<Tensor, Tensor> min_dim(const Tensor& x, int64_t dim, bool keepdim) {
  return with_index<Reduce::Min>("min", x, dim, keepdim);
}

Tensor op_max_pair(const Tensor& a, const Tensor& b) { return maximum(a, b); }
Tensor op_min_pair(const Tensor& a, const Tensor& b) { return minimum(a, b); }

template <Reduce r>
Tensor arg(const char* op, const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  PYNN_CHECK(x.dtype() != DType::Bool, op, ": not supported for bool tensors");
  if (!dim) {
    PYNN_CHECK_KIND(Index, x.numel() > 0, op,
                    "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with "
                    "the 'dim' argument.");
    GradMode off(false);
    Tensor index = empty({}, DType::Int64, x.device());
    const Tensor flat = reshape(x, DimVector{-1});
    run_reduce(r, flat, 1, index);
    return keepdim ? reshape(index, DimVector(static_cast<size_t>(x.dim()), 1)) : index;
  }
  const int64_t d = wrap_dim(op, *dim, x), mask = x.dim() ? int64_t{1} << d : 0;
  check_not_empty(op, x, mask);
  Tensor index = empty(reduced_sizes(x, mask, keepdim), DType::Int64, x.device());
  run_reduce(r, x, mask, index);
  return no_gradient(std::move(index));
}
Tensor argmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  return arg<Reduce::ArgMax>("argmax", x, dim, keepdim);
}
Tensor argmin(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  return arg<Reduce::ArgMin>("argmin", x, dim, keepdim);
}

std::tuple<Tensor, Tensor> aminmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
  if (!dim) return {min_all(x), max_all(x)};
  const int64_t dims[] = {wrap_dim("aminmax", *dim, x)};
  PYNN_CHECK_KIND(Index, x.dim() == 0 || x.size(dims[0]) > 0, "aminmax: Expected reduction dim ", dims[0],
                  " to have non-zero size.");
  return {amin(x, dims, keepdim), amax(x, dims, keepdim)};
}

}  // namespace

PYNN_OP(amax, "amax(Tensor input, int[] dim=[], bool keepdim=False) -> Tensor",
        "The largest element over some dims; ties share the gradient. Same as torch.amax.", kOut);
PYNN_OP(amin, "amin(Tensor input, int[] dim=[], bool keepdim=False) -> Tensor",
        "The smallest element over some dims; ties share the gradient. Same as torch.amin.", kOut);
PYNN_OP(max_all, "max(Tensor input) -> Tensor", "The largest element. Same as torch.max.");
PYNN_OP(op_max_pair, "max(Tensor input, Tensor other) -> Tensor", "The larger of each pair.", kOut);
PYNN_OP(max_dim, "max(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        "The largest along a dim, and where it is.", kOut);
PYNN_OP(min_all, "min(Tensor input) -> Tensor", "The smallest element. Same as torch.min.");
PYNN_OP(op_min_pair, "min(Tensor input, Tensor other) -> Tensor", "The smaller of each pair.", kOut);
PYNN_OP(min_dim, "min(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        "The smallest along a dim, and where it is.", kOut);
PYNN_OP(argmax, "argmax(Tensor input, int? dim=None, bool keepdim=False) -> Tensor",
        "Where the largest element is. Same as torch.argmax.", kOut);
PYNN_OP(argmin, "argmin(Tensor input, int? dim=None, bool keepdim=False) -> Tensor",
        "Where the smallest element is. Same as torch.argmin.", kOut);
PYNN_OP(aminmax, "aminmax(Tensor input, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)",
        "Both extrema. Same as torch.aminmax.", kOut);

}  // namespace pynn::ops
