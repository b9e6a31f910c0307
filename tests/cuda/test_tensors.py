"""CUDA tensors as objects: making, moving, printing, saving, handing over."""

import copy
import io
import pickle

import numpy as np
import pytest
from helpers import ALL_DTYPES, arr, raises, tensor, to_numpy

import pynn


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_there_and_back(dtype):
    x = tensor(arr(3, 5) * 3, dtype) if dtype != pynn.uint8 else tensor(np.arange(15).reshape(3, 5), dtype)
    y = x.to("cuda")
    assert y.device == pynn.device("cuda", 0) and y.is_cuda and not x.is_cuda and y.get_device() == 0
    assert y.cpu().tolist() == x.tolist() and y.t().cpu().tolist() == x.t().tolist()
    assert y[1:, ::2].cpu().tolist() == x[1:, ::2].tolist()
    assert y.to("cuda") is y and y.cuda() is y and x.cpu() is x
    assert y.to("cpu", pynn.float64).tolist() == x.double().tolist()


def test_making():
    for x in (
        pynn.zeros(2, 3, device="cuda"),
        pynn.ones(2, 3, device="cuda:0"),
        pynn.full((2, 3), 7.0, device=pynn.device("cuda")),
        pynn.rand(2, 3, device="cuda"),
        pynn.tensor([[1.0, 2, 3], [4, 5, 6]], device="cuda"),
        pynn.arange(6.0, device="cuda").view(2, 3),
        pynn.linspace(0, 1, 6, device="cuda").view(2, 3),
        pynn.eye(2, 3, device="cuda"),
        pynn.zeros(1, device="cuda").new_ones(2, 3),
        pynn.empty_like(pynn.ones(2, 3, device="cuda")),
        pynn.zeros_like(pynn.ones(2, 3), device="cuda"),
    ):
        assert x.device == pynn.device("cuda:0") and x.shape == (2, 3)
    assert pynn.arange(6, device="cuda").tolist() == [0, 1, 2, 3, 4, 5]
    assert pynn.empty(0, 3, device="cuda").cpu().shape == (0, 3)
    with raises(RuntimeError, "cuda:"):
        pynn.zeros(1, device=f"cuda:{pynn.cuda.device_count()}")


def test_printing():
    assert str(pynn.ones(2, device="cuda")) == "tensor([1., 1.], device='cuda:0')"
    assert repr(pynn.tensor(3, device="cuda")) == "tensor(3, device='cuda:0')"
    x = pynn.zeros(1, device="cuda", requires_grad=True)
    assert repr(x) == "tensor([0.], device='cuda:0', requires_grad=True)"
    assert repr(pynn.zeros(2, dtype=pynn.int32, device="cuda")) == (
        "tensor([0, 0], device='cuda:0', dtype=torch.int32)".replace("torch", str(pynn.int32).split(".")[0])
    )
    assert "device='cuda:0'" in repr(pynn.zeros(0, device="cuda"))
    assert repr(pynn.device("cuda", 0)) == "device(type='cuda', index=0)"


def test_scalars():
    x = pynn.tensor([1.5, 0.0], device="cuda")
    assert x[0].item() == 1.5 and float(x[0]) == 1.5 and bool(x[0]) and not x[1] and int(x[0]) == 1
    assert x.tolist() == [1.5, 0.0] and 1.5 in x
    x[0] = 2
    x[1] = pynn.tensor(3.0)  # a 0-d tensor of the host
    assert x.tolist() == [2.0, 3.0] and [v.item() for v in x] == [2.0, 3.0]
    assert (x * pynn.tensor(2.0)).tolist() == [4.0, 6.0]  # so in arithmetic


def test_numpy_wants_host_memory():
    x = pynn.ones(2, device="cuda")
    with raises(TypeError, "cuda:0", "cpu"):
        x.numpy()
    with raises(TypeError, "cuda:0"):
        np.asarray(x)
    assert x.numpy(force=True).tolist() == [1.0, 1.0]
    with raises((BufferError, TypeError, RuntimeError, ValueError), "."):
        np.from_dlpack(x)


def test_mixing_devices():
    x, y = pynn.ones(2, 3, device="cuda"), pynn.ones(2, 3)
    for call in (
        lambda: x + y,
        lambda: y * x,
        lambda: x @ y.t(),
        lambda: pynn.cat([x, y]),
        lambda: pynn.where(x > 0, x, y),
        lambda: x.add_(y),
        lambda: pynn.nn.functional.linear(y, x),
        lambda: pynn.nn.functional.mse_loss(x, y),
        lambda: x.gather(1, pynn.zeros(2, 3, dtype=pynn.int64)),
        lambda: pynn.nn.functional.embedding(pynn.tensor([0]), x),
    ):
        with raises(RuntimeError, "same device", "cuda:0", "cpu"):
            call()
    assert x.tolist() == [[1.0] * 3] * 2
    assert x.copy_(y * 2).tolist() == [[2.0] * 3] * 2  # copies go anywhere
    assert x[pynn.tensor([1])].shape == (1, 3)  # and indices come from the host


def test_pickle_and_copy():
    x = pynn.tensor(arr(3, 4), device="cuda").t()
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), x.clone()):
        assert y.device == x.device and y.data_ptr() != x.data_ptr()
        np.testing.assert_array_equal(to_numpy(y.cpu()), to_numpy(x.cpu()))


