// indexing_scatter.cpp -- single elements along one dim, chosen by a tensor of positions:
//   gather   y[i][j] = x[index[i][j]][j]          (dim 0)
//   scatter  y[index[i][j]][j] = source[i][j]     or +=, *=
#include "ops/indexing_scatter.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/indexing.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/element.h"
#include "ops/indexing.h"
#include "ops/ternary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

int64_t size_at(const Tensor& t, int64_t d) { return t.dim() ? t.size(d) : 1; }
int64_t dims_of(const Tensor& t) { return std::max<int64_t>(t.dim(), 1); }

}  // namespace

Tensor crop(Tensor t, Dims sizes, int64_t but) {
  for (int64_t d = 0; d < t.dim(); ++d)
    if (d != but && t.size(d) != sizes[d]) t = slice(t, d, 0, sizes[d], 1);
  return t;
}

int64_t check_index(const char* op, const Tensor& x, int64_t dim, const Tensor& index) {
  dim = wrap_dim(op, dim, x);
  if (index.numel() == 0) return dim;
  PYNN_CHECK(index.dtype() == DType::Int64 || index.dtype() == DType::Int32, op,
             ": Expected dtype int32/int64 for index, got ", dtype_name(index.dtype()));
  PYNN_CHECK(dims_of(index) == dims_of(x), op,
             ": Index tensor must have the same number of dimensions as input tensor, got ", dims_str(index.sizes()),
             " and ", dims_str(x.sizes()));
  for (int64_t d = 0; d < dims_of(x); ++d)
    PYNN_CHECK_KIND(Shape, d == dim || size_at(index, d) <= size_at(x, d), op, ": size does not match at dimension ", d,
                    " expected index ", dims_str(index.sizes()), " to be no larger than self ", dims_str(x.sizes()),
                    " apart from dimension ", dim);
  return dim;
}

void check_source(const char* op, const Tensor& x, const Tensor& index, const Tensor& source) {
  PYNN_CHECK(x.dtype() == source.dtype(), op, ": Expected self.dtype to be equal to src.dtype, got ",
             dtype_name(x.dtype()), " and ", dtype_name(source.dtype()));
  if (index.numel() == 0) return;
  PYNN_CHECK(dims_of(index) == dims_of(source), op,
             ": Index tensor must have the same number of dimensions as src tensor, got ", dims_str(index.sizes()),
             " and ", dims_str(source.sizes()));
  for (int64_t d = 0; d < dims_of(index); ++d)
    PYNN_CHECK_KIND(Shape, size_at(index, d) <= size_at(source, d), op, ": size does not match at dimension ", d,
                    " expected index ", dims_str(index.sizes()), " to be no larger size than src ",
                    dims_str(source.sizes()));
}

namespace {

GatherArgs along(const char* op, const Tensor& x, int64_t dim, const Tensor& index) {
  GatherArgs a{};
  a.index = index.data_as<int64_t>();
  a.outer = a.inner = 1;
  for (int64_t d = 0; d < index.dim(); ++d)
    if (d != dim) (d < dim ? a.outer : a.inner) *= index.size(d);
  a.nx = size_at(x, dim);
  a.nindex = size_at(index, dim);
  a.dtype = x.dtype();
  a.op = op;
  return a;
}

void check_positions(const char* op, const Tensor& x, int64_t dim, const Tensor& index, int64_t bad) {
  if (bad >= 0)
    fail(ErrorKind::Runtime, op, ": index ", index.data_as<int64_t>()[bad], " is out of bounds for dimension ", dim,
         " with size ", size_at(x, dim));
}

Tensor dense_index(const Tensor& index, const Tensor& x) {
  return to_device(contiguous(to_dtype(index, DType::Int64)), x.device());
}

}  // namespace

void run_scatter(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                 bool one_value, ScatterMode mode) {
  if (index.numel() == 0 || self.device().is_meta()) return;
  GradMode off(false);
  const Tensor part = self.dim() ? crop(self, index.sizes(), dim) : self;
  const Tensor to = contiguous(part), where = dense_index(index, self);
  Tensor from = one_value ? element_on(self.device(), source) : contiguous(source);
  if (from.storage().get() == self.storage().get()) from = clone_contiguous(from);
  GatherArgs a = along(op, to, dim, where);
  a.y = to.data();
  a.x = from.data();
  a.mode = mode;
  a.scalar_src = one_value;
  check_positions(op, to, dim, where, kernels::scatter(self.device(), a));
  if (!to.same(part)) copy_data(part, to);
}

