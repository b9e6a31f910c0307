// device_memory.h -- the emulated devices' memory and the order of work, for the files of this folder.
#pragma once
#include <cstddef>
#include <functional>

namespace emulator {

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

}  // namespace emulator
