// indexing_rows.cpp -- whole slices along one dim, chosen by a vector of positions: index_select, index_add,
// index_copy, index_fill; and take and put on the flattened tensor.
#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/element.h"
#include "ops/indexing.h"
#include "ops/indexing_plan.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// One vector of positions along one dim of x; a 0-d tensor counts as one of a single element.
struct Slices {
  Slices(const char* op, const Tensor& input, int64_t d, const Tensor& index, bool wrap, bool read = false)
      : op(op), x(input.dim() ? input : reshape(input, DimVector{1})), dim(wrap_dim(op, d, input)) {
    PYNN_CHECK_KIND(Index, index.dim() <= 1, op, ": Index is supposed to be a vector (1-D), got shape ",
                    dims_str(index.sizes()));
    PYNN_CHECK(index.dtype() == DType::Int64 || index.dtype() == DType::Int32, op,
               ": Expected dtype int32/int64 for index, got ", dtype_name(index.dtype()));
    PYNN_CHECK_KIND(Index, input.dim() > 0 || index.numel() == 1, op, ": Dimension specified as ", d,
                    " but tensor has no dimensions");
    std::vector<Tensor> where(dim + 1);
    where[dim] = to_device(reshape(to_dtype(index, DType::Int64), DimVector{-1}), x.device());
    plan = plan_index(op, x, where, wrap, read);
  }
  // `source` has x's sizes with the index's length along dim.
  void check_source(const Tensor& source) const {
    PYNN_CHECK(source.dtype() == x.dtype(), op, ": self (", dtype_name(x.dtype()), ") and source (",
               dtype_name(source.dtype()), ") must have the same scalar type");
    const DimVector have = source.dim() ? DimVector(source.sizes()) : DimVector{1};
    PYNN_CHECK_KIND(Shape, same(have, plan.sizes), op, ": source must have the shape ", dims_str(plan.sizes), ", got ",
                    dims_str(source.sizes()), "; one slice per index");
  }
  const char* op;
  Tensor x;
  int64_t dim;
  IndexPlan plan;
};

Tensor copied(const Tensor& x) {  // values only
  Tensor y = empty(x.sizes(), x.dtype(), x.device());
  copy_data(y, x);
  return y;
}

void add_slices(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                Scalar alpha) {
  GradMode off(false);
  const Slices s(op, self, dim, index, false);
  s.check_source(source);
  PYNN_CHECK(!alpha.is_float() || is_floating(self.dtype()) || is_complex(self.dtype()), op,
             ": For integral input tensors, argument alpha must not be a floating point number.");
  PYNN_CHECK(!alpha.is_complex() || is_complex(self.dtype()), op,
             ": For non-complex input tensors, argument alpha must not be a complex number.");
  write_rows(op, s.plan, s.x, alpha.equals(1) ? source : to_dtype(mul(source, alpha), self.dtype()), Write::Add);
}
void copy_slices(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source) {
  GradMode off(false);
  const Slices s(op, self, dim, index, false);
  s.check_source(source);
  write_rows(op, s.plan, s.x, source, Write::Assign);
}
void fill_slices(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& value) {
  GradMode off(false);
  PYNN_CHECK(value.dim() == 0, op, ": only supports a 0-dimensional value tensor, but got tensor with ", value.dim(),
             " dimension(s).");
  const Slices s(op, self, dim, index, true);
  write_rows(op, s.plan, s.x, to_dtype(value, self.dtype()), Write::Assign);
}

Tensor select_like(const Tensor& g, int64_t dim, const Tensor& index, Dims sizes) {
  return reshape(index_select(g, dim, index), sizes);
}

// Derivatives, shared by the plain and the in-place forms.
constexpr auto kKeep = [](const Tensor& g, int64_t, const Tensor&, Dims, Scalar) { return g; };
constexpr auto kScaled = [](const Tensor& g, int64_t dim, const Tensor& index, Dims sizes, Scalar alpha) {
  const Tensor part = select_like(g, dim, index, sizes);
  return alpha.equals(1) ? part : mul_conj(part, alpha);
};
constexpr auto kCleared = [](const Tensor& g, int64_t dim, const Tensor& index, Dims) {
  return index_fill(g, dim, index, 0);
};
constexpr auto kSelected = [](const Tensor& g, int64_t dim, const Tensor& index, Dims sizes) {
  return select_like(g, dim, index, sizes);
};
constexpr auto kFillCleared = [](const Tensor& g, int64_t dim, const Tensor& index) {
  return index_fill(g, dim, index, 0);
};
constexpr auto kFillSummed = [](const Tensor& g, int64_t dim, const Tensor& index) {
  return sum(sub(g, index_fill(g, dim, index, 0)));  // an index that comes twice counts once
};

}  // namespace

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  Tensor y;
  {
    GradMode off(false);
    const int64_t d = wrap_dim("index_select", dim, x);
    PYNN_CHECK(x.dim() == 0 || x.size(d) > 0 || index.numel() == 0,
               "index_select: a dim that is indexed must have elements, got shape ", dims_str(x.sizes()), ", dim ", d);
    PYNN_CHECK(x.dim() > 0 || index.numel() == 1, "index_select: Index to scalar can have only 1 value, got ",
               index.numel(), " value(s)");
    const Slices s("index_select", x, dim, index, false, true);
    y = empty(s.plan.sizes, x.dtype(), x.device());
    read_rows("index_select", s.plan, s.x, y);
    if (x.dim() == 0) y = reshape(y, Dims());
  }
  return record("index_select", std::move(y), inputs(x), save(x.sizes(), dim, index),
                [](const Tensor& g, Dims sizes, int64_t dim, const Tensor& index) {
                  const Tensor zero = zeros(sizes, g.dtype(), g.device());
                  if (thread_state.grad_enabled) return index_add(zero, dim, index, g);
                  add_slices("index_add", zero, dim, index, g, 1);
                  return zero;
                });
}

Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha) {
  Tensor y = copied(x);
  add_slices("index_add", y, dim, index, source, alpha);
  return record("index_add", std::move(y), inputs(x, source), save(dim, index, source.sizes(), alpha), kKeep, kScaled);
}

Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  Tensor y = copied(x);
  copy_slices("index_copy", y, dim, index, source);
  return record("index_copy", std::move(y), inputs(x, source), save(dim, index, source.sizes()), kCleared, kSelected);
}

