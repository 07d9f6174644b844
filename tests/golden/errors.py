"""Mistakes a user makes, and the words that the message must contain in both systems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["MISTAKES", "Mistake", "make"]


@dataclass(frozen=True)
class Mistake:
    """Something wrong to do with ``mx``; ``mentions`` must stand in the text of the error."""

    do: Callable[[Any], Any]
    mentions: tuple[str, ...]


MISTAKES: dict[str, Mistake] = {}


def mistake(*mentions: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register the function below under its name."""

    def register(do: Callable[[Any], Any]) -> Callable[[Any], Any]:
        MISTAKES[do.__name__] = Mistake(do, mentions)
        return do

    return register


def make(mx: Any, entry: Mistake) -> Exception | None:
    """The error that the mistake raises."""
    try:
        with mx.name.NameManager():
            entry.do(mx)
    except Exception as error:
        return error
    return None


def _dense(mx: Any) -> Any:
    return mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")


# Operators


@mistake("num_hiddn")
def unknown_parameter(mx: Any) -> None:
    mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, num_hiddn=4)


@mistake("num_hidden")
def missing_parameter(mx: Any) -> None:
    mx.sym.FullyConnected(mx.sym.Variable("data"))


@mistake("act_type", "swish")
def unknown_choice(mx: Any) -> None:
    mx.sym.Activation(mx.sym.Variable("data"), act_type="swish")


@mistake("num_hidden", "three")
def parameter_that_is_no_number(mx: Any) -> None:
    mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden="three")


@mistake("kernel", "(a, b)")
def parameter_that_is_no_tuple(mx: Any) -> None:
    mx.sym.Convolution(mx.sym.Variable("data"), kernel="(a, b)", num_filter=2)


@mistake("no_bias", "maybe")
def parameter_that_is_no_truth(mx: Any) -> None:
    mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, no_bias="maybe")


@mistake("float31")
def unknown_dtype(mx: Any) -> None:
    mx.sym.Cast(mx.sym.Variable("data"), dtype="float31")


@mistake()
def array_instead_of_a_symbol(mx: Any) -> None:
    mx.sym.FullyConnected(mx.nd.zeros((2, 3)), num_hidden=3)


@mistake()
def number_instead_of_a_symbol(mx: Any) -> None:
    mx.sym.exp(3.0)


@mistake("mood")
def plain_attribute_on_an_operator(mx: Any) -> None:
    with mx.AttrScope(mood="happy"):
        _dense(mx)


@mistake("weight_lr_mult")
def attribute_for_an_input(mx: Any) -> None:
    mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, weight_lr_mult="2")


@mistake("num_args")
def no_inputs_at_all(mx: Any) -> None:
    mx.sym.Concat(dim=1).infer_shape()


# Symbols


@mistake("string")
def name_that_is_no_string(mx: Any) -> None:
    mx.sym.Variable(3)


@mistake("foo", "is not supported")
def unknown_keyword_of_a_variable(mx: Any) -> None:
    mx.sym.Variable("x", foo="1")


@mistake("string")
def attribute_that_is_no_string(mx: Any) -> None:
    mx.sym.Variable("x", attr={"note": 3})


@mistake("string")
def attribute_scope_without_strings(mx: Any) -> None:
    mx.AttrScope(lr_mult=3)


@mistake("zz", "data")
def composition_with_an_unknown_key(mx: Any) -> None:
    _dense(mx)(zz=mx.sym.Variable("other"))


@mistake()
def composition_both_ways(mx: Any) -> None:
    _dense(mx)(mx.sym.Variable("a"), data=mx.sym.Variable("b"))


@mistake()
def composition_by_position(mx: Any) -> None:
    _dense(mx)(mx.sym.Variable("a"))


@mistake()
def composition_with_several_outputs(mx: Any) -> None:
    several = mx.sym.SliceChannel(mx.sym.Variable("x"), num_outputs=2, name="several")
    mx.sym.FullyConnected(several, num_hidden=3)


@mistake("nothing_output")
def unknown_output_name(mx: Any) -> None:
    _dense(mx).get_internals()["nothing_output"]


@mistake()
def output_number_out_of_range(mx: Any) -> None:
    _dense(mx)[1]


@mistake("bool")
def truth_of_a_symbol(mx: Any) -> None:
    bool(mx.sym.Variable("x"))


@mistake("asnumpy")
def numbers_of_a_symbol(mx: Any) -> None:
    mx.sym.Variable("x").asnumpy()


@mistake("str")
def addition_of_a_string(mx: Any) -> None:
    mx.sym.Variable("x") + "1"


@mistake()
def empty_group(mx: Any) -> None:
    mx.sym.Group([])


# Inference


@mistake("fc")
def shapes_that_do_not_fit(mx: Any) -> None:
    weight = mx.sym.Variable("weight", shape=(3, 5))
    mx.sym.FullyConnected(mx.sym.Variable("data"), weight=weight, num_hidden=3, name="fc").infer_shape(data=(2, 4))


