"""Writes prompts of many scripts with the ids that transformers.CLIPTokenizer gives them from folders such as Stable Diffusion 1.x and 2.x have,
whose special tokens are looked for in other ways than those of a plain vocabulary: one JSON object a line, the text and its ids with both
(without start, end and padding).

    tokenizer_reference.py OUTPUT [--lines 10000] [--seed 1] [--short]

Tests/StableDiffusionTests/Goldens/prompts.jsonl is `--lines 560 --seed 2 --short`; the tests also compare a longer file that
STEMD_TOKENIZER_REFERENCE names.
"""

import argparse
import json
import pathlib
import random
import sys
import tempfile
import unicodedata

import transformers

MERGES = pathlib.Path(__file__).resolve().parents[2] / "Sources/CCLIPMerges/include/clip-merges.txt"

WORDS = """a the photo of red metal ball on sand painting cat's dog's don't we're they've I'm you'll he'd O'Clock HDR 4k 8K f/1.8 35mm 1990s
masterpiece, (detailed:1.3) [blurry] best_quality trending-on-artstation café naïve façade Straße İstanbul ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ Москва київ
日本語 漢字かな交じり文 カタカナ ｶﾀｶﾅ 한국어 조선글 ไทย ภาษา हिन्दी देवनागरी தமிழ் বাংলা ગુજરાતી తెలుగు മലയാളം ខ្មែរ မြန်မာ ລາວ བོད་ སිංහල አማርኛ ქართული ᲥᲐᲠᲗᲣᲚᲘ
հայերեն עברית עִבְרִית العربية العَرَبِيَّة فارسی اردو 😀 👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️ 1️⃣ ½ ² ٣ Ⅷ ① Ǆungla ǅ ﬁ ﬀ ŉ ẞ K Å Ω µ ª º № ™ … — “quotes” ‘single’ it’s
<|endoftext|> <|startoftext|> <|ENDOFTEXT|> <|StartOfText|> <|endoftext <| |> !! ?! ... $5.00 #tag @user http://x.y/?a=b&c=d C++ 1,000 x=y x×y 10° -5
Việt Nam Tiếng ộ ǖ ṩ ḍ̇ q̣̇ Å̊ e\u0301 A\u030a\u0327 o\u0302\u0301 \u1100\u1161\u11a8 \uac00\u11a8 \u0915\u093c \u09c7\u09be \u0cc6\u0cc2\u0cd5 \u0dd9\u0dcf\u0dca
\U00011131\U00011127 \U00011935\U00011930 \U000105d2\u0307 \u0374 \u0340 \u0344 \u212b \uf900 \U0002f800 \ufb1d \u1e9b\u0323 'S 'RE ''s 's'd '’t 'll' !'s
it's they're we've she'll 'LL O'Neil's rock'n'roll Ångström ΌΔΟΣ ΟΔΥΣΣΕΥΣ straße ﬁne 2024 3.14 1,000,000 v1.5 C# @home 50% $5 </w> ! e-mail http://example.org/a?b=c&d=e 中文 ﷺ é ḍ̇ 가 각 ''' '' 's't 'x
""".split()

# Those beyond what Python's own tables know are drawn by their numbers.
SPACES = [chr(code) for code in range(0x110000) if chr(code).isspace()] + ["\u200b", "\u180e", "\ufeff", "\u2060", "\u0085"]


def by_category():
    """All scalars, by their general category."""
    categories = {}
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        if category != "Cs":
            categories.setdefault(category, []).append(chr(code))
    return categories


