"""Composition, names, attributes, listings."""

import copy
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx


@pytest.fixture(autouse=True)
def fresh_names():
    with mx.name.NameManager():
        yield


def fc(data, name, **kwargs):
    return mx.sym.FullyConnected(data, num_hidden=4, name=name, **kwargs)


# ---- composition --------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["fc", "add", "exp"]), min_size=1, max_size=8), st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_arguments_of_a_composed_symbol(kinds, where):
    """Replacing a variable puts the arguments of the replacement where the variable was listed."""
    net = mx.sym.var("x0")
    for i, kind in enumerate(kinds):
        if kind == "fc":
            net = fc(net, f"layer{i}")
        elif kind == "add":
            net = net + mx.sym.var(f"x{i + 1}")
        else:
            net = mx.sym.exp(net)
    before = net.list_arguments()
    target = before[where % len(before)]
    other = fc(mx.sym.var("other"), "inner")
    composed = net(**{target: other, "name": "composed"})
    position = before.index(target)
    expected = before[:position] + ["other", "inner_weight", "inner_bias"] + before[position + 1 :]
    assert composed.list_arguments() == expected
    assert composed.list_outputs() == ["composed_output"]
    assert net.list_arguments() == before


def test_composition_mistakes():
    net = fc(mx.sym.var("data"), "z")
    other = mx.sym.var("other")
    with pytest.raises(mx.MXNetError, match=r"argument name zz not found.\nCandidate arguments:\n\t\[0\]data"):
        net(zz=other)
    with pytest.raises(mx.MXNetError, match="General composition only support kwargs"):
        net(other)
    with pytest.raises(TypeError, match="not both"):
        net(other, data=other)
    with pytest.raises(TypeError, match="Compose expect `Symbol`"):
        net(data=3)
    with pytest.raises(mx.MXNetError, match="Keyword Argument data is a tuple, single value is required"):
        mx.sym.FullyConnected(mx.sym.Group([net, other]), num_hidden=2)
    with pytest.raises(TypeError, match="Argument data of FullyConnected must be an input, but got 3"):
        mx.sym.FullyConnected(3, num_hidden=2)


def test_copies_are_independent():
    net = fc(mx.sym.var("data"), "fc")
    other = copy.deepcopy(net)
    other._set_attr(__note__="x")
    assert net.attr("__note__") is None and other.attr("__note__") == "x"
    assert copy.copy(net).tojson() == net.tojson()
    assert pickle.loads(pickle.dumps(net)).tojson() == net.tojson()


# ---- names --------------------------------------------------------------------------------------


def test_automatic_names_follow_the_spelling_called():
    x = mx.sym.var("x")
    made = [mx.sym.Concat(x, x), mx.sym.concat(x, x), mx.sym.Softmax(x), x + x, x + 1, 1 - x, x * x, -x, 2**x,
            x == x, x > 1, abs(x), mx.sym.pow(2, x), mx.sym.maximum(x, 1)]  # fmt: skip
    assert [s.name for s in made] == [
        "concat0", "concat1", "softmax0", "_plus0", "_plusscalar0", "_rminusscalar0", "_mul0", "_mulscalar0",
        "_rpower_scalar0", "_equal0", "_greater_scalar0", "abs0", "_rpowerscalar0", "_maximumscalar0",
    ]  # fmt: skip


def test_prefix_names_given_and_generated():
    with mx.name.Prefix("p_"):
        x = mx.sym.var("x")
        assert (x.name, fc(x, "fc").name, mx.sym.exp(x).name) == ("x", "p_fc", "p_exp0")


