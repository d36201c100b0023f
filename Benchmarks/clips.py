"""The clips that are edited to measure with: NAME.mp4, with its prompts in NAME.yaml and perhaps the perfect edit in NAME.truth.mp4."""

import re


class Clip:
    def __init__(self, path):
        self.path, self.name = path, path.stem
        text = path.with_suffix(".yaml").read_text()
        value = lambda key: (re.search(rf"^{key}:\s*(.*?)\s*$", text, re.M) or [None, ""])[1].strip("'\"")
        self.prompt, self.source_prompt = value("prompt"), value("source_prompt")
        truth = path.with_suffix(".truth.mp4")
        self.truth = truth if truth.exists() else None
