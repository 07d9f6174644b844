"""Connectionist temporal classification."""

from __future__ import annotations

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .operator import Operator, Sample, register
from .parameter import Bool, Enum, Param
from .shapes import merge

aten = torch.ops.aten


def _check(what: str, numbers: torch.Tensor, most: int) -> None:
    """MXNetError if one of ``numbers`` is larger than can be."""
    if numbers.numel() and (largest := int(numbers.max())) > most:
        raise MXNetError(f"{what} {largest} of CTCLoss is too large: it can be {most} at most")


@register
class CTCLoss(Operator):
    r"""Negative logarithm of the probability that frames spell a label.

    .. math:: y_n = -\log \sum_{\pi \in B^{-1}(l_n)} \prod_t p_{t, n, \pi_t}

    where :math:`p` is the softmax of the frames over the classes, and :math:`B` takes a path through the frames to a
    label by leaving out first repetitions and then blanks.

    Shapes: ``data`` :math:`(T, N, C)`, unnormalized; ``label`` :math:`(N, L)`, whole numbers; ``data_lengths`` and
    ``label_lengths`` :math:`(N)`, how many frames and labels count. Without the latter a row of labels ends before the
    first 0 (blank is class 0) or -1 (blank is the last class, and 0 is the first label). Output :math:`(N)`. Only
    ``data`` gets a gradient. A label that no path spells, too long for its frames, has the loss :math:`\infty` and a
    gradient of zero.

    Raises MXNetError if the shapes do not fit, there are more labels than frames, or (when it runs) for a label that
    is no class and a length beyond the array.

    Source: Graves et al., *Connectionist temporal classification*, ICML 2006.
    """

    name = "CTCLoss"
    aliases = ("ctc_loss", "_contrib_CTCLoss", "_contrib_ctc_loss")
    inputs = ("data", "label", "data_lengths", "label_lengths")
    use_data_lengths = Param(Bool, False, "Whether there is an input that says how many frames count.")
    use_label_lengths = Param(Bool, False, "Whether there is an input that says how many labels count.")
    blank_label = Param(Enum("first", "last"), "first", "Which class is the blank.")
    samples = (
        Sample((4, 2, 3), (2, 2), integer=(1,), values={1: [1, 2, 2, 0]}),
        Sample((4, 2, 3), (2, 2), integer=(1,), values={1: [0, 1, 1, -1]}, blank_label="last"),
        Sample(
            (5, 2, 3), (2, 2), (2,), (2,), integer=(1, 2, 3), values={1: [1, 1, 2, 1], 2: [4, 5], 3: [2, 1]},
            use_data_lengths=True, use_label_lengths=True,
        ),
    )  # fmt: skip

    def input_names(self, p):
        wanted = (True, True, p.use_data_lengths, p.use_label_lengths)
        return [name for name, is_wanted in zip(self.inputs, wanted) if is_wanted]

    def num_outputs(self, p):
        # The second is the gradient for a head gradient of ones, which the same recursion gives.
        return 2

    def num_visible_outputs(self, p):
        return 1

    def infer_shape(self, p, inputs, outputs):
        data, label, *lengths = inputs
        data = merge(data, (0, 0, 0))
        label = merge(label, (data[1], 0))
        frames, _, classes = data
        if frames and label[1] > frames:
            raise MXNetError(f"There are up to {label[1]} labels (shape {label}) but only {frames} frames")
        batch = label[:1]
        data = (frames, *batch, classes)
        return [data, label, *[batch] * len(lengths)], [batch, data]

    def infer_dtype(self, p, inputs, outputs):
        data = inputs[0] or outputs[0] or outputs[1]
        return [data, *inputs[1:]], [data, data]

    def gradient(self, p, x, y, dy):
        by_sample = apply("Reshape", dy[0], shape=(1, -1, 1))
        return [apply("broadcast_mul", y[1], by_sample), *[None] * (len(x) - 1)]

    def kernel(self, p, inputs, outputs, env):
        data, label, *lengths = inputs
        loss, gradient = outputs
        frames, batch, classes = data.shape
        blank, padding = (0, 0) if p.blank_label == "first" else (classes - 1, -1)
        # torch has this in single and double precision.
        probabilities = torch.empty_like(data, dtype=torch.float64 if data.dtype == torch.float64 else torch.float32)
        targets = torch.empty_like(label, dtype=torch.int64)
        data_lengths = torch.full((batch,), frames)
        label_lengths = torch.empty(batch, dtype=torch.int64)
        heads = torch.ones(batch, dtype=probabilities.dtype, device=data.device)
        frame = torch.arange(frames).view(-1, 1)

        def run() -> None:
            targets.copy_(label)
            if p.use_data_lengths:
                data_lengths.copy_(lengths[0])
            if p.use_label_lengths:
                label_lengths.copy_(lengths[-1])
            else:
                label_lengths.copy_((targets != padding).cumprod(1).sum(1))
            # torch would read memory that is not there.
            _check("Label", targets, classes - 1)
            _check("Number of frames", data_lengths, frames)
            _check("Number of labels", label_lengths, label.shape[1])
            targets.clamp_(min=0)
            torch.log_softmax(data, 2, dtype=probabilities.dtype, out=probabilities)
            arguments = (probabilities, targets, data_lengths, label_lengths)
            losses, paths = aten._ctc_loss.Tensor(*arguments, blank, False)
            by_logarithm = aten._ctc_loss_backward.Tensor(heads, *arguments, losses, paths, blank, True)
            loss.copy_(losses)
            gradient.copy_(aten._log_softmax_backward_data(by_logarithm, probabilities, 2, probabilities.dtype))
            if p.use_data_lengths:
                # Whatever there is in frames that do not count, infinities as well, has no gradient.
                gradient.masked_fill_((frame >= data_lengths).unsqueeze(2).to(data.device), 0)

        return run
