// embedding.cpp -- rows of a table by index; the gradient adds rows up, deterministically.
#include "kernels/indexing.h"

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/reduce.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

Tensor embedding(const Tensor& weight, const Tensor& indices, int64_t padding_idx, bool by_frequency);

// dw[i] = sum of the rows of g whose index is i (divided by how many there are), 0 for padding_idx.
Tensor embedding_backward(const Tensor& g_in, const Tensor& index, int64_t rows, int64_t padding_idx,
                          bool by_frequency) {
  const int64_t width = g_in.size(-1);
  const Tensor g = contiguous(reshape(g_in, DimVector{index.numel(), width}));
  Tensor dw = zeros(DimVector{rows, width}, g.dtype(), g.device());
  Tensor source = g;
  if (by_frequency) {
    const Tensor each = ones(DimVector{index.numel()}, g.dtype(), g.device());
    Tensor count = index_add(zeros(DimVector{rows}, g.dtype(), g.device()), 0, index, each);
    count = reshape(index_select(count, 0, index), DimVector{index.numel(), 1});  // of constants: not recorded
    source = contiguous(div(g, count));
  }
  RowsArgs a{};
  a.y = dw.data(), a.x = source.data(), a.index = index.data_as<int64_t>();
  a.nindex = index.numel(), a.nrows = rows, a.row = width;
  a.dtype = g.dtype();
  a.wrap = false;
  a.skip = padding_idx;
  a.op = "embedding_backward";
  if (g.numel()) kernels::rows_add(g.device(), a);
  return record("embedding_backward", std::move(dw), inputs(source),
                save(index, padding_idx, DimVector(source.sizes())),
                [](const Tensor& gg, const Tensor& index, int64_t padding_idx, const DimVector& sizes) {
                  const Tensor rows = reshape(embedding(gg, index, -1, false), sizes);
                  return padding_idx < 0 ? rows : where(unsqueeze(ne(index, Scalar(padding_idx)), 1), rows, 0.0);
                });
}

Tensor embedding(const Tensor& weight, const Tensor& indices, int64_t padding_idx, bool by_frequency) {
  PYNN_CHECK(weight.dim() == 2, "embedding: 'weight' must be 2-D, got shape ", dims_str(weight.sizes()));
  PYNN_CHECK(indices.dtype() == DType::Int64 || indices.dtype() == DType::Int32,
             "embedding: Expected tensor for argument 'indices' to have one of the following scalar types: Long, Int "
             "(int64, int32); but got ",
             dtype_name(indices.dtype()), " instead");
  const Tensor w = contiguous(weight);
  const Tensor index = contiguous(to_dtype(reshape(indices, DimVector{-1}), DType::Int64));
  DimVector sizes(indices.sizes());
  sizes.push_back(w.size(1));
  Tensor y = empty(sizes, w.dtype(), w.device());
  RowsArgs a{};
  a.y = y.data(), a.x = w.data(), a.index = index.data_as<int64_t>();
  a.nindex = index.numel(), a.nrows = w.size(0), a.row = w.size(1);
  a.dtype = w.dtype();
  a.skip = -1;
  a.op = "embedding";
  if (index.numel()) {
    const int64_t bad = kernels::rows_gather(w.device(), a);
    PYNN_CHECK_KIND(Index, bad < 0, "embedding: index out of range in self, got ",
                    bad < 0 ? 0 : index.data_as<int64_t>()[bad], " for ", w.size(0), " rows");
  }
  return record("embedding", std::move(y), inputs(w), save(index, w.size(0), padding_idx, by_frequency),
                [](const Tensor& g, const Tensor& index, int64_t rows, int64_t padding_idx, bool by_frequency) {
                  return embedding_backward(g, index, rows, padding_idx, by_frequency);
                });
}

}  // namespace

PYNN_OP(embedding,
        "_nn.embedding(Tensor weight, Tensor indices, int padding_idx=-1, bool scale_grad_by_freq=False) -> Tensor",
        "weight[indices]; the row padding_idx gets no gradient. Same as torch.nn.functional.embedding.");

}  // namespace pynn::ops
