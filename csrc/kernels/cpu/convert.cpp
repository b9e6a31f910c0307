// convert.cpp -- casts as PyTorch makes them on x86: a float that int32 (int64) cannot hold becomes its least value,
// narrower integers are cut from int32, anything but zero is true, complex loses its imaginary part.
#include "kernels/cpu/convert.h"

#include "kernels/cpu/copy.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec_shuffle.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
constexpr bool kIsFloat = std::is_same_v<T, float> || std::is_same_v<T, double>;

template <class To>
using CutFrom = std::conditional_t<sizeof(To) == 8, int64_t, int32_t>;  // what a float becomes on its way to an integer
template <class Int>
constexpr Int kLeast = static_cast<Int>(1ull << (8 * sizeof(Int) - 1));

template <class To, class From>
PYNN_INLINE To cast(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (kIsHalf<From>) {
    return cast<To>(static_cast<float>(x));
  } else if constexpr (kIsHalf<To>) {
    return To(cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != 0;
  } else if constexpr (kIsFloat<From> && !kIsFloat<To>) {
    using Int = CutFrom<To>;
    constexpr From limit = sizeof(To) == 8 ? From(0x1p63) : From(0x1p31);
    return static_cast<To>(x >= -limit && x < limit ? static_cast<Int>(x) : kLeast<Int>);
  } else {
    return static_cast<To>(x);
  }
}

// ---- Contiguous rows

// cast() of n elements: as many as the wider type has in a register.
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
    using Int = CutFrom<To>;
    constexpr From limit = sizeof(To) == 8 ? From(0x1p63) : From(0x1p31);
    const auto in_range = to_lanes<Int, n>((x >= -limit) & (x < limit));
    y = to_lanes<To, n>((in_range & to_lanes<Int, n>(x)) | (~in_range & kLeast<Int>));
  } else if constexpr (sizeof(From) <= 2 && sizeof(To) >= 4 && PYNN_VEC_BYTES == 64) {
    asm("" : "+x"(x));  // or GCC takes it apart by elements; so each step is one instruction
    y = to_lanes<To, n>(to_lanes<CutFrom<To>, n>(x));
  } else if constexpr (sizeof(From) == 1 && sizeof(To) >= 4) {  // step by step, which compilers turn into unpacking
    y = to_lanes<To, n>(to_lanes<int32_t, n>(to_lanes<int16_t, n>(x)));
  } else {
    y = to_lanes<To, n>(x);
  }
  __builtin_memcpy(dst, &y, sizeof y);
}
// float to int64 by way of int32, where that holds all of them: there is no such instruction before AVX-512.
PYNN_INLINE void convert_small_lanes(int64_t* dst, const float* src) {
  const VecF x = VecF::load(src);
  if (any(~(abs(x) < VecF(0x1p31f)))) [[unlikely]] {
    for (int i = 0; i < VecF::kSize; ++i) dst[i] = cast<int64_t>(src[i]);
  } else {
    int32_t cut[VecF::kSize];
    const I32 v = __builtin_convertvector(x.v, I32);
    __builtin_memcpy(cut, &v, sizeof v);
    constexpr int half = Vec<int64_t>::kSize;
    convert_lanes<int64_t, int32_t, half>(dst, cut);
    convert_lanes<int64_t, int32_t, half>(dst + half, cut + half);
  }
}

// By way of int32, eight at a time, where that is the same: without AVX-512 compilers take most casts apart by
// elements.
#ifdef PYNN_ISA_AVX2
template <class To, class From>
constexpr bool kByInt32 =
    (sizeof(From) > 2 || sizeof(To) > 2) && !std::is_same_v<From, To> && !kIsHalf<To> && !std::is_same_v<To, bool> &&
    !std::is_same_v<From, bool> && !(kIsFloat<From> && (kIsFloat<To> || sizeof(To) == 8)) &&
    requires(const From* p) { native::load_int32(p); };
template <class To, class From>
PYNN_INLINE void convert_by_int32(To* dst, const From* src) {
  native::store_int32(dst, native::load_int32(src));
}
#else
template <class To, class From>
constexpr bool kByInt32 = false;
template <class To, class From>
void convert_by_int32(To*, const From*);
#endif

