// optim_steps.h -- what the fused optimiser steps share: gathering the memory of parameters, gradients and states.
#pragma once
#include "autograd/record.h"
#include "core/accelerator.h"
#include "core/shape.h"
#include "kernels/optim.h"
#include "ops/assign.h"
#include "ops/creation.h"
#include "ops/op.h"

namespace pynn::ops {

inline void check_lists(const char* op, size_t n, std::initializer_list<size_t> sizes) {
  for (size_t s : sizes)
    PYNN_CHECK_KIND(Value, s == n, op, ": every list must hold one item per parameter, got ", s, " for ", n);
}

// The kernels take dense memory of one layout, the parameter's where it is dense. What lies otherwise is stepped on a
// copy.
class Steps {
 public:
  Steps(const char* op, size_t n) : op_(op) { items_.reserve(n); }
  OptimTensor& add(const Tensor& param, const Tensor& grad) {
    PYNN_CHECK(same(param.sizes(), grad.sizes()) && param.dtype() == grad.dtype(), op_,
               ": a gradient must match its parameter, got ", dims_str(grad.sizes()), " ", dtype_name(grad.dtype()),
               " for ", dims_str(param.sizes()), " ", dtype_name(param.dtype()));
    PYNN_CHECK(param.device() == grad.device(), op_, ": a gradient must be on its parameter's device, got ",
               grad.device().str(), " for ", param.device().str());
    PYNN_CHECK(!is_integral(param.dtype()), op_, ": parameters must be of a floating point type, got ",
               dtype_name(param.dtype()));
    OptimTensor t{};
    t.param = writable(param, param);
    t.grad = readable(grad, param);
    t.n = param.numel() * (is_complex(param.dtype()) ? 2 : 1);  // complex numbers are stepped as pairs
    t.dtype = real_of(param.dtype());
    autograd::bump_version(param);
    devices_.push_back(param.device());
    items_.push_back(t);
    return items_.back();
  }
  // A state tensor of the parameter's shape and type.
  void* state(const Tensor& s, const Tensor& param) {
    PYNN_CHECK(same(s.sizes(), param.sizes()) && s.dtype() == param.dtype(), op_,
               ": state must match its parameter, got ", dims_str(s.sizes()), " ", dtype_name(s.dtype()), " for ",
               dims_str(param.sizes()), " ", dtype_name(param.dtype()));
    PYNN_CHECK(s.device() == param.device(), op_, ": state must be on its parameter's device, got ", s.device().str(),
               " for ", param.device().str());
    autograd::bump_version(s);
    return writable(s, param);
  }
  // The kernel on all tensors, those of one device together where they stand together.
  template <class Kernel, class Args>
  void run(const Kernel& kernel, const Args& args) {
    for (size_t begin = 0, end = 0; begin < items_.size(); begin = end) {
      while (end < items_.size() && devices_[end] == devices_[begin]) ++end;
      if (devices_[begin].is_cuda() && items_[begin].step > 0)
        PYNN_CHECK(!accelerator->is_capturing(), op_,
                   ": a step that is captured into a graph must be counted on the device (capturable=True of Adam and "
                   "AdamW)");
      kernel(devices_[begin], items_.data() + begin, static_cast<int64_t>(end - begin), args);
    }
    for (const auto& [to, from] : copies_) copy_data(to, from);
  }

 private:
  static bool lies_well(const Tensor& t, const Tensor& param) {
    if (param.is_contiguous()) return t.is_contiguous();
    for (int64_t d = 0; d < t.dim(); ++d)
      if (t.size(d) != 1 && t.stride(d) != param.stride(d)) return false;
    return is_dense(param.sizes(), param.strides());
  }
  static Tensor copied(const Tensor& t, const Tensor& param) {
    const Tensor y = empty_like(param);  // the same dense layout for all of a parameter's
    copy_data(y, t);
    return y;
  }
  void* writable(const Tensor& t, const Tensor& param) {
    if (lies_well(t, param)) return t.data();
    copies_.push_back({t, copied(t, param)});
    return copies_.back().second.data();
  }
  const void* readable(const Tensor& t, const Tensor& param) {
    if (lies_well(t, param)) return t.data();
    kept_.push_back(copied(t, param));
    return kept_.back().data();
  }
  const char* op_;
  std::vector<OptimTensor> items_;
  std::vector<Device> devices_;
  std::vector<std::pair<Tensor, Tensor>> copies_;
  std::vector<Tensor> kept_;
};

// The count of steps is a 0-d tensor per parameter, as in PyTorch's state dicts.
inline double count_step(const char* op, const Tensor& step) {
  PYNN_CHECK(step.numel() == 1 && (step.dtype() == DType::Float32 || step.dtype() == DType::Float64), op,
             ": 'step' must be a float tensor of one element, got ", dims_str(step.sizes()), " ",
             dtype_name(step.dtype()));
  PYNN_CHECK(step.device().is_cpu(), op, ": 'step' must be on the CPU, got ", step.device().str(),
             " (only Adam and AdamW count on a device)");
  autograd::bump_version(step);
  if (step.dtype() == DType::Float64) return ++*step.data_as<double>();
  return ++*step.data_as<float>();
}

}  // namespace pynn::ops
