"""The programs that are compared: how each is started, what it can run, and what it is expected to take."""

import dataclasses
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
INVERSIONS = ("ddim", "stem", "spatial-temporal")
IMAGE_MODEL = ("unet", "encode", "decode", "text")


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    is_ours: bool
    # The arguments that make it this one.
    arguments: tuple
    # Operations a second and thread, in thousand millions, until they have been measured.
    rate: float
    # Memory that is its own while another computes, and what it takes besides while it computes: shares of the
    # part's weights in 32 bits, and multiples of a hidden state of the UNet's first level.
    kept: tuple
    taken: float
    runs: tuple = IMAGE_MODEL + INVERSIONS
    # Whether it takes part in the comparison of times, or only says what is right.
    is_timed: bool = True

    def command(self, setup):
        options = ["--threads", setup.threads]
        if self.is_ours:
            return [setup.programs / "stem-bench", setup.model, *self.arguments, *options]
        script, *arguments = self.arguments
        if script == "peer_openvino.py":
            options += ["--converted", setup.converted]
        return [sys.executable, HERE / script, setup.model, *arguments, *options]


PROGRAMS = {
    program.name: program
    for program in (
        Program("ours full", True, ("--precision", "full"), 240, (1.15, 10), 11),
        Program("ours mixed", True, ("--precision", "mixed"), 350, (0.95, 10), 11),
        Program("PyTorch f32", False, ("peer_torch.py", "--dtype", "float32"), 100, (0.1, 1), 25),
        Program("PyTorch bf16", False, ("peer_torch.py", "--dtype", "bfloat16"), 160, (0.65, 1), 13),
        Program("OpenVINO f32", False, ("peer_openvino.py", "--precision", "f32"), 190, (1.1, 22), 1, IMAGE_MODEL),
        Program("OpenVINO bf16", False, ("peer_openvino.py", "--precision", "bf16"), 320, (0.55, 12), 1, IMAGE_MODEL),
        Program("PyTorch f64", False, ("peer_torch.py", "--dtype", "float64"), 40, (2.1, 1), 50, ("stem",), is_timed=False),
    )
}
REFERENCE = "PyTorch f32"
# STEM's bases follow from near-ties, which rounding decides: in 32 bits PyTorch itself is off by more than the other computations are.
EXACT = "PyTorch f64"
OURS = tuple(name for name, program in PROGRAMS.items() if program.is_ours)
PEERS = tuple(name for name, program in PROGRAMS.items() if not program.is_ours and program.is_timed)


def references(run):
    """Whose output others are compared with; the first that there is."""
    return (EXACT, REFERENCE) if run == "stem" else (REFERENCE,)
