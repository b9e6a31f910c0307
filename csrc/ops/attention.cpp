// attention.cpp -- softmax(scale q k^T + mask) v, over batched products and one map for the softmax of the scores; or
// by tiles, in memory linear in the rows: attention_tiles.cpp on the CPU, attention_fused.cpp on CUDA.
#include "kernels/attention.h"

#include <cmath>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/attention.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/matmul.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// softmax(scale x + mask) along the last dim; mask: undefined or broadcast to x. Backward: with h = the gradient of the
// plain softmax, dx = scale h and dmask = h.
Tensor masked_softmax(const Tensor& scores, const Tensor& mask, double scale, bool causal) {
  check_floating("masked_softmax", scores);
  PYNN_CHECK(scores.dim() >= 2, "masked_softmax: scores must have at least 2 dims, got ", dims_str(scores.sizes()));
  PYNN_CHECK(!mask.defined() || mask.dtype() == scores.dtype(), "masked_softmax: the mask must have the scores' dtype");
  const Tensor x = contiguous(scores);
  Tensor y = empty(x.sizes(), x.dtype(), x.device());
  MaskedSoftmaxArgs a{};
  a.x = x.data(), a.y = y.data();
  a.dtype = x.dtype();
  a.rows = x.size(-2), a.n = x.size(-1);
  a.count = x.numel() / std::max<int64_t>(a.rows * a.n, 1);
  a.scale = scale, a.causal = causal;
  if (mask.defined()) {
    // A column stride other than 0 and 1 is not worth a loop of its own.
    const Tensor m = mask.dim() && mask.size(-1) > 1 && mask.stride(-1) != 1 ? contiguous(mask) : mask;
    const DimVector strides = broadcast_strides("masked_softmax", m.sizes(), m.strides(), x.sizes());
    a.mask = m.data();
    a.dims = static_cast<int>(x.dim() - 2);
    for (int d = 0; d < a.dims; ++d) a.sizes[d] = x.size(d), a.strides[d] = strides[static_cast<size_t>(d)];
    a.row_stride = strides[static_cast<size_t>(a.dims)], a.column_stride = strides[static_cast<size_t>(a.dims) + 1];
    if (y.numel() && !y.device().is_meta()) kernels::masked_softmax(y.device(), a);
  } else if (y.numel() && !y.device().is_meta()) {
    kernels::masked_softmax(y.device(), a);
  }
  return record(
      "masked_softmax", y, inputs(x, mask), save(y, scale),
      [](const Tensor& g, const Tensor& y, double scale) { return mul(softmax_backward(g, y, y.dim() - 1), scale); },
      [](const Tensor& g, const Tensor& y, double) { return softmax_backward(g, y, y.dim() - 1); });
}

// Heads of the query in groups, one for each of the key's: [.., groups * k, rows, n] as [.., groups, k * rows, n].
Tensor grouped(const Tensor& x, int64_t groups) {
  DimVector sizes(x.sizes());
  sizes[sizes.size() - 3] = groups;
  sizes[sizes.size() - 2] = x.size(-3) / std::max<int64_t>(groups, 1) * x.size(-2);
  return reshape(x, sizes);
}
Tensor ungrouped(const Tensor& x, int64_t heads, int64_t rows) {
  DimVector sizes(x.sizes());
  sizes[sizes.size() - 3] = heads;
  sizes[sizes.size() - 2] = rows;
  return reshape(x, sizes);
}

}  // namespace

Tensor additive_mask(const Tensor& mask, DType dtype) {
  if (mask.dtype() != DType::Bool) return to_dtype(mask, dtype);
  return where(mask, full({}, 0.0, dtype, mask.device()), Other(-INFINITY));
}

Gradients composite_gradients(const Tensor& g, const Tensor& q, const Tensor& k, const Tensor& v, double scale,
                              bool causal, const Tensor& mask, const Tensor& drop) {
  const int64_t shares = q.size(1) / k.size(1);
  const DType dtype = q.dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
  const auto wide = [&](const Tensor& t) { return to_dtype(t, dtype); };
  const auto repeated = [&](const Tensor& t) {
    if (shares == 1) return wide(t);
    const DimVector sizes{t.size(0), t.size(1), shares, t.size(2), t.size(3)};
    return reshape(expand(unsqueeze(wide(t), 2), sizes), DimVector{t.size(0), q.size(1), t.size(2), t.size(3)});
  };
  const auto gathered = [&](const Tensor& d, const Tensor& t) {
    const int64_t dims[] = {2};
    if (shares == 1) return to_dtype(d, t.dtype());
    return to_dtype(sum(reshape(d, DimVector{t.size(0), t.size(1), shares, t.size(2), t.size(3)}), Dims(dims)),
                    t.dtype());
  };
  const Tensor q32 = wide(q), g32 = wide(g), k32 = repeated(k), v32 = repeated(v);
  const auto dropped = [&](const Tensor& t) { return drop.defined() ? mul(t, drop) : t; };
  const Tensor p = masked_softmax(matmul(q32, transpose(k32, -2, -1)),
                                  mask.defined() ? additive_mask(mask, dtype) : mask, scale, causal);
  const Tensor ds = mul(softmax_backward(dropped(matmul(g32, transpose(v32, -2, -1))), p, 3), scale);
  Gradients out(3);
  out[0] = to_dtype(matmul(ds, k32), q.dtype());
  out[1] = gathered(matmul(transpose(ds, -2, -1), q32), k);
  out[2] = gathered(matmul(transpose(dropped(p), -2, -1), g32), v);
  return out;
}

