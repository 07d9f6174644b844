"""Matrix products, indexing, sorting, linear algebra, attention."""

from __future__ import annotations

import numpy as np

from .case import Case, case, exactly, first_of_each, integers, retyped, spread


def _products() -> list[Case]:
    cases = []
    for op, batch in [("dot", ()), ("batch_dot", (3,))]:
        for a, b in [(False, False), (True, False), (False, True), (True, True)]:
            left = (*batch, 4, 2) if a else (*batch, 2, 4)
            right = (*batch, 3, 4) if b else (*batch, 4, 3)
            flags = ({"transpose_a": a} if a else {}) | ({"transpose_b": b} if b else {})
            cases.append(case(op, {"lhs": spread(*left), "rhs": spread(*right)}, **flags))
    for left, right, flags in [
        ((4,), (4,), {}),
        ((2, 4), (4,), {}),
        ((4,), (4, 3), {}),
        ((2, 3, 4), (4, 5), {}),
        ((2, 4), (4, 3, 2), {}),
        ((2, 3, 4), (4, 3, 2), {}),
        ((4, 2, 3), (4, 5), {"transpose_a": True}),
        ((2, 4), (3, 2, 4), {"transpose_b": True}),
        ((1, 1), (1, 1), {}),
    ]:
        cases.append(case("dot", {"lhs": spread(*left), "rhs": spread(*right)}, **flags))
    cases += [
        case("batch_dot", {"lhs": spread(1, 2, 3), "rhs": spread(1, 3, 1)}),
        case("khatri_rao", {"a": spread(2, 3), "b": spread(4, 3)}, wrt=()),
        case("khatri_rao", {"a": spread(2, 3), "b": spread(1, 3), "c": spread(3, 3)}, wrt=()),
    ]
    for heads in (1, 2):
        joint, context = spread(5, 2, 3 * 4), spread(6, 2, 2 * 4)
        contrib = "contrib.interleaved_matmul"
        cases += [
            case(f"{contrib}_selfatt_qk", {"queries_keys_values": joint}, heads=heads),
            case(
                f"{contrib}_selfatt_valatt",
                {"queries_keys_values": joint, "attention": spread(2 * heads, 5, 5)},
                heads=heads,
            ),
            case(f"{contrib}_encdec_qk", {"queries": spread(5, 2, 4), "keys_values": context}, heads=heads),
            case(
                f"{contrib}_encdec_valatt",
                {"keys_values": context, "attention": spread(2 * heads, 5, 6)},
                heads=heads,
            ),
        ]
    cases += [retyped(entry, "float64") for entry in first_of_each(cases) if "." not in entry.op]
    return cases


POINTS = exactly([[0, 1, 1, 0], [2, 0, 1, 2]])


