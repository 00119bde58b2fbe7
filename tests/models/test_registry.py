"""The registry finds by file name, and says what a wrong name or setting should have been."""

import pytest

from models.registry import check, entries, find, names
from models.settings import LearningSettings, ModelSettings


def test_every_name_is_a_file_with_one_registered_class():
    for room in ("architectures", "learning", "plugins"):
        assert [entry.name for entry in entries(room)] == names(room)
    assert {"mmoe", "shared_bottom"} <= set(names("architectures"))
    assert all(entry.paper and entry.kind for entry in entries("architectures"))


def test_unknown_names_give_the_nearest_match():
    with pytest.raises(ValueError, match=r"'mmo' is no architecture; .*Did you mean 'mmoe'"):
        find("architectures", "mmo")
    with pytest.raises(ValueError, match=r"'jont' is no learning method; .*Did you mean 'joint'"):
        check(ModelSettings(), LearningSettings(method="jont"), has_classifier=False)
    with pytest.raises(ValueError, match="no plug-in"):
        check(ModelSettings(plugins=("d4",)), LearningSettings(), has_classifier=False)


@pytest.mark.parametrize(
    "values", [{"architecture": "ssctl"}, {"plugins": ("isct",)}, {"plugins": ("sddn",)}]
)
def test_what_needs_the_domain_classifier_is_refused_without_one(values):
    check(ModelSettings(**values), LearningSettings(), has_classifier=True)
    with pytest.raises(ValueError, match=r"(isct|sddn) needs the domain classifier: add classifier: \{\} to"):
        check(ModelSettings(**values), LearningSettings(), has_classifier=False)


def test_wrong_settings_name_the_key_and_what_is_allowed():
    with pytest.raises(ValueError, match=r"settings of mmoe: n_expert: .* Allowed: n_experts, expert_units"):
        check(ModelSettings(settings={"n_expert": 3}), LearningSettings(), has_classifier=False)
    with pytest.raises(ValueError, match=r"n_experts: .*integer"):
        check(ModelSettings(settings={"n_experts": "many"}), LearningSettings(), has_classifier=False)
