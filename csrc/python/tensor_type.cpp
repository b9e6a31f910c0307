// tensor_type.cpp -- the Tensor type: object life, attributes, operators. Methods come from the op registry
// (op_function.cpp), cold ones from pynn/_tensor.py.

#include "autograd/node.h"
#include "core/shape.h"
#include "core/thread_state.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/element.h"
#include "ops/indexing.h"
#include "ops/view.h"
#include "python/fastcall.h"
#include "python/interop.h"
#include "python/node_type.h"
#include "python/observe.h"
#include "python/overrides.h"

#include <structmember.h>  // after Python.h

namespace pynn::python {

PyTypeObject* TensorType;

namespace {

// Note [Wrappers]
// A tensor has at most one Python wrapper: impl->pyobject, not counted. The wrapper holds the tensor. When the last
// Python reference goes while C++ still holds the tensor, its __dict__ and its class (Parameter, say) are left in
// impl->pystash, and the next wrapper gets them back.
struct Stash {
  PyTypeObject* type;
  PyObject* dict;  // may be null
};

PyTensor* as(PyObject* o) { return reinterpret_cast<PyTensor*>(o); }

void free_stash(void* p) {
  if (!Py_IsInitialized()) return;
  Gil gil;
  auto* s = static_cast<Stash*>(p);
  Py_XDECREF(s->dict);
  Py_DECREF(s->type);
  delete s;
}

PyObject* new_wrapper(PyTypeObject* type, Tensor&& t) {
  PyTensor* o = as(type->tp_alloc(type, 0));
  if (!o) return nullptr;
  new (&o->tensor) Tensor(std::move(t));
  o->tensor.impl()->pyobject = o;
  // Only wrappers that can be part of a cycle are worth the collector's time.
  if (type == TensorType) PyObject_GC_UnTrack(o);
  return reinterpret_cast<PyObject*>(o);
}

PyObject* wrap_fresh(Tensor&& t) {
  auto* stash = static_cast<Stash*>(std::exchange(t.impl()->pystash, nullptr));
  if (!stash) [[likely]]
    return new_wrapper(TensorType, std::move(t));
  PyObject* o = new_wrapper(stash->type, std::move(t));
  if (o) {
    as(o)->dict = std::exchange(stash->dict, nullptr);
    if (!PyObject_GC_IsTracked(o)) PyObject_GC_Track(o);
  }
  free_stash(stash);
  return o;
}

void tensor_dealloc(PyObject* self) {
  PyTensor* o = as(self);
  PyTypeObject* type = Py_TYPE(self);
  if (PyObject_GC_IsTracked(self)) PyObject_GC_UnTrack(self);
  if (o->weakrefs) PyObject_ClearWeakRefs(self);
  if (TensorImpl* impl = o->tensor.impl()) {
    impl->pyobject = nullptr;
    const bool plain = type == TensorType && (!o->dict || PyDict_GET_SIZE(o->dict) == 0);
    if (!plain && impl->use_count() > 1) {
      Py_INCREF(type);
      impl->pystash = new Stash{type, std::exchange(o->dict, nullptr)};
    }
  }
  Py_CLEAR(o->dict);
  o->tensor.~Tensor();
  type->tp_free(self);
  Py_DECREF(type);
}

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as(self)->dict);
  return 0;
}
int tensor_clear(PyObject* self) {
  Py_CLEAR(as(self)->dict);
  return 0;
}

int tensor_setattro(PyObject* self, PyObject* name, PyObject* value) {
  const int r = PyObject_GenericSetAttr(self, name, value);
  if (r == 0 && as(self)->dict && !PyObject_GC_IsTracked(self)) PyObject_GC_Track(self);
  return r;
}

PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guard([&] { return legacy_new(type, args, kwargs); });
}

Py_hash_t tensor_hash(PyObject* self) {  // by identity: == compares elements
  return static_cast<Py_hash_t>(reinterpret_cast<uintptr_t>(self) >> 4);
}

// Operators. Each operand is a tensor or a number; anything else is left to the other side.

