"""KuaiRand-1K and KuaiRand-Pure as published: the two standard logs, joined with users and videos.

The protocol is DFEI's (section 4.1). Only what is known when a video is shown is delivered: none of the
feedback columns but the label, none of the statistics files, which average over the whole month, and not
`visible_status`, which says how things stood when the set was collected.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from schema.files.raw import AGAIN, RawFile, Seen, Sieve, csv_blocks, locate, row_keys
from schema.files.reading import FileError
from schema.readers import SPLIT
from schema.rows import BadRow, Block

WHERE = (
    "get KuaiRand-1K.tar.gz or KuaiRand-Pure.tar.gz from kuairand.com; the files are in its folder `data`."
)
USERS = {"1k": 1_000, "pure": 27_285}  # by version, as the set's README counts them
LOGS = ("log_standard_4_08_to_4_21", "log_standard_4_22_to_5_08")
IMPRESSION = ("user_id", "video_id", "tab", "time_ms")  # two rows that agree in these are one impression
LOG = (*IMPRESSION, "date", "hourmin", "duration_ms", "is_click")
USER = (
    "user_active_degree",
    "is_lowactive_period",
    "is_live_streamer",
    "is_video_author",
    "follow_user_num_range",
    "fans_user_num_range",
    "friend_user_num_range",
    "register_days_range",
    *(f"onehot_feat{number}" for number in range(18)),
)
IDS = ("author_id", "music_id")
VIDEO = (*IDS, "video_type", "upload_type", "music_type", "tag")
TABS = ("0", "1", "2", "4", "5", "6")  # the six domains of DFEI
OTHER_TABS = ("3", "7", "8", "9", "10", "11", "12", "13", "14")
FIRST_DAY, VALIDATION, TEST, LAST_DAY = 20220408, 20220419, 20220422, 20220508


def files(version: str = "1k") -> list[RawFile]:
    """Return the raw files of a version.

    Raises:
        ValueError: unknown version.
    """
    if version not in USERS:
        raise ValueError(f"version {version!r} of kuairand must be one of {', '.join(USERS)}.")
    return [
        *(RawFile(f"{log}_{version}.csv") for log in LOGS),
        RawFile(f"user_features_{version}.csv", rows=USERS[version]),
        RawFile(f"video_features_basic_{version}.csv"),
    ]


def published(version: str = "1k") -> dict[str, int]:
    """Return the published counts: DFEI's domains; rows are published only with all 15 tabs together."""
    return {"domains": len(TABS)}


def columns(version: str = "1k") -> list[str]:
    """Return the names of the columns that `read` delivers."""
    return [*IMPRESSION, "hour", "duration_ms", "is_click", SPLIT, *USER, *VIDEO]


def read(folder: Path, version: str = "1k") -> Iterator[Block]:
    """Yield the impressions of both logs in their order, joined with their user and video.

    `tab` is the domain; other tabs than DFEI's six are left out. Days until April 18 are training, April
    19-21 validation and April 22 to May 8 test: DFEI takes its validation days out of the training days, and
    the days are those of the column `date` (time of Beijing). `hour` is that of `hourmin`. `duration_ms` may
    be 0 where the length is unknown. The video file's columns stay in memory: 0.8 GB at the most for 1K.

    Args:
        folder: holds the four files.
        version: `1k`: 1,000 users with all their impressions; `pure`: 27,285 users, 7,583 videos.

    Raises:
        ValueError: unknown version; a file is missing or in another form.
    """
    *logs, users, videos = (locate(folder, file.name, WHERE) for file in files(version))
    users, bad = _features(users, "user_id", USER)
    videos, bad_videos = _features(videos, "video_id", VIDEO)
    bad, seen = [*bad, *bad_videos], Seen()
    for log in logs:
        for block in csv_blocks(log, LOG, header=True):
            block.bad.extend(bad)
            bad = []
            yield _impressions(block, users, videos, seen)


def _features(path: Path, key: str, names: tuple[str, ...]) -> tuple[pl.DataFrame, list[BadRow]]:
    """Return a file of features sorted by its integer key, and its bad rows."""
    parts, bad, seen = [], [], Seen()
    for block in csv_blocks(path, (key, *names), header=True):
        sieve = Sieve(block)
        keys = pl.Series(key, sieve.integers(key))
        sieve.fail(seen.again(row_keys(block.table.select([key]))), AGAIN)
        kept = sieve.kept([keys, *(_compact(sieve.text(name)) for name in names)])
        parts.append(pl.from_arrow(kept.table))
        bad.extend(kept.bad)
    features = pl.concat(parts).sort(key)
    if not len(features):
        raise FileError(
            f"{path} has no usable row; such as line {bad[0].line}: {bad[0].reason}: {bad[0].text}"
        )
    return features, bad


def _compact(text: pl.Series) -> pl.Series:
    """Return a feature in 4 or 8 bytes a row, which counts with 4.4 million videos."""
    if text.name in IDS:  # a column of integers some of which are missing may be stored as floats
        return text.str.strip_suffix(".0").cast(pl.Int64, strict=False)
    return text.cast(pl.Categorical)


def _impressions(block: Block, users: pl.DataFrame, videos: pl.DataFrame, seen: Seen) -> Block:
    """Return the good rows of a block of a log, with its bad ones."""
    tab = pl.Series(block.table["tab"]).str.strip_chars()
    used = ~tab.is_in(OTHER_TABS).to_numpy()
    table = block.table.filter(used)
    sieve = Sieve(Block(table, block.lines[used], block.file, block.bad))
    user, video, time = (sieve.integers(name) for name in ("user_id", "video_id", "time_ms"))
    date, hourmin = sieve.integers("date"), sieve.integers("hourmin")
    sieve.fail(~sieve.text("tab").is_in(TABS).to_numpy(), "tab is none of 0 to 14")
    sieve.fail((date < FIRST_DAY) | (date > LAST_DAY), f"date is outside of {FIRST_DAY} to {LAST_DAY}")
    user_row, video_row = _place(users["user_id"], user), _place(videos["video_id"], video)
    sieve.fail((user_row < 0) | (video_row < 0), "user or video is in no file")
    sieve.fail(seen.again(row_keys(table.select(IMPRESSION))), AGAIN)
    split = np.select([date < VALIDATION, date < TEST], ["train", "validation"], "test")
    return sieve.kept(
        [
            pl.Series("user_id", user),
            pl.Series("video_id", video),
            sieve.text("tab"),
            pl.Series("time_ms", time),
            pl.Series("hour", hourmin // 100),
            sieve.text("duration_ms"),
            sieve.text("is_click"),
            pl.Series(SPLIT, split),
            *users[user_row, 1:].cast({pl.Categorical: pl.String}),
            *videos[video_row, 1:].cast({pl.Categorical: pl.String}),
        ]
    )


def _place(keys: pl.Series, wanted: np.ndarray) -> np.ndarray:
    """Return the rows of sorted keys where wanted ones stand, `(rows,)`; -1 for those that do not."""
    keys = keys.to_numpy()
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)
