// stacking.cpp -- tensors side by side in rows, columns or layers, and cut apart again.
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// With at least `ndim` dims; the ones put in stand where atleast_1d, _2d and _3d have them.
Tensor lift(const Tensor& x, int64_t ndim) {
  Tensor y = x.dim() == 0 ? reshape(x, DimVector{1}) : x;
  if (ndim >= 2 && y.dim() == 1) y = unsqueeze(y, 0);
  if (ndim >= 3 && y.dim() == 2) y = unsqueeze(y, -1);
  return y;
}

std::vector<Tensor> lifted(const char* op, TensorSpan tensors, int64_t ndim) {
  PYNN_CHECK(!tensors.empty(), op, ": ", op, " expects a non-empty TensorList");
  std::vector<Tensor> out;
  for (const Tensor& t : tensors) out.push_back(lift(t, ndim));
  return out;
}

Tensor hstack(TensorSpan tensors) {
  const std::vector<Tensor> all = lifted("hstack", tensors, 1);
  return cat(all, all[0].dim() == 1 ? 0 : 1);
}
Tensor vstack(TensorSpan tensors) { return cat(lifted("vstack", tensors, 2), 0); }
Tensor dstack(TensorSpan tensors) { return cat(lifted("dstack", tensors, 3), 2); }

Tensor column_stack(TensorSpan tensors) {
  PYNN_CHECK(!tensors.empty(), "column_stack: column_stack expects a non-empty TensorList");
  std::vector<Tensor> all;
  for (const Tensor& t : tensors) all.push_back(t.dim() < 2 ? reshape(t, DimVector{t.numel(), 1}) : t);
  return hstack(all);
}

// [begin, end) of a dim, both clamped as a slice's bounds are.
Tensor piece(const Tensor& x, int64_t dim, int64_t begin, int64_t end) {
  const int64_t n = x.size(dim);
  const auto clamped = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
  begin = clamped(begin);
  return slice(x, dim, begin, std::max(begin, clamped(end)), 1);
}

std::vector<Tensor> split_at(const Tensor& x, Dims indices, int64_t dim) {
  PYNN_CHECK(x.dim() > 0, "tensor_split: expected at least a 1-dimensional tensor, but got a tensor with 0 dims");
  dim = wrap_dim("tensor_split", dim, x);
  std::vector<Tensor> out;
  int64_t begin = 0;
  for (int64_t end : indices) {
    out.push_back(piece(x, dim, begin, end));
    begin = end;
  }
  out.push_back(piece(x, dim, begin, x.size(dim)));
  return out;
}

// The first n % sections parts are larger by one.
std::vector<Tensor> split_sections(const Tensor& x, int64_t sections, int64_t dim) {
  PYNN_CHECK(x.dim() > 0, "tensor_split: expected at least a 1-dimensional tensor, but got a tensor with 0 dims");
  dim = wrap_dim("tensor_split", dim, x);
  PYNN_CHECK(sections > 0, "tensor_split: number of sections must be larger than 0, got ", sections);
  const int64_t n = x.size(dim);
  std::vector<Tensor> out;
  int64_t at = 0;
  for (int64_t i = 0; i < sections; ++i) {
    const int64_t length = n / sections + (i < n % sections ? 1 : 0);
    out.push_back(slice(x, dim, at, at + length, 1));
    at += length;
  }
  return out;
}

std::vector<Tensor> split_tensor(const Tensor& x, const Tensor& where, int64_t dim) {
  PYNN_CHECK(where.dtype() == DType::Int64 && where.dim() <= 1,
             "tensor_split: expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor of "
             "dtype long, got ",
             dtype_name(where.dtype()), " ", dims_str(where.sizes()));
  PYNN_CHECK_KIND(NotImplemented, where.device().is_cpu(), "tensor_split: the indices must be on the CPU, got ",
                  where.device().str());
  const Tensor at = contiguous(where);
  const int64_t* p = at.data_as<int64_t>();
  if (where.dim() == 0) return split_sections(x, *p, dim);
  const std::vector<int64_t> indices(p, p + at.numel());
  return split_at(x, indices, dim);
}

int64_t check_split(const char* op, const Tensor& x, int64_t least, int64_t dim) {
  PYNN_CHECK(x.dim() >= least, op, ": requires a tensor with at least ", least, " dimension", least > 1 ? "s" : "",
             ", but got a tensor with ", x.dim(), " dimensions!");
  return x.dim() == 1 ? 0 : dim;
}
std::vector<Tensor> split_evenly(const char* op, const Tensor& x, int64_t sections, int64_t least, int64_t dim) {
  dim = check_split(op, x, least, dim);
  PYNN_CHECK(sections != 0 && x.size(dim) % sections == 0, op, ": attempted to split along dimension ", dim,
             ", but the size of the dimension ", x.size(dim), " is not divisible by the split_size ", sections, "!");
  return split_sections(x, sections, dim);
}

