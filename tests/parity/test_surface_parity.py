"""Small differences that an audit found, beside torch: indices, sizes, classes of errors, storages."""

import pytest
from side_by_side import compare

CASES = """
x[..., ...]
x[..., 0, ...]
x[..., ..., 0]
x[..., ..., None, None]
x[..., ..., [0]]
x["a"]
x[0, "a"]
x[b"a"]
x[{}]
x["a"] = 1
x[..., ...] = 1
x[0, 0] = 2j
m[t.tensor([1, 0, 1], dtype=t.uint8)]
m[t.tensor([1, 0, 1, 1], dtype=t.uint8)]
m[:, t.tensor([1, 0, 1, 0], dtype=t.uint8)]
m[np.array([1, 0, 1], dtype=np.uint8)]
t.full(2, 3)
t.full((2,), 3)
t.full(size=2, fill_value=3)
x.new_full(2, 3)
t.empty_strided(2, 1)
t.empty_strided((2,), 1)
t.randint(3, 2)
t.randint(0, 3, 2)
t.randint(3, size=2)
t.normal(0.0, 1.0, 2)
t.ones(size=2)
t.ones(2)
t.zeros(size=(2,))
t.rand(size=2)
x.new_empty(size=2)
t.broadcast_to(v, (5,))
v.broadcast_to(5)
t.as_strided(x, 2, 1)
x.as_strided((2,), 1)
t.unflatten(v, 0, 5)
v.unflatten(0, 5)
t.var(x, 0)
x.var(1)
x.std(-1)
x.var(False)
x.std(0, True)
x.sum(0, 1)
x.argmax(0, keepdim=1)
t.zeros(2, requires_grad=1)
t.amax(x, 0)
t.roll(v, 1)
t.movedim(x, 0, 1)
t.rand(2, dtype=t.int64)
t.randn(2, dtype=t.int64)
t.rand(2, dtype=t.bool)
t.nn.functional.mse_loss(i, i)
t.nn.functional.mse_loss(k, k)
t.nn.functional.mse_loss(i, x)
t.nn.functional.mse_loss(x, i)
t.nn.functional.smooth_l1_loss(i, i)
t.nn.functional.huber_loss(i, i)
t.nn.functional.binary_cross_entropy(i, i)
t.nn.functional.binary_cross_entropy_with_logits(i, i)
t.nn.functional.cross_entropy(i[0], i[0, :, 0])
t.nn.functional.nll_loss(i[0], t.tensor([0, 1, 2]))
t.nn.functional.kl_div(i, i)
t.arange(0, 3, 0.5, dtype=t.int64)
t.arange(0, 3, 0.5, dtype=t.int32)
t.arange(0, 3.5, 1, dtype=t.int64)
t.arange(0, 3, 1.5, dtype=t.int64)
t.arange(0.7, 3.9, 1.2, dtype=t.int16)
t.arange(3.7, dtype=t.int64)
t.arange(-3.5, 3.5, dtype=t.int64)
t.arange(-3.5, 3.5, dtype=t.int32)
t.arange(5, 0, -1.5, dtype=t.int64)
t.arange(0, 3, 0)
t.arange(0, 3, dtype=t.bool)
x.untyped_storage().nbytes()
len(x[1].untyped_storage())
x.untyped_storage().size()
x[1].untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
x[1].untyped_storage() == x.untyped_storage()
x.clone().untyped_storage() == x.untyped_storage()
e.untyped_storage().data_ptr()
t.arange(3, dtype=t.uint8).untyped_storage().tolist()
t.arange(3, dtype=t.uint8).untyped_storage()[-1]
t.UntypedStorage(10).nbytes()
t.UntypedStorage().nbytes()
t.is_storage(x.untyped_storage())
x.untyped_storage().clone().nbytes()
x.untyped_storage().fill_(0).nbytes()
t.zeros(0).set_(x.untyped_storage())
t.zeros(0).set_(x.untyped_storage(), 2, (3,), (1,))
t.zeros(0).set_(x.untyped_storage(), 2, (3, 2), (1, 4))
t.zeros(0).set_(x.untyped_storage(), 2, (3,))
t.zeros(0).set_(source=x.untyped_storage(), storage_offset=1, size=(2,), stride=(1,))
t.zeros(0, dtype=t.int32).set_(x.untyped_storage(), 2, (3,), (1,))
t.zeros(0).set_(x)
t.zeros(0).set_(3)
"""


@pytest.mark.parametrize("code", [line for line in CASES.splitlines() if line])
def test_same(code):
    compare(code, seed=0)
