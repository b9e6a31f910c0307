// view_copy.cpp -- views as copies (narrow_copy ...), and tensors with one of their views replaced (select_scatter
// ...).
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// ---- Slices, with Python's rules for their bounds.

struct Bounds {
  int64_t dim, start, end, step;
};
Bounds clamp_bounds(const char* op, const Tensor& x, int64_t dim, std::optional<int64_t> start,
                    std::optional<int64_t> end, int64_t step) {
  PYNN_CHECK(x.dim() > 0, op, ": slice() cannot be applied to a 0-dim tensor.");
  dim = wrap_dim(op, dim, x);
  PYNN_CHECK(step > 0, op, ": slice step must be positive, got ", step);
  const int64_t n = x.size(dim);
  const auto clamped = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
  const int64_t from = clamped(start.value_or(0));
  return {dim, from, std::max(from, clamped(end.value_or(n))), step};
}

// ---- x with `source` in place of the view that `part` takes: its gradient is cleared there, the source's is the view.

void check_source(const char* op, const Tensor& view, const Tensor& source) {
  PYNN_CHECK_KIND(Shape, same(view.sizes(), source.sizes()), op,
                  ": expected src to have a size equal to the slice of self. src size = ", dims_str(source.sizes()),
                  ", slice size = ", dims_str(view.sizes()));
}

Tensor slice_scatter(const Tensor& x, const Tensor& source, int64_t dim, std::optional<int64_t> start,
                     std::optional<int64_t> end, int64_t step) {
  const Bounds b = clamp_bounds("slice_scatter", x, dim, start, end, step);
  Tensor y = clone_contiguous(x);
  const Tensor part = slice(y, b.dim, b.start, b.end, b.step);
  check_source("slice_scatter", part, source);
  copy_(part, source);
  return y;
}
Tensor select_scatter(const Tensor& x, const Tensor& source, int64_t dim, int64_t at) {
  Tensor y = clone_contiguous(x);
  const Tensor part = select(y, dim, at);
  check_source("select_scatter", part, source);
  copy_(part, source);
  return y;
}
Tensor diagonal_scatter(const Tensor& x, const Tensor& source, int64_t offset, int64_t dim1, int64_t dim2) {
  Tensor y = clone_contiguous(x);
  const Tensor part = diagonal(y, offset, dim1, dim2);
  check_source("diagonal_scatter", part, source);
  copy_(part, source);
  return y;
}
// The layout refers to x's own storage; the copy has the same strides.
Tensor as_strided_scatter(const Tensor& x, const Tensor& source, Dims sizes, Dims strides,
                          std::optional<int64_t> offset) {
  Tensor y = clone_contiguous(x);
  const Tensor part = as_strided(y, sizes, strides, offset.value_or(x.offset()));  // checks sizes and strides
  PYNN_CHECK(!overlaps_itself(sizes, strides),
             "as_strided_scatter: unsupported operation: more than one element of the written-to tensor refers to a "
             "single memory location.");
  check_source("as_strided_scatter", part, source);
  copy_(part, source);
  return y;
}

// ---- Windows.

Tensor unfold(const Tensor& x, int64_t dim, int64_t size, int64_t step) {
  dim = wrap_dim("unfold", dim, x);
  PYNN_CHECK(step > 0, "unfold: step is ", step, " but must be > 0");
  PYNN_CHECK(size >= 0, "unfold: size is ", size, " but must be >= 0");
  const int64_t n = x.dim() ? x.size(dim) : 1;
  PYNN_CHECK(size <= n, "unfold: maximum size for tensor at dimension ", dim, " is ", n, " but size is ", size);
  DimVector sizes(x.sizes()), strides(x.strides());
  sizes.push_back(size);
  strides.push_back(x.dim() ? x.stride(dim) : 1);
  if (x.dim()) {
    sizes[dim] = (n - size) / step + 1;
    if (int64_t wide; !__builtin_mul_overflow(strides[dim], step, &wide)) strides[dim] = wide;  // else one window
  }
  return as_strided(x, sizes, strides);
}

// ---- Copies.

