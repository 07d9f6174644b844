"""Losses: operators whose gradient does not ask for a head gradient, and a few that do."""

from __future__ import annotations

from itertools import product

from .case import Case, case, exactly, integers, layer, retyped, spread


def _softmax_output() -> list[Case]:
    def loss(data, label, **options) -> Case:
        return layer("SoftmaxOutput", {"data": data, "label": label}, **options)

    layouts = [
        ({}, spread(4, 3), exactly([0, 2, 1, 2])),
        ({"multi_output": True}, spread(2, 3, 4), exactly([[0, 2, 1, 2], [2, 2, 0, 1]])),
        ({"preserve_shape": True}, spread(2, 2, 3), exactly([[0, 2], [2, 1]])),
    ]
    cases = []
    for normalization, ignores, smooth, (layout, data, label) in product(
        ("null", "batch", "valid"), (False, True), (0.0, 0.1), layouts
    ):
        options = dict(layout)
        options |= {} if normalization == "null" else {"normalization": normalization}
        options |= {"use_ignore": True, "ignore_label": 2} if ignores else {}
        options |= {"smooth_alpha": smooth} if smooth else {}
        cases.append(loss(data, label, **options))
    labels = exactly([0, 2, 1, 2])
    cases += [
        loss(spread(4, 3), labels, grad_scale=0.5),
        loss(spread(4, 3), labels, grad_scale=0.5, normalization="batch", use_ignore=True, ignore_label=0),
        # MXNet multiplies the gradient by the output, not by the head gradient as its documentation says.
        loss(spread(4, 3), labels, out_grad=True),
        loss(spread(4, 3), exactly([-1, 2, -1, 2]), use_ignore=True),
        loss(spread(4, 3), exactly([-1, -1, -1, -1]), use_ignore=True, normalization="valid"),
        loss(spread(4, 3), labels, is_train=False),
        loss(spread(2, 3, 2), integers(0, 2, 2, 3)),
        loss(spread(2, 3, 2, 2), integers(0, 3, 2, 2, 2), multi_output=True),
        loss(spread(2, 3, 2, 2), integers(0, 3, 2, 4), multi_output=True, note="flat label"),
        loss(spread(2, 3, 2, 2), integers(0, 3, 2, 2, 2), multi_output=True, normalization="batch"),
        loss(spread(4, 3), spread(4, 3, low=0, high=1), note="probabilities"),
        loss(spread(4, 3), spread(4, 3, low=0, high=1), grad_scale=0.5, normalization="batch", note="probabilities"),
        loss(exactly([[1000, 999, -1000]]), exactly([1]), note="large"),
        retyped(loss(spread(4, 3), labels), "float64"),
        retyped(loss(spread(4, 3), labels), "float16"),
        layer("Softmax", {"data": spread(4, 3), "label": labels}),
        case("SoftmaxOutput", {"data": spread(4, 3), "label": labels}),
    ]
    return cases


def _losses() -> list[Case]:
    cases = []
    for op in ("LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput"):
        for shape, label in [((4, 3), (4, 3)), ((4, 1), (4,)), ((4, 1), (4, 1)), ((4,), (4,)), ((2, 3, 2), (2, 3, 2))]:
            cases.append(layer(op, {"data": spread(*shape), "label": spread(*label, low=0, high=1)}))
        pair = {"data": spread(4, 3), "label": spread(4, 3, low=0, high=1)}
        cases += [
            layer(op, pair, grad_scale=0.25),
            layer(op, pair, is_train=False),
            retyped(layer(op, pair), "float64"),
        ]
        cases.append(layer(op, {"data": exactly([[1, 0], [0, 2]]), "label": exactly([[1, 0], [1, 2]])}, note="equal"))
    margins = {"data": spread(4, 3), "label": exactly([0, 2, 1, 2])}
    cases += [
        layer("SVMOutput", margins),
        layer("SVMOutput", margins, use_linear=True),
        layer("SVMOutput", margins, margin=0.5, regularization_coefficient=2.0),
    ]
    values = exactly([[-1, 0, 0.5], [2, 0.1, -0.2]])
    for normalization in ("null", "batch", "valid"):
        for scale in (1.0, 0.5):
            cases.append(case("MakeLoss", values, normalization=normalization, grad_scale=scale))
    cases += [
        case("MakeLoss", values, normalization="valid", valid_thresh=0.3),
        case("MakeLoss", exactly([[-1, -2]]), normalization="valid"),
        case("MakeLoss", spread(5)),
        retyped(case("MakeLoss", values), "float64"),
        case("make_loss", values),
        case("softmax_cross_entropy", {"data": spread(4, 3), "label": exactly([0, 2, 1, 2])}, wrt=("data",)),
        case("softmax_cross_entropy", {"data": spread(2, 5), "label": exactly([4, 0])}, wrt=("data",)),
        *(
            layer(
                "IdentityAttachKLSparseReg",
                {"data": spread(4, 3, low=0.1, high=0.9), "moving_avg": spread(3, low=0.1, high=0.5)},
                **options,
            )
            for options in ({"sparseness_target": 0.2, "penalty": 0.01}, {"momentum": 0.5})
        ),
    ]
    frames, words = spread(5, 2, 4), exactly([[1, 2], [3, 0]])
    cases += [
        case("CTCLoss", {"data": frames, "label": words}),
        case("CTCLoss", {"data": frames, "label": exactly([[0, 1], [2, -1]])}, blank_label="last"),
        case("ctc_loss", {"data": frames, "label": words}),
        case(
            "CTCLoss",
            {"data": frames, "label": words, "data_lengths": exactly([4, 5]), "label_lengths": exactly([2, 1])},
            use_data_lengths=True,
            use_label_lengths=True,
        ),
        case("CTCLoss", {"data": frames, "label": words, "data_lengths": exactly([4, 5])}, use_data_lengths=True),
    ]
    return cases


FAMILIES = {"softmax_output": _softmax_output(), "losses": _losses()}
