// convert.cpp -- casts as PyTorch makes them on x86: a float that int32 (int64) cannot hold becomes its least value,
// narrower integers are cut from int32, anything but zero is true, complex loses its imaginary part.
#include "kernels/cpu/convert.h"

#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
constexpr bool kIsFloat = false;
template <>
constexpr bool kIsFloat<float> = true;
template <>
constexpr bool kIsFloat<double> = true;
template <class T>
constexpr bool kIsHalf = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
template <class T>
constexpr bool kIsComplex = std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>;

template <class To, class From>
PYNN_INLINE To cast(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (kIsHalf<From>) {
    return cast<To>(static_cast<float>(x));
  } else if constexpr (kIsHalf<To>) {
    return To(cast<float>(x));
  } else if constexpr (kIsComplex<From> && kIsComplex<To>) {
    return {static_cast<decltype(To::re)>(x.re), static_cast<decltype(To::re)>(x.im)};
  } else if constexpr (kIsComplex<From> && std::is_same_v<To, bool>) {
    return x.re != 0 || x.im != 0;
  } else if constexpr (kIsComplex<From>) {
    return cast<To>(x.re);
  } else if constexpr (kIsComplex<To>) {
    return {cast<decltype(To::re)>(x), 0};
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != 0;
  } else if constexpr (kIsFloat<From> && !kIsFloat<To>) {
    using Int = std::conditional_t<sizeof(To) == 8, int64_t, int32_t>;
    constexpr From limit = sizeof(To) == 8 ? From(0x1p63) : From(0x1p31);
    constexpr Int least = static_cast<Int>(1ull << (8 * sizeof(Int) - 1));
    return static_cast<To>(x >= -limit && x < limit ? static_cast<Int>(x) : least);
  } else {
    return static_cast<To>(x);
  }
}

// Not memcpy: from 2 KB on, that of glibc 2.36 uses `rep movsb`, which on Zen 3 takes up to ten times as long when
// the addresses agree in their low 12 bits.
PYNN_INLINE void copy_bytes(char* dst, const char* src, int64_t n) {
  constexpr int64_t step = 2 * PYNN_VEC_BYTES;
  for (; n >= step; n -= step, dst += step, src += step) {
    I32 first, second;
    __builtin_memcpy(&first, src, sizeof first);
    __builtin_memcpy(&second, src + sizeof first, sizeof first);
    __builtin_memcpy(dst, &first, sizeof first);
    __builtin_memcpy(dst + sizeof first, &second, sizeof first);
    asm volatile("");  // or the compiler calls memcpy after all
  }
  __builtin_memcpy(dst, src, static_cast<size_t>(n));
}

// cast() of as many elements as the wider type has in a register, for integers, bool, float and double.
template <class T>
constexpr bool kHasLanes = !kIsHalf<T> && !kIsComplex<T>;
template <class T, int n>
struct Lanes {
  using Element = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
  typedef Element type __attribute__((vector_size(n * sizeof(Element))));
};
template <class To, int n, class V>
PYNN_INLINE auto to_lanes(V x) {
  return __builtin_convertvector(x, typename Lanes<To, n>::type);
}
template <class To, class From, int n>
PYNN_INLINE void convert_lanes(To* dst, const From* src) {
  typename Lanes<From, n>::type x;
  __builtin_memcpy(&x, src, sizeof x);
  typename Lanes<To, n>::type y;
  if constexpr (std::is_same_v<To, bool>) {
    y = to_lanes<To, n>((x != 0) & 1);
  } else if constexpr (kIsFloat<From> && !kIsFloat<To>) {
    using Int = std::conditional_t<sizeof(To) == 8, int64_t, int32_t>;
    constexpr From limit = sizeof(To) == 8 ? From(0x1p63) : From(0x1p31);
    constexpr Int least = static_cast<Int>(1ull << (8 * sizeof(Int) - 1));
    const auto in_range = to_lanes<Int, n>((x >= -limit) & (x < limit));
    y = to_lanes<To, n>((in_range & to_lanes<Int, n>(x)) | (~in_range & least));
  } else if constexpr (sizeof(From) == 1 && sizeof(To) >= 4) {  // step by step, which compilers turn into unpacking
    y = to_lanes<To, n>(to_lanes<int32_t, n>(to_lanes<int16_t, n>(x)));
  } else {
    y = to_lanes<To, n>(x);
  }
  __builtin_memcpy(dst, &y, sizeof y);
}

// cols elements, both sides contiguous.
template <class To, class From>
void convert_row(To* __restrict dst, const From* __restrict src, int64_t cols) {
  int64_t i = 0;
  if constexpr (std::is_same_v<To, From>) {
    const int64_t bytes = cols * static_cast<int64_t>(sizeof(To));
    copy_bytes(reinterpret_cast<char*>(dst), reinterpret_cast<const char*>(src), bytes);
    return;
  } else if constexpr (std::is_same_v<Wide<To>, float> && std::is_same_v<Wide<From>, float>) {
    for (; i + VecF::kSize <= cols; i += VecF::kSize) store_wide(dst + i, load_wide(src + i));
  } else if constexpr (kHasLanes<To> && kHasLanes<From>) {
    constexpr int n = PYNN_VEC_BYTES / (sizeof(To) > sizeof(From) ? sizeof(To) : sizeof(From));
    for (; i + n <= cols; i += n) convert_lanes<To, From, n>(dst + i, src + i);
  } else if constexpr (kIsHalf<To> != kIsHalf<From> && !kIsComplex<To> && !kIsComplex<From>) {
    float middle[64];
    for (; i < cols; i += 64) {
      const int64_t n = cols - i < 64 ? cols - i : 64;
      convert_row(middle, src + i, n);
      convert_row(dst + i, middle, n);
    }
  }
  for (; i < cols; ++i) dst[i] = cast<To>(src[i]);
}

template <class To, class From>
void convert(void* dst, Strides d, const void* src, Strides s, int64_t rows, int64_t cols) {
  To* to = static_cast<To*>(dst);
  const From* from = static_cast<const From*>(src);
  if (d.col == 1 && s.col == 1) {
    if (d.row == cols && s.row == cols) {
      cols *= rows;
      rows = 1;
    }
    for (int64_t r = 0; r < rows; ++r) convert_row(to + r * d.row, from + r * s.row, cols);
    return;
  }
  // Walk the source in the order of its memory: a cache line is read once.
  const bool transposed = (s.row < 0 ? -s.row : s.row) < (s.col < 0 ? -s.col : s.col) && rows > 1;
  if (transposed) {
    const Strides dt = d, st = s;
    const int64_t rows_then = rows;
    d = {dt.col, dt.row}, s = {st.col, st.row};
    rows = cols, cols = rows_then;
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) to[r * d.row + c * d.col] = cast<To>(from[r * s.row + c * s.col]);
}

#define PYNN_TO(T, name) &convert<T, From>,
template <class From>
constexpr Convert kTo[kDTypes] = {PYNN_FOR_EACH_DTYPE(PYNN_TO)};
#undef PYNN_TO
#define PYNN_FROM(T, name) kTo<T>,
constexpr const Convert* kFrom[kDTypes] = {PYNN_FOR_EACH_DTYPE(PYNN_FROM)};
#undef PYNN_FROM

}  // namespace

Convert converter(DType to, DType from) { return kFrom[static_cast<int>(from)][static_cast<int>(to)]; }

}  // namespace PYNN_CPU_NAMESPACE
