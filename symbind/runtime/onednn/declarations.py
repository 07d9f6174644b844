"""The C interface of oneDNN 3.x as cffi needs it: only the functions, arguments and enumerators used here.

There is no compiler at run time, hence no check that these declarations fit the library. They state the facts
of oneDNN 3.2's public header; oneDNN keeps this interface for every 3.x, which is why :mod:`.library` refuses
any other major version. Enumerations are passed as plain integers, as C does; their names live in Python.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

__all__ = [
    "PROTOTYPES",
    "Algorithm",
    "Arg",
    "DataType",
    "Direction",
    "FormatKind",
    "NormalizationFlag",
    "PropagationKind",
    "Query",
    "Status",
]

PROTOTYPES = """
typedef struct dnnl_engine *engine_t;
typedef struct dnnl_stream *stream_t;
typedef struct dnnl_memory *memory_t;
typedef struct dnnl_memory_desc *md_t;
typedef struct dnnl_primitive *primitive_t;
typedef struct dnnl_primitive_desc *pd_t;
typedef struct dnnl_primitive_attr *attr_t;
typedef struct dnnl_post_ops *post_ops_t;
typedef const int64_t *dims_t;
typedef struct { int arg; memory_t memory; } dnnl_exec_arg_t;
typedef struct {
    int major; int minor; int patch; const char *hash; unsigned cpu_runtime; unsigned gpu_runtime;
} dnnl_version_t;

const dnnl_version_t *dnnl_version(void);
int dnnl_get_effective_cpu_isa(void);
int dnnl_engine_create(engine_t *, int kind, size_t index);
int dnnl_engine_destroy(engine_t);
int dnnl_stream_create(stream_t *, engine_t, unsigned flags);
int dnnl_stream_destroy(stream_t);

int dnnl_memory_desc_create_with_strides(md_t *, int ndims, dims_t dims, int data_type, dims_t strides);
int dnnl_memory_desc_create_with_tag(md_t *, int ndims, dims_t dims, int data_type, int tag);
int dnnl_memory_desc_create_submemory(md_t *, md_t parent, dims_t dims, dims_t offsets);
int dnnl_memory_desc_reshape(md_t *, md_t, int ndims, dims_t dims);
int dnnl_memory_desc_permute_axes(md_t *, md_t, const int *permutation);
int dnnl_memory_desc_clone(md_t *, md_t);
int dnnl_memory_desc_destroy(md_t);
int dnnl_memory_desc_query(md_t, int what, void *result);
int dnnl_memory_desc_equal(md_t, md_t);
size_t dnnl_memory_desc_get_size(md_t);
int dnnl_memory_create(memory_t *, md_t, engine_t, void *handle);
int dnnl_memory_set_data_handle(memory_t, void *handle);
int dnnl_memory_destroy(memory_t);

int dnnl_primitive_attr_create(attr_t *);
int dnnl_primitive_attr_set_scratchpad_mode(attr_t, int mode);
int dnnl_primitive_attr_set_post_ops(attr_t, post_ops_t);
int dnnl_primitive_attr_destroy(attr_t);
int dnnl_post_ops_create(post_ops_t *);
int dnnl_post_ops_append_sum(post_ops_t, float scale, int32_t zero_point, int data_type);
int dnnl_post_ops_append_eltwise(post_ops_t, int algorithm, float alpha, float beta);
int dnnl_post_ops_append_binary(post_ops_t, int algorithm, md_t src1);
int dnnl_post_ops_destroy(post_ops_t);

int dnnl_primitive_desc_query(pd_t, int what, int index, void *result);
md_t dnnl_primitive_desc_query_md(pd_t, int what, int index);
int dnnl_primitive_desc_destroy(pd_t);
int dnnl_primitive_create(primitive_t *, pd_t);
int dnnl_primitive_execute(primitive_t, stream_t, int count, const dnnl_exec_arg_t *);
int dnnl_primitive_destroy(primitive_t);

