// random_gamma.cpp -- gamma and Dirichlet samples that move with their parameters: the gradient of a sample is the
// slope of its quantile. Draws are Marsaglia and Tsang's (2000), in PyTorch's order.
#include "kernels/random_gamma.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "autograd/record.h"
#include "core/random.h"
#include "core/random_draw.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

double uniform(CpuGenerator& g) { return unit_double(g.random64()); }
// Draws and slopes are made on the host.
Tensor wide(const Tensor& t) { return contiguous(to_dtype(on_host(t), DType::Float64)); }
Tensor like(const Tensor& y, const Tensor& x) { return to_device(to_dtype(y, x.dtype()), x.device()); }

double smallest(DType t) {  // normal number
  return t == DType::Float64   ? std::numeric_limits<double>::min()
         : t == DType::Float16 ? 6.103515625e-05
                               : std::numeric_limits<float>::min();
}

double gamma_one(double a, CpuGenerator& g) {
  if (!(a > 0)) return std::isnan(a) ? a : 0;
  double scale = 1;
  if (a < 1) {
    scale = std::pow(1 - uniform(g), 1 / a);
    a += 1;
  }
  const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    double x, y;
    do {
      g.normal_serial(&x, 1, 0, 1);
      y = 1 + c * x;
    } while (y <= 0);
    const double v = y * y * y, u = 1 - uniform(g), xx = x * x;
    if (u < 1 - 0.0331 * xx * xx || std::log(u) < 0.5 * xx + d * (1 - v + std::log(v))) return scale * d * v;
  }
}

// A float64 tensor of one draw per element, each at least the smallest number of `input`'s dtype.
Tensor draw_gamma(const Tensor& input, Generator* generator) {
  GradMode off(false);
  const Tensor a = wide(input);
  Tensor y = empty(a.sizes(), DType::Float64);
  CpuGenerator& g = cpu_generator(generator);
  std::lock_guard lock(g.mutex);
  for (int64_t i = 0; i < a.numel(); ++i) y.data_as<double>()[i] = gamma_one(a.data_as<double>()[i], g);
  return y;
}

Tensor raise_to(const Tensor& y, double low) {
  double* p = y.data_as<double>();
  for (int64_t i = 0; i < y.numel(); ++i) p[i] = std::max(p[i], low);
  return y;
}

template <class F>
Tensor slopes(const char* op, const Tensor& x, F run) {
  PYNN_CHECK(is_floating(x.dtype()), op, ": expected a floating dtype, got ", dtype_name(x.dtype()));
  if (x.device().is_meta()) return empty_like(x);
  Tensor y = empty(x.sizes(), DType::Float64);
  {
    GradMode off(false);
    if (y.numel()) run(y.data_as<double>());
    y = like(y, x);
  }
  return y;
}

[[noreturn]] Tensor once(const Tensor&, const char* op) {
  fail(ErrorKind::Runtime, op, ": the derivative of a sample can be taken once, got a second derivative");
}

Tensor standard_gamma_grad(const Tensor& a, const Tensor& x) {
  PYNN_CHECK(same(a.sizes(), x.sizes()), "_standard_gamma_grad: input and output must have one shape, got ",
             dims_str(a.sizes()), " and ", dims_str(x.sizes()));
  const Tensor y = slopes("_standard_gamma_grad", a, [&](double* out) {
    const Tensor wa = wide(a), wx = wide(x);
    kernels::gamma_slope(wa.device(), out, wa.data_as<double>(), wx.data_as<double>(), wa.numel());
  });
  const auto refuse = [](const Tensor& g) { return once(g, "_standard_gamma"); };
  return record("_standard_gamma_grad", y, inputs(a, x), save(), refuse, refuse);
}

Tensor standard_gamma(const Tensor& input, Generator* generator) {
  check_floating("_standard_gamma", input);
  const Tensor y = input.device().is_meta()
                       ? empty_like(input)
                       : like(raise_to(draw_gamma(input, generator), smallest(input.dtype())), input);
  return record("_standard_gamma", y, inputs(input), save(input, y),
                [](const Tensor& g, const Tensor& a, const Tensor& y) { return mul(g, standard_gamma_grad(a, y)); });
}

Tensor dirichlet_grad(const Tensor& x, const Tensor& a, const Tensor& total) {
  PYNN_CHECK(same(a.sizes(), x.sizes()) && same(total.sizes(), x.sizes()),
             "_dirichlet_grad: x, alpha and total must have one shape, got ", dims_str(x.sizes()), ", ",
             dims_str(a.sizes()), " and ", dims_str(total.sizes()));
  const Tensor y = slopes("_dirichlet_grad", x, [&](double* out) {
    const Tensor wx = wide(x), wa = wide(a), wt = wide(total);
    kernels::beta_slope(wx.device(), out, wx.data_as<double>(), wa.data_as<double>(), wt.data_as<double>(), wx.numel());
  });
  const auto refuse = [](const Tensor& g) { return once(g, "_sample_dirichlet"); };
  return record("_dirichlet_grad", y, inputs(x, a, total), save(), refuse, refuse, refuse);
}

// Each x_i is Beta(a_i, total - a_i); when it moves, the others keep their proportions.
Tensor sample_dirichlet(const Tensor& input, Generator* generator) {
  check_floating("_sample_dirichlet", input);
  PYNN_CHECK(input.dim() > 0, "_sample_dirichlet: expected at least one dimension, got a scalar");
  Tensor y = empty_like(input);
  if (!input.device().is_meta()) {
    GradMode off(false);
    const Tensor draws = draw_gamma(input, generator);
    const int64_t n = input.size(-1);
    double* p = draws.data_as<double>();
    for (double* end = p + draws.numel(); p < end; p += n) {
      double total = 0;
      for (int64_t i = 0; i < n; ++i) total += p[i];
      for (int64_t i = 0; i < n; ++i) p[i] /= total;
    }
    y = like(raise_to(draws, smallest(input.dtype())), input);
  }
  return record("_sample_dirichlet", y, inputs(input), save(input, y),
                [](const Tensor& g, const Tensor& a, const Tensor& x) {
                  const int64_t last[] = {-1};
                  const Tensor total = expand(sum(a, Dims(last), true), a.sizes());
                  return mul(dirichlet_grad(x, a, total), sub(g, sum(mul(x, g), Dims(last), true)));
                });
}

}  // namespace

PYNN_OP(standard_gamma, "_standard_gamma(Tensor input, Generator? generator=None) -> Tensor",
        "Gamma distributed with concentration input and rate 1. Same as torch._standard_gamma, same numbers.",
        kFunctionOnly);
PYNN_OP(standard_gamma_grad, "_standard_gamma_grad(Tensor input, Tensor output) -> Tensor",
        "The derivative of the gamma samples `output` by their concentrations.", kFunctionOnly);
PYNN_OP(sample_dirichlet, "_sample_dirichlet(Tensor input, Generator? generator=None) -> Tensor",
        "Dirichlet distributed along the last dimension. Same as torch._sample_dirichlet, same numbers.",
        kFunctionOnly);
PYNN_OP(dirichlet_grad, "_dirichlet_grad(Tensor x, Tensor alpha, Tensor total) -> Tensor",
        "d x / d alpha / (1 - x) of the Dirichlet samples x with concentrations alpha, which sum to total.",
        kFunctionOnly);

}  // namespace pynn::ops
