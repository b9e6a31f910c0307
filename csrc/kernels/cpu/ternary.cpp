// ternary.cpp -- maps of three operands.
#include "kernels/cpu/loops_impl.h"

namespace PYNN_CPU_NAMESPACE {

template <class T>
struct TernaryFn<Ternary::Where, T> {
  PYNN_INLINE explicit TernaryFn(LoopParams) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> condition, Vec<T> a, Vec<T> b) const {
    return select(condition != Vec<T>(0), a, b);
  }
};
template <class T>
struct TernaryFn<Ternary::Addcmul, T> {
  Vec<T> value;
  PYNN_INLINE explicit TernaryFn(LoopParams p) : value(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b, Vec<T> c) const { return a + value * b * c; }
};
template <class T>
struct TernaryFn<Ternary::Addcdiv, T> {
  Vec<T> value;
  PYNN_INLINE explicit TernaryFn(LoopParams p) : value(p.get<T>(0)) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b, Vec<T> c) const { return a + value * b / c; }
};
// From the nearer end, so that w = 1 gives b exactly.
template <class T>
struct TernaryFn<Ternary::Lerp, T> {
  PYNN_INLINE explicit TernaryFn(LoopParams) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> a, Vec<T> b, Vec<T> w) const {
    const Vec<T> d = b - a;
    return select(abs(w) < Vec<T>(T(0.5)), a + w * d, b - d * (Vec<T>(1) - w));
  }
};
template <class T>
struct TernaryFn<Ternary::Clamp, T> {
  PYNN_INLINE explicit TernaryFn(LoopParams) {}
  PYNN_INLINE Vec<T> operator()(Vec<T> x, Vec<T> low, Vec<T> high) const { return minimum(maximum(x, low), high); }
};

PYNN_ALL_LOOPS(PYNN_TERNARY_LOOP, Where)
PYNN_ALL_LOOPS(PYNN_TERNARY_LOOP, Addcmul)
PYNN_FLOAT_LOOPS(PYNN_TERNARY_LOOP, Addcdiv)
PYNN_FLOAT_LOOPS(PYNN_TERNARY_LOOP, Lerp)
PYNN_ALL_LOOPS(PYNN_TERNARY_LOOP, Clamp)

}  // namespace PYNN_CPU_NAMESPACE
