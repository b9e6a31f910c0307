// attention_amx.h -- the products of tiled attention by AMX, see attention_forward.cpp: of bfloat16 (gemm_amx.h), and
// of float32 as three parts (split.h).
//
// Slivers are of 32 queries. Keys, and values transposed, are copied block by block as blocks of A; the queries once,
// and the weights, as words of two along the sum. Operands that do not split are for the tiles of vectors.
#pragma once
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu_features.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

// How operands lie: steps of 32 along the sum, of 32 rows of A or columns of B; a word holds two elements of the sum,
// kPair from each other. rows(), columns(): steps from memory; row(), pair(): one row of A's step, and a vector of
// column pairs of B's rows `k` and k + kPair; product(): 32 x 32 sums, `wanted` rows of which are wanted.
template <class S>
struct AmxSteps;

template <>
struct AmxSteps<BFloat16> {
  static constexpr int64_t S = kAmxSize, kStep = S * kWords, kPair = 1;  // words of a step
  struct Seen {};

  static void rows(const BFloat16* x, int64_t r_stride, int64_t k_stride, int64_t n, int64_t k, int32_t* to, Seen&) {
    amx_rows<Bf16Pairs>(x, r_stride, k_stride, n, k, to);
  }
  static void columns(const BFloat16* x, int64_t c_stride, int64_t k_stride, int64_t n, int64_t k, int32_t* to, Seen&) {
    for (int64_t p = 0; p < k; p += S, to += kStep)
      amx_step<Bf16Pairs>(x + p * k_stride, c_stride, k_stride, n, min_of(S, k - p), to);
  }
  PYNN_INLINE static void row(int32_t* step, int64_t r, VecF first, VecF second) {
    store_pairs(reinterpret_cast<BFloat16*>(step + r * kWords), first, second);
  }
  PYNN_INLINE static void pair(int32_t* steps, int64_t k, int64_t column, VecF x, VecF y) {
    pairs_of(x, y).store(steps + k / 2 * S + column);
  }
  static void product(const int32_t* a, const int32_t* b, int64_t steps, float* sums, bool add, int64_t wanted) {
    AmxBlock t{};
    t.a = reinterpret_cast<const char*>(a), t.a_row = kAmxLine, t.a_step = S * kAmxLine;
    t.b = reinterpret_cast<const char*>(b), t.steps = steps;
    t.sums = reinterpret_cast<char*>(sums), t.first = !add;
    wanted > S / 2 ? amx_block<Bf16Pairs, true>(t) : amx_block<Bf16Pairs, false>(t);
  }
  static bool accurate(Seen, Seen, Seen) { return true; }
  static bool accurate(Seen, Seen, Seen, Seen) { return true; }
};

template <>
struct AmxSteps<float> {
  static constexpr int64_t S = kAmxSize, kStep = kSplitStep, kPair = kWords;
  using Seen = Magnitude;

  static void rows(const float* x, int64_t r_stride, int64_t k_stride, int64_t n, int64_t k, int32_t* to, Seen& seen) {
    split_steps<true>(x, r_stride, k_stride, n, k, to, seen);
  }
  static void columns(const float* x, int64_t c_stride, int64_t k_stride, int64_t n, int64_t k, int32_t* to,
                      Seen& seen) {
    split_steps<false>(x, c_stride, k_stride, n, k, to, seen);
  }
  PYNN_INLINE static void row(int32_t* step, int64_t r, VecF first, VecF second) {
    put(step + r * kWords, first, second);
  }
  PYNN_INLINE static void pair(int32_t* steps, int64_t k, int64_t column, VecF x, VecF y) {
    put(steps + k / S * kStep + k % S * kWords + column / kWords * kTile, x, y);
  }
  static void product(const int32_t* a, const int32_t* b, int64_t steps, float* sums, bool add, int64_t wanted) {
    (wanted > S / 2 ? split_block<true> : split_block<false>)(a, b, steps, reinterpret_cast<char*>(sums), 4 * S, !add);
  }
  static bool accurate(const Seen& q, const Seen& k, const Seen& v) {
    return splits(q.most(), k.most()) && splits(1, v.most());
  }
  static bool accurate(const Seen& q, const Seen& k, const Seen& v, const Seen& dout) {
    const float ds = v.most() * dout.most();
    return accurate(q, k, v) && splits(v.most(), dout.most()) && splits(ds, q.most()) && splits(ds, k.most());
  }

