// cublaslt.cpp -- products by cuBLASLt. Descriptors and the algorithm that its heuristic names are kept per shape: to
// ask for them takes ten times as long as a launch.
#include "cuda/cublaslt.h"

#include <cstring>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "core/error.h"
#include "cuda/cublaslt_api.h"
#include "cuda/library.h"
#include "cuda/runtime.h"

namespace pynn::cuda {
namespace {

constexpr size_t kWorkspace = size_t{32} << 20;
constexpr size_t kPlans = 8192;  // then the cache starts anew

struct CublasLt {
  Library library{"libcublasLt.so.13", "libcublasLt.so.12"};
  lt::Api api{};
  CublasLt() {
    library.find(api.create, "cublasLtCreate");
    library.find(api.version, "cublasLtGetVersion");
    library.find(api.desc_create, "cublasLtMatmulDescCreate");
    library.find(api.desc_destroy, "cublasLtMatmulDescDestroy");
    library.find(api.desc_set, "cublasLtMatmulDescSetAttribute");
    library.find(api.layout_create, "cublasLtMatrixLayoutCreate");
    library.find(api.layout_destroy, "cublasLtMatrixLayoutDestroy");
    library.find(api.layout_set, "cublasLtMatrixLayoutSetAttribute");
    library.find(api.preference_create, "cublasLtMatmulPreferenceCreate");
    library.find(api.preference_destroy, "cublasLtMatmulPreferenceDestroy");
    library.find(api.preference_set, "cublasLtMatmulPreferenceSetAttribute");
    library.find(api.heuristic, "cublasLtMatmulAlgoGetHeuristic");
    library.find(api.matmul, "cublasLtMatmul");
  }
};
CublasLt& cublas() {
  static auto& one = *new CublasLt;
  return one;
}

void check_lt(lt::Status status, const char* what) {
  PYNN_CHECK(status == 0, "matmul: cuBLASLt failed, ", what, " gave status ", status);
}

// All that the choice of an algorithm depends on. Compared as bytes: no padding.
struct Key {
  int64_t m, n, k, lda, ldb, ldc, batch, a_batch, b_batch, c_batch;
  uint32_t kind;       // dtype, transposes, epilogue, precision
  uint32_t alignment;  // log2 of each pointer's
  int64_t device;
  bool operator==(const Key& o) const { return std::memcmp(this, &o, sizeof(Key)) == 0; }
};
static_assert(sizeof(Key) == 12 * 8);
struct KeyHash {
  size_t operator()(const Key& k) const {
    uint64_t words[sizeof(Key) / 8], h = 0;
    std::memcpy(words, &k, sizeof(Key));
    for (uint64_t w : words) h = (h ^ w) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
    return h;
  }
};

uint32_t alignment_log2(const void* p) {  // at most 8: 256 bytes
  const uintptr_t x = reinterpret_cast<uintptr_t>(p) | 256;
  return static_cast<uint32_t>(__builtin_ctzll(x));
}

struct Plan {
  lt::Desc product = nullptr, a = nullptr, b = nullptr, c = nullptr;
  lt::Algo algo{};
  size_t workspace = 0;
  bool usable = false;
  Plan() = default;
  Plan(const Plan&) = delete;
  ~Plan() {
    const lt::Api& api = cublas().api;
    if (product) api.desc_destroy(product);
    for (lt::Desc layout : {a, b, c})
      if (layout) api.layout_destroy(layout);
  }
};

template <class T>
void set(lt::Status (*setter)(lt::Desc, int, const void*, size_t), lt::Desc d, int attribute, T value) {
  check_lt(setter(d, attribute, &value, sizeof value), "a descriptor");
}

int type_of(DType t) {
  return t == DType::Float64    ? lt::kReal64F
         : t == DType::Float16  ? lt::kReal16F
         : t == DType::BFloat16 ? lt::kReal16BF
                                : lt::kReal32F;
}

bool tf32(const ColumnProduct& p) { return p.dtype == DType::Float32 && library_flags.matmul_tf32; }
// Whether parts of a sum may be added up in a half type.
bool reduced(const ColumnProduct& p) {
  if (p.dtype == DType::Float16) return library_flags.fp16_reduced;
  return p.dtype != DType::BFloat16 || library_flags.bf16_reduced;
}
uint32_t epilogue_of(const ColumnProduct& p) {
  const uint32_t e = (p.bias ? lt::kEpilogueBias : 0u) | (p.relu ? lt::kEpilogueRelu : 0u);
  return e ? e : lt::kEpilogueNone;
}

Key key_of(const ColumnProduct& p) {
  Key key;
  key.m = p.m, key.n = p.n, key.k = p.k;
  key.lda = p.lda, key.ldb = p.ldb, key.ldc = p.ldc;
  key.batch = p.batch;
  key.a_batch = p.batch > 1 ? p.a_batch : 0, key.b_batch = p.batch > 1 ? p.b_batch : 0;
  key.c_batch = p.batch > 1 ? p.c_batch : 0;
  key.kind = static_cast<uint32_t>(p.dtype) | uint32_t{p.transpose_a} << 8 | uint32_t{p.transpose_b} << 9 |
             uint32_t{tf32(p)} << 10 | uint32_t{reduced(p)} << 11 | epilogue_of(p) << 16;
  key.alignment = alignment_log2(p.a) | alignment_log2(p.b) << 8 | alignment_log2(p.c) << 16 |
                  (p.bias ? alignment_log2(p.bias) : 0) << 24;
  key.device = accelerator->current_device();
  return key;
}

void make_plan(Plan& plan, const ColumnProduct& p, lt::Handle handle) {
  const lt::Api& api = cublas().api;
  const bool wide = p.dtype == DType::Float64;
  const int type = type_of(p.dtype);
  check_lt(api.desc_create(&plan.product,
                           wide      ? lt::kCompute64F
                           : tf32(p) ? lt::kCompute32FastTf32
                                     : lt::kCompute32F,
                           wide ? lt::kReal64F : lt::kReal32F),
           "a descriptor");
  set(api.desc_set, plan.product, lt::kTransA, p.transpose_a ? lt::kOpT : lt::kOpN);
  set(api.desc_set, plan.product, lt::kTransB, p.transpose_b ? lt::kOpT : lt::kOpN);
  set(api.desc_set, plan.product, lt::kEpilogue, epilogue_of(p));
  if (p.bias) set(api.desc_set, plan.product, lt::kBiasPointer, p.bias);
  const auto layout = [&](lt::Desc& d, int64_t rows, int64_t cols, int64_t ld, int64_t step) {
    check_lt(api.layout_create(&d, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(cols), ld), "a layout");
    if (p.batch == 1) return;
    set(api.layout_set, d, lt::kBatchCount, static_cast<int32_t>(p.batch));
    set(api.layout_set, d, lt::kBatchStride, step);
  };
  layout(plan.a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.lda, p.a_batch);
  layout(plan.b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.ldb, p.b_batch);
  layout(plan.c, p.m, p.n, p.ldc, p.c_batch);

  lt::Desc preference = nullptr;
  check_lt(api.preference_create(&preference), "a preference");
  const auto prefer = [&](int attribute, auto value) {
    api.preference_set(preference, attribute, &value, sizeof value);
  };
  prefer(lt::kMaxWorkspace, uint64_t{kWorkspace});
  if (!reduced(p)) prefer(lt::kReductionMask, uint32_t{lt::kReduceInPlace | lt::kReduceComputeType});
  const auto alignment = [](const void* p) { return uint32_t{1} << alignment_log2(p); };
  prefer(lt::kMinAlignA, alignment(p.a));
  prefer(lt::kMinAlignB, alignment(p.b));
  prefer(lt::kMinAlignC, alignment(p.c));
  prefer(lt::kMinAlignD, alignment(p.c));
  lt::Heuristic best{};
  int found = 0;
  const lt::Status status =
      api.heuristic(handle, plan.product, plan.a, plan.b, plan.c, plan.c, preference, 1, &best, &found);
  api.preference_destroy(preference);
  plan.usable = status == 0 && found > 0 && best.state == 0;
  plan.algo = best.algo;
  plan.workspace = best.workspace;
}

}  // namespace

bool cublaslt_product(const ColumnProduct& p) {
  if (!library_flags.cublas || !cublas().library.loaded() || p.batch > INT32_MAX) return false;
  static std::mutex mutex;  // descriptors hold the bias: one product at a time
  static auto& handles = *new std::unordered_map<int, lt::Handle>;
  static auto& plans = *new std::unordered_map<Key, std::unique_ptr<Plan>, KeyHash>;
  const lt::Api& api = cublas().api;
  const Key key = key_of(p);
  const std::lock_guard lock(mutex);
  lt::Handle& handle = handles[static_cast<int>(key.device)];
  if (!handle) check_lt(api.create(&handle), "cublasLtCreate");
  if (plans.size() >= kPlans) plans.clear();
  std::unique_ptr<Plan>& plan = plans[key];
  if (!plan) {
    auto made = std::make_unique<Plan>();
    make_plan(*made, p, handle);
    plan = std::move(made);
  } else if (p.bias) {
    set(api.desc_set, plan->product, lt::kBiasPointer, p.bias);
  }
  if (!plan->usable) return false;
  const Scratch workspace(plan->workspace);
  const float alpha = static_cast<float>(p.alpha), beta = static_cast<float>(p.beta);
  const bool wide = p.dtype == DType::Float64;
  check_lt(api.matmul(handle, plan->product, wide ? static_cast<const void*>(&p.alpha) : &alpha, p.a, plan->a, p.b,
                      plan->b, wide ? static_cast<const void*>(&p.beta) : &beta, p.c, plan->c, p.c, plan->c,
                      &plan->algo, workspace.as<void>(), plan->workspace, current_stream()),
           "cublasLtMatmul");
  return true;
}

std::string describe_cublas() {
  const CublasLt& c = cublas();
  if (!c.library.loaded()) return "not found: " + c.library.why();
  const size_t v = c.api.version();  // 130002 is 13.0.2, 120805 12.8.5
  return concat(v / 10000, ".", v / 100 % 100, ".", v % 100, " (", c.library.name(), ")");
}

}  // namespace pynn::cuda
