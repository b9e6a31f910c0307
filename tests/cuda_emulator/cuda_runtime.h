// cuda_runtime.h -- CUDA's C++ for a C++ compiler: stands before the real header on the include path of
// the emulated build (PYNN_CUDA_EMULATED). Includes what nvcc knows by itself.
#pragma once
#include <math.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "cuda_emulator.h"
#include "cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __grid_constant__
#define __shared__ static  // blocks run one after another
#define __launch_bounds__(...)
#define __maxnreg__(...)
#define __cluster_dims__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_assume(x) static_cast<void>(0)

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

// ---- vector types ----

#define PYNN_VECTOR_TYPES(T, name, a2, a4)                      \
  struct name##1 { T x; };                                      \
  struct alignas(a2) name##2 { T x, y; };                       \
  struct alignas(a4) name##4 { T x, y, z, w; };                 \
  constexpr name##1 make_##name##1(T x) { return {x}; }         \
  constexpr name##2 make_##name##2(T x, T y) { return {x, y}; } \
  constexpr name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define PYNN_VECTOR3_TYPE(T, name) \
  struct name##3 { T x, y, z; };   \
  constexpr name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }
PYNN_VECTOR_TYPES(signed char, char, 2, 4)
PYNN_VECTOR_TYPES(unsigned char, uchar, 2, 4)
PYNN_VECTOR_TYPES(short, short, 4, 8)
PYNN_VECTOR_TYPES(unsigned short, ushort, 4, 8)
PYNN_VECTOR_TYPES(int, int, 8, 16)
PYNN_VECTOR_TYPES(unsigned int, uint, 8, 16)
PYNN_VECTOR_TYPES(long long, longlong, 16, 16)
PYNN_VECTOR_TYPES(unsigned long long, ulonglong, 16, 16)
PYNN_VECTOR_TYPES(float, float, 8, 16)
PYNN_VECTOR_TYPES(double, double, 16, 16)
PYNN_VECTOR3_TYPE(int, int)
PYNN_VECTOR3_TYPE(float, float)
PYNN_VECTOR3_TYPE(double, double)
constexpr uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
#undef PYNN_VECTOR_TYPES
#undef PYNN_VECTOR3_TYPE

// ---- blocks and warps ----

inline void __syncthreads() { emulator::block_barrier(0, emulator::Vote::Count); }
inline int __syncthreads_count(int p) { return emulator::block_barrier(p, emulator::Vote::Count); }
inline int __syncthreads_and(int p) { return emulator::block_barrier(p, emulator::Vote::And); }
inline int __syncthreads_or(int p) { return emulator::block_barrier(p, emulator::Vote::Or); }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  emulator::warp_exchange(emulator::WarpOp::Sync, mask, 0, nullptr, nullptr, 0);
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) {}
inline void __trap() { emulator::trap("a kernel called __trap"); }

template <class T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  const int lane = emulator::lane();
  return emulator::shuffle(mask, v, (lane & ~(width - 1)) | (source & (width - 1)));
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  const int lane = emulator::lane(), source = lane - static_cast<int>(delta);
  return emulator::shuffle(mask, v, source < (lane & ~(width - 1)) ? lane : source);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  const int lane = emulator::lane(), source = lane + static_cast<int>(delta);
  return emulator::shuffle(mask, v, source > (lane | (width - 1)) ? lane : source);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32) {
  const int lane = emulator::lane(), source = lane ^ bits;
  return emulator::shuffle(mask, v, source > (lane | (width - 1)) ? lane : source);
}
inline unsigned __ballot_sync(unsigned mask, int p) {
  const unsigned char bit = p != 0;
  unsigned out;
  emulator::warp_exchange(emulator::WarpOp::Ballot, mask, 0, &bit, &out, 1);
  return out;
}
inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, !p) == 0; }
inline unsigned __activemask() { return 1u << emulator::lane(); }
template <class T>
unsigned __match_any_sync(unsigned mask, T v) {
  unsigned out;
  emulator::warp_exchange(emulator::WarpOp::Match, mask, 0, &v, &out, sizeof(T));
  return out;
}
template <class T, class F>
T pynn_reduce_sync(unsigned mask, T v, F f) {
  T all = v;
  for (int l = 0; l < 32; l++) {
    if (!(mask >> l & 1)) continue;
    const T other = emulator::shuffle(mask, v, l);
    if (l != emulator::lane()) all = f(all, other);
  }
  return all;
}
// clang-format off
template <class T> T __reduce_add_sync(unsigned mask, T v) { return pynn_reduce_sync(mask, v, [](T a, T b) { return a + b; }); }
template <class T> T __reduce_min_sync(unsigned mask, T v) { return pynn_reduce_sync(mask, v, [](T a, T b) { return a < b ? a : b; }); }
template <class T> T __reduce_max_sync(unsigned mask, T v) { return pynn_reduce_sync(mask, v, [](T a, T b) { return a > b ? a : b; }); }
template <class T> T __reduce_or_sync(unsigned mask, T v) { return pynn_reduce_sync(mask, v, [](T a, T b) { return a | b; }); }
template <class T> T __reduce_and_sync(unsigned mask, T v) { return pynn_reduce_sync(mask, v, [](T a, T b) { return a & b; }); }

