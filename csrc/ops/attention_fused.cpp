// attention_fused.cpp -- scaled_dot_product_attention on CUDA by tiles, in memory linear in the tokens.
#include <algorithm>
#include <cmath>

#include "core/shape.h"
#include "kernels/attention.h"
#include "ops/assign.h"
#include "ops/attention.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/random.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// Rows that begin at multiples of 16 bytes, elements next to each other.
Tensor in_rows(const Tensor& x) {
  bool fits = x.stride(3) == 1 && reinterpret_cast<uintptr_t>(x.data()) % 16 == 0;
  for (int64_t d = 0; d < 3; ++d) fits = fits && x.stride(d) * item_size(x.dtype()) % 16 == 0;
  return fits ? x : contiguous(x);
}
// Heads stay where they are in `like`: mostly between row and element, so that joining them again moves nothing.
Tensor empty_heads(const Tensor& like) {
  if (like.stride(1) >= like.stride(2)) return empty(like.sizes(), like.dtype(), like.device());
  const int64_t heads = like.size(1), rows = like.size(2), n = like.size(3);
  return empty_strided(like.sizes(), DimVector{heads * rows * n, n, heads * n, 1}, like.dtype(), like.device());
}
FusedAttentionArgs::Operand operand(const Tensor& x) { return {x.data(), x.stride(0), x.stride(1), x.stride(2)}; }

struct FusedOptions {
  double scale;
  bool causal;
  double dropout;
  Philox philox;  // where dropout is not 0
};

// All but the results.
FusedAttentionArgs fused_arguments(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                                   const FusedOptions& options) {
  FusedAttentionArgs a{};
  a.q = operand(q), a.k = operand(k), a.v = operand(v);
  a.dtype = q.dtype();
  a.batch = q.size(0), a.heads = q.size(1), a.kv_heads = k.size(1), a.rows = q.size(2), a.columns = k.size(2);
  a.size = q.size(3);
  a.scale = options.scale, a.causal = options.causal;
  if (mask.defined()) {
    const DimVector strides = broadcast_strides("scaled_dot_product_attention", mask.sizes(), mask.strides(),
                                                DimVector{a.batch, a.heads, a.rows, a.columns});
    a.mask = {mask.data(), mask.dtype(), strides[0], strides[1], strides[2], strides[3], false};
    const int64_t bytes = static_cast<int64_t>(item_size(mask.dtype()));
    a.mask.pieces =
        strides[3] == 1 && reinterpret_cast<uintptr_t>(mask.data()) % 16 == 0 && a.columns * bytes % 16 == 0;
    for (size_t d = 0; d < 3; ++d) a.mask.pieces = a.mask.pieces && strides[d] * bytes % 16 == 0;
  }
  a.drop_below = static_cast<uint32_t>(std::min(std::round(options.dropout * 65536), 65535.0));
  a.kept_scale = static_cast<float>(1 / (1 - options.dropout));
  a.philox = options.philox;
  return a;
}

Gradients gradients(const Tensor& g, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                    const FusedOptions& options) {
  Tensor drop;
  if (options.dropout > 0) {
    drop = empty(DimVector{q.size(0), q.size(1), q.size(2), k.size(2)}, DType::Float32, q.device());
    kernels::fused_attention_dropout(q.device(), fused_arguments(q, k, v, mask, options), drop.data_as<float>());
  }
  return composite_gradients(g, q, k, v, options.scale, options.causal, mask, drop);
}

