// device_memory.h -- the emulated devices' memory and the order of work, for the files of this folder.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace emulator {

constexpr int kMaxDevices = 8;
constexpr size_t kAlign = 512;  // of blocks of device memory

int current_device();

// The memory of one device, or of all (-1), can be touched while one of these lives; else it faults.
class MemoryAccess {
 public:
  explicit MemoryAccess(int device);
  ~MemoryAccess();
  MemoryAccess(const MemoryAccess&) = delete;
  MemoryAccess& operator=(const MemoryAccess&) = delete;

 private:
  int device_;
};

// Runs `work` now, or keeps it for the graph that is being captured.
void submit(std::function<void()> work);

// ---- memory_check.cpp ----

void shadow_device(int device, const void* memory, size_t size);
void shadow_block(int device, const void* block, size_t size, bool allocated);
void shadow_activate(int device);  // kernels run on it from now on
bool is_pinned(const void* p, size_t n);

// The kernel that runs.
struct KernelState {
  uintptr_t stack = 0, stack_size = 0;  // of the thread; size 0: no kernel runs
  uintptr_t parameters = 0, parameters_size = 0;
  bool over = false;  // the launch ends with an error that is being put into words
  uintptr_t shared = 0, shared_size = 0, shared_capacity = 0;
};
extern KernelState kernel_state;
// Ends the launch from within a thread of it. Nothing is unwound: the caller may be code that cannot throw.
[[noreturn]] void abandon(const std::string& why);

}  // namespace emulator
