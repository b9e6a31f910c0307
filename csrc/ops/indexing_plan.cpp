#include "ops/indexing_plan.h"

#include <numeric>

#include "core/parallel.h"
#include "core/shape.h"
#include "core/thread_state.h"
#include "kernels/indexing.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

bool is_mask(const Tensor& t) { return t.dtype() == DType::Bool || t.dtype() == DType::UInt8; }

// Dims that are walked through side by side.
struct Walk {
  DimVector sizes, strides;
  void add(int64_t size, int64_t stride) {
    sizes.push_back(size);
    strides.push_back(stride);
  }
  int64_t count() const {
    int64_t n = 1;
    for (int64_t s : sizes) n *= s;
    return n;
  }
  // Where each step stands, in units.
  std::vector<int64_t> offsets(int64_t unit) const {
    std::vector<int64_t> out{0};
    for (size_t d = 0; d < sizes.size(); ++d) {
      std::vector<int64_t> next;
      next.reserve(out.size() * static_cast<size_t>(sizes[d]));
      for (int64_t at : out)
        for (int64_t i = 0; i < sizes[d]; ++i) next.push_back(at + i * (strides[d] / unit));
      out = std::move(next);
    }
    return out;
  }
};

// The indices of the planned dims, all of one shape and contiguous.
struct Indexed {
  Tensor index;
  int64_t dim, size, stride;
};

[[noreturn]] void out_of_bounds(const char* op, int64_t index, int64_t dim, int64_t size) {
  fail(ErrorKind::Index, op, ": index ", index, " is out of bounds for dimension ", dim, " with size ", size);
}

void add_positions(const char* op, const Indexed& in, int64_t unit, bool wrap, int64_t* out, int64_t n) {
  const int64_t* index = in.index.data_as<int64_t>();
  const int64_t step = in.stride / unit;
  parallel_for(0, n, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t at = index[i];
      if (at < 0 && wrap) at += in.size;
      if (static_cast<uint64_t>(at) >= static_cast<uint64_t>(in.size)) out_of_bounds(op, index[i], in.dim, in.size);
      out[i] += at * step;
    }
  });
}

}  // namespace

std::vector<Tensor> expand_indices(const char* op, const Tensor& x, TensorSpan indices) {
  GradMode off(false);
  std::vector<Tensor> out;
  for (size_t i = 0; i < indices.size(); ++i) {
    const Tensor& t = indices[i];
    if (!t.defined()) {
      out.emplace_back();
    } else if (!is_mask(t)) {
      PYNN_CHECK_KIND(Index, t.dtype() == DType::Int64 || t.dtype() == DType::Int32, op,
                      ": tensors used as indices must be long, int, byte or bool tensors, got ", dtype_name(t.dtype()));
      out.push_back(to_dtype(t, DType::Int64));
    } else {
      const int64_t at = static_cast<int64_t>(out.size());
      PYNN_CHECK_KIND(Index, t.dim() > 0, op, ": a mask must have at least one dim, got a 0-d one");
      for (int64_t d = 0; d < t.dim(); ++d)
        PYNN_CHECK_KIND(Index, at + d < x.dim() && t.size(d) == x.size(at + d), op, ": The shape of the mask ",
                        dims_str(t.sizes()), " at index ", d, " does not match the shape of the indexed tensor ",
                        dims_str(x.sizes()), " at index ", at + d);
      for (Tensor& p : nonzero_tuple(t)) out.push_back(std::move(p));
    }
    PYNN_CHECK_KIND(Index, static_cast<int64_t>(out.size()) <= x.dim(), op, ": too many indices for tensor of dimension ",
                    x.dim());
  }
  return out;
}

