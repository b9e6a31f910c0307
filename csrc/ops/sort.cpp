// sort.cpp -- sort, argsort, topk, kthvalue, median. The gradient of a value goes to the place it was taken from.
#include "ops/sort.h"

#include <limits>

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/indexing.h"
#include "kernels/nth_element.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/indexing_scatter.h"
#include "ops/reduce.h"
#include "ops/reduce_plan.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// rows holds `dim` last; the result has it in its place.
Tensor put_back(const Tensor& rows, int64_t dim) {
  if (dim == rows.dim() - 1) return rows;
  DimVector sizes(rows.sizes()), strides(rows.strides());
  sizes.erase(sizes.size() - 1);
  strides.erase(strides.size() - 1);
  sizes.insert(dim, rows.size(-1));
  strides.insert(dim, rows.stride(-1));
  Tensor y = empty(sizes, rows.dtype(), rows.device());
  copy_data(y, alias(rows, sizes, strides, rows.offset()));
  return y;
}

Tensor take_from(const char* op, Tensor values, const Tensor& x, int64_t dim, const Tensor& index) {
  return record(op, std::move(values), inputs(x), save(index, x.sizes(), dim),
                [](const Tensor& g, const Tensor& index, Dims sizes, int64_t dim) {
                  return sizes.empty() ? reshape(g, {}) : scatter_sum(sizes, dim, index, g);
                });
}

}  // namespace

std::tuple<Tensor, Tensor> first_k(const char* op, const Tensor& x, int64_t dim, int64_t k, bool descending) {
  PYNN_CHECK_KIND(NotImplemented, !is_complex(x.dtype()), op, ": complex tensors have no order");
  DimVector sizes(x.sizes());
  Tensor rows = x;
  int64_t inner = 1;
  const bool moved = !x.device().is_cpu() && x.dim() > 0 && dim != x.dim() - 1;  // other kernels sort rows only
  {
    GradMode off(false);
    if (moved) {
      DimVector order;
      for (int64_t d = 0; d < x.dim(); ++d)
        if (d != dim) order.push_back(d);
      order.push_back(dim);
      sizes.erase(dim);
      sizes.push_back(k);
      rows = permute(x, order);
    } else if (x.dim() > 0) {
      sizes[dim] = k;
      for (int64_t d = dim + 1; d < x.dim(); ++d) inner *= x.size(d);
    }
    rows = contiguous(rows);
  }
  Tensor values = empty(sizes, x.dtype(), x.device()), index = empty(sizes, DType::Int64, x.device());
  if (values.numel() && !x.device().is_meta()) {
    const int64_t n = x.dim() ? x.size(dim) : 1;
    kernels::sort_rows(x.device(), {rows.data(), values.data(), index.data_as<int64_t>(), rows.numel() / (n * inner), n,
                                    k, x.dtype(), descending, inner});
  }
  if (moved) {
    values = put_back(values, dim);
    index = put_back(index, dim);
  }
  return {take_from(op, std::move(values), x, dim, index), index};
}

