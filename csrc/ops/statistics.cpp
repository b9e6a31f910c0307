// statistics.cpp -- prod, var, std, norm, logsumexp, any, all, count_nonzero.
#include <cmath>
#include <limits>

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/reduce.h"
#include "ops/reduce_plan.h"
#include "ops/scan.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

DimVector dims_of(int64_t mask, int64_t ndim) {
  DimVector dims;
  for (int64_t d = 0; d < ndim; ++d)
    if (mask >> d & 1) dims.push_back(d);
  return dims;
}
Tensor wide(const Tensor& t, int64_t mask, bool keepdim, int64_t ndim) {
  return keepdim ? t : restore_dims(t, mask, ndim);
}

// Products over one dim. dx_i is the product of all others: y / x_i, or by products from both sides where x has zeros.
Tensor prod_dim(const Tensor& input, int64_t dim, bool keepdim, std::optional<DType> dtype) {
  const Tensor x = to_dtype(input, dtype.value_or(is_integral(input.dtype()) ? DType::Int64 : input.dtype()));
  dim = wrap_dim("prod", dim, x);
  const int64_t mask = x.dim() ? int64_t{1} << dim : 0;
  Tensor y = empty(reduced_sizes(x, mask, keepdim), x.dtype(), x.device());
  run_reduce(Reduce::Prod, x, mask, y);
  return record("prod.1", y, inputs(x), save(x, y, dim, mask, keepdim),
                [](const Tensor& g, const Tensor& x, const Tensor& y, int64_t dim, int64_t mask, bool keepdim) {
                  const Tensor gw = wide(g, mask, keepdim, x.dim());
                  if (x.dim() == 0) return gw;
                  bool zeros_in;
                  {
                    GradMode off(false);
                    zeros_in = any_zero(x);
                  }
                  if (!zeros_in && !thread_state.grad_enabled)
                    return mul_conj(gw, div(wide(y, mask, keepdim, x.dim()), x));
                  const int64_t n = x.size(dim);
                  if (n == 0) return mul(gw, x);
                  DimVector one(x.sizes());
                  one[dim] = 1;
                  const Tensor unit = ones(one, x.dtype(), x.device());
                  const int64_t dims[] = {dim};
                  const auto before = [&](const Tensor& t) {  // product of all positions before each
                    const Tensor parts[] = {unit, narrow(t, dim, 0, n - 1)};
                    return cumprod(cat(parts, dim), dim);
                  };
                  return mul_conj(gw, mul(before(x), flip_dims(before(flip_dims(x, dims)), dims)));
                });
}
Tensor prod_all(const Tensor& x, std::optional<DType> dtype) {
  return named("prod", prod_dim(reshape(x, DimVector{-1}), 0, false, dtype));
}

// Two-pass variance; d/dx = 2 (x - mean) / (n - correction).
Tensor variance(const char* op, const Tensor& x, std::optional<Dims> dims, double correction, bool keepdim) {
  PYNN_CHECK(!is_integral(x.dtype()), op, ": std and var only support floating point and complex dtypes, got ",
             dtype_name(x.dtype()));
  const int64_t mask = dims_mask(op, x, dims);
  Tensor y;
  if (is_complex(x.dtype())) {
    GradMode off(false);
    y = add(variance(op, real(x), dims, correction, keepdim), variance(op, imag(x), dims, correction, keepdim));
  } else {
    y = empty(reduced_sizes(x, mask, keepdim), x.dtype(), x.device());
    run_reduce(Reduce::Var, x, mask, y, nullptr, correction);
  }
  const double n = static_cast<double>(x.numel()) / static_cast<double>(std::max<int64_t>(y.numel(), 1));
  const double scale = 2 / std::max(n - correction, 0.0);
  return record(op, std::move(y), inputs(x), save(x, mask, keepdim, scale),
                [](const Tensor& g, const Tensor& x, int64_t mask, bool keepdim, double scale) {
                  const Tensor centered = x.dim() ? sub(x, mean(x, Dims(dims_of(mask, x.dim())), true)) : sub(x, x);
                  return mul(mul(wide(g, mask, keepdim, x.dim()), centered), scale);
                });
}
double correction_of(std::optional<Scalar> c) { return c ? c->to_double() : 1; }

Tensor var(const Tensor& x, std::optional<Dims> dims, std::optional<Scalar> correction, bool keepdim) {
  return variance("var", x, dims, correction_of(correction), keepdim);
}
Tensor var_unbiased(const Tensor& x, std::optional<Dims> dims, bool unbiased, bool keepdim) {
  return variance("var", x, dims, unbiased ? 1 : 0, keepdim);
}
Tensor var_all(const Tensor& x, bool unbiased) { return variance("var", x, {}, unbiased ? 1 : 0, false); }

