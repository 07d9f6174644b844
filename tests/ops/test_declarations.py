"""What every operator must keep to, whatever it computes: inference, documentation, and the rules of memory."""

from __future__ import annotations

import pytest
import torch

from symbind.base import MXNetError
from symbind.ops.operator import Environment
from symbind.ops.parameter import REQUIRED
from symbind.ops.shapes import is_known, merge

from .samples import CALLS, operators

# Operators that take an input in two shapes, and expect one of them where nothing is said.
ACCEPTS_TWO_SHAPES = {"pick", "LeakyReLU"}


def some_params(operator):
    """Parameters of the first sample, or the defaults; an operator that has neither needs a sample."""
    if operator.samples:
        return next(call for call in CALLS if call.operator is operator).params
    needed = {"op_type": "cube_times", "filename": "picture.png"}
    given = {name: text for name, text in needed.items() if name in operator.parameters}
    return operator.parse({operator.variadic: "2"} if operator.variadic else given)


def environment(seed=0):
    return Environment(True, torch.device("cpu"), torch.Generator().manual_seed(seed))


def inferred(call):
    """Input shapes, output shapes and output types of a call."""
    p, arrays = call.params, call.arrays()
    unknown = [None] * call.operator.num_outputs(p)
    shapes = [tuple(a.shape) for a in arrays]
    _, outputs = call.operator.infer_shape(p, list(shapes), list(unknown))
    _, dtypes = call.operator.infer_dtype(p, [a.dtype for a in arrays], list(unknown))
    return shapes, list(outputs), list(dtypes)


def run(call, arrays, outputs=None):
    """Run the kernel of ``call`` on ``arrays`` into ``outputs``, by default new ones in which nothing is a number."""
    if outputs is None:
        _, shapes, dtypes = inferred(call)
        outputs = [blank(shape, dtype) for shape, dtype in zip(shapes, dtypes)]
    call.operator.kernel(call.params, arrays, outputs, environment())()
    return outputs


def blank(shape, dtype):
    return torch.full(shape, float("nan") if dtype.is_floating_point else 113, dtype=dtype)


def sample_wise():
    """Calls of operators that treat samples alone, as far as their parameters have no number for each."""
    found = []
    for call in CALLS:
        positions, shapes = call.operator.sample_inputs(call.params), [tuple(a.shape) for a in call.arrays()]
        one = [(1, *shape[1:]) if i in positions and shape else shape for i, shape in enumerate(shapes)]
        try:
            call.operator.infer_shape(call.params, one, [None] * call.operator.num_outputs(call.params))
        except MXNetError:
            assert call.operator.name == "LeakyReLU"
        else:
            found += [call] if positions and shapes[positions[0]] else []
    return found


# ---- documentation ------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", operators(), ids=lambda op: op.name)
def test_it_is_documented(operator):
    assert len(operator.doc.split()) >= 3
    for name, param in operator.parameters.items():
        assert param.doc, f"parameter {name} has no documentation"
        assert param.default is REQUIRED or param.kind.name


# ---- inference ----------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", operators(), ids=lambda op: op.name)
def test_inference_accepts_what_is_unknown(operator):
    p = some_params(operator)
    inputs, outputs = [None] * len(operator.input_names(p)), [None] * operator.num_outputs(p)
    for infer in (operator.infer_shape, operator.infer_dtype):
        told_inputs, told_outputs = infer(p, list(inputs), list(outputs))
        assert len(told_inputs) == len(inputs)
        assert len(told_outputs) == len(outputs)


@pytest.mark.parametrize("call", [c for c in CALLS if c.operator.name not in ACCEPTS_TWO_SHAPES], ids=str)
def test_inference_never_contradicts_itself(call):
    """From any part of the shapes, what is told agrees with all of them."""
    operator, p = call.operator, call.params
    inputs, outputs, _ = inferred(call)
    assert all(map(is_known, outputs))

    def ask(given_inputs, given_outputs):
        told = operator.infer_shape(p, list(given_inputs), list(given_outputs))
        for told_part, whole in zip(told, (inputs, outputs)):
            assert len(told_part) == len(whole)
            for shape, truth in zip(told_part, whole):
                assert merge(shape, truth) == truth, f"{shape} for {truth}, from {given_inputs} -> {given_outputs}"

    no_inputs, no_outputs = [None] * len(inputs), [None] * len(outputs)
    ask(inputs, outputs)
    ask(no_inputs, outputs)
    for i, shape in enumerate(inputs):
        ask([*inputs[:i], None, *inputs[i + 1 :]], no_outputs)
        ask([*no_inputs[:i], shape, *no_inputs[i + 1 :]], no_outputs)
        for axis in range(len(shape)):
            partial = (*shape[:axis], 0, *shape[axis + 1 :])
            ask([*inputs[:i], partial, *inputs[i + 1 :]], no_outputs)
            ask([*inputs[:i], partial, *inputs[i + 1 :]], outputs)


