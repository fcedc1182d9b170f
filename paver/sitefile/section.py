"""The base of every section's model, and `like`: a map's entry that takes over another one's values."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Section(BaseModel):
    """A section of the site file: frozen, strict, no unknown keys.

    Every field has a description: it is the help in editors, and the site file's reference.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_default=True, hide_input_in_errors=True
    )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Returns itself: nothing in it can change, and its maps refuse to be copied."""
        return self


@dataclasses.dataclass(frozen=True)
class Alike:
    """Marks a field that is a map: an entry may say `like: <other entry>` and give only what differs."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Adds the second form of an entry to the schema: nothing is required beside `like`."""
        schema = handler(core_schema)
        entry: dict[str, Any] = handler.resolve_ref_schema(dict(schema["additionalProperties"]))
        like = {
            "type": "string",
            "description": "Another entry whose values hold wherever this one has none.",
        }
        alike = {name: value for name, value in entry.items() if name != "required"}
        alike["properties"] = {"like": like} | entry["properties"]
        alike["required"] = ["like"]
        schema["additionalProperties"] = {"anyOf": [schema["additionalProperties"], alike]}
        return schema


ALIKE = Alike()