namespace {

Tensor fill_tensor(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
  Tensor y = copied(x);
  fill_slices("index_fill", y, dim, index, value);
  return record("index_fill", std::move(y), inputs(x, value), save(dim, index), kFillCleared, kFillSummed);
}

Tensor op_index_add_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha) {
  autograd::check_inplace("index_add_", self);
  add_slices("index_add_", self, dim, index, source, alpha);
  record_inplace("index_add_", self, inputs(self, source), save(dim, index, source.sizes(), alpha), kKeep, kScaled);
  return self;
}
Tensor op_index_copy_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source) {
  autograd::check_inplace("index_copy_", self);
  copy_slices("index_copy_", self, dim, index, source);
  record_inplace("index_copy_", self, inputs(self, source), save(dim, index, source.sizes()), kCleared, kSelected);
  return self;
}
Tensor op_index_fill(const Tensor& x, int64_t dim, const Tensor& index, Other value) {
  return value.tensor ? fill_tensor(x, dim, index, *value.tensor) : index_fill(x, dim, index, value.scalar);
}
Tensor op_index_fill_(const Tensor& self, int64_t dim, const Tensor& index, Other other) {
  autograd::check_inplace("index_fill_", self);
  const Tensor value = other.tensor ? *other.tensor : element_tensor("index_fill_", other.scalar, self.dtype());
  fill_slices("index_fill_", self, dim, index, value);
  record_inplace("index_fill_", self, inputs(self, value), save(dim, index), kFillCleared, kFillSummed);
  return self;
}

Tensor op_take(const Tensor& x, const Tensor& index_) {
  PYNN_CHECK(index_.dtype() == DType::Int64, "take: Expected a long tensor for index, but got ",
             dtype_name(index_.dtype()));
  const Tensor where[] = {index_};
  return named("take", index(reshape(x, DimVector{-1}), where));
}
Tensor op_put(const Tensor& x, const Tensor& index_, const Tensor& source, bool accumulate) {
  PYNN_CHECK(index_.dtype() == DType::Int64, "put: Expected a long tensor for index, but got ",
             dtype_name(index_.dtype()));
  PYNN_CHECK_KIND(Shape, index_.numel() == source.numel(),
                  "put: source and index must have the same number of elements, got ", source.numel(), " and ",
                  index_.numel());
  const Tensor where[] = {reshape(index_, DimVector{-1})};
  const Tensor flat = reshape(clone_contiguous(x), DimVector{-1});
  return reshape(index_put_(flat, where, reshape(source, DimVector{-1}), accumulate), x.sizes());
}

}  // namespace

Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& index, Scalar value) {
  return fill_tensor(x, dim, index, element_tensor("index_fill", value, x.dtype()));
}

PYNN_OP(index_select, "index_select(Tensor input, int dim, Tensor index) -> Tensor",
        "The slices along dim at the positions of a vector. Same as torch.index_select.", kOut);
PYNN_OP(index_add, "index_add(Tensor input, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
        "alpha times the slices of source added at the positions of a vector. Same as torch.index_add.", kOut);
PYNN_OP(op_index_add_, "index_add_(Tensor input, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
        "index_add in place.", kMethodOnly);
PYNN_OP(index_copy, "index_copy(Tensor input, int dim, Tensor index, Tensor source) -> Tensor",
        "With the slices of source at the positions of a vector. Same as torch.index_copy.", kOut);
PYNN_OP(op_index_copy_, "index_copy_(Tensor input, int dim, Tensor index, Tensor source) -> Tensor",
        "index_copy in place.", kMethodOnly);
PYNN_OP(op_index_fill, "index_fill(Tensor input, int dim, Tensor index, Other value) -> Tensor",
        "With one value at the positions of a vector. Same as torch.index_fill.");
PYNN_OP(op_index_fill_, "index_fill_(Tensor input, int dim, Tensor index, Other value) -> Tensor",
        "index_fill in place.", kMethodOnly);
PYNN_OP(op_take, "take(Tensor input, Tensor index) -> Tensor",
        "Elements by their position in the flattened input. Same as torch.take.", kOut);
PYNN_OP(op_put, "put(Tensor input, Tensor index, Tensor source, bool accumulate=False) -> Tensor",
        "With elements of source at positions of the flattened input, or added there. Same as torch.put.", kInplace);

}  // namespace pynn::ops