int dnnl_reorder_primitive_desc_create(pd_t *, md_t src, engine_t, md_t dst, engine_t, attr_t);
int dnnl_concat_primitive_desc_create(pd_t *, engine_t, md_t dst, int n, int axis, const md_t *srcs, attr_t);
int dnnl_sum_primitive_desc_create(pd_t *, engine_t, md_t dst, int n, const float *scales, const md_t *srcs,
    attr_t);

int dnnl_convolution_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int algorithm, md_t src,
    md_t weights, md_t bias, md_t dst, dims_t strides, dims_t dilates, dims_t padding_l, dims_t padding_r,
    attr_t);
int dnnl_convolution_backward_data_primitive_desc_create(pd_t *, engine_t, int algorithm, md_t diff_src, md_t
    weights, md_t diff_dst, dims_t strides, dims_t dilates, dims_t padding_l, dims_t padding_r, pd_t hint,
    attr_t);
int dnnl_convolution_backward_weights_primitive_desc_create(pd_t *, engine_t, int algorithm, md_t src, md_t
    diff_weights, md_t diff_bias, md_t diff_dst, dims_t strides, dims_t dilates, dims_t padding_l, dims_t
    padding_r, pd_t hint, attr_t);
int dnnl_deconvolution_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int algorithm, md_t src,
    md_t weights, md_t bias, md_t dst, dims_t strides, dims_t dilates, dims_t padding_l, dims_t padding_r,
    attr_t);
int dnnl_deconvolution_backward_data_primitive_desc_create(pd_t *, engine_t, int algorithm, md_t diff_src,
    md_t weights, md_t diff_dst, dims_t strides, dims_t dilates, dims_t padding_l, dims_t padding_r, pd_t
    hint, attr_t);
int dnnl_deconvolution_backward_weights_primitive_desc_create(pd_t *, engine_t, int algorithm, md_t src, md_t
    diff_weights, md_t diff_bias, md_t diff_dst, dims_t strides, dims_t dilates, dims_t padding_l, dims_t
    padding_r, pd_t hint, attr_t);

int dnnl_inner_product_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, md_t src, md_t weights,
    md_t bias, md_t dst, attr_t);
int dnnl_inner_product_backward_data_primitive_desc_create(pd_t *, engine_t, md_t diff_src, md_t weights, md_t
    diff_dst, pd_t hint, attr_t);
int dnnl_inner_product_backward_weights_primitive_desc_create(pd_t *, engine_t, md_t src, md_t diff_weights,
    md_t diff_bias, md_t diff_dst, pd_t hint, attr_t);
int dnnl_matmul_primitive_desc_create(pd_t *, engine_t, md_t src, md_t weights, md_t bias, md_t dst, attr_t);

int dnnl_batch_normalization_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, md_t src, md_t
    dst, float epsilon, unsigned flags, attr_t);
int dnnl_batch_normalization_backward_primitive_desc_create(pd_t *, engine_t, int prop_kind, md_t diff_src,
    md_t diff_dst, md_t src, float epsilon, unsigned flags, pd_t hint, attr_t);
int dnnl_layer_normalization_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, md_t src, md_t
    dst, md_t statistics, float epsilon, unsigned flags, attr_t);
int dnnl_layer_normalization_backward_primitive_desc_create(pd_t *, engine_t, int prop_kind, md_t diff_src,
    md_t diff_dst, md_t src, md_t statistics, float epsilon, unsigned flags, pd_t hint, attr_t);
int dnnl_lrn_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int algorithm, md_t src, md_t dst,
    int64_t local_size, float alpha, float beta, float k, attr_t);
int dnnl_lrn_backward_primitive_desc_create(pd_t *, engine_t, int algorithm, md_t diff_src, md_t diff_dst,
    md_t src, int64_t local_size, float alpha, float beta, float k, pd_t hint, attr_t);

