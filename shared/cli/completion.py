"""`completion SHELL`: the script that lets a shell complete commands, options and their words.

The scripts ask the program itself (`defender-export complete WORD...`), so that they know every command of the release
that is installed; where it knows no word, the shell completes file names.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, Final

from shared.cli.exit_codes import DONE

_BASH = """# eval "$(defender-export completion bash)"
_defender_export() {
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(defender-export complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" \\
        -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _defender_export defender-export
"""
_ZSH = """#compdef defender-export
# eval "$(defender-export completion zsh)"
_defender_export() {
    local -a found
    found=(${(f)"$(defender-export complete "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then
        compadd -- $found
    else
        _files
    fi
}
compdef _defender_export defender-export
"""
_FISH = """# defender-export completion fish | source
function __defender_export
    set -l words (commandline --tokenize --cut-at-cursor --current-process) (commandline --current-token)
    defender-export complete $words[2..-1] 2>/dev/null
end
complete --command defender-export --arguments '(__defender_export)'
"""
_POWERSHELL = """# defender-export completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName defender-export -ScriptBlock {
    param($word, $line, $position)
    $given = @($line.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.ToString() })
    if ($word -eq '') { $given += '' }
    defender-export complete @given 2>$null | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
}
"""
SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}


def register(commands: Any, parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Add the command, and the one that its scripts call; `parser` gives that of the whole program."""
    completion = commands.add_parser("completion", help="print the completion script of a shell")
    completion.add_argument("shell", choices=list(SCRIPTS))
    completion.set_defaults(run=lambda arguments: _print([SCRIPTS[arguments.shell].rstrip()]))
    complete = commands.add_parser("complete", prefix_chars="\0", add_help=False)
    complete.add_argument("words", nargs="*", default=[""])
    complete.set_defaults(run=lambda arguments: _print(candidates(parser(), arguments.words)))


def _print(lines: Sequence[str]) -> int:
    if lines:
        print("\n".join(lines))
    return DONE


def candidates(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """What the last of `words` can become; empty where only the shell can know, such as for a file."""
    *before, last = words or [""]
    waiting: argparse.Action | None = None
    for word in before:
        if waiting is not None:
            waiting = None
            continue
        below = _below(parser)
        if word.startswith("-"):
            option = parser._option_string_actions.get(word)  # noqa: SLF001 - argparse has no public list of options
            waiting = option if option is not None and option.nargs != 0 else None
        elif word in below:
            parser = below[word]
    if waiting is not None:
        return _starting(_words(waiting), last)
    if last.startswith("-"):
        options = parser._option_string_actions  # noqa: SLF001 - as above
        return _starting([option for option in options if option.startswith("--")], last)
    positional = [action for action in parser._actions if not action.option_strings]  # noqa: SLF001 - as above
    return _starting(list(_below(parser)) or [word for action in positional for word in _words(action)], last)


def _below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of a parser by name."""
    for action in parser._actions:  # noqa: SLF001 - as above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            return {name: each for name, each in action.choices.items() if name != "complete"}
    return {}


def _words(action: argparse.Action) -> list[str]:
    """The words that an argument takes, where it takes known ones."""
    return [str(word) for word in (*(action.choices or ()), *getattr(action.type, "words", ()))]


def _starting(known: Sequence[str], beginning: str) -> list[str]:
    return [word for word in known if word.lower().startswith(beginning.lower())]
