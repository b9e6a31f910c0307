"""What a transform does to one image: a Pillow image or a tensor (..., C, H, W). Names as in torchvision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import Any

import pynn
from pynn import Tensor
from pynn.vision.transforms import _color, _pil, _resample
from pynn.vision.transforms._pil import is_pil


class InterpolationMode(Enum):
    """How values between pixels are made."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_PIL_NUMBERS = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]


def _mode(interpolation: Any) -> str:
    """The name of a mode given as in torchvision or as Pillow's number."""
    if isinstance(interpolation, InterpolationMode):
        return interpolation.value
    if isinstance(interpolation, int) and 0 <= interpolation < len(_PIL_NUMBERS):
        return _PIL_NUMBERS[interpolation]
    raise TypeError(
        "Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant, "
        f"got {interpolation!r}"
    )


def _is_tensor(op: str, img: Any) -> bool:
    """True for a tensor, False for a Pillow image.

    Raises:
        TypeError: anything else.
    """
    if isinstance(img, Tensor):
        if img.dim() < 2:
            raise TypeError(f"{op}: a tensor image has at least 2 dims, got shape {tuple(img.shape)}")
        return True
    if is_pil(img):
        return False
    raise TypeError(f"{op}: img should be PIL Image or Tensor. Got {type(img)}")


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width]"""
    if _is_tensor("get_dimensions", img):
        return [1 if img.dim() == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]
    return [len(img.getbands()), img.height, img.width]


def get_image_size(img: Any) -> list[int]:
    """[width, height]"""
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img: Any) -> int:
    """The number of channels."""
    return get_dimensions(img)[0]


def to_tensor(pic: Any) -> Tensor:
    """A Pillow image or array (H, W, C) as a tensor (C, H, W); bytes become floats in [0, 1]."""
    if is_pil(pic):
        image = _pil.to_tensor(pic)
        if pic.mode == "1":
            image = 255 * image
    elif type(pic).__module__ == "numpy":
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        image = pynn.from_numpy(pic if pic.ndim == 3 else pic[:, :, None]).permute(2, 0, 1)
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    image = image.contiguous()
    return image.to(pynn.get_default_dtype()).div_(255) if image.dtype == pynn.uint8 else image


def pil_to_tensor(pic: Any) -> Tensor:
    """A Pillow image as a tensor (C, H, W) of the same values."""
    if not is_pil(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return _pil.to_tensor(pic)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (C, H, W) or array (H, W, C) as a Pillow image; floats in [0, 1] become bytes."""
    if isinstance(pic, Tensor):
        if pic.dim() not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.dim()} dimensions.")
        image = pic.detach() if pic.dim() == 3 else pic.detach()[None]
        if image.is_floating_point() and mode != "F":
            image = (image * 255).to(pynn.uint8)
        return _pil.from_array(image.permute(1, 2, 0).cpu().numpy(), mode)
    if type(pic).__module__ == "numpy" and hasattr(pic, "ndim"):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        return _pil.from_array(pic, mode)
    raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")


def convert_image_dtype(image: Tensor, dtype: pynn.dtype = pynn.float32) -> Tensor:
    """Another dtype, with the range of values of that."""
    if not isinstance(image, Tensor):
        raise TypeError(f"Input img should be Tensor Image, got {type(image)}")
    return _color.convert_dtype(image, dtype)


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """(x - mean) / std, channel by channel."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.dim() < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.size()}"
        )
    m = pynn.as_tensor(mean, dtype=tensor.dtype, device=tensor.device)
    s = pynn.as_tensor(std, dtype=tensor.dtype, device=tensor.device)
    if (s == 0).any():
        raise ValueError(
            f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero."
        )
    m = m.view(-1, 1, 1) if m.dim() == 1 else m
    s = s.view(-1, 1, 1) if s.dim() == 1 else s
    return tensor.sub_(m).div_(s) if inplace else (tensor - m).div_(s)


def _new_size(h: int, w: int, size: Any, max_size: int | None) -> tuple[int, int]:
    """The size of the output for `size`: (height, width), or that of the shorter edge."""
    if not isinstance(size, int):
        if len(size) == 2:
            if max_size is not None:
                raise ValueError(
                    "max_size should only be passed if size specifies the length of the smaller edge"
                )
            return size[0], size[1]
        if len(size) != 1:
            raise ValueError(f"Size must be an int or a 1 or 2 element tuple/list, got {size}")
        size = size[0]
    short, long = min(h, w), max(h, w)
    new_short, new_long = size, int(size * long / short)
    if max_size is not None:
        if max_size <= size:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the smaller edge = {size}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if h <= w else (new_long, new_short)


def resize(
    img: Any,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Resize to (height, width), or so that the shorter edge is `size`."""
    mode = _mode(interpolation)
    _, h, w = get_dimensions(img)
    height, width = _new_size(h, w, size, max_size)
    if (height, width) == (h, w):
        return img
    if not isinstance(img, Tensor):
        return img.resize((width, height), _pil.filter_of(mode))
    if mode not in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        raise ValueError(
            f"resize: nearest, bilinear or bicubic is required for tensors, got {mode} (use a PIL image)"
        )
    return _resample.resize(img, height, width, mode, bool(antialias))


