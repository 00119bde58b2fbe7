"""ADC exactly as published: impressions, joined with ads and with the profiles of most users."""

import gzip
from pathlib import Path

import pytest
from google.protobuf import text_format
from public_sets import check_config, ingest, read_all
from tensorflow_metadata.proto.v0 import schema_pb2

from components.log_schema_gen.rules import column_types
from pipeline.config import load
from schema.files import reading
from schema.readers import find_reader

READER = find_reader("adc")
SAMPLES, ADS, PROFILES = (file.name for file in READER.files())
SAMPLE_HEADER = "user,time_stamp,adgroup_id,pid,nonclk,clk\n"
AD_HEADER = "adgroup_id,cate_id,campaign_id,customer,brand,price\n"
PROFILE_HEADER = (
    "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,"
    "new_user_class_level \n"
)
SAMPLE_ROWS = (
    "581738,1494137644,63133,430548_1007,1,0\n"
    "234,1494638778,313401,430539_1007,0,1\n"
    "234,1494638779,63133,430539_1007,1,0\n"
)
AD_ROWS = "63133,6406,83237,1,95471,170.0\n313401,6406,83237,1,NULL,199\n"
PROFILE_ROWS = "234,0,5,2,5,,3,0,3\n523,5,2,2,2,1,3,1,2\n"


def write(
    folder: Path, samples=SAMPLE_ROWS, ads=AD_ROWS, profiles=PROFILE_ROWS, header=PROFILE_HEADER
) -> Path:
    for name, text in (
        (SAMPLES, SAMPLE_HEADER + samples),
        (ADS, AD_HEADER + ads),
        (PROFILES, header + profiles),
    ):
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    return folder


def read(folder: Path):
    return read_all("adc", folder)


def reasons(bad) -> list[tuple[str, int, str]]:
    return [(row.file, row.line, row.reason) for row in bad]


@pytest.mark.parametrize("header", [PROFILE_HEADER, PROFILE_HEADER.replace(" \n", "\n")])
def test_an_impression_is_joined_with_its_ad_and_its_users_profile(tmp_path, header):
    rows, bad = read(write(tmp_path, header=header))
    assert rows.columns == [*READER.columns(), "line"] and not bad
    profile = [name.strip() for name in PROFILE_HEADER.split(",")[1:]]
    assert rows.row(0, named=True) == {
        "user": 581738,
        "time_stamp": 1494137644,
        "adgroup_id": 63133,
        "pid": "430548_1007",
        "nonclk": 1,
        "clk": 0,
        "cate_id": 6406,
        "campaign_id": 83237,
        "customer": 1,
        "brand": 95471,
        "price": 170.0,
        **dict.fromkeys(profile),
        "line": 2,
    }
    second = rows.row(1, named=True)
    assert (second["brand"], second["price"], second["clk"], second["pid"]) == (None, 199.0, 1, "430539_1007")
    assert [second[name] for name in profile] == [0, 5, 2, 5, None, 3, 0, 3]
    assert rows["user"].to_list() == [581738, 234, 234] and rows["line"].to_list() == [2, 3, 4]


def test_bad_rows_are_set_aside_with_file_and_line(tmp_path):
    samples = SAMPLE_ROWS + (
        "12.0,1494137644,63133,430548_1007,1,0\n"
        "7,1494137644,63133,430548_1007,1,1\n"
        "7,1494137644,63133,430548_1007,-1,2\n"
        "7,1494137644,5,430548_1007,1,0\n"
        "7,1494137644,63133\n"
        "7,1494137644,63133,43\udcff,1,0\n"
        "7,,63133,430548_1007,1,0\n"
        "7,1494137644,7,430548_1007,1,0\n"
    )
    samples += SAMPLE_ROWS.splitlines(keepends=True)[1]
    ads = AD_ROWS + "5.0,1,1,1,1,1\n63133,1,1,1,1,1\n6,1,1,1,1,cheap\n7,1.0,1,1,1,1\n8,1,1,1,1,NULL\n"
    rows, bad = read(write(tmp_path, samples, ads, PROFILE_ROWS + "234,1,1,1,1,1,1,1,1\nx,1,1,1,1,1,1,1,1\n"))
    assert rows["line"].to_list() == [2, 3, 4] and rows["cms_group_id"].to_list() == [None, 5, 5]
    assert reasons(bad) == [
        (ADS, 4, "adgroup_id is no whole number"),
        (ADS, 5, "the row stands further up already"),
        (ADS, 6, "price is no number"),
        (ADS, 7, "cate_id is no whole number"),
        (SAMPLES, 5, "user is no whole number"),
        (SAMPLES, 6, "nonclk is not 1 - clk"),
        (SAMPLES, 7, "clk is neither 0 nor 1"),
        (SAMPLES, 8, "ad is in no file"),
        (SAMPLES, 9, "3 values instead of 6"),
        (SAMPLES, 10, "not UTF-8"),
        (SAMPLES, 11, "time_stamp is no whole number"),
        (SAMPLES, 12, "ad is in no file"),
        (SAMPLES, 13, "the row stands further up already"),
        (PROFILES, 4, "the row stands further up already"),
        (PROFILES, 5, "userid is no whole number"),
    ]
    assert bad[4].text == "12.0,1494137644,63133,430548_1007,1,0"