namespace {

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                                    double dropout_p, bool is_causal, std::optional<double> scale, bool enable_gqa) {
  constexpr const char* op = "scaled_dot_product_attention";
  PYNN_CHECK(q.dtype() == k.dtype() && q.dtype() == v.dtype(), op,
             ": query, key and value must have the same dtype, got ", dtype_name(q.dtype()), ", ",
             dtype_name(k.dtype()), " and ", dtype_name(v.dtype()));
  check_floating(op, q);
  PYNN_CHECK(q.dim() >= 2 && k.dim() >= 2 && v.dim() >= 2, op, ": query, key and value must have at least 2 dims, got ",
             q.dim(), ", ", k.dim(), " and ", v.dim());
  PYNN_CHECK(dropout_p >= 0 && dropout_p <= 1, op, ": dropout probability has to be between 0 and 1, but got ",
             dropout_p);
  const DType dtype = q.dtype();
  PYNN_CHECK(!mask.defined() || mask.dtype() == DType::Bool || mask.dtype() == DType::Float32 || mask.dtype() == dtype,
             op, ": attn_mask must be bool, float32 or of query's dtype, got ", dtype_name(mask.dtype()), " for ",
             dtype_name(dtype));
  const double factor = scale ? *scale : 1 / std::sqrt(static_cast<double>(std::max<int64_t>(q.size(-1), 1)));
  if (Tensor y = fused_attention(q, k, v, mask, dropout_p, factor, is_causal, enable_gqa); y.defined()) return y;
  const bool heads_match = enable_gqa || q.dim() < 3 || k.dim() < 3 || q.size(-3) == k.size(-3);
  if (heads_match && can_tile(q, k, v, mask)) return tiled_attention(q, k, v, mask, dropout_p, factor, is_causal);
  if (dtype == DType::Float16 || dtype == DType::BFloat16) {  // scores in float32
    const auto wide = [](const Tensor& t) { return to_dtype(t, DType::Float32); };
    return to_dtype(scaled_dot_product_attention(wide(q), wide(k), wide(v),
                                                 mask.defined() && mask.dtype() != DType::Bool ? wide(mask) : mask,
                                                 dropout_p, is_causal, scale, enable_gqa),
                    dtype);
  }
  const int64_t heads = q.dim() > 2 ? q.size(-3) : 1, rows = q.size(-2);
  if (enable_gqa) {
    PYNN_CHECK(q.dim() > 2 && k.dim() > 2 && v.dim() > 2, op, ": enable_gqa needs a dim of heads, got ", q.dim(),
               " dims");
    for (const Tensor* t : {&k, &v})
      PYNN_CHECK(t->size(-3) && heads % t->size(-3) == 0, op,
                 ": the number of heads of key and value must divide that of query, got ", t->size(-3), " and ", heads);
  }
  const bool by_key = enable_gqa && k.size(-3) != heads, by_value = enable_gqa && v.size(-3) != heads;
  Tensor scores = matmul(by_key ? grouped(q, k.size(-3)) : q, transpose(k, -2, -1));
  if (by_key) scores = ungrouped(scores, heads, rows);
  const Tensor bias = mask.defined() ? additive_mask(mask, dtype) : mask;
  Tensor weights = masked_softmax(scores, bias, factor, is_causal);
  if (dropout_p > 0) weights = dropout(weights, dropout_p, true);
  const Tensor out = matmul(by_value ? grouped(weights, v.size(-3)) : weights, v);
  return by_value ? ungrouped(out, heads, rows) : out;
}

}  // namespace

PYNN_OP(
    scaled_dot_product_attention,
    "_nn.scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float "
    "dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor",
    "softmax(scale query key^T + mask) value, scale = 1 / sqrt(size of query's last dim) by default. A bool mask is "
    "True where attention is allowed, a float mask is added; is_causal lets row i see columns 0 to i; dropout_p is "
    "applied whenever it is not 0; enable_gqa shares each head of key and value among several of query. Same as "
    "torch.nn.functional.scaled_dot_product_attention.");
PYNN_OP(masked_softmax,
        "_nn.masked_softmax(Tensor scores, Tensor? mask=None, float scale=1.0, bool causal=False) -> Tensor",
        "softmax(scale * scores + mask) along the last dim; rows that are masked throughout give zeros.");

}  // namespace pynn::ops
