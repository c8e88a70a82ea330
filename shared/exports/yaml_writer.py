"""Write plain data as YAML that `yaml_reader` reads back as the same data.

Quoted is what YAML 1.2 takes for a number, and what holds characters that a plain text would lose.
"""

from __future__ import annotations

from typing import Any


def write(document: dict[str, Any]) -> str:
    """The document as YAML, keys in their order and nothing folded."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, _data: Any) -> bool:
            return True  # the reader refuses them

    def text(dumper: yaml.SafeDumper, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if _quoted(value) else None)

    Dumper.add_representer(str, text)
    written: str = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return written


def _quoted(value: str) -> bool:
    if not value.isprintable():
        return True
    try:
        float(value)
    except ValueError:
        return False
    return True
