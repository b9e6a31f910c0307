// differences.cpp -- differences of neighbours, and areas under sampled curves by the trapezoidal rule.
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/reduce.h"
#include "ops/scan.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

Tensor but_last(const Tensor& x, int64_t dim) { return slice(x, dim, 0, std::max<int64_t>(x.size(dim) - 1, 0), 1); }
Tensor but_first(const Tensor& x, int64_t dim) {
  return slice(x, dim, std::min<int64_t>(1, x.size(dim)), x.size(dim), 1);
}
Tensor step(const Tensor& x, int64_t dim) {
  const Tensor a = but_first(x, dim), b = but_last(x, dim);
  return x.dtype() == DType::Bool ? logical_xor(a, b) : sub(a, b);
}

Tensor diff(const Tensor& input, int64_t n, int64_t dim, const Tensor& prepend, const Tensor& append) {
  PYNN_CHECK(input.dim() >= 1, "diff: diff expects input to be at least one-dimensional");
  dim = wrap_dim("diff", dim, input);
  for (const Tensor* t : {&prepend, &append})
    PYNN_CHECK(!t->defined() || t->dim() == input.dim(),
               "diff: diff expects prepend or append to be the same dimension as input");
  PYNN_CHECK(n >= 0, "diff: order must be non-negative but got ", n);
  if (n == 0) return clone_contiguous(input);
  Tensor x = input;
  if (prepend.defined() || append.defined()) {
    std::vector<Tensor> parts;
    for (const Tensor* t : {&prepend, &input, &append})
      if (t->defined()) parts.push_back(*t);
    x = cat(parts, dim);
  }
  n = std::min(n, x.size(dim));
  for (int64_t i = 0; i < n; ++i) x = step(x, dim);
  return x;
}

// The gaps between x's samples, shaped to be multiplied with y's panels.
Tensor gaps(const char* op, const Tensor& y, const Tensor& x, int64_t dim) {
  Tensor at = x;
  if (x.dim() == 0) return sub(x, x);
  if (x.dim() == 1) {
    PYNN_CHECK(x.size(0) == y.size(dim), op, ": There must be one `x` value for each sample point, got ", x.size(0),
               " for ", y.size(dim));
    DimVector sizes(y.dim(), 1);
    sizes[dim] = x.size(0);
    at = reshape(x, sizes);
  } else if (x.dim() < y.dim()) {
    DimVector sizes(x.sizes());
    while (sizes.size() < static_cast<size_t>(y.dim())) sizes.insert(0, 1);
    at = reshape(x, sizes);
  }
  PYNN_CHECK(at.size(dim) == y.size(dim), op, ": There must be one `x` value for each sample point, got ", at.size(dim),
             " for ", y.size(dim));
  return step(at, dim);
}

Tensor empty_area(const Tensor& y, int64_t dim) {
  DimVector sizes(y.sizes());
  sizes.erase(dim);
  return zeros(sizes, y.dtype(), y.device());
}
Tensor panels(const Tensor& y, int64_t dim) { return add(but_first(y, dim), but_last(y, dim)); }
int64_t sample_dim(const char* op, const Tensor& y, int64_t dim) {
  PYNN_CHECK_KIND(Index, y.dim() > 0, op, ": Dimension specified as ", dim, " but tensor has no dimensions");
  return wrap_dim(op, dim, y);
}

Tensor trapezoid_x(const Tensor& y, const Tensor& x, int64_t dim) {
  dim = sample_dim("trapezoid", y, dim);
  if (y.size(dim) == 0) return empty_area(y, dim);
  const int64_t dims[] = {dim};
  return div(sum(mul(gaps("trapezoid", y, x, dim), panels(y, dim)), Dims(dims)), 2.0);
}
Tensor trapezoid_dx(const Tensor& y, Scalar dx, int64_t dim) {
  dim = sample_dim("trapezoid", y, dim);
  if (y.size(dim) == 0) return empty_area(y, dim);
  const int64_t dims[] = {dim};
  const Tensor ends = add(select(y, dim, 0), select(y, dim, -1));
  return mul(sub(sum(y, Dims(dims)), mul(ends, 0.5)), dx);
}
Tensor cumulative_x(const Tensor& y, const Tensor& x, int64_t dim) {
  dim = sample_dim("cumulative_trapezoid", y, dim);
  return div(cumsum(mul(gaps("cumulative_trapezoid", y, x, dim), panels(y, dim)), dim), 2.0);
}
Tensor cumulative_dx(const Tensor& y, Scalar dx, int64_t dim) {
  dim = sample_dim("cumulative_trapezoid", y, dim);
  return div(cumsum(mul(panels(y, dim), dx), dim), 2.0);
}

}  // namespace

PYNN_OP(diff, "diff(Tensor input, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> Tensor",
        "Differences of neighbours along a dim, n times over. Same as torch.diff.", kOut);
PYNN_OP(trapezoid_x, "trapezoid(Tensor y, Tensor x, *, int dim=-1) -> Tensor",
        "The area under samples y at positions x, or dx apart, by the trapezoidal rule. Same as torch.trapezoid.",
        kFunctionOnly);
PYNN_OP(trapezoid_dx, "trapezoid(Tensor y, *, Scalar dx=1, int dim=-1) -> Tensor", "Samples dx apart.", kFunctionOnly);
PYNN_OP(trapezoid_x, "trapz(Tensor y, Tensor x, *, int dim=-1) -> Tensor", "Alias of trapezoid.", kFunctionOnly);
PYNN_OP(trapezoid_dx, "trapz(Tensor y, *, Scalar dx=1, int dim=-1) -> Tensor", "Samples dx apart.", kFunctionOnly);
PYNN_OP(cumulative_x, "cumulative_trapezoid(Tensor y, Tensor x, *, int dim=-1) -> Tensor",
        "The areas from the first sample to each later one. Same as torch.cumulative_trapezoid.", kFunctionOnly);
PYNN_OP(cumulative_dx, "cumulative_trapezoid(Tensor y, *, Scalar dx=1, int dim=-1) -> Tensor", "Samples dx apart.",
        kFunctionOnly);

}  // namespace pynn::ops