// ---- atomics: one thread runs at a time ----

#define PYNN_ATOMIC(name, result)                                                                     \
  template <class T> T name(T* p, std::type_identity_t<T> v) { const T old = *p; *p = result; return old; }           \
  template <class T> T name##_block(T* p, std::type_identity_t<T> v) { return name(p, v); }           \
  template <class T> T name##_system(T* p, std::type_identity_t<T> v) { return name(p, v); }
PYNN_ATOMIC(atomicAdd, static_cast<T>(old + v))
PYNN_ATOMIC(atomicSub, static_cast<T>(old - v))
PYNN_ATOMIC(atomicMin, (v < old ? v : old))
PYNN_ATOMIC(atomicMax, (v > old ? v : old))
PYNN_ATOMIC(atomicExch, v)
PYNN_ATOMIC(atomicAnd, old & v)
PYNN_ATOMIC(atomicOr, old | v)
PYNN_ATOMIC(atomicXor, old ^ v)
PYNN_ATOMIC(atomicInc, (old >= v ? T(0) : old + 1))
PYNN_ATOMIC(atomicDec, (old == 0 || old > v ? v : old - 1))
#undef PYNN_ATOMIC
template <class T> T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {
  const T old = *p;
  if (!std::memcmp(&old, &expected, sizeof(T))) *p = v;
  return old;
}
template <class T> T atomicCAS_system(T* p, std::type_identity_t<T> e, std::type_identity_t<T> v) { return atomicCAS(p, e, v); }
template <class T> T atomicCAS_block(T* p, std::type_identity_t<T> e, std::type_identity_t<T> v) { return atomicCAS(p, e, v); }

// ---- loads and stores with hints ----

template <class T> T __ldg(const T* p) { return *p; }
template <class T> T __ldcg(const T* p) { return *p; }
template <class T> T __ldca(const T* p) { return *p; }
template <class T> T __ldcs(const T* p) { return *p; }
template <class T> T __ldlu(const T* p) { return *p; }
template <class T> T __ldcv(const T* p) { return *p; }
template <class T> void __stwb(T* p, std::type_identity_t<T> v) { *p = v; }
template <class T> void __stcg(T* p, std::type_identity_t<T> v) { *p = v; }
template <class T> void __stcs(T* p, std::type_identity_t<T> v) { *p = v; }
template <class T> void __stwt(T* p, std::type_identity_t<T> v) { *p = v; }

// ---- bits ----

