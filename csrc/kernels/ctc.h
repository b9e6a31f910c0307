// ctc.h -- connectionist temporal classification, Graves et al. 2006: the negative log of the sum of the probabilities
// of all paths through log_probs [time, batch, classes] that collapse to the target, and its gradient.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct CtcArgs {
  const void* log_probs;  // contiguous
  DType dtype;            // Float32 or Float64
  int64_t time, batch, classes, blank;
  const int64_t* targets;         // all, at the offsets below
  const int64_t* target_offsets;  // [batch]
  const int64_t *input_lengths, *target_lengths;
  int64_t longest_target;
  void* loss;  // [batch]; infinite where the target does not fit
  // backward; loss is read
  const void* dloss;  // [batch]
  void* dlog_probs;   // zeros before; as log_probs
  bool zero_infinity;
};
PYNN_KERNEL(void, ctc_forward, (const CtcArgs& args));
PYNN_KERNEL(void, ctc_backward, (const CtcArgs& args));

}  // namespace pynn
