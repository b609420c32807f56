"""The image half of a model on OpenVINO: in int8, a third of float32's time if the processor has VNNI."""

import logging
import sys
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from photolineage.catalog.vocabulary import Precision
from photolineage.models.unavailable import is_out_of_memory

if TYPE_CHECKING:
    import openvino

    from photolineage.models.image_transform import ImageTransform

ACTIVATION_GROUP: Final = 128
"""The number of activations of a token that share a scale. Measured (ViT-B-32, two cores): 51 images/s with groups of
32, 67 with 64, 72 with 128, 54 with 768. The mean cosine with float32 is between 0.9999 and 0.99993 for all sizes."""
_LARGEST_INT8: Final = 127
_TRACING: Final = Lock()


class WayUnavailableError(Exception):
    """The image half of a model cannot be computed in some way; the message gives the reason."""


class OpenVinoImageEncoder:
    """The image half of an open_clip model on the CPU, in float32, bfloat16 or int8. The model is not changed.

    In int8, the weights of linear layers have one scale per output, activations one per `ACTIVATION_GROUP` of a token.
    So an image's embedding does not depend on the other images of its batch. OpenVINO computes in float32 in place of
    bfloat16 if the processor lacks the instructions. As many threads as torch has may encode at once, each on one
    core. Raises WayUnavailableError; if memory runs out, MemoryError or the errors of torch and OpenVINO.
    """

    def __init__(self, graph: "ImageGraph", transform: "ImageTransform", precision: Precision) -> None:
        self._idle_requests: deque[openvino.InferRequest] = deque()
        with _reasons_given():
            self._compiled = _compiled(graph, transform, precision)
            self._try_out(graph.image_size)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings (n, dim), not normalized, of the pixels of n images, (n, 3, height, width)."""
        try:
            request = self._idle_requests.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        (embeddings,) = request.infer([pixels], share_inputs=True).values()
        copied: NDArray[np.float32] = np.array(embeddings, np.float32)
        self._idle_requests.append(request)
        return copied

    def _try_out(self, image_size: tuple[int, int]) -> None:
        """Encode batches whose sizes differ from the traced one. Raises ValueError for a wrong shape."""
        for images in (1, 3):
            found = self.encode(np.zeros((images, 3, *image_size), np.uint8)).shape
            if len(found) != 2 or found[0] != images:
                raise ValueError(f"for {images} images it returns embeddings of shape {found}")


@contextmanager
def _reasons_given() -> Iterator[None]:
    """Raise WayUnavailableError for an error of the block that is no lack of memory."""
    try:
        yield
    except Exception as error:  # OpenVINO raises plain Exceptions
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split()).rstrip(" .")
        raise WayUnavailableError(f"OpenVINO cannot compute it: {reason}") from error


def _compiled(
    graph: "ImageGraph", transform: "ImageTransform", precision: Precision
) -> "openvino.CompiledModel":
    import torch

    pixels_to_embeddings = graph.model.clone()  # shares its weights
    if precision == Precision.INT8:
        _quantize_weights(pixels_to_embeddings)
    cores = torch.get_num_threads()
    options = {
        "NUM_STREAMS": cores,
        "INFERENCE_NUM_THREADS": cores,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == Precision.BFLOAT16 else "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": ACTIVATION_GROUP if precision == Precision.INT8 else 0,
    }
    return (
        _openvino().Core().compile_model(_with_normalization(pixels_to_embeddings, transform), "CPU", options)
    )


def _openvino() -> Any:
    """OpenVINO without its telemetry, which would report every import. OpenVINO works without that package."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


@contextmanager
def _logging_as_it_is() -> Iterator[None]:
    """Restore the root logger: OpenVINO's converter silences it, and does not undo that if it fails."""
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters[:], root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers


