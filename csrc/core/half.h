// half.h -- float16 and bfloat16 as storage types: arithmetic happens in float32.
//
// Everything is forced inline, so that no ISA build leaves an out-of-line copy behind (docs/notes/isa-dispatch.md).
#pragma once
#include <cstdint>
#include <cstring>

#if defined(_MSC_VER)
#define PYNN_INLINE __forceinline
#else
#define PYNN_INLINE inline __attribute__((always_inline))
#endif

namespace pynn {

struct BFloat16 {
  uint16_t bits;
  BFloat16() = default;
  PYNN_INLINE explicit BFloat16(float f) {
    uint32_t u;
    std::memcpy(&u, &f, 4);
    // Round to nearest even; a NaN stays a (quiet) NaN.
    bits = f != f ? uint16_t(0x7fc0) : static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
  }
  PYNN_INLINE operator float() const {
    uint32_t u = static_cast<uint32_t>(bits) << 16;
    float f;
    std::memcpy(&f, &u, 4);
    return f;
  }
};

struct Half {
  uint16_t bits;
  Half() = default;
  PYNN_INLINE explicit Half(float f) {
    uint32_t u;
    std::memcpy(&u, &f, 4);
    const uint32_t sign = (u >> 16) & 0x8000;
    u &= 0x7fffffff;
    if (u >= 0x47800000) {  // 65536 and more, inf, NaN
      bits = static_cast<uint16_t>(sign | (u > 0x7f800000 ? 0x7e00 : 0x7c00));
    } else if (u < 0x38800000) {  // subnormal: let the float adder round at 2^-24
      float magnitude, magic = 0.5f;
      std::memcpy(&magnitude, &u, 4);
      magnitude += magic;
      uint32_t r;
      std::memcpy(&r, &magnitude, 4);
      bits = static_cast<uint16_t>(sign | (r - 0x3f000000));
    } else {
      u += 0xc8000fff + ((u >> 13) & 1);
      bits = static_cast<uint16_t>(sign | (u >> 13));
    }
  }
  PYNN_INLINE operator float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    uint32_t u = static_cast<uint32_t>(bits & 0x7fff) << 13;
    float f;
    if (u >= 0x0f800000) {  // inf, NaN
      u += 0x70000000;
      std::memcpy(&f, &u, 4);
    } else {  // scaling by 2^112 makes subnormals right without a branch
      std::memcpy(&f, &u, 4);
      f *= 0x1p112f;
    }
    std::memcpy(&u, &f, 4);
    u |= sign;
    std::memcpy(&f, &u, 4);
    return f;
  }
};

}  // namespace pynn
