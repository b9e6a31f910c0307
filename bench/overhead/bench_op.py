"""Ops on tiny tensors: the cost of a call, without and with autograd recording it."""

from bench.registry import bench

GRAD = ("nograd", "grad")


def tensor(fw, grad, *shape):
    return fw.ones(*shape, requires_grad=grad == "grad")


@bench(params=GRAD, ratio=0.3, variants={"numpy": lambda np, grad: numpy_add(np)})
def add(fw, grad):
    a, b = tensor(fw, grad, 1), fw.ones(1)
    return lambda: a + b


def numpy_add(np):
    a, b = np.ones(1, np.float32), np.ones(1, np.float32)
    return lambda: a + b


@bench(params=GRAD, ratio=0.3)
def add_number(fw, grad):
    a = tensor(fw, grad, 1)
    return lambda: a + 2.0


@bench(params=GRAD, ratio=0.3)
def mul(fw, grad):
    a, b = tensor(fw, grad, 1), fw.ones(1)
    return lambda: a * b


@bench(ratio=0.3)
def add_in_place(fw):
    a, b = fw.zeros(1), fw.zeros(1)
    return lambda: a.add_(b)


@bench(params=GRAD, ratio=0.3)
def relu(fw, grad):
    a, f = tensor(fw, grad, 1), fw.relu
    return lambda: f(a)


@bench(params=GRAD, ratio=0.3)
def sum(fw, grad):
    a = tensor(fw, grad, 16)
    return lambda: a.sum()


@bench(params=GRAD, ratio=0.3)
def sum_dim_keepdim(fw, grad):
    a = tensor(fw, grad, 4, 4)
    return lambda: a.sum(dim=1, keepdim=True)


@bench(params=GRAD, ratio=0.3)
def view(fw, grad):
    a = tensor(fw, grad, 2, 8)
    return lambda: a.view(4, 4)


@bench(params=GRAD, ratio=0.3)
def reshape(fw, grad):
    a = tensor(fw, grad, 2, 8)
    return lambda: a.reshape(-1)


@bench(params=GRAD, ratio=0.3)
def index(fw, grad):
    a = tensor(fw, grad, 4, 4)
    return lambda: a[0]


@bench(ratio=0.3)
def item(fw):
    a = fw.ones(1)
    return lambda: a.item()


@bench(ratio=0.3)
def zeros(fw):
    f = fw.zeros
    return lambda: f(4)


@bench(ratio=0.3)
def tensor_of_list(fw):
    f = fw.tensor
    return lambda: f([1.0, 2.0, 3.0, 4.0])


@bench(ratio=0.3)
def cat(fw):
    pair, f = [fw.ones(4), fw.ones(4)], fw.cat
    return lambda: f(pair)


@bench(params=GRAD, ratio=0.3)
def matmul_4x4(fw, grad):
    a, b = tensor(fw, grad, 4, 4), fw.ones(4, 4)
    return lambda: a @ b


@bench(params=GRAD, ratio=0.3)
def softmax(fw, grad):
    a, f = tensor(fw, grad, 4, 4), fw.softmax
    return lambda: f(a, dim=1)


@bench(ratio=0.3)
def no_grad_block(fw):
    no_grad = fw.no_grad

    def call():
        with no_grad():
            pass

    return call
