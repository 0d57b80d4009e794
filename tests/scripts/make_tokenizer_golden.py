"""Writes small vocabularies to tests/data/tokenizer/*.gguf, and what the peer makes of texts with them.

    python3 make_tokenizer_golden.py     # needs gguf 0.19, sentencepiece 0.2, llama-cpp-python 0.3.36

The vocabularies are learned here from the answers in data/votes/lmsys_arena_1500.csv.gz and a few lines in other
scripts: byte-level BPE (1,000 merges), SentencePiece BPE and unigram (by sentencepiece), WordPiece. The byte-level
vocabulary serves all pre-tokenizers: the peer reads copies that differ in tokenizer.ggml.pre.
"""

import collections
import csv
import gzip
import importlib.util
import io
import json
import os
import random
import tempfile
from pathlib import Path

import gguf
import llama_cpp
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data/tokenizer"
PRE = ["default", "gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "qwen35", "falcon", "tekken", "gpt-4o"]
OTHER = """Žluťoučký kůň úpěl ďábelské ódy. Straßenbahnhaltestelle, naïve façade, ÉCOLE NORMALE SUPÉRIEURE.
Съешь же ещё этих мягких французских булок, да выпей чаю. ПРИВЕТ МИР. Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.
敏捷的棕色狐狸跳过懒狗。你好，世界！ 色は匂へど散りぬるを。カタカナ 키스의 고유조건은 입술끼리 만나야 하고
नमस्ते दुनिया שלום עולם مرحبا بالعالم สวัสดีชาวโลก 😀 👍🏽 🇩🇪 १२३ ٣٤٥ ½
"""
# Replacements for the unigram vocabulary, as sentencepiece reads them: code points, tab, code points.
RULES = "".join(f"{0xFF21 + i:X}\t{0x41 + i:X}\n{0xFF41 + i:X}\t{0x61 + i:X}\n" for i in range(26)) + (
    "FB01\t66 69\nFB02\t66 6C\n3000\t20\nA0\t20\n2009\t20\n9\t20\nA\t20\nD\t20\n2126\t3A9\n65 301\tE9\n61 308\tE4\n"
    "41 308 304\t1DE\nBD\t31 2044 32\n200B\t\nAD\t\n2028\t20\n1F600\t3A 29\n")


def corpus():
    csv.field_size_limit(1 << 30)
    with gzip.open(ROOT / "data/votes/lmsys_arena_1500.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = [row["response_a"] for row, _ in zip(csv.DictReader(file), range(400))]
    texts = [turn for row in rows for turn in json.loads(row.encode("utf-8", "replace")) if turn]
    return "\n".join(texts)[:600_000] + "\n" + OTHER * 20


def byte_alphabet():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, extra = {}, 256
    for byte in range(256):
        if byte in printable:
            table[byte] = chr(byte)
        else:
            table[byte], extra = chr(extra), extra + 1
    return table


def learn_merges(text, count):
    """Byte-pair encoding inside words that a simple rule cuts: a space belongs to the word behind it."""
    alphabet = byte_alphabet()
    words = collections.Counter()
    for line in text.split("\n"):
        words["\n"] += 1
        for i, word in enumerate(line.split(" ")):
            words[(" " if i else "") + word] += 1
    parts = {word: [alphabet[b] for b in word.encode()] for word in words}
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for word, pieces in parts.items():
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] += words[word]
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word, pieces in parts.items():
            i, merged = 0, []
            while i < len(pieces):
                joins = i + 1 < len(pieces) and (pieces[i], pieces[i + 1]) == best
                merged.append("".join(best) if joins else pieces[i])
                i += 2 if joins else 1
            parts[word] = merged
    return merges


def start(path, model, name="test"):
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(name)
    writer.add_context_length(512)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model(model)
    return writer


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def write_byte_bpe(path, merges, pre):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|user|>"]
    tokens = special + list(byte_alphabet().values()) + ["".join(pair) for pair in merges]
    types = [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.USER_DEFINED] + [gguf.TokenType.NORMAL] * (len(tokens) - 4)
    # Tokens that no merge makes: whole words for pre-tokenizers that look words up first.
    tokens += ["Ġnormally", "Ġunusual", "ĠÃ©"]
    types += [gguf.TokenType.NORMAL] * 3
    writer = start(path, "gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    # A merge whose result is no token, and merges with parts that are none.
    writer.add_token_merges([f"{a} {b}" for a, b in merges] + ["Q Q", "QQ Q", "x! y!", "nospace"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    finish(writer)


def train_sentencepiece(text, folder, model_type):
    (folder / "text").write_text(text, encoding="utf-8")
    (folder / "rules.tsv").write_text(RULES, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"), model_prefix=str(folder / model_type), model_type=model_type, vocab_size=1400,
        character_coverage=0.9995, byte_fallback=model_type == "bpe", normalization_rule_tsv=str(folder / "rules.tsv"),
        control_symbols=["<|endoftext|>", "<|end|>"], user_defined_symbols=["<extra>", "▁▁▁", "\n\n"],
        max_sentence_length=1 << 20, minloglevel=2, num_threads=1, remove_extra_whitespaces=False, split_digits=True)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString((folder / f"{model_type}.model").read_bytes())
    return proto


def write_sentencepiece(path, proto, model):
    writer = start(path, model, "Phi-3 like" if model == "llama" else "test")
    writer.add_token_list([piece.piece for piece in proto.pieces])
    writer.add_token_scores([piece.score for piece in proto.pieces])
    writer.add_token_types([int(piece.type) for piece in proto.pieces])  # the same numbers
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    if model == "t5":
        writer.add_add_space_prefix(True)
        writer.add_precompiled_charsmap(proto.normalizer_spec.precompiled_charsmap)
    finish(writer)


def write_wordpiece(path, text):
    words = collections.Counter("".join(c.lower() if c.isalnum() else f" {c} " for c in text).split())
    starts, inside = collections.Counter(), collections.Counter()
    for word, count in words.items():
        for i in range(1, min(len(word), 5)):
            starts[word[:i]] += count
            for j in range(len(word) - i + 1):
                inside[word[j:j + i]] += count
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for source, prefix, count in ((words, "▁", 500), (starts, "▁", 250), (inside, "", 400)):
        tokens += [prefix + t for t, _ in sorted(source.items(), key=lambda item: (-item[1], item[0]))[:count]]
    tokens = list(dict.fromkeys(tokens))
    writer = start(path, "bert")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 5 + [gguf.TokenType.NORMAL] * (len(tokens) - 5))
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    finish(writer)


def golden_texts():
    """A sample of the slow test's texts: every twentieth small one, some random ones, one line of each script."""
    os.environ.setdefault("AGON_PROGRAM", "")
    spec = importlib.util.spec_from_file_location("slow", Path(__file__).with_name("tokenizer_peer_slow.py"))
    slow = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(slow)
    special = slow.SPECIAL
    small = list(dict.fromkeys(slow.small_texts(special)))
    pick = random.Random(7)
    texts = pick.sample([t for t in small if len(t) < 200], 150)
    texts += list(slow.random_texts(random.Random(8), special, 60))
    texts += [line.encode() for line in OTHER.split("\n")] + [b"", b"QQQ QQ Q", b" unusual normally", b"x" * 300]
    texts += ["ＡＢｃ ﬁ e\u0301a\u0308 A\u0308\u0304 ½ \u200b<extra> <ex".encode(), b"   \n\n   ", b"a\n\n\nb"]
    return texts


def main():
    DATA.mkdir(exist_ok=True)
    text = corpus()
    texts = golden_texts()
    golden = {"texts": [list(t) if not is_utf8(t) else t.decode() for t in texts], "tokens": {}}

    def ask(name, path):
        model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
        golden["tokens"][name] = {
            "plain": [model.tokenize(t, add_bos=False, special=False) for t in texts],
            "special": [model.tokenize(t, add_bos=True, special=True) for t in texts],
        }

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        merges = learn_merges(text[-150_000:], 1000)
        write_byte_bpe(DATA / "byte_bpe.gguf", merges, "gpt-2")
        for pre in PRE:
            write_byte_bpe(folder / "bpe.gguf", merges, pre)
            ask(f"gpt2/{pre}", folder / "bpe.gguf")
        write_sentencepiece(DATA / "sentencepiece.gguf", train_sentencepiece(text, folder, "bpe"), "llama")
        ask("llama", DATA / "sentencepiece.gguf")
        write_sentencepiece(DATA / "unigram.gguf", train_sentencepiece(text, folder, "unigram"), "t5")
        ask("t5", DATA / "unigram.gguf")
        write_wordpiece(DATA / "wordpiece.gguf", text)
        ask("bert", DATA / "wordpiece.gguf")
    out = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
    with gzip.GzipFile(DATA / "tokens.json.gz", "wb", mtime=0) as file:
        file.write(out.encode())


def is_utf8(text):
    try:
        text.decode()
        return True
    except UnicodeDecodeError:
        return False


if __name__ == "__main__":
    main()
