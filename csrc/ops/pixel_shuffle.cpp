// pixel_shuffle.cpp -- channels into space and back, and channels among each other: views and one copy.
#include "ops/op.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

void check(const char* op, const char* name, const Tensor& x, int64_t factor) {
  PYNN_CHECK(x.dim() >= 3, op, ": expects input to have at least 3 dimensions, but got ", dims_str(x.sizes()));
  PYNN_CHECK(factor > 0, op, ": expects a positive ", name, ", but got ", factor);
  PYNN_CHECK(factor < (1 << 20), op, ": ", name, " is too large, got ",
             factor);  // so that its square times a size fits
}

// The dims of x before the last three, and then `more`.
DimVector with_lead(const Tensor& x, std::initializer_list<int64_t> more) {
  DimVector d(x.sizes().first(static_cast<size_t>(x.dim() - 3)));
  for (int64_t n : more) d.push_back(n);
  return d;
}
DimVector permutation(const Tensor& x, std::initializer_list<int64_t> order) {
  DimVector d;
  for (int64_t i = 0; i < x.dim() - 3; ++i) d.push_back(i);
  for (int64_t i : order) d.push_back(x.dim() - 3 + i);
  return d;
}

Tensor pixel_shuffle(const Tensor& x, int64_t r) {
  check("pixel_shuffle", "upscale_factor", x, r);
  const int64_t c = x.size(-3), h = x.size(-2), w = x.size(-1);
  PYNN_CHECK(c % (r * r) == 0, "pixel_shuffle: the channels must be divisible by the square of upscale_factor, got ", c,
             " and ", r * r, " (input ", dims_str(x.sizes()), ")");
  const Tensor parts = reshape(x, with_lead(x, {c / (r * r), r, r, h, w}));
  return reshape(permute(parts, permutation(x, {0, 3, 1, 4, 2})), with_lead(x, {c / (r * r), h * r, w * r}));
}

Tensor pixel_unshuffle(const Tensor& x, int64_t r) {
  check("pixel_unshuffle", "downscale_factor", x, r);
  const int64_t c = x.size(-3), h = x.size(-2), w = x.size(-1);
  PYNN_CHECK(h % r == 0 && w % r == 0, "pixel_unshuffle: height and width must be divisible by downscale_factor, got ",
             h, ", ", w, " and ", r);
  const Tensor parts = reshape(x, with_lead(x, {c, h / r, r, w / r, r}));
  return reshape(permute(parts, permutation(x, {0, 2, 4, 1, 3})), with_lead(x, {c * r * r, h / r, w / r}));
}

Tensor channel_shuffle(const Tensor& x, int64_t groups) {
  PYNN_CHECK(x.dim() > 2, "channel_shuffle: expects input with > 2 dims, but got input with sizes ",
             dims_str(x.sizes()));
  PYNN_CHECK(groups > 0, "channel_shuffle: the number of groups must be positive, got ", groups);
  const int64_t c = x.size(1);
  PYNN_CHECK(c % groups == 0, "channel_shuffle: the number of channels must be divisible by groups, got ", c, " and ",
             groups);
  DimVector sizes(x.sizes());
  sizes[1] = groups;
  sizes.insert(2, c / groups);
  return reshape(transpose(reshape(x, sizes), 1, 2), x.sizes());
}

}  // namespace

PYNN_OP(pixel_shuffle, "pixel_shuffle(Tensor input, int upscale_factor) -> Tensor",
        "[..., C r^2, H, W] as [..., C, H r, W r]. Shi et al. 2016, arXiv:1609.05158. Same as torch.pixel_shuffle.",
        kFunctionOnly);
PYNN_OP(pixel_unshuffle, "pixel_unshuffle(Tensor input, int downscale_factor) -> Tensor",
        "[..., C, H r, W r] as [..., C r^2, H, W]. Same as torch.pixel_unshuffle.", kFunctionOnly);
PYNN_OP(channel_shuffle, "channel_shuffle(Tensor input, int groups) -> Tensor",
        "Channels (dim 1) of all groups in turn. Zhang et al. 2018, arXiv:1707.01083. Same as torch.channel_shuffle.",
        kFunctionOnly);
PYNN_OP(channel_shuffle, "native_channel_shuffle(Tensor input, int groups) -> Tensor", "Alias of channel_shuffle.",
        kFunctionOnly);

}  // namespace pynn::ops
