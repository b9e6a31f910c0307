// positions.cpp -- index tensors by rule: triangles, combinations, coordinates of flat positions; and powers (vander).
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/indexing.h"
#include "ops/scan.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// Rows and columns of the elements with column - row <= offset (lower) or >= offset.
Tensor triangle(const char* op, int64_t rows, int64_t columns, int64_t offset, bool lower, std::optional<DType> dtype,
                std::optional<Device> device) {
  PYNN_CHECK(rows >= 0 && columns >= 0, op, ": row and col must be non-negative, got ", rows, " and ", columns);
  const DType type = dtype.value_or(DType::Int64);
  PYNN_CHECK(type == DType::Int64 || type == DType::Int32, op, ": not implemented for '", dtype_name(type), "'");
  // Rows [begin, end) have elements, all of a row from `full` on (lower) or before it (upper). Wide: any int64 may
  // come.
  using Wide = __int128;
  const auto bounded = [](Wide x, int64_t low, int64_t high) {
    return static_cast<int64_t>(std::clamp<Wide>(x, low, high));
  };
  const Wide n = columns, shift = offset;
  const int64_t begin = lower && columns ? bounded(-shift, 0, rows) : 0;
  const int64_t end = columns == 0 ? 0 : lower ? rows : bounded(n - shift, 0, rows);
  const int64_t full = lower ? bounded(n - shift - 1, begin, end) : bounded(-shift, begin, end);
  const Wide from = lower ? begin : full, to = lower ? full : end;           // rows that are cut
  const Wide cut = (to - from) * (from + to - 1) / 2 + (to - from) * shift;  // the sum of r + offset over them
  const Wide whole = lower ? end - full : full - begin;
  const Wide total = whole * n + (lower ? cut + (to - from) : (to - from) * n - cut);
  const int64_t count = bounded(total, 0, INT64_MAX);
  if (device && device->is_meta()) return empty(DimVector{2, count}, type, *device);
  Tensor y = empty(DimVector{2, count}, DType::Int64);
  int64_t* row = y.data_as<int64_t>();
  int64_t* column = row + count;
  for (int64_t r = begin; r < end; ++r) {
    const int64_t c0 = lower ? 0 : bounded(r + shift, 0, columns),
                  c1 = lower ? bounded(r + shift + 1, 0, columns) : columns;
    for (int64_t c = c0; c < c1; ++c) *row++ = r, *column++ = c;
  }
  return to_device(to_dtype(y, type), device.value_or(Device{}));
}
Tensor tril_indices(int64_t rows, int64_t columns, int64_t offset, std::optional<DType> dtype,
                    std::optional<Device> device) {
  return triangle("tril_indices", rows, columns, offset, true, dtype, device);
}
Tensor triu_indices(int64_t rows, int64_t columns, int64_t offset, std::optional<DType> dtype,
                    std::optional<Device> device) {
  return triangle("triu_indices", rows, columns, offset, false, dtype, device);
}

// All ascending r-tuples of positions, in order; an odometer whose digits may repeat with replacement.
Tensor combinations(const Tensor& x, int64_t r, bool replacement) {
  PYNN_CHECK(x.dim() == 1, "combinations: Expect a 1D vector, but got shape ", dims_str(x.sizes()));
  PYNN_CHECK(r >= 0, "combinations: Expect a non-negative number, but got ", r);
  if (r == 0) return empty(DimVector{0}, x.dtype(), x.device());
  const int64_t n = x.numel(), gap = replacement ? 0 : 1;
  std::vector<int64_t> digits(static_cast<size_t>(r)), all;
  for (int64_t i = 0; i < r; ++i) digits[i] = i * gap;
  const auto highest = [&](int64_t i) { return n - 1 - (r - 1 - i) * gap; };
  while (n > 0 && digits[r - 1] < n) {
    all.insert(all.end(), digits.begin(), digits.end());
    int64_t i = r - 1;
    while (i >= 0 && digits[i] >= highest(i)) --i;
    if (i < 0) break;
    const int64_t next = digits[i] + 1;
    for (int64_t j = i; j < r; ++j) digits[j] = next + (j - i) * gap;
  }
  Tensor at = empty(DimVector{static_cast<int64_t>(all.size()) / r, r}, DType::Int64);
  std::copy(all.begin(), all.end(), at.data_as<int64_t>());
  const Tensor where[] = {to_device(at, x.device())};
  return index(x, where);
}

// Columns x^0 .. x^(n-1), the highest power first unless increasing.
Tensor vander(const Tensor& x, std::optional<int64_t> columns, bool increasing) {
  PYNN_CHECK(x.dim() == 1, "vander: x must be a one-dimensional tensor, got shape ", dims_str(x.sizes()));
  const int64_t n = columns.value_or(x.size(0));
  PYNN_CHECK(n >= 0, "vander: N must be non-negative, got ", n);
  const DType type = is_integral(x.dtype()) ? DType::Int64 : x.dtype();
  if (n == 0) return zeros(DimVector{x.size(0), 0}, type, x.device());
  const Tensor parts[] = {ones(DimVector{x.size(0), 1}, type, x.device()),
                          expand(unsqueeze(to_dtype(x, type), 1), DimVector{x.size(0), n - 1})};
  const Tensor powers = cumprod(cat(parts, 1), 1);
  const int64_t last[] = {1};
  return increasing ? powers : flip_dims(powers, last);
}

std::vector<Tensor> unravel(const Tensor& at, Dims shape) {
  PYNN_CHECK_KIND(Type, is_integral(at.dtype()) && at.dtype() != DType::Bool,
                  "unravel_index: expected 'indices' to be integer dtype, but got ", dtype_name(at.dtype()));
  std::vector<Tensor> out(shape.size());
  Tensor rest = to_dtype(at, DType::Int64);
  for (size_t i = shape.size(); i-- > 0;) {
    PYNN_CHECK_KIND(Value, shape[i] >= 0, "unravel_index: 'shape' cannot have negative values, got ", dims_str(shape));
    out[i] = remainder(rest, Scalar(shape[i]));
    rest = floor_divide(rest, Scalar(shape[i]));
  }
  return out;
}

}  // namespace

#define PYNN_TRIANGLE "(int row, int col, int offset=0, *, dtype? dtype=None, device? device=None) -> Tensor"
PYNN_OP(tril_indices, "tril_indices" PYNN_TRIANGLE,
        "[2, count]: rows and columns of a lower triangle. Same as torch.tril_indices.");
PYNN_OP(triu_indices, "triu_indices" PYNN_TRIANGLE,
        "[2, count]: rows and columns of an upper triangle. Same as torch.triu_indices.");
PYNN_OP(combinations, "combinations(Tensor input, int r=2, bool with_replacement=False) -> Tensor",
        "All r-combinations of a vector's elements, one per row. Same as torch.combinations.", kFunctionOnly);
PYNN_OP(vander, "vander(Tensor x, int? N=None, bool increasing=False) -> Tensor",
        "Powers of a vector's elements, one row each. Same as torch.vander.", kFunctionOnly);
PYNN_OP(unravel, "unravel_index(Tensor indices, int[] shape) -> Tensor[]",
        "The coordinates of flat positions in a tensor of that shape. Same as torch.unravel_index.", kFunctionOnly);

}  // namespace pynn::ops
