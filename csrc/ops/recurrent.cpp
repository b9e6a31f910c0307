// recurrent.cpp -- RNN, LSTM and GRU. On the CPU a layer is one op (recurrent_sequence.cpp). Elsewhere, with
// projections, and for second derivatives, the products of all steps' inputs are one matrix product, a step is the
// product of the state and one map for the gates, and the gradient runs back through the graph of the steps.
//
// A batch of sequences is packed: [total, features], step after step, with the batch size of each step; a padded batch
// is the case of equal sizes. Batch sizes do not grow, so the sequences that end are the last rows of the state.
#include "kernels/recurrent.h"

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/matmul.h"
#include "ops/random.h"
#include "ops/recurrent.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

using recurrent::Mode, recurrent::Sizes, recurrent::State, recurrent::Weights;

// ---- the gates of one step

std::vector<Tensor> parts(const Tensor& x, int64_t count) {
  std::vector<Tensor> out;
  const int64_t n = x.size(1) / count;
  for (int64_t i = 0; i < count; ++i) out.push_back(narrow(x, 1, i * n, n));
  return out;
}
Tensor through_sigmoid(const Tensor& g, const Tensor& s) { return mul(g, mul(s, sub(1.0, s))); }
Tensor through_tanh(const Tensor& g, const Tensor& t) { return mul(g, sub(1.0, square(t))); }
Tensor beside(std::vector<Tensor> columns) { return cat(columns, 1); }

GatesArgs arguments(const Tensor& gates, const Tensor& state) {
  GatesArgs a{};
  a.gates = gates.data(), a.state = state.data();
  a.dtype = gates.dtype();
  a.rows = state.size(0), a.n = state.size(1);
  return a;
}
void check_gates(const char* op, const Tensor& x, const Tensor& h, const Tensor& state, int64_t count) {
  check_floating(op, x);
  PYNN_CHECK(x.dtype() == h.dtype() && x.dtype() == state.dtype(), op, ": operands must have one dtype, got ",
             dtype_name(x.dtype()), ", ", dtype_name(h.dtype()), " and ", dtype_name(state.dtype()));
  PYNN_CHECK(x.device() == h.device() && x.device() == state.device(), op,
             ": expected all tensors to be on the same device, got ", x.device().str(), ", ", h.device().str(), " and ",
             state.device().str());
  PYNN_CHECK(state.dim() == 2 && x.dim() == 2 && same(x.sizes(), h.sizes()) && x.size(0) == state.size(0) &&
                 x.size(1) == count * state.size(1),
             op, ": gates must be (rows, ", count, " * n) and the state (rows, n), got ", dims_str(x.sizes()), ", ",
             dims_str(h.sizes()), " and ", dims_str(state.sizes()));
}

// For double backward: the same derivatives, from the inputs, in ops.
Gradients lstm_gates_composite(const Grads& g, const Tensor& x, const Tensor& h, const Tensor& c) {
  const auto p = parts(add(x, h), 4);
  const Tensor in = sigmoid(p[0]), forget = sigmoid(p[1]), fresh = tanh(p[2]), out = sigmoid(p[3]);
  const Tensor t = tanh(add(mul(forget, c), mul(in, fresh)));
  const Tensor dout = g[0].defined() ? g[0] : zeros(c.sizes(), c.dtype(), c.device());
  Tensor dc = through_tanh(mul(dout, out), t);
  if (g[1].defined()) dc = add(dc, g[1]);
  const Tensor dx = beside({through_sigmoid(mul(dc, fresh), in), through_sigmoid(mul(dc, c), forget),
                            through_tanh(mul(dc, in), fresh), through_sigmoid(mul(dout, t), out)});
  return {dx, dx, mul(dc, forget)};
}