template <class To, class From>
void convert_row(To* dst, const From* src, int64_t cols);
template <class Middle, class To, class From>
PYNN_INLINE void convert_through(To* dst, const From* src, int64_t cols) {
  constexpr int64_t size = 64;
  Middle middle[size];
  for (int64_t i = 0; i < cols; i += size) {
    const int64_t n = cols - i < size ? cols - i : size;
    convert_row(middle, src + i, n);
    convert_row(dst + i, middle, n);
  }
}

template <class To, class From>
void convert_row(To* __restrict dst, const From* __restrict src, int64_t cols) {
  int64_t i = 0;
  if constexpr (std::is_same_v<To, From>) {
    const int64_t bytes = cols * static_cast<int64_t>(sizeof(To));
    copy_bytes(reinterpret_cast<char*>(dst), reinterpret_cast<const char*>(src), bytes);
    return;
  } else if constexpr (std::is_same_v<Wide<To>, float> && std::is_same_v<Wide<From>, float>) {
    for (; i + VecF::kSize <= cols; i += VecF::kSize) store_wide(dst + i, load_wide(src + i));
  } else if constexpr (kIsHalf<To> || kIsHalf<From>) {  // one side only
    convert_through<float>(dst, src, cols);
    return;
  } else if constexpr (kByInt32<To, From>) {
    for (; i + VecF::kSize <= cols; i += VecF::kSize) convert_by_int32(dst + i, src + i);
  } else if constexpr (std::is_same_v<To, bool> && sizeof(From) >= 4) {
    constexpr int n = Vec<From>::kSize;
    for (; i + n <= cols; i += n) store_bool(dst + i, Vec<From>::load(src + i) != Vec<From>(0));
  } else if constexpr (std::is_same_v<To, int64_t> && std::is_same_v<From, float>) {
    for (; i + VecF::kSize <= cols; i += VecF::kSize) convert_small_lanes(dst + i, src + i);
  } else {
    constexpr int n = PYNN_VEC_BYTES / (sizeof(To) > sizeof(From) ? sizeof(To) : sizeof(From));
    for (; i + n <= cols; i += n) convert_lanes<To, From, n>(dst + i, src + i);
  }
  for (; i < cols; ++i) dst[i] = cast<To>(src[i]);
}

// dst[i] = src[-i]
template <int... I, class V>
PYNN_INLINE V reversed(V x, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(x, x, (static_cast<int>(sizeof...(I)) - 1 - I)...);
}
template <class E, int kBytes>
PYNN_INLINE void reverse_block(char* dst, const char* src) {
  typedef E Lanes __attribute__((vector_size(kBytes)));
  Lanes v;
  __builtin_memcpy(&v, src, kBytes);
  v = reversed(v, std::make_integer_sequence<int, kBytes / static_cast<int>(sizeof(E))>());
  __builtin_memcpy(dst, &v, kBytes);
}
template <class T>
PYNN_INLINE void reverse_row(T* dst, const T* src, int64_t n) {
  if constexpr (sizeof(T) <= 8) {
    using E = std::conditional_t<
        sizeof(T) == 8, int64_t,
        std::conditional_t<sizeof(T) == 4, int32_t, std::conditional_t<sizeof(T) == 2, int16_t, int8_t>>>;
    constexpr int V = PYNN_VEC_BYTES;
    const int64_t bytes = n * static_cast<int64_t>(sizeof(T));
    char* to = reinterpret_cast<char*>(dst);
    const char* from = reinterpret_cast<const char*>(src + 1 - n);  // the row in the order of memory
    if (bytes >= V) {
      int64_t i = 0;
      for (; i + V <= bytes; i += V) reverse_block<E, V>(to + i, from + bytes - i - V);
      if (i < bytes) reverse_block<E, V>(to + bytes - V, from);
      return;
    }
    if (V > 32 && bytes >= 32) {  // the first and the last half, which may overlap
      reverse_block<E, 32>(to, from + bytes - 32);
      return reverse_block<E, 32>(to + bytes - 32, from);
    }
    if (V > 16 && bytes >= 16) {
      reverse_block<E, 16>(to, from + bytes - 16);
      return reverse_block<E, 16>(to + bytes - 16, from);
    }
  }
  for (int64_t i = 0; i < n; ++i) dst[i] = src[-i];
}

