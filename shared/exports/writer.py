"""Write plain data as YAML that `reader` reads back as the same data: what YAML 1.2 takes for a number is quoted."""

from __future__ import annotations

from typing import Any


def write(document: dict[str, Any]) -> str:
    """The document as YAML, keys in their order and nothing folded."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, _data: Any) -> bool:
            return True  # the reader refuses them

    def text(dumper: yaml.SafeDumper, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if _like_a_number(value) else None)

    Dumper.add_representer(str, text)
    written: str = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return written


def _like_a_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
