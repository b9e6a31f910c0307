#include "ops/op.h"

namespace pynn {

std::vector<OpDef>& registry() {
  static auto& ops = *new std::vector<OpDef>;  // never destroyed: threads may still call ops at exit
  return ops;
}

}  // namespace pynn
