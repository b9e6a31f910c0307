// cross_entropy.cpp -- the weighted negative log likelihood of class targets straight from logits x [rows, C].
// Of [outer, C, inner], planes of each class, a register holds the logits of one class at neighbouring positions.
//
//   loss_r = (1 - eps) w[t] (lse_r - x_r[t]) + eps / C * sum_c w[c] (lse_r - x_r[c]),   t = target_r
//   dx_rc  = scale_r ((1 - eps) w[t] (p_rc - [c == t]) + eps / C * (sum(w) p_rc - w[c])),   p = softmax(x_r)
//
// Parallel over rows. Sums along rows: lanes of T over blocks of 2048, double beyond.
#include "core/parallel.h"
#include "kernels/cpu/row_math.h"
#include "kernels/softmax.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
double weight_sum(const CrossEntropyArgs& a) {
  return a.weight ? row_sum(static_cast<const T*>(a.weight), a.classes) : static_cast<double>(a.classes);
}

// Of the gradients: 1 / the mean's divisor.
template <class T>
double row_factor(const CrossEntropyArgs& a) {
  if (!a.total) return 1;
  const double total = static_cast<double>(*static_cast<const T*>(a.total));
  return total == 0 ? 0 : 1 / total;  // where nothing counts the loss depends on no input
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
  const double all_weights = eps != 0 ? weight_sum<T>(a) : 0, factor = row_factor<T>(a);
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

// Positions of a plane that go together: their maxima, sums and factors stay in L1.
constexpr int64_t kPositions = 512;

// f(first row, first class's element, positions) for the blocks of positions of [outer, classes, inner], parallel.
template <class F>
void for_positions(const CrossEntropyArgs& a, double ns, F f) {
  const int64_t blocks = (a.inner + kPositions - 1) / kPositions;
  const double each = ns * static_cast<double>(min_of(a.inner, kPositions));
  parallel_for(0, a.rows / max_of<int64_t>(a.inner, 1) * blocks, grain_for(each), [&](int64_t begin, int64_t end) {
    for (int64_t u = begin; u < end; ++u) {
      const int64_t outer = u / blocks, first = u % blocks * kPositions;
      f(outer * a.inner + first, outer * a.classes * a.inner + first, min_of(kPositions, a.inner - first));
    }
  });
}

template <class T>
void forward_planes(const CrossEntropyArgs& a) {
  using V = Vec<T>;
  const T* weight = static_cast<const T*>(a.weight);
  const double eps = a.smoothing, spread = eps / static_cast<double>(a.classes);
  const double all_weights = eps != 0 ? weight_sum<T>(a) : 0;
  for_positions(a, static_cast<double>(a.classes) * 0.5 + 5, [&](int64_t row, int64_t at_x, int64_t n) {
    const T* x = static_cast<const T*>(a.x) + at_x;
    T *lse = static_cast<T*>(a.lse) + row, *top = lse + a.rows;
    alignas(64) T sum[kPositions], weighted[kPositions];
    along<T>(n, [=](auto at) { at.store(top, V(kMinusInfinity<T>)); });
    for (int64_t c = 0; c < a.classes; ++c)
      along<T>(n, [=](auto at) { at.store(top, max(at.load(x + c * a.inner), at.load(top))); });  // NaN passed over
    along<T>(n, [&](auto at) { at.store(sum, V(T(0))), at.store(weighted, V(T(0))); });
    for (int64_t c = 0; c < a.classes; ++c) {
      const V w(weight ? weight[c] : T(1));
      along<T>(n, [&](auto at) {
        const V v = at.load(x + c * a.inner);
        at.store(sum, at.load(sum) + exp_negative(v - at.load(top)));
        if (eps != 0) at.store(weighted, fma(w, v, at.load(weighted)));
      });
    }
    along<T>(n, [&](auto at) { at.store(lse, log(at.load(sum))); });
    for (int64_t j = 0; j < n; ++j) {
      const int64_t t = a.target[row + j];
      T &loss = static_cast<T*>(a.loss)[row + j], &row_weight = static_cast<T*>(a.row_weight)[row + j];
      if (t == a.ignore_index) {
        loss = row_weight = T(0);
        continue;
      }
      const double w = weight ? static_cast<double>(weight[t]) : 1, log_sum = static_cast<double>(lse[j]);
      const double max = static_cast<double>(top[j]);
      double total = (1 - eps) * w * (log_sum + (max - static_cast<double>(x[t * a.inner + j])));
      if (eps != 0) total += spread * (all_weights * (log_sum + max) - static_cast<double>(weighted[j]));
      loss = static_cast<T>(total);
      row_weight = static_cast<T>(w);
    }
  });
}

template <class T>
void backward_planes(const CrossEntropyArgs& a) {
  using V = Vec<T>;
  const T* weight = static_cast<const T*>(a.weight);
  const double eps = a.smoothing, spread = eps / static_cast<double>(a.classes);
  const double all_weights = eps != 0 ? weight_sum<T>(a) : 0, factor = row_factor<T>(a);
  for_positions(a, static_cast<double>(a.classes) * 0.4 + 5, [&](int64_t row, int64_t at_x, int64_t n) {
    const T* x = static_cast<const T*>(a.x) + at_x;
    T* dx = static_cast<T*>(a.dx) + at_x;
    const T *lse = static_cast<const T*>(a.lse) + row, *top = lse + a.rows;
    alignas(64) T of_p[kPositions], of_w[kPositions];
    double scale = 0;
    for (int64_t j = 0; j < n; ++j) {
      const int64_t t = a.target[row + j];
      scale = static_cast<double>(static_cast<const T*>(a.grad)[(row + j) * a.grad_step]) * factor;
      const double w = t == a.ignore_index ? 0 : (1 - eps) * (weight ? static_cast<double>(weight[t]) : 1);
      of_p[j] = static_cast<T>(scale * (w + spread * all_weights));
      of_w[j] = static_cast<T>(scale * spread);
    }
    for (int64_t c = 0; c < a.classes; ++c) {
      const V w(weight ? weight[c] : T(1));
      along<T>(n, [&](auto at) {
        const V v = at.load(of_p) * exp_negative(at.load(x + c * a.inner) - at.load(top) - at.load(lse));
        at.store(dx + c * a.inner, eps == 0 ? v : fnma(at.load(of_w), w, v));
      });
    }
    for (int64_t j = 0; j < n; ++j) {
      const int64_t t = a.target[row + j];
      if (t == a.ignore_index) {
        for (int64_t c = 0; c < a.classes; ++c) dx[c * a.inner + j] = T(0);
        continue;
      }
      scale = static_cast<double>(static_cast<const T*>(a.grad)[(row + j) * a.grad_step]) * factor;
      const double w = (1 - eps) * (weight ? static_cast<double>(weight[t]) : 1);
      dx[t * a.inner + j] -= static_cast<T>(scale * w);
    }
  });
}

// Log probabilities: one element of each row counts.
template <class T>
void forward_picked(const CrossEntropyArgs& a) {
  const T* weight = static_cast<const T*>(a.weight);
  for_positions(a, 3, [&](int64_t row, int64_t at_x, int64_t n) {
    const T* x = static_cast<const T*>(a.x) + at_x;
    for (int64_t j = 0; j < n; ++j) {
      const int64_t t = a.target[row + j];
      const bool kept = t != a.ignore_index;
      const T w = !kept ? T(0) : weight ? weight[t] : T(1);
      static_cast<T*>(a.loss)[row + j] = kept ? -w * x[t * a.inner + j] : T(0);
      static_cast<T*>(a.row_weight)[row + j] = w;
    }
  });
}
template <class T>
void backward_picked(const CrossEntropyArgs& a) {
  using V = Vec<T>;
  const T* weight = static_cast<const T*>(a.weight);
  const double factor = row_factor<T>(a);
  for_positions(a, static_cast<double>(a.classes) * 0.1 + 3, [&](int64_t row, int64_t at_x, int64_t n) {
    T* dx = static_cast<T*>(a.dx) + at_x;
    if (n == a.inner) {
      along<T>(a.classes * n, [=](auto at) { at.store(dx, V(T(0))); });
    } else {
      for (int64_t c = 0; c < a.classes; ++c) along<T>(n, [=](auto at) { at.store(dx + c * a.inner, V(T(0))); });
    }
    for (int64_t j = 0; j < n; ++j) {
      const int64_t t = a.target[row + j];
      if (t == a.ignore_index) continue;
      const double scale = static_cast<double>(static_cast<const T*>(a.grad)[(row + j) * a.grad_step]) * factor;
      dx[t * a.inner + j] = static_cast<T>(-scale * (weight ? static_cast<double>(weight[t]) : 1));
    }
  });
}

template <class T>
void mean(const CrossEntropyArgs& a) {
  const double total = row_sum(static_cast<const T*>(a.row_weight), a.rows);
  *static_cast<T*>(a.y) = static_cast<T>(row_sum(static_cast<const T*>(a.loss), a.rows) / total);
  *static_cast<T*>(a.total) = static_cast<T>(total);
}

template <class F>
void by_type(const CrossEntropyArgs& a, F f) {
  if (a.dtype == DType::Float32)
    f(float{});
  else if (a.dtype == DType::Float64)
    f(double{});
  else
    no_loop("cross_entropy", a.dtype);
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
  by_type(a, [&](auto t) {
    using T = decltype(t);
    a.log_probabilities ? forward_picked<T>(a) : a.inner > 1 ? forward_planes<T>(a) : forward<T>(a);
  });
  return -1;
}

void cross_entropy_mean(const CrossEntropyArgs& a) {
  by_type(a, [&](auto t) { mean<decltype(t)>(a); });
}

void cross_entropy_backward(const CrossEntropyArgs& a) {
  by_type(a, [&](auto t) {
    using T = decltype(t);
    a.log_probabilities ? backward_picked<T>(a) : a.inner > 1 ? backward_planes<T>(a) : backward<T>(a);
  });
}

}  // namespace PYNN_CPU_NAMESPACE