// d std = dvar / (2 std), 0 where std is 0.
Tensor deviation(const Tensor& x, std::optional<Dims> dims, double correction, bool keepdim) {
  const Tensor v = [&] {
    GradMode off(false);
    return variance("std", x, dims, correction, keepdim);
  }();
  Tensor y = [&] {
    GradMode off(false);
    return sqrt(v);
  }();
  const int64_t mask = dims_mask("std", x, dims);
  const double n = static_cast<double>(x.numel()) / static_cast<double>(std::max<int64_t>(y.numel(), 1));
  const double scale = 1 / std::max(n - correction, 0.0);
  return record("std", y, inputs(x), save(x, y, mask, keepdim, scale),
                [](const Tensor& g, const Tensor& x, const Tensor& y, int64_t mask, bool keepdim, double scale) {
                  const Tensor centered = x.dim() ? sub(x, mean(x, Dims(dims_of(mask, x.dim())), true)) : sub(x, x);
                  const Tensor ratio = where(eq(y, 0.0), 0.0, div(g, y));
                  return mul(mul(wide(ratio, mask, keepdim, x.dim()), centered), scale);
                });
}
Tensor std_(const Tensor& x, std::optional<Dims> dims, std::optional<Scalar> correction, bool keepdim) {
  return deviation(x, dims, correction_of(correction), keepdim);
}
Tensor std_unbiased(const Tensor& x, std::optional<Dims> dims, bool unbiased, bool keepdim) {
  return deviation(x, dims, unbiased ? 1 : 0, keepdim);
}
Tensor std_all(const Tensor& x, bool unbiased) { return deviation(x, {}, unbiased ? 1 : 0, false); }

std::tuple<Tensor, Tensor> var_mean(const Tensor& x, std::optional<Dims> dims, std::optional<Scalar> correction,
                                    bool keepdim) {
  return {named("var_mean", var(x, dims, correction, keepdim)), named("var_mean", mean(x, dims, keepdim))};
}
std::tuple<Tensor, Tensor> std_mean(const Tensor& x, std::optional<Dims> dims, std::optional<Scalar> correction,
                                    bool keepdim) {
  return {named("std_mean", std_(x, dims, correction, keepdim)), named("std_mean", mean(x, dims, keepdim))};
}

std::tuple<Tensor, Tensor> var_mean_unbiased(const Tensor& x, std::optional<Dims> dims, bool unbiased, bool keepdim) {
  return var_mean(x, dims, Scalar(unbiased), keepdim);
}
std::tuple<Tensor, Tensor> std_mean_unbiased(const Tensor& x, std::optional<Dims> dims, bool unbiased, bool keepdim) {
  return std_mean(x, dims, Scalar(unbiased), keepdim);
}
std::tuple<Tensor, Tensor> var_mean_all(const Tensor& x, bool unbiased) {
  return var_mean(x, {}, Scalar(unbiased), false);
}
std::tuple<Tensor, Tensor> std_mean_all(const Tensor& x, bool unbiased) {
  return std_mean(x, {}, Scalar(unbiased), false);
}

}  // namespace

