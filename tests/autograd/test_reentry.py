"""backward within a backward over the same graph: a node may run while it runs."""

import numpy as np
import pytest

import pynn

EXPECTED = [np.exp(1.0) * 2, np.exp(2.0) * 3]  # d(x e^x)/dx at 1 and 2


def gradient(z, x, keep=True):
    return pynn.autograd.grad(z, x, retain_graph=keep)[0].numpy()


@pytest.mark.parametrize("inplace", [False, True])
def test_custom_function(inplace):
    depth, z = [0], []

    class Exp(pynn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp_() if inplace else x.exp()
            if inplace:
                ctx.mark_dirty(x)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            depth[0] += 1
            if depth[0] < 4:
                np.testing.assert_allclose(gradient(z[0], x), EXPECTED, rtol=1e-6)
            return g * ctx.saved_tensors[0]

    x = pynn.tensor([1.0, 2.0], requires_grad=True)
    copy = x * 1
    # In place: on a view, so that the Function's node runs inside that of its base.
    y = (Exp.apply(copy[:]), copy)[1] if inplace else Exp.apply(copy)
    z.append((y * x).sum())
    z[0].backward(retain_graph=True)
    np.testing.assert_allclose(x.grad.numpy(), EXPECTED, rtol=1e-6)
    assert depth[0] == 4


@pytest.mark.parametrize("keep", [True, False])
def test_unpack_hook(keep):
    """Frees the saved tensors inside, too: the outer run still reads them."""
    depth, z = [0], []

    def unpack(value):
        depth[0] += 1
        if depth[0] == 1:
            np.testing.assert_allclose(gradient(z[0], x, keep), EXPECTED, rtol=1e-6)
        return value

    x = pynn.tensor([1.0, 2.0], requires_grad=True)
    with pynn.autograd.graph.saved_tensors_hooks(lambda t: t.detach(), unpack):
        z.append((x.exp() * x).sum())
    if keep:
        z[0].backward()
        np.testing.assert_allclose(x.grad.numpy(), EXPECTED, rtol=1e-6)
    else:
        with pytest.raises(
            RuntimeError, match="second time"
        ):  # exp's node, which the inner pass was through with
            z[0].backward()


def test_post_accumulate_hook():
    x = pynn.tensor([1.0, 2.0], requires_grad=True)
    depth = [0]

    def hook(leaf):
        depth[0] += 1
        if depth[0] < 4:
            with pynn.enable_grad():
                (leaf * 2).sum().backward()

    x.register_post_accumulate_grad_hook(hook)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2 + 6, 4 + 6] and depth[0] == 4
