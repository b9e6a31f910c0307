"""pynn.vision.models and ops: shapes, gradients, keys and numbers of parameters as in the papers and in torchvision."""

import numpy as np
import pytest

import pynn
from pynn import nn
from pynn.vision import models, ops


@pytest.mark.parametrize(
    ("name", "parameters", "some_keys", "size"),
    [
        ("alexnet", 61_100_840, ["features.10.weight", "classifier.6.bias"], 64),
        ("vgg11", 132_863_336, ["features.18.bias", "classifier.0.weight"], 32),
        ("vgg16_bn", 138_365_992, ["features.41.running_mean", "classifier.3.weight"], None),
        ("resnet18", 11_689_512, ["layer2.0.downsample.1.num_batches_tracked", "fc.bias"], 32),
        ("resnet34", 21_797_672, ["layer3.5.bn2.weight"], None),
        ("resnet50", 25_557_032, ["layer4.2.conv3.weight", "layer1.0.downsample.0.weight"], 32),
        ("resnext50_32x4d", 25_028_904, ["layer1.0.conv2.weight"], None),
        ("wide_resnet50_2", 68_883_240, ["layer1.0.conv2.weight"], None),
        ("squeezenet1_0", 1_248_424, ["features.12.expand3x3.bias", "classifier.1.weight"], 32),
        ("squeezenet1_1", 1_235_496, ["features.12.squeeze.bias"], 32),
        (
            "densenet121",
            7_978_856,
            ["features.denseblock3.denselayer24.norm2.weight", "features.transition1.conv.weight"],
            32,
        ),
        ("mobilenet_v2", 3_504_872, ["features.17.conv.1.1.running_var", "features.18.0.weight"], 32),
        ("mobilenet_v3_large", 5_483_032, ["features.15.block.2.fc1.bias", "classifier.3.weight"], 32),
        ("mobilenet_v3_small", 2_542_856, ["features.1.block.0.0.weight", "features.12.1.running_var"], None),
        ("efficientnet_b0", 5_288_548, ["features.7.0.block.2.fc2.weight", "classifier.1.bias"], 32),
        ("efficientnet_b5", 30_389_784, ["features.8.0.weight"], None),
        ("efficientnet_v2_s", 21_458_488, ["features.1.1.block.0.0.weight"], None),
        ("vit_b_32", 88_224_232, ["class_token", "encoder.layers.encoder_layer_11.mlp.3.bias"], None),
    ],
)
def test_models(name, parameters, some_keys, size):
    pynn.manual_seed(0)
    model = getattr(models, name)()
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert set(some_keys) <= set(model.state_dict())
    if size is None:
        return
    model.train()
    out = model(pynn.randn(2, 3, size, size))
    assert out.shape == (2, 1000)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_vision_transformer():
    pynn.manual_seed(0)
    net = models.VisionTransformer(16, 4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=3)
    keys = list(net.state_dict())
    assert keys[:2] == ["class_token", "conv_proj.weight"] and keys[-1] == "heads.head.bias"
    x = pynn.randn(2, 3, 16, 16)
    assert net(x).abs().sum() == 0  # the head begins at zero
    nn.init.normal_(net.heads.head.weight)
    net(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    swapped = x.roll(4, 3)  # the same patches at other places: told apart by the embedding of places
    assert (net(x) - net(swapped)).abs().max() > 1e-4
    with pytest.raises(ValueError, match="16x16 required, got 16x20"):
        net(pynn.randn(2, 3, 16, 20))
    with pytest.raises(ValueError, match="multiple of patch_size, got 15 and 4"):
        models.VisionTransformer(15, 4, 1, 1, 8, 8)
    assert (
        "heads.pre_logits.weight"
        in models.VisionTransformer(8, 4, 1, 1, 8, 8, representation_size=4).state_dict()
    )


def test_lenet_and_unet():
    pynn.manual_seed(0)
    assert models.LeNet()(pynn.randn(2, 1, 28, 28)).shape == (2, 10)
    assert sum(p.numel() for p in models.LeNet().parameters()) == 61_706
    net = models.UNet(1, 3, width=4, depth=2)
    out = net(pynn.randn(2, 1, 13, 18))  # sizes that do not halve evenly
    assert out.shape == (2, 3, 13, 18)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert sum(p.numel() for p in models.UNet().parameters()) == 31_037_698
    with pytest.raises(ValueError, match="4 pixels or more required, got \\(3, 8\\)"):
        net(pynn.randn(1, 1, 3, 8))


def test_arguments_of_models():
    net = models.resnet50(
        num_classes=3, replace_stride_with_dilation=[False, True, True], zero_init_residual=True
    )
    assert net.layer3(net.layer2(pynn.randn(1, 256, 8, 8))).shape == (1, 1024, 4, 4)  # halved once, not twice
    assert net.layer1[0].bn3.weight.abs().sum() == 0 and net.layer1[0].bn2.weight.sum() == 64
    net = models.ResNet(models.BasicBlock, [1, 1, 1, 1], norm_layer=lambda n: nn.GroupNorm(4, n))
    assert net(pynn.randn(1, 3, 32, 32)).shape == (1, 1000)
    plain, careful = (
        models.DenseNet(4, (2, 2), 8, num_classes=3, memory_efficient=m).double() for m in (False, True)
    )
    careful.load_state_dict(plain.state_dict())
    x = pynn.randn(2, 3, 32, 32, dtype=pynn.float64)
    for net in (plain, careful):
        net(x.clone().requires_grad_()).sum().backward()
    for a, b in zip(plain.parameters(), careful.parameters(), strict=True):
        assert pynn.allclose(a.grad, b.grad)
    for call in (
        lambda: models.SqueezeNet("2_0"),
        lambda: models.ResNet(models.BasicBlock, [1, 1, 1, 1], groups=2),
        lambda: models.ResNet(models.BasicBlock, [1, 1, 1, 1], replace_stride_with_dilation=[True]),
    ):
        with pytest.raises(ValueError):
            call()


def boxes(n, seed=0):
    r = np.random.default_rng(seed)
    low = r.uniform(0, 50, (n, 2))
    return np.concatenate([low, low + r.uniform(1, 40, (n, 2))], 1)


def test_box_overlap():
    a, b = boxes(6), boxes(4, 1)
    iou, giou = np.empty((6, 4)), np.empty((6, 4))
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            sides = np.clip(np.minimum(p[2:], q[2:]) - np.maximum(p[:2], q[:2]), 0, None)
            both, union = sides.prod(), np.prod(p[2:] - p[:2]) + np.prod(q[2:] - q[:2]) - sides.prod()
            hull = np.prod(np.maximum(p[2:], q[2:]) - np.minimum(p[:2], q[:2]))
            iou[i, j], giou[i, j] = both / union, both / union - (hull - union) / hull
    x, y = pynn.from_numpy(a), pynn.from_numpy(b)
    np.testing.assert_allclose(ops.box_iou(x, y).numpy(), iou)
    np.testing.assert_allclose(ops.generalized_box_iou(x, y).numpy(), giou)
    assert (
        ops.box_iou(pynn.tensor([[0, 0, 200, 200]], dtype=pynn.uint8), pynn.tensor([[0, 0, 200, 100]])) == 0.5
    )


def test_box_formats():
    x = pynn.from_numpy(boxes(5))
    for fmt, first in (("xywh", x[:, :2]), ("cxcywh", (x[:, :2] + x[:, 2:]) / 2)):
        y = ops.box_convert(x, "xyxy", fmt)
        assert pynn.equal(y[:, :2], first) and pynn.allclose(y[:, 2:], x[:, 2:] - x[:, :2])
        assert pynn.allclose(ops.box_convert(y, fmt, "xyxy"), x)
    assert ops.box_convert(x, "xyxy", "xyxy") is not x
    with pytest.raises(ValueError):
        ops.box_convert(x, "xyxy", "yx")
    clipped = ops.clip_boxes_to_image(x, (30, 40))
    assert clipped[:, 0::2].max() <= 40 and clipped[:, 1::2].max() <= 30
    sides = (x[:, 2:] - x[:, :2]).min(1).values
    assert ops.remove_small_boxes(x, 10.0).tolist() == (sides >= 10).nonzero()[:, 0].tolist()


def test_nms():
    x = pynn.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 10, 10.0]])
    scores = pynn.tensor([0.5, 0.9, 0.1, 0.7])
    assert ops.nms(x, scores, 0.5).tolist() == [1, 2]
    assert ops.nms(x, scores, 0.95).tolist() == [1, 3, 2]
    assert ops.batched_nms(x, scores, pynn.tensor([0, 0, 0, 1]), 0.5).tolist() == [1, 3, 2]
    assert ops.nms(x[:0], scores[:0], 0.5).shape == (0,)
    with pytest.raises(ValueError):
        ops.nms(x[0], scores, 0.5)


