// channel_norm.cpp -- batch_norm, instance_norm and group_norm.
//
// One kernel for all (kernels/channel_norm.h says how they differ). Its derivative has a kernel too; when
// that is to be differentiated again, it is composed of ops.
#include "kernels/channel_norm.h"

#include "autograd/record.h"
#include "core/memory_format.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/reduce.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// x [outer, groups, inner, length], seen as statistics over (outer, length) of each group (batch; inner is 1) or over
// (inner, length) of each (outer, group).
struct Layout {
  int64_t outer, groups, inner, length;
  bool batch;
  double eps;
  bool measure;

  DimVector view() const { return {outer, groups, inner, length}; }
  DimVector reduced() const { return batch ? DimVector{0, 3} : DimVector{2, 3}; }
  DimVector weights() const { return {1, groups, inner, 1}; }
  DimVector statistics() const { return batch ? DimVector{1, groups, 1, 1} : DimVector{outer, groups, 1, 1}; }
  int64_t stats() const { return batch ? groups : outer * groups; }
  int64_t channels() const { return groups * inner; }
};

DType computed_in(DType t) { return t == DType::Float64 ? t : DType::Float32; }

// The order that the kernel reads x in: channels last as rows of channels, but on CUDA.
MemoryFormat format_of(const Tensor& x) { return x.device().is_cpu() ? suggested_format(x) : MemoryFormat::Contiguous; }

ChannelNormArgs kernel_args(const Layout& l, const Tensor& x, const Tensor& w, const Tensor& mean, const Tensor& rstd) {
  ChannelNormArgs a{};
  a.x = x.data();
  a.weight = w.defined() ? w.data() : nullptr;
  a.mean = mean.data(), a.rstd = rstd.data();
  a.dtype = computed_in(x.dtype());
  a.x_dtype = x.dtype();
  a.stats = l.stats();
  a.chunks = l.batch ? l.outer : l.inner;
  a.length = l.length;
  a.stat_step = l.batch ? l.length : l.inner * l.length;
  a.chunk_step = l.batch ? l.groups * l.length : l.length;
  a.groups = l.batch ? 0 : l.groups;
  a.channels = l.channels();
  const bool last = format_of(x) != MemoryFormat::Contiguous;
  a.channels_last = last && !l.batch;
  if (last && l.batch) {
    a.chunks *= a.length;
    a.length = a.stat_step = 1;
    a.chunk_step = a.channels;
  }
  a.eps = l.eps;
  a.measure = l.measure;
  return a;
}

// What x is read as: half types are widened, where kernels do not do it on the way.
DType read_as(const Tensor& x) { return x.device().is_cuda() ? x.dtype() : computed_in(x.dtype()); }
Tensor operand(const Tensor& t, DType dtype, MemoryFormat format = MemoryFormat::Contiguous) {
  return t.defined() ? contiguous(to_dtype(t, dtype), format) : t;
}

// dx, dw, db in ops.
Gradients composite_backward(const Grads& grads, const Tensor& input, const Tensor& w, const Tensor& given_mean,
                             const Tensor& given_rstd, const Layout& l) {
  const DType dtype = computed_in(input.dtype());
  const Tensor x = reshape(to_dtype(input, dtype), l.view()), g = reshape(to_dtype(grads[0], dtype), l.view());
  const DimVector over = l.reduced();
  const Tensor center = l.measure ? mean(x, Dims(over), true) : reshape(given_mean, l.statistics());
  const Tensor centered = sub(x, center);
  const Tensor r = l.measure ? rsqrt(add(mean(square(centered), Dims(over), true), Scalar(l.eps)))
                             : reshape(given_rstd, l.statistics());
  const Tensor h = mul(centered, r);
  const auto to_weight = [&](const Tensor& t) {
    const int64_t dims[] = {0, 3};
    return reshape(sum(t, Dims(dims)), DimVector{l.channels()});
  };
  Gradients out(3);
  if (grads.needs(0)) {
    Tensor gw = w.defined() ? mul(g, reshape(to_dtype(w, dtype), l.weights())) : g;
    if (l.measure) gw = sub(sub(gw, mean(gw, Dims(over), true)), mul(h, mean(mul(gw, h), Dims(over), true)));
    out[0] = reshape(mul(gw, r), input.sizes());
  }
  if (grads.needs(1)) out[1] = to_weight(mul(g, h));
  if (grads.needs(2)) out[2] = to_weight(g);
  return out;
}

