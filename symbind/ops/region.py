"""Regions of feature maps, of any size, pooled to a fixed one.

A region is a row (image, left, top, right, bottom) in pixels of the image; ``spatial_scale`` takes it to the map. Its
place has no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..base import MXNetError
from ..graph.symbol import apply
from .bags import Bags, Points, add_at, between, bilinear
from .operator import ZERO, Operator, Sample, register
from .parameter import Bool, Float, Int, Param, Params
from .parameter import Shape as ShapeKind
from .shapes import merge

__all__: list[str] = []


def _rounded(coordinates: torch.Tensor) -> torch.Tensor:
    """Nearest whole numbers, halves away from zero."""
    exact = coordinates.double()
    return torch.copysign(exact.abs().add_(0.5).floor_(), exact).to(coordinates.dtype)


class _Regions(Operator):
    """What poolings of regions and their gradients share: the sizes, and rows of pixels."""

    inputs: Sequence[str] = ("data", "rois")
    columns = 5
    """Numbers that say where a region is."""

    def sizes(self, p: Params) -> tuple[int, int]:
        """Height and width of the output."""
        raise NotImplementedError

    def groups(self, p: Params) -> int:
        """Into how many groups channels are divided, that different places of the output look at."""
        return 1

    def channels(self, p: Params, given: int) -> int:
        """Channels of the output."""
        return given // self.groups(p)

    def check_sizes(self, p: Params) -> None:
        if min(self.sizes(p)) < 1:
            raise MXNetError(f"The output of {self.name} must be of size 1 at least, not {self.sizes(p)}")

    def pooled_shape(self, p, data, rois, output):
        """Shapes of the data, the regions and the output."""
        data, rois = merge(data, (0, 0, 0, 0)), merge(rois, (0, self.columns))
        if data[1] % self.groups(p):
            raise MXNetError(f"The {data[1]} channels of the data are no multiple of {self.groups(p)}")
        output = merge(output, (rois[0], self.channels(p, data[1]), *self.sizes(p)))
        return data, (output[0], self.columns), output

    def rows(self, p: Params, data: torch.Tensor) -> torch.Tensor:
        """A view of ``data`` (N, C·G, H, W) as (N, G, H, W, C): rows of what is pooled alike."""
        return data.unflatten(1, (-1, self.groups(p))).permute(0, 2, 3, 4, 1)


class _Linear(_Regions):
    """Poolings that are sums with weights."""

    def bags(self, p: Params, data: torch.Tensor, rois: torch.Tensor) -> Bags:
        """The sum that each place of the output is, for each region."""
        raise NotImplementedError

    def infer_shape(self, p, inputs, outputs):
        data, rois, output = self.pooled_shape(p, inputs[0], inputs[1], outputs[0])
        return [data, rois], [output]

    def gradient(self, p, x, y, dy):
        return [apply(f"_backward{self.name}", dy[0], *x, **vars(p)), ZERO]

    def kernel(self, p, inputs, outputs, env):
        data, rois = inputs
        source, output = self.rows(p, data), outputs[0].permute(0, 2, 3, 1)
        rows = torch.empty(source.shape, dtype=data.dtype, device=env.device)

        def run() -> None:
            rows.copy_(source)
            output.copy_(self.bags(p, data, rois).sums(rows.view(-1, rows.shape[-1])).view_as(output))

        return run


class _LinearGradient(_Linear):
    inputs = ("head_grad", "data", "rois")
    unread = (1,)

    def infer_shape(self, p, inputs, outputs):
        data, rois, head = self.pooled_shape(p, merge(inputs[1], outputs[0]), inputs[2], inputs[0])
        return [head, data, rois], [data]

    def gradient(self, p, x, y, dy):
        return [apply(self.name.removeprefix("_backward"), dy[0], x[2], **vars(p)), ZERO, ZERO]

    def kernel(self, p, inputs, outputs, env):
        head, data, rois = inputs
        source, output = head.permute(0, 2, 3, 1), self.rows(p, outputs[0])
        rows = torch.empty(source.shape, dtype=head.dtype, device=env.device)

        def run() -> None:
            rows.copy_(source)
            bags = self.bags(p, data, rois).transposed(output[..., 0].numel())
            output.copy_(bags.sums(rows.view(-1, rows.shape[-1])).view_as(output))

        return run


# ---- maxima -------------------------------------------------------------------------------------


@register
class ROIPooling(_Regions):
    r"""The largest number in every bin of a region.

    Corners are multiplied by ``spatial_scale`` and rounded; both corner pixels belong to the region, which is one
    pixel large at least. Its height :math:`h` is divided into :math:`H` bins, the :math:`i`-th from
    :math:`\lfloor i h / H \rfloor` up to :math:`\lceil (i + 1) h / H \rceil`; likewise the width. A bin outside the
    map gives 0, and a region of an image that there is not gives zeros.

    Shapes: ``data`` :math:`(N, C, h, w)`, ``rois`` :math:`(R, 5)`, output :math:`(R, C, H, W)`.

    Girshick, "Fast R-CNN", 2015.
    """

    name = "ROIPooling"
    outputs = ("output", "places")
    pooled_size = Param(ShapeKind, doc="Height and width of the output.")
    spatial_scale = Param(Float, doc="Size of the feature map in parts of the image's size.")
    samples = (
        Sample((2, 2, 5, 4), (3, 5), values={0: (0, 100), 1: [0, 0, 0, 3, 3, 1, 1, 2, 3, 4, 0, 2, 3, 9, 9]},
               integer=(1,), pooled_size=(2, 2), spatial_scale=1.0),
        Sample((1, 1, 4, 6), (1, 5), values={0: (0, 100), 1: [0, 2, 0, 11, 7]}, integer=(1,), pooled_size=(3, 2),
               spatial_scale=0.5),
    )  # fmt: skip

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        _two(self, p)
        return p

    def sizes(self, p):
        return p.pooled_size

    def num_outputs(self, p):
        return 2

    def num_visible_outputs(self, p):
        return 1

    def infer_shape(self, p, inputs, outputs):
        data, rois, output = self.pooled_shape(p, inputs[0], inputs[1], merge(outputs[0], outputs[1]))
        return [data, rois], [output, output]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        return [dtype, dtype], [dtype, torch.int64]

    def gradient(self, p, x, y, dy):
        return [apply("_backward_ROIPooling", dy[0], x[0], y[1]), ZERO]

    def bins(self, p: Params, rois: torch.Tensor, shape: torch.Size) -> Bags:
        """The pixels of each bin of each region."""
        count, _, height, width = shape
        corner = _rounded(rois[:, 1:] * p.spatial_scale)
        image, exists = _images(rois, count)

        def along(axis: int, count: int, size: int) -> Points:
            first = corner[:, axis]
            part = ((corner[:, axis + 2] - first + 1).clamp_min_(1) / count).unsqueeze(1)
            bin_ = torch.arange(count, device=rois.device, dtype=rois.dtype)
            first = first.unsqueeze(1)
            last = ((bin_ + 1) * part).ceil_() + first
            return between((bin_ * part).floor_() + first, last.where(exists.unsqueeze(1), 0), size)

        origin = (image * height * width)[:, None, None].expand(-1, *self.sizes(p))
        return along(1, p.pooled_size[0], height).times(along(0, p.pooled_size[1], width), origin, width)

    def kernel(self, p, inputs, outputs, env):
        data, rois = inputs
        source = self.rows(p, data)
        output, places = (array.permute(0, 2, 3, 1) for array in outputs)
        rows = torch.empty(source.shape, dtype=data.dtype, device=env.device)

        def run() -> None:
            rows.copy_(source)
            largest, where = self.bins(p, rois, data.shape).maxima(rows.view(-1, rows.shape[-1]))
            output.copy_(largest.view_as(output))
            places.copy_(where.view_as(places))

        return run


@register
class ROIPoolingGradient(Operator):
    """Gradient of ROIPooling: each head gradient goes to the pixel that was the largest of its bin."""

    name = "_backward_ROIPooling"
    inputs = ("head_grad", "data", "places")
    unread = (1,)

    def infer_shape(self, p, inputs, outputs):
        data, head = merge(inputs[1], outputs[0]), merge(inputs[0], inputs[2])
        return [head, data, head], [data]

    def infer_dtype(self, p, inputs, outputs):
        dtype = inputs[0] or inputs[1] or outputs[0]
        return [dtype, dtype, torch.int64], [dtype]

    def kernel(self, p, inputs, outputs, env):
        head, data, places = inputs
        _, channels, height, width = data.shape
        size = height * width
        channel = (torch.arange(channels, device=env.device) * size)[:, None, None]
        flat = outputs[0].view(-1)

        def run() -> None:
            # Rows count pixels of all images; in memory, the channels of an image lie between its pixels and the next.
            image, pixel = places // size, places % size
            target = image * (channels * size) + channel + pixel
            empty = places < 0
            flat.zero_()
            add_at(flat, target.masked_fill_(empty, 0).view(-1), head.masked_fill(empty, 0).view(-1))

        return run


def _images(rois: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which of ``count`` images each region is of, and whether there is such an image."""
    image = rois[:, 0].long()
    return image.clamp(0, count - 1), (image >= 0) & (image < count)


