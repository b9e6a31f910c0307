// distance.cpp -- distances between vectors: cdist, pdist, dist; and renorm, which shortens long ones.
#include <cmath>

#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/distance.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/indexing.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/reduce_plan.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

Tensor sum_over(const Tensor& x, int64_t dim, bool keepdim = false) {
  const int64_t dims[] = {dim};
  return sum(x, Dims(dims), keepdim);
}

// The gradient for the first operand. With p = 2 it is r_ij (x1_i - x2_j) summed over j, a matrix product, with
// r = g / y; otherwise all differences are formed. 0 where the distance is 0.
Tensor cdist_backward(const Tensor& g, const Tensor& x1, const Tensor& x2, const Tensor& y, double p) {
  if (p == 0) return mul(x1, 0.0);
  const Tensor apart = ne(y, 0.0), safe = where(apart, y, 1.0);
  if (p == 2) {
    const Tensor r = where(apart, div(g, safe), 0.0);
    return sub(mul(sum_over(r, -1, true), x1), matmul(r, x2));
  }
  const Tensor d = sub(unsqueeze(x1, -2), unsqueeze(x2, -3));  // [..., i, j, k]
  const Tensor gw = unsqueeze(g, -1), yw = unsqueeze(safe, -1);
  Tensor t;
  if (p == 1) {
    t = mul(gw, sign(d));
  } else if (std::isinf(p)) {
    t = mul(gw, mul(sign(d), to_dtype(eq(abs(d), unsqueeze(y, -1)), d.dtype())));
  } else {
    const Tensor a = abs(d), moved = ne(a, 0.0);
    const Tensor power = where(moved, pow(where(moved, a, 1.0), p - 1), 0.0);
    t = mul(mul(sign(d), power), where(unsqueeze(apart, -1), div(gw, pow(yw, p - 1)), 0.0));
  }
  return sum_over(t, -2);
}

Tensor cdist(const Tensor& a, const Tensor& b, double p, std::optional<std::string_view> mode) {
  PYNN_CHECK(a.dim() >= 2 && b.dim() >= 2, "cdist: cdist only supports at least 2D tensors, got ", a.dim(), "D and ",
             b.dim(), "D");
  PYNN_CHECK(is_floating(a.dtype()) && is_floating(b.dtype()), "cdist: cdist only supports floating-point dtypes, got ",
             dtype_name(a.dtype()), " and ", dtype_name(b.dtype()));
  PYNN_CHECK(a.size(-1) == b.size(-1), "cdist: X1 and X2 must have the same number of columns. X1: ", a.size(-1),
             " X2: ", b.size(-1));
  PYNN_CHECK(a.dtype() == b.dtype(), "cdist: expected scalar type ", dtype_name(a.dtype()), " but found ",
             dtype_name(b.dtype()));
  PYNN_CHECK_KIND(NotImplemented, a.dtype() == DType::Float32 || a.dtype() == DType::Float64,
                  "cdist: not implemented for '", dtype_name(a.dtype()), "'");
  PYNN_CHECK(p >= 0, "cdist: cdist only supports non-negative p values, got ", p);
  PYNN_CHECK(!mode || *mode == "use_mm_for_euclid_dist_if_necessary" || *mode == "use_mm_for_euclid_dist" ||
                 *mode == "donot_use_mm_for_euclid_dist",
             "cdist: ", mode.value_or(""), " is not a valid value for compute_mode");
  const int64_t n1 = a.size(-2), n2 = b.size(-2), m = a.size(-1);
  DimVector batch = broadcast_sizes("cdist", a.sizes().first(a.dim() - 2), b.sizes().first(b.dim() - 2));
  const auto spread = [&](const Tensor& x) {
    DimVector sizes(batch);
    sizes.push_back(x.size(-2));
    sizes.push_back(m);
    return same(sizes, x.sizes()) ? x : expand(x, sizes);
  };
  const Tensor x1 = spread(a), x2 = spread(b);
  DimVector sizes(batch);
  sizes.push_back(n1);
  sizes.push_back(n2);
  Tensor y = empty(sizes, a.dtype(), a.device());
  if (y.numel() && !y.device().is_meta()) {
    GradMode off(false);
    const Tensor c1 = contiguous(x1), c2 = contiguous(x2);
    kernels::distances(y.device(), {c1.data(), c2.data(), y.data(), y.numel() / (n1 * n2), n1, n2, m, p, y.dtype()});
  }
  return record(
      "cdist", y, inputs(x1, x2), save(x1, x2, y, p),
      [](const Tensor& g, const Tensor& x1, const Tensor& x2, const Tensor& y, double p) {
        return cdist_backward(g, x1, x2, y, p);
      },
      [](const Tensor& g, const Tensor& x1, const Tensor& x2, const Tensor& y, double p) {
        return cdist_backward(transpose(g, -2, -1), x2, x1, transpose(y, -2, -1), p);
      });
}
Tensor op_cdist(const Tensor& a, const Tensor& b, double p, std::optional<std::string_view> mode) {
  return cdist(a, b, p, mode);
}

// The upper triangle of cdist with itself, row by row.
Tensor pdist(const Tensor& x, double p) {
  PYNN_CHECK(x.dim() == 2, "pdist: pdist only supports 2D tensors, got: ", x.dim(), "D");
  const Tensor all = cdist(x, x, p, {});
  const int64_t n = x.size(0);
  Tensor at = empty(DimVector{n * (n - 1) / 2}, DType::Int64);
  int64_t* to = at.data_as<int64_t>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = i + 1; j < n; ++j) *to++ = i * n + j;
  const Tensor where[] = {to_device(at, x.device())};
  return index(reshape(all, DimVector{-1}), where);
}

Tensor renorm(const Tensor& x, Scalar order, int64_t dim, Scalar limit) {
  PYNN_CHECK(is_floating(x.dtype()) || is_complex(x.dtype()), "renorm: a floating point tensor is required, got ",
             dtype_name(x.dtype()));
  const double p = order.to_double(), most = limit.to_double();
  PYNN_CHECK(p > 0, "renorm: non-positive-norm not supported, got ", p);
  PYNN_CHECK(most >= 0, "renorm: expected maxnorm to be >= 0 but got ", most);
  PYNN_CHECK(x.dim() > 1, "renorm: input needs at least 2 dimensions, got ", x.dim(), " dimensions");
  dim = wrap_dim("renorm", dim, x);
  DimVector others;
  for (int64_t d = 0; d < x.dim(); ++d)
    if (d != dim) others.push_back(d);
  const Tensor length = norm(x, order, Dims(others), true);
  const Tensor factor = where(gt(length, limit), div(limit, add(length, 1e-7)), 1.0);
  return mul(x, to_dtype(factor, x.dtype()));
}

}  // namespace

PYNN_OP(op_cdist, "cdist(Tensor x1, Tensor x2, float p=2.0, str? compute_mode=None) -> Tensor",
        "The p-norm distance of every row of x1 to every row of x2, in batches. Same as torch.cdist.", kFunctionOnly);
PYNN_OP(pdist, "pdist(Tensor input, float p=2.0) -> Tensor",
        "The distances of all pairs of rows. Same as torch.nn.functional.pdist.", kFunctionOnly);
PYNN_OP(renorm, "renorm(Tensor input, Scalar p, int dim, Scalar maxnorm) -> Tensor",
        "The slices along dim, scaled down to p-norm maxnorm where theirs is larger. Same as torch.renorm.",
        kOut | kInplace);

}  // namespace pynn::ops
