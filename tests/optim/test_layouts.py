"""Parameters, gradients and states in any order of dims: the same steps as of contiguous ones."""

import numpy as np
import pytest
from helpers import same_bits

import pynn

STEPS = {
    "SGD": lambda p: pynn.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: pynn.optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: pynn.optim.AdamW(p, lr=0.1),
    "RMSprop": lambda p: pynn.optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    "Adagrad": lambda p: pynn.optim.Adagrad(p, lr=0.1),
    "NAdam": lambda p: pynn.optim.NAdam(p, lr=0.1),
}
LAYOUTS = {
    "channels last": lambda t: t.contiguous(memory_format=pynn.channels_last),
    "turned": lambda t: t.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
    "with gaps": lambda t: pynn.stack([t, t], -1)[..., 0],
    "every second channel": lambda t: pynn.cat([t, t], 1)[:, : t.shape[1]],
    "one pixel": lambda t: t[:, :, :1, :1].contiguous(memory_format=pynn.channels_last),
}


def stepped(make, values, gradients, of_parameter, of_gradient):
    p = of_parameter(pynn.tensor(values)).detach()
    p.requires_grad_()
    optimizer = make([p])
    for g in gradients:
        p.grad = of_gradient(pynn.tensor(g))
        optimizer.step()
    return p, optimizer


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("make", STEPS.values(), ids=STEPS)
def test_steps_in_any_layout(make, layout):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((5, 6, 3, 4)).astype(np.float32)
    gradients = [rng.standard_normal(values.shape).astype(np.float32) for _ in range(3)]

    def plain(t):
        return layout(t).contiguous()

    want, plain_state = stepped(make, values, gradients, plain, plain)
    for of_gradient in (plain, layout):
        got, state = stepped(make, values, gradients, layout, of_gradient)
        assert got.stride() == layout(pynn.tensor(values)).stride()
        assert same_bits(got.detach().contiguous(), want.detach())
        for name, s in state.state[got].items():
            other = plain_state.state[want][name]
            if isinstance(s, pynn.Tensor) and s.dim():
                assert same_bits(s.contiguous(), other), name
