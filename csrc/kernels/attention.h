// attention.h -- y = softmax(scale x + mask) along the last dim of contiguous scores x [..., rows, n].
//
// A row of which everything is masked gives zeros, not NaN.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "core/limits.h"
#include "kernels/stub.h"

namespace pynn {

struct MaskedSoftmaxArgs {
  const void* x;
  void* y;
  const void* mask;        // of x's dtype, added; nullptr: none
  DType dtype;             // Float32 or Float64
  int64_t count, rows, n;  // matrices, rows of each, columns
  double scale;
  bool causal;  // row r sees columns 0 to r only
  // The mask's strides in elements, 0 where it is broadcast; the first `dims` are those of the matrices' places.
  int dims;
  int64_t sizes[kMaxDims], strides[kMaxDims], row_stride, column_stride;
};
PYNN_KERNEL(void, masked_softmax, (const MaskedSoftmaxArgs& args));

// The whole of attention by tiles that never leave the chip, without mask or dropout; on CUDA alone, where `fused` says
// so. q [batch, heads, rows, size], k and v [batch, kv_heads, columns, size], each with strides of its first three dims
// in elements, the last dim contiguous. lse [batch, heads, rows]: log(sum(exp(scale q k^T))), kept for the backward.
struct FusedAttentionArgs {
  struct Operand {
    void* data;
    int64_t batch, head, row;  // strides
  };
  Operand q, k, v, out;
  float* lse;
  DType dtype;  // Float16 or BFloat16
  int64_t batch, heads, kv_heads, rows, columns, size;
  double scale;
  bool causal;               // row r sees columns 0 to r only
  Operand dout, dq, dk, dv;  // backward; dk and dv are those of k's and v's heads
};
constexpr int64_t kMostFusedSize = 128;  // of the last dim, a multiple of 8; rows begin at multiples of 16 bytes

#ifndef PYNN_ISA
namespace cuda {
void fused_attention_forward(const FusedAttentionArgs& args);
void fused_attention_backward(const FusedAttentionArgs& args);
}  // namespace cuda
namespace kernels {
inline constinit Stub<void(const FusedAttentionArgs&)> fused_attention_forward{"fused_attention_forward", {}};
inline constinit Stub<void(const FusedAttentionArgs&)> fused_attention_backward{"fused_attention_backward", {}};
}  // namespace kernels
#endif

}  // namespace pynn
