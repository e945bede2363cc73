"""Operations of TensorFlow that a graph of others may have: arithmetic, images and control flow."""

# The operations of `generate.py export`, of restoration networks, and others of the same kinds that
# exporters use. None of them touches a file, the network, another process, or memory that it
# does not own.
ARITHMETIC = frozenset(
    "Abs Acos Add AddN AddV2 BiasAdd Bitcast BitwiseAnd BitwiseOr BitwiseXor Cast Ceil ClipByValue "
    "Cos Div DivNoNan Elu Erf Exp Expm1 Floor FloorDiv FloorMod IsFinite IsInf IsNan L2Loss "
    "LeakyRelu LeftShift Log Log1p Maximum Minimum Mul MulNoNan Neg Pow RealDiv Reciprocal Relu "
    "Relu6 RightShift Rint Round Rsqrt Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Square "
    "SquaredDifference Sub Tan Tanh".split()
)
COMPARISONS = frozenset(
    "All Any Equal Greater GreaterEqual Less LessEqual LogicalAnd LogicalNot LogicalOr NotEqual "
    "Select SelectV2 StaticRegexFullMatch Where".split()
)
REDUCTIONS = frozenset("ArgMax ArgMin Cumsum Max Mean Min Prod Sum TopKV2".split())
LAYERS = frozenset(
    "AvgPool BatchMatMul BatchMatMulV2 BatchNormWithGlobalNormalization CheckNumerics Conv2D "
    "Conv2DBackpropInput DepthToSpace DepthwiseConv2dNative Einsum FusedBatchNorm FusedBatchNormV3 "
    "LRN MatMul MaxPool ResizeBicubic ResizeBilinear ResizeNearestNeighbor SpaceToDepth".split()
)
SHAPES = frozenset(
    "BroadcastArgs BroadcastTo Concat ConcatV2 Const ExpandDims Fill GatherNd GatherV2 Identity "
    "IdentityN MirrorPad OneHot OnesLike Pack Pad PadV2 Placeholder PlaceholderWithDefault Range "
    "Rank Reshape ReverseV2 Shape Size Slice Split SplitV Squeeze StopGradient StridedSlice "
    "StringFormat StringJoin Substr Tile Transpose Unpack ZerosLike".split()
)
PICTURES = frozenset("EncodePng DecodeJpeg".split())
RANDOM = frozenset(
    "StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomNormalV2 "
    "StatelessRandomUniformFullIntV2 StatelessRandomUniformV2 StatelessTruncatedNormalV2".split()
)
CONTROL = frozenset(
    "Assert If NoOp PartitionedCall ReadVariableOp StatefulPartitionedCall StatelessIf "
    "StatelessWhile TensorListFromTensor TensorListGetItem TensorListReserve TensorListSetItem "
    "TensorListStack VarIsInitializedOp While".split()
)
PURE = ARITHMETIC | COMPARISONS | REDUCTIONS | LAYERS | SHAPES | PICTURES | RANDOM | CONTROL
# Written into every SavedModel for `Saver`, which loading with objects does not run.
SAVER = frozenset(
    "AssignVariableOp DisableCopyOnRead MergeV2Checkpoints RestoreV2 SaveV2 ShardedFilename "
    "VarHandleOp".split()
)
