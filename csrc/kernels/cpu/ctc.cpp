// ctc.cpp -- the forward-backward recursion over the target with a blank before, between and behind its labels. State s
// is a blank if s is even, else label (s - 1) / 2; alpha[s] is the log of the probability to be there at a time,
// beta[s] that of the rest of the path from there. Doubles throughout; registers run along the states; parallel over
// the batch.
//
// The gradient is PyTorch's: exp(log_probs) - posterior, which is the one of log_probs that a log_softmax made.
#include "kernels/ctc.h"

#include "core/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr double kNever = -__builtin_huge_val();

// log(e^a + e^b + e^c)
VecD log_sum(VecD a, VecD b, VecD c) {
  const VecD top = maximum(maximum(a, b), c), never(kNever);
  return select(top == never, never, top + log(exp(a - top) + exp(b - top) + exp(c - top)));
}

// f(s, n) for each register of states: the first n lanes from state s.
template <class F>
PYNN_INLINE void along_states(int64_t states, F f) {
  for (int64_t s = 0; s < states; s += VecD::kSize) f(s, states - s);
}

template <class T>
struct Sample {
  static constexpr int64_t kPad = 2;  // states that are never reached, beside the others
  const T* log_probs;
  int64_t step, time, states;
  const int64_t* target;
  int64_t blank;
  Scratch<double> skips;    // 1 where a label may be entered from the one before, past the blank: if they differ
  Scratch<double> emitted;  // log_probs of the states at one time

  Sample(const CtcArgs& a, int64_t n)
      : log_probs(static_cast<const T*>(a.log_probs) + n * a.classes),
        step(a.batch * a.classes),
        time(a.input_lengths[n]),
        states(2 * a.target_lengths[n] + 1),
        target(a.targets + a.target_offsets[n]),
        blank(a.blank),
        skips(states + kPad),
        emitted(states) {
    for (int64_t s = 0; s < states + kPad; ++s)
      skips[s] = s < states && s % 2 && s >= 2 && target[s / 2] != target[s / 2 - 1];
  }
  int64_t label(int64_t s) const { return s % 2 ? target[s / 2] : blank; }
  void emit(int64_t t) const {
    const T* from = log_probs + t * step;
    for (int64_t s = 0; s < states; ++s) emitted[s] = static_cast<double>(from[label(s)]);
  }
  static VecD if_skipped(const double* skips, VecD x, int64_t n) {
    return select(VecD::load(skips, n) != VecD(0.0), x, VecD(kNever));
  }

  // Row t from row t - 1; behind kPad others.
  void advance(double* row, const double* before, int64_t t) const {
    emit(t);
    row[-1] = row[-2] = kNever;
    along_states(states, [&](int64_t s, int64_t n) {
      const double* from = before + s;
      const VecD skipped = if_skipped(skips.get() + s, VecD::load(from - 2, n), n);
      const VecD sum = log_sum(VecD::load(from, n), VecD::load(from - 1, n), skipped);
      (VecD::load(emitted.get() + s, n) + sum).store(row + s, n);
    });
  }
  void start(double* row) const {
    emit(0);
    row[-1] = row[-2] = kNever;
    for (int64_t s = 0; s < states; ++s) row[s] = s < 2 ? emitted[s] : kNever;
  }
  double loss(const double* last) const { return -log_sum(last[states - 1], last[states - 2], kNever)[0]; }

  // What is left of the path at time t, from that at time t + 1; before kPad others, as is the scratch `via`.
  void retreat(double* row, const double* after, double* via, int64_t t) const {
    emit(t + 1);
    for (int64_t s = 0; s < states; ++s) via[s] = after[s] + emitted[s];
    via[states] = via[states + 1] = kNever;
    along_states(states, [&](int64_t s, int64_t n) {
      const double* to = via + s;
      const VecD skipped = if_skipped(skips.get() + s + 2, VecD::load(to + 2, n), n);
      log_sum(VecD::load(to, n), VecD::load(to + 1, n), skipped).store(row + s, n);
    });
  }
};

double cost(const CtcArgs& a) {
  return static_cast<double>(a.time) * static_cast<double>(10 * a.longest_target + 2 * a.classes + 10);
}

template <class T>
void forward(const CtcArgs& a) {
  parallel_for(0, a.batch, grain_for(cost(a)), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const Sample<T> sample(a, n);
      double loss = sample.states > 1 ? -kNever : 0;
      if (sample.time > 0) {
        const int64_t stride = sample.kPad + sample.states;
        const Scratch<double> rows(2 * stride);
        double *row = rows.get() + sample.kPad, *before = row + stride;
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
      const int64_t states = sample.states, time = sample.time, stride = sample.kPad + states;
      if (time == 0 || (a.zero_infinity && static_cast<const T*>(a.loss)[n] == static_cast<T>(-kNever))) continue;
      const double dloss = static_cast<double>(static_cast<const T*>(a.dloss)[n]);
      const Scratch<double> alphas(time * stride), betas(2 * states), scratch(stride), classes(a.classes);
      const auto alpha = [&](int64_t t) { return alphas.get() + t * stride + sample.kPad; };
      sample.start(alpha(0));
      for (int64_t t = 1; t < time; ++t) sample.advance(alpha(t), alpha(t - 1), t);
      const double loss = sample.loss(alpha(time - 1));
      double *beta = betas.get(), *after = beta + states, *posterior = scratch.get();
      for (int64_t s = 0; s < states; ++s) beta[s] = s >= states - 2 ? 0 : kNever;
      for (int64_t t = time - 1; t >= 0; --t) {
        if (t < time - 1) sample.retreat(beta, after, scratch.get(), t);
        const T* x = sample.log_probs + t * sample.step;
        T* dx = static_cast<T*>(a.dlog_probs) + t * sample.step + n * a.classes;
        for (int64_t k = 0; k < a.classes; ++k) classes[k] = static_cast<double>(x[k]);
        along_states(a.classes,
                     [&](int64_t k, int64_t n) { exp(VecD::load(classes.get() + k, n)).store(classes.get() + k, n); });
        along_states(states, [&](int64_t s, int64_t n) {
          exp(VecD::load(alpha(t) + s, n) + VecD::load(beta + s, n) + VecD(loss)).store(posterior + s, n);
        });
        for (int64_t s = 0; s < states; ++s) classes[sample.label(s)] -= posterior[s];
        for (int64_t k = 0; k < a.classes; ++k) dx[k] = static_cast<T>(dloss * classes[k]);
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
