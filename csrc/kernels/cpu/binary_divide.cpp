// binary_divide.cpp -- division with a remainder, and powers.
#include "kernels/cpu/loops_impl.h"
#include "kernels/cpu/vec_fp.h"

namespace PYNN_CPU_NAMESPACE {

// Remainder of a / b with the sign of a, exact as C's fmod. Where the quotient is small enough to be held exactly, one
// fused multiply-add gives the remainder, up to one b when the quotient was rounded up.
template <class T>
PYNN_INLINE Vec<T> fmod_exact(Vec<T> a, Vec<T> b) {
  if constexpr (kHasFma) {
    using V = Vec<T>;
    const V x = abs(a), y = abs(b);
    const V q = x / y;
    const auto small = (q < V(sizeof(T) == 4 ? T(0x1p22) : T(0x1p51))) & (y < V(T(__builtin_inf())));
    const auto tiny = y < V(sizeof(T) == 4 ? T(0x1p-100) : T(0x1p-960));  // x - q * y might be subnormal
    if (all(small & ~tiny)) [[likely]] {
      V r = fnma(trunc(q), y, x);
      r = select(r < V(0), r + y, r);
      return copysign(r, a);
    }
  }
  if constexpr (sizeof(T) == 4)
    return map_lanes(a, b, [](float x, float y) __attribute__((always_inline)) { return __builtin_fmodf(x, y); });
  else
    return map_lanes(a, b, [](double x, double y) __attribute__((always_inline)) { return __builtin_fmod(x, y); });
}

// Python's: with the sign of b.
template <class T>
PYNN_INLINE Vec<T> remainder(Vec<T> a, Vec<T> b) {
  using V = Vec<T>;
  const V r = fmod_exact(a, b);
  return select((r != V(0)) & ((b < V(0)) ^ (r < V(0))), r + b, r);
}
// Python's float floor division: floor of the exact quotient, by way of the remainder, which floor(a / b) is not.
template <class T>
PYNN_INLINE Vec<T> floor_divide(Vec<T> a, Vec<T> b) {
  using V = Vec<T>;
  const V r = fmod_exact(a, b);
  V q = (a - r) / b;
  q = select((r != V(0)) & ((b < V(0)) ^ (r < V(0))), q - V(1), q);
  V whole = floor(q);
  whole = select(q - whole > V(T(0.5)), whole + V(1), whole);
  whole = select(q == V(0), copysign(V(0), a / b), whole);
  return select(b == V(0), a / b, whole);
}

PYNN_BINARY_LONG(Fmod, fmod_exact(a, b))
PYNN_BINARY_LONG(Remainder, remainder(a, b))
PYNN_BINARY_LONG(FloorDiv, floor_divide(a, b))
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Fmod)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, Remainder)
PYNN_FULL_LOOPS(PYNN_BINARY_LOOP, FloorDiv)

namespace {

enum class Part { Truncated, Floored, Fmod, Remainder };

// One integer division; b is neither 0 nor -1.
template <Part part, class T>
PYNN_INLINE T divide(T a, T b) {
  const T q = a / b;
  const T r = a - q * b;
  const bool down = r != 0 && (r ^ b) < 0;
  if (part == Part::Truncated) return q;
  if (part == Part::Floored) return q - down;
  if (part == Part::Fmod) return r;
  return down ? r + b : r;
}

// The same of int32 by way of doubles, whose quotient truncates to the exact one; without a branch, for the compiler to
// vectorise. Division by 0 gives anything, by -1 is a negation: the least integer overflows.
template <Part part>
PYNN_INLINE bool divide_short(int32_t* to, const int32_t* x, int64_t a_step, const int32_t* by, int64_t b_step,
                              int64_t n) {
  int32_t zeros = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int32_t a = x[i * a_step], b = by[i * b_step], divisor = b == 0 || b == -1 ? 1 : b;
    zeros |= b == 0;
    const uint32_t whole = static_cast<uint32_t>(static_cast<int32_t>(static_cast<double>(a) / divisor));
    const uint32_t q = b == -1 ? 0u - whole : whole;
    const int32_t r = static_cast<int32_t>(static_cast<uint32_t>(a) - q * static_cast<uint32_t>(b));
    const bool down = (r != 0) & ((r ^ b) < 0);
    to[i] =
        static_cast<int32_t>(part == Part::Truncated ? q
                             : part == Part::Floored ? q - down
                             : part == Part::Fmod ? static_cast<uint32_t>(r)
                                                  : static_cast<uint32_t>(r) + (down ? static_cast<uint32_t>(b) : 0u));
  }
  return zeros == 0;
}

