// convolution.cpp -- which path the CPU must take, where a test says so.
#include "kernels/convolution.h"

#include "core/error.h"

namespace pynn {

const char* conv_path_name(ConvPath path) {
  constexpr const char* names[] = {"auto", "unfold", "direct", "few", "windows", "pointwise", "winograd", "amx"};
  return names[static_cast<int>(path)];
}

void conv_path_misfit(ConvPath path) {
  fail(ErrorKind::Runtime, "convolution: the path '", conv_path_name(path), "' does not fit this shape or dtype");
}

}  // namespace pynn
