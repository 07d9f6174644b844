"""Operators that move numbers without changing them: reshaping, slicing, joining, repeating, padding."""

from __future__ import annotations

from .case import Case, case, exactly, first_of_each, integers, retyped, spread


def _reshape() -> list[Case]:
    cases = [
        case("Reshape", spread(*shape), shape=target, **reverse)
        for shape, target, reverse in [
            ((2, 3, 4), (4, 6), {}),
            ((2, 3, 4), (4, -1), {}),
            ((2, 3, 4), (-1,), {}),
            ((2, 3, 4), (0, -1), {}),
            ((2, 3, 4), (4, 0, 2), {}),
            ((2, 3, 4), (0, 0, 0), {}),
            ((2, 3, 4), (6, 1, -1), {}),
            ((2, 3, 4), (3, -1, 8), {}),
            ((2, 3, 4), (-2,), {}),
            ((2, 3, 4), (2, -2), {}),
            ((2, 3, 4), (-2, 1, 1), {}),
            ((2, 3, 4), (-3, 4), {}),
            ((2, 3, 4), (0, -3), {}),
            ((2, 3, 4, 5), (-3, -3), {}),
            ((2, 3, 4), (-3, -2), {}),
            ((2, 3, 4), (-4, 1, 2, -2), {}),
            ((2, 3, 4), (2, -4, -1, 3, -2), {}),
            ((2, 3, 4), (0, 0, -4, 2, -1), {}),
            ((5, 3, 2), (-1, 0), {"reverse": False}),
            ((5, 3, 2), (-1, 0), {"reverse": True}),
            ((4, 3, 2, 2), (-4, -1, 2, 0, -3), {}),
            ((4, 3, 2, 2), (-4, -1, 2, 0, -2), {}),
            ((3, 3, 8, 4), (-3, 0, 0), {"reverse": True}),
            ((3, 4, 8), (0, 0, 4, 2, -4), {"reverse": True}),
            ((3, 4, 8), (-2, 0), {"reverse": True}),
            ((2, 3, 4), (-1, 4), {"reverse": True}),
            ((6,), (2, 3), {}),
        ]
    ]
    cases += [
        case("reshape", spread(2, 6), shape=(4, 3)),
        case("Reshape", spread(2, 6), target_shape=(3, 4)),
        case("Reshape", spread(2, 6), target_shape=(2, 0)),
        case("Reshape", spread(2, 3, 2), target_shape=(0, 0), keep_highest=True),
        case("Flatten", spread(2, 3)),
        case("Flatten", spread(2, 3, 2, 2)),
        case("Flatten", spread(4)),
        case("flatten", spread(2, 3, 4)),
        case("reshape_like", {"lhs": spread(2, 6), "rhs": spread(3, 4)}),
        case(
            "reshape_like", {"lhs": spread(6, 2), "rhs": spread(3, 2, 4)},
            lhs_begin=0, lhs_end=1, rhs_begin=0, rhs_end=2,
        ),
        case("expand_dims", spread(2, 3), axis=0),
        case("expand_dims", spread(2, 3), axis=1),
        case("expand_dims", spread(2, 3), axis=2),
        case("expand_dims", spread(2, 3), axis=-1),
        case("expand_dims", spread(2, 3), axis=-3),
        case("squeeze", spread(1, 2, 1, 3)),
        case("squeeze", spread(1, 2, 1, 3), axis=0),
        case("squeeze", spread(1, 2, 1, 3), axis=-2),
        case("squeeze", spread(1, 2, 1, 3), axis=(0, 2)),
        case("squeeze", spread(1, 1)),
    ]  # fmt: skip
    for axes in [None, (1, 0, 2), (2, 1, 0), (0, 2, 1), (2, 0, 1)]:
        cases.append(case("transpose", spread(2, 3, 4), **({} if axes is None else {"axes": axes})))
    cases += [
        case("transpose", spread(2, 3)),
        case("transpose", spread(2, 1, 3, 2), axes=(0, 2, 3, 1)),
        case("transpose", spread(2, 1, 3, 2, 2), axes=(4, 0, 2, 3, 1)),
        case("SwapAxis", spread(2, 3, 4), dim1=0, dim2=2),
        case("SwapAxis", spread(2, 3, 4, 2), dim1=1, dim2=3),
        case("SwapAxis", spread(2, 3, 4), dim1=-1, dim2=-2),
        case("swapaxes", spread(2, 3), dim1=0, dim2=1),
        case("depth_to_space", spread(1, 8, 2, 3), block_size=2),
        case("depth_to_space", spread(2, 9, 1, 2), block_size=3),
        case("space_to_depth", spread(1, 2, 4, 6), block_size=2),
        case("space_to_depth", spread(2, 1, 3, 6), block_size=3),
    ]
    cases += [case("diag", spread(4))]
    cases += [case("diag", spread(3), k=k) for k in (1, -2)]
    cases += [case("diag", spread(3, 4), k=k) for k in (0, 1, -1, 2)]
    cases += [
        case("diag", spread(2, 3, 4), axis1=1, axis2=2),
        case("diag", spread(2, 3, 4), axis1=-1, axis2=0, k=1),
    ]
    cases += [retyped(entry, dtype) for entry in first_of_each(cases) for dtype in ("float64", "float16", "int32")]
    return cases


