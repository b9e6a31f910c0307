"""Names as in torch.utils.data._utils.collate."""

from pynn.utils.data.collate import default_collate as default_collate
from pynn.utils.data.collate import default_convert as default_convert
