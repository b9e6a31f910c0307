// attention.h -- y = softmax(scale x + mask) along the last dim of contiguous scores x [..., rows, n].
//
// A row of which everything is masked gives zeros, not NaN.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "core/limits.h"
#include "kernels/stub.h"
#ifndef PYNN_ISA
#include "core/random.h"
#endif

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

#ifndef PYNN_ISA
// What is added to the scores; bool: 0 where true, -inf elsewhere. Strides in elements.
struct AttentionMask {
  const void* data = nullptr;
  DType dtype{};  // Bool, Float32 or that of the operands
  int64_t batch = 0, head = 0, row = 0, column = 0;
  bool pieces = false;  // its rows are whole pieces of 16 bytes
};

// The whole of attention by tiles that never leave the chip, on CUDA alone, where `fused` says so:
// out = dropout(softmax(scale q k^T + mask)) v. q [batch, heads, rows, size], k and v [batch, kv_heads, columns, size],
// each with strides of its first three dims in elements, the last dim contiguous.
struct FusedAttentionArgs {
  struct Operand {
    void* data;
    int64_t batch, head, row;  // strides
  };
  Operand q, k, v, out;
  // Kept for the backward: log(sum(exp(scores))) [batch, heads, rows] where plain(), else [batch, heads, rows, 2]: the
  // largest score and 1 / sum(exp(scores - largest)); 0 and 0 for a row of which nothing is seen.
  float* lse;
  DType dtype;  // Float16, BFloat16 or Float32
  int64_t batch, heads, kv_heads, rows, columns, size;
  double scale;
  bool causal;               // row r sees columns 0 to r only
  Operand dout, dq, dk, dv;  // backward; dk and dv are those of k's and v's heads
  AttentionMask mask;
  uint32_t drop_below;  // 2^16 times the probability of dropout; 0: none
  float kept_scale;     // 1 / (1 - probability)
  Philox philox;        // counters() of them

  bool plain() const { return dtype != DType::Float32 && !mask.data && !drop_below && scale > 0; }
  int64_t counters() const { return batch * heads * ((rows + 15) / 16) * ((columns + 15) / 16) * 32; }
};
constexpr int64_t kMostFusedSize = 128;  // of the last dim, whose bytes are a multiple of 16; rows begin at such

PYNN_CUDA_ONLY_KERNEL(void, fused_attention_forward, (const FusedAttentionArgs& args));
PYNN_CUDA_ONLY_KERNEL(void, fused_attention_backward, (const FusedAttentionArgs& args));
// to [batch, heads, rows, columns] of Float32: what dropout multiplies by, 0 or kept_scale.
PYNN_CUDA_ONLY_KERNEL(void, fused_attention_dropout, (const FusedAttentionArgs& args, float* to));
#endif

}  // namespace pynn
