"""Dense layers, activations, softmaxes, normalization and sequence operators."""

from __future__ import annotations

from itertools import product

from .case import Case, case, exactly, first_of_each, integers, layer, retyped, spread


def _dense() -> list[Case]:
    cases = []
    for shape, flatten, no_bias in product([(2, 3), (2, 3, 2), (2, 2, 1, 3)], (True, False), (True, False)):
        width = shape[-1] if not flatten else shape[1] * (shape[2] if len(shape) > 2 else 1) * (*shape, 1, 1)[3]
        inputs = {"data": spread(*shape), "weight": spread(4, width)} | ({} if no_bias else {"bias": spread(4)})
        flags = {} if flatten else {"flatten": False}
        flags |= {"no_bias": True} if no_bias else {}
        cases.append(layer("FullyConnected", inputs, num_hidden=4, **flags))
    plain = {"data": spread(5, 3), "weight": spread(2, 3), "bias": spread(2)}
    cases += [case("FullyConnected", plain, num_hidden=2)]
    cases.append(retyped(cases[-1], "float64"))

    table = spread(4, 3)
    weight = {"wrt": ("weight",)}
    for indices in [exactly([1, 3, 0, 1]), exactly([[0, 1], [2, 3]]), exactly([-1, 4, 9, 2]), integers(0, 4, 2, 1, 2)]:
        cases.append(layer("Embedding", {"data": indices, "weight": table}, input_dim=4, output_dim=3, **weight))
    cases += [
        layer("Embedding", {"data": exactly([1, 0], "int32"), "weight": table}, input_dim=4, output_dim=3, **weight),
        layer(
            "Embedding",
            {"data": exactly([1.9, 0.2]), "weight": table},
            input_dim=4,
            output_dim=3,
            note="fractions",
            **weight,
        ),
        layer(
            "Embedding",
            {"data": exactly([1, 0]), "weight": spread(4, 3, dtype="float64")},
            input_dim=4,
            output_dim=3,
            dtype="float64",
            **weight,
        ),
    ]
    cases += [
        case("Dropout", spread(2, 3), p=0.0),
        case("Dropout", spread(2, 3), is_train=False),
        case("Dropout", spread(2, 3), p=0.3, is_train=False),
        case("Dropout", spread(2, 3), p=0.0, mode="always", is_train=False),
        case("Dropout", spread(4, 5), p=0.5, random=True),
        case("Dropout", spread(4, 5), p=0.5, mode="always", is_train=False, random=True),
        case("Dropout", spread(4, 5), p=0.5, axes=(1,), random=True),
    ]
    return cases


EDGES = exactly([[-3, -1, -0.25, 0], [0.25, 1, 3, 30]])


def _activation() -> list[Case]:
    cases = []
    for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign"):
        cases += [case("Activation", data, act_type=kind) for data in (spread(2, 3), spread(1, 2, 3, 2))]
        cases.append(case("Activation", EDGES, act_type=kind, note="edges"))
        cases += [retyped(cases[-3], dtype) for dtype in ("float64", "float16")]
    for kind in ("leaky", "elu", "selu", "gelu"):
        # MXNet's gradient of selu, scale * (alpha + output), is not its derivative, scale * alpha + output.
        wrt = () if kind == "selu" else None
        cases += [case("LeakyReLU", data, act_type=kind, wrt=wrt) for data in (spread(2, 3), spread(1, 2, 3, 2))]
        cases.append(case("LeakyReLU", EDGES, act_type=kind, note="edges", wrt=wrt))
        cases += [retyped(cases[-3], dtype) for dtype in ("float64", "float16")]
    cases += [
        case("LeakyReLU", spread(2, 3)),
        case("LeakyReLU", spread(2, 3), act_type="leaky", slope=0.1),
        case("LeakyReLU", spread(2, 3), act_type="elu", slope=1.5),
        layer("LeakyReLU", {"data": spread(2, 3), "gamma": spread(3)}, act_type="prelu"),
        layer("LeakyReLU", {"data": spread(2, 3), "gamma": spread(1)}, act_type="prelu"),
        layer("LeakyReLU", {"data": spread(1, 2, 3, 2), "gamma": spread(2)}, act_type="prelu"),
        layer("LeakyReLU", {"data": EDGES, "gamma": spread(4)}, act_type="prelu", note="edges"),
    ]
    return cases


