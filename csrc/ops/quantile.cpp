// quantile.cpp -- quantiles along a dim: sorted, then interpolated between two neighbours.
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/reduce.h"
#include "ops/sort.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

Tensor round_rank(const Tensor& rank, std::string_view how) {
  if (how == "lower") return floor(rank);
  if (how == "higher") return ceil(rank);
  if (how == "nearest") return round(rank);
  return rank;
}

// x: values; q: 0-d or [k]. Gives q's dim first, then x's others.
Tensor quantiles(const char* op, const Tensor& x, const Tensor& q, std::optional<int64_t> dim_, bool keepdim,
                 std::string_view how, bool skip_nan) {
  PYNN_CHECK(x.numel() > 0, op, ": input tensor must be non-empty");
  PYNN_CHECK(q.dim() <= 1, op, ": q must be a scalar or 1D tensor, got shape ", dims_str(q.sizes()));
  PYNN_CHECK(x.dtype() == DType::Float32 || x.dtype() == DType::Float64, op,
             ": input tensor must be either float or double dtype, got ", dtype_name(x.dtype()));
  PYNN_CHECK(q.dtype() == x.dtype(), op, ": q tensor must be same dtype as the input tensor, got ",
             dtype_name(q.dtype()), " for ", dtype_name(x.dtype()));
  for (const std::string_view known : {"linear", "lower", "higher", "midpoint", "nearest"})
    if (how == known) goto fine;
  fail(ErrorKind::Runtime, op, ": interpolation must be one of linear, lower, higher, midpoint or nearest, but got ",
       how);
fine:
  if (q.device().is_cpu()) {  // elsewhere gather finds what is out of range, without waiting
    GradMode off(false);
    PYNN_CHECK(!any_zero(logical_and(ge(q, 0.0), le(q, 1.0))), op, ": q values must be in the range [0, 1]");
  }
  DimVector out(x.sizes());  // without q's dim
  Tensor rows = dim_ ? x : reshape(x, DimVector{-1});
  const int64_t dim = dim_ ? wrap_dim(op, *dim_, x) : 0;
  if (rows.dim() == 0) rows = reshape(rows, DimVector{1});
  for (int64_t d = 0; d < x.dim(); ++d)
    if (!dim_ || d == dim) out[d] = 1;
  rows = transpose(rows, dim, -1);
  const int64_t n = rows.size(-1);
  const Tensor sorted = std::get<0>(first_k(op, rows, rows.dim() - 1, n, false));
  // Ranks [..., k]; a row with a NaN takes its last element, which is one.
  Tensor nans;
  {
    GradMode off(false);
    const int64_t last[] = {-1};
    nans = sum(isnan(sorted), Dims(last), true);
  }
  const Tensor flat = reshape(q, DimVector{-1});
  Tensor rank;
  if (skip_nan) {
    const Tensor count = to_dtype(sub(Scalar(n), nans), x.dtype());
    rank = mul(flat, sub(count, 1.0));
    rank = where(lt(rank, 0.0), 0.0, rank);
  } else {
    const double top = static_cast<double>(n - 1);
    rank = where(gt(nans, 0), top, mul(flat, top));
  }
  rank = round_rank(rank, how);
  const Tensor whole = floor(rank);
  const Tensor below = to_dtype(whole, DType::Int64), above = to_dtype(ceil(rank), DType::Int64);
  Tensor weight = sub(rank, whole);
  if (how == "midpoint") weight = mul(to_dtype(gt(weight, 0.0), x.dtype()), 0.5);
  const int64_t axis = sorted.dim() - 1;
  Tensor y = gather(sorted, axis, below);
  if (how == "linear" || how == "midpoint") y = lerp(y, gather(sorted, axis, above), weight);
  // [..., k] to [k, ...] or [...], with `dim` back in its place.
  y = transpose(unsqueeze(y, 0), 0, -1);  // [k, ..., 1]
  if (dim_ && x.dim()) y = transpose(y, dim + 1, -1);
  DimVector sizes;
  if (q.dim()) sizes.push_back(q.numel());
  for (int64_t d = 0; d < x.dim(); ++d)
    if (keepdim || (dim_ && d != dim)) sizes.push_back(out[d]);
  return reshape(y, sizes);
}

#define PYNN_QUANTILE(name, skip_nan)                                                                               \
  Tensor name(const Tensor& x, const Tensor& q, std::optional<int64_t> dim, bool keepdim, std::string_view how) {   \
    return quantiles(#name, x, q, dim, keepdim, how, skip_nan);                                                     \
  }                                                                                                                 \
  Tensor name##_number(const Tensor& x, double q, std::optional<int64_t> dim, bool keepdim, std::string_view how) { \
    PYNN_CHECK(q >= 0 && q <= 1, #name, ": q must be in the range [0, 1] but got ", q);                             \
    PYNN_CHECK(is_floating(x.dtype()), #name, ": input tensor must be either float or double dtype, got ",          \
               dtype_name(x.dtype()));                                                                              \
    return quantiles(#name, x, full({}, Scalar(q), x.dtype(), x.device()), dim, keepdim, how, skip_nan);            \
  }
PYNN_QUANTILE(quantile, false)
PYNN_QUANTILE(nanquantile, true)

}  // namespace

#define PYNN_QUANTILE_ARGS "int? dim=None, bool keepdim=False, *, str interpolation='linear') -> Tensor"
PYNN_OP(quantile, "quantile(Tensor input, Tensor q, " PYNN_QUANTILE_ARGS,
        "The values below which shares q of the elements lie, q's dim first; of rows with NaN they are NaN. Same as "
        "torch.quantile.",
        kOut);
PYNN_OP(quantile_number, "quantile(Tensor input, float q, " PYNN_QUANTILE_ARGS, "Of one share.", kOut);
PYNN_OP(nanquantile, "nanquantile(Tensor input, Tensor q, " PYNN_QUANTILE_ARGS,
        "quantile without NaN. Same as torch.nanquantile.", kOut);
PYNN_OP(nanquantile_number, "nanquantile(Tensor input, float q, " PYNN_QUANTILE_ARGS, "Of one share.", kOut);

}  // namespace pynn::ops