Gradients backward(const Grads& grads, const Tensor& input, const Tensor& weight, const Tensor& mean,
                   const Tensor& rstd, const Layout& l) {
  if (thread_state.grad_enabled) return composite_backward(grads, input, weight, mean, rstd, l);
  const DType dtype = computed_in(input.dtype()), wide = read_as(input);
  const MemoryFormat format = format_of(input);
  const Tensor x = operand(input, wide, format), w = operand(weight, dtype), g = operand(grads[0], wide, format);
  ChannelNormArgs a = kernel_args(l, x, w, mean, rstd);
  a.dy = g.data();
  Gradients out(3);
  const auto make = [&](size_t i, Dims sizes, DType dtype) -> void* {
    if (!grads.needs(i)) return nullptr;
    out[i] = x.numel() ? empty(sizes, dtype, x.device()) : zeros(sizes, dtype, x.device());
    return out[i].data();
  };
  if (grads.needs(0)) out[0] = empty(x.sizes(), wide, x.device(), format), a.dx = out[0].data();
  a.dweight = make(1, DimVector{l.channels()}, dtype);
  a.dbias = make(2, DimVector{l.channels()}, dtype);
  if (x.numel() && !x.device().is_meta()) kernels::channel_norm_backward(x.device(), a);
  return out;
}

// What batches move: running statistics, nullptr or undefined where there are none.
struct Running {
  const Tensor *mean = nullptr, *var = nullptr;
  double momentum = 0;
};

// A running statistic as the kernel can move it: itself, or a copy.
Tensor movable(const Tensor* running, DType dtype) {
  if (!running || !running->defined()) return Tensor();
  return operand(*running, dtype);
}
void moved(const Tensor* running, const Tensor& by_kernel) {
  if (!by_kernel.defined()) return;
  if (by_kernel.data() == running->data())
    autograd::bump_version(*running);
  else
    copy_(*running, by_kernel);
}

// What forward reads x as.
DType forward_as(const Tensor& x, const Layout& l) {
  return l.batch && !l.measure && l.length > 1 ? x.dtype() : read_as(x);
}

// mean and rstd are made when measured.
Tensor normalize(const char* op, const Tensor& input, const Tensor& weight, const Tensor& bias, const Layout& l,
                 Tensor& mean, Tensor& rstd, const Running& running = {}, bool relu = false) {
  const DType dtype = computed_in(input.dtype()), wide = forward_as(input, l);
  Tensor y;
  {
    GradMode off(false);
    const MemoryFormat format = format_of(input);
    const Tensor x = operand(input, wide, format), w = operand(weight, dtype), b = operand(bias, dtype);
    y = empty(x.sizes(), wide, x.device(), format);
    if (l.measure) {
      Tensor (*const made)(Dims, DType, Device) =
          x.numel() ? static_cast<Tensor (*)(Dims, DType, Device)>(empty) : zeros;
      mean = made(DimVector{l.stats()}, dtype, x.device());
      rstd = made(DimVector{l.stats()}, dtype, x.device());
    }
    const Tensor running_mean = movable(running.mean, dtype), running_var = movable(running.var, dtype);
    ChannelNormArgs a = kernel_args(l, x, w, mean, rstd);
    a.y = y.data();
    a.bias = b.defined() ? b.data() : nullptr;
    a.running_mean = running_mean.defined() ? running_mean.data() : nullptr;
    a.running_var = running_var.defined() ? running_var.data() : nullptr;
    a.momentum = running.momentum;
    a.relu = relu && y.device().is_cpu();
    if (y.numel() && !y.device().is_meta()) {
      kernels::channel_norm_forward(y.device(), a);
      moved(running.mean, running_mean);
      moved(running.var, running_var);
    }
    if (relu && !a.relu) y = ops::relu(y);
    y = to_dtype(y, input.dtype());
  }
  y = record(op, std::move(y), inputs(input, weight, bias), save(input, weight, mean, rstd, l),
             [](const Grads& g, const Tensor& x, const Tensor& w, const Tensor& mean, const Tensor& rstd,
                const Layout& l) { return backward(g, x, w, mean, rstd, l); });
  return relu ? relu_of_result(y) : y;
}

