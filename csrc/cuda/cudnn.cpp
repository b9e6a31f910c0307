// cudnn.cpp -- convolution by cuDNN. Descriptors and the algorithm are kept per geometry: the one that the heuristic
// names first, or with torch.backends.cudnn.benchmark the one that was measured to be the fastest.
#include "cuda/cudnn.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "core/error.h"
#include "cuda/cudnn_library.h"
#include "cuda/runtime.h"

namespace pynn::cuda {
namespace {

constexpr size_t kMostWorkspace = size_t{2} << 30, kMeasuredWorkspace = size_t{256} << 20;
constexpr size_t kPlans = 4096;

void check_dnn(dnn::Status status, const char* what) { cuda::check_dnn(status, "convolution", what); }

// All that the choice of an algorithm depends on. Compared as bytes: no padding.
struct Key {
  int64_t batch, groups, ci, co;
  ConvGeometry g;
  int64_t device, kind;
  bool operator==(const Key& o) const { return std::memcmp(this, &o, sizeof(Key)) == 0; }
};
static_assert(sizeof(Key) == 24 * 8);
struct KeyHash {
  size_t operator()(const Key& k) const {
    uint64_t words[sizeof(Key) / 8], h = 0;
    std::memcpy(words, &k, sizeof(Key));
    for (uint64_t w : words) h = (h ^ w) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return h;
  }
};

struct Plan {
  dnn::Desc x = nullptr, y = nullptr, w = nullptr, conv = nullptr;
  int algo = 0;
  size_t workspace = 0;
  bool usable = false;
  Plan() = default;
  Plan(const Plan&) = delete;
  ~Plan() {
    const dnn::Api& api = cudnn().api;
    if (x) api.tensor_destroy(x);
    if (y) api.tensor_destroy(y);
    if (w) api.filter_destroy(w);
    if (conv) api.conv_destroy(conv);
  }
};

// cuDNN knows one padding for both ends, and sizes below 2^31.
bool expressible(const ConvArgs& a) {
  int64_t x = a.batch * a.groups * a.ci, y = a.batch * a.groups * a.co, w = a.groups * a.co * a.ci;
  for (int d = 0; d < 3; ++d) {
    const int64_t room = a.g.in[d] + 2 * a.g.pad[d] - a.g.dilation[d] * (a.g.kernel[d] - 1) - 1;
    if (room < 0 || room / a.g.stride[d] + 1 != a.g.out[d]) return false;
    x *= a.g.in[d], y *= a.g.out[d], w *= a.g.kernel[d];
  }
  return std::max({x, y, w}) <= INT32_MAX && std::min({x, y, w}) > 0;
}

void describe(Plan& plan, const ConvArgs& a) {
  const dnn::Api& api = cudnn().api;
  const int type = dnn_type(a.dtype);
  const ConvGeometry& g = a.g;
  const bool flat = g.in[0] == 1 && g.out[0] == 1 && g.kernel[0] == 1 && g.pad[0] == 0;
  const int first = flat ? 1 : 0, dims = 3 - first;
  const auto sizes = [&](int64_t outer, int64_t channels, const int64_t* space, int* out) {
    out[0] = static_cast<int>(outer), out[1] = static_cast<int>(channels);
    for (int d = 0; d < dims; ++d) out[d + 2] = static_cast<int>(space[first + d]);
  };
  const auto tensor = [&](dnn::Desc& desc, int64_t channels, const int64_t* space) {
    int size[5], stride[5];
    sizes(a.batch, channels, space, size);
    for (int d = dims + 1, step = 1; d >= 0; step *= size[d--]) stride[d] = step;
    check_dnn(api.tensor_create(&desc), "a descriptor");
    check_dnn(api.tensor_set(desc, type, dims + 2, size, stride), "a descriptor");
  };
  tensor(plan.x, a.groups * a.ci, g.in);
  tensor(plan.y, a.groups * a.co, g.out);
  int size[5], pad[3], stride[3], dilation[3];
  sizes(a.groups * a.co, a.ci, g.kernel, size);
  check_dnn(api.filter_create(&plan.w), "a descriptor");
  check_dnn(api.filter_set(plan.w, type, dnn::kNchw, dims + 2, size), "a descriptor");
  for (int d = 0; d < dims; ++d) {
    pad[d] = static_cast<int>(g.pad[first + d]);
    stride[d] = static_cast<int>(g.stride[first + d]);
    dilation[d] = static_cast<int>(g.dilation[first + d]);
  }
  check_dnn(api.conv_create(&plan.conv), "a descriptor");
  check_dnn(api.conv_set(plan.conv, dims, pad, stride, dilation, dnn::kCrossCorrelation,
                         a.dtype == DType::Float64 ? dnn::kDouble : dnn::kFloat),
            "a descriptor");
  check_dnn(api.conv_set_groups(plan.conv, static_cast<int>(a.groups)), "a descriptor");
  const bool half = a.dtype == DType::Float16 || a.dtype == DType::BFloat16;
  check_dnn(api.conv_set_math(plan.conv, half                                                     ? dnn::kTensorMath
                                         : a.dtype == DType::Float32 && !library_flags.cudnn_tf32 ? dnn::kFmaMath
                                                                                                  : dnn::kDefaultMath),
            "a descriptor");
}

void choose(Plan& plan, Direction direction, const ConvArgs& a, dnn::Handle handle) {
  const dnn::Api& api = cudnn().api;
  dnn::Perf perf[dnn::kMaxAlgos];
  int found = 0;
  dnn::Status status;
  if (library_flags.benchmark) {
    const Scratch workspace(kMeasuredWorkspace);
    void* const w = workspace.as<void>();
    status = direction == Direction::Forward
                 ? api.time_forward(handle, plan.x, a.x, plan.w, a.w, plan.conv, plan.y, a.y, dnn::kMaxAlgos, &found,
                                    perf, w, kMeasuredWorkspace)
             : direction == Direction::Input ? api.time_input(handle, plan.w, a.w, plan.y, a.y, plan.conv, plan.x, a.x,
                                                              dnn::kMaxAlgos, &found, perf, w, kMeasuredWorkspace)
                                             : api.time_weight(handle, plan.x, a.x, plan.y, a.y, plan.conv, plan.w, a.w,
                                                               dnn::kMaxAlgos, &found, perf, w, kMeasuredWorkspace);
  } else {
    status = direction == Direction::Forward
                 ? api.choose_forward(handle, plan.x, plan.w, plan.conv, plan.y, dnn::kMaxAlgos, &found, perf)
             : direction == Direction::Input
                 ? api.choose_input(handle, plan.w, plan.y, plan.conv, plan.x, dnn::kMaxAlgos, &found, perf)
                 : api.choose_weight(handle, plan.x, plan.y, plan.conv, plan.w, dnn::kMaxAlgos, &found, perf);
  }
  if (status != 0) return;
  for (int i = 0; i < found && !plan.usable; ++i) {
    if (perf[i].status != 0 || perf[i].memory > kMostWorkspace) continue;
    if (library_flags.deterministic && !perf[i].deterministic) continue;
    plan.usable = true;
    plan.algo = perf[i].algo;
    plan.workspace = perf[i].memory;
    check_dnn(api.conv_set_math(plan.conv, perf[i].math), "the precision");
  }
}

}  // namespace

bool cudnn_convolution(Direction direction, const ConvArgs& a) {
  if (!library_flags.cudnn || !is_floating(a.dtype) || !expressible(a) || !cudnn().library.loaded()) return false;
  static auto& plans = *new std::unordered_map<Key, std::unique_ptr<Plan>, KeyHash>;
  const dnn::Api& api = cudnn().api;
  const int device = accelerator->current_device();
  const Key key{a.batch,
                a.groups,
                a.ci,
                a.co,
                a.g,
                device,
                static_cast<int64_t>(a.dtype) | int64_t{static_cast<uint8_t>(direction)} << 8 |
                    int64_t{library_flags.cudnn_tf32} << 16 | int64_t{library_flags.benchmark} << 17 |
                    int64_t{library_flags.deterministic} << 18};
  const DnnHandle handle;
  if (plans.size() >= kPlans) plans.clear();
  std::unique_ptr<Plan>& plan = plans[key];
  if (!plan) {
    auto made = std::make_unique<Plan>();
    describe(*made, a);
    choose(*made, direction, a, handle);
    plan = std::move(made);
  }
  if (!plan->usable) return false;
  const Scratch workspace(plan->workspace);
  const float one = 1, zero = 0;
  const double one64 = 1, zero64 = 0;
  const bool wide = a.dtype == DType::Float64;
  const void *alpha = wide ? static_cast<const void*>(&one64) : &one,
             *beta = wide ? static_cast<const void*>(&zero64) : &zero;
  void* const w = workspace.as<void>();
  const Plan& p = *plan;
  check_dnn(direction == Direction::Forward
                ? api.run_forward(handle, alpha, p.x, a.x, p.w, a.w, p.conv, p.algo, w, p.workspace, beta, p.y, a.y)
            : direction == Direction::Input
                ? api.run_input(handle, alpha, p.w, a.w, p.y, a.y, p.conv, p.algo, w, p.workspace, beta, p.x, a.x)
                : api.run_weight(handle, alpha, p.x, a.x, p.y, a.y, p.conv, p.algo, w, p.workspace, beta, p.w, a.w),
            "a convolution");
  return true;
}

}  // namespace pynn::cuda
