// recurrent_net.cpp -- RNN, LSTM and GRU by the device's library (cuDNN): all steps of all layers are one call. It
// takes the parameters in one block, in an order of its own; its gradients of them are views of such a block.
//
// Dropout between layers is ours, and nets that have it are one call per layer: so masks follow the generator, are
// the same when a checkpoint computes them again, and are new at each replay of a captured graph.
#include <algorithm>
#include <memory>
#include <numeric>

#include "autograd/engine.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/concat.h"
#include "ops/creation.h"
#include "ops/random.h"
#include "ops/recurrent.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

using Sizes = std::vector<int64_t>;

// NetShape that owns its sizes, and how the block of parameters is laid out.
struct Plan {
  NetShape net;
  Sizes sizes;
  NetSpace space;
  size_t parameters;  // of a cell
  NetShape shape() const {
    NetShape s = net;
    s.batch_sizes = sizes.data();
    return s;
  }
  int64_t directions() const { return net.bidirectional ? 2 : 1; }
  bool lstm() const { return net.cell == RecurrentCell::Lstm; }
};

// Whether all is of one device and dtype, and the parameters have the shapes of the net's cells.
bool fitting(const Plan& p, const Tensor& x, TensorSpan hx, TensorSpan params) {
  const auto like = [&](const Tensor& t) { return t.device() == x.device() && t.dtype() == x.dtype(); };
  const int64_t gates = p.lstm() ? 4 : p.net.cell == RecurrentCell::Gru ? 3 : 1, wide = gates * p.net.hidden;
  if (!std::all_of(hx.begin(), hx.end(), like) || !std::all_of(params.begin(), params.end(), like)) return false;
  for (size_t i = 0; i < params.size(); ++i) {
    const size_t k = i % p.parameters;
    const int64_t in =
        i / p.parameters < static_cast<size_t>(p.directions()) ? p.net.input : p.net.out * p.directions();
    const Tensor& w = params[i];
    const bool fits = k == 0                          ? same(w.sizes(), DimVector{wide, in})
                      : k == 1                        ? same(w.sizes(), DimVector{wide, p.net.out})
                      : k == (p.net.biases ? 4u : 2u) ? same(w.sizes(), DimVector{p.net.out, p.net.hidden})
                                                      : same(w.sizes(), DimVector{wide});
    if (!fits) return false;
  }
  return true;
}

// The parameters in the library's order, with zeros where it leaves room.
Tensor block_of(const Plan& p, TensorSpan params) {
  const GradMode off(false);
  std::vector<size_t> order(params.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p.space.places[a] < p.space.places[b]; });
  std::vector<Tensor> pieces;
  int64_t at = 0;
  const auto fill_to = [&](int64_t place) {
    if (place > at) pieces.push_back(zeros(DimVector{place - at}, params[0].dtype(), params[0].device()));
    at = place;
  };
  for (size_t i : order) {
    fill_to(p.space.places[i]);
    pieces.push_back(flatten(params[i]));
    at += params[i].numel();
  }
  fill_to(p.space.weights);
  return cat(pieces, 0);
}

std::vector<Tensor> like_outputs(const Plan& p, const Tensor& x, const Tensor& h, const Tensor& c) {
  std::vector<Tensor> out{empty(DimVector{x.size(0), p.directions() * p.net.out}, x.dtype(), x.device()),
                          empty(h.sizes(), h.dtype(), h.device())};
  if (p.lstm()) out.push_back(empty(c.sizes(), c.dtype(), c.device()));
  return out;
}

NetArgs arguments(const Tensor& x, const Tensor& h, const Tensor& c, const Tensor& block, const Tensor& reserve) {
  NetArgs a{};
  a.x = x.data(), a.hx = h.data();
  if (c.defined()) a.cx = c.data();
  a.weights = block.data();
  if (reserve.defined()) a.reserve = reserve.data();
  return a;
}