// ---- Any strides

// One run of n elements.
template <class To, class From>
[[gnu::noinline]] void convert_run(To* dst, int64_t d, const From* src, int64_t s, int64_t n) {
  if (s == 0) {
    const To value = cast<To>(*src);
    for (int64_t i = 0; i < n; ++i, dst += d) *dst = value;
    return;
  }
  for (; n >= 4; n -= 4, dst += 4 * d, src += 4 * s) {
    const From a = src[0], b = src[s], c = src[2 * s], e = src[3 * s];
    dst[0] = cast<To>(a), dst[d] = cast<To>(b), dst[2 * d] = cast<To>(c), dst[3 * d] = cast<To>(e);
  }
  for (; n > 0; --n, dst += d, src += s) *dst = cast<To>(*src);
}

// dst[r][c] = src[c][r] of 4-byte elements and at least 4 rows, both contiguous in their inner dim, in blocks of 4 x 4,
// of which the last ones may overlap, and in the order of src.
typedef int32_t Quad __attribute__((vector_size(16)));
PYNN_INLINE void transpose_quads(char* dst, int64_t d_row, const char* src, int64_t s_col, int64_t rows, int64_t cols) {
  int64_t c = 0;
  for (; c + 4 <= cols; c += 4) {
    const char* from = src + c * s_col;
    char* to = dst + c * 4;
    for (int64_t i = 0; i < rows; i += 4) {
      const int64_t r = i < rows - 4 ? i : rows - 4;
      Quad x[4];
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) __builtin_memcpy(&x[k], from + k * s_col + r * 4, 16);
      const Quad a = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5),
                 b = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
      const Quad e = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5),
                 f = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
      const Quad y[4] = {__builtin_shufflevector(a, e, 0, 1, 4, 5), __builtin_shufflevector(a, e, 2, 3, 6, 7),
                         __builtin_shufflevector(b, f, 0, 1, 4, 5), __builtin_shufflevector(b, f, 2, 3, 6, 7)};
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) __builtin_memcpy(to + (r + k) * d_row, &y[k], 16);
    }
  }
  for (; c < cols; ++c)
    for (int64_t r = 0; r < rows; ++r) __builtin_memcpy(dst + r * d_row + c * 4, src + c * s_col + r * 4, 4);
}

// The same in blocks of as many lanes as a register has, which are written as whole registers.
template <class T>
[[gnu::noinline]] void transpose_blocks(T* dst, int64_t d_row, const T* src, int64_t s_col, int64_t rows,
                                        int64_t cols) {
  using V = Vec<T>;
  constexpr int L = V::kSize;
  for (int64_t c = 0; c < cols; c += L)
    for (int64_t r = 0; r < rows; r += L) {
      V v[L];
#pragma GCC unroll 16
      for (int k = 0; k < L; ++k) v[k] = V::load(src + min_of(c + k, cols - 1) * s_col + r, rows - r);
      transpose(v);
#pragma GCC unroll 16
      for (int k = 0; k < L; ++k)
        if (r + k < rows) v[k].store(dst + (r + k) * d_row + c, cols - c);
    }
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
  if (d.col == 1 && s.col == 0) {
    if (d.row == cols && s.row == 0) {
      cols *= rows;
      rows = 1;
    }
    for (int64_t r = 0; r < rows; ++r) fill_row(to + r * d.row, cast<To>(from[r * s.row]), cols);
    return;
  }
  if constexpr (std::is_same_v<To, From>) {
    if (d.col == 1 && s.col == -1) {
      for (int64_t r = 0; r < rows; ++r) reverse_row(to + r * d.row, from + r * s.row, cols);
      return;
    }
  }
  if constexpr (std::is_same_v<To, From> && sizeof(To) >= 4) {
    using T = std::conditional_t<sizeof(To) == 4, float, double>;
    constexpr bool blocks = PYNN_VEC_BYTES == 64;  // tails are masks there
    if (blocks && d.col == 1 && s.row == 1 && rows >= 8 && cols >= 8)
      return transpose_blocks(static_cast<T*>(dst), d.row, static_cast<const T*>(src), s.col, rows, cols);
    if (sizeof(To) == 4 && d.col == 1 && s.row == 1 && rows >= 4)
      return transpose_quads(static_cast<char*>(dst), d.row * 4, static_cast<const char*>(src), s.col * 4, rows, cols);
  }
  // Walk the source in the order of its memory, so that a cache line is read once, unless those runs are too short.
  const int64_t s_row = s.row < 0 ? -s.row : s.row, s_col = s.col < 0 ? -s.col : s.col;
  const bool along_rows = rows >= 4 && (cols < 4 || (s_row < s_col && s.row != 0));
  if (along_rows)
    for (int64_t c = 0; c < cols; ++c) convert_run(to + c * d.col, d.row, from + c * s.col, s.row, rows);
  else
    for (int64_t r = 0; r < rows; ++r) convert_run(to + r * d.row, d.col, from + r * s.row, s.col, cols);
}

