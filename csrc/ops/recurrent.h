// recurrent.h -- what the files of recurrent layers share.
#pragma once
#include <vector>

#include "ops/op.h"

namespace pynn::ops::recurrent {

enum class Mode { Tanh, Relu, Lstm, Gru };
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

}  // namespace pynn::ops::recurrent
