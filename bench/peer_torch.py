"""Hidden states by PyTorch in bfloat16: the peer of reading answers in `make bench`.

A Llama of the given shape with random weights, as its speed does not depend on them: RMS norm, rotary embedding,
grouped attention by scaled_dot_product_attention, gated feed-forward. Only the first layers are run, as
`agon bench-model --layers` does. The best batch size of those given counts. Prints tokens a second as JSON.
"""

import argparse
import json
import time

import torch
from torch.nn import functional as F


class Layer(torch.nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads, self.kv_heads = shape.heads, shape.kv_heads
        self.length = shape.embedding // shape.heads

        def linear(inputs, outputs):
            return torch.nn.Linear(inputs, outputs, bias=False)

        self.q = linear(shape.embedding, shape.embedding)
        self.k = linear(shape.embedding, self.kv_heads * self.length)
        self.v = linear(shape.embedding, self.kv_heads * self.length)
        self.o = linear(shape.embedding, shape.embedding)
        self.gate = linear(shape.embedding, shape.feed_forward)
        self.up = linear(shape.embedding, shape.feed_forward)
        self.down = linear(shape.feed_forward, shape.embedding)
        self.norms = torch.nn.ModuleList(torch.nn.RMSNorm(shape.embedding) for _ in range(2))

    def forward(self, x, cosine, sine):
        batch, tokens, _ = x.shape
        y = self.norms[0](x)

        def heads(values, count):
            return values.view(batch, tokens, count, self.length).transpose(1, 2)

        def turned(values):
            first, second = values.chunk(2, dim=-1)
            return values * cosine + torch.cat((-second, first), dim=-1) * sine

        attended = F.scaled_dot_product_attention(turned(heads(self.q(y), self.heads)), turned(heads(self.k(y), self.kv_heads)),
                                                  heads(self.v(y), self.kv_heads), is_causal=True,
                                                  enable_gqa=self.heads != self.kv_heads)
        x = x + self.o(attended.transpose(1, 2).reshape(batch, tokens, -1))
        y = self.norms[1](x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, value in (("layers", 10), ("embedding", 576), ("heads", 9), ("kv-heads", 3), ("feed-forward", 1536),
                        ("prompt", 512), ("threads", 1), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4])
    shape = parser.parse_args()
    torch.set_num_threads(shape.threads)
    torch.manual_seed(1)
    layers = torch.nn.ModuleList(Layer(shape) for _ in range(shape.layers)).to(torch.bfloat16).eval()
    length = shape.embedding // shape.heads
    angles = torch.outer(torch.arange(shape.prompt), 10000.0 ** (-torch.arange(0, length, 2) / length)).repeat(1, 2)
    cosine, sine = angles.cos().to(torch.bfloat16), angles.sin().to(torch.bfloat16)
    rates = {}
    with torch.inference_mode():
        for batch in shape.batches:
            x = torch.randn(batch, shape.prompt, shape.embedding).to(torch.bfloat16)
            best = 0
            for repeat in range(shape.repeats + 1):  # the first warms up
                begin = time.perf_counter()
                y = x
                for layer in layers:
                    y = layer(y, cosine, sine)
                pooled = y.float().mean(1)
                if repeat:
                    best = max(best, batch * shape.prompt / (time.perf_counter() - begin))
            assert pooled.isfinite().all()
            rates[batch] = best
    print(json.dumps({"tokens_per_second": max(rates.values()), "by_batch": rates, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
