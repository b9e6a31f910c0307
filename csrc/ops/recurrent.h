// recurrent.h -- layers of recurrent cells over packed sequences, in both ways they are computed.
#pragma once
#include "kernels/recurrent_net.h"
#include "ops/op.h"

namespace pynn::ops {

struct SequenceOptions {
  bool has_biases;
  int64_t num_layers;
  double dropout;
  bool train, bidirectional;
};

// x [rows, features], step after step, sizes[t] of them at step t. Both give {output, h_n, c_n of the LSTM}.
// Of matrix products and gates, step by step: anywhere, and differentiable as often as wanted.
std::vector<Tensor> recurrent_steps(RecurrentCell cell, const Tensor& x, std::span<const int64_t> sizes, TensorSpan hx,
                                    TensorSpan params, const SequenceOptions& options);
// By the device's library; nothing where there is none or where it has no way. Arguments are checked by the caller but
// for the shapes of params.
std::vector<Tensor> recurrent_net(RecurrentCell cell, const Tensor& x, std::span<const int64_t> sizes, TensorSpan hx,
                                  TensorSpan params, const SequenceOptions& options);

}  // namespace pynn::ops
