// reduce_index.h -- the reductions that say where: max and min with positions, argmax, argmin.
#pragma once
#include "kernels/reduce.h"

namespace PYNN_CPU_NAMESPACE {

void reduce_index(Reduce op, const ReduceArgs& args);

}  // namespace PYNN_CPU_NAMESPACE
