#!/usr/bin/env python3
"""OpenVINO behind the lines that stem-bench speaks. It runs the image model's own parts; the inversions' self-attention it does not have."""

import argparse
import gc
import pathlib
import subprocess
import sys
import time

import numpy
import openvino
from peer_lines import answer_lines
from safetensors.numpy import load_file, save_file

# The part of the model that answers a request, and the names of its inputs in their order.
PARTS = {
    "unet": ("unet", ("sample", "timestep", "context")),
    "ddim": ("unet", ("sample", "timestep", "context")),
    "encode": ("encoder", ("images",)),
    "decode": ("decoder", ("latents",)),
    "text": ("text_encoder", ("input_ids",)),
}


class OpenVINOPeer:
    """Keeps one part compiled, for one shape: the largest take as much memory again as the weights."""

    def __init__(self, model, converted, properties):
        self.model, self.converted, self.properties = model, converted, properties
        self.core = openvino.Core()
        self.compiled = None
        self.request = None

    def ready(self, part, shapes):
        """An inference request for these shapes of the part's inputs."""
        if self.compiled != (part, shapes):
            self.request = self.compiled = None
            gc.collect()
            path = self.converted / f"{part}.xml"
            if not self.is_current(path):
                # In a process of its own, so that PyTorch is not part of this one.
                command = [sys.executable, pathlib.Path(__file__).with_name("convert_openvino.py"), self.model, part, path]
                subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr)
            network = self.core.read_model(path)
            network.reshape({index: list(shape) for index, shape in enumerate(shapes)})
            self.request = self.core.compile_model(network, "CPU", self.properties).create_infer_request()
            self.compiled = (part, shapes)
        return self.request

    def is_current(self, path):
        """Whether the converted part is there, and no older than the model."""
        return path.exists() and path.stat().st_mtime >= max(file.stat().st_mtime for file in self.model.glob("*/*.safetensors"))

    def run(self, request):
        if request["run"] not in PARTS:
            raise ValueError(f"OpenVINO has nothing for '{request['run']}'")
        part, names = PARTS[request["run"]]
        inputs = load_file(request["input"])
        if "context" in names:
            inputs["context"] = numpy.repeat(inputs["context"], len(inputs["sample"]) // len(inputs["context"]), axis=0)
        inputs = [inputs[name] for name in names]
        ready = self.ready(part, tuple(value.shape for value in inputs))
        begun = time.perf_counter()
        results = ready.infer(inputs, share_inputs=True)
        answer = {"seconds": time.perf_counter() - begun}
        if request.get("output"):
            save_file({"output": numpy.ascontiguousarray(results[0], dtype=numpy.float32)}, request["output"])
        return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--converted", type=pathlib.Path, required=True, help="the folder for the model in OpenVINO's own format")
    arguments = parser.parse_args()
    properties = {"INFERENCE_PRECISION_HINT": arguments.precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    if arguments.threads:
        properties["INFERENCE_NUM_THREADS"] = arguments.threads
    answer_lines(OpenVINOPeer(arguments.model, arguments.converted, properties).run)


if __name__ == "__main__":
    main()
