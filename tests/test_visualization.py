"""Tables and graphviz graphs are those that MXNet 1.9.1 makes of the same networks."""

import itertools
import random
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import symbind as mx
from symbind.visualization.layout import _monotone, layered_layout

SVG = "{http://www.w3.org/2000/svg}"


def lenet():
    net = mx.sym.Variable("data")
    for i, filters in enumerate((20, 50), 1):
        net = mx.sym.Convolution(net, kernel=(5, 5), num_filter=filters, name=f"conv{i}")
        net = mx.sym.Activation(net, act_type="tanh", name=f"tanh{i}")
        net = mx.sym.Pooling(net, pool_type="max", kernel=(2, 2), stride=(2, 2), name=f"pool{i}")
    net = mx.sym.Flatten(net, name="flatten")
    net = mx.sym.FullyConnected(net, num_hidden=500, name="fc1")
    net = mx.sym.Activation(net, act_type="tanh", name="tanh3")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def mlp():
    net = mx.sym.Variable("data")
    for i, hidden in enumerate((128, 64), 1):
        net = mx.sym.FullyConnected(net, num_hidden=hidden, name=f"fc{i}")
        net = mx.sym.Activation(net, act_type="relu", name=f"relu{i}")
    net = mx.sym.FullyConnected(net, num_hidden=10, name="fc3")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def convolution(net, name, filters, kernel, **kwargs):
    return mx.sym.Convolution(net, num_filter=filters, kernel=(kernel, kernel), no_bias=True, name=name, **kwargs)


def resnet():
    net = convolution(mx.sym.Variable("data"), "conv0", 16, 3, pad=(1, 1))
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="unit1_bn1")
    fork = mx.sym.Activation(net, act_type="relu", name="unit1_relu1")
    net = convolution(fork, "unit1_conv1", 32, 3, stride=(2, 2), pad=(1, 1))
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="unit1_bn2")
    net = mx.sym.Activation(net, act_type="relu", name="unit1_relu2")
    net = convolution(net, "unit1_conv2", 32, 3, pad=(1, 1))
    shortcut = convolution(fork, "unit1_sc", 32, 1, stride=(2, 2))
    net = mx.sym.elemwise_add(net, shortcut, name="unit1_plus")
    net = mx.sym.Pooling(net, global_pool=True, kernel=(7, 7), pool_type="avg", name="pool1")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net, name="flatten0"), num_hidden=10, name="fc1")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def branches():
    """Two inputs, two outputs, a name with a space, an operator with two outputs."""
    net = mx.sym.LeakyReLU(mx.sym.Variable("Previous Output"), act_type="leaky", name="leaky")
    split = mx.sym.SliceChannel(net, num_outputs=2, name="split")
    joined = mx.sym.Concat(split[0], split[1], name="cat")
    embedded = mx.sym.Embedding(mx.sym.Variable("idx"), input_dim=7, output_dim=3, name="emb")
    return mx.sym.Group([mx.sym.Activation(joined, act_type="relu", name="act"), mx.sym.softmax(embedded, name="sm")])


BRANCHES_SHAPES = {"Previous Output": (2, 4, 5, 5), "idx": (2, 3)}


def chain(length):
    net = mx.sym.Variable("data")
    for _ in range(length):
        net = net + 1
    return net


# ---- the table ---------------------------------------------------------------------------------------------------

LENET_TABLE = """
________________________________________________________________________________
Layer (type)                       Output Shape    Param # Previous Layer
================================================================================
data(null)                         1x28x28         0
________________________________________________________________________________
conv1(Convolution)                 20x24x24        520     data
________________________________________________________________________________
tanh1(Activation)                  20x24x24        0       conv1
________________________________________________________________________________
pool1(Pooling)                     20x12x12        0       tanh1
________________________________________________________________________________
conv2(Convolution)                 50x8x8          25050   pool1
________________________________________________________________________________
tanh2(Activation)                  50x8x8          0       conv2
________________________________________________________________________________
pool2(Pooling)                     50x4x4          0       tanh2
________________________________________________________________________________
flatten(Flatten)                   800             0       pool2
________________________________________________________________________________
fc1(FullyConnected)                500             400500  flatten
________________________________________________________________________________
tanh3(Activation)                  500             0       fc1
________________________________________________________________________________
fc2(FullyConnected)                10              5010    tanh3
________________________________________________________________________________
softmax(SoftmaxOutput)             10              0       fc2
================================================================================
Total params: 431080
________________________________________________________________________________
"""