def _softmax() -> list[Case]:
    cases = []
    for op in ("softmax", "log_softmax", "softmin"):
        cases += [
            case(op, spread(2, 3)),
            case(op, spread(2, 3), axis=0),
            case(op, spread(2, 3, 4), axis=1),
            case(op, spread(2, 3, 4), axis=-1),
            case(op, spread(2, 3, 2, 2), axis=1),
            case(op, spread(2, 3), temperature=2.5),
            case(op, spread(2, 3), axis=0, temperature=0.5),
            case(op, exactly([[1000, 1001, 999], [-1000, -1000, 0]]), note="large"),
            case(op, spread(2, 3, dtype="float16"), dtype="float32"),
            case(op, spread(2, 3, dtype="float64")),
            case(op, spread(2, 3, dtype="float16")),
        ]
    length = exactly([2, 3], "int32")
    cases += [
        case("softmax", {"data": spread(2, 3), "length": length}, use_length=True),
        case("softmax", {"data": spread(2, 3, 4), "length": integers(1, 4, 2, 4, dtype="int32")}, axis=1, use_length=1),
        case("softmax", {"data": spread(2, 3), "length": length}, use_length=True, temperature=2.0),
        case("SoftmaxActivation", spread(2, 3)),
        # Beyond two axes MXNet's gradient is that of another axis than the output's.
        case("SoftmaxActivation", spread(2, 3, 2), wrt=()),
        case("SoftmaxActivation", spread(2, 3, 2), mode="channel"),
        case("SoftmaxActivation", spread(2, 3, 2, 2), mode="channel"),
    ]
    return cases


def _normalization() -> list[Case]:
    def batch_norm(shape: tuple[int, ...], axis: int = 1, **options) -> Case:
        size = shape[axis]
        inputs = {
            "data": spread(*shape),
            "gamma": spread(size, low=0.5, high=2),
            "beta": spread(size),
            "moving_mean": spread(size, low=-0.5, high=0.5),
            "moving_var": spread(size, low=0.5, high=1.5),
        }
        return layer("BatchNorm", inputs, **options)

    cases = [
        batch_norm((4, 3, 2, 2), fix_gamma=fix, use_global_stats=frozen, is_train=train)
        for fix, frozen, train in product((True, False), repeat=3)
    ]
    cases += [
        batch_norm((4, 3)),
        batch_norm((4, 3), fix_gamma=False),
        batch_norm((4, 3, 5), fix_gamma=False, momentum=0.5),
        batch_norm((4, 3, 2), fix_gamma=False, eps=0.1),
        batch_norm((2, 3, 2, 2, 2), fix_gamma=False),
        batch_norm((4, 3, 2, 2), momentum=0.0),
        batch_norm((4, 3, 2, 2), fix_gamma=False, output_mean_var=True),
        batch_norm((4, 3, 2, 2), output_mean_var=True),
        batch_norm((4, 3, 2, 2), output_mean_var=True, is_train=False),
        batch_norm((1, 2, 1, 1), fix_gamma=False, note="one sample"),
    ]
    for axis in (-1, 2, 0):
        shape = (4, 2, 3, 2)
        size = shape[axis]
        inputs = {
            "data": spread(*shape), "gamma": spread(size, low=0.5, high=2), "beta": spread(size),
            "moving_mean": spread(size), "moving_var": spread(size, low=0.5, high=1.5),
        }  # fmt: skip
        cases.append(layer("BatchNorm", inputs, axis=axis, fix_gamma=False))
        cases.append(layer("BatchNorm", inputs, axis=axis, fix_gamma=False, is_train=False))
    cases.append(retyped(cases[4], "float64"))
    cases.append(retyped(cases[4], "float16", only=["data"]))

    def affine(op: str, shape: tuple[int, ...], size: int, **params) -> Case:
        inputs = {"data": spread(*shape), "gamma": spread(size, low=0.5, high=2), "beta": spread(size)}
        return layer(op, inputs, **params)

    cases += [
        affine("LayerNorm", (3, 4), 4),
        affine("LayerNorm", (2, 3, 4), 4, eps=0.01),
        affine("LayerNorm", (2, 3, 4), 3, axis=1),
        affine("LayerNorm", (3, 4), 3, axis=0),
        affine("LayerNorm", (3, 4), 4, output_mean_var=True),
        affine("InstanceNorm", (2, 3, 4), 3),
        affine("InstanceNorm", (2, 3, 2, 2), 3, eps=0.1),
        affine("GroupNorm", (2, 4, 3), 2, num_groups=2),
        affine("GroupNorm", (2, 4, 2, 2), 2, num_groups=2, eps=0.1),
        affine("GroupNorm", (2, 4, 2, 2), 1),
        affine("GroupNorm", (2, 4, 3), 4, num_groups=4, output_mean_var=True),
    ]
    for mode in ("instance", "channel", "spatial"):
        cases.append(case("L2Normalization", spread(2, 3, 4), mode=mode))
        cases.append(case("L2Normalization", spread(2, 3, 2, 2), mode=mode, eps=0.5))
    cases += [
        case("L2Normalization", spread(2, 3)),
        case("LRN", spread(2, 5, 2, 2), nsize=3),
        case("LRN", spread(2, 5, 2, 2), nsize=5, alpha=0.1, beta=0.5, knorm=1.0),
        case("LRN", spread(1, 3, 2, 2), nsize=1, alpha=1.0),
    ]
    cases += [
        retyped(entry, "float64")
        for entry in first_of_each(cases)
        if entry.op in ("LayerNorm", "GroupNorm", "L2Normalization")
    ]
    return cases


