// recurrent.h -- the gates of one step of an LSTM or a GRU: rows [rows, n], everything contiguous and of one dtype.
//
//   LSTM   i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of the four parts of x + h;  c' = f c + i g;  h' = o tanh(c')
//   GRU    r, z = sigmoid of the first two parts of x + h;  n = tanh(x_n + r h_n);  h' = n + z (h0 - n)
//
// x and h are the products of the step's input and of the state with their weights, biases included.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

enum class RecurrentCell : uint8_t { Tanh, Relu, Lstm, Gru };

struct GatesArgs {
  const void *x, *h;  // [rows, 4n] or [rows, 3n]
  const void* state;  // [rows, n]: c of the LSTM, h0 of the GRU
  void* gates;        // [rows, 4n]: i f g o, or r z n h_n; forward writes it, backward reads it
  void* out;          // [rows, n]: h'
  void* cell;         // [rows, n]: c'; LSTM only
  // backward
  const void *dout, *dcell;  // nullable, not both
  void *dx, *dh;             // as x and h; the LSTM's are the same and dh is not used
  void* dstate;
  DType dtype;
  int64_t rows, n;
};
PYNN_KERNEL(void, lstm_gates_forward, (const GatesArgs& args));
PYNN_KERNEL(void, lstm_gates_backward, (const GatesArgs& args));
PYNN_KERNEL(void, gru_gates_forward, (const GatesArgs& args));
PYNN_KERNEL(void, gru_gates_backward, (const GatesArgs& args));

}  // namespace pynn
