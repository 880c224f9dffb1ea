"""Where bugs of each class were seen: public issue threads, and the losses of PtychoPINN as they were read and run."""

FIELD = "the field: the losses of PtychoPINN, their options and their history"

THREADS = {
    "eps": "google-deepmind/optax#1703, an eps that floors the square; apple/axlearn#21, an eps inside the root",
    "nan norm": "pytorch/pytorch#2421 and tensorflow/tensorflow#12071, the gradient of a norm is NaN at 0",
    "abs": "jax-ml/jax#37820, the derivative of abs at 0 is 1; pytorch/pytorch#2195, it decides a gradient",
    "where": "pytorch/pytorch#36923 and jax-ml/jax#347, NaN from the branch that where does not take",
    "nan_to_num": "pytorch/pytorch#46849, a relative: a norm that is not finite is clipped without a word",
    "constant": "pytorch/pytorch#28575 and PaddlePaddle/Paddle#56733, the Stirling term and its condition",
    "xlogy": "pytorch/pytorch#80770 and jax-ml/jax#15737, the derivative of x log x at 0",
    "detach": "tinygrad/tinygrad#4904, a detach in a normalisation where the gradient needs it",
    "reduction": "pytorch/pytorch#2259, a mean where a sum is meant; Lightning-AI/pytorch-lightning#2924, the short "
    "last batch counts as much as a full one",
    "cast": "keras-team/keras#15791 and keras-team/keras-core#922, a loss casts float64 to float32",
    "layout": "pytorch/pytorch#175189 and pytorch/pytorch#180984, wrong numbers for channels_last and for views",
    "compiled": "pytorch/pytorch#138908 and pytorch/pytorch#136662, compiled code disagrees with eager code",
    "in place": "Lightning-AI/torchmetrics#1278 and Lightning-AI/pytorch-lightning#2862, a metric changes its inputs",
    "axis": "pytorch/pytorch#16045, a silent broadcast; PaddlePaddle/Paddle#27311, the axis of a softmax",
    "state": "Lightning-AI/pytorch-lightning#5737 and tensorflow/tensorflow#44980, a value kept from an earlier call",
    "counts": "Lightning-AI/torchmetrics#2787 and scikit-learn/scikit-learn#28827, squares of uint8 wrap",
    "clipping": "Lightning-AI/pytorch-lightning#9330 and #9694, gradients are clipped while they are still scaled",
    "complex": "jax-ml/jax#9110, grad of a complex argument is the conjugate; pytorch/pytorch#96543, NaN near 0",
    "huber": "keras-team/keras-cv#920 and pytorch/pytorch#17447, a smooth L1 whose threshold is half applied",
    "shift": "opencv/opencv#9144 and teamtomo/teamtomo#109, a shift of the zero frequency that is right at even sizes",
    "random": "pytorch/pytorch#17350 and tensorflow/tensorflow#3103, sums that differ from run to run",
    "half": "pytorch/pytorch#2391 and facebookresearch/fairscale#263, half-precision sums and norms overflow",
    "log": "srendle/libfm#21, log10 for log; keras-team/keras#9664, a clipped argument has gradient 0",
    "mask": "tensorflow/tensorflow#39146 and tensorflow/tensorflow#34491, a masked mean divides by all elements",
    "upstream": "pytorch/pytorch#21961 and chainer/chainer#1175, a backward pass ignores the gradient it is given",
    "target": "pytorch/pytorch#43228 and pytorch/pytorch#3876, a target that requires a gradient changes the value",
}


def seen(what: str) -> str:
    """Return where a class of bug was seen."""
    return THREADS[what]
