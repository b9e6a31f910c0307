// ctc.cpp -- connectionist temporal classification, one loss for each sequence of the batch.
#include "kernels/ctc.h"

#include <algorithm>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/op.h"
#include "ops/ternary.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

Tensor lengths_of(const Tensor& t, int64_t batch, int64_t most, const char* what) {
  PYNN_CHECK(t.dim() == 1 && t.size(0) == batch, "ctc_loss: ", what, " must be of size batch_size, got ",
             dims_str(t.sizes()), " for ", batch);
  const Tensor out = contiguous(to_dtype(on_host(t), DType::Int64));
  for (int64_t i = 0; i < batch; ++i)
    PYNN_CHECK(out.data_as<int64_t>()[i] >= 0 && out.data_as<int64_t>()[i] <= most, "ctc_loss: ", what,
               " must be from 0 to ", most, ", got ", out.data_as<int64_t>()[i], " for sample ", i);
  return out;
}

CtcArgs arguments(const Tensor& x, const Tensor& targets, const Tensor& offsets, const Tensor& input_lengths,
                  const Tensor& target_lengths, int64_t longest, int64_t blank, const Tensor& loss) {
  CtcArgs a{};
  a.log_probs = x.data(), a.dtype = x.dtype();
  a.time = x.size(0), a.batch = x.size(1), a.classes = x.size(2), a.blank = blank;
  a.targets = targets.data_as<int64_t>(), a.target_offsets = offsets.data_as<int64_t>();
  a.input_lengths = input_lengths.data_as<int64_t>(), a.target_lengths = target_lengths.data_as<int64_t>();
  a.longest_target = longest;
  a.loss = loss.data();
  return a;
}

// log_probs [time, batch, classes]; targets [batch, longest], or [sum of lengths] behind each other.
Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets_in, const Tensor& input_lengths_in,
                const Tensor& target_lengths_in, int64_t blank, bool zero_infinity) {
  PYNN_CHECK(log_probs.dim() == 3, "ctc_loss: log_probs must be 3-D, got ", dims_str(log_probs.sizes()));
  PYNN_CHECK(log_probs.dtype() == DType::Float32 || log_probs.dtype() == DType::Float64,
             "ctc_loss: log_probs must be float32 or float64, got ", dtype_name(log_probs.dtype()));
  PYNN_CHECK(targets_in.dim() == 1 || targets_in.dim() == 2, "ctc_loss: targets must be 1-D or 2-D, got ",
             dims_str(targets_in.sizes()));
  const int64_t batch = log_probs.size(1), classes = log_probs.size(2);
  PYNN_CHECK(blank >= 0 && blank < classes, "ctc_loss: blank must be in label range, got ", blank, " for ", classes,
             " classes");
  const bool joined = targets_in.dim() == 1;
  PYNN_CHECK(joined || targets_in.size(0) == batch, "ctc_loss: targets must hold one row per sample, got ",
             dims_str(targets_in.sizes()), " for ", batch);
  const Tensor x = contiguous(log_probs), targets = contiguous(to_dtype(targets_in, DType::Int64));
  // Lengths and labels are checked on the host; the kernels read all of them where x is.
  const Tensor labels = on_host(targets);
  Tensor input_lengths = lengths_of(input_lengths_in, batch, x.size(0), "input_lengths");
  Tensor target_lengths = lengths_of(target_lengths_in, batch, targets.size(-1), "target_lengths");
  Tensor offsets = empty(DimVector{batch}, DType::Int64);
  int64_t total = 0, longest = 0;
  for (int64_t i = 0; i < batch; ++i) {
    const int64_t length = target_lengths.data_as<int64_t>()[i];
    const int64_t at = joined ? total : i * targets.size(1);
    offsets.data_as<int64_t>()[i] = at;
    total += length;
    longest = std::max(longest, length);
    PYNN_CHECK(!joined || total <= targets.numel(),
               "ctc_loss: targets must hold the sum of target_lengths labels, got ", targets.numel());
    for (int64_t k = 0; k < length; ++k) {
      const int64_t label = labels.data_as<int64_t>()[at + k];
      PYNN_CHECK(label >= 0 && label < classes, "ctc_loss: targets must be in label range, got ", label, " for ",
                 classes, " classes");
    }
  }
  PYNN_CHECK(!joined || total == targets.numel(), "ctc_loss: target_lengths must add up to the size of targets, got ",
             total, " and ", targets.numel());
  for (Tensor* t : {&input_lengths, &target_lengths, &offsets}) *t = to_device(*t, x.device());
  const Tensor raw = empty(DimVector{batch}, x.dtype(), x.device()), on_x = to_device(targets, x.device());
  if (batch)
    kernels::ctc_forward(x.device(), arguments(x, on_x, offsets, input_lengths, target_lengths, longest, blank, raw));
  Tensor loss = raw;
  if (zero_infinity) {
    GradMode off(false);
    loss = where(isinf(raw), 0.0, raw);
  }
  const Tensor kept = zero_infinity ? raw : Tensor();
  return record(
      "ctc_loss", loss, inputs(x), save(x, on_x, offsets, input_lengths, target_lengths, longest, blank, kept),
      [](const Tensor& g, const Tensor& x, const Tensor& targets, const Tensor& offsets, const Tensor& input_lengths,
         const Tensor& target_lengths, int64_t longest, int64_t blank, const Tensor& raw) {
        PYNN_CHECK(!thread_state.grad_enabled || !(g.requires_grad() || x.requires_grad()),
                   "ctc_loss: derivative of the gradient is not implemented");
        const Tensor dloss = contiguous(g);
        Tensor dx = zeros(x.sizes(), x.dtype(), x.device());
        CtcArgs a =
            arguments(x, targets, offsets, input_lengths, target_lengths, longest, blank, raw.defined() ? raw : dloss);
        a.dloss = dloss.data(), a.dlog_probs = dx.data();
        a.zero_infinity = raw.defined();
        if (x.numel()) kernels::ctc_backward(x.device(), a);
        return dx;
      });
}

}  // namespace

PYNN_OP(ctc_loss,
        "_nn.ctc_loss(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank=0, bool "
        "zero_infinity=False) -> Tensor",
        "The CTC loss of each sequence. Same as torch.nn.functional.ctc_loss with reduction='none'.", kAnyDevice);

}  // namespace pynn::ops
