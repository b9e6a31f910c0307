// reduce.cpp -- sum and mean, and what the other reductions share: any dims are brought to the [outer, reduced, inner]
// form of kernels/reduce.h.
#include "ops/reduce.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/complex.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/element.h"
#include "ops/reduce_plan.h"
#include "ops/view.h"

namespace pynn::ops {

int64_t dims_mask(const char* op, const Tensor& x, std::optional<Dims> dims) {
  if (!dims || dims->empty()) return x.dim() == 0 ? 0 : (int64_t{1} << x.dim()) - 1;
  int64_t mask = 0;
  for (int64_t d : *dims) {
    const int64_t bit = int64_t{1} << wrap_dim(op, d, x);
    PYNN_CHECK(!(mask & bit), op, ": dim ", d, " appears multiple times in the list of dims");
    mask |= bit;
  }
  return x.dim() == 0 ? 0 : mask;
}

DimVector reduced_sizes(const Tensor& x, int64_t mask, bool keepdim) {
  DimVector sizes;
  for (int64_t i = 0; i < x.dim(); ++i) {
    if (!(mask >> i & 1)) {
      sizes.push_back(x.size(i));
    } else if (keepdim) {
      sizes.push_back(1);
    }
  }
  return sizes;
}

Tensor restore_dims(const Tensor& y, int64_t mask, int64_t ndim) {
  DimVector sizes;
  for (int64_t i = 0, j = 0; i < ndim; ++i) sizes.push_back(mask >> i & 1 ? 1 : y.size(j++));
  return reshape(y, sizes);
}

ReducePlan::ReducePlan(const Tensor& input, int64_t mask) : x(input) {
  const int64_t n = x.dim();
  // The reduced dims form one run of a contiguous tensor: no copy.
  int64_t first = 0, last = n;
  while (first < n && !(mask >> first & 1)) ++first;
  while (last > first && !(mask >> (last - 1) & 1)) --last;
  const int64_t run = ((int64_t{1} << last) - 1) & ~((int64_t{1} << first) - 1);
  if (!x.is_contiguous() || mask != run) {
    // Kept dims first, reduced ones last, in memory too.
    DimVector order;
    for (int pass = 0; pass < 2; ++pass)
      for (int64_t i = 0; i < n; ++i)
        if ((mask >> i & 1) == pass) order.push_back(i);
    GradMode off(false);
    x = contiguous(permute(x, order));
    outer = reduced = inner = 1;
    for (int64_t i = 0; i < n; ++i) (mask >> order[i] & 1 ? reduced : outer) *= x.size(i);
    return;
  }
  outer = reduced = inner = 1;
  for (int64_t i = 0; i < n; ++i) (i < first ? outer : i < last ? reduced : inner) *= x.size(i);
}

namespace {

// Sums of complex numbers are those of twice as many real columns.
void run_complex_reduce(Reduce op, const Tensor& x, int64_t mask, const Tensor& y) {
  if (op == Reduce::Any || op == Reduce::All || op == Reduce::CountNonzero) {
    GradMode off(false);
    return run_reduce(op, ne(x, 0), mask, y);
  }
  PYNN_CHECK_KIND(NotImplemented, op == Reduce::Sum || op == Reduce::Mean || op == Reduce::Prod,
                  "reduce: not implemented for complex tensors, got ", dtype_name(x.dtype()));
  const ReducePlan p(x, mask);
  ReduceArgs args{p.x.data(), p.x.dtype(), y.data(), y.dtype(), nullptr, p.outer, p.reduced, p.inner, 0};
  if (op == Reduce::Prod) return kernels::complex_prod(x.device(), args);
  args.dtype = args.y_dtype = real_of(x.dtype());
  args.inner *= 2;
  kernels::reduce(x.device(), op, args);
}

// Dims to be reduced with others between them, of contiguous memory on the CPU: the last run of them first, into wider
// numbers, where what follows may start from such results. Elsewhere x is copied with those dims last.
bool reduce_in_steps(Reduce op, const Tensor& x, int64_t mask, const Tensor& y) {
  const bool sums = op == Reduce::Sum || op == Reduce::Mean || op == Reduce::Prod || op == Reduce::NanSum,
             extreme = op == Reduce::Max || op == Reduce::Min;
  if (!(sums || extreme || op == Reduce::Any || op == Reduce::All) || !x.device().is_cpu() || !x.is_contiguous())
    return false;
  int64_t last = x.dim();
  while (last > 0 && !(mask >> (last - 1) & 1)) --last;
  int64_t first = last;
  while (first > 0 && mask >> (first - 1) & 1) --first;
  const int64_t run = ((int64_t{1} << last) - 1) & ~((int64_t{1} << first) - 1);
  if (run == mask) return false;
  const bool whole = is_integral(x.dtype()) && op != Reduce::Mean;
  const DType type = extreme ? x.dtype() : !sums ? DType::Bool : whole ? DType::Int64 : DType::Float64;
  const Tensor part = empty(reduced_sizes(x, run, true), type);
  run_reduce(op, x, run, part);
  run_reduce(op == Reduce::NanSum ? Reduce::Sum : op, part, mask & ~run, y);  // inf - inf is no NaN of x
  return true;
}

// x with its dims as they lie in memory, and the mask of those, if that makes it contiguous and leaves the kept dims in
// order; else undefined.
Tensor as_it_lies(const Tensor& x, int64_t mask, int64_t& its_mask) {
  DimVector order(x.dim(), 0);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return x.stride(a) > x.stride(b); });
  DimVector sizes, strides;
  int64_t kept = -1;
  its_mask = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t d = order[i];
    sizes.push_back(x.size(d)), strides.push_back(x.stride(d));
    if (mask >> d & 1) {
      its_mask |= int64_t{1} << i;
    } else if (x.size(d) != 1) {
      if (d < kept) return {};
      kept = d;
    }
  }
  return is_contiguous(sizes, strides) ? alias(x, sizes, strides, x.offset()) : Tensor();
}

}  // namespace

