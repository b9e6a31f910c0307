#include "ops/indexing_plan.h"

#include <numeric>

#include "core/parallel.h"
#include "core/shape.h"
#include "core/thread_state.h"
#include "kernels/indexing.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/element.h"
#include "ops/indexing.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

bool is_mask(const Tensor& t) { return t.dtype() == DType::Bool || t.dtype() == DType::UInt8; }

void add(Walk& w, int64_t size, int64_t stride) {
  w.sizes[w.ndim] = size;
  w.strides[w.ndim++] = stride;
  w.count *= size;
}
void drop_last(Walk& w) {
  --w.ndim;
  w.count = 1;
  for (int d = 0; d < w.ndim; ++d) w.count *= w.sizes[d];
}
void scale(Walk& w, int64_t unit) {
  for (int d = 0; d < w.ndim; ++d) w.strides[d] /= unit;
}

[[noreturn]] void out_of_bounds(const char* op, int64_t index, int64_t dim, int64_t size) {
  fail(ErrorKind::Index, op, ": index ", index, " is out of bounds for dimension ", dim, " with size ", size);
}

// Where each step of a walk stands.
std::vector<int64_t> offsets(const Walk& w) {
  std::vector<int64_t> out(static_cast<size_t>(w.count));
  size_t filled = 1;  // from the last dim to the first: what is there, once more for each of its steps
  for (int d = w.ndim; d-- > 0;) {
    const size_t inner = filled;
    for (int64_t i = 1; i < w.sizes[d]; ++i)
      for (size_t k = 0; k < inner; ++k) out[filled++] = out[k] + i * w.strides[d];
  }
  return out;
}

// Index tensors may be on the CPU, whatever is indexed.
Tensor brought(const char* op, const Tensor& index, const Tensor& x) {
  if (x.device().is_meta() || index.device().is_meta() || index.device() == x.device()) return index;
  PYNN_CHECK(index.device().is_cpu(), op,
             ": indices should be either on cpu or on the same device as the indexed tensor (", x.device().str(),
             "), got ", index.device().str());
  return to_device(index, x.device());
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
      out.push_back(brought(op, to_dtype(t, DType::Int64), x));
    } else {
      const int64_t at = static_cast<int64_t>(out.size());
      PYNN_CHECK_KIND(Index, t.dim() > 0, op, ": a mask must have at least one dim, got a 0-d one");
      for (int64_t d = 0; d < t.dim(); ++d)
        PYNN_CHECK_KIND(Index, at + d < x.dim() && t.size(d) == x.size(at + d), op, ": The shape of the mask ",
                        dims_str(t.sizes()), " at index ", d, " does not match the shape of the indexed tensor ",
                        dims_str(x.sizes()), " at index ", at + d);
      for (const Tensor& p : nonzero_tuple(t)) out.push_back(brought(op, p, x));
    }
    PYNN_CHECK_KIND(Index, static_cast<int64_t>(out.size()) <= x.dim(), op,
                    ": too many indices for tensor of dimension ", x.dim());
  }
  return out;
}

