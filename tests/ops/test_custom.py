"""Custom as a node of a graph: names, files, inference, and what the gradient is connected to."""

from __future__ import annotations

import json

import pytest

import symbind as mx
from symbind.base import MXNetError


@mx.operator.register("two_of_each")
class TwoOfEach(mx.operator.CustomOpProp):
    """Two inputs, two outputs and a state; remembers its keywords."""

    def __init__(self, **keywords):
        super().__init__()
        self.keywords = keywords

    def list_arguments(self):
        return ["data", "w"]

    def list_outputs(self):
        return ["a", "b"]

    def list_auxiliary_states(self):
        return ["state"]

    def infer_shape(self, in_shape):
        return in_shape, in_shape, [(3,)]


def make(*args, **kwargs):
    return mx.sym.Custom(*args, op_type="two_of_each", name="custom0", **kwargs)


def test_names_and_automatic_variables():
    symbol = make(mx.sym.var("x"))
    assert symbol.list_arguments() == ["x", "custom0_w"]
    assert symbol.list_outputs() == ["custom0_a", "custom0_b"]
    assert symbol.list_auxiliary_states() == ["custom0_state"]
    by_name = make(w=mx.sym.var("v"), data=mx.sym.var("x"))
    assert by_name.list_arguments() == ["x", "v"]
    with mx.name.NameManager():
        assert mx.sym.Custom(op_type="two_of_each").list_arguments() == ["custom0_data", "custom0_w"]


def test_keywords_reach_the_class_as_strings():
    with mx.AttrScope(lr_mult="3"):
        symbol = make(mx.sym.var("x"), bias=0.1, flag=True, size=(1, 2), nothing=None, operator="plus")
    keywords = symbol.entries[0].node.params.definition._prop.keywords
    assert keywords == {"bias": "0.1", "flag": "True", "size": "(1, 2)", "nothing": "None", "operator": "plus"}


def test_text_is_that_of_mxnet():
    with mx.AttrScope(lr_mult="3"):
        symbol = make(mx.sym.var("x"), bias=0.1)
    saved = json.loads(symbol.tojson())
    attrs = {"__lr_mult__": "3", "bias": "0.1", "op_type": "two_of_each"}
    assert saved["nodes"][1:] == [
        {"op": "null", "name": "custom0_w", "attrs": attrs, "inputs": []},
        {"op": "null", "name": "custom0_state", "attrs": attrs, "inputs": []},
        {"op": "Custom", "name": "custom0", "attrs": attrs, "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 1]]},
    ]
    assert saved["node_row_ptr"] == [0, 1, 2, 3, 5]
    assert saved["heads"] == [[3, 0, 0], [3, 1, 0]]
    assert mx.sym.load_json(symbol.tojson()).tojson() == symbol.tojson()


def test_inference():
    symbol = make(mx.sym.var("x"))
    assert symbol.infer_shape(x=(4, 2), custom0_w=(5,)) == ([(4, 2), (5,)], [(4, 2), (5,)], [(3,)])
    assert symbol.infer_shape_partial() == ([(), ()], [(), ()], [()])
    types = symbol.infer_type(x="float64")
    assert {t.__name__ for part in types for t in part} == {"float64"}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: mx.sym.Custom(x, op_type="unheard_of"), MXNetError, "Cannot find custom operator unheard_of"),
        (lambda x: mx.sym.Custom(x), MXNetError, "Required parameter op_type"),
        (lambda x: make(x, x, x, x), MXNetError, r"takes 3 inputs \(data, w, state\) but 4 were given"),
        (lambda x: make(zz=x), MXNetError, "argument name zz not found"),
        (lambda x: make(x, w=x), TypeError, "either by position or by keyword, not both"),
        (lambda x: make(x, 3.0), TypeError, "must be an input"),
        (lambda x: make(x, x, x * 2), MXNetError, "must be a variable"),
    ],
)
def test_calls_that_cannot_be(call, error, message):
    with pytest.raises(error, match=message):
        call(mx.sym.var("x"))


def test_the_gradient_needs_only_what_is_declared():
    @mx.operator.register("second_head_only")
    class Prop(TwoOfEach):
        def declare_backward_dependency(self, out_grad, in_data, out_data):
            assert (out_grad, in_data, out_data) == ([0, 1], [2, 3], [4, 5])
            return [out_grad[1], in_data[0], out_data[1]]

    symbol = mx.sym.Custom(mx.sym.var("x"), mx.sym.var("v"), op_type="second_head_only", name="net")
    gradient = symbol.gradient("x")
    assert "net_b_grad" in gradient.list_arguments()
    assert "net_a_grad" not in gradient.list_arguments()
    node = gradient.entries[0].node
    names = node.op.input_names(node.params)
    unread = [names[i] for i in node.op.unread_inputs(node.params)]
    assert unread == ["data_w", "out_a"]
