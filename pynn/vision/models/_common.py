"""What the models share: how weights begin."""

from __future__ import annotations

from pynn import nn


def init_weights(
    model: nn.Module, mode: str = "fan_out", nonlinearity: str = "relu", linear_std: float | None = None
) -> None:
    """Convolutions normal by He et al., norms 1 and 0, linear layers normal with `linear_std` if that is given."""
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode=mode, nonlinearity=nonlinearity)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.BatchNorm2d | nn.GroupNorm):
            if m.weight is not None:
                nn.init.ones_(m.weight)
                nn.init.zeros_(m.bias)  # type: ignore[arg-type]
        elif isinstance(m, nn.Linear) and linear_std is not None:
            nn.init.normal_(m.weight, 0, linear_std)
            if m.bias is not None:
                nn.init.zeros_(m.bias)


def make_divisible(v: float, divisor: int, min_value: int | None = None) -> int:
    """The multiple of `divisor` nearest to `v`, not more than a tenth below it."""
    near = max(min_value or divisor, int(v + divisor / 2) // divisor * divisor)
    return near if near >= 0.9 * v else near + divisor
