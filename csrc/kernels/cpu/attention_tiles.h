// attention_tiles.h -- the pieces of tiled attention: products of slivers, 2^x, masks, dropout.
//
// A sliver is a few vectors of queries (forward) or keys (backward), each lane one of them: what belongs to pairs of
// both lies as [the other side][sliver], and products are tiles of the GEMM, whose a is read where it lies.
#pragma once
#include "core/parallel.h"
#include "kernels/attention_tiles.h"
#include "kernels/cpu/gemm_block.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

using AttentionOperand = TiledAttentionArgs::Operand;

// One (batch, head) of an operand.
template <class T>
PYNN_INLINE T* matrix(const AttentionOperand& x, int64_t batch, int64_t head) {
  return static_cast<T*>(x.data) + batch * x.batch + head * x.head;
}
template <class T>
void fill(T* x, int64_t n, T value) {
  for (int64_t i = 0; i < n; i += Vec<T>::kSize) Vec<T>(value).store(x + i, n - i);
}

// ---- slivers

// c[i, j] (+)= sum_p a(i, p) b[p, j]; b and c have whole vectors.
template <class T>
void attention_product(int64_t rows, int64_t vectors, int64_t k, const T* a, int64_t a_rs, int64_t a_cs, const T* b,
                       int64_t b_rs, T* c, int64_t c_rs, bool add) {
  constexpr int64_t W = Vec<T>::kSize, MR = GemmBlocks::mr;
  const GemmOut<T> out{c, c_rs, 1, T(1), T(add), nullptr, 0, 0, false};
  const int64_t parts = ceil_div(vectors, GemmBlocks::nv);
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t v = vectors * p / parts, nv = vectors * (p + 1) / parts - v;
    for (int64_t i = 0; i < rows; i += MR)
      run_gemm_tile<T>(min_of(MR, rows - i), nv, {k, a + i * a_rs, b + v * W, a_rs, a_cs, b_rs, nv * W, nullptr, 0},
                       out, i, v * W);
  }
}
// The first W columns of x [n][step], column l times lane l of f, as `rows` rows of y.
template <class S>
void store_columns(const Wide<S>* x, int64_t step, int64_t n, Vec<Wide<S>> f, S* y, int64_t y_row, int64_t rows) {
  using V = Vec<Wide<S>>;
  constexpr int W = V::kSize;
  for (int64_t j = 0; j < n; j += W) {
    V v[W];
#pragma GCC unroll 16
    for (int l = 0; l < W; ++l) v[l] = j + l < n ? V::load(x + (j + l) * step) * f : V(Wide<S>(0));
    transpose(v);
#pragma GCC unroll 16
    for (int l = 0; l < W; ++l)
      if (l < rows) store_wide(y + l * y_row + j, v[l], n - j);
  }
}

// ---- weights

// 2^x for x <= 0; 0 below the normal numbers, which is nothing beside the largest weight's 1. NaN stays.
template <class T>
PYNN_INLINE Vec<T> exp2_below(Vec<T> x) {
  using V = Vec<T>;
  using F = Fp<T>;
  // The low bits of t are round(x) + bias: shifted, they are 2^round(x). Below `low` they are anything, and not used.
  const V low = constant<V>(1 - F::kBias), magic(F::kMagic + F::kBias);
  const V t = x + magic;
  const V r = x - (t - magic);
  V p;
  if constexpr (sizeof(T) == 4)
    p = poly(r, 1, 6.931472e-01, 2.402265e-01, 5.550411e-02, 9.618036e-03, 1.3333431e-03, 1.5467136e-04);
  else
    p = poly(r, 1, 0.6931471805599453, 0.24022650695910072, 0.0555041086648217, 0.009618129107628496,
             0.0013333558146390414, 0.00015403530393341095, 1.5252733856259993e-05, 1.3215486833062268e-06,
             1.0178051199575881e-07, 7.054888249570101e-09, 4.4566751886661174e-10, 2.574180896610292e-11);
  return select(x < low, V(T(0)), p * from_bits<T>(bits(t) << F::kMantissa));
}

constexpr double kLog2OfE = 1.4426950408889634;
template <class T>
constexpr T kHidden = -static_cast<T>(__builtin_huge_val());

// The mask of one (batch, head); scores become log2(e) (scale s + mask), factor = log2(e) scale.
template <class T>
class ScoreMask {
 public:
  using V = Vec<T>;
  static constexpr int64_t W = V::kSize;
  ScoreMask(const TiledAttentionArgs& a, int64_t batch, int64_t head)
      : data_(static_cast<const char*>(a.mask)),
        size_(a.mask_is_bool ? 1 : sizeof(T)),
        row_(a.mask_row * size_),
        column_(a.mask_column * size_),
        is_bool_(a.mask_is_bool) {
    data_ += (batch * a.mask_batch + head * a.mask_head) * size_;
  }

