// activation.cpp -- gelu, silu, leaky_relu, elu, softplus, hardsigmoid, hardswish: one map forward, one fused map
// backward, whose own derivative is taken through the composite formula.
#include <cmath>
#include <numbers>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/ternary.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

// The second derivative of each activation, for double backward.
Tensor curvature(Binary map, const Tensor& x, double p0, double p1) {
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
    case Binary::LeakyReluBackward:
    case Binary::HardsigmoidBackward:
      return mul(x, 0.0);
    case Binary::HardswishBackward:  // 1 / 3 in the middle
      return where(logical_and(gt(x, -3.0), lt(x, 3.0)), 1.0 / 3, mul(x, 0.0));
    case Binary::EluBackward:  // alpha e^x below 0
      return where(gt(x, 0.0), 0.0, mul(exp(x), p0));
    default: {  // softplus: beta s (1 - s) below the threshold
      const Tensor s = sigmoid(mul(x, p0));
      return where(gt(mul(x, p0), Scalar(p1)), 0.0, mul(mul(s, sub(1.0, s)), p0));
    }
  }
}

template <Binary map>
Tensor backward(const Tensor& g, const Tensor& x, double p0, double p1) {
  return record(
      "activation_backward", map_backward(map, g, x, p0, p1), inputs(g, x), save(g, x, p0, p1),
      [](const Tensor& gg, const Tensor&, const Tensor& x, double p0, double p1) {
        return backward<map>(gg, x, p0, p1);
      },
      [](const Tensor& gg, const Tensor& g, const Tensor& x, double p0, double p1) {
        return mul(mul(gg, g), curvature(map, x, p0, p1));
      });
}

// y = f(x); the map's parameters are p0, p1.
template <Unary f, Binary df>
Tensor activation(const char* op, const Tensor& x, double p0 = 0, double p1 = 0) {
  check_floating(op, x);
  const double params[4] = {p0, p1, 0, 0};
  return record(op, map_unary(f, x, x.dtype(), params), inputs(x), save(x, p0, p1),
                [](const Tensor& g, const Tensor& x, double p0, double p1) {
                  return thread_state.grad_enabled ? backward<df>(g, x, p0, p1) : map_backward_over(df, g, x, p0, p1);
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
Tensor leaky_relu(const Tensor& x, double slope) {
  return activation<Unary::LeakyRelu, Binary::LeakyReluBackward>("leaky_relu", x, slope);
}
Tensor hardsigmoid(const Tensor& x) {
  return activation<Unary::Hardsigmoid, Binary::HardsigmoidBackward>("hardsigmoid", x);
}
Tensor hardswish(const Tensor& x) { return activation<Unary::Hardswish, Binary::HardswishBackward>("hardswish", x); }
Tensor elu(const Tensor& x, double alpha) { return activation<Unary::Elu, Binary::EluBackward>("elu", x, alpha); }
Tensor relu_(const Tensor& x) {
  assign("relu_", x, relu(thread_state.grad_enabled && x.requires_grad() ? clone_of(x) : x));
  return x;
}

}  // namespace

Tensor softplus(const Tensor& x, double beta, double threshold) {
  return activation<Unary::Softplus, Binary::SoftplusBackward>("softplus", x, beta, threshold);
}

PYNN_OP(relu, "_nn.relu(Tensor input) -> Tensor", "max(x, 0). Same as torch.nn.functional.relu.");
PYNN_OP(relu_, "_nn.relu_(Tensor input) -> Tensor", "relu in place.");
PYNN_OP(
    gelu, "_nn.gelu(Tensor input, str approximate='none') -> Tensor",
    "x Phi(x), Phi the normal distribution function, or its tanh approximation (Hendrycks and Gimpel 2016). Same as "
    "torch.nn.functional.gelu.",
    kOut);
PYNN_OP(silu, "_nn.silu(Tensor input) -> Tensor", "x sigmoid(x). Same as torch.nn.functional.silu.", kInplace);
PYNN_OP(leaky_relu, "_nn.leaky_relu(Tensor input, float negative_slope=0.01) -> Tensor",
        "x, or negative_slope * x below 0. Same as torch.nn.functional.leaky_relu.", kInplace);
PYNN_OP(hardsigmoid, "_nn.hardsigmoid(Tensor input) -> Tensor",
        "min(max(x + 3, 0), 6) / 6. Same as torch.nn.functional.hardsigmoid.", kInplace);
PYNN_OP(hardswish, "_nn.hardswish(Tensor input) -> Tensor", "x hardsigmoid(x). Same as torch.nn.functional.hardswish.",
        kInplace);
PYNN_OP(elu, "_nn.elu(Tensor input, float alpha=1.0) -> Tensor",
        "x, or alpha (e^x - 1) below 0. Same as torch.nn.functional.elu.", kInplace);
PYNN_OP(softplus, "_nn.softplus(Tensor input, float beta=1.0, float threshold=20.0) -> Tensor",
        "log(1 + e^(beta x)) / beta, x itself where beta x > threshold. Same as torch.nn.functional.softplus.", kOut);

}  // namespace pynn::ops