void run_reduce(Reduce op, const Tensor& x, int64_t mask, const Tensor& y, int64_t* index, double param) {
  if (y.numel() == 0 || y.device().is_meta()) return;
  if (int64_t its_mask; !x.is_contiguous() && (!index || std::popcount(static_cast<uint64_t>(mask)) == 1))
    if (const Tensor lying = as_it_lies(x, mask, its_mask); lying.defined())
      return run_reduce(op, lying, its_mask, y, index, param);
  if (is_complex(x.dtype())) return run_complex_reduce(op, x, mask, y);
  if (!index && reduce_in_steps(op, x, mask, y)) return;
  const ReducePlan p(x, mask);
  ReduceArgs args{p.x.data(), p.x.dtype(), y.data(), y.dtype(), index, p.outer, p.reduced, p.inner, param};
  kernels::reduce(x.device(), op, args);
}

Tensor sum(const Tensor& x, std::optional<Dims> dims, bool keepdim, std::optional<DType> dtype) {
  const DType t = dtype.value_or(is_integral(x.dtype()) ? DType::Int64 : x.dtype());
  const Tensor in = x.dtype() != t && dtype ? to_dtype(x, t) : x;
  const int64_t mask = dims_mask("sum", x, dims);
  Tensor y = empty(reduced_sizes(x, mask, keepdim), t, x.device());
  run_reduce(Reduce::Sum, in, mask, y);
  return record(dims ? "sum.1" : "sum", std::move(y), inputs(in), save(x.sizes(), mask, keepdim),
                [](const Tensor& g, Dims sizes, int64_t mask, bool keepdim) {
                  return expand(keepdim ? g : restore_dims(g, mask, static_cast<int64_t>(sizes.size())), sizes);
                });
}

Tensor mean(const Tensor& x, std::optional<Dims> dims, bool keepdim, std::optional<DType> dtype) {
  const DType t = dtype.value_or(x.dtype());
  PYNN_CHECK(!is_integral(t),
             "mean: could not infer output dtype. Input dtype must be either a floating point or complex "
             "dtype. Got: ",
             dtype_name(t));
  const Tensor in = to_dtype(x, t);
  const int64_t mask = dims_mask("mean", x, dims);
  Tensor y = empty(reduced_sizes(x, mask, keepdim), t, x.device());
  run_reduce(Reduce::Mean, in, mask, y);
  const double n = static_cast<double>(x.numel()) / static_cast<double>(std::max<int64_t>(y.numel(), 1));
  return record(dims ? "mean.1" : "mean", std::move(y), inputs(in), save(x.sizes(), mask, keepdim, n),
                [](const Tensor& g, Dims sizes, int64_t mask, bool keepdim, double n) {
                  return expand(div(keepdim ? g : restore_dims(g, mask, static_cast<int64_t>(sizes.size())), n), sizes);
                });
}

Tensor sum_to(const Tensor& x, Dims sizes) {
  const int64_t shift = x.dim() - static_cast<int64_t>(sizes.size());
  DimVector dims;
  for (int64_t i = 0; i < x.dim(); ++i)
    if (i < shift || (sizes[i - shift] == 1 && x.size(i) != 1)) dims.push_back(i);
  return dims.empty() ? x : reshape(sum(x, Dims(dims), true), sizes);
}

// Of a meta tensor nothing is known: false.
bool any_nonzero(const Tensor& x) {
  if (x.numel() == 0 || x.device().is_meta()) return false;
  Tensor y = empty({}, DType::Bool, x.device());
  run_reduce(Reduce::Any, x, dims_mask("any", x, {}), y);
  return first_element<bool>(y);
}

bool any_zero(const Tensor& x) {
  if (x.numel() == 0 || x.device().is_meta()) return false;
  Tensor y = empty({}, DType::Bool, x.device());
  run_reduce(Reduce::All, x, dims_mask("all", x, {}), y);
  return !first_element<bool>(y);
}

namespace {
Tensor op_sum_to_size(const Tensor& x, Dims sizes) {
  const int64_t shift = x.dim() - static_cast<int64_t>(sizes.size());
  bool fits = shift >= 0;
  for (size_t i = 0; fits && i < sizes.size(); ++i) fits = sizes[i] == 1 || sizes[i] == x.size(shift + i);
  PYNN_CHECK(fits, "sum_to_size: size ", dims_str(sizes), " is not expandable to size ", dims_str(x.sizes()));
  return sum_to(x, sizes);
}
Tensor op_sum_all(const Tensor& x, std::optional<DType> dtype) { return sum(x, {}, false, dtype); }
Tensor op_mean_all(const Tensor& x, std::optional<DType> dtype) { return mean(x, {}, false, dtype); }
}  // namespace

PYNN_OP(op_sum_all, "sum(Tensor input, *, dtype? dtype=None) -> Tensor", "The sum of all elements. Same as torch.sum.");
PYNN_OP(sum, "sum(Tensor input, int[]? dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor",
        "The sum over some dims; integers add up in int64.", kOut);
PYNN_OP(op_mean_all, "mean(Tensor input, *, dtype? dtype=None) -> Tensor",
        "The mean of all elements. Same as torch.mean.");
PYNN_OP(mean, "mean(Tensor input, int[]? dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor",
        "The mean over some dims.", kOut);
PYNN_OP(op_sum_to_size, "sum_to_size(Tensor input, int... size) -> Tensor",
        "Sums over the dims along which `size` would be broadcast to the input. Same as torch.Tensor.sum_to_size.",
        kMethodOnly);

}  // namespace pynn::ops