namespace {

ScatterMode mode_of(std::optional<std::string_view> reduce) {
  if (!reduce) return ScatterMode::Assign;
  if (*reduce == "add") return ScatterMode::Add;
  PYNN_CHECK(*reduce == "multiply", "scatter: reduce argument must be either add or multiply, got ",
             std::string(*reduce));
  return ScatterMode::Multiply;
}

// Derivatives, shared by the plain and the in-place forms. Multiply has none, as in PyTorch.
void check_derivative(ScatterMode mode) {
  if (mode == ScatterMode::Multiply)
    fail(ErrorKind::NotImplemented, "scatter: reduce='multiply' has no derivative (use gather and prod)");
}
constexpr auto kSelf = [](const Tensor& g, int64_t dim, const Tensor& index, ScatterMode mode) {
  check_derivative(mode);
  return mode == ScatterMode::Add ? g : scatter_fill(g, dim, index, 0);
};
constexpr auto kSource = [](const Tensor& g, int64_t dim, const Tensor& index, ScatterMode mode) {
  check_derivative(mode);
  return gather(g, dim, index);
};

Tensor copied(const Tensor& x) {  // values only
  Tensor y = empty(x.sizes(), x.dtype(), x.device());
  copy_data(y, x);
  return y;
}

Tensor scatter_by(const char* op, const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source,
                  ScatterMode mode) {
  dim = check_index(op, x, dim, index);
  check_source(op, x, index, source);
  const Tensor from = index.numel() ? crop(source, index.sizes()) : source;
  Tensor y = copied(x);
  run_scatter(op, y, dim, index, from, false, mode);
  return record(op, std::move(y), inputs(x, from), save(dim, index, mode), kSelf, kSource);
}
Tensor scatter_by_(const char* op, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                   ScatterMode mode) {
  autograd::check_inplace(op, self);
  dim = check_index(op, self, dim, index);
  check_source(op, self, index, source);
  const Tensor from = index.numel() ? crop(source, index.sizes()) : source;
  run_scatter(op, self, dim, index, from, false, mode);
  record_inplace(op, self, inputs(self, from), save(dim, index, mode), kSelf, kSource);
  return self;
}
Tensor fill_by(const Tensor& x, int64_t dim, const Tensor& index, Scalar value, ScatterMode mode) {
  dim = check_index("scatter", x, dim, index);
  Tensor y = copied(x);
  run_scatter("scatter", y, dim, index, element_tensor("scatter", value, x.dtype()), true, mode);
  return record("scatter.1", std::move(y), inputs(x), save(dim, index, mode), kSelf);
}

}  // namespace

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  dim = check_index("gather", x, dim, index);
  const Tensor from = index.numel() && x.dim() ? crop(x, index.sizes(), dim) : x;
  Tensor y = empty(index.sizes(), x.dtype(), x.device());
  if (y.numel() && !y.device().is_meta()) {
    GradMode off(false);
    const Tensor dense = contiguous(from), where = dense_index(index, x);
    GatherArgs a = along("gather", dense, dim, where);
    a.y = y.data();
    a.x = dense.data();
    check_positions("gather", dense, dim, where, kernels::gather(x.device(), a));
  }
  return record(
      "gather", std::move(y), inputs(from), save(from.sizes(), dim, index),
      [](const Tensor& g, Dims sizes, int64_t dim, const Tensor& index) { return scatter_sum(sizes, dim, index, g); });
}

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  return scatter_by("scatter", x, dim, index, source, ScatterMode::Assign);
}
Tensor scatter_fill(const Tensor& x, int64_t dim, const Tensor& index, Scalar value) {
  return fill_by(x, dim, index, value, ScatterMode::Assign);
}
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
  return scatter_by("scatter_add", x, dim, index, source, ScatterMode::Add);
}

Tensor scatter_sum(Dims sizes, int64_t dim, const Tensor& index, const Tensor& source) {
  const Tensor zero = zeros(sizes, source.dtype(), source.device());
  if (thread_state.grad_enabled) return scatter_add(zero, dim, index, source);
  run_scatter("scatter_add", zero, wrap_dim("scatter_add", dim, zero), index, source, false, ScatterMode::Add);
  return zero;
}