def _sides(padding: Any) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of an int, (x,), (x, y) or all four."""
    if not isinstance(padding, (int, tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    values = [padding] if isinstance(padding, int) else list(padding)
    if len(values) not in (1, 2, 4):
        raise ValueError(
            f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(values)} element tuple"
        )
    left, top, right, bottom = (values * 4)[:4]
    return left, top, right, bottom


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """Pad on all sides: padding is one int, (x, y), or (left, top, right, bottom)."""
    sides = _sides(padding)
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    if _is_tensor("pad", img):
        value = fill[0] if isinstance(fill, (list, tuple)) else fill
        return _resample.pad(img, *sides, 0 if value is None else value, padding_mode)
    return _pil.pad(img, *sides, fill, padding_mode)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part at (top, left); what lies outside of the image is 0."""
    if not _is_tensor("crop", img):
        return img.crop((left, top, left + width, top + height))
    h, w = img.shape[-2:]
    bottom, right = top + height, left + width
    inner = img[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if left < 0 or top < 0 or right > w or bottom > h:
        before = (max(min(right, 0) - left, 0), max(min(bottom, 0) - top, 0))
        after = (width - before[0] - inner.shape[-1], height - before[1] - inner.shape[-2])
        return _resample.pad(inner, *before, *after, 0, "constant")
    return inner


def _pair(size: Any, error: str = "Please provide only two dimensions (h, w) for size.") -> tuple[int, int]:
    """(height, width) of a number, (n,) or (h, w)."""
    if isinstance(size, (int, float)):
        return int(size), int(size)
    if len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(error)
    return size[0], size[1]


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle; an image that is too small is padded with 0 first."""
    height, width = _pair(output_size)
    _, h, w = get_dimensions(img)
    if width > w or height > h:
        x, y = max(width - w, 0), max(height - h, 0)
        img = pad(img, (x // 2, y // 2, (x + 1) // 2, (y + 1) // 2), fill=0)
        _, h, w = get_dimensions(img)
        if (h, w) == (height, width):
            return img
    return crop(img, round((h - height) / 2.0), round((w - width) / 2.0), height, width)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """crop, then resize."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    if _is_tensor("hflip", img):
        return img.flip(-1)
    from PIL import Image

    return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    if _is_tensor("vflip", img):
        return img.flip(-2)
    from PIL import Image

    return img.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def five_crop(img: Any, size: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The four corners and the middle."""
    height, width = _pair(size)
    _, h, w = get_dimensions(img)
    if width > w or height > h:
        raise ValueError(f"Requested crop size {(height, width)} is bigger than input size {(h, w)}")
    corners = [
        crop(img, y, x, height, width)
        for y, x in ((0, 0), (0, w - width), (h - height, 0), (h - height, w - width))
    ]
    return corners[0], corners[1], corners[2], corners[3], center_crop(img, (height, width))


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """five_crop of the image and of its mirror image."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """0 gives black, 1 the image."""
    if _is_tensor("adjust_brightness", img):
        return _color.brightness(img, _not_negative("brightness_factor", brightness_factor))
    return _pil.enhance("Brightness", img, brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """0 gives gray, 1 the image."""
    if _is_tensor("adjust_contrast", img):
        return _color.contrast(img, _not_negative("contrast_factor", contrast_factor))
    return _pil.enhance("Contrast", img, contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """0 gives black and white, 1 the image."""
    if _is_tensor("adjust_saturation", img):
        return _color.saturation(img, _not_negative("saturation_factor", saturation_factor))
    return _pil.enhance("Color", img, saturation_factor)


def _not_negative(name: str, value: float) -> float:
    if value < 0:
        raise ValueError(f"{name} ({value}) is not non-negative.")
    return value


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Turn the circle of hues by hue_factor, in [-0.5, 0.5]."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    return _color.hue(img, hue_factor) if _is_tensor("adjust_hue", img) else _pil.hue(img, hue_factor)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain * x ** gamma"""
    _not_negative("gamma", gamma)
    module: Any = _color if _is_tensor("adjust_gamma", img) else _pil
    return module.gamma(img, gamma, gain)


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Any = None,
    fill: Any = None,
) -> Any:
    """Turn by `angle` degrees, counter-clockwise, around `center`, (x, y) from the upper left corner."""
    mode = _mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if not _is_tensor("rotate", img):
        return img.rotate(angle, _pil.filter_of(mode), expand, center, fillcolor=_pil.fill_of(fill, img))
    h, w = img.shape[-2:]
    about = (0.0, 0.0) if center is None else (center[0] - w * 0.5, center[1] - h * 0.5)
    matrix = _inverse_affine(about, -angle, (0.0, 0.0), 1.0, (0.0, 0.0))
    return _resample.affine(img, matrix, mode, fill, _expanded(h, w, matrix) if expand else None)


def _expanded(h: int, w: int, matrix: Sequence[float]) -> tuple[int, int]:
    """(height, width) that holds all four corners of the turned image."""
    a, b, c, d, e, f = matrix
    det = a * e - b * d
    xs, ys = [], []
    for x in (-w / 2, w / 2):
        for y in (-h / 2, h / 2):  # where the corner goes: the inverse of the matrix
            xs.append((e * (x - c) - b * (y - f)) / det)
            ys.append((a * (y - f) - d * (x - c)) / det)

    def span(values: list[float], n: int) -> int:
        tolerance = 1e-4
        high = math.ceil((max(values) + n / 2) - tolerance)
        low = math.floor((min(values) + n / 2) + tolerance)
        return high - low

    return span(ys, h), span(xs, w)


def _inverse_affine(
    center: Sequence[float], angle: float, translate: Sequence[float], scale: float, shear: Sequence[float]
) -> list[float]:
    """The inverse of: shift by -center, scale, shear, turn, shift by center + translate."""
    turn, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    a = math.cos(turn - sy) / math.cos(sy) * scale
    b = (-math.cos(turn - sy) * math.tan(sx) / math.cos(sy) - math.sin(turn)) * scale
    c = math.sin(turn - sy) / math.cos(sy) * scale
    d = (-math.sin(turn - sy) * math.tan(sx) / math.cos(sy) + math.cos(turn)) * scale
    det = a * d - b * c
    p, q, r, s = d / det, -b / det, -c / det, a / det
    x, y = -center[0] - translate[0], -center[1] - translate[1]
    return [p, q, p * x + q * y + center[0], r, s, r * x + s * y + center[1]]


def affine(
    img: Any,
    angle: float,
    translate: Sequence[int],
    scale: float,
    shear: Any,
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Any = None,
) -> Any:
    """Turn by `angle` degrees (clockwise), scale, shear and shift, the centre staying where it is."""
    mode = _mode(interpolation)
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    shear = [shear, 0.0] if isinstance(shear, (int, float)) else list(shear)
    shear = shear if len(shear) == 2 else [shear[0], shear[0]]
    _, h, w = get_dimensions(img)
    if isinstance(img, Tensor):
        about = (0.0, 0.0) if center is None else (center[0] - w * 0.5, center[1] - h * 0.5)
        matrix = _inverse_affine(about, angle, translate, scale, shear)
        return _resample.affine(img, matrix, mode, fill)
    from PIL import Image

    about = (w * 0.5, h * 0.5) if center is None else tuple(center)
    matrix = _inverse_affine(about, angle, translate, scale, shear)
    return img.transform(
        (w, h), Image.Transform.AFFINE, matrix, _pil.filter_of(mode), fillcolor=_pil.fill_of(fill, img)
    )


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """A Pillow image in black and white, with 1 or 3 channels."""
    if not is_pil(img):
        raise TypeError("Input should be PIL Image")
    return _pil.grayscale(img, num_output_channels)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """An image in black and white, with 1 or 3 channels."""
    if _is_tensor("rgb_to_grayscale", img):
        return _color.grayscale(img, num_output_channels)
    return _pil.grayscale(img, num_output_channels)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Tensor, inplace: bool = False) -> Tensor:
    """Put `v` in place of the rectangle at (i, j)."""
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    img = img if inplace else img.clone()
    img[..., i : i + h, j : j + w] = v
    return img


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """Blur with a Gaussian; kernel_size and sigma are numbers or pairs (along x, along y)."""
    sizes = _pair(kernel_size)
    if any(k % 2 == 0 or k < 0 for k in sizes):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {sizes}")
    if sigma is None:
        sigmas = tuple(k * 0.15 + 0.35 for k in sizes)
    elif isinstance(sigma, (int, float)):
        sigmas = (float(sigma), float(sigma))
    else:
        sigmas = (sigma[0], sigma[-1])
    if any(s <= 0.0 for s in sigmas):
        raise ValueError(f"sigma should have positive values. Got {sigmas}")
    if _is_tensor("gaussian_blur", img):
        return _resample.gaussian_blur(img, sizes, sigmas)
    return to_pil_image(_resample.gaussian_blur(pil_to_tensor(img), sizes, sigmas), mode=img.mode)


