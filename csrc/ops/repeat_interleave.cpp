// repeat_interleave.cpp -- each element, or slice of a dim, so many times behind itself; and nonzero_static.
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/element.h"
#include "ops/indexing.h"
#include "ops/reduce.h"
#include "ops/scan.h"
#include "ops/search.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

void check_size(int64_t have, std::optional<int64_t> wanted) {
  PYNN_CHECK(!wanted || *wanted == have,
             "repeat_interleave: allocated size does not match required size, got "
             "output_size ",
             wanted.value_or(0), " for ", have);
}

// The same where the host does not see the counts: it waits for the device only if it was not told the size.
Tensor positions_on_device(const Tensor& counts, std::optional<int64_t> size) {
  if (counts.numel() == 0) return empty(DimVector{0}, DType::Int64, counts.device());
  const Tensor ends = cumsum(counts, 0);
  if (!size) {
    PYNN_CHECK(!any_nonzero(lt(counts, 0)), "repeat_interleave: repeats can not be negative");
    size = first_element<int64_t>(select(ends, 0, -1));
  }
  return searchsorted(ends, arange(*size, counts.device()), true);
}

// Position i counts[i] times.
Tensor positions(const Tensor& counts, std::optional<int64_t> size) {
  PYNN_CHECK(counts.dim() == 1, "repeat_interleave: repeat_interleave only accept 1D vector as repeat, got shape ",
             dims_str(counts.sizes()));
  PYNN_CHECK_KIND(NotImplemented, counts.dtype() == DType::Int64 || counts.dtype() == DType::Int32,
                  "repeat_interleave: repeats has to be Long or Int tensor, got ", dtype_name(counts.dtype()));
  PYNN_CHECK_KIND(NotImplemented, !counts.device().is_meta(),
                  "repeat_interleave: the result's shape depends on the repeats, which a meta tensor does not have");
  GradMode off(false);
  const Tensor n = contiguous(to_dtype(counts, DType::Int64));
  if (!n.device().is_cpu()) return positions_on_device(n, size);
  const int64_t* p = n.data_as<int64_t>();
  int64_t total = 0;
  for (int64_t i = 0; i < n.numel(); ++i) {
    PYNN_CHECK(p[i] >= 0, "repeat_interleave: repeats can not be negative, got ", p[i]);
    total += p[i];
  }
  check_size(total, size);
  Tensor at = empty(DimVector{total}, DType::Int64);
  int64_t* to = at.data_as<int64_t>();
  for (int64_t i = 0; i < n.numel(); ++i) to = std::fill_n(to, p[i], i);
  return no_gradient(std::move(at));
}

Tensor of_counts(const Tensor& counts, std::optional<int64_t> size) {
  return no_gradient(contiguous(positions(counts, size)));
}

Tensor repeat_all(const Tensor& input, int64_t times, std::optional<int64_t> dim_, std::optional<int64_t> size) {
  const Tensor x = dim_ ? input : reshape(input, DimVector{-1});
  const int64_t dim = dim_ ? wrap_dim("repeat_interleave", *dim_, x) : 0;
  PYNN_CHECK(times >= 0, "repeat_interleave: repeats can not be negative, got ", times);
  const Tensor rows = x.dim() ? x : reshape(x, DimVector{1});
  DimVector wide(rows.sizes()), merged(rows.sizes());
  wide.insert(dim + 1, times);
  merged[dim] *= times;
  check_size(merged[dim], size);
  return reshape(clone_contiguous(expand(unsqueeze(rows, dim + 1), wide)), merged);
}

Tensor repeat_each(const Tensor& input, const Tensor& counts, std::optional<int64_t> dim_,
                   std::optional<int64_t> size) {
  PYNN_CHECK(counts.dim() <= 1, "repeat_interleave: repeats must be 0-dim or 1-dim tensor, got shape ",
             dims_str(counts.sizes()));
  Tensor x = dim_ ? input : reshape(input, DimVector{-1});
  const int64_t dim = dim_ ? wrap_dim("repeat_interleave", *dim_, x) : 0;
  if (x.dim() == 0) x = reshape(x, DimVector{1});
  const Tensor n = counts.numel() == 1 ? expand(reshape(counts, DimVector{1}), DimVector{x.size(dim)}) : counts;
  PYNN_CHECK(n.dim() == 1 && n.numel() == x.size(dim),
             "repeat_interleave: repeats must have the same size as input along dim, but got repeats.size(0) = ",
             counts.numel(), " and input.size(", dim, ") = ", x.size(dim));
  return index_select(x, dim, positions(n, size));
}

// The first `size` rows of nonzero(), filled up.
Tensor nonzero_static(const Tensor& x, int64_t size, int64_t fill) {
  PYNN_CHECK(size >= 0, "nonzero_static: 'size' must be an non-negative integer, got ", size);
  const Tensor found = nonzero(x);
  const int64_t n = std::min(size, found.size(0));
  const Tensor parts[] = {slice(found, 0, 0, n, 1),
                          full(DimVector{size - n, x.dim()}, Scalar(fill), DType::Int64, x.device())};
  return no_gradient(cat(parts, 0));
}

}  // namespace

PYNN_OP(repeat_each,
        "repeat_interleave(Tensor input, Tensor repeats, int? dim=None, *, int? output_size=None) -> Tensor",
        "Each element, or each slice of a dim, so many times behind itself. Same as torch.repeat_interleave.");
PYNN_OP(repeat_all, "repeat_interleave(Tensor input, int repeats, int? dim=None, *, int? output_size=None) -> Tensor",
        "All of them equally often.");
PYNN_OP(of_counts, "repeat_interleave(Tensor repeats, *, int? output_size=None) -> Tensor",
        "Position i repeats[i] times.", kFunctionOnly);
PYNN_OP(nonzero_static, "nonzero_static(Tensor input, *, int size, int fill_value=-1) -> Tensor",
        "nonzero with a fixed number of rows: cut, or filled up. Same as torch.nonzero_static.");

}  // namespace pynn::ops