@pytest.mark.parametrize("call", [c for c in CALLS if len(c.sample.shapes) > 0], ids=str)
def test_impossible_outputs_are_refused(call):
    """An output of another rank is an error of inference, or of merging what it told."""
    inputs, outputs, _ = inferred(call)
    wrong = [(*shape, 3, 5, 7) for shape in outputs]
    with pytest.raises(MXNetError):
        _, told = call.operator.infer_shape(call.params, list(inputs), list(wrong))
        for shape, given in zip(told, wrong):
            merge(shape, given)


# ---- kernels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_kernel_fills_exactly_its_outputs(call):
    arrays = call.arrays()
    before = [a.clone() for a in arrays]
    _, shapes, dtypes = inferred(call)
    outputs = [blank(shape, dtype) for shape, dtype in zip(shapes, dtypes)]
    addresses = [out.data_ptr() for out in outputs]
    run(call, arrays, outputs)
    for out, address, shape in zip(outputs, addresses, shapes):
        assert out.data_ptr() == address
        assert tuple(out.shape) == shape
    visible = outputs[: call.operator.num_visible_outputs(call.params)]
    for out in visible:
        assert not out.isnan().any() if out.is_floating_point() else not (out == 113).all()
    mutated = {*call.operator.mutated_inputs(call.params), *call.operator.auxiliary_inputs(call.params)}
    for i, (array, old) in enumerate(zip(arrays, before)):
        assert i in mutated or torch.equal(array, old), f"input {i} was changed"


@pytest.mark.parametrize("call", [c for c in CALLS if c.operator.inplace_pairs(c.params)], ids=str)
def test_outputs_may_overwrite_the_inputs_they_say(call):
    expected = run(call, call.arrays())
    for position, index in call.operator.inplace_pairs(call.params):
        arrays = call.arrays()
        source = arrays[position]
        if source.numel() != expected[index].numel() or source.dtype != expected[index].dtype:
            continue  # the planner shares memory between arrays of one size and type only
        outputs = [blank(out.shape, out.dtype) for out in expected]
        outputs[index] = source.view(expected[index].shape)
        run(call, arrays, outputs)
        for out, wanted in zip(outputs, expected):
            torch.testing.assert_close(out, wanted, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("call", [c for c in CALLS if c.operator.unread_inputs(c.params)], ids=str)
def test_inputs_said_to_be_unread_are(call):
    arrays = call.arrays()
    expected = run(call, arrays)
    for i in call.operator.unread_inputs(call.params):
        arrays[i] = blank(arrays[i].shape, arrays[i].dtype)
    for out, wanted in zip(run(call, arrays), expected):
        torch.testing.assert_close(out, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("call", [c for c in CALLS if c.operator.alias_pairs(c.params)], ids=str)
def test_aliases_have_the_same_numbers_in_the_same_order(call):
    arrays = call.arrays()
    outputs = run(call, arrays)
    for position, index in call.operator.alias_pairs(call.params):
        assert torch.equal(arrays[position].view(-1), outputs[index].view(-1))


@pytest.mark.parametrize("call", sample_wise(), ids=str)
def test_a_sample_alone_decides_what_becomes_of_it(call):
    """In inference; a batch of three: the sample, another one, and the sample again."""
    operator, p, arrays = call.operator, call.params, call.arrays()
    positions = operator.sample_inputs(p)
    rows = [array[:1] if i in positions else array for i, array in enumerate(arrays)]
    others = [array + 1 if array.is_floating_point() else array for array in rows]
    batch = [
        torch.cat([row, other, row]) if i in positions else row for i, (row, other) in enumerate(zip(rows, others))
    ]

    def outputs(inputs):
        unknown = [None] * operator.num_outputs(p)
        _, shapes = operator.infer_shape(p, [tuple(a.shape) for a in inputs], list(unknown))
        _, dtypes = operator.infer_dtype(p, [a.dtype for a in inputs], list(unknown))
        found = [blank(shape, dtype) for shape, dtype in zip(shapes, dtypes)]
        operator.kernel(p, inputs, found, Environment(False, torch.device("cpu"), torch.Generator()))()
        return found[: operator.num_visible_outputs(p)]

    for one, three in zip(outputs(rows), outputs(batch), strict=True):
        assert three.shape == (3, *one.shape[1:])
        for row in (three[:1], three[2:]):
            torch.testing.assert_close(row, one, rtol=1e-6, atol=1e-7, equal_nan=True)
