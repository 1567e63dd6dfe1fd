"""What happens beside the training steps: evaluation, backup, best weights, logs, progress."""

from .backup import Backup
from .best_weights import BestWeights
from .epochs import Epochs
from .metrics_log import MetricsLog
from .progress import Progress

__all__ = ["Backup", "BestWeights", "Epochs", "MetricsLog", "Progress"]