void check_types(const char* op, const Tensor& x, std::initializer_list<const Tensor*> parameters) {
  PYNN_CHECK_KIND(NotImplemented, is_floating(x.dtype()), op, ": floating-point input is required, got ",
                  dtype_name(x.dtype()));
  const Tensor* first = nullptr;
  for (const Tensor* t : parameters) {
    if (!t->defined()) continue;
    const bool wide = t->dtype() == DType::Float32 && item_size(x.dtype()) == 2;
    PYNN_CHECK(t->dtype() == x.dtype() || wide, op,
               ": parameters must have the input's dtype, or float32 beside a half type, got ", dtype_name(t->dtype()),
               " and ", dtype_name(x.dtype()), " (mixed dtype)");
    if (!first) first = t;
    PYNN_CHECK(t->dtype() == first->dtype(), op, ": all parameters must have one dtype, got ",
               dtype_name(first->dtype()), " and ", dtype_name(t->dtype()), " (mixed dtype)");
  }
}

void check_count(const char* op, const char* name, const Tensor& t, int64_t n) {
  PYNN_CHECK(!t.defined() || (t.dim() == 1 && t.size(0) == n), op, ": ", name, " should contain ", n,
             " elements, got shape ", dims_str(t.defined() ? t.sizes() : Dims()));
}

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                  const Tensor& running_var, bool training, double momentum, double eps, bool, bool relu) {
  const char* op = "batch_norm";
  if (x.dim() == 1 && !x.numel()) {  // no rows of no channels, as in PyTorch
    const Tensor rows = reshape(x, DimVector{0, 0});
    return reshape(batch_norm(rows, weight, bias, running_mean, running_var, training, momentum, eps, true, relu),
                   x.sizes());
  }
  PYNN_CHECK_KIND(Index, x.dim() >= 2, op, ": the input must have 2 or more dims, got ", dims_str(x.sizes()));
  const int64_t channels = x.size(1);
  PYNN_CHECK(training || running_mean.defined(), op, ": running_mean must be defined in evaluation mode, got None");
  PYNN_CHECK(training || running_var.defined(), op, ": running_var must be defined in evaluation mode, got None");
  check_count(op, "running_mean", running_mean, channels);
  check_count(op, "running_var", running_var, channels);
  check_count(op, "weight", weight, channels);
  check_count(op, "bias", bias, channels);
  check_types(op, x, {&weight, &bias, &running_mean, &running_var});
  int64_t length = 1;
  for (int64_t s : x.sizes().subspan(2)) length *= s;
  const Layout l{x.size(0), channels, 1, length, true, eps, training};
  const DType dtype = computed_in(x.dtype());
  Tensor mean, rstd;
  if (training)
    return normalize("native_batch_norm", x, weight, bias, l, mean, rstd, {&running_mean, &running_var, momentum},
                     relu);
  {
    GradMode off(false);
    mean = operand(running_mean, dtype);
    rstd = rsqrt(add(operand(running_var, dtype), Scalar(eps)));
  }
  return normalize("native_batch_norm", x, weight, bias, l, mean, rstd, {}, relu);
}

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps, bool) {
  const char* op = "group_norm";
  PYNN_CHECK(x.dim() >= 2, op, ": expected at least 2 dimensions for input tensor, got ", dims_str(x.sizes()));
  PYNN_CHECK(groups > 0, op, ": num_groups must be positive, got ", groups);
  const int64_t channels = x.size(1);
  PYNN_CHECK(channels % groups == 0, op,
             ": the number of channels in the input must be divisible by num_groups, got input of shape ",
             dims_str(x.sizes()), " and num_groups=", groups);
  for (const auto& [name, t] : {std::pair<const char*, const Tensor*>{"weight", &weight}, {"bias", &bias}})
    PYNN_CHECK(!t->defined() || (t->dim() == 1 && t->size(0) == channels), op, ": expected ", name,
               " to be a vector of size equal to the number of channels in the input, got ", name, " of shape ",
               dims_str(t->defined() ? t->sizes() : Dims()), " and input of shape ", dims_str(x.sizes()));
  check_types(op, x, {&weight, &bias});
  int64_t length = 1;
  for (int64_t s : x.sizes().subspan(2)) length *= s;
  const Layout l{x.size(0), groups, channels / groups, length, false, eps, true};
  Tensor mean, rstd;
  return normalize("native_group_norm", x, weight, bias, l, mean, rstd);
}