MLP_TABLE = """
________________________________________________________________________________________________________________________
Layer (type)                                        Output Shape            Param #     Previous Layer
========================================================================================================================
data(null)                                          784                     0
________________________________________________________________________________________________________________________
fc1(FullyConnected)                                 128                     100480      data
________________________________________________________________________________________________________________________
relu1(Activation)                                   128                     0           fc1
________________________________________________________________________________________________________________________
fc2(FullyConnected)                                 64                      8256        relu1
________________________________________________________________________________________________________________________
relu2(Activation)                                   64                      0           fc2
________________________________________________________________________________________________________________________
fc3(FullyConnected)                                 10                      650         relu2
________________________________________________________________________________________________________________________
softmax(SoftmaxOutput)                              10                      0           fc3
========================================================================================================================
Total params: 109386
________________________________________________________________________________________________________________________
"""

RESNET_TABLE = """
______________________________________________________________________
Layer (type)            Output Shape    Param #   Previous Layer
======================================================================
data(null)              3x32x32         0
______________________________________________________________________
conv0(Convolution)      16x32x32        432       data
______________________________________________________________________
unit1_bn1(BatchNorm)    16x32x32        32        conv0
______________________________________________________________________
unit1_relu1(Activation) 16x32x32        0         unit1_bn1
______________________________________________________________________
unit1_conv1(Convolution)32x16x16        4608      unit1_relu1
______________________________________________________________________
unit1_bn2(BatchNorm)    32x16x16        64        unit1_conv1
______________________________________________________________________
unit1_relu2(Activation) 32x16x16        0         unit1_bn2
______________________________________________________________________
unit1_conv2(Convolution)32x16x16        9216      unit1_relu2
______________________________________________________________________
unit1_sc(Convolution)   32x16x16        512       unit1_relu1
______________________________________________________________________
unit1_plus(elemwise_add)32x16x16        0         unit1_conv2
                                                  unit1_sc
______________________________________________________________________
pool1(Pooling)          32x1x1          0         unit1_plus
______________________________________________________________________
flatten0(Flatten)       32              0         pool1
______________________________________________________________________
fc1(FullyConnected)     10              330       flatten0
______________________________________________________________________
softmax(SoftmaxOutput)  10              0         fc1
======================================================================
Total params: 15194
______________________________________________________________________
"""

MLP_WITHOUT_SHAPES = """
____________________________________________________________
Layer (type)            Output ShapeParam #     Previous Lay
============================================================
data(null)                          0
____________________________________________________________
fc1(FullyConnected)                 128         data
____________________________________________________________
relu1(Activation)                   0           fc1
____________________________________________________________
fc2(FullyConnected)                 64          relu1
____________________________________________________________
relu2(Activation)                   0           fc2
____________________________________________________________
fc3(FullyConnected)                 10          relu2
____________________________________________________________
softmax(SoftmaxOutput)              0           fc3
============================================================
Total params: 202
____________________________________________________________
"""


@pytest.mark.parametrize(
    "net, arguments, width, table",
    [
        (lenet, {"shape": {"data": (64, 1, 28, 28)}, "line_length": 80}, 80, LENET_TABLE),
        (mlp, {"shape": {"data": (64, 784)}}, 120, MLP_TABLE),
        (
            resnet,
            {"shape": {"data": (2, 3, 32, 32)}, "line_length": 70, "positions": [24, 40, 50, 70]},
            70,
            RESNET_TABLE,
        ),
        (mlp, {"line_length": 60, "positions": [0.4, 0.6, 0.8, 1.0]}, 60, MLP_WITHOUT_SHAPES),
    ],
)
def test_table_is_that_of_mxnet(capsys, net, arguments, width, table):
    assert mx.viz.print_summary(net(), **arguments) is None
    printed = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in printed] == table.strip().splitlines()
    assert {len(line) for line in printed if not line.startswith("Total")} == {width}


