// rearrange.cpp -- the same elements elsewhere: flip, roll, repeat, triangles, diagonals, moved dims.
#include <algorithm>

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/triangle.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/reduce_plan.h"
#include "ops/scan.h"
#include "ops/ternary.h"
#include "ops/view.h"

namespace pynn::ops {

Tensor flip_dims(const Tensor& x, Dims dims) {
  const int64_t mask = dims.empty() ? 0 : dims_mask("flip", x, dims);
  Tensor y = empty_like(x);
  // Written through a raw alias that walks the flipped dims backwards.
  DimVector strides(x.strides());
  int64_t offset = x.offset();
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (!(mask >> d & 1) || x.size(d) == 0) continue;
    offset += (x.size(d) - 1) * strides[d];
    strides[d] = -strides[d];
  }
  copy_data(y, alias(x, x.sizes(), strides, offset));
  return record("flip", std::move(y), inputs(x), save(DimVector(dims)),
                [](const Tensor& g, const DimVector& dims) { return flip_dims(g, dims); });
}

namespace {

Tensor roll(const Tensor& x, Dims shifts, Dims dims) {
  if (dims.empty()) {
    PYNN_CHECK(shifts.size() == 1, "roll: one shift is required without dims, got ", shifts.size());
    const int64_t zero[] = {0};
    return named("roll", reshape(roll(reshape(x, DimVector{-1}), shifts, zero), x.sizes()));
  }
  PYNN_CHECK(shifts.size() == dims.size(), "roll: shifts and dimensions must align. shifts: ", shifts.size(),
             ", dims:", dims.size());
  Tensor y = x;
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t d = wrap_dim("roll", dims[i], x);
    PYNN_CHECK_KIND(Index, x.dim() > 0, "roll: Dimension specified as ", dims[i], " but tensor has no dimensions");
    const int64_t n = x.size(d);
    if (n == 0) continue;
    const int64_t by = ((shifts[i] % n) + n) % n;
    if (by == 0) continue;
    const Tensor parts[] = {narrow(y, d, n - by, by), narrow(y, d, 0, n - by)};
    y = cat(parts, d);
  }
  return named("roll", y.same(x) ? clone_contiguous(x) : y);
}

// Each dim of the input becomes (times, size); one copy of the expanded view.
Tensor repeat(const Tensor& x, Dims times) {
  PYNN_CHECK(times.size() >= static_cast<size_t>(x.dim()),
             "repeat: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor, got ",
             dims_str(times), " for ", dims_str(x.sizes()));
  DimVector sizes;
  const size_t shift = times.size() - x.dim();
  Tensor y = x;
  for (size_t i = 0; i < shift; ++i) y = unsqueeze(y, 0);
  for (size_t i = 0; i < times.size(); ++i) {
    PYNN_CHECK(times[i] >= 0, "repeat: repetitions must not be negative, got ", dims_str(times));
    int64_t size;
    PYNN_CHECK(!__builtin_mul_overflow(times[i], y.size(static_cast<int64_t>(i)), &size),
               "repeat: the result has more elements than memory can hold, got ", dims_str(times), " for ",
               dims_str(x.sizes()));
    sizes.push_back(size);
  }
  checked_numel(sizes);
  // Expanded as far as kMaxDims lets, then copied: at once, if it does.
  for (size_t i = times.size(); i-- > 0;) {
    if (times[i] == 1) continue;
    DimVector wide(y.sizes());
    if (wide[i] != 1) {
      if (y.dim() == kMaxDims) {
        DimVector merged(Dims(wide).first(i + 1));
        for (size_t d = i + 1; d < times.size(); ++d) merged.push_back(sizes[d]);
        y = reshape(y, merged);
        wide = merged;
      }
      y = unsqueeze(y, static_cast<int64_t>(i));
      wide.insert(i, 1);
    }
    wide[i] = times[i];
    y = expand(y, wide);
  }
  y = reshape(y, sizes);
  const bool fresh = y.storage().get() != x.storage().get() && y.is_contiguous();  // not just an expanded view
  return named("repeat", fresh ? y : clone_contiguous(y));
}

Tensor op_tile(const Tensor& x, Dims times) {
  DimVector full(times);
  while (full.size() < static_cast<size_t>(x.dim())) full.insert(0, 1);
  return repeat(x, full);
}

