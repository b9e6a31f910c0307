// parallel.h -- the only parallel primitive. See docs/notes/threads.md.
#pragma once
#include <cstdint>

#include "core/function_ref.h"

namespace pynn {

// Calls f(begin_i, end_i) for chunks that cover [begin, end), on several threads when the range holds more than
// `grain` items (choose grain so that one chunk costs about kForkCost). Chunk borders depend on the range and the
// grain alone, never on the number of threads. The first exception thrown by f is rethrown. Nested calls run inline.
void parallel_for(int64_t begin, int64_t end, int64_t grain, FunctionRef<void(int64_t, int64_t)> f);

// How many elements are worth a chunk when one costs `ns` nanoseconds.
int64_t grain_for(double ns);

int num_threads();
void set_num_threads(int n);  // >= 1
const char* parallel_backend();  // "pool" or "openmp"

}  // namespace pynn
