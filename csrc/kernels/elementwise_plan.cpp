// elementwise_plan.cpp -- see elementwise_plan.h. Pure arithmetic on sizes and strides.
#include "kernels/elementwise_plan.h"

namespace pynn {
namespace {

int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

// Whether dim a belongs outside of dim b: by the result's strides, then by those of the others, in order.
bool outside(int a, int b, int noperands, const int64_t* const* strides) {
  for (int k = 0; k < noperands; ++k) {
    const int64_t sa = magnitude(strides[k][a]), sb = magnitude(strides[k][b]);
    if (sa != sb && sa != 0 && sb != 0) return sa > sb;
  }
  return a < b;
}

}  // namespace

void plan(MapArgs& args, int ndim, const int64_t* sizes, int noperands, const int64_t* const* strides) {
  args.noperands = noperands;
  args.numel = 1;
  int order[kMaxDims];
  int n = 0;
  for (int d = 0; d < ndim; ++d) {
    args.numel *= sizes[d];
    if (sizes[d] == 1) continue;
    int at = n++;  // insertion sort: stable, and the usual input is sorted already
    for (; at > 0 && outside(d, order[at - 1], noperands, strides); --at) order[at] = order[at - 1];
    order[at] = d;
  }
  int out = 0;  // dims written so far
  for (int i = 0; i < n; ++i) {
    const int d = order[i];
    bool joins = out > 0;
    for (int k = 0; joins && k < noperands; ++k) joins = args.operands[k].strides[out - 1] == strides[k][d] * sizes[d];
    if (joins)
      args.sizes[out - 1] *= sizes[d];
    else
      args.sizes[out++] = sizes[d];
    for (int k = 0; k < noperands; ++k) args.operands[k].strides[out - 1] = strides[k][d];
  }
  args.ndim = out;
}

}  // namespace pynn
