// cross_entropy.cpp -- the weighted negative log likelihood of class targets straight from logits x [rows, C].
//
//   loss_r = (1 - eps) w[t] (lse_r - x_r[t]) + eps / C * sum_c w[c] (lse_r - x_r[c]),   t = target_r
//   dx_rc  = scale_r ((1 - eps) w[t] (p_rc - [c == t]) + eps / C * (sum(w) p_rc - w[c])),   p = softmax(x_r)
//
// Parallel over rows. Sums: lanes of T over blocks of 2048, double beyond.
#include "core/parallel.h"
#include "kernels/cpu/row_math.h"
#include "kernels/softmax.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
double weight_sum(const CrossEntropyArgs& a) {
  return a.weight ? row_sum(static_cast<const T*>(a.weight), a.classes) : static_cast<double>(a.classes);
}

template <class T>
void forward(const CrossEntropyArgs& a) {
  const T* weight = static_cast<const T*>(a.weight);
  const double eps = a.smoothing, spread = eps / static_cast<double>(a.classes);
  const double all_weights = eps != 0 ? weight_sum<T>(a) : 0;
  const auto body = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* x = static_cast<const T*>(a.x) + r * a.classes;
      const int64_t t = a.target[r];
      T &loss = static_cast<T*>(a.loss)[r], &row_weight = static_cast<T*>(a.row_weight)[r];
      T &lse = static_cast<T*>(a.lse)[r], &top = static_cast<T*>(a.lse)[a.rows + r];
      if (t == a.ignore_index) {
        loss = row_weight = lse = top = T(0);
        continue;
      }
      const T m = row_top(x, a.classes);  // NaN makes the sum NaN
      const double log_sum = __builtin_log(sum_exp(x, a.classes, m));
      const double max = static_cast<double>(m), w = weight ? static_cast<double>(weight[t]) : 1;
      double total = (1 - eps) * w * (log_sum + (max - static_cast<double>(x[t])));
      if (eps != 0) {
        const double weighted = weight ? row_dot(weight, x, a.classes) : row_sum(x, a.classes);
        total += spread * (all_weights * (log_sum + max) - weighted);
      }
      loss = static_cast<T>(total);
      row_weight = static_cast<T>(w);
      lse = static_cast<T>(log_sum);
      top = m;
    }
  };
  parallel_for(0, a.rows, grain_for(static_cast<double>(a.classes) + 20), body);
}

template <class T>
void backward(const CrossEntropyArgs& a) {
  using V = Vec<T>;
  const T* weight = static_cast<const T*>(a.weight);
  const double eps = a.smoothing, spread = eps / static_cast<double>(a.classes);
  const double all_weights = eps != 0 ? weight_sum<T>(a) : 0;
  double factor = 1;
  if (a.total) {
    const double total = static_cast<double>(*static_cast<const T*>(a.total));
    factor = total == 0 ? 0 : 1 / total;  // where nothing counts the loss depends on no input
  }
  const auto body = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* x = static_cast<const T*>(a.x) + r * a.classes;
      T* dx = static_cast<T*>(a.dx) + r * a.classes;
      const int64_t t = a.target[r], n = a.classes;
      if (t == a.ignore_index) {
        along<T>(n, [=](auto at) { at.store(dx, V(T(0))); });
        continue;
      }
      const double scale = static_cast<double>(static_cast<const T*>(a.grad)[r * a.grad_step]) * factor;
      const double w = (1 - eps) * (weight ? static_cast<double>(weight[t]) : 1);
      const V m(static_cast<const T*>(a.lse)[a.rows + r]), lse(static_cast<const T*>(a.lse)[r]),
          of_p(static_cast<T>(scale * (w + spread * all_weights)));
      const V of_w(static_cast<T>(scale * spread));
      if (eps == 0)
        along<T>(n, [=](auto at) { at.store(dx, of_p * exp_negative(at.load(x) - m - lse)); });
      else
        along<T>(n, [=](auto at) {
          const V v = of_p * exp_negative(at.load(x) - m - lse);
          at.store(dx, weight ? fnma(of_w, at.load(weight), v) : v - of_w);
        });
      dx[t] -= static_cast<T>(scale * w);
    }
  };
  parallel_for(0, a.rows, grain_for(static_cast<double>(a.classes) + 20), body);
}

template <class T>
void mean(const CrossEntropyArgs& a) {
  const double total = row_sum(static_cast<const T*>(a.row_weight), a.rows);
  *static_cast<T*>(a.y) = static_cast<T>(row_sum(static_cast<const T*>(a.loss), a.rows) / total);
  *static_cast<T*>(a.total) = static_cast<T>(total);
}

}  // namespace

int64_t cross_entropy_forward(const CrossEntropyArgs& a) {
  int64_t outside = 0;
  for (int64_t r = 0; r < a.rows; ++r) {
    const int64_t t = a.target[r];
    outside |= (t != a.ignore_index) & ((t < 0) | (t >= a.classes));
  }
  for (int64_t r = 0; outside && r < a.rows; ++r) {
    const int64_t t = a.target[r];
    if (t != a.ignore_index && (t < 0 || t >= a.classes)) return r;
  }
  if (a.dtype == DType::Float32)
    forward<float>(a);
  else if (a.dtype == DType::Float64)
    forward<double>(a);
  else
    no_loop("cross_entropy", a.dtype);
  return -1;
}

void cross_entropy_mean(const CrossEntropyArgs& a) {
  if (a.dtype == DType::Float32)
    mean<float>(a);
  else if (a.dtype == DType::Float64)
    mean<double>(a);
  else
    no_loop("cross_entropy", a.dtype);
}

void cross_entropy_backward(const CrossEntropyArgs& a) {
  if (a.dtype == DType::Float32)
    backward<float>(a);
  else if (a.dtype == DType::Float64)
    backward<double>(a);
  else
    no_loop("cross_entropy", a.dtype);
}

}  // namespace PYNN_CPU_NAMESPACE
