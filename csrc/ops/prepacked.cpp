#include "ops/prepacked.h"

#include <mutex>

#include "core/thread_state.h"

namespace pynn::ops {
namespace {

struct Weight {
  const void* data;
  int64_t n, k, row, column;  // strides
  uint32_t writes;
  int parts;
  bool operator==(const Weight&) const = default;
};

// The weight that was met last in a block of memory.
struct Prepacked final : Derived {
  std::mutex mutex;
  Weight weight{};
  Tensor parts;
};

Prepacked& of(Storage& s) {
  Derived* d = s.derived();
  return static_cast<Prepacked&>(*(d ? d : s.attach(std::make_unique<Prepacked>())));
}

}  // namespace

bool keeps(const Tensor& b, const GemmArgs& g) {
  const Storage& s = *b.storage();
  return !thread_state.in_backward && g.m > 16 && g.dtype == DType::Float32 && b.device().is_cpu() && !s.foreign() &&
         !s.lent();
}

Tensor prepacked(const Tensor& b, const GemmArgs& g) {
  Storage& s = *b.storage();
  const size_t bytes = kernels::gemm_ready_bytes(b.device(), g);
  if (bytes == 0) return {};
  Prepacked& kept = of(s);
  const std::lock_guard lock(kept.mutex);
  const Weight now{g.b, g.n, g.k, g.b_rs, g.b_cs, s.writes(), g.parts};
  if (kept.weight != now) {
    kept.weight = now, kept.parts = {};
  } else if (!kept.parts.defined()) {
    kept.parts = empty(DimVector{static_cast<int64_t>(bytes)}, DType::UInt8);
    kernels::gemm_make_ready(b.device(), g, kept.parts.data());
  }
  return kept.parts;
}

}  // namespace pynn::ops
