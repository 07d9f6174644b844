"""Classify real-world images with a pre-trained model: what it takes to use a network that others trained, long ago.

The network of the tutorial can no longer be had. A small one of the same kind (convolutions, batch normalization,
concatenated branches) is trained here, and written the way files were in 2015: operators' parameters under ``param``,
inputs of two numbers, no variables for auxiliary states.
"""

from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

import symbind as mx

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated")

SIZE = 56
Batch = namedtuple("Batch", ["data"])


def inception() -> mx.sym.Symbol:
    def conv(data: mx.sym.Symbol, filters: int, kernel: int, name: str) -> mx.sym.Symbol:
        net = mx.sym.Convolution(
            data, num_filter=filters, kernel=(kernel, kernel), pad=(kernel // 2, kernel // 2), name=f"conv_{name}"
        )
        net = mx.sym.BatchNorm(net, fix_gamma=False, eps=1e-3, name=f"bn_{name}")
        return mx.sym.Activation(net, act_type="relu", name=f"relu_{name}")

    net = conv(mx.sym.Variable("data"), 8, 7, "1")
    net = mx.sym.Pooling(net, kernel=(4, 4), stride=(4, 4), pool_type="max", name="pool_1")
    net = mx.sym.Concat(conv(net, 6, 1, "1x1"), conv(net, 6, 3, "3x3"), name="ch_concat")
    net = mx.sym.Pooling(net, kernel=(1, 1), global_pool=True, pool_type="avg", name="global_pool")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten"), num_hidden=2, name="fc1")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def preprocessed(image: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The middle square of an image, resized, channels first, less the mean image: a batch of one."""
    short = min(image.shape[:2])
    top, left = ((side - short) // 2 for side in image.shape[:2])
    square = mx.nd.array(image[top : top + short, left : left + short], dtype="uint8")
    small = mx.image.imresize(square, SIZE, SIZE).asnumpy().astype(np.float32)
    return small.transpose(2, 0, 1)[None] - mean


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The prefix of a network that tells crops of a photograph of a temple from those of a flower."""
    crops, labels = [], []
    random = np.random.RandomState(0)
    for label, name in enumerate(("china.jpg", "flower.jpg")):
        picture = load_sample_image(name)
        for _ in range(40):
            top, left = random.randint(0, 427 - 200), random.randint(0, 640 - 200)
            crop = mx.nd.array(picture[top : top + 200, left : left + 200], dtype="uint8")
            crops.append(mx.image.imresize(crop, SIZE, SIZE).asnumpy().transpose(2, 0, 1))
            labels.append(label)
    images = np.array(crops, np.float32)
    mean = images.mean(axis=0)
    mx.random.seed(0)
    np.random.seed(0)
    module = mx.mod.Module(inception())
    batches = mx.io.NDArrayIter(images - mean, np.array(labels), 20, shuffle=True)
    module.fit(batches, num_epoch=4, optimizer="adam", initializer=mx.init.Xavier())
    prefix = str(tmp_path_factory.mktemp("inception") / "Inception_BN")
    module.save_checkpoint(prefix, 39)
    mx.nd.save(f"{prefix}_mean.nd", {"mean_img": mx.nd.array(mean)})
    Path(f"{prefix}-symbol.json").write_text(as_in_2015(module.symbol.tojson()))
    return prefix


def as_in_2015(text: str) -> str:
    """The JSON of a network as version 0.8 wrote it."""
    network = json.loads(text)
    auxiliary = {i for i, node in enumerate(network["nodes"]) if node["name"].endswith(("_moving_mean", "_moving_var"))}
    numbers = {}
    nodes = []
    for i, node in enumerate(network["nodes"]):
        if i in auxiliary:
            continue
        numbers[i] = len(nodes)
        inputs = [[numbers[source], output] for source, output, _ in node["inputs"] if source not in auxiliary]
        nodes.append(
            {"op": node["op"], "param": node.get("attrs", {}), "name": node["name"], "inputs": inputs,
             "backward_source_id": -1}
        )  # fmt: skip
    return json.dumps(
        {
            "nodes": nodes,
            "arg_nodes": [i for i, node in enumerate(nodes) if node["op"] == "null"],
            "heads": [[numbers[source], output] for source, output, _ in network["heads"]],
        }
    )


def photograph(prefix: str, name: str) -> np.ndarray:
    return preprocessed(load_sample_image(name), mx.nd.load(f"{prefix}_mean.nd")["mean_img"].asnumpy())


def test_an_image_is_classified_by_the_old_files(model: str) -> None:
    pretrained = mx.model.FeedForward.load(model, 39)
    assert pretrained.symbol.list_auxiliary_states() == inception().list_auxiliary_states()
    synset = ["n03788195 mosque", "n11939491 daisy"]
    for name, expected in (("china.jpg", "mosque"), ("flower.jpg", "daisy")):
        probabilities = pretrained.predict(photograph(model, name))
        assert probabilities.shape == (1, 2)
        assert synset[probabilities.argmax()].endswith(expected)


def test_prediction_with_a_module(model: str) -> None:
    symbol, arg_params, aux_params = mx.model.load_checkpoint(model, 39)
    module = mx.mod.Module(symbol=symbol, context=mx.cpu(), label_names=None)
    module.bind(for_training=False, data_shapes=[("data", (1, 3, SIZE, SIZE))], label_shapes=module._label_shapes)
    with pytest.raises(RuntimeError, match="softmax_label is not presented"):
        module.set_params(arg_params, aux_params)
    # Without label names the label is a parameter, for which the file has no value.
    module.set_params(arg_params, aux_params, allow_missing=True)
    module.forward(Batch([mx.nd.array(photograph(model, "china.jpg"))]))
    [probabilities] = module.get_outputs()
    expected = mx.model.FeedForward.load(model, 39).predict(photograph(model, "china.jpg"))
    np.testing.assert_array_equal(probabilities.asnumpy(), expected)


def test_features_are_inner_outputs(model: str) -> None:
    symbol, arg_params, aux_params = mx.model.load_checkpoint(model, 39)
    layers = symbol.get_internals()
    assert layers.list_outputs()[-7:] == [
        "global_pool_output", "flatten_output", "fc1_weight", "fc1_bias", "fc1_output", "softmax_label",
        "softmax_output",
    ]  # fmt: skip
    module = mx.mod.Module(symbol=layers["flatten_output"], label_names=None, context=mx.cpu())
    module.bind(for_training=False, data_shapes=[("data", (1, 3, SIZE, SIZE))])
    module.set_params(arg_params, aux_params, allow_extra=True)
    module.forward(Batch([mx.nd.array(photograph(model, "flower.jpg"))]))
    assert module.get_outputs()[0].shape == (1, 12)
