// cudnn_recurrent.cpp -- recurrent nets by cuDNN. Descriptors are kept per net and per lengths of sequences.
#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "core/error.h"
#include "cuda/cudnn_library.h"
#include "cuda/runtime.h"
#include "kernels/recurrent_net.h"

namespace pynn::cuda {
namespace {

constexpr size_t kNets = 256;

void check_dnn(dnn::Status status, const char* what) { cuda::check_dnn(status, "recurrent net", what); }

int64_t gates(RecurrentCell cell) { return cell == RecurrentCell::Lstm ? 4 : cell == RecurrentCell::Gru ? 3 : 1; }

// A descriptor that is destroyed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (desc_) destroy_(desc_);
  }
  void make(dnn::Status (*create)(dnn::Desc*), dnn::Status (*destroy)(dnn::Desc)) {
    check_dnn(create(&desc_), "a descriptor");
    destroy_ = destroy;
  }
  operator dnn::Desc() const { return desc_; }

 private:
  dnn::Desc desc_ = nullptr;
  dnn::Status (*destroy_)(dnn::Desc) = nullptr;
};

struct Net {
  Descriptor dropout, rnn, x, y, h, c;
  size_t weights = 0, reserve = 0;  // bytes
  size_t workspace[2] = {};         // of inference and of training
  std::vector<int64_t> places;
};

// Sizes beyond what cuDNN counts in.
bool fits(const NetShape& s) {
  int64_t rows = 0;
  for (int64_t t = 0; t < s.steps; ++t) rows += s.batch_sizes[t];
  const int64_t widest = std::max({s.input, 2 * s.hidden, int64_t{1}}) * gates(s.cell);
  return s.steps > 0 && rows <= INT32_MAX / widest && widest * std::max(s.hidden, s.input) <= INT32_MAX;
}

// Where each parameter lies (NetSpace).
std::vector<int64_t> find_places(const Net& net, const NetShape& s, dnn::Handle handle) {
  const dnn::Api& api = cudnn().api;
  const int count = static_cast<int>(gates(s.cell)), item = static_cast<int>(item_size(s.dtype));
  const bool projected = s.out != s.hidden;
  const Scratch block(net.weights);
  Descriptor matrix, bias;
  matrix.make(api.tensor_create, api.tensor_destroy);
  bias.make(api.tensor_create, api.tensor_destroy);
  std::vector<int64_t> places;
  for (int cell = 0; cell < s.layers * (s.bidirectional ? 2 : 1); ++cell) {
    void* at[9][2] = {};
    for (int i = 0; i < 2 * count + projected; ++i)
      check_dnn(
          api.rnn_weight(handle, net.rnn, cell, net.weights, block.as<void>(), i, matrix, &at[i][0], bias, &at[i][1]),
          "the place of a parameter");
    const auto place = [&](int i, int kind) {
      places.push_back((static_cast<char*>(at[i][kind]) - block.as<char>()) / item);
      return places.back();
    };
    const int64_t in = cell < (s.bidirectional ? 2 : 1) ? s.input : s.out * (s.bidirectional ? 2 : 1);
    for (int kind = 0; kind < (s.biases ? 2 : 1); ++kind)
      for (int half = 0; half < 2; ++half) {
        // The gates of a parameter lie one after the other, in PyTorch's order.
        const int64_t each = s.hidden * (kind ? 1 : half ? s.out : in), first = place(half * count, kind);
        for (int g = 1; g < count; ++g)
          PYNN_CHECK(static_cast<char*>(at[half * count + g][kind]) - block.as<char>() == (first + g * each) * item,
                     "recurrent net: cuDNN has another order of gates than expected");
      }
    if (projected) place(2 * count, 0);
  }
  return places;
}