std::tuple<Tensor, Tensor> lstm_gates(const Tensor& x_in, const Tensor& h_in, const Tensor& c_in) {
  check_gates("lstm_gates", x_in, h_in, c_in, 4);
  const Tensor x = contiguous(x_in), h = contiguous(h_in), c = contiguous(c_in);
  const Tensor gates = empty(x.sizes(), x.dtype(), x.device());
  const Tensor out[] = {empty(c.sizes(), c.dtype(), c.device()), empty(c.sizes(), c.dtype(), c.device())};
  GatesArgs a = arguments(gates, c);
  a.x = x.data(), a.h = h.data();
  a.out = out[0].data(), a.cell = out[1].data();
  if (c.numel() && !c.device().is_meta()) kernels::lstm_gates_forward(c.device(), a);
  record_multi("lstm_gates", out, inputs(x, h, c), save(x, h, c, gates, out[1]),
               [](const Grads& g, const Tensor& x, const Tensor& h, const Tensor& c, const Tensor& gates,
                  const Tensor& cell) -> Gradients {
                 if (!g[0].defined() && !g[1].defined()) return Gradients(3);
                 if (thread_state.grad_enabled) return lstm_gates_composite(g, x, h, c);
                 const Tensor dout = g[0].defined() ? contiguous(g[0]) : g[0];
                 const Tensor dcell = g[1].defined() ? contiguous(g[1]) : g[1];
                 const Tensor dx = empty(x.sizes(), x.dtype(), x.device());
                 const Tensor dc = empty(c.sizes(), c.dtype(), c.device());
                 GatesArgs a = arguments(gates, c);
                 a.cell = cell.data(), a.dx = dx.data(), a.dstate = dc.data();
                 a.dout = dout.defined() ? dout.data() : nullptr;
                 a.dcell = dcell.defined() ? dcell.data() : nullptr;
                 if (c.numel()) kernels::lstm_gates_backward(c.device(), a);
                 return {dx, dx, dc};
               });
  return {out[0], out[1]};
}

Gradients gru_gates_composite(const Tensor& g, const Tensor& x, const Tensor& h, const Tensor& h0) {
  const auto xs = parts(x, 3), hs = parts(h, 3);
  const Tensor reset = sigmoid(add(xs[0], hs[0])), keep = sigmoid(add(xs[1], hs[1]));
  const Tensor fresh = tanh(add(xs[2], mul(reset, hs[2])));
  const Tensor dfresh = through_tanh(mul(g, sub(1.0, keep)), fresh);
  const Tensor dkeep = through_sigmoid(mul(g, sub(h0, fresh)), keep);
  const Tensor dreset = through_sigmoid(mul(dfresh, hs[2]), reset);
  return {beside({dreset, dkeep, dfresh}), beside({dreset, dkeep, mul(dfresh, reset)}), mul(g, keep)};
}

Tensor gru_gates(const Tensor& x_in, const Tensor& h_in, const Tensor& state_in) {
  check_gates("gru_gates", x_in, h_in, state_in, 3);
  const Tensor x = contiguous(x_in), h = contiguous(h_in), state = contiguous(state_in);
  const Tensor gates = empty(DimVector{state.size(0), 4 * state.size(1)}, x.dtype(), x.device());
  Tensor out = empty(state.sizes(), state.dtype(), state.device());
  GatesArgs a = arguments(gates, state);
  a.x = x.data(), a.h = h.data(), a.out = out.data();
  if (out.numel() && !out.device().is_meta()) kernels::gru_gates_forward(out.device(), a);
  return record(
      "gru_gates", std::move(out), inputs(x, h, state), save(x, h, state, gates),
      [](const Grads& g, const Tensor& x, const Tensor& h, const Tensor& state, const Tensor& gates) -> Gradients {
        if (thread_state.grad_enabled) return gru_gates_composite(g[0], x, h, state);
        const Tensor dout = contiguous(g[0]);
        const Tensor dx = empty(x.sizes(), x.dtype(), x.device());
        const Tensor dh = empty(x.sizes(), x.dtype(), x.device());
        const Tensor dstate = empty(state.sizes(), state.dtype(), state.device());
        GatesArgs a = arguments(gates, state);
        a.dout = dout.data(), a.dx = dx.data(), a.dh = dh.data(), a.dstate = dstate.data();
        if (state.numel()) kernels::gru_gates_backward(state.device(), a);
        return {dx, dh, dstate};
      });
}

// ---- one cell