// (sum |x|^p)^(1/p). The gradient at 0 is 0.
Tensor norm(const Tensor& input, Scalar order, std::optional<Dims> dims, bool keepdim, std::optional<DType> dtype) {
  const Tensor x = dtype ? to_dtype(input, *dtype) : input;
  if (is_complex(x.dtype())) return norm(abs(x), order, dims, keepdim, {});
  PYNN_CHECK(is_floating(x.dtype()), "norm: Expected a floating point or complex tensor as input. Got ",
             dtype_name(x.dtype()));
  const double p = order.to_double();
  const int64_t mask = dims_mask("norm", x, dims);
  PYNN_CHECK(
      x.numel() > 0 || p != std::numeric_limits<double>::infinity() || (dims && !dims->empty()),
      "norm: the inf norm of an empty tensor is not defined, the operation has no identity (give a dim that is not "
      "empty)");
  Tensor y = empty(reduced_sizes(x, mask, keepdim), x.dtype(), x.device());
  run_reduce(Reduce::Norm, x, mask, y, nullptr, p);
  return record("linalg_vector_norm", y, inputs(x), save(x, y, mask, keepdim, p),
                [](const Tensor& g_in, const Tensor& x, const Tensor& y_in, int64_t mask, bool keepdim, double p) {
                  const Tensor g = wide(g_in, mask, keepdim, x.dim()), y = wide(y_in, mask, keepdim, x.dim());
                  if (p == 0) return mul(x, 0.0);
                  if (p == 1) return mul(g, sign(x));
                  if (p == 2) return mul(x, where(eq(y, 0.0), 0.0, div(g, y)));
                  if (std::isinf(p)) {  // shared by the elements that attain it
                    const Tensor hit = to_dtype(eq(abs(x), y), x.dtype());
                    const Tensor count = x.dim() ? sum(hit, Dims(dims_of(mask, x.dim())), true) : hit;
                    return mul(mul(sign(x), div(hit, count)), g);
                  }
                  const Tensor a = abs(x);
                  const Tensor ratio = where(eq(y, 0.0), 0.0, div(g, pow(y, p - 1)));
                  return mul(mul(sign(x), where(eq(a, 0.0), 0.0, pow(a, p - 1))), ratio);
                });
}
namespace {

double order_of(std::string_view p) {
  if (p == "fro") return 2;
  PYNN_CHECK_KIND(NotImplemented, false, "norm: order '", p, "' is not supported here (see linalg.norm)");
  return 0;
}
Tensor op_norm(const Tensor& x, std::optional<Scalar> p, std::optional<Dims> dims, bool keepdim,
               std::optional<DType> dtype) {
  return norm(x, p.value_or(Scalar(2.0)), dims, keepdim, dtype);
}
Tensor op_norm_name(const Tensor& x, std::string_view p, std::optional<Dims> dims, bool keepdim,
                    std::optional<DType> dtype) {
  return norm(x, Scalar(order_of(p)), dims, keepdim, dtype);
}

Tensor dist(const Tensor& a, const Tensor& b, Scalar p) { return norm(sub(a, b), p, {}, false, {}); }

Tensor logsumexp(const Tensor& input, Dims dims, bool keepdim) {
  const Tensor x = is_integral(input.dtype()) ? to_dtype(input, default_dtype()) : input;
  const int64_t mask = dims_mask("logsumexp", x, dims);
  if (is_complex(x.dtype())) {
    Tensor high;
    {
      GradMode off(false);
      const Tensor size = real(x);
      high = empty(reduced_sizes(x, mask, true), size.dtype(), x.device());
      if (x.numel()) run_reduce(Reduce::Max, size, mask, high);
      high = where(isfinite(high), high, 0.0);
    }
    const Tensor y = add(log(sum(exp(sub(x, high)), dims, true)), high);
    return keepdim || x.dim() == 0 ? y : reshape(y, reduced_sizes(x, mask, false));
  }
  Tensor y = empty(reduced_sizes(x, mask, keepdim), x.dtype(), x.device());
  run_reduce(Reduce::LogSumExp, x, mask, y);
  return record("logsumexp", y, inputs(x), save(x, y, mask, keepdim),
                [](const Tensor& g, const Tensor& x, const Tensor& y, int64_t mask, bool keepdim) {
                  return mul(wide(g, mask, keepdim, x.dim()), exp(sub(x, wide(y, mask, keepdim, x.dim()))));
                });
}

template <Reduce r>
Tensor truth(const char* op, const Tensor& x, std::optional<Dims> dims, bool keepdim) {
  const int64_t mask = dims && dims->empty() ? 0 : dims_mask(op, x, dims);   // dim=() reduces nothing
  const DType out = x.dtype() == DType::UInt8 ? DType::UInt8 : DType::Bool;  // PyTorch's exception
  Tensor y = empty(reduced_sizes(x, mask, keepdim), DType::Bool, x.device());
  run_reduce(r, x, mask, y);
  return no_gradient(out == DType::Bool ? y : to_dtype(y, out));
}
Tensor any_dims(const Tensor& x, std::optional<Dims> dims, bool keepdim) {
  return truth<Reduce::Any>("any", x, dims, keepdim);
}
Tensor all_dims(const Tensor& x, std::optional<Dims> dims, bool keepdim) {
  return truth<Reduce::All>("all", x, dims, keepdim);
}
Tensor any_all(const Tensor& x) { return any_dims(x, {}, false); }
Tensor all_all(const Tensor& x) { return all_dims(x, {}, false); }

Tensor count_nonzero(const Tensor& x, std::optional<Dims> dims) { return no_gradient(sum(ne(x, 0), dims)); }
Tensor nansum(const Tensor& input, std::optional<Dims> dims, bool keepdim, std::optional<DType> t) {
  if (!is_floating(input.dtype()) || (t && !is_floating(*t)))
    return named("nansum", sum(where(isnan(input), 0, input), dims, keepdim, t));
  const Tensor x = to_dtype(input, t.value_or(input.dtype()));
  const int64_t mask = dims_mask("nansum", x, dims);
  Tensor y = empty(reduced_sizes(x, mask, keepdim), x.dtype(), x.device());
  run_reduce(Reduce::NanSum, x, mask, y);
  return record("nansum", std::move(y), inputs(x), save(x, mask, keepdim),
                [](const Tensor& g, const Tensor& x, int64_t mask, bool keepdim) {
                  return where(isnan(x), 0.0, expand(wide(g, mask, keepdim, x.dim()), x.sizes()));
                });
}

}  // namespace

