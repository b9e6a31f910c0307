// rotate.cpp -- mirrored and turned by quarter turns.
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/creation.h"
#include "ops/scan.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

Tensor flip_one(const Tensor& x, int64_t dim) {
  const int64_t dims[] = {dim};
  return flip_dims(x, dims);
}
Tensor fliplr(const Tensor& x) {
  PYNN_CHECK(x.dim() >= 2, "fliplr: Input must be >= 2-d, got ", x.dim(), "-d");
  return flip_one(x, 1);
}
Tensor flipud(const Tensor& x) {
  PYNN_CHECK(x.dim() >= 1, "flipud: Input must be >= 1-d, got ", x.dim(), "-d");
  return flip_one(x, 0);
}

// k quarter turns from dims[0] towards dims[1].
Tensor rot90(const Tensor& x, int64_t k, Dims dims) {
  PYNN_CHECK(dims.size() == 2, "rot90: expected total rotation dims == 2, but got dims = ", dims.size());
  PYNN_CHECK(x.dim() >= 2, "rot90: expected total dims >= 2, but got total dims = ", x.dim());
  PYNN_CHECK(dims[0] != dims[1] && std::abs(dims[0] - dims[1]) != x.dim(),
             "rot90: expected rotation dims to be different, but got dim0 = ", dims[0], " and dim1 = ", dims[1]);
  const int64_t a = wrap_dim("rot90", dims[0], x), b = wrap_dim("rot90", dims[1], x);
  switch (((k % 4) + 4) % 4) {
    case 1:
      return transpose(flip_one(x, b), a, b);
    case 2: {
      const int64_t both[] = {a, b};
      return flip_dims(x, both);
    }
    case 3:
      return transpose(flip_one(x, a), a, b);
    default:
      return clone_contiguous(x);
  }
}

}  // namespace

PYNN_OP(fliplr, "fliplr(Tensor input) -> Tensor", "Columns in reverse order. Same as torch.fliplr.");
PYNN_OP(flipud, "flipud(Tensor input) -> Tensor", "Rows in reverse order. Same as torch.flipud.");
PYNN_OP(rot90, "rot90(Tensor input, int k=1, int[] dims=[0, 1]) -> Tensor",
        "Turned by k quarter turns, from the first of two dims towards the second. Same as torch.rot90.");

}  // namespace pynn::ops
