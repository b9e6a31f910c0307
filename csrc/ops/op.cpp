#include "ops/op.h"

namespace pynn {

std::vector<OpDef>& registry() {
  static std::vector<OpDef> ops;
  return ops;
}

}  // namespace pynn
