"""Names as in torch.utils.data._utils.worker."""

from pynn.utils.data.worker import WorkerInfo as WorkerInfo
from pynn.utils.data.worker import get_worker_info as get_worker_info
