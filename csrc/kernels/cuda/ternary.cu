// ternary.cu -- maps of three operands (kernels/elementwise.h).
#include "kernels/cuda/map.cuh"
#include "kernels/cuda/math.cuh"

namespace pynn::cuda {
namespace {

template <auto op, class C>
struct TernaryFn;

#define PYNN_TERNARY(op, exists, cost, ...)                                                \
  template <class C>                                                                       \
  struct TernaryFn<Ternary::op, C> : MapFunction<exists, cost, ResultOf<Ternary::op, C>> { \
    C value;                                                                               \
    explicit TernaryFn(const MapArgs& args) : value(parameter<C>(args, 0)) {}              \
    __device__ C operator()(C a, C b, C c) const { __VA_ARGS__; }                          \
  };

PYNN_TERNARY(Where, true, 0, return a != C(0) ? b : c)
PYNN_TERNARY(Addcmul, true, 0, return math::add(a, math::multiply(math::multiply(value, b), c)))
PYNN_TERNARY(Addcdiv, kReal<C>, 0, return a + value * b / c)
// From the nearer end, so that c = 1 gives b exactly.
PYNN_TERNARY(Lerp, kReal<C>, 0, const C d = b - a; return math::fabs(c) < C(0.5) ? a + c * d : b - d * (C(1) - c))
PYNN_TERNARY(Clamp, true, 0, return Smaller{}(Larger{}(a, b), c))

}  // namespace

void map_ternary(Ternary op, const MapArgs& args) {
  if (is_complex(args.compute)) return map_complex(op, args);
  switch (op) {
#define PYNN_CASE(name) \
  case Ternary::name:   \
    return run_map<TernaryFn, Ternary::name, 3>("map_ternary", args, Ternary::name == Ternary::Where);
    PYNN_CASE(Where)
    PYNN_CASE(Addcmul)
    PYNN_CASE(Addcdiv)
    PYNN_CASE(Lerp)
    PYNN_CASE(Clamp)
#undef PYNN_CASE
    case Ternary::Count:
      break;
  }
  no_loop("map_ternary", args.compute);
}
PYNN_CUDA_KERNEL(map_ternary);

}  // namespace pynn::cuda
