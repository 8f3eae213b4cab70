"""What a run would cost on AWS. Prices are those of us-east-1, in dollars, x86."""

LAMBDA_SIZES_MB = (512, 1024, 1769, 2048, 3008, 4096, 6144, 8192, 10240)
LAMBDA_GB_SECOND = 0.0000166667
HEADROOM = 1.15
"""A function gets this many times the memory that was measured, at least."""

GLUE_DPU_HOUR = 0.44
GLUE_DPUS = 2
"""The least that a Spark job of Glue can have."""
GLUE_LEAST_SECONDS = 60


def lambda_mb(peak_bytes: float) -> int | None:
    """The smallest memory setting that fits, in MB; `None` if none does."""
    return next((size for size in LAMBDA_SIZES_MB if size << 20 >= peak_bytes * HEADROOM), None)


def gb_seconds(memory_mb: int, seconds: float) -> float:
    """What Lambda bills: the memory that was set, in GB, times the seconds."""
    return memory_mb / 1024 * seconds


def lambda_dollars(memory_mb: int, seconds: float) -> float:
    return gb_seconds(memory_mb, seconds) * LAMBDA_GB_SECOND


def glue_dollars(seconds: float) -> float:
    """What Glue bills for a job of so many seconds: by the second, a minute at least."""
    return GLUE_DPUS * GLUE_DPU_HOUR * max(seconds, GLUE_LEAST_SECONDS) / 3600
