"""Names as in torch.optim.adamw."""

from pynn.optim.adam import AdamW as AdamW