std::vector<Tensor> copies(const std::vector<Tensor>& views) {
  std::vector<Tensor> out;
  for (const Tensor& v : views) out.push_back(clone_contiguous(v));
  return out;
}

Tensor narrow_copy(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  return clone_contiguous(narrow(x, dim, start, length));
}
Tensor diagonal_copy(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  return clone_contiguous(diagonal(x, offset, dim1, dim2));
}
Tensor as_strided_copy(const Tensor& x, Dims sizes, Dims strides, std::optional<int64_t> offset) {
  return clone_contiguous(as_strided(x, sizes, strides, offset));
}
Tensor expand_copy(const Tensor& x, Dims sizes) { return clone_contiguous(expand(x, sizes)); }
Tensor permute_copy(const Tensor& x, Dims dims) { return clone_contiguous(permute(x, dims)); }
Tensor transpose_copy(const Tensor& x, int64_t a, int64_t b) { return clone_contiguous(transpose(x, a, b)); }
Tensor t_copy(const Tensor& x) {
  PYNN_CHECK(x.dim() <= 2, "t_copy: expects a tensor with <= 2 dimensions, but self is ", x.dim(), "D");
  return clone_contiguous(x.dim() < 2 ? x : transpose(x, 0, 1));
}
Tensor select_copy(const Tensor& x, int64_t dim, int64_t at) { return clone_contiguous(select(x, dim, at)); }
Tensor slice_copy(const Tensor& x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end,
                  int64_t step) {
  const Bounds b = clamp_bounds("slice_copy", x, dim, start, end, step);
  return clone_contiguous(slice(x, b.dim, b.start, b.end, b.step));
}
Tensor squeeze_copy(const Tensor& x) { return clone_contiguous(squeeze(x)); }
Tensor squeeze_copy_dims(const Tensor& x, Dims dims) { return clone_contiguous(squeeze(x, dims)); }
Tensor unsqueeze_copy(const Tensor& x, int64_t dim) { return clone_contiguous(unsqueeze(x, dim)); }
Tensor view_copy(const Tensor& x, Dims sizes) { return clone_contiguous(view(x, sizes)); }
Tensor unfold_copy(const Tensor& x, int64_t dim, int64_t size, int64_t step) {
  return clone_contiguous(unfold(x, dim, size, step));
}
Tensor view_as_real_copy(const Tensor& x) { return clone_contiguous(view_as_real(x)); }
Tensor view_as_complex_copy(const Tensor& x) { return clone_contiguous(view_as_complex(x)); }
Tensor detach_copy(const Tensor& x) { return clone_contiguous(detach(x)); }
std::vector<Tensor> unbind_copy(const Tensor& x, int64_t dim) { return copies(unbind(x, dim)); }

std::vector<Tensor> split_copy(const Tensor& x, int64_t size, int64_t dim) { return copies(split_by(x, size, dim)); }
std::vector<Tensor> split_sizes_copy(const Tensor& x, Dims sizes, int64_t dim) {
  return copies(split_sizes(x, sizes, dim));
}

Tensor diagflat(const Tensor& x, int64_t offset) {
  const Tensor flat = reshape(x, DimVector{-1});
  const int64_t side = flat.numel() + std::abs(offset);
  return diagonal_scatter(zeros(DimVector{side, side}, x.dtype(), x.device()), flat, offset, 0, 1);
}

}  // namespace

PYNN_OP(slice_scatter,
        "slice_scatter(Tensor input, Tensor src, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor",
        "A copy with src in place of a slice. Same as torch.slice_scatter.", kOut);
PYNN_OP(select_scatter, "select_scatter(Tensor input, Tensor src, int dim, int index) -> Tensor",
        "A copy with src in place of one position of a dim. Same as torch.select_scatter.", kOut);
PYNN_OP(diagonal_scatter, "diagonal_scatter(Tensor input, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor",
        "A copy with src in place of a diagonal. Same as torch.diagonal_scatter.", kOut);
PYNN_OP(as_strided_scatter,
        "as_strided_scatter(Tensor input, Tensor src, int[] size, int[] stride, int? storage_offset=None) -> Tensor",
        "A copy with src in place of a strided view. Same as torch.as_strided_scatter.", kOut);