void run_forward(const Plan& p, NetArgs a, std::span<const Tensor> out) {
  a.y = out[0].data(), a.hy = out[1].data();
  if (p.lstm()) a.cy = out[2].data();
  kernels::recurrent_net_forward(out[0].device(), p.shape(), a.reserve != nullptr, a);
}

// For double backward: the gradients of the same net made of steps.
Gradients by_steps(const Plan& p, const Grads& g, const Tensor& x, const Tensor& h, const Tensor& c,
                   std::span<const Tensor> params) {
  std::vector<Tensor> in{x, h};
  if (p.lstm()) in.push_back(c);
  in.insert(in.end(), params.begin(), params.end());
  for (Tensor& t : in) t = view(t, t.sizes());  // each its own, though the same tensor may come twice
  const size_t states = p.lstm() ? 3 : 2;
  const auto out =
      recurrent_steps(p.net.cell, in[0], p.sizes, TensorSpan(in).subspan(1, states - 1), TensorSpan(in).subspan(states),
                      {p.net.biases, p.net.layers, 0, false, p.net.bidirectional});
  std::vector<Tensor> roots, grads, wanted;
  for (size_t i = 0; i < out.size(); ++i)
    if (g[i].defined()) roots.push_back(out[i]), grads.push_back(g[i]);
  std::vector<size_t> places;
  for (size_t i = 0; i < in.size(); ++i)
    if (g.needs(i)) places.push_back(i), wanted.push_back(in[i]);
  const auto found = autograd::grad(roots, grads, wanted, {.keep_graph = true, .create_graph = true}, true);
  Gradients result(in.size());
  for (size_t k = 0; k < places.size(); ++k) result[places[k]] = found[k];
  return result;
}

Gradients backward(const Plan& p, const Grads& g, const Tensor& x, const Tensor& h, const Tensor& c,
                   std::span<const Tensor> params, const Tensor& block, const Tensor& y, const Tensor& reserve,
                   bool spent) {
  const size_t states = p.lstm() ? 3 : 2;
  NetArgs a = arguments(x, h, c, block, reserve);
  if (spent) run_forward(p, a, like_outputs(p, x, h, c));  // a second backward of a kept graph
  const auto fresh = [](const Tensor& t) { return empty(t.sizes(), t.dtype(), t.device()); };
  const Tensor dy = g[0].defined() ? contiguous(g[0]) : zeros(y.sizes(), y.dtype(), y.device());
  const Tensor dhy = g[1].defined() ? contiguous(g[1]) : Tensor();
  const Tensor dcy = states == 3 && g[2].defined() ? contiguous(g[2]) : Tensor();
  a.y = const_cast<void*>(y.data()), a.dy = dy.data();
  a.dhy = dhy.defined() ? dhy.data() : nullptr, a.dcy = dcy.defined() ? dcy.data() : nullptr;
  Gradients result(states + params.size());
  void** const places[] = {&a.dx, &a.dhx, &a.dcx};
  const Tensor* const inputs[] = {&x, &h, &c};
  for (size_t i = 0; i < states; ++i) {
    if (i > 0 && !g.needs(i)) continue;
    result[i] = fresh(*inputs[i]);
    *places[i] = result[i].data();
  }
  Tensor dblock;
  for (size_t i = 0; i < params.size() && !dblock.defined(); ++i)
    if (g.needs(states + i)) dblock = zeros(block.sizes(), block.dtype(), block.device());
  if (dblock.defined()) a.dweights = dblock.data();
  kernels::recurrent_net_backward(x.device(), p.shape(), a);
  for (size_t i = 0; i < params.size(); ++i)
    if (g.needs(states + i))
      result[states + i] = view(narrow(dblock, 0, p.space.places[i], params[i].numel()), params[i].sizes());
  return result;
}