def test_layers():
    pynn.manual_seed(0)
    x = pynn.randn(2, 4, 6, 6)
    plain, frozen = nn.BatchNorm2d(4), ops.FrozenBatchNorm2d(4)
    plain(x)
    frozen.load_state_dict(plain.state_dict())
    assert pynn.allclose(frozen(x), plain.eval()(x), atol=1e-6) and not list(frozen.parameters())
    gate = ops.SqueezeExcitation(4, 2)
    assert gate(x).shape == x.shape and (gate(x).abs() <= x.abs()).all()
    block = ops.Conv2dNormActivation(4, 8, kernel_size=(3, 5), dilation=2)
    assert block(x).shape == (2, 8, 6, 6) and block[0].bias is None and block.out_channels == 8
    assert ops.Conv2dNormActivation(4, 8, norm_layer=None, activation_layer=None)[0].bias is not None
    assert ops.Conv3dNormActivation(4, 8)(pynn.randn(1, 4, 3, 3, 3)).shape == (1, 8, 3, 3, 3)
    assert ops.MLP(3, [5, 2], norm_layer=nn.LayerNorm)(pynn.randn(7, 3)).shape == (7, 2)
    assert ops.Permute([0, 2, 3, 1])(x).shape == (2, 6, 6, 4)


def test_stochastic_depth():
    pynn.manual_seed(0)
    x = pynn.ones(1000, 3)
    rows = ops.StochasticDepth(0.25, "row")(x)
    assert set(rows.flatten().tolist()) == {0.0, pynn.tensor(1 / 0.75).item()}
    assert pynn.equal(rows[:, 0], rows[:, 2]) and abs(rows.mean().item() - 1) < 0.1
    assert ops.StochasticDepth(0.25, "row").eval()(x) is x
    assert ops.stochastic_depth(x, 1.0, "batch").sum() == 0
    for p, mode in ((1.5, "row"), (0.5, "column")):
        with pytest.raises(ValueError):
            ops.stochastic_depth(x, p, mode)