int dnnl_pooling_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int algorithm, md_t src, md_t
    dst, dims_t strides, dims_t kernel, dims_t dilation, dims_t padding_l, dims_t padding_r, attr_t);
int dnnl_pooling_backward_primitive_desc_create(pd_t *, engine_t, int algorithm, md_t diff_src, md_t diff_dst,
    dims_t strides, dims_t kernel, dims_t dilation, dims_t padding_l, dims_t padding_r, pd_t hint, attr_t);
int dnnl_resampling_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int algorithm, const float
    *factors, md_t src, md_t dst, attr_t);
int dnnl_resampling_backward_primitive_desc_create(pd_t *, engine_t, int algorithm, const float *factors, md_t
    diff_src, md_t diff_dst, pd_t hint, attr_t);

int dnnl_eltwise_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int algorithm, md_t src, md_t
    dst, float alpha, float beta, attr_t);
int dnnl_eltwise_backward_primitive_desc_create(pd_t *, engine_t, int algorithm, md_t diff_src, md_t diff_dst,
    md_t data, float alpha, float beta, pd_t hint, attr_t);
int dnnl_binary_primitive_desc_create(pd_t *, engine_t, int algorithm, md_t src0, md_t src1, md_t dst,
    attr_t);
int dnnl_prelu_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, md_t src, md_t weights, md_t
    dst, attr_t);
int dnnl_prelu_backward_primitive_desc_create(pd_t *, engine_t, md_t src, md_t weights, md_t diff_src, md_t
    diff_weights, md_t diff_dst, pd_t hint, attr_t);
int dnnl_reduction_primitive_desc_create(pd_t *, engine_t, int algorithm, md_t src, md_t dst, float p, float
    eps, attr_t);
int dnnl_softmax_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int algorithm, md_t src, md_t
    dst, int axis, attr_t);
int dnnl_softmax_backward_primitive_desc_create(pd_t *, engine_t, int algorithm, md_t diff_src, md_t diff_dst,
    md_t dst, int axis, pd_t hint, attr_t);
int dnnl_shuffle_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, md_t src, md_t dst, int axis,
    int64_t group_size, attr_t);
int dnnl_shuffle_backward_primitive_desc_create(pd_t *, engine_t, md_t diff_src, md_t diff_dst, int axis,
    int64_t group_size, pd_t hint, attr_t);

int dnnl_vanilla_rnn_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int activation, int
    direction, md_t src_layer, md_t src_iter, md_t weights_layer, md_t weights_iter, md_t bias, md_t
    dst_layer, md_t dst_iter, unsigned flags, float alpha, float beta, attr_t);
int dnnl_vanilla_rnn_backward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int activation, int
    direction, md_t src_layer, md_t src_iter, md_t weights_layer, md_t weights_iter, md_t bias, md_t
    dst_layer, md_t dst_iter, md_t diff_src_layer, md_t diff_src_iter, md_t diff_weights_layer, md_t
    diff_weights_iter, md_t diff_bias, md_t diff_dst_layer, md_t diff_dst_iter, unsigned flags, float alpha,
    float beta, pd_t hint, attr_t);
int dnnl_lstm_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int direction, md_t src_layer,
    md_t src_iter, md_t src_iter_c, md_t weights_layer, md_t weights_iter, md_t weights_peephole, md_t
    weights_projection, md_t bias, md_t dst_layer, md_t dst_iter, md_t dst_iter_c, unsigned flags, attr_t);
int dnnl_lstm_backward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int direction, md_t src_layer,
    md_t src_iter, md_t src_iter_c, md_t weights_layer, md_t weights_iter, md_t weights_peephole, md_t
    weights_projection, md_t bias, md_t dst_layer, md_t dst_iter, md_t dst_iter_c, md_t diff_src_layer, md_t
    diff_src_iter, md_t diff_src_iter_c, md_t diff_weights_layer, md_t diff_weights_iter, md_t
    diff_weights_peephole, md_t diff_weights_projection, md_t diff_bias, md_t diff_dst_layer, md_t
    diff_dst_iter, md_t diff_dst_iter_c, unsigned flags, pd_t hint, attr_t);