// x: the input's product, bias included.
template <Mode mode>
State step(const Tensor& x, const State& s, const Weights& w) {
  const Tensor h = linear(s.h, w.w_hh, w.b_hh);
  if constexpr (mode == Mode::Lstm) {
    auto [out, c] = lstm_gates(x, h, s.c);
    return {w.w_hr.defined() ? linear(out, w.w_hr, {}) : out, c};
  } else if constexpr (mode == Mode::Gru) {
    return {gru_gates(x, h, s.h), {}};
  } else if constexpr (mode == Mode::Relu) {
    return {relu(add(x, h)), {}};
  } else {
    return {tanh(add(x, h)), {}};
  }
}

void check_cell(const char* op, const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh) {
  PYNN_CHECK(x.dim() == 2 && h.dim() == 2, op, ": input and hidden must be 2-D, got ", dims_str(x.sizes()), " and ",
             dims_str(h.sizes()));
  PYNN_CHECK(w_ih.dim() == 2 && w_hh.dim() == 2, op, ": weights must be 2-D, got ", dims_str(w_ih.sizes()), " and ",
             dims_str(w_hh.sizes()));
  PYNN_CHECK(x.size(1) == w_ih.size(1), op, ": input has inconsistent input_size: got ", x.size(1), " expected ",
             w_ih.size(1));
  PYNN_CHECK(x.size(0) == h.size(0), op, ": Input batch size ", x.size(0), " doesn't match hidden batch size ",
             h.size(0));
  PYNN_CHECK(h.size(1) == w_hh.size(1), op, ": hidden has inconsistent hidden_size: got ", h.size(1), ", expected ",
             w_hh.size(1));
}

std::vector<Tensor> lstm_cell(const Tensor& x, TensorSpan hx, const Tensor& w_ih, const Tensor& w_hh,
                              const Tensor& b_ih, const Tensor& b_hh) {
  PYNN_CHECK(hx.size() == 2, "lstm_cell: expected two hidden states, got ", hx.size());
  for (const Tensor& h : hx) check_cell("lstm_cell", x, h, w_ih, w_hh);
  const State s = step<Mode::Lstm>(linear(x, w_ih, b_ih), {hx[0], hx[1]}, {w_ih, w_hh, b_ih, b_hh, {}});
  return {s.h, s.c};
}
template <Mode mode>
Tensor cell(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh, const Tensor& b_ih,
            const Tensor& b_hh) {
  constexpr const char* names[] = {"rnn_tanh_cell", "rnn_relu_cell", "lstm_cell", "gru_cell"};
  check_cell(names[static_cast<int>(mode)], x, h, w_ih, w_hh);
  return step<mode>(linear(x, w_ih, b_ih), {h, {}}, {w_ih, w_hh, b_ih, b_hh, {}}).h;
}

// ---- sequences

// The rows of each step. One node for all of them, so that the gradient is one concatenation, not a sum of as many
// padded tensors as there are steps.
std::vector<Tensor> split_steps(const Tensor& x, const Sizes& sizes) {
  std::vector<Tensor> out;
  int64_t at = x.offset();
  for (int64_t n : sizes) {
    out.push_back(alias(x, DimVector{n, x.size(1)}, x.strides(), at));
    at += n * x.stride(0);
  }
  record_multi("split_steps", out, inputs(x), save(sizes, x.size(1), x.dtype(), x.device()),
               [](const Grads& g, const Sizes& sizes, int64_t width, DType dtype, Device device) {
                 std::vector<Tensor> steps;
                 for (size_t i = 0; i < sizes.size(); ++i)
                   steps.push_back(g[i].defined() ? g[i] : zeros(DimVector{sizes[i], width}, dtype, device));
                 Gradients dx(1);
                 dx[0] = cat(steps, 0);
                 return dx;
               });
  return out;
}

State rows(const State& s, int64_t begin, int64_t n) {
  if (begin == 0 && n == s.h.size(0)) return s;
  return {narrow(s.h, 0, begin, n), s.c.defined() ? narrow(s.c, 0, begin, n) : s.c};
}
State joined(const std::vector<State>& pieces) {
  std::vector<Tensor> h, c;
  for (const State& s : pieces) {
    h.push_back(s.h);
    if (s.c.defined()) c.push_back(s.c);
  }
  return {cat(h, 0), c.empty() ? Tensor() : cat(c, 0)};
}