def _indexing() -> list[Case]:
    cases = []
    outside = exactly([[0, 3], [-1, 7], [2, -5]])
    for mode in ("clip", "wrap"):
        for axis in (0, 1, -1):
            cases.append(case("take", {"a": spread(4, 3), "indices": outside}, axis=axis, mode=mode))
    cases += [
        case("take", {"a": spread(4, 3), "indices": exactly([1, 3, 1])}),
        case("take", {"a": spread(4, 3), "indices": exactly([1, 3, 0], "int32")}),
        case("take", {"a": spread(2, 3, 4), "indices": exactly([[1, 2], [0, 1]])}, axis=1),
        case("take", {"a": spread(5), "indices": exactly([4, 0, 0])}),
        case("take", {"a": spread(4, 3), "indices": exactly([1, 3])}, mode="raise"),
        case("take", {"a": spread(4, 3), "indices": exactly([1.7, 2.2])}, note="fractions"),
        case("batch_take", {"a": spread(4, 3), "indices": exactly([2, -1, 1, 7], "int32")}, wrt=()),
        case("batch_take", {"a": spread(2, 3), "indices": exactly([0, 2], "int32")}, wrt=()),
        case("pick", {"data": spread(3, 4), "index": exactly([1, 0, 3])}),
        case("pick", {"data": spread(3, 4), "index": exactly([1, 0, 3])}, axis=1, keepdims=True),
        case("pick", {"data": spread(3, 4), "index": exactly([1, 0, 2, 1])}, axis=0),
        case("pick", {"data": spread(3, 4), "index": exactly([[1], [0], [2]])}, axis=1, keepdims=True),
        case("pick", {"data": spread(2, 3, 4), "index": integers(0, 3, 2, 4)}, axis=1),
        case("pick", {"data": spread(3, 4), "index": exactly([-1, 9, 3])}, note="outside"),
        case("pick", {"data": spread(3, 4), "index": exactly([-1, 9, 3])}, mode="wrap", note="outside"),
        case("pick", {"data": spread(3, 4), "index": exactly([-1, 2, 3], "int32")}),
        case("choose_element_0index", {"data": spread(3, 4), "index": exactly([1, 0, 3])}),
        case("gather_nd", {"data": spread(2, 3), "indices": POINTS}),
        case("gather_nd", {"data": spread(2, 3, 4), "indices": POINTS}),
        case("gather_nd", {"data": spread(2, 3), "indices": exactly([[1, 0, 1]])}),
        case("gather_nd", {"data": spread(2, 3), "indices": exactly([[1, 0], [2, 2]], "int32")}),
        case("gather_nd", {"data": spread(3, 2), "indices": exactly([[[0, 1], [2, 2]]])}),
        case("scatter_nd", {"data": spread(3), "indices": exactly([[0, 1, 1], [2, 0, 1]])}, shape=(2, 3)),
        case("scatter_nd", {"data": spread(2, 4), "indices": exactly([[2, 0]])}, shape=(3, 4)),
        case("one_hot", {"indices": exactly([0, 2, 1, 3])}, depth=3),
        case("one_hot", {"indices": exactly([[0, -1], [2, 1]])}, depth=3, on_value=2.0, off_value=-1.0),
        case("one_hot", {"indices": exactly([1, 0], "int32")}, depth=2, dtype="int32"),
        case("one_hot", {"indices": exactly([1, 0])}, depth=2, dtype="float64"),
        case("_ravel_multi_index", exactly([[1, 0, 1], [2, 1, 0]]), shape=(2, 3)),
        case("_ravel_multi_index", exactly([[1, 0], [2, 1], [3, 0]]), shape=(2, 3, 4)),
        case("_unravel_index", exactly([5, 1, 3]), shape=(2, 3)),
        case("_unravel_index", exactly([23, 7, 0, 12]), shape=(2, 3, 4)),
        case("_histogram", {"data": spread(20), "bins": exactly([-2, -1, 0, 0.5, 2])}, wrt=()),
        case("_histogram", spread(20), bin_cnt=5, range=(-1.5, 1), wrt=()),
        case("contrib.index_copy",
             {"old_tensor": spread(4, 2), "index_vector": exactly([2, 0], "int32"), "new_tensor": spread(2, 2)}),
        case("contrib.index_copy",
             {"old_tensor": spread(3, 2, 2), "index_vector": exactly([1], "int64"), "new_tensor": spread(1, 2, 2)}),
        case("contrib.boolean_mask", {"data": spread(4, 2), "index": exactly([1, 0, 1, 1])}),
        case("contrib.boolean_mask", {"data": spread(3), "index": exactly([1, 0, 1], "int32")}, axis=0),
        case("contrib.index_array", spread(2, 3), wrt=()),
        case("contrib.index_array", spread(2, 3, 2), axes=(1, 0), wrt=()),
        case("contrib.arange_like", spread(2, 3), wrt=()),
        case("contrib.arange_like", spread(2, 3), axis=1, start=1.0, step=0.5, wrt=()),
        case("contrib.arange_like", spread(2, 6), axis=-1, repeat=2, wrt=()),
        case("contrib.allclose", {"a": exactly([1, 2]), "b": exactly([1, 2.5])}, wrt=()),
    ]  # fmt: skip
    cases += [
        retyped(entry, dtype, only=[next(iter(entry.inputs))])
        for entry in first_of_each(cases)
        for dtype in ("float64", "float16")
        if entry.op in ("take", "batch_take", "pick", "gather_nd", "scatter_nd")
    ]
    return cases


TIES = exactly([[1, 3, 3, 2], [2, 2, 1, 2]])


