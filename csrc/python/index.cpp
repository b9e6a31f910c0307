// index.cpp -- t[index] and t[index] = value.
//
// An index is read into items. Integers, slices, None and Ellipsis give a view; masks and tensors of positions are left
// for ops::index and ops::index_put_. Without a graph the whole view is made in one step from sizes, strides and
// offset; with one, each item is an op of its own.
#include <string_view>

#include "autograd/record.h"
#include "core/shape.h"
#include "core/small_vector.h"
#include "ops/assign.h"
#include "ops/creation.h"
#include "ops/element.h"
#include "ops/indexing.h"
#include "ops/view.h"
#include "python/buffer.h"
#include "python/fastcall.h"
#include "python/interop.h"
#include "python/tensor_data.h"

namespace pynn::python {
namespace {

struct Item {
  enum Kind : uint8_t { Int, Slice, None, Ellipsis, Bool, Positions } kind;
  int64_t a = 0, b = 0, step = 1;  // Int and Bool: a; Slice: from a to b
  Tensor positions{};              // integers or a mask, of at least one dim
  int64_t dims() const {           // that it takes
    if (kind == Positions) return is_mask() ? positions.dim() : 1;
    return kind == Int || kind == Slice;
  }
  bool is_mask() const { return positions.dtype() == DType::Bool || positions.dtype() == DType::UInt8; }
};

[[noreturn]] void bad_item(PyObject* o) {
  if (PyUnicode_Check(o) || PyBytes_Check(o))
    fail(ErrorKind::Type, "index: integers, slices, None, ... or tensors are required, got ", Py_TYPE(o)->tp_name);
  fail(ErrorKind::Index,
       "index: only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
       "indices (got ",
       Py_TYPE(o)->tp_name, ")");
}

int64_t to_int(PyObject* o) {
  const Py_ssize_t i = PyLong_CheckExact(o) ? PyLong_AsSsize_t(o) : PyNumber_AsSsize_t(o, PyExc_IndexError);
  if (i == -1 && PyErr_Occurred()) throw PythonError();
  return i;
}

Item slice_item(PyObject* o) {
  Item item{Item::Slice};
  Py_ssize_t a, b, step;
  if (PySlice_Unpack(o, &a, &b, &step) < 0) throw PythonError();
  PYNN_CHECK_KIND(Value, step > 0, "index: step must be greater than zero, got ", step);
  item.a = a;
  item.b = b;
  item.step = step;
  return item;
}

Item tensor_item(const Tensor& t) {
  if (t.dim() > 0) {
    if (t.dtype() == DType::UInt8 &&
        PyErr_WarnEx(PyExc_UserWarning,
                     "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.",
                     1) < 0)
      throw PythonError();
    Item item{Item::Positions};
    item.positions = t;
    return item;
  }
  PYNN_CHECK_KIND(Index, is_integral(t.dtype()) && !t.device().is_meta(),
                  "index: tensors used as indices must be long, int, byte or bool tensors, got ",
                  dtype_name(t.dtype()));
  Item item{t.dtype() == DType::Bool || t.dtype() == DType::UInt8 ? Item::Bool : Item::Int};
  Object value(checked(python::item(t)));
  item.a = item.kind == Item::Bool ? PyObject_IsTrue(value.get()) : to_int(value.get());
  return item;
}

// A list, range or array as a tensor of positions or a mask.
Item sequence_item(PyObject* o) {
  Tensor t = is_ndarray(o) ? from_ndarray(o, false) : tensor_from_data("index", o, {});
  if (t.numel() == 0 && !is_ndarray(o)) t = empty(t.sizes(), DType::Int64);  // [] has no type of its own
  PYNN_CHECK_KIND(Index, is_integral(t.dtype()),
                  "index: tensors used as indices must be long, int, byte or bool tensors, got ",
                  dtype_name(t.dtype()));
  if (t.dtype() != DType::Bool && t.dtype() != DType::UInt8) {
    GradMode off(false);
    t = ops::to_dtype(t, DType::Int64);
  }
  return tensor_item(t);
}

Item read_item(PyObject* o) {
  if (PyLong_CheckExact(o)) return {Item::Int, to_int(o)};
  if (PySlice_Check(o)) return slice_item(o);
  if (o == Py_None) return {Item::None};
  if (o == Py_Ellipsis) return {Item::Ellipsis};
  if (PyBool_Check(o)) return {Item::Bool, o == Py_True};
  if (is_tensor(o)) return tensor_item(tensor_of(o));
  if (is_ndarray(o) || PyList_Check(o) || PyTuple_Check(o)) return sequence_item(o);
  if (PyIndex_Check(o)) return {Item::Int, to_int(o)};
  if (PySequence_Check(o) && !PyBytes_Check(o) && !PyDict_Check(o)) return sequence_item(o);
  bad_item(o);
}

using Items = SmallVector<Item, 4>;

// NumPy's old habit, which PyTorch keeps: a short list that holds anything but numbers means a tuple.
bool list_means_tuple(PyObject* list) {
  const Py_ssize_t n = PyList_GET_SIZE(list);
  if (n >= 32) return false;
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* o = PyList_GET_ITEM(list, i);
    if (o == Py_None || o == Py_Ellipsis || PySlice_Check(o) || is_tensor(o) || PyList_Check(o) || PyTuple_Check(o) ||
        is_ndarray(o)) {
      if (PyErr_WarnEx(PyExc_UserWarning,
                       "Using a non-tuple sequence for multidimensional indexing is deprecated; use x[tuple(seq)] "
                       "instead of x[seq], or x[torch.tensor(seq)] for a tensor index.",
                       1) < 0)
        throw PythonError();
      return true;
    }
  }
  return false;
}

void read_index(PyObject* index, Items& items) {
  if (PyTuple_Check(index) || (PyList_Check(index) && list_means_tuple(index))) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(index); ++i) {
      const Object o = Object::borrow(PySequence_Fast_GET_ITEM(index, i));
      items.push_back(read_item(o.get()));
    }
  } else {
    items.push_back(read_item(index));
  }
}