PYNN_OP(unfold, "unfold(Tensor input, int dimension, int size, int step) -> Tensor",
        "Windows of `size` along a dim, `step` apart, as a view with the window in a new last dim. Same as "
        "torch.Tensor.unfold.",
        kMethodOnly);
PYNN_OP(diagflat, "diagflat(Tensor input, int offset=0) -> Tensor",
        "A matrix whose diagonal holds all elements. Same as torch.diagflat.");

PYNN_OP(narrow_copy, "narrow_copy(Tensor input, int dim, int start, int length) -> Tensor",
        "narrow as a copy. Same as torch.narrow_copy.", kOut);
PYNN_OP(diagonal_copy, "diagonal_copy(Tensor input, int offset=0, int dim1=0, int dim2=1) -> Tensor",
        "diagonal as a copy.", kFunctionOnly | kOut);
PYNN_OP(as_strided_copy, "as_strided_copy(Tensor input, int[] size, int[] stride, int? storage_offset=None) -> Tensor",
        "as_strided as a copy.", kFunctionOnly | kOut);
PYNN_OP(expand_copy, "expand_copy(Tensor input, int[] size) -> Tensor", "expand as a copy.", kFunctionOnly | kOut);
PYNN_OP(permute_copy, "permute_copy(Tensor input, int[] dims) -> Tensor", "permute as a copy.", kFunctionOnly | kOut);
PYNN_OP(transpose_copy, "transpose_copy(Tensor input, int dim0, int dim1) -> Tensor", "transpose as a copy.",
        kFunctionOnly | kOut);
PYNN_OP(t_copy, "t_copy(Tensor input) -> Tensor", "t as a copy.", kFunctionOnly | kOut);
PYNN_OP(select_copy, "select_copy(Tensor input, int dim, int index) -> Tensor", "select as a copy.",
        kFunctionOnly | kOut);
PYNN_OP(slice_copy, "slice_copy(Tensor input, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor",
        "A slice as a copy.", kFunctionOnly | kOut);
PYNN_OP(squeeze_copy, "squeeze_copy(Tensor input) -> Tensor", "squeeze as a copy.", kFunctionOnly | kOut);
PYNN_OP(squeeze_copy_dims, "squeeze_copy(Tensor input, int[] dim) -> Tensor", "Of the given dims.",
        kFunctionOnly | kOut);
PYNN_OP(unsqueeze_copy, "unsqueeze_copy(Tensor input, int dim) -> Tensor", "unsqueeze as a copy.",
        kFunctionOnly | kOut);
PYNN_OP(view_copy, "view_copy(Tensor input, int[] size) -> Tensor", "view as a copy.", kFunctionOnly | kOut);
PYNN_OP(unfold_copy, "unfold_copy(Tensor input, int dimension, int size, int step) -> Tensor", "unfold as a copy.",
        kFunctionOnly | kOut);
PYNN_OP(view_as_real_copy, "view_as_real_copy(Tensor input) -> Tensor", "view_as_real as a copy.",
        kFunctionOnly | kOut);
PYNN_OP(view_as_complex_copy, "view_as_complex_copy(Tensor input) -> Tensor", "view_as_complex as a copy.",
        kFunctionOnly | kOut);
PYNN_OP(detach_copy, "detach_copy(Tensor input) -> Tensor", "detach as a copy.", kFunctionOnly | kOut);
PYNN_OP(clone_contiguous, "alias_copy(Tensor input) -> Tensor", "A copy.", kFunctionOnly | kOut);
PYNN_OP(unbind_copy, "unbind_copy(Tensor input, int dim=0) -> Tensor[]", "unbind as copies.", kFunctionOnly | kOut);
PYNN_OP(split_copy, "split_copy(Tensor input, int split_size, int dim=0) -> Tensor[]", "split as copies.",
        kFunctionOnly | kOut);
PYNN_OP(split_sizes_copy, "split_with_sizes_copy(Tensor input, int[] split_sizes, int dim=0) -> Tensor[]",
        "split_with_sizes as copies.", kFunctionOnly | kOut);

}  // namespace pynn::ops