  // Into L2, ahead of add_to_columns(): rows may lie pages apart.
  void fetch(int64_t row, int64_t rows, int64_t j, int64_t n) const {
    for (int64_t r = 0; row_ && column_ && r < rows; ++r)
      for (int64_t b = 0; b < n * size_; b += 64) __builtin_prefetch(data_ + (row + r) * row_ + j * size_ + b, 0, 2);
  }
  // s[i] of row `row` and columns j + i, i < n.
  void add_to_row(T* s, int64_t row, int64_t j, int64_t n, V factor) const {
    for (int64_t i = 0; i < n; i += W) fma(V::load(s + i, n - i), factor, added(row, j + i, n - i)).store(s + i, n - i);
  }
  // s[i * step + l] of rows `row` + l, l < rows <= W, and columns j + i, i < n.
  void add_to_columns(T* s, int64_t step, int64_t row, int64_t rows, int64_t j, int64_t n, V factor) const {
    for (int64_t i = 0; i < n; i += W, s += W * step) {
      V v[W];
      v[0] = added(row, j + i, n - i);
      if (row_) {
#pragma GCC unroll 16
        for (int64_t l = 1; l < W; ++l) v[l] = l < rows ? added(row + l, j + i, n - i) : V(T(0));
        transpose(v);
      } else {
        T one[W];
        v[0].store(one);
#pragma GCC unroll 16
        for (int64_t l = 0; l < W; ++l) v[l] = V(one[l]);
      }
      for (int64_t l = 0; l < min_of(W, n - i); ++l) fma(V::load(s + l * step), factor, v[l]).store(s + l * step);
    }
  }

 private:
  // Columns j to j + W of a row, n of which are there.
  PYNN_INLINE V added(int64_t row, int64_t j, int64_t n) const {
    const char* at = data_ + row * row_ + j * column_;
    if (is_bool_) {
      bool some[W] = {};
      const bool* seen = reinterpret_cast<const bool*>(at);
      if (!column_) return V(*seen ? T(0) : kHidden<T>);
      if (n < W) seen = static_cast<const bool*>(__builtin_memcpy(some, seen, static_cast<size_t>(n)));
      return select(load_bool<T>(seen), V(T(0)), V(kHidden<T>));
    }
    const T* x = reinterpret_cast<const T*>(at);
    return (column_ ? V::load(x, n) : V(*x)) * V(static_cast<T>(kLog2OfE));
  }

  const char* data_;
  int64_t size_, row_, column_;  // bytes
  bool is_bool_;
};

// ---- dropout: a hash of the row's key and of the column, so that any tile can be drawn anew

PYNN_INLINE uint64_t dropout_key(uint64_t seed, int64_t row) {  // SplitMix64
  uint64_t x = seed + (static_cast<uint64_t>(row) + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

template <class T>
class Dropout {
 public:
  static constexpr int W = Vec<T>::kSize, L = PYNN_VEC_BYTES / 4;
  explicit Dropout(double p) : keep_(static_cast<T>(p >= 1 ? 0 : 1 / (1 - p))) {
    threshold_ = static_cast<uint32_t>(p * 0x1p31);  // of 31 bits
  }
  // out[i] = 0 or 1 / (1 - p) of columns j + i, i < n; whole vectors are written.
  void draw(uint64_t seed, int64_t row, int64_t j, int64_t n, T* out) const {
    const uint64_t key = dropout_key(seed, row);
    const U32 zero{}, low = zero + static_cast<uint32_t>(key), high = zero + (static_cast<uint32_t>(key >> 32) | 1);
    for (int64_t i = 0; i < n; i += L)
      put(kept((U32)Vec<int32_t>::iota(static_cast<int32_t>(j + i)).v, low, high), out + i, n - i);
  }
  // out[i * W + l]: that of column j + i, i < n, and row `row + l`, l < W.
  void draw_columns(uint64_t seed, int64_t row, int64_t j, int64_t n, T* out) const {
    U32 low{}, high{};
    for (int l = 0; l < W; ++l) {
      const uint64_t key = dropout_key(seed, row + l);
      low[l] = static_cast<uint32_t>(key), high[l] = static_cast<uint32_t>(key >> 32) | 1;
    }
    for (int64_t i = 0; i < n; ++i) put(kept(U32{} + static_cast<uint32_t>(j + i), low, high), out + i * W, W);
  }

 private:
  PYNN_INLINE I32 kept(U32 x, U32 low, U32 high) const {
    x = x * high + low;
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return (I32)(x >> 1) >= (I32)(U32)(x * 0u + threshold_);
  }
  PYNN_INLINE void put(I32 kept, T* out, int64_t n) const {
    if constexpr (sizeof(T) == 4)
      select(Mask<T>{kept}, Vec<T>(keep_), Vec<T>(T(0))).store(out, n);
    else
      for (int l = 0; l < L && l < n; ++l) out[l] = kept[l] ? keep_ : T(0);
  }

  T keep_;
  uint32_t threshold_;
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
