// unique.cpp -- distinct elements or rows: sorted, then cut where neighbours differ. NaN differs from NaN.
#include <algorithm>
#include <optional>

#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/search.h"
#include "ops/binary.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/indexing.h"
#include "ops/reduce.h"
#include "ops/scan.h"
#include "ops/search.h"
#include "ops/sort.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// One tensor, or a tuple when more was asked for.
struct Found {
  std::vector<Tensor> tensors;
};
void give(Result& r, Found f) {
  if (f.tensors.size() == 1) return pynn::give(r, std::move(f.tensors[0]));
  r.tag = Result::Tag::Tuple;
  r.tensors = std::move(f.tensors);
}

// What to return of runs of equal neighbours. `fresh`: bool [n], whether position i differs from i - 1 (the first one
// does); `order`: int64 [n], what stood at position i before sorting, or undefined.
struct Runs {
  Runs(const Tensor& fresh, const Tensor& order, bool want_inverse, bool want_counts) {
    const Tensor heads = nonzero_tuple(fresh)[0];
    const int64_t n = fresh.numel(), found = heads.numel();
    first = order.defined() ? index_select(order, 0, heads) : heads;
    if (want_inverse) {
      inverse = sub(cumsum(fresh, 0), Scalar(1));
      if (order.defined()) inverse = scatter(empty_like(inverse), 0, order, inverse);
    }
    if (want_counts && found == 0) counts = heads;
    if (want_counts && found > 0) {
      const Tensor ends[] = {slice(heads, 0, 1, found, 1), full(DimVector{1}, Scalar(n), DType::Int64, heads.device())};
      counts = sub(cat(ends, 0), heads);
    }
  }
  Tensor first, inverse, counts;  // first: a position in the unsorted input of each run
};

Found pack(Tensor values, const Runs& runs, Dims inverse_sizes, bool want_inverse, bool want_counts) {
  Found f{{std::move(values)}};
  if (want_inverse) f.tensors.push_back(reshape(runs.inverse, inverse_sizes));
  if (want_counts) f.tensors.push_back(runs.counts);
  return f;
}

// bool [n]: whether row i of x [n, m] differs from the one before.
Tensor differs(const Tensor& x) {
  const int64_t n = x.size(0);
  const Tensor first = full(DimVector{std::min<int64_t>(n, 1)}, Scalar(true), DType::Bool, x.device());
  if (n < 2) return first;
  const Tensor other = ne(narrow(x, 0, 1, n - 1), narrow(x, 0, 0, n - 1));
  const int64_t columns[] = {1};
  const Tensor parts[] = {first, x.size(1) == 1 ? reshape(other, DimVector{n - 1}) : ne(sum(other, Dims(columns)), 0)};
  return cat(parts, 0);
}

// The rows of x [n, m] in lexicographic order: each column becomes ranks, so that rows of any type compare as int64.
// On the host, wherever x is, unless there is one column.
Tensor row_order(const Tensor& given) {
  const int64_t n = given.size(0), m = given.size(1);
  if (m == 1) return std::get<1>(first_k("unique", reshape(given, DimVector{n}), 0, n, false));
  Tensor order = arange(n);
  if (n < 2 || m == 0) return to_device(order, given.device());
  const Tensor x = on_host(given);
  int64_t* p = order.data_as<int64_t>();
  const auto [values, places] = first_k("unique", contiguous(transpose(x, 0, 1)), 1, n, false);
  const Tensor steps = ne(narrow(values, 1, 1, n - 1), narrow(values, 1, 0, n - 1));
  std::vector<int64_t> rank(static_cast<size_t>(n * m));
  for (int64_t c = 0; c < m; ++c) {
    const bool* step = steps.data_as<bool>() + c * (n - 1);
    const int64_t* at = places.data_as<int64_t>() + c * n;
    int64_t r = 0;
    for (int64_t i = 0; i < n; ++i) {
      r += i > 0 && step[i - 1];
      rank[static_cast<size_t>(at[i] * m + c)] = r;
    }
  }
  std::stable_sort(p, p + n, [&](int64_t a, int64_t b) {
    const int64_t *ra = rank.data() + a * m, *rb = rank.data() + b * m;
    return std::lexicographical_compare(ra, ra + m, rb, rb + m);
  });
  return to_device(order, given.device());
}

void check_device(const char* op, const Tensor& x) {
  PYNN_CHECK_KIND(NotImplemented, !x.device().is_meta(), op,
                  ": the size of the result depends on the values, got a meta tensor");
  PYNN_CHECK_KIND(NotImplemented, !is_complex(x.dtype()), op, ": complex tensors are not supported yet");
}

