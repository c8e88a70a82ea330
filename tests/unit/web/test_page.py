import pytest

from shared.web.health_check import CHECKS
from shared.web.html_pages import page as html_page
from tools import page


def test_the_committed_page_is_built_from_its_sources() -> None:
    for path, text in page.build().items():
        assert path.read_text() == text, "make page"


@pytest.mark.parametrize("name", ["operations", "sign-in"])
def test_the_page_loads_nothing_from_anywhere(name: str) -> None:
    text = html_page(name).text
    for loading in ("<script src", '<link rel="stylesheet"', "@import", "url(", " src=", "import("):
        assert loading not in text


@pytest.mark.parametrize("name", ["operations", "sign-in"])
def test_the_policy_names_the_one_script_and_the_one_style_by_their_hashes(name: str) -> None:
    built = html_page(name)
    assert built.text.count("<script>") == built.text.count("<style>") == 1
    assert built.policy.count("'sha256-") == 2
    assert "unsafe" not in built.policy


@pytest.mark.parametrize("check", CHECKS)
def test_what_ready_checks_has_a_name_and_advice_on_the_page(check: str) -> None:
    assert f"  {check}: {{ title: " in (page.SOURCE / "words.js").read_text()
