"""Ali-CCP exactly as published: skeletons and common features, control characters between their entries."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from ali_ccp_files import features, measure, write_large
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from public_sets import check_config, ingest, read_all
from tensorflow_metadata.proto.v0 import schema_pb2

from components.log_schema_gen.rules import column_types
from pipeline.config import load
from schema.files import frequent_domains, lookup, reading
from schema.files.entries import Entries
from schema.readers import find_reader
from schema.rows import BadRow

READER = find_reader("ali-ccp")
TRAIN, TRAIN_USERS, TEST, TEST_USERS = (file.name for file in READER.files())
LAST = "features are no entries of field, id and value"


def sample(number=1, click=0, purchase=0, user="bacff91692951881", item=7702673, position=9351665, more=()):
    entries = [("216", 9342395, 1.0), ("301", position, 1.0), ("205", item, 1.0), ("206", 8317829, 1.0)]
    entries += [
        ("207", 8967741, 1.0),
        ("508", 9356012, 2.30259),
        ("210", 9059239, 1.0),
        ("210", 9042796, 1.0),
    ]
    entries += more
    return f"{number},{click},{purchase},{user},{len(entries)},{features(*entries)}\n"


def user(key="bacff91692951881", identity=31319, history=2):
    entries = [("101", identity, 1.0), ("121", 3438658, 1.0), ("127", 3438773, 1.0)]
    entries += [("109_14", 4500000 + i, 0.5) for i in range(history)] + [("127_14", 3529789, 2.3979)]
    return f"{key},{len(entries)},{features(*entries)}\n"


def write(folder: Path, train="", train_users="", test="", test_users="") -> Path:
    for name, text in (
        (TRAIN, train or sample()),
        (TRAIN_USERS, train_users or user()),
        (TEST, test or sample()),
        (TEST_USERS, test_users or user()),
    ):
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def read(folder: Path, **options) -> tuple[pl.DataFrame, list[BadRow]]:
    return read_all("ali-ccp", folder, **options)


def reasons(bad: list[BadRow]) -> list[tuple[str, int, str]]:
    return [(row.file, row.line, row.reason) for row in bad]


def test_a_sample_is_joined_with_its_common_features(tmp_path):
    rows, bad = read(write(tmp_path, sample(40362692, 1, 1), test=sample(3, more=[("702", 11, 0.5)])))
    assert rows.columns == [*READER.columns(), "line"] and not bad
    assert rows.row(0, named=True) == {
        "sample_id": 40362692,
        "click": 1,
        "purchase": 1,
        "scenario": 1,
        "user_id": 31319,
        "f121": 3438658,
        "f122": None,
        "f124": None,
        "f125": None,
        "f126": None,
        "f127": 3438773,
        "f128": None,
        "f129": None,
        "f109_14": [4500000, 4500001],
        "f110_14": [],
        "f127_14": [3529789],
        "f150_14": [],
        "d109_14": 1.0,
        "d110_14": 0.0,
        "d127_14": pytest.approx(2.3979),
        "d150_14": 0.0,
        "item_id": 7702673,
        "category": 8317829,
        "shop": 8967741,
        "brand": 9342395,
        "f508": 9356012,
        "f509": None,
        "f702": None,
        "intention": [9059239, 9042796],
        "f853": [],
        "d508": pytest.approx(2.30259),
        "d509": 0.0,
        "d702": 0.0,
        "d853": 0.0,
        "split": "train",
        "line": 1,
    }
    assert rows.row(1, named=True)["f702"] == 11


def test_the_test_file_is_halved_and_uses_its_own_common_features(tmp_path):
    test = "".join(sample(number) for number in range(1, 6))
    folder = write(tmp_path, test=test, test_users=user(identity=5))
    rows, _ = read(folder)
    assert rows["split"].to_list() == ["train", "validation", "test", "validation", "test", "validation"]
    assert rows["user_id"].to_list() == [31319, 5, 5, 5, 5, 5]


def test_scenarios_are_numbered_as_the_training_file_first_shows_them(tmp_path):
    positions = [9351667, 9351665, 9351667, 9351666]
    train = sample(9, 0, 1, position=1) + "".join(
        sample(i, position=position) for i, position in enumerate(positions)
    )
    rows, bad = read(write(tmp_path, train, test=sample(1, position=9351666) + sample(2, position=9351669)))
    assert rows["scenario"].to_list() == [1, 2, 1, 3, 3]
    assert reasons(bad) == [(TEST, 2, "field 301 has more than 3 values")]


def test_a_purchase_without_a_click_is_left_out_and_is_no_bad_row(tmp_path):
    rows, bad = read(write(tmp_path, sample(1, 0, 1) + sample(2, 1, 0) + sample(3, 1, 1)))
    assert rows["sample_id"].to_list() == [2, 3, 1] and rows["line"].to_list() == [2, 3, 1] and not bad


def test_of_a_long_list_the_first_20_are_kept_and_all_are_summed(tmp_path):
    again = [("216", 5, 1.0), ("853", 7, 0.25), ("853", 6, 0.25)]
    rows, _ = read(write(tmp_path, sample(more=again), user(history=300)))
    first = rows.row(0, named=True)
    assert first["f109_14"] == list(range(4500000, 4500020)) and first["d109_14"] == 150.0
    assert first["brand"] == 5 and first["f853"] == [7, 6] and first["d853"] == 0.5


def test_bad_rows_are_set_aside_with_file_and_line(tmp_path):
    bare = sample(8).split(",", 5)[-1].strip()
    train = (
        sample(1)
        + sample("2.0")
        + sample(3, click=2)
        + sample(4, user="none")
        + sample(5).replace("301\x02", "302\x02")
        + sample(6).replace("\x027702673\x03", "\x027702673.0\x03")
        + sample(7).replace("\x02", ":")
        + "8,0,0,bacff91692951881,8\n"
        + f"9,0,0,,8,{bare}\n"
        + "10,0,0,bacff91692951881,0,\n"
        + sample(1)
        + sample(2)
        + sample(2**40)
        + sample(2**40)
        + sample(11, purchase="")
    )
    users = user() + user("other").replace("\x03", "\x02") + user(identity=9) + "x,1\n"
    rows, bad = read(write(tmp_path, train, users))
    assert rows["sample_id"].to_list() == [1, 2, 2**40, 1] and set(rows["user_id"]) == {31319}
    assert reasons(bad) == [
        (TRAIN_USERS, 2, LAST),
        (TRAIN_USERS, 3, "the row stands further up already"),
        (TRAIN_USERS, 4, "2 values instead of 3"),
        (TRAIN, 2, "sample_id is no whole number"),
        (TRAIN, 3, "click is neither 0 nor 1"),
        (TRAIN, 4, "common features are in no file"),
        (TRAIN, 5, "no field 301 (scenario)"),
        (TRAIN, 6, LAST),
        (TRAIN, 7, LAST),
        (TRAIN, 8, "5 values instead of 6"),
        (TRAIN, 9, "no common_feature_id"),
        (TRAIN, 10, LAST),
        (TRAIN, 11, "the row stands further up already"),
        (TRAIN, 14, "the row stands further up already"),
        (TRAIN, 15, "purchase is no whole number"),
    ]
    assert bad[3].text.startswith("2.0,0,0,bacff91692951881,8,216")


def test_bytes_that_are_no_utf_8_cost_their_row_only(tmp_path):
    train = sample(1).encode() + sample(2).encode().replace(b"bac", b"b\xffc") + sample(3).encode()
    rows, bad = read(write(tmp_path, train))
    assert rows["sample_id"].to_list() == [1, 3, 1] and reasons(bad) == [(TRAIN, 2, "not UTF-8")]


@pytest.mark.parametrize("name", [TRAIN, TRAIN_USERS, TEST, TEST_USERS])
def test_a_missing_file_is_named_with_where_to_get_it(tmp_path, name):
    (write(tmp_path) / name).unlink()
    with pytest.raises(ValueError, match=rf"{name} is missing: get sample_train and sample_test of Ali-CCP"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train": sample().replace(",", ";")}, rf"{TRAIN}, line 1: 1 values between ',' instead of 6"),
        ({"train_users": sample()}, rf"{TRAIN_USERS}, line 1: 6 values between ',' instead of 3"),
        ({"test": user()}, rf"{TEST}, line 1: 3 values between ',' instead of 6"),
        (
            {"train_users": user().replace("\x01", " ")},
            rf"{TRAIN_USERS} has no good line; line 1: features are",
        ),
        ({"test": "\n\n"}, rf"{TEST}, line 1: 1 values"),
    ],
)
def test_another_version_of_a_file_is_refused(tmp_path, files, message):
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path, **files))


def test_an_empty_file_is_refused(tmp_path):
    (write(tmp_path) / TEST_USERS).write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{TEST_USERS} is empty"):
        read(tmp_path)


def test_files_may_be_gzipped_and_a_truncated_one_is_named(tmp_path):
    expected, _ = read(write(tmp_path))
    for name in (TRAIN, TRAIN_USERS, TEST, TEST_USERS):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    assert read(tmp_path)[0].equals(expected)
    whole = (tmp_path / f"{TEST_USERS}.gz").read_bytes()
    (tmp_path / f"{TEST_USERS}.gz").write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=rf"{TEST_USERS}\.gz is a broken gzip file"):
        read(tmp_path)


def test_an_unknown_domain_names_the_known_ones():
    with pytest.raises(ValueError, match="domain 'tab' of ali-ccp must be one of scenario, category"):
        READER.columns(domain="tab")


def small_log(folder: Path) -> Path:
    """Write two large categories of 80 users and items, and two that must go: of few users, of few items."""
    rows = [(person, 1000 + item, 1) for person in range(80) for item in range(80) if (person + item) % 4]
    rows += [(person, 2000 + item, 2) for person in range(80) for item in range(80) if (person + item) % 2]
    rows += [(person, 3000 + item, 3) for person in range(74) for item in range(80)]
    rows += [(person, 4000 + item, 4) for person in range(80) for item in range(74)]
    rows += [(person, 9999, 1) for person in range(14)] + [(500, 1000 + item, 1) for item in range(14)]
    order = np.random.default_rng(0).permutation(len(rows))
    texts = ["", ""]
    for number, at in enumerate(order):
        person, item, category = rows[at]
        entries = features(
            ("301", 9351665 + number % 3, 1.0), ("205", item, 1.0), ("206", 80 + category, 1.0)
        )
        texts[number % 2] += f"{number},{number % 7 == 0:d},0,u{person},3,{entries}\n"
    users = "".join(user(f"u{person}", 100 + person) for person in (*range(80), 500))
    return write(folder, texts[0], users, texts[1], users)


def test_categories_of_many_frequent_users_and_items_are_the_domains(tmp_path):
    rows, bad = read(small_log(tmp_path), domain="category")
    assert rows.columns == [*READER.columns(domain="category"), "line"] and not bad
    counts = rows.group_by("category30", "category").len().sort("category30").rows()
    assert counts == [(1, 81, 4800), (2, 82, 3200)]
    assert 9999 not in rows["item_id"] and 600 not in rows["user_id"]
    assert set(rows["split"]) == {"train", "validation", "test"} and set(rows["scenario"]) == {1, 2, 3}


def test_a_log_without_a_large_domain_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no domain has 75 users and 75 items with 15 rows each"):
        read(write(tmp_path), domain="category")


@pytest.mark.parametrize("domain", ["scenario", "category"])
def test_the_size_of_blocks_changes_nothing(tmp_path, monkeypatch, domain):
    folder = small_log(tmp_path)
    expected, _ = read(folder, domain=domain)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 30_000)
    monkeypatch.setattr(frequent_domains, "CHUNK_ROWS", 1_000)
    monkeypatch.setattr(lookup, "RUNNING", 100)
    assert read(folder, domain=domain)[0].equals(expected)


def test_five_domains_of_the_largest_twentieth_and_25_others_are_taken(monkeypatch):
    monkeypatch.setattr(frequent_domains, "LEAST_ROWS", 1)
    monkeypatch.setattr(frequent_domains, "LEAST_MEMBERS", 1)
    sizes = np.arange(400, 200, -1)  # of the domains 0 to 199, the largest first
    domain = np.repeat(np.arange(200), sizes)
    triples = np.column_stack([np.zeros_like(domain), np.ones_like(domain), domain]).astype(np.int32)
    chosen = frequent_domains.select(np.array_split(np.random.default_rng(0).permutation(triples), 7))
    # 10 and 190 domains: every second and every seventh.
    assert chosen.domains.tolist() == [0, 2, 4, 6, 8, *range(10, 10 + 25 * 7, 7)]
    assert chosen.numbers(triples[[0, 400, -1]]).tolist() == [1, 0, 0]
    assert chosen.numbers(np.array([[0, 1, 10], [1, 1, 10], [0, 0, 10]], np.int32)).tolist() == [6, 0, 0]


ENTRY = st.tuples(st.sampled_from(["101", "109_14", "853"]), st.integers(0, 10**9 - 1), st.integers(0, 99))


@given(st.lists(st.one_of(st.just(None), st.lists(ENTRY, min_size=1, max_size=6)), min_size=1, max_size=6))
def test_entries_are_those_of_a_plain_loop(rows):
    texts = ["101\x02\x031" if row is None else features(*row) for row in rows]
    rows = [row or [] for row in rows]
    entries = Entries(pl.Series(texts).to_arrow().cast("string"))
    assert entries.good.tolist() == [bool(row) for row in rows]
    for field in ("101", "109_14", "205"):
        ids = [[identity for name, identity, _ in row if name == field] for row in rows]
        assert entries.single(field).to_list() == [each[-1] if each else None for each in ids]
        assert entries.several(field, 2).to_list() == [each[:2] for each in ids]
        sums = [sum(value for name, _, value in row if name == field) for row in rows]
        assert entries.total(field).to_list() == sums


@pytest.mark.parametrize("name", ["aliccp-3", "aliccp-30"])
def test_a_config_fits_the_reader_and_the_curated_schema(name):
    check_config(name)


def test_the_curated_schema_has_the_columns_of_the_configs_and_no_others():
    config = load("aliccp-3")
    text = Path(config.checks.schema_file).read_text()
    names = [feature.name for feature in text_format.Parse(text, schema_pb2.Schema()).feature]
    logs = [set(column_types(load(name).log)) for name in ("aliccp-3", "aliccp-30")]
    assert set(names) == set.union(*logs) and len(names) == len(set(names))


@pytest.mark.parametrize(("name", "rows"), [("aliccp-3", [9_934, 4_967, 4_967]), ("aliccp-30", None)])
def test_a_config_ingests(tmp_path, name, rows):
    folder, out = tmp_path / "raw", tmp_path / "out"
    folder.mkdir(), out.mkdir()
    summary = ingest(name, small_log(folder), out)
    assert not summary.bad
    if rows:
        assert list(summary.rows.values()) == rows
    else:
        assert sum(summary.rows.values()) == 8000


@pytest.mark.slow
def test_memory_does_not_grow_with_the_samples(tmp_path):
    """Peak memory stays below 2 GiB; twice the samples of the same users take hardly more."""
    peaks = []
    for samples in (100_000, 200_000):  # in each of the two files
        folder = tmp_path / str(samples)
        folder.mkdir()
        rows, _, mebibytes = measure(write_large(folder, samples, users=5_000))
        assert rows == 2 * samples
        peaks.append(mebibytes)
    assert max(peaks) < 2048
    assert peaks[1] - peaks[0] < 60  # blocks that are kept instead of let go make it 100
