"""Tokens equal those of llama-cpp-python, token for token, on text meant to break tokenizers. Slow, so only
with -DAGON_SLOW_TESTS=ON (ctest -L slow).

Vocabularies: every GGUF file that AGON_VOCABULARIES names (files and folders, separated by colons), and those
in tests/data/tokenizer. The peer is installed into a virtual environment of the build tree, or taken from the
Python that AGON_PEER_PYTHON names.
"""

import base64
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ["AGON_PROGRAM"]
PEER = "llama-cpp-python==0.3.36"
SEED = 20260301

# What runs inside the peer's Python: texts in (base64, one a line), tokens out.
PEER_SCRIPT = r"""
import base64, ctypes, json, sys
import llama_cpp
model = llama_cpp.Llama(sys.argv[1], vocab_only=True, verbose=False)
vocab = model._model.vocab
buffer = ctypes.create_string_buffer(1 << 17)
def piece(token, special):
    n = llama_cpp.llama_token_to_piece(vocab, token, buffer, len(buffer), 0, special)
    return buffer.raw[:n]
for line in sys.stdin:
    request = json.loads(line)
    if "pieces" in request:
        out = [base64.b64encode(piece(t, request["special"])).decode() for t in range(model.n_vocab())]
    else:
        text = base64.b64decode(request["text"])
        out = model.tokenize(text, add_bos=request["add"], special=request["special"])
    print(json.dumps(out), flush=True)
"""


def peer_python():
    given = os.environ.get("AGON_PEER_PYTHON")
    if given:
        return given
    folder = Path(os.environ["AGON_BUILD"]) / "peer-llama-cpp"
    python = folder / "bin/python"
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
        (folder / "done").touch()
    return python


def vocabularies():
    places = os.environ.get("AGON_VOCABULARIES", "").split(":")
    places.append(str(ROOT / "tests/data/tokenizer"))
    found = []
    for place in filter(None, places):
        path = Path(place)
        found += sorted(path.rglob("*.gguf")) if path.is_dir() else [path] if path.exists() else []
    return found


def unicode_texts():
    """Every code point (lone surrogates as the three bytes they would be), in chunks, with and without spaces."""
    for start in range(0, 0x110000, 2048):
        codes = range(start, start + 2048)
        yield "".join(map(chr, codes)).encode("utf-8", "surrogatepass")
        if start < 0x20000:
            yield " ".join(map(chr, codes)).encode("utf-8", "surrogatepass")
            yield "a".join(map(chr, codes)).encode("utf-8", "surrogatepass")


WORDS = (
    "the The THE of and to in a is that it was for on are as with his they I at be this have from or one had "
    "by word but not what all were we when your can said there use an each which she do how their if will up "
    "antidisestablishmentarianism internationalization don't DON'T I'll I'LL we've WE'VE they're 'tis it's IT'S "
    "camelCase snake_case CONSTANT_CASE HTTPServer eBay iPhone x1y2z3 utf8 Zürich naïve façade Ελλάδα Привет мир "
    "ÉCOLE Straße ǅ ﬁn 你好 世界 こんにちは 안녕하세요 สวัสดี नमस्ते שלום مرحبا १२३ ٣٤٥ Ⅷ ½ ² "
    "3.14159 1,000,000 2024-11-24 1234567890123 0x1F600 1e-9 https://example.org/a/b?c=d&e=f#g user@host.com "
    "{ } ( ) [ ] ; : , . ? ! … — – « » “ ” ‘ ’ ' \" ` ~ @ # $ % ^ & * - _ + = | \\ / < > <= >= == != && || -> => ::"
).split(" ")
SPACES = [" ", "  ", "   ", "    ", "\t", "\n", "\n\n", "\r\n", "\r", " \n", "\n ", "\t\t", "\u00a0", "\u3000",
          "\u2009", "\u2028", "\x85", "\x0b", "\x0c", "\u200b", "\ufeff", "\u1680"]