template <Mode mode>
Tensor layer(const Tensor& x, const Sizes& sizes, State& s, const Weights& w, bool reverse) {
  const auto xs = split_steps(linear(x, w.w_ih, w.b_ih), sizes);
  const State first = s;
  std::vector<Tensor> out(sizes.size());
  std::vector<State> ended;  // of the sequences that ended, the last of the batch first
  const size_t count = sizes.size();
  if (reverse) s = rows(first, 0, sizes.back());
  for (size_t k = 0; k < count; ++k) {
    const size_t t = reverse ? count - 1 - k : k;
    const int64_t now = s.h.size(0), n = sizes[t];
    if (n < now) {
      ended.push_back(rows(s, n, now - n));
      s = rows(s, 0, n);
    } else if (n > now) {  // in reverse, the shorter sequences begin later
      s = joined({s, rows(first, now, n - now)});
    }
    s = step<mode>(xs[t], s, w);
    out[t] = s.h;
  }
  if (!ended.empty()) {
    ended.push_back(s);
    s = joined({ended.rbegin(), ended.rend()});
  }
  return cat(out, 0);
}

}  // namespace

Tensor recurrent::layer_of_steps(Mode mode, const Tensor& x, const Sizes& sizes, State& s, const Weights& w,
                                 bool reverse) {
  switch (mode) {
    case Mode::Tanh:
      return layer<Mode::Tanh>(x, sizes, s, w, reverse);
    case Mode::Relu:
      return layer<Mode::Relu>(x, sizes, s, w, reverse);
    case Mode::Lstm:
      return layer<Mode::Lstm>(x, sizes, s, w, reverse);
    default:
      return layer<Mode::Gru>(x, sizes, s, w, reverse);
  }
}

namespace {

// {output [total, directions * h], h_n, c_n of the LSTM}
template <Mode mode>
std::vector<Tensor> layered(Tensor x, const Sizes& sizes, TensorSpan hx, TensorSpan params, const SequenceOptions& o) {
  const int64_t directions = o.bidirectional ? 2 : 1;
  const bool projected = mode == Mode::Lstm && hx[0].size(2) != hx[1].size(2);
  const size_t each = (o.has_biases ? 4 : 2) + (projected ? 1 : 0);
  std::vector<Tensor> h_n, c_n;
  for (int64_t k = 0; k < o.num_layers; ++k) {
    std::vector<Tensor> out;
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t i = k * directions + d;
      const Tensor* p = params.data() + each * static_cast<size_t>(i);
      Weights w{p[0], p[1], {}, {}, projected ? p[each - 1] : Tensor()};
      if (o.has_biases) w.b_ih = p[2], w.b_hh = p[3];
      State s{select(hx[0], 0, i), mode == Mode::Lstm ? select(hx[1], 0, i) : Tensor()};
      const bool whole = recurrent::can_be_whole(mode, x, sizes, s, w);
      out.push_back((whole ? recurrent::whole_layer : recurrent::layer_of_steps)(mode, x, sizes, s, w, d == 1));
      h_n.push_back(s.h);
      if (mode == Mode::Lstm) c_n.push_back(s.c);
    }
    x = directions == 2 ? cat(out, 1) : out[0];
    if (o.dropout > 0 && o.train && k + 1 < o.num_layers) x = dropout(x, o.dropout, true);
  }
  std::vector<Tensor> result{x, stack(h_n, 0)};
  if (mode == Mode::Lstm) result.push_back(stack(c_n, 0));
  return result;
}
template <Mode mode>
std::vector<Tensor> layers(const char* op, const Tensor& x, const Sizes& sizes, TensorSpan hx, TensorSpan params,
                           const SequenceOptions& o) {
  PYNN_CHECK(!sizes.empty(), op, ": Expected sequence length to be larger than 0 in RNN");
  const int64_t directions = o.bidirectional ? 2 : 1, count = o.num_layers * directions;
  PYNN_CHECK(hx.size() == (mode == Mode::Lstm ? 2 : 1), op, ": expects two hidden states, got ", hx.size());
  for (const Tensor& h : hx)
    PYNN_CHECK(h.dim() == 3 && h.size(0) == count && h.size(1) == sizes[0], op, ": hidden states must be (", count,
               ", ", sizes[0], ", hidden size), got ", dims_str(h.sizes()));
  const bool projected = mode == Mode::Lstm && hx[0].size(2) != hx[1].size(2);
  const size_t each = (o.has_biases ? 4 : 2) + (projected ? 1 : 0);
  PYNN_CHECK(params.size() == each * static_cast<size_t>(count), op, ": expected ", each, " weights for each of ",
             count, " cells, got ", params.size());
  if (auto out = recurrent_net(mode, x, sizes, hx, params, o); !out.empty()) return out;
  return layered<mode>(x, sizes, hx, params, o);
}

