// attention_tiles.h -- attention on the CPU without the matrix of scores: out = dropout(softmax(scale q k^T + mask)) v
// by tiles of queries and keys, each row's maximum and sum kept as the tiles go by. The backward computes the tiles
// anew.
//
//   q, out [batch, heads, rows, size | v_size]   k, v [batch, kv_heads, columns, size | v_size]; heads of q in groups,
//   one for each head of k and v. A row of which everything is masked gives zeros and has no gradient.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

struct TiledAttentionArgs {
  struct Operand {
    void* data;
    int64_t batch, head, row;  // strides in elements; the last dim is contiguous
  };
  Operand q, k, v, out;
  void* lse;    // [batch, heads, rows]: log2 of the sum of 2^score, +inf for a row without anything
  DType dtype;  // of q, k, v, out and their gradients; all else is in float where it is a half type
  int parts;    // of float32, see GemmArgs
  int64_t batch, heads, kv_heads, rows, columns, size, v_size;
  double scale;
  bool causal;       // row r sees columns 0 to r only
  const void* mask;  // nullptr: none; Bool (false hides) or of dtype (added)
  bool mask_is_bool;
  int64_t mask_batch, mask_head, mask_row, mask_column;  // strides in elements, 0 where broadcast; the column's 0 or 1
  double dropout;  // probability; element (row of [batch, heads, rows], column) of a stream that `seed` names
  uint64_t seed;
  Operand dout, dq, dk, dv;  // backward; data of dq, dk and dv: written, not added to
};
// Whether the forward takes `rows` queries of the type; the backward, if that takes any number.
PYNN_CPU_ONLY_KERNEL(bool, tiled_attention_takes, (DType dtype, int64_t rows));
PYNN_CPU_ONLY_KERNEL(void, tiled_attention_forward, (const TiledAttentionArgs& args));
PYNN_CPU_ONLY_KERNEL(void, tiled_attention_backward, (const TiledAttentionArgs& args));

// What the weights are multiplied by: 0 or 1 / (1 - p), rows x columns of `dtype`, contiguous.
PYNN_CPU_ONLY_KERNEL(void, attention_dropout,
                     (void* out, DType dtype, int64_t rows, int64_t columns, double p, uint64_t seed));

}  // namespace pynn