def test_table_counts_what_mxnet_forgets(capsys):
    """Deconvolution, PReLU and free variables have parameters; shared ones exist once; label and state are none."""
    net = mx.sym.Variable("data")
    net = mx.sym.Deconvolution(net, kernel=(2, 2), num_filter=4, name="deconv")
    net = mx.sym.LeakyReLU(net, act_type="prelu", name="prelu")
    net = mx.sym.broadcast_mul(net, mx.sym.Variable("scale", shape=(1, 4, 1, 1)), name="scaled")
    net = mx.sym.Flatten(net, name="flat")
    weight = mx.sym.Variable("shared")
    net = mx.sym.FullyConnected(net, weight=weight, num_hidden=144, no_bias=True, name="first")
    net = mx.sym.FullyConnected(net, weight=weight, num_hidden=144, no_bias=True, name="second")
    mx.viz.print_summary(mx.sym.SoftmaxOutput(net, name="softmax"), {"data": (2, 3, 5, 5)})
    counts = dict(re.findall(r"^(\w+)\(\w+\)\s+\S+\s+(\d+)", capsys.readouterr().out, re.MULTILINE))
    assert counts == {
        "data": "0", "deconv": str(3 * 4 * 2 * 2), "prelu": "4", "scaled": "4", "flat": "0",
        "first": str(144 * 144), "second": "0", "softmax": "0",
    }  # fmt: skip


def test_table_errors():
    with pytest.raises(TypeError, match="symbol must be a Symbol, not str"):
        mx.viz.print_summary("net")
    with pytest.raises(ValueError, match=r"Input shape is incomplete: from \{\} the shape of data, fc1_weight"):
        mx.viz.print_summary(mlp(), shape={})
    with pytest.raises(mx.MXNetError, match="foo"):
        mx.viz.print_summary(mlp(), shape={"foo": (1, 2)})


# ---- graphviz ----------------------------------------------------------------------------------------------------


def parsed(dot):
    """Statements of a graph as {name: attributes} and [(tail, head, attributes)]."""
    nodes, edges = {}, []
    token = r'("(?:[^"\\]|\\.)*"|[\w.]+)'
    for head, attributes in re.findall(r"^\t(.*?) \[(.*?)\]$", dot.source, re.MULTILINE | re.DOTALL):
        names = [name.strip('"') for name in re.findall(token, head)]
        values = {key: value.strip('"') for key, value in re.findall(rf"(\w+)={token}", attributes)}
        if len(names) == 1:
            nodes[names[0]] = values
        else:
            edges.append((*names, values))
    return nodes, edges


def test_graph_is_that_of_mxnet():
    pytest.importorskip("graphviz")
    dot = mx.viz.plot_network(
        lenet(), shape={"data": (64, 1, 28, 28)}, dtype={"data": np.float32}, node_attrs={"fixedsize": "false"}
    )
    assert (dot.name, dot.format) == ("plot", "pdf")
    nodes, edges = parsed(dot)
    style = {"fixedsize": "false", "height": "0.8034", "style": "filled", "width": "1.3"}
    appearance = {
        "data": ("data", "#8dd3c7", "oval"),
        "conv1": ("Convolution\n5x5/1, 20", "#fb8072", "box"),
        "tanh1": ("Activation\ntanh", "#ffffb3", "box"),
        "pool1": ("Pooling\nmax, 2x2/2x2", "#80b1d3", "box"),
        "conv2": ("Convolution\n5x5/1, 50", "#fb8072", "box"),
        "tanh2": ("Activation\ntanh", "#ffffb3", "box"),
        "pool2": ("Pooling\nmax, 2x2/2x2", "#80b1d3", "box"),
        "flatten": ("flatten", "#fdb462", "box"),
        "fc1": ("FullyConnected\n500", "#fb8072", "box"),
        "tanh3": ("Activation\ntanh", "#ffffb3", "box"),
        "fc2": ("FullyConnected\n10", "#fb8072", "box"),
        "softmax_label": ("softmax_label", "#8dd3c7", "oval"),
        "softmax": ("softmax", "#fccde5", "box"),
    }
    assert nodes == {
        name: {**style, "label": label, "fillcolor": colour, "shape": shape}
        for name, (label, colour, shape) in appearance.items()
    }
    assert [(tail, head, values["label"]) for tail, head, values in edges] == [
        ("conv1", "data", "1x28x28(float32)"),
        ("tanh1", "conv1", "20x24x24(float32)"),
        ("pool1", "tanh1", "20x24x24(float32)"),
        ("conv2", "pool1", "20x12x12(float32)"),
        ("tanh2", "conv2", "50x8x8(float32)"),
        ("pool2", "tanh2", "50x8x8(float32)"),
        ("flatten", "pool2", "50x4x4(float32)"),
        ("fc1", "flatten", "800(float32)"),
        ("tanh3", "fc1", "500(float32)"),
        ("fc2", "tanh3", "500(float32)"),
        ("softmax", "fc2", "10(float32)"),
        ("softmax", "softmax_label", "(float32)"),
    ]
    assert all((values["dir"], values["arrowtail"]) == ("back", "open") for _, _, values in edges)


