// recurrent_sequence.cpp -- a recurrent layer as one op on the CPU: one product for the inputs of all steps, one kernel
// for the steps, and as gradients one kernel and one product each for the input and both weights.
#include "kernels/recurrent_sequence.h"

#include "autograd/engine.h"
#include "autograd/record.h"
#include "core/parallel.h"
#include "core/precision.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/matmul.h"
#include "ops/recurrent.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pynn::ops::recurrent {
namespace {

constexpr int64_t gates_of(Mode m) { return m == Mode::Lstm ? 4 : m == Mode::Gru ? 3 : 1; }
constexpr const char* name_of(Mode m) {
  return m == Mode::Lstm ? "lstm" : m == Mode::Gru ? "gru" : m == Mode::Relu ? "rnn_relu" : "rnn_tanh";
}
const void* data(const Tensor& t) { return t.defined() ? t.data() : nullptr; }
Tensor like(const Tensor& x, int64_t rows, int64_t columns) {
  return empty(DimVector{rows, columns}, x.dtype(), x.device());
}
Tensor column_sums(const Tensor& x) {
  const int64_t dims[] = {0};
  return sum(x, Dims(dims));
}

SequenceArgs arguments(Mode mode, const Sizes& sizes, bool reverse, const Tensor& w_hh, const Tensor& h0,
                       const Tensor& c0, const Tensor& gates, const Tensor& hn, const Tensor& out,
                       const Tensor& cells) {
  SequenceArgs a{};
  a.cell = mode, a.dtype = gates.dtype(), a.parts = float32_parts;
  a.n = w_hh.size(1), a.steps = static_cast<int64_t>(sizes.size()), a.total = gates.size(0);
  a.sizes = sizes.data(), a.reverse = reverse;
  a.w_hh = w_hh.data(), a.h0 = h0.data(), a.c0 = data(c0);
  a.gates = gates.data(), a.out = out.data();
  a.hn = const_cast<void*>(data(hn)), a.cells = const_cast<void*>(data(cells));
  return a;
}

// The state that each row of each step began with, [total, n].
Tensor states_before(const Sizes& sizes, bool reverse, const Tensor& h0, const Tensor& out) {
  const Tensor y = like(out, out.size(0), out.size(1));
  const size_t row = item_size(out.dtype()) * static_cast<size_t>(out.size(1));
  std::vector<int64_t> at;
  for (int64_t sum = 0; int64_t n : sizes) at.push_back(sum), sum += n;
  const auto copy = [&](const Tensor& x, int64_t from, int64_t to, int64_t count) {
    if (count > 0)
      std::memcpy(static_cast<char*>(y.data()) + static_cast<size_t>(to) * row,
                  static_cast<const char*>(x.data()) + static_cast<size_t>(from) * row,
                  static_cast<size_t>(count) * row);
  };
  const auto steps = static_cast<int64_t>(sizes.size());
  const double bytes_of_step = static_cast<double>(row) * static_cast<double>(sizes[0]);
  parallel_for(0, steps, grain_for(bytes_of_step / 10), [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const auto t = static_cast<size_t>(k);
      const bool first = reverse ? k + 1 == steps : k == 0;
      const size_t s = first ? t : reverse ? t + 1 : t - 1;
      const int64_t known = first ? 0 : std::min(sizes[t], sizes[s]);
      copy(out, at[s], at[t], known);
      copy(h0, known, at[t] + known, sizes[t] - known);
    }
  });
  return y;
}

