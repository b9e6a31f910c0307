// covariance.cpp -- cov, corrcoef; and small algebra of vectors and matrices: trace, cross, dist, nanmean.
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/reduce_plan.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

Tensor cov(const Tensor& input, int64_t correction, const Tensor& fweights, const Tensor& aweights) {
  PYNN_CHECK(input.dim() <= 2, "cov: expected input to have two or fewer dimensions but got an input with ",
             input.dim(), " dimensions");
  PYNN_CHECK(input.dtype() != DType::Bool, "cov: bool dtype is not supported for input");
  const DType given = is_integral(input.dtype()) ? default_dtype() : input.dtype();
  const DType type = aweights.defined() ? promote(given, aweights.dtype()) : given;
  const Tensor x = to_dtype(input.dim() < 2 ? reshape(input, DimVector{1, -1}) : input, type);  // [variables, n]
  const int64_t n = x.size(1);
  const auto check = [&](const char* name, const Tensor& w, bool whole) {
    PYNN_CHECK(w.dim() <= 1, "cov: expected ", name, " to have one or fewer dimensions but got ", name, " with ",
               w.dim(), " dimensions");
    PYNN_CHECK(whole ? is_integral(w.dtype()) && w.dtype() != DType::Bool : is_floating(w.dtype()), "cov: expected ",
               name, " to have ", whole ? "integral" : "floating point", " dtype but got ", name, " with ",
               dtype_name(w.dtype()));
    PYNN_CHECK(w.numel() == n, "cov: expected ", name,
               " to have the same numel as there are observations in the "
               "input but got ",
               w.numel(), " != ", n);
    GradMode off(false);
    PYNN_CHECK(n == 0 || w.device().is_meta() || !any_nonzero(lt(w, 0)), "cov: ", name, " cannot be negative");
  };
  Tensor w;
  if (fweights.defined()) check("fweights", fweights, true), w = reshape(fweights, DimVector{-1});
  if (aweights.defined()) {
    check("aweights", aweights, false);
    const Tensor a = reshape(aweights, DimVector{-1});
    w = w.defined() ? mul(w, a) : a;
  }
  const int64_t rows[] = {1};
  const Tensor total = w.defined() ? sum(w) : Tensor();
  const Tensor average = w.defined() ? div(sum(mul(x, w), Dims(rows)), total) : mean(x, Dims(rows));
  Tensor divisor;
  if (!w.defined()) {
    divisor = full({}, Scalar(static_cast<double>(n - correction)), real_of(type), x.device());
  } else if (!aweights.defined() || correction == 0) {
    divisor = sub(total, Scalar(correction));
  } else {
    divisor = sub(total, mul(div(sum(mul(w, reshape(aweights, DimVector{-1}))), total), Scalar(correction)));
  }
  divisor = where(lt(divisor, 0), 0.0, divisor);
  const Tensor centered = sub(x, unsqueeze(average, 1));
  const Tensor weighted = w.defined() ? mul(centered, w) : centered;
  const Tensor c =
      div(mm(to_dtype(centered, type), to_dtype(conj(transpose(weighted, 0, 1)), type)), to_dtype(divisor, type));
  return squeeze(c);  // one variable: a number
}

Tensor corrcoef(const Tensor& input) {
  PYNN_CHECK(input.dim() <= 2, "corrcoef: expected input to have two or fewer dimensions but got an input with ",
             input.dim(), " dimensions");
  const Tensor c = cov(input, 1, {}, {});
  if (c.dim() == 0) return div(c, c);
  const Tensor d = sqrt(diagonal(c));
  const Tensor r = div(div(c, unsqueeze(d, 1)), unsqueeze(d, 0));
  if (is_complex(r.dtype())) return view_as_complex(clamp(view_as_real(r), Scalar(-1.0), Scalar(1.0)));
  return clamp(r, Scalar(-1.0), Scalar(1.0));
}

Tensor trace(const Tensor& x) {
  PYNN_CHECK(x.dim() == 2, "trace: expected a matrix, but got tensor with dim ", x.dim());
  PYNN_CHECK_KIND(NotImplemented, x.dtype() != DType::Bool, "trace: not implemented for 'Bool'");
  return sum(diagonal(x));
}

// a x b along dim, which holds three elements.
Tensor cross_along(const char* op, const Tensor& a, const Tensor& b, int64_t dim) {
  PYNN_CHECK(a.dim() == b.dim(), op, ": inputs must have the same number of dimensions, got ", a.dim(), " and ",
             b.dim());
  dim = wrap_dim(op, dim, a);
  PYNN_CHECK(a.dim() > 0 && a.size(dim) == 3 && b.size(dim) == 3, op, ": inputs dimension ", dim,
             " must have length 3. Got ", dims_str(a.sizes()), " and ", dims_str(b.sizes()));
  const DimVector sizes = broadcast_sizes(op, a.sizes(), b.sizes());
  const Tensor x = expand(a, sizes), y = expand(b, sizes);
  const DType t = result_type(a, b);
  const auto turned = [&](const Tensor& v) {  // element (i + 1) % 3 at i
    const Tensor parts[] = {narrow(v, dim, 1, 2), narrow(v, dim, 0, 1)};
    return to_dtype(cat(parts, dim), t);
  };
  return turned(sub(mul(x, turned(y)), mul(turned(x), y)));
}
Tensor cross(const Tensor& a, const Tensor& b, std::optional<int64_t> dim) {
  if (dim) return cross_along("cross", a, b, *dim);
  for (int64_t d = 0; d < a.dim(); ++d)
    if (a.size(d) == 3) return cross_along("cross", a, b, d);
  fail(ErrorKind::Runtime, "cross: no dimension of size 3 in input, got ", dims_str(a.sizes()));
}
Tensor linalg_cross(const Tensor& a, const Tensor& b, int64_t dim) { return cross_along("linalg.cross", a, b, dim); }

Tensor nanmean(const Tensor& x, std::optional<Dims> dims, bool keepdim, std::optional<DType> dtype) {
  PYNN_CHECK(is_floating(x.dtype()), "nanmean: expected input to have floating point or complex dtype but got ",
             dtype_name(x.dtype()));
  const Tensor absent = isnan(x);
  const Tensor total = sum(where(absent, 0.0, x), dims, keepdim, dtype);
  return div(total, sum(logical_not(absent), dims, keepdim));
}

}  // namespace

PYNN_OP(cov, "cov(Tensor input, *, int correction=1, Tensor? fweights=None, Tensor? aweights=None) -> Tensor",
        "The covariances of the rows, each a variable. Same as torch.cov.");
PYNN_OP(corrcoef, "corrcoef(Tensor input) -> Tensor",
        "The correlations of the rows, each a variable. Same as torch.corrcoef.");
PYNN_OP(trace, "trace(Tensor input) -> Tensor", "The sum of a matrix's diagonal. Same as torch.trace.");
PYNN_OP(cross, "cross(Tensor input, Tensor other, int? dim=None) -> Tensor",
        "The cross product of 3-vectors along dim, by default the first of size 3. Same as torch.cross.", kOut);
PYNN_OP(linalg_cross, "_linalg.cross(Tensor input, Tensor other, *, int dim=-1) -> Tensor",
        "The cross product of 3-vectors along dim. Same as torch.linalg.cross.", kOut);
PYNN_OP(nanmean, "nanmean(Tensor input, int[]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor",
        "The mean, NaN left out. Same as torch.nanmean.", kOut);

}  // namespace pynn::ops