def test_graph_of_branches():
    pytest.importorskip("graphviz")
    nodes, edges = parsed(mx.viz.plot_network(branches(), shape=BRANCHES_SHAPES))
    assert nodes["leaky"]["label"] == "LeakyReLU\nleaky"
    assert nodes["cat"]["fillcolor"] == "#fdb462"
    assert ("leaky", "Previous Output", "4x5x5") in [(t, h, v["label"]) for t, h, v in edges]
    assert [(t, h, v["label"]) for t, h, v in edges if t == "cat"] == [("cat", "split", "2x5x5")] * 2
    assert "emb_weight" not in nodes and "emb_weight" not in [head for _, head, _ in edges]


def test_weights_may_be_shown():
    pytest.importorskip("graphviz")
    nodes, edges = parsed(mx.viz.plot_network(mlp(), title="net", save_format="png", hide_weights=False))
    assert "fc1_weight" not in nodes
    assert ("fc1", "fc1_weight", "") in [(t, h, v.get("label", "").strip('"')) for t, h, v in edges]


def test_nodes_of_one_name_are_drawn_apart():
    pytest.importorskip("graphviz")
    with pytest.warns(RuntimeWarning, match="multiple variables with the same name in your graph.*: a$"):
        nodes, edges = parsed(mx.viz.plot_network(mx.sym.Variable("a") + mx.sym.Variable("a")))
    assert len(nodes) == 3
    assert len({head for _, head, _ in edges}) == 2


def test_graph_errors():
    pytest.importorskip("graphviz")
    with pytest.raises(TypeError, match="symbol must be a Symbol"):
        mx.viz.plot_network(3)
    with pytest.raises(ValueError, match="Input shape is incomplete"):
        mx.viz.plot_network(mlp(), shape={})


# ---- the drawing -------------------------------------------------------------------------------------------------


def texts(svg):
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def boxes(svg):
    """(left, top, right, bottom) of every box, by its tooltip's first line."""
    found = {}
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        title, box = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        if title is None or box is None:
            continue
        x, y = (float(v) for v in re.findall(r"[-\d.]+", group.get("transform")))
        found[title.text.split("\n")[0]] = (x, y, x + float(box.get("width")), y + float(box.get("height")))
    return found


def test_drawing_says_what_matters():
    svg = mx.viz.to_svg(lenet(), {"data": (64, 1, 28, 28)})
    written = texts(svg)
    for text in ("Convolution", "conv1", "kernel 5×5 · num_filter 20", "64×20×24×24", "520 params", "act_type tanh",
                 "data", "64×1×28×28", "softmax_label", "400,500 params"):  # fmt: skip
        assert text in written
    assert "conv1_weight" not in svg
    assert "conv1_weight" in texts(mx.viz.to_svg(lenet(), hide_weights=False))


def test_drawing_counts_parameters_without_statistics():
    assert texts(mx.viz.to_svg(resnet(), {"data": (2, 3, 32, 32)})).count("32 params") == 1


def test_drawing_knows_what_follows_without_shapes():
    written = texts(mx.viz.to_svg(branches()))
    assert "Previous Output" in written and "LeakyReLU" in written
    assert not any("×" in text for text in written)
    assert "2 of 2×2×5×5" in texts(mx.viz.to_svg(branches(), BRANCHES_SHAPES))
    partly = mx.sym.Variable("x", shape=(0, 3, 8)) + 1
    assert "?×3×8" in texts(mx.viz.to_svg(partly))


def test_a_symbol_shows_itself_in_a_notebook():
    net = mlp()
    assert net._repr_svg_() == mx.viz.to_svg(net)
    assert ElementTree.fromstring(net._repr_svg_()).get("aria-label") == "softmax"
    assert ElementTree.fromstring(mx.viz.to_svg(net, title="a < b")).get("aria-label") == "a < b"