// ---- Complex numbers are pairs: their parts are converted as arrays of twice the strides.

template <class T>
struct PartOf {
  using type = T;
};
template <>
struct PartOf<Complex64> {
  using type = float;
};
template <>
struct PartOf<Complex128> {
  using type = double;
};
template <class T>
constexpr bool kIsComplex = !std::is_same_v<typename PartOf<T>::type, T>;
template <class T>
PYNN_INLINE Strides in_parts(Strides s) {
  return kIsComplex<T> ? Strides{2 * s.row, 2 * s.col} : s;
}

template <class To, class From>
void convert_complex(void* dst, Strides d, const void* src, Strides s, int64_t rows, int64_t cols) {
  using ToPart = typename PartOf<To>::type;
  using FromPart = typename PartOf<From>::type;
  if constexpr (std::is_same_v<To, bool>) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) {
        const From x = static_cast<const From*>(src)[r * s.row + c * s.col];
        static_cast<bool*>(dst)[r * d.row + c * d.col] = x.re != 0 || x.im != 0;
      }
    return;
  }
  const Strides dp = in_parts<To>(d), sp = in_parts<From>(s);
  convert<ToPart, FromPart>(dst, dp, src, sp, rows, cols);
  if constexpr (kIsComplex<To>) {
    static const FromPart zero{};
    ToPart* to = static_cast<ToPart*>(dst) + 1;
    if constexpr (kIsComplex<From>)
      convert<ToPart, FromPart>(to, dp, static_cast<const FromPart*>(src) + 1, sp, rows, cols);
    else
      convert<ToPart, FromPart>(to, dp, &zero, {0, 0}, rows, cols);
  }
}

// uint8 serves for bool as a source and for int8 as a target: the bits come out the same.
template <class To, class From>
constexpr Convert choose() {
  if constexpr (kIsComplex<To> || kIsComplex<From>)
    return &convert_complex<To, From>;
  else if constexpr (sizeof(To) == 1 && sizeof(From) == 1 && !std::is_same_v<To, bool>)
    return &convert<uint8_t, uint8_t>;
  else
    return &convert<std::conditional_t<std::is_same_v<To, int8_t>, uint8_t, To>,
                    std::conditional_t<std::is_same_v<From, bool>, uint8_t, From>>;
}
#define PYNN_TO(T, name) choose<T, From>(),
template <class From>
constexpr Convert kTo[kDTypes] = {PYNN_FOR_EACH_DTYPE(PYNN_TO)};
#undef PYNN_TO
#define PYNN_FROM(T, name) kTo<T>,
constexpr const Convert* kFrom[kDTypes] = {PYNN_FOR_EACH_DTYPE(PYNN_FROM)};
#undef PYNN_FROM

}  // namespace

Convert converter(DType to, DType from) { return kFrom[static_cast<int>(from)][static_cast<int>(to)]; }

}  // namespace PYNN_CPU_NAMESPACE
