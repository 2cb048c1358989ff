"""Peak memory of scoring large networks, beside a bare forward and backward of the same batch.

Each figure is a process of its own with one thread. What the imports take is taken off both sides.

    python benchmarks/large.py [--models hf:resnet,hf:vit,hf:swin] [--batch-size 8] [--limit GiB]
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from memory import peak

from autodas_dsl.compiler.pipeline import to_ir
from autodas_dsl.compiler.populated import is_populated
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.library import library_names, load
from autodas_dsl.models.load import load_model
from autodas_dsl.scoring.score import score
from autodas_dsl.scoring.setting import Data

WEIGHTS = (
    "sum(|W|_F)",
    "sum(sum(|W * grad W|))",
    "sum(log(|grad W|_F))",
    "mean(mean(|W|) / std(grad W))",
)
TRANSFORMER = {
    "model_type": "vit", "hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16,
    "intermediate_size": 4096,
}  # fmt: skip
"""350 million parameters."""


def imports(model: str, batch: int, limit: float) -> None:
    pass


def built(model: str, batch: int, limit: float) -> None:
    """The network alone."""
    network = load_model(model).build()
    print(f"{'':<24} {sum(p.numel() for p in network.parameters()) / 1e6:.0f} million parameters")


def bare(model: str, batch: int, limit: float) -> None:
    source = load_model(model)
    network = source.build().train()
    x = torch.randn(batch, *(source.input_shape or ()))
    y = torch.zeros(batch, dtype=torch.int64)
    output = network(x)
    logits = output if isinstance(output, torch.Tensor) else output.logits
    torch.autograd.grad(F.cross_entropy(logits, y), list(network.parameters()))


def weights(model: str, batch: int, limit: float) -> None:
    """Formulas of W and grad W."""
    scored(model, batch, limit, WEIGHTS)


def library(model: str, batch: int, limit: float) -> None:
    """Every formula of the library that sees one network alone."""
    alone = [name for name in library_names() if not is_populated(to_ir(name))]
    scored(model, batch, limit, alone)


def some(names: str, model: str, batch: int, limit: float) -> None:
    """Those of the library that are asked for."""
    scored(model, batch, limit, names.split(","))


def scored(model: str, batch: int, limit: float, formulas: Sequence[str]) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (int(limit * 2**30),) * 2)
    try:
        found = score(
            [load_model(model)], [load(text) for text in formulas], data=Data("noise", batch)
        )
    except InputError as error:
        print(f"{'':<24} {error}")
        return
    valid = sum(one.valid for one in found.scores)
    print(f"{'':<24} {valid} of {len(found.scores)} formulas have a score")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="hf:resnet,hf:vit,hf:swin,350M")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--limit", type=float, default=0, help="GiB of addresses of a scoring")
    parser.add_argument("--without", default="", help="weights, library: not that one")
    parser.add_argument(
        "--formulas", action="append", help="of the library, with commas, alone; may be repeated"
    )
    options = parser.parse_args()
    usual: dict[str, Callable[..., None]] = {
        run.__name__: run for run in (weights, library) if run.__name__ != options.without
    }
    runs: dict[str, Callable[..., None]] = {
        names: partial(some, names) for names in options.formulas or ()
    } or usual
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "transformer.json"
        own.write_text(json.dumps(TRANSFORMER), encoding="utf-8")
        for name in options.models.split(","):
            given = (f"hf:{own}" if name == "350M" else name, options.batch_size, options.limit)
            nothing = peak(imports, *given)
            base = peak(built, *given), peak(bare, *given)
            alone, plain = (found - nothing for found in base)
            print(f"{name:<12} network {alone:6.0f} MiB, forward and backward {plain:6.0f} MiB")
            for title, run in runs.items():
                found = peak(run, *given) - nothing
                print(f"{title:<12} {found:6.0f} MiB, {found / plain:.2f} of that", flush=True)


if __name__ == "__main__":
    main()
