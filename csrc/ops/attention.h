// attention.h -- what the files of scaled_dot_product_attention share.
#pragma once
#include "autograd/record.h"
#include "ops/op.h"

namespace pynn::ops {

// Of softmax(scale q k^T + mask) v, in ops: 4-D operands, mask of their dtype or Bool or undefined, drop: the factors
// of dropout, or undefined. dv = (p drop)^T g, ds = scale p (drop (g v^T) - sum), dq = ds k, dk = ds^T q; k and v
// repeated for the heads that share them.
Gradients composite_gradients(const Tensor& g, const Tensor& q, const Tensor& k, const Tensor& v, double scale,
                              bool causal, const Tensor& mask = kUndefined, const Tensor& drop = kUndefined);
// A bool mask as what is added: 0 or -inf.
Tensor additive_mask(const Tensor& mask, DType dtype);

// On the CPU, without the matrix of scores (attention_tiles.cpp).
bool can_tile(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask);
Tensor tiled_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double dropout_p,
                       double scale, bool causal);
// On CUDA likewise (attention_fused.cpp), for up to 4 dims, which broadcast; undefined where tiles do not serve.
Tensor fused_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double dropout_p,
                       double scale, bool causal, bool enable_gqa);

}  // namespace pynn::ops
