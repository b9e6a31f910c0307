"""Trained weights of the models: their names, and files as they lie in the hub's folder after a download."""

import os

import numpy as np
import pytest
from helpers import raises

import pynn
from pynn.vision import models
from pynn.vision.models import ResNet18_Weights, get_model_weights


@pytest.fixture
def downloaded(tmp_path, monkeypatch):
    """Puts a state dict where the hub keeps the file of some weights; nothing else can be had."""

    def no_network(url, *args, **kwargs):
        raise OSError(f"no network for {url}")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(pynn.hub, "download_url_to_file", no_network)

    def put(weights, state):
        folder = tmp_path / "hub" / "checkpoints"
        folder.mkdir(parents=True, exist_ok=True)
        pynn.save(state, folder / os.path.basename(weights.url))

    return put


def test_names():
    assert "resnet50" in models.list_models() and models.list_models() == sorted(models.list_models())
    assert models.list_models(models, include="vgg1[36]*", exclude=["*_bn"]) == ["vgg13", "vgg16"]
    assert models.list_models(pynn.vision) == []
    assert get_model_weights("resnet18") is get_model_weights(models.resnet18) is ResNet18_Weights
    assert models.get_weight("ResNet18_Weights.DEFAULT") is ResNet18_Weights.IMAGENET1K_V1
    assert isinstance(models.get_model("SqueezeNet1_1", num_classes=3), models.SqueezeNet)
    assert ResNet18_Weights.verify("IMAGENET1K_V1") is ResNet18_Weights.DEFAULT
    assert ResNet18_Weights.verify("ResNet18_Weights.DEFAULT") is ResNet18_Weights.DEFAULT
    assert ResNet18_Weights.verify(None) is None
    assert repr(models.ResNet50_Weights.DEFAULT) == "ResNet50_Weights.IMAGENET1K_V2"
    for call, error, words in (
        (lambda: models.get_model("resnet19"), ValueError, "resnet19"),
        (lambda: models.get_weight("ResNet18_Weights"), ValueError, "ResNet50_Weights.DEFAULT"),
        (lambda: models.get_weight("ResNet19_Weights.DEFAULT"), ValueError, "ResNet19"),
        (lambda: get_model_weights(len), ValueError, "len"),
        (lambda: models.resnet18(weights="IMAGENET1K_V9"), KeyError, "V9"),
        (lambda: models.resnet18(weights=models.VGG11_Weights.DEFAULT), TypeError, "ResNet18_Weights"),
    ):
        with raises(error, words):
            call()


@pytest.mark.parametrize("name", models.list_models())
def test_every_file_is_named(name):
    weights = get_model_weights(name)
    assert weights.DEFAULT.name in weights.__members__
    for w in weights:
        assert w.url.startswith("https://") and w.url.endswith(".pth")
        assert len(w.meta["categories"] or range(1000)) == 1000
        crop = w.transforms().crop_size[0]
        assert crop <= w.transforms().resize_size[0] and w.meta["min_size"] == (crop, crop)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "efficientnet_b0"])
def test_numbers_of_parameters(name):
    model = models.get_model(name)
    assert sum(p.numel() for p in model.parameters()) == get_model_weights(name).DEFAULT.meta["num_params"]


def test_weights_are_loaded(downloaded):
    pynn.manual_seed(3)
    trained = models.squeezenet1_1().state_dict()
    downloaded(models.SqueezeNet1_1_Weights.DEFAULT, trained)
    for chosen in ("DEFAULT", models.SqueezeNet1_1_Weights.IMAGENET1K_V1):
        state = models.squeezenet1_1(weights=chosen).state_dict()
        assert all(pynn.equal(state[key], trained[key]) for key in trained)
    for call in (
        lambda: models.squeezenet1_1(pretrained=True),
        lambda: models.squeezenet1_1(True),
    ):
        with pytest.warns(UserWarning, match="deprecated"):
            assert pynn.equal(call().state_dict()["features.0.weight"], trained["features.0.weight"])
    with pytest.warns(UserWarning, match="deprecated"):
        models.squeezenet1_1(pretrained=False)
    with raises(ValueError, "num_classes=1000"):
        models.squeezenet1_1(weights="DEFAULT", num_classes=10)
    with raises(OSError, "no network"):
        models.squeezenet1_0(weights="DEFAULT")


def test_old_names_of_densenet(downloaded):
    trained = models.densenet121().state_dict()
    old = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in key else key: t
        for key, t in trained.items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    downloaded(models.DenseNet121_Weights.DEFAULT, old)
    state = models.densenet121(weights="DEFAULT").state_dict()
    assert all(pynn.equal(state[key], trained[key]) for key in trained)


def test_pictures_are_prepared():
    pytest.importorskip("PIL")
    from PIL import Image

    pixels = np.full((300, 400, 3), 255, np.uint8)
    pixels[:, :200] = 0
    prepare = ResNet18_Weights.DEFAULT.transforms()
    x = prepare(Image.fromarray(pixels))
    assert x.shape == (3, 224, 224) and x.dtype == pynn.float32
    low, high = (
        [-m / s for m, s in zip(prepare.mean, prepare.std)],
        [(1 - m) / s for m, s in zip(prepare.mean, prepare.std)],
    )
    np.testing.assert_allclose(x[:, 100, 0].numpy(), low, rtol=1e-5)
    np.testing.assert_allclose(x[:, 100, -1].numpy(), high, rtol=1e-5)
    batch = prepare(pynn.from_numpy(pixels.transpose(2, 0, 1).copy())[None])
    assert batch.shape == (1, 3, 224, 224)
    np.testing.assert_allclose(batch[0].numpy(), x.numpy(), atol=0.03)
    assert "crop_size=[224]" in repr(prepare)