// True where column - row <= diagonal (lower) of the last two dims.
Tensor triangle(const char* op, const Tensor& x, int64_t diagonal, bool lower) {
  PYNN_CHECK(x.dim() >= 2, op, ": input tensor must have at least 2 dimensions, got ", dims_str(x.sizes()));
  const Tensor column = arange(x.size(-1), x.device()), row = unsqueeze(arange(x.size(-2), x.device()), 1);
  const int64_t within = std::clamp(diagonal, -x.size(-2), x.size(-1));  // farther ones keep all or nothing as well
  const Tensor edge = add(row, Scalar(within));
  return lower ? le(column, edge) : ge(column, edge);
}
template <bool kLower>
Tensor keep_triangle(const Tensor& x, int64_t diagonal) {
  const char* op = kLower ? "tril" : "triu";
  Tensor y;
  {
    GradMode off(false);
    if (x.device().is_cpu() && x.dim() >= 2) {
      const Tensor m = x.dim() == 2 ? x : contiguous(x);
      y = empty(x.sizes(), x.dtype());
      const int64_t rows = x.size(-2), cols = x.size(-1), matrix = rows * cols;
      kernels::triangle(x.device(), {y.data(), m.data(), x.dtype(), matrix ? x.numel() / matrix : 0, rows, cols, matrix,
                                     m.strides()[m.dim() - 2], m.strides()[m.dim() - 1], diagonal, kLower});
    } else {
      const Destination none(nullptr);  // the mask of a bool matrix would take y's place
      y = where(triangle(op, x, diagonal, kLower), x, full({}, Scalar(0), x.dtype()));
    }
  }
  return record(op, std::move(y), inputs(x), save(diagonal),
                [](const Tensor& g, int64_t diagonal) { return keep_triangle<kLower>(g, diagonal); });
}
}  // namespace

Tensor tril(const Tensor& x, int64_t diagonal) { return keep_triangle<true>(x, diagonal); }
Tensor triu(const Tensor& x, int64_t diagonal) { return keep_triangle<false>(x, diagonal); }

namespace {

Tensor diag_embed(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  const int64_t n = x.dim() + 1;
  dim1 = wrap_dim("diag_embed", dim1, n);
  dim2 = wrap_dim("diag_embed", dim2, n);
  PYNN_CHECK(x.dim() > 0 && dim1 != dim2, "diag_embed: diagonal dimensions cannot be identical, got ", dim1, " and ",
             dim2);
  DimVector sizes(x.sizes().first(x.dim() - 1));
  constexpr int64_t kFar = int64_t{1} << 60;  // more than any memory holds: zeros() refuses it
  const int64_t side = x.size(-1) + std::abs(std::clamp(offset, -kFar, kFar));
  sizes.insert(std::min(dim1, dim2), side);
  sizes.insert(std::max(dim1, dim2), side);
  Tensor y = zeros(sizes, x.dtype(), x.device());
  {
    GradMode off(false);
    copy_data(diagonal(y, offset, dim1, dim2), x);
  }
  return record(
      "diag_embed", std::move(y), inputs(x), save(offset, dim1, dim2),
      [](const Tensor& g, int64_t offset, int64_t dim1, int64_t dim2) { return diagonal(g, offset, dim1, dim2); });
}
Tensor diag(const Tensor& x, int64_t offset) {
  PYNN_CHECK(x.dim() == 1 || x.dim() == 2, "diag: Supports 1D or 2D tensors. Got ", x.dim(), "D");
  return x.dim() == 1 ? diag_embed(x, offset, 0, 1) : clone_contiguous(diagonal(x, offset));
}

Tensor movedim(const Tensor& x, Dims from, Dims to) {
  PYNN_CHECK(from.size() == to.size(), "movedim: Invalid source or destination dims: source (", dims_str(from),
             " dims) should contain the same number of dims as destination (", dims_str(to), " dims)");
  DimVector order(x.dim(), -1);
  int64_t taken = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const int64_t s = wrap_dim("movedim", from[i], x), d = wrap_dim("movedim", to[i], x);
    PYNN_CHECK(order.empty() || (order[d] < 0 && !(taken >> s & 1)), "movedim: repeated dim in source or destination");
    if (order.empty()) continue;
    order[d] = s;
    taken |= int64_t{1} << s;
  }
  int64_t next = 0;
  for (int64_t& o : order) {
    if (o >= 0) continue;
    while (taken >> next & 1) ++next;
    o = next++;
  }
  return permute(x, order);
}

