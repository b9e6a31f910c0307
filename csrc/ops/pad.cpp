// pad.cpp -- elements added at the ends of dims, or cut off. Reflected, replicated and circular padding is a map of
// positions; its gradient is the transposed map, so that derivatives of any order are these two ops.
#include "kernels/pad.h"

#include "autograd/record.h"
#include "core/memory_format.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/element.h"
#include "ops/indexing.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

enum class PadMode : uint8_t { Constant, Reflect, Replicate, Circular };

// One padded dim: of n elements, numbers below 0 cut off.
struct End {
  int64_t dim, n, left, right;
  bool padded() const { return left != 0 || right != 0; }
  int64_t size() const { return n + left + right; }
  // Circular padding does not bring back what is cut off.
  int64_t first() const { return std::max<int64_t>(-left, 0); }
  int64_t kept() const { return n - first() - std::max<int64_t>(-right, 0); }
};
// pads: (left, right) of the last dim, then of the one before it, and so on.
std::vector<End> ends_of(Dims sizes, Dims pads) {
  std::vector<End> ends;
  for (size_t i = 0; i < pads.size(); i += 2) {
    const size_t dim = sizes.size() - 1 - i / 2;
    ends.push_back({static_cast<int64_t>(dim), sizes[dim], pads[i], pads[i + 1]});
  }
  return ends;
}
DimVector padded_sizes(Dims sizes, const std::vector<End>& ends) {
  DimVector out(sizes);
  for (const End& e : ends) out[e.dim] = e.size();
  return out;
}

// Which of its n elements stands at place i of the padded dim; -1: none of them.
int64_t source(PadMode mode, const End& e, int64_t i) {
  const int64_t at = i - e.left, last = e.n - 1;
  switch (mode) {
    case PadMode::Reflect:
      return last - std::abs(last - std::abs(at));
    case PadMode::Replicate:
      return std::clamp<int64_t>(at, 0, last);
    case PadMode::Circular:
      return e.first() + ((at - e.first()) % e.kept() + e.kept()) % e.kept();
    default:
      return at < 0 || at > last ? -1 : at;
  }
}
// The same of all places, on any device.
Tensor sources(PadMode mode, const End& e, Device device) {
  const Tensor at = sub(arange(e.size(), device), Scalar(e.left));
  const Scalar last(e.n - 1);
  if (mode == PadMode::Replicate) return clamp(at, Scalar(0), last);
  if (mode == PadMode::Reflect) return sub(last, abs(sub(last, abs(at))));
  return add(remainder(sub(at, Scalar(e.first())), Scalar(e.kept())), Scalar(e.first()));
}

// `padded` and `plain` are contiguous in `format`.
void run(const Stub<void(const PadArgs&)>& kernel, PadMode mode, MemoryFormat format, const Tensor& padded,
         const Tensor& plain, Dims pads, const void* value) {
  if (padded.device().is_meta()) return;
  DimVector sizes, its_pads;  // of the dims as they lie in memory
  for (int64_t d : memory_dims(format, plain.dim())) {
    const size_t at = 2 * static_cast<size_t>(plain.dim() - 1 - d);
    sizes.push_back(plain.size(d));
    for (size_t side : {size_t{1}, size_t{0}}) its_pads.push_back(at < pads.size() ? pads[at + side] : 0);
  }
  std::reverse(its_pads.begin(), its_pads.end());
  std::vector<End> ends = ends_of(sizes, its_pads);
  while (ends.size() > 1 && !ends.back().padded()) ends.pop_back();
  PadArgs a{};
  a.planes = 1;
  for (size_t d = 0; d < sizes.size() - ends.size(); ++d) a.planes *= sizes[d];
  while (ends.size() > 1 && !ends[0].padded() && !ends[1].padded()) {  // longer rows
    ends[1].n *= ends[0].n;
    ends.erase(ends.begin());
  }
  const End& e = ends[0];
  std::vector<int64_t> row{0}, column(static_cast<size_t>(e.size()), 0);
  for (size_t k = ends.size(); k-- > 1;) {
    std::vector<int64_t> next;
    next.reserve(row.size() * static_cast<size_t>(ends[k].size()));
    for (const int64_t outer : row)
      for (int64_t i = 0; i < ends[k].size(); ++i) {
        const int64_t inner = source(mode, ends[k], i);
        next.push_back(outer < 0 || inner < 0 ? -1 : outer * ends[k].n + inner);
      }
    row = std::move(next);
  }
  a.padded = padded.data(), a.plain = plain.data();
  a.value = value;
  a.dtype = plain.dtype();
  a.plain_plane = 1;
  for (const End& end : ends) a.plain_plane *= end.n;
  a.plain_cols = e.n, a.cols = e.size();
  a.rows = static_cast<int64_t>(row.size());
  a.begin = std::clamp<int64_t>(e.left, 0, a.cols);
  a.end = std::clamp<int64_t>(e.left + e.n, a.begin, a.cols);
  a.from = e.first();
  for (int64_t c = 0; c < a.begin; ++c) column[c] = source(mode, e, c);
  for (int64_t c = a.end; c < a.cols; ++c) column[c] = source(mode, e, c);
  a.row = row.data(), a.column = column.data();
  kernel(plain.device(), a);
}

