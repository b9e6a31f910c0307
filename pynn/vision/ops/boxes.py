"""Boxes in pixels. Names as in torchvision.ops.boxes; rows are (x1, y1, x2, y2) unless a format is given."""

from __future__ import annotations

import pynn
from pynn import Tensor

__all__ = [
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "generalized_box_iou",
    "nms",
    "remove_small_boxes",
]


def _wide(x: Tensor) -> Tensor:
    """Small types as float32 and int32, or products of coordinates overflow."""
    if x.is_floating_point():
        return x if x.dtype in (pynn.float32, pynn.float64) else x.float()
    return x if x.dtype in (pynn.int32, pynn.int64) else x.int()


def box_area(boxes: Tensor) -> Tensor:
    """(N, 4) to (N,)"""
    boxes = _wide(boxes)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _overlap(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Areas of the intersections and of the unions: (N, M) each."""
    low = pynn.maximum(boxes1[:, None, :2], boxes2[:, :2])
    high = pynn.minimum(boxes1[:, None, 2:], boxes2[:, 2:])
    sides = _wide(high - low).clamp(min=0)
    inter = sides[..., 0] * sides[..., 1]
    return inter, box_area(boxes1)[:, None] + box_area(boxes2) - inter


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Intersection over union of each pair: (N, 4) and (M, 4) to (N, M)."""
    inter, union = _overlap(boxes1, boxes2)
    return inter / union


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """box_iou minus the part of the enclosing box that neither covers. Rezatofighi et al. 2019, arXiv:1902.09630."""
    inter, union = _overlap(boxes1, boxes2)
    low = pynn.minimum(boxes1[:, None, :2], boxes2[:, :2])
    high = pynn.maximum(boxes1[:, None, 2:], boxes2[:, 2:])
    sides = _wide(high - low).clamp(min=0)
    area = sides[..., 0] * sides[..., 1]
    return inter / union - (area - union) / area


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes that overlap none of a higher score by more than the threshold, best first.

    Raises:
        ValueError: boxes are not (N, 4), or scores not (N,).
    """
    if boxes.dim() != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise ValueError(
            f"nms: boxes (N, 4) and scores (N,) are required, got {tuple(boxes.shape)} and {tuple(scores.shape)}"
        )
    order = scores.detach().argsort(descending=True, stable=True)
    sorted_boxes = boxes.detach()[order]
    alive = pynn.ones(len(order), dtype=pynn.bool)
    keep: list[int] = []
    for i in range(len(order)):
        if alive[i]:
            keep.append(i)
            alive[i:] &= box_iou(sorted_boxes[i : i + 1], sorted_boxes[i:])[0] <= iou_threshold
    return order[keep] if keep else order[:0]


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """nms among boxes of the same class: those of others lie too far away to overlap."""
    if boxes.numel() == 0:
        return pynn.empty((0,), dtype=pynn.int64, device=boxes.device)
    offsets = idxs.to(boxes) * (boxes.max() + 1)
    return nms(boxes + offsets[:, None], scores, iou_threshold)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """Indices of the boxes whose sides are at least `min_size`."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides >= min_size).all(1).nonzero()[:, 0]


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) inside an image of size (height, width)."""
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return pynn.stack([x, y], -1).reshape(boxes.shape)


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes (..., 4) from one format to another: xyxy (corners), xywh (corner and sides), cxcywh (centre and sides).

    Raises:
        ValueError: a format is another.
    """
    if in_fmt not in _CORNERS or out_fmt not in _CORNERS:
        raise ValueError(
            f"box_convert: formats xyxy, xywh, cxcywh are required, got {in_fmt!r} and {out_fmt!r}"
        )
    if in_fmt == out_fmt:
        return boxes.clone()
    a, b = boxes[..., :2], boxes[..., 2:]
    low, high = _CORNERS[in_fmt](a, b)
    if out_fmt == "xywh":
        return pynn.cat([low, high - low], -1)
    return pynn.cat([(low + high) / 2, high - low] if out_fmt == "cxcywh" else [low, high], -1)


_CORNERS = {
    "xyxy": lambda a, b: (a, b),
    "xywh": lambda a, b: (a, a + b),
    "cxcywh": lambda a, b: (a - b / 2, a + b / 2),
}