// Each image is a batch of its own: batch_norm of [1, N * C, ...].
Tensor instance_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                     const Tensor& running_var, bool use_input_stats, double momentum, double eps, bool) {
  const char* op = "instance_norm";
  PYNN_CHECK(x.dim() >= 2, op, ": the input must have 2 or more dims, got ", dims_str(x.sizes()));
  PYNN_CHECK(use_input_stats || (running_mean.defined() && running_var.defined()), op,
             ": expected running_mean and running_var to be defined when use_input_stats is false, got None");
  const int64_t n = x.size(0), channels = x.size(1);
  check_count(op, "running_mean", running_mean, channels);
  check_count(op, "running_var", running_var, channels);
  check_count(op, "weight", weight, channels);
  check_count(op, "bias", bias, channels);
  const auto repeated = [&](const Tensor& t) {
    return t.defined() ? reshape(expand(t, DimVector{n, channels}), DimVector{n * channels}) : t;
  };
  DimVector sizes(x.sizes());
  sizes[0] = 1;
  sizes[1] = n * channels;
  const auto own = [&](const Tensor& t) {  // batch_norm writes to them
    GradMode off(false);
    return t.defined() ? clone_contiguous(repeated(t)) : t;
  };
  const Tensor mean_of_each = own(running_mean), var_of_each = own(running_var);
  const Tensor y = batch_norm(reshape(x, sizes), repeated(weight), repeated(bias), mean_of_each, var_of_each,
                              use_input_stats, momentum, eps, false, false);
  if (use_input_stats) {
    GradMode off(false);
    const int64_t first[] = {0};
    for (const auto& [to, from] : {std::pair{&running_mean, &mean_of_each}, {&running_var, &var_of_each}})
      if (to->defined()) copy_(*to, mean(reshape(*from, DimVector{n, channels}), Dims(first)));
  }
  return reshape(y, x.sizes());
}

}  // namespace

PYNN_OP(
    batch_norm,
    "batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "
    "bool training, float momentum, float eps, bool cudnn_enabled=False, *, bool relu=False) -> Tensor",
    "(x - mean) / sqrt(var + eps) * weight + bias per channel (dim 1), by the batch's statistics in training, which "
    "then move the running ones. Ioffe and Szegedy 2015, arXiv:1502.03167. Same as torch.batch_norm, and relu of it in "
    "the "
    "same pass.",
    kFunctionOnly);
PYNN_OP(group_norm,
        "group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, "
        "bool cudnn_enabled=True) -> Tensor",
        "The same by statistics of each image and group of channels. Wu and He 2018, arXiv:1803.08494. Same as "
        "torch.group_norm.",
        kFunctionOnly);
PYNN_OP(instance_norm,
        "instance_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "
        "bool use_input_stats, float momentum, float eps, bool cudnn_enabled=False) -> Tensor",
        "The same by statistics of each image and channel. Ulyanov et al. 2016, arXiv:1607.08022. Same as "
        "torch.instance_norm.",
        kFunctionOnly);
}  // namespace pynn::ops
