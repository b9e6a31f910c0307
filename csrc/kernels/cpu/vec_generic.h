// vec_generic.h -- what the vector extension lacks, written with it: the meaning of every native:: function, and its
// code where an ISA has no better one. Include vec.h, not this.
#pragma once
#include <type_traits>
#include <utility>

namespace PYNN_CPU_NAMESPACE::native {

template <class V>
using LaneOf = std::remove_reference_t<decltype(std::declval<V&>()[0])>;
template <class V>
constexpr int kLanes = sizeof(V) / sizeof(LaneOf<V>);

template <class V, class T>
PYNN_INLINE V splat(T x) {
  return x - V{};  // not x + V{}: -0 + 0 is +0
}

template <class T, class V>
PYNN_INLINE V load_tail(const T* p, int n, V r) {
  if constexpr (kLanes<V> <= 4)
    for (int i = 0; i < n; ++i) r[i] = p[i];
  else
    __builtin_memcpy(&r, p, static_cast<size_t>(n) * sizeof(T));
  return r;
}
template <class T, class V>
PYNN_INLINE void store_tail(T* p, int n, V v) {
  if constexpr (kLanes<V> <= 4)
    for (int i = 0; i < n; ++i) p[i] = v[i];
  else
    __builtin_memcpy(p, &v, static_cast<size_t>(n) * sizeof(T));
}

template <class M, class V>
PYNN_INLINE V select(M m, V a, V b) {
  return (V)((m & (M)a) | (~m & (M)b));
}
template <class M>
PYNN_INLINE bool any(M m) {
  LaneOf<M> r = 0;
  for (int i = 0; i < kLanes<M>; ++i) r |= m[i];
  return r != 0;
}

template <class V>
PYNN_INLINE bool all_within(V x, V low, V high) {
  return !any(~((x >= low) & (x <= high)));
}

template <class V>
PYNN_INLINE V fma(V a, V b, V c) {
  return a * b + c;
}
template <class V>
PYNN_INLINE V fnma(V a, V b, V c) {
  return c - a * b;
}
template <class V>
PYNN_INLINE V min(V a, V b) {
  return a < b ? a : b;
}
template <class V>
PYNN_INLINE V max(V a, V b) {
  return a > b ? a : b;
}
template <class V>
PYNN_INLINE V quotient(V a, V b) {
  return a / b;
}
template <class V>
PYNN_INLINE V sqrt(V x) {
  for (int i = 0; i < kLanes<V>; ++i) {
    if constexpr (sizeof(LaneOf<V>) == 4)
      x[i] = __builtin_sqrtf(x[i]);
    else
      x[i] = __builtin_sqrt(x[i]);
  }
  return x;
}

// Adding and taking away 2^23 (2^52) leaves an integer, rounded half to even.
template <class V, class M>
PYNN_INLINE V round_by_magic(V x, V magic, M sign_bit) {
  const V magnitude = (V)((M)x & ~sign_bit);
  const V rounded = (V)((M)((magnitude + magic) - magic) | ((M)x & sign_bit));
  return select((M)(magnitude < magic), rounded, x);
}
template <class V>
PYNN_INLINE V round(V x) {
  if constexpr (sizeof(LaneOf<V>) == 4)
    return round_by_magic(x, splat<V>(0x1p23f), (I32)splat<V>(-0.0f));
  else
    return round_by_magic(x, splat<V>(0x1p52), (I64)splat<V>(-0.0));
}
template <class V>
PYNN_INLINE V floor(V x) {
  const V r = round(x);
  return r > x ? r - 1 : r;
}
template <class V>
PYNN_INLINE V ceil(V x) {
  return -floor(-x);
}
template <class V>
PYNN_INLINE V trunc(V x) {
  return x < 0 ? ceil(x) : floor(x);
}

// Lane i is x's lane at[i].
template <class V, class I>
PYNN_INLINE V permute(V x, I at) {
  V r;
  for (int i = 0; i < kLanes<V>; ++i) r[i] = x[at[i]];
  return r;
}

// f over the lanes as a tree: halves first, then quarters, ...
template <class V, int... I>
PYNN_INLINE auto upper_half(V v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, (static_cast<int>(sizeof...(I)) + I)...);
}
template <class V, int... I>
PYNN_INLINE auto lower_half(V v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, I...);
}
template <class V, class F>
PYNN_INLINE LaneOf<V> reduce(V v, F f) {
  if constexpr (sizeof(V) > 16) {
    using Half = std::make_integer_sequence<int, kLanes<V> / 2>;
    return reduce(f(lower_half(v, Half()), upper_half(v, Half())), f);
  } else if constexpr (kLanes<V> == 4) {
    v = f(v, __builtin_shufflevector(v, v, 2, 3, 2, 3));
    return f(v, __builtin_shufflevector(v, v, 1, 1, 1, 1))[0];
  } else {
    return f(v, __builtin_shufflevector(v, v, 1, 1))[0];
  }
}