def _slices() -> list[Case]:
    cases = [
        case("slice", spread(*shape), begin=begin, end=end, **step)
        for shape, begin, end, step in [
            ((4, 5), (1, 2), (3, 5), {}),
            ((4, 5), (1,), (3,), {}),
            ((4, 5), (None, 1), (None, 3), {}),
            ((4, 5), (1, None), (None, 4), {}),
            ((4, 5), (-3, -4), (-1, -1), {}),
            ((4, 5), (0, 1), (4, 5), {"step": (2, 3)}),
            ((4, 5), (3, 4), (0, 1), {"step": (-1, -2)}),
            ((4, 5), (None, None), (None, None), {"step": (-1, 2)}),
            ((4, 5), (0, 0), (10, 3), {}),
            ((4, 5), (1, 2), (3, 5), {"step": (None, 2)}),
            ((3, 4, 5), (0, 1, 2), (2, 3, 4), {}),
            ((7,), (1,), (6,), {"step": (2,)}),
        ]
    ]
    cases.append(case("crop", spread(4, 5), begin=(1, 2), end=(3, 5)))
    for axis, begin, end in [(0, 1, 3), (1, 1, None), (1, -3, -1), (-1, 0, 2), (1, -2, None), (0, 0, 4), (1, 2, 10)]:
        if end != 10:
            cases.append(case("slice_axis", spread(4, 5), axis=axis, begin=begin, end=end))
    cases += [
        case("slice_axis", spread(2, 3, 4), axis=2, begin=1, end=3),
        case("slice_like", {"data": spread(4, 5), "shape_like": spread(2, 3)}),
        case("slice_like", {"data": spread(4, 5), "shape_like": spread(2, 3)}, axes=(0,)),
        case("slice_like", {"data": spread(4, 5), "shape_like": spread(2, 3)}, axes=(-1,)),
        case("slice_like", {"data": spread(2, 4, 5), "shape_like": spread(2, 3)}, axes=(0, 1)),
        case("SliceChannel", spread(2, 6), num_outputs=3),
        case("SliceChannel", spread(2, 3), num_outputs=3, squeeze_axis=True),
        case("SliceChannel", spread(2, 3, 4), num_outputs=2, axis=2),
        case("SliceChannel", spread(2, 3, 4), num_outputs=2, axis=0, squeeze_axis=1),
        case("SliceChannel", spread(2, 3, 4), num_outputs=2, axis=-1),
        case("SliceChannel", spread(2, 3), num_outputs=1),
        case("split", spread(4, 2), num_outputs=2, axis=0),
        case("split_v2", spread(6, 2), indices_or_sections=3),
        case("split_v2", spread(6, 2), indices_or_sections=(1, 4)),
        case("split_v2", spread(2, 6), indices_or_sections=(2,), axis=1),
        case("split_v2", spread(2, 3), indices_or_sections=3, axis=1, squeeze_axis=True),
        case("Crop", {"arg0": spread(1, 2, 6, 7)}, h_w=(3, 4), offset=(1, 2), num_args=1),
        case("Crop", {"arg0": spread(1, 2, 6, 7)}, h_w=(4, 3), center_crop=True, num_args=1),
        case("Crop", {"arg0": spread(1, 2, 6, 7), "arg1": spread(1, 1, 4, 4)}, offset=(2, 1)),
        case("Crop", {"arg0": spread(1, 2, 6, 7), "arg1": spread(1, 1, 4, 4)}, center_crop=True),
        case(
            "_slice_assign", {"lhs": spread(4, 5), "rhs": spread(2, 3)},
            begin=(1, 2), end=(3, 5), wrt=(),
        ),
        case("_slice_assign_scalar", spread(4, 5), scalar=7.5, begin=(1, None), end=(3, 4), wrt=()),
    ]  # fmt: skip
    cases += [
        retyped(entry, dtype) for entry in first_of_each(cases) for dtype in ("float64", "int32") if entry.op != "Crop"
    ]
    return cases