@pytest.mark.parametrize("name", [SAMPLES, ADS, PROFILES])
def test_a_missing_file_is_named_with_where_to_get_it(tmp_path, name):
    (write(tmp_path) / name).unlink()
    with pytest.raises(
        ValueError, match=rf"{name} is missing: get raw_sample, ad_feature and user_profile from"
    ):
        read(tmp_path)


@pytest.mark.parametrize("name", [SAMPLES, ADS, PROFILES])
def test_another_version_of_a_file_is_refused(tmp_path, name):
    path = write(tmp_path) / name
    text = path.read_text()
    path.write_text(text.replace(",", "\t"))
    with pytest.raises(ValueError, match=rf"{name}, line 1: no column .* another separator than ','"):
        read(tmp_path)
    path.write_text(text.replace("nonclk", "noclk").replace("brand", "brands").replace("cms_segid", "seg"))
    with pytest.raises(ValueError, match=rf"{name}, line 1: no column '(nonclk|brand|cms_segid)'; it has"):
        read(tmp_path)
    path.write_text(text.splitlines()[0] + "\n")
    with pytest.raises(ValueError, match=rf"{name} has no rows"):
        read(tmp_path)
    path.write_text("")
    with pytest.raises(ValueError, match=rf"{name} is empty"):
        read(tmp_path)


def test_files_may_be_gzipped_and_a_truncated_one_is_named(tmp_path):
    expected, _ = read(write(tmp_path))
    for name in (SAMPLES, ADS, PROFILES):
        whole = gzip.compress((tmp_path / name).read_bytes())
        (tmp_path / name).unlink()
        (tmp_path / f"{name}.gz").write_bytes(whole)
    assert read(tmp_path)[0].equals(expected)
    (tmp_path / f"{SAMPLES}.gz").write_bytes((tmp_path / f"{SAMPLES}.gz").read_bytes()[:-9])
    with pytest.raises(ValueError, match=rf"{SAMPLES}\.gz is a broken gzip file"):
        read(tmp_path)


def test_ads_of_which_none_is_right_are_refused(tmp_path):
    with pytest.raises(ValueError, match=rf"{ADS} has no good line; line 2: adgroup_id is no whole number"):
        read(write(tmp_path, ads="x,1,1,1,1,1\n"))


def test_the_size_of_blocks_changes_nothing(tmp_path, monkeypatch):
    samples = "".join(
        f"{i % 5 and 234},{1494137644 + i},63133,430548_1007,{i % 3 > 0:d},{i % 3 == 0:d}\n"
        for i in range(500)
    )
    folder = write(tmp_path, samples + samples)
    expected, bad = read(folder)
    assert len(expected) == len(bad) == 500
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1_000)
    assert read(folder)[0].equals(expected) and read(folder)[1] == bad


def test_the_config_fits_the_reader_and_the_curated_schema():
    check_config("adc-2")
    config = load("adc-2")
    schema = text_format.Parse(Path(config.checks.schema_file).read_text(), schema_pb2.Schema())
    assert sorted(feature.name for feature in schema.feature) == sorted(column_types(config.log))


def test_the_config_ingests(tmp_path):
    folder, out = tmp_path / "raw", tmp_path / "out"
    folder.mkdir(), out.mkdir()
    samples = "".join(f"{i},{1494137644 + i},63133,430548_1007,1,0\n" for i in range(1000))
    summary = ingest("adc-2", write(folder, samples), out)
    assert not summary.bad and sum(summary.rows.values()) == 1000
    assert 650 < summary.rows["train"] < 750 and 150 < summary.rows["test"] < 250
