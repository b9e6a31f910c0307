// ctc.cpp -- the forward-backward recursion over the target with a blank before, between and behind its labels. State s
// is a blank if s is even, else label (s - 1) / 2; alpha[s] is the log of the probability to be there at a time,
// beta[s] that of the rest of the path from there. Doubles throughout; parallel over the batch.
//
// The gradient is PyTorch's: exp(log_probs) - posterior, which is the one of log_probs that a log_softmax made.
#include "kernels/ctc.h"

#include "core/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr double kNever = -__builtin_huge_val();

double log_sum(double a, double b, double c) {
  const double top = max_of(max_of(a, b), c);
  if (top == kNever) return kNever;
  return top + __builtin_log(__builtin_exp(a - top) + __builtin_exp(b - top) + __builtin_exp(c - top));
}

template <class T>
struct Sample {
  const T* log_probs;
  int64_t step, time, states;
  const int64_t* target;
  int64_t blank;

  Sample(const CtcArgs& a, int64_t n)
      : log_probs(static_cast<const T*>(a.log_probs) + n * a.classes),
        step(a.batch * a.classes),
        time(a.input_lengths[n]),
        states(2 * a.target_lengths[n] + 1),
        target(a.targets + a.target_offsets[n]),
        blank(a.blank) {}
  int64_t label(int64_t s) const { return s % 2 ? target[s / 2] : blank; }
  double at(int64_t t, int64_t s) const { return static_cast<double>(log_probs[t * step + label(s)]); }
  // A label may be entered from the one before, past the blank, if they differ.
  bool skips(int64_t s) const { return s % 2 && s >= 2 && target[s / 2] != target[s / 2 - 1]; }

  // Row t from row t - 1.
  void advance(double* row, const double* before, int64_t t) const {
    for (int64_t s = 0; s < states; ++s)
      row[s] = at(t, s) + log_sum(before[s], s >= 1 ? before[s - 1] : kNever, skips(s) ? before[s - 2] : kNever);
  }
  void start(double* row) const {
    for (int64_t s = 0; s < states; ++s) row[s] = s < 2 ? at(0, s) : kNever;
  }
  double loss(const double* last) const {
    return -log_sum(last[states - 1], states > 1 ? last[states - 2] : kNever, kNever);
  }
};

double cost(const CtcArgs& a) { return 60 * static_cast<double>(a.time) * static_cast<double>(a.classes + 1); }

template <class T>
void forward(const CtcArgs& a) {
  parallel_for(0, a.batch, grain_for(cost(a)), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const Sample<T> sample(a, n);
      double loss = sample.states > 1 ? -kNever : 0;
      if (sample.time > 0) {
        const Scratch<double> rows(2 * sample.states);
        double *row = rows.get(), *before = row + sample.states;
        sample.start(row);
        for (int64_t t = 1; t < sample.time; ++t) {
          double* swap = row;
          row = before, before = swap;
          sample.advance(row, before, t);
        }
        loss = sample.loss(row);
      }
      static_cast<T*>(a.loss)[n] = static_cast<T>(loss);
    }
  });
}

template <class T>
void backward(const CtcArgs& a) {
  parallel_for(0, a.batch, grain_for(2 * cost(a)), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const Sample<T> sample(a, n);
      const int64_t states = sample.states, time = sample.time;
      if (time == 0 || (a.zero_infinity && static_cast<const T*>(a.loss)[n] == static_cast<T>(-kNever))) continue;
      const double dloss = static_cast<double>(static_cast<const T*>(a.dloss)[n]);
      const Scratch<double> alphas(time * states), betas(2 * states), posterior(a.classes);
      sample.start(alphas.get());
      for (int64_t t = 1; t < time; ++t) sample.advance(alphas.get() + t * states, alphas.get() + (t - 1) * states, t);
      const double loss = sample.loss(alphas.get() + (time - 1) * states);
      double *beta = betas.get(), *after = beta + states;
      for (int64_t t = time - 1; t >= 0; --t) {
        for (int64_t s = 0; s < states; ++s) {
          if (t == time - 1) {
            beta[s] = s >= states - 2 ? 0 : kNever;
            continue;
          }
          const auto via = [&](int64_t to) { return after[to] + sample.at(t + 1, to); };
          beta[s] = log_sum(via(s), s + 1 < states ? via(s + 1) : kNever,
                            s + 2 < states && sample.skips(s + 2) ? via(s + 2) : kNever);
        }
        for (int64_t k = 0; k < a.classes; ++k) posterior[k] = 0;
        for (int64_t s = 0; s < states; ++s)
          posterior[sample.label(s)] += __builtin_exp(alphas[t * states + s] + beta[s] + loss);
        const T* x = sample.log_probs + t * sample.step;
        T* dx = static_cast<T*>(a.dlog_probs) + t * sample.step + n * a.classes;
        for (int64_t k = 0; k < a.classes; ++k)
          dx[k] = static_cast<T>(dloss * (__builtin_exp(static_cast<double>(x[k])) - posterior[k]));
        double* swap = beta;
        beta = after, after = swap;
      }
    }
  });
}

}  // namespace

void ctc_forward(const CtcArgs& a) {
  if (a.dtype == DType::Float32) return forward<float>(a);
  if (a.dtype == DType::Float64) return forward<double>(a);
  no_loop("ctc_loss", a.dtype);
}
void ctc_backward(const CtcArgs& a) {
  if (a.dtype == DType::Float32) return backward<float>(a);
  if (a.dtype == DType::Float64) return backward<double>(a);
  no_loop("ctc_loss", a.dtype);
}

}  // namespace PYNN_CPU_NAMESPACE