void describe(Net& net, const NetShape& s, dnn::Handle handle) {
  const dnn::Api& api = cudnn().api;
  constexpr int cells[] = {dnn::kRnnTanh, dnn::kRnnRelu, dnn::kLstm, dnn::kGru};
  const int type = dnn_type(s.dtype), directions = s.bidirectional ? 2 : 1;
  const bool half = item_size(s.dtype) == 2;
  const int math = half ? dnn::kTensorMath : s.dtype == DType::Float32 && !s.tf32 ? dnn::kFmaMath : dnn::kDefaultMath;
  net.dropout.make(api.dropout_create, api.dropout_destroy);
  check_dnn(api.dropout_set(net.dropout, handle, 0, nullptr, 0, 0), "no dropout");
  net.rnn.make(api.rnn_create, api.rnn_destroy);
  if (api.rnn_set(net.rnn, dnn::kStandardAlgo, cells[static_cast<int>(s.cell)],
                  s.biases ? dnn::kDoubleBias : dnn::kNoBias, s.bidirectional, dnn::kLinearInput, type,
                  half ? dnn::kFloat : type, math, static_cast<int32_t>(s.input), static_cast<int32_t>(s.hidden),
                  static_cast<int32_t>(s.out), static_cast<int32_t>(s.layers), net.dropout, 0) != 0)
    return;
  const int batch = static_cast<int>(s.batch_sizes[0]), steps = static_cast<int>(s.steps);
  std::vector<int> lengths(static_cast<size_t>(batch));
  for (int t = 0; t < steps; ++t)
    for (int64_t b = 0; b < s.batch_sizes[t]; ++b) lengths[static_cast<size_t>(b)] = t + 1;
  const auto sequence = [&](Descriptor& d, int64_t features) {
    d.make(api.sequence_create, api.sequence_destroy);
    return api.sequence_set(d, type, dnn::kStepsPacked, steps, batch, static_cast<int>(features), lengths.data(),
                            nullptr);
  };
  if (sequence(net.x, s.input) != 0 || sequence(net.y, s.out * directions) != 0) return;
  const auto state = [&](Descriptor& d, int64_t features) {
    d.make(api.tensor_create, api.tensor_destroy);
    const int f = static_cast<int>(features);
    const int size[] = {static_cast<int>(s.layers) * directions, batch, f}, stride[] = {batch * f, f, 1};
    check_dnn(api.tensor_set(d, type, 3, size, stride), "a descriptor");
  };
  state(net.h, s.out);
  state(net.c, s.hidden);
  if (api.rnn_weight_space(handle, net.rnn, &net.weights) != 0) return;
  size_t none = 0;
  if (api.rnn_space(handle, net.rnn, dnn::kInference, net.x, &net.workspace[0], &none) != 0 ||
      api.rnn_space(handle, net.rnn, dnn::kTraining, net.x, &net.workspace[1], &net.reserve) != 0)
    return;
  net.places = find_places(net, s, handle);
}

// All that cuDNN was told, as the key.
Net& net_of(const NetShape& s, dnn::Handle handle) {
  static auto& nets = *new std::map<std::vector<int64_t>, std::unique_ptr<Net>>;
  std::vector<int64_t> key{static_cast<int64_t>(s.cell) | static_cast<int64_t>(s.dtype) << 8 | int64_t{s.biases} << 16 |
                               int64_t{s.bidirectional} << 17 | int64_t{s.tf32} << 18,
                           accelerator->current_device(),
                           s.input,
                           s.hidden,
                           s.out,
                           s.layers};
  key.insert(key.end(), s.batch_sizes, s.batch_sizes + s.steps);
  if (nets.size() >= kNets && !nets.contains(key)) nets.clear();
  std::unique_ptr<Net>& net = nets[key];
  if (!net) {
    auto made = std::make_unique<Net>();
    describe(*made, s, handle);
    net = std::move(made);
  }
  return *net;
}

}  // namespace

NetSpace recurrent_net_space(NetShape& s) {
  if (!library_flags.cudnn || !fits(s) || !cudnn().library.loaded()) return {};
  s.tf32 = library_flags.cudnn_tf32;
  const DnnHandle handle;
  const Net& net = net_of(s, handle);
  return {net.places, static_cast<int64_t>(net.weights / item_size(s.dtype)), net.reserve};
}
PYNN_CUDA_KERNEL(recurrent_net_space);

void recurrent_net_forward(const NetShape& s, bool train, const NetArgs& a) {
  const DnnHandle handle;
  const Net& net = net_of(s, handle);
  const Scratch workspace(net.workspace[train]);
  check_dnn(cudnn().api.rnn_forward(handle, net.rnn, train ? dnn::kTraining : dnn::kInference, nullptr, net.x, a.x,
                                    net.y, a.y, net.h, a.hx, a.hy, net.c, a.cx, a.cy, net.weights, a.weights,
                                    net.workspace[train], workspace.as<void>(), train ? net.reserve : 0, a.reserve),
            "forward");
}
PYNN_CUDA_KERNEL(recurrent_net_forward);

void recurrent_net_backward(const NetShape& s, const NetArgs& a) {
  const DnnHandle handle;
  const Net& net = net_of(s, handle);
  const Scratch workspace(net.workspace[1]);
  const dnn::Api& api = cudnn().api;
  check_dnn(api.rnn_backward(handle, net.rnn, nullptr, net.y, a.y, a.dy, net.x, a.dx, net.h, a.hx, a.dhy, a.dhx, net.c,
                             a.cx, a.dcy, a.dcx, net.weights, a.weights, net.workspace[1], workspace.as<void>(),
                             net.reserve, a.reserve),
            "backward");
  if (a.dweights)
    check_dnn(api.rnn_backward_weights(handle, net.rnn, dnn::kAddGradient, nullptr, net.x, a.x, net.h, a.hx, net.y, a.y,
                                       net.weights, a.dweights, net.workspace[1], workspace.as<void>(), net.reserve,
                                       a.reserve),
              "the gradients of the weights");
}
PYNN_CUDA_KERNEL(recurrent_net_backward);

}  // namespace pynn::cuda
