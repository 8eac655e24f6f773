"""The JSON Schemas of what goes in and out, made from the very models that read rules. Pure."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from processor.admin import models, models_scanning
from processor.admin.showing import READ_ONLY
from processor.rules.schema import KIND, RuleDraft, TriggerRule
from processor.scanning import rule as scanning
from processor.scanning.rule import ScanDraft, ScanRule

REF: Final = "#/components/schemas/{model}"

_MODELS: Final[tuple[type[BaseModel], ...]] = (*models.ALL, *models_scanning.ALL)


def components() -> dict[str, Any]:
    """Every component by name."""
    found: dict[str, Any] = {}
    for model in _MODELS:
        _add(found, model.__name__, model)
    _add(found, "RuleDraft", RuleDraft)
    _add(found, "Rule", TriggerRule)
    _write_side(found["RuleDraft"], KIND)
    _read_side(found["Rule"])
    found["RulePatch"] = _patch(found["RuleDraft"])
    found["Rules"] = _page("Rule", "Rules.")
    since = {
        "type": ["string", "null"],
        "description": "From when on everything is here (RFC 3339); null: all that the topic held.",
    }
    found["Deliveries"] = _page("DeliveryRecord", "Attempts and decisions.", complete_since=since)
    _add_scanning(found)
    return found


def _add_scanning(found: dict[str, Any]) -> None:
    draft = found.pop(ScanDraft.__name__)
    found["ScanRuleDraft"] = draft
    found["ScanDraftSample"]["properties"]["rule"] = {"$ref": REF.format(model="ScanRuleDraft")}
    _add(found, "ScanRule", ScanRule)
    _write_side(draft, scanning.KIND)
    rule = found["ScanRule"]
    _read_side(rule)
    for name in ("unsealed", "warnings"):
        del rule["properties"][name]
    rule["required"].remove("uid")
    rule["description"] = "A scan rule as it is shown; of an invalid record what can be read of it."
    found["ScanRulePatch"] = _patch(draft)
    found["ScanRules"] = _page("ScanRule", "Scan rules.")
    scanners = {"type": "array", "items": {"$ref": REF.format(model="Scanner")}}
    found["ScanStats"] = _page("ScanCounts", "Counts.", scanners=scanners)
    count = {"type": "integer", "description": "Workloads that had no room in their scanner's report."}
    found["Workloads"] = _page("WorkloadState", "Workloads.", left_out=count)
    found["EffectiveRules"] = {
        "type": "object",
        "description": "A workload and its rules.",
        "properties": {
            "id": {"type": "string"},
            "tails": {"type": "integer", "description": "Its logs that are being read."},
            "items": {"type": "array", "items": {"$ref": REF.format(model="ScanRule")}},
        },
        "required": ["id", "tails", "items"],
        "additionalProperties": False,
    }


def _add(found: dict[str, Any], name: str, model: type[BaseModel]) -> None:
    schema = model.model_json_schema(ref_template=REF)
    for inner, definition in schema.pop("$defs", {}).items():
        if found.setdefault(inner, definition) != definition:
            raise ValueError(f"two models are called {inner}")
    found[name] = schema


def _write_side(schema: dict[str, Any], kind: str) -> None:
    """What only a read has may come back and is passed over."""
    for name in (*READ_ONLY, "updated_by", "updated_at"):
        schema["properties"][name] = {"readOnly": True, "description": "Passed over when it is written."}
    schema["properties"]["kind"] = {"const": kind, "description": "As files have it."}


def _read_side(schema: dict[str, Any]) -> None:
    text: dict[str, Any] = {"type": "string"}
    error = {"$ref": REF.format(model="WrongField")}
    schema["properties"] |= {
        "id": {
            "anyOf": [schema["properties"]["id"], {"type": "null"}],
            "description": "null: its key is none.",
        },
        "key": {**text, "description": "The record's key."},
        "status": {"enum": ["valid", "invalid"], "description": "An invalid one fires nothing."},
        "reason": {"type": ["string", "null"], "description": "Why it is invalid."},
        "offset": {"type": "integer", "minimum": 0, "description": "Where its record stands: its revision."},
        "unsealed": {
            "type": "array",
            "items": text,
            "description": "Fields whose secret stands in the topic as plain text.",
        },
        "warnings": {
            "type": "array",
            "items": error,
            "description": "After a write: what may keep the rule from working.",
        },
    }
    schema["properties"]["name"].pop("minLength", None)
    schema["required"] = ["id", "uid", "name", "key", "status", "reason", "offset"]
    schema["description"] = "A rule as it is shown; of an invalid record what can be read of it."


def _patch(draft: dict[str, Any]) -> dict[str, Any]:
    """A draft with nothing required, in which every field may be null."""
    properties = {
        name: {"anyOf": [schema, {"type": "null"}]} if not schema.get("readOnly") else schema
        for name, schema in draft["properties"].items()
    }
    return {
        "type": "object",
        "description": "Fields to change; null takes one back to its default.",
        "properties": properties,
        "additionalProperties": False,
    }


def _page(model: str, description: str, **more: Any) -> dict[str, Any]:
    properties = {
        "items": {"type": "array", "items": {"$ref": REF.format(model=model)}},
        "next": {"type": ["string", "null"], "description": "The cursor of the next page."},
        **more,
    }
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
