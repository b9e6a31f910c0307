// isa.cpp -- asks the CPU once which build of kernels/cpu it can run. This file is compiled for the baseline only.
#include "kernels/isa.h"

#include <cstdlib>
#include <cstring>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "core/error.h"
#include "kernels/cpu_features.h"
#include "kernels/stub.h"

namespace pynn {
namespace {

constexpr const char* kNames[kIsas] = {"baseline", "avx2", "avx512", "neon"};

std::string list(bool (*holds)(Isa)) {
  std::string names;
  for (int i = 0; i < kIsas; ++i)
    if (holds(static_cast<Isa>(i))) names += (names.empty() ? "" : ", ") + std::string(kNames[i]);
  return names;
}

#if defined(__x86_64__) || defined(__i386__)
bool has_f16c() {  // not every compiler's __builtin_cpu_supports knows its name
  unsigned a, b, c = 0, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

// AMX's registers are large: Linux hands them to a process that asks, unless it has too small a stack for signals.
CpuFeatures with_amx(CpuFeatures f) {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long kRequestState = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM of <asm/prctl.h>, XFEATURE_XTILEDATA
  constexpr unsigned kBf16 = 1u << 22, kTiles = 1u << 24, kInt8 = 1u << 25;
  unsigned a, b, c, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kTiles) &&
      syscall(SYS_arch_prctl, kRequestState, kTileData) == 0) {
    f.amx_bf16 = f.avx512_bf16 && (d & kBf16);
    f.amx_int8 = f.avx512_vnni && (d & kInt8);
  }
#endif
  return f;
}

Isa choose() {
  const char* wanted = std::getenv("PYNN_CPU_ISA");
  if (wanted && *wanted) {
    for (int i = 0; i < kIsas; ++i) {
      if (std::strcmp(wanted, kNames[i]) != 0) continue;
      const Isa isa = static_cast<Isa>(i);
      PYNN_CHECK_KIND(Value, isa_built(isa), "PYNN_CPU_ISA: the ISA must be one that this pynn was built with, got ",
                      wanted, " (built: ", list(isa_built), ")");
      PYNN_CHECK_KIND(Value, isa_supported(isa), "PYNN_CPU_ISA: the ISA must be one that this CPU has, got ", wanted,
                      " (it has: ", list(isa_supported), ")");
      return isa;
    }
    fail(ErrorKind::Value, "PYNN_CPU_ISA: expected one of baseline, avx2, avx512, neon, got ", wanted);
  }
  for (Isa isa : {Isa::avx512, Isa::avx2, Isa::neon})
    if (isa_built(isa) && isa_supported(isa)) return isa;
  return Isa::baseline;
}

}  // namespace

int active_isa_index = 0;

const char* isa_name(Isa isa) { return kNames[static_cast<int>(isa)]; }

bool isa_built(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return true;
    case Isa::avx2:
      return PYNN_IF_AVX2(true ||) false;
    case Isa::avx512:
      return PYNN_IF_AVX512(true ||) false;
    case Isa::neon:
      return PYNN_IF_NEON(true ||) false;
  }
  return false;
}

// The x86 tests include that of the operating system (XGETBV): libgcc and compiler-rt ask it before they report AVX.
bool isa_supported(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return true;
#if defined(__x86_64__) || defined(__i386__)
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
             __builtin_cpu_supports("bmi2") && has_f16c();
    case Isa::avx512:
      return isa_supported(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#elif defined(__aarch64__) || defined(_M_ARM64)
    case Isa::neon:
      return true;  // part of every AArch64
#endif
    default:
      return false;
  }
}

Isa active_isa() {
  static const Isa isa = choose();
  return isa;
}

void init_isa() { active_isa_index = static_cast<int>(active_isa()); }

// PYNN_CPU_DOT=0 does without them, PYNN_CPU_DOT=avx512 without AMX, so that what stands in for them can be tested on a
// CPU that has them.
const CpuFeatures& cpu_features() {
  static const CpuFeatures features = [] {
    CpuFeatures f{};
#if defined(__x86_64__) || defined(__i386__)
    const char* wanted = std::getenv("PYNN_CPU_DOT");
    if (!wanted || std::strcmp(wanted, "0") != 0) {
      f.avx512_bf16 = __builtin_cpu_supports("avx512bf16");
      f.avx512_vnni = __builtin_cpu_supports("avx512vnni");
      if (!wanted || std::strcmp(wanted, "avx512") != 0) f = with_amx(f);
    }
#endif
    return f;
  }();
  return features;
}

void no_kernel(const char* name, Device device) {
  fail(ErrorKind::Runtime, name, ": no kernel for device ", device.str(), device.is_cuda() ? " in this build" : "");
}

void no_loop(const char* name, DType dtype) {
  fail(ErrorKind::NotImplemented, name, ": not implemented for ", dtype_name(dtype));
}

}  // namespace pynn