bool on_graph(const Tensor& t) { return thread_state.grad_enabled && t.requires_grad(); }

// The view that the basic items give, and the tensors of positions by dim of that view.
class Reader {
 public:
  Reader(const Tensor& x, const Items& items) : x_(x), step_by_step_(on_graph(x)) {
    if (step_by_step_) {
      view_ = x;
    } else {
      sizes_.assign(x.sizes());
      strides_.assign(x.strides());
      offset_ = x.offset();
    }
    int64_t taken = 0;
    for (const Item& i : items) taken += i.dims();
    PYNN_CHECK_KIND(
        Index, x.dim() > 0 || taken == 0 || items.size() > 1 || items[0].kind != Item::Int,
        "index: invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
        "convert a 0-dim tensor to a number");
    PYNN_CHECK_KIND(Index, taken <= x.dim(), "index: too many indices for tensor of dimension ", x.dim(), ", got ",
                    taken);
    const bool alone = items.size() == 1;
    for (const Item& i : items) {
      switch (i.kind) {
        case Item::Int:
          select(i.a);
          break;
        case Item::Slice:
          slice(i, alone);
          break;
        case Item::None:
          unsqueeze();
          break;
        case Item::Ellipsis:
          dim_ += x.dim() - taken;  // each of several: what follows the first must take no dim
          break;
        case Item::Bool:
          choose(i.a != 0);
          break;
        case Item::Positions:
          add(i.positions, i.dims());
          break;
      }
    }
  }

  bool is_view() const { return positions_.empty(); }
  TensorSpan positions() const { return {positions_.data(), positions_.size()}; }
  bool is_element() const { return is_view() && !step_by_step_ && sizes_.empty(); }
  void* address() const {
    return static_cast<char*>(x_.storage()->data()) + offset_ * static_cast<int64_t>(item_size(x_.dtype()));
  }

  Tensor view() const {
    if (!step_by_step_) return ops::make_view(x_, sizes_, strides_, offset_);
    return view_.same(x_) ? alias_view(x_) : view_;
  }
  // What the positions refer to: x itself if nothing was done to it.
  Tensor source() const {
    if (step_by_step_) return view_;
    const bool whole = offset_ == x_.offset() && same(sizes_, x_.sizes()) && same(strides_, x_.strides());
    return whole ? x_ : ops::make_view(x_, sizes_, strides_, offset_);
  }

 private:
  int64_t dims() const { return step_by_step_ ? view_.dim() : static_cast<int64_t>(sizes_.size()); }
  int64_t size_at(int64_t d) const {
    PYNN_CHECK_KIND(Index, d < dims(), "index: too many dims, got one beyond the ", dims(),
                    " there are (after an "
                    "ellipsis that stands for all the rest)");
    return step_by_step_ ? view_.size(d) : sizes_[d];
  }

  void select(int64_t i) {
    const int64_t n = size_at(dim_);
    PYNN_CHECK_KIND(Index, i >= -n && i < n, "index: index ", i, " is out of bounds for dimension ", dim_,
                    " with size ", n);
    if (step_by_step_) {
      view_ = ops::select(view_, dim_, i);
      return;
    }
    offset_ += (i < 0 ? i + n : i) * strides_[dim_];
    sizes_.erase(dim_);
    strides_.erase(dim_);
  }

  void slice(const Item& item, bool alone) {
    PYNN_CHECK_KIND(Index, x_.dim() > 0, "index: slice() cannot be applied to a 0-dim tensor.");
    const int64_t n = size_at(dim_);
    const auto clamped = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
    const int64_t a = clamped(item.a), b = std::max(clamped(item.b), a);
    const int64_t step = std::min(item.step, std::max<int64_t>(b - a, 1));  // a longer one changes nothing
    if (step_by_step_) {
      if (alone || a != 0 || b != n || step != 1) view_ = ops::slice(view_, dim_, a, b, step);
    } else {
      if (b > a) offset_ += a * strides_[dim_];
      sizes_[dim_] = (b - a + step - 1) / step;
      strides_[dim_] *= step;
    }
    ++dim_;
  }