namespace {

using OptStr = std::optional<std::string_view>;
Tensor op_gather(const Tensor& x, int64_t dim, const Tensor& index, bool) { return gather(x, dim, index); }
Tensor op_scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, OptStr reduce) {
  return scatter_by("scatter", x, dim, index, source, mode_of(reduce));
}
Tensor op_scatter_value(const Tensor& x, int64_t dim, const Tensor& index, Scalar value, OptStr reduce) {
  return fill_by(x, dim, index, value, mode_of(reduce));
}
Tensor op_scatter_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source, OptStr reduce) {
  return scatter_by_("scatter_", self, dim, index, source, mode_of(reduce));
}
Tensor op_scatter_add_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source) {
  return scatter_by_("scatter_add_", self, dim, index, source, ScatterMode::Add);
}
Tensor op_scatter_value_(const Tensor& self, int64_t dim, const Tensor& index, Scalar value, OptStr reduce) {
  autograd::check_inplace("scatter_", self);
  dim = check_index("scatter_", self, dim, index);
  const ScatterMode mode = mode_of(reduce);
  run_scatter("scatter_", self, dim, index, element_tensor("scatter_", value, self.dtype()), true, mode);
  record_inplace("scatter_.1", self, inputs(self), save(dim, index, mode), kSelf);
  return self;
}

// gather with broadcasting between input and index, or on the flattened input.
Tensor op_take_along_dim(const Tensor& x, const Tensor& index, std::optional<int64_t> dim) {
  PYNN_CHECK(index.dtype() == DType::Int64, "take_along_dim: dtype of indices should be Long but got ",
             dtype_name(index.dtype()));
  // Negative positions count from the end here.
  const auto wrapped = [&](int64_t n) { return where(lt(index, 0), add(index, Scalar(n)), index); };
  if (!dim) return gather(reshape(x, DimVector{-1}), 0, reshape(wrapped(x.numel()), DimVector{-1}));
  PYNN_CHECK(x.dim() == index.dim(),
             "take_along_dim: input and indices should have the same number of dimensions, but got ", x.dim(),
             " dimensions for input, and ", index.dim(), " dimensions for indices");
  const int64_t d = wrap_dim("take_along_dim", *dim, x);
  if (x.dim() == 0) return gather(x, 0, index);
  DimVector xs(x.sizes()), is(index.sizes());
  xs[d] = is[d] = 1;
  DimVector to_x = broadcast_sizes("take_along_dim", xs, is), to_index = to_x;
  to_x[d] = x.size(d);
  to_index[d] = index.size(d);
  return gather(expand(x, to_x), d, expand(wrapped(x.size(d)), to_index));
}

}  // namespace

PYNN_OP(op_gather, "gather(Tensor input, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor",
        "Elements along dim at the positions of `index`, which gives the result's shape. Same as torch.gather.", kOut);
PYNN_OP(op_scatter, "scatter(Tensor input, int dim, Tensor index, Tensor src, *, str? reduce=None) -> Tensor",
        "With the elements of src at positions along dim; reduce='add' or 'multiply' combines. Same as torch.scatter.",
        kOut);
PYNN_OP(op_scatter_value, "scatter(Tensor input, int dim, Tensor index, Scalar value, *, str? reduce=None) -> Tensor",
        "With one value at positions along dim.", kOut);
PYNN_OP(op_scatter_, "scatter_(Tensor input, int dim, Tensor index, Tensor src, *, str? reduce=None) -> Tensor",
        "scatter in place.", kMethodOnly);
PYNN_OP(op_scatter_value_, "scatter_(Tensor input, int dim, Tensor index, Scalar value, *, str? reduce=None) -> Tensor",
        "scatter of one value in place.", kMethodOnly);
PYNN_OP(scatter_add, "scatter_add(Tensor input, int dim, Tensor index, Tensor src) -> Tensor",
        "With the elements of src added at positions along dim. Same as torch.scatter_add.", kOut);
PYNN_OP(op_scatter_add_, "scatter_add_(Tensor input, int dim, Tensor index, Tensor src) -> Tensor",
        "scatter_add in place.", kMethodOnly);
PYNN_OP(op_take_along_dim, "take_along_dim(Tensor input, Tensor indices, int? dim=None) -> Tensor",
        "gather with broadcasting; without dim, of the flattened input. Same as torch.take_along_dim.", kOut);

}  // namespace pynn::ops
