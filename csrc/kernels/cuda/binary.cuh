// binary.cuh -- how the functions of binary*.cu are written.
#pragma once
#include "kernels/cuda/map.cuh"
#include "kernels/cuda/math.cuh"

namespace pynn::cuda {

template <auto op, class C>
struct BinaryFn;

// `exists`: for which compute types; `cost`: see map.cuh.
#define PYNN_BINARY(op, exists, cost, ...)                                              \
  template <class C>                                                                    \
  struct BinaryFn<Binary::op, C> : MapFunction<exists, cost, ResultOf<Binary::op, C>> { \
    explicit BinaryFn(const MapArgs&) {}                                                \
    __device__ ResultOf<Binary::op, C> operator()(C a, C b) const { __VA_ARGS__; }      \
  };
#define PYNN_BINARY_P1(op, exists, cost, p, ...)                                        \
  template <class C>                                                                    \
  struct BinaryFn<Binary::op, C> : MapFunction<exists, cost, ResultOf<Binary::op, C>> { \
    C p;                                                                                \
    explicit BinaryFn(const MapArgs& args) : p(parameter<C>(args, 0)) {}                \
    __device__ C operator()(C a, C b) const { __VA_ARGS__; }                            \
  };

#define PYNN_BINARY_CASE(name) \
  case Binary::name:           \
    return run_map<BinaryFn, Binary::name, 2>("map_binary", args);

// The other two files; true: it was one of theirs.
void map_binary_logic(Binary op, const MapArgs& args);  // comparisons, logic, bits
void map_binary_long(Binary op, const MapArgs& args);   // powers, remainders, backward maps

}  // namespace pynn::cuda
