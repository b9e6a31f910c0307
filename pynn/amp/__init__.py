"""Mixed precision: autocast, and GradScaler, which scales nothing on a CPU. Names as in torch.amp."""

from pynn.amp.autocast_mode import autocast as autocast
from pynn.amp.autocast_mode import custom_bwd as custom_bwd
from pynn.amp.autocast_mode import custom_fwd as custom_fwd
from pynn.amp.autocast_mode import is_autocast_available as is_autocast_available
from pynn.amp.grad_scaler import GradScaler as GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
