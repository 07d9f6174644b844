"""Initializers: distributions, dispatch by name and attribute, descriptions."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import symbind as mx
from symbind.initializer import InitDesc


def filled(init: object, shape: tuple[int, ...], name: str = "fc_weight", dtype: str = "float32") -> np.ndarray:
    array = mx.nd.full(shape, 99, dtype=dtype)
    init(InitDesc(name), array)  # type: ignore[operator]
    return array.asnumpy()


# --- what the weights are


@pytest.mark.parametrize(
    ("init", "expected"), [(mx.init.Zero(), 0.0), (mx.init.One(), 1.0), (mx.init.Constant(2.5), 2.5)]
)
def test_constants(init: mx.init.Initializer, expected: float) -> None:
    assert (filled(init, (3, 4)) == expected).all()


def test_constant_arrays() -> None:
    values = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(filled(mx.init.Constant(values), (3, 4)), values)
    np.testing.assert_array_equal(filled(mx.init.Constant(mx.nd.array(values)), (3, 4)), values)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_uniform(dtype: str) -> None:
    weights = filled(mx.init.Uniform(0.5), (200, 200), dtype=dtype).astype("float64")
    assert -0.5 <= weights.min() < -0.499
    assert 0.499 < weights.max() <= 0.5
    assert abs(weights.mean()) < 0.01
    assert abs(weights.std() - 0.5 / np.sqrt(3)) < 0.01


def test_normal() -> None:
    weights = filled(mx.init.Normal(0.2), (200, 200))
    assert abs(weights.mean()) < 0.005
    assert abs(weights.std() - 0.2) < 0.005
    assert 0.6 < np.abs(weights).max() < 1.2  # has tails


@pytest.mark.parametrize("rand_type", ["uniform", "normal"])
@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (6, 6), (8, 3, 2, 2)])
def test_orthogonal(rand_type: str, shape: tuple[int, ...]) -> None:
    matrix = filled(mx.init.Orthogonal(2.0, rand_type), shape).reshape(shape[0], -1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


@pytest.mark.parametrize(("factor_type", "factor"), [("avg", (300 * 4 + 200 * 4) / 2), ("in", 1200), ("out", 800)])
def test_xavier(factor_type: str, factor: float) -> None:
    shape, scale = (200, 300, 2, 2), np.sqrt(2.0 / factor)
    uniform = filled(mx.init.Xavier("uniform", factor_type, 2.0), shape)
    assert 0.99 * scale < np.abs(uniform).max() <= scale
    gaussian = filled(mx.init.Xavier("gaussian", factor_type, 2.0), shape)
    assert abs(gaussian.std() / scale - 1) < 0.02


def test_msra_prelu() -> None:
    weights = filled(mx.init.MSRAPrelu("in", slope=0.5), (200, 300))
    assert abs(weights.std() / np.sqrt(2 / (1 + 0.25) / 300) - 1) < 0.02


def test_bilinear() -> None:
    # The numbers are MXNet's; the width decides about both directions there.
    row = np.array([0.0625, 0.1875, 0.1875])
    expected = np.stack([row, 3 * row, 3 * row, row])
    weights = filled(mx.init.Bilinear(), (2, 1, 4, 3))
    np.testing.assert_allclose(weights, np.broadcast_to(expected, (2, 1, 4, 3)))


def test_lstm_bias() -> None:
    assert filled(mx.init.LSTMBias(2.0), (8,)).tolist() == [0, 0, 2, 2, 0, 0, 0, 0]
    assert filled(mx.init.LSTMBias(), (9,)).tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 0]


def test_seed_makes_weights_reproducible() -> None:
    for init in (mx.init.Uniform(), mx.init.Normal(), mx.init.Orthogonal(), mx.init.Xavier()):
        mx.random.seed(7)
        first, second = filled(init, (5, 5)), filled(init, (5, 5))
        mx.random.seed(7)
        np.testing.assert_array_equal(filled(init, (5, 5)), first)
        assert (first != second).any()


# --- dispatch


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a_weight", 3.0),
        ("a_bias", 0.0),
        ("a_gamma", 1.0),
        ("a_beta", 0.0),
        ("a_min", 0.0),
        ("a_max", 1.0),
        ("a_bias_quantize", 0.0),
    ],
)
def test_the_end_of_the_name_decides(name: str, expected: float) -> None:
    assert (filled(mx.init.Constant(3.0), (2, 2), name) == expected).all()


def test_quantized_weights_are_integers() -> None:
    weights = filled(mx.init.Zero(), (50, 50), "a_weight_quantize", dtype="int8")
    assert -127 <= weights.min() < -100
    assert 100 < weights.max() < 127


@pytest.mark.parametrize("name", ["x", "bn_moving_mean", "bn_moving_var"])
def test_a_name_that_says_nothing_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"Unknown initialization pattern for {name}"):
        filled(mx.init.One(), (2,), name)


def test_the_variables_own_initializer_wins() -> None:
    array = mx.nd.zeros((2, 3))
    mx.init.One()(InitDesc("a_bias", {"__init__": mx.init.Constant(4).dumps()}), array)
    assert (array.asnumpy() == 4).all()
    mx.init.One()(InitDesc("anything", {"__init__": "zeros"}), array)
    assert (array.asnumpy() == 0).all()


def test_the_global_initializer_is_noted() -> None:
    desc, init = InitDesc("a_weight"), mx.init.One()
    init(desc, mx.nd.zeros(2))
    assert desc.global_init is init


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("upsampling_weight", (1, 1, 2, 2), [1, 0, 0, 0]),
        ("stn_loc_weight", (2,), [0, 0]),
        ("stn_loc_bias", (6,), [1, 0, 0, 0, 1, 0]),
        ("a_weight", (2,), [3, 3]),
        ("a_bias", (2,), [0, 0]),
        ("a_gamma", (2,), [1, 1]),
        ("a_beta", (2,), [0, 0]),
        ("a_moving_mean", (2,), [0, 0]),
        ("a_moving_var", (2,), [1, 1]),
        ("a_moving_inv_var", (2,), [0, 0]),
        ("a_moving_avg", (2,), [0, 0]),
        ("a_min", (2,), [0, 0]),
        ("a_max", (2,), [1, 1]),
    ],
)
def test_plain_names(name: str, shape: tuple[int, ...], expected: list[float]) -> None:
    array = mx.nd.full(shape, 99)
    with pytest.warns(DeprecationWarning, match="InitDesc"):
        mx.init.Constant(3)(name, array)
    assert array.asnumpy().ravel().tolist() == expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_errors_of_plain_names() -> None:
    with pytest.raises(ValueError, match="pattern for x"):
        mx.init.One()("x", mx.nd.zeros(2))
    with pytest.raises(TypeError, match="3"):
        mx.init.One()(3, mx.nd.zeros(2))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a_weight"):
        mx.init.One()("a_weight", 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stn_loc_bias"):
        mx.init.One()("stn_loc_bias", mx.nd.zeros(5))


def test_hooks_of_subclasses_are_used() -> None:
    class Mine(mx.init.Initializer):
        def _init_weight(self, name: InitDesc, arr: mx.nd.NDArray) -> None:
            arr[:] = 5

        def _init_bias(self, name: InitDesc, arr: mx.nd.NDArray) -> None:
            arr[:] = 6

        def _init_default(self, name: InitDesc, arr: mx.nd.NDArray) -> None:
            arr[:] = 7

    assert [filled(Mine(), (1,), name)[0] for name in ("a_weight", "a_bias", "a")] == [5, 6, 7]
    with pytest.raises(NotImplementedError, match="_init_weight"):
        filled(mx.init.Initializer(), (1,))


# --- descriptions


@pytest.mark.parametrize(
    ("init", "text"),
    [
        (mx.init.Zero(), '["zero", {}]'),
        (mx.init.One(), '["one", {}]'),
        (mx.init.Constant(3), '["constant", {"value": 3}]'),
        (mx.init.Constant(np.ones(2)), '["constant", {"value": [1.0, 1.0]}]'),
        (mx.init.Uniform(), '["uniform", {"scale": 0.07}]'),
        (mx.init.Normal(), '["normal", {"sigma": 0.01}]'),
        (mx.init.Orthogonal(), '["orthogonal", {"scale": 1.414, "rand_type": "uniform"}]'),
        (mx.init.Xavier(), '["xavier", {"rnd_type": "uniform", "factor_type": "avg", "magnitude": 3}]'),
        (mx.init.MSRAPrelu(), '["msraprelu", {"factor_type": "avg", "slope": 0.25}]'),
        (mx.init.Bilinear(), '["bilinear", {}]'),
        (mx.init.LSTMBias(), '["lstmbias", {"forget_bias": 1.0}]'),
    ],
)
def test_dumps(init: mx.init.Initializer, text: str) -> None:
    assert init.dumps() == text
    copy = mx.init.create(text)
    assert copy == init
    assert hash(copy) == hash(init)


def test_create_by_name() -> None:
    assert mx.init.create("Xavier", magnitude=2).magnitude == 2.0
    assert isinstance(mx.init.create("ones"), mx.init.One)
    assert mx.init.One() != mx.init.Zero()
    assert mx.init.One() != "one"
    with pytest.raises(ValueError, match="nothing is not registered"):
        mx.init.create("nothing")


def test_register() -> None:
    @mx.init.register
    class Sevens(mx.init.Initializer):
        def _init_weight(self, name: InitDesc, arr: mx.nd.NDArray) -> None:
            arr[:] = 7

    array = mx.nd.zeros(2)
    mx.init.One()(InitDesc("x", {"__init__": Sevens().dumps()}), array)
    assert array.asnumpy().tolist() == [7, 7]


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="'cauchy'"):
        mx.init.Xavier("cauchy")
    with pytest.raises(ValueError, match="'both'"):
        mx.init.Xavier(factor_type="both")
    with pytest.raises(ValueError, match="'cauchy'"):
        mx.init.Orthogonal(rand_type="cauchy")
    with pytest.raises(ValueError, match=r"cannot be applied to vector fc_weight.*\(3,\)"):
        filled(mx.init.Xavier(), (3,))
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        filled(mx.init.Bilinear(), (3, 3))


def test_verbosity(caplog: pytest.LogCaptureFixture) -> None:
    init = mx.init.Constant(2).set_verbosity(True)
    with caplog.at_level(logging.INFO):
        filled(init, (4, 4))
        init(InitDesc("x", {"__init__": "zeros"}), mx.nd.ones(2))
        filled(init.set_verbosity(True, lambda array: "seen"), (2,), "a_gamma")
    assert caplog.messages == [
        "Initialized fc_weight as weight: 2.0",
        "Initialized x as zeros: 0.0",
        "Initialized a_gamma as gamma: seen",
    ]


# --- Load and Mixed


def test_load(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved = {"arg:a_weight": mx.nd.array([1, 2]), "aux:b": mx.nd.array([3])}
    mx.nd.save(str(tmp_path / "x.params"), saved)
    for source in (saved, str(tmp_path / "x.params")):
        load = mx.init.Load(source, default_init=mx.init.One(), verbose=True)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            assert filled(load, (2,), "a_weight").tolist() == [1, 2]
            assert filled(load, (1,), "b").tolist() == [3]
            assert filled(load, (2,), "c_weight").tolist() == [1, 1]
        assert caplog.messages == [
            "Initialized a_weight by loading",
            "Initialized b by loading",
            "Initialized c_weight by default",
        ]
    load = mx.init.Load(saved)
    with pytest.raises(ValueError, match=r"a_weight.*\(3,\) vs loaded \(2,\)"):
        filled(load, (3,), "a_weight")
    with pytest.raises(ValueError, match="c_weight"):
        filled(load, (2,), "c_weight")
    with pytest.raises(TypeError, match="5"):
        mx.init.Load(5)  # type: ignore[arg-type]


def test_mixed() -> None:
    mixed = mx.init.Mixed(["fc1_.*", ".*weight"], [mx.init.Constant(1), mx.init.Constant(2)])
    assert filled(mixed, (1,), "fc1_weight") == 1
    assert filled(mixed, (1,), "fc2_weight") == 2
    with pytest.raises(ValueError, match="fc2_bias did not match"):
        filled(mixed, (1,), "fc2_bias")
    with pytest.raises(ValueError, match="1 for 2"):
        mx.init.Mixed(["a", "b"], [mx.init.Zero()])


def test_descriptions_are_strings_that_survive_copies() -> None:
    desc = InitDesc("w", {"__init__": "one"})
    assert desc == "w"
    for clone in (copy.deepcopy(desc), pickle.loads(pickle.dumps(desc))):
        assert (clone, clone.attrs) == (desc, desc.attrs)


def test_no_warning_for_descriptions() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled(mx.init.Uniform(), (2, 2))
    assert json.loads(mx.init.Uniform().dumps())[0] == "uniform"
