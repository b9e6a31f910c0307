// activation.cpp -- activation functions: one map forward, one fused map backward, whose own derivative is taken
// through the composite formula.
#include <cmath>
#include <limits>
#include <numbers>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/ternary.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

struct Params {  // of a map; its backward takes the same ones
  double p0 = 0, p1 = 0, p2 = 0;
};

// The second derivative of each activation, for double backward.
Tensor curvature(Binary map, const Tensor& x, Params p) {
  switch (map) {
    case Binary::GeluBackward:  // phi(x) (2 - x^2)
      return mul(mul(exp(mul(mul(x, x), -0.5)), sub(2.0, mul(x, x))), std::numbers::inv_sqrtpi / std::numbers::sqrt2);
    case Binary::GeluTanhBackward: {  // of 0.5 x (1 + t), t = tanh(u), u = k (x + c x^3)
      const double k = std::sqrt(2 / std::numbers::pi), c = 0.044715;
      const Tensor x2 = mul(x, x), t = tanh(mul(mul(x, add(mul(x2, c), 1.0)), k));
      const Tensor du = mul(add(mul(x2, 3 * c), 1.0), k), ddu = mul(x, 6 * c * k);
      const Tensor dt = mul(sub(1.0, mul(t, t)), du);
      // dt + 0.5 x ddt, ddt = (1 - t^2) ddu - 2 t dt du
      const Tensor ddt = sub(mul(sub(1.0, mul(t, t)), ddu), mul(mul(mul(t, dt), du), 2.0));
      return add(dt, mul(mul(x, ddt), 0.5));
    }
    case Binary::SiluBackward: {  // s' (2 + x (1 - 2 s)), s' = s (1 - s)
      const Tensor s = sigmoid(x);
      return mul(mul(s, sub(1.0, s)), add(mul(x, sub(1.0, mul(s, 2.0))), 2.0));
    }
    case Binary::MishBackward: {  // of x t, t = tanh(u), u = log(1 + e^x), u' = s, u'' = s (1 - s)
      const Tensor s = sigmoid(x), t = tanh(log1p(exp(x))), dt = mul(sub(1.0, mul(t, t)), s);
      // 2 dt + x ddt, ddt = dt (1 - s - 2 t s)
      return mul(dt, add(mul(x, sub(sub(1.0, s), mul(mul(t, s), 2.0))), 2.0));
    }
    case Binary::LeakyReluBackward:
    case Binary::HardsigmoidBackward:
    case Binary::ThresholdBackward:
    case Binary::HardtanhBackward:
      return mul(x, 0.0);
    case Binary::HardswishBackward:  // 1 / 3 in the middle
      return where(logical_and(gt(x, -3.0), lt(x, 3.0)), 1.0 / 3, mul(x, 0.0));
    case Binary::EluBackward:  // a b^2 e^(b x) below 0
      return where(gt(x, 0.0), 0.0, mul(exp(mul(x, p.p2)), p.p0 * p.p2 * p.p2));
    default: {  // softplus: beta s (1 - s) below the threshold
      const Tensor s = sigmoid(mul(x, p.p0));
      return where(gt(mul(x, p.p0), Scalar(p.p1)), 0.0, mul(mul(s, sub(1.0, s)), p.p0));
    }
  }
}

template <Binary map>
Tensor backward(const Tensor& g, const Tensor& x, Params p) {
  return record(
      "activation_backward", map_backward(map, g, x, p.p0, p.p1, p.p2), inputs(g, x), save(g, x, p),
      [](const Tensor& gg, const Tensor&, const Tensor& x, Params p) { return backward<map>(gg, x, p); },
      [](const Tensor& gg, const Tensor& g, const Tensor& x, Params p) {
        return mul(mul(gg, g), curvature(map, x, p));
      });
}

// y = f(x).
template <Unary f, Binary df>
Tensor activation(const char* op, const Tensor& x, Params p = {}) {
  check_floating(op, x);
  const double params[4] = {p.p0, p.p1, p.p2, 0};
  return record(
      op, map_unary(f, x, x.dtype(), params), inputs(x), save(x, p), [](const Tensor& g, const Tensor& x, Params p) {
        return thread_state.grad_enabled ? backward<df>(g, x, p) : map_backward_over(df, g, x, p.p0, p.p1, p.p2);
      });
}

