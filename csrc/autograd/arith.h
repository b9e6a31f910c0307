// arith.h -- what the graph needs of the ops, which stand above it: defined in ops/gradient.cpp, all differentiable.
#pragma once
#include "autograd/node.h"

namespace pynn::autograd {

// Whether nothing else can see g's memory, so that it may take the result of what g is last used for. `g` is the
// reference that the engine hands out.
bool only_here(const Tensor& g);
// a + b; may write into a when nothing else can see it.
Tensor add_gradients(Tensor a, const Tensor& b);
// g summed to the output's shape and cast to its type. `from` is named in the error when it does not fit.
Tensor fit_gradient(const Tensor& g, const OutputMeta& meta, const Node* from, size_t index);
// A fresh dense copy.
Tensor copy_gradient(const Tensor& g);
// A copy in the layout of a dense `like`, else contiguous.
Tensor copy_like(const Tensor& g, const Tensor& like);
// A copy whose strides are exactly `strides` (those of a dense base).
Tensor clone_strided(const Tensor& g, Dims strides);
Tensor zeros_for(const OutputMeta& meta);
Tensor ones_like(const Tensor& t);
// A view of x that starts at storage offset `offset`; recorded. Of x's dtype, or of the real (complex) one for complex
// (real) x: then sizes, strides and offset count elements of that.
Tensor as_strided_view(const Tensor& x, DType dtype, Dims sizes, Dims strides, int64_t offset);
void copy_into(const Tensor& to, const Tensor& from);
void add_in_place(const Tensor& to, const Tensor& g);  // to += g, not recorded
bool has_nan(const Tensor& t);

}  // namespace pynn::autograd
