// binary_power.cpp -- pow and atan2.
#include "kernels/cpu/loops_impl.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
PYNN_INLINE T pow_integer(T a, T b) {
  using U = std::make_unsigned_t<T>;
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
  U result = 1, base = static_cast<U>(a);
  for (U e = static_cast<U>(b); e != 0; e >>= 1) {
    if (e & 1) result *= base;
    base *= base;
  }
  return static_cast<T>(result);
}

template <class T>
bool pow_integer_loop(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, int64_t n) {
  const T* base = static_cast<const T*>(a);
  const T* exponent = static_cast<const T*>(b);
  for (int64_t i = 0; i < n; ++i) static_cast<T*>(y)[i] = pow_integer(base[i * a_step], exponent[i * b_step]);
  return true;
}

// One exponent for all that a few multiplications serve, with PyTorch's choice of formulas; false: it is none of them.
template <class T>
bool pow_simple_loop(T* y, const T* x, T exponent, int64_t n) {
  using V = Vec<T>;
  const auto loop = [&](auto f) __attribute__((always_inline)) {
    for (int64_t i = 0; i < n; i += V::kSize) f(V::load(x + i, n - i)).store(y + i, n - i);
    return true;
  };
  if (exponent == T(2)) return loop([](V v) __attribute__((always_inline)) { return v * v; });
  if (exponent == T(3)) return loop([](V v) __attribute__((always_inline)) { return v * v * v; });
  if (exponent == T(0.5)) return loop([](V v) __attribute__((always_inline)) { return sqrt(v); });
  if (exponent == T(-0.5)) return loop([](V v) __attribute__((always_inline)) { return V(1) / sqrt(v); });
  if (exponent == T(1)) return loop([](V v) __attribute__((always_inline)) { return v; });
  if (exponent == T(0)) return loop([](V) __attribute__((always_inline)) { return V(1); });
  if (exponent == T(-1)) return loop([](V v) __attribute__((always_inline)) { return V(1) / v; });
  if (exponent == T(-2)) return loop([](V v) __attribute__((always_inline)) { return V(1) / (v * v); });
  return false;
}

template <class T>
bool pow_float_loop(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, int64_t n) {
  using V = Vec<T>;
  T* to = static_cast<T*>(y);
  if (b_step == 0 && a_step == 1 && pow_simple_loop(to, static_cast<const T*>(a), *static_cast<const T*>(b), n))
    return true;
  Lanes<T> same_base, same_exponent;
  const Source<T> base(a, a_step, same_base), exponent(b, b_step, same_exponent);
  for (int64_t i = 0; i < n; i += V::kSize) pow(base.at(i, n - i), exponent.at(i, n - i)).store(to + i, n - i);
  return true;
}

}  // namespace

#define PYNN_POW_LOOP(T, function)                                             \
  template <>                                                                  \
  bool binary_loop<Binary::Pow, T>(const LoopArgs& args) {                     \
    bool ok = true;                                                            \
    each_row<3>(args, [&](void* const* at, int64_t n) {                        \
      ok &= function<T>(at[0], at[1], args.steps[1], at[2], args.steps[2], n); \
    });                                                                        \
    return ok;                                                                 \
  }
PYNN_POW_LOOP(float, pow_float_loop)
PYNN_POW_LOOP(double, pow_float_loop)
PYNN_POW_LOOP(int32_t, pow_integer_loop)
PYNN_POW_LOOP(int64_t, pow_integer_loop)

PYNN_BINARY_LONG(Atan2, atan2(a, b))
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Atan2)

}  // namespace PYNN_CPU_NAMESPACE
