// attention_amx_backward.h -- the products of tiled attention's gradients by AMX, see attention_backward.cpp and
// attention_amx.h.
//
// Slivers are of 32 keys. A head's q and dout are copied once, as blocks of A both ways round; keys and values as
// blocks of B; p and ds become words of two along the queries, ds along the keys, too.
#pragma once
#include "kernels/cpu/attention_amx.h"

#ifdef PYNN_VEC_DOT

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T, class Steps>
class AmxGradients {
  static constexpr int64_t S = kAmxSize, kStepWords = Steps::kStep;

 public:
  static constexpr int64_t kVectors = S / kWords, kSlivers = 4, kBlock = 128;
  static constexpr int64_t kPair = Steps::kPair, kRows = S;
  static constexpr int64_t kTogether = kVectors;
  static constexpr bool kWhole = true;
  static constexpr int64_t kStep = S, kDpStep = S;

  explicit AmxGradients(const TiledAttentionArgs& args) : a_(args), queue_(3 * steps_ + 2 * v_steps_, S / 2 * 8) {}

  static int64_t padded(int64_t size) { return round_up(size, S); }
  // dq lies as blocks of 32 x 32.
  static int64_t dq_width(const TiledAttentionArgs& a) { return padded(a.size); }
  static int64_t dq_at(const TiledAttentionArgs& a, int64_t row, int64_t i) {
    return (row / S * (padded(a.size) / S) + i / S) * S * S + row % S * S + i % S;
  }

  void start() { seen_q_ = seen_k_ = seen_v_ = seen_dout_ = {}; }
  bool accurate() const { return Steps::accurate(seen_q_, seen_k_, seen_v_, seen_dout_); }
  void take_head(const T* q, const T* dout, int64_t from) {
    take(q, a_.q.row, a_.size, from, q_, q_columns_, seen_q_);
    take(dout, a_.dout.row, a_.v_size, from, dout_, dout_columns_, seen_dout_);
  }
  void take_keys(const T* k, const T* v, int64_t rows, int64_t at, int64_t) {
    const int64_t sliver = at / S;
    Steps::columns(k, a_.k.row, 1, rows, a_.size, k_ + sliver * steps_ * kStepWords, seen_k_);
    Steps::columns(v, a_.v.row, 1, rows, a_.v_size, v_ + sliver * v_steps_ * kStepWords, seen_v_);
    for (int64_t p = 0; p < a_.size; p += S)
      Steps::columns(k + p, 1, a_.k.row, min_of(S, a_.size - p), rows,
                     k_rows_ + (p / S * kSlivers + sliver) * kStepWords, seen_k_);
  }
  void ask_scores(int64_t q0, int64_t from, int64_t n, int64_t at, int64_t, int64_t) {
    for (int64_t r = from; r < n; r += S) {
      const int64_t block = (q0 + r) / S, sliver = at / S;
      queue_.add(q_ + block * steps_ * kStepWords, k_ + sliver * steps_ * kStepWords, steps_,
                 s_ + (next() * kBlock + r) * S, false);
      queue_.add(dout_ + block * v_steps_ * kStepWords, v_ + sliver * v_steps_ * kStepWords, v_steps_,
                 dp_ + (next() * kBlock + r) * S, false);
    }
  }
  void scores(int64_t, int64_t, int64_t, int64_t, int64_t, int64_t) { turn_ = next(); }
  float* s(int64_t row) { return s_ + (turn_ * kBlock + row) * S; }
  const float* dp(int64_t row, int64_t) { return dp_ + (turn_ * kBlock + row) * S; }
  auto put_at(int64_t q0, int64_t at) {
    return [this, p_to = p(), ds_to = ds(), rows = ds_rows(q0) + at / S * kStepWords](
               int64_t row, int64_t, const VecF(&p)[2][kTogether], const VecF(&ds)[2][kTogether])
               __attribute__((always_inline)) {
#pragma GCC unroll 2
                 for (int64_t c = 0; c < kTogether; ++c) {
                   Steps::pair(p_to, row, c * kWords, p[0][c], p[1][c]);
                   Steps::pair(ds_to, row, c * kWords, ds[0][c], ds[1][c]);
                   queue_.pass();
                 }
                 int32_t* const to = rows + row / S * kSlivers * kStepWords;
#pragma GCC unroll 2
                 for (int64_t l = 0; l < 2; ++l) {
                   Steps::row(to, row % S + l * kPair, ds[l][0], ds[l][1]);
                   queue_.pass();
                 }
               };
  }
  PYNN_INLINE void pass() { queue_.pass(); }
  void add_keys(int64_t q0, int64_t from, int64_t n, int64_t at, int64_t, float* dk, float* dv) {
    queue_.finish();
    const int64_t steps = ceil_div(n - from, S), first = (q0 + from) / S, skipped = from / S * kStepWords;
    for (int64_t e = 0; e < a_.v_size; e += S)
      queue_.add(dout_columns_ + (e / S * row_steps_ + first) * kStepWords, p() + skipped, steps, dv + e * S, true);
    for (int64_t e = 0; e < a_.size; e += S)
      queue_.add(q_columns_ + (e / S * row_steps_ + first) * kStepWords, ds() + skipped, steps, dk + e * S, true);
    for (int64_t r = 0; r < from; r += S) {
      int32_t* rows = ds_rows(q0) + (r / S * kSlivers + at / S) * kStepWords;
      for (int64_t l = 0; l < kStepWords; l += kWords) Vec<int32_t>(0).store(rows + l);
    }
  }
  void add_queries(int64_t q0, int64_t n, int64_t keys, int64_t seen, float* dq, bool add) {
    for (int64_t r = 0; r < n; r += S)
      for (int64_t e = 0; e < a_.size; e += S)
        queue_.add(ds_rows(q0) + r / S * kSlivers * kStepWords, k_rows_ + e / S * kSlivers * kStepWords,
                   ceil_div(max_of<int64_t>(0, min_of(keys, seen + r + S - 1)), S), dq + dq_at(a_, q0 + r, e), add);
  }
  void finish() { queue_.finish(); }

