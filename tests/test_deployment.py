"""Trained networks in archives, and prediction without labels."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import numpy as np
import pytest

import symbind as mx
from symbind.base import MXNetError
from symbind.deployment import prediction_symbol

SHAPES = json.dumps([{"name": "data", "shape": [0, 4]}]).encode()


def classifier():
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc")
    return mx.sym.SoftmaxOutput(mx.sym.BatchNorm(net, name="bn"), name="softmax")


def parameters(scale: float = 1.0) -> dict[str, np.ndarray]:
    random = np.random.RandomState(0)
    return {
        "arg:fc_weight": scale * random.uniform(-1, 1, (3, 4)), "arg:fc_bias": random.uniform(-1, 1, 3),
        "arg:bn_gamma": np.ones(3), "arg:bn_beta": np.zeros(3),
        "aux:bn_moving_mean": np.zeros(3), "aux:bn_moving_var": np.ones(3),
    }  # fmt: skip


def params_file(tmp_path, scale: float = 1.0) -> bytes:
    file = tmp_path / "saved.params"
    mx.nd.save(str(file), {name: mx.nd.array(value) for name, value in parameters(scale).items()})
    return file.read_bytes()


def archive(path, files: dict[str, bytes], mode: str = "w:gz", edit=lambda info: None) -> str:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            edit(info)
            tar.addfile(info, io.BytesIO(content))
    return str(path)


@pytest.fixture
def files(tmp_path) -> dict[str, bytes]:
    return {
        "image-classification-symbol.json": classifier().tojson().encode(),
        "image-classification-0003.params": params_file(tmp_path),
        "model-shapes.json": SHAPES,
    }


def probabilities(x: np.ndarray, scale: float = 1.0) -> np.ndarray:
    given = parameters(scale)
    scores = (x @ given["arg:fc_weight"].T + given["arg:fc_bias"]) / np.sqrt(1 + 1e-3)
    exponentials = np.exp(scores)
    return exponentials / exponentials.sum(1, keepdims=True)


@pytest.mark.parametrize(("mode", "name"), [("w:gz", "model.tar.gz"), ("w", "model.tar")])
def test_an_archive_predicts_without_labels(files, tmp_path, mode, name) -> None:
    path = archive(tmp_path / name, {f"./{key}": value for key, value in files.items()}, mode)
    model = mx.model.load_archive(path)
    assert model.input_shapes == {"data": (0, 4)}
    x = np.random.RandomState(1).uniform(-1, 1, (5, 4)).astype("float32")
    for rows in (5, 2, 5):
        (output,) = model.predict(data=x[:rows])
        np.testing.assert_allclose(output, probabilities(x[:rows]), rtol=1e-5)


def test_an_archive_unpacks_like_a_checkpoint(files, tmp_path) -> None:
    symbol, arg_params, aux_params = mx.model.load_archive(archive(tmp_path / "model.tar.gz", files))
    assert symbol.tojson() == classifier().tojson()
    assert set(arg_params) == {"fc_weight", "fc_bias", "bn_gamma", "bn_beta"}
    assert set(aux_params) == {"bn_moving_mean", "bn_moving_var"}
    module = mx.mod.Module(symbol, label_names=["softmax_label"])
    module.bind([("data", (2, 4))], for_training=False)
    module.set_params(arg_params, aux_params)


def test_an_open_file_and_a_signature_will_do(files, tmp_path) -> None:
    del files["model-shapes.json"]
    files["signature.json"] = b'{"inputs": [{"data_name": "data", "data_shape": [1, 4]}], "input_type": "x"}'
    with open(archive(tmp_path / "model.tar.gz", files), "rb") as file:
        assert mx.model.load_archive(file).input_shapes == {"data": (1, 4)}


def test_the_last_epoch_is_taken_or_the_one_asked_for(files, tmp_path) -> None:
    files["image-classification-0010.params"] = params_file(tmp_path, scale=2)
    path = archive(tmp_path / "model.tar.gz", files)
    x = np.eye(4, dtype="float32")
    for epoch, scale in ((None, 2), (10, 2), (3, 1)):
        (output,) = mx.model.load_archive(path, epoch).predict(data=x)
        np.testing.assert_allclose(output, probabilities(x, scale), rtol=1e-5)
    with pytest.raises(MXNetError, match="no image-classification-0004.params"):
        mx.model.load_archive(path, epoch=4)


def test_a_detector_for_training_predicts_what_needs_no_labels() -> None:
    """The label of a loss may be computed from the user's labels; predictions do not need that part."""
    data, label = mx.sym.var("data"), mx.sym.var("label")
    scores = mx.sym.FullyConnected(data, num_hidden=3, name="fc")
    target = mx.sym.argmax(label, axis=1)
    net = mx.sym.Group([
        mx.sym.SoftmaxOutput(scores, target, name="cls_prob"), mx.sym.relu(scores, name="features"),
        mx.sym.BlockGrad(target, name="cls_label"),
    ])  # fmt: skip
    left = prediction_symbol(net, ["data", "fc_weight", "fc_bias"])
    assert left.list_outputs() == ["cls_prob_output", "features_output"]
    assert left.list_arguments() == ["data", "fc_weight", "fc_bias", "cls_prob_label"]
    params = {"fc_weight": mx.nd.ones((3, 4)), "fc_bias": mx.nd.zeros(3)}
    prob, features = mx.model.DeployedModel(net, params, {}).predict(data=np.ones((2, 4)))
    np.testing.assert_allclose(prob, np.full((2, 3), 1 / 3), rtol=1e-6)
    np.testing.assert_array_equal(features, np.full((2, 3), 4))
    with pytest.raises(MXNetError, match="No output can be computed without values for data, fc_bias, fc_weight"):
        prediction_symbol(net[0], [])


