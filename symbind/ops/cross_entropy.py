"""Cross entropy of a softmax with labels that name classes."""

from __future__ import annotations

from functools import partial

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .kernels import scalar_like, sequence
from .operator import Kernel, MaybeShape, Operator, Sample, register
from .parameter import Bool, Enum, Float, Param, Params
from .shapes import Shape, merge, product

__all__ = ["Labels"]


class Labels:
    """Labels that name classes along one axis, read anew at every run of a kernel into memory of its own.

    ``number`` is the label as an integer, and ``chosen`` a class that exists in any case. ``mark`` is ``value`` where
    that is the one meant, and 0 for a label that is no class.
    """

    def __init__(self, label: torch.Tensor, classes: int, value: float, dtype: torch.dtype) -> None:
        self.label = label
        self.number = torch.empty_like(label, dtype=torch.int64)
        self.chosen = torch.empty_like(self.number)
        self.mark = torch.empty_like(label, dtype=dtype)
        self._is_class = torch.empty_like(self.number, dtype=torch.bool)
        # As tensors: with Python's numbers these calls take up to three times as long.
        self._value, self._zero = (scalar_like(number, self.mark) for number in (value, 0))
        self._first, self._last = (scalar_like(number, self.number) for number in (0, classes - 1))

    def read(self) -> None:
        self.number.copy_(self.label)
        torch.clamp(self.number, self._first, self._last, out=self.chosen)
        torch.eq(self.number, self.chosen, out=self._is_class)
        torch.where(self._is_class, self._value, self._zero, out=self.mark)


class _SoftmaxOutput(Operator):
    grad_scale = Param(Float, 1.0, "Factor of the gradient.")
    ignore_label = Param(Float, -1.0, "The label that use_ignore and normalization='valid' leave out.")
    multi_output = Param(Bool, False, "Classes are axis 1, and every place of the other axes has a label.")
    use_ignore = Param(Bool, False, "No gradient where the label is ignore_label.")
    preserve_shape = Param(Bool, False, "Softmax over the last axis; otherwise over all axes but the first.")
    normalization = Param(
        Enum("batch", "null", "valid"),
        "null",
        "Divide the gradient by nothing, the batch size, or the number of valid labels.",
    )
    out_grad = Param(Bool, False, "Multiply the gradient by the output, as MXNet 1.9.1 does.")
    smooth_alpha = Param(Float, 0.0, "Share of the target that is spread over the wrong classes.")

    @staticmethod
    def groups(p: Params, shape: Shape) -> Shape:
        """``shape`` of the data as (samples, classes, places), which are normalized one by one."""
        if p.multi_output:
            return (shape[0], shape[1], product(shape[2:]))
        if p.preserve_shape:
            return (product(shape[:-1]), shape[-1], 1)
        return (shape[0], product(shape[1:]), 1)


@register
class SoftmaxOutput(_SoftmaxOutput):
    r"""Softmax whose gradient is that of the cross entropy with the labels.

    .. math:: y_k = \frac{e^{x_k}}{\sum_j e^{x_j}}, \qquad
              \frac{\partial L}{\partial x_k} = s\,(y_k - t_k), \qquad
              t_k = \begin{cases} 1 - \alpha & k = label \\ \alpha / (K - 1) & \text{else} \end{cases}

    with :math:`\alpha` = ``smooth_alpha`` and :math:`s` = ``grad_scale`` over the normalizer. The head gradient does
    not matter, and the label gets no gradient. With ``out_grad`` the gradient is also multiplied by :math:`y`.

    Shapes: ``data`` :math:`(N, K)` and ``label`` :math:`(N)`. With ``multi_output`` :math:`(N, K, d_1, …)` and
    :math:`(N, d_1 ⋯)` or :math:`(N, d_1, …)`; the gradient is also divided by the number of places unless the
    normalization is ``valid``, and nothing is smoothed. With ``preserve_shape`` :math:`(…, K)` and :math:`(…)`. A
    label of the shape of ``data`` holds the probabilities :math:`t` themselves; then ``grad_scale`` is the only
    option that matters. A label that is no class has an all-zero target. The output has the shape of ``data``.

    Raises MXNetError if the label does not fit.
    """

    name = "SoftmaxOutput"
    aliases = ("Softmax",)
    samples = (
        Sample((3, 4), (3,), integer=(1,), high=4),
        Sample((2, 3, 2), (2, 2), integer=(1,), high=3, multi_output=True, normalization="valid"),
        Sample((2, 2, 3), (2, 2), integer=(1,), high=3, preserve_shape=True, smooth_alpha=0.1),
    )
    inputs = ("data", "label")
    unread = (1,)
    ignores_head_gradient = True
    inplace = ((0, 0),)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        return [data, self.label_shape(p, data, inputs[1])], [data]

    @staticmethod
    def label_shape(p: Params, data: MaybeShape, label: MaybeShape) -> MaybeShape:
        if data is None or len(data) < 2:
            return label
        if p.multi_output:
            batch, places = data[0], data[2:]
            allowed = [(batch, product(places)), (batch, *places), (batch, 1, *places), data]
        else:
            allowed = [data[:-1], data]
        for shape in allowed:
            try:
                return merge(label, shape)
            except MXNetError:
                continue
        raise MXNetError(f"Label of shape {label} for data {data}; expected {' or '.join(map(str, allowed))}")

    def gradient(self, p, x, y, dy):
        return [apply("_backward_SoftmaxOutput", x[1], y[0], **vars(p)), None]

    def kernel(self, p, inputs, outputs, env):
        groups = self.groups(p, inputs[0].shape)
        # Without places the classes come last, which torch's softmax likes.
        groups = groups[:2] if groups[2] == 1 else groups
        return partial(torch.softmax, inputs[0].view(groups), 1, out=outputs[0].view(groups))


