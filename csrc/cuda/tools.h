// tools.h -- what profilers are told: named ranges of the host's time (NVTX), and when to record.
#pragma once
#include <cstdint>

namespace pynn::cuda {

int push_range(const char* name);  // of this thread; its depth, from 0
int pop_range();                   // the depth of what it ended; negative: there was none
uint64_t start_range(const char* name);
void end_range(uint64_t range);  // by any thread
void mark(const char* name);
void profile(bool on);

}  // namespace pynn::cuda