template <Mode mode>
constexpr const char* kName = mode == Mode::Lstm   ? "lstm"
                              : mode == Mode::Gru  ? "gru"
                              : mode == Mode::Relu ? "rnn_relu"
                                                   : "rnn_tanh";

template <Mode mode>
std::vector<Tensor> padded(const Tensor& input, TensorSpan hx, TensorSpan params, const SequenceOptions& o,
                           bool batch_first) {
  PYNN_CHECK(input.dim() == 3, kName<mode>, ": input must be 3-D, got ", dims_str(input.sizes()));
  const Tensor x = batch_first ? transpose(input, 0, 1) : input;
  const int64_t steps = x.size(0), batch = x.size(1);
  auto out = layers<mode>(kName<mode>, reshape(x, DimVector{steps * batch, x.size(2)}),
                          Sizes(static_cast<size_t>(steps), batch), hx, params, o);
  out[0] = reshape(out[0], DimVector{steps, batch, out[0].size(1)});
  if (batch_first) out[0] = transpose(out[0], 0, 1);
  return out;
}
template <Mode mode>
std::vector<Tensor> packed(const Tensor& data, const Tensor& batch_sizes, TensorSpan hx, TensorSpan params,
                           const SequenceOptions& o) {
  PYNN_CHECK(data.dim() == 2 && batch_sizes.dim() == 1 && batch_sizes.dtype() == DType::Int64, kName<mode>,
             ": packed data must be 2-D and batch sizes 1-D int64, got ", dims_str(data.sizes()), " and ",
             dims_str(batch_sizes.sizes()));
  PYNN_CHECK(batch_sizes.device().is_cpu(), kName<mode>, ": batch sizes must be on the CPU, got ",
             batch_sizes.device().str());
  const Tensor counts = contiguous(batch_sizes);
  const int64_t* p = counts.data_as<int64_t>();
  const Sizes sizes(p, p + counts.numel());
  int64_t total = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    PYNN_CHECK(sizes[i] >= 0 && (i == 0 || sizes[i] <= sizes[i - 1]), kName<mode>, ": batch sizes must not grow, got ",
               sizes[i], " at step ", i);
    total += sizes[i];
  }
  PYNN_CHECK(total == data.size(0), kName<mode>, ": batch sizes must add up to the rows of data, got ", total, " and ",
             data.size(0));
  return layers<mode>(kName<mode>, data, sizes, hx, params, o);
}

std::vector<Tensor> op_lstm(const Tensor& input, TensorSpan hx, TensorSpan params, bool has_biases, int64_t num_layers,
                            double dropout, bool train, bool bidirectional, bool batch_first) {
  return padded<Mode::Lstm>(input, hx, params, {has_biases, num_layers, dropout, train, bidirectional}, batch_first);
}
std::vector<Tensor> op_lstm_packed(const Tensor& data, const Tensor& batch_sizes, TensorSpan hx, TensorSpan params,
                                   bool has_biases, int64_t num_layers, double dropout, bool train,
                                   bool bidirectional) {
  return packed<Mode::Lstm>(data, batch_sizes, hx, params, {has_biases, num_layers, dropout, train, bidirectional});
}
template <Mode mode>
std::vector<Tensor> op_rnn(const Tensor& input, const Tensor& hx, TensorSpan params, bool has_biases,
                           int64_t num_layers, double dropout, bool train, bool bidirectional, bool batch_first) {
  return padded<mode>(input, {&hx, 1}, params, {has_biases, num_layers, dropout, train, bidirectional}, batch_first);
}
template <Mode mode>
std::vector<Tensor> op_rnn_packed(const Tensor& data, const Tensor& batch_sizes, const Tensor& hx, TensorSpan params,
                                  bool has_biases, int64_t num_layers, double dropout, bool train, bool bidirectional) {
  return packed<mode>(data, batch_sizes, {&hx, 1}, params, {has_biases, num_layers, dropout, train, bidirectional});
}

}  // namespace