@mistake("sum", "2", "3")
def sum_of_different_shapes(mx: Any) -> None:
    mx.sym.elemwise_add(mx.sym.Variable("a"), mx.sym.Variable("b"), name="sum").infer_shape(a=(2, 4), b=(3, 4))


@mistake("both")
def broadcast_of_different_shapes(mx: Any) -> None:
    net = mx.sym.broadcast_add(mx.sym.Variable("a"), mx.sym.Variable("b"), name="both")
    net.infer_shape(a=(2, 4), b=(3, 4))


@mistake("zzz")
def unknown_keyword_in_inference(mx: Any) -> None:
    _dense(mx).infer_shape(data=(2, 4), zzz=(1,))


@mistake("data")
def shape_that_is_no_tuple(mx: Any) -> None:
    _dense(mx).infer_shape(data=4)


@mistake("conv")
def kernel_bigger_than_the_image(mx: Any) -> None:
    net = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(5, 5), num_filter=2, name="conv")
    net.infer_shape(data=(1, 1, 3, 3))


@mistake("joined")
def concatenation_of_different_shapes(mx: Any) -> None:
    net = mx.sym.Concat(mx.sym.Variable("a"), mx.sym.Variable("b"), dim=1, name="joined")
    net.infer_shape(a=(2, 3), b=(3, 3))


@mistake("both")
def types_that_do_not_fit(mx: Any) -> None:
    net = mx.sym.elemwise_add(mx.sym.Variable("a"), mx.sym.Variable("b"), name="both")
    net.infer_type(a="float32", b="int32")


# Binding


@mistake("data")
def binding_without_shapes(mx: Any) -> None:
    _dense(mx).simple_bind(mx.cpu())


@mistake("fc")
def binding_with_wrong_shapes(mx: Any) -> None:
    _dense(mx).simple_bind(mx.cpu(), data=(2, 4), fc_weight=(3, 5))


@mistake("args", "number of arguments")
def too_few_arguments(mx: Any) -> None:
    _dense(mx).bind(mx.cpu(), [mx.nd.zeros((2, 4))])


@mistake("fc_weight", "missing")
def argument_left_out(mx: Any) -> None:
    _dense(mx).bind(mx.cpu(), {"data": mx.nd.zeros((2, 4))})


@mistake()
def same_name_twice(mx: Any) -> None:
    (mx.sym.Variable("a") + mx.sym.Variable("a")).simple_bind(mx.cpu(), a=(2, 3))


@mistake("sometimes")
def unknown_gradient_request(mx: Any) -> None:
    _dense(mx).simple_bind(mx.cpu(), grad_req="sometimes", data=(2, 4))


def _bound(mx: Any) -> Any:
    return _dense(mx).simple_bind(mx.cpu(), data=(2, 4))


@mistake("nothing")
def forward_with_an_unknown_name(mx: Any) -> None:
    _bound(mx).forward(nothing=mx.nd.zeros((2, 4)))


@mistake("data")
def forward_with_another_shape(mx: Any) -> None:
    _bound(mx).forward(data=mx.nd.zeros((3, 4)))


@mistake("head_gradient")
def backward_without_a_head_gradient(mx: Any) -> None:
    executor = _bound(mx)
    executor.forward(is_train=True)
    executor.backward()


@mistake("stranger")
def copying_an_unknown_parameter(mx: Any) -> None:
    _bound(mx).copy_params_from({"stranger": mx.nd.zeros((2,))})


@mistake("data")
def growing_without_permission(mx: Any) -> None:
    _bound(mx).reshape(data=(20, 4))


# Files


@mistake("Imaginary")
def unknown_operator_in_a_file(mx: Any) -> None:
    mx.sym.load_json(
        '{"nodes": [{"op": "null", "name": "x", "inputs": []}, {"op": "Imaginary", "name": "q", "inputs": [[0, 0]]}],'
        ' "arg_nodes": [0], "heads": [[1, 0]]}'
    )


@mistake("heads")
def file_without_heads(mx: Any) -> None:
    mx.sym.load_json('{"nodes": [{"op": "null", "name": "x", "inputs": []}], "arg_nodes": [0]}')


@mistake()
def file_that_is_no_json(mx: Any) -> None:
    mx.sym.load_json("no json at all")


@mistake("strange")
def unknown_parameter_in_a_file(mx: Any) -> None:
    mx.sym.load_json(
        '{"nodes": [{"op": "null", "name": "x", "inputs": []},'
        ' {"op": "Activation", "name": "q", "attrs": {"act_type": "relu", "strange": "1"}, "inputs": [[0, 0, 0]]}],'
        ' "arg_nodes": [0], "heads": [[1, 0, 0]]}'
    )


@mistake("No such file")
def file_that_does_not_exist(mx: Any) -> None:
    mx.sym.load("nowhere.json")


# Arrays


@mistake("2", "3")
def arrays_of_different_shapes(mx: Any) -> None:
    (mx.nd.zeros((2, 4)) + mx.nd.zeros((3, 4))).asnumpy()


@mistake("float32", "int32")
def arrays_of_different_types(mx: Any) -> None:
    (mx.nd.zeros((2,)) + mx.nd.array(np.zeros(2), dtype="int32")).asnumpy()
