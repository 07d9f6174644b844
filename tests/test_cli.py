"""The command line: what is printed, what is written, and the exit status."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

import symbind as mx
from symbind.cli import main

DATA = "data=2,3,8,8"


def network():
    with mx.name.NameManager():
        net = mx.sym.Convolution(mx.sym.var("data"), num_filter=4, kernel=(3, 3), name="conv")
        net = mx.sym.Activation(mx.sym.BatchNorm(net, name="bn"), act_type="relu", name="relu")
        return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc"), name="softmax")


@pytest.fixture
def saved(tmp_path) -> tuple[str, str]:
    """A checkpoint: its symbol and its parameters."""
    mx.random.seed(0)
    module = mx.mod.Module(network())
    module.bind([("data", (2, 3, 8, 8))], [("softmax_label", (2,))])
    module.init_params(mx.init.Xavier())
    module.save_checkpoint(str(tmp_path / "net"), 1)
    return str(tmp_path / "net-symbol.json"), str(tmp_path / "net-0001.params")


def change_params(file: str, change) -> None:
    arrays = mx.nd.load(file)
    change(arrays)
    mx.nd.save(file, arrays)


def test_check_of_a_sound_model(saved, capsys) -> None:
    assert main(["check", *saved, "--shape", DATA]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["data", "2x3x8x8", "input"] in lines
    assert ["fc_weight", "3x144"] in lines
    assert ["softmax_label", "2", "label,", "not", "needed"] in lines
    assert ["softmax_output", "2x3", "float32"] in lines
    assert any(line[:2] == ["Convolution", "1"] for line in lines)
    assert any(line[0] == "arena" for line in lines)
    assert lines[-1] == ["would", "run"]


def test_check_without_parameters_looks_at_the_graph_alone(saved, capsys) -> None:
    assert main(["check", saved[0], "--shape", DATA]) == 0
    assert "fc_weight       3x144    not given" in capsys.readouterr().out


def test_check_needs_the_shapes_of_inputs(saved, capsys) -> None:
    assert main(["check", *saved]) == 1
    out = capsys.readouterr().out
    assert "Cannot decide the shape" in out and "'data'" in out
    assert out.endswith("would not run\n")


@pytest.mark.parametrize("name", ["arg:fc_weight", "aux:bn_moving_mean"])
def test_check_names_missing_parameters(saved, capsys, name) -> None:
    change_params(saved[1], lambda arrays: arrays.pop(name))
    assert main(["check", *saved, "--shape", DATA]) == 1
    assert f"problem: missing parameters or inputs: {name[4:]}" in capsys.readouterr().out


def test_check_lists_extra_parameters_which_do_no_harm(saved, capsys) -> None:
    change_params(saved[1], lambda arrays: arrays.update({"arg:old_weight": mx.nd.ones((2, 5))}))
    assert main(["check", *saved, "--shape", DATA]) == 0
    assert ["old_weight", "2x5", "extra"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_check_finds_parameters_that_do_not_fit(saved, capsys) -> None:
    change_params(saved[1], lambda arrays: arrays.update({"arg:fc_weight": mx.nd.ones((3, 7))}))
    assert main(["check", *saved, "--shape", DATA]) == 1
    out = capsys.readouterr().out
    assert "problem: " in out and "fc" in out


def test_check_lists_every_operator_that_is_missing(saved, capsys) -> None:
    document = json.loads(Path(saved[0]).read_text())
    for node in document["nodes"]:
        node["op"] = {"Activation": "Quux", "BatchNorm": "Frobnicate"}.get(node["op"], node["op"])
    with open(saved[0], "w") as file:
        json.dump(document, file)
    assert main(["check", saved[0], "--shape", DATA]) == 1
    out = capsys.readouterr().out
    assert ["Quux", "1", "MISSING"] in [line.split() for line in out.splitlines()]
    assert "problem: missing operators: Frobnicate, Quux" in out


def test_check_leaves_out_what_needs_labels(tmp_path, capsys) -> None:
    net = network()
    target = mx.sym.argmax(mx.sym.var("label"), axis=1, name="target")
    mx.sym.Group([net, mx.sym.BlockGrad(target, name="shown")]).save(str(tmp_path / "net-symbol.json"))
    assert main(["check", str(tmp_path / "net-symbol.json"), "--shape", DATA]) == 0
    out = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["shown_output", "left", "out:", "needs", "a", "label"] in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "no such file"], "No such file"),
        (["check", "{symbol}", "{symbol}"], "net-symbol.json"),
        (["check", "{params}"], ""),
        (["predict", "{symbol}", "{params}", "--input", "data={symbol}"], ""),
    ],
)
def test_what_cannot_be_read_is_an_error(saved, capsys, arguments, message) -> None:
    arguments = [a.format(symbol=saved[0], params=saved[1]) for a in arguments]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"symbind {arguments[0]}: ") and message in error


@pytest.mark.parametrize("shape", ["data", "data=", "data=1,x", "=1,2", "data=0,3"])
def test_shapes_must_be_shapes(shape, capsys) -> None:
    with pytest.raises(SystemExit) as error:
        main(["check", "x-symbol.json", "--shape", shape])
    assert error.value.code == 2
    assert "NAME=N,N" in capsys.readouterr().err


def test_an_input_that_is_not_there(saved, capsys) -> None:
    assert main(["check", *saved, "--shape", DATA, "--shape", "image=1,2"]) == 1
    assert "The network has no input image" in capsys.readouterr().out


def test_summary(saved, capsys) -> None:
    assert main(["summary", saved[0], "--shape", DATA]) == 0
    assert "Total params: 555" in capsys.readouterr().out


def test_plot(saved, tmp_path, capsys) -> None:
    assert main(["plot", saved[0], "--shape", DATA]) == 0
    written = capsys.readouterr().out.strip()
    assert written.endswith("net-symbol.svg") and "conv" in Path(written).read_text()
    assert main(["plot", saved[0], "-o", str(tmp_path / "other.svg")]) == 0
    assert (tmp_path / "other.svg").read_text().startswith("<svg")


def test_plan(saved, capsys) -> None:
    assert main(["plan", saved[0], "--shape", DATA]) == 0
    forward = capsys.readouterr().out
    assert "backward" not in forward and "arena lower bound" in forward
    assert main(["plan", *saved, "--shape", DATA, "--shape", "softmax_label=2", "--train", "--time", "1"]) == 0
    assert "backward" in capsys.readouterr().out


def test_predict_writes_what_the_module_predicts(saved, tmp_path, capsys) -> None:
    x = np.random.RandomState(0).uniform(-1, 1, (2, 3, 8, 8)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    output = tmp_path / "y.npz"
    assert main(["predict", *saved, "--input", f"data={tmp_path / 'x.npy'}", "-o", str(output)]) == 0
    assert "softmax_output  2x3  float32" in capsys.readouterr().out

    module = mx.mod.Module.load(str(tmp_path / "net"), 1)
    module.bind([("data", x.shape)], for_training=False)
    module.forward(mx.io.DataBatch([mx.nd.array(x)]), is_train=False)
    expected = module.get_outputs()[0].asnumpy()
    np.testing.assert_allclose(np.load(output)["softmax_output"], expected, rtol=1e-5)


def test_an_archive_is_a_model(saved, tmp_path, capsys) -> None:
    path = tmp_path / "model.tar.gz"
    shapes = json.dumps([{"name": "data", "shape": [2, 3, 8, 8]}]).encode()
    with tarfile.open(path, "w:gz") as tar:
        for file in saved:
            tar.add(file, arcname=file.rpartition("/")[2])
        info = tarfile.TarInfo("model-shapes.json")
        info.size = len(shapes)
        tar.addfile(info, io.BytesIO(shapes))
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.endswith("would run\n")
    assert main(["check", str(path), saved[1]]) == 1


def test_the_command_runs_by_itself(saved) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "symbind.cli", "check", *saved, "--shape", DATA],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("would run\n") and not done.stderr


def test_convert_writes_todays_formats(saved, tmp_path, capsys) -> None:
    """A network as MXNet 0.8 wrote it, without its auxiliary states, becomes one of today; the parameters stay."""
    old = json.loads(Path(saved[0]).read_text())
    del old["attrs"], old["node_row_ptr"]
    for node in old["nodes"]:
        node["param"] = node.pop("attrs", {})
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert main(["convert", str(tmp_path / "old.json"), saved[1], "-o", str(tmp_path / "new"), "--epoch", "7"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "new-symbol.json"), str(tmp_path / "new-0007.params")]
    assert (tmp_path / "new-symbol.json").read_text() == Path(saved[0]).read_text()
    new, expected = mx.nd.load(str(tmp_path / "new-0007.params")), mx.nd.load(saved[1])
    assert new.keys() == expected.keys()
    assert all((new[name].asnumpy() == expected[name].asnumpy()).all() for name in new)


def test_im2rec_is_the_command_of_that_name(tmp_path, capsys) -> None:
    assert main(["im2rec", str(tmp_path / "nothing"), str(tmp_path)]) == 1
    assert "There is no list" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["im2rec", "--help"])
    assert ended.value.code == 0 and "usage: im2rec" in capsys.readouterr().out


def test_run_of_a_script_that_is_not_there(capsys) -> None:
    assert main(["run", "nothing.py"]) == 1
    assert "there is no file 'nothing.py'" in capsys.readouterr().err