def _two(operator: _Regions, p: Params) -> None:
    if len(p.pooled_size) != 2:
        raise MXNetError(f"pooled_size={p.pooled_size} of {operator.name} must be a height and a width")
    operator.check_sizes(p)


# ---- interpolation ------------------------------------------------------------------------------


class _ROIAlign(_Linear):
    pooled_size = Param(ShapeKind, doc="Height and width of the output.")
    spatial_scale = Param(Float, doc="Size of the feature map in parts of the image's size.")
    sample_ratio = Param(Int, -1, "Points of a bin in each direction; not positive: one for each pixel of it.")
    position_sensitive = Param(Bool, False, "Give every place of the output channels of its own.")
    aligned = Param(Bool, False, "Take the middle of the first pixel, not its corner, for the coordinate 0.5.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        _two(self, p)
        return p

    def sizes(self, p):
        return p.pooled_size

    def groups(self, p):
        return p.pooled_size[0] * p.pooled_size[1] if p.position_sensitive else 1

    def bags(self, p, data, rois):
        count, _, height, width = data.shape
        corner = rois[:, 1:] * p.spatial_scale - (0.5 if p.aligned else 0)
        image, exists = _images(rois, count)
        # Regions of no image have no points.
        weight = exists.to(rois.dtype)

        def along(axis: int, count: int, size: int) -> Points:
            extent = corner[:, axis + 2] - corner[:, axis]
            extent = extent.clamp_min(0 if p.aligned else 1) / count
            points = extent.ceil() if p.sample_ratio <= 0 else torch.full_like(extent, p.sample_ratio)
            most = int(points.max()) if len(points) else 0
            point = torch.arange(most, device=rois.device, dtype=rois.dtype)
            bin_ = torch.arange(count, device=rois.device, dtype=rois.dtype).view(-1, 1)
            first, extent, points = (each.view(-1, 1, 1) for each in (corner[:, axis], extent, points))
            position = first + bin_ * extent + (point + 0.5) * extent / points
            share = (weight.view(-1, 1, 1) / points).where(point < points, 0)
            return bilinear(position, share.expand_as(position), size)

        group = torch.arange(self.groups(p), device=rois.device)
        group = group.view(p.pooled_size) if p.position_sensitive else group.expand(p.pooled_size)
        first = ((image * self.groups(p))[:, None, None] + group) * (height * width)
        return along(1, p.pooled_size[0], height).times(along(0, p.pooled_size[1], width), first, width)


@register
class ROIAlign(_ROIAlign):
    r"""The average over points in every bin of a region, by linear interpolation between pixels.

    Corners are multiplied by ``spatial_scale`` and not rounded; unless ``aligned``, a region is one pixel large at
    least. It is divided into :math:`H` by :math:`W` bins of equal size, each with ``sample_ratio`` by ``sample_ratio``
    points in equal distances. Points more than a pixel outside the map count as 0. With ``position_sensitive``, the
    place :math:`(i, j)` of channel :math:`c` looks at channel :math:`(c H + i) W + j` of the data.

    Shapes: ``data`` :math:`(N, C, h, w)`, ``rois`` :math:`(R, 5)`, output :math:`(R, C, H, W)`, or
    :math:`(R, C / (H W), H, W)` if position sensitive. A region of an image that there is not gives zeros.

    He et al., "Mask R-CNN", 2017.
    """

    name = "_contrib_ROIAlign"
    samples = (
        Sample((2, 2, 4, 5), (3, 5), values={1: [0, 0.4, 0.6, 3.5, 3.2, 1, -2, 1.8, 9, 3, -1, 0, 0, 2, 2]},
               integer=(1,), pooled_size=(2, 3), spatial_scale=0.7),
        Sample((1, 4, 3, 4), (1, 5), values={1: [0, 0, 1, 3, 3]}, integer=(1,), pooled_size=(2, 2), spatial_scale=1.0,
               sample_ratio=2, position_sensitive=True, aligned=True),
    )  # fmt: skip


@register
class ROIAlignGradient(_LinearGradient, _ROIAlign):
    """Gradient of ROIAlign: each head gradient goes to the pixels around its points, by their weights."""

    name = "_backward_contrib_ROIAlign"
    parameters = _ROIAlign.parameters
    samples = (
        Sample((1, 1, 2, 2), (1, 1, 3, 4), (1, 5), values={2: [0, 0, 1, 3, 3]}, integer=(2,), pooled_size=(2, 2),
               spatial_scale=1.0),
    )  # fmt: skip


class _RROIAlign(_Linear):
    columns = 6
    pooled_size = Param(ShapeKind, doc="Height and width of the output.")
    spatial_scale = Param(Float, doc="Size of the feature map in parts of the image's size.")
    sampling_ratio = Param(Int, -1, "Points of a bin in each direction; not positive: one for each pixel of it.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        _two(self, p)
        return p

    def sizes(self, p):
        return p.pooled_size

    def bags(self, p, data, rois):
        count, _, height, width = data.shape
        image, exists = _images(rois, count)
        x, y, *extents = (rois[:, 1:5] * p.spatial_scale).unbind(1)
        angle = torch.deg2rad(rois[:, 5])

        def along(extent: torch.Tensor, bins: int) -> tuple[torch.Tensor, torch.Tensor]:
            """Of the points of each bin, how far they are from the middle and their parts of the average."""
            extent = extent.clamp_min(1)
            part = extent / bins
            points = part.ceil() if p.sampling_ratio <= 0 else torch.full_like(part, p.sampling_ratio)
            point = torch.arange(int(points.max()) if len(points) else 0, device=rois.device, dtype=rois.dtype)
            bin_ = torch.arange(bins, device=rois.device, dtype=rois.dtype).view(-1, 1)
            extent, part, points = (each.view(-1, 1, 1) for each in (extent, part, points))
            offset = bin_ * part + (point + 0.5) * part / points - extent / 2
            return offset, (1 / points).where(point < points, 0).expand_as(offset)

        # Regions by bins down by bins across by the points of a bin.
        down, down_share = (each[:, :, None, :, None] for each in along(extents[1], p.pooled_size[0]))
        across, across_share = (each[:, None, :, None, :] for each in along(extents[0], p.pooled_size[1]))
        cos, sin, x, y, there = (each.view(-1, 1, 1, 1, 1) for each in (angle.cos(), angle.sin(), x, y, exists))
        share = (down_share * across_share * there).flatten(-2)
        lines = bilinear((y + down * cos - across * sin).flatten(-2), share, height)
        places = bilinear((x + across * cos + down * sin).flatten(-2), torch.ones_like(share), width)

        def corners(vertical: torch.Tensor, horizontal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            """Both lines of each point beside both its columns."""
            return vertical.unflatten(-1, (-1, 2)).unsqueeze(-1), horizontal.unflatten(-1, (-1, 2)).unsqueeze(-2)

        line, place = corners(lines.places, places.places)
        line_weight, place_weight = corners(lines.weights, places.weights)
        weights = line_weight * place_weight
        rows = (image * height * width).view(-1, *[1] * (weights.dim() - 1)) + line * width + place
        real = weights != 0
        sizes = real.sum((-3, -2, -1)).view(-1)
        return Bags(rows[real], sizes.cumsum(0) - sizes, weights[real])


@register
class RROIAlign(_RROIAlign):
    r"""The average over points in every bin of a rotated region, by linear interpolation between pixels.

    A region is a row (image, x, y, width, height, angle): its middle, sizes, and by how many degrees it is turned
    counterclockwise on the screen. Pixels are multiplied by ``spatial_scale``; it is one pixel large at least. Before
    it is turned it is divided as by ROIAlign, here with ``sampling_ratio`` by ``sampling_ratio`` points in a bin.

    Shapes: ``data`` :math:`(N, C, h, w)`, ``rois`` :math:`(R, 6)`, output :math:`(R, C, H, W)`.
    A region of an image that there is not gives zeros.

    Ma et al., "Arbitrary-Oriented Scene Text Detection via Rotation Proposals", 2018.
    """

    name = "_contrib_RROIAlign"
    samples = (
        Sample((2, 2, 4, 5), (3, 6), values={1: [0, 3, 2, 4, 2, 30, 1, 1, 2, 3, 5, 100, 2, 1, 1, 2, 2, 0]},
               integer=(1,), pooled_size=(2, 3), spatial_scale=0.9),
    )  # fmt: skip


@register
class RROIAlignGradient(_LinearGradient, _RROIAlign):
    """Gradient of RROIAlign: each head gradient goes to the pixels around its points, by their weights."""

    name = "_backward_contrib_RROIAlign"
    parameters = _RROIAlign.parameters
    samples = (
        Sample((1, 1, 2, 2), (1, 1, 3, 4), (1, 6), values={2: [0, 1, 1, 3, 2, 50]}, integer=(2,), pooled_size=(2, 2),
               spatial_scale=1.0),
    )  # fmt: skip


# ---- averages by place --------------------------------------------------------------------------


class _PSROIPooling(_Linear):
    spatial_scale = Param(Float, doc="Size of the feature map in parts of the image's size.")
    output_dim = Param(Int, doc="Channels of the output.")
    pooled_size = Param(Int, doc="Height and width of the output.")
    group_size = Param(Int, 0, "Into how many parts height and width are divided for channels; 0: pooled_size.")

    def parse(self, attrs, node_name=""):
        p = super().parse(attrs, node_name)
        if p.output_dim < 1 or p.group_size < 0:
            raise MXNetError(f"output_dim={p.output_dim} and group_size={p.group_size} of {self.name} are impossible")
        self.check_sizes(p)
        vars(p)["group_size"] = p.group_size or p.pooled_size
        return p

    def sizes(self, p):
        return p.pooled_size, p.pooled_size

    def groups(self, p):
        return p.group_size**2

    def channels(self, p, given):
        if given and given != p.output_dim * self.groups(p):
            raise MXNetError(
                f"The data of {self.name} should have {p.output_dim * self.groups(p)} channels, output_dim="
                f"{p.output_dim} for each of {p.group_size} by {p.group_size} groups, but has {given}"
            )
        return p.output_dim

    def bags(self, p, data, rois):
        count, _, height, width = data.shape
        image, exists = _images(rois, count)
        corner = _rounded(rois[:, 1:])
        corner = torch.cat((corner[:, :2], corner[:, 2:] + 1), 1) * p.spatial_scale
        bin_ = torch.arange(p.pooled_size, device=rois.device, dtype=rois.dtype)

        def along(axis: int, size: int) -> Points:
            first = corner[:, axis].unsqueeze(1)
            part = (corner[:, axis + 2].unsqueeze(1) - first).clamp_min_(0.1) / p.pooled_size
            last = ((bin_ + 1) * part + first).ceil_()
            return between((bin_ * part + first).floor_(), last.where(exists.unsqueeze(1), 0), size)

        part = torch.arange(p.pooled_size, device=rois.device) * p.group_size // p.pooled_size
        group = part.unsqueeze(1) * p.group_size + part
        first = ((image * self.groups(p))[:, None, None] + group) * (height * width)
        return along(1, height).times(along(0, width), first, width)


@register
class PSROIPooling(_PSROIPooling):
    r"""The average over every bin of a region, from channels that belong to the place of the bin.

    Corners are rounded, then multiplied by ``spatial_scale``; the right and lower pixels belong to the region. Its
    height and width are divided into :math:`P` = ``pooled_size`` bins each, rounded outwards to whole pixels, and into
    :math:`G` groups; a bin in group :math:`(i, j)` of output channel :math:`c` looks at channel
    :math:`(c G + i) G + j` of the data. A bin outside the map gives 0.

    Shapes: ``data`` :math:`(N, C G^2, h, w)`, ``rois`` :math:`(R, 5)`, output :math:`(R, C, P, P)` with :math:`C` =
    ``output_dim``.

    Dai et al., "R-FCN: Object Detection via Region-based Fully Convolutional Networks", 2016.
    """

    name = "_contrib_PSROIPooling"
    samples = (
        Sample((2, 8, 4, 4), (2, 5), values={1: [0, 0, 1, 3, 3, 1, 2, 1, 9, 2]}, integer=(1,), spatial_scale=0.8,
               output_dim=2, pooled_size=2),
        Sample((1, 4, 5, 4), (1, 5), values={1: [0, 0, 1, 3, 3]}, integer=(1,), spatial_scale=1.0, output_dim=1,
               pooled_size=3, group_size=2),
    )  # fmt: skip


@register
class PSROIPoolingGradient(_LinearGradient, _PSROIPooling):
    """Gradient of PSROIPooling: each head gradient, divided among the pixels of its bin."""

    name = "_backward_contrib_PSROIPooling"
    parameters = _PSROIPooling.parameters
    samples = (
        Sample((1, 1, 2, 2), (1, 4, 3, 4), (1, 5), values={2: [0, 0, 1, 3, 3]}, integer=(2,), spatial_scale=1.0,
               output_dim=1, pooled_size=2),
    )  # fmt: skip
