// loops.h -- the contiguous vector loops that elementwise.cpp calls: one per operation and compute type.
//
// A family file (unary_simple.cpp, binary.cpp ...) lists its operations as a table of formulas over Vec<T>:
//     PYNN_UNARY(Square, x * x)
// and says for which types they exist: PYNN_LOOPS_FLOAT(unary_loop, Unary::Square). elementwise.cpp holds the tables
// of pointers; has_loop() below tells which entries there are.
#pragma once
#include <cstdint>

#include "kernels/cpu/vec.h"
#include "kernels/elementwise.h"

namespace PYNN_CPU_NAMESPACE {

// The op's parameters, in both forms; see MapArgs.
struct LoopParams {
  const double* f;
  const int64_t* i;
  // Parameter k as a T.
  template <class T>
  PYNN_INLINE T get(int k) const {
    if constexpr (std::is_same_v<T, int64_t>) return i[k];
    if constexpr (std::is_same_v<T, int32_t>) {  // infinite bounds of a clamp are its limits
      const double x = f[k];
      return x >= 0x7fffffff ? 0x7fffffff : x <= -0x7fffffff - 1 ? -0x7fffffff - 1 : static_cast<int32_t>(x);
    }
    return static_cast<T>(f[k]);
  }
};

using UnaryLoop = void (*)(void* y, const void* x, int64_t n, LoopParams p);
// Steps are 0 (one element for all) or 1. Returns false if an integer was divided by zero.
using BinaryLoop = bool (*)(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, int64_t n,
                            LoopParams p);
using TernaryLoop = void (*)(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, const void* c,
                             int64_t c_step, int64_t n, LoopParams p);

template <Unary op, class T>
void unary_loop(void* y, const void* x, int64_t n, LoopParams p);
template <Binary op, class T>
bool binary_loop(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, int64_t n, LoopParams p);
template <Ternary op, class T>
void ternary_loop(void* y, const void* a, int64_t a_step, const void* b, int64_t b_step, const void* c, int64_t c_step,
                  int64_t n, LoopParams p);

template <class T>
constexpr bool kIsInteger = std::is_integral_v<T>;

// Which loops exist for integers; for float and double: all but the bit operations.
constexpr bool has_loop(Unary op, bool integer) {
  switch (op) {
    case Unary::Copy:
    case Unary::Neg:
    case Unary::Abs:
    case Unary::Sign:
    case Unary::Square:
    case Unary::Relu:
    case Unary::Clamp:
    case Unary::Floor:
    case Unary::Ceil:
    case Unary::Round:
    case Unary::Trunc:
    case Unary::LogicalNot:
      return true;
    case Unary::BitNot:
      return integer;
    default:
      return !integer;
  }
}
constexpr bool has_loop(Binary op, bool integer) {
  if (op >= Binary::BitAnd && op <= Binary::ShiftRight) return integer;
  if (op == Binary::Atan2 || (op >= Binary::TanhBackward && op != Binary::ReluBackward)) return !integer;
  return true;
}
constexpr bool has_loop(Ternary op, bool integer) {
  return !integer || (op != Ternary::Lerp && op != Ternary::Addcdiv);
}

}  // namespace PYNN_CPU_NAMESPACE
