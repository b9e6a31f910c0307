// loss.cpp -- losses. Reductions 'none', 'mean' and 'sum' as in PyTorch.
#include "kernels/softmax.h"

#include <cmath>

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/pair_loss.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {

Tensor softplus(const Tensor& x, double beta, double threshold);  // activation.cpp

namespace {

void check_floating(const char* op, const Tensor& x, const Tensor& y) {
  if (!is_floating(y.dtype())) ops::check_floating(op, x);  // one is enough: the other is promoted
}

Reduction reduction_of(const char* op, std::string_view text) {
  if (text == "mean") return Reduction::Mean;
  if (text == "sum") return Reduction::Sum;
  PYNN_CHECK_KIND(Value, text == "none", op, ": ", text, " is not a valid value for reduction");
  return Reduction::None;
}
Tensor reduced(const Tensor& loss, Reduction r) {
  return r == Reduction::Mean ? mean(loss) : r == Reduction::Sum ? sum(loss) : loss;
}

Tensor mse_loss(const Tensor& x, const Tensor& y, std::string_view reduction) {
  check_floating("mse_loss", x, y);
  if (auto fused = pair_loss(PairLoss::Squared, "mse_loss", x, y, reduction_of("mse_loss", reduction))) return *fused;
  return named("mse_loss", reduced(square(sub(x, y)), reduction_of("mse_loss", reduction)));
}
Tensor l1_loss(const Tensor& x, const Tensor& y, std::string_view reduction) {
  const Reduction r = reduction_of("l1_loss", reduction);
  const char* last = r == Reduction::Mean ? "mean" : r == Reduction::Sum ? "sum" : "abs";
  if (auto fused = pair_loss(PairLoss::Absolute, last, x, y, r)) return *fused;
  return reduced(abs(sub(x, y)), r);
}
// 0.5 d^2 / beta where |d| < beta, else |d| - 0.5 beta.
Tensor smooth_l1_loss(const Tensor& x, const Tensor& y, std::string_view reduction, double beta) {
  PYNN_CHECK(beta >= 0, "smooth_l1_loss: does not support negative values for beta, got ", beta);
  if (beta == 0) return l1_loss(x, y, reduction);
  check_floating("smooth_l1_loss", x, y);
  const Reduction r = reduction_of("smooth_l1_loss", reduction);
  if (auto fused = pair_loss(PairLoss::SmoothL1, "smooth_l1_loss", x, y, r, beta)) return *fused;
  const Tensor d = abs(sub(x, y));
  return named("smooth_l1_loss", reduced(where(lt(d, beta), mul(square(d), 0.5 / beta), sub(d, 0.5 * beta)), r));
}
// 0.5 d^2 where |d| <= delta, else delta (|d| - 0.5 delta).
Tensor huber_loss(const Tensor& x, const Tensor& y, std::string_view reduction, double delta) {
  PYNN_CHECK(delta > 0, "huber_loss: does not support non-positive values for delta, got ", delta);
  check_floating("huber_loss", x, y);
  const Reduction r = reduction_of("huber_loss", reduction);
  if (auto fused = pair_loss(PairLoss::Huber, "huber_loss", x, y, r, delta)) return *fused;
  const Tensor d = abs(sub(x, y));
  return named("huber_loss", reduced(where(le(d, delta), mul(square(d), 0.5), mul(sub(d, 0.5 * delta), delta)), r));
}

// -w (y log x + (1 - y) log(1 - x)), logarithms bounded at -100.
Tensor binary_cross_entropy(const Tensor& x, const Tensor& y, const Tensor& weight, std::string_view reduction) {
  PYNN_CHECK_KIND(Value, same(x.sizes(), y.sizes()), "binary_cross_entropy: Using a target size (", dims_str(y.sizes()),
                  ") that is different to the input size (", dims_str(x.sizes()),
                  ") is deprecated. Please ensure they have the same size.");
  ops::check_floating("binary_cross_entropy", x);
  if (x.device().is_cpu()) {  // elsewhere the loss is NaN: no one waits to see
    GradMode off(false);
    PYNN_CHECK(!any_nonzero(logical_not(logical_and(ge(x, 0.0), le(x, 1.0)))),
               "binary_cross_entropy: all elements of input should be between 0 and 1");
  }
  Tensor loss =
      neg(add(mul(y, clamp(log(x), Scalar(-100.0), {})), mul(sub(1.0, y), clamp(log1p(neg(x)), Scalar(-100.0), {}))));
  if (weight.defined()) loss = mul(loss, weight);
  return named("binary_cross_entropy", reduced(loss, reduction_of("binary_cross_entropy", reduction)));
}

// With z = 1 + (pos_weight - 1) y: (1 - y) x + z log(1 + e^-x), computed without overflow.
Tensor bce_with_logits(const Tensor& x, const Tensor& y, const Tensor& weight, const Tensor& pos_weight,
                       std::string_view reduction) {
  PYNN_CHECK_KIND(Value, same(x.sizes(), y.sizes()), "binary_cross_entropy_with_logits: Target size (",
                  dims_str(y.sizes()), ") must be the same as input size (", dims_str(x.sizes()), ")");
  const char* op = "binary_cross_entropy_with_logits";
  ops::check_floating(op, x);
  const Reduction r = reduction_of(op, reduction);
  if (!weight.defined() && !pos_weight.defined())
    if (auto fused = pair_loss(PairLoss::Logistic, op, x, y, r)) return *fused;
  const Tensor softplus_minus = softplus(neg(x), 1.0, 80.0);  // log(1 + e^-x); float32 holds e^80
  const Tensor z = pos_weight.defined() ? mul(add(mul(sub(pos_weight, 1.0), y), 1.0), softplus_minus) : softplus_minus;
  Tensor loss = add(mul(sub(1.0, y), x), z);
  if (weight.defined()) loss = mul(loss, weight);
  return named(op, reduced(loss, r));
}

// y (log y - x), 0 where y is 0; with log_target e^y (y - x).
Tensor kl_div(const Tensor& x, const Tensor& y, std::string_view reduction, bool log_target) {
  if (reduction == "batchmean") {
    const Tensor total = kl_div(x, y, "sum", log_target);
    return x.dim() ? div(total, Scalar(x.size(0))) : total;
  }
  PYNN_CHECK(is_floating(x.dtype()), "kl_div: Integral inputs not supported, got ", dtype_name(x.dtype()));
  const Tensor loss = log_target ? mul(exp(y), sub(y, x))
                                 : sub(where(eq(y, 0.0), 0.0, mul(y, log(where(eq(y, 0.0), 1.0, y)))), mul(y, x));
  return reduced(loss, reduction_of("kl_div", reduction));
}

// Classes are dim 1 of [N, C, d1, ...] or dim 0 of [C].
struct Rows {
  explicit Rows(const Tensor& x)
      : classes(x.size(x.dim() == 1 ? 0 : 1)),
        outer(x.dim() == 1 ? 1 : x.size(0)),
        inner(x.numel() / std::max<int64_t>(outer * classes, 1)) {}
  int64_t classes, outer, inner;
};
// The result's shape.
DimVector leading_sizes(const char* op, const Tensor& x) {
  PYNN_CHECK_KIND(Value, x.dim() >= 1, op, ": input must have a dim of classes, got shape ()");
  DimVector lead;
  for (int64_t d = 0; d < x.dim(); ++d)
    if (d != 1 && x.dim() > 1) lead.push_back(x.size(d));
  return lead;
}
// x with its classes last, as a matrix, where memory has that order or no kernel takes planes; else x itself.
Tensor class_rows(const Tensor& x) {
  if (x.dim() <= 2) return x;
  DimVector order{0};
  for (int64_t d = 2; d < x.dim(); ++d) order.push_back(d);
  order.push_back(1);
  const Tensor last = permute(x, order);
  if (x.device().is_cpu() && !last.is_contiguous() && x.numel()) return x;
  return reshape(last, DimVector{x.numel() / std::max<int64_t>(x.size(1), 1), x.size(1)});
}

void check_target(const char* op, const Tensor& x, const Tensor& target, const DimVector& lead) {
  PYNN_CHECK(target.dtype() == DType::Int64 || target.dtype() == DType::UInt8, op,
             ": expected target of dtype int64 (class indices), got ", dtype_name(target.dtype()));
  PYNN_CHECK_KIND(Value, x.dim() < 2 || target.dim() > 0, op, ": Expected input batch_size (", x.size(0),
                  ") to match target batch_size (1).");
  if (same(target.sizes(), lead)) return;
  PYNN_CHECK_KIND(Value, target.dim() > 0 && target.size(0) == x.size(0), op, ": Expected input batch_size (",
                  x.size(0), ") to match target batch_size (", target.dim() ? target.size(0) : 1, ").");
  fail(ErrorKind::Runtime, op, ": Expected target size ", dims_str(lead), ", got ", dims_str(target.sizes()));
}
void check_weight(const char* op, const Tensor& weight, int64_t classes) {
  PYNN_CHECK(!weight.defined() || (weight.dim() == 1 && weight.size(0) == classes), op,
             ": weight tensor should be defined either for all ", classes,
             " classes or no classes but got weight tensor of shape: ", dims_str(weight.sizes()));
}

CrossEntropyArgs cross_entropy_args(const Tensor& x, const Tensor& target, const Tensor& weight, const Tensor& lse,
                                    int64_t ignore, double smoothing) {
  CrossEntropyArgs args{};
  args.x = x.data();
  args.dtype = x.dtype();
  args.log_probabilities = !lse.defined();
  args.target = target.data_as<int64_t>();
  args.weight = weight.defined() ? weight.data() : nullptr;
  args.lse = lse.defined() ? lse.data() : nullptr;
  const Rows rows(x);
  args.rows = rows.outer * rows.inner, args.classes = rows.classes, args.inner = rows.inner, args.ignore_index = ignore;
  args.smoothing = smoothing;
  return args;
}

// dL/dx = (softmax(x) * sum(terms) - terms) * g, terms the weight of each class in the row's loss; of log probabilities
// -terms * g. The kernel does it in one pass; when the gradient itself is to be differentiated it is built from ops.
Tensor cross_entropy_backward(const Tensor& g, const Tensor& logits, const Tensor& target, const Tensor& weight,
                              const Tensor& lse, const Tensor& total, int64_t ignore, double smoothing) {
  if (thread_state.grad_enabled && (g.requires_grad() || (logits.requires_grad() && lse.defined()))) {
    const Rows rows(logits);
    const Tensor x = reshape(logits, DimVector{rows.outer, rows.classes, rows.inner});
    const Tensor kept = ne(target, Scalar(ignore));
    const Tensor safe = where(kept, target, 0);
    const auto all_ones = [&](Dims sizes) { return ones(sizes, x.dtype(), x.device()); };
    GradMode constants(false);
    Tensor w_row = weight.defined() ? reshape(index_select(weight, 0, reshape(safe, DimVector{-1})), safe.sizes())
                                    : all_ones(target.sizes());
    w_row = where(kept, w_row, 0.0);
    const Tensor hot = scatter_add(zeros(x.sizes(), x.dtype(), x.device()), 1, unsqueeze(safe, 1), unsqueeze(w_row, 1));
    Tensor terms = mul(hot, 1 - smoothing);
    if (smoothing > 0) {
      const Tensor each = weight.defined() ? expand(unsqueeze(weight, 1), x.sizes()) : all_ones(x.sizes());
      terms = add(terms, where(unsqueeze(kept, 1), mul(each, smoothing / static_cast<double>(rows.classes)), 0.0));
    }
    const int64_t middle[] = {1};
    const Tensor of_p = sum(terms, Dims(middle), true);
    const Tensor factor = total.defined() ? where(eq(total, 0.0), 0.0, reciprocal(total)) : total;
    GradMode on(true);
    const Tensor gw = g.dim() ? unsqueeze(reshape(g, target.sizes()), 1) : g;
    const Tensor slope = lse.defined() ? sub(mul(softmax(x, 1), of_p), terms) : neg(terms);
    return reshape(mul(slope, factor.defined() ? mul(gw, factor) : gw), logits.sizes());
  }
  Tensor dx = empty(logits.sizes(), logits.dtype(), logits.device());
  const Tensor gc = contiguous(g);
  CrossEntropyArgs args = cross_entropy_args(logits, target, weight, lse, ignore, smoothing);
  args.dx = dx.data();
  args.grad = gc.data();
  args.grad_step = g.dim() ? 1 : 0;
  args.total = total.defined() ? total.data() : nullptr;
  if (dx.numel() && !dx.device().is_meta()) kernels::cross_entropy_backward(dx.device(), args);
  return dx;
}

// One pass over logits or log probabilities, whose memory is [outer, C, inner]; see kernels/softmax.h.
Tensor cross_entropy_rows(const char* op, const Tensor& input, const Tensor& target_in, const Tensor& weight_in,
                          const DimVector& lead, int64_t ignore, Reduction r, double smoothing,
                          bool log_probabilities) {
  const bool half = input.dtype() != DType::Float32 && input.dtype() != DType::Float64;
  const Tensor x = contiguous(half ? to_dtype(input, DType::Float32) : input);
  const Rows rows(x);
  const DimVector places{rows.outer, rows.inner};
  const Tensor target = contiguous(to_dtype(reshape(target_in, places), DType::Int64));
  const Tensor weight = weight_in.defined() ? contiguous(to_dtype(weight_in, x.dtype())) : Tensor();
  const Tensor lse = log_probabilities ? Tensor() : empty(DimVector{2, target.numel()}, x.dtype(), x.device());
  Tensor loss = empty(lead, x.dtype(), x.device()), row_weight = empty(places, x.dtype(), x.device());
  CrossEntropyArgs args = cross_entropy_args(x, target, weight, lse, ignore, smoothing);
  args.loss = loss.data();
  args.row_weight = row_weight.data();
  if (target.numel() && !x.device().is_meta()) {
    const int64_t bad = kernels::cross_entropy_forward(x.device(), args);
    PYNN_CHECK_KIND(Index, bad < 0, op, ": Target ", bad < 0 ? 0 : target.data_as<int64_t>()[bad],
                    " is out of bounds, got it at position ", bad, " for ", rows.classes, " classes");
  }
  Tensor y = loss, total;
  if (r == Reduction::Mean) {  // where nothing counts: 0 / 0
    y = empty({}, x.dtype(), x.device()), total = empty({}, x.dtype(), x.device());
    args.y = y.data(), args.total = total.data();
    if (!x.device().is_meta()) kernels::cross_entropy_mean(x.device(), args);
  } else if (r == Reduction::Sum) {
    GradMode off(false);
    y = sum(loss);
  }
  y = record("cross_entropy", std::move(y), inputs(x), save(x, target, weight, lse, total, ignore, smoothing),
             [](const Tensor& g, const Tensor& x, const Tensor& target, const Tensor& weight, const Tensor& lse,
                const Tensor& total, int64_t ignore, double smoothing) {
               return cross_entropy_backward(g, x, target, weight, lse, total, ignore, smoothing);
             });
  return half ? to_dtype(y, input.dtype()) : y;
}

Tensor cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight, int64_t ignore,
                     std::string_view reduction, double smoothing) {
  ops::check_floating("cross_entropy", x);
  PYNN_CHECK(smoothing >= 0 && smoothing <= 1,
             "cross_entropy: label_smoothing must be between 0.0 and 1.0. Got: ", smoothing);
  const Reduction r = reduction_of("cross_entropy", reduction);
  const DimVector lead = leading_sizes("cross_entropy", x);
  const int64_t dim = x.dim() == 1 ? 0 : 1, classes = x.size(dim);
  check_weight("cross_entropy", weight, classes);
  if (same(x.sizes(), target.sizes()) && is_floating(target.dtype())) {  // probabilities
    PYNN_CHECK(ignore < 0, "cross_entropy: ignore_index is not supported for floating point target, got ", ignore);
    Tensor t = target, logp = log_softmax(x, dim);
    if (smoothing > 0) t = add(mul(t, 1 - smoothing), smoothing / static_cast<double>(classes));
    if (weight.defined()) {
      DimVector along(x.dim() - dim, 1);
      along[0] = classes;
      logp = mul(logp, reshape(weight, along));
    }
    const int64_t over[] = {dim};
    const Tensor each = neg(sum(mul(logp, t), Dims(over)));
    if (r == Reduction::Mean) return div(sum(each), Scalar(each.numel()));
    return r == Reduction::Sum ? sum(each) : each;
  }
  check_target("cross_entropy", x, target, lead);
  const char* name = smoothing > 0 ? "add" : x.dim() > 2 ? "nll_loss2d" : "nll_loss";  // PyTorch's last step
  return named(name,
               cross_entropy_rows("cross_entropy", class_rows(x), target, weight, lead, ignore, r, smoothing, false));
}

Tensor nll_loss(const Tensor& x, const Tensor& target, const Tensor& weight, int64_t ignore,
                std::string_view reduction) {
  ops::check_floating("nll_loss", x);
  const Reduction r = reduction_of("nll_loss", reduction);
  const DimVector lead = leading_sizes("nll_loss", x);
  check_weight("nll_loss", weight, x.size(x.dim() == 1 ? 0 : 1));
  check_target("nll_loss", x, target, lead);
  const char* name = x.dim() > 2 ? "nll_loss2d" : "nll_loss";
  if (x.device().is_cpu())
    return named(name, cross_entropy_rows("nll_loss", class_rows(x), target, weight, lead, ignore, r, 0, true));
  const Tensor t = to_dtype(reshape(target, DimVector{-1}), DType::Int64), kept = ne(t, Scalar(ignore));
  const Tensor safe = where(kept, t, 0);  // gather finds what is out of bounds
  Tensor w = weight.defined() ? index_select(weight, 0, safe) : ones(safe.sizes(), x.dtype(), x.device());
  w = where(kept, w, 0.0);
  const Tensor picked =
      reshape(gather(reshape(class_rows(x), DimVector{t.numel(), -1}), 1, unsqueeze(safe, 1)), DimVector{-1});
  const Tensor each = where(kept, mul(neg(picked), w), 0.0);
  if (r == Reduction::None) return named(name, reshape(each, lead));
  return named(name, r == Reduction::Sum ? sum(each) : div(sum(each), sum(w)));
}

}  // namespace