bool other_of(PyObject* o, Value& v) { return parse_other(o, v); }
Other to_other(const Value& v) { return v.given == Kind::Tensor ? Other(*v.tensor) : Other(v.scalar); }
bool large(const Value& a, const Value& b) {
  constexpr int64_t kReleaseAt = 1 << 15;
  return (a.given == Kind::Tensor && a.tensor->numel() >= kReleaseAt) ||
         (b.given == Kind::Tensor && b.tensor->numel() >= kReleaseAt);
}

template <class F>
PyObject* binary_slot(const char* name, PyObject* a, PyObject* b, F&& f) {
  return guard([&]() -> PyObject* {
    if (may_be_overridden()) [[unlikely]]
      if (PyObject* result = overridden_operator(name, a, b)) return result;
    Value x, y;
    if (!other_of(a, x) || !other_of(b, y)) Py_RETURN_NOTIMPLEMENTED;
    Tensor out;
    const Timed timed(name);
    if (large(x, y)) {
      NoGil release;
      out = f(to_other(x), to_other(y));
    } else {
      out = f(to_other(x), to_other(y));
    }
    return wrap(std::move(out));
  });
}
template <class F>
PyObject* inplace_slot(const char* name, PyObject* a, PyObject* b, F&& f) {
  return guard([&]() -> PyObject* {
    if (may_be_overridden()) [[unlikely]]
      if (PyObject* result = overridden_operator(name, a, b)) return result;
    Value y;
    if (!other_of(b, y)) Py_RETURN_NOTIMPLEMENTED;
    const Tensor self = tensor_of(a);
    const Timed timed(name);
    {
      NoGil release(self.numel() >= (1 << 15));
      f(self, to_other(y));
    }
    return Py_NewRef(a);
  });
}
// a op= b by the method of that name ("pow_"), for operators without a C++ form of their own.
PyObject* by_method(PyObject* a, PyObject* b, const char* name) {
  Value y;
  if (guard([&] { return parse_other(b, y) ? 1 : 0; }) != 1) {
    if (PyErr_Occurred()) return nullptr;
    Py_RETURN_NOTIMPLEMENTED;
  }
  return PyObject_CallMethod(a, name, "O", b);
}

