// pinned.h -- page-locked host memory, cached: locking pages takes milliseconds.
#pragma once
#include <cstddef>

namespace pynn::cuda {

void* allocate_pinned(size_t bytes);
// Copies that are under way on the current stream may still use the block: it is handed out again when they are over.
void deallocate_pinned(void* block) noexcept;
bool is_pinned(const void* data);  // anywhere in a block that is in use

}  // namespace pynn::cuda
