"""Trained weights by torchvision's names, which are downloaded when first used and kept in torch.hub's folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from pynn import Tensor, hub, nn
from pynn.vision.transforms import InterpolationMode as InterpolationMode
from pynn.vision.transforms._presets import ImageClassification

__all__ = [
    "Weights",
    "WeightsEnum",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "list_models",
]

_BUILDERS: dict[str, Builder[Any]] = {}
_WEIGHTS: dict[str, type[WeightsEnum]] = {}


@dataclass
class Weights:
    """A file of trained weights.

    Args:
        url: where it is
        transforms: makes what a picture must go through before the model sees it
        meta: "categories" (the classes' names), "num_params", "_metrics"
    """

    url: str
    transforms: Callable[..., nn.Module] = field(compare=False)
    meta: dict[str, Any] = field(compare=False)


class WeightsEnum(Enum):
    """The weights that there are for one model."""

    def __init_subclass__(cls) -> None:
        _WEIGHTS[cls.__name__] = cls

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """The member that `obj` is or names; None stays.

        Raises:
            KeyError: there is none of that name.
            TypeError: `obj` is of another kind.
        """
        if isinstance(obj, str):
            return cls[obj.removeprefix(f"{cls.__name__}.")]
        if obj is not None and not isinstance(obj, cls):
            raise TypeError(f"weights of {cls.__name__} or their name required, got {type(obj).__name__}")
        return obj

    def get_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The weights; the arguments are those of torch.hub.load_state_dict_from_url after its first."""
        return hub.load_state_dict_from_url(self.url, *args, **kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    @property
    def url(self) -> str:
        return self.value.url  # type: ignore[no-any-return]

    @property
    def transforms(self) -> Callable[..., nn.Module]:
        return self.value.transforms  # type: ignore[no-any-return]

    @property
    def meta(self) -> dict[str, Any]:
        return {
            **self.value.meta,
            "categories": imagenet_classes() if self.value.meta["classifies"] else None,
        }


@cache
def imagenet_classes() -> list[str]:
    """The names of ImageNet-1K's classes, in order."""
    return Path(__file__).with_name("imagenet_classes.txt").read_text(encoding="utf-8").splitlines()


def imagenet(
    file: str,
    num_params: int,
    top1: float,
    top5: float,
    crop: int = 224,
    resize: int = 256,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    classifies: bool = True,
    **picture: Any,
) -> Weights:
    """Weights trained on ImageNet-1K, which put `top1` and `top5` percent of its test pictures right.

    Args:
        file: its name without .pth
        crop, resize: sides of the picture in pixels
        picture: mean and std, where they are not the usual ones
    """
    return Weights(
        f"https://download.pytorch.org/models/{file}.pth",
        partial(
            ImageClassification, crop_size=crop, resize_size=resize, interpolation=interpolation, **picture
        ),
        {
            "num_params": num_params,
            "_metrics": {"ImageNet-1K": {"acc@1": top1, "acc@5": top5}},
            "classifies": classifies,
            "min_size": (crop, crop),
        },
    )


M = TypeVar("M", bound=nn.Module)
Builder = Callable[..., M]


def builder(
    name: str,
    make: Callable[..., M],
    weights_class: type[WeightsEnum],
    doc: str,
    *,
    sized: bool = False,
    renamed: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
) -> Builder[M]:
    """torchvision's function `name`: the model that `make(**kwargs)` gives, untrained or with `weights`.

    Args:
        sized: the weights are of one size of picture, which `make` takes as image_size
        renamed: changes old names of a file to those of the model
    """

    def build(weights: Any = None, progress: bool = True, **kwargs: Any) -> M:
        if isinstance(weights, bool) or "pretrained" in kwargs:  # as torchvision had it before 0.13
            trained = kwargs.pop("pretrained", weights)
            weights = weights_class["DEFAULT"] if trained else None
            warnings.warn(f"{name}: 'pretrained' is deprecated, pass weights={weights!r}", stacklevel=2)
        chosen = weights_class.verify(weights)
        if chosen is None:
            return make(**kwargs)
        required = {"num_classes": len(imagenet_classes())} if chosen.meta["classifies"] else {}
        if sized:
            required["image_size"] = chosen.meta["min_size"][0]
        for key, value in required.items():
            if kwargs.setdefault(key, value) != value:
                raise ValueError(f"{name}: {key}={value} is required by {chosen!r}, got {kwargs[key]}")
        model = make(**kwargs)
        state = chosen.get_state_dict(progress=progress, check_hash=True)
        model.load_state_dict(renamed(state) if renamed else state)
        return model

    build.__name__ = build.__qualname__ = name
    build.__module__ = weights_class.__module__
    build.__doc__ = (
        f"{doc} Same as torchvision.models.{name}; `weights`: None, {weights_class.__name__} or a name of it."
    )
    build.weights_class = weights_class  # type: ignore[attr-defined]
    _BUILDERS[name] = build
    return build


def _in(module: ModuleType | None, build: Builder[Any]) -> bool:
    return module is None or build.__module__.rsplit(".", 1)[0] == module.__name__


def list_models(
    module: ModuleType | None = None,
    include: str | list[str] | None = None,
    exclude: str | list[str] | None = None,
) -> list[str]:
    """The names of the models, sorted; `include` and `exclude` are patterns with * and ?."""

    def fits(name: str, patterns: str | list[str]) -> bool:
        return any(fnmatch(name, p) for p in ([patterns] if isinstance(patterns, str) else patterns))

    names = (n for n, build in _BUILDERS.items() if _in(module, build))
    return sorted(
        n for n in names if (not include or fits(n, include)) and not (exclude and fits(n, exclude))
    )


def get_model_builder(name: str) -> Builder[Any]:
    """The function that makes the model."""
    if name.lower() not in _BUILDERS:
        raise ValueError(f"Unknown model {name}")
    return _BUILDERS[name.lower()]


def get_model(name: str, **config: Any) -> nn.Module:
    """The model of that name."""
    return get_model_builder(name)(**config)  # type: ignore[no-any-return]


def get_model_weights(name: str | Builder[Any]) -> type[WeightsEnum]:
    """The weights of a model, which may be the function that makes it."""
    build = get_model_builder(name) if isinstance(name, str) else name
    if not hasattr(build, "weights_class"):
        raise ValueError(f"get_model_weights: a model of {__package__} or its name required, got {name!r}")
    return build.weights_class  # type: ignore[no-any-return]


def get_weight(name: str) -> WeightsEnum:
    """One file of weights, by a name such as "ResNet50_Weights.IMAGENET1K_V2"."""
    kind, dot, member = name.partition(".")
    if not dot or kind not in _WEIGHTS:
        raise ValueError(f"get_weight: a name such as ResNet50_Weights.DEFAULT required, got {name!r}")
    return _WEIGHTS[kind][member]
