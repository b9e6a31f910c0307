// function_ref.h -- a non-owning callable: two pointers, no allocation. The callable must outlive the call.
#pragma once
#include <memory>
#include <type_traits>
#include <utility>

#include "core/half.h"  // PYNN_INLINE: no out-of-line copy in an ISA build

namespace pynn {

template <class Signature>
class FunctionRef;

template <class R, class... A>
class FunctionRef<R(A...)> {
 public:
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, FunctionRef>>>
  PYNN_INLINE FunctionRef(F&& f)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, A... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<A>(args)...);
        }) {}
  PYNN_INLINE R operator()(A... args) const { return call_(object_, std::forward<A>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, A...);
};

}  // namespace pynn
