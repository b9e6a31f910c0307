// attention_amx.h -- the products of tiled attention by AMX, see attention_forward.cpp: of bfloat16 (gemm_amx.h), and
// of float32 as parts (split.h).
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

// Sums of registers += 32 rows of A by 32 columns of B, of which the new ones are loaded: B's lines are b_row bytes
// from each other, and its second tile is b_tile words further.
PYNN_INLINE void tile_products(const int32_t* a, bool new_a, const int32_t* b, bool new_b, int64_t b_row,
                               int64_t b_tile) {
  using P = AmxProduct<Bf16Pairs>;
  if (new_b) {
    PYNN_AMX_LOAD(6, b, b_row);
    PYNN_AMX_LOAD(7, b + b_tile, b_row);
  }
  if (new_a) {
    PYNN_AMX_LOAD(4, a, kAmxLine);
    PYNN_AMX_LOAD(5, a + kTile, kAmxLine);
  }
  P::upper_left();
  P::upper_right();
  P::lower_left();
  P::lower_right();
}

// How operands lie: steps of 32 along the sum, of 32 rows of A or columns of B; a word holds two elements of the sum,
// kPair from each other. rows(), columns(): steps from memory; row(), pair(): one row of A's step, and a vector of
// column pairs of B's rows `k` and k + kPair; product(): the i-th of the
// kProducts of a step, one after another.
struct Bf16Steps {
  static constexpr int64_t S = kAmxSize, kStep = S * kWords, kPair = 1, kProducts = 1;  // words of a step
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
  PYNN_INLINE static void product(const int32_t* a, const int32_t* b, int64_t) {
    tile_products(a, true, b, true, 4 * S, kWords);
  }
  static bool accurate(Seen, Seen, Seen) { return true; }
  static bool accurate(Seen, Seen, Seen, Seen) { return true; }
};

template <int kParts>
struct SplitSteps {
  static constexpr int64_t S = kAmxSize, kStep = kSplitStep<kParts>, kPair = kWords,
                           kProducts = kParts * (kParts + 1) / 2;
  using Seen = Magnitude;

  static void rows(const float* x, int64_t r_stride, int64_t k_stride, int64_t n, int64_t k, int32_t* to, Seen& seen) {
    split_steps<kParts, true>(x, r_stride, k_stride, n, k, to, seen);
  }
  static void columns(const float* x, int64_t c_stride, int64_t k_stride, int64_t n, int64_t k, int32_t* to,
                      Seen& seen) {
    split_steps<kParts, false>(x, c_stride, k_stride, n, k, to, seen);
  }
  PYNN_INLINE static void row(int32_t* step, int64_t r, VecF first, VecF second) {
    put(step + r * kWords, first, second);
  }
  PYNN_INLINE static void pair(int32_t* steps, int64_t k, int64_t column, VecF x, VecF y) {
    put(steps + k / S * kStep + k % S * kWords + column / kWords * kTile, x, y);
  }
  PYNN_INLINE static void product(const int32_t* a, const int32_t* b, int64_t i) {
    // Of three parts; of two, B's middle and high ones take the place of its low and middle ones.
    static constexpr int64_t of_a[] = {0, 0, 1, 1, 2, 0}, of_b[] = {2, 1, 1, 0, 0, 0};
    const bool b_only = i == 1 || i == 3, a_only = i > 0 && !b_only;
    tile_products(a + of_a[i] * 2 * kTile, !b_only, b + (of_b[i] + kParts - 3) * 2 * kTile, !a_only, kAmxLine, kTile);
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
    Vec<int32_t> words[kParts];
    split(first, second, words);
    for (int64_t i = 0; i < kParts; ++i) words[i].store(to + i * 2 * kTile);
  }
};

// Products that are computed in passing: AMX works beside the vectors' units where instructions of both are among the
// few that a core looks at, four or eight products of registers and as much of the vectors' work as takes that time.
template <class Steps>
class AmxQueue {
 public:
  static constexpr int64_t S = kAmxSize;
  // `steps`: how many of them come with `passes` calls of pass().
  AmxQueue(int64_t steps, int64_t passes) : rate_(steps * Steps::kProducts), passes_(passes) {}

  // 32 x 32 sums (+)= steps of A by those of B.
  void add(const int32_t* a, const int32_t* b, int64_t steps, float* sums, bool add) {
    if (steps == 0) return add ? void() : fill(sums, S * S, 0.0f);
    if (end_ == kMost) finish();
    waiting_[end_++] = {a, b, steps, reinterpret_cast<char*>(sums), !add};
  }
  PYNN_INLINE void pass() {
    credit_ += rate_;
    if (credit_ < passes_) return;
    credit_ = min_of(credit_ - passes_, passes_);
    if (next_ < end_) go_on();
  }
  void finish() {
    while (next_ < end_) go_on();
    next_ = end_ = 0;
  }