def _joins() -> list[Case]:
    def several(op: str, *shapes: tuple[int, ...], **params) -> Case:
        return case(op, {f"arg{i}": spread(*shape) for i, shape in enumerate(shapes)}, **params)

    cases = [
        several("Concat", (2, 3), (2, 1)),
        several("Concat", (2, 3), (1, 3), (4, 3), dim=0),
        several("Concat", (2, 3, 2), (2, 3, 4), dim=-1),
        several("Concat", (1, 2, 3, 2), (1, 4, 3, 2), (1, 1, 3, 2), dim=1),
        several("Concat", (2, 3)),
        several("Concat", (2,), (3,), dim=0),
        several("concat", (2, 3), (2, 3), dim=1),
        several("stack", (2, 3), (2, 3)),
        several("stack", (2, 3), (2, 3), (2, 3), axis=1),
        several("stack", (2, 3), (2, 3), axis=-1),
        several("stack", (2, 3)),
        several("_rnn_param_concat", (6,), (4,), dim=0),
        case("tile", spread(2, 3), reps=(2,)),
        case("tile", spread(2, 3), reps=(2, 2)),
        case("tile", spread(2, 3), reps=(2, 1, 3)),
        case("tile", spread(2, 3), reps=(1, 1)),
        case("tile", spread(3), reps=(2, 2)),
        case("tile", spread(2, 1, 3), reps=(2,)),
        case("repeat", spread(2, 3), repeats=2),
        case("repeat", spread(2, 3), repeats=2, axis=0),
        case("repeat", spread(2, 3), repeats=3, axis=1),
        case("repeat", spread(2, 3), repeats=2, axis=-1),
        case("reverse", spread(2, 3), axis=0),
        case("reverse", spread(2, 3), axis=(0, 1)),
        case("reverse", spread(2, 3, 4), axis=(2, 0)),
        case("flip", spread(2, 3), axis=1),
        case("broadcast_to", spread(1, 3), shape=(2, 3)),
        case("broadcast_to", spread(2, 1, 3), shape=(2, 4, 0)),
        case("broadcast_to", spread(1, 1), shape=(3, 2)),
        case("broadcast_axis", spread(1, 3), axis=0, size=2),
        case("broadcast_axis", spread(1, 2, 1), axis=(0, 2), size=(3, 2)),
        case("broadcast_axes", spread(2, 1), axis=(1,), size=(3,)),
        case("broadcast_like", {"lhs": spread(1, 3), "rhs": spread(2, 3)}),
        case("broadcast_like", {"lhs": spread(2, 1, 3), "rhs": spread(4, 5)}, lhs_axes=(1,), rhs_axes=(-1,)),
        case("where", {"condition": integers(0, 2, 2, 3), "x": spread(2, 3), "y": spread(2, 3)}),
        case("where", {"condition": exactly([1, 0, -1]), "x": spread(3, 2), "y": spread(3, 2)}),
        case("where", {"condition": exactly([1, 0], "int32"), "x": spread(2, 2), "y": spread(2, 2)}),
    ]
    for mode in ("constant", "edge", "reflect"):
        value = {"constant_value": 1.5} if mode == "constant" else {}
        cases.append(case("Pad", spread(1, 2, 3, 3), mode=mode, pad_width=(0, 0, 0, 0, 1, 2, 2, 1), **value))
        cases.append(case("Pad", spread(1, 1, 2, 3, 3), mode=mode, pad_width=(0, 0, 0, 0, 1, 1, 0, 2, 2, 0), **value))
    cases.append(case("pad", spread(1, 1, 2, 2), mode="constant", pad_width=(0, 0, 0, 0, 1, 1, 1, 1)))
    cases += [retyped(entry, dtype) for entry in first_of_each(cases) for dtype in ("float64", "float16")]
    cases += [retyped(entry, "int32") for entry in first_of_each(cases) if entry.op not in ("Pad", "pad", "where")]
    return cases


FAMILIES = {"reshape": _reshape(), "slices": _slices(), "joins": _joins()}
