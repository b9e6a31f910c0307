// scan.cpp -- running sums and products along a dim.
#include "ops/scan.h"

#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/complex.h"
#include "kernels/reduce.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/reduce.h"
#include "ops/reduce_plan.h"
#include "ops/ternary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

Tensor run(const char* op, Scan scan, const Tensor& in, int64_t& dim, std::optional<DType> dtype, Tensor& x) {
  // The CPU's kernel widens integers as it reads them.
  const DType type = dtype.value_or(is_integral(in.dtype()) ? DType::Int64 : in.dtype());
  x = in.device().is_cpu() && is_integral(in.dtype()) && type == DType::Int64 ? in : to_dtype(in, type);
  dim = wrap_dim(op, dim, x);
  const Tensor c = contiguous(x);
  Tensor y = empty(c.sizes(), type, c.device());
  ReduceArgs a{};
  a.x = c.data(), a.dtype = c.dtype(), a.y = y.data(), a.y_dtype = y.dtype();
  a.outer = a.nreduce = a.inner = 1;
  for (int64_t d = 0; d < c.dim(); ++d) (d < dim ? a.outer : d == dim ? a.nreduce : a.inner) *= c.size(d);
  if (y.numel() == 0 || y.device().is_meta()) return y;
  if (is_complex(a.dtype)) {
    if (scan == Scan::Prod) {
      kernels::complex_cumprod(y.device(), a);
      return y;
    }
    a.dtype = a.y_dtype = real_of(a.dtype);  // sums of both parts, as columns
    a.inner *= 2;
  }
  kernels::scan(y.device(), scan, a);
  return y;
}

// sum over later positions, this one included
Tensor reverse_cumsum(const Tensor& x, int64_t dim) {
  if (x.dim() == 0) return x;
  const int64_t dims[] = {dim};
  return flip_dims(cumsum(flip_dims(x, dims), dim), dims);
}

}  // namespace

Tensor cumsum(const Tensor& in, int64_t dim, std::optional<DType> dtype) {
  Tensor x;
  Tensor y = run("cumsum", Scan::Sum, in, dim, dtype, x);
  return record("cumsum", std::move(y), inputs(x), save(dim),
                [](const Tensor& g, int64_t dim) { return reverse_cumsum(g, dim); });
}

// dx_i = sum_{j >= i} g_j y_j / x_i where x has no zeros. With zeros, and for second derivatives, position by position:
// dx_i = (product before i) * sum_{j >= i} g_j * (product of i+1 .. j).
Tensor cumprod(const Tensor& in, int64_t dim, std::optional<DType> dtype) {
  Tensor x;
  Tensor y = run("cumprod", Scan::Prod, in, dim, dtype, x);
  return record("cumprod", y, inputs(x), save(x, y, dim),
                [](const Tensor& g, const Tensor& x, const Tensor& y, int64_t dim) {
                  if (x.dim() == 0 || x.numel() == 0) return g;
                  bool zero;
                  {
                    GradMode off(false);
                    zero = any_zero(x);
                  }
                  if (!zero && !thread_state.grad_enabled) return div(reverse_cumsum(mul_conj(g, y), dim), conj(x));
                  const int64_t n = x.size(dim);
                  const int64_t dims[] = {dim};
                  std::vector<Tensor> parts;
                  for (int64_t i = 0; i < n; ++i) {
                    const Tensor later = narrow(x, dim, i + 1, n - i - 1);
                    const Tensor unit = ones(narrow(x, dim, 0, 1).sizes(), x.dtype(), x.device());
                    const Tensor chain[] = {unit, later};
                    const Tensor run_from = cumprod(cat(chain, dim), dim);
                    Tensor term = sum(mul_conj(narrow(g, dim, i, n - i), run_from), Dims(dims), true);
                    if (i > 0) term = mul_conj(term, narrow(y, dim, i - 1, 1));
                    parts.push_back(term);
                  }
                  return cat(parts, dim);
                });
}

namespace {

// In place the scan runs in the tensor's own type.
template <Tensor scan(const Tensor&, int64_t, std::optional<DType>)>
Tensor scan_(const char* op, const Tensor& x, int64_t dim, std::optional<DType> dtype) {
  wrap_dim(op, dim, x);
  number_type(op, x.dtype());
  PYNN_CHECK(!dtype || *dtype == x.dtype(), op, ": Bad in-place call: input tensor dtype ", dtype_name(x.dtype()),
             " and output tensor dtype ", dtype_name(dtype.value_or(x.dtype())), " should match");
  check_assign(op, x);
  assign(op, x, scan(thread_state.grad_enabled && x.requires_grad() ? clone_of(x) : x, dim, x.dtype()));
  return x;
}
Tensor cumsum_(const Tensor& x, int64_t dim, std::optional<DType> t) { return scan_<cumsum>("cumsum_", x, dim, t); }
Tensor cumprod_(const Tensor& x, int64_t dim, std::optional<DType> t) { return scan_<cumprod>("cumprod_", x, dim, t); }

}  // namespace

PYNN_OP(cumsum_, "cumsum_(Tensor input, int dim, *, dtype? dtype=None) -> Tensor", "cumsum in place.", kMethodOnly);
PYNN_OP(cumprod_, "cumprod_(Tensor input, int dim, *, dtype? dtype=None) -> Tensor", "cumprod in place.", kMethodOnly);
PYNN_OP(cumsum, "cumsum(Tensor input, int dim, *, dtype? dtype=None) -> Tensor",
        "Running sums along a dim. Same as torch.cumsum.", kOut);
PYNN_OP(cumprod, "cumprod(Tensor input, int dim, *, dtype? dtype=None) -> Tensor",
        "Running products along a dim. Same as torch.cumprod.", kOut);

}  // namespace pynn::ops
