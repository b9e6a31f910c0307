// norm.cpp -- layer_norm: y = (x - mean) / sqrt(var + eps) * w + b over the last dims.
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
Gradients composite_backward(const Grads& needs, const Tensor& g, const Tensor& x, const Tensor& w, double eps) {
  const int64_t last[] = {1}, first[] = {0};
  const Tensor centered = sub(x, mean(x, Dims(last), true));
  const Tensor rstd = rsqrt(add(mean(square(centered), Dims(last), true), eps));
  const Tensor xhat = mul(centered, rstd);
  Gradients out(3);
  if (needs.needs(0)) {
    const Tensor gw = w.defined() ? mul(g, w) : g;
    const Tensor m1 = mean(gw, Dims(last), true), m2 = mean(mul(gw, xhat), Dims(last), true);
    out[0] = mul(rstd, sub(sub(gw, m1), mul(xhat, m2)));
  }
  if (needs.needs(1)) out[1] = sum(mul(g, xhat), Dims(first));
  if (needs.needs(2)) out[2] = sum(g, Dims(first));
  return out;
}

Gradients backward(const Grads& grads, const Tensor& x, const Tensor& w, const Tensor& mean, const Tensor& rstd,
                   int64_t n, double eps) {
  const int64_t rows = x.numel() / std::max<int64_t>(n, 1);
  const DimVector matrix{rows, n};
  if (thread_state.grad_enabled) {
    Gradients out = composite_backward(grads, reshape(grads[0], matrix), reshape(x, matrix),
                                       w.defined() ? reshape(w, DimVector{n}) : w, eps);
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
  a.rows = rows, a.n = n, a.eps = eps;
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
  a.rows = rows, a.n = n, a.eps = eps;
  if (y.numel() && !y.device().is_meta()) kernels::layer_norm_forward(y.device(), a);
  const DimVector bias_sizes(shape);
  return record("native_layer_norm", std::move(y), inputs(x, w, b), save(x, w, mean, rstd, n, eps, bias_sizes),
                [](const Grads& g, const Tensor& x, const Tensor& w, const Tensor& mean, const Tensor& rstd, int64_t n,
                   double eps, const DimVector& bias_sizes) {
                  Gradients out = backward(g, x, w, mean, rstd, n, eps);
                  if (out[2].defined()) out[2] = reshape(out[2], bias_sizes);
                  return out;
                });
}

PYNN_OP(layer_norm,
        "_nn.layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05) "
        "-> Tensor",
        "(x - mean) / sqrt(var + eps) * weight + bias over the last dims (Ba et al. 2016). Same as "
        "torch.nn.functional.layer_norm.");

}  // namespace pynn::ops