// x as [n, m] with `dim` in front.
Tensor as_rows(const char* op, const Tensor& x, int64_t dim) {
  PYNN_CHECK_KIND(Index, x.dim() > 0, op, ": Dimension specified as ", dim, " but tensor has no dimensions");
  const int64_t n = x.size(dim);
  PYNN_CHECK(x.numel() > 0 || n == 0, op,
             ": There are 0 sized dimensions, and they aren't selected, so unique cannot be applied");
  DimVector order{dim};
  for (int64_t d = 0; d < x.dim(); ++d)
    if (d != dim) order.push_back(d);
  return contiguous(reshape(permute(x, order), DimVector{n, n ? x.numel() / n : 0}));
}

Found unique_rows(const char* op, const Tensor& x, int64_t dim, bool sort, bool want_inverse, bool want_counts) {
  dim = wrap_dim(op, dim, x);
  const Tensor rows = as_rows(op, x, dim);
  Tensor order, sorted = rows;
  if (sort) {
    order = row_order(rows);
    sorted = index_select(rows, 0, order);
  }
  const Runs runs(differs(sorted), order, want_inverse, want_counts);
  return pack(index_select(x, dim, runs.first), runs, DimVector{rows.size(0)}, want_inverse, want_counts);
}

// Integers whose range is no larger than their number are counted, not sorted.
std::optional<Found> counted(const Tensor& flat, Dims sizes, bool want_inverse, bool want_counts) {
  if (!is_integral(flat.dtype()) || flat.numel() == 0) return {};
  const Tensor x = to_dtype(flat, DType::Int64), ends = range_of(x);
  const int64_t low = ends.data_as<int64_t>()[0], high = ends.data_as<int64_t>()[1];
  if (static_cast<uint64_t>(high) - static_cast<uint64_t>(low) >= static_cast<uint64_t>(flat.numel())) return {};
  const Tensor at = contiguous(sub(x, Scalar(low)));
  const Tensor counts = zeros(DimVector{high - low + 1}, DType::Float64, x.device());
  kernels::count_positions(x.device(), at.data_as<int64_t>(), at.numel(), nullptr, counts.data_as<double>(),
                           counts.numel());
  const Tensor there = ne(counts, 0), found = nonzero_tuple(there)[0];
  Found f{{to_dtype(add(found, Scalar(low)), flat.dtype())}};
  if (want_inverse) {
    const Tensor rank = sub(cumsum(there, 0), Scalar(1));
    f.tensors.push_back(reshape(index_select(rank, 0, at), sizes));
  }
  if (want_counts) f.tensors.push_back(to_dtype(index_select(counts, 0, found), DType::Int64));
  return f;
}

Found unique_elements(const char* op, const Tensor& x, bool sort, bool want_inverse, bool want_counts) {
  const Tensor flat = contiguous(reshape(x, DimVector{-1}));
  if (sort)
    if (auto found = counted(flat, x.sizes(), want_inverse, want_counts)) return std::move(*found);
  Tensor values = flat, order;
  if (sort) std::tie(values, order) = first_k(op, flat, 0, flat.numel(), false);
  const Runs runs(differs(reshape(values, DimVector{flat.numel(), 1})), order, want_inverse, want_counts);
  return pack(index_select(flat, 0, runs.first), runs, x.sizes(), want_inverse, want_counts);
}

// Sorted, whatever is asked.
Found op_unique(const Tensor& x, bool, bool want_inverse, bool want_counts, std::optional<int64_t> dim) {
  check_device("unique", x);
  GradMode off(false);
  return dim ? unique_rows("unique", x, *dim, true, want_inverse, want_counts)
             : unique_elements("unique", x, true, want_inverse, want_counts);
}

Found op_unique_consecutive(const Tensor& x, bool want_inverse, bool want_counts, std::optional<int64_t> dim) {
  check_device("unique_consecutive", x);
  GradMode off(false);
  return dim ? unique_rows("unique_consecutive", x, *dim, false, want_inverse, want_counts)
             : unique_elements("unique_consecutive", x, false, want_inverse, want_counts);
}

}  // namespace

PYNN_OP(
    op_unique,
    "unique(Tensor input, bool sorted=True, bool return_inverse=False, bool return_counts=False, int? dim=None) -> "
    "Tensor",
    "The distinct elements (or slices of a dim) in order; a tuple with where each went and how many there were when "
    "asked for. Same as torch.unique.");
PYNN_OP(
    op_unique_consecutive,
    "unique_consecutive(Tensor input, bool return_inverse=False, bool return_counts=False, int? dim=None) -> Tensor",
    "All but the first of equal neighbours left out. Same as torch.unique_consecutive.");

}  // namespace pynn::ops