PYNN_OP(mse_loss, "_nn.mse_loss(Tensor input, Tensor target, str reduction='mean') -> Tensor", "(input - target)^2.");
PYNN_OP(l1_loss, "_nn.l1_loss(Tensor input, Tensor target, str reduction='mean') -> Tensor", "|input - target|.");
PYNN_OP(smooth_l1_loss,
        "_nn.smooth_l1_loss(Tensor input, Tensor target, str reduction='mean', float beta=1.0) -> Tensor",
        "Squared below beta, linear above.");
PYNN_OP(huber_loss, "_nn.huber_loss(Tensor input, Tensor target, str reduction='mean', float delta=1.0) -> Tensor",
        "Squared up to delta, linear above (Huber 1964).");
PYNN_OP(binary_cross_entropy,
        "_nn.binary_cross_entropy(Tensor input, Tensor target, Tensor? weight=None, str reduction='mean') -> Tensor",
        "-(y log x + (1 - y) log(1 - x)) of probabilities x.");
PYNN_OP(bce_with_logits,
        "_nn.binary_cross_entropy_with_logits(Tensor input, Tensor target, Tensor? weight=None, Tensor? "
        "pos_weight=None, str "
        "reduction='mean') -> Tensor",
        "binary_cross_entropy of sigmoid(x), without overflow.");
PYNN_OP(kl_div, "_nn.kl_div(Tensor input, Tensor target, str reduction='mean', bool log_target=False) -> Tensor",
        "y (log y - x), for x = log q.");
PYNN_OP(cross_entropy,
        "_nn.cross_entropy(Tensor input, Tensor target, Tensor? weight=None, int ignore_index=-100, str "
        "reduction='mean', float "
        "label_smoothing=0.0) -> Tensor",
        "-log softmax(input)[target], fused; target: class indices or probabilities.");
PYNN_OP(nll_loss,
        "_nn.nll_loss(Tensor input, Tensor target, Tensor? weight=None, int ignore_index=-100, str reduction='mean') "
        "-> Tensor",
        "-input[target], of log probabilities.");

}  // namespace pynn::ops
