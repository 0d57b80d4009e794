#!/usr/bin/env python3
"""Makes tests/data/models/*.json: small random models, and the logits that llama.cpp gives for them.

Each file says all that is needed to build its model (metadata, and for every tensor the numbers that its
weights follow from), so that the test builds the same file without weights being stored. Needs the packages
llama-cpp-python (0.3.36 was used), gguf and numpy:

    python3 tests/scripts/make_model_golden.py tests/data/models
"""
import ctypes
import json
import sys
import tempfile
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

VOCABULARY, POSITIONS = 64, (0, 1, 7, 8, 9, 20, 39)


def weights(name, count, centre, spread):
    """centre + spread * v, where v in [-1, 1) has 24 bits drawn by SplitMix64's finaliser from the name's
    FNV-1a hash and the index. Float arithmetic, one rounding a step: the test repeats it exactly."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    v = (z >> np.uint64(40)).astype(np.float32) * np.float32(2**-23) - np.float32(1)
    return np.float32(centre) + np.float32(spread) * v


class Model:
    def __init__(self, architecture, layers=2, embedding=32, heads=4, kv_heads=2, feed_forward=48, key_length=None,
                 context=512, keys=None, biases=False, qk_norm=False, post_norms=False, fused=False,
                 tied=False, divisors=None, run_context=256):
        self.architecture, self.run_context = architecture, run_context
        key = key_length or embedding // heads
        self.metadata = {
            "general.architecture": architecture,
            "tokenizer.ggml.model": "no_vocab",
            f"{architecture}.vocab_size": VOCABULARY,
            f"{architecture}.block_count": layers,
            f"{architecture}.context_length": context,
            f"{architecture}.embedding_length": embedding,
            f"{architecture}.feed_forward_length": feed_forward,
            f"{architecture}.attention.head_count": heads,
            f"{architecture}.attention.head_count_kv": kv_heads,
            f"{architecture}.attention.layer_norm_rms_epsilon": 1e-5,
        }
        if key_length:
            self.metadata[f"{architecture}.attention.key_length"] = key
            self.metadata[f"{architecture}.attention.value_length"] = key
        self.metadata |= {f"{architecture}.{k}": v for k, v in (keys or {}).items()}
        self.tensors = []  # name, shape (fastest index first), centre, spread
        matrix = lambda name, n, m: self.tensors.append([name, [n, m], 0.0, round(3.0 / n**0.5, 4)])
        vector = lambda name, n, centre=1.0, spread=0.25: self.tensors.append([name, [n], centre, spread])
        self.tensors.append(["token_embd.weight", [embedding, VOCABULARY], 0.0, 1.0])
        if not tied:
            matrix("output.weight", embedding, VOCABULARY)
        vector("output_norm.weight", embedding)
        for name, (centre, spread) in (divisors or {}).items():
            vector(name, key // 2, centre, spread)
        for i in range(layers):
            b = f"blk.{i}."
            vector(b + "attn_norm.weight", embedding)
            q, kv = heads * key, kv_heads * key
            if fused:
                matrix(b + "attn_qkv.weight", embedding, q + 2 * kv)
                matrix(b + "ffn_up.weight", embedding, 2 * feed_forward)
            else:
                for part, width in (("q", q), ("k", kv), ("v", kv)):
                    matrix(b + f"attn_{part}.weight", embedding, width)
                    if biases:
                        vector(b + f"attn_{part}.bias", width, 0.0, 0.5)
                matrix(b + "ffn_gate.weight", embedding, feed_forward)
                matrix(b + "ffn_up.weight", embedding, feed_forward)
            matrix(b + "attn_output.weight", q, embedding)
            matrix(b + "ffn_down.weight", feed_forward, embedding)
            vector(b + "ffn_norm.weight", embedding)
            if qk_norm:
                vector(b + "attn_q_norm.weight", key)
                vector(b + "attn_k_norm.weight", key)
            if post_norms:
                vector(b + "post_attention_norm.weight", embedding)
                vector(b + "post_ffw_norm.weight", embedding)

    def write(self, path):
        writer = gguf.GGUFWriter(path, self.architecture)  # adds general.architecture itself
        for key, value in self.metadata.items():
            if key == "general.architecture":
                continue
            if isinstance(value, str):
                writer.add_string(key, value)
            elif isinstance(value, int):
                writer.add_uint32(key, value)
            else:
                writer.add_float32(key, value)
        for name, shape, centre, spread in self.tensors:
            count = int(np.prod(shape))
            writer.add_tensor(name, weights(name, count, centre, spread).reshape(shape[::-1]))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def peer_logits(path, tokens, context):
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise SystemExit(f"llama.cpp refuses {path}")
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = context, 256, 256
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = 0  # F32
    params.flash_attn_type = 0
    run = llama_cpp.llama_init_from_model(model, params)
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
    if llama_cpp.llama_decode(run, batch) != 0:
        raise SystemExit(f"llama.cpp fails on {path}")
    rows = [np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(run, p), (VOCABULARY,)).copy() for p in POSITIONS]
    llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(run)
    llama_cpp.llama_model_free(model)
    return rows


LONGROPE = {"rope_factors_long.weight": (4.0, 2.0), "rope_factors_short.weight": (1.2, 0.2)}
LONGROPE_KEYS = {"rope.scaling.type": "longrope", "rope.scaling.original_context_length": 256,
                 "rope.scaling.attn_factor": 1.1875, "attention.sliding_window": 0}
MODELS = {
    "llama": Model("llama", keys={"rope.freq_base": 500.0}),
    "llama_divisors": Model("llama", tied=True, divisors={"rope_freqs.weight": (4.0, 3.0)}),
    "llama_linear": Model("llama", keys={"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
    "llama_yarn": Model("llama", keys={"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.freq_base": 50.0,
                                       "rope.scaling.original_context_length": 64}, key_length=16),
    "qwen2": Model("qwen2", biases=True, tied=True, kv_heads=1),
    "qwen3": Model("qwen3", qk_norm=True, key_length=12),
    "gemma2": Model("gemma2", layers=3, key_length=16, post_norms=True, tied=True,
                    keys={"attention.sliding_window": 6, "attn_logit_softcapping": 2.0,
                          "final_logit_softcapping": 3.0}),
    "gemma3": Model("gemma3", layers=7, kv_heads=1, key_length=16, post_norms=True, qk_norm=True, tied=True,
                    keys={"attention.sliding_window": 6, "rope.freq_base": 1000.0, "rope.scaling.type": "linear",
                          "rope.scaling.factor": 8.0}),
    "phi3": Model("phi3", fused=True, keys={"rope.dimension_count": 6, "attention.sliding_window": 0}),
    "phi3_short": Model("phi3", fused=True, divisors=LONGROPE, keys=LONGROPE_KEYS),
    "phi3_long": Model("phi3", fused=True, divisors=LONGROPE, keys=LONGROPE_KEYS, run_context=512),
}


def main():
    out = Path(sys.argv[1])
    tokens = [int(t) for t in np.random.default_rng(1).integers(0, VOCABULARY, max(POSITIONS) + 1)]
    for name, model in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.gguf"
            model.write(path)
            rows = peer_logits(path, tokens, model.run_context)
        content = {"made_with": f"llama-cpp-python {llama_cpp.__version__}", "context": model.run_context,
                   "metadata": model.metadata, "tensors": model.tensors, "tokens": tokens,
                   "positions": POSITIONS, "logits": [[float(f"{x:.7g}") for x in row] for row in rows]}
        lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in content.items())
        (out / f"{name}.json").write_text("{\n" + lines + "\n}\n")
        print(name, "logits from", min(map(min, rows)), "to", max(map(max, rows)))


if __name__ == "__main__":
    main()
