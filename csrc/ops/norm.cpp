// norm.cpp -- layer_norm: y = (x - mean) / sqrt(var + eps) * w + b over the last dims; rms_norm, which leaves the mean.
#include "kernels/norm.h"

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/reduce.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

int64_t product(Dims d) {
  int64_t n = 1;
  for (int64_t s : d) n *= s;
  return n;
}

// dx, dw, db in ops, for double backward; x [rows, n], g [rows, n].
Gradients composite_backward(const Grads& needs, const Tensor& g, const Tensor& x, const Tensor& w, double eps,
                             bool centered) {
  const int64_t last[] = {1}, first[] = {0};
  const Tensor d = centered ? sub(x, mean(x, Dims(last), true)) : x;
  const Tensor rstd = rsqrt(add(mean(square(d), Dims(last), true), eps));
  const Tensor xhat = mul(d, rstd);
  Gradients out(3);
  if (needs.needs(0)) {
    const Tensor gw = w.defined() ? mul(g, w) : g;
    const Tensor m1 = mean(gw, Dims(last), true), m2 = mean(mul(gw, xhat), Dims(last), true);
    out[0] = mul(rstd, sub(centered ? sub(gw, m1) : gw, mul(xhat, m2)));
  }
  if (needs.needs(1)) out[1] = sum(mul(g, xhat), Dims(first));
  if (needs.needs(2)) out[2] = sum(g, Dims(first));
  return out;
}

Gradients backward(const Grads& grads, const Tensor& x, const Tensor& w, const Tensor& mean, const Tensor& rstd,
                   int64_t n, double eps, bool centered) {
  const int64_t rows = x.numel() / std::max<int64_t>(n, 1);
  const DimVector matrix{rows, n};
  if (thread_state.grad_enabled) {
    Gradients out = composite_backward(grads, reshape(grads[0], matrix), reshape(x, matrix),
                                       w.defined() ? reshape(w, DimVector{n}) : w, eps, centered);
    if (out[0].defined()) out[0] = reshape(out[0], x.sizes());
    if (out[1].defined()) out[1] = reshape(out[1], w.sizes());
    return out;
  }
  const Tensor g = contiguous(grads[0]);
  Gradients out(3);
  LayerNormArgs a{};
  a.x = x.data();
  a.weight = w.defined() ? w.data() : nullptr;
  a.mean = mean.data(), a.rstd = rstd.data();
  a.dtype = x.dtype();
  a.rows = rows, a.n = n, a.eps = eps, a.centered = centered;
  a.dy = g.data();
  const auto make = [&](size_t i, Dims sizes) -> void* {
    if (!grads.needs(i)) return nullptr;
    out[i] = x.numel() ? empty(sizes, x.dtype(), x.device()) : zeros(sizes, x.dtype(), x.device());
    return out[i].data();
  };
  a.dx = make(0, x.sizes());
  a.dweight = make(1, w.defined() ? w.sizes() : Dims());
  a.dbias = make(2, DimVector{n});
  if (x.numel() && !x.device().is_meta()) kernels::layer_norm_backward(x.device(), a);
  return out;
}

