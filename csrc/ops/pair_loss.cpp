// pair_loss.cpp -- losses of pairs by one kernel, and their derivatives: by one more, or in ops when those are to be
// differentiated.
#include "ops/pair_loss.h"

#include "autograd/record.h"
#include "core/memory_format.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/ternary.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

Tensor slope(PairLoss loss, const Tensor& x, const Tensor& y, double param) {
  const Tensor d = sub(x, y);
  switch (loss) {
    case PairLoss::Squared:
      return mul(d, 2.0);
    case PairLoss::Absolute:
      return sign(d);
    case PairLoss::SmoothL1:
      return clamp(div(d, param), Scalar(-1.0), Scalar(1.0));
    case PairLoss::Huber:
      return clamp(d, Scalar(-param), Scalar(param));
    default:
      return sub(sigmoid(x), y);
  }
}

PairLossArgs arguments(PairLoss loss, const Tensor& x, const Tensor& y, bool reduce, double param, double scale) {
  PairLossArgs a{};
  a.loss = loss;
  a.x = x.data(), a.y = y.data(), a.dtype = x.dtype(), a.n = x.numel();
  a.param = param, a.scale = scale, a.reduce = reduce;
  return a;
}

}  // namespace

std::optional<Tensor> pair_loss(PairLoss loss, const char* name, const Tensor& x_in, const Tensor& y_in,
                                Reduction reduction, double param) {
  // A label's own gradient is not that of a difference.
  const bool label = loss == PairLoss::Logistic && thread_state.grad_enabled && y_in.requires_grad();
  const bool half = item_size(x_in.dtype()) == 2;
  if (x_in.device().is_meta() || (half && !x_in.device().is_cuda()) || x_in.device() != y_in.device() ||
      x_in.dtype() != y_in.dtype() || !is_floating(x_in.dtype()) || is_complex(x_in.dtype()) ||
      !same(x_in.sizes(), y_in.sizes()) || label)
    return {};
  const MemoryFormat format = suggested_format(x_in);
  const Tensor x = contiguous(x_in, format), y = contiguous(y_in, format);
  const bool reduce = reduction != Reduction::None;
  const double scale = reduction == Reduction::Mean ? 1 / static_cast<double>(x.numel()) : 1;
  const Tensor out = reduce ? empty({}, x.dtype(), x.device()) : empty(x.sizes(), x.dtype(), x.device(), format);
  PairLossArgs a = arguments(loss, x, y, reduce, param, scale);
  a.out = out.data();
  if (out.numel()) kernels::pair_loss_forward(x.device(), a);
  return record(name, out, inputs(x, y), save(x, y, loss, reduce, param, scale, format),
                [](const Grads& grads, const Tensor& x, const Tensor& y, PairLoss loss, bool reduce, double param,
                   double scale, MemoryFormat format) {
                  Gradients d(2);
                  if (thread_state.grad_enabled) {
                    const Tensor dx = mul(mul(slope(loss, x, y, param), grads[0]), scale);
                    if (grads.needs(0)) d[0] = dx;
                    if (grads.needs(1)) d[1] = neg(dx);
                    return d;
                  }
                  const Tensor g = reduce ? grads[0] : contiguous(grads[0], format);
                  PairLossArgs a = arguments(loss, x, y, reduce, param, scale);
                  a.grad = g.data();
                  const auto make = [&](size_t i) -> void* {
                    if (!grads.needs(i)) return nullptr;
                    d[i] = empty(x.sizes(), x.dtype(), x.device(), format);
                    return d[i].data();
                  };
                  a.dx = make(0), a.dy = make(1);
                  kernels::pair_loss_backward(x.device(), a);
                  return d;
                });
}

}  // namespace pynn::ops
