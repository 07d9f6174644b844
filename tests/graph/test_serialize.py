"""JSON text: round trips of random graphs, and damaged documents."""

import copy
import json
import math
import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symbind as mx


def small_net():
    with mx.name.NameManager():
        net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="fc1")
        net = mx.sym.BatchNorm(net, name="bn")
        return mx.sym.SoftmaxOutput(net, name="softmax")


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@given(st.integers(0, 10**6), names, st.dictionaries(names.map(lambda k: f"__{k}__"), names, max_size=3))
@settings(max_examples=60, deadline=None)
def test_round_trip_of_random_graphs(seed, name, attrs):
    rng = random.Random(seed)
    values = [mx.sym.var(name, attr=attrs), mx.sym.var("b")]
    for _ in range(rng.randint(1, 15)):
        x, y = rng.choice(values), rng.choice(values)
        values.append(
            rng.choice(
                [
                    lambda: x + y,
                    lambda: mx.sym.exp(x),
                    lambda: x * 2.5,
                    lambda: mx.sym.Concat(x, y, dim=0),
                    lambda: mx.sym.split(x, num_outputs=2)[1],
                ]
            )()
        )
    symbol = mx.sym.Group(rng.sample(values, min(3, len(values))))
    text = symbol.tojson()
    again = mx.sym.load_json(text)
    assert again.tojson() == text
    assert again.list_arguments() == symbol.list_arguments()
    assert again.list_outputs() == symbol.list_outputs()
    assert again.attr_dict() == symbol.attr_dict()
    json.loads(text, strict=False)


def test_auxiliary_states_survive_a_round_trip():
    net = mx.sym.load_json(small_net().tojson())
    assert net.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    assert net.tojson() == small_net().tojson()


def test_a_control_dependency_is_kept_and_costs_nothing():
    """It is listed, copied and written; what is only there to run before something else is not computed."""
    document = json.loads((mx.sym.exp(mx.sym.var("x"), name="e") + mx.sym.log(mx.sym.var("y"), name="l")).tojson())
    document["nodes"][-1] = {"op": "sin", "name": "s", "inputs": [[1, 0, 0]], "control_deps": [3]}
    net = mx.sym.load_json(json.dumps(document))
    assert net.list_arguments() == ["x", "y"]
    for same in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), mx.sym.load_json(net.tojson())):
        assert same.tojson() == net.tojson()
    assert net(x=mx.sym.var("y")).get_internals().list_outputs() == ["y", "e_output", "y", "l_output", "s_output"]
    executor = net.simple_bind(mx.cpu(), x=(1,), y=(1,))
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones(1))
    assert executor.grad_dict["x"].asscalar() == pytest.approx(math.cos(1))
    assert executor.grad_dict["y"].asscalar() == 0
    assert [row.name for row in executor.plan_report(is_train=True).rows if row.name in "els"] == ["e", "s"]


def broken(change):
    document = json.loads(small_net().tojson())
    change(document)
    return json.dumps(document)


def set_in(path, value):
    def change(document):
        target = document
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Not the JSON text"),
        ("[1, 2]", "expected an object"),
        ("{", "Not the JSON text"),
        ("[" * 100000, "Not the JSON text"),
        (broken(lambda d: d.pop("nodes")), 'Missing field "nodes"'),
        (broken(lambda d: d.pop("heads")), 'Missing field "heads"'),
        (broken(lambda d: d.pop("arg_nodes")), 'Missing field "arg_nodes"'),
        (broken(lambda d: d["nodes"][0].pop("name")), 'Node 0: Missing field "name"'),
        (broken(lambda d: d["nodes"][0].pop("op")), 'Node 0: Missing field "op"'),
        (broken(set_in(["nodes", 3, "inputs"], [[3, 0, 0], [1, 0, 0], [2, 0, 0]])), "points to node 3"),
        (broken(set_in(["nodes", 3, "inputs"], [[9, 0, 0], [1, 0, 0], [2, 0, 0]])), "points to node 9"),
        (broken(set_in(["nodes", 3, "inputs"], [[-1, 0, 0], [1, 0, 0], [2, 0, 0]])), "points to node -1"),
        (broken(set_in(["nodes", 3, "inputs"], [[0, 7, 0], [1, 0, 0], [2, 0, 0]])), "points to output 7 of data"),
        (broken(set_in(["nodes", 3, "inputs"], [[0], [1, 0, 0], [2, 0, 0]])), r"must be \[node, output\]"),
        (broken(set_in(["nodes", 3, "inputs"], [[0, 0, 0]])), "takes 3 inputs"),
        (broken(set_in(["nodes", 3, "inputs"], "abc")), '"inputs" must be a list'),
        (broken(set_in(["nodes", 3, "control_deps"], 2)), '"control_deps" must be a list'),
        (broken(set_in(["nodes", 3, "control_deps"], [3])), "points to node 3"),
        (broken(set_in(["nodes", 3, "control_deps"], [True])), "must be the number of a node, not True"),
        (broken(set_in(["nodes", 3, "op"], "Unheard")), "Operator Unheard is not registered"),
        (broken(set_in(["nodes", 3, "attrs"], {"num_hidden": 4})), "must be an object of strings"),
        (broken(set_in(["nodes", 3, "attrs"], {"num_hidden": "four"})), "expect int but value='four'"),
        (broken(set_in(["nodes", 3, "attrs"], {})), "Required parameter num_hidden"),
        (broken(set_in(["nodes", 3, "attrs"], {"num_hidden": "4", "zzz": "1"})), "Cannot find argument 'zzz'"),
        (broken(set_in(["heads"], [])), "no heads"),
        (broken(set_in(["heads"], [[99, 0, 0]])), "points to node 99"),
        (broken(set_in(["arg_nodes"], [99])), "arg_nodes holds 99"),
        (broken(set_in(["attrs", "mxnet_version"], "new")), "mxnet_version"),
        (broken(set_in(["nodes", 0, "inputs"], [[0, 0, 0]])), "is a variable but has inputs"),
    ],
)
def test_a_damaged_document_is_refused_by_name(text, message):
    with pytest.raises(mx.MXNetError, match=message):
        mx.sym.load_json(text)


def test_all_missing_operators_are_counted():
    def change(document):
        document["nodes"][3]["op"] = "Unheard"
        document["nodes"][-1]["op"] = "AlsoUnheard"

    with pytest.raises(mx.MXNetError, match="fc1 of type Unheard.*1 other operators.*AlsoUnheard"):
        mx.sym.load_json(broken(change))


def test_the_file_is_named_in_the_error(tmp_path):
    path = tmp_path / "net-symbol.json"
    path.write_text("{}")
    with pytest.raises(mx.MXNetError, match="net-symbol.json"):
        mx.sym.load(str(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(mx.MXNetError, match="net-symbol.json"):
        mx.sym.load(str(path))
    with pytest.raises(FileNotFoundError):
        mx.sym.load(str(tmp_path / "absent.json"))


def test_a_newer_version_only_warns():
    text = broken(set_in(["attrs", "mxnet_version"], ["int", 20000]))
    with pytest.warns(UserWarning, match="newer"):
        assert mx.sym.load_json(text).list_outputs() == ["softmax_output"]


def test_type_errors():
    with pytest.raises(TypeError):
        mx.sym.load_json(b"{}")
    with pytest.raises(TypeError):
        mx.sym.load(3)
