"""Detectors as they are deployed: an archive with symbol, parameters and shapes, predicted from without labels.

The numbers are those recorded of whole networks.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import symbind as mx
from symbind.cli import main
from symbind.deployment import prediction_symbol

from . import archive
from .compare import assert_same
from .models import MODELS
from .networks import Network
from .zoo import ZOO, filling, parameters

FOLDER = Path(__file__).parent


class Detector(NamedTuple):
    """A file of a detector, an image, and what MXNet finds in it."""

    text: str
    arguments: dict[str, np.ndarray]
    states: dict[str, np.ndarray]
    data: np.ndarray
    outputs: dict[str, np.ndarray]


def from_zoo(name: str) -> Detector:
    record = archive.read(FOLDER / "zoo.npz")[name]
    names = mx.sym.load_json(record["json"]).list_outputs()
    outputs = dict(zip(names, record["outputs"]))
    return Detector(record["json"], *parameters(record), filling("data", ZOO[name].shape), outputs)


def from_example(name: str, labels: tuple[str, ...] = ()) -> Detector:
    network: Network = MODELS[name]
    record = archive.read(FOLDER / "models.npz")[name]
    arguments, _, _ = record["infer_shape"]
    filled = {
        key: network.fill(key, tuple(shape))
        for key, shape in zip(record["arguments"], arguments)
        if key not in (*labels, "data")
    }
    # What moving averages were after the recorded step of training.
    kept = {key: record["run"]["states"][key] for key in record["auxiliary"]}
    outputs = record["run"]["inference"]
    return Detector(record["json"], filled, kept, network.fill("data", network.shapes["data"]), outputs)


DETECTORS: dict[str, Callable[[], Detector]] = {
    "ssd_300_mobilenet0.25": lambda: from_zoo("ssd_300_mobilenet0.25"),
    "yolo3_mobilenet0.25": lambda: from_zoo("yolo3_mobilenet0.25"),
    "retinaface": lambda: from_example("retinaface"),
    "face_alignment": lambda: from_example("face_alignment"),
    # The network for training, as the built-in algorithms of SageMaker save it: targets are computed from labels.
    "ssd_for_training": lambda: from_example("ssd_for_training", labels=("label",)),
}


@pytest.fixture(params=DETECTORS, scope="module")
def detector(request) -> Detector:
    return DETECTORS[request.param]()


@pytest.fixture(scope="module")
def files(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The detector as two files, and as an archive of them."""
    folder = tmp_path_factory.mktemp("model")
    symbol, params = folder / "model_algo_1-symbol.json", folder / "model_algo_1-0000.params"
    symbol.write_text(detector.text, encoding="utf-8")
    arrays = {f"arg:{name}": mx.nd.array(value) for name, value in detector.arguments.items()}
    arrays.update({f"aux:{name}": mx.nd.array(value) for name, value in detector.states.items()})
    mx.nd.save(str(params), arrays)
    shapes = json.dumps([{"name": "data", "shape": list(detector.data.shape)}]).encode()
    with tarfile.open(folder / "model.tar.gz", "w:gz") as tar:
        for file in (symbol, params):
            tar.add(file, file.name)
        info = tarfile.TarInfo("model-shapes.json")
        info.size = len(shapes)
        tar.addfile(info, io.BytesIO(shapes))
    return {"symbol": str(symbol), "params": str(params), "archive": str(folder / "model.tar.gz")}


def assert_found(detector: Detector, outputs: dict[str, np.ndarray]) -> None:
    assert outputs
    for name, output in outputs.items():
        assert_same(name, np.asarray(output), detector.outputs[name], tolerance=1e-4)


def test_from_an_archive(detector: Detector, files: dict[str, str]) -> None:
    model = mx.model.load_archive(files["archive"])
    assert model.input_shapes == {"data": detector.data.shape}
    names = prediction_symbol(model.symbol, {"data", *model.arg_params, *model.aux_params}).list_outputs()
    found = dict(zip(names, model.predict(data=detector.data), strict=True))
    assert_found(detector, found)
    # All but what a metric reads of the targets.
    assert set(detector.outputs) - set(found) <= {"loc_loss_output", "cls_label_output"}


def test_from_two_files_through_a_module(detector: Detector, files: dict[str, str]) -> None:
    prefix = files["symbol"].removesuffix("-symbol.json")
    symbol, arguments, states = mx.model.load_checkpoint(prefix, 0)
    symbol = prediction_symbol(symbol, {"data", *arguments, *states})
    # The variable that is left where a loss takes its label is no parameter, and needs no shape.
    labels = [name for name in symbol.list_arguments() if name not in {"data", *arguments}]
    module = mx.mod.Module(symbol, label_names=labels or None)
    module.bind([("data", detector.data.shape)], for_training=False)
    module.set_params(arguments, states)
    module.forward(mx.io.DataBatch([mx.nd.array(detector.data)], []), is_train=False)
    assert_found(detector, dict(zip(symbol.list_outputs(), (a.asnumpy() for a in module.get_outputs()))))


def test_bound_by_hand(detector: Detector) -> None:
    symbol = mx.sym.load_json(detector.text)
    symbol = prediction_symbol(symbol, {"data", *detector.arguments, *detector.states})
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=detector.data.shape)
    executor.copy_params_from(
        {name: mx.nd.array(value) for name, value in detector.arguments.items()},
        {name: mx.nd.array(value) for name, value in detector.states.items()},
        allow_extra_params=True,
    )
    executor.forward(is_train=False, data=detector.data)
    assert_found(detector, {name: a.asnumpy() for name, a in executor.output_dict.items()})


def test_from_the_command_line(detector: Detector, files: dict[str, str], tmp_path: Path, capsys: Any) -> None:
    shape = "data=" + ",".join(map(str, detector.data.shape))
    assert main(["check", files["symbol"], files["params"], "--shape", shape]) == 0
    assert main(["check", files["archive"]]) == 0
    assert capsys.readouterr().out.count("\nwould run\n") == 2

    np.save(tmp_path / "image.npy", detector.data)
    found = tmp_path / "found.npz"
    given = ["--input", f"data={tmp_path / 'image.npy'}", "-o", str(found)]
    assert main(["predict", files["archive"], *given]) == 0
    with np.load(found) as outputs:
        assert_found(detector, dict(outputs))
