"""Networks that people trained with MXNet and keep as files, each shrunk to a few layers.

What is kept of each is its way of using symbols: which operators, which options, how losses, labels and heads are
put together.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from . import networks
from .networks import Network

__all__ = ["MODELS"]

MODELS: dict[str, Network] = {}

network = functools.partial(networks.network, table=MODELS)


# Classification


def _residual_unit(mx: Any, data: Any, filters: int, stride: int, name: str, groups: int, squeeze: bool) -> Any:
    """A bottleneck of ResNeXt (Xie et al. 2017), with the gate of SENet (Hu et al. 2018) if asked for."""
    half = filters // 2
    net = mx.sym.Convolution(
        data=data, num_filter=half, kernel=(1, 1), stride=(1, 1), pad=(0, 0), no_bias=True, workspace=256,
        name=name + "_conv1",
    )  # fmt: skip
    net = mx.sym.BatchNorm(data=net, fix_gamma=False, eps=2e-5, momentum=0.9, name=name + "_bn1")
    net = mx.sym.Activation(data=net, act_type="relu", name=name + "_relu1")
    net = mx.sym.Convolution(
        data=net, num_filter=half, num_group=groups, kernel=(3, 3), stride=(stride, stride), pad=(1, 1), no_bias=True,
        workspace=256, name=name + "_conv2",
    )  # fmt: skip
    net = mx.sym.BatchNorm(data=net, fix_gamma=False, eps=2e-5, momentum=0.9, name=name + "_bn2")
    net = mx.sym.Activation(data=net, act_type="relu", name=name + "_relu2")
    net = mx.sym.Convolution(data=net, num_filter=filters, kernel=(1, 1), no_bias=True, name=name + "_conv3")
    net = mx.sym.BatchNorm(data=net, fix_gamma=False, eps=2e-5, momentum=0.9, name=name + "_bn3")
    if squeeze:
        gate = mx.sym.Pooling(data=net, global_pool=True, kernel=(7, 7), pool_type="avg", name=name + "_squeeze")
        gate = mx.sym.Flatten(data=gate, name=name + "_flatten")
        gate = mx.sym.FullyConnected(data=gate, num_hidden=2, name=name + "_excitation1")
        gate = mx.sym.Activation(data=gate, act_type="relu", name=name + "_excitation1_relu")
        gate = mx.sym.FullyConnected(data=gate, num_hidden=filters, name=name + "_excitation2")
        gate = mx.sym.Activation(data=gate, act_type="sigmoid", name=name + "_excitation2_sigmoid")
        net = mx.symbol.broadcast_mul(net, mx.symbol.reshape(data=gate, shape=(-1, filters, 1, 1)))
    shortcut = mx.sym.Convolution(
        data=data, num_filter=filters, kernel=(1, 1), stride=(stride, stride), no_bias=True, name=name + "_sc"
    )
    shortcut = mx.sym.BatchNorm(data=shortcut, fix_gamma=False, eps=2e-5, momentum=0.9, name=name + "_sc_bn")
    shortcut._set_attr(mirror_stage="True")
    return mx.sym.Activation(data=net + shortcut, act_type="relu", name=name + "_relu")


@network(data=(2, 3, 8, 8), softmax_label=(2,))
def resnext(mx: Any) -> Any:
    data = mx.sym.Variable(name="data")
    data = mx.sym.BatchNorm(data=data, fix_gamma=True, eps=2e-5, momentum=0.9, name="bn_data")
    net = _residual_unit(mx, data, 8, 2, "stage1_unit1", groups=2, squeeze=False)
    net = mx.symbol.Pooling(data=net, global_pool=True, kernel=(7, 7), pool_type="avg", name="pool1")
    net = mx.symbol.FullyConnected(data=mx.symbol.Flatten(data=net), num_hidden=3, name="fc1")
    return mx.symbol.SoftmaxOutput(data=net, name="softmax")


@network(data=(2, 3, 8, 8), softmax_label=(2,))
def squeeze_and_excitation(mx: Any) -> Any:
    net = _residual_unit(mx, mx.sym.Variable("data"), 8, 1, "stage1_unit1", groups=4, squeeze=True)
    net = mx.sym.Flatten(mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool"))
    net = mx.sym.FullyConnected(mx.sym.Dropout(net, p=0, name="drop"), num_hidden=3, name="classifier")
    return mx.sym.SoftmaxOutput(net, name="softmax", smooth_alpha=0.1)


@network(data=(2, 3, 7, 7), softmax_label=(2,))
def dual_path(mx: Any) -> Any:
    """DPN (Chen et al. 2017): a residual path and a growing one, split and joined again by channels."""

    def layer(net: Any, filters: int, kernel: int, name: str, groups: int = 1) -> Any:
        net = mx.symbol.BatchNorm(data=net, name=name + "__bn", fix_gamma=False, momentum=0.9, eps=0.001)
        net = mx.symbol.Activation(data=net, act_type="relu", name=name + "__relu")
        return mx.symbol.Convolution(
            net, num_filter=filters, kernel=(kernel, kernel), pad=(kernel // 2, kernel // 2), num_group=groups,
            no_bias=True, name=name + "__conv",
        )  # fmt: skip

    data = mx.symbol.Variable(name="data")
    first = layer(data, 6, 1, "c1x1_w")
    residual = mx.symbol.slice_axis(data=first, axis=1, begin=0, end=4, name="w_s1")
    growing = mx.symbol.slice_axis(data=first, axis=1, begin=4, end=None, name="w_s2")
    net = layer(layer(mx.symbol.concat(*[residual, growing]), 4, 1, "a"), 4, 3, "b", groups=2)
    left, right = layer(net, 4, 1, "c1"), layer(net, 2, 1, "c2")
    summed = mx.symbol.ElementWiseSum(*[residual, left], name="sum")
    dense = mx.symbol.Concat(*[growing, right], name="cat")
    net = mx.symbol.Concat(*[summed, dense], name="out")
    net = mx.symbol.Pooling(net, global_pool=True, pool_type="avg", kernel=(7, 7), name="pool")
    fc = mx.symbol.Convolution(net, num_filter=3, kernel=(1, 1), name="fc6")
    return mx.symbol.SoftmaxOutput(data=mx.symbol.Flatten(fc), name="softmax")


@network(data=(2, 3, 9, 9), svm_label=(2,))
def alexnet_with_local_response(mx: Any) -> Any:
    net = mx.sym.Convolution(mx.sym.Variable(name="data"), name="conv1", kernel=(3, 3), stride=(2, 2), num_filter=6)
    net = mx.sym.LRN(mx.sym.Activation(net, act_type="relu"), alpha=0.0001, beta=0.75, knorm=2, nsize=5)
    net = mx.sym.Pooling(net, kernel=(3, 3), stride=(2, 2), pool_type="max", pooling_convention="full")
    net = mx.sym.Dropout(mx.sym.FullyConnected(mx.sym.Flatten(net), name="fc1", num_hidden=5), p=0)
    return mx.sym.SVMOutput(mx.sym.FullyConnected(net, num_hidden=3), name="svm", regularization_coefficient=0.5)


# Faces. Slopes get no gradient here: inside a network MXNet computes theirs from what it has overwritten just before.

_PIXELS = np.random.RandomState(0).randint(0, 256, (5, 3, 8, 8))


@network(data=(5, 3, 8, 8), softmax_label=(5,), fixed=("data", "relu0_gamma"), values={"data": _PIXELS})
def arcface(mx: Any) -> Any:
    """A face embedding and its angular margin (Deng et al. 2019), in the words of InsightFace."""
    data = mx.sym.identity(data=mx.sym.Variable("data"), name="id")
    net = (data - 127.5) * 0.0078125
    net = mx.sym.Convolution(net, num_filter=4, kernel=(3, 3), pad=(1, 1), no_bias=True, workspace=256, name="conv0")
    net = mx.sym.BatchNorm(net, fix_gamma=False, eps=2e-5, momentum=0.9, cudnn_off=True, name="bn0")
    net = mx.sym.LeakyReLU(net, act_type="prelu", name="relu0")
    net = mx.sym.Convolution(net, num_filter=4, num_group=4, kernel=(3, 3), stride=(2, 2), no_bias=True, name="dw")
    net = mx.sym.Dropout(mx.sym.BatchNorm(net, fix_gamma=False, eps=2e-5, name="bn1"), p=0)
    net = mx.sym.FullyConnected(net, num_hidden=6, name="pre_fc1")
    embedding = mx.sym.BatchNorm(net, fix_gamma=True, eps=2e-5, momentum=0.9, name="fc1")

    label = mx.symbol.Variable("softmax_label")
    weight = mx.symbol.Variable("fc7_weight", shape=(5, 6), init=mx.init.Normal(0.01), lr_mult=1.0, wd_mult=10)
    weight = mx.symbol.L2Normalization(weight, mode="instance")
    normed = mx.symbol.L2Normalization(embedding, mode="instance", name="fc1n") * 8.0
    scores = mx.sym.FullyConnected(data=normed, weight=weight, no_bias=True, num_hidden=5, name="fc7")
    cosine = mx.sym.pick(scores, label, axis=1) / 8.0
    angle = mx.sym.arccos(cosine) + 0.5
    margin = mx.sym.where(cosine > 0, mx.sym.cos(angle), cosine - 0.25) - cosine
    onehot = mx.sym.one_hot(label, depth=5, on_value=1.0, off_value=0.0)
    scores = scores + mx.sym.broadcast_mul(onehot, mx.sym.expand_dims(margin * 8.0, 1))
    softmax = mx.symbol.SoftmaxOutput(data=scores, label=label, name="softmax", normalization="valid")
    return mx.symbol.Group([mx.symbol.BlockGrad(embedding), softmax])


@network(data=(1, 3, 16, 16))
def retinaface(mx: Any) -> Any:
    """The heads of RetinaFace (Deng et al. 2020): scores, boxes and landmarks from each level of a pyramid."""

    def layer(net: Any, filters: int, name: str, kernel: int = 3, stride: int = 1) -> Any:
        pad = kernel // 2
        net = mx.sym.Convolution(
            net, kernel=(kernel, kernel), pad=(pad, pad), stride=(stride, stride), num_filter=filters, no_bias=True,
            name=name,
        )  # fmt: skip
        net = mx.sym.BatchNorm(net, fix_gamma=False, eps=2e-5, momentum=0.9, name=name + "_bn")
        return mx.sym.Activation(net, act_type="relu", name=name + "_relu")

    fine = layer(mx.sym.Variable("data"), 4, "c1", stride=2)
    coarse = layer(fine, 4, "c2", stride=2)
    raised = mx.symbol.UpSampling(layer(coarse, 4, "lat2", 1), scale=2, sample_type="nearest", num_args=1)
    raised = mx.symbol.Crop(*[raised, fine], name="crop1")
    heads = []
    for stride, features in ((4, coarse), (2, raised + layer(fine, 4, "lat1", 1))):
        scores = mx.symbol.Convolution(features, kernel=(1, 1), num_filter=4, name=f"face_rpn_cls_score_stride{stride}")
        scores = mx.symbol.Reshape(scores, shape=(0, 2, -1, 0), name=f"face_rpn_cls_score_reshape_stride{stride}")
        scores = mx.symbol.SoftmaxActivation(scores, mode="channel", name=f"face_rpn_cls_prob_stride{stride}")
        heads.append(mx.symbol.Reshape(scores, shape=(0, 4, -1, 0), name=f"face_rpn_cls_prob_reshape_stride{stride}"))
        for what, channels in (("bbox", 8), ("landmark", 20)):
            name = f"face_rpn_{what}_pred_stride{stride}"
            heads.append(mx.symbol.Convolution(features, kernel=(1, 1), num_filter=channels, name=name))
    return mx.sym.Group(heads)


@network(data=(2, 3, 14, 14), fixed=("data", "prelu1_gamma", "prelu4_gamma"))
def face_alignment(mx: Any) -> Any:
    """The second net of MTCNN (Zhang et al. 2016) as it is deployed: a softmax and a regression side by side."""
    net = mx.sym.Convolution(mx.sym.Variable("data"), num_filter=3, kernel=(3, 3), name="conv1")
    net = mx.sym.LeakyReLU(net, act_type="prelu", name="prelu1")
    net = mx.sym.Pooling(net, pool_type="max", pooling_convention="full", kernel=(3, 3), stride=(2, 2), name="pool1")
    net = mx.sym.LeakyReLU(mx.sym.FullyConnected(net, num_hidden=6, name="conv4"), act_type="prelu", name="prelu4")
    faces = mx.sym.softmax(mx.sym.FullyConnected(net, num_hidden=2, name="conv5_1"), name="prob1")
    return mx.sym.Group([mx.sym.FullyConnected(net, num_hidden=4, name="conv5_2"), faces])


# Detection and segmentation


# A class and the corners of a box; -1 where there is none.
_OBJECTS = [[[0, 0.1, 0.1, 0.5, 0.6], [1, 0.4, 0.3, 0.9, 0.9]], [[1, 0.2, 0.2, 0.7, 0.8], [-1, -1, -1, -1, -1]]]


@network(data=(2, 3, 8, 8), label=(2, 2, 5), fixed=("data", "label"), values={"label": _OBJECTS})
def ssd_for_training(mx: Any) -> Any:
    """The losses of SSD (Liu et al. 2016): targets from anchors, hard negatives, and the detections for a metric."""
    label = mx.sym.Variable("label")
    net = mx.symbol.Convolution(mx.symbol.Variable("data"), kernel=(3, 3), num_filter=4, stride=(2, 2), name="conv4_3")
    first = mx.symbol.Activation(net, act_type="relu", name="relu4_3")
    second = mx.symbol.Convolution(first, kernel=(3, 3), num_filter=4, name="multi_feat_2_conv")
    scores, shifts, anchors = [], [], []
    for i, layer in enumerate((first, second)):
        if i == 0:
            layer = mx.symbol.L2Normalization(data=layer, mode="channel", name="relu4_3_norm")
            attributes = {"__wd_mult__": "0.1"}
            scale = mx.symbol.Variable("relu4_3_scale", shape=(1, 4, 1, 1), init=mx.init.Constant(20), attr=attributes)
            layer = mx.symbol.broadcast_mul(lhs=scale, rhs=layer)
        bias = mx.symbol.Variable(f"loc{i}_bias", init=mx.init.Constant(0.0), attr={"__lr_mult__": "2.0"})
        shift = mx.symbol.Convolution(layer, bias=bias, kernel=(3, 3), pad=(1, 1), num_filter=12, name=f"loc{i}")
        score = mx.symbol.Convolution(layer, kernel=(3, 3), pad=(1, 1), num_filter=9, name=f"cls{i}")
        shifts.append(mx.symbol.Flatten(data=mx.symbol.transpose(shift, axes=(0, 2, 3, 1))))
        scores.append(mx.symbol.Flatten(data=mx.symbol.transpose(score, axes=(0, 2, 3, 1))))
        anchor = mx.symbol.contrib.MultiBoxPrior(
            layer, sizes=f"({0.2 + 0.3 * i},{0.3 + 0.3 * i})", ratios="(1,2)", clip=False, steps="(-1.0, -1.0)",
            name=f"anchors{i}",
        )  # fmt: skip
        anchors.append(mx.symbol.Flatten(data=anchor))
    shift = mx.symbol.Concat(*shifts, num_args=2, dim=1, name="multibox_loc_pred")
    score = mx.symbol.Reshape(mx.symbol.Concat(*scores, num_args=2, dim=1), shape=(0, -1, 3))
    score = mx.symbol.transpose(score, axes=(0, 2, 1), name="multibox_cls_pred")
    anchor = mx.symbol.Reshape(mx.symbol.Concat(*anchors, num_args=2, dim=1), shape=(0, -1, 4), name="multibox_anchors")
    targets = mx.symbol.contrib.MultiBoxTarget(
        *[anchor, label, score], overlap_threshold=0.5, ignore_label=-1, negative_mining_ratio=3,
        minimum_negative_samples=0, negative_mining_thresh=0.5, variances=(0.1, 0.1, 0.2, 0.2), name="multibox_target",
    )  # fmt: skip
    classes = mx.symbol.SoftmaxOutput(
        data=score, label=targets[2], ignore_label=-1, use_ignore=True, grad_scale=1.0, multi_output=True,
        normalization="valid", name="cls_prob",
    )  # fmt: skip
    distance = mx.symbol.smooth_l1(data=targets[1] * (shift - targets[0]), scalar=1.0, name="loc_loss_")
    boxes = mx.symbol.MakeLoss(distance, grad_scale=1.0, normalization="valid", name="loc_loss")
    found = mx.symbol.contrib.MultiBoxDetection(
        *[classes, shift, anchor], name="detection", nms_threshold=0.5, force_suppress=False,
        variances=(0.1, 0.1, 0.2, 0.2), nms_topk=400,
    )  # fmt: skip
    target = mx.symbol.MakeLoss(data=targets[2], grad_scale=0, name="cls_label")
    return mx.symbol.Group([classes, boxes, target, mx.symbol.MakeLoss(data=found, grad_scale=0, name="det_out")])


@network(data=(1, 3, 16, 16), im_info=(1, 3), fixed=("data", "im_info"), runs=False)
def faster_rcnn(mx: Any) -> Any:
    """Faster R-CNN (Ren et al. 2015) for testing: proposals, pooling of regions, and scores reshaped to the batch."""
    data, info = mx.symbol.Variable(name="data"), mx.symbol.Variable(name="im_info")
    features = mx.symbol.Convolution(data, kernel=(3, 3), pad=(1, 1), stride=(4, 4), num_filter=4, name="conv5_3")
    rpn = mx.symbol.Activation(mx.symbol.Convolution(features, kernel=(3, 3), pad=(1, 1), num_filter=4), "relu")
    scores = mx.symbol.Convolution(rpn, kernel=(1, 1), num_filter=4, name="rpn_cls_score")
    shifts = mx.symbol.Convolution(rpn, kernel=(1, 1), num_filter=8, name="rpn_bbox_pred")
    scores = mx.symbol.Reshape(data=scores, shape=(0, 2, -1, 0), name="rpn_cls_score_reshape")
    scores = mx.symbol.SoftmaxActivation(data=scores, mode="channel", name="rpn_cls_prob")
    scores = mx.symbol.Reshape(data=scores, shape=(0, 4, -1, 0), name="rpn_cls_prob_reshape")
    rois = mx.symbol.contrib.Proposal(
        cls_prob=scores, bbox_pred=shifts, im_info=info, name="rois", feature_stride=4, scales=(1, 2), ratios=(1,),
        rpn_pre_nms_top_n=12, rpn_post_nms_top_n=4, threshold=0.7, rpn_min_size=2,
    )  # fmt: skip
    pooled = mx.symbol.ROIPooling(name="roi_pool5", data=features, rois=rois, pooled_size=(2, 2), spatial_scale=0.25)
    net = mx.symbol.FullyConnected(mx.symbol.Flatten(pooled), num_hidden=6, name="fc6")
    classes = mx.symbol.SoftmaxActivation(mx.symbol.FullyConnected(net, num_hidden=3, name="cls_score"), name="prob")
    boxes = mx.symbol.FullyConnected(net, num_hidden=12, name="bbox_pred")
    classes = mx.symbol.Reshape(data=classes, shape=(1, -1, 3), name="cls_prob_reshape")
    boxes = mx.symbol.Reshape(data=boxes, shape=(1, -1, 12), name="bbox_pred_reshape")
    return mx.symbol.Group([rois, classes, boxes])


@network(data=(1, 3, 8, 8), label=(1, 4, 2), weight_inside=(1, 8, 4, 2), fixed=("data", "label", "weight_inside"))
def region_proposal_losses(mx: Any) -> Any:
    net = mx.symbol.Convolution(mx.sym.Variable("data"), kernel=(3, 3), pad=(1, 1), stride=(2, 4), num_filter=4)
    scores = mx.symbol.Convolution(mx.sym.relu(net), kernel=(1, 1), num_filter=3, name="rpn_cls_score")
    shifts = mx.symbol.Convolution(mx.sym.relu(net), kernel=(1, 1), num_filter=8, name="rpn_bbox_pred")
    classes = mx.symbol.SoftmaxOutput(
        scores, mx.symbol.Variable("label"), multi_output=True, normalization="valid", use_ignore=True, ignore_label=-1,
        name="cls_prob",
    )  # fmt: skip
    distance = mx.symbol.Variable("weight_inside") * mx.symbol.smooth_l1(shifts - 0.25, name="bbox_loss_", scalar=3.0)
    return mx.symbol.Group([classes, mx.sym.MakeLoss(name="bbox_loss", data=distance, grad_scale=1.0 / 16)])


@network(data=(1, 3, 9, 9), softmax_label=(1, 9, 9), fixed=("data", "softmax_label"))
def fully_convolutional(mx: Any) -> Any:
    """FCN (Long et al. 2015): a coarse score raised by bilinear deconvolution, joined with a finer one, cut to size."""
    data = mx.symbol.Variable("data")
    fine = mx.sym.relu(mx.symbol.Convolution(data, kernel=(3, 3), pad=(3, 3), num_filter=3, name="conv1"))
    small = mx.symbol.Pooling(fine, pool_type="max", kernel=(2, 2), stride=(2, 2), pooling_convention="full")
    score = mx.symbol.Convolution(small, kernel=(1, 1), num_filter=3, name="score", workspace=1024)
    raised = mx.symbol.Deconvolution(
        score, kernel=(4, 4), stride=(2, 2), num_filter=3, no_bias=True, name="score2", attr={"lr_mult": "0"}
    )
    skipped = mx.symbol.Convolution(fine, kernel=(1, 1), num_filter=3, name="score_pool4")
    joined = mx.symbol.broadcast_plus(mx.symbol.Crop(*[raised, skipped], name="crop2", center_crop=True), skipped)
    big = mx.symbol.UpSampling(joined, scale=2, num_filter=3, sample_type="bilinear", name="bigscore", num_args=2)
    return mx.symbol.SoftmaxOutput(
        mx.symbol.Crop(*[big, data], offset=(1, 1), name="upscore"), multi_output=True, use_ignore=True,
        ignore_label=2, name="softmax",
    )  # fmt: skip


# Text, sound, recommendation


@network(data=(2, 6), softmax_label=(2,), fixed=("data", "softmax_label"))
def text_convolution(mx: Any) -> Any:
    """Kim 2014: filters of several heights over embedded words, each pooled over the whole sentence."""
    embedded = mx.sym.Embedding(data=mx.sym.Variable("data"), input_dim=7, output_dim=3, name="vocab_embed")
    image = mx.sym.Reshape(data=embedded, target_shape=(2, 1, 6, 3))
    pooled = []
    for height in (2, 3):
        net = mx.sym.Activation(mx.sym.Convolution(data=image, kernel=(height, 3), num_filter=2), act_type="relu")
        pooled.append(mx.sym.Pooling(data=net, pool_type="max", kernel=(6 - height + 1, 1), stride=(1, 1)))
    joined = mx.sym.Reshape(data=mx.sym.Concat(*pooled, dim=1), target_shape=(2, 4))
    net = mx.sym.FullyConnected(joined, mx.sym.Variable("cls_weight"), mx.sym.Variable("cls_bias"), num_hidden=3)
    return mx.sym.SoftmaxOutput(data=net, label=mx.sym.Variable("softmax_label"), name="softmax")


@network(data=(2, 4), label=(2, 3), label_weight=(2, 3), fixed=("data", "label", "label_weight"))
def noise_contrastive(mx: Any) -> Any:
    """Word vectors trained to tell a word from noise: a product of embeddings per candidate."""
    words = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=5, output_dim=3, name="embed")
    parts = mx.sym.SliceChannel(data=words, num_outputs=4, squeeze_axis=1, name="each")
    hidden = parts[0] + parts[1] + parts[2] + parts[3]
    weight = mx.sym.Variable("embed_out_weight")
    labels = mx.sym.Embedding(data=mx.sym.Variable("label"), weight=weight, input_dim=6, output_dim=3, name="labels")
    hidden = mx.sym.Reshape(data=hidden, shape=(-1, 1, 3))
    scores = mx.sym.sum(data=mx.sym.broadcast_mul(hidden, labels), axis=2)
    return mx.sym.LogisticRegressionOutput(data=scores, label=mx.sym.Variable("label_weight"))


@network(data=(2, 3, 8), label=(2, 2), l0_init_h=(2, 4), l0_init_c=(2, 4), fixed=("data", "label"))
def text_recognition(mx: Any) -> Any:
    """Slices of an image through a recurrent layer into CTC (Graves et al. 2006), with the labels only in the loss."""
    cell = mx.rnn.LSTMCell(num_hidden=4, prefix="l0_")
    states = [mx.sym.Variable("l0_init_h"), mx.sym.Variable("l0_init_c")]
    columns = mx.sym.SliceChannel(mx.sym.Variable("data"), num_outputs=4, axis=2, name="columns")
    steps = [mx.sym.Flatten(columns[i]) for i in range(4)]
    hidden, _ = cell.unroll(4, inputs=steps, begin_state=states, merge_outputs=False)
    scores = mx.sym.FullyConnected(mx.sym.Concat(*hidden, dim=0), num_hidden=5, name="pred_fc")
    scores = mx.sym.Reshape(data=scores, shape=(-4, 4, -1, 0))
    loss = mx.sym.contrib.ctc_loss(data=scores, label=mx.sym.Cast(mx.sym.Variable("label"), dtype="int32"))
    loss = mx.sym.MakeLoss(loss, name="ctc_loss")
    classes = mx.sym.BlockGrad(mx.sym.SoftmaxActivation(mx.sym.Reshape(scores, shape=(-1, 5))), name="softmax")
    return mx.sym.Group([classes, loss])


@network(user=(3,), item=(3,), score=(3,), fixed=("user", "item", "score"))
def neural_collaborative_filtering(mx: Any) -> Any:
    """He et al. 2017: a product of embeddings beside a perceptron, both from the same two ids."""
    user, item = mx.sym.Variable("user"), mx.sym.Variable("item")
    product = mx.sym.Embedding(user, input_dim=5, output_dim=4, name="mf_user") * mx.sym.Embedding(
        item, input_dim=6, output_dim=4, name="mf_item"
    )
    hidden = mx.sym.concat(
        mx.sym.Embedding(user, input_dim=5, output_dim=3, sparse_grad=True, name="mlp_user"),
        mx.sym.Embedding(item, input_dim=6, output_dim=3, sparse_grad=True, name="mlp_item"),
        dim=1,
    )
    hidden = mx.sym.Activation(mx.sym.FullyConnected(hidden, num_hidden=4, name="fc_0"), act_type="relu")
    both = mx.sym.concat(product, hidden, dim=1, name="concat")
    logit = mx.sym.FullyConnected(both, num_hidden=1, name="pred")
    return mx.sym.LogisticRegressionOutput(logit, mx.sym.Variable("score"), name="softmax")


@network(csr_data=(2, 6), dns_data=(2, 5), label=(2,), fixed=("csr_data", "dns_data", "label"), runs=False)
def wide_and_deep(mx: Any) -> Any:
    """Cheng et al. 2016: crossed features in a sparse product, others embedded; sums of both decide."""
    crossed = mx.symbol.Variable("csr_data", stype="csr")
    weight = mx.symbol.Variable("wide_w", stype="row_sparse", shape=(6, 2), init=mx.init.Normal(0.01))
    wide = mx.symbol.sparse.dot(crossed, weight)
    columns = mx.symbol.split(data=mx.symbol.Variable("dns_data"), num_outputs=5, squeeze_axis=1)
    parts = [mx.symbol.Embedding(columns[i], input_dim=4, output_dim=2, name=f"embed_{i}") for i in range(2)]
    parts.append(mx.symbol.reshape(mx.symbol.slice_axis(mx.symbol.Variable("dns_data"), 1, 2, 5), shape=(-1, 3)))
    hidden = mx.symbol.Activation(mx.symbol.FullyConnected(mx.symbol.concat(*parts, dim=1), num_hidden=4), "relu")
    deep = mx.symbol.FullyConnected(data=hidden, num_hidden=2)
    return mx.symbol.SoftmaxOutput(wide + deep, mx.symbol.Variable("label"), name="out", normalization="batch")


@network(data=(3, 2, 4), rnn_parameters=(160,), fixed=("data",))
def fused_recurrent(mx: Any) -> Any:
    cell = mx.rnn.FusedRNNCell(4, num_layers=1, mode="lstm", prefix="rnn_", get_next_state=True)
    outputs, states = cell.unroll(3, inputs=mx.sym.Variable("data"), layout="TNC", merge_outputs=True)
    return mx.sym.Group([mx.sym.Reshape(outputs, shape=(-3, 0)), mx.sym.SwapAxis(states[0], dim1=0, dim2=1)])


# Pictures that are made


@network(rand=(2, 4, 1, 1), label=(2, 1), fixed=("label",))
def adversarial(mx: Any) -> Any:
    """DCGAN (Radford et al. 2016): a generator by deconvolution with a discriminator behind it."""
    net = mx.sym.Variable("rand")
    net = mx.sym.Deconvolution(net, name="g1", kernel=(4, 4), num_filter=4, no_bias=True)
    net = mx.sym.BatchNorm(net, name="gbn1", fix_gamma=True, eps=1e-5 + 1e-12)
    net = mx.sym.Activation(net, name="gact1", act_type="relu")
    net = mx.sym.Deconvolution(net, name="g2", kernel=(4, 4), stride=(2, 2), pad=(1, 1), num_filter=1, no_bias=True)
    net = mx.sym.Activation(net, name="gact2", act_type="tanh")
    net = mx.sym.Convolution(net, name="d1", kernel=(4, 4), stride=(2, 2), pad=(1, 1), num_filter=2, no_bias=True)
    net = mx.sym.LeakyReLU(net, name="dact1", act_type="leaky", slope=0.2)
    net = mx.sym.Convolution(net, name="d2", kernel=(4, 4), num_filter=1, no_bias=True)
    return mx.sym.LogisticRegressionOutput(mx.sym.Flatten(net), mx.sym.Variable("label"), name="dloss")


@network(img=(1, 3, 6, 6), target_gram_0=(4, 4), gram_weight=(1,), fixed=("target_gram_0", "gram_weight"))
def style_of_a_picture(mx: Any) -> Any:
    """Gatys et al. 2015: the Gram matrix of a layer against a target, and a penalty on differences of neighbours."""
    image = mx.sym.Variable("img")
    layer = mx.sym.Activation(mx.sym.Convolution(image, num_filter=4, kernel=(3, 3), name="relu1_1"), act_type="relu")
    flat = mx.sym.Reshape(layer, target_shape=(4, 16))
    gram = mx.sym.FullyConnected(flat, flat, no_bias=True, num_hidden=4) / 64
    loss = mx.sym.sum(mx.sym.square(gram - mx.sym.Variable("target_gram_0"))) * mx.sym.Variable("gram_weight")
    channels = mx.sym.SliceChannel(image, num_outputs=3)
    kernel = mx.sym.Variable("kernel", shape=(1, 1, 3, 3))
    smooth = mx.sym.Concat(*[
        mx.sym.Convolution(data=channels[i], weight=kernel, num_filter=1, kernel=(3, 3), pad=(1, 1), no_bias=True)
        for i in range(3)
    ]) * 0.1  # fmt: skip
    return mx.sym.Group([mx.sym.MakeLoss(loss), smooth])


@network(data=(3, 5), fixed=("data",))
def variational_autoencoder(mx: Any) -> Any:
    """Kingma & Welling 2014, with the noise of its sample left out."""
    data = mx.sym.Variable("data")
    hidden = mx.sym.Activation(mx.sym.FullyConnected(data, name="encoder_h", num_hidden=4), act_type="tanh")
    mean = mx.sym.FullyConnected(hidden, name="mu", num_hidden=2)
    logvar = mx.sym.FullyConnected(hidden, name="logvar", num_hidden=2)
    sample = mean + mx.sym.broadcast_mul(mx.sym.exp(0.5 * logvar), mx.sym.ones((3, 2)) * 0.25)
    decoded = mx.sym.FullyConnected(mx.sym.Activation(sample, act_type="tanh"), name="decoder", num_hidden=5)
    y = mx.sym.Activation(decoded, act_type="sigmoid")
    divergence = -0.5 * mx.symbol.sum(1 + logvar - mx.sym.pow(mean, 2) - mx.sym.exp(logvar), axis=1)
    entropy = -mx.symbol.sum(data * mx.sym.log(y + 1e-5) + (1 - data) * mx.sym.log(1 - y + 1e-5), axis=1)
    return mx.sym.MakeLoss(mx.symbol.sum(divergence + entropy), name="loss")


@network(data=(2, 1, 6, 6), label=(2,), fixed=("label",))
def capsules(mx: Any) -> Any:
    """Sabour et al. 2017: vectors squashed to their length, one round of agreement, and the margin loss."""

    def squash(net: Any, axis: int) -> Any:
        square = mx.sym.sum(mx.sym.square(net), axis=axis, keepdims=True)
        scale = square / (1 + square) / mx.sym.sqrt(square, name=f"length{axis}")
        return mx.sym.broadcast_mul(net, scale)

    net = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), stride=(3, 3), num_filter=4, name="primary")
    net = squash(mx.sym.reshape(mx.sym.transpose(net, axes=(0, 2, 3, 1)), shape=(-1, 8, 2)), 2)
    weight = mx.sym.Variable("weight", shape=(1, 8, 6, 2), init=mx.init.Normal(0.1))
    votes = mx.sym.sum(
        mx.sym.broadcast_mul(weight, mx.sym.tile(mx.sym.expand_dims(net, axis=2), reps=(1, 1, 6, 1))), axis=3
    )
    votes = mx.sym.reshape(votes, shape=(0, 0, 3, 2))
    share = mx.sym.softmax(mx.sym.zeros((2, 8, 3, 1)), axis=2)
    out = squash(mx.sym.sum(mx.sym.broadcast_mul(share, votes), axis=1), 2)
    length = mx.sym.sqrt(mx.sym.sum(mx.sym.square(out), axis=2), name="lengths")
    onehot = mx.sym.one_hot(mx.sym.Variable("label"), 3)
    loss = onehot * mx.sym.square(mx.sym.maximum(0, 0.9 - length))
    loss = loss + 0.5 * (1 - onehot) * mx.sym.square(mx.sym.maximum(0, length - 0.1))
    return mx.sym.Group([mx.sym.BlockGrad(length), mx.sym.MakeLoss(mx.sym.sum(loss, axis=1).mean())])