#define PYNN_BINARY_SLOT(slot, op)                                                 \
  PyObject* slot(PyObject* a, PyObject* b) {                                       \
    return binary_slot(#op, a, b, [](Other x, Other y) { return ops::op(x, y); }); \
  }
PYNN_BINARY_SLOT(nb_add, add)
PYNN_BINARY_SLOT(nb_sub, sub)
PYNN_BINARY_SLOT(nb_mul, mul)
PYNN_BINARY_SLOT(nb_div, div)
PYNN_BINARY_SLOT(nb_floordiv, floor_divide)
PYNN_BINARY_SLOT(nb_mod, remainder)
PYNN_BINARY_SLOT(nb_and, bitwise_and)
PYNN_BINARY_SLOT(nb_or, bitwise_or)
PYNN_BINARY_SLOT(nb_xor, bitwise_xor)
PYNN_BINARY_SLOT(nb_lshift, bitwise_left_shift)
PYNN_BINARY_SLOT(nb_rshift, bitwise_right_shift)
PyObject* nb_pow(PyObject* a, PyObject* b, PyObject* mod) {
  if (mod != Py_None) Py_RETURN_NOTIMPLEMENTED;
  return binary_slot("pow", a, b, [](Other x, Other y) { return ops::pow(x, y); });
}
PyObject* nb_matmul(PyObject* a, PyObject* b) {
  if (!is_tensor(a) || !is_tensor(b)) Py_RETURN_NOTIMPLEMENTED;
  return PyObject_CallMethod(a, "matmul", "O", b);
}
#define PYNN_INPLACE_SLOT(slot, op)                                                         \
  PyObject* slot(PyObject* a, PyObject* b) {                                                \
    return inplace_slot(#op, a, b, [](const Tensor& x, Other y) { return ops::op(x, y); }); \
  }
PYNN_INPLACE_SLOT(nb_iadd, add_)
PYNN_INPLACE_SLOT(nb_isub, sub_)
PYNN_INPLACE_SLOT(nb_imul, mul_)
PYNN_INPLACE_SLOT(nb_idiv, div_)
#define PYNN_METHOD_SLOT(slot, method) \
  PyObject* slot(PyObject* a, PyObject* b) { return by_method(a, b, method); }
PYNN_METHOD_SLOT(nb_ifloordiv, "floor_divide_")
PYNN_METHOD_SLOT(nb_imod, "remainder_")
PYNN_METHOD_SLOT(nb_iand, "bitwise_and_")
PYNN_METHOD_SLOT(nb_ior, "bitwise_or_")
PYNN_METHOD_SLOT(nb_ixor, "bitwise_xor_")
PYNN_METHOD_SLOT(nb_ilshift, "bitwise_left_shift_")
PYNN_METHOD_SLOT(nb_irshift, "bitwise_right_shift_")
PyObject* nb_ipow(PyObject* a, PyObject* b, PyObject*) { return by_method(a, b, "pow_"); }

PyObject* nb_neg(PyObject* a) { return PyObject_CallMethod(a, "neg", nullptr); }
PyObject* nb_pos(PyObject* a) { return Py_NewRef(a); }
PyObject* nb_abs(PyObject* a) { return PyObject_CallMethod(a, "abs", nullptr); }
PyObject* nb_invert(PyObject* a) { return PyObject_CallMethod(a, "bitwise_not", nullptr); }

Object item_of(PyObject* self, const char* to) {
  const Tensor& t = tensor_of(self);
  PYNN_CHECK_KIND(Value, t.numel() == 1,
                  "item: only one element tensors can be converted to Python scalars, got shape ", dims_str(t.sizes()),
                  " (", to, ")");
  return Object(checked(item(t)));
}
int nb_bool(PyObject* self) {
  return guard([&] {
    const Tensor& t = tensor_of(self);
    PYNN_CHECK(t.numel() != 0, "bool: Boolean value of Tensor with no values is ambiguous");
    PYNN_CHECK(t.numel() == 1, "bool: Boolean value of Tensor with more than one value is ambiguous, got shape ",
               dims_str(t.sizes()), " (use any() or all())");
    return PyObject_IsTrue(item_of(self, "bool").get());
  });
}
PyObject* nb_int(PyObject* self) {
  return guard([&] {
    Object item = item_of(self, "int");
    if (PyComplex_Check(item.get())) return PyLong_FromLongLong(scalar_of(item.get()).to_int());
    return PyNumber_Long(item.get());
  });
}
PyObject* nb_float(PyObject* self) {
  return guard([&] {
    Object item = item_of(self, "float");
    if (PyComplex_Check(item.get())) return PyFloat_FromDouble(scalar_of(item.get()).to_double());
    return PyNumber_Float(item.get());
  });
}
PyObject* nb_index(PyObject* self) {
  return guard([&]() -> PyObject* {
    const Tensor& t = tensor_of(self);
    PYNN_CHECK_KIND(Type, is_integral(t.dtype()) && t.numel() == 1,
                    "index: only integer tensors of a single element can be converted to an index");
    return PyNumber_Index(item_of(self, "index").get());
  });
}

PyObject* rich_compare(PyObject* a, PyObject* b, int op) {
  static constexpr Tensor (*const compare[])(Other, Other) = {ops::lt, ops::le, ops::eq, ops::ne, ops::gt, ops::ge};
  static constexpr const char* names[] = {"lt", "le", "eq", "ne", "gt", "ge"};
  return binary_slot(names[op], a, b, compare[op]);
}

Py_ssize_t mp_length(PyObject* self) {
  return guard([&]() -> Py_ssize_t {
    const Tensor& t = tensor_of(self);
    PYNN_CHECK_KIND(Type, t.dim() > 0, "len: len() of a 0-d tensor");
    return t.size(0);
  });
}
PyObject* mp_subscript(PyObject* self, PyObject* index) {
  return guard([&] {
    if (may_be_overridden()) [[unlikely]]
      if (PyObject* result = overridden_operator("__getitem__", self, index)) return result;
    return wrap(get_item(tensor_of(self), index));
  });
}
int mp_ass_subscript(PyObject* self, PyObject* index, PyObject* value) {
  return guard([&] {
    if (!value) fail(ErrorKind::Type, "del: Tensor does not support deleting items");
    if (may_be_overridden()) [[unlikely]] {
      PyObject* const args[] = {self, index, value};
      if (const Object result(overridden_method("__setitem__", args, 3, nullptr)); result) return 0;
    }
    set_item(tensor_of(self), index, value);
    return 0;
  });
}
PyObject* tp_iter(PyObject* self) {
  if (tensor_of(self).dim() == 0) {
    PyErr_SetString(PyExc_TypeError, "iter: iteration over a 0-d tensor");
    return nullptr;
  }
  Object parts(PyObject_CallMethod(self, "unbind", "i", 0));
  return parts ? PyObject_GetIter(parts.get()) : nullptr;
}

// Attributes.

#define PYNN_GET(name, expr)                                                                                   \
  PyObject* get_##name(PyObject* self, void* attribute) {                                                      \
    return guard([&]() -> PyObject* {                                                                          \
      if (may_be_overridden()) [[unlikely]]                                                                    \
        if (PyObject* result = overridden_attribute(static_cast<const char*>(attribute), self)) return result; \
      [[maybe_unused]] const Tensor& t = tensor_of(self);                                                      \
      return expr;                                                                                             \
    });                                                                                                        \
  }
PYNN_GET(shape, wrap_size(t.sizes()))
PYNN_GET(dtype, wrap(t.dtype()))
PYNN_GET(device, wrap(t.device()))
PYNN_GET(ndim, PyLong_FromLongLong(t.dim()))
PYNN_GET(requires_grad, PyBool_FromLong(t.requires_grad()))
PYNN_GET(is_leaf, PyBool_FromLong(autograd::is_leaf(t)))
PyObject* no_grad_yet(const Tensor& t) {
  if (t.impl()->grad_fn && !t.impl()->retains_grad &&
      PyErr_WarnEx(PyExc_UserWarning,
                   "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute "
                   "won't be populated during "
                   "autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, use "
                   ".retain_grad() on the "
                   "non-leaf Tensor.",
                   1) < 0)
    return nullptr;
  Py_RETURN_NONE;
}
PYNN_GET(grad, ([&] {
           const Tensor g = autograd::grad_of(t);
           return g.defined() ? wrap(g) : no_grad_yet(t);
         }()))
PYNN_GET(grad_fn, wrap_node(t.requires_grad() ? autograd::grad_fn(t) : Ref<Node>()))
PYNN_GET(output_nr, PyLong_FromUnsignedLong(t.impl()->output_nr))
PYNN_GET(version, PyLong_FromUnsignedLong(t.version()))
PYNN_GET(base, t.impl()->base ? wrap(Tensor(t.impl()->base)) : Py_NewRef(Py_None))
PYNN_GET(itemsize, PyLong_FromSize_t(item_size(t.dtype())))
PYNN_GET(nbytes, PyLong_FromLongLong(t.numel() * static_cast<int64_t>(item_size(t.dtype()))))
PYNN_GET(is_cuda, PyBool_FromLong(t.device().is_cuda()))
PYNN_GET(is_cpu, PyBool_FromLong(t.device().is_cpu()))
PYNN_GET(is_meta, PyBool_FromLong(t.device().is_meta()))
PYNN_GET(false, Py_NewRef(Py_False))
PYNN_GET(retains_grad, PyBool_FromLong(t.impl()->retains_grad))
PYNN_GET(T, wrap(ops::reversed(t)))
PYNN_GET(mT, ([&] {
           PYNN_CHECK(t.dim() != 1, "mT: matrices or batches of matrices are required, got a 1-D tensor");
           return wrap(t.dim() ? ops::transpose(t, -2, -1) : t);
         }()))
PYNN_GET(real, is_complex(t.dtype()) ? wrap(ops::real(t)) : Py_NewRef(self))
PYNN_GET(imag, wrap(ops::imag(t)))
PYNN_GET(H, ([&] {
           PYNN_CHECK(t.dim() == 0 || t.dim() == 2, "tensor.H is only supported on matrices (2-D tensors). Got ",
                      t.dim(), "-D tensor.", t.dim() > 2 ? " For batches of matrices, consider using tensor.mH" : "");
           return wrap(ops::conj(t.dim() ? ops::transpose(t, 0, 1) : t));
         }()))
PYNN_GET(mH, ([&] {
           PYNN_CHECK(t.dim() != 1, "tensor.mH is only supported on matrices or batches of matrices. Got 1-D tensor.");
           return wrap(ops::conj(t.dim() ? ops::transpose(t, -2, -1) : t));
         }()))
PYNN_GET(data, ([&] {
           Tensor d(TensorImpl::make(Storage::alias(t.storage()), t.dtype(), t.sizes(), t.strides(), t.offset()));
           return wrap(std::move(d));
         }()))

int put_requires_grad(PyObject* self, PyObject* value, void*) {
  return guard([&] {
    if (!value || !PyBool_Check(value)) fail(ErrorKind::Type, "requires_grad: must be a bool");
    set_requires_grad(tensor_of(self), value == Py_True);
    return 0;
  });
}
int set_grad(PyObject* self, PyObject* value, void*) {
  return guard([&] {
    TensorImpl* t = tensor_of(self).impl();
    if (!value || value == Py_None) {
      autograd::set_grad(tensor_of(self), {});
      return 0;
    }
    const Tensor g = tensor_arg("grad", "the gradient", value);
    PYNN_CHECK(!g.same(tensor_of(self)), "grad: can't assign Variable as its own grad");
    PYNN_CHECK(same(g.sizes(), t->sizes), "grad: assigned grad has data of a different size, got ", dims_str(g.sizes()),
               " for a tensor of ", dims_str(t->sizes));
    PYNN_CHECK(g.dtype() == t->dtype, "grad: assigned grad has data of a different type, got ", dtype_name(g.dtype()),
               " for ", dtype_name(t->dtype));
    PYNN_CHECK(g.device() == t->storage->device(), "grad: assigned grad is on a different device");
    autograd::set_grad(tensor_of(self), g);
    return 0;
  });
}
// x.real = value, x.imag = value
template <Tensor part(const Tensor&)>
int set_part(PyObject* self, PyObject* value, void*) {
  return guard([&] {
    if (!value) fail(ErrorKind::Type, "real, imag: cannot be deleted");
    const Tensor to = part(tensor_of(self));
    ops::copy_(to, is_tensor(value) ? tensor_of(value) : ops::element_tensor("real", scalar_of(value), to.dtype()));
    return 0;
  });
}
int set_data(PyObject* self, PyObject* value, void*) {
  return guard([&] {
    if (!value) fail(ErrorKind::Type, "data: cannot be deleted");
    const Tensor v = tensor_arg("data", "the new content", value);
    TensorImpl* t = tensor_of(self).impl();
    PYNN_CHECK(!t->requires_grad || is_floating(v.dtype()) || is_complex(v.dtype()),
               "data: a tensor that requires grad must stay of a floating point type, got ", dtype_name(v.dtype()));
    t->storage = Storage::alias(v.storage());
    t->dtype = v.dtype();
    t->set_geometry(DimVector(v.sizes()), DimVector(v.strides()), v.offset());
    t->accumulator = nullptr;  // shape or type may have changed: a new node will do
    return 0;
  });
}

PyGetSetDef getset[] = {
    {"shape", get_shape, nullptr, "The sizes, as a Size.", nullptr},
    {"dtype", get_dtype, nullptr, "The type of the elements.", nullptr},
    {"device", get_device, nullptr, "Where the memory is.", nullptr},
    {"ndim", get_ndim, nullptr, "The number of dims.", nullptr},
    {"requires_grad", get_requires_grad, put_requires_grad, "Whether gradients are computed.", nullptr},
    {"is_leaf", get_is_leaf, nullptr, "Whether no op on the graph made this tensor.", nullptr},
    {"grad", get_grad, set_grad, "The gradient that backward() added up, or None.", nullptr},
    {"_grad", get_grad, set_grad, nullptr, nullptr},
    {"grad_fn", get_grad_fn, nullptr, "The node that made this tensor, or None.", nullptr},
    {"output_nr", get_output_nr, nullptr, "Which output of grad_fn this is.", nullptr},
    {"_version", get_version, nullptr, "How often the memory was written to in place.", nullptr},
    {"_base", get_base, nullptr, "The tensor that this is a view of, or None.", nullptr},
    {"itemsize", get_itemsize, nullptr, "Bytes of one element.", nullptr},
    {"nbytes", get_nbytes, nullptr, "Bytes of all elements.", nullptr},
    {"is_cuda", get_is_cuda, nullptr, nullptr, nullptr},
    {"is_cpu", get_is_cpu, nullptr, nullptr, nullptr},
    {"is_meta", get_is_meta, nullptr, nullptr, nullptr},
    {"is_sparse", get_false, nullptr, nullptr, nullptr},
    {"is_quantized", get_false, nullptr, nullptr, nullptr},
    {"is_nested", get_false, nullptr, nullptr, nullptr},
    {"is_mps", get_false, nullptr, nullptr, nullptr},
    {"retains_grad", get_retains_grad, nullptr, "Whether retain_grad() was called.", nullptr},
    {"T", get_T, nullptr, "All dims in reverse order.", nullptr},
    {"mT", get_mT, nullptr, "The last two dims swapped.", nullptr},
    {"H", get_H, nullptr, "The conjugate transpose of a matrix.", nullptr},
    {"mH", get_mH, nullptr, "The last two dims swapped, and conjugated.", nullptr},
    {"real", get_real, set_part<ops::real>, "The real part, a view; of real tensors the tensor itself.", nullptr},
    {"imag", get_imag, set_part<ops::imag>, "The imaginary part, a view.", nullptr},
    {"data", get_data, set_data, "The same memory, outside of the graph.", nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {}};

PyMemberDef members[] = {
    {const_cast<char*>("__dictoffset__"), T_PYSSIZET, offsetof(PyTensor, dict), READONLY, nullptr},
    {const_cast<char*>("__weaklistoffset__"), T_PYSSIZET, offsetof(PyTensor, weakrefs), READONLY, nullptr},
    {}};

#define PYNN_SLOT(id, fn) {id, reinterpret_cast<void*>(fn)}
PyType_Slot slots[] = {
    PYNN_SLOT(Py_tp_dealloc, tensor_dealloc),
    PYNN_SLOT(Py_tp_traverse, tensor_traverse),
    PYNN_SLOT(Py_tp_clear, tensor_clear),
    PYNN_SLOT(Py_tp_setattro, tensor_setattro),
    PYNN_SLOT(Py_tp_new, tensor_new),
    PYNN_SLOT(Py_tp_hash, tensor_hash),
    PYNN_SLOT(Py_tp_richcompare, rich_compare),
    PYNN_SLOT(Py_tp_iter, tp_iter),
    PYNN_SLOT(Py_tp_getset, getset),
    PYNN_SLOT(Py_tp_members, members),
    PYNN_SLOT(Py_nb_add, nb_add),
    PYNN_SLOT(Py_nb_subtract, nb_sub),
    PYNN_SLOT(Py_nb_multiply, nb_mul),
    PYNN_SLOT(Py_nb_true_divide, nb_div),
    PYNN_SLOT(Py_nb_floor_divide, nb_floordiv),
    PYNN_SLOT(Py_nb_remainder, nb_mod),
    PYNN_SLOT(Py_nb_power, nb_pow),
    PYNN_SLOT(Py_nb_matrix_multiply, nb_matmul),
    PYNN_SLOT(Py_nb_and, nb_and),
    PYNN_SLOT(Py_nb_or, nb_or),
    PYNN_SLOT(Py_nb_xor, nb_xor),
    PYNN_SLOT(Py_nb_lshift, nb_lshift),
    PYNN_SLOT(Py_nb_rshift, nb_rshift),
    PYNN_SLOT(Py_nb_inplace_add, nb_iadd),
    PYNN_SLOT(Py_nb_inplace_subtract, nb_isub),
    PYNN_SLOT(Py_nb_inplace_multiply, nb_imul),
    PYNN_SLOT(Py_nb_inplace_true_divide, nb_idiv),
    PYNN_SLOT(Py_nb_inplace_floor_divide, nb_ifloordiv),
    PYNN_SLOT(Py_nb_inplace_remainder, nb_imod),
    PYNN_SLOT(Py_nb_inplace_power, nb_ipow),
    PYNN_SLOT(Py_nb_inplace_and, nb_iand),
    PYNN_SLOT(Py_nb_inplace_or, nb_ior),
    PYNN_SLOT(Py_nb_inplace_xor, nb_ixor),
    PYNN_SLOT(Py_nb_inplace_lshift, nb_ilshift),
    PYNN_SLOT(Py_nb_inplace_rshift, nb_irshift),
    PYNN_SLOT(Py_nb_negative, nb_neg),
    PYNN_SLOT(Py_nb_positive, nb_pos),
    PYNN_SLOT(Py_nb_absolute, nb_abs),
    PYNN_SLOT(Py_nb_invert, nb_invert),
    PYNN_SLOT(Py_nb_bool, nb_bool),
    PYNN_SLOT(Py_nb_int, nb_int),
    PYNN_SLOT(Py_nb_float, nb_float),
    PYNN_SLOT(Py_nb_index, nb_index),
    PYNN_SLOT(Py_mp_length, mp_length),
    PYNN_SLOT(Py_mp_subscript, mp_subscript),
    PYNN_SLOT(Py_mp_ass_subscript, mp_ass_subscript),
    PYNN_SLOT(Py_bf_getbuffer, get_buffer),
    PYNN_SLOT(Py_bf_releasebuffer, release_buffer),
    {Py_tp_doc, const_cast<char*>("An n-dimensional array of one element type, on the autograd graph.\n\n"
                                  "Same as torch.Tensor.")},
    {0, nullptr}};
PyType_Spec spec = {"pynn.Tensor", sizeof(PyTensor), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                    slots};

}  // namespace

PyObject* wrap(Tensor&& t) {
  if (!t.defined()) Py_RETURN_NONE;
  if (auto* o = static_cast<PyObject*>(t.impl()->pyobject)) return Py_NewRef(o);
  return wrap_fresh(std::move(t));
}
PyObject* wrap(const Tensor& t) { return wrap(Tensor(t)); }

PyObject* wrap_as(PyTypeObject* type, Tensor t) { return new_wrapper(type, std::move(t)); }

Object wrap_list(std::span<const Tensor> list) {
  Object out(checked(PyTuple_New(static_cast<Py_ssize_t>(list.size()))));
  for (size_t i = 0; i < list.size(); ++i) PyTuple_SET_ITEM(out.get(), i, checked(wrap(list[i])));
  return out;
}

Tensor tensor_arg(const char* op, const char* what, PyObject* o) {
  if (!is_tensor(o)) fail(ErrorKind::Type, op, ": ", what, " must be a Tensor, got ", Py_TYPE(o)->tp_name);
  return tensor_of(o);
}

void set_requires_grad(const Tensor& t, bool on) {
  TensorImpl* p = t.impl();
  if (on) {
    PYNN_CHECK(is_floating(p->dtype) || is_complex(p->dtype),
               "requires_grad_: only Tensors of floating point dtype can require gradients, got ",
               dtype_name(p->dtype));
    PYNN_CHECK(!p->inference || thread_state.inference,
               "requires_grad_: Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.");
  } else {
    PYNN_CHECK(
        autograd::is_leaf(t),
        "requires_grad_: you can only change requires_grad flags of leaf variables. If you want to use a computed "
        "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach().");
  }
  if (!autograd::is_leaf(t)) return;
  p->requires_grad = on;
}

void init_tensor_type(PyObject* module) {
  TensorImpl::pystash_free = free_stash;
  for (PyGetSetDef& g : getset)
    if (g.name) g.closure = const_cast<char*>(g.name);
  TensorType = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)));
  PyModule_AddObjectRef(module, "Tensor", reinterpret_cast<PyObject*>(TensorType));
}

}  // namespace pynn::python
