#!/usr/bin/env python3
"""Writes tests/data/gguf/golden.gguf: random blocks of every format, and what they decode to.

The file is written and the blocks are decoded by the Python package `gguf` (pip install gguf==0.19.0), which
shares no code with this project. For each format there is a tensor named like it ("Q4_K"), with random bytes
and sane scales, and "Q4_K.f32" with its weights. The metadata holds a value of every type.
"""

import sys

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFValueType as Value
from gguf import GGUFWriter, quants
from gguf.constants import GGML_QUANT_SIZES

# Where the half-precision scales of a block lie.
SCALES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0], Type.IQ4_NL: [0],
    Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208],
    Type.IQ4_XS: [0],
}  # fmt: skip


def main():
    random = np.random.default_rng(5)
    writer = GGUFWriter(sys.argv[1], "golden")
    values = {
        "u8": (250, Value.UINT8), "i8": (-3, Value.INT8), "u16": (65000, Value.UINT16),
        "i16": (-300, Value.INT16), "u32": (4000000000, Value.UINT32), "i32": (-70000, Value.INT32),
        "f32": (0.1, Value.FLOAT32), "yes": (True, Value.BOOL), "text": ("Grüße", Value.STRING),
        "u64": (2**63 - 1, Value.UINT64), "i64": (-(2**63), Value.INT64), "f64": (0.1, Value.FLOAT64),
    }  # fmt: skip
    for key, (value, kind) in values.items():
        writer.add_key_value(f"test.{key}", value, kind)
    writer.add_array("test.integers", [1, -2, 3])
    writer.add_array("test.reals", [0.5, -2.0])
    writer.add_array("test.strings", ["a", "", "\u2581c"])
    for kind, places in SCALES.items():
        elements, size = GGML_QUANT_SIZES[kind]
        rows = 2 if elements == 256 else 3
        blocks = random.integers(0, 256, (rows, size), dtype=np.uint8)
        for place in places:
            scale = (random.normal(size=(rows, 1)) * 0.05).astype(np.float16)
            scale[0] = 5e-6  # a subnormal half
            blocks[:, place : place + 2] = scale.view(np.uint8)
        writer.add_tensor(kind.name, blocks, raw_dtype=kind)
        writer.add_tensor(f"{kind.name}.f32", quants.dequantize(blocks, kind))
    # Every kind of half and bfloat16, but no NaN: those have many bit patterns.
    halves = np.concatenate([np.arange(0, 65536, 257), [0, 1, 0x3FF, 0x400, 0x7BFF, 0x7C00, 0x8000, 0xFC00]])
    halves = halves.astype(np.uint16)
    halves = halves[((halves & 0x7C00) != 0x7C00) | ((halves & 0x3FF) == 0)]
    writer.add_tensor("F16", halves.view(np.float16))
    writer.add_tensor("F16.f32", halves.view(np.float16).astype(np.float32))
    writer.add_tensor("BF16", halves.view(np.uint8).reshape(1, -1), raw_dtype=Type.BF16)
    writer.add_tensor("BF16.f32", (halves.astype(np.uint32) << 16).view(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