Tensor attend(const Tensor& q_in, const Tensor& k_in, const Tensor& v_in, const Tensor& mask, FusedOptions options) {
  const Tensor q = in_rows(q_in), k = in_rows(k_in), v = in_rows(v_in);
  FusedAttentionArgs a = fused_arguments(q, k, v, mask, options);
  if (options.dropout > 0) a.philox = options.philox = next_philox(nullptr, q.device(), a.counters());
  const Tensor out = empty_heads(q);
  const Tensor lse = empty(DimVector{a.batch, a.heads, a.rows, a.plain() ? 1 : 2}, DType::Float32, q.device());
  a.out = operand(out), a.lse = lse.data_as<float>();
  kernels::fused_attention_forward(q.device(), a);
  return record("scaled_dot_product_attention", out, inputs(q, k, v), save(q, k, v, out, lse, mask, options),
                [](const Grads& grads, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out,
                   const Tensor& lse, const Tensor& mask, const FusedOptions& options) {
                  if (thread_state.grad_enabled) return gradients(grads[0], q, k, v, mask, options);
                  const Tensor g = in_rows(grads[0]);
                  Gradients d(3);
                  d[0] = empty_heads(q), d[1] = empty_heads(k), d[2] = empty_heads(v);
                  FusedAttentionArgs a = fused_arguments(q, k, v, mask, options);
                  a.out = operand(out), a.lse = lse.data_as<float>();
                  a.dout = operand(g), a.dq = operand(d[0]), a.dk = operand(d[1]), a.dv = operand(d[2]);
                  kernels::fused_attention_backward(q.device(), a);
                  return d;
                });
}

}  // namespace

Tensor fused_attention(const Tensor& q_in, const Tensor& k_in, const Tensor& v_in, const Tensor& mask, double dropout_p,
                       double scale, bool causal, bool enable_gqa) {
  const DType dtype = q_in.dtype();
  if (!q_in.device().is_cuda() || dtype == DType::Float64 || dropout_p == 1) return {};
  for (const Tensor* t : {&q_in, &k_in, &v_in})
    if (t->dim() > 4 || !t->numel() || t->size(-1) > kMostFusedSize || !t->device().is_cuda()) return {};
  if (mask.defined() &&
      (mask.dim() > 4 || !mask.device().is_cuda() || (thread_state.grad_enabled && autograd::needs_graph(mask))))
    return {};  // a mask with a gradient needs all of ds
  const auto four = [](Tensor t) {
    while (t.dim() < 4) t = unsqueeze(t, 0);
    return t;
  };
  Tensor q = four(q_in), k = four(k_in), v = four(v_in);
  const int64_t batch = std::max({q.size(0), k.size(0), v.size(0)}), heads = q.size(1), kv_heads = k.size(1);
  for (const Tensor* t : {&q, &k, &v})
    if (t->size(0) != batch && t->size(0) != 1) return {};
  if (kv_heads != v.size(1) || heads % kv_heads || (kv_heads != heads && kv_heads != 1 && !enable_gqa) ||
      q.size(3) != k.size(3) || k.size(2) != v.size(2) || batch > 65535 || heads > 65535)
    return {};
  // One block for few rows of float32 would go over many keys for longer than products take, which share them out.
  if (dtype == DType::Float32 && q.size(2) <= 64 && k.size(2) >= 1024 && batch * heads <= 128) return {};
  // Rows of whole 16 bytes, of one length: more elements, zeros, change no score.
  const int64_t per_piece = 16 / static_cast<int64_t>(item_size(dtype)), result = v.size(3);
  const int64_t size = (std::max(q.size(3), result) + per_piece - 1) / per_piece * per_piece;
  const auto fitting = [&](const Tensor& t) {
    Tensor wide = t;
    if (t.size(3) != size) {
      const Tensor parts[] = {t,
                              zeros(DimVector{t.size(0), t.size(1), t.size(2), size - t.size(3)}, dtype, t.device())};
      wide = cat(parts, 3);
    }
    return t.size(0) == batch ? wide : expand(wide, DimVector{batch, t.size(1), t.size(2), size});
  };
  Tensor y = attend(fitting(q), fitting(k), fitting(v), mask, {scale, causal, dropout_p, {}});
  if (result != size) y = narrow(y, 3, 0, result);
  for (int64_t dims = std::max({q_in.dim(), k_in.dim(), v_in.dim()}); y.dim() > dims;) y = select(y, 0, 0);
  return y;
}

}  // namespace pynn::ops
