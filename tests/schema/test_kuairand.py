"""KuaiRand exactly as published: two standard logs, joined with users and videos."""

import gzip
from pathlib import Path

import pytest
from google.protobuf import text_format
from public_sets import check_config, ingest, read_all
from tensorflow_metadata.proto.v0 import schema_pb2

from components.log_schema_gen.rules import column_types
from pipeline.config import load
from schema.files import reading
from schema.readers import find_reader, kuairand
from schema.rows import BadRow

READER = find_reader("kuairand")
EARLY, LATE, USERS, VIDEOS = (file.name for file in READER.files())
LOG_HEADER = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n"
)
USER_HEADER = (
    "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num,"
    "follow_user_num_range,fans_user_num,fans_user_num_range,friend_user_num,friend_user_num_range,"
    f"register_days,register_days_range,{','.join(f'onehot_feat{i}' for i in range(18))}\n"
)
USER_ROWS = (
    '0,full_active,0,-124,1,5,"(0,10]",0,0,0,0,107,91-180,0,1,17,638,2.0,0,1,6,6,6,2,3,0.0,0.0,0.0,0.0,0.0,0.0\n'
    '7,UNKNOWN,0,0,0,612,500+,12,"[10,100)",0,0,900,730+,1,3,2,9,,0,1,6,6,6,2,3,1.0,,0.0,0.0,0.0,0.0\n'
)
VIDEO_HEADER = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,"
    "server_height,music_id,music_type,tag\n"
)
VIDEO_ROWS = (
    '12,441,NORMAL,2022-04-07,ShortImport,1,17200.0,720,1280,989206467,9.0,"12,65"\n'
    "3,8839734,AD,2022-03-01,Web,1,,576,1024,-1,,\n"
)


def log_row(
    user=0, video=12, date=20220408, hourmin=1530, time=1649403000123, click=1, duration=17200, tab=1
):
    return f"{user},{video},{date},{hourmin},{time},{click},0,0,0,0,0,1,9000,{duration},0,0,0,0,{tab}\n"


def write(folder: Path, early=log_row(), late="", users=USER_ROWS, videos=VIDEO_ROWS, version="1k") -> Path:  # noqa: B008
    late = late or log_row(date=20220422, time=1650600000000)
    texts = (LOG_HEADER + early, LOG_HEADER + late, USER_HEADER + users, VIDEO_HEADER + videos)
    for file, text in zip(READER.files(version=version), texts, strict=True):
        (folder / file.name).write_text(text)
    return folder


def read(folder: Path, **options):
    return read_all("kuairand", folder, **options)


@pytest.mark.parametrize("version", ["1k", "pure"])
def test_an_impression_is_joined_with_its_user_and_video(tmp_path, version):
    early = log_row() + log_row(user=7, video=3, hourmin=0, click=0, duration=0, tab=0)
    rows, bad = read(write(tmp_path, early, version=version), version=version)
    assert not bad and rows["line"].to_list() == [2, 3, 2]
    assert rows.columns == [*READER.columns(version=version), "line"]
    onehot = [
        "1",
        "3",
        "2",
        "9",
        "",
        "0",
        "1",
        "6",
        "6",
        "6",
        "2",
        "3",
        "1.0",
        "",
        "0.0",
        "0.0",
        "0.0",
        "0.0",
    ]
    assert rows.row(1, named=True) == {
        "user_id": 7,
        "video_id": 3,
        "tab": "0",
        "time_ms": 1649403000123,
        "hour": 0,
        "duration_ms": "0",
        "is_click": "0",
        "split": "train",
        "user_active_degree": "UNKNOWN",
        "is_lowactive_period": "0",
        "is_live_streamer": "0",
        "is_video_author": "0",
        "follow_user_num_range": "500+",
        "fans_user_num_range": "[10,100)",
        "friend_user_num_range": "0",
        "register_days_range": "730+",
        **{f"onehot_feat{i}": value for i, value in enumerate(onehot)},
        "author_id": 8839734,
        "music_id": -1,
        "video_type": "AD",
        "upload_type": "Web",
        "music_type": "",
        "tag": "",
        "line": 3,
    }
    first = rows.row(0, named=True)
    assert (first["hour"], first["tag"], first["follow_user_num_range"]) == (15, "12,65", "(0,10]")


def test_nothing_that_is_known_only_after_the_impression_is_delivered():
    feedback = {"is_like", "is_follow", "is_comment", "is_forward", "is_hate", "long_view", "play_time_ms"}
    later = {"profile_stay_time", "comment_stay_time", "is_profile_enter", "visible_status"}
    assert not (feedback | later) & set(READER.columns())


def test_the_split_goes_by_the_official_days(tmp_path):
    days = {20220408: "train", 20220418: "train", 20220419: "validation", 20220421: "validation"}
    late = {20220422: "test", 20220430: "test", 20220508: "test"}
    texts = ("".join(log_row(date=day, time=day) for day in part) for part in (days, late))
    rows, bad = read(write(tmp_path, *texts))
    assert rows["split"].to_list() == [*days.values(), *late.values()] and not bad


def test_only_the_six_tabs_are_delivered_and_other_tabs_are_no_fault(tmp_path):
    early = "".join(log_row(tab=tab, time=tab) for tab in range(15))
    rows, bad = read(write(tmp_path, early))
    assert rows["tab"].to_list() == ["0", "1", "2", "4", "5", "6", "1"] and not bad
    assert rows["line"].to_list() == [2, 3, 4, 6, 7, 8, 2]


