"""MovieLens-1M exactly as GroupLens publishes it: `::` between values, latin-1, three files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from schema.files.raw import AGAIN, RawFile, Seen, Sieve, locate, row_keys
from schema.files.reading import open_text
from schema.rows import BadRow, Block

FILES = (
    RawFile("ratings.dat", rows=1_000_209, bytes=24_594_131),
    RawFile("users.dat", rows=6_040, bytes=134_368),
    RawFile("movies.dat", rows=3_883, bytes=171_308),
)
WHERE = "get ml-1m.zip from the MovieLens page of GroupLens (grouplens.org) and unpack it there."
RATINGS = ("user_id", "movie_id", "rating", "timestamp")
USERS = ("user_id", "gender", "age", "occupation", "zip")
MOVIES = ("movie_id", "title", "genres")
DOMAINS = ("age3", "genre")
# The three age groups of the multi-domain papers; the files' age is the lower end of a range.
AGE3 = {"1": "under 25", "18": "under 25", "25": "25-34"} | dict.fromkeys(
    ("35", "45", "50", "56"), "35 and over"
)
BLOCK_ROWS = 200_000


def files(domain: str = "age3") -> list[RawFile]:
    """Return the raw files, the same for every domain."""
    return list(FILES)


def published(domain: str = "age3") -> dict[str, int]:
    """Return the published counts: those of the set's README."""
    return {"rows": 1_000_209, "domains": 3 if domain == "age3" else 18}


def columns(domain: str = "age3") -> list[str]:
    """Return the names of the columns that `read` delivers.

    Raises:
        ValueError: unknown domain.
    """
    if domain not in DOMAINS:
        raise ValueError(f"domain {domain!r} of movielens-1m must be one of {', '.join(DOMAINS)}.")
    return [*RATINGS, *USERS[1:], *MOVIES[1:], domain]


def read(folder: Path, domain: str = "age3") -> Iterator[Block]:
    """Yield the ratings in their order, joined with their user and movie.

    Args:
        folder: holds the three files.
        domain: `age3`: under 25, 25-34, 35 and over; `genre`: the movie's first genre, 18 of them.

    Raises:
        ValueError: a file is missing or in another form; the user or movie file has a bad line.
    """
    columns(domain)
    users, movies = _read_whole(folder, "users.dat", USERS), _read_whole(folder, "movies.dat", MOVIES)
    odd = users.filter(~pl.col("age").is_in(list(AGE3)))
    if len(odd):
        raise ValueError(f"{folder / 'users.dat'}: age {odd['age'][0]!r} must be one of {', '.join(AGE3)}.")
    age3 = pl.col("age").replace_strict(AGE3, default=None)
    genre = pl.col("genres").str.split("|").list.first()
    lines, rows, bad = _parse(folder, "ratings.dat", RATINGS)
    joined = (
        rows.join(users, on="user_id", how="left", maintain_order="left")
        .join(movies, on="movie_id", how="left", maintain_order="left")
        .with_columns((age3 if domain == "age3" else genre).alias(domain))
    )
    sieve = Sieve(Block(rows.to_arrow(), lines, "ratings.dat", bad), separator="::")
    for name in RATINGS:
        sieve.integers(name)
    sieve.fail(
        (joined["gender"].is_null() | joined["title"].is_null()).to_numpy(), "user or movie is in no file"
    )
    sieve.fail(Seen().again(row_keys(rows)), AGAIN)
    whole = sieve.kept(joined.get_columns())
    for first in range(0, max(len(whole.lines), 1), BLOCK_ROWS):
        part = slice(first, first + BLOCK_ROWS)
        yield Block(whole.table[part], whole.lines[part], whole.file, whole.bad if first == 0 else [])


def _read_whole(folder: Path, file: str, names: tuple[str, ...]) -> pl.DataFrame:
    """Return a file in which every line must be right and its first value stand once."""
    _, rows, bad = _parse(folder, file, names)
    if bad:
        raise ValueError(f"{folder / file}, line {bad[0].line}: {bad[0].reason}: {bad[0].text}")
    doubled = rows.filter(pl.col(names[0]).is_duplicated())
    if len(doubled):
        raise ValueError(f"{folder / file}: {names[0]} {doubled[names[0]][0]!r} stands more than once.")
    return rows


def _parse(folder: Path, file: str, names: tuple[str, ...]) -> tuple[np.ndarray, pl.DataFrame, list[BadRow]]:
    """Return line numbers and values of a file's good lines, and the bad lines."""
    path = locate(folder, file, WHERE)
    with open_text(path) as stream:
        content = stream.read()
    # Not splitlines(): in latin-1 it would also cut at the byte 0x85, which a title may hold.
    text = content.decode("latin-1").replace("\r\n", "\n").split("\n")
    lines = pl.DataFrame({"text": text}).with_columns(pl.col("text").str.split("::").alias("values"))
    good = (lines["values"].list.len() == len(names)).to_numpy()
    if not good.any():
        raise ValueError(f"{path} has no line with {len(names)} values between '::': is it another file?")
    bad = [
        BadRow(file, int(row) + 1, f"not {len(names)} values between '::'", text[row][:200])
        for row in np.flatnonzero(~good)
        if text[row].strip()
    ]
    rows = lines.filter(good).select(pl.col("values").list.get(i).alias(name) for i, name in enumerate(names))
    return np.flatnonzero(good) + 1, rows, bad