std::vector<Tensor> recurrent_steps(RecurrentCell cell, const Tensor& x, std::span<const int64_t> sizes, TensorSpan hx,
                                    TensorSpan params, const SequenceOptions& o) {
  const Sizes s(sizes.begin(), sizes.end());
  switch (cell) {
    case Mode::Tanh:
      return layered<Mode::Tanh>(x, s, hx, params, o);
    case Mode::Relu:
      return layered<Mode::Relu>(x, s, hx, params, o);
    case Mode::Lstm:
      return layered<Mode::Lstm>(x, s, hx, params, o);
    default:
      return layered<Mode::Gru>(x, s, hx, params, o);
  }
}

#define PYNN_SEQUENCE "bool has_biases, int num_layers, float dropout, bool train, bool bidirectional"
PYNN_OP(op_lstm, "lstm(Tensor input, Tensor[] hx, Tensor[] params, " PYNN_SEQUENCE ", bool batch_first) -> Tensor[]",
        "Layers of LSTM cells over sequences: (output, h_n, c_n). Same as torch.lstm.", kFunctionOnly);
PYNN_OP(op_lstm_packed,
        "lstm(Tensor data, Tensor batch_sizes, Tensor[] hx, Tensor[] params, " PYNN_SEQUENCE ") -> Tensor[]",
        "The same of packed sequences; batch sizes are on the CPU.", kFunctionOnly + kAnyDevice);
#define PYNN_RNN(name, mode, what)                                                                                  \
  PYNN_OP(op_rnn<mode>,                                                                                             \
          name "(Tensor input, Tensor hx, Tensor[] params, " PYNN_SEQUENCE ", bool batch_first) -> Tensor[]", what, \
          kFunctionOnly);                                                                                           \
  PYNN_OP(op_rnn_packed<mode>,                                                                                      \
          name "(Tensor data, Tensor batch_sizes, Tensor hx, Tensor[] params, " PYNN_SEQUENCE ") -> Tensor[]",      \
          "The same of packed sequences; batch sizes are on the CPU.", kFunctionOnly + kAnyDevice);                 \
  PYNN_OP(cell<mode>,                                                                                               \
          name                                                                                                      \
          "_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) "         \
          "-> Tensor",                                                                                              \
          "One step of it.", kFunctionOnly);
PYNN_RNN("gru", Mode::Gru, "Layers of GRU cells over sequences: (output, h_n). Same as torch.gru.")
PYNN_RNN("rnn_tanh", Mode::Tanh, "Layers of tanh cells over sequences: (output, h_n). Same as torch.rnn_tanh.")
PYNN_RNN("rnn_relu", Mode::Relu, "Layers of relu cells over sequences: (output, h_n). Same as torch.rnn_relu.")
PYNN_OP(lstm_cell,
        "lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, Tensor? b_ih=None, Tensor? b_hh=None) -> "
        "Tensor[]",
        "One step of an LSTM: (h, c). Same as torch.lstm_cell.", kFunctionOnly);
PYNN_OP(
    lstm_gates, "_nn.lstm_gates(Tensor x, Tensor h, Tensor c) -> (Tensor h, Tensor c)",
    "The gates of one LSTM step: i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of the parts of x + h; c' = f c + i g, "
    "h' = o tanh(c').");
PYNN_OP(gru_gates, "_nn.gru_gates(Tensor x, Tensor h, Tensor state) -> Tensor",
        "The gates of one GRU step: r, z = sigmoid of parts of x + h; n = tanh(x_n + r h_n); h' = n + z (state - n).");

}  // namespace pynn::ops