class Texts:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.categories = by_category()
        self.names = sorted(self.categories)
        self.marks = [c for name in ("Mn", "Mc", "Me") for c in self.categories[name]]
        self.combining = [c for c in self.marks if unicodedata.combining(c)]
        self.decomposed = [c for c in map(chr, range(0x2FA20)) if unicodedata.category(c) != "Cs" and unicodedata.decomposition(c)[:1] not in ("", "<")]

    def scalar(self):
        if self.random.random() < 0.2:
            return chr(self.random.choice([self.random.randrange(0xD800), self.random.randrange(0xE000, 0x110000), self.random.randrange(0x10000, 0x20000)]))
        return self.random.choice(self.categories[self.random.choice(self.names)])

    def word(self):
        """One of the words, often a little changed."""
        word = self.random.choice(WORDS)
        change = self.random.randrange(12)
        if change == 0:
            return word.upper()
        if change == 1:
            return word.title()
        if change == 2:
            return unicodedata.normalize("NFD", word)
        if change == 3:
            return unicodedata.normalize("NFKC", word)
        if change == 4:
            at = self.random.randrange(len(word) + 1)
            return word[:at] + self.scalar() + word[at:]
        if change == 5:
            at = self.random.randrange(1, len(word) + 1)
            return word[:at] + "".join(self.random.choices(self.combining, k=self.random.randrange(1, 4))) + word[at:]
        if change == 6:
            return word + self.random.choice([",", ".", "!", "'s", "'LL", "…", "\u0301", "<|endoftext|>", "<|EndOfText|>!", "!!"])
        if change == 7:
            return word + self.random.choice(WORDS)
        return word

    def space(self):
        return " " if self.random.random() < 0.7 else "".join(self.random.choices(SPACES, k=self.random.randrange(1, 3)))

    def text(self, short):
        """One line of a kind by chance."""
        kind, most = self.random.randrange(8), 6 if short else 24
        count = self.random.randrange(1, most)
        if kind == 0:
            return "".join(self.scalar() for _ in range(count))
        if kind == 1:
            script = self.random.choice(self.categories[self.random.choice(["Ll", "Lo", "Lu", "Mn", "Nd", "So"])])
            near = [chr(code) for code in range(max(0, ord(script) - 64), min(0x10FFFF, ord(script) + 64)) if not 0xD800 <= code < 0xE000]
            return "".join(self.random.choice(near) for _ in range(count))
        if kind == 2:
            return "".join(
                unicodedata.normalize("NFD", self.random.choice(self.decomposed)) + "".join(self.random.choices(self.marks, k=self.random.randrange(3)))
                for _ in range(count)
            )
        if kind == 3:
            return "".join(self.random.choice(["'", "s", "t", "re", "LL", "!", " ", "<", "|", ">", "startoftext", "ENDOFTEXT", "0", "9", "ä", "٣"]) for _ in range(count))
        if not short and self.random.random() < 0.02:
            count *= 30
        return "".join(self.word() + self.space() for _ in range(count)) if kind > 4 else "".join(self.space() + self.word() + self.scalar() for _ in range(count))


def vocabulary(merges):
    """As CLIP's own code makes it of its merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]
    tokens = letters + [letter + "</w>" for letter in letters] + ["".join(line.split(" ")) for line in merges] + ["<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(tokens)}


def write_tokenizer(folder, padding):
    """Such a folder as Stable Diffusion 1.x and 2.x have."""

    def token(content):
        return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}

    ends = {"bos_token": token("<|startoftext|>"), "eos_token": token("<|endoftext|>"), "unk_token": token("<|endoftext|>")}
    merges = MERGES.read_text(encoding="utf-8").splitlines()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    (folder / "vocab.json").write_text(json.dumps(vocabulary(merges)))
    (folder / "special_tokens_map.json").write_text(json.dumps({**ends, "pad_token": padding}))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                **{key: {**value, "__type": "AddedToken"} for key, value in ends.items()},
                "pad_token": "<|endoftext|>",
                "add_prefix_space": False,
                "do_lower_case": True,
                "errors": "replace",
                "model_max_length": 77,
                "tokenizer_class": "CLIPTokenizer",
            }
        )
    )


def ids(tokenizer, text):
    """A text's ids; that the padded ones are what is to be made of them is checked here."""
    plain = tokenizer(text, add_special_tokens=False).input_ids
    padded = tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids
    expected = [tokenizer.bos_token_id, *plain[:75], tokenizer.eos_token_id]
    assert padded == expected + [tokenizer.pad_token_id] * (77 - len(expected)), text
    return plain


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("output", type=pathlib.Path)
    options.add_argument("--lines", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--short", action="store_true", help="short texts, to be kept in the repository")
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tokenizers = {}
        for name, padding in (("sd1", "<|endoftext|>"), ("sd2", "!")):
            write_tokenizer(pathlib.Path(folder) / name, padding)
            tokenizers[name] = transformers.CLIPTokenizer.from_pretrained(pathlib.Path(folder) / name)
    texts = Texts(options.seed)
    # Each of the words at least once.
    lines = WORDS + [texts.text(options.short) for _ in range(options.lines - len(WORDS))]
    with open(options.output, "w", encoding="ascii") as output:
        for text in lines[: options.lines]:
            print(json.dumps({"text": text, **{name: ids(tokenizer, text) for name, tokenizer in tokenizers.items()}}), file=output)
    print(f"{options.lines} texts, transformers {transformers.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
