"""Metrics for TensorBoard, through whichever writer of its event files is installed."""

from __future__ import annotations

from typing import Any

__all__ = ["LogMetricsCallback", "summary_writer"]


def summary_writer(logging_dir: str) -> Any:
    """A writer of event files: that of torch if tensorboard is installed, else that of tensorboardX.

    ImportError, naming both, if neither is.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        try:
            from tensorboardX import SummaryWriter  # type: ignore[no-redef]
        except ImportError:
            raise ImportError(
                "Logging for TensorBoard needs a writer of event files: pip install tensorboard, or tensorboardX"
            ) from None
    return SummaryWriter(logging_dir)


class LogMetricsCallback:
    """A batch or evaluation callback that writes the metric for TensorBoard.

    As the curve of training over batches, and that of validation over epochs, have different steps, the steps of each
    are counted here: one for every call.

    Parameters
    ----------
    logging_dir : folder of the event files; ``tensorboard --logdir`` shows them.
    prefix : what names begin with, as ``prefix-accuracy``. Curves of one name in several folders are drawn together.
    """

    def __init__(self, logging_dir: str, prefix: str | None = None) -> None:
        self.prefix = prefix
        self.step = 0
        self.summary_writer = summary_writer(logging_dir)

    def __call__(self, param: Any) -> None:
        if param.eval_metric is None:
            return
        for name, value in param.eval_metric.get_name_value():
            self.summary_writer.add_scalar(name if self.prefix is None else f"{self.prefix}-{name}", value, self.step)
        self.step += 1
        self.summary_writer.flush()

    def state_dict(self) -> dict[str, Any]:
        """How many steps were written."""
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on after these steps."""
        self.step = state["step"]
