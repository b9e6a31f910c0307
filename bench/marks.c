// Marks in the stream of instructions that callgrind counts, called through ctypes by instructions.py.
#include <valgrind/callgrind.h>

void zero(void) { CALLGRIND_ZERO_STATS; }
void dump(const char* name) { CALLGRIND_DUMP_STATS_AT(name); }
