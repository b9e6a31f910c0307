// memory_check.cpp -- what kernels read and write is looked at before they do.
//
// The compiler calls the functions below for each access of the .cu files (-fsanitize=kernel-address, whose runtime
// this is). A kernel may touch its stack, its parameters, shared memory, variables of the program, pinned memory, and
// blocks of its device that are allocated; anything else, a host tensor for example, ends the launch with an error. One
// shadow byte says how many of eight bytes of device memory are allocated, from the first.
#include <link.h>
#include <sys/mman.h>

#include <algorithm>

#include "core/error.h"
#include "cuda_emulator.h"
#include "device_memory.h"

namespace emulator {
namespace {

using Byte = unsigned char;
struct Range {
  uintptr_t first, last;
  bool holds(uintptr_t a, size_t n) const { return a >= first && a + n <= last; }
};
struct DeviceShadow {
  Range memory{};
  Byte* shadow = nullptr;
};
DeviceShadow shadows[kMaxDevices];
const DeviceShadow* active = nullptr;  // of the device that the kernel runs on
Range program{};

Range find_program() {
  Range found{};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        const auto here = reinterpret_cast<uintptr_t>(&shadows);
        Range all{~uintptr_t(0), 0};
        for (int i = 0; i < info->dlpi_phnum; i++) {
          const auto& p = info->dlpi_phdr[i];
          if (p.p_type != PT_LOAD) continue;
          all.first = std::min<uintptr_t>(all.first, info->dlpi_addr + p.p_vaddr);
          all.last = std::max<uintptr_t>(all.last, info->dlpi_addr + p.p_vaddr + p.p_memsz);
        }
        if (!all.holds(here, 1)) return 0;
        *static_cast<Range*>(out) = all;
        return 1;
      },
      &found);
  return found;
}

bool allocated(const Byte* shadow, size_t offset, size_t n) {
  for (size_t i = offset / 8; i <= (offset + n - 1) / 8; i++)
    if (shadow[i] < std::min(offset + n - i * 8, size_t(8))) return false;
  return true;
}

void look(uintptr_t address, size_t n, const char* what) {
  KernelState& k = kernel_state;
  // Host code of a .cu file is compiled with the same checks.
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (here - k.stack >= k.stack_size || k.over) return;
  if (address - k.stack < k.stack_size || !n) return;
  if (active && active->memory.holds(address, n)) {
    if (allocated(active->shadow, address - active->memory.first, n)) return;
    k.over = true;
    abandon(pynn::concat("a kernel ", what, " ", n, " bytes of device memory at ", address, " that are not allocated"));
  }
  if (address - k.parameters < k.parameters_size) return;
  if (address - k.shared < k.shared_capacity) {
    if (address - k.shared + n <= k.shared_size) return;
    k.over = true;
    abandon(pynn::concat("a kernel ", what, " byte ", address - k.shared, " of ", k.shared_size,
                         " bytes of dynamic shared memory"));
  }
  if (program.holds(address, n) || is_pinned(reinterpret_cast<const void*>(address), n)) return;
  k.over = true;
  abandon(pynn::concat("a kernel ", what, " ", n, " bytes of host memory, or of another device, at ", address));
}

}  // namespace

void shadow_device(int device, const void* memory, size_t size) {
  void* p = mmap(nullptr, size / 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  PYNN_CHECK(p != MAP_FAILED, "cuda emulator: no memory for the shadow");
  const auto first = reinterpret_cast<uintptr_t>(memory);
  shadows[device] = {{first, first + size}, static_cast<Byte*>(p)};
  if (!program.last) program = find_program();
}

void shadow_block(int device, const void* block, size_t size, bool allocated) {
  const DeviceShadow& d = shadows[device];
  Byte* s = d.shadow + (reinterpret_cast<uintptr_t>(block) - d.memory.first) / 8;
  std::memset(s, allocated ? 8 : 0, size / 8);
  if (size % 8) s[size / 8] = allocated ? static_cast<Byte>(size % 8) : 0;
}

void shadow_activate(int device) { active = shadows[device].shadow ? &shadows[device] : nullptr; }

}  // namespace emulator

#define PYNN_CHECKED(n)                                                                    \
  extern "C" void __asan_load##n##_noabort(uintptr_t a) { emulator::look(a, n, "reads"); } \
  extern "C" void __asan_store##n##_noabort(uintptr_t a) { emulator::look(a, n, "writes"); }
PYNN_CHECKED(1)
PYNN_CHECKED(2)
PYNN_CHECKED(4)
PYNN_CHECKED(8)
PYNN_CHECKED(16)
extern "C" void __asan_loadN_noabort(uintptr_t a, size_t n) { emulator::look(a, n, "reads"); }
extern "C" void __asan_storeN_noabort(uintptr_t a, size_t n) { emulator::look(a, n, "writes"); }
extern "C" void __asan_handle_no_return() {}
extern "C" void __asan_before_dynamic_init(const char*) {}
extern "C" void __asan_after_dynamic_init() {}
