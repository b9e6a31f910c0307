// recurrent.cpp -- the gates of an LSTM and a GRU, one pass over a step's rows; formulas in kernels/recurrent.h.
//
// Derivatives, s a sigmoid's result and t a tanh's: ds = s (1 - s), dt = 1 - t^2. Half types compute in float.
#include "kernels/recurrent.h"

#include "core/parallel.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class V>
PYNN_INLINE V through_sigmoid(V g, V s) {
  return g * s * (V(1) - s);
}
template <class V>
PYNN_INLINE V through_tanh(V g, V t) {
  return g * (V(1) - t * t);
}

// step(row, i, left) for every vector of every row.
template <class S, class F>
PYNN_INLINE void each_vector(const GatesArgs& a, F step) {
  constexpr int L = Vec<Wide<S>>::kSize;
  parallel_for(0, a.rows, grain_for(3 * static_cast<double>(a.n) + 10), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      for (int64_t i = 0; i < a.n; i += L) step(r, i, a.n - i);
  });
}

template <class S>
struct Lstm {
  using V = Vec<Wide<S>>;
  static void forward(const GatesArgs& a) {
    const int64_t n = a.n;
    each_vector<S>(a, [&](int64_t r, int64_t i, int64_t left) __attribute__((always_inline)) {
      const S* x = static_cast<const S*>(a.x) + r * 4 * n + i;
      const S* h = static_cast<const S*>(a.h) + r * 4 * n + i;
      S* gates = static_cast<S*>(a.gates) + r * 4 * n + i;
      const V in = sigmoid(load_wide(x, left) + load_wide(h, left));
      const V forget = sigmoid(load_wide(x + n, left) + load_wide(h + n, left));
      const V g = tanh(load_wide(x + 2 * n, left) + load_wide(h + 2 * n, left));
      const V out = sigmoid(load_wide(x + 3 * n, left) + load_wide(h + 3 * n, left));
      const V c = fma(forget, load_wide(static_cast<const S*>(a.state) + r * n + i, left), in * g);
      store_wide(gates, in, left);
      store_wide(gates + n, forget, left);
      store_wide(gates + 2 * n, g, left);
      store_wide(gates + 3 * n, out, left);
      store_wide(static_cast<S*>(a.cell) + r * n + i, c, left);
      store_wide(static_cast<S*>(a.out) + r * n + i, out * tanh(c), left);
    });
  }
  static void backward(const GatesArgs& a) {
    const int64_t n = a.n;
    each_vector<S>(a, [&](int64_t r, int64_t i, int64_t left) __attribute__((always_inline)) {
      const S* gates = static_cast<const S*>(a.gates) + r * 4 * n + i;
      S* dx = static_cast<S*>(a.dx) + r * 4 * n + i;
      const int64_t at = r * n + i;
      const V in = load_wide(gates, left), forget = load_wide(gates + n, left);
      const V g = load_wide(gates + 2 * n, left), out = load_wide(gates + 3 * n, left);
      const V t = tanh(load_wide(static_cast<const S*>(a.cell) + at, left));
      V dc = a.dcell ? load_wide(static_cast<const S*>(a.dcell) + at, left) : V(0);
      V dout(0);
      if (a.dout) {
        dout = load_wide(static_cast<const S*>(a.dout) + at, left);
        dc += through_tanh(dout * out, t);
      }
      const V c0 = load_wide(static_cast<const S*>(a.state) + at, left);
      store_wide(dx, through_sigmoid(dc * g, in), left);
      store_wide(dx + n, through_sigmoid(dc * c0, forget), left);
      store_wide(dx + 2 * n, through_tanh(dc * in, g), left);
      store_wide(dx + 3 * n, through_sigmoid(dout * t, out), left);
      store_wide(static_cast<S*>(a.dstate) + at, dc * forget, left);
    });
  }
};

template <class S>
struct Gru {
  using V = Vec<Wide<S>>;
  static void forward(const GatesArgs& a) {
    const int64_t n = a.n;
    each_vector<S>(a, [&](int64_t r, int64_t i, int64_t left) __attribute__((always_inline)) {
      const S* x = static_cast<const S*>(a.x) + r * 3 * n + i;
      const S* h = static_cast<const S*>(a.h) + r * 3 * n + i;
      S* gates = static_cast<S*>(a.gates) + r * 4 * n + i;
      const V reset = sigmoid(load_wide(x, left) + load_wide(h, left));
      const V keep = sigmoid(load_wide(x + n, left) + load_wide(h + n, left));
      const V hn = load_wide(h + 2 * n, left);
      const V fresh = tanh(fma(reset, hn, load_wide(x + 2 * n, left)));
      store_wide(gates, reset, left);
      store_wide(gates + n, keep, left);
      store_wide(gates + 2 * n, fresh, left);
      store_wide(gates + 3 * n, hn, left);
      const V h0 = load_wide(static_cast<const S*>(a.state) + r * n + i, left);
      store_wide(static_cast<S*>(a.out) + r * n + i, fma(keep, h0 - fresh, fresh), left);
    });
  }
  static void backward(const GatesArgs& a) {
    const int64_t n = a.n;
    each_vector<S>(a, [&](int64_t r, int64_t i, int64_t left) __attribute__((always_inline)) {
      const S* gates = static_cast<const S*>(a.gates) + r * 4 * n + i;
      S* dx = static_cast<S*>(a.dx) + r * 3 * n + i;
      S* dh = static_cast<S*>(a.dh) + r * 3 * n + i;
      const int64_t at = r * n + i;
      const V reset = load_wide(gates, left), keep = load_wide(gates + n, left);
      const V fresh = load_wide(gates + 2 * n, left), hn = load_wide(gates + 3 * n, left);
      const V dout = load_wide(static_cast<const S*>(a.dout) + at, left);
      const V h0 = load_wide(static_cast<const S*>(a.state) + at, left);
      const V dfresh = through_tanh(dout * (V(1) - keep), fresh);
      const V dkeep = through_sigmoid(dout * (h0 - fresh), keep);
      const V dreset = through_sigmoid(dfresh * hn, reset);
      store_wide(dx, dreset, left);
      store_wide(dh, dreset, left);
      store_wide(dx + n, dkeep, left);
      store_wide(dh + n, dkeep, left);
      store_wide(dx + 2 * n, dfresh, left);
      store_wide(dh + 2 * n, dfresh * reset, left);
      store_wide(static_cast<S*>(a.dstate) + at, dout * keep, left);
    });
  }
};

template <template <class> class Cell, bool kForward>
void run(const char* name, const GatesArgs& a) {
  const auto pick = [&]<class S>(S) { kForward ? Cell<S>::forward(a) : Cell<S>::backward(a); };
  switch (a.dtype) {
    case DType::Float32:
      return pick(float{});
    case DType::Float64:
      return pick(double{});
    case DType::Float16:
      return pick(Half{});
    case DType::BFloat16:
      return pick(BFloat16{});
    default:
      no_loop(name, a.dtype);
  }
}

}  // namespace

void lstm_gates_forward(const GatesArgs& a) { run<Lstm, true>("lstm_gates", a); }
void lstm_gates_backward(const GatesArgs& a) { run<Lstm, false>("lstm_gates", a); }
void gru_gates_forward(const GatesArgs& a) { run<Gru, true>("gru_gates", a); }
void gru_gates_backward(const GatesArgs& a) { run<Gru, false>("gru_gates", a); }

}  // namespace PYNN_CPU_NAMESPACE