PYNN_OP(prod_all, "prod(Tensor input, *, dtype? dtype=None) -> Tensor",
        "The product of all elements. Same as torch.prod.");
PYNN_OP(prod_dim, "prod(Tensor input, int dim, bool keepdim=False, *, dtype? dtype=None) -> Tensor",
        "The product over a dim.", kOut);
PYNN_OP(var_all, "var(Tensor input, bool unbiased) -> Tensor", "The variance of all elements. Same as torch.var.");
PYNN_OP(var_unbiased, "var(Tensor input, int[]? dim, bool unbiased, bool keepdim=False) -> Tensor",
        "With or without Bessel's correction.", kOut);
PYNN_OP(var, "var(Tensor input, int[]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor",
        "sum (x - mean)^2 / (n - correction); correction 1 unless given.", kOut);
PYNN_OP(std_all, "std(Tensor input, bool unbiased) -> Tensor",
        "The standard deviation of all elements. Same as torch.std.");
PYNN_OP(std_unbiased, "std(Tensor input, int[]? dim, bool unbiased, bool keepdim=False) -> Tensor",
        "With or without Bessel's correction.", kOut);
PYNN_OP(std_, "std(Tensor input, int[]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor",
        "The root of var.", kOut);
PYNN_OP(var_mean_all, "var_mean(Tensor input, bool unbiased) -> (Tensor, Tensor)", "Of all elements.", kFunctionOnly);
PYNN_OP(var_mean_unbiased, "var_mean(Tensor input, int[]? dim, bool unbiased, bool keepdim=False) -> (Tensor, Tensor)",
        "With or without Bessel's correction.", kFunctionOnly);
PYNN_OP(var_mean,
        "var_mean(Tensor input, int[]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> (Tensor, Tensor)",
        "Variance and mean. Same as torch.var_mean.", kFunctionOnly);
PYNN_OP(std_mean_all, "std_mean(Tensor input, bool unbiased) -> (Tensor, Tensor)", "Of all elements.", kFunctionOnly);
PYNN_OP(std_mean_unbiased, "std_mean(Tensor input, int[]? dim, bool unbiased, bool keepdim=False) -> (Tensor, Tensor)",
        "With or without Bessel's correction.", kFunctionOnly);
PYNN_OP(std_mean,
        "std_mean(Tensor input, int[]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> (Tensor, Tensor)",
        "Standard deviation and mean. Same as torch.std_mean.", kFunctionOnly);
PYNN_OP(op_norm, "norm(Tensor input, Scalar? p=2, int[]? dim=None, bool keepdim=False, dtype? dtype=None) -> Tensor",
        "(sum |x|^p)^(1/p). Same as torch.norm.", kOut);
PYNN_OP(op_norm_name, "norm(Tensor input, str p, int[]? dim=None, bool keepdim=False, dtype? dtype=None) -> Tensor",
        "p 'fro' is 2.", kOut);
PYNN_OP(dist, "dist(Tensor input, Tensor other, Scalar p=2) -> Tensor",
        "The p-norm of input - other. Same as torch.dist.");
PYNN_OP(logsumexp, "logsumexp(Tensor input, int[] dim, bool keepdim=False) -> Tensor",
        "log(sum(exp(x))), without overflow. Same as torch.logsumexp.", kOut);
PYNN_OP(any_all, "any(Tensor input) -> Tensor", "True if an element is nonzero. Same as torch.any.");
PYNN_OP(any_dims, "any(Tensor input, int[]? dim, bool keepdim=False) -> Tensor", "Over some dims.", kOut);
PYNN_OP(all_all, "all(Tensor input) -> Tensor", "True if no element is zero. Same as torch.all.");
PYNN_OP(all_dims, "all(Tensor input, int[]? dim, bool keepdim=False) -> Tensor", "Over some dims.", kOut);
PYNN_OP(count_nonzero, "count_nonzero(Tensor input, int[]? dim=None) -> Tensor",
        "How many are nonzero. Same as torch.count_nonzero.");
PYNN_OP(nansum, "nansum(Tensor input, int[]? dim=None, bool keepdim=False, *, dtype? dtype=None) -> Tensor",
        "The sum, NaN as 0. Same as torch.nansum.", kOut);

}  // namespace pynn::ops
