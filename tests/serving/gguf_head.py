"""Gives a GGUF file a classification head, byte by byte: an independent hand at the format."""

import struct

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY, UINT32 = 8, 9, 4
F32, F16 = 0, 1
ROW_BYTES = {F32: 4, F16: 2}


class Bytes:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def number(self, form):
        size = struct.calcsize("<" + form)
        value = struct.unpack_from("<" + form, self.data, self.at)[0]
        self.at += size
        return value

    def string(self):
        size = self.number("Q")
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def pass_value(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            inner, count = self.number("I"), self.number("Q")
            for _ in range(count):
                self.pass_value(inner)
        else:
            self.at += SIZES[kind]


def string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def add_head(source, target, tokens, names=()):
    """A copy of `source` whose head has the token embedding's rows of `tokens`: without an output matrix its outputs
    are the logits of these tokens."""
    data = source.read_bytes()
    bytes_ = Bytes(data, 4)
    version, tensors, keys = bytes_.number("I"), bytes_.number("Q"), bytes_.number("Q")
    alignment, architecture = 32, ""
    begin = bytes_.at
    for _ in range(keys):
        key, kind = bytes_.string(), bytes_.number("I")
        if key == "general.architecture":
            architecture = Bytes(data, bytes_.at).string()
        assert key != "general.alignment"
        bytes_.pass_value(kind)
    metadata = data[begin:bytes_.at]
    begin = bytes_.at
    embedding = None
    for _ in range(tensors):
        name, dimensions = bytes_.string(), bytes_.number("I")
        shape = [bytes_.number("Q") for _ in range(dimensions)]
        kind, offset = bytes_.number("I"), bytes_.number("Q")
        if name == "token_embd.weight":
            embedding = (shape, kind, offset)
    infos = data[begin:bytes_.at]
    weights = data[-(-bytes_.at // alignment) * alignment:]
    weights += bytes(-len(weights) % alignment)
    (width, _), kind, offset = embedding
    row = width * ROW_BYTES[kind]
    head = b"".join(weights[offset + token * row:offset + (token + 1) * row] for token in tokens)
    metadata += string(f"{architecture}.pooling_type") + struct.pack("<II", UINT32, 4)
    if names:
        metadata += string(f"{architecture}.classifier.output_labels") + struct.pack("<IIQ", ARRAY, STRING, len(names))
        metadata += b"".join(map(string, names))
    infos += string("cls.output.weight") + struct.pack("<IQQIQ", 2, width, len(tokens), kind, len(weights))
    header = b"GGUF" + struct.pack("<IQQ", version, tensors + 1, keys + 1 + bool(names)) + metadata + infos
    target.write_bytes(header + bytes(-len(header) % alignment) + weights + head)
