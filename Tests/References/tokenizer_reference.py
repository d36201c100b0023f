#!/usr/bin/env python3
"""Lines of text of many scripts, and the token ids that transformers' CLIPTokenizer gives for them.

Writes to a folder: `tokenizer/` as diffusers has it, with CLIP's own vocabulary of 49,408 tokens, and `lines.json`, a list of objects with
`text` and `ids` (without padding, not cut). CLIP's merges are those that the program brings along."""

import argparse
import json
import pathlib
import random
import sys
import unicodedata

MERGES = pathlib.Path(__file__).resolve().parents[2] / "Sources/CCLIPMerges/include/clip-merges.txt"

# Blocks that people write in, and what stands between the words.
SCRIPTS = {
    "latin": (0x61, 0x7A), "capitals": (0x41, 0x5A), "latin-1": (0xC0, 0xFF), "latin-extended": (0x100, 0x24F), "ipa": (0x250, 0x2AF),
    "greek": (0x370, 0x3FF), "greek-extended": (0x1F00, 0x1FFF), "cyrillic": (0x400, 0x52F), "armenian": (0x530, 0x58F), "hebrew": (0x590, 0x5FF),
    "arabic": (0x600, 0x6FF), "arabic-presentation": (0xFB50, 0xFDFF), "devanagari": (0x900, 0x97F), "bengali": (0x980, 0x9FF), "tamil": (0xB80, 0xBFF),
    "thai": (0xE00, 0xE7F), "tibetan": (0xF00, 0xFFF), "georgian": (0x10A0, 0x10FF), "jamo": (0x1100, 0x11FF), "hangul": (0xAC00, 0xD7A3),
    "ethiopic": (0x1200, 0x137F), "khmer": (0x1780, 0x17FF), "mongolian": (0x1800, 0x18AF), "hiragana": (0x3040, 0x309F),
    "katakana": (0x30A0, 0x30FF), "cjk": (0x4E00, 0x9FFF), "compatibility": (0xF900, 0xFAFF), "fullwidth": (0xFF00, 0xFFEF),
    "marks": (0x300, 0x36F), "punctuation": (0x2000, 0x206F), "superscripts": (0x2070, 0x209F), "currency": (0x20A0, 0x20CF),
    "letterlike": (0x2100, 0x214F), "numbers": (0x2150, 0x218F), "arrows": (0x2190, 0x21FF), "mathematics": (0x2200, 0x22FF),
    "enclosed": (0x2460, 0x24FF), "box": (0x2500, 0x257F), "emoji": (0x1F300, 0x1F64F), "more-emoji": (0x1F680, 0x1FAFF),
    "gothic": (0x10330, 0x1034F), "deseret": (0x10400, 0x1044F), "musical": (0x1D100, 0x1D1FF), "letters-in-mathematics": (0x1D400, 0x1D7FF),
    "ascii": (0x20, 0x7E), "controls": (0x01, 0x1F), "more-controls": (0x7F, 0x9F), "cherokee": (0x13A0, 0x13FF), "private": (0xE000, 0xE0FF),
    "variation": (0xFE00, 0xFE0F), "tags": (0xE0000, 0xE007F), "specials": (0xFFF0, 0xFFFD),
}
WORDS = """a photo of red metal ball on sand don't it's they're we've I'm she'll he'd 'S 'LL O'Neil's rock'n'roll naïve café Ångström İstanbul ΌΔΟΣ
ΟΔΥΣΣΕΥΣ straße ﬁne ½ ² 2024 3.14 1,000,000 v1.5 C++ C# @home #tag 50% $5 <|startoftext|> <|endoftext|> <|ENDOFTEXT|> <|StartOfText|> </w> ! !! ?! ...
e-mail http://example.org/a?b=c&d=e 👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️ 日本語 中文 한국어 עִבְרִית العَرَبِيَّة हिन्दी ไทย ǅ ﷺ Å é ḍ̇ q̣̇ 가 각 ''s ''' '' 's't 'x""".split()
SPACES = [" "] * 12 + ["  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2003", "\u200b", "\u2028", "\u0085", "\u180e", "\ufeff", "\u200d", "\x0b", "\x1c", "\x1f", ""]


def known(scalar):
    """Assigned when Python's Unicode was made, and no half of a pair."""
    return unicodedata.category(chr(scalar)) not in ("Cn", "Cs")


def lines(count, seed):
    draw = random.Random(seed)
    scripts = {name: [chr(scalar) for scalar in range(first, last + 1) if known(scalar)] for name, (first, last) in SCRIPTS.items()}
    categories = {}
    for scalar in range(0x20000):
        if known(scalar) and scalar != 0:
            categories.setdefault(unicodedata.category(chr(scalar)), []).append(chr(scalar))

    def word():
        match draw.randrange(10):
            case 0 | 1 | 2:
                return draw.choice(WORDS)
            case 3 | 4 | 5:
                letters = scripts[draw.choice(list(scripts))]
                return "".join(draw.choice(letters) for _ in range(draw.randint(1, 8)))
            case 6:
                return "".join(draw.choice(categories[draw.choice(list(categories))]) for _ in range(draw.randint(1, 6)))
            case 7:
                return unicodedata.normalize(draw.choice(["NFC", "NFD", "NFKD"]), "".join(draw.choice(WORDS) for _ in range(2)))
            case 8:
                return "".join(c + draw.choice(scripts["marks"]) * draw.randint(0, 2) for c in draw.choice(WORDS))
            case _:
                text = draw.choice(WORDS)
                return draw.choice([text.upper(), text.title(), text + draw.choice(WORDS), draw.choice("'\"([") + text])

    for _ in range(count):
        yield "".join(word() + draw.choice(SPACES) for _ in range(draw.randint(1, 12)))


def token(text):
    """As the folders of Stable Diffusion have it: the one of the start is also found in capital letters."""
    return {"__type": "AddedToken", "content": text, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


def write_tokenizer(folder, pad):
    """CLIP's vocabulary: the bytes as printable characters, the same at a word's end, what the merges make, and two special tokens."""
    merges = [line for line in MERGES.read_text(encoding="utf-8").split("\n") if line and not line.startswith("#version")]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
    vocabulary = alphabet + [c + "</w>" for c in alphabet] + [merge.replace(" ", "") for merge in merges] + ["<|startoftext|>", "<|endoftext|>"]
    assert len(vocabulary) == 49408, len(vocabulary)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, "bos_token": token("<|startoftext|>"),
        "eos_token": token("<|endoftext|>"), "unk_token": token("<|endoftext|>"), "pad_token": pad}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pad", default="<|endoftext|>", help="the padding token; 2.x models have !")
    arguments = parser.parse_args()
    from transformers import CLIPTokenizer

    write_tokenizer(arguments.folder / "tokenizer", arguments.pad)
    tokenizer = CLIPTokenizer.from_pretrained(arguments.folder / "tokenizer")
    texts = list(lines(arguments.lines, arguments.seed))
    written = [{"text": text, "ids": tokenizer(text).input_ids} for text in texts]
    (arguments.folder / "lines.json").write_text(json.dumps(written))
    print(f"{len(written)} lines, {sum(len(line['ids']) for line in written)} tokens: {arguments.folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