def test_scopes_and_names_are_thread_local():
    seen = []

    def work():
        seen.append((mx.sym.exp(mx.sym.var("x")).name, mx.sym.var("y").attr("ctx_group"), str(mx.current_context())))

    with mx.AttrScope(ctx_group="dev1"), mx.name.Prefix("outer_"), mx.cpu(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [("exp0", None, "cpu(0)")]


# ---- attributes ---------------------------------------------------------------------------------


def test_attribute_scopes_nest_and_explicit_wins():
    with mx.AttrScope(__a__="1", __b__="1"), mx.AttrScope(__b__="2"):
        x = mx.sym.var("x", attr={"__c__": "3"})
        y = mx.sym.var("y", attr={"__a__": "9"})
    assert x.list_attr() == {"__a__": "1", "__b__": "2", "__c__": "3"}
    assert y.attr("__a__") == "9"
    with pytest.raises(ValueError, match="string"):
        mx.AttrScope(x=1)


def test_hidden_keys_are_listed_both_ways_and_copied_to_created_variables():
    with mx.AttrScope(lr_mult="2"):
        net = fc(mx.sym.var("data"), "fc")
    assert net.attr("lr_mult") == net.attr("__lr_mult__") == "2"
    attributes = net.attr_dict()
    assert attributes["fc_weight"] == {"num_hidden": "4", "__lr_mult__": "2", "lr_mult": "2"}
    with pytest.raises(mx.MXNetError, match="weight_lr_mult is deprecated"):
        fc(mx.sym.var("data"), "fc", weight_lr_mult="2")
    with pytest.raises(mx.MXNetError, match="Cannot find argument 'mood'"), mx.AttrScope(mood="x"):
        fc(mx.sym.var("data", attr={"mood": "fine on variables"}), "fc")


def test_variable_keywords():
    v = mx.sym.var("v", shape=(2, 0), lr_mult=0.5, wd_mult=2, dtype="float16", init=mx.init.One(), __mine__="m")
    assert v.list_attr() == {
        "__shape__": "(2, 0)", "__lr_mult__": "0.5", "lr_mult": "0.5", "__wd_mult__": "2", "wd_mult": "2",
        "__dtype__": "2", "__init__": '["one", {}]', "__mine__": "m",
    }  # fmt: skip
    for shape in (np.array([2, 3]), (np.int64(2), np.int32(3)), [2, 3]):
        assert mx.sym.var("v", shape=shape).attr("__shape__") == "(2, 3)"
    assert mx.sym.var("v", shape=np.int64(2)).attr("__shape__") == "(2,)"
    with pytest.raises(ValueError, match="Attribute name=foo is not supported"):
        mx.sym.var("v", foo="1")
    with pytest.raises(TypeError):
        mx.sym.var(3)
    with pytest.raises(ValueError, match="string values"):
        v._set_attr(a=1)


# ---- listings -----------------------------------------------------------------------------------


def test_outputs_by_position_name_and_slice():
    split = mx.sym.SliceChannel(mx.sym.var("data"), num_outputs=3, name="s")
    assert split.list_outputs() == ["s_output0", "s_output1", "s_output2"]
    assert split["s_output1"].list_outputs() == split[1].list_outputs() == ["s_output1"]
    assert split[1].name == "s" and len(split) == 3 and len(list(split)) == 3
    assert split[1:].list_outputs() == ["s_output1", "s_output2"]
    with pytest.raises(ValueError, match='Cannot find output that matches name "zz"'):
        split["zz"]
    with pytest.raises(IndexError):
        split[3]
    with pytest.raises(ValueError, match="multiple outputs"):
        mx.sym.Group([split[0], split[0]])["s_output0"]


def test_auxiliary_states_are_not_arguments():
    net = mx.sym.BatchNorm(mx.sym.var("data"), name="bn")
    assert net.list_arguments() == ["data", "bn_gamma", "bn_beta"]
    assert net.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    assert net.list_inputs() == ["data", "bn_gamma", "bn_beta", "bn_moving_mean", "bn_moving_var"]
    with pytest.raises(mx.MXNetError, match="Auxiliary state moving_mean of b"):
        mx.sym.BatchNorm(mx.sym.var("data"), moving_mean=mx.sym.exp(mx.sym.var("m")), name="b")


def test_group_and_representation():
    a, b = mx.sym.var("a"), mx.sym.var("b")
    group = mx.sym.Group([a, b])
    assert repr(group) == "<Symbol group [a, b]>" and group.name is None
    with pytest.raises(TypeError):
        mx.sym.Group([])
    with pytest.raises(TypeError):
        hash(a)


@pytest.mark.parametrize("name", ["asnumpy", "asscalar", "wait_to_read", "copy", "detach", "backward"])
def test_array_methods_are_refused(name):
    with pytest.raises(mx.base.NotImplementedForSymbol):
        getattr(mx.sym.var("a"), name)()


def test_truth_and_in_place_arithmetic_are_refused():
    a = mx.sym.var("a")
    with pytest.raises(mx.base.NotImplementedForSymbol):
        bool(a)
    with pytest.raises(mx.base.NotImplementedForSymbol):
        a += 1
    with pytest.raises(TypeError, match="not supported"):
        a + "text"


def test_numpy_scalars_are_stored_as_plain_numbers():
    a = mx.sym.var("a")
    assert (np.float64(1.5) + a).list_attr() == {"scalar": "1.5"}
    assert mx.sym.Reshape(a, shape=(np.int64(2), -1)).list_attr() == {"shape": "(2, -1)"}


def test_split_v2_is_a_method():
    assert mx.sym.var("a").split_v2((1, 3), axis=1).list_outputs() == [f"_split_v20_output{i}" for i in range(3)]


def test_histogram_of_a_symbol():
    a, values = mx.sym.var("a"), [0.1, 0.2, 0.7]
    edges = mx.sym.var("edges")
    for symbol, more in (
        (mx.sym.histogram(a, bins=2, range=(0, 1)), {}),
        (mx.sym.histogram(a, edges), {"edges": mx.nd.array([0, 0.5, 1])}),
    ):
        counts, bounds = symbol.eval(a=mx.nd.array(values), **more)
        assert counts.asnumpy().tolist() == [2, 1] and bounds.asnumpy().tolist() == [0, 0.5, 1]
    with pytest.raises(ValueError, match="range"):
        mx.sym.histogram(a, bins=2)


def test_current_names():
    with mx.name.NameManager():
        assert mx.name.NameManager.current.get(None, "block") == "block0"
        assert mx.name.NameManager.current.get(None, "block") == "block1"
        mx.name.NameManager.current = mx.name.Prefix("p_")
        assert mx.sym.relu(mx.sym.var("a")).name == "p_relu0"
    with mx.name.NameManager():
        assert mx.sym.relu(mx.sym.var("a")).name == "relu0"


def test_current_attributes():
    with mx.AttrScope(__mood__="calm"):
        assert mx.AttrScope.current.get({"__size__": "1"}) == {"__mood__": "calm", "__size__": "1"}
        mx.AttrScope.current = mx.AttrScope(__mood__="angry")
        assert mx.sym.var("a").attr("__mood__") == "angry"
    assert mx.AttrScope.current.get(None) == {}