EMOJI = ["😀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👩🏽‍🚀", "🇩🇪", "🇺🇳", "1️⃣", "❤️", "☃︎", "\u200d", "\ufe0f"]
MARKS = ["e\u0301", "a\u0308\u0304", "\u0301", "ก็", "क्षि", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘", "각", "ﷺ", "ß", "İ", "ſ", "K"]
INVALID = [b"\x80", b"\xbf", b"\xc0\xaf", b"\xc1\x81", b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xf0\x80\x80\xaf",
           b"\xf0\x8f\xbf\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80", b"\xc3", b"\xe2\x82",
           b"\xe2", b"\xf0\x9f\x98", b"\xf0\x9f", b"\xf0", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xc3(",
           b"\xe2(\xa1", b"\xe2\x82(", b"\x00", b"a\x00b"]
SPECIAL = ["<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "<|endoftext|>", "<|im_start|>", "<|im_end|>",
           "<start_of_turn>", "<end_of_turn>", "<|user|>", "<|end|>", "<|assistant|>", "<fim_prefix>", "<fim_suffix>",
           ">>TITLE<<", ">>QUESTION<<", "<unused0>", "<unused99>", "<0x0A>", "<0xFF>", "[INST]", "[/INST]", "<<SYS>>",
           "<|", "|>", "<|im_", "<repo_name>", "<file_sep>", "<h1>", "</table>", "▁", "▁▁", "▁▁▁▁", "Ġ", "Ċ", "[CLS]",
           "[SEP]", "[MASK]", "<mask>", "<extra_id_0>", "<e"]


def small_texts(special):
    yield b""
    parts = [t.encode() for t in WORDS + SPACES + EMOJI + MARKS + special] + INVALID
    for part in parts:
        yield part
        yield b" " + part
        yield part + b" "
        yield b"x" + part + b"y"
        yield part * 3
        yield b" ".join([part] * 3)
    for n in list(range(1, 70)) + [127, 128, 129, 255, 256, 257, 1000]:
        for unit in (" ", "\n", "\t", "\r\n", "\u3000", "▁", "a", "9", "!", "=", "-", "你", "é", "😀", "' ", " a"):
            yield (unit * n).encode()
            yield ("x" + unit * n + "y").encode()
            yield (unit * n + "\n").encode()
    for quote in ("'", "’", " '", "''", "x'", "5'", "\n'"):
        for letters in ("s", "t", "re", "ve", "m", "ll", "d", "S", "T", "RE", "Re", "rE", "VE", "M", "LL", "lL", "D",
                        "r", "v", "l", "ſ", "ss", "sx", "RES", "LLx", "", "1", "é"):
            yield (quote + letters).encode()
            yield ("I" + quote + letters + " go").encode()
    for digits in range(1, 15):
        yield ("1234567890" * 2)[:digits].encode()
        yield ("x" + ("1234567890" * 2)[:digits] + " " + "٣" * digits + "½" * digits + "5" * digits).encode()
    for text in ("ABCdefGHI", "ÉCOLEÉ", "aÉB", "AÉb", "éÉeE", "ABÉ", "ABÉc", "'SABC", "HELLO'S it", "hello'LL", "XMLHttp's",
                 "日本ABC語abc", "Éa'ré", "/a//b\n/c", "!!/\n/", "?/\r\n//x"):
        yield text.encode()
        yield (" " + text).encode()


def random_texts(random_, special, count):
    pools = [[t.encode() for t in pool] for pool in (WORDS, SPACES, EMOJI, MARKS, special)] + [INVALID]
    for _ in range(count):
        kind = random_.randrange(6)
        if kind == 0:  # bytes that look like UTF-8 now and then, none that begin values past U+10FFFF
            yield bytes(random_.choice((random_.randrange(0xF4), random_.randrange(128))) for _ in range(
                random_.randrange(200)))
        elif kind == 1:  # code points of one plane or another
            limit = random_.choice((0x80, 0x250, 0x3000, 0xD800, 0x110000))
            yield "".join(chr(random_.randrange(limit)) for _ in range(random_.randrange(100))).encode(
                "utf-8", "surrogatepass")
        elif kind == 2:  # words
            yield b" ".join(random_.choice(pools[0]) for _ in range(random_.randrange(60)))
        elif kind == 3:  # ASCII soup
            letters = b"abcDEF '  \n\t019!.,-_<|>/\\\"$+^`~"
            yield bytes(random_.choice(letters) for _ in range(random_.randrange(120)))
        else:
            weights = [random_.random() for _ in pools]
            yield b"".join(random_.choice(random_.choices(pools, weights)[0]) for _ in range(random_.randrange(60)))


def long_texts():
    random_ = random.Random(SEED)
    yield b"a" * 100_000
    yield bytes(random_.choice(b"abcdefghijklmnopqrstuvwxyz") for _ in range(100_000))
    yield ("".join(random_.choice("你好世界中文字符测试漢字") for _ in range(30_000))).encode()
    yield (" ".join(random_.choice(WORDS) for _ in range(20_000))).encode()


class Peer(unittest.TestCase):
    def peer(self, vocabulary, requests, may_die=False):
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        run = subprocess.run([peer_python(), "-c", PEER_SCRIPT, vocabulary], input=lines, capture_output=True, text=True)
        if may_die and run.returncode < 0:
            return None
        self.assertEqual(run.returncode, 0, run.stderr[-2000:])
        return [json.loads(line) for line in run.stdout.split("\n")[:-1]]

    def agon(self, vocabulary, records, *options):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            for record in records:
                file.write(json.dumps(record) + "\n")
            file.flush()
            run = subprocess.run([PROGRAM, "tokenize", "-m", vocabulary, "--jsonl", file.name, *options],
                                 capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        return [json.loads(line) for line in run.stdout.split("\n")[:-1]]

    def compare(self, vocabulary, texts, add, special, may_die=False):
        texts = list(texts)
        options = ([] if add else ["--no-bos"]) + (["--special"] if special else [])
        ours = self.agon(vocabulary, [{"bytes": list(text)} for text in texts], *options)
        theirs = self.peer(vocabulary, [
            {"text": base64.b64encode(text).decode(), "add": add, "special": special} for text in texts], may_die)
        if theirs is None:
            print(f"{Path(vocabulary).name}: the peer dies of {len(texts)} long texts (its std::regex recurses)", flush=True)
            return
        self.assertEqual(len(ours), len(texts))
        self.assertEqual(len(theirs), len(texts))
        wrong = [(text, a["tokens"], b) for text, a, b in zip(texts, ours, theirs) if a["tokens"] != b]
        tokens = sum(map(len, theirs))
        print(f"{Path(vocabulary).name}: {len(texts)} texts, {tokens} tokens, add {add}, special {special}: "
              f"{len(wrong)} differ", flush=True)
        for text, a, b in wrong[:8]:
            at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            print(f"  {text[:120]!r}: token {at}: ours {a[at:at+8]} theirs {b[at:at+8]}", flush=True)
        self.assertEqual(len(wrong), 0)

    def test_tokens(self):
        self.assertTrue(vocabularies(), "no vocabulary to compare on")
        for vocabulary in vocabularies():
            with self.subTest(vocabulary=vocabulary.name):
                special = SPECIAL
                self.compare(vocabulary, small_texts(special), True, False)
                self.compare(vocabulary, small_texts(special), False, True)
                self.compare(vocabulary, unicode_texts(), True, False)
                self.compare(vocabulary, random_texts(random.Random(SEED), special, 4000), False, False)
                self.compare(vocabulary, random_texts(random.Random(SEED + 1), special, 4000), True, True)
                self.compare(vocabulary, long_texts(), True, False, may_die=True)

    def test_pieces(self):
        for vocabulary in vocabularies():
            for special in (False, True):
                with self.subTest(vocabulary=vocabulary.name, special=special):
                    theirs = [base64.b64decode(p) for p in self.peer(vocabulary, [{"pieces": 1, "special": special}])[0]]
                    # A first token that is no space keeps decode from taking the prefix away.
                    start = next(i for i, p in enumerate(theirs) if p.isalpha() and p.isascii())
                    ours = self.agon(vocabulary, [{"tokens": [start, i]} for i in range(len(theirs))], "--decode",
                                     *(["--special"] if special else []))
                    found = [r["text"].encode() if "text" in r else bytes(r["bytes"]) for r in ours]
                    wrong = [i for i, (a, b) in enumerate(zip(found, theirs)) if a != theirs[start] + b]
                    print(f"{vocabulary.name}: {len(theirs)} pieces, special {special}: {len(wrong)} differ", flush=True)
                    self.assertEqual([(i, found[i], theirs[i]) for i in wrong[:5]], [])


if __name__ == "__main__":
    unittest.main()
