"""torch.library.custom_op and torch.ops."""

import pytest

import pynn
import pynn.library as library


@pytest.fixture(autouse=True)
def forget():
    yield
    vars(pynn.ops).pop("toys", None)


def test_an_op_and_its_derivative():
    @library.custom_op("toys::scaled_sin", mutates_args=())
    def scaled_sin(x: pynn.Tensor, scale: float = 2.0) -> pynn.Tensor:
        """The doc."""
        return x.sin() * scale

    x = pynn.tensor([0.5, 1.0], dtype=pynn.float64, requires_grad=True)
    assert not scaled_sin(x).requires_grad  # autograd does not look into it

    def setup(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.scale = inputs[1]

    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * x.cos() * ctx.scale, None

    library.register_autograd("toys::scaled_sin", backward, setup_context=setup)
    assert pynn.allclose(pynn.ops.toys.scaled_sin(x, scale=3.0), 3 * x.sin())
    assert pynn.autograd.gradcheck(pynn.ops.toys.scaled_sin.default, (x,))
    assert scaled_sin.__doc__ == "The doc." and "toys::scaled_sin" in repr(scaled_sin)


def test_registrations():
    double = library.custom_op("toys::double", lambda x: x * 2, mutates_args=())
    assert library.register_fake("toys::double", len) is len and double.register_fake(abs) is abs

    @library.register_fake(double)
    def fake(x):
        raise AssertionError("is not called")

    @library.register_kernel("toys::double", "cuda")
    def elsewhere(x):
        raise AssertionError("is not called")

    assert double(pynn.ones(2)).tolist() == [2.0, 2.0]
    double.register_kernel("cpu", lambda x: x * 20)
    assert double(pynn.ones(2)).tolist() == [20.0, 20.0]


def test_errors():
    for name in ("double", "a::", "::b", "a b::c"):
        with pytest.raises(ValueError):
            library.custom_op(name, abs, mutates_args=())
    with pytest.raises(RuntimeError):
        library.register_fake("toys::nothing", abs)
