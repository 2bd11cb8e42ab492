"""A script that completes verbs, keys and their values where slts is typed, for bash or zsh.

`slts completion bash > ~/.local/share/bash-completion/completions/slts`, or in ~/.bashrc `source <(slts completion
bash)`; for zsh `slts completion zsh > FOLDER/_slts`, FOLDER being one of $fpath, before compinit. It knows the options
of plug-ins that are installed when it is printed.
"""

import re

from slts.config import compose_some
from slts.schema import Key, conf_dir, documented_keys, option_keys, options

BASH = """# completion of slts; printed by: slts completion bash
_slts() {
  # Of the line and not of COMP_WORDS, which bash also breaks at "=".
  local line="${COMP_LINE:0:COMP_POINT}" words cur verb
  read -ra words <<< "$line"
  cur="${line##* }"
  verb="${words[1]}"
  [[ ${#words[@]} -lt 2 || ( ${#words[@]} -eq 2 && -n $cur ) ]] && verb=""
  case "$verb" in
@CASES@
    *) words="@VERBS@" ;;
  esac
  if [[ $cur == *=* && " $words" != *" ${cur%%=*}="[^\\ ]* ]]; then
    COMPREPLY=($(compgen -f -- "${cur#*=}"))
    return
  fi
  [[ $cur != *=* ]] && words=$(printf '%s\\n' $words | sed 's/=.*/=/' | sort -u)
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ $cur == *=* ]] && COMPREPLY=("${COMPREPLY[@]#*=}")
  [[ ${#COMPREPLY[@]} -eq 1 && $COMPREPLY == *= ]] && compopt -o nospace 2> /dev/null
  return 0
}
complete -o filenames -F _slts slts
"""
ZSH = """#compdef slts
# completion of slts; printed by: slts completion zsh
_slts() {
  local -a candidates
  if (( CURRENT == 2 )); then
    candidates=(@VERBS@)
    compadd -a candidates
    return
  fi
  case $words[2] in
@CASES@
  esac
  if compset -P '*='; then
    candidates=(${${(M)candidates:#$IPREFIX?*}#*=})
    if (( $#candidates )); then compadd -a candidates; else _files; fi
  else
    candidates=(${(u)candidates%%=*})
    compadd -S= -a candidates
  fi
}
_slts "$@"
"""


def main(config) -> None:
    print(script(config.shell), end="")


def script(shell: str) -> str:
    """What the shell is to source."""
    verbs = sorted(file.stem for file in conf_dir().glob("*.yaml"))
    case = {"bash": '    {}) words="{}" ;;', "zsh": "    {}) candidates=({}) ;;"}[shell]
    cases = "\n".join(case.format(verb, " ".join(words(verb))) for verb in verbs)
    return {"bash": BASH, "zsh": ZSH}[shell].replace("@CASES@", cases).replace("@VERBS@", " ".join(verbs))


def words(verb: str) -> list[str]:
    """``key=`` of every key that a verb may have, and ``key=value`` of all values where they are few, in order."""
    own, found = documented_keys(conf_dir() / f"{verb}.yaml"), {}
    for group in compose_some(verb, [])[1]:
        found[group] = options(group)
        for option in found[group]:
            own |= {name: key for name, key in option_keys(group, option).items() if key.sentence}
    found = {name: _values(key) for name, key in own.items()} | found
    return [word for name in sorted(found) for word in ([f"{name}={value}" for value in found[name]] or [f"{name}="])]


def _values(key: Key) -> list[str]:
    if isinstance(key.default, bool):
        return ["true", "false"]
    parts = re.split(r"\s+or\s+", key.constraint or "")
    return [value for part in parts if re.fullmatch(r"[\w.]+(\|[\w.]+)+", part) for value in part.split("|")]
