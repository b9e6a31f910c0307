"""A chain of 200 ops on one number, forward and backward: the cost of a node."""

from bench.registry import bench


@bench(ratio=0.3)
def forward_backward_200(fw):
    x = fw.tensor(0.5, requires_grad=True)
    a, b = fw.tensor(1.01), fw.tensor(0.001)

    def call():
        y = x
        for _ in range(100):
            y = y * a + b
        y.backward()
        x.grad = None

    return call


@bench(ratio=0.3)
def forward_200(fw):
    x = fw.tensor(0.5)
    a, b = fw.tensor(1.01), fw.tensor(0.001)

    def call():
        y = x
        for _ in range(100):
            y = y * a + b

    return call
