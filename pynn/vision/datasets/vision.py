"""What the data sets of torchvision share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pynn.utils.data import Dataset
from pynn.vision.datasets.download import cache_folder


class StandardTransform:
    """`transform` of the image and `target_transform` of the label, as one function."""

    def __init__(self, transform: Any = None, target_transform: Any = None) -> None:
        self.transform, self.target_transform = transform, target_transform

    def __call__(self, input: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        for head, transform in (
            ("Transform: ", self.transform),
            ("Target transform: ", self.target_transform),
        ):
            if transform is not None:
                first, *rest = repr(transform).splitlines()
                lines += [head + first, *(" " * len(head) + line for line in rest)]
        return "\n".join(lines)


class VisionDataset(Dataset[Any]):
    """Base class: a data set with a root folder and transforms. Same as torchvision.datasets.VisionDataset."""

    _repr_indent = 4

    def __init__(
        self,
        root: Any = None,
        transforms: Callable[..., Any] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        separate = transform is not None or target_transform is not None
        if transforms is not None and separate:
            raise ValueError(
                "Only transforms or transform/target_transform can be passed as argument, not both"
            )
        self.root = os.path.expanduser(root) if isinstance(root, (str, os.PathLike)) else root
        self.transform, self.target_transform = transform, target_transform
        self.transforms = StandardTransform(transform, target_transform) if separate else transforms

    def _transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __repr__(self) -> str:
        body = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            body.append(f"Root location: {self.root}")
        body += self.extra_repr().splitlines()
        if self.transforms is not None:
            body.append(repr(self.transforms))
        return "\n".join(
            [f"Dataset {type(self).__name__}", *(" " * self._repr_indent + line for line in body)]
        )

    def extra_repr(self) -> str:
        """More lines for repr()."""
        return ""


def data_roots(root: Any) -> list[str]:
    """Where to look for files: in `root`, then in the folder named by PYNN_DATA, then in the user's cache."""
    given = [os.path.expanduser(root)] if root is not None else []
    return given + [folder for folder in (os.environ.get("PYNN_DATA"), cache_folder()) if folder]


def pil_image(array: Any) -> Any:
    """A Pillow image of a uint8 array (H, W) or (H, W, 3)."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "torchvision's data sets give images of Pillow, which is missing (pip install pillow)"
        ) from None
    return Image.fromarray(array)
