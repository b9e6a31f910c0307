// indexing_mask.cpp -- elements chosen by a mask: masked_fill, masked_select, masked_scatter, nonzero.
#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/indexing.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/element.h"
#include "ops/indexing.h"
#include "ops/reduce.h"
#include "ops/ternary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

void check_mask(const char* op, const Tensor& mask) {
  PYNN_CHECK(mask.dtype() == DType::Bool, op, ": only supports boolean masks, but got mask with dtype ",
             dtype_name(mask.dtype()));
}

// The value as a 0-d tensor of x's type.
Tensor fill_value(const char* op, const Tensor& x, Other value) {
  if (!value.tensor) return element_tensor(op, value.scalar, x.dtype());
  PYNN_CHECK(value.tensor->dim() == 0, op, ": only supports a 0-dimensional value tensor, but got tensor with ",
             value.tensor->dim(), " dimension(s).");
  PYNN_CHECK(!is_complex(value.tensor->dtype()) || is_complex(x.dtype()), op, ": value cannot be converted to type ",
             dtype_name(x.dtype()), " without overflow");
  return to_dtype(*value.tensor, x.dtype());
}

constexpr auto kUnmasked = [](const Tensor& g, const Tensor& mask) { return masked_fill(g, mask, 0); };
constexpr auto kMasked = [](const Tensor& g, const Tensor& mask) { return sum(where(mask, g, 0.0)); };

Tensor fill_masked(const Tensor& x, const Tensor& mask, Other other) {
  check_mask("masked_fill", mask);
  const Tensor value = fill_value("masked_fill", x, other);
  Tensor y = empty(broadcast_sizes("masked_fill", x.sizes(), mask.sizes()), x.dtype(), x.device());
  run_ternary(Ternary::Where, y, mask, value, x, x.dtype());
  return record(other.tensor ? "masked_fill.1" : "masked_fill", std::move(y), inputs(x, value), save(mask), kUnmasked,
                kMasked);
}
Tensor fill_masked_(const Tensor& self, const Tensor& mask, Other other) {
  autograd::check_inplace("masked_fill_", self);
  check_mask("masked_fill_", mask);
  check_fits("masked_fill_", self, mask.sizes());
  const Tensor value = fill_value("masked_fill_", self, other);
  run_ternary(Ternary::Where, self, mask, value, self, self.dtype());
  record_inplace(other.tensor ? "masked_fill_.1" : "masked_fill_", self, inputs(self, value), save(mask), kUnmasked,
                 kMasked);
  return self;
}

// Positions of x's nonzero elements in row-major order.
Tensor nonzero_flat(const Tensor& x) {
  PYNN_CHECK_KIND(NotImplemented, !x.device().is_meta(),
                  "nonzero: the result's shape depends on the values, which a meta tensor does not have");
  GradMode off(false);
  const Tensor dense = contiguous(x);
  const int64_t count = kernels::nonzero(x.device(), dense.data(), x.dtype(), x.numel(), nullptr);
  Tensor at = empty(DimVector{count}, DType::Int64, x.device());
  if (count) kernels::nonzero(x.device(), dense.data(), x.dtype(), x.numel(), at.data_as<int64_t>());
  return at;
}

// Flat positions to coordinates, that of dim d of position i in to[i * step + d * jump].
void run_coordinates(const Tensor& flat, Dims sizes, const Tensor& to, int64_t step, int64_t jump) {
  CoordinatesArgs a{
      flat.data_as<int64_t>(), to.data_as<int64_t>(), flat.numel(), step, jump, static_cast<int>(sizes.size()), {}};
  std::copy(sizes.begin(), sizes.end(), a.sizes);
  kernels::coordinates(flat.device(), a);
}

}  // namespace

Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value) { return fill_masked(x, mask, value); }
Tensor masked_fill_(const Tensor& x, const Tensor& mask, Scalar value) { return fill_masked_(x, mask, value); }

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  PYNN_CHECK(mask.dtype() == DType::Bool, "masked_select: expected BoolTensor for mask, a bool tensor, got ",
             dtype_name(mask.dtype()));
  DimVector sizes = broadcast_sizes("masked_select", x.sizes(), mask.sizes());
  if (sizes.empty()) sizes.push_back(1);
  const Tensor where[] = {expand(mask, sizes)};
  return named("masked_select", index(expand(x, sizes), where));
}

Tensor nonzero(const Tensor& x) {
  const Tensor flat = nonzero_flat(x);
  Tensor out = empty(DimVector{flat.numel(), x.dim()}, DType::Int64, x.device());
  if (x.dim()) run_coordinates(flat, x.sizes(), out, x.dim(), 1);
  return out;
}

std::vector<Tensor> nonzero_tuple(const Tensor& x) {
  const Tensor flat = nonzero_flat(x);
  if (x.dim() <= 1) return {flat};
  const int64_t n = flat.numel();
  Tensor all = empty(DimVector{x.dim(), n}, DType::Int64, x.device());
  run_coordinates(flat, x.sizes(), all, 1, n);
  std::vector<Tensor> out;
  for (int64_t d = 0; d < x.dim(); ++d) out.push_back(alias(all, DimVector{n}, DimVector{1}, d * n));
  return out;
}

namespace {

Tensor op_masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source) {
  check_mask("masked_scatter", mask);
  PYNN_CHECK(x.dtype() == source.dtype(), "masked_scatter: expected self and source to have same dtypes but got ",
             dtype_name(x.dtype()), " and ", dtype_name(source.dtype()));
  DimVector sizes = broadcast_sizes("masked_scatter", x.sizes(), mask.sizes());
  const DimVector out = sizes;
  if (sizes.empty()) sizes.push_back(1);
  const Tensor at = nonzero_flat(expand(mask, sizes));
  PYNN_CHECK(source.numel() >= at.numel(),
             "masked_scatter: Number of elements of source < number of ones in mask, got ", source.numel(), " and ",
             at.numel());
  const Tensor flat = reshape(clone_contiguous(expand(x, sizes)), DimVector{-1});
  const Tensor where[] = {at};
  return reshape(index_put_(flat, where, slice(reshape(source, DimVector{-1}), 0, 0, at.numel(), 1)), out);
}

}  // namespace

PYNN_OP(fill_masked, "masked_fill(Tensor input, Tensor mask, Other value) -> Tensor",
        "With one value where the mask is true. Same as torch.masked_fill.", kOut);
PYNN_OP(fill_masked_, "masked_fill_(Tensor input, Tensor mask, Other value) -> Tensor", "masked_fill in place.",
        kMethodOnly);
PYNN_OP(masked_select, "masked_select(Tensor input, Tensor mask) -> Tensor",
        "The elements where the mask is true, in one dim. Same as torch.masked_select.", kOut);
PYNN_OP(op_masked_scatter, "masked_scatter(Tensor input, Tensor mask, Tensor source) -> Tensor",
        "With source's elements, in order, where the mask is true. Same as torch.masked_scatter.", kInplace);
PYNN_OP(nonzero, "nonzero(Tensor input) -> Tensor",
        "The positions of all nonzero elements, one row each. Same as torch.nonzero.", kOut);
PYNN_OP(nonzero, "argwhere(Tensor input) -> Tensor", "Alias of nonzero. Same as torch.argwhere.");

}  // namespace pynn::ops
