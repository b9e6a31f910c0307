// attention_tiles.cpp -- scaled_dot_product_attention on the CPU by tiles, in memory linear in the tokens.
#include "kernels/attention_tiles.h"

#include <algorithm>

#include "core/precision.h"
#include "core/shape.h"
#include "ops/attention.h"
#include "ops/creation.h"
#include "ops/random.h"
#include "ops/ternary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

using Operand = TiledAttentionArgs::Operand;

Operand operand(const Tensor& x) { return {x.data(), x.stride(0), x.stride(1), x.stride(2)}; }
DType wide(DType dtype) { return dtype == DType::Float64 ? dtype : DType::Float32; }
Tensor in_rows(const Tensor& x) { return x.stride(3) == 1 || x.size(3) == 1 ? x : contiguous(x); }

// [batch, heads, rows, n] in the order of `like` in memory: heads are mostly between row and element, and joining them
// again then moves nothing.
Tensor empty_heads(const Tensor& like, int64_t rows, int64_t n) {
  const DimVector sizes{like.size(0), like.size(1), rows, n};
  int order[] = {0, 1, 2};
  std::stable_sort(order, order + 3, [&](int a, int b) { return like.stride(a) > like.stride(b); });
  DimVector strides{0, 0, 0, 1};
  int64_t step = n;
  for (int i = 2; i >= 0; --i) {
    strides[static_cast<size_t>(order[i])] = step;
    step *= sizes[static_cast<size_t>(order[i])];
  }
  return empty_strided(sizes, strides, like.dtype(), like.device());
}

TiledAttentionArgs arguments(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, const Tensor& out,
                             const Tensor& lse, double scale, bool causal, double dropout, int64_t seed) {
  TiledAttentionArgs a{};
  a.q = operand(q), a.k = operand(k), a.v = operand(v), a.out = operand(out);
  a.lse = lse.data();
  a.dtype = q.dtype(), a.parts = float32_parts;
  a.batch = q.size(0), a.heads = q.size(1), a.kv_heads = k.size(1), a.rows = q.size(2), a.columns = k.size(2);
  a.size = q.size(3), a.v_size = v.size(3);
  a.scale = scale, a.causal = causal;
  a.dropout = dropout, a.seed = static_cast<uint64_t>(seed);
  if (mask.defined()) {
    const DimVector s = broadcast_strides("scaled_dot_product_attention", mask.sizes(), mask.strides(),
                                          DimVector{a.batch, a.heads, a.rows, a.columns});
    a.mask = mask.data(), a.mask_is_bool = mask.dtype() == DType::Bool;
    a.mask_batch = s[0], a.mask_head = s[1], a.mask_row = s[2], a.mask_column = s[3];
  }
  return a;
}

Tensor dropout_factors(const Tensor& q, const Tensor& k, double p, int64_t seed) {
  const DType dtype = wide(q.dtype());
  const Tensor out = empty(DimVector{q.size(0), q.size(1), q.size(2), k.size(2)}, dtype, q.device());
  kernels::attention_dropout(q.device(), out.data(), dtype, q.size(0) * q.size(1) * q.size(2), k.size(2), p,
                             static_cast<uint64_t>(seed));
  return out;
}

Gradients gradients(const Tensor& grad, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                    const Tensor& out, const Tensor& lse, double scale, bool causal, double p, int64_t seed) {
  if (thread_state.grad_enabled)
    return composite_gradients(grad, q, k, v, scale, causal, mask, p > 0 ? dropout_factors(q, k, p, seed) : kUndefined);
  if (!kernels::tiled_attention_takes(q.device(), q.dtype(), INT64_MAX)) {  // a half type: gradients by way of float
    const auto as_float = [](const Tensor& t) { return to_dtype(t, DType::Float32); };
    Gradients d = gradients(as_float(grad), as_float(q), as_float(k), as_float(v), mask, as_float(out), lse, scale,
                            causal, p, seed);
    for (Tensor& t : d) t = to_dtype(t, q.dtype());
    return d;
  }
  const Tensor g = in_rows(grad);
  Gradients d(3);
  d[0] = empty_heads(q, q.size(2), q.size(3));
  d[1] = empty_heads(k, k.size(2), k.size(3));
  d[2] = empty_heads(v, v.size(2), v.size(3));
  TiledAttentionArgs a = arguments(q, k, v, mask, out, lse, scale, causal, p, seed);
  a.dout = operand(g), a.dq = operand(d[0]), a.dk = operand(d[1]), a.dv = operand(d[2]);
  kernels::tiled_attention_backward(q.device(), a);
  return d;
}

Tensor attend(const Tensor& q_in, const Tensor& k_in, const Tensor& v_in, const Tensor& mask_in, double p, double scale,
              bool causal) {
  const Tensor q = in_rows(q_in), k = in_rows(k_in), v = in_rows(v_in);
  Tensor mask = mask_in;
  if (mask.defined()) {
    if (mask.dtype() != DType::Bool) mask = to_dtype(mask, wide(q.dtype()));
    if (mask.dim() && mask.size(-1) > 1 && mask.stride(-1) != 1) mask = contiguous(mask);
  }
  int64_t seed = 0;
  if (p > 0) {
    CpuGenerator& generator = cpu_generator(nullptr);
    const std::lock_guard lock(generator.mutex);
    seed = static_cast<int64_t>(generator.random64());
  }
  Tensor out = empty_heads(q, q.size(2), v.size(3));
  const Tensor lse = empty(q.sizes().first(3), wide(q.dtype()), q.device());
  kernels::tiled_attention_forward(q.device(), arguments(q, k, v, mask, out, lse, scale, causal, p, seed));
  return record("scaled_dot_product_attention", out, inputs(q, k, v),
                save(q, k, v, mask, out, lse, scale, causal, p, seed),
                [](const Grads& g, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                   const Tensor& out, const Tensor& lse, double scale, bool causal, double p,
                   int64_t seed) { return gradients(g[0], q, k, v, mask, out, lse, scale, causal, p, seed); });
}

}  // namespace

bool can_tile(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) {
  const int64_t dims = q.dim();
  if (!q.device().is_cpu()) return false;
  if (dims > 4 || k.dim() != dims || v.dim() != dims || !q.numel() || !k.numel() || !v.numel()) return false;
  if (mask.defined() && (autograd::needs_graph(mask) || mask.dim() > dims || !mask.device().is_cpu())) return false;
  if (q.size(-1) != k.size(-1) || k.size(-2) != v.size(-2)) return false;
  if (dims > 2 && (k.size(-3) != v.size(-3) || q.size(-3) % k.size(-3) != 0)) return false;
  if (dims == 4 && (q.size(0) != k.size(0) || k.size(0) != v.size(0))) return false;
  return kernels::tiled_attention_takes(q.device(), q.dtype(), q.size(-2));
}

Tensor tiled_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double dropout_p,
                       double scale, bool causal) {
  const int64_t dims = q.dim();
  if (dims == 4) return attend(q, k, v, mask, dropout_p, scale, causal);
  const auto lift = [&](const Tensor& x) { return dims == 3 ? unsqueeze(x, 0) : unsqueeze(unsqueeze(x, 0), 0); };
  const Tensor out = attend(lift(q), lift(k), lift(v), mask, dropout_p, scale, causal);
  return dims == 3 ? select(out, 0, 0) : select(select(out, 0, 0), 0, 0);
}

}  // namespace pynn::ops
