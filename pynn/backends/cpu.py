"""Names as in torch.backends.cpu."""


def get_cpu_capability() -> str:
    """The instruction set in use: "DEFAULT", "AVX2", "AVX512" or "NEON"."""
    from pynn import _C

    isa = str(_C._build_info()["isa"])
    return "DEFAULT" if isa == "baseline" else isa.upper()
