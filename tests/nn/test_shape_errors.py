"""Inputs that do not fit a layer deep in a model: the op, what was required, what came, and the path of the layer."""

import sys

import pytest

import pynn
from pynn import nn

F = nn.functional
r = pynn.randn


def i(*values):
    return pynn.tensor(values)


class Block(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layers = nn.ModuleList([nn.Identity(), layer])

    def forward(self, *args):
        return self.layers[1](*args)


class Model(nn.Module):
    """The layer is `encoder.1.layers.1`."""

    def __init__(self, layer):
        super().__init__()
        self.encoder = nn.Sequential(nn.Identity(), Block(layer))

    def forward(self, *args):
        return self.encoder[1](*args)


def mask(*shape):
    return pynn.zeros(*shape, dtype=pynn.bool)


# A layer, what it is called with, a pattern of the message, where in the layer it is raised.
CASES = {
    "Linear": (lambda: nn.Linear(4, 5), (r(2, 3),), r"linear: .*\(2, 3\).*3 != 4"),
    "Bilinear": (
        lambda: nn.Bilinear(4, 5, 6),
        (r(2, 4), r(2, 4)),
        r"bilinear: .*4 and 5 features.*got \(2, 4\)",
    ),
    "Conv1d kernel": (
        lambda: nn.Conv1d(3, 4, 5),
        (r(2, 3, 4),),
        r"conv1d: the kernel must fit .*\(2, 3, 4\)",
    ),
    "Conv2d kernel": (
        lambda: nn.Conv2d(3, 4, 9),
        (r(2, 3, 8, 8),),
        r"conv2d: the kernel must fit .*\(9, 9\)",
    ),
    "Conv2d channels": (
        lambda: nn.Conv2d(3, 4, 3),
        (r(2, 4, 8, 8),),
        r"conv2d: .*to have 3 channels, but got 4",
    ),
    "Conv2d dims": (lambda: nn.Conv2d(3, 4, 3), (r(2, 3),), r"conv2d: expected 3D .*\(2, 3\)"),
    "Conv2d groups": (
        lambda: nn.Conv2d(4, 4, 3, groups=2),
        (r(2, 6, 8, 8),),
        r"conv2d: .*groups=2.*but got 6",
    ),
    "Conv3d channels": (
        lambda: nn.Conv3d(3, 4, 3),
        (r(1, 2, 8, 8, 8),),
        r"conv3d: .*to have 3 channels, but got 2",
    ),
    "ConvTranspose2d": (
        lambda: nn.ConvTranspose2d(3, 4, 3),
        (r(2, 4, 8, 8),),
        r"conv_transpose2d: .*3 channels",
    ),
    "MaxPool2d": (lambda: nn.MaxPool2d(9), (r(2, 5, 3, 3),), r"max_pool2d: the windows must fit .*\(9, 9\)"),
    "AvgPool2d": (lambda: nn.AvgPool2d(9), (r(2, 5, 3, 3),), r"avg_pool2d: the windows must fit .*\(9, 9\)"),
    "AdaptiveAvgPool2d": (
        lambda: nn.AdaptiveAvgPool2d(2),
        (r(5),),
        r"adaptive_avg_pool2d: .*3D or 4D.*\(5,\)",
    ),
    "BatchNorm1d": (
        lambda: nn.BatchNorm1d(3),
        (r(2, 4),),
        r"batch_norm: .*contain 4 elements, got shape \(3,\)",
    ),
    "BatchNorm2d": (
        lambda: nn.BatchNorm2d(3),
        (r(2, 3),),
        r"BatchNorm2d: expected 4D input \(got 2D input\)",
    ),
    "LayerNorm": (lambda: nn.LayerNorm(3), (r(2, 4),), r"layer_norm: .*\(3,\).*\(2, 4\)"),
    "RMSNorm": (lambda: nn.RMSNorm(3), (r(2, 4),), r"rms_norm: .*\(3,\).*\(2, 4\)"),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (r(2, 5, 3),), r"group_norm: .*divisible.*\(2, 5, 3\).*=2"),
    "InstanceNorm2d": (
        lambda: nn.InstanceNorm2d(3, affine=True),
        (r(2, 4, 2, 2),),
        r"InstanceNorm2d: .*\(3\).* 4",
    ),
    "RNN": (lambda: nn.RNN(3, 4), (r(5, 2, 4),), r"RNN: .*Expected 3, got 4"),
    "RNN hidden": (
        lambda: nn.RNN(3, 4),
        (r(5, 2, 3), r(1, 2, 5)),
        r"RNN: .*size \(1, 2, 4\), got \[1, 2, 5\]",
    ),
    "LSTM": (lambda: nn.LSTM(3, 4), (r(5, 2, 4),), r"LSTM: .*Expected 3, got 4"),
    "LSTM cell": (
        lambda: nn.LSTM(3, 4),
        (r(5, 2, 3), (r(1, 2, 4), r(1, 3, 4))),
        r"LSTM: .*\[1\] size \(1, 2, 4\), got \[1, 3, 4\]",
    ),
    "LSTM dims": (
        lambda: nn.LSTM(3, 4),
        (r(5, 2, 3), (r(1, 4), r(1, 4))),
        r"LSTM: .*should also be 3-D but got",
    ),
    "GRU layers": (
        lambda: nn.GRU(3, 4, 2),
        (r(5, 2, 3), r(1, 2, 4)),
        r"GRU: .*size \(2, 2, 4\), got \[1, 2, 4\]",
    ),
    "LSTMCell": (lambda: nn.LSTMCell(3, 4), (r(2, 3), (r(2, 5), r(2, 4))), r"lstm_cell: .*got 5, expected 4"),
    "GRUCell": (lambda: nn.GRUCell(3, 4), (r(2, 3), r(3, 4)), r"gru_cell: .*batch size 2 .* 3"),
    "Embedding": (lambda: nn.Embedding(5, 4), (i(1, 7),), r"embedding: index out of range.*got 7 for 5 rows"),
    "Embedding dtype": (lambda: nn.Embedding(5, 4), (r(3),), r"embedding: .*got float32"),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(5, 4), (i(1, 2),), r"embedding_bag: offsets .*got None"),
    "PReLU": (lambda: nn.PReLU(3), (r(2, 5, 3),), r"prelu: .*5 channels, got shape \(3,\)"),
    "CrossEntropyLoss": (lambda: nn.CrossEntropyLoss(), (r(3, 4), i(1, 2)), r"cross_entropy: .*\(3\).*\(2\)"),
    "CrossEntropyLoss class": (
        lambda: nn.CrossEntropyLoss(),
        (r(2, 4), i(1, 9)),
        r"cross_entropy: Target 9 .*for 4",
    ),
    "NLLLoss": (lambda: nn.NLLLoss(), (r(3, 4), i(1, 2)), r"nll_loss: .*\(3\).*\(2\)"),
    "BCELoss": (
        lambda: nn.BCELoss(),
        (r(3, 4).sigmoid(), r(3, 5)),
        r"binary_cross_entropy: .*\(3, 5\).*\(3, 4\)",
    ),
    "KLDivLoss": (lambda: nn.KLDivLoss(reduction="sum"), (r(3, 4), r(3, 5)), r"mul: .*\(3, 5\) and \(3, 4\)"),
    "GaussianNLLLoss": (
        lambda: nn.GaussianNLLLoss(),
        (r(3, 4), r(3, 4), r(3, 2).abs()),
        r"gaussian_nll_loss: .*got",
    ),
    "CTCLoss": (
        lambda: nn.CTCLoss(),
        (r(5, 2, 4), i(1, 1, 1, 1).view(2, 2), i(5, 5, 5), i(2, 2)),
        r"ctc_loss: input_lengths .*got \(3,\) for 2",
    ),
}
ATTENTION = {
    "features": ((r(5, 2, 6),) * 3, r"embedding dimension of 8, but got 6"),
    "values": (
        (r(5, 2, 8), r(6, 2, 8), r(7, 2, 8)),
        r"key shape .*6, 2, 8.* does not match value shape .*7, 2, 8",
    ),
    "mask": ((*[r(5, 2, 8)] * 3, None, True, mask(4, 5)), r"2D attn_mask is .*4, 5.*should be \(5, 5\)"),
    "masks": (
        (*[r(5, 2, 8)] * 3, None, True, mask(3, 5, 5)),
        r"3D attn_mask is .*3, 5, 5.*should be \(4, 5, 5\)",
    ),
    "padding": ((*[r(5, 2, 8)] * 3, mask(2, 4)), r"shape\[1\] to be 5, but got 4"),
}
CASES |= {
    f"MultiheadAttention {name}": (
        lambda: nn.MultiheadAttention(8, 2),
        args,
        f"multi_head_attention_forward: .*{words}",
    )
    for name, (args, words) in ATTENTION.items()
}