template <Part part, class T>
PYNN_INLINE bool divide_each(T* to, const T* x, int64_t a_step, const T* by, int64_t b_step, int64_t n) {
  using U = std::make_unsigned_t<T>;
  bool ok = true;
  for (int64_t i = 0; i < n; ++i) {
    const T p = x[i * a_step], q = by[i * b_step];
    if (q == 0) [[unlikely]] {
      ok = false;
      to[i] = 0;
    } else if (q == -1) {  // the least integer overflows
      to[i] = part == Part::Truncated || part == Part::Floored ? static_cast<T>(U(0) - static_cast<U>(p)) : T(0);
    } else {
      to[i] = divide<part>(p, q);
    }
  }
  return ok;
}

// A register of int64 below 2^51 in magnitude by way of doubles, which hold them and the remainder exactly: a division
// of eight of those takes as long as one or two of integers.
template <Part part>
PYNN_INLINE bool divide_register(int64_t* to, Vec<int64_t> a, Vec<int64_t> b) {
  using I = Vec<int64_t>;
  const I limit(int64_t(1) << 51), magic = bits(VecD(Fp<double>::kMagic));
  if (any(((((a + limit) | (b + limit)) & I(-1ll << 52)) != I(0)) | (b == I(0)))) [[unlikely]]
    return false;
  const VecD base(Fp<double>::kMagic), x = from_bits<double>(a + magic) - base, y = from_bits<double>(b + magic) - base;
  VecD r;
  if constexpr (part == Part::Truncated) r = trunc((x - fmod_exact(x, y)) / y);
  if constexpr (part == Part::Floored) r = floor_divide(x, y);
  if constexpr (part == Part::Fmod) r = fmod_exact(x, y);
  if constexpr (part == Part::Remainder) r = remainder(x, y);
  (bits(r + base) - magic).store(to);
  return true;
}

template <Part part, class T>
bool divide_loop(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, int64_t n) {
  T* to = static_cast<T*>(y);
  if constexpr (sizeof(T) == 4) {
    const T *p = static_cast<const T*>(a), *q = static_cast<const T*>(b);
    if (a_step && b_step) return divide_short<part>(to, p, 1, q, 1, n);
    return a_step ? divide_short<part>(to, p, 1, q, 0, n) : divide_short<part>(to, p, 0, q, b_step, n);
  }
  Lanes<T> same_x, same_by;
  const Source<T> x(a, a_step, same_x), by(b, b_step, same_by);
  bool ok = true;
  int64_t i = 0;
  if constexpr (kHasFma && sizeof(T) == 8) {
    constexpr int size = Vec<T>::kSize;
    for (; i + size <= n; i += size)
      if (!divide_register<part>(to + i, x.at(i), by.at(i))) [[unlikely]]
        ok &= divide_each<part>(to + i, x.p + i * x.step, x.step, by.p + i * by.step, by.step, size);
  }
  return divide_each<part>(to + i, x.p + i * x.step, x.step, by.p + i * by.step, by.step, n - i) && ok;
}

}  // namespace

#define PYNN_DIVIDE_LOOP(op, part, T)                                                         \
  template <>                                                                                 \
  bool binary_loop<Binary::op, T>(const LoopArgs& args) {                                     \
    bool ok = true;                                                                           \
    each_row<3>(args, [&](void* const* at, int64_t n) {                                       \
      ok &= divide_loop<Part::part, T>(at[0], at[1], args.steps[1], at[2], args.steps[2], n); \
    });                                                                                       \
    return ok;                                                                                \
  }
PYNN_DIVIDE_LOOP(Div, Truncated, int32_t)
PYNN_DIVIDE_LOOP(Div, Truncated, int64_t)
PYNN_DIVIDE_LOOP(FloorDiv, Floored, int32_t)
PYNN_DIVIDE_LOOP(FloorDiv, Floored, int64_t)
PYNN_DIVIDE_LOOP(Fmod, Fmod, int32_t)
PYNN_DIVIDE_LOOP(Fmod, Fmod, int64_t)
PYNN_DIVIDE_LOOP(Remainder, Remainder, int32_t)
PYNN_DIVIDE_LOOP(Remainder, Remainder, int64_t)

}  // namespace PYNN_CPU_NAMESPACE
