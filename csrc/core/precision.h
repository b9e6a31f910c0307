// precision.h -- how many parts of bfloat16 products of float32 are computed from, where AMX multiplies those.
#pragma once
#include <atomic>

namespace pynn {

// torch.set_float32_matmul_precision: 3 parts hold all of a float32 ("highest"), 2 hold 16 bits of it ("high"), one
// 8 ("medium"). Convolutions and factorisations always take all.
constexpr int kAllParts = 3;
inline std::atomic<int> float32_parts{kAllParts};

}  // namespace pynn