def encoder():
    return nn.TransformerEncoderLayer(8, 2, 16)


DEEPER = {
    "encoder layer": (encoder, (r(5, 2, 6),), "self_attn"),
    "encoder layer's mask": (encoder, (r(5, 2, 8), mask(4, 4)), "self_attn"),
    "encoder layer's padding": (lambda: encoder().eval(), (r(5, 2, 8), None, mask(2, 4)), "self_attn"),
    "encoder": (lambda: nn.TransformerEncoder(encoder(), 2), (r(5, 2, 6),), "layers.0.self_attn"),
    "decoder layer's memory": (
        lambda: nn.TransformerDecoderLayer(8, 2, 16),
        (r(5, 2, 8), r(5, 2, 6)),
        "multihead_attn",
    ),
    "decoder's mask": (
        lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2),
        (r(5, 2, 8), r(5, 2, 8), mask(3, 3)),
        "layers.0.self_attn",
    ),
    "transformer": (lambda: nn.Transformer(8, 2, 1, 1, 16), (r(5, 2, 8), r(5, 3, 8)), ""),
    "sequential": (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(5, 2)), (r(2, 3),), "2"),
}


def check(make, args, where, words):
    with pytest.raises((RuntimeError, ValueError, IndexError, AssertionError), match=words) as caught:
        Model(make())(*args)
    if sys.version_info >= (3, 11):  # before, errors have no notes
        path = ".".join(filter(None, ["encoder.1.layers.1", where]))
        assert caught.value.__notes__ == [f"raised in submodule {path} of Model"]


@pytest.mark.parametrize("name", CASES)
def test_of_layers(name):
    make, args, words = CASES[name]
    check(make, args, "", "^" + words)


@pytest.mark.parametrize("name", DEEPER)
def test_of_layers_made_of_others(name):
    make, args, where = DEEPER[name]
    check(make, args, where, r"^\w+: .*")


@pytest.mark.parametrize(
    "make,words",
    [
        (
            lambda: nn.Conv2d(3, 4, 3, groups=2),
            "^Conv2d: in_channels must be divisible by groups, got 3 and 2",
        ),
        (lambda: nn.GroupNorm(2, 5), r"^GroupNorm: num_channels \(5\) must be divisible by num_groups \(2\)"),
        (lambda: nn.MultiheadAttention(9, 2), "^MultiheadAttention: .*divisible by num_heads, got 9 and 2"),
        (lambda: F.conv2d(r(1, 3, 4, 4), r(4, 1, 3, 3), groups=2), "^conv2d: Given groups=2.*3 channels"),
    ],
)
def test_of_constructors(make, words):
    with pytest.raises((ValueError, AssertionError, RuntimeError), match=words):
        make()
