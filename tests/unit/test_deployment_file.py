"""The app's settings in its storage, against those of a laptop."""

from __future__ import annotations

import pytest

from shared.deployment_file import KEPT, combined, texts
from shared.settings import Settings, SettingsError, declarations


def test_the_settings_come_back_as_they_were_and_none_is_a_secret() -> None:
    environment = {"INSTANCE_ID": "prod", "MAX_DELETES": "7", "REGISTER_PROVIDER": "true", "INVENTORY": "list"}
    settings = Settings.load(environment)
    kept = texts(settings)
    assert {*kept} == {*KEPT}
    assert Settings.load(kept) == Settings.load(environment)
    assert not any(one.secret for one in declarations().values() if one.name in KEPT)


def test_the_apps_own_settings_go_before_a_laptops() -> None:
    laptop = {"MAX_DELETES": "1000", "HOME": "/root"}
    assert combined(laptop, {"INSTANCE_ID": "prod", "MAX_DELETES": "10"}) == {
        "INSTANCE_ID": "prod", "MAX_DELETES": "10", "HOME": "/root"
    }  # fmt: skip


def test_another_instance_is_refused_and_so_is_none_where_the_app_has_not_run() -> None:
    with pytest.raises(SettingsError, match="belongs to the instance prod, and INSTANCE_ID here is default"):
        combined({"INSTANCE_ID": "default"}, {"INSTANCE_ID": "prod"})
    with pytest.raises(SettingsError, match="which instance is this"):
        combined({}, None)
    assert combined({"INSTANCE_ID": "prod"}, None) == {"INSTANCE_ID": "prod"}
