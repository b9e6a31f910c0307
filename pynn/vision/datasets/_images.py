"""What the image data sets share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynn
from pynn.utils.data import Dataset


class LabelledImages(Dataset):
    """Images and labels held in memory as `data` (N, H, W) and `targets` (N,); an item is (image, int)."""

    def __init__(
        self,
        images: Any,
        labels: Any,
        transform: Callable[[Any], Any] | None,
        target_transform: Callable[[Any], Any] | None,
    ) -> None:
        self.data = pynn.from_numpy(images)
        self.targets = pynn.from_numpy(labels.astype("int64"))
        self.transform = transform
        self.target_transform = target_transform

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = self.data[index], int(self.targets[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def __len__(self) -> int:
        return len(self.data)
