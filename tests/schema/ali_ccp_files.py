"""Files of the shape of Ali-CCP's, made up: a few lines by hand, or millions for measurements."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

CHUNK = 200_000
# Not resource.getrusage: its largest memory is at least that of the process which started this one.
MEASURE = """
import re, sys, time
from pathlib import Path
from schema.readers import find_reader
start, rows = time.perf_counter(), 0
for block in find_reader("ali-ccp").read(Path(sys.argv[1]), domain=sys.argv[2]):
    rows += block.table.num_rows
peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(rows, time.perf_counter() - start, peak)
"""


def features(*entries: tuple[str, int, float]) -> str:
    """Return entries as the files hold them, from (field, id, value)."""
    return "\x01".join(f"{field}\x02{identity}\x03{value}" for field, identity, value in entries)


def write_large(folder: Path, samples: int, users: int, histories: int = 50, seed: int = 0) -> Path:
    """Write all four files: so many samples and users each in the training and in the test pair.

    Args:
        folder: to write to. samples: lines of a skeleton file, of 9 to 18 entries.
        users: lines of a file of common features. histories: entries of each of a user's four histories.
        seed: of everything random.
    """
    random = np.random.default_rng(seed)
    for split in ("train", "test"):
        keys = pl.Series(random.integers(1 << 60, 1 << 62, users)).map_elements("{:016x}".format, pl.String)
        with open(folder / f"common_features_{split}.csv", "wb") as file:
            for first in range(0, users, 2000):
                _users(random, keys[first : first + 2000], first, histories).write_csv(
                    file, include_header=False
                )
        with open(folder / f"sample_skeleton_{split}.csv", "wb") as file:
            for first in range(0, samples, CHUNK):
                count = min(CHUNK, samples - first)
                _samples(random, keys, samples // 20, first, count).write_csv(file, include_header=False)
    return folder


def measure(folder: Path, domain: str = "scenario") -> tuple[int, float, float]:
    """Read the files in a process of their own; return rows, seconds, and its largest memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder), domain], capture_output=True, text=True, check=True
    )
    rows, seconds, kilobytes = done.stdout.split()
    return int(rows), float(seconds), int(kilobytes) / 1024


def _samples(
    random: np.random.Generator, keys: pl.Series, items: int, first: int, count: int
) -> pl.DataFrame:
    user = random.integers(0, len(keys), count)
    item = random.integers(0, items, count)
    click = random.random(count) < 0.04
    intentions = _pool(random, "210", 9_000_000, 1, 7, 1.0)
    crosses = _pool(random, "853", 9_300_000, 1, 4, 0.69315)
    single = [
        _entry("216", 9_100_000 + item % 100_000),
        _entry("301", 9_351_665 + random.choice(3, count, p=[0.38, 0.01, 0.61])),
        _entry("205", 4_000_000 + item),
        _entry("206", 8_310_000 + item % 40),
        _entry("207", 8_400_000 + item % 200_000),
        _entry("508", 9_352_000 + item % 5_000, "2.30259"),
        _entry("509", 9_360_000 + item % 90_000, "0.69315"),
        intentions[random.integers(0, len(intentions), count)],
        crosses[random.integers(0, len(crosses), count)],
    ]
    frame = pl.DataFrame([series.alias(f"entry{i}") for i, series in enumerate(single)])
    return pl.select(
        sample_id=pl.int_range(first + 1, first + count + 1),
        click=pl.Series(click.astype(np.int8)),
        purchase=pl.Series((click & (random.random(count) < 0.005)).astype(np.int8)),
        key=keys[user],
        count=pl.lit(len(single)),
        features=frame.select(pl.concat_str(pl.all(), separator="\x01")).to_series(),
    )


def _users(random: np.random.Generator, keys: pl.Series, first: int, histories: int) -> pl.DataFrame:
    count = len(keys)
    fields = ("121", "122", "124", "125", "126", "127", "128", "129")
    single = [_entry("101", first + np.arange(1, count + 1))]
    single += [_entry(field, 3_438_000 + random.integers(0, 10, count)) for field in fields]
    for field in ("109_14", "110_14", "127_14", "150_14"):
        pool = _pool(
            random, field, 3_450_000, histories - histories // 4, histories + histories // 4, 1.09861
        )
        single.append(pool[random.integers(0, len(pool), count)])
    frame = pl.DataFrame([series.alias(f"entry{i}") for i, series in enumerate(single)])
    joined = frame.select(pl.concat_str(pl.all(), separator="\x01")).to_series()
    return pl.DataFrame({"key": keys, "count": [len(single)] * count, "features": joined})


def _entry(field: str, ids: np.ndarray, value: str = "1.0") -> pl.Series:
    return pl.select(
        pl.concat_str(pl.lit(f"{field}\x02"), pl.Series(ids), pl.lit(f"\x03{value}"))
    ).to_series()


def _pool(
    random: np.random.Generator, field: str, start: int, least: int, most: int, value: float
) -> pl.Series:
    """Return 300 texts of several entries each, for rows to choose from."""
    texts = []
    for _ in range(300):
        ids = start + random.integers(0, 100_000, random.integers(least, most + 1))
        texts.append(features(*((field, identity, value) for identity in ids)))
    return pl.Series(texts)
