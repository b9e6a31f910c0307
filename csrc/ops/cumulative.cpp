// cumulative.cpp -- running extrema (cummax, cummin), running log-sum-exp, and the mode.
#include <limits>

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/cumulative.h"
#include "ops/binary.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/indexing_scatter.h"
#include "ops/scan.h"
#include "ops/sort.h"
#include "ops/special.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

CumulativeArgs along(const Tensor& x, int64_t dim) {
  CumulativeArgs a{};
  a.x = x.data();
  a.dtype = x.dtype();
  a.outer = a.n = a.inner = 1;
  for (int64_t d = 0; d < x.dim(); ++d) (d < dim ? a.outer : d == dim ? a.n : a.inner) *= x.size(d);
  return a;
}

template <bool largest>
std::tuple<Tensor, Tensor> extreme(const Tensor& x, int64_t dim) {
  const char* op = largest ? "cummax" : "cummin";
  PYNN_CHECK_KIND(NotImplemented, !is_complex(x.dtype()), op, ": complex tensors have no order");
  dim = wrap_dim(op, dim, x);
  Tensor y = empty(x.sizes(), x.dtype(), x.device()), index = empty(x.sizes(), DType::Int64, x.device());
  if (y.numel() && !x.device().is_meta()) {
    GradMode off(false);
    const Tensor c = contiguous(x);
    CumulativeArgs a = along(c, dim);
    a.y = y.data();
    a.index = index.data_as<int64_t>();
    kernels::cumulative_extreme(x.device(), a, largest);
  }
  y = record(op, std::move(y), inputs(x), save(index, dim), [](const Tensor& g, const Tensor& index, int64_t dim) {
    return g.dim() == 0 ? g : scatter_sum(g.sizes(), dim, index, g);
  });
  return {y, index};
}

Tensor from_the_end(const Tensor& x, int64_t dim) {
  const int64_t dims[] = {dim};
  return x.dim() ? flip_dims(x, dims) : x;
}

// Sums of 1, 2, 4, ... neighbours.
Tensor complex_logcumsumexp(const Tensor& x, int64_t dim) {
  Tensor y = clone_contiguous(x);
  const int64_t n = x.dim() ? x.size(dim) : 1;
  for (int64_t step = 1; step < n; step *= 2) {
    const Tensor parts[] = {narrow(y, dim, 0, step),
                            logaddexp(narrow(y, dim, step, n - step), narrow(y, dim, 0, n - step))};
    y = cat(parts, dim);
  }
  return y;
}

// dx_i = exp(x_i) sum_{j >= i} g_j exp(-y_j), for each sign of g in logarithms.
Tensor logcumsumexp(const Tensor& x, int64_t dim) {
  if (is_complex(x.dtype())) return named("logcumsumexp", complex_logcumsumexp(x, wrap_dim("logcumsumexp", dim, x)));
  PYNN_CHECK_KIND(NotImplemented, is_floating(x.dtype()), "logcumsumexp: not implemented for '", dtype_name(x.dtype()),
                  "', a floating point tensor is required");
  dim = wrap_dim("logcumsumexp", dim, x);
  Tensor y = empty(x.sizes(), x.dtype(), x.device());
  if (y.numel() && !x.device().is_meta()) {
    GradMode off(false);
    const Tensor c = contiguous(x);
    CumulativeArgs a = along(c, dim);
    a.y = y.data();
    kernels::cumulative_logsumexp(x.device(), a);
  }
  return record("logcumsumexp", y, inputs(x), save(x, y, dim),
                [](const Tensor& g, const Tensor& x, const Tensor& y, int64_t dim) {
                  constexpr double inf = std::numeric_limits<double>::infinity();
                  const auto part = [&](const Tensor& size, const Tensor& chosen) {
                    const Tensor logs = where(chosen, sub(log(where(chosen, size, 1.0)), y), -inf);
                    const Tensor sums = from_the_end(logcumsumexp(from_the_end(logs, dim), dim), dim);
                    return exp(add(sums, x));
                  };
                  return sub(part(g, gt(g, 0.0)), part(neg(g), lt(g, 0.0)));
                });
}

std::tuple<Tensor, Tensor> mode(const Tensor& x, int64_t dim, bool keepdim) {
  dim = wrap_dim("mode", dim, x);
  const int64_t n = x.dim() ? x.size(dim) : 1;
  PYNN_CHECK_KIND(Index, n > 0 || x.numel() > 0, "mode: Expected reduction dim ", dim, " to have non-zero size.");
  DimVector sizes(x.sizes());
  if (x.dim()) sizes[dim] = 1;
  Tensor y = empty(sizes, x.dtype(), x.device()), index = empty(sizes, DType::Int64, x.device());
  if (y.numel() && !x.device().is_meta()) {
    GradMode off(false);
    const Tensor rows = x.dim() ? contiguous(transpose(x, dim, -1)) : x;
    const auto [values, order] = first_k("mode", rows, std::max<int64_t>(rows.dim() - 1, 0), n, false);
    // One value per row, in the order of the rows: with dim last, then back.
    DimVector last(rows.sizes());
    if (x.dim()) last.back() = 1;
    Tensor value = empty(last, x.dtype(), x.device()), at = empty(last, DType::Int64, x.device());
    kernels::mode_rows(x.device(), {values.data(), order.data_as<int64_t>(), value.data(), at.data_as<int64_t>(),
                                    y.numel(), n, x.dtype()});
    y = x.dim() ? contiguous(transpose(value, dim, -1)) : value;
    index = x.dim() ? contiguous(transpose(at, dim, -1)) : at;
  }
  y = record("mode", std::move(y), inputs(x), save(index, x.sizes(), dim),
             [](const Tensor& g, const Tensor& index, Dims sizes, int64_t dim) {
               return sizes.empty() ? g : scatter_sum(sizes, dim, index, g);
             });
  if (keepdim || x.dim() == 0) return {y, index};
  const int64_t dims[] = {dim};
  return {squeeze(y, Dims(dims)), squeeze(index, Dims(dims))};
}

}  // namespace

PYNN_OP(extreme<true>, "cummax(Tensor input, int dim) -> (Tensor values, Tensor indices)",
        "The largest element so far along a dim, and where it is. Same as torch.cummax.", kOut);
PYNN_OP(extreme<false>, "cummin(Tensor input, int dim) -> (Tensor values, Tensor indices)",
        "The smallest element so far along a dim, and where it is. Same as torch.cummin.", kOut);
PYNN_OP(logcumsumexp, "logcumsumexp(Tensor input, int dim) -> Tensor",
        "log(cumsum(exp(x))), without overflow. Same as torch.logcumsumexp.", kOut);
PYNN_OP(mode, "mode(Tensor input, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)",
        "The most frequent value along a dim (the least of several), and where it last is. Same as torch.mode.", kOut);

}  // namespace pynn::ops