 private:
  // Rows of x from a step on, and its columns, in steps of 32 along the other side.
  void take(const T* x, int64_t step, int64_t n, int64_t from, int32_t* rows, int32_t* columns,
            typename Steps::Seen& seen) {
    for (int64_t r = from; r < a_.rows; r += S)
      Steps::rows(x + r * step, step, 1, min_of(S, a_.rows - r), n, rows + r / S * ceil_div(n, S) * kStepWords, seen);
    for (int64_t e = 0; e < n; e += S)
      Steps::rows(x + from * step + e, 1, step, min_of(S, n - e), a_.rows - from,
                  columns + (e / S * row_steps_ + from / S) * kStepWords, seen);
  }

  // Scores and weights of two slivers in turn, as in AmxProducts; ds along the keys of two blocks of queries.
  int64_t next() const { return 1 - turn_; }
  int32_t* p() { return p_ + turn_ * block_words_; }
  int32_t* ds() { return ds_ + turn_ * block_words_; }
  int32_t* ds_rows(int64_t q0) { return ds_rows_ + q0 / kBlock % 2 * kSlivers * block_words_; }

  const TiledAttentionArgs& a_;
  int64_t steps_ = ceil_div(a_.size, S), v_steps_ = ceil_div(a_.v_size, S), row_steps_ = ceil_div(a_.rows, S);
  int64_t q_words_ = row_steps_ * steps_ * kStepWords, dout_words_ = row_steps_ * v_steps_ * kStepWords;
  int64_t k_words_ = kSlivers * steps_ * kStepWords, v_words_ = kSlivers * v_steps_ * kStepWords;
  int64_t block_words_ = kBlock / S * kStepWords;
  ScratchParts<int32_t, 12> parts_{{q_words_, q_words_, dout_words_, dout_words_, k_words_, k_words_, v_words_,
                                    2 * block_words_, 2 * block_words_, 2 * kSlivers * block_words_, 2 * kBlock * S,
                                    2 * kBlock * S}};
  int32_t *const q_ = parts_[0], *const q_columns_ = parts_[1];
  int32_t *const dout_ = parts_[2], *const dout_columns_ = parts_[3];
  int32_t *const k_ = parts_[4], *const k_rows_ = parts_[5], *const v_ = parts_[6];
  int32_t *const p_ = parts_[7], *const ds_ = parts_[8], *const ds_rows_ = parts_[9];
  float *const s_ = reinterpret_cast<float*>(parts_[10]), *const dp_ = reinterpret_cast<float*>(parts_[11]);
  typename Steps::Seen seen_q_, seen_k_, seen_v_, seen_dout_;
  AmxRegisters registers_;
  int64_t turn_ = 0;
  AmxQueue<Steps> queue_;
};

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
#endif