def invert(img: Any) -> Any:
    """White becomes black."""
    if _is_tensor("invert", img):
        return _color.invert(img)
    from PIL import ImageOps

    return ImageOps.invert(img)


def posterize(img: Any, bits: int) -> Any:
    """Keep the highest `bits` bits of each channel."""
    if not 0 <= bits <= 8:
        raise ValueError(f"The number if bits should be between 0 and 8. Got {bits}")
    if _is_tensor("posterize", img):
        return _color.posterize(img, bits)
    from PIL import ImageOps

    return ImageOps.posterize(img, bits)


def solarize(img: Any, threshold: float) -> Any:
    """Invert what is at least `threshold`."""
    if _is_tensor("solarize", img):
        return _color.solarize(img, threshold)
    from PIL import ImageOps

    return ImageOps.solarize(img, threshold)  # type: ignore[arg-type]


def autocontrast(img: Any) -> Any:
    """Stretch each channel to the whole range."""
    if _is_tensor("autocontrast", img):
        return _color.autocontrast(img)
    from PIL import ImageOps

    return ImageOps.autocontrast(img)


def equalize(img: Any) -> Any:
    """Make all values of each channel equally frequent."""
    from PIL import ImageOps

    if _is_tensor("equalize", img):
        if img.dtype != pynn.uint8:
            raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")
        planes = img.reshape(-1, *img.shape[-2:])
        done = [pil_to_tensor(ImageOps.equalize(to_pil_image(plane)))[0] for plane in planes]
        return pynn.stack(done).reshape(img.shape).to(img.device)
    return ImageOps.equalize(img)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """0 gives a blurred image, 1 the image, 2 a sharper one."""
    if not _is_tensor("adjust_sharpness", img):
        return _pil.enhance("Sharpness", img, sharpness_factor)
    _not_negative("sharpness_factor", sharpness_factor)
    if img.shape[-1] <= 2 or img.shape[-2] <= 2:
        return img
    x = img if img.is_floating_point() else img.to(pynn.float32)
    window = sum(
        (5.0 if (i, j) == (1, 1) else 1.0) * x[..., i : x.shape[-2] - 2 + i, j : x.shape[-1] - 2 + j]
        for i in range(3)
        for j in range(3)
    )
    smooth = x.clone()
    inner: Any = window / 13.0
    smooth[..., 1:-1, 1:-1] = inner if img.is_floating_point() else inner.round()
    return _color.blend(img, smooth, sharpness_factor)
