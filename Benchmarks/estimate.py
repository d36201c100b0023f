"""How long computations will take: a guess at first, better with every one that was measured."""

from cases import SCALE
from programs import EXACT, PROGRAMS
from work import Work

# An edit's wall seconds on two threads for a step of the inversion and the edit of 16 frames; guesses like the programs' rates.
EDIT_STEP = {"ours full": 0.3, "ours mixed": 0.3, "PyTorch f32": 1.2}
# Loading, and what OpenVINO takes to compile.
START = {"ours full": 3, "ours mixed": 3, "PyTorch f32": 4, "PyTorch bf16": 5, "PyTorch f64": 8, "OpenVINO f32": 6, "OpenVINO bf16": 4}


class Estimate:
    def __init__(self, model, threads, tokens):
        self.work, self.threads, self.tokens = Work(model), threads, tokens
        self.measured = {}

    def operations(self, case, run):
        if case.group == "text":
            return self.work.of(run, (*case.shape, self.tokens), self.tokens)
        frames, height, width = case.shape
        return self.work.of(run, (frames, 4, height, width), self.tokens)

    def rate(self, program, run):
        """Operations a second."""
        if (program, run) in self.measured:
            return self.measured[program, run]
        guess = PROGRAMS[program].rate * 1e9 * self.threads
        others = [rate for (other, _), rate in self.measured.items() if other == program]
        return sum(others) / len(others) if others else guess

    def seconds(self, program, case, run):
        """Of one call."""
        if case.group == "edit":
            options = dict(zip(case.options[::2], case.options[1::2]))
            share = int(options.get("--frames", 16)) / 16 * int(options.get("--steps", 50))
            return self.measured.get((program, run, case.options), 4 + share * EDIT_STEP[program] * 2 / self.threads)
        return self.operations(case, run) / self.rate(program, run)

    def knows(self, program, run):
        return (program, run) in self.measured

    def learn(self, program, case, run, seconds):
        if case.group == "edit":
            self.measured[program, run, case.options] = seconds
        else:
            self.measured[program, run] = self.operations(case, run) / seconds

    def kept_bytes(self, program, case):
        """What a program holds while others compute."""
        of_weights, of_states = PROGRAMS[program].kept
        return of_weights * self.weights(case) + of_states * self.state(case)

    def taken_bytes(self, program, case):
        """What it takes besides while it computes."""
        bases = 0
        if case.group == "inversion":
            # The shares of each token in each of the bases, for 8 heads, where they are held as a whole.
            frames, height, width = case.shape
            shares = 8 * frames * height * width * 256 * (8 if program == EXACT else 4)
            bases = 0 if PROGRAMS[program].is_ours else 3 * shares
        return PROGRAMS[program].taken * self.state(case) + bases

    def weights(self, case):
        part = {"unet": "unet", "inversion": "unet", "vae": "vae", "text": "text_encoder"}[case.group]
        return sum(file.stat().st_size for file in (self.work.model / part).glob("*.safetensors"))

    def state(self, case):
        """A hidden state of the first level of the UNet, or of the autoencoder."""
        if case.group == "text":
            return 0
        frames, height, width = case.shape
        first = self.work.unet_weights["conv_in.weight"][0]
        return frames * height * width * 4 * (SCALE**2 * 64 if case.group == "vae" else first)
