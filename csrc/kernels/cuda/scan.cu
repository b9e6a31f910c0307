// scan.cu -- y[o, r, i] = x[o, 0, i] + ... + x[o, r, i] (or the product) for [outer, n, inner]. float32 and half types
// accumulate in double, integers in 64 bits.
#include "kernels/cuda/scan.cuh"
#include "kernels/reduce.h"

namespace pynn::cuda {
namespace {

template <class T>
struct SumScan {
  using State = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;  // integers wrap
  const T* x;
  T* y;
  bool product;
  __device__ State identity() const { return product ? State(1) : State(0); }
  __device__ State element(int64_t at, int64_t) const { return static_cast<State>(load(x[at])); }
  __device__ State combine(State a, State b) const { return product ? a * b : a + b; }
  __device__ void write(int64_t at, State s) const { y[at] = store_as<T>(s); }
};

}  // namespace

void scan(Scan op, const ReduceArgs& a) {
  if (a.outer == 0 || a.nreduce == 0 || a.inner == 0) return;
  if (a.y_dtype != a.dtype) no_loop("scan", a.y_dtype);
  dispatch_real("scan", a.dtype, [&](auto t) {
    using T = decltype(t);
    launch_scan(SumScan<T>{static_cast<const T*>(a.x), static_cast<T*>(a.y), op == Scan::Prod}, a.outer, a.nreduce,
                a.inner);
  });
}
PYNN_CUDA_KERNEL(scan);

}  // namespace pynn::cuda
