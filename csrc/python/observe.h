// observe.h -- what looks at ops as Python calls them: the profiler, and autocast. Costs one load while neither is on.
#pragma once
#include <atomic>
#include <cstdint>
#include <string_view>

#include "python/fastcall.h"

namespace pynn::python {

inline std::atomic<int> observers{0};  // a running profiler, and every thread with autocast on, count one each
inline std::atomic<bool> profiling{false};

int64_t profiler_clock();  // nanoseconds, those of Python's time.perf_counter_ns on Linux
enum class EventKind : uint8_t { Op, Backward, User };
void profiler_add(std::string_view name, int64_t start, EventKind kind, const OpDef* def = nullptr,
                  const Value* values = nullptr);

// One event from here to the end of the scope. The name must live as long as the process.
class Timed {
 public:
  explicit Timed(std::string_view name) : start_(profiling.load(std::memory_order_relaxed) ? profiler_clock() : 0) {
    if (start_) [[unlikely]]
      name_ = name;
  }
  ~Timed() {
    if (start_) [[unlikely]]
      profiler_add(name_, start_, EventKind::Op);
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  int64_t start_;
  std::string_view name_;
};

void call_observed(const OpDef& def, const Value* values, Result& result, bool inplace);
void call_unobserved(const OpDef& def, const Value* values, Result& result, bool inplace);

void init_observe(PyObject* module);

}  // namespace pynn::python
