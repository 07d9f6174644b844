"""Batch normalization and its variants."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ..base import MXNetError
from ..graph.node import Entry
from ..graph.symbol import apply
from .kernels import sequence
from .operator import ZERO, Kernel, MaybeDType, Operator, Sample, register
from .parameter import Bool, Float, Int, Optional, Param, Params, String
from .shapes import merge, normalize_axis, product

aten = torch.ops.aten


def _statistics_dtype(data: MaybeDType) -> MaybeDType:
    """The type in which parameters and statistics of ``data`` are kept: half precision is too coarse for averages."""
    return torch.float32 if data in (torch.float16, torch.bfloat16) else data


def _around(array: torch.Tensor, axis: int) -> torch.Tensor:
    """``array`` as (before, at, after) ``axis``, without the last if that is 1: torch is slow on such a tail."""
    shape = array.shape
    axis %= len(shape)
    before, after = product(shape[:axis]), product(shape[axis + 1 :])
    return array.view(before, shape[axis], after) if after > 1 else array.view(before, shape[axis])


def _uses_batch(p: Params, is_train: bool) -> bool:
    return is_train and not p.use_global_stats


@register
class BatchNorm(Operator):
    r"""Batch normalization: each channel is given mean :math:`\beta` and standard deviation :math:`\gamma`.

    .. math:: y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    While training, :math:`\mu` and :math:`\sigma^2` are mean and (biased) variance over all axes but the channel's;
    during inference, or with ``use_global_stats``, they are the moving statistics. Those are auxiliary states, which
    the *backward* pass of a training step updates:
    :math:`moving \leftarrow momentum \cdot moving + (1 - momentum) \cdot batch`. After an inference pass the gradient
    is that of the inference formula.

    Shapes: ``data`` any with :math:`C` channels along ``axis``, all others :math:`(C)`. Outputs: ``output`` as
    ``data``; with ``output_mean_var`` also ``mean`` and ``var`` :math:`(C)`, the latter holding
    :math:`1 / \sqrt{\sigma^2 + \epsilon}`; no gradient flows through these two. For data in half precision all but
    ``data`` and ``output`` are float32.

    Raises MXNetError if the data has no such axis.

    Source: Ioffe and Szegedy, *Batch normalization*, ICML 2015.
    """

    name = "BatchNorm"
    inputs: Sequence[str] = ("data", "gamma", "beta")
    sample_wise = (0,)
    mode_dependent = True
    recomputable = (0,)
    auxiliary = ("moving_mean", "moving_var")
    outputs: Sequence[str] | None = ("output", "mean", "var")
    eps = Param(Float, 1e-3, "Added to the variance.")
    momentum = Param(Float, 0.9, "Share of their old values that the moving statistics keep.")
    fix_gamma = Param(Bool, True, "Set gamma to 1 and give it no gradient.")
    use_global_stats = Param(Bool, False, "Normalize by the moving statistics even while training.")
    output_mean_var = Param(Bool, False, "Show the mean and the inverse standard deviation as outputs.")
    axis = Param(Int, 1, "The channel axis.")
    cudnn_off = Param(Bool, False, "Accepted for MXNet's sake.")
    min_calib_range = Param(Optional(Float), None, "Accepted for MXNet's sake.")
    max_calib_range = Param(Optional(Float), None, "Accepted for MXNet's sake.")
    samples: Sequence[Sample] = (
        Sample((3, 2, 2), (2,), (2,), (2,), (2,), fix_gamma=False),
        Sample((3, 2), (2,), (2,), (2,), (2,), values={1: [1, 1]}),
        Sample((3, 2, 2), (2,), (2,), (2,), (2,), fix_gamma=False, use_global_stats=True, values={4: (0.5, 1.5)}),
        Sample((2, 2, 3), (3,), (3,), (3,), (3,), fix_gamma=False, axis=-1),
    )

    def num_outputs(self, p):
        return 3

    def num_visible_outputs(self, p):
        return 3 if p.output_mean_var else 1

    def variable_attrs(self, p, input_name):
        return {"moving_mean": {"__init__": '["zero", {}]'}, "moving_var": {"__init__": '["one", {}]'}}.get(
            input_name, {}
        )

    def mutated_inputs(self, p):
        return (1,) if p.fix_gamma else ()

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        if data is None:
            return inputs, outputs
        channels = (data[normalize_axis(p.axis, len(data), "Channel axis")],)
        return [data, *[channels] * 4], [data, channels, channels]

    def infer_dtype(self, p, inputs, outputs):
        data = inputs[0] or outputs[0]
        statistics = _statistics_dtype(data) or next((t for t in (*inputs[1:], *outputs[1:]) if t), None)
        return [data, *[statistics] * 4], [data, statistics, statistics]

    def gradient(self, p, x, y, dy):
        data, gamma, _, *moving = x
        d_data, d_gamma, d_beta = apply(
            "_backward_BatchNorm", dy[0], data, gamma, *y[1:], *moving,
            eps=p.eps, momentum=p.momentum, use_global_stats=p.use_global_stats, axis=p.axis,
        )  # fmt: skip
        return [d_data, ZERO if p.fix_gamma else d_gamma, d_beta, None, None]

    def again(self, node, inputs):
        p = Params({"eps": node.params.eps, "axis": node.params.axis})
        return NORMALIZE, [*inputs[:3], Entry(node, 1), Entry(node, 2)], p

    def kernel(self, p, inputs, outputs, env):
        data, gamma, beta, moving_mean, moving_var = inputs
        output, mean, deviation = outputs
        data, output = _around(data, p.axis), _around(output, p.axis)

        nothing = torch.empty(0, dtype=mean.dtype, device=mean.device)

        def normalize(mean: torch.Tensor, variance: torch.Tensor) -> None:
            aten.native_batch_norm.out(
                data, gamma, beta, mean, variance, False, 0.0, p.eps,
                out=output, save_mean=nothing, save_invstd=nothing,
            )  # fmt: skip

        def from_moving() -> None:
            mean.copy_(moving_mean)
            torch.add(moving_var, p.eps, out=deviation).rsqrt_()
            normalize(moving_mean, moving_var)

        if not _uses_batch(p, env.is_train):
            run = from_moving
        elif data.is_cuda or data.dim() == 2:
            run = partial(
                aten.native_batch_norm.out, data, gamma, beta, None, None, True, 0.0, p.eps,
                out=output, save_mean=mean, save_invstd=deviation,
            )  # fmt: skip
        else:
            # On images torch computes statistics four times slower than this.
            statistics = _moments(data, output, mean, deviation)

            def run() -> None:
                statistics()
                normalize(mean, deviation)
                deviation.add_(p.eps).rsqrt_()

        if not p.fix_gamma:
            return run

        def with_fixed_gamma() -> None:
            gamma.fill_(1)
            run()

        return with_fixed_gamma


def _moments(
    data: torch.Tensor, centred: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor
) -> Kernel:
    """Mean and biased variance of ``data`` (N, C, L) over all but C, and the data less the mean."""
    samples, channels, length = data.shape
    column = mean.view(1, channels, 1)
    norms = torch.empty(samples, channels, dtype=mean.dtype, device=mean.device)

    def run() -> None:
        torch.mean(data, (0, 2), keepdim=True, dtype=mean.dtype, out=column)
        torch.sub(data, column, out=centred)
        torch.linalg.vector_norm(centred, 2, 2, dtype=mean.dtype, out=norms)
        torch.linalg.vector_norm(norms, 2, 0, out=variance)
        variance.square_().div_(samples * length)

    return run


class Normalize(Operator):
    """BatchNorm with statistics that are known: the mean, and the inverse standard deviation as ``var``."""

    name = "_normalize"
    inputs: Sequence[str] = ("data", "gamma", "beta", "mean", "var")
    sample_wise = (0,)
    inplace = ((0, 0),)
    eps = Param(Float, 1e-3, "Added to the variance.")
    axis = Param(Int, 1, "The channel axis.")

    def infer_shape(self, p, inputs, outputs):
        data = merge(inputs[0], outputs[0])
        if data is None:
            return inputs, outputs
        return [data, *[(data[normalize_axis(p.axis, len(data))],)] * 4], [data]

    def infer_dtype(self, p, inputs, outputs):
        data = inputs[0] or outputs[0]
        return [data, *[_statistics_dtype(data)] * 4], [data]

    def kernel(self, p, inputs, outputs, env):
        data, gamma, beta, mean, deviation = inputs
        data, output = _around(data, p.axis), _around(outputs[0], p.axis)
        variance = torch.empty_like(deviation)
        nothing = torch.empty(0, dtype=mean.dtype, device=mean.device)

        def run() -> None:
            torch.pow(deviation, -2, out=variance).sub_(p.eps)
            aten.native_batch_norm.out(
                data, gamma, beta, mean, variance, False, 0.0, p.eps,
                out=output, save_mean=nothing, save_invstd=nothing,
            )  # fmt: skip

        return run


#: Made by the passes alone.
NORMALIZE = Normalize()


@register
class BatchNormGradient(Operator):
    """Gradient of BatchNorm with respect to data, gamma and beta; updates the moving statistics while training."""

    name = "_backward_BatchNorm"
    inputs: Sequence[str] = ("head_grad", "data", "gamma", "mean", "var", "moving_mean", "moving_var")
    mode_dependent = True
    eps = Param(Float, 1e-3, "Added to the variance.")
    momentum = Param(Float, 0.9, "Share of their old values that the moving statistics keep.")
    use_global_stats = Param(Bool, False, "Normalize by the moving statistics even while training.")
    axis = Param(Int, 1, "The channel axis.")

    def num_outputs(self, p):
        return 3

    def mutated_inputs(self, p):
        return (5, 6)

    def infer_shape(self, p, inputs, outputs):
        data = merge(merge(inputs[0], inputs[1]), outputs[0])
        if data is None:
            return inputs, outputs
        channels = (data[normalize_axis(p.axis, len(data))],)
        return [data, data, *[channels] * 5], [data, channels, channels]

    def infer_dtype(self, p, inputs, outputs):
        data = inputs[0] or inputs[1] or outputs[0]
        statistics = _statistics_dtype(data)
        return [data, data, *[statistics] * 5], [data, statistics, statistics]

    def kernel(self, p, inputs, outputs, env):
        head, data, gamma, mean, deviation, moving_mean, moving_var = inputs
        d_data, d_gamma, d_beta = outputs
        head, data, d_data = (_around(array, p.axis) for array in (head, data, d_data))
        from_batch = _uses_batch(p, env.is_train)
        update = self.update(p, mean, deviation, moving_mean, moving_var)

        def run() -> None:
            results = aten.native_batch_norm_backward(
                head, data, gamma, moving_mean, moving_var, mean, deviation, from_batch, p.eps, [True, True, True]
            )
            for output, result in zip((d_data, d_gamma, d_beta), results):
                output.copy_(result)
            if from_batch:
                update()

        return run

    @staticmethod
    def update(
        p: Params, mean: torch.Tensor, deviation: torch.Tensor, moving_mean: torch.Tensor, moving_var: torch.Tensor
    ) -> Kernel:
        variance = torch.empty_like(deviation)

        def run() -> None:
            torch.pow(deviation, -2, out=variance)
            moving_mean.lerp_(mean, 1 - p.momentum)
            moving_var.lerp_(variance.sub_(p.eps), 1 - p.momentum)

        return run


@register
class BatchNormV1(BatchNorm):
    """BatchNorm of the first releases: the same formula, with the channels along axis 1."""

    name = "BatchNorm_v1"
    parameters = {key: BatchNorm.parameters[key] for key in (
        "eps", "momentum", "fix_gamma", "use_global_stats", "output_mean_var",
    )}  # fmt: skip
    samples = (Sample((3, 2, 2), (2,), (2,), (2,), (2,), fix_gamma=False),)

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        vars(p).update(axis=1)
        return p


@register
class SyncBatchNorm(BatchNormV1):
    """BatchNorm whose statistics are meant for the batch of all devices.

    The formula is that of BatchNorm, with the channels along axis 1, over the data of this device. With
    ``output_mean_var`` the third output is the variance, where BatchNorm has the inverse standard deviation.
    """

    name = "_contrib_SyncBatchNorm"
    output_mean_var = Param(Bool, False, "Show the mean and the variance as outputs.")
    ndev = Param(Int, 1, "Number of devices.")
    key = Param(String, doc="Name that the devices share.")
    samples = (Sample((3, 2, 2), (2,), (2,), (2,), (2,), fix_gamma=False, named={"key": "bn"}),)

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.ndev != 1:
            raise MXNetError(f"{self.name} works within one device, but ndev={p.ndev}")
        return p

    def gradient(self, p, x, y, dy):
        deviation = apply("rsqrt", y[2] + p.eps) if p.output_mean_var else y[2]
        return super().gradient(p, x, [y[0], y[1], deviation], dy)

    def kernel(self, p, inputs, outputs, env):
        run = super().kernel(p, inputs, outputs, env)
        if not p.output_mean_var:
            return run
        variance = outputs[2]
        return sequence([run, lambda: variance.pow_(-2).sub_(p.eps)])


@register
class BatchNormWithReLU(BatchNorm):
    r"""BatchNorm followed by a rectifier: :math:`y = \max(0, z)` for the output :math:`z` of BatchNorm, see there."""

    name = "_contrib_BatchNormWithReLU"

    def gradient(self, p, x, y, dy):
        passed = apply("_backward_Activation", dy[0], y[0], act_type="relu")
        return super().gradient(p, x, y, [passed])

    def kernel(self, p, inputs, outputs, env):
        return sequence([super().kernel(p, inputs, outputs, env), partial(outputs[0].clamp_, min=0)])
