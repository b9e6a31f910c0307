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

std::vector<int64_t> to_vector(const Tensor& t) { return {t.data_as<int64_t>(), t.data_as<int64_t>() + t.numel()}; }
Tensor of(const std::vector<int64_t>& values) {
  Tensor t = empty(DimVector{static_cast<int64_t>(values.size())}, DType::Int64);
  std::copy(values.begin(), values.end(), t.data_as<int64_t>());
  return t;
}

// a[i] + b[j] for all pairs.
Tensor outer_sum(const Tensor& a, const std::vector<int64_t>& b) {
  const auto n = static_cast<int64_t>(b.size());
  Tensor out = empty(DimVector{a.numel() * n}, DType::Int64);
  const int64_t* from = a.data_as<int64_t>();
  int64_t* to = out.data_as<int64_t>();
  parallel_for(0, a.numel(), grain_for(static_cast<double>(n)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = 0; j < n; ++j) to[i * n + j] = from[i] + b[j];
  });
  return out;
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
    PYNN_CHECK_KIND(Index, static_cast<int64_t>(out.size()) <= x.dim(), op,
                    ": too many indices for tensor of dimension ", x.dim());
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
    PYNN_CHECK(x.device().is_meta() || !indices[d].device().is_meta(), op,
               ": indices with values are required, got a meta tensor for a tensor on ", x.device().str());
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
  const bool nothing = checked_numel(plan.sizes) == 0;
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
    const Tensor& t = indices[d];
    const bool ready = t.is_contiguous() && same(t.sizes(), common);
    in.push_back({ready ? t : contiguous(expand(t, common)), d, x.size(d), x.stride(d)});
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
  plan.rows = nothing ? empty(DimVector{0}, DType::Int64) : here;
  if (nothing) return plan;
  if (after.count() > 1) plan.rows = outer_sum(here, after.offsets(unit));
  if (before.count() > 1) {
    plan.blocks = before.offsets(unit);
    // Short blocks are spelled out: one call of the kernel instead of many.
    if (plan.rows.numel() < 64) {
      plan.rows = outer_sum(of(plan.blocks), to_vector(plan.rows));
      plan.blocks = {0};
    }
  }
  return plan;
}

namespace {

// f(args) for each block; on several threads when there are many. Only an index as given can be bad: others were
// checked while planning.
template <class F>
void for_blocks(const char* op, const IndexPlan& p, char* memory, DType dtype, F f) {
  const auto item = static_cast<int64_t>(item_size(dtype));
  RowsArgs args{};
  args.index = p.rows.data_as<int64_t>();
  args.nindex = p.rows.numel();
  args.row = p.row;
  args.dtype = dtype;
  args.wrap = p.as_given && p.wrap;
  args.skip = -1;
  const auto nblocks = static_cast<int64_t>(p.blocks.size());
  const double cost = 2.0 * static_cast<double>(args.nindex) * static_cast<double>(p.row);
  parallel_for(0, nblocks, grain_for(cost), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      RowsArgs a = args;
      a.nrows = p.nrows - p.blocks[b];
      const int64_t bad = f(a, memory + p.blocks[b] * p.row * item, b * args.nindex * p.row * item);
      if (bad >= 0) out_of_bounds(op, args.index[bad], 0, p.nrows);
    }
  });
}

}  // namespace

void read_rows(const char* op, const IndexPlan& plan, const Tensor& x, const Tensor& y) {
  if (x.device().is_meta()) return;
  char* to = static_cast<char*>(y.data());
  for_blocks(op, plan, static_cast<char*>(x.data()), x.dtype(), [&](RowsArgs& a, char* from, int64_t at) {
    a.x = from;
    a.y = to + at;
    return kernels::rows_gather(x.device(), a);
  });
}

void write_rows(const char* op, const IndexPlan& plan, const Tensor& x, const Tensor& value, Write how) {
  if (x.device().is_meta()) return;
  GradMode off(false);
  const bool one = value.numel() == 1 && how == Write::Assign;  // then one run serves all
  Tensor from = one ? contiguous(expand(reshape(value, DimVector{1}), DimVector{plan.row}))
                    : contiguous(expand(value, plan.sizes));
  if (from.storage().get() == x.storage().get()) from = clone_contiguous(from);
  const char* source = static_cast<const char*>(from.data());
  for_blocks(op, plan, static_cast<char*>(x.data()), x.dtype(), [&](RowsArgs& a, char* to, int64_t at) {
    a.y = to;
    a.x = source + (one ? 0 : at);
    return how == Write::Add ? kernels::rows_add(x.device(), a)
                             : kernels::rows_assign(x.device(), a, one ? 0 : plan.row);
  });
}

}  // namespace pynn::ops