@contextmanager
def _as_linear_layers() -> Iterator[None]:
    """Express self-attention and patch embedding as linear layers, which takes a tenth less time.

    torch's implementation copies queries, keys and values, and OpenVINO does not compute convolutions in int8.
    """
    import torch
    from torch.nn.functional import linear, scaled_dot_product_attention

    attention: Any = torch.nn.MultiheadAttention
    convolution: Any = torch.nn.Conv2d
    attend, convolve = attention.forward, convolution.forward
    had_fast_path = torch.backends.mha.get_fastpath_enabled()

    def attend_to_itself(layer: Any, query: Any, key: Any, value: Any, *more: Any, **options: Any) -> Any:
        is_masked = any(options.get(name) is not None for name in ("attn_mask", "key_padding_mask"))
        is_asked_for_weights = bool(more) or options.get("need_weights", True)
        is_plain = layer.batch_first and layer.in_proj_weight is not None and layer.bias_k is None
        is_plain = is_plain and not layer.add_zero_attn
        if not (query is key is value and is_plain) or is_masked or is_asked_for_weights:
            return attend(layer, query, key, value, *more, **options)
        _, tokens, width = query.shape
        projected = linear(query, layer.in_proj_weight, layer.in_proj_bias)
        heads = projected.reshape(-1, tokens, 3, layer.num_heads, width // layer.num_heads)
        queries, keys, values = (heads[:, :, part].transpose(1, 2) for part in range(3))
        attended = scaled_dot_product_attention(queries, keys, values)
        return layer.out_proj(attended.transpose(1, 2).reshape(-1, tokens, width)), None

    def embed_patches(layer: Any, pixels: Any) -> Any:
        (side, other), (_, channels, height, width) = layer.kernel_size, pixels.shape
        is_plain = layer.padding in {(0, 0), "valid"} and layer.dilation == (1, 1) and layer.groups == 1
        are_patches = layer.stride == layer.kernel_size != (1, 1) and not (height % side or width % other)
        if not (is_plain and are_patches):
            return convolve(layer, pixels)
        rows, columns = height // side, width // other
        patches = pixels.reshape(-1, channels, rows, side, columns, other).permute(0, 2, 4, 1, 3, 5)
        embedded = linear(
            patches.reshape(-1, rows * columns, layer.weight[0].numel()), layer.weight.flatten(1), layer.bias
        )
        return embedded.transpose(1, 2).reshape(-1, layer.out_channels, rows, columns)

    attention.forward, convolution.forward = attend_to_itself, embed_patches
    torch.backends.mha.set_fastpath_enabled(
        False
    )  # it uses one operator for all of attention, which OpenVINO lacks
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(had_fast_path)
        attention.forward, convolution.forward = attend, convolve


@dataclass(frozen=True, slots=True)
class ImageGraph:
    """The image half of a model, from normalized pixels (n, 3, height, width) to embeddings, as OpenVINO reads it."""

    model: "openvino.Model"
    image_size: tuple[int, int]


def trace_image_half(model: Any, image_size: tuple[int, int]) -> ImageGraph:
    """The image half of an open_clip model. Raises WayUnavailableError, and torch's errors if memory runs out."""
    with _reasons_given():
        return ImageGraph(_traced(model, image_size), image_size)


def _traced(model: Any, image_size: tuple[int, int]) -> "openvino.Model":
    import torch

    class ImageHalf(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            embeddings: torch.Tensor = self.model.encode_image(pixels)
            return embeddings

    pixels = torch.zeros(2, 3, *image_size, device=next(model.parameters()).device)
    with _TRACING, _logging_as_it_is(), _as_linear_layers(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about constants in the trace
        traced = torch.jit.trace(ImageHalf().eval(), pixels, check_trace=False)  # type: ignore[no-untyped-call]
        graph: openvino.Model = _openvino().convert_model(
            traced, example_input=pixels, input=[-1, 3, *image_size]
        )
    return graph


def _quantize_weights(graph: "openvino.Model") -> None:
    """Replace the weights of the linear layers by 8-bit weights: symmetric, with one scale per output."""
    from openvino import opset13

    for layer in graph.get_ordered_ops():
        if layer.get_type_name() != "MatMul":
            continue
        weights = layer.input(1).get_source_output().get_node()
        if weights.get_type_name() != "Constant" or len(weights.shape) != 2:
            continue  # attention multiplies activations by activations
        values = weights.get_data()
        of_inputs = 1 if layer.get_attributes()["transpose_b"] else 0
        scale = np.abs(values).max(axis=of_inputs, keepdims=True) / _LARGEST_INT8
        scale[scale == 0] = 1
        quantized = opset13.constant(np.rint(values / scale).astype(np.int8))
        restored = opset13.multiply(
            opset13.convert(quantized, "f32"), opset13.constant(scale.astype(np.float32))
        )
        layer.input(1).replace_source_output(restored.output(0))


def _with_normalization(graph: "openvino.Model", transform: "ImageTransform") -> "openvino.Model":
    """The graph from 8-bit pixels to embeddings."""
    ov = _openvino()
    steps = ov.preprocess.PrePostProcessor(graph)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).mean(
        [255 * value for value in transform.mean]
    ).scale([255 * value for value in transform.deviation])
    built: openvino.Model = steps.build()
    return built
