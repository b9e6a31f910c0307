// softmax.h -- softmax and log-softmax over the middle dim of a contiguous [outer, n, inner] tensor, with backwards.
//   y = exp(x - max) / sum(exp(x - max));   dx = (dy - sum(dy * y)) * y
//   log: y = x - max - log(sum(exp(x - max)));  dx = dy - exp(y) * sum(dy)
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct SoftmaxArgs {
  void* out;
  const void* a;  // x, or dy
  const void* b;  // y for the backward, else unused
  DType dtype;    // one for all; half types accumulate in float32
  int64_t outer, n, inner;
  bool log;
};
PYNN_KERNEL(void, softmax_forward, (const SoftmaxArgs& args));
PYNN_KERNEL(void, softmax_backward, (const SoftmaxArgs& args));

// Mean or sum or each of the weighted negative log likelihood straight from logits x [outer, classes, inner], rows
// being the outer * inner positions:
//   loss_r = w[t_r] * (logsumexp(x_r) - x_r[t_r]), smoothed by eps as in PyTorch; ignored rows give 0.
// Of log probabilities x, which are logits whose logsumexp is 0:  loss_r = -w[t_r] * x_r[t_r]
// `lse` [2, rows] is kept for the backward: log(sum(exp(x_r - max x_r))), and max x_r. (Their sum would lose digits
// where logits are large.) It is not used of log probabilities.
struct CrossEntropyArgs {
  const void* x;
  DType dtype;             // Float32 or Float64 (half types come converted)
  bool log_probabilities;  // CPU only, as is inner > 1
  const int64_t* target;
  const void* weight;  // [classes] of dtype, or nullptr
  void* lse;
  void* loss;        // forward: [rows]
  void* row_weight;  // forward: w[t_r], 0 where ignored [rows]
  int64_t rows, classes, inner, ignore_index;
  double smoothing;
  void* y;      // mean: sum(loss) / sum(row_weight), one element
  void* total;  // mean: sum(row_weight), one element
  // backward: dx = scale_r * (w-terms), scale_r = grad[r * grad_step], divided by *total where there is
  // one (0 where it is 0)
  void* dx;
  const void* grad;
  int64_t grad_step;
};
// Returns the first row whose target is out of range and not ignored, or -1 (which a device that runs behind always
// does: it tells at the next synchronisation).
PYNN_KERNEL(int64_t, cross_entropy_forward, (const CrossEntropyArgs& args));
PYNN_KERNEL(void, cross_entropy_mean, (const CrossEntropyArgs& args));  // reads loss and row_weight
PYNN_KERNEL(void, cross_entropy_backward, (const CrossEntropyArgs& args));

}  // namespace pynn