 private:
  static constexpr int64_t kMost = 64;
  struct Sums {
    const int32_t *a, *b;
    int64_t left;  // steps
    char* sums;
    bool first;
  };
  PYNN_INLINE void go_on() {
    Sums& t = waiting_[next_];
    if (!begun_) begin_sums<true>(t.sums, 4 * S, t.first);
    Steps::product(t.a, t.b, product_);
    begun_ = true;
    if (++product_ < Steps::kProducts) return;
    t.a += Steps::kStep, t.b += Steps::kStep, product_ = 0;
    if (--t.left > 0) return;
    end_sums<true>(t.sums, 4 * S);
    begun_ = false, ++next_;
  }

  int64_t rate_, passes_, credit_ = 0, next_ = 0, end_ = 0, product_ = 0;
  bool begun_ = false;
  Sums waiting_[kMost];
};

// Whether float32's products are faster by it: what is saved of each score, as measured on a Sapphire Rapids, against
// the copies of each query and key.
inline bool amx_takes(const TiledAttentionArgs& a) {
  if (!cpu_features().amx_bf16) return false;
  const int64_t seen = min_of(a.rows, a.causal ? a.columns / 2 : a.columns), size = a.size + a.v_size;
  const int64_t padded = round_up(a.size, kAmxSize) + round_up(a.v_size, kAmxSize);
  return seen * (2 * size - padded - 43) > 64 * size;
}

template <class T, class Steps>
class AmxProducts {
 public:
  static constexpr int64_t S = kAmxSize, kVectors = S / kWords, kStep = Steps::kStep;
  static constexpr int64_t kBlock = 128;                          // of keys
  static constexpr int64_t kLeastSlivers = 4, kMostSlivers = 32;  // of a task, which copies keys and values
  static constexpr int64_t kPair = Steps::kPair, kKeys = S;       // weights come in pairs, keys in multiples
  static constexpr bool kWhole = true;

  AmxProducts(const TiledAttentionArgs& args, int64_t queries)
      : a_(args),
        parts_({queries / S * steps_ * kStep, kBlockSteps * steps_ * kStep, v_steps_ * kBlockSteps * kStep,
                2 * kBlockSteps * kStep, 2 * kBlock * S}) {}

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
  void ask_scores(int64_t at, int64_t, int64_t n, int64_t) {
    for (int64_t j = 0; j < n; j += S)
      queue_.add(keys_ + j / S * steps_ * kStep, q_ + at / S * steps_ * kStep, steps_, s_ + (next() * kBlock + j) * S,
                 false);
  }
  void scores(int64_t, int64_t, int64_t, int64_t) { turn_ = next(); }
  float* s(int64_t key, int64_t) { return s_ + (turn_ * kBlock + key) * S; }
  auto put_at(int64_t, int64_t column) {
    return [this, to = weights(), column](int64_t key, VecF x, VecF y) __attribute__((always_inline)) {
      Steps::pair(to, key, column, x, y);
      queue_.pass();
    };
  }
  void add_values(int64_t, int64_t n, float* o, bool add) {
    queue_.finish();
    for (int64_t e = 0; e < a_.v_size; e += S)
      queue_.add(values_ + e / S * kBlockSteps * kStep, weights(), ceil_div(n, S), o + e * S, add);
  }
  void finish() { queue_.finish(); }

 private:
  static constexpr int64_t kBlockSteps = kBlock / S;
  // Scores and weights of two slivers in turn: while one is weighed, the last one's values and the next one's scores
  // are summed.
  int64_t next() const { return 1 - turn_; }
  int32_t* weights() { return weights_ + turn_ * kBlockSteps * kStep; }

  const TiledAttentionArgs& a_;
  int64_t steps_ = ceil_div(a_.size, S), v_steps_ = ceil_div(a_.v_size, S);
  ScratchParts<int32_t, 5> parts_;
  int32_t *const q_ = parts_[0], *const keys_ = parts_[1], *const values_ = parts_[2], *const weights_ = parts_[3];
  float* const s_ = reinterpret_cast<float*>(parts_[4]);
  typename Steps::Seen seen_q_, seen_k_, seen_v_;
  AmxRegisters registers_;
  int64_t turn_ = 0;
  AmxQueue<Steps> queue_{steps_ + v_steps_, S};
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