Tensor pad_sum(const Tensor& input, Dims sizes, Dims pads, PadMode mode);

Tensor pad_map(const Tensor& input, Dims pads, PadMode mode) {
  const std::vector<End> ends = ends_of(input.sizes(), pads);
  if (input.device().is_cuda()) {
    Tensor y = input;
    for (const End& e : ends)
      if (e.padded()) y = index_select(y, e.dim, sources(mode, e, y.device()));
    return y;
  }
  const MemoryFormat format = mode == PadMode::Circular ? MemoryFormat::Contiguous : suggested_format(input);
  const Tensor x = contiguous(input, format);
  Tensor y = empty(padded_sizes(x.sizes(), ends), x.dtype(), x.device(), format);
  const char unused[16] = {};
  if (y.numel()) run(kernels::pad, mode, format, y, x, pads, unused);
  constexpr const char* names[][3] = {{"reflection_pad1d", "reflection_pad2d", "reflection_pad3d"},
                                      {"replication_pad1d", "replication_pad2d", "replication_pad3d"},
                                      {"circular_pad1d", "circular_pad2d", "circular_pad3d"}};
  return record(names[static_cast<int>(mode) - 1][ends.size() - 1], std::move(y), inputs(x),
                save(x.sizes(), pads, mode),
                [](const Tensor& g, Dims sizes, Dims pads, PadMode mode) { return pad_sum(g, sizes, pads, mode); });
}

// The transposed map; on CUDA autograd makes it of index_select.
Tensor pad_sum(const Tensor& input, Dims sizes, Dims pads, PadMode mode) {
  const MemoryFormat format = suggested_format(input);
  const Tensor g = contiguous(input, format);
  Tensor x = g.numel() ? empty(sizes, g.dtype(), g.device(), format) : zeros(sizes, g.dtype(), g.device());
  if (g.numel()) run(kernels::pad_sum, mode, format, g, x, pads, nullptr);
  return record("pad_backward", std::move(x), inputs(g), save(pads, mode),
                [](const Tensor& g, Dims pads, PadMode mode) { return pad_map(g, pads, mode); });
}

Tensor pad_constant(const Tensor& x, Dims pads, Scalar value) {
  const std::vector<End> ends = ends_of(x.sizes(), pads);
  const Tensor filling = element_tensor("pad", value, x.dtype());
  const MemoryFormat format = suggested_format(x);
  Tensor y = empty(padded_sizes(x.sizes(), ends), x.dtype(), x.device(), format);
  if (x.device().is_cpu() && is_contiguous_in(format, x) && !ends.empty()) {
    if (y.numel()) run(kernels::pad, PadMode::Constant, format, y, x, pads, filling.data());
  } else {
    GradMode off(false);
    copy_data(y, filling);
    Tensor from = x, to = y;
    for (const End& e : ends) {
      from = narrow(from, e.dim, std::min(e.first(), e.n), std::max<int64_t>(e.kept(), 0));
      to = narrow(to, e.dim, std::clamp<int64_t>(e.left, 0, e.size()), std::max<int64_t>(e.kept(), 0));
    }
    copy_data(to, from);
  }
  return record("constant_pad_nd", std::move(y), inputs(x), save(pads), [](const Tensor& g, Dims pads) {
    std::vector<int64_t> back;
    for (int64_t n : pads) back.push_back(-n);
    if (std::any_of(pads.begin(), pads.end(), [](int64_t n) { return n < 0; })) return pad_constant(g, back, 0);
    Tensor inner = g;  // a view does
    for (const End& e : ends_of(g.sizes(), back))
      if (e.padded()) inner = narrow(inner, e.dim, -e.left, e.size());
    return inner;
  });
}

