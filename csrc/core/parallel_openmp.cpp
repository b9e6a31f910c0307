// parallel_openmp.cpp -- parallel_for on OpenMP; the only file with its pragmas.
#ifdef PYNN_HAVE_OPENMP
#include "core/parallel_region.h"

namespace pynn::detail {

void openmp_run(Region& region, int threads) {
  const int team = static_cast<int>(region.chunks < threads ? region.chunks : threads);
#pragma omp parallel num_threads(team)
  {
    in_region = true;
#pragma omp for schedule(dynamic, 1)
    for (int64_t i = 0; i < region.chunks; ++i) region.run_caught(i);
    in_region = false;
  }
}

}  // namespace pynn::detail
#endif
