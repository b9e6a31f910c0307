// margin_loss.cpp -- how far classes come closer to the targets than by a margin: one kernel on the CPU, whose slopes
// are kept for the gradient; composed on other devices, of squares and with weights.
#include "kernels/margin_loss.h"

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/reduce.h"
#include "ops/scan.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

void check_reduction(const char* op, std::string_view reduction) {
  PYNN_CHECK_KIND(Value, reduction == "mean" || reduction == "sum" || reduction == "none", op, ": ", reduction,
                  " is not a valid value for reduction");
}
Tensor reduced(const Tensor& loss, std::string_view reduction) {
  return reduction == "mean" ? mean(loss) : reduction == "sum" ? sum(loss) : loss;
}

bool has_kernel(const Tensor& x) {
  return x.device().is_cpu() && (x.dtype() == DType::Float32 || x.dtype() == DType::Float64);
}

// The loss of each row of x [rows, classes].
Tensor by_kernel(const char* op, const Tensor& x_in, const Tensor& target_in, double margin, bool ends) {
  const Tensor x = contiguous(x_in), target = contiguous(to_dtype(target_in, DType::Int64));
  const bool graph = thread_state.grad_enabled && autograd::needs_graph(x);
  const Tensor loss = empty(DimVector{x.size(0)}, x.dtype(), x.device());
  const Tensor slope = graph ? empty(x.sizes(), x.dtype(), x.device()) : Tensor();
  const bool valid = kernels::margin_loss(x.device(),
                                          {x.data(), x.dtype(), target.data_as<int64_t>(), x.size(0), x.size(1),
                                           target.size(1), margin, loss.data(), graph ? slope.data() : nullptr},
                                          ends);
  PYNN_CHECK(valid, op, ": argument #2 'target' is out of range: not all are classes, from 0 to ", x.size(1) - 1);
  return record(op, loss, inputs(x), save(slope),
                [](const Tensor& g, const Tensor& slope) { return mul(unsqueeze(g, 1), slope); });
}

void check_range(const char* op, const Tensor& target, int64_t low, int64_t classes) {
  PYNN_CHECK(!any_nonzero(logical_or(lt(target, Scalar(low)), ge(target, Scalar(classes)))), op,
             ": argument #2 'target' is out of range: not all are classes, from 0 to ", classes - 1);
}

constexpr int64_t kRow[] = {1}, kLast[] = {1, 2};

Tensor multilabel_composed(const char* op, const Tensor& x, const Tensor& target) {
  check_range(op, target, -1, x.size(1));
  const Tensor given = eq(cumsum(to_dtype(lt(target, 0), DType::Int64), 1), 0), t = clamp(target, Scalar(0), {});
  const Tensor zero = zeros(t.sizes(), t.dtype(), t.device());
  const Tensor is_target = gt(scatter_add(zero, 1, t, to_dtype(given, t.dtype())), 0);
  const Tensor over = relu(1.0 - (unsqueeze(gather(x, 1, t), 2) - unsqueeze(x, 1)));  // [rows, target, class]
  const Tensor counted = logical_and(unsqueeze(given, 2), logical_not(unsqueeze(is_target, 1)));
  return sum(where(counted, over, 0.0), Dims(kLast)) / static_cast<double>(x.size(1));
}

Tensor multi_composed(const char* op, const Tensor& x, const Tensor& t, int64_t p, double margin,
                      const Tensor& weight) {
  check_range(op, t, 0, x.size(1));
  Tensor over = relu(margin - gather(x, 1, t) + x);
  if (p == 2) over = over * over;
  over = where(eq(arange(x.size(1), x.device()), t), 0.0, over);
  if (weight.defined()) over = over * reshape(index_select(weight, 0, flatten(t)), t.sizes());
  return sum(over, Dims(kRow)) / static_cast<double>(x.size(1));
}

}  // namespace

Tensor multilabel_margin_loss(const Tensor& input, const Tensor& target, std::string_view reduction) {
  const char* op = "multilabel_margin_loss";
  check_reduction(op, reduction);
  PYNN_CHECK(input.dim() <= 2 && (!input.dim() || input.size(-1)), op, ": a vector or matrix is required, got ",
             dims_str(input.sizes()));
  PYNN_CHECK(same(target.sizes(), input.sizes()), op, ": inconsistent target size: ", dims_str(target.sizes()),
             " for input of size: ", dims_str(input.sizes()));
  PYNN_CHECK(target.dtype() == DType::Int64, op, ": expected target of dtype int64 (class indices), got ",
             dtype_name(target.dtype()));
  const bool matrix = input.dim() == 2;
  const Tensor x = matrix ? input : reshape(input, DimVector{1, -1});
  const Tensor t = matrix ? target : reshape(target, DimVector{1, -1});
  const Tensor loss = has_kernel(x) ? by_kernel(op, x, t, 1, true) : multilabel_composed(op, x, t);
  return reduced(matrix ? loss : select(loss, 0, 0), reduction);
}

Tensor multi_margin_loss(const Tensor& input, const Tensor& target, int64_t p, double margin, const Tensor& weight,
                         std::string_view reduction) {
  const char* op = "multi_margin_loss";
  check_reduction(op, reduction);
  PYNN_CHECK_KIND(Value, p == 1 || p == 2, op, ": only p == 1 and p == 2 supported, got ", p);
  PYNN_CHECK_KIND(Value, !weight.defined() || weight.dim() == 1, op, ": weight must be one-dimensional");
  PYNN_CHECK(input.dim() <= 2 && (!input.dim() || input.size(-1)), op,
             ": input must be a vector or a matrix of non-empty rows, got ", dims_str(input.sizes()));
  const Tensor x = input.dim() == 2 ? input : reshape(input, DimVector{1, -1});
  PYNN_CHECK(!weight.defined() || weight.size(0) == x.size(1), op, ": inconsistent weight size, expected ", x.size(1),
             " but got ", dims_str(weight.sizes()));
  PYNN_CHECK(target.dim() <= 1 && target.numel() == x.size(0), op,
             ": target tensor should be 1-D with size equal to the number of input samples (batch size). Expected "
             "target size [",
             x.size(0), "], but got ", dims_str(target.sizes()));
  PYNN_CHECK(target.dtype() == DType::Int64, op, ": expected target of dtype int64 (class indices), got ",
             dtype_name(target.dtype()));
  const Tensor t = reshape(target, DimVector{x.size(0), 1});
  const bool simple = p == 1 && !weight.defined() && has_kernel(x);
  const Tensor loss = simple ? by_kernel(op, x, t, margin, false) : multi_composed(op, x, t, p, margin, weight);
  return reduced(target.dim() ? loss : select(loss, 0, 0), reduction);
}

PYNN_OP(multilabel_margin_loss, "_nn.multilabel_margin_loss(Tensor input, Tensor target, str reduction) -> Tensor",
        "Same as torch.nn.functional.multilabel_margin_loss.");
PYNN_OP(multi_margin_loss,
        "_nn.multi_margin_loss(Tensor input, Tensor target, int p, float margin, Tensor? weight, str reduction) -> "
        "Tensor",
        "Same as torch.nn.functional.multi_margin_loss.");

}  // namespace pynn::ops
