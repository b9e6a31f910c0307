// observe.cpp -- the profiler's events, and autocast: some ops take their float tensors in bfloat16, some in float32.
#include "python/observe.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "autograd/engine.h"
#include "python/convert.h"

namespace py = pybind11;

namespace pynn::python {
namespace {

struct Event {
  std::string_view name;
  int64_t start, end;
  size_t thread;
  EventKind kind;
  std::vector<std::vector<int64_t>> shapes;
};

struct Recording {
  std::mutex mutex;
  std::vector<Event> events;
  std::deque<std::string> names;  // of user events and nodes
  bool shapes = false;
};
Recording& recording = *new Recording;  // never destroyed: threads may outlive static objects

size_t this_thread() { return std::hash<std::thread::id>{}(std::this_thread::get_id()); }

// What autocast does in this thread, for tensors on the CPU and on CUDA devices.
struct Autocast {
  bool on = false;
  DType dtype = DType::BFloat16;
};
thread_local constinit Autocast autocast_cpu{}, autocast_cuda{false, DType::Float16};
Autocast& autocast(bool cuda) { return cuda ? autocast_cuda : autocast_cpu; }

// The last part of an op's name, without the underscore of private ones.
std::string_view short_name(const OpDef& def) {
  std::string_view name = def.name();
  name.remove_prefix(name.rfind('.') + 1);
  if (name.starts_with('_')) name.remove_prefix(1);
  return name;
}

constexpr std::string_view kLower[] = {"addbmm",           "addmm",
                                       "baddbmm",          "bmm",
                                       "chain_matmul",     "conv1d",
                                       "conv2d",           "conv3d",
                                       "conv_transpose1d", "conv_transpose2d",
                                       "conv_transpose3d", "convolution",
                                       "einsum",           "linear",
                                       "matmul",           "mm",
                                       "multi_dot",        "scaled_dot_product_attention",
                                       "tensordot",        "vecdot"};
constexpr std::string_view kFloat32[] = {"binary_cross_entropy",
                                         "binary_cross_entropy_with_logits",
                                         "cdist",
                                         "cross_entropy",
                                         "ctc_loss",
                                         "grid_sample",
                                         "huber_loss",
                                         "kl_div",
                                         "l1_loss",
                                         "mse_loss",
                                         "multi_margin_loss",
                                         "multilabel_margin_loss",
                                         "nanquantile",
                                         "nll_loss",
                                         "prod",
                                         "quantile",
                                         "smooth_l1_loss",
                                         "soft_margin_loss",
                                         "trace"};

// More of both on CUDA.
constexpr std::string_view kLowerCuda[] = {"gru",      "gru_cell",      "lstm",     "lstm_cell",
                                           "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell"};
constexpr std::string_view kFloat32Cuda[] = {"acos",
                                             "asin",
                                             "batch_norm",
                                             "cosh",
                                             "cosine_embedding_loss",
                                             "cumprod",
                                             "cumsum",
                                             "dist",
                                             "erfinv",
                                             "exp",
                                             "expm1",
                                             "group_norm",
                                             "hinge_embedding_loss",
                                             "layer_norm",
                                             "log",
                                             "log10",
                                             "log1p",
                                             "log2",
                                             "log_softmax",
                                             "logsumexp",
                                             "margin_ranking_loss",
                                             "norm",
                                             "pdist",
                                             "poisson_nll_loss",
                                             "pow",
                                             "reciprocal",
                                             "renorm",
                                             "rms_norm",
                                             "rsqrt",
                                             "sinh",
                                             "softmax",
                                             "softmin",
                                             "softplus",
                                             "sum",
                                             "tan",
                                             "triplet_margin_loss"};

bool on_cuda(const OpDef& def, const Value* values) {
  for (size_t i = 0; i < def.nkinds; ++i) {
    if (values[i].given == Kind::Tensor && values[i].tensor->device().is_cuda()) return true;
    if (values[i].given == Kind::Tensors && !values[i].tensors.empty() && values[i].tensors[0].device().is_cuda())
      return true;
  }
  return false;
}

std::optional<DType> autocast_to(const OpDef& def, const Value* values) {
  if (!autocast_cpu.on && !autocast_cuda.on) return {};
  const bool cuda = on_cuda(def, values);
  if (!autocast(cuda).on) return {};
  const std::string_view name = short_name(def);
  if (std::ranges::binary_search(kLower, name)) return autocast(cuda).dtype;
  if (std::ranges::binary_search(kFloat32, name)) return DType::Float32;
  if (cuda && std::ranges::binary_search(kLowerCuda, name)) return autocast(cuda).dtype;
  if (cuda && std::ranges::binary_search(kFloat32Cuda, name)) return DType::Float32;
  return {};
}

bool to_cast(const Tensor& t, DType to) {
  return t.defined() && is_floating(t.dtype()) && t.dtype() != DType::Float64 && t.dtype() != to;
}

// The op with its tensors in another dtype; the conversions are part of the graph.
void call_cast(const OpDef& def, const Value* values, Result& result, DType to) {
  Value moved[kMaxParams];
  std::vector<Tensor> keep[kMaxParams];
  for (size_t i = 0; i < def.nkinds; ++i) {
    moved[i] = values[i];
    if (values[i].given == Kind::Tensor && to_cast(*values[i].tensor, to)) {
      keep[i].push_back(convert(*values[i].tensor, to, {}, false));
      moved[i].tensor = keep[i].data();
    } else if (values[i].given == Kind::Tensors) {
      for (const Tensor& t : values[i].tensors) keep[i].push_back(to_cast(t, to) ? convert(t, to, {}, false) : t);
      moved[i].tensors = keep[i];
    }
  }
  call_unobserved(def, moved, result, false);
}

void observe_node(const Node& node, int64_t start) {
  std::lock_guard lock(recording.mutex);
  recording.names.push_back(node.name());
  recording.events.push_back({recording.names.back(), start, profiler_clock(), this_thread(), EventKind::Backward, {}});
}

int64_t node_clock() { return profiling.load(std::memory_order_relaxed) ? profiler_clock() : 0; }

void start_profiler(bool shapes) {
  std::lock_guard lock(recording.mutex);
  recording.events.clear();
  recording.names.clear();
  recording.shapes = shapes;
  autograd::profiler_clock = node_clock;
  autograd::profiler_node = observe_node;
  if (!profiling.exchange(true)) ++observers;
}

py::list stop_profiler() {
  if (profiling.exchange(false)) --observers;
  std::lock_guard lock(recording.mutex);
  autograd::profiler_node = nullptr;
  py::list out;
  for (const Event& e : recording.events)
    out.append(py::make_tuple(py::str(e.name.data(), e.name.size()), e.start, e.end, e.thread, static_cast<int>(e.kind),
                              e.shapes));
  recording.events.clear();
  recording.names.clear();
  return out;
}

}  // namespace

int64_t profiler_clock() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void profiler_add(std::string_view name, int64_t start, EventKind kind, const OpDef* def, const Value* values) {
  Event e{name, start, profiler_clock(), this_thread(), kind, {}};
  if (recording.shapes && def) {
    for (size_t i = 0; i < def->nkinds; ++i) {
      if (values[i].given != Kind::Tensor || !values[i].tensor->defined()) continue;
      const Dims sizes = values[i].tensor->sizes();
      e.shapes.emplace_back(sizes.begin(), sizes.end());
    }
  }
  std::lock_guard lock(recording.mutex);
  if (profiling.load(std::memory_order_relaxed)) recording.events.push_back(std::move(e));
}

void call_observed(const OpDef& def, const Value* values, Result& result, bool inplace) {
  const bool timed = profiling.load(std::memory_order_relaxed);
  const int64_t start = timed ? profiler_clock() : 0;
  const std::optional<DType> to = inplace ? std::nullopt : autocast_to(def, values);
  if (to) {
    call_cast(def, values, result, *to);
  } else {
    call_unobserved(def, values, result, inplace);
  }
  if (timed) profiler_add(short_name(def), start, EventKind::Op, &def, values);
}

void init_observe(PyObject* module) {
  py::module_ m = py::reinterpret_borrow<py::module_>(module);
  m.def("_profiler_start", start_profiler, py::arg("shapes"), "Records ops from now on.");
  m.def("_profiler_stop", stop_profiler,
        "Events since the start: (name, start and end in ns, thread, kind, shapes); kind 0 op, 1 backward, 2 user.");
  m.def("_profiler_on", [] { return profiling.load(); }, "Whether ops are recorded.");
  m.def("_profiler_clock", profiler_clock, "Nanoseconds, from some fixed time.");
  m.def(
      "_profiler_mark",
      [](const std::string& name, int64_t start) {
        std::string_view kept;
        {
          std::lock_guard lock(recording.mutex);
          recording.names.push_back(name);
          kept = recording.names.back();
        }
        profiler_add(kept, start, EventKind::User);
      },
      "Adds an event of the user's, from `start` until now.");
  m.def(
      "_set_autocast",
      [](bool on, py::object dtype, bool cuda) {
        Autocast& state = autocast(cuda);
        const auto before = py::make_tuple(state.on, py::reinterpret_steal<py::object>(wrap(state.dtype)));
        observers += static_cast<int>(on) - static_cast<int>(state.on);
        state = {on, dtype_of(dtype.ptr())};
        return before;
      },
      py::arg("on"), py::arg("dtype"), py::arg("cuda") = false,
      "Turns autocast on or off in this thread, and gives what was set before.");
  m.def(
      "_autocast_on", [](bool cuda) { return autocast(cuda).on; }, py::arg("cuda") = false,
      "Whether autocast is on in this thread.");
  m.def(
      "_autocast_dtype", [](bool cuda) { return py::reinterpret_steal<py::object>(wrap(autocast(cuda).dtype)); },
      py::arg("cuda") = false, "What autocast casts to.");
}

}  // namespace pynn::python
