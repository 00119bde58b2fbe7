"""MovieLens-1M exactly as published: `::`, latin-1, three files."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.readers import find_reader
from schema.rows import BadRow

READER = find_reader("movielens-1m")
RATINGS = "1::1193::5::978300760\n2::661::3::978302109\n3::1193::1::978301968\n1::661::4::978300275\n"
USERS = "1::F::1::10::48067\n2::M::25::16::70072\n3::M::56::15::55117-1234\n"
MOVIES = (
    "661::James et la pêche géante: a, b (1996)::Animation|Children's|Musical\n"
    "1193::One Flew Over the Cuckoo's Nest (1975)::Drama\n"
)


def write(folder: Path, ratings: str = RATINGS, users: str = USERS, movies: str = MOVIES) -> Path:
    for name, text in (("ratings.dat", ratings), ("users.dat", users), ("movies.dat", movies)):
        (folder / name).write_bytes(text.encode("latin-1"))
    return folder


def read(folder: Path, domain: str = "age3") -> tuple[pl.DataFrame, list[int], list[BadRow]]:
    blocks = list(READER.read(folder, domain=domain))
    rows = pl.concat([pl.from_arrow(block.table) for block in blocks])
    return (
        rows,
        [line for block in blocks for line in block.lines],
        [bad for block in blocks for bad in block.bad],
    )


def test_a_rating_is_joined_with_its_user_and_movie(tmp_path):
    rows, lines, bad = read(write(tmp_path))
    assert rows.columns == READER.columns(domain="age3")
    assert rows.row(1, named=True) == {
        "user_id": "2",
        "movie_id": "661",
        "rating": "3",
        "timestamp": "978302109",
        "gender": "M",
        "age": "25",
        "occupation": "16",
        "zip": "70072",
        "title": "James et la pêche géante: a, b (1996)",
        "genres": "Animation|Children's|Musical",
        "age3": "25-34",
    }
    assert lines == [1, 2, 3, 4] and not bad


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("age3", ["under 25", "25-34", "35 and over", "under 25"]),
        ("genre", ["Drama", "Animation", "Drama", "Animation"]),
    ],
)
def test_the_domain_is_chosen_by_an_option(tmp_path, domain, expected):
    rows, _, _ = read(write(tmp_path), domain)
    assert rows[domain].to_list() == expected


def test_bad_ratings_are_set_aside_with_their_line_number(tmp_path):
    ratings = (
        "1::1193::5::978300760\n1::661\n9::1193::4::978300760\n\n1::7::4::978300760\n2::661::3::978302109\n"
    )
    rows, lines, bad = read(write(tmp_path, ratings=ratings))
    assert rows["user_id"].to_list() == ["1", "2"] and lines == [1, 6]
    assert sorted(bad, key=lambda row: row.line) == [
        BadRow("ratings.dat", 2, "not 4 values between '::'", "1::661"),
        BadRow("ratings.dat", 3, "user or movie is in no file", "9::1193::4::978300760"),
        BadRow("ratings.dat", 5, "user or movie is in no file", "1::7::4::978300760"),
    ]


def test_line_ends_of_windows_and_a_missing_last_one_do_not_matter(tmp_path):
    rows, lines, bad = read(write(tmp_path, ratings=RATINGS.replace("\n", "\r\n").rstrip()))
    assert rows["timestamp"].to_list() == ["978300760", "978302109", "978301968", "978300275"]
    assert lines == [1, 2, 3, 4] and not bad


@given(title=st.text(st.characters(max_codepoint=255, exclude_characters=":\n\r"), min_size=1))
def test_any_latin_1_title_is_read_as_it_stands(tmp_path_factory, title):
    movies = f"661::{title}::Drama\n1193::Other::Comedy\n"
    rows, _, _ = read(write(tmp_path_factory.mktemp("ml"), movies=movies))
    assert rows["title"].to_list() == ["Other", title, "Other", title]


@pytest.mark.parametrize("name", ["ratings.dat", "users.dat", "movies.dat"])
def test_a_missing_file_is_named_with_where_to_get_it(tmp_path, name):
    (write(tmp_path) / name).unlink()
    with pytest.raises(
        ValueError, match=rf"{name} is missing: get ml-1m\.zip from the MovieLens page of GroupLens"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"users": USERS + "4::M::25\n"}, r"users\.dat, line 4: not 5 values between '::': 4::M::25"),
        ({"users": USERS + "2::F::25::1::1\n"}, r"users\.dat: user_id '2' stands more than once"),
        ({"users": USERS.replace("::56::", "::57::")}, r"users\.dat: age '57' must be one of 1, 18, 25, 35"),
        (
            {"movies": "661,Toy Story,Drama\n"},
            r"movies\.dat has no line with 3 values between '::': is it another",
        ),
        ({"ratings": ""}, r"ratings\.dat is empty"),
        ({"ratings": "\n\n"}, r"ratings\.dat has no line with 4 values"),
    ],
)
def test_a_file_in_another_form_is_refused(tmp_path, files, message):
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path, **files))


def test_an_unknown_domain_names_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="domain 'age4' of movielens-1m must be one of age3, genre"):
        READER.columns(domain="age4")


@pytest.mark.parametrize(("domain", "domains"), [("age3", 3), ("genre", 18)])
def test_the_published_files_are_read_whole(shared_data, domain, domains):
    rows, lines, bad = read(shared_data / "ml-1m", domain)
    assert len(rows) == 1_000_209 and lines == list(range(1, 1_000_210)) and not bad
    assert rows.select((pl.col("rating").cast(pl.Int64) > 3).sum()).item() == 575_281
    counts = Counter(rows[domain].to_list())
    assert len(counts) == domains and None not in counts
    if domain == "age3":
        assert counts == {"under 25": 210_747, "25-34": 395_556, "35 and over": 393_906}