@pytest.mark.parametrize("where", [None, "cpu", "cuda", "cuda:0", {"cuda:0": "cpu"}])
def test_save_and_load(where):
    x = pynn.tensor(arr(3, 4), device="cuda")
    file = io.BytesIO()
    pynn.save({"x": x, "t": x.t(), "cpu": x.cpu()}, file)
    file.seek(0)
    found = pynn.load(file, map_location=where)
    expected = "cpu" if where in ("cpu", {"cuda:0": "cpu"}) else "cuda"
    assert found["x"].device.type == found["t"].device.type == expected
    assert found["cpu"].device.type == ("cuda" if where in ("cuda", "cuda:0") else "cpu")
    np.testing.assert_array_equal(to_numpy(found["t"].cpu()), to_numpy(x.cpu()).T)


def test_module_to_cuda():
    model = pynn.nn.Sequential(pynn.nn.Linear(4, 3), pynn.nn.BatchNorm1d(3), pynn.nn.Linear(3, 2))
    model[2].weight = pynn.nn.Parameter(model[2].weight.detach())
    assert model.to("cuda") is model
    assert all(t.device.type == "cuda" for t in (*model.parameters(), *model.buffers()))
    x = pynn.rand(5, 4, device="cuda")
    model(x).sum().backward()
    assert all(p.grad.device == p.device for p in model.parameters())
    state = model.state_dict()
    assert state["0.weight"].is_cuda
    fresh = pynn.nn.Sequential(pynn.nn.Linear(4, 3), pynn.nn.BatchNorm1d(3), pynn.nn.Linear(3, 2))
    fresh.load_state_dict(state)
    assert not fresh[0].weight.is_cuda
    model.eval(), fresh.eval()
    np.testing.assert_allclose(to_numpy(model(x).cpu()), to_numpy(fresh(x.cpu())), rtol=2e-5, atol=2e-5)
    assert not model.cpu()[0].weight.is_cuda and model.cuda()[0].weight.is_cuda


def test_pinned_memory():
    x = pynn.arange(1000.0)
    y = x.pin_memory()
    assert y.is_pinned() and not x.is_pinned() and y.tolist() == x.tolist() and y.device.type == "cpu"
    z = y.to("cuda", non_blocking=True)
    back = z.to("cpu", non_blocking=True)
    pynn.cuda.synchronize()
    assert back.tolist() == x.tolist()


def test_data_loader_pins():
    data = pynn.utils.data.TensorDataset(pynn.arange(10.0).view(5, 2), pynn.arange(5))
    loader = pynn.utils.data.DataLoader(data, batch_size=2, pin_memory=True)
    seen = []
    for x, y in loader:
        assert x.is_pinned() and y.is_pinned()
        seen += y.to("cuda", non_blocking=True).tolist()
    assert seen == [0, 1, 2, 3, 4]


def test_random_numbers():
    pynn.manual_seed(3)
    a = pynn.rand(1000, device="cuda")
    b = pynn.rand(1000, device="cuda")
    pynn.cuda.manual_seed(3)
    c = pynn.rand(1000, device="cuda")
    assert pynn.equal(a, c) and not pynn.equal(a, b)
    state = pynn.cuda.get_rng_state()
    d = pynn.randn(1000, device="cuda")
    pynn.cuda.set_rng_state(state)
    assert pynn.equal(d, pynn.randn(1000, device="cuda"))
    assert 0 <= float(a.min()) < float(a.max()) < 1 and abs(float(a.mean()) - 0.5) < 0.05
    generator = pynn.Generator(device="cuda")
    generator.manual_seed(5)
    e = pynn.rand(10, device="cuda", generator=generator)
    generator.manual_seed(5)
    assert pynn.equal(e, pynn.rand(10, device="cuda", generator=generator))
    assert sorted(pynn.randperm(50, device="cuda").tolist()) == list(range(50))
    n = pynn.randint(2, 7, (1000,), device="cuda")
    assert int(n.min()) == 2 and int(n.max()) == 6
    m = pynn.multinomial(pynn.tensor([0.0, 1.0, 3.0], device="cuda"), 2000, replacement=True)
    assert 0.65 < float((m == 2).float().mean()) < 0.85 and int(m.min()) == 1
    assert (
        0.4
        < float(pynn.nn.functional.dropout(pynn.ones(4000, device="cuda"), 0.5).eq(0).float().mean())
        < 0.6
    )
    x = pynn.empty(20000, device="cuda").normal_(2.0, 3.0)
    assert abs(float(x.mean()) - 2) < 0.15 and abs(float(x.std()) - 3) < 0.15


def test_pinned_from_the_start():
    """pin_memory=True of what makes tensors."""
    like = pynn.ones(2, 3)
    for x in (
        pynn.zeros(2, 3, pin_memory=True),
        pynn.empty((2, 3), pin_memory=True, dtype=pynn.float16),
        pynn.rand(4, pin_memory=True),
        pynn.arange(5, pin_memory=True),
        pynn.full_like(like, 2.0, pin_memory=True),
        pynn.tensor([1.0, 2.0], pin_memory=True),
        like.new_zeros(3, pin_memory=True),
        like.new_tensor([1], pin_memory=True),
        pynn.empty_strided((2, 3), (1, 2), pin_memory=True),
    ):
        assert x.is_pinned() and x.device.type == "cpu"
    assert not pynn.zeros(3, pin_memory=False).is_pinned() and not pynn.zeros(3).is_pinned()
    assert pynn.full((2,), 7.0, pin_memory=True).tolist() == [7, 7]
    w = pynn.ones(3, pin_memory=True, requires_grad=True)
    assert w.requires_grad and w.is_leaf and w.is_pinned()
    with raises(RuntimeError, "CPU"):
        pynn.zeros(3, device="cuda", pin_memory=True)
    with raises(TypeError, "pin_memory"):
        pynn.zeros(3, pin_memory="yes")
