"""Transforms of images that draw random numbers, in torchvision's order: the same seed gives the same crops."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pynn
from pynn import Tensor
from pynn.vision.transforms import functional as F
from pynn.vision.transforms.functional import InterpolationMode, _pair
from pynn.vision.transforms.transforms import Compose, Transform

_CROP_SIZE = "Please provide only two dimensions (h, w) for size."


def _uniform(low: Any, high: Any) -> float:
    return pynn.empty(1).uniform_(float(low), float(high)).item()


def _integer(high: int) -> int:
    return int(pynn.randint(0, high, size=(1,)).item())


class RandomCrop(Transform):
    """A part of the given size, at a random place."""

    _shown = ("size", "padding")

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = _pair(size, _CROP_SIZE)
        self.padding, self.pad_if_needed = padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """(top, left, height, width)"""
        _, h, w = F.get_dimensions(img)
        height, width = output_size
        if h < height or w < width:
            raise ValueError(f"Required crop size {(height, width)} is larger than input image size {(h, w)}")
        if (h, w) == (height, width):
            return 0, 0, h, w
        top = _integer(h - height + 1)
        return top, _integer(w - width + 1), height, width

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            _, h, w = F.get_dimensions(img)
            if w < self.size[1]:
                img = F.pad(img, [self.size[1] - w, 0], self.fill, self.padding_mode)
            if h < self.size[0]:
                img = F.pad(img, [0, self.size[0] - h], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))


class _WithProbability(Transform):
    _shown: tuple[str, ...] = ("p",)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return self.apply_to(img) if pynn.rand(1) < self.p else img

    def apply_to(self, img: Any) -> Any:
        raise NotImplementedError


class RandomHorizontalFlip(_WithProbability):
    """Left and right exchanged, with probability p."""

    def apply_to(self, img: Any) -> Any:
        return F.hflip(img)


class RandomVerticalFlip(_WithProbability):
    """Top and bottom exchanged, with probability p."""

    def apply_to(self, img: Any) -> Any:
        return F.vflip(img)


class RandomInvert(_WithProbability):
    """White becomes black, with probability p."""

    def apply_to(self, img: Any) -> Any:
        return F.invert(img)


class RandomGrayscale(_WithProbability):
    """Black and white, with probability p and as many channels as before."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def apply_to(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, F.get_image_num_channels(img))


class RandomAutocontrast(_WithProbability):
    """Each channel stretched to the whole range, with probability p."""

    def apply_to(self, img: Any) -> Any:
        return F.autocontrast(img)


class RandomEqualize(_WithProbability):
    """All values made equally frequent, with probability p."""

    def apply_to(self, img: Any) -> Any:
        return F.equalize(img)


class RandomPosterize(_WithProbability):
    """The highest bits of each channel, with probability p."""

    _shown = ("bits", "p")

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits

    def apply_to(self, img: Any) -> Any:
        return F.posterize(img, self.bits)


class RandomSolarize(_WithProbability):
    """What is at least `threshold` inverted, with probability p."""

    _shown = ("threshold", "p")

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold

    def apply_to(self, img: Any) -> Any:
        return F.solarize(img, self.threshold)


class RandomAdjustSharpness(_WithProbability):
    """Sharper or softer, with probability p."""

    _shown = ("sharpness_factor", "p")

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def apply_to(self, img: Any) -> Any:
        return F.adjust_sharpness(img, self.sharpness_factor)


def _random_rectangle(h: int, w: int, scale: Any, ratio: Any) -> Any:
    """Yields ten rectangles (along y, along x) of random area and aspect."""
    low, high = (float(v) for v in pynn.log(pynn.tensor(ratio, dtype=pynn.float32)))
    for _ in range(10):
        area = h * w * _uniform(*scale)
        aspect = pynn.exp(pynn.empty(1).uniform_(low, high)).item()
        yield round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))