template <class To, class From> To pynn_bits(From v) {
  static_assert(sizeof(To) == sizeof(From));
  To out;
  std::memcpy(&out, &v, sizeof(To));
  return out;
}
inline int __float_as_int(float v) { return pynn_bits<int>(v); }
inline unsigned __float_as_uint(float v) { return pynn_bits<unsigned>(v); }
inline float __int_as_float(int v) { return pynn_bits<float>(v); }
inline float __uint_as_float(unsigned v) { return pynn_bits<float>(v); }
inline long long __double_as_longlong(double v) { return pynn_bits<long long>(v); }
inline double __longlong_as_double(long long v) { return pynn_bits<double>(v); }
inline int __double2hiint(double v) { return static_cast<int>(pynn_bits<long long>(v) >> 32); }
inline int __double2loint(double v) { return static_cast<int>(pynn_bits<long long>(v)); }
inline double __hiloint2double(int hi, int lo) {
  return pynn_bits<double>(static_cast<unsigned long long>(static_cast<unsigned>(hi)) << 32 | static_cast<unsigned>(lo));
}
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v ? __builtin_clz(static_cast<unsigned>(v)) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll(static_cast<unsigned long long>(v)) : 64; }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline unsigned __brev(unsigned v) {
  unsigned r = 0;
  for (int i = 0; i < 32; i++) r |= (v >> i & 1u) << (31 - i);
  return r;
}
inline unsigned long long __brevll(unsigned long long v) {
  return static_cast<unsigned long long>(__brev(static_cast<unsigned>(v))) << 32 | __brev(static_cast<unsigned>(v >> 32));
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned s) {
  const unsigned long long all = static_cast<unsigned long long>(b) << 32 | a;
  unsigned r = 0;
  for (int i = 0; i < 4; i++) r |= static_cast<unsigned>(all >> ((s >> 4 * i & 7) * 8) & 0xff) << 8 * i;
  return r;
}
inline unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned s) {
  return static_cast<unsigned>(((static_cast<unsigned long long>(hi) << 32 | lo) << (s & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned s) {
  return static_cast<unsigned>((static_cast<unsigned long long>(hi) << 32 | lo) >> (s & 31));
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<long long>(a) * b >> 32); }
__extension__ inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
__extension__ inline long long __mul64hi(long long a, long long b) { return static_cast<long long>(static_cast<__int128>(a) * b >> 64); }
inline unsigned long long clock64() { return 0; }

// ---- arithmetic ----

#define PYNN_INTRINSIC1(name, T, e) inline T name(T a) { return static_cast<T>(e); }
#define PYNN_INTRINSIC2(name, T, e) inline T name(T a, T b) { return static_cast<T>(e); }
PYNN_INTRINSIC1(__expf, float, ::expf(a))
PYNN_INTRINSIC1(__exp10f, float, ::powf(10.0f, a))
PYNN_INTRINSIC1(__logf, float, ::logf(a))
PYNN_INTRINSIC1(__log2f, float, ::log2f(a))
PYNN_INTRINSIC1(__log10f, float, ::log10f(a))
PYNN_INTRINSIC1(__sinf, float, ::sinf(a))
PYNN_INTRINSIC1(__cosf, float, ::cosf(a))
PYNN_INTRINSIC1(__tanf, float, ::tanf(a))
PYNN_INTRINSIC1(__tanhf, float, ::tanhf(a))
PYNN_INTRINSIC1(__saturatef, float, a > 0 ? (a < 1 ? a : 1.0f) : 0.0f)
PYNN_INTRINSIC1(__frcp_rn, float, 1.0f / a)
PYNN_INTRINSIC1(__fsqrt_rn, float, ::sqrtf(a))
PYNN_INTRINSIC1(__frsqrt_rn, float, 1.0f / ::sqrtf(a))
PYNN_INTRINSIC1(__drcp_rn, double, 1.0 / a)
PYNN_INTRINSIC1(__dsqrt_rn, double, ::sqrt(a))
PYNN_INTRINSIC1(rsqrtf, float, 1.0f / ::sqrtf(a))
PYNN_INTRINSIC1(rsqrt, double, 1.0 / ::sqrt(a))
PYNN_INTRINSIC1(rsqrt, float, 1.0f / ::sqrtf(a))
PYNN_INTRINSIC1(rcbrtf, float, 1.0f / ::cbrtf(a))
PYNN_INTRINSIC1(rcbrt, double, 1.0 / ::cbrt(a))
PYNN_INTRINSIC1(sinpif, float, ::sin(3.14159265358979323846 * ::fmod(static_cast<double>(a), 2.0)))
PYNN_INTRINSIC1(cospif, float, ::cos(3.14159265358979323846 * ::fmod(static_cast<double>(a), 2.0)))
PYNN_INTRINSIC1(sinpi, double, ::sin(3.14159265358979323846 * ::fmod(a, 2.0)))
PYNN_INTRINSIC1(cospi, double, ::cos(3.14159265358979323846 * ::fmod(a, 2.0)))
PYNN_INTRINSIC1(sinpi, float, ::sinpif(a))
PYNN_INTRINSIC1(cospi, float, ::cospif(a))
PYNN_INTRINSIC1(normcdf, double, 0.5 * ::erfc(-a * 0.70710678118654752440))
PYNN_INTRINSIC1(normcdff, float, 0.5 * ::erfc(-static_cast<double>(a) * 0.70710678118654752440))
PYNN_INTRINSIC1(erfcxf, float, ::exp(static_cast<double>(a) * a) * ::erfc(static_cast<double>(a)))
PYNN_INTRINSIC2(__fdividef, float, a / b)
PYNN_INTRINSIC2(fdividef, float, a / b)
PYNN_INTRINSIC2(__powf, float, ::powf(a, b))
PYNN_INTRINSIC2(__fadd_rn, float, a + b)
PYNN_INTRINSIC2(__fsub_rn, float, a - b)
PYNN_INTRINSIC2(__fmul_rn, float, a * b)
PYNN_INTRINSIC2(__fdiv_rn, float, a / b)
PYNN_INTRINSIC2(__dadd_rn, double, a + b)
PYNN_INTRINSIC2(__dsub_rn, double, a - b)
PYNN_INTRINSIC2(__dmul_rn, double, a * b)
PYNN_INTRINSIC2(__ddiv_rn, double, a / b)
#undef PYNN_INTRINSIC1
#undef PYNN_INTRINSIC2
inline float __fmaf_rn(float a, float b, float c) { return ::fmaf(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return ::fma(a, b, c); }
inline void sincospif(float v, float* s, float* c) { *s = sinpif(v), *c = cospif(v); }
inline void sincospi(double v, double* s, double* c) { *s = sinpi(v), *c = cospi(v); }
inline void __sincosf(float v, float* s, float* c) { *s = ::sinf(v), *c = ::cosf(v); }
inline void sincos(float v, float* s, float* c) { *s = ::sinf(v), *c = ::cosf(v); }

// A conversion out of range gives the nearest value, and 0 for NaN, as on the device.
template <class To, class From> To pynn_convert(From v) {
  if (v != v) return 0;
  const From low = static_cast<From>(std::numeric_limits<To>::min()), high = static_cast<From>(std::numeric_limits<To>::max());
  return v <= low ? std::numeric_limits<To>::min() : v >= high ? std::numeric_limits<To>::max() : static_cast<To>(v);
}
inline int __float2int_rn(float v) { return pynn_convert<int>(::rintf(v)); }
inline int __float2int_rz(float v) { return pynn_convert<int>(::truncf(v)); }
inline int __float2int_rd(float v) { return pynn_convert<int>(::floorf(v)); }
inline int __float2int_ru(float v) { return pynn_convert<int>(::ceilf(v)); }
inline unsigned __float2uint_rn(float v) { return pynn_convert<unsigned>(::rintf(v)); }
inline unsigned __float2uint_rz(float v) { return pynn_convert<unsigned>(::truncf(v)); }
inline long long __float2ll_rn(float v) { return pynn_convert<long long>(::rintf(v)); }
inline long long __float2ll_rz(float v) { return pynn_convert<long long>(::truncf(v)); }
inline int __double2int_rn(double v) { return pynn_convert<int>(::rint(v)); }
inline int __double2int_rz(double v) { return pynn_convert<int>(::trunc(v)); }
inline long long __double2ll_rn(double v) { return pynn_convert<long long>(::rint(v)); }
inline long long __double2ll_rz(double v) { return pynn_convert<long long>(::trunc(v)); }
inline float __int2float_rn(int v) { return static_cast<float>(v); }
inline float __uint2float_rn(unsigned v) { return static_cast<float>(v); }
inline float __ll2float_rn(long long v) { return static_cast<float>(v); }
inline float __ull2float_rn(unsigned long long v) { return static_cast<float>(v); }
inline double __int2double_rn(int v) { return v; }
inline double __uint2double_rn(unsigned v) { return v; }
inline double __ll2double_rn(long long v) { return static_cast<double>(v); }
inline double __ull2double_rn(unsigned long long v) { return static_cast<double>(v); }
inline float __double2float_rn(double v) { return static_cast<float>(v); }

#define PYNN_MIN_MAX(T)                              \
  constexpr T min(T a, T b) { return b < a ? b : a; } \
  constexpr T max(T a, T b) { return a < b ? b : a; }
PYNN_MIN_MAX(int)
PYNN_MIN_MAX(unsigned int)
PYNN_MIN_MAX(long)
PYNN_MIN_MAX(unsigned long)
PYNN_MIN_MAX(long long)
PYNN_MIN_MAX(unsigned long long)
#undef PYNN_MIN_MAX
constexpr unsigned min(int a, unsigned b) { return min(static_cast<unsigned>(a), b); }
constexpr unsigned min(unsigned a, int b) { return min(a, static_cast<unsigned>(b)); }
constexpr unsigned max(int a, unsigned b) { return max(static_cast<unsigned>(a), b); }
constexpr unsigned max(unsigned a, int b) { return max(a, static_cast<unsigned>(b)); }
inline float min(float a, float b) { return ::fminf(a, b); }
inline float max(float a, float b) { return ::fmaxf(a, b); }
inline double min(double a, double b) { return ::fmin(a, b); }
inline double max(double a, double b) { return ::fmax(a, b); }
inline double min(float a, double b) { return ::fmin(static_cast<double>(a), b); }
inline double max(float a, double b) { return ::fmax(static_cast<double>(a), b); }
inline double min(double a, float b) { return ::fmin(a, static_cast<double>(b)); }
inline double max(double a, float b) { return ::fmax(a, static_cast<double>(b)); }
// clang-format on

// ---- symbols ----

template <class T>
cudaError_t cudaMemcpyToSymbolAsync(T& symbol, const void* from, size_t n, size_t offset = 0,
                                    cudaMemcpyKind = cudaMemcpyHostToDevice, cudaStream_t = nullptr) {
  std::memcpy(reinterpret_cast<char*>(&symbol) + offset, from, n);
  return cudaSuccess;
}
template <class T>
cudaError_t cudaMemcpyToSymbol(T& symbol, const void* from, size_t n, size_t offset = 0,
                               cudaMemcpyKind = cudaMemcpyHostToDevice) {
  return cudaMemcpyToSymbolAsync(symbol, from, n, offset);
}
template <class T>
cudaError_t cudaGetSymbolAddress(void** p, T& symbol) {
  *p = &symbol;
  return cudaSuccess;
}