def test_bad_impressions_are_set_aside_with_their_line(tmp_path):
    early = (
        log_row()
        + log_row(user="12.0")
        + log_row(video="x")
        + log_row(tab="1.0")
        + log_row(user=1)
        + log_row(video=13)
        + log_row(date=20220407)
        + log_row(time="")
        + "0,12\n"
        + log_row(click=0)
        + log_row(time=5)
    )
    rows, bad = read(write(tmp_path, early, log_row() + log_row(date=20220422)))
    assert rows["line"].to_list() == [2, 12]
    assert [(row.file, row.line, row.reason) for row in bad] == [
        (EARLY, 3, "user_id is no whole number"),
        (EARLY, 4, "video_id is no whole number"),
        (EARLY, 5, "tab is none of 0 to 14"),
        (EARLY, 6, "user or video is in no file"),
        (EARLY, 7, "user or video is in no file"),
        (EARLY, 8, "date is outside of 20220408 to 20220508"),
        (EARLY, 9, "time_ms is no whole number"),
        (EARLY, 10, "2 values instead of 19"),
        (EARLY, 11, "the row stands further up already"),
        (LATE, 2, "the row stands further up already"),
        (LATE, 3, "the row stands further up already"),
    ]
    assert bad[7] == BadRow(EARLY, 10, "2 values instead of 19", "0,12")


def test_bytes_that_are_no_utf8_cost_their_row(tmp_path):
    path = write(tmp_path) / EARLY
    path.write_bytes(path.read_bytes() + log_row(time=5).encode().replace(b"0,12,", b"0,\xff12,"))
    rows, bad = read(tmp_path)
    assert [(row.line, row.reason) for row in bad] == [(3, "not UTF-8")] and len(rows) == 2


def test_bad_lines_of_the_features_are_named(tmp_path):
    users = USER_ROWS + USER_ROWS.splitlines()[0] + "\n"
    videos = VIDEO_ROWS + VIDEO_ROWS.splitlines()[0].replace("12,441", "12.0,441") + "\n1,2\n"
    rows, bad = read(write(tmp_path, users=users, videos=videos))
    assert len(rows) == 2
    assert [(row.file, row.line, row.reason) for row in bad] == [
        (USERS, 4, "the row stands further up already"),
        (VIDEOS, 4, "video_id is no whole number"),
        (VIDEOS, 5, "2 values instead of 12"),
    ]


def test_a_feature_file_without_any_usable_row_is_refused(tmp_path):
    with pytest.raises(ValueError, match=rf"{USERS} has no usable row; such as line 2: user_id is no whole"):
        read(write(tmp_path, users=USER_ROWS.replace("0,full", "u0,full").replace("7,UNK", "u7,UNK")))


@pytest.mark.parametrize("name", [EARLY, LATE, USERS, VIDEOS])
def test_a_missing_file_is_named_before_any_work_with_where_to_get_it(tmp_path, name):
    (write(tmp_path) / name).unlink()
    with pytest.raises(ValueError, match=rf"{name} is missing: get KuaiRand-1K\.tar\.gz or .* kuairand\.com"):
        next(READER.read(tmp_path))


@pytest.mark.parametrize("name", [EARLY, LATE, USERS, VIDEOS])
def test_a_file_in_another_form_is_refused(tmp_path, name):
    path = write(tmp_path) / name
    text = path.read_text()
    for other, message in (
        (text.replace(",", ";"), "no column .* another separator than ','"),
        (text.replace("user_id", "uid").replace("video_id", "vid"), "line 1: no column '(user|video)_id'"),
        (text.replace("hourmin", "hour").replace("tag", "tags").replace("onehot_feat9", "f9"), "no column"),
        (text.splitlines()[0] + "\n", f"{name} has no rows"),
        ("", f"{name} is empty"),
    ):
        path.write_text(other)
        with pytest.raises(ValueError, match=message):
            read(tmp_path)


@pytest.mark.parametrize("name", [LATE, VIDEOS])
def test_a_truncated_gzip_is_refused(tmp_path, name):
    whole = gzip.compress((write(tmp_path) / name).read_bytes())
    (tmp_path / name).unlink()
    (tmp_path / f"{name}.gz").write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=rf"{name}\.gz is a broken gzip file"):
        read(tmp_path)


def test_block_sizes_change_nothing(tmp_path, monkeypatch):
    early = "".join(
        log_row(user=7 * (i % 2), time=i % 24, tab=i % 8, date=20220408 + i % 14) for i in range(60)
    )
    write(tmp_path, early)
    whole = read(tmp_path)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 300)
    parts = read(tmp_path)
    assert whole[0].equals(parts[0]) and whole[1] == parts[1] and whole[1]
    assert len(list(READER.read(tmp_path))) > 5


def test_an_unknown_version_names_the_known_ones():
    with pytest.raises(ValueError, match="version '27k' of kuairand must be one of 1k, pure"):
        READER.files(version="27k")


@pytest.mark.parametrize("name", ["kuairand-1k", "kuairand-pure"])
def test_the_configs_fit_the_reader_and_the_curated_schema(name):
    check_config(name)
    schema = text_format.Parse(Path(load(name).checks.schema_file).read_text(), schema_pb2.Schema())
    assert {feature.name for feature in schema.feature} == set(column_types(load(name).log))
    values = next(feature for feature in schema.feature if feature.name == "tab").string_domain.value
    assert tuple(values) == kuairand.TABS


def test_the_config_ingests_the_raw_files(tmp_path):
    early = log_row() + log_row(user=7, date=20220420, time=1650400000000, tab=6) + log_row(tab=3) + "0\n"
    summary = ingest("kuairand-1k", write(tmp_path, early), tmp_path)
    assert summary.rows == {"train": 1, "validation": 1, "test": 1}
    assert summary.bad == {"1 values instead of 19": 1}
