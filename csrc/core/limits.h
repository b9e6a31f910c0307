// limits.h -- fixed bounds that kernels and tensors share.
#pragma once

namespace pynn {

constexpr int kMaxDims = 16;    // of any tensor
constexpr int kInlineDims = 5;  // kept inside a tensor; more go to the heap

}  // namespace pynn
