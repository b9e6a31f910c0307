"""Images of noise, for trying things out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pynn
from pynn.vision.datasets.vision import VisionDataset


class FakeData(VisionDataset):
    """Images of noise with random labels, the same for the same index. Same as torchvision.datasets.FakeData."""

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size, self.image_size, self.num_classes = size, image_size, num_classes
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        from pynn.vision.transforms.functional import to_pil_image

        state = pynn.get_rng_state()
        pynn.manual_seed(index + self.random_offset)
        image = pynn.randn(*self.image_size)
        target = pynn.randint(0, self.num_classes, size=(1,), dtype=pynn.int64)[0]
        pynn.set_rng_state(state)
        image, target = self._transformed(to_pil_image(image), target)
        return image, target.item() if hasattr(target, "item") else target

    def __len__(self) -> int:
        return self.size