#define PYNN_SPLIT(name, least, dim)                                       \
  std::vector<Tensor> name##_sections(const Tensor& x, int64_t sections) { \
    return split_evenly(#name, x, sections, least, dim);                   \
  }                                                                        \
  std::vector<Tensor> name##_at(const Tensor& x, Dims indices) {           \
    return split_at(x, indices, check_split(#name, x, least, dim));        \
  }
PYNN_SPLIT(hsplit, 1, 1)
PYNN_SPLIT(vsplit, 2, 0)
PYNN_SPLIT(dsplit, 3, 2)

// Blocks along the diagonal, zeros elsewhere; 0-d and 1-d tensors are one row.
Tensor block_diag(TensorSpan tensors) {
  if (tensors.empty()) return empty(DimVector{1, 0}, default_dtype());
  int64_t columns = 0, left = 0;
  DType type = tensors[0].dtype();
  std::vector<Tensor> blocks, rows;
  for (size_t i = 0; i < tensors.size(); ++i) {
    PYNN_CHECK(tensors[i].dim() <= 2, "block_diag: Input tensors must have 2 or fewer dimensions. Input ", i, " has ",
               tensors[i].dim(), " dimensions");
    blocks.push_back(lift(tensors[i], 2));
    columns += blocks.back().size(1);
    type = promote(type, tensors[i].dtype());
  }
  for (const Tensor& b : blocks) {
    const auto blank = [&](int64_t n) { return zeros(DimVector{b.size(0), n}, type, b.device()); };
    const Tensor row[] = {blank(left), b, blank(columns - left - b.size(1))};
    rows.push_back(cat(row, 1));
    left += b.size(1);
  }
  return cat(rows, 0);
}

}  // namespace

PYNN_OP(hstack, "hstack(Tensor[] tensors) -> Tensor",
        "Side by side: along dim 1, of vectors along dim 0. Same as torch.hstack.", kOut);
PYNN_OP(vstack, "vstack(Tensor[] tensors) -> Tensor", "On top of each other, vectors as rows. Same as torch.vstack.",
        kOut);
PYNN_OP(vstack, "row_stack(Tensor[] tensors) -> Tensor", "Alias of vstack.", kOut);
PYNN_OP(dstack, "dstack(Tensor[] tensors) -> Tensor", "Behind each other, along dim 2. Same as torch.dstack.", kOut);
PYNN_OP(column_stack, "column_stack(Tensor[] tensors) -> Tensor",
        "Side by side, vectors as columns. Same as torch.column_stack.", kOut);
PYNN_OP(split_tensor, "tensor_split(Tensor input, Tensor tensor_indices_or_sections, int dim=0) -> Tensor[]",
        "Cut at positions, or into so many parts of nearly equal size, as views. Same as torch.tensor_split.",
        kAnyDevice);
PYNN_OP(split_sections, "tensor_split(Tensor input, int sections, int dim=0) -> Tensor[]",
        "Into so many parts; the first ones are larger by one where the size cannot be divided.");
PYNN_OP(split_at, "tensor_split(Tensor input, int[] indices, int dim=0) -> Tensor[]", "Cut at positions.");
PYNN_OP(hsplit_sections, "hsplit(Tensor input, int sections) -> Tensor[]",
        "Parts of equal size along dim 1 (of vectors dim 0). Same as torch.hsplit.");
PYNN_OP(hsplit_at, "hsplit(Tensor input, int[] indices) -> Tensor[]", "Cut at positions.");
PYNN_OP(vsplit_sections, "vsplit(Tensor input, int sections) -> Tensor[]",
        "Parts of equal size along dim 0. Same as torch.vsplit.");
PYNN_OP(vsplit_at, "vsplit(Tensor input, int[] indices) -> Tensor[]", "Cut at positions.");
PYNN_OP(dsplit_sections, "dsplit(Tensor input, int sections) -> Tensor[]",
        "Parts of equal size along dim 2. Same as torch.dsplit.");
PYNN_OP(dsplit_at, "dsplit(Tensor input, int[] indices) -> Tensor[]", "Cut at positions.");
PYNN_OP(block_diag, "_block_diag(Tensor[] tensors) -> Tensor", "block_diag of a list.");

}  // namespace pynn::ops