// `shape`: the last dims of input, and the shape of weight and bias.
Tensor normalize(const char* name, const Tensor& input, Dims shape, const Tensor& weight, const Tensor& bias,
                 double eps, bool centered) {
  const int64_t k = static_cast<int64_t>(shape.size());
  const Tensor x = contiguous(input);
  const Tensor w = weight.defined() ? contiguous(to_dtype(weight, x.dtype())) : weight;
  const Tensor b = bias.defined() ? contiguous(to_dtype(bias, x.dtype())) : bias;
  const int64_t n = product(shape), rows = product(x.sizes().first(x.dim() - k));
  const DType stats = x.dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
  Tensor y = empty(x.sizes(), x.dtype(), x.device());
  Tensor mean = empty(DimVector{rows}, stats, x.device()), rstd = empty(DimVector{rows}, stats, x.device());
  LayerNormArgs a{};
  a.x = x.data(), a.y = y.data();
  a.weight = w.defined() ? w.data() : nullptr;
  a.bias = b.defined() ? b.data() : nullptr;
  a.mean = mean.data(), a.rstd = rstd.data();
  a.dtype = x.dtype();
  a.rows = rows, a.n = n, a.eps = eps, a.centered = centered;
  if (y.numel() && !y.device().is_meta()) kernels::layer_norm_forward(y.device(), a);
  const DimVector bias_sizes(shape);
  return record(name, std::move(y), inputs(x, w, b), save(x, w, mean, rstd, n, eps, centered, bias_sizes),
                [](const Grads& g, const Tensor& x, const Tensor& w, const Tensor& mean, const Tensor& rstd, int64_t n,
                   double eps, bool centered, const DimVector& bias_sizes) {
                  Gradients out = backward(g, x, w, mean, rstd, n, eps, centered);
                  if (out[2].defined()) out[2] = reshape(out[2], bias_sizes);
                  return out;
                });
}

Tensor rms_norm(const Tensor& x, Dims shape, const Tensor& weight, std::optional<double> eps) {
  const char* op = "rms_norm";
  PYNN_CHECK(!shape.empty(), op,
             ": expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, got ()");
  const size_t k = shape.size();
  PYNN_CHECK(x.sizes().size() >= k && same(x.sizes().last(k), shape), op, ": Given normalized_shape=", dims_str(shape),
             ", expected input with shape [*, ...] ending in it, but got input of size ", dims_str(x.sizes()));
  PYNN_CHECK(!weight.defined() || same(weight.sizes(), shape), op,
             ": expected weight to be of same shape as normalized_shape, got weight of shape ",
             dims_str(weight.defined() ? weight.sizes() : Dims()), " and normalized_shape = ", dims_str(shape));
  PYNN_CHECK_KIND(NotImplemented, is_floating(x.dtype()), op, ": floating-point input is required, got ",
                  dtype_name(x.dtype()));
  const bool wide = x.dtype() == DType::Float64;
  // What PyTorch names the last step of its composite.
  return normalize(item_size(x.dtype()) == 2 ? "to_copy" : "mul", x, shape, weight, {},
                   eps.value_or(wide ? 0x1p-52 : 0x1p-23), false);
}

}  // namespace

Tensor layer_norm(const Tensor& input, Dims shape, const Tensor& weight, const Tensor& bias, double eps) {
  check_floating("layer_norm", input);
  PYNN_CHECK(
      !shape.empty(),
      "layer_norm: expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element");
  const int64_t k = static_cast<int64_t>(shape.size());
  PYNN_CHECK(input.dim() >= k && same(input.sizes().last(k), shape),
             "layer_norm: Given normalized_shape=", dims_str(shape),
             ", expected input with shape [*, ...] ending in it, but got input of size ", dims_str(input.sizes()));
  for (const Tensor* t : {&weight, &bias})
    PYNN_CHECK(!t->defined() || same(t->sizes(), shape),
               "layer_norm: Expected weight and bias to be of same shape as normalized_shape, got ",
               dims_str(t->sizes()), " and normalized_shape = ", dims_str(shape));
  return normalize("native_layer_norm", input, shape, weight, bias, eps, true);
}

PYNN_OP(layer_norm,
        "_nn.layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05) "
        "-> Tensor",
        "(x - mean) / sqrt(var + eps) * weight + bias over the last dims (Ba et al. 2016). Same as "
        "torch.nn.functional.layer_norm.");

PYNN_OP(rms_norm, "rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor",
        "x / sqrt(mean(x^2) + eps) * weight over the last dims. Zhang and Sennrich 2019, arXiv:1910.07467. Same as "
        "torch.rms_norm.",
        kFunctionOnly);

}  // namespace pynn::ops
