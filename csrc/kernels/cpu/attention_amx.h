// attention_amx.h -- the products of tiled attention of bfloat16 by AMX, see attention_forward.cpp and gemm_amx.h.
//
// Slivers are of 32 queries. Keys, and values transposed, are copied block by block as blocks of A; the queries once,
// and the weights, rounded to bfloat16, as pairs of neighbours along the sum.
#pragma once
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/gemm_amx.h"
#include "kernels/cpu_features.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

// A block of 32 x 32 sums, `rows` rows of which are wanted.
inline void amx_product(const int32_t* a, const int32_t* b, int64_t steps, float* sums, bool add, int64_t rows) {
  AmxBlock t{};
  t.a = reinterpret_cast<const char*>(a), t.a_row = kAmxLine, t.a_step = kAmxSize * kAmxLine;
  t.b = reinterpret_cast<const char*>(b), t.steps = steps;
  t.sums = reinterpret_cast<char*>(sums), t.first = !add;
  rows > kAmxSize / 2 ? amx_block<Bf16Pairs, true>(t) : amx_block<Bf16Pairs, false>(t);
}

class AmxProducts {
 public:
  static constexpr int64_t S = kAmxSize, kVectors = S / kWords, kStep = kAmxLine / 4 * S;  // words of a step of 32 rows
  static constexpr int64_t kBlock = 256;                                                   // of keys
  static constexpr bool kWhole = true;

  AmxProducts(const TiledAttentionArgs& args, int64_t queries)
      : a_(args),
        parts_({queries / S * steps_ * kStep, kBlockSteps * steps_ * kStep,
                ceil_div(args.v_size, S) * kBlockSteps * kStep, kBlock / 2 * S, kBlock * S}) {}

  static int64_t padded(int64_t v_size) { return round_up(v_size, S); }
  void take_queries(const BFloat16* x, int64_t rows, int64_t at, int64_t) {
    int32_t* out = q_ + at / S * steps_ * kStep;
    for (int64_t p = 0; p < a_.size; p += S, out += kStep)
      amx_step<Bf16Pairs>(x + p, a_.q.row, 1, rows, min_of(S, a_.size - p), out);
  }
  void take_block(const BFloat16* keys, const BFloat16* values, int64_t n) {
    for (int64_t j = 0; j < n; j += S)
      amx_rows<Bf16Pairs>(keys + j * a_.k.row, a_.k.row, 1, min_of(S, n - j), a_.size, keys_ + j / S * steps_ * kStep);
    for (int64_t e = 0; e < a_.v_size; e += S)
      amx_rows<Bf16Pairs>(values + e, 1, a_.v.row, min_of(S, a_.v_size - e), n, values_ + e / S * kBlockSteps * kStep);
  }
  void scores(int64_t at, int64_t, int64_t n, int64_t) {
    for (int64_t j = 0; j < n; j += S)
      amx_product(keys_ + j / S * steps_ * kStep, q_ + at / S * steps_ * kStep, steps_, s(j, kVectors), false, n - j);
  }
  float* s(int64_t key, int64_t) { return s_ + key * S; }
  auto put_at(int64_t, int64_t at) {
    return [to = weights_ + at](int64_t key, VecF x, VecF y)
               __attribute__((always_inline)) { pairs_of(x, y).store(to + key / 2 * S); };
  }
  void add_values(int64_t, int64_t n, float* o, bool add) {
    const int64_t steps = ceil_div(n, S);
    for (int64_t i = round_up(n, 2); i < steps * S; i += 2)
      for (int64_t l = 0; l < S; l += kWords) Vec<int32_t>(0).store(weights_ + i / 2 * S + l);
    for (int64_t e = 0; e < a_.v_size; e += S)
      amx_product(values_ + e / S * kBlockSteps * kStep, weights_, steps, o + e * S, add, a_.v_size - e);
  }

 private:
  static constexpr int64_t kBlockSteps = kBlock / S;

  const TiledAttentionArgs& a_;
  int64_t steps_ = ceil_div(a_.size, S);
  ScratchParts<int32_t, 5> parts_;
  int32_t *const q_ = parts_[0], *const keys_ = parts_[1], *const values_ = parts_[2], *const weights_ = parts_[3];
  float* const s_ = reinterpret_cast<float*>(parts_[4]);
  AmxRegisters registers_;
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
