// loops.h -- the contiguous vector loops that elementwise.cpp calls: one per operation and type.
//
// A family file (unary_simple.cpp, binary_simple.cpp ...) lists its operations as a table of formulas over Vec<T>,
//     PYNN_UNARY(Square, x * x)
// and says for which types they exist, PYNN_ALL_LOOPS(PYNN_UNARY_LOOP, Square), as has_loop() below has it.
// elementwise.cpp holds the tables of pointers.
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
    if constexpr (std::is_integral_v<T> && sizeof(T) < 4) return static_cast<T>(get<int32_t>(k));
    return static_cast<T>(f[k]);
  }
};

// What a loop works on: `rows` of n elements of each operand, the result first.
struct LoopArgs {
  void* at[4];
  int64_t steps[4];  // from element to element of a row: 1, or 0 where one serves it all; of the result always 1
  int64_t n;
  LoopParams p;
  int64_t rows = 1;
  int64_t row_bytes[4];  // from row to row; unset where there is one

  LoopArgs(int64_t elements, LoopParams params) : n(elements), p(params) {}
};

// f(pointers to a row of each operand, n) for each row. Sizes are copies, which what f stores cannot change.
template <int operands, class F>
PYNN_INLINE void each_row(const LoopArgs& args, F f) {
  void* at[operands];
  for (int k = 0; k < operands; ++k) at[k] = args.at[k];
  const int64_t n = args.n;
  for (int64_t left = args.rows;;) {
    f(at, n);
    if (--left == 0) return;
    for (int k = 0; k < operands; ++k) at[k] = static_cast<char*>(at[k]) + args.row_bytes[k];
  }
}

// Returns false if an integer was divided by zero. S below: the type in memory; a half type computes in float.
using Loop = bool (*)(const LoopArgs&);

template <Unary op, class S>
bool unary_loop(const LoopArgs& args);
template <Binary op, class S>
bool binary_loop(const LoopArgs& args);
template <Ternary op, class S>
bool ternary_loop(const LoopArgs& args);

// The same of complex types, whose loops stand in complex.cpp.
template <Unary op, class S>
bool complex_unary_loop(const LoopArgs& args);
template <Binary op, class S>
bool complex_binary_loop(const LoopArgs& args);
template <Ternary op, class S>
bool complex_ternary_loop(const LoopArgs& args);

// Which loops exist: of Full types (float, double), Wide integers (int32, int64), Half types (float16, bfloat16) and
// Narrow integers (int8, uint8, int16), Complex types (complex64, complex128). Half and Narrow are there for speed:
// without one, the engine converts.
enum class TypeClass { Full, Wide, Half, Narrow, Complex };

constexpr bool has_complex_loop(Unary op) {
  return (op >= Unary::Neg && op <= Unary::Atanh) || op == Unary::Sigmoid || op == Unary::Conj || op == Unary::Angle ||
         yields_bool(op);
}
constexpr bool has_complex_loop(Binary op) {
  return op <= Binary::Div || op == Binary::Pow || op == Binary::Eq || op == Binary::Ne ||
         (op >= Binary::LogicalAnd && op <= Binary::LogicalXor);
}
constexpr bool has_complex_loop(Ternary op) { return op != Ternary::Clamp; }

constexpr bool has_loop(Unary op, TypeClass type) {
  if (type == TypeClass::Complex) return has_complex_loop(op);
  switch (op) {
    case Unary::Conj:
      return false;
    case Unary::Neg:
    case Unary::Abs:
      return true;
    case Unary::Relu:
    case Unary::Square:
      return type != TypeClass::Narrow;
    case Unary::LogicalNot:
      return type != TypeClass::Half;
    case Unary::Gelu:
    case Unary::Hardsigmoid:
    case Unary::Hardswish:
    case Unary::NanToNum:
      return type == TypeClass::Full || type == TypeClass::Half;
    case Unary::BitNot:
      return type == TypeClass::Wide || type == TypeClass::Narrow;
    case Unary::Copy:
    case Unary::Sign:
    case Unary::Clamp:
    case Unary::Floor:
    case Unary::Ceil:
    case Unary::Round:
    case Unary::Trunc:
      return type == TypeClass::Full || type == TypeClass::Wide;
    default:
      return type == TypeClass::Full;
  }
}
constexpr bool has_loop(Binary op, TypeClass type) {
  if (type == TypeClass::Complex) return has_complex_loop(op);
  switch (op) {
    case Binary::Add:
    case Binary::Sub:
    case Binary::Mul:
    case Binary::Maximum:
    case Binary::Minimum:
      return true;
    case Binary::Div:
    case Binary::ReluBackward:
      return type != TypeClass::Narrow;
    case Binary::FloorDiv:
    case Binary::Remainder:
    case Binary::Fmod:
    case Binary::Pow:
      return type == TypeClass::Full || type == TypeClass::Wide;
    default:
      if (yields_bool(op)) return type != TypeClass::Half;
      if (op >= Binary::BitAnd && op <= Binary::ShiftRight) return type == TypeClass::Wide || type == TypeClass::Narrow;
      return type == TypeClass::Full;
  }
}
constexpr bool has_loop(Ternary op, TypeClass type) {
  if (type == TypeClass::Complex) return has_complex_loop(op);
  return type == TypeClass::Full || (type == TypeClass::Wide && op != Ternary::Lerp && op != Ternary::Addcdiv);
}

}  // namespace PYNN_CPU_NAMESPACE