@pytest.mark.parametrize("name", ["<&>\"'", "x" * 500, "名前" * 100, "a\x00\x1b\n\ufffeb", "", "]]>"])
def test_any_name_can_be_drawn(name):
    net = mx.sym.Activation(mx.sym.Variable(name or "v"), act_type="relu", name=name or None)
    svg = mx.viz.to_svg(net)
    assert max(right - left for left, _, right, _ in boxes(svg).values()) <= 301
    if len(name) < 20 and name.isprintable():
        assert not name or texts(svg).count(name) == 2


@pytest.mark.parametrize("net", [lenet, resnet, branches])
def test_boxes_stay_apart_and_inside(net):
    svg = mx.viz.to_svg(net(), hide_weights=False)
    root = ElementTree.fromstring(svg)
    found = list(boxes(svg).values())
    assert len(found) == sum(1 for _ in mx.sym.Group(list(net())).get_internals().list_outputs()) - (net is branches)
    for a, b in itertools.combinations(found, 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]
    assert min(left for left, *_ in found) >= 0
    assert max(right for _, _, right, _ in found) <= float(root.get("width"))
    assert max(bottom for *_, bottom in found) <= float(root.get("height"))


def test_deep_and_wide_graphs_are_drawn():
    assert len(boxes(mx.viz.to_svg(chain(3_000)))) == 3_001
    data = mx.sym.Variable("data")
    assert mx.viz.to_svg(mx.sym.add_n(*[data + i for i in range(2_000)])).count("<rect") == 2_003


# ---- where boxes go ----------------------------------------------------------------------------------------------


def random_graph(seed, count=40):
    rng = random.Random(seed)
    edges = [(rng.randrange(max(0, i - 9), i), i) for i in range(1, count) for _ in range(rng.randrange(3))]
    return [(rng.uniform(20, 90), rng.uniform(10, 40)) for _ in range(count)], edges


@pytest.mark.parametrize("seed", range(20))
def test_layout_keeps_its_promises(seed):
    sizes, edges = random_graph(seed)
    layout = layered_layout(sizes, edges, column_gap=10, layer_gap=15)
    placed = layout.places[: len(sizes)]
    assert [place.node for place in placed] == list(range(len(sizes)))
    for source, target in edges:
        upper, lower = placed[source], placed[target]
        assert upper.y + upper.height / 2 + 15 <= lower.y - lower.height / 2 + 1e-9
    for a, b in itertools.combinations(layout.places, 2):
        if a.layer == b.layer:
            assert abs(a.x - b.x) >= (a.width + b.width) / 2 + 10 - 1e-6
    # Every edge can be followed, from layer to layer, and leads nowhere else.
    for source in range(len(sizes)):
        reached, ways = set(), list(placed[source].below)
        while ways:
            place = layout.places[ways.pop()]
            if place.node is None:
                assert len(place.above) == 1 and place.below
                ways += place.below
            else:
                reached.add(place.node)
        assert reached == {target for s, target in edges if s == source}


def test_a_chain_is_straight_beside_a_shortcut():
    edges = [(i, i + 1) for i in range(6)] + [(1, 5)]
    layout = layered_layout([(60 + 5 * i, 20) for i in range(7)], edges)
    xs = [place.x for place in layout.places]
    assert max(xs[:7]) - min(xs[:7]) < 1e-9
    assert max(xs[7:]) - min(xs[7:]) < 1e-9 and len(xs) == 10


def test_crossings_that_can_be_avoided_are():
    # Two chains side by side, with nodes numbered so that their first order crosses in every layer.
    edges = [(0, 3), (1, 2), (2, 4), (3, 5), (4, 7), (5, 6)]
    places = layered_layout([(10, 10)] * 8, edges).places
    left = places[0].x < places[1].x
    assert (places[3].x < places[2].x) == (places[5].x < places[4].x) == (places[6].x < places[7].x) == left


@pytest.mark.parametrize("seed", range(30))
def test_monotone_sequence_is_the_closest(seed):
    rng = random.Random(seed)
    values = [rng.randrange(6) for _ in range(6)]
    weights = [rng.randrange(1, 4) for _ in range(6)]

    def cost(xs):
        return sum(w * abs(x - v) for x, v, w in zip(xs, values, weights))

    least = min(map(cost, itertools.combinations_with_replacement(range(6), 6)))
    found = _monotone(values, weights)
    assert found == sorted(found)
    assert cost(found) == least


def test_nothing_to_place():
    assert layered_layout([], []).places == []