namespace {

std::tuple<Tensor, Tensor> sort_along(const char* op, const Tensor& x, int64_t dim, bool descending) {
  dim = wrap_dim(op, dim, x);
  return first_k(op, x, dim, x.dim() ? x.size(dim) : 1, descending);
}

// Always stable, whatever is asked.
std::tuple<Tensor, Tensor> op_sort(const Tensor& x, int64_t dim, bool descending, std::optional<bool>) {
  return sort_along("sort", x, dim, descending);
}

Tensor op_argsort(const Tensor& x, int64_t dim, bool descending, bool) {
  GradMode off(false);
  return no_gradient(std::get<1>(sort_along("argsort", x, dim, descending)));
}

Tensor op_msort(const Tensor& x) {
  return x.dim() ? named("sort", std::get<0>(sort_along("msort", x, 0, false))) : clone_of(x);
}

// Sorted, whatever is asked.
std::tuple<Tensor, Tensor> op_topk(const Tensor& x, int64_t k, int64_t dim, bool largest, bool) {
  PYNN_CHECK(x.dtype() != DType::Bool, "topk: not supported for bool tensors");
  dim = wrap_dim("topk", dim, x);
  const int64_t n = x.dim() ? x.size(dim) : 1;
  PYNN_CHECK(k >= 0 && k <= n, "topk: selected index k out of range, got k=", k, " for size ", n);
  return first_k("topk", x, dim, x.dim() ? k : 1, largest);  // PyTorch: a 0-d tensor gives itself, for k = 0 too
}

// Where the median stands in each sorted line: [..., 1, ...] int64.
Tensor place_of(Nth which, const Tensor& x, int64_t dim) {
  const int64_t n = x.size(dim), dims[] = {dim};
  const Tensor nans = sum(isnan(x), Dims(dims), true);
  if (which == Nth::Median) return where(gt(nans, 0), sub(Scalar(n), nans), Scalar((n - 1) / 2));
  return maximum(floor_divide(sub(Scalar(n - 1), nans), 2), full({}, Scalar(0), DType::Int64, x.device()));
}

std::tuple<Tensor, Tensor> nth(const char* op, const Tensor& x, int64_t dim, Nth which, int64_t k) {
  if (!x.device().is_cpu() || is_complex(x.dtype())) {  // the kernel's meaning
    const bool whole = which != Nth::Kth && x.dim();
    const auto [values, index] = first_k(op, x, dim, whole ? x.size(dim) : k + 1, false);
    if (x.dim() == 0) return {values, index};
    if (!whole) return {clone_contiguous(narrow(values, dim, k, 1)), clone_contiguous(narrow(index, dim, k, 1))};
    const Tensor at = place_of(which, x, dim);
    return {gather(values, dim, at), gather(index, dim, at)};
  }
  const ReducePlan p(x, x.dim() ? int64_t{1} << dim : 0);
  const DimVector sizes = reduced_sizes(x, x.dim() ? int64_t{1} << dim : 0, true);
  Tensor values = empty(sizes, x.dtype()), index = empty(sizes, DType::Int64);
  if (values.numel())
    kernels::nth_element(
        x.device(), which,
        {p.x.data(), values.data(), index.data_as<int64_t>(), p.outer, p.reduced, p.inner, k, x.dtype()});
  return {values, index};
}

std::tuple<Tensor, Tensor> pick(const char* op, const Tensor& x, int64_t dim, bool keepdim, Nth which, int64_t k) {
  Tensor values, index;
  {
    GradMode off(false);
    std::tie(values, index) = nth(op, x, dim, which, k);
  }
  values = take_from(op, std::move(values), x, dim, index);
  if (keepdim || x.dim() == 0) return {values, index};
  const int64_t dims[] = {dim};
  return {squeeze(values, Dims(dims)), squeeze(index, Dims(dims))};
}

std::tuple<Tensor, Tensor> op_kthvalue(const Tensor& x, int64_t k, int64_t dim, bool keepdim) {
  dim = wrap_dim("kthvalue", dim, x);
  const int64_t n = x.dim() ? x.size(dim) : 1;
  PYNN_CHECK_KIND(Index, n > 0, "kthvalue: Expected reduction dim ", dim, " to have non-zero size.");
  PYNN_CHECK(k >= 1 && k <= n, "kthvalue: selected number k out of range for dimension ", dim, ", got k=", k,
             " for size ", n);
  auto [values, index] = pick("kthvalue", x, dim, keepdim, Nth::Kth, k - 1);
  return {named("kthvalue", std::move(values)), std::move(index)};
}

// The lower one of two middle elements. NaN counts as the largest and, but for nanmedian, is the median of its row.
std::tuple<Tensor, Tensor> median_dim(const char* op, const Tensor& x, int64_t dim, bool keepdim, bool skip_nan) {
  dim = wrap_dim(op, dim, x);
  const int64_t n = x.dim() ? x.size(dim) : 1;
  PYNN_CHECK_KIND(Index, n > 0, op, ": Expected reduction dim ", dim, " to have non-zero size.");
  const Nth which = !is_floating(x.dtype()) ? Nth::Kth : skip_nan ? Nth::NanMedian : Nth::Median;
  return pick(op, x, dim, keepdim, which, (n - 1) / 2);
}

// Of all elements; those equal to the median share the gradient.
Tensor median_all(const char* op, const Tensor& x, bool skip_nan) {
  if (x.numel() == 0) {
    PYNN_CHECK_KIND(Index, is_floating(x.dtype()), op, ": an integer tensor without elements has no median");
    return full({}, Scalar(std::numeric_limits<double>::quiet_NaN()), x.dtype(), x.device());
  }
  Tensor y;
  {
    GradMode off(false);
    y = clone_contiguous(std::get<0>(median_dim(op, reshape(x, DimVector{-1}), 0, false, skip_nan)));
  }
  return record(op, y, inputs(x), save(x, y), [](const Tensor& g, const Tensor& x, const Tensor& y) {
    Tensor hit = eq(x, y);
    if (any_nonzero(isnan(y))) hit = isnan(x);
    return mul(g, div(to_dtype(hit, g.dtype()), to_dtype(sum(hit), g.dtype())));
  });
}

Tensor op_median(const Tensor& x) { return median_all("median", x, false); }
Tensor op_nanmedian(const Tensor& x) { return median_all("nanmedian", x, true); }
std::tuple<Tensor, Tensor> op_median_dim(const Tensor& x, int64_t dim, bool keepdim) {
  auto [values, index] = median_dim("median", x, dim, keepdim, false);
  return {named("median.1", std::move(values)), std::move(index)};
}
std::tuple<Tensor, Tensor> op_nanmedian_dim(const Tensor& x, int64_t dim, bool keepdim) {
  auto [values, index] = median_dim("nanmedian", x, dim, keepdim, true);
  return {named("nanmedian.1", std::move(values)), std::move(index)};
}

}  // namespace

PYNN_OP(
    op_sort,
    "sort(Tensor input, int dim=-1, bool descending=False, *, bool? stable=None) -> (Tensor values, Tensor indices)",
    "In order along a dim, and where each value was; equal ones keep their order, NaN counts as the largest. "
    "Same as torch.sort.",
    kOut);
PYNN_OP(op_argsort, "argsort(Tensor input, int dim=-1, bool descending=False, *, bool stable=False) -> Tensor",
        "The positions that sort a dim. Same as torch.argsort.");
PYNN_OP(op_msort, "msort(Tensor input) -> Tensor", "Sorted along the first dim. Same as torch.msort.", kOut);
PYNN_OP(op_topk,
        "topk(Tensor input, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)",
        "The k largest (or smallest) along a dim, and where they are. Same as torch.topk.", kOut);
PYNN_OP(op_kthvalue, "kthvalue(Tensor input, int k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
        "The k-th smallest along a dim, and where it is. Same as torch.kthvalue.", kOut);
PYNN_OP(op_median, "median(Tensor input) -> Tensor", "The lower median of all elements. Same as torch.median.");
PYNN_OP(op_median_dim, "median(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        "The lower median along a dim, and where it is.", kOut);
PYNN_OP(op_nanmedian, "nanmedian(Tensor input) -> Tensor", "median without NaN. Same as torch.nanmedian.");
PYNN_OP(op_nanmedian_dim, "nanmedian(Tensor input, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
        "Along a dim, and where it is.", kOut);

}  // namespace pynn::ops