Tensor gelu(const Tensor& x, std::string_view approximate) {
  if (approximate == "none") return activation<Unary::Gelu, Binary::GeluBackward>("gelu", x);
  PYNN_CHECK(approximate == "tanh", "gelu: approximate argument must be either none or tanh, got ", approximate);
  return activation<Unary::GeluTanh, Binary::GeluTanhBackward>("gelu", x);
}
Tensor silu(const Tensor& x) {
  if (is_complex(x.dtype())) return mul(x, sigmoid(x));
  return activation<Unary::Silu, Binary::SiluBackward>("silu", x);
}
Tensor mish(const Tensor& x) { return activation<Unary::Mish, Binary::MishBackward>("mish", x); }
Tensor leaky_relu(const Tensor& x, double slope) {
  return activation<Unary::LeakyRelu, Binary::LeakyReluBackward>("leaky_relu", x, {slope});
}
Tensor hardsigmoid(const Tensor& x) {
  return activation<Unary::Hardsigmoid, Binary::HardsigmoidBackward>("hardsigmoid", x);
}
Tensor hardswish(const Tensor& x) { return activation<Unary::Hardswish, Binary::HardswishBackward>("hardswish", x); }
Tensor elu(const Tensor& x, double alpha, double scale, double input_scale) {
  return activation<Unary::Elu, Binary::EluBackward>("elu", x, {alpha * scale, scale, input_scale});
}
Tensor threshold(const Tensor& x, Scalar threshold, Scalar value) {
  if (!is_floating(x.dtype())) return to_dtype(where(gt(x, threshold), x, value), number_type("threshold", x.dtype()));
  constexpr double inf = std::numeric_limits<double>::infinity();
  return activation<Unary::Threshold, Binary::ThresholdBackward>("threshold", x,
                                                                 {-inf, threshold.to_double(), value.to_double()});
}
Tensor hardshrink(const Tensor& x, double lambda) {
  return activation<Unary::Threshold, Binary::ThresholdBackward>("hardshrink", x, {-lambda, lambda, 0});
}
Tensor softshrink(const Tensor& x, double lambda) {
  check_floating("softshrink", x);
  PYNN_CHECK(lambda >= 0, "softshrink: lambda must be greater or equal to 0, but found to be ", lambda, ".");
  const double params[4] = {lambda, 0, 0, 0};
  return record("softshrink", map_unary(Unary::Softshrink, x, x.dtype(), params), inputs(x), save(x, lambda),
                [](const Tensor& g, const Tensor& x, double lambda) {
                  return backward<Binary::ThresholdBackward>(g, x, {-lambda, lambda});
                });
}
// Unlike clamp's, the gradient on a bound is 0.
Tensor hardtanh(const Tensor& x, Scalar min, Scalar max) {
  if (!is_floating(x.dtype())) return clamp(x, min, max);
  return activation<Unary::Clamp, Binary::HardtanhBackward>("hardtanh", x, {min.to_double(), max.to_double()});
}
Tensor prelu(const Tensor& x, const Tensor& weight) {
  check_floating("prelu", x);
  const Tensor y = empty_like(x);
  run_binary(Binary::Prelu, y, x, weight, x.dtype());
  return record(
      "prelu_kernel", y, inputs(x, weight), save(x, weight),
      [](const Tensor& g, const Tensor& x, const Tensor& w) { return where(gt(x, 0.0), g, mul(g, w)); },
      [](const Tensor& g, const Tensor& x, const Tensor&) { return where(gt(x, 0.0), 0.0, mul(g, x)); });
}

}  // namespace

Tensor softplus(const Tensor& x, double beta, double threshold) {
  return activation<Unary::Softplus, Binary::SoftplusBackward>("softplus", x, {beta, threshold});
}

PYNN_OP(relu, "_nn.relu(Tensor input) -> Tensor", "max(x, 0). Same as torch.nn.functional.relu.");
PYNN_OP(
    gelu, "_nn.gelu(Tensor input, str approximate='none') -> Tensor",
    "x Phi(x), Phi the normal distribution function, or its tanh approximation (Hendrycks and Gimpel 2016). Same as "
    "torch.nn.functional.gelu.",
    kOut);
PYNN_OP(silu, "_nn.silu(Tensor input) -> Tensor", "x sigmoid(x). Same as torch.nn.functional.silu.", kInplace | kMap);
PYNN_OP(mish, "_nn.mish(Tensor input) -> Tensor",
        "x tanh(log(1 + e^x)) (Misra 2019). Same as torch.nn.functional.mish.", kInplace | kMap);
PYNN_OP(leaky_relu, "_nn.leaky_relu(Tensor input, float negative_slope=0.01) -> Tensor",
        "x, or negative_slope * x below 0. Same as torch.nn.functional.leaky_relu.", kInplace | kMap);
PYNN_OP(hardsigmoid, "_nn.hardsigmoid(Tensor input) -> Tensor",
        "min(max(x + 3, 0), 6) / 6. Same as torch.nn.functional.hardsigmoid.", kInplace | kMap);
PYNN_OP(hardswish, "_nn.hardswish(Tensor input) -> Tensor", "x hardsigmoid(x). Same as torch.nn.functional.hardswish.",
        kInplace | kMap);
PYNN_OP(elu, "_nn.elu(Tensor input, float alpha=1.0, float scale=1.0, float input_scale=1.0) -> Tensor",
        "scale * x, or scale * alpha (e^(input_scale * x) - 1) below 0. Same as torch.nn.functional.elu.",
        kInplace | kMap);
PYNN_OP(threshold, "_nn.threshold(Tensor input, Scalar threshold, Scalar value) -> Tensor",
        "x above the threshold, else value. Same as torch.nn.functional.threshold.", kInplace | kMap);
PYNN_OP(hardshrink, "_nn.hardshrink(Tensor input, float lambd=0.5) -> Tensor",
        "x, or 0 where |x| <= lambd. Same as torch.nn.functional.hardshrink.", kOut);
PYNN_OP(softshrink, "_nn.softshrink(Tensor input, float lambd=0.5) -> Tensor",
        "x moved towards 0 by lambd, at most to 0. Same as torch.nn.functional.softshrink.", kOut);
PYNN_OP(hardtanh, "_nn.hardtanh(Tensor input, Scalar min_val=-1, Scalar max_val=1) -> Tensor",
        "min(max(x, min_val), max_val), with a gradient of 0 on the bounds. Same as torch.nn.functional.hardtanh.",
        kInplace | kMap);
PYNN_OP(prelu, "_nn.prelu(Tensor input, Tensor weight) -> Tensor",
        "x, or weight * x below 0, of a weight that broadcasts. torch.nn.functional.prelu shapes it.");
PYNN_OP(softplus, "_nn.softplus(Tensor input, float beta=1.0, float threshold=20.0) -> Tensor",
        "log(1 + e^(beta x)) / beta, x itself where beta x > threshold. Same as torch.nn.functional.softplus.", kOut);

}  // namespace pynn::ops