@register
class SoftmaxOutputGradient(_SoftmaxOutput):
    """Gradient of SoftmaxOutput from its label and output, see there."""

    name = "_backward_SoftmaxOutput"
    inputs = ("label", "output")

    def inplace_pairs(self, p):
        return () if p.out_grad else ((1, 0),)

    def infer_shape(self, p, inputs, outputs):
        shape = merge(inputs[1], outputs[0])
        return [inputs[0], shape], [shape]

    def kernel(self, p, inputs, outputs, env):
        label, probability = inputs
        result = outputs[0]
        if label.shape == probability.shape:
            steps: list[Kernel] = [partial(torch.sub, probability, label, out=result)]
            if p.grad_scale != 1:
                steps.append(partial(result.mul_, p.grad_scale))
        else:
            steps = self.steps(p, label, probability, result)
        if p.out_grad:
            steps.append(partial(result.mul_, probability))
        return sequence(steps)

    def steps(
        self, p: Params, label: torch.Tensor, probability: torch.Tensor, result: torch.Tensor
    ) -> list[Kernel]:
        """The calls that compute the gradient for labels that name classes."""
        samples, classes, places = groups = self.groups(p, probability.shape)
        probability, result = probability.view(groups), result.view(groups)
        # Unless preserve_shape is set, data of more than two axes have more labels than samples; the first ones count.
        label = label.reshape(-1)[: samples * places].view(samples, 1, places)
        scale = p.grad_scale
        if p.normalization != "valid":
            scale /= places * (samples if p.normalization == "batch" else 1)
        smooth = 0.0 if p.multi_output else p.smooth_alpha
        spread = smooth / (classes - 1) if classes > 1 else 0.0

        labels = Labels(label, classes, spread + smooth - 1, result.dtype)
        steps: list[Kernel] = [
            labels.read,
            partial(torch.sub, probability, spread, out=result) if spread else partial(result.copy_, probability),
            partial(result.scatter_add_, 1, labels.chosen, labels.mark),
        ]
        if p.use_ignore:
            ignored = torch.empty_like(label, dtype=torch.bool)
            steps.append(partial(torch.eq, labels.number, int(p.ignore_label), out=ignored))
            steps.append(partial(result.masked_fill_, ignored, 0))
        if p.normalization == "valid":
            valid = torch.empty_like(label, dtype=torch.bool)
            count = torch.empty((), dtype=torch.int64, device=label.device)

            def normalize() -> None:
                torch.ne(labels.number, int(p.ignore_label), out=valid)
                torch.sum(valid, (0, 1, 2), out=count)
                result.div_(count.clamp_(min=1))

            steps.append(normalize)
        if scale != 1:
            steps.append(partial(result.mul_, scale))
        return steps


@register
class SoftmaxCrossEntropy(Operator):
    r"""Cross entropy of the softmax with the labels, summed over the samples.

    .. math:: y = -\sum_n \log \frac{e^{x_{n,l_n}}}{\sum_k e^{x_{n,k}}}

    Shapes: ``data`` :math:`(N, K)`, ``label`` :math:`(N)`, output (1,). The label gets no gradient; a label that is
    no class adds nothing.
    """

    name = "softmax_cross_entropy"
    inputs = ("data", "label")
    samples = (Sample((3, 4), (3,), values={1: [0, 3, 1]}, integer=(1,)),)

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], (0, 0))
        label = merge(inputs[1], data[:1])
        return [(label[0], data[1]), label], [(1,)]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_softmax_cross_entropy", dy[0], *x), None]

    def kernel(self, p, inputs, outputs, env):
        data, label = inputs
        output = outputs[0]
        labels = Labels(label.unsqueeze(1), data.shape[1], 1, data.dtype)
        normalizer = torch.empty_like(data[:, :1])
        logit = torch.empty_like(normalizer)

        def run() -> None:
            labels.read()
            torch.logsumexp(data, 1, keepdim=True, out=normalizer)
            torch.gather(data, 1, labels.chosen, out=logit)
            torch.sum(normalizer.sub_(logit).mul_(labels.mark), 0, out=output)

        return run


@register
class SoftmaxCrossEntropyGradient(Operator):
    """Gradient of softmax_cross_entropy: softmax minus one-hot label, times the head gradient."""

    name = "_backward_softmax_cross_entropy"
    inputs = ("head_grad", "data", "label")

    def infer_shape(self, p, inputs, outputs):
        head, data, label = inputs
        data = merge(data, outputs[0])
        return [merge(head, (1,)), data, label], [data]

    def kernel(self, p, inputs, outputs, env):
        head, data, label = inputs
        result = outputs[0]
        labels = Labels(label.unsqueeze(1), data.shape[1], -1, data.dtype)
        factor = torch.empty_like(labels.mark)

        def run() -> None:
            labels.read()
            torch.softmax(data, 1, out=result)
            result.scatter_add_(1, labels.chosen, labels.mark)
            # A row whose label is no class has no part in the sum.
            result.mul_(torch.mul(labels.mark, head, out=factor)).neg_()

        return run