IndexPlan plan_index(const char* op, const Tensor& x, TensorSpan indices, bool wrap) {
  GradMode off(false);
  IndexPlan plan;
  plan.wrap = wrap;
  const int64_t ndim = x.dim(), given = static_cast<int64_t>(indices.size());
  const auto indexed = [&](int64_t d) { return d < given && indices[d].defined(); };
  int64_t first = ndim, last = -1;
  DimVector common;
  for (int64_t d = 0; d < given; ++d) {
    if (!indices[d].defined()) continue;
    first = std::min(first, d);
    last = d;
    try {
      common = broadcast_sizes(op, common, indices[d].sizes());
    } catch (const Error&) {
      fail(ErrorKind::Index, op, ": shape mismatch: indexing tensors could not be broadcast together with shapes ",
           dims_str(common), ", ", dims_str(indices[d].sizes()));
    }
  }
  bool adjacent = true;
  for (int64_t d = first; d <= last; ++d) adjacent &= indexed(d);

  // The result: dims before the indices, the indices' common shape, dims after.
  Walk before, after;
  for (int64_t d = 0; d < ndim; ++d)
    if (!indexed(d)) (adjacent && d < first ? before : after).add(x.size(d), x.stride(d));
  plan.sizes = before.sizes;
  for (int64_t s : common) plan.sizes.push_back(s);
  for (int64_t s : after.sizes) plan.sizes.push_back(s);
  checked_numel(plan.sizes);
  if (x.device().is_meta()) return plan;

  // The last dims that lie densely in memory are one run.
  while (!after.sizes.empty() && (after.strides.back() == plan.row || after.sizes.back() == 1)) {
    plan.row *= after.sizes.back();
    after.sizes.resize(after.sizes.size() - 1);
    after.strides.resize(after.strides.size() - 1);
  }
  if (first == last && first == 0 && x.is_contiguous() && after.sizes.empty() && indices[0].is_contiguous()) {
    plan.rows = indices[0];
    plan.nrows = x.size(0);
    plan.as_given = true;
    return plan;
  }

  std::vector<Indexed> in;
  int64_t unit = std::max<int64_t>(plan.row, 1);  // divides every step
  for (int64_t d = first; d <= last; ++d) {
    if (!indexed(d)) continue;
    in.push_back({contiguous(expand(indices[d], common)), d, x.size(d), x.stride(d)});
    if (x.size(d) > 1) unit = std::gcd(unit, x.stride(d));
  }
  for (const Walk* w : {&before, &after})
    for (size_t d = 0; d < w->sizes.size(); ++d)
      if (w->sizes[d] > 1) unit = std::gcd(unit, w->strides[d]);
  if (unit < plan.row) {
    after.add(plan.row / unit, unit);
    plan.row = unit;
  }

  const int64_t n = std::accumulate(common.begin(), common.end(), int64_t{1}, std::multiplies<>());
  Tensor here = zeros(DimVector{n}, DType::Int64);
  for (const Indexed& i : in) add_positions(op, i, unit, wrap, here.data_as<int64_t>(), n);
  plan.nrows = (span_elements(x.sizes(), x.strides()) + unit - 1) / unit;
  plan.rows = here;
  const int64_t nbefore = before.count(), nafter = after.count();
  if (nbefore == 1 && nafter == 1) return plan;

  plan.rows = empty(DimVector{nbefore * n * nafter}, DType::Int64);
  if (plan.rows.numel() == 0) return plan;
  const std::vector<int64_t> front = before.offsets(unit), back = after.offsets(unit);
  const int64_t* middle = here.data_as<int64_t>();
  int64_t* to = plan.rows.data_as<int64_t>();
  parallel_for(0, nbefore * n, grain_for(static_cast<double>(nafter)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = front[r / n] + middle[r % n];
      for (int64_t i = 0; i < nafter; ++i) to[r * nafter + i] = at + back[i];
    }
  });
  return plan;
}

namespace {

RowsArgs rows_args(const IndexPlan& p, void* y, const void* x, DType dtype) {
  return {y, x, p.rows.data_as<int64_t>(), p.rows.numel(), p.nrows, p.row, dtype, p.as_given && p.wrap, -1};
}
// Only an index as given can be bad: others were checked while planning.
void check_rows(const char* op, const IndexPlan& p, int64_t bad) {
  if (bad >= 0) out_of_bounds(op, p.rows.data_as<int64_t>()[bad], 0, p.nrows);
}

}  // namespace

void read_rows(const char* op, const IndexPlan& plan, const Tensor& x, const Tensor& y) {
  if (x.device().is_meta()) return;
  check_rows(op, plan, kernels::rows_gather(x.device(), rows_args(plan, y.data(), x.data(), x.dtype())));
}

void write_rows(const char* op, const IndexPlan& plan, const Tensor& x, const Tensor& value, Write how) {
  if (x.device().is_meta()) return;
  GradMode off(false);
  Tensor from;
  int64_t step = plan.row;
  if (value.numel() == 1 && how == Write::Assign) {
    from = contiguous(expand(reshape(value, DimVector{1}), DimVector{plan.row}));  // one run for all
    step = 0;
  } else {
    from = contiguous(expand(value, plan.sizes));
  }
  if (from.storage().get() == x.storage().get()) from = clone_contiguous(from);
  const RowsArgs args = rows_args(plan, x.data(), from.data(), x.dtype());
  check_rows(op, plan, how == Write::Add ? kernels::rows_add(x.device(), args)
                                         : kernels::rows_assign(x.device(), args, step));
}

}  // namespace pynn::ops
