// stub.h -- one kernel, one name, one function pointer per ISA and per device.
//
// A header kernels/<family>.h declares    PYNN_KERNEL(void, softmax_forward, (const SoftmaxArgs& args));
// kernels/cpu/<family>.cpp, compiled once per ISA, defines it inside  namespace PYNN_CPU_NAMESPACE { ... },
// kernels/cuda/<family>.cu defines it inside  namespace pynn::cuda { ... }  and says PYNN_CUDA_KERNEL(softmax_forward);
// and ops call                            kernels::softmax_forward(device, args).
//
// The table below is constant-initialised: nothing runs at load time, so no ISA's code runs before the CPU was asked.
#pragma once
#include <utility>

#include "core/accelerator.h"
#include "core/dtype.h"
#include "kernels/isa.h"

namespace pynn {

template <class Fn>
struct Stub;

[[noreturn]] void no_kernel(const char* name, Device device);
// For kernels, which cannot throw themselves: fail() is a template (docs/notes/isa-dispatch.md).
[[noreturn]] void no_loop(const char* name, DType dtype);
extern int active_isa_index;  // 0 (baseline) until init_isa()

template <class R, class... A>
struct Stub<R(A...)> {
  const char* name;
  R (*cpu[kIsas])(A...);
  R (*cuda)(A...) = nullptr;

  R operator()(Device device, A... args) const {
    if (device.is_cpu()) [[likely]]
      return cpu[active_isa_index](static_cast<A&&>(args)...);
    if (!device.is_cuda() || !cuda) no_kernel(name, device);
    DeviceGuard guard(device.index);
    return cuda(static_cast<A&&>(args)...);
  }
};

}  // namespace pynn

#if defined(PYNN_HAVE_AVX2) || defined(PYNN_ISA_AVX2)
#define PYNN_IF_AVX2(x) x
#else
#define PYNN_IF_AVX2(x)
#endif
#if defined(PYNN_HAVE_AVX512) || defined(PYNN_ISA_AVX512)
#define PYNN_IF_AVX512(x) x
#else
#define PYNN_IF_AVX512(x)
#endif
#if defined(PYNN_HAVE_NEON) || defined(PYNN_ISA_NEON)
#define PYNN_IF_NEON(x) x
#else
#define PYNN_IF_NEON(x)
#endif

// At namespace scope, in the .cu file that defines cuda::name.
#define PYNN_CUDA_KERNEL(name) \
  [[maybe_unused]] static const bool pynn_cuda_##name = (::pynn::kernels::name.cuda = &::pynn::cuda::name, true)

#define PYNN_CPU_NAMESPACE pynn::cpu::PYNN_ISA

// A kernel for what the CPU does another way; only called with CUDA devices.
#define PYNN_CUDA_ONLY_KERNEL(R, name, params)     \
  namespace cuda {                                 \
  R name params;                                   \
  }                                                \
  namespace kernels {                              \
  inline constinit Stub<R params> name{#name, {}}; \
  }

#ifdef PYNN_ISA  // a file of kernels/cpu sees only the declaration of its own build
#define PYNN_KERNEL(R, name, params) \
  namespace cpu::PYNN_ISA {          \
  R name params;                     \
  }
#else
#define PYNN_KERNEL_NULL(name) nullptr
#define PYNN_KERNEL(R, name, params)                                                                            \
  namespace cpu {                                                                                               \
  namespace baseline {                                                                                          \
  R name params;                                                                                                \
  }                                                                                                             \
  PYNN_IF_AVX2(namespace avx2 { R name params; })                                                               \
  PYNN_IF_AVX512(namespace avx512 { R name params; })                                                           \
  PYNN_IF_NEON(namespace neon { R name params; })                                                               \
  }                                                                                                             \
  namespace cuda {                                                                                              \
  R name params;                                                                                                \
  }                                                                                                             \
  namespace kernels {                                                                                           \
  inline constinit Stub<R params> name{                                                                         \
      #name, {&cpu::baseline::name, PYNN_KERNEL_AVX2(name), PYNN_KERNEL_AVX512(name), PYNN_KERNEL_NEON(name)}}; \
  }
#if defined(PYNN_HAVE_AVX2)
#define PYNN_KERNEL_AVX2(name) &cpu::avx2::name
#else
#define PYNN_KERNEL_AVX2(name) nullptr
#endif
#if defined(PYNN_HAVE_AVX512)
#define PYNN_KERNEL_AVX512(name) &cpu::avx512::name
#else
#define PYNN_KERNEL_AVX512(name) nullptr
#endif
#if defined(PYNN_HAVE_NEON)
#define PYNN_KERNEL_NEON(name) &cpu::neon::name
#else
#define PYNN_KERNEL_NEON(name) nullptr
#endif
#endif

// A kernel for what CUDA does another way; only called with the CPU.
#define PYNN_CPU_ONLY_KERNEL PYNN_KERNEL