def _sequence() -> list[Case]:
    cases = []
    lengths = exactly([3, 1])
    for op in ("SequenceMask", "SequenceLast", "SequenceReverse"):
        both = {"data": spread(4, 2, 3), "sequence_length": lengths}
        cases += [
            case(op, spread(4, 2, 3)),
            case(op, spread(4, 2)) if op != "SequenceReverse" else case(op, spread(4, 2, 1)),
            case(op, both, use_sequence_length=True),
            case(op, {"data": spread(3, 2, 2, 2), "sequence_length": exactly([2, 3])}, use_sequence_length=True),
            retyped(case(op, both, use_sequence_length=True), "float64"),
        ]
        if op != "SequenceReverse":
            swapped = {"data": spread(2, 4, 3), "sequence_length": lengths}
            cases.append(case(op, swapped, use_sequence_length=True, axis=1))
    masked = {"data": spread(4, 2, 3), "sequence_length": lengths}
    cases += [
        case("SequenceMask", masked, use_sequence_length=True, value=-7.5),
        case("SequenceMask", {**masked, "sequence_length": exactly([2, 4], "int32")}, use_sequence_length=True),
    ]
    return cases


def rnn_parameters(mode: str, layers: int, directions: int, inputs: int, hidden: int) -> int:
    """How many numbers the parameter vector of ``RNN`` holds."""
    gates = {"rnn_relu": 1, "rnn_tanh": 1, "gru": 3, "lstm": 4}[mode]
    total = 0
    for index in range(layers):
        width = inputs if index == 0 else hidden * directions
        total += directions * gates * hidden * (width + hidden + 2)
    return total


def _recurrent() -> list[Case]:
    cases = []
    for mode, layers, bidirectional, outputs in [
        *product(("rnn_relu", "rnn_tanh", "gru", "lstm"), (1, 2), (False, True), (True,)),
        ("lstm", 1, False, False),
        ("gru", 1, False, False),
    ]:
        directions = 2 if bidirectional else 1
        count = rnn_parameters(mode, layers, directions, 3, 2)
        inputs = {
            "data": spread(4, 2, 3),
            "parameters": spread(count, low=-0.7, high=0.7),
            "state": spread(layers * directions, 2, 2),
        }
        if mode == "lstm":
            inputs["state_cell"] = spread(layers * directions, 2, 2)
        params = {"state_size": 2, "num_layers": layers, "mode": mode}
        params |= {"bidirectional": True} if bidirectional else {}
        params |= {"state_outputs": True} if outputs else {}
        cases.append(layer("RNN", inputs, **params))
    return cases


FAMILIES = {
    "dense": _dense(),
    "activation": _activation(),
    "softmax": _softmax(),
    "normalization": _normalization(),
    "sequence": _sequence(),
    "recurrent": _recurrent(),
}