int dnnl_lbr_gru_forward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int direction, md_t src_layer,
    md_t src_iter, md_t weights_layer, md_t weights_iter, md_t bias, md_t dst_layer, md_t dst_iter, unsigned
    flags, attr_t);
int dnnl_lbr_gru_backward_primitive_desc_create(pd_t *, engine_t, int prop_kind, int direction, md_t
    src_layer, md_t src_iter, md_t weights_layer, md_t weights_iter, md_t bias, md_t dst_layer, md_t dst_iter,
    md_t diff_src_layer, md_t diff_src_iter, md_t diff_weights_layer, md_t diff_weights_iter, md_t diff_bias,
    md_t diff_dst_layer, md_t diff_dst_iter, unsigned flags, pd_t hint, attr_t);
"""


class Status(IntEnum):
    """What every function of the library returns."""

    SUCCESS = 0
    OUT_OF_MEMORY = 1
    INVALID_ARGUMENTS = 2
    UNIMPLEMENTED = 3
    LAST_IMPLEMENTATION_REACHED = 4
    RUNTIME_ERROR = 5
    NOT_REQUIRED = 6


class DataType(IntEnum):
    """Element types. The values are the library's, not MXNet's."""

    UNDEFINED = 0
    F16 = 1
    BF16 = 2
    F32 = 3
    S32 = 4
    S8 = 5
    U8 = 6
    F64 = 7


class FormatKind(IntEnum):
    """How a memory descriptor describes its memory."""

    UNDEFINED = 0
    ANY = 1  # the primitive shall choose
    BLOCKED = 2  # strides, and possibly inner blocks; plain memory is the case of no block
    OPAQUE = 3  # known to the library only (packed weights)


class PropagationKind(IntEnum):
    """For which pass a primitive is created."""

    FORWARD_TRAINING = 64
    FORWARD_INFERENCE = 96
    BACKWARD = 128
    BACKWARD_DATA = 160


class NormalizationFlag(IntFlag):
    """What a normalization primitive takes and fuses."""

    NONE = 0
    GLOBAL_STATISTICS = 1
    SCALE = 2
    SHIFT = 4
    RELU = 8


class Direction(IntEnum):
    """In which order a recurrent primitive walks the sequence."""

    LEFT_TO_RIGHT = 1
    RIGHT_TO_LEFT = 2
    BIDIRECTIONAL_CONCAT = 3
    BIDIRECTIONAL_SUM = 4


class Query(IntEnum):
    """Facts that a primitive descriptor or a memory descriptor tells about itself."""

    IMPLEMENTATION_NAME = 8
    STRIDES = 14
    WORKSPACE = 135
    SCRATCHPAD = 136
    ARGUMENT = 255
    DIMENSION_COUNT = 256
    DIMENSIONS = 257
    DATA_TYPE = 258
    OFFSET = 259
    PADDED_DIMENSIONS = 260
    FORMAT_KIND = 262
    INNER_BLOCK_COUNT = 263
    INNER_BLOCKS = 264
    INNER_AXES = 265


class Arg(IntEnum):
    """Argument numbers of a primitive. The aliases are what recurrent primitives mean by them."""

    SRC = 1
    SRC_1 = 2
    SRC_2 = 3
    DST = 17
    DST_1 = 18
    DST_2 = 19
    WEIGHTS = 33
    WEIGHTS_1 = 34
    BIAS = 41
    MEAN = 49
    VARIANCE = 50
    SCALE = 51
    SHIFT = 52
    WORKSPACE = 64
    SCRATCHPAD = 80
    DIFF_SRC = 129
    DIFF_SRC_1 = 130
    DIFF_SRC_2 = 131
    DIFF_DST = 145
    DIFF_DST_1 = 146
    DIFF_DST_2 = 147
    DIFF_WEIGHTS = 161
    DIFF_WEIGHTS_1 = 162
    DIFF_BIAS = 169
    DIFF_SCALE = 255
    DIFF_SHIFT = 256

    SRC_LAYER = SRC
    SRC_ITER = SRC_1
    SRC_ITER_C = SRC_2
    DST_LAYER = DST
    DST_ITER = DST_1
    DST_ITER_C = DST_2
    WEIGHTS_LAYER = WEIGHTS
    WEIGHTS_ITER = WEIGHTS_1
    DIFF_SRC_LAYER = DIFF_SRC
    DIFF_SRC_ITER = DIFF_SRC_1
    DIFF_SRC_ITER_C = DIFF_SRC_2
    DIFF_DST_LAYER = DIFF_DST
    DIFF_DST_ITER = DIFF_DST_1
    DIFF_DST_ITER_C = DIFF_DST_2
    DIFF_WEIGHTS_LAYER = DIFF_WEIGHTS
    DIFF_WEIGHTS_ITER = DIFF_WEIGHTS_1

    @staticmethod
    def source(index: int) -> int:
        """The number of source ``index`` of a primitive that takes many (sum, concat)."""
        return 1024 + index

    @staticmethod
    def post_op(index: int) -> int:
        """The number of the second operand of the binary post-op at position ``index``."""
        return 32768 * (index + 1) | Arg.SRC_1


class Algorithm(IntEnum):
    """What a primitive computes, where its family leaves a choice."""

    CONVOLUTION_DIRECT = 0x1
    DECONVOLUTION_DIRECT = 0xA

    RELU = 0x20
    TANH = 0x21
    ELU = 0x22
    SQUARE = 0x23
    ABS = 0x24
    SQRT = 0x25
    LINEAR = 0x26
    SOFT_RELU = 0x27
    HARD_SIGMOID = 0x28
    LOGISTIC = 0x29
    EXP = 0x2A
    GELU_TANH = 0x2B
    SWISH = 0x2C
    LOG = 0x2D
    CLIP = 0x2E
    CLIP_V2 = 0x2F
    POW = 0x30
    GELU_ERF = 0x31
    ROUND = 0x32
    MISH = 0x33
    HARD_SWISH = 0x34
    # The gradient of these is computed from the result instead of from the argument.
    RELU_FROM_DST = 0x100
    TANH_FROM_DST = 0x101
    ELU_FROM_DST = 0x102
    SQRT_FROM_DST = 0x103
    LOGISTIC_FROM_DST = 0x104
    EXP_FROM_DST = 0x105
    CLIP_V2_FROM_DST = 0x106

    POOLING_MAX = 0x1FF
    POOLING_AVERAGE_INCLUDE_PADDING = 0x2FF
    POOLING_AVERAGE_EXCLUDE_PADDING = 0x3FF

    LRN_ACROSS_CHANNELS = 0xAFF
    LRN_WITHIN_CHANNEL = 0xBFF

    ADD = 0x1FFF0
    MUL = 0x1FFF1
    MAX = 0x1FFF2
    MIN = 0x1FFF3
    DIV = 0x1FFF4
    SUB = 0x1FFF5
    GREATER_EQUAL = 0x1FFF6
    GREATER = 0x1FFF7
    LESS_EQUAL = 0x1FFF8
    LESS = 0x1FFF9
    EQUAL = 0x1FFFA
    NOT_EQUAL = 0x1FFFB

    RESAMPLING_NEAREST = 0x2FFF0
    RESAMPLING_LINEAR = 0x2FFF1

    REDUCE_MAX = 0x2FFF2
    REDUCE_MIN = 0x2FFF3
    REDUCE_SUM = 0x2FFF4
    REDUCE_PRODUCT = 0x2FFF5
    REDUCE_MEAN = 0x2FFF6

    SOFTMAX = 0x30000
    LOG_SOFTMAX = 0x30001
