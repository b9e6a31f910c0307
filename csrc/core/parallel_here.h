// parallel_here.h -- for whoever cuts work into as many parts as there are threads to take them.
#pragma once
#include "core/function_ref.h"

namespace pynn {

// How many threads a job of `ns` nanoseconds should be cut for: 1 inside a parallel_for, where nested calls run inline.
// A short job gets only those that are awake, as it costs 5 to 10 us to wake one, unless such jobs follow each other.
int threads_for(double ns);

// Calls f, and every parallel_for within runs inline: for many short parts, whose data threads would only hand over.
void run_here(FunctionRef<void()> f);

}  // namespace pynn
