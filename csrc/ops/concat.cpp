// concat.cpp -- cat and stack, split, chunk and unbind.
#include "ops/concat.h"

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/memory_format.h"
#include "core/shape.h"
#include "kernels/concat.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// PyTorch lets empty 1-D tensors of size 0 join anything.
bool is_legacy_empty(const Tensor& t) { return t.dim() == 1 && t.size(0) == 0; }

// That of all tensors, else contiguous.
MemoryFormat common_format(TensorSpan tensors) {
  std::optional<MemoryFormat> all;
  for (const Tensor& t : tensors) {
    if (is_legacy_empty(t)) continue;
    const MemoryFormat format = suggested_format(t);
    if (format == MemoryFormat::Contiguous || all.value_or(format) != format) return MemoryFormat::Contiguous;
    all = format;
  }
  return all.value_or(MemoryFormat::Contiguous);
}

// All parts in one pass, where they lie as they are needed: in y's format.
bool copy_parts(const Tensor& y, MemoryFormat format, int64_t dim, TensorSpan tensors,
                const std::vector<int64_t>& lengths) {
  constexpr int64_t kShort = 8;  // bytes of a row below which a loop over strides is faster
  const bool plain = format == MemoryFormat::Contiguous;
  if (!(y.device().is_cpu() || y.device().is_cuda()) || y.numel() == 0) return false;
  const int64_t bytes = y.stride(dim) * static_cast<int64_t>(item_size(y.dtype()));
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (lengths[i] == 0) continue;
    const bool lies_so = plain ? tensors[i].is_contiguous() : is_contiguous_in(format, tensors[i]);
    if (!lies_so || tensors[i].dtype() != y.dtype()) return false;
    if (y.device().is_cpu() && lengths[i] * bytes <= kShort) return false;
  }
  ConcatArgs a;
  a.n = 0;
  a.y = y.data();
  a.outer = y.numel() / (y.size(dim) * y.stride(dim));
  a.y_row = y.size(dim) * bytes;
  int64_t at = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (lengths[i]) a.parts[a.n++] = {tensors[i].data(), lengths[i] * bytes, at * bytes};
    at += lengths[i];
    if (a.n == kConcatParts || (i + 1 == tensors.size() && a.n)) {
      kernels::concat_parts(y.device(), a);
      a.n = 0;
    }
  }
  return true;
}

}  // namespace

Tensor cat(TensorSpan tensors, int64_t dim) {
  PYNN_CHECK_KIND(Value, !tensors.empty(), "cat: expected a non-empty list of Tensors");
  const Tensor* first = &tensors[0];
  for (const Tensor& t : tensors)
    if (!is_legacy_empty(t)) {
      first = &t;
      break;
    }
  PYNN_CHECK(first->dim() > 0, "cat: zero-dimensional tensor (at position 0) cannot be concatenated");
  dim = wrap_dim("cat", dim, *first);
  DimVector sizes(first->sizes());
  sizes[dim] = 0;
  DType type = tensors[0].dtype();
  std::vector<int64_t> lengths;
  lengths.reserve(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i];
    if (t.dtype() != type) type = promote(type, t.dtype());
    PYNN_CHECK(t.dim() > 0, "cat: zero-dimensional tensor (at position ", i, ") cannot be concatenated");
    if (is_legacy_empty(t)) {
      lengths.push_back(0);
      continue;
    }
    PYNN_CHECK(t.dim() == first->dim(), "cat: Tensors must have same number of dimensions: got ", first->dim(), " and ",
               t.dim());
    PYNN_CHECK(t.device() == first->device(), "cat: expected all tensors to be on the same device, got ",
               first->device().str(), " and ", t.device().str());
    for (int64_t d = 0; d < t.dim(); ++d)
      PYNN_CHECK_KIND(Shape, d == dim || t.size(d) == first->size(d),
                      "cat: Sizes of tensors must match except in dimension ", dim, ". Expected size ", first->size(d),
                      " but got size ", t.size(d), " for tensor number ", i, " in the list.");
    lengths.push_back(t.size(dim));
    sizes[dim] += t.size(dim);
  }
  const MemoryFormat format = sizes.size() < 4 ? MemoryFormat::Contiguous : common_format(tensors);
  const bool plain = format == MemoryFormat::Contiguous;
  Tensor y = plain ? empty(sizes, type, first->device()) : empty(sizes, type, first->device(), format);
  int64_t at = 0;
  const bool done = copy_parts(y, format, dim, tensors, lengths);
  for (size_t i = 0; i < tensors.size() && !done; ++i) {
    if (lengths[i] == 0) continue;
    DimVector part(sizes);
    part[dim] = lengths[i];
    copy_data(alias(y, part, y.strides(), at * y.stride(dim)), tensors[i]);
    at += lengths[i];
  }
  return record("cat", std::move(y), tensors, save(lengths, dim),
                [](const Grads& g, const std::vector<int64_t>& lengths, int64_t dim) {
                  Gradients out(lengths.size());
                  int64_t at = 0;
                  for (size_t i = 0; i < lengths.size(); ++i) {
                    if (g.needs(i) && lengths[i]) out[i] = narrow(g[0], dim, at, lengths[i]);
                    at += lengths[i];
                  }
                  return out;
                });
}