def _sorting() -> list[Case]:
    cases = []
    for kind in ("indices", "value", "mask", "both"):
        for params in [
            {},
            {"k": 2},
            {"k": 2, "is_ascend": True},
            {"k": 2, "axis": 0},
            {"k": 0, "axis": 1},
        ]:
            cases.append(case("topk", spread(2, 3, 4) if params.get("axis") else spread(3, 4), ret_typ=kind, **params))
    cases += [
        case("topk", spread(3, 4)),
        case("topk", spread(2, 4), axis=None, k=3),
        case("topk", spread(2, 4), axis=None, k=3, ret_typ="value"),
        case("topk", spread(3, 4), k=2, dtype="int32"),
        case("topk", spread(3, 4), k=2, ret_typ="both", dtype="int64"),
        case("topk", TIES, k=3, ret_typ="both", note="ties"),
        case("topk", TIES, k=3, ret_typ="both", is_ascend=True, note="ties"),
        case("topk", spread(3, 4, dtype="float64"), k=2, ret_typ="both"),
        case("topk", exactly([[3, 1, 2]], "int32"), k=2, ret_typ="both"),
    ]
    for op in ("sort", "argsort"):
        cases += [
            case(op, spread(3, 4), wrt=()),
            case(op, spread(3, 4), is_ascend=False, wrt=()),
            case(op, spread(3, 4), is_ascend=False, axis=-1),
            case(op, spread(2, 3, 4), axis=2),
            case(op, spread(3, 4), axis=0),
            case(op, spread(2, 3, 2), axis=1),
            case(op, spread(2, 4), axis=None),
            case(op, TIES, axis=1, note="ties"),
            case(op, TIES, axis=1, is_ascend=False, note="ties"),
            case(op, spread(3, 4, dtype="float64"), axis=1),
            case(op, exactly([[3, 1, 2]], "int32")),
        ]
    cases.append(case("argsort", spread(3, 4), dtype="int32"))
    return cases


def _positive_definite(random: np.random.RandomState) -> np.ndarray:
    half = random.randint(-4, 5, size=(2, 3, 3)) / 4
    return (half @ half.transpose(0, 2, 1) + 2 * np.eye(3)).astype("float32")


def _triangular(random: np.random.RandomState) -> np.ndarray:
    return (np.tril(random.randint(1, 5, size=(2, 3, 3)) / 4) + np.eye(3)).astype("float32")


def _linalg() -> list[Case]:
    cases = []
    for a, b in [(False, False), (True, False), (False, True)]:
        left = (2, 4, 3) if a else (2, 3, 4)
        right = (2, 5, 4) if b else (2, 4, 5)
        flags = {"transpose_a": a, "transpose_b": b}
        pair = {"A": spread(*left), "B": spread(*right)}
        cases.append(case("linalg.gemm2", pair, **flags, alpha=0.5))
        cases.append(case("linalg.gemm", pair | {"C": spread(2, 3, 5)}, **flags, alpha=2.0, beta=-0.5))
    for op in ("linalg.trmm", "linalg.trsm"):
        for transpose in (False, True):
            for right in (False, True):
                operand = spread(2, 4, 3) if right else spread(2, 3, 4)
                cases.append(
                    case(op, {"A": _triangular, "B": operand}, transpose=transpose, rightside=right, alpha=0.5)
                )
    cases += [
        case("linalg.gemm2", {"A": spread(3, 4), "B": spread(4, 2)}),
        case("linalg.potrf", {"A": _positive_definite}),
        case("linalg.potri", {"A": _triangular}),
        case("linalg.syrk", {"A": spread(2, 3, 4)}),
        case("linalg.syrk", {"A": spread(3, 4)}, transpose=True, alpha=2.0),
        case("linalg.sumlogdiag", {"A": _triangular}),
        case("linalg.extractdiag", {"A": spread(2, 3, 3)}),
        case("linalg.extractdiag", {"A": spread(2, 3, 3)}, offset=1),
        case("linalg.makediag", {"A": spread(2, 3)}),
        case("linalg.makediag", {"A": spread(2, 2)}, offset=-1),
        case("linalg.extracttrian", {"A": spread(2, 3, 3)}),
        case("linalg.maketrian", {"A": spread(2, 6)}),
        case("linalg.inverse", {"A": _positive_definite}),
        case("linalg.det", {"A": _positive_definite}),
        case("linalg.slogdet", {"A": _positive_definite}),
    ]
    cases += [retyped(entry, "float64") for entry in first_of_each(cases)]
    return cases


FAMILIES = {"products": _products(), "indexing": _indexing(), "sorting": _sorting(), "linalg": _linalg()}
