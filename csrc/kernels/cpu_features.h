// cpu_features.h -- instructions beyond an ISA build's own, asked of the CPU once (isa.cpp).
#pragma once

namespace pynn {

struct CpuFeatures {
  bool avx512_bf16, avx512_vnni;  // products of pairs of bfloat16, of groups of four bytes
  bool amx_bf16, amx_int8;        // the same on registers of 16 rows of 64 bytes
};
const CpuFeatures& cpu_features();

}  // namespace pynn