// For second derivatives: the graph of the steps, from copies of the inputs that nothing else leads to.
Gradients gradients_of_steps(const Grads& g, Mode mode, const Sizes& sizes, bool reverse,
                             std::span<const Tensor> tensors) {
  std::vector<Tensor> in, wanted, roots, grads;
  for (size_t i = 0; i < tensors.size(); ++i) {
    in.push_back(tensors[i].defined() ? expand(tensors[i], tensors[i].sizes()) : Tensor());
    if (g.needs(i)) wanted.push_back(in[i]);
  }
  State s{in[1], in[2]};
  const Tensor out = layer_of_steps(mode, in[0], sizes, s, {in[3], in[4], in[5], in[6], {}}, reverse);
  const Tensor* results[] = {&out, &s.h, &s.c};
  for (size_t i = 0; i < g.size(); ++i)
    if (g[i].defined()) roots.push_back(*results[i]), grads.push_back(g[i]);
  Gradients d(tensors.size());
  if (roots.empty()) return d;
  const auto found = autograd::grad(roots, grads, wanted, {true, true}, true);
  for (size_t i = 0, k = 0; i < tensors.size(); ++i)
    if (g.needs(i)) d[i] = found[k++];
  return d;
}

Gradients gradients(const Grads& g, Mode mode, const Sizes& sizes, bool reverse, const Tensor& x, const Tensor& h0,
                    const Tensor& c0, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh,
                    const Tensor& gates, const Tensor& hn, const Tensor& out, const Tensor& cells) {
  Gradients d(7);
  if (!g[0].defined() && !g[1].defined() && (mode != Mode::Lstm || !g[2].defined())) return d;
  if (thread_state.grad_enabled) {
    const Tensor in[] = {x, h0, c0, w_ih, w_hh, b_ih, b_hh};
    return gradients_of_steps(g, mode, sizes, reverse, in);
  }
  const auto rows = [](const Tensor& t) { return t.defined() ? contiguous(t) : t; };
  const Tensor weights = contiguous(w_hh), dout = rows(g[0]), dh = rows(g[1]),
               dc = mode == Mode::Lstm ? rows(g[2]) : c0;
  const int64_t n = w_hh.size(1), total = gates.size(0);
  const Tensor dgates = like(gates, total, gates.size(1));
  const Tensor dhn = mode == Mode::Gru ? like(gates, total, n) : Tensor();
  d[1] = like(h0, h0.size(0), n);
  if (mode == Mode::Lstm) d[2] = like(h0, h0.size(0), n);
  SequenceArgs a = arguments(mode, sizes, reverse, weights, h0, c0, gates, hn, out, cells);
  a.dout = data(dout), a.dh_last = data(dh), a.dc_last = mode == Mode::Lstm ? data(dc) : nullptr;
  a.dgates = dgates.data(), a.dhn = const_cast<void*>(data(dhn));
  a.dh0 = d[1].data(), a.dc0 = const_cast<void*>(data(d[2]));
  kernels::recurrent_backward(gates.device(), a);

  const auto product = [](const Tensor& to, const Tensor& a, const Tensor& b) { run_gemm(to, a, b, kUndefined); };
  if (g.needs(0)) product(d[0] = like(x, total, x.size(1)), dgates, w_ih);
  if (g.needs(3)) product(d[3] = like(w_ih, w_ih.size(0), w_ih.size(1)), transpose(dgates, 0, 1), x);
  if (g.needs(4)) {
    const Tensor before = states_before(sizes, reverse, h0, out);
    d[4] = like(w_hh, w_hh.size(0), n);
    if (mode != Mode::Gru) {
      product(d[4], transpose(dgates, 0, 1), before);
    } else {
      product(narrow(d[4], 0, 0, 2 * n), transpose(narrow(dgates, 1, 0, 2 * n), 0, 1), before);
      product(narrow(d[4], 0, 2 * n, n), transpose(dhn, 0, 1), before);
    }
  }
  if (g.needs(5) || g.needs(6)) {
    d[5] = column_sums(dgates);
    d[6] = mode == Mode::Gru ? cat(std::vector<Tensor>{narrow(d[5], 0, 0, 2 * n), column_sums(dhn)}, 0) : d[5];
  }
  return d;
}

}  // namespace