Tensor stack(TensorSpan tensors, int64_t dim) {
  PYNN_CHECK(!tensors.empty(), "stack: stack expects a non-empty TensorList");
  dim = wrap_dim("stack", dim, tensors[0].dim() + 1);
  std::vector<Tensor> rows;
  for (size_t i = 0; i < tensors.size(); ++i) {
    PYNN_CHECK_KIND(Shape, same(tensors[i].sizes(), tensors[0].sizes()),
                    "stack: stack expects each tensor to be equal size, but got ", dims_str(tensors[0].sizes()),
                    " at entry 0 and ", dims_str(tensors[i].sizes()), " at entry ", i);
    rows.push_back(unsqueeze(tensors[i], dim));
  }
  return named("stack", cat(rows, dim));
}

namespace {

// Parts of x along dim as views, one node for all of them: their gradients are put beside each other, not added up as
// so many padded tensors. `one`: each part is a position, and the dim goes.
std::vector<Tensor> parts_of(const char* op, const Tensor& x, int64_t dim, const std::vector<int64_t>& lengths,
                             bool one = false) {
  std::vector<Tensor> out;
  out.reserve(lengths.size());
  DimVector sizes(x.sizes()), strides(x.strides());
  if (one) sizes.erase(dim), strides.erase(dim);
  int64_t at = x.offset();
  for (int64_t n : lengths) {
    if (!one) sizes[dim] = n;
    out.push_back(make_view(x, sizes, strides, at));
    at += n * x.stride(dim);
  }
  record_multi(op, out, inputs(x), save(x.sizes(), x.dtype(), x.device(), lengths, dim, one),
               [](const Grads& g, Dims sizes, DType dtype, Device device, const std::vector<int64_t>& lengths,
                  int64_t dim, bool one) {
                 std::vector<Tensor> parts;
                 DimVector part(sizes);
                 part[dim] = 0;
                 const auto fill = [&] {  // one block of zeros for neighbours without a gradient
                   if (part[dim]) parts.push_back(zeros(part, dtype, device));
                   part[dim] = 0;
                 };
                 bool any = false;
                 for (size_t i = 0; i < lengths.size(); ++i) {
                   if (!g[i].defined()) {
                     part[dim] += lengths[i];
                     continue;
                   }
                   any = true;
                   fill();
                   parts.push_back(one ? unsqueeze(g[i], dim) : g[i]);
                 }
                 fill();
                 Gradients dx(1);
                 if (any) dx[0] = parts.empty() ? zeros(sizes, dtype, device) : cat(parts, dim);
                 return dx;
               });
  return out;
}

}  // namespace

std::vector<Tensor> split_sizes(const Tensor& x, Dims sizes, int64_t dim) {
  PYNN_CHECK(x.dim() > 0, "split: expects at least a 1-dimensional tensor");
  dim = wrap_dim("split", dim, x);
  int64_t total = 0;
  bool overflow = false;
  for (int64_t n : sizes) {
    PYNN_CHECK(n >= 0, "split: split_with_sizes expects split_sizes have only non-negative entries, got ", n);
    overflow |= __builtin_add_overflow(total, n, &total);
  }
  PYNN_CHECK(!overflow && total == x.size(dim), "split: split_with_sizes expects split_sizes to sum exactly to ",
             x.size(dim), " (input tensor's size at dimension ", dim, "), but they sum to ", total);
  return parts_of("split_with_sizes", x, dim, {sizes.begin(), sizes.end()});
}

