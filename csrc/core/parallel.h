// parallel.h -- the only parallel primitive. See docs/notes/threads.md.
#pragma once
#include <cstdint>

#include "core/function_ref.h"

namespace pynn {

// A chunk should cost about this many nanoseconds: less, and taking it costs more than it saves; more, and threads that
// finish early wait.
constexpr double kForkCost = 10000;

void parallel_chunks(int64_t begin, int64_t end, int64_t grain, FunctionRef<void(int64_t, int64_t)> f);

// Calls f(begin_i, end_i) for chunks that cover [begin, end), on several threads when the range holds more than
// `grain` items (choose grain so that one chunk costs about kForkCost). Chunk i starts at begin + i * grain whatever
// the number of threads. The first exception thrown by f is rethrown. Nested calls run inline.
template <class F>
PYNN_INLINE void parallel_for(int64_t begin, int64_t end, int64_t grain, F&& f) {
  if (end - begin > grain) {
    parallel_chunks(begin, end, grain, f);
  } else if (begin < end) {
    f(begin, end);
  }
}

// How many elements are worth a chunk when one costs `ns` nanoseconds.
int64_t grain_for(double ns);

int num_threads();
void set_num_threads(int n);     // 1 to 1024
const char* parallel_backend();  // "pool" or "openmp"

}  // namespace pynn
