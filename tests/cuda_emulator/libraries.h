// libraries.h -- what csrc/cuda/library.cpp loads in the emulator, in place of NVIDIA's libraries.
#pragma once

namespace emulator {

// Not null for "libcudnn.so.9": cudnn.cpp here. There is no stand-in for the others.
void* open_library(const char* name);
void* symbol(const char* name);

}  // namespace emulator