Tensor op_pad(const Tensor& x, Dims pads, std::string_view mode_name, std::optional<Scalar> value) {
  PYNN_CHECK(pads.size() % 2 == 0 && pads.size() <= 2 * static_cast<size_t>(x.dim()),
             "pad: two numbers for each padded dim are required, got ", pads.size(), " numbers for ", x.dim(), " dims");
  constexpr int64_t kFar = int64_t{1} << 60;  // more than any memory holds: empty() refuses it
  for (int64_t n : pads) PYNN_CHECK(std::clamp(n, -kFar, kFar) == n, "pad: the numbers are too large, got ", n);
  const std::vector<End> ends = ends_of(x.sizes(), pads);
  for (const End& e : ends)
    PYNN_CHECK(e.size() >= 0, "pad: the sizes must not get negative, got ", e.left, " + ", e.n, " + ", e.right);
  if (mode_name == "constant") {
    for (const End& e : ends)
      PYNN_CHECK(e.kept() >= 0, "pad: no more can be cut off than there is, got ", e.left, " and ", e.right,
                 " for size ", e.n);
    return pad_constant(x, pads, value.value_or(0));
  }
  const PadMode mode = mode_name == "reflect"     ? PadMode::Reflect
                       : mode_name == "replicate" ? PadMode::Replicate
                       : mode_name == "circular"  ? PadMode::Circular
                                                  : PadMode::Constant;
  PYNN_CHECK_KIND(NotImplemented, mode != PadMode::Constant, "pad: Unrecognised padding mode ", mode_name);
  PYNN_CHECK(!value || value->equals(0), "pad: mode \"", mode_name, "\" doesn't take in value argument");
  const int64_t dims = static_cast<int64_t>(ends.size());
  PYNN_CHECK_KIND(NotImplemented, dims >= 1 && dims <= 3 && (x.dim() == dims + 1 || x.dim() == dims + 2), "pad: mode '",
                  mode_name, "' pads all of the 1 to 3 spatial dims, got ", pads.size(), " numbers for ", x.dim(),
                  " dims");
  if (mode != PadMode::Circular) {
    bool some = x.size(-dims - 1) > 0, any = false;
    for (const End& e : ends) some &= e.n > 0, any |= e.size() > 0;
    PYNN_CHECK(some && any, "pad: mode '", mode_name, "' needs sizes that are not zero (but that of the batch), got ",
               dims_str(x.sizes()), " padded by ", dims_str(pads), " (the input is too small)");
  }
  for (const End& e : ends) {
    const int64_t most = std::max(e.left, e.right);
    PYNN_CHECK(mode != PadMode::Reflect || most < e.n, "pad: reflect needs a padding smaller than the size, got (",
               e.left, ", ", e.right, ") for ", e.n);
    PYNN_CHECK(mode != PadMode::Circular || (most <= e.n && (e.kept() > 0 || e.size() <= 0)),
               "pad: circular wraps around once at most, got (", e.left, ", ", e.right, ") for size ", e.n);
  }
  return pad_map(x, pads, mode);
}

}  // namespace

PYNN_OP(op_pad, "_nn.pad(Tensor input, int[] pad, str mode='constant', Scalar? value=None) -> Tensor",
        R"(Adds elements at the ends of the last dims, or cuts some off where a number is negative. Same as
torch.nn.functional.pad. The modes other than "constant" take (N, C, ...) or (C, ...) and pad all of the one to three
dims behind C.

Args:
    pad: (left, right) of the last dim, then of the one before it, and so on.
    mode: "constant", "reflect", "replicate" or "circular".
    value: what "constant" adds; None is 0.)",
        kFunctionOnly);

}  // namespace pynn::ops
