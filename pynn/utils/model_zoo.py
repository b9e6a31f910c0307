"""The old place of pynn.hub.load_state_dict_from_url. Names as in torch.utils.model_zoo."""

from pynn.hub import load_state_dict_from_url as load_url

__all__ = ["load_url"]
