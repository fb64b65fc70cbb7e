# SPDX-License-Identifier: GPL-2.0-only
"""A TextMate grammar of the language, and the extension that brings it to VS Code."""

from __future__ import annotations

from typing import Any

from .lexicon import LineOf, first_line, line_kinds

SCOPE = "source.difffuzz"
GRAMMAR = "syntaxes/difffuzz.tmLanguage.json"
"""Its path in the extension."""
LANGUAGE = {"comments": {"lineComment": "#"}}
"""What VS Code wants to know beside the grammar."""
BEHIND = "(?=[ \\t\\r#]|$)"
"""Where a word ends."""
BEFORE = "(?<![^ \\t])"
"""Where a word begins."""
COMMENT = {"name": "comment.line.number-sign.difffuzz", "match": "#.*$"}
WRONG = {"name": "invalid.illegal.difffuzz", "match": "[^ \\t\\r#]+"}


def grammar() -> dict[str, Any]:
    """The grammar.  A word that no rule of its line has is illegal."""
    lines = list(line_kinds())
    return {
        "name": "difffuzz",
        "scopeName": SCOPE,
        "patterns": [
            COMMENT,
            {
                "name": "keyword.control.header.difffuzz",
                "match": f"^[ \\t]*{first_line()}(?=[ \\t\\r]*(?:#|$))",
            },
            *({"include": f"#{line.name}"} for line in lines),
            WRONG,
        ],
        "repository": {line.name: _line(line) for line in lines},
    }


def _line(line: LineOf) -> dict[str, Any]:
    """From the words that it begins with to its end."""
    if line.threads:
        begin = f"^[ \\t]*({line.threads}:)[ \\t]+({line.word}){BEHIND}"
        captures = {
            "1": {"name": "entity.name.tag.thread.difffuzz"},
            "2": {"name": "support.function.operation.difffuzz"},
        }
    else:
        begin = f"^[ \\t]*({line.word}){BEHIND}"
        captures = {"1": {"name": "keyword.other.line.difffuzz"}}
    patterns = [COMMENT]
    for argument in line.arguments:
        one: dict[str, Any] = {"match": f"{BEFORE}({argument.key})({argument.value}){BEHIND}"}
        one["captures"] = {
            "1": {"name": "variable.parameter.difffuzz"},
            "2": {"name": "constant.other.value.difffuzz"},
        }
        patterns.append(one)
    return {
        "begin": begin,
        "end": "$",
        "beginCaptures": captures,
        "patterns": [*patterns, WRONG],
    }


def package(suffix: str) -> dict[str, Any]:
    """package.json of the extension; `suffix`: of files with a program."""
    return {
        "name": "difffuzz",
        "displayName": "difffuzz programs",
        "description": "Syntax of the programs of difffuzz",
        "version": "0.1.0",
        "publisher": "difffuzz",
        "license": "GPL-2.0-only",
        "engines": {"vscode": "^1.60.0"},
        "categories": ["Programming Languages"],
        "contributes": {
            "languages": [
                {
                    "id": "difffuzz",
                    "aliases": ["difffuzz"],
                    "extensions": [suffix],
                    "firstLine": f"^[ \\t]*{first_line()}",
                    "configuration": "./language-configuration.json",
                }
            ],
            "grammars": [{"language": "difffuzz", "scopeName": SCOPE, "path": f"./{GRAMMAR}"}],
        },
    }