class RandomResizedCrop(Transform):
    """A part of random area and aspect, resized to `size`."""

    _shown = ("size", "scale", "ratio", "interpolation", "antialias")

    def __init__(
        self,
        size: Any,
        scale: Any = (0.08, 1.0),
        ratio: Any = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if not isinstance(scale, Sequence) or not isinstance(ratio, Sequence):
            raise TypeError("Scale and ratio should be sequences")
        F._mode(interpolation)
        self.size = _pair(size, _CROP_SIZE)
        self.scale, self.ratio = scale, ratio
        self.interpolation, self.antialias = interpolation, antialias

    @staticmethod
    def get_params(img: Any, scale: Any, ratio: Any) -> tuple[int, int, int, int]:
        """(top, left, height, width)"""
        _, h, w = F.get_dimensions(img)
        for width, height in _random_rectangle(h, w, scale, ratio):
            if 0 < width <= w and 0 < height <= h:
                top = _integer(h - height + 1)
                return top, _integer(w - width + 1), height, width
        width, height = w, h  # the middle, of the nearest aspect
        if w / h < min(ratio):
            height = round(w / min(ratio))
        elif w / h > max(ratio):
            width = round(h * max(ratio))
        return (h - height) // 2, (w - width) // 2, height, width

    def forward(self, img: Any) -> Any:
        place = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *place, self.size, self.interpolation, antialias=self.antialias)


