"""The LoRA adapter alone, in peft's format."""

from __future__ import annotations

from pathlib import Path

from uscl_med3d.core.errors import InputError
from uscl_med3d.core.io import sha256, write_json
from uscl_med3d.user.export.official import describe_prompts
from uscl_med3d.user.models import Choice, load_method


def write(choice: Choice, folder: Path) -> str:
    """Write adapter_config.json, adapter_model.safetensors and base.json; returns how to use them.

    Raises:
        InputError: for a model without LoRA.
    """
    from peft import LoraConfig
    from safetensors.torch import save_file

    from uscl_med3d.nets.lora import lora_layers, lora_state

    if choice.job.run.rank is None:
        raise InputError(
            file=choice.name,
            found="a model without LoRA adapters",
            expected="a run of uscl_med3d",
            remedy="name one by --weights, or use --format official",
        )
    method = load_method(choice, "separate")
    names = sorted(lora_layers(method.network))
    config = LoraConfig(
        r=choice.job.run.rank,
        lora_alpha=method.tuning.alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules=names,
        inference_mode=True,
    )
    config.save_pretrained(str(folder))
    tensors = {f"base_model.model.{name}": value for name, value in lora_state(method.network).items()}
    save_file(dict(sorted(tensors.items())), folder / "adapter_model.safetensors", {"format": "pt"})
    write_json(
        folder / "base.json",
        {
            "base_sha256": sha256(choice.base),
            "model": choice.job.model.model_dump(mode="json"),
            "prompts": describe_prompts(choice),
            "ingest": choice.ingest.model_dump(mode="json"),
        },
    )
    return USAGE


USAGE = """# Using this adapter

It belongs to the base model whose SHA-256 is in `base.json`, and to the network whose shape is there.

```python
import json
from peft import PeftModel
from uscl_med3d.nets.sam_med3d import SamMed3DConfig, build_sam_med3d, load_checkpoint

network = build_sam_med3d(SamMed3DConfig(**json.load(open("base.json"))["model"]))
load_checkpoint(network, "sam_med3d.safetensors")
network = PeftModel.from_pretrained(network, ".")   # the folder of this file
```
"""