IndexPlan plan_index(const char* op, const Tensor& x, TensorSpan indices, bool wrap, bool read) {
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
    if (!indexed(d)) add(adjacent && d < first ? before : after, x.size(d), x.stride(d));
  plan.sizes.assign(Dims(before.sizes, static_cast<size_t>(before.ndim)));
  for (int64_t s : common) plan.sizes.push_back(s);
  for (int d = 0; d < after.ndim; ++d) plan.sizes.push_back(after.sizes[d]);
  const bool nothing = checked_numel(plan.sizes) == 0;
  if (x.device().is_meta()) return plan;

  // The last dims that lie densely in memory are one run.
  while (after.ndim && (after.strides[after.ndim - 1] == plan.row || after.sizes[after.ndim - 1] == 1)) {
    plan.row *= after.sizes[after.ndim - 1];
    drop_last(after);
  }
  if (first == last && first == 0 && x.is_contiguous() && after.ndim == 0 && indices[0].is_contiguous()) {
    plan.rows = indices[0];
    plan.nrows = x.size(0);
    plan.as_given = true;
    return plan;
  }

  PositionsArgs a{};
  a.n = checked_numel(common);
  a.wrap = wrap;
  a.op = op;
  std::vector<Tensor> ready;  // the indices, all of one shape and contiguous
  DimVector dims;
  int64_t unit = std::max<int64_t>(plan.row, 1);  // divides every step
  for (int64_t d = first; d <= last; ++d) {
    if (!indexed(d)) continue;
    const Tensor& t = indices[d];
    ready.push_back(t.is_contiguous() && same(t.sizes(), common) ? t : contiguous(expand(t, common)));
    a.index[a.nindex] = ready.back().data_as<int64_t>();
    a.sizes[a.nindex] = x.size(d);
    a.strides[a.nindex++] = x.stride(d);
    dims.push_back(d);
    if (x.size(d) > 1) unit = std::gcd(unit, x.stride(d));
  }
  for (const Walk* w : {&before, &after})
    for (int d = 0; d < w->ndim; ++d)
      if (w->sizes[d] > 1) unit = std::gcd(unit, w->strides[d]);
  if (unit < plan.row) {
    add(after, plan.row / unit, unit);
    plan.row = unit;
  }
  for (int k = 0; k < a.nindex; ++k) a.strides[k] /= unit;
  scale(before, unit);
  scale(after, unit);
  a.after = after;
  if (nothing) a.after.count = 0;  // the indices are checked all the same
  // Blocks are not spelled out on the CPU, where a loop over them costs less than positions; when written to, only long
  // ones are not, as each takes a call of the kernel each.
  if (!x.device().is_cpu() || (!read && a.n * a.after.count < 64)) {
    a.before = before;
  } else if (before.count > 1) {
    plan.blocks = offsets(before);
  }
  plan.nrows = (span_elements(x.sizes(), x.strides()) + unit - 1) / unit;
  plan.rows = empty(DimVector{a.before.count * a.n * a.after.count}, DType::Int64, x.device());
  a.out = plan.rows.data_as<int64_t>();
  if (const int64_t bad = kernels::index_positions(x.device(), a); bad >= 0)
    out_of_bounds(op, a.index[bad / a.n][bad % a.n], dims[bad / a.n], a.sizes[bad / a.n]);
  return plan;
}

namespace {

RowsArgs rows_args(const char* op, const IndexPlan& p, const Tensor& x) {
  RowsArgs a{};
  a.index = p.rows.data_as<int64_t>();
  a.nindex = p.rows.numel();
  a.nrows = p.nrows;
  a.row = p.row;
  a.dtype = x.dtype();
  a.wrap = p.as_given && p.wrap;
  a.skip = -1;
  a.op = op;
  return a;
}

}  // namespace

// Only an index as given can be bad: others were checked while planning.
void read_rows(const char* op, const IndexPlan& plan, const Tensor& x, const Tensor& y) {
  if (x.device().is_meta() || plan.blocks.empty() || plan.rows.numel() == 0) return;
  RowsArgs a = rows_args(op, plan, x);
  a.x = x.data(), a.y = y.data();
  a.blocks = plan.blocks.data();
  a.nblocks = static_cast<int64_t>(plan.blocks.size());
  if (const int64_t bad = kernels::rows_gather(x.device(), a); bad >= 0) out_of_bounds(op, a.index[bad], 0, plan.nrows);
}

void write_rows(const char* op, const IndexPlan& plan, const Tensor& x, const Tensor& value, Write how) {
  if (x.device().is_meta()) return;
  GradMode off(false);
  const bool one = value.numel() == 1 && how == Write::Assign;  // then one run serves all
  // A number may come from the CPU.
  const Tensor here = value.dim() == 0 ? element_on(x.device(), value) : value;
  Tensor from =
      one ? contiguous(expand(reshape(here, DimVector{1}), DimVector{plan.row})) : contiguous(expand(here, plan.sizes));
  if (from.storage().get() == x.storage().get()) from = clone_contiguous(from);
  const auto item = static_cast<int64_t>(item_size(x.dtype()));
  const RowsArgs args = rows_args(op, plan, x);
  const auto nblocks = static_cast<int64_t>(plan.blocks.size());
  if (nblocks == 0 || args.nindex == 0) return;
  const double cost = 2.0 * static_cast<double>(args.nindex) * static_cast<double>(plan.row);
  parallel_for(0, nblocks, grain_for(cost), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      RowsArgs a = args;
      a.nrows = plan.nrows - plan.blocks[b];
      a.y = static_cast<char*>(x.data()) + plan.blocks[b] * plan.row * item;
      a.x = static_cast<const char*>(from.data()) + (one ? 0 : b * args.nindex * plan.row * item);
      const int64_t bad = how == Write::Add ? kernels::rows_add(x.device(), a)
                                            : kernels::rows_assign(x.device(), a, one ? 0 : plan.row);
      if (bad >= 0) out_of_bounds(op, args.index[bad], 0, plan.nrows);
    }
  });
}

}  // namespace pynn::ops
