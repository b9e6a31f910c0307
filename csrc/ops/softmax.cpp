// softmax.cpp -- y = exp(x - max(x)) / sum(exp(x - max(x))) along dim, and its logarithm.
#include "ops/softmax.h"

#include "kernels/softmax.h"

#include "autograd/arith.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/reduce.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

SoftmaxArgs arguments(const Tensor& out, const Tensor& a, const Tensor& b, int64_t dim, bool log) {
  SoftmaxArgs args{};
  args.out = out.data();
  args.a = a.data();
  args.b = b.defined() ? b.data() : nullptr;
  args.dtype = out.dtype();
  args.outer = args.n = args.inner = 1;
  for (int64_t d = 0; d < a.dim(); ++d) (d < dim ? args.outer : d == dim ? args.n : args.inner) *= a.size(d);
  args.log = log;
  return args;
}

// dx = (g - sum(g y)) y, or for the logarithm dx = g - exp(y) sum(g). `last`: g is not used again and may be written
// to.
Tensor backward(const Tensor& g_in, const Tensor& y, int64_t dim, bool log, bool last = false) {
  const bool over = last && g_in.device().is_cpu() && g_in.dtype() == y.dtype() && autograd::only_here(g_in);
  const Tensor g = contiguous(to_dtype(g_in, y.dtype()));
  Tensor dx = over ? g : empty(y.sizes(), y.dtype(), y.device());
  if (dx.numel() && !dx.device().is_meta())
    kernels::softmax_backward(dx.device(), arguments(dx, g, contiguous(y), dim, log));
  return record(
      "softmax_backward", std::move(dx), inputs(g, y), save(g, y, dim, log),
      [](const Tensor& gg, const Tensor&, const Tensor& y, int64_t dim, bool log) {
        const int64_t dims[] = {dim};
        if (log) return sub(gg, sum(mul(gg, exp(y)), Dims(dims), true));
        return mul(sub(gg, sum(mul(gg, y), Dims(dims), true)), y);
      },
      [](const Tensor& gg, const Tensor& g, const Tensor& y, int64_t dim, bool log) {
        const int64_t dims[] = {dim};
        if (log) return mul(neg(mul(gg, exp(y))), sum(g, Dims(dims), true));
        return sub(mul(gg, sub(g, sum(mul(g, y), Dims(dims), true))), mul(g, sum(mul(gg, y), Dims(dims), true)));
      });
}

template <bool log>
Tensor forward(const char* op, const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  const Tensor x = contiguous(dtype ? to_dtype(input, *dtype) : input);
  dim = wrap_dim(op, dim, x);
  check_floating(op, x);
  Tensor y = empty(x.sizes(), x.dtype(), x.device());
  if (y.numel() && !y.device().is_meta()) kernels::softmax_forward(y.device(), arguments(y, x, {}, dim, log));
  return record(op, y, inputs(x), save(y, dim),
                [](const Tensor& g, const Tensor& y, int64_t dim) { return backward(g, y, dim, log, true); });
}

}  // namespace

Tensor softmax_backward(const Tensor& g, const Tensor& y, int64_t dim) { return backward(g, y, dim, false); }

Tensor softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype) {
  return forward<false>("softmax", x, dim, dtype);
}
Tensor log_softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype) {
  return forward<true>("log_softmax", x, dim, dtype);
}

PYNN_OP(softmax, "softmax(Tensor input, int dim, dtype? dtype=None) -> Tensor",
        R"(exp(x) / sum(exp(x)) along `dim`, without overflow. Same as torch.softmax.)", kOut);
PYNN_OP(log_softmax, "log_softmax(Tensor input, int dim, dtype? dtype=None) -> Tensor",
        R"(The logarithm of softmax, exact where softmax would round to 0. Same as torch.log_softmax.)", kOut);
PYNN_OP(softmax, "_nn.softmax(Tensor input, int dim, dtype? dtype=None) -> Tensor", "softmax.");
PYNN_OP(log_softmax, "_nn.log_softmax(Tensor input, int dim, dtype? dtype=None) -> Tensor", "log_softmax.");

}  // namespace pynn::ops