std::vector<Tensor> run(RecurrentCell cell, const Tensor& x_in, std::span<const int64_t> sizes, TensorSpan hx,
                        TensorSpan params, bool biases, bool bidirectional, int64_t layers) {
  const bool lstm = cell == RecurrentCell::Lstm;
  Plan p{};
  p.sizes.assign(sizes.begin(), std::find(sizes.begin(), sizes.end(), 0));
  p.net = {cell,          x_in.dtype(),
           biases,        bidirectional,
           x_in.size(1),  hx[lstm ? 1 : 0].size(2),
           hx[0].size(2), layers,
           nullptr,       static_cast<int64_t>(p.sizes.size()),
           false};
  p.parameters = params.size() / static_cast<size_t>(layers * p.directions());
  if (x_in.numel() == 0 || hx[0].numel() == 0 || p.net.hidden == 0 || !fitting(p, x_in, hx, params)) return {};
  NetShape shape = p.shape();
  p.space = kernels::recurrent_net_space(x_in.device(), shape);
  p.net.tf32 = shape.tf32;
  if (p.space.places.empty()) return {};
  const Tensor x = contiguous(x_in), h = contiguous(hx[0]), c = lstm ? contiguous(hx[1]) : Tensor();
  const Tensor block = block_of(p, params);
  std::vector<Tensor> in{x, h};
  if (lstm) in.push_back(c);
  in.insert(in.end(), params.begin(), params.end());
  const TensorSpan inputs = in;
  Tensor reserve;
  if (detail::wants_graph(inputs))
    reserve = empty(DimVector{static_cast<int64_t>(std::max(p.space.reserve, size_t{1}))}, DType::UInt8, x.device());
  auto out = like_outputs(p, x, h, c);
  run_forward(p, arguments(x, h, c, block, reserve), out);
  if (!reserve.defined()) return out;
  const auto spent = std::make_shared<bool>(false);
  record_multi("cudnn_rnn", out, inputs, save(p, x, h, c, params, block, out[0], reserve, spent),
               [](const Grads& g, const Plan& p, const Tensor& x, const Tensor& h, const Tensor& c,
                  const std::vector<Tensor>& params, const Tensor& block, const Tensor& y, const Tensor& reserve,
                  const std::shared_ptr<bool>& spent) -> Gradients {
                 bool any = false;
                 for (size_t i = 0; i < g.size(); ++i) any |= g[i].defined();
                 if (!any) return Gradients((p.lstm() ? 3 : 2) + params.size());
                 if (thread_state.grad_enabled) return by_steps(p, g, x, h, c, params);
                 return backward(p, g, x, h, c, params, block, y, reserve, std::exchange(*spent, true));
               });
  return out;
}

}  // namespace

std::vector<Tensor> recurrent_net(RecurrentCell cell, const Tensor& x, std::span<const int64_t> sizes, TensorSpan hx,
                                  TensorSpan params, const SequenceOptions& o) {
  if (!x.device().is_cuda() || !is_floating(x.dtype())) return {};
  const int64_t directions = o.bidirectional ? 2 : 1;
  if (!(o.dropout > 0 && o.train && o.num_layers > 1))
    return run(cell, x, sizes, hx, params, o.has_biases, o.bidirectional, o.num_layers);
  const size_t each = params.size() / static_cast<size_t>(o.num_layers);
  std::vector<std::vector<Tensor>> states(hx.size());
  Tensor y = x;
  for (int64_t k = 0; k < o.num_layers; ++k) {
    std::vector<Tensor> first;
    for (const Tensor& h : hx) first.push_back(narrow(h, 0, k * directions, directions));
    const auto out = run(cell, k ? dropout(y, o.dropout, true) : y, sizes, first,
                         params.subspan(each * static_cast<size_t>(k), each), o.has_biases, o.bidirectional, 1);
    if (out.empty()) return {};
    y = out[0];
    for (size_t i = 0; i < hx.size(); ++i) states[i].push_back(out[i + 1]);
  }
  std::vector<Tensor> result{y};
  for (const auto& s : states) result.push_back(cat(s, 0));
  return result;
}

}  // namespace pynn::ops
