"""Record the golden files from MXNet 1.9.1. Run by hand, only when the tables of cases change.

Make an environment for MXNet (its last wheel needs an old NumPy; Python 3.8 to 3.11 all work)::

    python3 -m venv mxenv
    mxenv/bin/pip install "numpy==1.23.5" "scipy<1.11" "setuptools<66" requests graphviz==0.8.4
    mxenv/bin/pip install --no-deps mxnet==1.9.1

and run, from the root of the repository::

    mxenv/bin/python -m tests.golden.record                 # everything
    mxenv/bin/python -m tests.golden.record pooling losses  # these families of operators only
    mxenv/bin/python -m tests.golden.record networks        # or one of: networks legacy errors optimizers updates files
                                                            # pictures boxes recordfiles models zoo types programs
                                                            # sparse

The zoo needs GluonCV too, with nothing newer than that NumPy takes::

    mxenv/bin/pip install gluoncv==0.10.5.post0 "numpy==1.23.5" "pandas<2.1" "matplotlib<3.8" "opencv-python<4.9"

A case that MXNet refuses is printed and nothing of its family is written. Each family is recorded in a process of its
own, because MXNet answers some questions by a segmentation fault, and reads its settings only once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

np.bool = bool  # MXNet 1.9.1 reads an alias which NumPy has deprecated
import mxnet as mx  # noqa: E402

from . import archive, sparse  # noqa: E402
from .boxes import CASES as BOXES  # noqa: E402
from .boxes import DUMPS, observe_batches  # noqa: E402
from .boxes import ITERATORS as BOX_ITERATORS  # noqa: E402
from .cases import FAMILIES, Case  # noqa: E402
from .errors import MISTAKES, make  # noqa: E402
from .files import FOLDER as FILES  # noqa: E402
from .files import OPTIMIZERS as CHECKPOINTS  # noqa: E402
from .files import continue_training, read_arrays, train, write_arrays  # noqa: E402
from .harness import (  # noqa: E402
    build_network,
    describe,
    find_operator,
    head_gradients,
    observe_inference,
    run,
    wants_gradient,
)
from .legacy import ALIASES, GRAPHS, alias_graph, call, reload  # noqa: E402
from .models import MODELS  # noqa: E402
from .networks import NETWORKS, Network  # noqa: E402
from .optimizers import RUNS, follow  # noqa: E402
from .pictures import CASES as PICTURES  # noqa: E402
from .pictures import observe  # noqa: E402
from .programs import PROGRAMS, observe_program  # noqa: E402
from .recordfiles import FOLDER as RECORD_FILES  # noqa: E402
from .recordfiles import ITERATORS, observe_iterator, write_records  # noqa: E402
from .types import CALLS, observe_call  # noqa: E402
from .updates import UPDATES, perform  # noqa: E402
from .zoo import ZOO, export, infer, predict  # noqa: E402
from .zoo import train as train_network  # noqa: E402

FOLDER = Path(__file__).parent

# Families recorded with oneDNN's kernels off. They refuse legal calls (Deconvolution with target_shape, casts to half
# precision) or are wrong (the gradient of 1-D average pooling divides an incomplete last window by the whole window).
NATIVE = {"deconvolution", "pooling", "precision"}


def record_case(entry: Case) -> dict[str, Any]:
    """Build, bind and run one case; everything a user could observe about it."""
    with mx.name.NameManager():
        given = list(entry.inputs)[: entry.given]
        symbol = find_operator(mx, entry.op)(*map(mx.sym.Variable, given), **entry.params)
    record: dict[str, Any] = {
        "op": entry.op,
        "params": {key: str(value) for key, value in entry.params.items()},
        "inputs": list(entry.inputs.values()),
        "arguments": symbol.list_arguments(),
        "auxiliary": symbol.list_auxiliary_states(),
        "outputs": symbol.list_outputs(),
        "json": symbol.tojson(),
        "inference": observe_inference(symbol, entry),
    }
    names = record["arguments"] + record["auxiliary"]
    if len(names) != len(entry.inputs):
        raise ValueError(f"the case has inputs {list(entry.inputs)}, MXNet has {names}")
    arrays = dict(zip(names, (mx.nd.array(a, dtype=a.dtype) for a in entry.inputs.values())))
    arguments = {name: arrays[name] for name in record["arguments"]}
    states = {name: arrays[name] for name in record["auxiliary"]}
    wanted = [name for name, key in zip(arguments, entry.inputs) if wants_gradient(entry, key)]
    gradients = {name: mx.nd.zeros(arguments[name].shape, dtype=arguments[name].dtype) for name in wanted}
    requests = {name: "write" if name in wanted else "null" for name in arguments}
    executor = symbol.bind(mx.cpu(), arguments, gradients, requests, states)

    outputs = [array.asnumpy() for array in executor.forward(is_train=entry.is_train)]
    record["results"] = [{"shape": a.shape, "dtype": a.dtype.name} for a in outputs] if entry.random else outputs
    record["states after forward"] = [array.asnumpy() for array in states.values()]
    if wanted:
        heads = head_gradients(outputs)
        executor.backward([mx.nd.array(head, dtype=head.dtype) for head in heads], is_train=entry.is_train)
        mx.nd.waitall()
        if not entry.random:
            record["head gradients"] = heads
            record["gradients"] = {name: gradients[name].asnumpy() for name in wanted}
        record["states after backward"] = [array.asnumpy() for array in states.values()]
    record["arguments after"] = {
        name: arguments[name].asnumpy()
        for name, before in zip(names, entry.inputs.values())
        if name in arguments and not np.array_equal(arguments[name].asnumpy(), before, equal_nan=True)
    }
    return record


def record_family(family: str) -> bool:
    """Record one table of operators; False if some case failed."""
    records, failures = {}, 0
    for name, entry in FAMILIES[family].items():
        try:
            records[name] = record_case(entry)
        except Exception as error:  # every failure is shown, whatever it is: this is a tool to be watched
            failures += 1
            text = traceback.format_exc() if not isinstance(error, mx.MXNetError) else str(error)
            print(f"--- {family}: {name}\n{text[:600]}", file=sys.stderr)
    print(f"{family}: {len(records)} recorded, {failures} refused")
    if not failures:
        archive.write(FOLDER / f"operators_{family}.npz", records)
    return not failures


def record_networks(file: str, networks: dict[str, Network]) -> None:
    """Every network: its description and, if it runs, one step of training."""
    records = {}
    for name, network in networks.items():
        symbol = build_network(mx, network)
        records[name] = describe(symbol, network)
        if network.runs:
            records[name]["run"] = run(mx, symbol, network)
    archive.write(FOLDER / file, records)


def record_legacy() -> None:
    """Old names and old graphs, as they are written back."""
    records: dict[str, Any] = {
        "aliases": {alias: reload(mx, alias_graph(alias)) for alias in ALIASES},
        "calls": {alias: call(mx, alias) for alias in ALIASES},
        "graphs": {name: reload(mx, text) for name, text in GRAPHS.items()},
    }
    archive.write(FOLDER / "legacy.npz", records)


def record_errors() -> None:
    """The type and the text of the error after every mistake."""
    records = {}
    for name, entry in MISTAKES.items():
        error = make(mx, entry)
        text = str(error).split("Stack trace:")[0]
        absent = [word for word in entry.mentions if word not in text]
        if error is None or absent:
            print(f"--- errors: {name}: {error!r}, without {absent}", file=sys.stderr)
        records[name] = {"type": type(error).__name__, "text": text}
    archive.write(FOLDER / "errors.npz", records)


def record_optimizers() -> None:
    """Where every optimizer goes in twenty steps."""
    archive.write(FOLDER / "optimizers.npz", {name: follow(mx, entry) for name, entry in RUNS.items()})


def record_updates() -> None:
    """What the operators of optimizers do to their arrays."""
    archive.write(FOLDER / "updates.npz", [perform(mx, update) for update in UPDATES])


def record_sparse() -> None:
    """How results on sparse arrays are stored, and lazy updates."""
    record = {
        "parts": {name: sparse.observe_parts(make, mx) for name, make in sparse.PARTS.items()},
        "calls": {name: sparse.observe(make, mx) for name, make in sparse.CALLS.items()},
        "lazy": {name: sparse.train_lazily(name, mx) for name in sparse.LAZY},
    }
    archive.write(FOLDER / "sparse.npz", record)


def record_files() -> None:
    """Write files with MXNet, read them with MXNet."""
    FILES.mkdir(exist_ok=True)
    write_arrays(mx)
    records: dict[str, Any] = {"arrays": {}, "checkpoints": {}}
    for path in sorted(FILES.glob("*.params")):
        if not path.stem[-1].isdigit() or path.stem.startswith("v"):
            records["arrays"][path.name] = read_arrays(mx, path.name)
    for optimizer in CHECKPOINTS:
        train(mx, optimizer)
        records["checkpoints"][optimizer] = continue_training(mx, optimizer)
    archive.write(FOLDER / "files.npz", records)


def record_record_files() -> None:
    """Write record files with MXNet, and iterate over their images."""
    RECORD_FILES.mkdir(exist_ok=True)
    write_records(mx, RECORD_FILES)
    archive.write(FOLDER / "recordfiles.npz", {name: observe_iterator(mx, name) for name in ITERATORS})


def record_types() -> None:
    """Every operator in every element type; what MXNet refuses is an error text, or a process that died."""
    records: dict[str, dict[str, Any]] = {}
    for operator, calls in CALLS.items():
        records[operator] = {}
        for example in calls:
            # Some types only one of the two sets of kernels takes.
            for enabled in "0" if example.family in NATIVE else "10":
                os.environ["MXNET_MKLDNN_ENABLED"] = enabled
                record = _in_fork(lambda entry=example.entry: observe_call(mx, entry))
                if "refused" not in record:
                    break
            records[operator][example.label] = record
        print(operator, {label: record.get("refused", "")[:70] for label, record in records[operator].items()})
    archive.write(FOLDER / "types.npz", records)


def _in_fork(function: Any) -> dict[str, Any]:
    """The record that ``function`` makes in a copy of this process; ``{"refused": why}`` if it fails or dies."""
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        child = os.fork()
        if not child:
            try:
                record = function()
            except Exception as error:
                record = {"refused": str(error).split("Stack trace:")[0]}
            archive.write(file.name, record)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        return {"refused": f"exit status {status}"} if status else archive.read(file.name)


def record_programs() -> None:
    """What small programs return."""
    archive.write(FOLDER / "programs.npz", {name: observe_program(mx, name) for name in PROGRAMS})


def record_pictures() -> None:
    """What MXNet does to images."""
    archive.write(FOLDER / "pictures.npz", {name: observe(mx, case) for name, case in PICTURES.items()})


def record_boxes() -> None:
    """Images with boxes: augmenters, and the batches of iterators."""
    records = {
        "augmented": {name: observe(mx, case) for name, case in BOXES.items()},
        "batches": {name: observe_batches(mx, name) for name in BOX_ITERATORS},
        "dumps": {name: dump(mx) for name, dump in DUMPS.items()},
    }
    archive.write(FOLDER / "boxes.npz", records)


def record_zoo() -> None:
    """Whole networks: their text, the shapes inside, what they predict, and for some a step of training."""
    np.float, np.int = float, int  # GluonCV reads aliases which NumPy has removed
    records = {}
    for name, network in ZOO.items():
        text, constants = export(mx, name)
        symbol = mx.sym.load_json(text)
        records[name] = {
            "json": text,
            "constants": constants,
            "shapes": infer(symbol, network),
            "outputs": predict(mx, symbol, network, constants),
        }
        if network.trains:
            records[name]["training"] = train_network(mx, symbol, network, constants)
    archive.write(FOLDER / "zoo.npz", records)


OTHERS = {
    "networks": partial(record_networks, "networks.npz", NETWORKS),
    "models": partial(record_networks, "models.npz", MODELS),
    "legacy": record_legacy,
    "errors": record_errors,
    "optimizers": record_optimizers,
    "updates": record_updates,
    "sparse": record_sparse,
    "files": record_files,
    "pictures": record_pictures,
    "boxes": record_boxes,
    "recordfiles": record_record_files,
    "zoo": record_zoo,
    "types": record_types,
    "programs": record_programs,
}


def record_in_child(family: str) -> bool:
    """Record one family, or one of the other files, in a fresh process."""
    settings = {"MXNET_STORAGE_FALLBACK_LOG_VERBOSE": "0"}
    if family in NATIVE:
        settings["MXNET_MKLDNN_ENABLED"] = "0"
    command = [sys.executable, "-m", __spec__.name, "--here", family]
    code = subprocess.run(command, env={**os.environ, **settings}, check=False).returncode
    if code:
        print(f"{family}: not recorded (exit status {code})", file=sys.stderr)
    return code == 0


def main(arguments: list[str]) -> int:
    """Record the families named in ``arguments``, or all."""
    if arguments[:1] == ["--here"]:
        if arguments[1] in FAMILIES:
            return 0 if record_family(arguments[1]) else 1
        OTHERS[arguments[1]]()
        return 0
    wanted = arguments or [*FAMILIES, *OTHERS]
    return sum(not record_in_child(name) for name in wanted)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main(sys.argv[1:]))
