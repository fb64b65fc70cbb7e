# SPDX-License-Identifier: GPL-2.0-only
"""A syntax file of the language for Vim, and how Vim tells that a file is one."""

from __future__ import annotations

import re

from .lexicon import LineOf, first_line, line_kinds

HEAD = '" SPDX-License-Identifier: GPL-2.0-only\n'
SYNTAX = """\
" Programs of difffuzz; made from the table of operations.
if exists('b:current_syntax')
  finish
endif
syntax case match
setlocal commentstring=#\\ %s
syntax match difffuzzWrong /\\v[^ \\t\\r#]+/
syntax match difffuzzComment /#.*$/
"""
LINKS = {
    "Wrong": "Error",
    "Comment": "Comment",
    "Header": "PreProc",
    "Word": "Statement",
    "Thread": "Type",
    "Operation": "Function",
    "Key": "Identifier",
    "Value": "Constant",
}
"""Groups of highlighting, behind `difffuzz`, by what they are for all languages."""
BEHIND = "%([ \\t\\r#]|$)@="
BEFORE = "%([^ \\t])@<!"


def syntax() -> str:
    """syntax/difffuzz.vim.  A word that no rule of its line has is an error."""
    lines = [HEAD + SYNTAX]
    header = f"^[ \\t]*{_magic(first_line())}%([ \\t\\r]*%(#|$))@="
    lines.append(f"syntax match difffuzzHeader /\\v{header}/\n")
    lines += [_line(line) for line in line_kinds()]
    lines += [f"highlight default link difffuzz{ours} {group}\n" for ours, group in LINKS.items()]
    return "".join([*lines, "let b:current_syntax = 'difffuzz'\n"])


def detection(suffix: str) -> str:
    """ftdetect/difffuzz.vim: by the file's name or its first line."""
    return (
        f"{HEAD}autocmd BufNewFile,BufRead *{suffix} setfiletype difffuzz\n"
        f"autocmd BufRead * if getline(1) =~# '\\v^[ \\t]*{_magic(first_line())}' "
        "| setfiletype difffuzz | endif\n"
    )


def _magic(expression: str) -> str:
    """An expression of the lexicon as Vim writes it after \\v."""
    made = expression.replace("(?:", "%(")
    return re.sub(r"[=<>@&~/]", lambda found: "\\" + found[0], made)


def _line(line: LineOf) -> str:
    """The line as a region, the words that it begins with, and its arguments."""
    thread = f"{_magic(line.threads)}:[ \\t]+" if line.threads else ""
    begin = f"^[ \\t]*{thread}{line.word}{BEHIND}"
    inner = f"difffuzz_{line.name}"
    said = [
        f"syntax region {inner} start=/\\v{begin}/ end=/$/ oneline keepend transparent "
        f"contains=difffuzzWrong,difffuzzComment,difffuzzThread_{line.name},@{inner}_words\n"
    ]
    if line.threads:
        said.append(
            f"syntax match difffuzzThread_{line.name} contained "
            f"/\\v^[ \\t]*{_magic(line.threads)}:/ "
            f"nextgroup=difffuzzOperation_{line.name} skipwhite\n"
            f"syntax match difffuzzOperation_{line.name} contained /\\v{line.word}{BEHIND}/\n"
            f"highlight default link difffuzzThread_{line.name} difffuzzThread\n"
            f"highlight default link difffuzzOperation_{line.name} difffuzzOperation\n"
        )
    else:
        said.append(
            f"syntax match difffuzzThread_{line.name} contained /\\v^[ \\t]*{line.word}{BEHIND}/\n"
            f"highlight default link difffuzzThread_{line.name} difffuzzWord\n"
        )
    for number, argument in enumerate(line.arguments):
        group = f"{line.name}_{number}"
        key, value = _magic(argument.key), f"{_magic(argument.value)}{BEHIND}"
        if argument.key:
            said.append(
                f"syntax match difffuzzKey_{group} contained /\\v{BEFORE}{key}%({value})@=/ "
                f"nextgroup=difffuzzValue_{group}\n"
                f"syntax match difffuzzValue_{group} contained /\\v{value}/\n"
                f"highlight default link difffuzzKey_{group} difffuzzKey\n"
            )
            first = f"difffuzzKey_{group}"
        else:
            said.append(f"syntax match difffuzzValue_{group} contained /\\v{BEFORE}{value}/\n")
            first = f"difffuzzValue_{group}"
        said.append(
            f"highlight default link difffuzzValue_{group} difffuzzValue\n"
            f"syntax cluster {inner}_words add={first}\n"
        )
    return "".join(said)
