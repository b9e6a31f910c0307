// recurrent_net.h -- whole recurrent nets by the device's library: layers of cells over packed sequences, with no
// dropout. There is no CPU form: ops/recurrent.cpp composes the same of steps.
#pragma once
#include <cstdint>
#include <vector>

#include "core/dtype.h"
#include "kernels/recurrent.h"
#include "kernels/stub.h"

namespace pynn {

struct NetShape {
  RecurrentCell cell;
  DType dtype;
  bool biases, bidirectional;
  int64_t input, hidden;  // features
  int64_t out;            // features of h: `hidden`, or what the LSTM projects it to
  int64_t layers;
  const int64_t* batch_sizes;  // [steps], all above 0, none above the one before
  int64_t steps;
  bool tf32;  // whether float32 products may be rounded; recurrent_net_space sets it
};

// What the library needs. The parameters lie in one block: parameter k of cell i, in the order w_ih, w_hh, b_ih, b_hh,
// w_hr of those that there are, begins at `places[i * parameters of a cell + k]`.
struct NetSpace {
  std::vector<int64_t> places;  // in elements; none if the library has no way to do this
  int64_t weights;              // elements of the block
  size_t reserve;               // bytes that a training's forward leaves for its backward
};
PYNN_CUDA_ONLY_KERNEL(NetSpace, recurrent_net_space, (NetShape & shape));

struct NetArgs {
  const void *x, *hx, *cx;  // [rows, input], [cells, batch, out], [cells, batch, hidden] (LSTM only)
  void *y, *hy, *cy;        // [rows, directions * out], and as hx and cx
  const void* weights;
  void* reserve;
  // backward; each gradient may be null: nothing came, or none is wanted (but dx)
  const void *dy, *dhy, *dcy;  // dy is never null
  void *dx, *dhx, *dcx;
  void* dweights;  // zeros before
};
PYNN_CUDA_ONLY_KERNEL(void, recurrent_net_forward, (const NetShape& shape, bool train, const NetArgs& args));
PYNN_CUDA_ONLY_KERNEL(void, recurrent_net_backward, (const NetShape& shape, const NetArgs& args));  // uses up reserve

}  // namespace pynn
