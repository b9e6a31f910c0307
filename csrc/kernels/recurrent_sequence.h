// recurrent_sequence.h -- all steps of one direction of a recurrent layer on the CPU; formulas in recurrent.h, and
//
//   RNN    h' = tanh(x + h), or relu of it
//
// Rows are packed: `steps` steps, of which step t has sizes[t] rows of the batch, the first ones; sizes do not grow. x
// is the product of all inputs with their weights.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/recurrent.h"
#include "kernels/stub.h"

namespace pynn {

struct SequenceArgs {
  RecurrentCell cell;
  DType dtype;  // Float32 or Float64
  int parts;    // of float32, see GemmArgs
  int64_t n, steps, total;
  const int64_t* sizes;
  bool reverse;      // from the last step to the first
  const void* w_hh;  // [gates n, n], contiguous
  const void* bias;  // [gates n]: all of them but that of the GRU's h_n, or nullptr
  const void* b_hn;  // [n]: GRU only, or nullptr
  const void* h0;    // [batch, n]; contiguous, as all that follows
  const void* c0;    // LSTM only
  // Forward reads x and leaves i f g o, or r z n; RNN: x. [total, gates n]
  void* gates;
  void* hn;     // GRU: h_n [total, n], written by forward
  void* out;    // [total, n]
  void* cells;  // LSTM: [total, n]; nullptr: not kept
  void *h_last, *c_last;
  // Backward; gradients of the results, each nullable.
  const void *dout, *dh_last, *dc_last;
  void* dgates;  // of x
  void* dhn;     // GRU: of h_n with its bias
  void *dh0, *dc0;
};
PYNN_CPU_ONLY_KERNEL(void, recurrent_forward, (const SequenceArgs& args));
PYNN_CPU_ONLY_KERNEL(void, recurrent_backward, (const SequenceArgs& args));

}  // namespace pynn