std::vector<Tensor> split_by(const Tensor& x, int64_t size, int64_t dim) {
  PYNN_CHECK(x.dim() > 0, "split: expects at least a 1-dimensional tensor");
  dim = wrap_dim("split", dim, x);
  const int64_t n = x.size(dim);
  PYNN_CHECK(size >= 0, "split: split_size must be non-negative, got ", size);
  PYNN_CHECK(size > 0 || n == 0, "split: split_size can only be 0 if dimension size is 0, but got dimension size of ",
             n);
  std::vector<int64_t> lengths;
  for (int64_t at = 0; at < n; at += size) lengths.push_back(std::min(size, n - at));
  if (lengths.empty()) lengths.push_back(0);
  return parts_of("split", x, dim, lengths);
}

namespace {

std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim) {
  PYNN_CHECK(x.dim() > 0, "chunk: expects at least a 1-dimensional tensor");
  PYNN_CHECK(chunks > 0, "chunk: expects `chunks` to be greater than 0, got: ", chunks);
  const int64_t n = x.size(wrap_dim("chunk", dim, x));
  if (n == 0) {
    std::vector<Tensor> out;
    for (int64_t i = 0; i < chunks; ++i) out.push_back(narrow(x, dim, 0, 0));
    return out;
  }
  return split_by(x, (n + chunks - 1) / chunks, dim);
}

}  // namespace

std::vector<Tensor> unbind(const Tensor& x, int64_t dim) {
  PYNN_CHECK_KIND(Index, x.dim() > 0, "unbind: Dimension specified as ", dim, " but tensor has no dimensions");
  dim = wrap_dim("unbind", dim, x);
  return parts_of("unbind", x, dim, std::vector<int64_t>(static_cast<size_t>(x.size(dim)), 1), true);
}

PYNN_OP(cat, "cat(Tensor[] tensors, int dim=0) -> Tensor",
        "The tensors behind each other along a dim. Same as torch.cat.", kOut);
PYNN_OP(cat, "concat(Tensor[] tensors, int dim=0) -> Tensor", "Alias of cat.", kOut);
PYNN_OP(cat, "concatenate(Tensor[] tensors, int dim=0) -> Tensor", "Alias of cat.", kOut);
PYNN_OP(stack, "stack(Tensor[] tensors, int dim=0) -> Tensor", "The tensors along a new dim. Same as torch.stack.",
        kOut);
PYNN_OP(split_by, "split(Tensor input, int split_size_or_sections, int dim=0) -> Tensor[]",
        "Parts of a given size, as views; the last may be smaller. Same as torch.split.");
PYNN_OP(split_sizes, "split(Tensor input, int[] split_size_or_sections, int dim=0) -> Tensor[]",
        "Parts of the given sizes.");
PYNN_OP(split_sizes, "split_with_sizes(Tensor input, int[] split_sizes, int dim=0) -> Tensor[]",
        "Parts of the given sizes.");
PYNN_OP(split_by, "unsafe_split(Tensor input, int split_size, int dim=0) -> Tensor[]", "Same as split here.");
PYNN_OP(split_sizes, "unsafe_split_with_sizes(Tensor input, int[] split_sizes, int dim=0) -> Tensor[]",
        "Same as split_with_sizes here.");
PYNN_OP(chunk, "unsafe_chunk(Tensor input, int chunks, int dim=0) -> Tensor[]", "Same as chunk here.");
PYNN_OP(chunk, "chunk(Tensor input, int chunks, int dim=0) -> Tensor[]",
        "So many parts, as views. Same as torch.chunk.");
PYNN_OP(unbind, "unbind(Tensor input, int dim=0) -> Tensor[]",
        "The positions of a dim, as views. Same as torch.unbind.");

}  // namespace pynn::ops
