"""Fine-tuning: the body of a trained network under a new head, for other classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import symbind as mx

from .data import digits

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated")


def network(classes: int) -> mx.sym.Symbol:
    net = mx.sym.Variable("data")
    for i, filters in enumerate((8, 16)):
        net = mx.sym.Convolution(net, kernel=(3, 3), num_filter=filters, no_bias=True, name=f"conv{i}")
        net = mx.sym.Activation(mx.sym.BatchNorm(net, name=f"bn{i}"), act_type="relu", name=f"relu{i}")
    net = mx.sym.Flatten(net, name="flatten")
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="fc1")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def of_classes(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels = digits()
    chosen = (labels >= first) & (labels <= last)
    return images[chosen][:, None], labels[chosen] - first


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that knows the digits from 0 to 6, in files."""
    np.random.seed(0)
    mx.random.seed(0)
    x, y = of_classes(0, 6)
    module = mx.mod.Module(network(7))
    module.fit(mx.io.NDArrayIter(x, y, 50, shuffle=True), num_epoch=3, initializer=mx.init.Xavier(),
               optimizer_params={"learning_rate": 0.1, "momentum": 0.9})  # fmt: skip
    saved = str(tmp_path_factory.mktemp("pretrained") / "digits")
    module.save_checkpoint(saved, 3)
    return saved


def new_head(symbol: mx.sym.Symbol, arg_params: dict, classes: int, layer: str = "flatten") -> tuple:
    """The network up to a layer with a new head, and the parameters without those of the old head."""
    net = symbol.get_internals()[layer + "_output"]
    net = mx.sym.FullyConnected(net, num_hidden=classes, name="fc1")
    net = mx.sym.SoftmaxOutput(net, name="softmax")
    return net, {name: value for name, value in arg_params.items() if "fc1" not in name}


def test_with_a_module(prefix: str) -> None:
    symbol, arg_params, aux_params = mx.model.load_checkpoint(prefix, 3)
    net, body = new_head(symbol, arg_params, 3)
    assert net.list_arguments() == symbol.list_arguments()
    x, y = of_classes(7, 9)
    module = mx.mod.Module(symbol=net, context=[mx.cpu(0), mx.cpu(1)], fixed_param_names=["conv0_weight"])
    settings = {
        "arg_params": body, "aux_params": aux_params, "kvstore": "device", "optimizer": "sgd",
        "optimizer_params": {"learning_rate": 0.01}, "eval_metric": "acc",
        "initializer": mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2),
    }  # fmt: skip
    train = mx.io.NDArrayIter(x[:100], y[:100], 20, shuffle=True)
    rest = mx.io.NDArrayIter(x[100:], y[100:], 20)
    with pytest.raises(RuntimeError, match="fc1_bias is not presented"):
        module.fit(train, rest, num_epoch=1, **settings)
    module.fit(train, rest, num_epoch=8, allow_missing=True, **settings)
    tuned, _ = module.get_params()
    np.testing.assert_array_equal(tuned["conv0_weight"].asnumpy(), arg_params["conv0_weight"].asnumpy())
    assert not np.array_equal(tuned["conv1_weight"].asnumpy(), arg_params["conv1_weight"].asnumpy())
    assert module.score(rest, mx.metric.Accuracy())[0][1] > 0.9


def test_with_feedforward(prefix: str) -> None:
    """As the R package does it: every parameter is given, those of the head from an initialization of their own."""
    symbol, arg_params, aux_params = mx.model.load_checkpoint(prefix, 3)
    net, body = new_head(symbol, arg_params, 3)
    x, y = of_classes(7, 9)
    fresh = mx.mod.Module(net)
    fresh.bind([("data", (8, *x.shape[1:]))], [("softmax_label", (8,))])
    fresh.init_params(mx.init.Uniform(0.1))
    head = {name: value for name, value in fresh.get_params()[0].items() if name in ("fc1_weight", "fc1_bias")}
    model = mx.model.FeedForward.create(
        net, x[:100], y[:100], num_epoch=8, numpy_batch_size=20, kvstore="local", optimizer="sgd", learning_rate=0.02,
        momentum=0.9, wd=1e-5, arg_params={**body, **head}, aux_params=aux_params,
        initializer=mx.init.Xavier(factor_type="in", magnitude=2.34),
    )  # fmt: skip
    assert (model.predict(x[100:]).argmax(axis=1) == y[100:]).mean() > 0.9


def test_images_in_a_record_file(tmp_path: Path) -> None:
    """What im2rec makes of folders is what ImageRecordIter gives."""
    pytest.importorskip("PIL")
    from PIL import Image

    from symbind import im2rec

    images, labels = digits()
    for number in range(12):
        folder = tmp_path / "images" / f"digit{int(labels[number])}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((images[number] * 255).astype(np.uint8)).resize((32, 32)).save(folder / f"{number}.png")
    root, prefix = str(tmp_path / "images"), str(tmp_path / "digits")
    im2rec.main(["--list", "--recursive", prefix, root])
    listed = [line.split("\t") for line in Path(f"{prefix}.lst").read_text().splitlines()]
    assert len(listed) == 12 and all(len(columns) == 3 for columns in listed)
    im2rec.main(["--pass-through", prefix, root])
    batches = mx.io.ImageRecordIter(
        path_imgrec=f"{prefix}.rec", batch_size=4, data_shape=(3, 24, 24), rand_crop=True, rand_mirror=True
    )
    seen = [batch.label[0].asnumpy() for batch in batches]
    assert sorted(np.concatenate(seen)) == sorted(float(label) for _, label, _ in listed)
