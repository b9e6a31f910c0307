// vec_neon.h -- AArch64 Advanced SIMD, which every AArch64 has. Include vec.h, not this.
#pragma once
#include <arm_neon.h>

namespace PYNN_CPU_NAMESPACE::native {

PYNN_INLINE bool any(I32 m) { return vmaxvq_u32((uint32x4_t)m) != 0; }
PYNN_INLINE bool any(I64 m) { return vmaxvq_u32((uint32x4_t)m) != 0; }
PYNN_INLINE F32 fma(F32 a, F32 b, F32 c) { return (F32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
PYNN_INLINE F64 fma(F64 a, F64 b, F64 c) { return (F64)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
PYNN_INLINE F32 fnma(F32 a, F32 b, F32 c) { return (F32)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
PYNN_INLINE F64 fnma(F64 a, F64 b, F64 c) { return (F64)vfmsq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
PYNN_INLINE F32 sqrt(F32 x) { return (F32)vsqrtq_f32((float32x4_t)x); }
PYNN_INLINE F64 sqrt(F64 x) { return (F64)vsqrtq_f64((float64x2_t)x); }
PYNN_INLINE F32 round(F32 x) { return (F32)vrndnq_f32((float32x4_t)x); }
PYNN_INLINE F64 round(F64 x) { return (F64)vrndnq_f64((float64x2_t)x); }
PYNN_INLINE F32 floor(F32 x) { return (F32)vrndmq_f32((float32x4_t)x); }
PYNN_INLINE F64 floor(F64 x) { return (F64)vrndmq_f64((float64x2_t)x); }
PYNN_INLINE F32 ceil(F32 x) { return (F32)vrndpq_f32((float32x4_t)x); }
PYNN_INLINE F64 ceil(F64 x) { return (F64)vrndpq_f64((float64x2_t)x); }
PYNN_INLINE F32 trunc(F32 x) { return (F32)vrndq_f32((float32x4_t)x); }
PYNN_INLINE F64 trunc(F64 x) { return (F64)vrndq_f64((float64x2_t)x); }

PYNN_INLINE F32 load_half(const Half* p) { return (F32)vcvt_f32_f16(vld1_f16(reinterpret_cast<const float16_t*>(p))); }
PYNN_INLINE void store_half(Half* p, F32 x) { vst1_f16(reinterpret_cast<float16_t*>(p), vcvt_f16_f32((float32x4_t)x)); }

}  // namespace PYNN_CPU_NAMESPACE::native