class RandomErasing(Transform):
    """A rectangle of a tensor image replaced by `value` ("random": by noise), with probability p."""

    _shown = ("p", "scale", "ratio", "value", "inplace")

    def __init__(
        self,
        p: float = 0.5,
        scale: Any = (0.02, 0.33),
        ratio: Any = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(value, (int, float, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if not 0 <= p <= 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    @staticmethod
    def get_params(img: Tensor, scale: Any, ratio: Any, value: list[float] | None = None) -> tuple[Any, ...]:
        """(top, left, height, width, values)"""
        channels, h, w = img.shape[-3:]
        for height, width in _random_rectangle(h, w, scale, ratio):
            if height < h and width < w:
                if value is None:
                    values = pynn.empty([channels, height, width]).normal_()
                else:
                    values = pynn.tensor(value)[:, None, None]
                top = _integer(h - height + 1)
                return top, _integer(w - width + 1), height, width, values
        return 0, 0, h, w, img

    def forward(self, img: Tensor) -> Tensor:
        if not pynn.rand(1) < self.p:
            return img
        if isinstance(self.value, str):
            value = None
        elif isinstance(self.value, (int, float)):
            value = [float(self.value)]
        else:
            value = [float(v) for v in self.value]
        if value is not None and len(value) not in (1, img.shape[-3]):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{img.shape[-3]} (number of input channels)"
            )
        i, j, h, w, values = self.get_params(img, self.scale, self.ratio, value)
        return F.erase(img, i, j, h, w, values, self.inplace)


def _symmetric(name: str, value: Any, sizes: tuple[int, ...] = (2,)) -> list[float]:
    """[-value, value] of a number, or the given sequence."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return [-float(value), float(value)]
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} should be a number or a sequence of length {sizes}.")
    if len(value) not in sizes:
        raise ValueError(f"{name} should be a sequence of length {' or '.join(map(str, sizes))}.")
    return [float(v) for v in value]


def _filled(fill: Any, img: Any) -> Any:
    if not isinstance(img, Tensor):
        return fill
    if isinstance(fill, (int, float)):
        return [float(fill)] * F.get_image_num_channels(img)
    return [float(f) for f in fill]


class RandomRotation(Transform):
    """Turned by a random angle in [-degrees, degrees], or in the given range."""

    _shown = ("degrees", "interpolation", "expand", "fill")

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Any = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        F._mode(interpolation)
        self.degrees = _symmetric("degrees", degrees)
        self.interpolation, self.expand, self.center = interpolation, expand, center
        self.fill = 0 if fill is None else fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """An angle."""
        return _uniform(*degrees)

    def forward(self, img: Any) -> Any:
        fill = _filled(self.fill, img)
        return F.rotate(
            img, self.get_params(self.degrees), self.interpolation, self.expand, self.center, fill
        )


class RandomAffine(Transform):
    """Turned, shifted, scaled and sheared at random."""

    _shown = ("degrees", "translate", "scale", "shear")

    def __init__(
        self,
        degrees: Any,
        translate: Any = None,
        scale: Any = None,
        shear: Any = None,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Any = None,
    ) -> None:
        super().__init__()
        F._mode(interpolation)
        self.degrees = _symmetric("degrees", degrees)
        if translate is not None and any(not 0.0 <= t <= 1.0 for t in translate):
            raise ValueError("translation values should be between 0 and 1")
        if scale is not None and any(s <= 0 for s in scale):
            raise ValueError("scale values should be positive")
        self.translate, self.scale = translate, scale
        self.shear = None if shear is None else _symmetric("shear", shear, (2, 4))
        self.interpolation, self.center = interpolation, center
        self.fill = 0 if fill is None else fill

    @staticmethod
    def get_params(
        degrees: Any, translate: Any, scale_ranges: Any, shears: Any, img_size: Sequence[int]
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """(angle, translation, scale, shear)"""
        angle = _uniform(*degrees)
        shift = (0, 0)
        if translate is not None:
            dx, dy = (float(t * n) for t, n in zip(translate, img_size, strict=True))
            x = round(_uniform(-dx, dx))
            shift = (x, round(_uniform(-dy, dy)))
        scale = 1.0 if scale_ranges is None else _uniform(*scale_ranges)
        x_shear = y_shear = 0.0
        if shears is not None:
            x_shear = _uniform(*shears[:2])
            if len(shears) == 4:
                y_shear = _uniform(*shears[2:])
        return angle, shift, scale, (x_shear, y_shear)

    def forward(self, img: Any) -> Any:
        fill = _filled(self.fill, img)
        size = F.get_image_size(img)
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, size)
        return F.affine(img, *drawn, interpolation=self.interpolation, fill=fill, center=self.center)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed at random, in random order."""

    _shown = ("brightness", "contrast", "saturation", "hue")

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness = self._range("brightness", brightness)
        self.contrast = self._range("contrast", contrast)
        self.saturation = self._range("saturation", saturation)
        self.hue = self._range("hue", hue, 0.0, (-0.5, 0.5), clip=False)

    @staticmethod
    def _range(
        name: str, value: Any, center: float = 1.0, bound: Any = (0.0, math.inf), clip: bool = True
    ) -> tuple[float, float] | None:
        if isinstance(value, (int, float)):
            if value < 0:
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            low, high = center - float(value), center + float(value)
            if clip:
                low = max(low, 0.0)
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            low, high = float(value[0]), float(value[1])
        else:
            raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
        if not bound[0] <= low <= high <= bound[1]:
            raise ValueError(f"{name} values should be between {bound}, but got {[low, high]}.")
        return None if low == high == center else (low, high)

    @staticmethod
    def get_params(brightness: Any, contrast: Any, saturation: Any, hue: Any) -> tuple[Any, ...]:
        """(order, and a factor or None for each)"""
        order = pynn.randperm(4)
        return order, *(None if r is None else _uniform(*r) for r in (brightness, contrast, saturation, hue))

    def forward(self, img: Any) -> Any:
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for i in order.tolist():
            if factors[i] is not None:
                img = changes[i](img, factors[i])
        return img


class RandomApply(Transform):
    """All of the transforms, with probability p."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__()
        if not isinstance(transforms, Sequence) and not isinstance(transforms, pynn.nn.ModuleList):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms, self.p = transforms, p

    def forward(self, img: Any) -> Any:
        if self.p < pynn.rand(1):
            return img
        for t in self.transforms:
            img = t(img)
        return img

    def __repr__(self) -> str:
        return "\n".join(
            [f"{type(self).__name__}(", f"    p={self.p}", *(f"    {t}" for t in self.transforms), ")"]
        )


class RandomChoice(Compose):
    """One of the transforms, by Python's random numbers, as in torchvision."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError("Argument p should be a sequence")
        self.p = p

    def __call__(self, img: Any) -> Any:
        return random.choices(self.transforms, weights=self.p)[0](img)


class RandomOrder(Compose):
    """All of the transforms in random order, by Python's random numbers, as in torchvision."""

    def __call__(self, img: Any) -> Any:
        order = list(range(len(self.transforms)))
        random.shuffle(order)
        for i in order:
            img = self.transforms[i](img)
        return img