 private:
  PYNN_INLINE static void put(int32_t* to, VecF first, VecF second) {
    Vec<int32_t> words[3];
    split(first, second, words);
    for (int64_t i = 0; i < 3; ++i) words[i].store(to + i * 2 * kTile);
  }
};

// Whether float32's products are faster by it.
inline bool amx_takes(const TiledAttentionArgs& a) {
  return cpu_features().amx_bf16 && min_of(a.size, a.v_size) > kWords && min_of(a.rows, a.columns) >= 4 * kAmxSize;
}

template <class T>
class AmxProducts {
  using Steps = AmxSteps<T>;

 public:
  static constexpr int64_t S = kAmxSize, kVectors = S / kWords, kStep = Steps::kStep;
  static constexpr int64_t kBlock = 128, kMostSlivers = 32;  // of keys; of a task
  static constexpr int64_t kPair = Steps::kPair, kKeys = S;  // weights come in pairs, keys in multiples
  static constexpr bool kWhole = true;

  AmxProducts(const TiledAttentionArgs& args, int64_t queries)
      : a_(args),
        parts_({queries / S * steps_ * kStep, kBlockSteps * steps_ * kStep,
                ceil_div(args.v_size, S) * kBlockSteps * kStep, kBlockSteps * kStep, kBlock * S}) {}

  static int64_t padded(int64_t v_size) { return round_up(v_size, S); }
  void start() { seen_q_ = seen_k_ = seen_v_ = {}; }
  bool accurate() const { return Steps::accurate(seen_q_, seen_k_, seen_v_); }
  void take_queries(const T* x, int64_t rows, int64_t at, int64_t) {
    Steps::columns(x, a_.q.row, 1, rows, a_.size, q_ + at / S * steps_ * kStep, seen_q_);
  }
  void take_block(const T* keys, const T* values, int64_t n) {
    for (int64_t j = 0; j < n; j += S)
      Steps::rows(keys + j * a_.k.row, a_.k.row, 1, min_of(S, n - j), a_.size, keys_ + j / S * steps_ * kStep, seen_k_);
    for (int64_t e = 0; e < a_.v_size; e += S)
      Steps::rows(values + e, 1, a_.v.row, min_of(S, a_.v_size - e), n, values_ + e / S * kBlockSteps * kStep, seen_v_);
  }
  void scores(int64_t at, int64_t, int64_t n, int64_t) {
    for (int64_t j = 0; j < n; j += S)
      Steps::product(keys_ + j / S * steps_ * kStep, q_ + at / S * steps_ * kStep, steps_, s(j, kVectors), false,
                     n - j);
  }
  float* s(int64_t key, int64_t) { return s_ + key * S; }
  auto put_at(int64_t, int64_t at) {
    return [to = weights_, at](int64_t key, VecF x, VecF y)
               __attribute__((always_inline)) { Steps::pair(to, key, at, x, y); };
  }
  void add_values(int64_t, int64_t n, float* o, bool add) {
    for (int64_t e = 0; e < a_.v_size; e += S)
      Steps::product(values_ + e / S * kBlockSteps * kStep, weights_, ceil_div(n, S), o + e * S, add, a_.v_size - e);
  }

 private:
  static constexpr int64_t kBlockSteps = kBlock / S;

  const TiledAttentionArgs& a_;
  int64_t steps_ = ceil_div(a_.size, S);
  ScratchParts<int32_t, 5> parts_;
  int32_t *const q_ = parts_[0], *const keys_ = parts_[1], *const values_ = parts_[2], *const weights_ = parts_[3];
  float* const s_ = reinterpret_cast<float*>(parts_[4]);
  typename Steps::Seen seen_q_, seen_k_, seen_v_;
  AmxRegisters registers_;
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
