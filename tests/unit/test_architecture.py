from tools import architecture


def test_the_picture_shows_the_imports_of_today() -> None:
    assert architecture.PAGE.read_text() == architecture.page(), "run python -m tools.architecture"