  void unsqueeze() {
    PYNN_CHECK_KIND(Index, dim_ <= dims(), "index: None stands beyond the ", dims(), " dims");
    if (step_by_step_) {
      view_ = ops::unsqueeze(view_, dim_);
    } else {
      const int64_t step = dim_ < static_cast<int64_t>(sizes_.size()) ? sizes_[dim_] * strides_[dim_] : 1;
      sizes_.insert(dim_, 1);
      strides_.insert(dim_, step);
    }
    ++dim_;
  }

  // x[True] is a new dim of size 1, x[False] one of size 0.
  void choose(bool yes) {
    unsqueeze();
    --dim_;
    add(ops::zeros(DimVector{yes ? 1 : 0}, DType::Int64), 1);
  }

  void add(const Tensor& t, int64_t dims) {
    if (dims) size_at(dim_ + dims - 1);
    while (covered_ < dim_) {
      positions_.push_back(Tensor());
      ++covered_;
    }
    positions_.push_back(t);
    covered_ += dims;
    dim_ += dims;
  }

  const Tensor& x_;
  bool step_by_step_;
  Tensor view_;                // step by step
  DimVector sizes_, strides_;  // in one step
  int64_t offset_ = 0;
  int64_t dim_ = 0;      // of the view, where the next item applies
  int64_t covered_ = 0;  // dims that positions_ speaks of
  SmallVector<Tensor, 4> positions_;
};

constexpr int64_t kReleaseAt = 1 << 15;  // elements: from here on other Python threads get to run

std::string type_name(const Tensor& t) {
  switch (t.dtype()) {
    case DType::Bool:
      return "torch.BoolTensor";
    case DType::UInt8:
      return "torch.ByteTensor";
    case DType::Int8:
      return "torch.CharTensor";
    case DType::Int16:
      return "torch.ShortTensor";
    case DType::Int32:
      return "torch.IntTensor";
    case DType::Int64:
      return "torch.LongTensor";
    case DType::Float16:
      return "torch.HalfTensor";
    case DType::BFloat16:
      return "torch.BFloat16Tensor";
    case DType::Float32:
      return "torch.FloatTensor";
    case DType::Float64:
      return "torch.DoubleTensor";
    case DType::Complex64:
      return "torch.ComplexFloatTensor";
    default:
      return "torch.ComplexDoubleTensor";
  }
}

// Without the leading dims of size 1 beyond `keep` dims, which broadcasting would only put back.
Tensor strip_ones(const Tensor& t, int64_t keep = 0) {
  int64_t n = 0;
  while (n < t.dim() - keep && t.size(n) == 1) ++n;
  if (n == 0) return t;
  return ops::view(t, t.sizes().subspan(static_cast<size_t>(n)));
}

}  // namespace

Tensor alias_view(const Tensor& t) {
  return record("alias", ops::make_view(t, t.sizes(), t.strides(), t.offset()), inputs(t), save(),
                [](const Tensor& g) { return g; });
}

Tensor get_item(const Tensor& t, PyObject* index) {
  Items items;
  read_index(index, items);
  const Reader reader(t, items);
  if (reader.is_view()) return reader.view();
  const Tensor source = reader.source();
  NoGil release(source.numel() >= kReleaseAt);
  return ops::index(source, reader.positions());
}

void set_item(const Tensor& t, PyObject* index, PyObject* value) {
  const bool nothing = index == Py_False;
  if (PyBool_Check(index)) index = Py_None;  // True: all of t
  Items items;
  read_index(index, items);
  const bool number = !is_tensor(value);
  if (number && !is_number(value) && !(is_complex_number(value) && is_complex(t.dtype())))
    fail(is_complex_number(value) ? ErrorKind::Runtime : ErrorKind::Type, "can't assign a ", Py_TYPE(value)->tp_name,
         " to a ", type_name(t));
  if (nothing) return;
  const Reader reader(t, items);
  if (number && reader.is_element() && t.device().is_cpu()) {  // x[i, j] = 2.5
    ops::store_element("setitem", reader.address(), t.dtype(), scalar_of(value));
    autograd::bump_version(t);
    return;
  }
  Tensor v = number ? ops::element_tensor("setitem", scalar_of(value), t.dtype()) : tensor_of(value);
  if (reader.is_view()) {
    const Tensor to = reader.view();
    v = strip_ones(v, to.dim());  // no further: x[i:j] += 1 ends by writing x[i:j] to itself
    PYNN_CHECK_KIND(Shape, v.dim() <= to.dim(), "setitem: value of shape ", dims_str(v.sizes()),
                    " cannot be broadcast to shape ", dims_str(to.sizes()));
    NoGil release(to.numel() >= kReleaseAt);
    ops::copy_(to, v);
    return;
  }
  v = strip_ones(v);
  if (v.numel() == 1) v = ops::to_dtype(v, t.dtype());
  const Tensor to = reader.source();
  NoGil release(to.numel() >= kReleaseAt);
  ops::index_put_(to, reader.positions(), v);
}

}  // namespace pynn::python