bool can_be_whole(Mode mode, const Tensor& x, const Sizes& sizes, const State& s, const Weights& w) {
  const DType dtype = x.dtype();
  if (!x.device().is_cpu() || (dtype != DType::Float32 && dtype != DType::Float64) || w.w_hr.defined()) return false;
  for (const Tensor* t : {&s.h, &s.c, &w.w_ih, &w.w_hh, &w.b_ih, &w.b_hh})
    if (t->defined() && (t->dtype() != dtype || !t->device().is_cpu())) return false;
  const int64_t n = s.h.size(1), rows = gates_of(mode) * n;
  if (!x.numel() || !s.h.numel() || sizes.back() == 0) return false;
  const auto has = [](const Tensor& t, int64_t a, int64_t b) {
    return t.dim() == 2 && t.size(0) == a && t.size(1) == b;
  };
  const auto is_bias = [&](const Tensor& b) { return !b.defined() || (b.dim() == 1 && b.size(0) == rows); };
  return has(w.w_ih, rows, x.size(1)) && has(w.w_hh, rows, n) && is_bias(w.b_ih) && is_bias(w.b_hh) &&
         w.b_ih.defined() == w.b_hh.defined() && (!s.c.defined() || same(s.c.sizes(), s.h.sizes()));
}

Tensor whole_layer(Mode mode, const Tensor& x, const Sizes& sizes, State& s, const Weights& w, bool reverse) {
  const int64_t n = w.w_hh.size(1), total = x.size(0), batch = sizes[0];
  const Tensor h0 = contiguous(s.h), c0 = s.c.defined() ? contiguous(s.c) : s.c;
  const auto in = inputs(x, h0, c0, w.w_ih, w.w_hh, w.b_ih, w.b_hh);
  const bool keep = detail::wants_graph(in);
  const Tensor gates = like(x, total, w.w_hh.size(0)), out = like(x, total, n);
  const Tensor hn = keep && mode == Mode::Gru ? like(x, total, n) : Tensor();
  const Tensor cells = keep && mode == Mode::Lstm ? like(x, total, n) : Tensor();
  const Tensor h_last = like(x, batch, n), c_last = mode == Mode::Lstm ? like(x, batch, n) : Tensor();
  {
    const GradMode off(false);
    const Tensor weights = contiguous(w.w_hh);
    Tensor bias = w.b_ih, b_hn;
    if (bias.defined() && mode == Mode::Gru) {
      const Tensor both = add(narrow(w.b_ih, 0, 0, 2 * n), narrow(w.b_hh, 0, 0, 2 * n));
      bias = cat(std::vector<Tensor>{both, narrow(w.b_ih, 0, 2 * n, n)}, 0);
      b_hn = contiguous(narrow(w.b_hh, 0, 2 * n, n));
    } else if (bias.defined()) {
      bias = contiguous(add(w.b_ih, w.b_hh));
    }
    run_gemm(gates, x, transpose(w.w_ih, 0, 1), kUndefined);
    SequenceArgs a = arguments(mode, sizes, reverse, weights, h0, c0, gates, hn, out, cells);
    a.bias = data(bias), a.b_hn = data(b_hn);
    a.h_last = h_last.data(), a.c_last = const_cast<void*>(data(c_last));
    kernels::recurrent_forward(x.device(), a);
  }
  const Tensor results[] = {out, h_last, c_last};
  record_multi(name_of(mode), std::span(results, mode == Mode::Lstm ? 3 : 2), in,
               save(x, h0, c0, w.w_ih, w.w_hh, w.b_ih, w.b_hh, gates, hn, out, cells, sizes, mode, reverse),
               [](const Grads& g, const Tensor& x, const Tensor& h0, const Tensor& c0, const Tensor& w_ih,
                  const Tensor& w_hh, const Tensor& b_ih, const Tensor& b_hh, const Tensor& gates, const Tensor& hn,
                  const Tensor& out, const Tensor& cells, const Sizes& sizes, Mode mode, bool reverse) {
                 return gradients(g, mode, sizes, reverse, x, h0, c0, w_ih, w_hh, b_ih, b_hh, gates, hn, out, cells);
               });
  s = {h_last, c_last};
  return out;
}

}  // namespace pynn::ops::recurrent
