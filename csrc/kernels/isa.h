// isa.h -- which builds of kernels/cpu exist, and which one runs. See docs/notes/isa-dispatch.md.
#pragma once

namespace pynn {

enum class Isa { baseline, avx2, avx512, neon };
constexpr int kIsas = 4;

const char* isa_name(Isa isa);
bool isa_built(Isa isa);
bool isa_supported(Isa isa);  // by this CPU and operating system

// The best build that the CPU can run, or the one that PYNN_CPU_ISA names. Throws Error if that one cannot run.
Isa active_isa();
// Makes kernel calls use active_isa(). Called once when the module loads; until then they run the baseline.
void init_isa();

}  // namespace pynn
