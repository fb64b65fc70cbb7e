# SPDX-License-Identifier: GPL-2.0-only
"""Checks what a command printed with --json against the schema that the manual has of it."""

from __future__ import annotations

from typing import Any

from jsonschema.validators import validator_for

from difffuzz.manual.schemas import schema


def valid(command: str, document: Any) -> Any:
    """The document; an exception says what the schema of that command does not allow."""
    form = schema(command)
    validator = validator_for(form)
    validator.check_schema(form)
    validator(form).validate(document)
    return document