def test_inputs_must_be_the_networks() -> None:
    params = {name[4:]: mx.nd.array(value) for name, value in parameters().items() if name[:4] == "arg:"}
    states = {name[4:]: mx.nd.array(value) for name, value in parameters().items() if name[:4] == "aux:"}
    model = mx.model.DeployedModel(classifier(), params, states)
    with pytest.raises(MXNetError, match="has no input image"):
        model.predict(data=np.ones((2, 4)), image=np.ones(1))


# ---- archives that are damaged, or made to do damage -----------------------------------------------------------------


def refuse(path, match: str, **options) -> None:
    with pytest.raises(MXNetError, match=match):
        mx.model.load_archive(str(path), **options)


def test_what_is_missing_is_named(files, tmp_path) -> None:
    path = tmp_path / "model.tar.gz"
    for key in list(files)[:2]:
        archive(path, {name: content for name, content in files.items() if name != key})
        refuse(path, "symbol.json" if key.endswith("json") else r"NNNN\.params")
    archive(path, {**files, "other-symbol.json": b"{}"})
    refuse(path, r"must hold one \*-symbol.json")
    archive(path, {})
    refuse(path, "nothing")
    refuse(tmp_path / "no such file", "No such file")


def test_names_lead_nowhere(files, tmp_path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    path = archive(inner / "model.tar.gz", {f"../../{key}": value for key, value in files.items()})
    mx.model.load_archive(path)
    archive(path, {f"/{key}": value for key, value in files.items()})
    mx.model.load_archive(path)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, inner / "model.tar.gz"])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_the_like_are_no_files(files, tmp_path, kind) -> None:
    def edit(info: tarfile.TarInfo) -> None:
        if info.name.endswith("symbol.json"):
            info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    refuse(archive(tmp_path / "model.tar.gz", files, edit=edit), "is not a plain file")


def test_files_that_expand_to_any_size_are_refused(files, tmp_path) -> None:
    header = bytearray(tarfile.TarInfo("x-0001.params").tobuf(format=tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:398] = b"00000000000\0"
    header[483:495] = b"77777777777\0"  # eight gigabytes of nothing
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "model.tar").write_bytes(bytes(header) + bytes(1024))
    refuse(tmp_path / "model.tar", "holds more than|is not a plain file")


def test_sizes_are_checked_against_what_is_there(files, tmp_path) -> None:
    header = tarfile.TarInfo("x-symbol.json")
    header.size = 10**9
    (tmp_path / "model.tar").write_bytes(header.tobuf() + b"{}")
    refuse(tmp_path / "model.tar", "unexpected end of data")
    refuse(archive(tmp_path / "model.tar.gz", files), "more than 100 bytes", size_limit=100)


def test_a_bomb_is_stopped_at_the_limit(tmp_path) -> None:
    path = archive(tmp_path / "model.tar.gz", {"zeros.bin": bytes(2**20), "x-symbol.json": b"{}"})
    refuse(path, "holds more than 1000000 bytes", size_limit=10**6)


def test_damage_anywhere_is_an_error(files, tmp_path) -> None:
    whole = tmp_path / "whole.tar.gz"
    archive(whole, files)
    content = whole.read_bytes()
    damaged = tmp_path / "damaged.tar.gz"
    random = np.random.RandomState(0)
    outcomes = set()
    for cut in range(0, len(content), 37):
        damaged.write_bytes(content[:cut])
        refuse(damaged, "damaged.tar.gz")
    plain = gzip.decompress(content)
    for _ in range(300):
        changed = bytearray(plain)
        changed[random.randint(len(changed))] ^= 1 << random.randint(8)
        damaged.write_bytes(changed)
        try:
            mx.model.load_archive(str(damaged))
            outcomes.add("loaded")
        except (MXNetError, ValueError, TypeError) as error:
            outcomes.add(type(error).__name__)
    assert "loaded" in outcomes and "MXNetError" in outcomes


@pytest.mark.parametrize(
    "shapes", [b"[", b"[1]", b'[{"name": "data"}]', b'[{"name": "data", "shape": [1.5]}]', b"\xff"]
)
def test_shapes_that_are_none_are_refused(files, tmp_path, shapes) -> None:
    files["model-shapes.json"] = shapes
    refuse(archive(tmp_path / "model.tar.gz", files), "model-shapes.json in")
