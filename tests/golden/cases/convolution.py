"""Operators that slide over images: convolution, pooling, resampling, regions."""

from __future__ import annotations

from itertools import product

from .case import Case, case, exactly, first_of_each, integers, layer, retyped, spread


def _convolution() -> list[Case]:
    def convolution(shape: tuple[int, ...], filters: int, kernel: tuple[int, ...], **params) -> Case:
        groups = params.get("num_group", 1)
        inputs = {"data": spread(*shape), "weight": spread(filters, shape[1] // groups, *kernel)}
        if not params.get("no_bias"):
            inputs["bias"] = spread(filters)
        return layer("Convolution", inputs, kernel=kernel, num_filter=filters, **params)

    cases = [
        convolution((2, 3, 5, 6), 4, (3, 3)),
        convolution((2, 3, 5, 6), 4, (3, 3), no_bias=True),
        convolution((1, 2, 5, 6), 2, (3, 2), stride=(2, 1), pad=(1, 1)),
        convolution((1, 2, 7, 7), 2, (3, 3), dilate=(2, 2)),
        convolution((1, 2, 7, 6), 2, (3, 3), dilate=(2, 1), pad=(2, 1), stride=(2, 2)),
        convolution((1, 4, 4, 4), 4, (3, 3), num_group=2),
        convolution((1, 4, 4, 4), 6, (3, 3), num_group=2, no_bias=True, pad=(1, 1)),
        convolution((2, 3, 5, 5), 3, (3, 3), num_group=3, pad=(1, 1)),
        convolution((1, 2, 4, 4), 4, (3, 3), num_group=2, pad=(1, 1), stride=(2, 2)),
        convolution((2, 3, 4, 4), 5, (1, 1)),
        convolution((2, 3, 4, 4), 2, (1, 1), stride=(2, 2)),
        convolution((2, 3, 4, 5), 2, (4, 5)),
        convolution((2, 3, 7), 4, (3,)),
        convolution((2, 2, 7), 2, (3,), stride=(2,), pad=(1,), dilate=(2,)),
        convolution((1, 2, 3, 4, 4), 2, (2, 2, 2)),
        convolution((1, 2, 3, 4, 4), 2, (2, 3, 2), stride=(1, 2, 1), pad=(1, 0, 1), no_bias=True),
        convolution((1, 1, 4, 4), 1, (2, 2), workspace=512, cudnn_off=True, cudnn_tune="off"),
    ]
    cases += [
        retyped(cases[0], "float64"),
        case("im2col", spread(1, 2, 4, 4), kernel=(2, 2)),
        case("im2col", spread(1, 2, 5, 4), kernel=(3, 2), stride=(2, 1), pad=(1, 1), dilate=(1, 2)),
        case("col2im", spread(1, 8, 9), output_size=(4, 4), kernel=(2, 2)),
        case("col2im", spread(1, 8, 4), output_size=(4, 4), kernel=(2, 2), stride=(2, 2)),
    ]
    return cases


def _deconvolution() -> list[Case]:
    def deconvolution(shape: tuple[int, ...], filters: int, kernel: tuple[int, ...], **params) -> Case:
        groups = params.get("num_group", 1)
        inputs = {"data": spread(*shape), "weight": spread(shape[1], filters // groups, *kernel)}
        if params.get("no_bias") is False:
            inputs["bias"] = spread(filters)
        return layer("Deconvolution", inputs, kernel=kernel, num_filter=filters, **params)

    cases = [
        deconvolution((1, 3, 3, 4), 2, (3, 3)),
        deconvolution((1, 3, 3, 4), 2, (3, 3), no_bias=False),
        deconvolution((1, 2, 3, 3), 2, (4, 4), stride=(2, 2), pad=(1, 1)),
        deconvolution((1, 2, 3, 3), 2, (3, 3), stride=(2, 2), pad=(1, 1), adj=(1, 1)),
        deconvolution((1, 2, 3, 3), 2, (3, 3), stride=(2, 2), target_shape=(5, 5)),
        deconvolution((1, 2, 3, 3), 2, (4, 4), stride=(2, 2), target_shape=(6, 6)),
        deconvolution((1, 4, 3, 3), 4, (2, 2), num_group=2, stride=(2, 2)),
        deconvolution((1, 2, 4), 3, (3,), stride=(2,)),
        deconvolution((1, 2, 3, 3), 2, (2, 2), dilate=(2, 2)),
        deconvolution((2, 2, 3, 3), 2, (3, 3), stride=(2, 1), pad=(0, 1), no_bias=False),
    ]
    return [*cases, retyped(cases[2], "float64")]


def _pooling() -> list[Case]:
    def pool(data, **params) -> Case:
        return case("Pooling", data, **params)

    windows = [
        {"kernel": (2, 2), "stride": (2, 2)},
        {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1)},
        {"kernel": (3, 2)},
        {"kernel": (2, 3), "stride": (3, 2), "pad": (1, 1)},
    ]
    cases = []
    for kind, convention, window in product(("max", "avg", "sum", "lp"), ("valid", "full"), windows):
        power = {"p_value": 2} if kind == "lp" else {}
        cases.append(pool(spread(1, 2, 5, 6), **window, pool_type=kind, pooling_convention=convention, **power))
    padded = windows[1]
    for convention in ("valid", "full"):
        for counts in (True, False):
            cases.append(
                pool(spread(1, 2, 6, 6), **padded, pool_type="avg", pooling_convention=convention,
                     count_include_pad=counts)
            )  # fmt: skip
    for kind in ("max", "avg", "sum"):
        cases += [
            pool(spread(2, 3, 4, 5), global_pool=True, pool_type=kind),
            pool(spread(2, 3, 4, 5), global_pool=True, pool_type=kind, kernel=(2, 2), stride=(2, 2), pad=(1, 1)),
            pool(spread(2, 3, 7), kernel=(3,), stride=(2,), pad=(1,), pool_type=kind),
            pool(spread(2, 3, 7), kernel=(2,), stride=(2,), pool_type=kind, pooling_convention="full"),
            pool(spread(1, 2, 3, 4, 4), kernel=(2, 2, 2), stride=(1, 2, 2), pool_type=kind),
            pool(spread(1, 2, 3, 4, 5), kernel=(2, 2, 2), stride=(2, 2, 2), pool_type=kind, pooling_convention="full"),
            pool(spread(1, 2, 3, 2, 2), global_pool=True, pool_type=kind),
            pool(spread(1, 2, 4), global_pool=True, pool_type=kind),
        ]
    cases += [
        pool(spread(1, 2, 5, 5), kernel=(2, 2)),
        pool(spread(1, 2, 5, 5), kernel=(2, 2), pool_type="lp", p_value=1),
        pool(spread(1, 2, 5, 5), kernel=(2, 2), pool_type="lp", p_value=3),
        pool(spread(1, 2, 5, 5), global_pool=True, pool_type="lp", p_value=2),
        pool(exactly([[[[1, 1, 0], [1, 1, 0], [0, 0, 0]]]]), kernel=(2, 2), note="ties"),
        pool(spread(1, 1, 3, 3, low=-3, high=-1), kernel=(2, 2), pad=(1, 1), note="all negative"),
        pool(spread(1, 1, 4, 4), kernel=(2, 2), stride=(2, 2), cudnn_off=True),
    ]
    cases += [
        retyped(pool(spread(1, 2, 5, 5), kernel=(2, 2), stride=(2, 2), pool_type=kind), dtype)
        for kind in ("max", "avg")
        for dtype in ("float64", "float16")
    ]
    cases += [
        case("contrib.AdaptiveAvgPooling2D", spread(1, 2, 5, 7)),
        case("contrib.AdaptiveAvgPooling2D", spread(1, 2, 5, 7), output_size=2),
        case("contrib.AdaptiveAvgPooling2D", spread(1, 2, 5, 7), output_size=(2, 3)),
        case("contrib.AdaptiveAvgPooling2D", spread(1, 2, 3, 3), output_size=(5, 4)),
    ]
    return cases


def _resampling() -> list[Case]:
    grid = {"low": -1.2, "high": 1.2}
    regions = exactly([[0, 0, 0, 4, 4], [0, 1, 2, 5, 5], [1, 2, 2, 3, 6]])
    floats = exactly([[0, 0.4, 0.6, 3.5, 4.2], [1, 1.3, 1.8, 5.1, 5.6]])
    affine = exactly([[1, 0.2, 0.1, -0.2, 0.9, 0]])
    cases = [
        case("UpSampling", {"arg0": spread(1, 2, 2, 3)}, scale=2, sample_type="nearest"),
        case("UpSampling", {"arg0": spread(1, 1, 2, 2)}, scale=3, sample_type="nearest", num_args=1),
        case("UpSampling", {"arg0": spread(1, 2, 4, 4), "arg1": spread(1, 1, 2, 2)}, scale=2, sample_type="nearest"),
        case("UpSampling", {"arg0": spread(1, 2, 4, 4), "arg1": spread(1, 2, 2, 2)}, scale=2, sample_type="nearest",
             multi_input_mode="sum"),
        layer("UpSampling", {"data": spread(1, 2, 3, 3), "weight": spread(2, 1, 4, 4, low=0, high=1)}, scale=2,
              sample_type="bilinear", num_filter=2, num_args=2),
        case("BilinearSampler", {"data": spread(1, 2, 4, 5), "grid": spread(1, 2, 3, 3, **grid)}),
        case("BilinearSampler", {"data": spread(2, 1, 3, 3), "grid": spread(2, 2, 2, 4)}, note="partly outside"),
        case("GridGenerator", affine, transform_type="affine", target_shape=(3, 4)),
        case("GridGenerator", spread(1, 2, 3, 4), transform_type="warp"),
        case("SpatialTransformer", {"data": spread(1, 2, 4, 5), "loc": affine}, target_shape=(3, 4),
             transform_type="affine", sampler_type="bilinear"),
        case("SpatialTransformer", {"data": spread(2, 1, 3, 3), "loc": spread(2, 6)}, target_shape=(2, 2),
             transform_type="affine", sampler_type="bilinear", note="partly outside"),
        case("ROIPooling", {"data": spread(2, 2, 7, 7), "rois": regions}, pooled_size=(2, 2), spatial_scale=1.0),
        case("ROIPooling", {"data": spread(2, 1, 7, 7), "rois": regions}, pooled_size=(3, 2), spatial_scale=0.5),
        case("contrib.ROIAlign", {"data": spread(2, 2, 7, 7), "rois": floats}, pooled_size=(2, 2), spatial_scale=1.0),
        case("contrib.ROIAlign", {"data": spread(2, 2, 7, 7), "rois": floats}, pooled_size=(2, 3), spatial_scale=0.5,
             sample_ratio=2),
        case("contrib.ROIAlign", {"data": spread(2, 2, 7, 7), "rois": floats}, pooled_size=(2, 2), spatial_scale=1.0,
             sample_ratio=2, aligned=True),
        case("contrib.BilinearResize2D", spread(1, 2, 3, 4), height=5, width=7),
        case("contrib.BilinearResize2D", spread(1, 2, 3, 4), height=5, width=7, align_corners=False),
        case("contrib.BilinearResize2D", spread(1, 2, 4, 4), height=2, width=3),
        case("contrib.BilinearResize2D", spread(1, 2, 3, 4), scale_height=2.0, scale_width=1.5, mode="odd_scale"),
        case("contrib.BilinearResize2D", {"data": spread(1, 2, 3, 4), "like": spread(1, 1, 6, 5)}, mode="like"),
        case("Correlation", {"data1": spread(1, 2, 4, 4), "data2": spread(1, 2, 4, 4)}, kernel_size=1,
             max_displacement=1, pad_size=1),
        case("Correlation", {"data1": spread(1, 2, 5, 5), "data2": spread(1, 2, 5, 5)}, kernel_size=3,
             max_displacement=1, stride2=1, pad_size=2, is_multiply=False),
    ]  # fmt: skip
    cases += [retyped(entry, "float64") for entry in first_of_each(cases) if entry.op == "UpSampling"]
    return cases


def _detection() -> list[Case]:
    boxes = exactly([[[0, 0.9, 0.1, 0.1, 0.5, 0.5], [0, 0.8, 0.12, 0.1, 0.52, 0.5], [1, 0.7, 0.1, 0.12, 0.5, 0.5],
                      [0, 0.6, 0.6, 0.6, 0.9, 0.9], [1, 0.05, 0.6, 0.1, 0.9, 0.4], [-1, 0.3, 0, 0, 1, 1]]])  # fmt: skip
    anchors = exactly([[[0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.8], [0.0, 0.3, 0.2, 0.9]]])
    truth = exactly([[[1, 0.12, 0.1, 0.45, 0.42], [0, 0.5, 0.45, 0.95, 0.85], [-1, -1, -1, -1, -1]]])
    scores = exactly([[[0.2, 0.1, 0.6], [0.7, 0.1, 0.3], [0.1, 0.8, 0.1]]])
    shifts = exactly([[0.1, -0.2, 0.3, 0.1, 0, 0.5, -0.5, 0.2, -0.1, 0.4, 0.2, -0.3]])
    still = {"wrt": ()}
    cases = [
        case("contrib.MultiBoxPrior", spread(1, 2, 2, 3), **still),
        case("contrib.MultiBoxPrior", spread(1, 2, 2, 3), sizes=(0.5, 0.25), ratios=(1, 2, 0.5), **still),
        case("contrib.MultiBoxPrior", spread(1, 2, 2, 2), sizes=(0.9,), clip=True, steps=(0.3, 0.4), offsets=(0, 0.5),
             **still),
        case("contrib.MultiBoxTarget", {"anchor": anchors, "label": truth, "cls_pred": scores}, **still),
        case("contrib.MultiBoxTarget", {"anchor": anchors, "label": truth, "cls_pred": scores},
             overlap_threshold=0.3, negative_mining_ratio=1, negative_mining_thresh=0.5,
             variances=(0.1, 0.1, 0.1, 0.1), **still),
        case("contrib.MultiBoxDetection", {"cls_prob": scores, "loc_pred": shifts, "anchor": anchors}, **still),
        case("contrib.MultiBoxDetection", {"cls_prob": scores, "loc_pred": shifts, "anchor": anchors},
             clip=False, threshold=0.25, nms_threshold=0.1, force_suppress=True, nms_topk=2, **still),
        case("contrib.box_nms", boxes),
        case("contrib.box_nms", boxes, id_index=0),
        case("contrib.box_nms", boxes, id_index=0, force_suppress=True, overlap_thresh=0.3),
        case("contrib.box_nms", boxes, topk=3, valid_thresh=0.1),
        case("contrib.box_nms", boxes, in_format="center", out_format="corner", overlap_thresh=0.2),
        case("contrib.box_nms", boxes, id_index=0, background_id=0),
        case("contrib.box_iou", {"lhs": exactly([[0, 0, 1, 1], [0.5, 0.5, 2, 2]]), "rhs": exactly([[0, 0, 2, 2]])},
             **still),
        case("contrib.box_iou", {"lhs": exactly([[1, 1, 1, 1]]), "rhs": exactly([[1, 1, 2, 1], [4, 4, 1, 1]])},
             format="center", **still),
        case("contrib.box_decode", {"data": spread(1, 3, 4), "anchors": anchors}, **still),
        case("contrib.box_decode", {"data": spread(1, 3, 4), "anchors": anchors}, std0=0.1, std1=0.1, std2=0.2,
             std3=0.2, clip=0.3, format="corner", **still),
        case("contrib.bipartite_matching", exactly([[0.5, 0.6], [0.1, 0.2], [0.3, 0.4]]), threshold=1e-12, **still),
        case("contrib.bipartite_matching", exactly([[0.5, 0.6], [0.1, 0.2], [0.3, 0.4]]), threshold=0.35,
             is_ascend=True, **still),
    ]  # fmt: skip
    rois = exactly([[0, 0, 0, 4, 4], [0, 1, 2, 5, 5]])
    deformed = {
        "data": spread(1, 2, 5, 5), "offset": spread(1, 18, 3, 3, low=-0.7, high=0.7),
        "weight": spread(3, 2, 3, 3), "bias": spread(3),
    }  # fmt: skip
    cases += [
        case("contrib.PSROIPooling", {"data": spread(1, 8, 6, 6), "rois": rois}, spatial_scale=1.0, output_dim=2,
             pooled_size=2, wrt=("data",)),
        case("contrib.PSROIPooling", {"data": spread(1, 18, 6, 6), "rois": exactly([[0, 2, 1, 9, 11]])},
             spatial_scale=0.5, output_dim=2, pooled_size=3, group_size=3, wrt=("data",)),
        case("contrib.DeformableConvolution", deformed, kernel=(3, 3), num_filter=3),
        case("contrib.DeformableConvolution", {
            "data": spread(2, 4, 4, 4), "offset": spread(2, 16, 2, 2, low=-0.7, high=0.7), "weight": spread(2, 2, 2, 2),
        }, kernel=(2, 2), stride=(2, 2), num_filter=2, num_group=2, num_deformable_group=2, no_bias=True),
        *(
            case("contrib.box_encode",
                 {"samples": exactly([samples]), "matches": exactly([matches]), "anchors": anchors,
                  "refs": exactly([[[0.12, 0.1, 0.45, 0.42], [0.45, 0.5, 0.95, 0.85]]]),
                  "means": exactly(means), "stds": exactly([0.1, 0.1, 0.2, 0.2])}, **still)
            for samples, matches, means in [
                ([1, 0, 1], [0, 1, 1], [0, 0, 0, 0]), ([1, -1, 0.6], [1, 0, 0], [0.1, 0, 0.2, 0])
            ]
        ),
        *(
            case(f"contrib.{op}",
                 {"cls_prob": spread(count, 6, 3, 3, low=0, high=1),
                  "bbox_pred": spread(count, 12, 3, 3, low=-0.2, high=0.2),
                  "im_info": exactly([[48, 48, 1], [40, 44, 0.5]][:count])},
                 scales=(2,), ratios=(0.5, 1, 2), rpn_pre_nms_top_n=12, rpn_post_nms_top_n=4, rpn_min_size=4, **more,
                 **still)
            for op, count in (("Proposal", 1), ("MultiProposal", 2))
            for more in ({}, {"output_score": True, "threshold": 0.3})
        ),
    ]  # fmt: skip
    return cases


def _images() -> list[Case]:
    """Whole images, height × width × channels; and the layers of the oldest networks."""
    pixels = integers(0, 256, 4, 5, 3, dtype="uint8")
    batch = integers(0, 256, 2, 3, 4, 3, dtype="uint8")
    planes = spread(3, 4, 5, low=0, high=1)
    layers = {"data": spread(1, 2, 5, 5), "weight": spread(3, 2, 3, 3), "bias": spread(3)}
    normal = {
        "data": spread(4, 3, 2, 2),
        "gamma": spread(3, low=0.5, high=2),
        "beta": spread(3),
        "moving_mean": spread(3, low=-0.5, high=0.5),
        "moving_var": spread(3, low=0.5, high=1.5),
    }
    return [
        *(case("image.to_tensor", data) for data in (pixels, batch)),
        case("image.normalize", planes, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25)),
        case("image.normalize", spread(2, 1, 3, 3), mean=(0.5,), std=(2.0,)),
        *(case("image.crop", data, x=1, y=0, width=2, height=3) for data in (pixels, batch)),
        case("image.crop", spread(4, 5, 3), x=0, y=1, width=4, height=2),
        *(case("image.resize", data, size=3) for data in (pixels, batch)),
        case("image.resize", pixels, size=(7, 5), interp=0),
        case("image.resize", pixels, size=3, keep_ratio=True, interp=2),
        case("image.random_flip_left_right", pixels, random=True),
        case("image.random_flip_left_right", integers(0, 256, 4, 2, 1), random=True),
        # MXNet leaves the middle column or row of an odd image unwritten.
        case("image.flip_left_right", integers(0, 256, 2, 4, 3, dtype="uint8")),
        case("image.flip_top_bottom", integers(0, 256, 2, 4, 3, dtype="uint8")),
        layer("Convolution_v1", layers, kernel=(3, 3), num_filter=3, pad=(1, 1)),
        layer("Convolution_v1", {"data": spread(2, 4, 5, 4), "weight": spread(2, 2, 2, 2)}, kernel=(2, 2), num_filter=2,
              stride=(2, 1), num_group=2, no_bias=True),
        case("Pooling_v1", spread(1, 2, 5, 5), kernel=(2, 2), stride=(2, 2), pool_type="max"),
        case(
            "Pooling_v1", spread(1, 2, 5, 5), kernel=(2, 2), stride=(2, 2), pool_type="avg", pooling_convention="full"
        ),
        layer("BatchNorm_v1", normal, fix_gamma=False),
        layer("BatchNorm_v1", normal, is_train=False),
        layer("contrib.SyncBatchNorm", normal, key="bn", fix_gamma=False),
        layer("contrib.SyncBatchNorm", normal, key="bn", is_train=False),
    ]


FAMILIES = {
    "convolution": _convolution(),
    "deconvolution": _deconvolution(),
    "pooling": _pooling(),
    "resampling": _resampling(),
    "detection": _detection(),
    "images": _images(),
}
