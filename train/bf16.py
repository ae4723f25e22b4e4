"""bfloat16 where it is fast."""

import torch


def has_bf16_units(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32: on current CUDA cards, and processors with AMX or AVX-512 BF16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(unit, False) for unit in ("amx_bf16", "avx512_bf16"))
