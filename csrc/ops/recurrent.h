// recurrent.h -- layers of recurrent cells over packed sequences: what the three ways to compute them share.
#pragma once
#include <vector>

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
// Layer by layer: anywhere, and differentiable as often as wanted.
std::vector<Tensor> recurrent_steps(RecurrentCell cell, const Tensor& x, std::span<const int64_t> sizes, TensorSpan hx,
                                    TensorSpan params, const SequenceOptions& options);
// By the device's library (recurrent_net.cpp); nothing where there is none or where it has no way. Arguments are
// checked by the caller but for the shapes of params.
std::vector<Tensor> recurrent_net(RecurrentCell cell, const Tensor& x, std::span<const int64_t> sizes, TensorSpan hx,
                                  TensorSpan params, const SequenceOptions& options);

namespace recurrent {

using Mode = RecurrentCell;
using Sizes = std::vector<int64_t>;  // rows of each step

struct Weights {
  Tensor w_ih, w_hh, b_ih, b_hh;
  Tensor w_hr;  // the LSTM's projection of h, or undefined
};
struct State {
  Tensor h, c;  // c: LSTM only
};

// One direction of one layer over x [total, in]; `s` goes from the first state to the last. As a graph of the steps:
Tensor layer_of_steps(Mode mode, const Tensor& x, const Sizes& sizes, State& s, const Weights& w, bool reverse);

// As one op, on the CPU (recurrent_sequence.cpp):
bool can_be_whole(Mode mode, const Tensor& x, const Sizes& sizes, const State& s, const Weights& w);
Tensor whole_layer(Mode mode, const Tensor& x, const Sizes& sizes, State& s, const Weights& w, bool reverse);

}  // namespace recurrent
}  // namespace pynn::ops