Tensor unflatten(const Tensor& x, int64_t dim, Dims into) {
  dim = wrap_dim("unflatten", dim, x);
  PYNN_CHECK(x.dim() > 0 && !into.empty(), "unflatten: sizes must be non-empty");
  const DimVector part = infer_sizes("unflatten", into, x.size(dim));
  DimVector sizes(x.sizes().first(dim));
  for (int64_t s : part) sizes.push_back(s);
  for (int64_t d = dim + 1; d < x.dim(); ++d) sizes.push_back(x.size(d));
  return view(x, sizes);
}

Tensor expand_as(const Tensor& x, const Tensor& other) { return expand(x, other.sizes()); }
Tensor view_as(const Tensor& x, const Tensor& other) { return view(x, other.sizes()); }
Tensor reshape_as(const Tensor& x, const Tensor& other) { return reshape(x, other.sizes()); }
Tensor broadcast_to(const Tensor& x, Dims sizes) { return expand(x, sizes); }
Tensor ravel(const Tensor& x) { return contiguous(reshape(x, DimVector{-1})); }
Tensor op_adjoint(const Tensor& x) { return transpose(x, -2, -1); }

}  // namespace

PYNN_OP(flip_dims, "flip(Tensor input, int... dims) -> Tensor",
        "The given dims in reverse order; a copy. Same as torch.flip.");
PYNN_OP(roll, "roll(Tensor input, int[] shifts, int[] dims=[]) -> Tensor",
        "Moved along the dims, coming back at the other end. Same as torch.roll.");
PYNN_OP(repeat, "repeat(Tensor input, int... repeats) -> Tensor", "Copies side by side. Same as torch.Tensor.repeat.",
        kMethodOnly);
PYNN_OP(op_tile, "tile(Tensor input, int... dims) -> Tensor",
        "repeat, with missing leading repetitions 1. Same as torch.tile.");
PYNN_OP(tril, "tril(Tensor input, int diagonal=0) -> Tensor", "The lower triangle, else 0. Same as torch.tril.",
        kOut | kInplace | kMap);
PYNN_OP(triu, "triu(Tensor input, int diagonal=0) -> Tensor", "The upper triangle, else 0. Same as torch.triu.",
        kOut | kInplace | kMap);
PYNN_OP(diag, "diag(Tensor input, int diagonal=0) -> Tensor",
        "The diagonal of a matrix, or a matrix of a diagonal. Same as torch.diag.", kOut);
PYNN_OP(diag_embed, "diag_embed(Tensor input, int offset=0, int dim1=-2, int dim2=-1) -> Tensor",
        "Matrices whose diagonals are the input's last dim. Same as torch.diag_embed.");
PYNN_OP(movedim, "movedim(Tensor input, int[] source, int[] destination) -> Tensor",
        "Dims at other positions. Same as torch.movedim.");
PYNN_OP(movedim, "moveaxis(Tensor input, int[] source, int[] destination) -> Tensor", "Alias of movedim.");
PYNN_OP(unflatten, "unflatten(Tensor input, int dim, Size sizes) -> Tensor",
        "One dim as several. Same as torch.unflatten.");
PYNN_OP(expand_as, "expand_as(Tensor input, Tensor other) -> Tensor", "expand to the other's shape.",
        kMethodOnly + kAnyDevice);
PYNN_OP(view_as, "view_as(Tensor input, Tensor other) -> Tensor", "view of the other's shape.",
        kMethodOnly + kAnyDevice);
PYNN_OP(reshape_as, "reshape_as(Tensor input, Tensor other) -> Tensor", "reshape to the other's shape.",
        kMethodOnly + kAnyDevice);
PYNN_OP(broadcast_to, "broadcast_to(Tensor input, int... size) -> Tensor", "expand. Same as torch.broadcast_to.");
PYNN_OP(ravel, "ravel(Tensor input) -> Tensor", "All elements in one dim. Same as torch.ravel.");
PYNN_OP(op_adjoint, "adjoint(Tensor input) -> Tensor",
        "The last two dims swapped. Same as torch.adjoint for real tensors.");

}  // namespace pynn::ops