// Conversions. U16h: as many lanes as F32; F32h: as many as F64.
typedef uint16_t U16h __attribute__((vector_size(PYNN_VEC_BYTES / 2)));
typedef float F32h __attribute__((vector_size(PYNN_VEC_BYTES / 2)));

template <class V>
PYNN_INLINE void widen(V x, F64& lo, F64& hi) {
  F32h half[2];
  __builtin_memcpy(half, &x, sizeof x);
  lo = __builtin_convertvector(half[0], F64);
  hi = __builtin_convertvector(half[1], F64);
}
template <class V>
PYNN_INLINE F32 narrow(V lo, V hi) {
  const F32h half[2] = {__builtin_convertvector(lo, F32h), __builtin_convertvector(hi, F32h)};
  F32 r;
  __builtin_memcpy(&r, half, sizeof r);
  return r;
}
// acc + the products of the two int16 in each lane, which wraps.
template <class V>
PYNN_INLINE V dot_words(V acc, V x, V y) {
  typedef uint32_t Bits __attribute__((vector_size(sizeof(V))));
  const V low = ((x << 16) >> 16) * ((y << 16) >> 16), high = (x >> 16) * (y >> 16);
  return (V)((Bits)acc + (Bits)low + (Bits)high);
}
template <class M>
PYNN_INLINE M load_bool(const bool* p, M) {
  M m;
  for (int i = 0; i < kLanes<M>; ++i) m[i] = p[i] ? -1 : 0;
  return m;
}
template <class M>
PYNN_INLINE void store_bool(bool* p, M m) {
  typedef uint8_t Bytes __attribute__((vector_size(kLanes<M>)));
  const Bytes r = __builtin_convertvector(m & 1, Bytes);
  __builtin_memcpy(p, &r, sizeof r);
}

// As core/half.h, in lanes.
template <class S>
PYNN_INLINE F32 load_half(const S* p) {
  U16h h;
  __builtin_memcpy(&h, p, sizeof h);
  const I32 all = __builtin_convertvector(h, I32);
  if constexpr (std::is_same_v<S, BFloat16>) return (F32)(all << 16);
  const I32 u = (all & 0x7fff) << 13;
  const I32 finite = (I32)((F32)u * splat<F32>(0x1p112f));
  return (F32)(select((I32)(u >= 0x0f800000), u + 0x70000000, finite) | ((all & 0x8000) << 16));
}
template <class S>
PYNN_INLINE void store_half(S* p, F32 x) {
  const I32 all = (I32)x;
  I32 r;
  if constexpr (std::is_same_v<S, BFloat16>) {
    const I32 rounded = (I32)((U32)all + 0x7fff + (U32)((all >> 16) & 1)) >> 16;
    r = select((I32)(x != x), splat<I32>(0x7fc0), rounded);
  } else {
    const I32 u = all & 0x7fffffff;
    const I32 huge = select((I32)(u > 0x7f800000), splat<I32>(0x7e00), splat<I32>(0x7c00));
    const I32 tiny = (I32)((F32)u + splat<F32>(0.5f)) - 0x3f000000;
    const I32 usual = (u - 0x37fff001 + ((u >> 13) & 1)) >> 13;
    r = select((I32)(u >= 0x47800000), huge, select((I32)(u < 0x38800000), tiny, usual)) | ((all >> 16) & 0x8000);
  }
  const U16h h = __builtin_convertvector(r, U16h);
  __builtin_memcpy(p, &h, sizeof h);
}

}  // namespace PYNN_CPU_NAMESPACE::native
